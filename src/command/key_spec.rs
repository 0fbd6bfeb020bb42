//! Where the keys of a command are among its arguments, and what it does to them.
//!
//! Source: "Key specifications" of Redis, as COMMAND INFO tells them.

use std::ops::Range;

use crate::resp::arguments::Args;

use super::args;

/// Flags of a key spec as COMMAND INFO names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyFlags(pub(crate) u16);

impl KeyFlags {
    /// `RO`
    pub(crate) const RO: Self = Self(1);
    /// `RW`
    pub(crate) const RW: Self = Self(1 << 1);
    /// `OW`
    pub(crate) const OW: Self = Self(1 << 2);
    /// `RM`
    pub(crate) const RM: Self = Self(1 << 3);
    /// `access`
    pub(crate) const ACCESS: Self = Self(1 << 4);
    /// `update`
    pub(crate) const UPDATE: Self = Self(1 << 5);
    /// `insert`
    pub(crate) const INSERT: Self = Self(1 << 6);
    /// `delete`
    pub(crate) const DELETE: Self = Self(1 << 7);
    /// `not_key`: routed like a key but none (channels).
    pub(crate) const NOT_KEY: Self = Self(1 << 8);
    /// `incomplete`
    pub(crate) const INCOMPLETE: Self = Self(1 << 9);
    /// `variable_flags`
    pub(crate) const VARIABLE: Self = Self(1 << 10);

    /// Both sets together.
    #[must_use]
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all flags of `other` are set.
    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The names COMMAND INFO replies, in Redis' order.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        const NAMES: [(&str, KeyFlags); 11] = [
            ("RO", KeyFlags::RO),
            ("RW", KeyFlags::RW),
            ("OW", KeyFlags::OW),
            ("RM", KeyFlags::RM),
            ("access", KeyFlags::ACCESS),
            ("update", KeyFlags::UPDATE),
            ("insert", KeyFlags::INSERT),
            ("delete", KeyFlags::DELETE),
            ("not_key", KeyFlags::NOT_KEY),
            ("incomplete", KeyFlags::INCOMPLETE),
            ("variable_flags", KeyFlags::VARIABLE),
        ];
        NAMES
            .into_iter()
            .filter(move |(_, flag)| self.has(*flag))
            .map(|(name, _)| name)
    }
}

/// Where the keys of a spec begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// At an argument.
    Index(usize),
    /// After a keyword, looked for from an argument on (backwards from the end when negative).
    Keyword(&'static str, i32),
    /// After a keyword, from an argument on, and if it is the last of some options, after the last of them. COMMAND INFO tells it
    /// as a keyword, and COMMAND GETKEYS the key behind the first: Redis' specs have no words for more (GEORADIUS, of whose STORE
    /// and STOREDIST the last one counts).
    Option {
        /// All of which the last one counts.
        options: &'static [&'static str],
        /// Which of them.
        which: usize,
        /// See above.
        from: usize,
    },
    /// No spec can tell: one after the last keyword among the options of SORT, or whatever its patterns name.
    Unknown {
        /// Why not, as COMMAND INFO tells it.
        note: &'static str,
        /// The keyword, if the key is among the arguments.
        keyword: Option<&'static str>,
    },
    /// After the STREAMS of XREADGROUP, whose group and consumer may have any names: its options are walked. COMMAND INFO tells of a
    /// keyword.
    GroupStreams,
    /// The keys of MIGRATE: one among the first arguments, or, where that is empty, those listed behind KEYS. COMMAND INFO tells of the
    /// place of the first and of the keyword.
    Migrated {
        /// Those that are listed, not the one.
        listed: bool,
    },
}

/// Where COMMAND INFO says that the keyword of XREADGROUP is looked for.
const GROUP_STREAMS_FROM: i32 = 4;
/// Options of XREADGROUP with one value.
const GROUP_READ_OPTIONS: [&str; 5] = ["count", "maxcount", "maxsize", "block", "claim"];
/// Where MIGRATE has its one key.
const MIGRATED_AT: usize = 3;

impl Begin {
    /// As COMMAND INFO tells it.
    pub(crate) fn shown(self) -> Self {
        match self {
            Self::Migrated { listed: false } => Self::Index(MIGRATED_AT),
            Self::Migrated { listed: true } => Self::Keyword("KEYS", -2),
            Self::GroupStreams => Self::Keyword("STREAMS", GROUP_STREAMS_FROM),
            other => other,
        }
    }
}

/// Which arguments from the begin on are keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Find {
    /// From the begin to `last` (relative to the begin; negative: from the end of the request, -1 the last argument),
    /// every `step`; with `limit` > 1 only the first of `limit` equal parts when `last` is -1.
    Range {
        /// See above.
        last: i32,
        /// See above.
        step: usize,
        /// See above.
        limit: usize,
    },
    /// A count at `count_at` (relative to the begin), the keys from `first` (relative to the begin) on, every `step`.
    Count {
        /// See above.
        count_at: usize,
        /// See above.
        first: usize,
        /// See above.
        step: usize,
    },
}

/// How to find keys among the arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeySpec {
    /// What the command does to them.
    pub(crate) flags: KeyFlags,
    /// Where they begin.
    pub(crate) begin: Begin,
    /// Which they are.
    pub(crate) find: Find,
    /// What COMMAND INFO says of it besides.
    pub(crate) note: Option<&'static str>,
}

impl KeySpec {
    /// With a note for COMMAND INFO.
    #[must_use]
    pub(crate) const fn noted(self, note: &'static str) -> Self {
        Self {
            note: Some(note),
            ..self
        }
    }

    /// Keys from argument `first` to `last` (negative: from the end of the request), every `step`: Redis' classic triple.
    pub(crate) const fn range(flags: KeyFlags, first: usize, last: i32, step: usize) -> Self {
        let last = if last >= 0 { last - first as i32 } else { last };
        Self {
            flags,
            note: None,
            begin: Begin::Index(first),
            find: Find::Range {
                last,
                step,
                limit: 0,
            },
        }
    }

    /// One key at an argument.
    pub(crate) const fn one(flags: KeyFlags, at: usize) -> Self {
        Self::range(flags, at, at as i32, 1)
    }

    /// A count at argument `at`, then that many keys.
    pub(crate) const fn counted(flags: KeyFlags, at: usize) -> Self {
        Self::counted_every(flags, at, 1)
    }

    /// A count at argument `at`, then that many keys, one every `step` arguments.
    pub(crate) const fn counted_every(flags: KeyFlags, at: usize, step: usize) -> Self {
        Self {
            flags,
            note: None,
            begin: Begin::Index(at),
            find: Find::Count {
                count_at: 0,
                first: 1,
                step,
            },
        }
    }

    /// The first half of what follows a keyword (XREAD's STREAMS).
    pub(crate) const fn half_after(flags: KeyFlags, keyword: &'static str, from: i32) -> Self {
        Self {
            flags,
            note: None,
            begin: Begin::Keyword(keyword, from),
            find: Find::Range {
                last: -1,
                step: 1,
                limit: 2,
            },
        }
    }

    /// The first half of what follows the STREAMS of XREADGROUP.
    pub(crate) const fn half_after_group(flags: KeyFlags) -> Self {
        let half = Self::half_after(flags, "STREAMS", GROUP_STREAMS_FROM);
        Self {
            begin: Begin::GroupStreams,
            ..half
        }
    }

    /// The key behind an option: see [`Begin::Option`].
    pub(crate) const fn after_option(
        flags: KeyFlags,
        options: &'static [&'static str],
        which: usize,
        from: usize,
    ) -> Self {
        Self {
            flags,
            note: None,
            begin: Begin::Option {
                options,
                which,
                from,
            },
            find: Find::Range {
                last: 0,
                step: 1,
                limit: 0,
            },
        }
    }

    /// A key that no spec can tell, see [`Begin::Unknown`].
    pub(crate) const fn unknown(
        flags: KeyFlags,
        note: &'static str,
        keyword: Option<&'static str>,
    ) -> Self {
        Self {
            flags,
            note: None,
            begin: Begin::Unknown { note, keyword },
            find: Find::Range {
                last: 0,
                step: 1,
                limit: 0,
            },
        }
    }

    /// The keys of MIGRATE: see [`Begin::Migrated`].
    pub(crate) const fn migrated(flags: KeyFlags, listed: bool) -> Self {
        Self {
            flags,
            note: None,
            begin: Begin::Migrated { listed },
            find: Find::Range {
                last: if listed { -1 } else { 0 },
                step: 1,
                limit: 0,
            },
        }
    }

    /// The keys that options name: one as a spec finds it, and the one that counts.
    fn found_options(&self, args: &Args<'_>) -> [Option<usize>; 2] {
        match self.begin {
            Begin::Unknown { keyword, .. } => {
                let last = keyword.and_then(|keyword| after_last(args, keyword));
                [None, last]
            }
            Begin::Option {
                options,
                which,
                from,
            } => {
                let first = after_keyword(args, options[which], from as i32);
                let last = last_option(args, options, from);
                let last = last.filter(|(option, _)| *option == which);
                [first.filter(|at| *at < args.len()), last.map(|(_, at)| at)]
            }
            Begin::Index(_) | Begin::Keyword(..) | Begin::GroupStreams | Begin::Migrated { .. } => {
                [None, None]
            }
        }
    }

    /// The index of the key where the spec says that there is one, always in the same place, with flags that do not depend on the
    /// arguments.
    #[inline]
    pub(crate) fn only_key(&self, args: &Args<'_>) -> Option<usize> {
        let is_plain = !self.flags.has(KeyFlags::VARIABLE) && !self.flags.has(KeyFlags::NOT_KEY);
        match (self.begin, self.find) {
            (Begin::Index(at), Find::Range { last: 0, .. }) if is_plain && at < args.len() => {
                Some(at)
            }
            _ => None,
        }
    }

    /// Calls `take` with the index of each key among the arguments; false when the arguments do not fit the spec.
    pub(crate) fn for_each(&self, args: &Args<'_>, mut take: impl FnMut(usize)) -> bool {
        let count = args.len();
        let begin = match self.begin {
            Begin::Index(at) => at,
            Begin::Unknown { .. } | Begin::Option { .. } => {
                let [first, last] = self.found_options(args);
                first.into_iter().for_each(&mut take);
                last.filter(|_| last != first).into_iter().for_each(take);
                return true;
            }
            Begin::Migrated { listed } => {
                let Some(keys) = migrated_keys(args) else {
                    return false;
                };
                if listed == (keys.start > MIGRATED_AT) {
                    keys.for_each(take);
                }
                return true;
            }
            Begin::Keyword(keyword, from) => {
                after_keyword(args, keyword, from).unwrap_or(usize::MAX)
            }
            Begin::GroupStreams => after_group_streams(args).unwrap_or(usize::MAX),
        };
        if begin >= count {
            return false;
        }
        let (first, last, step) = match self.find {
            Find::Range { last, step, limit } => {
                let last = if last >= 0 {
                    begin + last as usize
                } else if limit <= 1 {
                    (count as i32 + last).max(0) as usize
                } else {
                    begin + (count - begin) / limit - usize::from((count - begin) / limit > 0)
                };
                if limit > 1 && (count - begin) / limit == 0 {
                    return false;
                }
                (begin, last, step)
            }
            Find::Count {
                count_at,
                first,
                step,
            } => {
                let Some(number) = args::integer(args.at(begin + count_at)) else {
                    return false;
                };
                let Ok(number) = usize::try_from(number) else {
                    return false;
                };
                if number == 0
                    || begin + first + (number.saturating_sub(1)).saturating_mul(step) >= count
                {
                    return false;
                }
                (begin + first, begin + first + (number - 1) * step, step)
            }
        };
        if last >= count {
            return false;
        }
        let mut at = first;
        while at <= last {
            take(at);
            at += step;
        }
        true
    }
}

/// Which arguments of MIGRATE are keys; `None` where it names one and a list.
pub(crate) fn migrated_keys(args: &Args<'_>) -> Option<Range<usize>> {
    let is = |at: usize, word: &str| args.at(at).eq_ignore_ascii_case(word.as_bytes());
    let mut at = 6;
    while at < args.len() {
        if is(at, "keys") {
            return args.at(MIGRATED_AT).is_empty().then(|| at + 1..args.len());
        }
        at += if is(at, "auth2") {
            3
        } else {
            1 + usize::from(is(at, "auth"))
        };
    }
    (args.len() > MIGRATED_AT).then_some(MIGRATED_AT..MIGRATED_AT + 1)
}

/// The argument after a keyword, looked for from an argument on, backwards from the end when negative.
fn after_keyword(args: &Args<'_>, keyword: &str, from: i32) -> Option<usize> {
    let count = args.len();
    let matches = |at: &usize| args.at(*at).eq_ignore_ascii_case(keyword.as_bytes());
    let found = if from >= 0 {
        (from as usize..count).find(matches)
    } else {
        (1..(count as i32 + from + 1).max(1) as usize)
            .rev()
            .find(matches)
    };
    found.map(|at| at + 1)
}

/// The argument after the STREAMS of XREADGROUP, as its handler finds it.
fn after_group_streams(args: &Args<'_>) -> Option<usize> {
    let is = |at: usize, word: &str| args.at(at).eq_ignore_ascii_case(word.as_bytes());
    let mut at = 1;
    while at < args.len() {
        if is(at, "streams") {
            // Before it there is a group, or it is an error.
            return (at >= GROUP_STREAMS_FROM as usize).then_some(at + 1);
        }
        at += match () {
            () if is(at, "group") => 3,
            () if GROUP_READ_OPTIONS.iter().any(|option| is(at, option)) => 2,
            () => 1,
        };
    }
    None
}

/// The last of some options with an argument behind it, and where that is.
fn last_option(args: &Args<'_>, options: &[&str], from: usize) -> Option<(usize, usize)> {
    let (mut at, mut found) = (from, None);
    while at + 1 < args.len() {
        let is = |option: &&str| args.at(at).eq_ignore_ascii_case(option.as_bytes());
        if let Some(option) = options.iter().position(is) {
            at += 1;
            found = Some((option, at));
        }
        at += 1;
    }
    found
}

/// The argument after the last `keyword` among the options of SORT, whose other options take arguments too.
fn after_last(args: &Args<'_>, keyword: &str) -> Option<usize> {
    let is = |at: usize, word: &str| args.at(at).eq_ignore_ascii_case(word.as_bytes());
    let (mut at, mut found) = (2, None);
    while at < args.len() {
        if is(at, "limit") {
            at += 2;
        } else if is(at, "get") || is(at, "by") {
            at += 1;
        } else if is(at, keyword) && at + 1 < args.len() {
            at += 1;
            found = Some(at);
        }
        at += 1;
    }
    found
}
