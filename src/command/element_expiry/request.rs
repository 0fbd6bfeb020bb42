//! The arguments of HGETEX, HSETEX, HGETDEL and SADDEX: a condition, a time, elements, in any order.

use crate::command::args::{self, Cursor};
use crate::command::context::Context;
use crate::command::error::{self, CommandError};
use crate::command::expiry_option::RequestedExpiry;
use crate::data::ends::END_MS_MAX;
use crate::resp::arguments::Args;

use super::Kind;

/// Which elements must be there for any to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// FNX, MNX: none.
    None,
    /// FXX, MXX: all.
    All,
}

impl Presence {
    /// Whether what there is allows it: for each element, whether it is there.
    pub(crate) fn allows(self, mut are_there: impl Iterator<Item = bool>) -> bool {
        match self {
            Self::None => !are_there.any(|is_there| is_there),
            Self::All => are_there.all(|is_there| is_there),
        }
    }
}

/// Which of these arguments a command takes.
pub(crate) struct Grammar {
    /// The words for [`Presence::None`] and [`Presence::All`], and the error for both.
    pub(crate) presence: Option<([&'static str; 2], CommandError)>,
    /// The word that may stand in the place of a time: PERSIST, KEEPTTL.
    pub(crate) other_end: Option<&'static str>,
    /// The error for two times, or a time beside that word.
    pub(crate) two_times: CommandError,
    /// Arguments of an element: 1, or 2 where its value follows.
    pub(crate) step: usize,
    /// The family.
    pub(crate) kind: Kind,
}

/// What was asked for.
#[derive(Default)]
pub(crate) struct Request<'a> {
    pub(crate) presence: Option<Presence>,
    pub(crate) expiry: Option<RequestedExpiry<'a>>,
    /// PERSIST of HGETEX, KEEPTTL of HSETEX and SADDEX.
    pub(crate) other_end: bool,
    /// Elements, or elements and values in turn.
    pub(crate) texts: Vec<&'a [u8]>,
}

impl<'a> Request<'a> {
    pub(crate) fn read(args: &Args<'a>, grammar: &Grammar) -> Result<Self, CommandError> {
        let mut request = Self::default();
        let mut rest = Cursor::new(args, 2);
        let kind = &grammar.kind;
        while rest.left() > 0 {
            if request.read_presence(&mut rest, grammar)? {
                continue;
            }
            let has_time = request.expiry.is_some() || request.other_end;
            if grammar.other_end.is_some_and(|word| rest.keyword(word)) {
                request.other_end = true;
            } else if let Some(expiry) = RequestedExpiry::read_next(&mut rest) {
                request.expiry = Some(expiry);
            } else if request.texts.is_empty() && rest.keyword(kind.word) {
                request.read_elements(&mut rest, grammar)?;
                continue;
            } else if request.texts.is_empty() {
                return Err(kind.word_missing.clone());
            } else {
                return Err(kind.count_mismatch.clone());
            }
            if has_time {
                return Err(grammar.two_times.clone());
            }
        }
        if request.texts.is_empty() {
            return Err(kind.word_missing.clone());
        }
        Ok(request)
    }

    /// Whether one of the words for a condition was next.
    fn read_presence(
        &mut self,
        rest: &mut Cursor<'a, '_>,
        grammar: &Grammar,
    ) -> Result<bool, CommandError> {
        let Some(([none, all], two_words)) = &grammar.presence else {
            return Ok(false);
        };
        let presence = if rest.keyword(none) {
            Presence::None
        } else if rest.keyword(all) {
            Presence::All
        } else {
            return Ok(false);
        };
        if self.presence.replace(presence).is_some() {
            return Err(two_words.clone());
        }
        Ok(true)
    }

    fn read_elements(
        &mut self,
        rest: &mut Cursor<'a, '_>,
        grammar: &Grammar,
    ) -> Result<(), CommandError> {
        let count = args::integer(rest.value()?).filter(|count| *count > 0);
        let count = count.ok_or_else(|| grammar.kind.count_not_positive.clone())?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count.saturating_mul(grammar.step) > rest.left() {
            return Err(grammar.kind.count_mismatch.clone());
        }
        self.texts = rest.by_ref().take(count * grammar.step).collect();
        Ok(())
    }

    /// The time asked for, Unix ms.
    pub(crate) fn at_ms(&self, ctx: &Context<'_>) -> Result<Option<u64>, CommandError> {
        let (name, now_ms) = (&ctx.row.full_name, ctx.now_ms());
        let Some(expiry) = &self.expiry else {
            return Ok(None);
        };
        let at_ms = expiry.at_ms(now_ms, name)?;
        if at_ms > END_MS_MAX {
            return Err(error::invalid_expire_time(name));
        }
        Ok(Some(at_ms))
    }
}
