//! HSCAN, SSCAN, ZSCAN: the arguments and the head of the reply of a scan of one key.

use crate::pubsub::pattern::{self, Case};
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;

use super::args::{self, Cursor};
use super::error::{self, CommandError};
use super::keyspace::cursor_number;

/// Elements of one call when COUNT does not say.
const COUNT_DEFAULT: usize = 10;

/// What every scan takes: `[MATCH pattern] [COUNT count]`.
pub(crate) struct ScanOptions<'a> {
    /// About how many elements one call looks at.
    pub(crate) count: usize,
    pattern: Option<&'a [u8]>,
}

impl<'a> ScanOptions<'a> {
    /// None given.
    pub(crate) fn new() -> Self {
        Self {
            count: COUNT_DEFAULT,
            pattern: None,
        }
    }

    /// Takes the next option if it is one of these; else false.
    ///
    /// # Errors
    /// A count that is no integer or not positive.
    pub(crate) fn take(&mut self, rest: &mut Cursor<'a, '_>) -> Result<bool, CommandError> {
        if rest.left() >= 2 && rest.keyword("COUNT") {
            let count = args::required_integer(rest.value()?)?;
            self.count = usize::try_from(count)
                .ok()
                .filter(|count| *count > 0)
                .ok_or(error::SYNTAX)?;
        } else if rest.left() >= 2 && rest.keyword("MATCH") {
            let pattern = rest.value()?;
            self.pattern = (pattern != b"*").then_some(pattern);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Whether a name fits the pattern.
    pub(crate) fn wants(&self, name: &[u8]) -> bool {
        self.pattern
            .is_none_or(|pattern| pattern::matches(pattern, name, Case::Sensitive))
    }
}

/// The options of the scan of one key: `key cursor [MATCH pattern] [COUNT count] [NOVALUES]`.
pub(crate) struct ElementScan<'a> {
    options: ScanOptions<'a>,
    /// HSCAN only: names without values.
    pub(crate) no_values: bool,
}

impl<'a> ElementScan<'a> {
    /// The cursor. Redis looks at it before the key, at the options behind it.
    ///
    /// # Errors
    /// `ERR invalid cursor`.
    pub(crate) fn cursor(args: &Args<'_>) -> Result<u64, CommandError> {
        cursor_number(args.at(2)).ok_or(error::INVALID_CURSOR)
    }

    /// The options.
    ///
    /// # Errors
    /// A count that is no integer or not positive, an unknown option.
    pub(crate) fn read(args: &Args<'a>) -> Result<Self, CommandError> {
        let mut scan = Self {
            options: ScanOptions::new(),
            no_values: false,
        };
        let is_hash = args::is(args.at(0), "hscan");
        let mut rest = Cursor::new(args, 3);
        while rest.left() > 0 {
            if scan.options.take(&mut rest)? {
                continue;
            }
            if !is_hash || !rest.keyword("NOVALUES") {
                return Err(error::SYNTAX);
            }
            scan.no_values = true;
        }
        Ok(scan)
    }

    /// About how many elements one call looks at.
    pub(crate) fn count(&self) -> usize {
        self.options.count
    }

    /// Whether the name of an element fits the pattern.
    pub(crate) fn wants(&self, name: &[u8]) -> bool {
        self.options.wants(name)
    }

    /// The next cursor, and the head of an array of so many parts.
    pub(crate) fn reply_head(reply: &mut Reply, next: u64, part_count: usize) {
        reply.array(2);
        reply.bulk(next.to_string().as_bytes());
        reply.array(part_count);
    }

    /// The reply where there is no key.
    pub(crate) fn reply_nothing(reply: &mut Reply) {
        Self::reply_head(reply, 0, 0);
    }
}
