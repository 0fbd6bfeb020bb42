//! What one writer sent in a round, what of it was answered, and whether the server's keys fit.
//!
//! The commands of one connection take effect in order and the log is in that order, so what survives of them is a beginning:
//! the keys of the writer must hold what the twin holds after so many of its operations, the same number for every key, and not
//! fewer than were acknowledged. A transaction is one operation.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Item, Keys, Model, Run, Value, Words};
use super::observe::Observed;
use super::streams::{Group, Id, Stream, id, shown};
use super::support::Frame;
use super::support::frame::printable;

/// Errors that say that nothing was done.
const REFUSALS: [&str; 5] = ["MISCONF", "LOADING", "EXECABORT", "OOM", "READONLY"];
/// How many complaints of one kind are worth reading.
const COMPLAINTS_MAX: usize = 4;

/// What takes effect as a whole: a command or a transaction.
#[derive(Clone, Debug)]
pub(crate) struct Op {
    /// The commands.
    pub(crate) commands: Vec<Words>,
    /// Whether they are sent between MULTI and EXEC.
    pub(crate) is_transaction: bool,
}

impl Op {
    /// A command.
    pub(crate) fn one(line: &str) -> Self {
        let commands = vec![line.split(' ').map(str::to_owned).collect()];
        Self {
            commands,
            is_transaction: false,
        }
    }

    /// A transaction.
    pub(crate) fn transaction(lines: Vec<String>) -> Self {
        let split = |line: String| line.split(' ').map(str::to_owned).collect();
        Self {
            commands: lines.into_iter().map(split).collect(),
            is_transaction: true,
        }
    }

    /// As one would type it.
    pub(crate) fn shown(&self) -> String {
        let lines: Vec<String> = self.commands.iter().map(|words| words.join(" ")).collect();
        let text = lines.join("; ");
        let text = printable(&text.as_bytes()[..text.len().min(300)]);
        match self.is_transaction {
            true => format!("the transaction MULTI; {text}; EXEC"),
            false => text,
        }
    }
}

/// An operation that was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// What.
    pub(crate) op: Op,
    /// When, Unix milliseconds.
    pub(crate) sent_ms: i64,
    /// When its reply came, and the reply.
    pub(crate) answer: Option<(i64, Frame)>,
}

impl Sent {
    /// Whether the server has said that it did nothing.
    pub(crate) fn is_refused(&self) -> bool {
        let reply = self.answer.as_ref().map(|(_, reply)| reply);
        reply.is_some_and(|reply| {
            reply.is_error() && REFUSALS.iter().any(|code| reply.text().starts_with(code))
        })
    }

    /// Its commands with the reply to each, where there is one.
    pub(crate) fn commands(&self) -> impl Iterator<Item = (&Words, Option<&Frame>)> {
        let reply = self.answer.as_ref().map(|(_, reply)| reply);
        let reply = reply.filter(|_| !self.is_refused());
        self.op.commands.iter().enumerate().map(move |(at, words)| {
            let own = match self.op.is_transaction {
                true => reply.and_then(|reply| reply.items().get(at)),
                false => reply,
            };
            (words, own)
        })
    }
}

/// Where the last round has left a writer's keys, and what it sent in this one.
pub(crate) struct History<'a> {
    /// The writer; its keys start with it and a colon.
    pub(crate) name: &'a str,
    /// Its keys before the round.
    pub(crate) base: &'a Model,
    /// What it sent.
    pub(crate) sent: &'a [Sent],
    /// How many of them must have survived.
    pub(crate) floor: usize,
    /// When the keys were read, Unix milliseconds.
    pub(crate) now_ms: i64,
}

impl History<'_> {
    /// The keys as they must be from now on, or what is wrong with those that are there.
    pub(crate) fn check(&self, observed: &Observed) -> Result<Model, Vec<String>> {
        let mut complaints = Vec::new();
        let mut model = self.base.clone();
        model.selected = 0;
        let mut found = None;
        for at in 0..=self.sent.len() {
            if at >= self.floor && found.is_none() && self.is_equal(&model, observed) {
                found = Some(model.clone());
            }
            if let Some(sent) = self.sent.get(at) {
                self.apply(&mut model, sent, observed, &mut complaints);
            }
        }
        if found.is_none() {
            complaints.extend(self.explain(observed));
        }
        match found {
            Some(found) if complaints.is_empty() => Ok(self.rebased(&found, observed)),
            _ => Err(complaints),
        }
    }

    /// The keys as they are, with what one does not see.
    fn rebased(&self, model: &Model, observed: &Observed) -> Model {
        let mut new = Model::default();
        for (database, keys) in observed {
            let mut own: Keys = self
                .own(keys)
                .map(|(key, item)| (key.clone(), item.clone()))
                .collect();
            let before = model.databases.get(database);
            for (key, item) in &mut own {
                let before = before.and_then(|before| before.get(key));
                let before = before.map(|before| &before.value);
                if let (Value::Stream(now), Some(Value::Stream(before))) = (&mut item.value, before)
                {
                    now.produced.clone_from(&before.produced);
                    for (name, group) in &mut now.groups {
                        group.read = before.groups.get(name).and_then(|group| group.read);
                    }
                }
            }
            new.databases.insert(*database, own);
        }
        new
    }

    /// The writer's own among keys.
    fn own<'k>(&self, keys: &'k Keys) -> impl Iterator<Item = (&'k String, &'k Item)> {
        let start = format!("{}:", self.name);
        keys.iter().filter(move |(key, _)| key.starts_with(&start))
    }

    fn apply(
        &self,
        model: &mut Model,
        sent: &Sent,
        observed: &Observed,
        complaints: &mut Vec<String>,
    ) {
        if sent.is_refused() {
            return;
        }
        let answered = sent.answer.as_ref().map_or(self.now_ms, |(at, _)| *at);
        for (words, reply) in sent.commands() {
            let new_id = |key: &str, last: Id| match reply {
                Some(Frame::Bulk(text)) => id(&String::from_utf8_lossy(text)),
                _ => next_id(observed, key, last),
            };
            let run = Run {
                sent_ms: sent.sent_ms,
                answered_ms: answered,
                new_id: &new_id,
            };
            let expected = model.apply(words, &run);
            let (Some(expected), Some(reply)) = (expected, reply) else {
                continue;
            };
            if !fits(&expected, reply) && complaints.len() < COMPLAINTS_MAX {
                let line = words.join(" ");
                complaints.push(format!(
                    "{}: wrong reply to {}: {reply}, must be {expected}",
                    self.name,
                    printable(&line.as_bytes()[..line.len().min(200)])
                ));
            }
        }
    }

    fn is_equal(&self, model: &Model, observed: &Observed) -> bool {
        let empty = Keys::new();
        observed.iter().all(|(database, keys)| {
            let expected = model.databases.get(database).unwrap_or(&empty);
            expected
                .iter()
                .all(|(key, item)| self.difference(Some(item), keys.get(key)).is_none())
                && self.own(keys).all(|(key, _)| expected.contains_key(key))
        })
    }

    /// How a key differs from what it must be.
    fn difference(&self, expected: Option<&Item>, there: Option<&Item>) -> Option<String> {
        let (expected, there) = match (expected, there) {
            (None, None) => return None,
            (None, Some(there)) => {
                return Some(format!("must not be there: {}", short(&there.value)));
            }
            (Some(expected), None) => {
                let may_have_ended = expected.ends.is_some_and(|ends| ends.low <= self.now_ms);
                return (!may_have_ended)
                    .then(|| format!("is missing: {}", short(&expected.value)));
            }
            (Some(expected), Some(there)) => (expected, there),
        };
        let ends_fit = match (expected.ends, there.ends) {
            (None, None) => true,
            (Some(expected), Some(there)) => (expected.low..=expected.high).contains(&there.low),
            _ => false,
        };
        if !ends_fit {
            let (expected, there) = (expected.ends, there.ends);
            return Some(format!("ends at {there:?}, must at {expected:?}"));
        }
        value_difference(&expected.value, &there.value)
    }

    /// Why no number of operations fits.
    fn explain(&self, observed: &Observed) -> Vec<String> {
        let names: BTreeSet<(u32, String)> = self.names(observed);
        let mut fitting: BTreeMap<&(u32, String), Vec<usize>> = BTreeMap::new();
        let mut model = self.base.clone();
        model.selected = 0;
        let mut wrong = Vec::new();
        for at in 0..=self.sent.len() {
            for name in &names {
                let (database, key) = name;
                let expected = model.databases.get(database).and_then(|keys| keys.get(key));
                let there = observed.get(database).and_then(|keys| keys.get(key));
                match self.difference(expected, there) {
                    None => fitting.entry(name).or_default().push(at),
                    // All but what was not acknowledged: that is nearest to what it should be.
                    Some(text) if at == self.floor => wrong.push((name, text)),
                    Some(_) => {}
                }
            }
            if let Some(sent) = self.sent.get(at) {
                self.apply(
                    &mut model,
                    sent,
                    observed,
                    &mut vec![String::new(); COMPLAINTS_MAX],
                );
            }
        }
        let sent = self.sent.len();
        let title = format!(
            "{}: {sent} operations sent, {} must have survived",
            self.name, self.floor
        );
        let fits = |name: &(u32, String), at: usize| {
            let fitting = fitting.get(name);
            fitting.is_some_and(|all| all.binary_search(&at).is_ok())
        };
        let common = (0..=sent).rfind(|at| names.iter().all(|name| fits(name, *at)));
        if let Some(at) = common {
            let first = self.sent[at].op.shown();
            return vec![format!(
                "{title}: the keys are as after {at}: {} acknowledged operations are lost, the first is {first}",
                self.floor - at
            )];
        }
        let mut lines = vec![title];
        for (name, text) in wrong.iter().take(COMPLAINTS_MAX) {
            let (database, key) = name;
            let place = match fitting.get(name).and_then(|all| all.last()) {
                Some(at) => self.place(*at, key),
                None => "after no number of operations was it so".to_owned(),
            };
            lines.push(format!("  {key} in database {database} {text} ({place})"));
        }
        lines
    }

    /// What a key that is as after so many operations says of the next one that names it.
    fn place(&self, at: usize, key: &str) -> String {
        let next = self.sent[at..].iter().find(|sent| {
            let mut commands = sent.op.commands.iter();
            commands.any(|words| words.iter().any(|word| word == key))
        });
        match next {
            Some(next) if next.op.is_transaction => format!(
                "as after {at} operations, so this was done by half or not at all: {}",
                next.op.shown()
            ),
            Some(next) => format!(
                "as after {at} operations, so this was lost: {}",
                next.op.shown()
            ),
            None => format!("as after {at} operations"),
        }
    }

    /// Every key of the writer that is there or ever should have been.
    fn names(&self, observed: &Observed) -> BTreeSet<(u32, String)> {
        let mut names = BTreeSet::new();
        let mut model = self.base.clone();
        model.selected = 0;
        for at in 0..=self.sent.len() {
            for (database, keys) in &model.databases {
                names.extend(keys.keys().map(|key| (*database, key.clone())));
            }
            if let Some(sent) = self.sent.get(at) {
                self.apply(
                    &mut model,
                    sent,
                    observed,
                    &mut vec![String::new(); COMPLAINTS_MAX],
                );
            }
        }
        for (database, keys) in observed {
            names.extend(self.own(keys).map(|(key, _)| (*database, key.clone())));
        }
        names
    }
}

/// The ID that a stream gave to an entry whose reply never came: the first behind those that are known.
fn next_id(observed: &Observed, key: &str, last: Id) -> Id {
    let item = observed.get(&0).and_then(|keys| keys.get(key));
    let Some(Value::Stream(stream)) = item.map(|item| &item.value) else {
        return (last.0, last.1 + 1);
    };
    let next = stream.entries.range((last.0, last.1 + 1)..).next();
    let next = next.map_or(stream.last, |(id, _)| *id);
    match next > last {
        true => next,
        false => (last.0, last.1 + 1),
    }
}

/// Whether a reply is the expected one: of errors the code, and one null is as good as another.
fn fits(expected: &Frame, reply: &Frame) -> bool {
    let code = |frame: &Frame| frame.text().split(' ').next().map(str::to_owned);
    match (expected.is_error(), reply.is_error()) {
        (true, true) => code(expected) == code(reply),
        (false, false) => expected == reply || (expected.is_null() && reply.is_null()),
        _ => false,
    }
}

fn short(value: &Value) -> String {
    let text = format!("{value:?}");
    printable(&text.as_bytes()[..text.len().min(160)])
}

fn value_difference(expected: &Value, there: &Value) -> Option<String> {
    match (expected, there) {
        (Value::Stream(expected), Value::Stream(there)) => stream_difference(expected, there),
        (Value::List(expected), Value::List(there)) if expected != there => {
            let mut seen = BTreeSet::new();
            let twice = there.iter().find(|element| !seen.insert(*element));
            let twice = twice.map(|element| format!("has the element {element} twice"));
            let lengths = format!("has {} elements, must have {}", there.len(), expected.len());
            Some(format!(
                "{}: {}",
                twice.unwrap_or(lengths),
                short(&Value::List(there.clone()))
            ))
        }
        _ if expected == there => None,
        _ => Some(format!("is {}, must be {}", short(there), short(expected))),
    }
}

fn stream_difference(expected: &Stream, there: &Stream) -> Option<String> {
    if expected.entries != there.entries {
        let missing = expected
            .entries
            .keys()
            .find(|id| !there.entries.contains_key(id));
        let more = there
            .entries
            .keys()
            .find(|id| !expected.entries.contains_key(id));
        return Some(format!(
            "has {} entries, must have {}; first missing: {:?}, first too many: {:?}",
            there.entries.len(),
            expected.entries.len(),
            missing.map(|id| shown(*id)),
            more.map(|id| shown(*id)),
        ));
    }
    let head = |stream: &Stream| (stream.last, stream.max_deleted, stream.added);
    if head(expected) != head(there) {
        let (there, expected) = (head(there), head(expected));
        return Some(format!(
            "has last ID, highest deleted ID, entries added {there:?}, must have {expected:?}"
        ));
    }
    if !expected.groups.keys().eq(there.groups.keys()) {
        let (there, expected) = (there.groups.keys(), expected.groups.keys());
        return Some(format!("has groups {there:?}, must have {expected:?}"));
    }
    for (name, expected) in &expected.groups {
        let mut there = there.groups[name].clone();
        if expected.read.is_none() {
            there.read = None;
        }
        if *expected != there {
            return Some(format!(
                "group {name} {}",
                group_difference(expected, &there)
            ));
        }
    }
    None
}

fn group_difference(expected: &Group, there: &Group) -> String {
    let head = |group: &Group| format!("{:?}", (group.last, group.read, &group.consumers));
    if head(expected) != head(there) {
        let (there, expected) = (head(there), head(expected));
        return format!("has last ID, entries read, consumers {there}, must have {expected}");
    }
    let ids: BTreeSet<&Id> = expected
        .pending
        .keys()
        .chain(there.pending.keys())
        .collect();
    let pending = |group: &Group, id: &Id| group.pending.get(id).cloned();
    let mut differing = ids
        .into_iter()
        .filter(|id| pending(expected, id) != pending(there, id));
    let first = differing.next().copied().unwrap_or_default();
    let (there, expected) = (pending(there, &first), pending(expected, &first));
    format!(
        "has {} pending as {there:?}, must as {expected:?}",
        shown(first)
    )
}
