//! The arguments of XREAD and XREADGROUP, how much a reply may hold, and what a client waits for that got nothing.

use smallvec::SmallVec;

use crate::command::args::{integer, is, required_integer, timeout_milliseconds};
use crate::command::context::{Context, Outcome, WaitFor};
use crate::command::error::{self, CommandError};
use crate::data::stream::StreamId;
use crate::keyspace::wait::{WaitClass, WaitKind};
use crate::resp::arguments::{Args, Request};
use crate::resp::reply::Reply;

use super::super::c_string;

/// What is read of one stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// The key is on a shard not in hand (a blocked command that runs again).
    Elsewhere,
    /// What comes after an ID; for a group the consumer's history.
    After(StreamId),
    /// What the group has not delivered yet (`>`).
    Undelivered,
}

pub(super) type Froms = SmallVec<[From; 4]>;

/// The arguments of XREAD and XREADGROUP.
pub(super) struct ReadRequest<'a> {
    /// Most entries of a stream (COUNT); none: all.
    pub(super) count: Option<usize>,
    /// Most entries of all streams (MAXCOUNT).
    count_in_all: Option<usize>,
    /// Bytes of the reply at which entries are held back (MAXSIZE).
    bytes_max: Option<usize>,
    /// `Some` with BLOCK; inside, when the wait ends.
    block: Option<Option<u64>>,
    pub(super) group: Option<(&'a [u8], &'a [u8])>,
    /// After how many idle milliseconds pending entries are taken over (CLAIM).
    pub(super) claim_ms: Option<u64>,
    pub(super) no_ack: bool,
    keys_at: usize,
    pub(super) key_count: usize,
}

/// A number above 0; `refusal` for one that is not.
fn positive(argument: &[u8], refusal: CommandError) -> Result<Option<usize>, CommandError> {
    let number = required_integer(argument)?;
    match usize::try_from(number) {
        Ok(number) if number > 0 => Ok(Some(number)),
        _ => Err(refusal),
    }
}

fn idle_time(argument: &[u8]) -> Result<u64, CommandError> {
    let idle_ms = integer(argument).ok_or(error::CLAIM_NOT_INTEGER)?;
    u64::try_from(idle_ms).map_err(|_| error::CLAIM_NEGATIVE)
}

impl<'a> ReadRequest<'a> {
    pub(super) fn parse(
        args: &Args<'a>,
        for_group: bool,
        now_ms: u64,
    ) -> Result<Self, CommandError> {
        let mut request = Self {
            count: None,
            count_in_all: None,
            bytes_max: None,
            block: None,
            group: None,
            claim_ms: None,
            no_ack: false,
            keys_at: 0,
            key_count: 0,
        };
        let mut at = 1;
        while at < args.len() && request.keys_at == 0 {
            at = request.option(args, at, for_group, now_ms)?;
        }
        if request.keys_at == 0 {
            return Err(error::SYNTAX);
        }
        if for_group && request.group.is_none() {
            return Err(error::MISSING_GROUP);
        }
        if let (Some(count), Some(in_all)) = (request.count, request.count_in_all)
            && in_all < count
        {
            return Err(error::MAXCOUNT_BELOW_COUNT);
        }
        Ok(request)
    }

    /// Reads the option at `at`; gives where the next one is.
    fn option(
        &mut self,
        args: &Args<'a>,
        at: usize,
        for_group: bool,
        now_ms: u64,
    ) -> Result<usize, CommandError> {
        let (argument, more) = (args.at(at), args.len() - 1 - at);
        if is(argument, "NOACK") {
            if !for_group {
                return Err(error::NOACK_IN_XREAD);
            }
            self.no_ack = true;
            return Ok(at + 1);
        }
        if more == 0 {
            return Err(error::SYNTAX);
        }
        let value = args.at(at + 1);
        if is(argument, "BLOCK") {
            self.block = Some(timeout_milliseconds(value, now_ms)?);
        } else if is(argument, "COUNT") {
            // Redis: a COUNT of 0 or less is none.
            let count = usize::try_from(required_integer(value)?).unwrap_or(0);
            self.count = (count > 0).then_some(count);
        } else if is(argument, "MAXCOUNT") {
            self.count_in_all = positive(value, error::MAXCOUNT_NOT_POSITIVE)?;
        } else if is(argument, "MAXSIZE") {
            self.bytes_max = positive(value, error::MAXSIZE_NOT_POSITIVE)?;
        } else if is(argument, "CLAIM") {
            if !for_group {
                return Err(error::CLAIM_IN_XREAD);
            }
            self.claim_ms = Some(idle_time(value)?);
        } else if is(argument, "STREAMS") {
            if more % 2 == 1 {
                return Err(error::unbalanced_streams(for_group));
            }
            self.keys_at = at + 1;
            self.key_count = more / 2;
        } else if more >= 2 && is(argument, "GROUP") {
            if !for_group {
                return Err(error::GROUP_IN_XREAD);
            }
            self.group = Some((value, args.at(at + 2)));
            return Ok(at + 3);
        } else {
            return Err(error::SYNTAX);
        }
        Ok(at + 2)
    }

    pub(super) fn key<'b>(&self, args: &Args<'b>, index: usize) -> &'b [u8] {
        args.at(self.keys_at + index)
    }

    pub(super) fn id_text<'b>(&self, args: &Args<'b>, index: usize) -> &'b [u8] {
        args.at(self.keys_at + self.key_count + index)
    }

    /// A script must not ask to wait.
    pub(super) fn check_in_script(
        &self,
        ctx: &Context<'_>,
        args: &Args<'_>,
    ) -> Result<(), CommandError> {
        if ctx.in_script && self.block.is_some() {
            return Err(error::block_in_script(args.at(0)));
        }
        Ok(())
    }

    /// Whether the client waits when there is nothing.
    pub(super) fn would_wait(&self, ctx: &Context<'_>) -> bool {
        self.block.is_some() && ctx.may_block
    }

    /// The answer when no stream has anything: null, or a wait.
    pub(super) fn wait(
        &self,
        ctx: &mut Context<'_>,
        args: &Args<'_>,
        from: &[From],
        alarms: Vec<(Box<[u8]>, u64)>,
    ) -> Outcome {
        ctx.reply.null_array();
        let Some(deadline_ms) = self.block.filter(|_| ctx.may_block) else {
            return Outcome::Done;
        };
        let ids_at = self.keys_at + self.key_count;
        let resolved: Vec<Vec<u8>> = args
            .iter()
            .enumerate()
            .map(
                |(at, argument)| match at.checked_sub(ids_at).map(|index| from[index]) {
                    Some(From::After(id)) if matches!(c_string(argument), b"$" | b"+") => {
                        id.text().as_bytes().to_vec()
                    }
                    _ => argument.to_vec(),
                },
            )
            .collect();
        let is_as_sent = args.iter().eq(resolved.iter().map(Vec::as_slice));
        let (kind, class) = match self.group {
            Some((name, _)) => {
                let class = WaitClass::Group {
                    name: name.into(),
                    claim_ms: self.claim_ms,
                };
                (WaitKind::StreamGroup, class)
            }
            // Each knows its own last ID.
            None => (WaitKind::Stream, WaitClass::Alone),
        };
        Outcome::Wait(Box::new(WaitFor {
            kind,
            class,
            keys: (0..self.key_count)
                .map(|index| self.key(args, index).into())
                .collect(),
            deadline_ms,
            request: Request::from_arguments(resolved.iter().map(Vec::as_slice)),
            as_sent: (!is_as_sent).then(|| Box::new(args.to_request())),
            destinations: Vec::new(),
            alarms,
        }))
    }
}

/// What room is left in a reply: MAXCOUNT, MAXSIZE. The first entry always finds room.
pub(super) struct Room {
    entries: usize,
    /// Length of the buffer at which it is full.
    end: usize,
    is_empty: bool,
}

impl Room {
    /// For a reply that begins here.
    pub(super) fn new(request: &ReadRequest<'_>, reply: &Reply) -> Self {
        let bytes = request.bytes_max.unwrap_or(usize::MAX);
        Self {
            entries: request.count_in_all.unwrap_or(usize::MAX),
            end: reply.len().saturating_add(bytes),
            is_empty: true,
        }
    }

    /// How many entries may follow, of a stream that gives at most `count`.
    pub(super) fn entries(&self, count: Option<usize>) -> usize {
        self.entries.min(count.unwrap_or(usize::MAX))
    }

    /// Whether each entry has to be measured: then it is written at once.
    pub(super) fn is_measured(&self) -> bool {
        self.end != usize::MAX
    }

    /// So many entries were written where none is measured.
    pub(super) fn take(&mut self, count: usize) {
        self.entries -= count;
        self.is_empty &= count == 0;
    }

    /// Writes an entry and takes it back when there is no room for it; then nothing fits any more.
    pub(super) fn fits(&mut self, reply: &mut Reply, write: impl FnOnce(&mut Reply)) -> bool {
        if self.entries == 0 {
            return false;
        }
        let mark = reply.mark();
        write(reply);
        if !self.is_empty && reply.len() > self.end {
            reply.truncate(mark);
            self.entries = 0;
            return false;
        }
        self.is_empty = false;
        self.entries -= 1;
        true
    }
}
