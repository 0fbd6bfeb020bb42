//! The state after each unit of work, which a log must keep or lose as a whole: a command, an EXEC, one who is served.
//!
//! What a disk gives back is compared with these states, not with the work: which prefix it is follows from the state. A state is
//! a number (the sum over its keys of a hash of key and value), so that thousands of them cost little.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::*;

/// The state of one key in numbers: what can be read of it, and with what cannot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) shown: u64,
    pub(crate) whole: u64,
}

#[derive(Debug, Default)]
struct Key {
    state: State,
    /// The last unit that changed it.
    written_by: usize,
}

/// See the module's head.
#[derive(Default)]
pub(crate) struct Units {
    keys: HashMap<Vec<u8>, Key>,
    sum: State,
    /// The state before the first unit, and after each.
    pub(crate) states: Vec<State>,
    /// Keep the data as they were after this one.
    keep_at: Option<usize>,
    kept: Option<Model>,
}

/// All keys that there can be.
pub(crate) fn keys() -> impl Iterator<Item = &'static str> {
    let streams = streams::KEYS.iter().chain(scores::KEYS).copied();
    KEYS.iter().copied().chain(streams)
}

/// What can be read of a key.
pub(crate) fn shown(model: &Model, key: &[u8]) -> String {
    if let Some(list) = model.lists.get(key) {
        return text_of(list.iter().map(|value| String::from_utf8_lossy(value)));
    }
    if let Some(stream) = model.streams.shown(key) {
        return stream;
    }
    text_of(model.sorted_sets.shown(key))
}

/// Values one behind the other.
pub(crate) fn text_of<T: AsRef<str>>(values: impl IntoIterator<Item = T>) -> String {
    let mut text = String::new();
    for value in values {
        text.push_str(value.as_ref());
        text.push(' ');
    }
    text
}

/// The number of a key with what can be read of it.
pub(crate) fn number_of(key: &[u8], shown: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (key, shown).hash(&mut hasher);
    hasher.finish()
}

fn state_of(model: &Model, key: &[u8]) -> State {
    let shown = number_of(key, &shown(model, key));
    let mut hasher = DefaultHasher::new();
    (shown, model.streams.hidden(key)).hash(&mut hasher);
    let whole = hasher.finish();
    State { shown, whole }
}

impl Units {
    /// Begins with the data of a model. `keep_at`: of which unit the data are wanted.
    pub(crate) fn new(model: &Model, keep_at: Option<usize>) -> Self {
        let mut units = Self {
            keep_at,
            ..Self::default()
        };
        for key in keys() {
            let state = state_of(model, key.as_bytes());
            units.add(State::default(), state);
            let key = key.as_bytes().to_vec();
            units.keys.insert(
                key,
                Key {
                    state,
                    written_by: 0,
                },
            );
        }
        units.push(model);
        units
    }

    fn add(&mut self, before: State, after: State) {
        let sum = &mut self.sum;
        sum.shown = sum
            .shown
            .wrapping_sub(before.shown)
            .wrapping_add(after.shown);
        sum.whole = sum
            .whole
            .wrapping_sub(before.whole)
            .wrapping_add(after.whole);
    }

    fn push(&mut self, model: &Model) {
        if self.keep_at == Some(self.states.len()) {
            self.kept = Some(model.data());
        }
        self.states.push(self.sum);
    }

    /// A unit has ended that could change the keys among these words. Gives the last unit that what it tells of depends on, and its
    /// own number if it changed something.
    pub(crate) fn end(&mut self, model: &Model, words: &[Vec<u8>]) -> (usize, Option<usize>) {
        let unit = self.states.len();
        let (mut tells_of, mut wrote) = (0, None);
        for word in words {
            let Some(key) = self.keys.get_mut(word) else {
                continue;
            };
            let after = state_of(model, word);
            let before = std::mem::replace(&mut key.state, after);
            if before != after {
                key.written_by = unit;
                wrote = Some(unit);
            }
            tells_of = tells_of.max(key.written_by);
            self.add(before, after);
        }
        self.push(model);
        (tells_of, wrote)
    }

    /// The data as they were after the unit that was named.
    pub(crate) fn kept(self) -> Option<Model> {
        self.kept
    }

    /// How many units there are so far.
    pub(crate) fn count(&self) -> usize {
        self.states.len() - 1
    }
}
