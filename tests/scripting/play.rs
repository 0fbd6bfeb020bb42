//! Plays one case and says what was answered otherwise than recorded.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::cases::{Case, Step};
use super::intended::{expected_of, is_by_thread};
use crate::support::frame::Frame;
use crate::support::{Client, Outcome, Server};

/// How long a step may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What every case starts from.
const BEGIN: &[&str] = &[
    "SCRIPT FLUSH",
    "FUNCTION FLUSH",
    "CONFIG SET slowlog-log-slower-than 10000 maxmemory 0",
    "FLUSHALL",
    "SLOWLOG RESET",
    "CONFIG RESETSTAT",
];

/// What came of a case.
pub(crate) struct Played {
    /// One for each step that was answered otherwise.
    pub(crate) reports: Vec<String>,
    /// Whether the server is no longer there, or no longer answers.
    pub(crate) has_ended: bool,
}

/// Runs the steps of a case.
pub(crate) fn play(server: &Server, case: &Case, shards: usize) -> Played {
    let mut run = Run {
        server,
        clients: BTreeMap::new(),
    };
    let mut reports = Vec::new();
    for line in BEGIN {
        let words = words_of(line);
        let reply = run.answer('0', Some(&words), true);
        if reply.as_deref() != Some("+OK") {
            reports.push(format!("before {}: {line}: {reply:?}", case.steps[0].place));
        }
    }
    for step in &case.steps {
        let got = run.step(step);
        let expected = expected_of(step);
        if got.as_deref() != expected && !(shards > 1 && is_by_thread(step)) {
            reports.push(format!(
                "{}\n  {}\n    expected: {}\n    got:      {}\n",
                step.place,
                step.text.replace('\n', "\n  "),
                expected.unwrap_or("(nothing)"),
                got.as_deref().unwrap_or("(nothing)"),
            ));
        }
        if matches!(got.as_deref(), Some(CLOSED | SILENT)) {
            // Whoever comes after must not wait for the same again.
            return Played {
                reports,
                has_ended: true,
            };
        }
    }
    Played {
        reports,
        has_ended: false,
    }
}

/// The connection has ended before the reply; the file has `(server died)` for it.
const CLOSED: &str = "(connection closed)";
/// No reply in time.
const SILENT: &str = "(no answer)";

struct Run<'a> {
    server: &'a Server,
    clients: BTreeMap<char, Client>,
}

impl Run<'_> {
    fn client(&mut self, name: char) -> &mut Client {
        let server = self.server;
        self.clients.entry(name).or_insert_with(|| server.connect())
    }

    /// Sends a command if one is given, and reads a reply if one is wanted.
    fn answer(&mut self, on: char, words: Option<&[Vec<u8>]>, reads: bool) -> Option<String> {
        let client = self.client(on);
        if let Some(words) = words {
            client.send(words);
        }
        reads.then(|| match client.poll(PATIENCE) {
            Outcome::Reply(raw) => escaped(&raw),
            Outcome::Closed => CLOSED.to_owned(),
            Outcome::Quiet => SILENT.to_owned(),
        })
    }

    /// What is recorded of a step.
    fn step(&mut self, step: &Step) -> Option<String> {
        let line = step.text.lines().next().unwrap();
        if line == "eval" || line.starts_with("eval ") {
            let first = line.strip_prefix("eval ").unwrap_or_default();
            let mut script = vec![first.to_owned()];
            script.extend_from_slice(&step.block);
            let script = script.join("\n").into_bytes();
            let words = [b"EVAL".to_vec(), script, b"0".to_vec()];
            return self.answer('1', Some(&words), true);
        }
        if let Some(fields) = line.strip_prefix("info ") {
            let info = self.info();
            let fields: Vec<String> = fields
                .split(' ')
                .map(|field| info_line(&info, field))
                .collect();
            return Some(fields.join("\\n"));
        }
        if let Some(rest) = line.strip_prefix("until ") {
            return self.until(rest);
        }
        if line == "slowlog" {
            return Some(slow_commands(&self.client('1').call(&["SLOWLOG", "GET"])));
        }
        let (on, rest) = match line.strip_prefix(|on: char| on.is_ascii_digit()) {
            Some(rest) => (line.chars().next().unwrap(), rest),
            None => ('1', line),
        };
        if rest == "+" {
            return self
                .answer(on, None, true)
                .map(|reply| without_time(&reply));
        }
        let (kind, command) = rest.split_at(2);
        let block = step.block.join("\n").into_bytes();
        let mut words = words_of(command);
        for word in &mut words {
            if word == b"<<" {
                word.clone_from(&block);
            }
        }
        let reply = self.answer(on, Some(&words), kind != "- ");
        reply.filter(|reply| kind == "> " || reply == CLOSED || reply == SILENT)
    }

    fn info(&mut self) -> String {
        self.client('1').call(&["INFO", "everything"]).text()
    }

    /// Waits until a field of INFO has a value; an answer only if it does not come to that.
    fn until(&mut self, rest: &str) -> Option<String> {
        let wanted = rest.replacen(' ', ":", 1);
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.info().lines().any(|line| line == wanted) {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(format!("{wanted} does not come"))
    }
}

/// A field of INFO as the cases have it.
fn info_line(info: &str, field: &str) -> String {
    let name = field.trim_end_matches('?');
    let start = format!("{name}:");
    let value = info.lines().find_map(|line| line.strip_prefix(&start));
    let mut value = value.unwrap_or("(none)").to_owned();
    if let (Some(from), Some(to)) = (value.find("usec="), value.find("rejected_calls")) {
        value.replace_range(from..to, "");
    }
    if field.ends_with('?') && value.parse::<u64>().is_ok_and(|number| number > 0) {
        "more than 0".clone_into(&mut value);
    }
    format!("{name}:{value}")
}

/// The words of the entries of SLOWLOG.
fn slow_commands(entries: &Frame) -> String {
    let commands: Vec<String> = entries
        .items()
        .iter()
        .map(|entry| {
            let words: Vec<String> = entry.items()[3]
                .items()
                .iter()
                .map(|word| escaped(word.bytes()))
                .collect();
            words.join(" ")
        })
        .collect();
    commands.join(" ; ")
}

/// A line of MONITOR without the time and the address.
fn without_time(reply: &str) -> String {
    let parts = reply
        .split_once(" [")
        .and_then(|(time, rest)| Some((time, rest.split_once("] ")?)));
    match parts {
        Some((time, (who, rest))) if time.starts_with('+') && time[1..].parse::<f64>().is_ok() => {
            let (database, address) = who.split_once(' ').unwrap_or((who, ""));
            let who = if address == "lua" { "lua" } else { "CLIENT" };
            format!("+TIME [{database} {who}] {rest}")
        }
        _ => reply.to_owned(),
    }
}

/// Raw bytes as one line: `\n` stands for CR LF, the last of which is left out.
fn escaped(raw: &[u8]) -> String {
    let raw = raw.strip_suffix(b"\r\n").unwrap_or(raw);
    let mut line = String::new();
    let mut at = 0;
    while let Some(&byte) = raw.get(at) {
        at += 1;
        match byte {
            b'\r' if raw.get(at) == Some(&b'\n') => {
                at += 1;
                line.push_str("\\n");
            }
            b'\r' => line.push_str("\\r"),
            b'\t' => line.push_str("\\t"),
            b'\\' => line.push_str("\\\\"),
            b' '..=b'~' => line.push(char::from(byte)),
            _ => line.push_str(&format!("\\x{byte:02x}")),
        }
    }
    line
}

/// The words of a command line.
fn words_of(line: &str) -> Vec<Vec<u8>> {
    let bytes = line.as_bytes();
    let mut words = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b' ' => at += 1,
            b'"' => {
                at += 1;
                words.push(quoted(bytes, &mut at));
            }
            _ => {
                let end = line[at..].find(' ').map_or(line.len(), |end| at + end);
                words.push(bytes[at..end].to_vec());
                at = end;
            }
        }
    }
    words
}

/// The word whose opening quote is before `at`, which comes to stand behind the closing one.
fn quoted(bytes: &[u8], at: &mut usize) -> Vec<u8> {
    let mut word = Vec::new();
    while bytes[*at] != b'"' {
        let mut byte = bytes[*at];
        if byte == b'\\' {
            *at += 1;
            byte = match bytes[*at] {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                b'x' => {
                    let digits = std::str::from_utf8(&bytes[*at + 1..*at + 3]).unwrap();
                    *at += 2;
                    u8::from_str_radix(digits, 16).unwrap()
                }
                other => other,
            };
        }
        word.push(byte);
        *at += 1;
    }
    *at += 1;
    word
}
