//! Commands, keys and channels that go together: one of them all must allow what a command does.

use crate::data::words::{quoted, split};

use super::check::{Call, Denied};
use super::commands::Commands;
use super::patterns::{Access, ChannelPatterns, KeyPatterns};
use super::rules::{Basis, RuleError};

/// A selector: the root one of a user, or one given in parentheses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selector {
    pub(super) commands: Commands,
    pub(super) keys: KeyPatterns,
    pub(super) channels: ChannelPatterns,
}

impl Selector {
    /// No commands, no keys, and all channels or none.
    pub(super) fn new(all_channels: bool) -> Self {
        Self {
            commands: Commands::new(false),
            keys: KeyPatterns::default(),
            channels: ChannelPatterns::new(all_channels),
        }
    }

    /// A selector from a word in parentheses, `(~a +get)`. What is between them has words as a line of redis.conf has.
    ///
    /// # Errors
    /// Of the first rule that has one. Quotes that do not balance are one too; Redis then takes the selector for empty.
    pub(super) fn read(basis: Basis<'_>, word: &[u8]) -> Result<Self, RuleError> {
        let inner = word.get(1..word.len().saturating_sub(1));
        let rules = split(inner.unwrap_or_default()).ok_or(RuleError::Syntax)?;
        let mut selector = Self::new(basis.all_channels);
        rules
            .iter()
            .try_for_each(|rule| selector.apply(basis, rule))?;
        Ok(selector)
    }

    /// Applies one rule about commands, keys or channels.
    ///
    /// # Errors
    /// When it is no such rule, or cannot be applied; nothing is changed then.
    pub(super) fn apply(&mut self, basis: Basis<'_>, rule: &[u8]) -> Result<(), RuleError> {
        match rule.to_ascii_lowercase().as_slice() {
            b"allkeys" | b"~*" => self.keys.set_all(true),
            b"resetkeys" => self.keys.set_all(false),
            b"allchannels" | b"&*" => self.channels.set_all(true),
            b"resetchannels" => self.channels.set_all(false),
            b"allcommands" => self.commands = Commands::new(true),
            b"nocommands" => self.commands = Commands::new(false),
            [b'~' | b'%', ..] => self.keys.add(rule)?,
            [b'&', ..] => self.channels.add(rule)?,
            [b'+' | b'-', ..] => self.commands.apply(basis.catalog, rule)?,
            _ => return Err(RuleError::Syntax),
        }
        Ok(())
    }

    /// Whether it allows the command with all its keys and channels. O(keys × patterns + channels × patterns), without
    /// allocation.
    ///
    /// # Errors
    /// What denies it: the first that does.
    pub(super) fn check(&self, call: &Call<'_>) -> Result<(), Denied> {
        if !self.commands.allow(call) {
            return Err(Denied::Command);
        }
        if !self.keys.are_all()
            && let Some(key) = call.keys.iter().find(|key| !self.keys.allow(key))
        {
            return Err(Denied::Key(key.argument));
        }
        if !self.channels.are_all() {
            let is_denied = |channel: &&_| !self.channels.allow_channel(channel);
            if let Some(channel) = call.channels.iter().find(is_denied) {
                return Err(Denied::Channel(channel.argument));
            }
        }
        Ok(())
    }

    /// Whether it allows everything.
    pub(super) fn allows_everything(&self) -> bool {
        self.commands.are_all() && self.keys.are_all() && self.channels.are_all()
    }

    /// Whether it allows reading every key.
    pub(super) fn reads_every_key(&self) -> bool {
        self.keys.allow_every(Access::READ)
    }

    /// `commands` of ACL GETUSER: `-@all +get`.
    pub(crate) fn commands_text(&self) -> Vec<u8> {
        joined(self.commands.words())
    }

    /// `keys` of ACL GETUSER: `~a %R~b`.
    pub(crate) fn keys_text(&self) -> Vec<u8> {
        joined(self.keys.words())
    }

    /// `channels` of ACL GETUSER: `&a &b`.
    pub(crate) fn channels_text(&self) -> Vec<u8> {
        joined(self.channels.words())
    }

    /// The rules that make it, one word each.
    pub(super) fn words(&self) -> impl Iterator<Item = Vec<u8>> {
        let reset = (!self.channels.are_all()).then(|| b"resetchannels".to_vec());
        self.keys
            .words()
            .chain(reset)
            .chain(self.channels.words())
            .chain(self.commands.words())
    }

    /// The word in parentheses that makes it. Redis shows what is between them as it is; a word that would then be read
    /// as something else (one with a quote, or with `)` at its end) is put in quotes.
    pub(super) fn in_parentheses(&self) -> Vec<u8> {
        let shown = self.words().map(|word| {
            let is_misread = word.ends_with(b")") || word.iter().any(|byte| b"\"'".contains(byte));
            if is_misread { quoted(&word) } else { word }
        });
        [b"(", &*joined(shown), b")"].concat()
    }
}

/// Words with a space between them.
pub(super) fn joined(words: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let words: Vec<_> = words.collect();
    words.join(&b' ')
}
