//! Runs steps against two servers, compares, shrinks.
//!
//! `first_difference` is a function of the two servers and the steps alone: it starts from empty servers and new connections, so that
//! a shorter list of steps can be tried the same way.

use std::time::{Duration, Instant};

use super::generator::{Dialect, Kind, Step, Words, words};
use super::normalise::{same_answer, same_frames};
use crate::support::client::encode;
use crate::support::frame::{Frame, printable, printable_command};
use crate::support::{Client, Outcome, Server, records};

/// How long both servers may take for one reply.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long a difference may be shrunk.
const SHRINK_TIME: Duration = Duration::from_secs(10);

/// Changes our raw replies before they are compared: how the self-test shows that a flipped byte is noticed.
pub(crate) type Tamper = Option<Box<dyn Fn(usize, &mut Vec<u8>)>>;

/// Two servers to compare.
pub(crate) struct Pair<'a> {
    /// The server under test.
    pub(crate) ours: &'a Server,
    /// The oracle.
    pub(crate) theirs: &'a Server,
    /// What the oracle speaks.
    pub(crate) dialect: Dialect,
    /// For the self-test; gets the step's index and our reply.
    pub(crate) tamper: Tamper,
}

/// Where two servers parted.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    /// Index of the step.
    pub(crate) step: usize,
    /// The command whose replies differ.
    pub(crate) words: Words,
    /// Our answer, readable.
    pub(crate) ours: String,
    /// The oracle's.
    pub(crate) theirs: String,
}

/// Both connections of one run, and what they have queued.
struct Run<'a> {
    pair: &'a Pair<'a>,
    ours: Client,
    theirs: Client,
    /// The commands queued since MULTI, for the elements of EXEC's reply.
    queue: Vec<Words>,
}

fn readable(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Reply(raw) => {
            Frame::try_parse(raw).map_or_else(|| printable(raw), |frame| frame.to_string())
        }
        Outcome::Closed => "(connection closed)".to_owned(),
        Outcome::Quiet => "(no reply)".to_owned(),
    }
}

impl Pair<'_> {
    fn reset(&self) {
        for server in [self.ours, self.theirs] {
            let mut client = server.connect();
            client.timeout = PATIENCE;
            client.run("FLUSHALL");
            records::begin(&mut client);
        }
    }

    /// Runs the steps from empty servers up to the first difference.
    pub(crate) fn first_difference(&self, steps: &[Step]) -> Option<Difference> {
        self.reset();
        let mut run = Run {
            pair: self,
            ours: self.ours.connect(),
            theirs: self.theirs.connect(),
            queue: Vec::new(),
        };
        let mut from = 0;
        for (at, step) in steps.iter().enumerate() {
            let last = at + 1 == steps.len();
            if step.kind != Kind::Command {
                if let Some(found) = run.batch(&steps[from..at], from) {
                    return Some(found);
                }
                from = at + 1;
                if let Some((words, ours, theirs)) = run.special(step) {
                    return Some(Difference {
                        step: at,
                        words,
                        ours,
                        theirs,
                    });
                }
            } else if step.flush || last {
                if let Some(found) = run.batch(&steps[from..=at], from) {
                    return Some(found);
                }
                from = at + 1;
            }
        }
        self.difference_of_records(steps)
    }

    /// What the servers have in their records after the steps.
    fn difference_of_records(&self, steps: &[Step]) -> Option<Difference> {
        let [ours, theirs] =
            [self.ours, self.theirs].map(|server| records::of(&mut server.connect()));
        let waits = self.dialect != Dialect::Redis70;
        let mut found = records::differences(&ours, &theirs, waits);
        // How many steps a walk takes is each server's own.
        found.retain(|line| !line.to_ascii_lowercase().contains("scan"));
        (!found.is_empty()).then(|| Difference {
            step: steps.len().saturating_sub(1),
            words: words!["<records>"],
            ours: found.join("\n          "),
            theirs: "(the second of each)".to_owned(),
        })
    }

    /// The fewest steps found that still make a difference.
    pub(crate) fn shrink(
        &self,
        steps: &[Step],
        difference: &Difference,
    ) -> (Vec<Step>, Difference) {
        let deadline = Instant::now() + SHRINK_TIME;
        let mut best = steps[..=difference.step].to_vec();
        let mut found = difference.clone();
        let mut chunk = best.len() / 2;
        while chunk > 0 && Instant::now() < deadline {
            let mut from = 0;
            while from < best.len() && Instant::now() < deadline {
                let mut fewer = best.clone();
                fewer.drain(from..(from + chunk).min(best.len()));
                match self.first_difference(&fewer) {
                    // Another command's difference may be an artefact of the steps left out (a MULTI without its EXEC).
                    Some(other)
                        if other.words[0] == difference.words[0] && other.ours != "(no reply)" =>
                    {
                        fewer.truncate(other.step + 1);
                        best = fewer;
                        found = other;
                    }
                    _ => from += chunk,
                }
            }
            chunk /= 2;
        }
        (best, found)
    }
}

impl Run<'_> {
    /// Sends commands in one write to each server and compares their replies.
    fn batch(&mut self, steps: &[Step], first: usize) -> Option<Difference> {
        let mut bytes = Vec::new();
        for step in steps {
            encode(&step.words, &mut bytes);
        }
        self.ours.send_raw(&bytes);
        self.theirs.send_raw(&bytes);
        for (at, step) in steps.iter().enumerate() {
            let theirs = self.theirs.poll(PATIENCE);
            let mut ours = self.ours.poll(PATIENCE);
            if let (Some(tamper), Outcome::Reply(reply)) = (&self.pair.tamper, &mut ours) {
                tamper(first + at, reply);
            }
            if !self.same(&step.words, &ours, &theirs) {
                let (ours, theirs) = (readable(&ours), readable(&theirs));
                return Some(Difference {
                    step: first + at,
                    words: step.words.clone(),
                    ours,
                    theirs,
                });
            }
        }
        None
    }

    fn same(&mut self, words: &[Vec<u8>], ours: &Outcome, theirs: &Outcome) -> bool {
        let (Outcome::Reply(ours), Outcome::Reply(theirs)) = (ours, theirs) else {
            return ours == theirs;
        };
        let name = words[0].to_ascii_uppercase();
        if theirs == b"+QUEUED\r\n" {
            self.queue.push(words.to_vec());
            return ours == theirs;
        }
        match name.as_slice() {
            b"EXEC" => {
                let queue = std::mem::take(&mut self.queue);
                self.same_exec(&queue, ours, theirs)
            }
            b"DISCARD" | b"RESET" => {
                self.queue.clear();
                ours == theirs
            }
            _ => same_answer(words, ours, theirs, self.pair.dialect),
        }
    }

    fn same_exec(&self, queue: &[Words], ours: &[u8], theirs: &[u8]) -> bool {
        if ours == theirs {
            return true;
        }
        let (Frame::Array(ours), Frame::Array(theirs)) = (Frame::parse(ours), Frame::parse(theirs))
        else {
            return false;
        };
        ours.len() == theirs.len()
            && ours.len() == queue.len()
            && ours
                .into_iter()
                .zip(theirs)
                .zip(queue)
                .all(|((ours, theirs), words)| same_frames(words, ours, theirs, self.pair.dialect))
    }

    fn special(&mut self, step: &Step) -> Option<(Words, String, String)> {
        match step.kind {
            Kind::Command => None,
            Kind::ScanWalk => {
                let ours = scan_walk(&mut self.ours, &step.words);
                let theirs = scan_walk(&mut self.theirs, &step.words);
                let words = [words!["SCAN", "<from 0 to 0>"], step.words.clone()].concat();
                (ours != theirs).then(|| (words, format!("{ours:?}"), format!("{theirs:?}")))
            }
            Kind::RandomKey => self.random_key(),
            Kind::State => self.state(),
        }
    }

    fn random_key(&mut self) -> Option<(Words, String, String)> {
        let ours = self.ours.call(&words!["RANDOMKEY"]);
        let theirs = self.theirs.call(&words!["RANDOMKEY"]);
        // Inside MULTI the answer is QUEUED, and nothing more may be queued on one side.
        let mut keys = Frame::Null;
        let same = if matches!(theirs, Frame::Bulk(_)) {
            keys = self.both(&words!["KEYS", "*"]);
            keys.items().contains(&ours)
        } else {
            ours == theirs
        };
        (!same).then(|| {
            (
                words!["RANDOMKEY"],
                ours.to_string(),
                format!("{theirs} of {keys}"),
            )
        })
    }

    /// Sends a command to both, since it goes into the records, and gives the oracle's reply.
    fn both(&mut self, words: &Words) -> Frame {
        self.ours.call(words);
        self.theirs.call(words)
    }

    fn compare(&mut self, words: &Words) -> Option<(Words, String, String)> {
        let ours = self.ours.raw_call(words);
        let theirs = self.theirs.raw_call(words);
        let same = same_answer(words, &ours, &theirs, self.pair.dialect);
        (!same).then(|| {
            (
                words.clone(),
                Frame::parse(&ours).to_string(),
                Frame::parse(&theirs).to_string(),
            )
        })
    }

    /// Everything stored, as far as commands show it.
    fn state(&mut self) -> Option<(Words, String, String)> {
        for db in ["0", "1", "2"] {
            let both = [words!["SELECT", db], words!["KEYS", "*"], words!["DBSIZE"]];
            for words in &both {
                if let Some(found) = self.compare(words) {
                    return Some(found);
                }
            }
            let keys = self.both(&words!["KEYS", "*"]);
            for key in keys.items().iter().map(Frame::bytes) {
                let kind = self.both(&words!["TYPE", key]).text();
                let mut looks = vec![
                    words!["TYPE", key],
                    words!["PEXPIRETIME", key],
                    words!["OBJECT", "ENCODING", key],
                ];
                looks.push(match kind.as_str() {
                    "string" => words!["GET", key],
                    "list" => words!["LRANGE", key, "0", "-1"],
                    "set" => words!["SMEMBERS", key],
                    "hash" => words!["HGETALL", key],
                    "zset" => words!["ZRANGE", key, "0", "-1", "WITHSCORES"],
                    _ => words!["XINFO", "STREAM", key, "FULL", "COUNT", "0"],
                });
                for words in &looks {
                    if let Some(found) = self.compare(words) {
                        return Some(found);
                    }
                }
            }
        }
        None
    }
}

/// Every key a walk yields, without its repetitions; an error as its text.
fn scan_walk(client: &mut Client, options: &[Vec<u8>]) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    let mut cursor = b"0".to_vec();
    for _ in 0..10_000 {
        client.send(&[words!["SCAN", cursor], options.to_vec()].concat());
        let Outcome::Reply(raw) = client.poll(PATIENCE) else {
            return vec!["(no reply)".to_owned()];
        };
        let reply = Frame::parse(&raw);
        let [next, keys] = reply.items() else {
            return vec![reply.to_string()];
        };
        seen.extend(keys.items().iter().map(ToString::to_string));
        cursor = next.bytes().to_vec();
        if cursor == b"0" {
            return seen.into_iter().collect();
        }
    }
    vec!["SCAN does not come to an end".to_owned()]
}

/// A difference with the steps that lead to it.
pub(crate) fn report(
    seed: u64,
    names: [&str; 2],
    steps: &[Step],
    difference: &Difference,
) -> String {
    let shown = steps.len().saturating_sub(40);
    let lines: Vec<String> = steps[shown..]
        .iter()
        .map(|step| {
            let flush = if step.flush {
                ""
            } else {
                "   (pipelined with the next)"
            };
            format!(
                "  {:?} {}{flush}",
                step.kind,
                printable_command(&step.words)
            )
        })
        .collect();
    format!(
        "{} and {} differ; replay with MILLRACE_SEED={seed}\n{}\nat: {}\n  ours:   {}\n  theirs: {}\n",
        names[0],
        names[1],
        lines.join("\n"),
        printable_command(&difference.words),
        difference.ours,
        difference.theirs
    )
}
