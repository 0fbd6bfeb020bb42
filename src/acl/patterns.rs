//! Patterns of keys and of channels.
//!
//! A list is compared one by one, in the order in which the patterns were given, as Redis does; most are `*`, a text, or a
//! text with `*` behind it, and those cost one comparison.

use crate::pubsub::pattern::{Case, matches, prefix_of};

use super::check::{Channel, Key};
use super::rules::RuleError;
use super::words::has_blank;

/// How a pattern is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// `*`. Redis: the empty text does not match it.
    Anything,
    /// A text without special bytes.
    Literal,
    /// A text and `*`: the text is all but the last byte.
    Prefix,
    /// Any other.
    Glob,
}

/// A glob pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    text: Box<[u8]>,
    shape: Shape,
}

impl Pattern {
    fn new(text: &[u8]) -> Self {
        let is_special = |byte: &u8| matches!(byte, b'*' | b'?' | b'[' | b'\\');
        let shape = if text == b"*" {
            Shape::Anything
        } else if prefix_of(text).is_some() {
            Shape::Prefix
        } else if text.iter().any(is_special) {
            Shape::Glob
        } else {
            Shape::Literal
        };
        Self {
            text: text.into(),
            shape,
        }
    }

    fn matches(&self, name: &[u8]) -> bool {
        match self.shape {
            Shape::Anything => !name.is_empty(),
            Shape::Literal => name == &*self.text,
            Shape::Prefix => self
                .text
                .split_last()
                .is_some_and(|(_, prefix)| name.starts_with(prefix)),
            Shape::Glob => matches(&self.text, name, Case::Sensitive),
        }
    }
}

/// What may be done with keys: reading, writing, both or (of a command that only names its key) neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access(u8);

impl Access {
    /// `%R~`
    pub(crate) const READ: Self = Self(1);
    /// `%W~`
    const WRITE: Self = Self(2);
    /// `~`
    const BOTH: Self = Self(3);

    fn of(key: &Key<'_>) -> Self {
        Self(u8::from(key.reads) | u8::from(key.writes) << 1)
    }

    fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct KeyPattern {
    pattern: Pattern,
    access: Access,
}

/// The keys that a selector allows: all, or those of its patterns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyPatterns {
    all: bool,
    list: Vec<KeyPattern>,
}

impl KeyPatterns {
    /// Whether every key is allowed, whatever is done with it.
    pub(super) fn are_all(&self) -> bool {
        self.all
    }

    /// `allkeys`, `~*`, `resetkeys`.
    pub(super) fn set_all(&mut self, all: bool) {
        self.all = all;
        self.list.clear();
    }

    /// `~pattern`, `%R~pattern`: adds a pattern, or adds to what may be done with its keys. O(patterns).
    pub(super) fn add(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        if self.all {
            return Err(RuleError::KeyAfterAll);
        }
        let (access, text) = access_and_pattern(rule).ok_or(RuleError::Syntax)?;
        if has_blank(text) {
            return Err(RuleError::Syntax);
        }
        match self.list.iter_mut().find(|one| *one.pattern.text == *text) {
            Some(one) => one.access.0 |= access.0,
            None => self.list.push(KeyPattern {
                pattern: Pattern::new(text),
                access,
            }),
        }
        Ok(())
    }

    /// Whether the key may be used so. O(patterns).
    pub(super) fn allow(&self, key: &Key<'_>) -> bool {
        let access = Access::of(key);
        self.all
            || self
                .list
                .iter()
                .any(|one| one.access.has(access) && one.pattern.matches(key.name))
    }

    /// Whether this may be done with every key.
    pub(super) fn allow_every(&self, access: Access) -> bool {
        self.all
            || self
                .list
                .iter()
                .any(|one| one.access.has(access) && matches!(one.pattern.shape, Shape::Anything))
    }

    /// The rules that make these patterns, one word each.
    ///
    /// Redis shows `%RW~*` as `~*`. Another pattern behind that would be refused when the rules are read again, so there,
    /// and only there, it stays as it was given.
    pub(super) fn words(&self) -> impl Iterator<Item = Vec<u8>> {
        let count = self.list.len();
        let listed = self.list.iter().enumerate().map(move |(at, one)| {
            let is_last = at + 1 == count;
            let mark: &[u8] = match one.access {
                Access::BOTH if matches!(one.pattern.shape, Shape::Anything) && !is_last => b"%RW~",
                Access::READ => b"%R~",
                Access::WRITE => b"%W~",
                _ => b"~",
            };
            [mark, &*one.pattern.text].concat()
        });
        self.all.then(|| b"~*".to_vec()).into_iter().chain(listed)
    }
}

/// Takes `~pattern`, `%R~pattern`, `%WR~pattern` apart. Redis: `%R` alone is the empty pattern. It also takes `%` alone, and
/// stops when it shows that; here it is no rule.
fn access_and_pattern(rule: &[u8]) -> Option<(Access, &[u8])> {
    let (first, mut rest) = rule.split_first()?;
    if *first == b'~' {
        return Some((Access::BOTH, rest));
    }
    let mut access = Access(0);
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let more = match byte.to_ascii_uppercase() {
            b'R' => Access::READ,
            b'W' => Access::WRITE,
            b'~' if access.0 != 0 => break,
            _ => return None,
        };
        if access.has(more) {
            return None;
        }
        access.0 |= more.0;
    }
    (access.0 != 0).then_some((access, rest))
}

/// The channels that a selector allows: all, or those of its patterns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChannelPatterns {
    all: bool,
    list: Vec<Pattern>,
}

impl ChannelPatterns {
    /// All channels or none.
    pub(super) fn new(all: bool) -> Self {
        Self {
            all,
            list: Vec::new(),
        }
    }

    /// Whether every channel is allowed.
    pub(super) fn are_all(&self) -> bool {
        self.all
    }

    /// `allchannels`, `&*`, `resetchannels`.
    pub(super) fn set_all(&mut self, all: bool) {
        *self = Self::new(all);
    }

    /// `&pattern`. O(patterns).
    pub(super) fn add(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        if self.all {
            return Err(RuleError::ChannelAfterAll);
        }
        let text = rule.get(1..).unwrap_or_default();
        if has_blank(text) {
            return Err(RuleError::Syntax);
        }
        if !self.has(text) {
            self.list.push(Pattern::new(text));
        }
        Ok(())
    }

    /// Whether exactly this pattern was given.
    fn has(&self, text: &[u8]) -> bool {
        self.list.iter().any(|one| *one.text == *text)
    }

    /// Whether all that these allow is among what `other` was given word for word, or allowed by it anyway.
    pub(super) fn are_within<'a>(&self, mut others: impl Iterator<Item = &'a Self>) -> bool {
        let others: Vec<_> = others.by_ref().collect();
        let is_given = |one: &Pattern| others.iter().any(|other| other.has(&one.text));
        others.iter().any(|other| other.all) || (!self.all && self.list.iter().all(is_given))
    }

    /// Whether the channel may be used. Redis: a pattern to subscribe to must be one of the patterns, word for word.
    /// O(patterns).
    pub(super) fn allow(&self, name: &[u8], is_pattern: bool) -> bool {
        if self.all {
            return true;
        }
        if is_pattern {
            return self.has(name);
        }
        self.list.iter().any(|one| one.matches(name))
    }

    /// Whether the command may use its channel.
    pub(super) fn allow_channel(&self, channel: &Channel<'_>) -> bool {
        self.allow(channel.name, channel.is_pattern)
    }

    /// The rules that make these patterns, one word each, without the `resetchannels` before them.
    pub(super) fn words(&self) -> impl Iterator<Item = Vec<u8>> {
        let all = self.all.then(|| b"&*".to_vec());
        let listed = self.list.iter().map(|one| [b"&", &*one.text].concat());
        all.into_iter().chain(listed)
    }
}
