//! A command as rules see it, and what denies it.

/// What a command does, as far as rules decide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    /// Id of the command; of a subcommand, its own.
    pub(crate) command: u16,
    /// Whether the command is there for whoever has not logged in yet (AUTH, HELLO, QUIT, RESET): no rule takes it away.
    pub(crate) is_for_all: bool,
    /// What follows the name of a command without subcommands, for rules such as `+select|0`.
    pub(crate) first_argument: Option<&'a [u8]>,
    /// Its keys, in the order in which they are found. May be left empty when [`super::Rules::looks_at_keys`] is false.
    pub(crate) keys: &'a [Key<'a>],
    /// Its channels. May be left empty when [`super::Rules::looks_at_channels`] is false.
    pub(crate) channels: &'a [Channel<'a>],
}

/// A key of a command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    /// Which argument it is, the command's name being 0.
    pub(crate) argument: usize,
    /// The key.
    pub(crate) name: &'a [u8],
    /// Whether the command tells or copies something of its value (Redis: `access`).
    pub(crate) reads: bool,
    /// Whether it changes its value (Redis: `insert`, `delete`, `update`).
    pub(crate) writes: bool,
}

/// A channel of a command that publishes or subscribes; not of one that unsubscribes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Channel<'a> {
    /// Which argument it is, the command's name being 0.
    pub(crate) argument: usize,
    /// The channel, or the pattern.
    pub(crate) name: &'a [u8],
    /// Whether it is a pattern (PSUBSCRIBE).
    pub(crate) is_pattern: bool,
}

/// What denies a command. Of several selectors the greatest counts: the one that came closest to allowing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Denied {
    /// The command itself.
    Command,
    /// The key in this argument.
    Key(usize),
    /// The channel in this argument.
    Channel(usize),
}
