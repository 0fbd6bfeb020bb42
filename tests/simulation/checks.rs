//! What a run of the simulation is checked for: what the witness saw against the model, and what clients received.

use super::model::Waiting;
use super::units::Units;
use super::*;

pub(crate) fn show(seen: &Seen) -> String {
    let words: Vec<_> = seen
        .words
        .iter()
        .map(|word| String::from_utf8_lossy(word))
        .collect();
    format!(
        "client {} {:?} {words:?} -> {:?}",
        seen.client,
        seen.execution,
        String::from_utf8_lossy(&seen.reply)
    )
}

/// A reply that a client must have received, or will.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) bytes: Vec<u8>,
    /// The last unit of work that it tells of, where they are counted.
    pub(crate) tells_of: usize,
    /// The last unit that is the client's own.
    pub(crate) wrote: usize,
}

/// Replies by client, in order.
pub(crate) type Answers = HashMap<u64, Vec<Answer>>;

/// A transaction that runs: client, replies, how many of them, and the words of the commands.
type Exec = (u64, Vec<u8>, usize, Vec<Vec<u8>>);

/// The model, run over what the witness saw.
#[derive(Default)]
pub(crate) struct Replay {
    pub(crate) model: Model,
    pub(crate) answers: Answers,
    /// What is left of the work after each unit of it, where that is wanted.
    pub(crate) units: Option<Units>,
    exec: Option<Exec>,
    /// Who is to be served: the client, its reply, the last unit that this tells of.
    due: VecDeque<((u64, Vec<u8>), usize)>,
    gone: HashSet<u64>,
}

/// Runs the model over what the witness saw; gives the replies each client must have received, in order.
pub(crate) fn check_against_model(seen: &[Seen]) -> (Model, Answers) {
    let mut replay = Replay::default();
    for (index, seen) in seen.iter().enumerate() {
        replay.see(index, seen);
    }
    let due = &replay.due;
    assert!(due.is_empty(), "not served at the end: {due:?}");
    (replay.model, replay.answers)
}

impl Replay {
    /// Begins with the data of a model, and counts units. `keep_at`: of which the data are wanted.
    pub(crate) fn counting(before: &Model, keep_at: Option<usize>) -> Self {
        Self {
            model: before.data(),
            units: Some(Units::new(before, keep_at)),
            ..Self::default()
        }
    }

    fn answer(&mut self, client: u64, bytes: Vec<u8>, (tells_of, wrote): (usize, Option<usize>)) {
        let answers = self.answers.entry(client).or_default();
        let before = answers.last().map_or(0, |answer| answer.wrote);
        let wrote = wrote.map_or(before, |unit| unit.max(before));
        answers.push(Answer {
            bytes,
            tells_of,
            wrote,
        });
    }

    /// A unit of work is done that concerns the keys among these words.
    fn end_unit(&mut self, words: &[Vec<u8>]) -> (usize, Option<usize>) {
        let units = self.units.as_mut();
        units.map_or((0, None), |units| units.end(&self.model, words))
    }

    /// The reply is the model's.
    fn expect(index: usize, seen: &Seen, reply: &[u8]) {
        assert_eq!(
            String::from_utf8_lossy(reply),
            String::from_utf8_lossy(&seen.reply),
            "execution {index}: {}",
            show(seen)
        );
    }

    /// What the model says to the next thing that was seen.
    pub(crate) fn see(&mut self, index: usize, seen: &Seen) {
        let at = || format!("execution {index}: {}", show(seen));
        let client = seen.client;
        if let Some((running, ..)) = &self.exec {
            assert_eq!(*running, client, "something ran inside an EXEC: {}", at());
        }
        // Who serves may meet one on the way whose connection is gone.
        let passed_over = seen.execution == Execution::Cancelled && self.gone.contains(&client);
        if seen.execution != Execution::Served && !passed_over {
            let due = &self.due;
            assert!(
                due.is_empty(),
                "not served though due: {due:?} before {}",
                at()
            );
        }
        let mut serve = false;
        match seen.execution {
            Execution::Command if seen.words[0] == GONE.as_bytes() => {
                self.model.subscribed.remove(&client);
                // Nobody is served whose connection is gone, even if its command is still under way.
                self.model
                    .waiting
                    .retain(|waiting| waiting.client != client);
                self.gone.insert(client);
            }
            Execution::Command if matches!(&seen.words[0][..], b"SUBSCRIBE" | b"UNSUBSCRIBE") => {
                let names = self.model.subscribed.entry(client).or_default();
                if seen.words[0] == b"SUBSCRIBE" {
                    names.insert(seen.words[1].clone());
                } else {
                    names.remove(&seen.words[1]);
                }
                self.answer(client, seen.reply.clone(), (0, None));
            }
            Execution::Command => {
                let reply = self.model.run(client, &seen.words);
                let reply = reply.unwrap_or_else(|| panic!("the model waits: {}", at()));
                Self::expect(index, seen, &reply);
                let tells = self.end_unit(&seen.words);
                self.answer(client, reply, tells);
                serve = true;
            }
            Execution::Waits => {
                let reply = self.model.run(client, &seen.words);
                assert_eq!(reply, None, "the model does not wait: {}", at());
                if self.gone.contains(&client) {
                    return;
                }
                let words = seen.words.clone();
                self.model.waiting.push(Waiting { client, words });
                serve = true;
            }
            Execution::Served => {
                let due = self.due.pop_front();
                let ((due, reply), unit) =
                    due.unwrap_or_else(|| panic!("served though not due: {}", at()));
                assert_eq!(due, client, "served out of order: {}", at());
                Self::expect(index, seen, &reply);
                self.answer(client, reply, (unit, Some(unit)));
            }
            Execution::Cancelled if self.gone.contains(&client) => {}
            Execution::Cancelled => {
                let waiting = &mut self.model.waiting;
                let position = waiting.iter().position(|waiting| waiting.client == client);
                let cancelled = || panic!("cancelled but not waiting: {}", at());
                waiting.remove(position.unwrap_or_else(cancelled));
                self.answer(client, b"*-1\r\n".to_vec(), (0, None));
            }
            Execution::ExecBegins | Execution::InExec | Execution::ExecEnds => {
                serve = self.see_exec(index, seen);
            }
            Execution::ExecRefused => {
                let is_dirty = self.model.dirty.contains(&client);
                assert!(is_dirty, "no watched key had changed: {}", at());
                self.model.unwatch(client);
                self.answer(client, b"*-1\r\n".to_vec(), (0, None));
            }
        }
        if serve {
            let Self { model, units, .. } = self;
            let mut told = Vec::new();
            let served = model.serve(&mut |model, words| {
                told.push(units.as_mut().map_or(0, |units| units.end(model, words).0));
            });
            self.due.extend(served.into_iter().zip(told));
        }
    }

    /// A part of an EXEC; whether it is the end.
    fn see_exec(&mut self, index: usize, seen: &Seen) -> bool {
        let client = seen.client;
        match seen.execution {
            Execution::ExecBegins => {
                assert!(
                    !self.model.dirty.contains(&client),
                    "a watched key had changed: execution {index}: {}",
                    show(seen)
                );
                self.model.unwatch(client);
                self.exec = Some((client, Vec::new(), 0, Vec::new()));
            }
            Execution::InExec => {
                let reply = self.model.run(client, &seen.words);
                let reply = reply.unwrap_or_else(|| Model::null_in_multi(&seen.words));
                Self::expect(index, seen, &reply);
                let (_, bytes, count, words) = self.exec.as_mut().expect("begun");
                bytes.extend(reply);
                *count += 1;
                words.extend(seen.words.iter().cloned());
            }
            _ => {
                let (client, bytes, count, words) = self.exec.take().expect("begun");
                let tells = self.end_unit(&words);
                let bytes = [format!("*{count}\r\n").into_bytes(), bytes].concat();
                self.answer(client, bytes, tells);
                return true;
            }
        }
        false
    }
}

/// The commands of a client took effect in the order it sent them.
pub(crate) fn check_program_order(player: &Player, all: &[Seen]) {
    let seen = all;
    let mut queue: VecDeque<&Vec<Vec<u8>>> = VecDeque::new();
    let mut sent = player.sent.iter();
    let mut next = |queue: &mut VecDeque<_>| queue.pop_front().or_else(|| sent.next());
    let mut ran = seen.iter().filter(|seen| {
        seen.client == player.id.0
            && !matches!(
                seen.execution,
                Execution::Served | Execution::Cancelled | Execution::ExecEnds
            )
            && seen
                .words
                .first()
                .is_none_or(|word| word != GONE.as_bytes())
    });
    let mut in_multi = false;
    let mut queued = Vec::new();
    while let Some(words) = next(&mut queue) {
        if in_multi && !matches!(&words[0][..], b"EXEC" | b"DISCARD" | b"MULTI" | b"WATCH") {
            queued.push(words);
            continue;
        }
        let Some(seen) = ran.next() else { return };
        match &words[0][..] {
            b"EXEC" => {
                in_multi = false;
                if seen.execution == Execution::ExecRefused {
                    queued.clear();
                    continue;
                }
                assert_eq!(
                    seen.execution,
                    Execution::ExecBegins,
                    "client {} {}",
                    player.id.0,
                    show(seen)
                );
                for words in queued.drain(..) {
                    let seen = ran.next().expect("an EXEC is whole");
                    assert_eq!(
                        (&seen.words, seen.execution),
                        (words, Execution::InExec),
                        "client {}",
                        player.id.0
                    );
                }
            }
            name => {
                assert_eq!(
                    &seen.words,
                    words,
                    "client {} out of order: {}",
                    player.id.0,
                    history(player, all)
                );
                match name {
                    b"MULTI" => in_multi = true,
                    b"DISCARD" => {
                        in_multi = false;
                        queued.clear();
                    }
                    _ => {}
                }
            }
        }
    }
    assert!(
        ran.next().is_none(),
        "client {} ran what it did not send",
        player.id.0
    );
}

pub(crate) fn history(player: &Player, all: &[Seen]) -> String {
    let words = |words: &Vec<Vec<u8>>| {
        words
            .iter()
            .map(|word| String::from_utf8_lossy(word).into_owned() + " ")
            .collect::<String>()
    };
    let sent: String = player.sent.iter().map(|sent| words(sent) + "\n").collect();
    let ran: String = all
        .iter()
        .filter(|seen| seen.client == player.id.0)
        .map(|seen| show(seen) + "\n")
        .collect();
    format!("\nsent:\n{sent}\nran:\n{ran}")
}

/// What a client received is its replies, in order, with its +QUEUED between them.
pub(crate) fn check_received(player: &Player, answers: &[Answer]) {
    let received: Vec<u8> = without(&player.received, b"+QUEUED\r\n");
    let expected: Vec<u8> = answers
        .iter()
        .flat_map(|answer| answer.bytes.clone())
        .collect();
    if player.alive {
        assert_eq!(
            String::from_utf8_lossy(&received),
            String::from_utf8_lossy(&expected),
            "client {}",
            player.id.0
        );
    } else {
        assert!(
            expected.starts_with(&received),
            "client {} (gone)",
            player.id.0
        );
    }
}

pub(crate) fn without(bytes: &[u8], what: &[u8]) -> Vec<u8> {
    let mut rest = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(what) {
            at += what.len();
        } else {
            rest.push(bytes[at]);
            at += 1;
        }
    }
    rest
}

/// The messages a subscriber received, in order.
pub(crate) fn messages(received: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(received);
    let mut found = Vec::new();
    let mut rest = &*text;
    while let Some(at) = rest.find("$7\r\nmessage\r\n") {
        rest = &rest[at + 13..];
        // $3 chN $n payload
        let mut lines = rest.split("\r\n");
        let payload = lines.nth(3).unwrap_or_default();
        found.push(payload.as_bytes().to_vec());
    }
    found
}

/// Whether a list is another one of which some items are missing.
pub(crate) fn is_subsequence(part: &[Vec<u8>], whole: &[Vec<u8>]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|item| whole.any(|other| other == item))
}
