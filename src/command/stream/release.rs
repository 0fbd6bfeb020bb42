//! The command that gives pending entries back to their group: XNACK.
//!
//! A released entry is pending with nobody, at the end of a queue. XREADGROUP CLAIM, XCLAIM and XAUTOCLAIM take it at
//! once, whatever idle time they ask for; a plain `>` does not hand it out again.

use smallvec::SmallVec;

use crate::command::args::{integer, is, required_integer};
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::command::spec::{Command, Flags, KeyFlags, KeySpec};
use crate::data::stream::{DELIVERY_COUNT_MAX, Delivery, Group, Log, StreamId};
use crate::resp::arguments::Args;

use super::{stream_in_mut, stream_of, strict_id};

pub(super) const COMMANDS: &[Command] = &[
    Command::new("xnack", "key group mode:<SILENT | FAIL | FATAL> ids-block:<IDS numids id [id ...]> [RETRYCOUNT count] [FORCE]", xnack)
        .arity(-7)
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::UPDATE), 1)])
        .categories(&["stream"])
        .docs("8.8.0", "stream", "O(log N) for each ID", "Gives pending entries back to their group, for any consumer to take over."),
];

/// Why the entries come back: what becomes of their delivery counts.
#[derive(Clone, Copy)]
enum Mode {
    /// The consumer stops: it has not tried.
    Silent,
    /// It tried in vain.
    Fail,
    /// Nobody should try again.
    Fatal,
}

impl Mode {
    fn parse(text: &[u8]) -> Result<Self, CommandError> {
        let modes = [
            ("SILENT", Self::Silent),
            ("FAIL", Self::Fail),
            ("FATAL", Self::Fatal),
        ];
        let found = modes.into_iter().find(|(name, _)| is(text, name));
        found.map(|(_, mode)| mode).ok_or(error::NACK_MODE)
    }

    /// The delivery count of an entry that comes back with so many; one made by FORCE had none.
    fn count(self, before: u64) -> u64 {
        match self {
            Self::Silent => before.saturating_sub(1),
            Self::Fail => before,
            Self::Fatal => DELIVERY_COUNT_MAX,
        }
    }
}

/// The arguments of XNACK.
struct Release {
    mode: Mode,
    ids: SmallVec<[StreamId; 8]>,
    delivery_count: Option<u64>,
    force: bool,
}

impl Release {
    fn parse(args: &Args<'_>) -> Result<Self, CommandError> {
        let mut release = Self {
            mode: Mode::parse(args.at(3))?,
            ids: SmallVec::new(),
            delivery_count: None,
            force: false,
        };
        let mut at = 4;
        while at < args.len() {
            let (option, value) = (args.at(at), args.get(at + 1));
            at += 2;
            match value {
                _ if is(option, "FORCE") => {
                    release.force = true;
                    at -= 1;
                }
                Some(value) if is(option, "RETRYCOUNT") => {
                    let count = required_integer(value)?;
                    let count = u64::try_from(count).map_err(|_| error::NACK_RETRYCOUNT)?;
                    release.delivery_count = Some(count);
                }
                Some(value) if release.ids.is_empty() && is(option, "IDS") => {
                    let count = integer(value).filter(|count| *count > 0);
                    let count = count.ok_or(error::NACK_ID_COUNT)?;
                    let left = args.len() - at;
                    let count = usize::try_from(count).unwrap_or(usize::MAX);
                    if count > left {
                        return Err(error::NACK_TOO_FEW_IDS);
                    }
                    let ids = args.from(at).take(count).map(strict_id);
                    release.ids = ids.collect::<Result<_, _>>()?;
                    at += count;
                }
                _ if release.ids.is_empty() => return Err(error::NACK_WITHOUT_IDS),
                _ => return Err(error::unrecognized_xnack_option(option)),
            }
        }
        if release.ids.is_empty() {
            return Err(error::NACK_WITHOUT_IDS);
        }
        Ok(release)
    }

    /// Releases one entry; whether it is released now.
    fn release(&self, group: &mut Group, log: &Log, id: StreamId) -> bool {
        let before = match group.pending().get(id) {
            Some(entry) => entry.delivery.delivery_count,
            None if self.force && log.contains(id) => 0,
            None => return false,
        };
        let delivery = Delivery {
            consumer: None,
            delivered_ms: 0,
            delivery_count: self.delivery_count.unwrap_or(self.mode.count(before)),
        };
        group.pending_mut().assign(id, delivery);
        true
    }
}

/// XNACK key group SILENT|FAIL|FATAL IDS n id … [RETRYCOUNT n] [FORCE]
///
/// Effect: the same; what it does depends on the stream alone. As XACK it does not modify the key.
fn xnack(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (key, name) = (args.at(1), args.at(2));
    let request = Release::parse(args)?;
    let found = stream_of(ctx.space.read(key))?.and_then(|stream| stream.group(name));
    if found.is_none() {
        return Err(error::no_group(key, name));
    }
    let mut handle = ctx.space.write(key);
    let released = handle.change(|value| {
        let found = stream_in_mut(value).and_then(|stream| stream.group_mut(name));
        let Some((group, log)) = found else { return 0 };
        let ids = request.ids.iter();
        ids.filter(|id| request.release(group, log, **id)).count()
    });
    if released > 0 {
        handle.effect(|effect| {
            effect.arg("XNACK").args(args.from(1));
        });
        handle.released(name);
    }
    ctx.reply.count(released);
    Ok(Outcome::Done)
}
