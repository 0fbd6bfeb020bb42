//! What one user may: on or off, passwords, and selectors.

use std::fmt;

use super::catalog::Catalog;
use super::check::{Call, Denied};
use super::commands::Commands;
use super::password::Digest;
use super::selector::{Selector, joined};
use super::words::merge_selectors;

/// What rules are read with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Basis<'a> {
    /// The commands that they can name.
    pub(crate) catalog: &'a Catalog,
    /// Whether a new user, and a new selector, may use all channels: `acl-pubsub-default allchannels`.
    pub(crate) all_channels: bool,
}

/// Why a rule cannot be applied. Displayed in Redis' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RuleError {
    /// There is no such command or category.
    UnknownName,
    /// It is no rule.
    Syntax,
    /// A key pattern where all keys are allowed.
    KeyAfterAll,
    /// A channel pattern where all channels are allowed.
    ChannelAfterAll,
    /// A password to remove that the user does not have.
    NoSuchPassword,
    /// A password hash that is none.
    BadHash,
    /// `+config|get|x`
    FirstArgumentOfSubcommand,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownName => "Unknown command or category name in ACL",
            Self::Syntax => "Syntax error",
            Self::KeyAfterAll => {
                "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. \
                 Try 'resetkeys' to start with an empty list of patterns"
            }
            Self::ChannelAfterAll => {
                "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any \
                 effect. Try 'resetchannels' to start with an empty list of channels"
            }
            Self::NoSuchPassword => {
                "The password you are trying to remove from the user does not exist"
            }
            Self::BadHash => {
                "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
            }
            Self::FirstArgumentOfSubcommand => {
                "Allowing first-arg of a subcommand is not supported"
            }
        })
    }
}

/// Why ACL SETUSER changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ChangeError {
    /// Nothing closes the selector that begins with this word.
    Unmatched(Vec<u8>),
    /// This rule cannot be applied.
    Rule(Vec<u8>, RuleError),
}

impl ChangeError {
    /// What the client reads, without the error code.
    pub(crate) fn text(&self) -> Vec<u8> {
        match self {
            Self::Unmatched(word) => [
                b"Unmatched parenthesis in acl selector starting at '",
                &**word,
                b"'.",
            ]
            .concat(),
            Self::Rule(rule, error) => [
                b"Error in ACL SETUSER modifier '",
                &**rule,
                b"': ",
                error.to_string().as_bytes(),
            ]
            .concat(),
        }
    }
}

/// The rules of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    is_on: bool,
    has_no_password: bool,
    skips_sanitizing: bool,
    /// In the order in which they were given.
    passwords: Vec<Digest>,
    root: Selector,
    selectors: Vec<Selector>,
    /// What the selectors come to, so that a command of a user without restrictions costs one look.
    sum: Sum,
}

/// What all selectors together come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Sum {
    is_unrestricted: bool,
    looks_at_keys: bool,
    looks_at_channels: bool,
}

impl Rules {
    /// Those of a user that has just been made: off, no password, no commands, no keys, and the channels that
    /// `acl-pubsub-default` gives.
    pub(crate) fn new(all_channels: bool) -> Self {
        let mut rules = Self {
            is_on: false,
            has_no_password: false,
            skips_sanitizing: false,
            passwords: Vec::new(),
            root: Selector::new(all_channels),
            selectors: Vec::new(),
            sum: Sum::default(),
        };
        rules.sum_up();
        rules
    }

    /// Those of the user `default` at the start: on, without a password, may do everything.
    pub(crate) fn all_may() -> Self {
        let mut rules = Self::new(true);
        rules.is_on = true;
        rules.has_no_password = true;
        rules.root.keys.set_all(true);
        rules.root.commands = Commands::new(true);
        rules.sum_up();
        rules
    }

    /// These rules with all `words` applied one after the other, or none: ACL SETUSER. Words of a selector are joined first.
    ///
    /// # Errors
    /// Of the first word that has one.
    pub(crate) fn changed<W: AsRef<[u8]>>(
        &self,
        basis: Basis<'_>,
        words: &[W],
    ) -> Result<Self, ChangeError> {
        let merged = merge_selectors(words).map_err(|at| {
            let word = words.get(at).map(AsRef::as_ref).unwrap_or_default();
            ChangeError::Unmatched(word.to_vec())
        })?;
        let mut rules = self.clone();
        for word in merged {
            rules
                .apply(basis, &word)
                .map_err(|error| ChangeError::Rule(word, error))?;
        }
        Ok(rules)
    }

    /// These rules with this password and no other, or with none: what `requirepass` does to the default user.
    #[must_use]
    pub(crate) fn with_password(mut self, password: Option<&[u8]>) -> Self {
        self.has_no_password = password.is_none();
        self.passwords = password.map(Digest::of).into_iter().collect();
        self.sum_up();
        self
    }

    /// Applies one rule; a selector is one word, `(~a +get)`. The empty word is no rule and changes nothing.
    ///
    /// # Errors
    /// When it is no rule, or cannot be applied; nothing is changed then.
    pub(crate) fn apply(&mut self, basis: Basis<'_>, rule: &[u8]) -> Result<(), RuleError> {
        match rule.to_ascii_lowercase().as_slice() {
            b"" => {}
            b"on" => self.is_on = true,
            b"off" => self.is_on = false,
            b"skip-sanitize-payload" => self.skips_sanitizing = true,
            b"sanitize-payload" => self.skips_sanitizing = false,
            b"nopass" | b"resetpass" => {
                self.has_no_password = rule.eq_ignore_ascii_case(b"nopass");
                self.passwords.clear();
            }
            [b'>' | b'#' | b'<' | b'!', ..] => self.apply_password(rule)?,
            [b'(', .., b')'] => self.selectors.push(Selector::read(basis, rule)?),
            b"clearselectors" => self.selectors.clear(),
            b"reset" => *self = Self::new(basis.all_channels),
            _ => self.root.apply(basis, rule)?,
        }
        self.sum_up();
        Ok(())
    }

    /// `>password`, `#hash`, `<password`, `!hash`.
    fn apply_password(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        let (mark, text) = rule.split_first().ok_or(RuleError::Syntax)?;
        let digest = match mark {
            b'>' | b'<' => Digest::of(text),
            _ => Digest::from_hexadecimal(text).ok_or(RuleError::BadHash)?,
        };
        let at = self.passwords.iter().position(|one| *one == digest);
        match (mark, at) {
            (b'<' | b'!', None) => return Err(RuleError::NoSuchPassword),
            (b'<' | b'!', Some(at)) => {
                self.passwords.remove(at);
            }
            (_, at) => {
                if at.is_none() {
                    self.passwords.push(digest);
                }
                self.has_no_password = false;
            }
        }
        Ok(())
    }

    fn sum_up(&mut self) {
        let all = || std::iter::once(&self.root).chain(&self.selectors);
        self.sum = Sum {
            is_unrestricted: all().any(Selector::allows_everything),
            looks_at_keys: all().any(|one| !one.keys.are_all()),
            looks_at_channels: all().any(|one| !one.channels.are_all()),
        };
    }

    fn all_selectors(&self) -> impl Iterator<Item = &Selector> {
        std::iter::once(&self.root).chain(&self.selectors)
    }

    /// The rules that make these from those of [`Rules::new`], one word each; a selector is one word, with spaces in it.
    /// For a file whose words are split with quotes, as redis.conf.
    pub(crate) fn words(&self) -> Vec<Vec<u8>> {
        let flags = self.flags().map(|flag| flag.as_bytes().to_vec());
        let passwords = self.passwords.iter();
        let passwords = passwords.map(|one| format!("#{one}").into_bytes());
        let selectors = self.selectors.iter().map(Selector::in_parentheses);
        flags
            .chain(passwords)
            .chain(self.root.words())
            .chain(selectors)
            .collect()
    }

    /// What ACL LIST and ACL SAVE show behind the name: `on nopass sanitize-payload ~* &* +@all`.
    pub(crate) fn describe(&self) -> Vec<u8> {
        joined(self.words().into_iter())
    }

    /// `flags` of ACL GETUSER.
    pub(crate) fn flags(&self) -> impl Iterator<Item = &'static str> {
        let on = if self.is_on { "on" } else { "off" };
        let sanitize = if self.skips_sanitizing {
            "skip-sanitize-payload"
        } else {
            "sanitize-payload"
        };
        let nopass = self.has_no_password.then_some("nopass");
        [Some(on), nopass, Some(sanitize)].into_iter().flatten()
    }

    /// `passwords` of ACL GETUSER: the digest of each; displayed in hexadecimal.
    pub(crate) fn passwords(&self) -> &[Digest] {
        &self.passwords
    }

    /// The selector of the rules outside parentheses.
    pub(crate) fn root(&self) -> &Selector {
        &self.root
    }

    /// Those in parentheses.
    pub(crate) fn selectors(&self) -> &[Selector] {
        &self.selectors
    }

    /// Whether one may log in as the user. Connections that have are not concerned.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    /// `nopass`: every password is right.
    pub(crate) fn has_no_password(&self) -> bool {
        self.has_no_password
    }

    /// Whether the password is right, on or off. All passwords are compared, in constant time. O(bytes + passwords).
    pub(crate) fn accepts(&self, password: &[u8]) -> bool {
        // Also where none is needed, so that the time does not tell.
        let is_one = Digest::of(password).is_one_of(&self.passwords);
        self.has_no_password || is_one
    }

    /// Whether every command is allowed, on all keys and channels. O(1).
    pub(crate) fn is_unrestricted(&self) -> bool {
        self.sum.is_unrestricted
    }

    /// Whether [`Rules::check`] looks at keys. O(1).
    pub(crate) fn looks_at_keys(&self) -> bool {
        self.sum.looks_at_keys && !self.sum.is_unrestricted
    }

    /// Whether [`Rules::check`] looks at channels. O(1).
    pub(crate) fn looks_at_channels(&self) -> bool {
        self.sum.looks_at_channels && !self.sum.is_unrestricted
    }

    /// Whether the command may run: one selector must allow it, with all its keys and channels. For a user without
    /// restrictions O(1), else O(selectors × (keys + channels) × patterns), without allocation.
    ///
    /// # Errors
    /// What denies it; of several selectors what came closest to allowing it.
    pub(crate) fn check(&self, call: &Call<'_>) -> Result<(), Denied> {
        if self.sum.is_unrestricted {
            return Ok(());
        }
        let mut denied = match self.root.check(call) {
            Ok(()) => return Ok(()),
            Err(denied) => denied,
        };
        for selector in &self.selectors {
            match selector.check(call) {
                Ok(()) => return Ok(()),
                Err(other) => denied = denied.max(other),
            }
        }
        Err(denied)
    }

    /// Whether the command may run and read any key besides its own: SORT with BY or GET. One selector must allow both.
    pub(crate) fn may_read_every_key(&self, call: &Call<'_>) -> bool {
        self.sum.is_unrestricted
            || self
                .all_selectors()
                .any(|one| one.reads_every_key() && one.check(call).is_ok())
    }

    /// Whether any selector allows the key to be used so, whatever the command.
    #[cfg(test)]
    pub(crate) fn may_use_key(&self, key: &super::Key<'_>) -> bool {
        self.all_selectors().any(|one| one.keys.allow(key))
    }

    /// Whether any selector allows the channel, whatever the command: for subscriptions that are there when rules change.
    pub(crate) fn may_use_channel(&self, name: &[u8], is_pattern: bool) -> bool {
        self.all_selectors()
            .any(|one| one.channels.allow(name, is_pattern))
    }

    /// Whether no subscription that `before` allowed can be denied now: then nobody need be looked at. Redis compares the
    /// patterns word for word, and so do we.
    pub(crate) fn keeps_channels_of(&self, before: &Self) -> bool {
        let is_kept = |one: &Selector| {
            one.channels
                .are_within(self.all_selectors().map(|now| &now.channels))
        };
        before.all_selectors().all(is_kept)
    }
}
