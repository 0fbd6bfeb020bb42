//! What stands before the fields of XADD, and behind the key of XTRIM, XDELEX and XACKDEL.
//!
//! Options come in any order; the first argument of XADD that is none is its ID. IDs are all read before anything changes.

use smallvec::SmallVec;

use crate::command::args::{Cursor, integer, required_integer};
use crate::command::error::{self, CommandError};
use crate::config::Settings;
use crate::data::stream::{ReferencePolicy, RequestedId, StreamId, TrimOptions, TrimTo};
use crate::resp::arguments::Args;

use super::idempotency::Identity;
use super::strict_id;

/// The options of XADD and XTRIM.
#[derive(Default)]
pub(super) struct Options<'a> {
    /// Where the ID is; behind the last argument when there is none.
    pub(super) id_at: usize,
    /// `None`: `*`.
    pub(super) id: Option<RequestedId>,
    /// Whether only a key that is there gets an entry.
    pub(super) keep_missing: bool,
    pub(super) trim: Option<TrimOptions>,
    /// What becomes of references to what a trim takes.
    pub(super) policy: ReferencePolicy,
    /// Whose message it is, so that it is added only once.
    pub(super) identity: Option<Identity<'a>>,
    policy_given: bool,
    limit: Option<u64>,
}

impl<'a> Options<'a> {
    /// Reads options until the ID (XADD) or the end (XTRIM).
    pub(super) fn parse(
        args: &Args<'a>,
        adding: bool,
        settings: &Settings,
    ) -> Result<Self, CommandError> {
        let mut options = Options::default();
        let mut cursor = Cursor::new(args, 2);
        while let Some(argument) = cursor.peek() {
            if adding && argument == b"*" {
                break;
            }
            if options.read_one(&mut cursor, adding)? {
                continue;
            }
            if !adding {
                return Err(error::SYNTAX);
            }
            let id = StreamId::parse_requested(argument);
            options.id = Some(id.map_err(|_| error::INVALID_STREAM_ID)?);
            break;
        }
        options.id_at = cursor.position();
        if options.identity.is_some() && options.id.is_some() {
            return Err(error::IDMP_WITH_ID);
        }
        options.set_limit(adding, settings)?;
        Ok(options)
    }

    /// Reads an option with its values; false when the next argument is none.
    fn read_one(
        &mut self,
        cursor: &mut Cursor<'a, '_>,
        adding: bool,
    ) -> Result<bool, CommandError> {
        let has_value = cursor.left() > 1;
        // Redis: a second policy is no option any more.
        let first_policy = (!self.policy_given).then(|| policy(cursor)).flatten();
        if let Some(policy) = first_policy {
            self.policy_given = true;
            self.policy = policy;
        } else if adding && cursor.keyword("NOMKSTREAM") {
            self.keep_missing = true;
        } else if has_value && cursor.keyword("MAXLEN") {
            self.read_goal(cursor, |threshold| {
                let length = required_integer(threshold)?;
                let length = u64::try_from(length).map_err(|_| error::MAXLEN_NEGATIVE)?;
                Ok(TrimTo::MaxLength(length))
            })?;
        } else if has_value && cursor.keyword("MINID") {
            self.read_goal(cursor, |threshold| Ok(TrimTo::MinId(strict_id(threshold)?)))?;
        } else if has_value && cursor.keyword("LIMIT") {
            let count = required_integer(cursor.value()?)?;
            self.limit = Some(u64::try_from(count).map_err(|_| error::LIMIT_NEGATIVE)?);
        } else if adding {
            return self.read_identity(cursor);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Whose message it is; false when the next argument does not tell.
    fn read_identity(&mut self, cursor: &mut Cursor<'a, '_>) -> Result<bool, CommandError> {
        if self.identity.is_some() && (cursor.keyword("IDMP") || cursor.keyword("IDMPAUTO")) {
            return Err(error::IDMP_TWICE);
        }
        let identity = Identity::parse(cursor)?;
        let found = identity.is_some();
        self.identity = self.identity.or(identity);
        Ok(found)
    }

    /// `[=|~] threshold`; a last argument is the threshold, whatever it is.
    fn read_goal(
        &mut self,
        cursor: &mut Cursor<'_, '_>,
        goal: impl FnOnce(&[u8]) -> Result<TrimTo, CommandError>,
    ) -> Result<(), CommandError> {
        if self.trim.is_some() {
            return Err(error::TRIM_STRATEGIES);
        }
        let has_operator = cursor.left() > 1;
        let approximate = has_operator && cursor.keyword("~");
        if has_operator && !approximate {
            cursor.keyword("=");
        }
        self.trim = Some(TrimOptions {
            to: goal(cursor.value()?)?,
            approximate,
            limit: 0,
        });
        Ok(())
    }

    fn set_limit(&mut self, adding: bool, settings: &Settings) -> Result<(), CommandError> {
        let Some(trim) = &mut self.trim else {
            return match self.limit {
                Some(1..) => Err(error::LIMIT_WITHOUT_STRATEGY),
                _ if !adding => Err(error::TRIM_WITHOUT_STRATEGY),
                Some(0) => Err(error::LIMIT_WITHOUT_APPROXIMATION),
                _ => Ok(()),
            };
        };
        trim.limit = match self.limit {
            Some(_) if !trim.approximate => return Err(error::LIMIT_WITHOUT_APPROXIMATION),
            Some(limit) => limit,
            None if !trim.approximate => 0,
            // Redis: a `~` trim without LIMIT does at most the work of 100 full blocks.
            None => match settings.stream_node_entries_max.saturating_mul(100) {
                0 => 10_000,
                entries => entries.min(1_000_000),
            },
        };
        Ok(())
    }
}

/// Reads a reference policy, when one is next.
fn policy(cursor: &mut Cursor<'_, '_>) -> Option<ReferencePolicy> {
    if cursor.keyword("KEEPREF") {
        Some(ReferencePolicy::Keep)
    } else if cursor.keyword("DELREF") {
        Some(ReferencePolicy::Delete)
    } else if cursor.keyword("ACKED") {
        Some(ReferencePolicy::Acknowledged)
    } else {
        None
    }
}

/// `[KEEPREF|DELREF|ACKED] IDS numids id [id ...]`, the policy before or behind.
pub(super) struct CountedIds {
    pub(super) policy: ReferencePolicy,
    ids_at: usize,
    /// How many IDs there are.
    pub(super) count: usize,
}

impl CountedIds {
    /// Finds them from argument `at` to the end; the IDs themselves are not looked at yet.
    pub(super) fn parse(args: &Args<'_>, at: usize) -> Result<Self, CommandError> {
        let mut cursor = Cursor::new(args, at);
        let (mut given, mut ids) = (None, None);
        while cursor.left() > 0 {
            if let Some(policy) = policy(&mut cursor) {
                if given.replace(policy).is_some() {
                    return Err(error::SYNTAX);
                }
            } else if cursor.keyword("IDS") {
                // Redis: of several blocks the last one counts.
                let count = read_count(&mut cursor)?;
                ids = Some((cursor.position(), count));
                cursor.by_ref().take(count).for_each(drop);
            } else {
                return Err(error::SYNTAX);
            }
        }
        let (ids_at, count) = ids.ok_or(error::SYNTAX)?;
        Ok(Self {
            policy: given.unwrap_or_default(),
            ids_at,
            count,
        })
    }

    /// The IDs.
    ///
    /// # Errors
    /// When one is none.
    pub(super) fn ids(&self, args: &Args<'_>) -> Result<SmallVec<[StreamId; 8]>, CommandError> {
        let ids = args.from(self.ids_at).take(self.count);
        ids.map(strict_id).collect()
    }
}

/// `numids`, with so many arguments behind it.
fn read_count(cursor: &mut Cursor<'_, '_>) -> Result<usize, CommandError> {
    let count = integer(cursor.value()?)
        .and_then(|count| usize::try_from(count).ok())
        .filter(|count| *count > 0)
        .ok_or(error::NUMIDS_NOT_POSITIVE)?;
    if count > cursor.left() {
        return Err(error::NUMIDS_MISMATCH);
    }
    Ok(count)
}
