//! The type of a row: all that a command *is*.
//!
//! Routing, the checks before it runs, MULTI, COMMAND/DOCS/GETKEYS, ACL categories and statistics read the row; nothing
//! of it is said twice. Source of the fields: the COMMAND and COMMAND DOCS pages of Redis.

pub(crate) use crate::acl::categories::CATEGORIES;
use crate::resp::arguments::Args;

use super::context::{Context, Outcome};
use super::error::CommandError;
pub(crate) use super::key_spec::{Begin, Find, KeyFlags, KeySpec};

/// What a row's handler looks like.
pub(crate) type Handler =
    for<'a, 'b> fn(&mut Context<'a>, &Args<'b>) -> Result<Outcome, CommandError>;

/// What a command does to its key, where that depends on its arguments.
pub(crate) type KeyFlagsOf = for<'a, 'b> fn(&'a Args<'b>) -> KeyFlags;

/// Which keyspaces a command needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those of its keys, found with its key specs.
    Keys,
    /// None: it runs where the connection is.
    None,
    /// All of them.
    AllShards,
    /// Those of its keys; all of them when its patterns name others, which only the run finds (SORT).
    KeysAndPatterns,
    /// Those that a script may touch. The shard runs it, with its commands.
    Script,
    /// Those from its SCAN cursor on that are needed to fill its count.
    Cursor,
}

/// Flags of a command as COMMAND INFO names them, and our own, from [`Flags::RUNS_IN_MULTI`] on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Flags(pub(crate) u32);

impl Flags {
    /// `write`
    pub(crate) const WRITE: Self = Self(1);
    /// `readonly`
    pub(crate) const READONLY: Self = Self(1 << 1);
    /// `denyoom`
    pub(crate) const DENYOOM: Self = Self(1 << 2);
    /// `admin`
    pub(crate) const ADMIN: Self = Self(1 << 3);
    /// `pubsub`
    pub(crate) const PUBSUB: Self = Self(1 << 4);
    /// `noscript`
    pub(crate) const NOSCRIPT: Self = Self(1 << 5);
    /// `blocking`
    pub(crate) const BLOCKING: Self = Self(1 << 6);
    /// `loading`
    pub(crate) const LOADING: Self = Self(1 << 7);
    /// `stale`
    pub(crate) const STALE: Self = Self(1 << 8);
    /// `skip_monitor`
    pub(crate) const SKIP_MONITOR: Self = Self(1 << 9);
    /// `skip_slowlog`
    pub(crate) const SKIP_SLOWLOG: Self = Self(1 << 10);
    /// `asking`
    pub(crate) const ASKING: Self = Self(1 << 11);
    /// `fast`
    pub(crate) const FAST: Self = Self(1 << 12);
    /// `no_auth`
    pub(crate) const NO_AUTH: Self = Self(1 << 13);
    /// `may_replicate`, which Redis does not tell.
    pub(crate) const MAY_REPLICATE: Self = Self(1 << 14);
    /// `no_mandatory_keys`
    pub(crate) const NO_MANDATORY_KEYS: Self = Self(1 << 15);
    /// `no_async_loading`
    pub(crate) const NO_ASYNC_LOADING: Self = Self(1 << 16);
    /// `no_multi`
    pub(crate) const NO_MULTI: Self = Self(1 << 17);
    /// `movablekeys`
    pub(crate) const MOVABLE_KEYS: Self = Self(1 << 18);
    /// `allow_busy`
    pub(crate) const ALLOW_BUSY: Self = Self(1 << 19);
    /// Ours: runs at once between MULTI and EXEC.
    pub(crate) const RUNS_IN_MULTI: Self = Self(1 << 21);
    /// Ours: allowed in RESP2's subscribed mode.
    pub(crate) const WHILE_SUBSCRIBED: Self = Self(1 << 22);
    /// Ours: CLIENT PAUSE does not hold it.
    pub(crate) const WHILE_PAUSED: Self = Self(1 << 23);
    /// Ours: is an access to its keys also for a client that asked for NO-TOUCH.
    pub(crate) const ALWAYS_TOUCHES: Self = Self(1 << 24);
    /// Ours: needs `enable-debug-command`, or `enable-module-command` for MODULE. Redis: `CMD_PROTECTED`.
    pub(crate) const PROTECTED: Self = Self(1 << 26);
    /// Ours, of a container: Redis has one command that reads the second word itself (DEBUG). Here each has a row, because
    /// they need different keyspaces, but no client is told of more than the container.
    pub(crate) const ONE_COMMAND: Self = Self(1 << 27);
    /// Ours: `syscmd` in COMMAND DOCS, for the server's own tests.
    pub(crate) const SYSTEM: Self = Self(1 << 28);

    /// Whether all flags of `other` are set.
    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The names COMMAND INFO replies, in Redis' order.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        const NAMES: [(&str, Flags); 19] = [
            ("write", Flags::WRITE),
            ("readonly", Flags::READONLY),
            ("denyoom", Flags::DENYOOM),
            ("admin", Flags::ADMIN),
            ("pubsub", Flags::PUBSUB),
            ("noscript", Flags::NOSCRIPT),
            ("blocking", Flags::BLOCKING),
            ("loading", Flags::LOADING),
            ("stale", Flags::STALE),
            ("skip_monitor", Flags::SKIP_MONITOR),
            ("skip_slowlog", Flags::SKIP_SLOWLOG),
            ("asking", Flags::ASKING),
            ("fast", Flags::FAST),
            ("no_auth", Flags::NO_AUTH),
            ("no_mandatory_keys", Flags::NO_MANDATORY_KEYS),
            ("no_async_loading", Flags::NO_ASYNC_LOADING),
            ("no_multi", Flags::NO_MULTI),
            ("movablekeys", Flags::MOVABLE_KEYS),
            ("allow_busy", Flags::ALLOW_BUSY),
        ];
        NAMES
            .into_iter()
            .filter(move |(_, flag)| self.has(*flag))
            .map(|(name, _)| name)
    }
}

/// The word at the end of a command that asks for fields of our own in its reply. Without it a reply has the fields that
/// clients know and no others, since some refuse a reply for one they do not know.
pub(crate) const EXTENDED: &str = "EXTENDED";

/// A row of the command table. Names are lower case.
#[derive(Debug)]
pub struct Command {
    /// Its name; of a subcommand, the second word.
    pub name: &'static str,
    /// Grammar of the arguments after the name, in the notation of the documentation.
    pub(crate) syntax: &'static str,
    /// Number of arguments, the name included; negative: at least so many.
    pub(crate) arity: i32,
    /// Flags.
    pub(crate) flags: Flags,
    /// Which keyspaces it needs.
    pub(crate) scope: Scope,
    /// How to find its keys.
    pub(crate) keys: &'static [KeySpec],
    /// What takes the place of the flags of a key spec with [`KeyFlags::VARIABLE`].
    pub(crate) variable_key_flags: Option<KeyFlagsOf>,
    /// ACL categories beyond those that follow from the flags, as Redis names them without `@`.
    pub(crate) categories: &'static [&'static str],
    /// Command tips, as COMMAND INFO replies them.
    pub(crate) tips: &'static [&'static str],
    /// The Redis version it appeared in.
    pub(crate) since: &'static str,
    /// The group of the documentation: `list`, `stream`, `generic` …
    pub(crate) group: &'static str,
    /// Complexity, in our words.
    pub(crate) complexity: &'static str,
    /// What it does, in our words.
    pub(crate) summary: &'static str,
    /// Since when it is deprecated, and what to use instead.
    pub(crate) deprecated: Option<(&'static str, &'static str)>,
    /// A word of our own that may stand at the end, though the arity leaves no room for it. COMMAND does not tell of it.
    pub(crate) own_word: Option<&'static str>,
    /// Its subcommands, for a container.
    pub(crate) subcommands: &'static [Command],
    /// What runs it. Of a container: never called, unless the container takes no subcommand.
    pub(crate) handler: Handler,
}

impl Command {
    /// A row to be completed with the methods below.
    pub(crate) const fn new(name: &'static str, syntax: &'static str, handler: Handler) -> Self {
        Self {
            name,
            syntax,
            arity: 1,
            flags: Flags(0),
            scope: Scope::None,
            keys: &[],
            variable_key_flags: None,
            categories: &[],
            tips: &[],
            since: "1.0.0",
            group: "generic",
            complexity: "O(1)",
            summary: "",
            deprecated: None,
            own_word: None,
            subcommands: &[],
            handler,
        }
    }

    /// See [`Command::arity`].
    #[must_use]
    pub(crate) const fn arity(mut self, arity: i32) -> Self {
        self.arity = arity;
        self
    }

    /// See [`Command::flags`].
    #[must_use]
    pub(crate) const fn flags(mut self, flags: &[Flags]) -> Self {
        let mut i = 0;
        while i < flags.len() {
            self.flags = self.flags.and(flags[i]);
            i += 1;
        }
        self
    }

    /// Key specs; the scope becomes [`Scope::Keys`] unless all are channels.
    #[must_use]
    pub(crate) const fn keys(mut self, keys: &'static [KeySpec]) -> Self {
        self.keys = keys;
        if !keys.is_empty() && !keys[0].flags.has(KeyFlags::NOT_KEY) {
            self.scope = Scope::Keys;
        }
        self
    }

    /// See [`Command::variable_key_flags`].
    #[must_use]
    pub(crate) const fn variable_key_flags(mut self, flags: KeyFlagsOf) -> Self {
        self.variable_key_flags = Some(flags);
        self
    }

    /// See [`Command::scope`].
    #[must_use]
    pub(crate) const fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// See [`Command::categories`].
    #[must_use]
    pub(crate) const fn categories(mut self, categories: &'static [&'static str]) -> Self {
        self.categories = categories;
        self
    }

    /// See [`Command::tips`].
    #[must_use]
    pub(crate) const fn tips(mut self, tips: &'static [&'static str]) -> Self {
        self.tips = tips;
        self
    }

    /// Version, group, complexity and summary.
    #[must_use]
    pub(crate) const fn docs(
        mut self,
        since: &'static str,
        group: &'static str,
        complexity: &'static str,
        summary: &'static str,
    ) -> Self {
        self.since = since;
        self.group = group;
        self.complexity = complexity;
        self.summary = summary;
        self
    }

    /// See [`Command::deprecated`].
    #[must_use]
    pub(crate) const fn deprecated(mut self, since: &'static str, instead: &'static str) -> Self {
        self.deprecated = Some((since, instead));
        self
    }

    /// See [`Command::own_word`].
    #[must_use]
    pub(crate) const fn own_word(mut self, word: &'static str) -> Self {
        self.own_word = Some(word);
        self
    }

    /// See [`Command::subcommands`].
    #[must_use]
    pub(crate) const fn subcommands(mut self, subcommands: &'static [Command]) -> Self {
        self.subcommands = subcommands;
        self
    }

    /// Whether it is in an ACL category: named in the row, or because of a flag. Source: the rules of Redis' `ACL CAT`.
    pub(crate) fn has_category(&self, category: &str) -> bool {
        let flags = self.flags;
        let implied = match category {
            "write" => flags.has(Flags::WRITE),
            "read" => flags.has(Flags::READONLY) && !self.categories.contains(&"scripting"),
            "admin" | "dangerous" => flags.has(Flags::ADMIN),
            "pubsub" => flags.has(Flags::PUBSUB),
            "fast" => flags.has(Flags::FAST),
            "slow" => !flags.has(Flags::FAST),
            "blocking" => flags.has(Flags::BLOCKING),
            _ => false,
        };
        implied || self.categories.contains(&category)
    }

    /// Its ACL categories in Redis' order.
    pub(crate) fn category_names(&self) -> impl Iterator<Item = &'static str> {
        CATEGORIES
            .into_iter()
            .filter(|category| self.has_category(category))
    }

    /// Whether so many arguments are right.
    pub(crate) fn accepts(&self, count: usize) -> bool {
        let count = count as i32;
        if self.arity >= 0 {
            count == self.arity
        } else {
            count >= -self.arity
        }
    }

    /// Whether the last argument is the command's own word, and what is before it has the right number.
    pub(crate) fn accepts_own_word(&self, args: &Args<'_>) -> bool {
        let Some((word, before)) = self.own_word.zip(args.len().checked_sub(1)) else {
            return false;
        };
        args.at(before).eq_ignore_ascii_case(word.as_bytes()) && self.accepts(before)
    }

    /// Calls `take` with the index of each key (not of channels); false when a spec does not fit the arguments.
    pub(crate) fn for_each_key(&self, args: &Args<'_>, mut take: impl FnMut(usize)) -> bool {
        let mut fits = true;
        for spec in self
            .keys
            .iter()
            .filter(|spec| !spec.flags.has(KeyFlags::NOT_KEY))
        {
            fits &= spec.for_each(args, &mut take);
        }
        fits
    }
}
