//! HSCAN, SSCAN, ZSCAN: the arguments and the head of the reply of a scan of one key.

use crate::pubsub::pattern::{self, Case};
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;

use super::args::{self, Cursor};
use super::error::{self, CommandError};
use super::keyspace::cursor_number;

/// Elements of one call when COUNT does not say.
const COUNT_DEFAULT: usize = 10;

/// The options: `key cursor [MATCH pattern] [COUNT count] [NOVALUES]`.
pub(crate) struct ElementScan<'a> {
    count: usize,
    pattern: Option<&'a [u8]>,
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
            count: COUNT_DEFAULT,
            pattern: None,
            no_values: false,
        };
        let is_hash = args::is(args.at(0), "hscan");
        let mut rest = Cursor::new(args, 3);
        while rest.left() > 0 {
            if rest.left() >= 2 && rest.keyword("COUNT") {
                let count = args::required_integer(rest.value()?)?;
                scan.count = usize::try_from(count)
                    .ok()
                    .filter(|count| *count > 0)
                    .ok_or(error::SYNTAX)?;
            } else if rest.left() >= 2 && rest.keyword("MATCH") {
                let pattern = rest.value()?;
                scan.pattern = (pattern != b"*").then_some(pattern);
            } else if is_hash && rest.keyword("NOVALUES") {
                scan.no_values = true;
            } else {
                return Err(error::SYNTAX);
            }
        }
        Ok(scan)
    }

    /// About how many elements one call looks at.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Whether the name of an element fits the pattern.
    pub(crate) fn wants(&self, name: &[u8]) -> bool {
        self.pattern
            .is_none_or(|pattern| pattern::matches(pattern, name, Case::Sensitive))
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
