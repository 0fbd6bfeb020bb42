//! What is known of a value.
//!
//! ```text
//!            anything
//!           /        \
//!   KEYS element ∪ {"LPUSH", "RPUSH"} …       up to CONSTANTS_MAX of up to CONSTANT_BYTES_MAX
//!           \        /
//!            nothing: nil, false, or not run yet
//! ```
//!
//! A fact only grows while the rounds go on, and it cannot grow often: that is why they end.

use std::rc::Rc;

use super::Argument;

/// Constants of one fact.
const CONSTANTS_MAX: usize = 8;
/// Bytes of a constant that is remembered.
const CONSTANT_BYTES_MAX: usize = 128;
/// Results of a function that are told apart.
pub(super) const RESULTS: usize = 8;

/// The values that something may have, apart from nil and false.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fact {
    /// Anything; the rest does not count then.
    anything: bool,
    /// An element of KEYS.
    key: bool,
    /// One of these, sorted.
    constants: Vec<Rc<[u8]>>,
}

impl Fact {
    /// Any value that is not guarded.
    pub(super) fn anything() -> Self {
        Self {
            anything: true,
            ..Self::default()
        }
    }

    /// An element of KEYS.
    pub(super) fn key() -> Self {
        Self {
            key: true,
            ..Self::default()
        }
    }

    /// A string or an integer.
    pub(super) fn constant(text: &Rc<[u8]>) -> Self {
        if text.len() > CONSTANT_BYTES_MAX {
            return Self::anything();
        }
        Self {
            constants: vec![Rc::clone(text)],
            ..Self::default()
        }
    }

    /// Takes the other's values in; whether that changed anything.
    pub(super) fn join(&mut self, other: &Self) -> bool {
        if self.anything {
            return false;
        }
        let missing = |constant: &&Rc<[u8]>| !self.constants.contains(*constant);
        let new: Vec<_> = other.constants.iter().filter(missing).cloned().collect();
        if other.anything || self.constants.len() + new.len() > CONSTANTS_MAX {
            *self = Self::anything();
            return true;
        }
        let changed = !new.is_empty() || (other.key && !self.key);
        self.key |= other.key;
        self.constants.extend(new);
        self.constants.sort_unstable();
        changed
    }

    /// Whether it is an element of KEYS, or nil or false.
    pub(super) fn is_key(&self) -> bool {
        !self.anything && self.constants.is_empty()
    }

    /// The constants, if it is nothing else.
    pub(super) fn constants(&self) -> Option<&[Rc<[u8]>]> {
        (!self.anything && !self.key).then_some(&self.constants[..])
    }

    /// As an argument of a command.
    pub(super) fn argument(&self) -> Argument {
        match self.constants() {
            _ if self.is_key() => Argument::Key,
            Some([constant]) => Argument::Constant((&**constant).into()),
            _ => Argument::Other,
        }
    }
}

/// Any number of values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rest {
    /// The first ones.
    pub(super) first: Vec<Fact>,
    /// Each of those behind.
    pub(super) beyond: Fact,
}

impl Rest {
    /// All alike.
    pub(super) fn all(fact: Fact) -> Self {
        Self {
            first: Vec::new(),
            beyond: fact,
        }
    }

    /// One of them.
    pub(super) fn at(&self, index: usize) -> &Fact {
        self.first.get(index).unwrap_or(&self.beyond)
    }

    fn argument(&self) -> Argument {
        if self.first.iter().all(Fact::is_key) && self.beyond.is_key() {
            Argument::AllKeys
        } else {
            Argument::Many
        }
    }
}

/// The values of a list of expressions.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    /// One for each expression, without the last if that may have many.
    pub(super) fixed: Vec<Fact>,
    /// Those of the last one.
    pub(super) rest: Option<Rest>,
}

impl Values {
    /// One of them; nil where there is none.
    pub(super) fn at(&self, index: usize) -> Fact {
        match (self.fixed.get(index), &self.rest) {
            (Some(fact), _) => fact.clone(),
            (None, Some(rest)) => rest.at(index - self.fixed.len()).clone(),
            (None, None) => Fact::default(),
        }
    }

    /// Every one of them together.
    pub(super) fn union(&self) -> Fact {
        let mut union = Fact::default();
        for fact in &self.fixed {
            union.join(fact);
        }
        if let Some(rest) = &self.rest {
            for fact in rest.first.iter().chain([&rest.beyond]) {
                union.join(fact);
            }
        }
        union
    }

    /// The first of them is taken off.
    pub(super) fn without_first(mut self) -> Self {
        if !self.fixed.is_empty() {
            self.fixed.remove(0);
        }
        self
    }

    /// As the arguments of a command.
    pub(super) fn arguments(&self) -> Vec<Argument> {
        let fixed = self.fixed.iter().map(Fact::argument);
        fixed
            .chain(self.rest.as_ref().map(Rest::argument))
            .collect()
    }

    /// Adds what a function returns to what it may return; whether that changed anything.
    pub(super) fn join_into(&self, results: &mut Rest) -> bool {
        results.first.resize(RESULTS, Fact::default());
        let mut changed = false;
        for (index, result) in results.first.iter_mut().enumerate() {
            changed |= result.join(&self.at(index));
        }
        for fact in self.fixed.iter().skip(RESULTS) {
            changed |= results.beyond.join(fact);
        }
        if let Some(rest) = &self.rest {
            for fact in rest.first.iter().chain([&rest.beyond]) {
                changed |= results.beyond.join(fact);
            }
        }
        changed
    }
}
