//! CLIENT KILL and CLIENT UNBLOCK: other connections, by their handles.
//!
//! The handle is marked here; the owner's shard acts when it is poked. Killing oneself closes after the reply.

use std::sync::Arc;

use crate::acl::{User, Users};
use crate::client::registry::{ClientHandle, Unblock};
use crate::command::args::{self, Cursor, is};
use crate::command::error::{self, CommandError};
use crate::command::{Context, Outcome, ShardAction};
use crate::ids::ClientId;
use crate::resp::arguments::Args;

use super::list::ClientType;

/// The grammar of CLIENT KILL.
pub(super) const KILL_SYNTAX: &str = "filter:<old-format=ip:port~2.8.12 | new-format:<[ID client-id@2.8.12] | \
     [TYPE client-type@2.8.12:<NORMAL | MASTER@3.2.0 | SLAVE | REPLICA@5.0.0 | PUBSUB>] | [USER username] | [ADDR addr=ip:port] | \
     [LADDR laddr=ip:port@6.2.0] | [SKIPME skipme:<YES | NO>] | [MAXAGE maxage@7.4.0]> ...>";

/// Whom to kill: all conditions must hold.
struct Filter<'a> {
    id: Option<u64>,
    kind: Option<ClientType>,
    address: Option<&'a [u8]>,
    local_address: Option<&'a [u8]>,
    age_min_s: Option<u64>,
    user: Option<Arc<User>>,
    skip_self: bool,
}

impl<'a> Filter<'a> {
    const ALL: Self = Self {
        id: None,
        kind: None,
        address: None,
        local_address: None,
        age_min_s: None,
        user: None,
        skip_self: true,
    };

    fn parse(args: &Args<'a>, users: &Users) -> Result<Self, CommandError> {
        let mut filter = Self::ALL;
        let mut cursor = Cursor::new(args, 2);
        while let Some(option) = cursor.next() {
            let value = cursor.value()?;
            if is(option, "id") {
                filter.id = Some(positive(value).ok_or(error::CLIENT_ID_NOT_POSITIVE)?);
            } else if is(option, "type") {
                filter.kind = Some(ClientType::parse(value)?);
            } else if is(option, "addr") {
                filter.address = Some(value);
            } else if is(option, "laddr") {
                filter.local_address = Some(value);
            } else if is(option, "user") {
                let user = users.get(value);
                filter.user = Some(user.ok_or_else(|| error::no_such_user(value))?);
            } else if is(option, "maxage") {
                if args::integer(value).is_none() {
                    return Err(error::MAXAGE_NOT_INTEGER);
                }
                filter.age_min_s = Some(positive(value).ok_or(error::MAXAGE_NOT_POSITIVE)?);
            } else if is(option, "skipme") && (is(value, "yes") || is(value, "no")) {
                filter.skip_self = is(value, "yes");
            } else {
                return Err(error::SYNTAX);
            }
        }
        Ok(filter)
    }

    fn fits(&self, handle: &ClientHandle, now_ms: u64) -> bool {
        let age_s = now_ms.saturating_sub(handle.created_ms) / 1000;
        self.id.is_none_or(|id| id == handle.id.0)
            && self.kind.is_none_or(|kind| kind == ClientType::of(handle))
            && self
                .address
                .is_none_or(|address| address == handle.address.as_bytes())
            && self
                .local_address
                .is_none_or(|address| address == handle.local_address.as_bytes())
            && self.user.as_ref().is_none_or(|user| handle.is_user(user))
            && self.age_min_s.is_none_or(|age_min_s| age_s >= age_min_s)
    }
}

fn positive(text: &[u8]) -> Option<u64> {
    args::integer(text)
        .and_then(|value| u64::try_from(value).ok())
        .filter(|value| *value > 0)
}

/// Marks all that fit. Gives how many were not marked before, the own connection included, and what the shards are to do: also who
/// was killed by somebody else may still have its socket.
fn kill_fitting(ctx: &mut Context<'_>, filter: &Filter<'_>) -> (usize, ShardAction) {
    let (own, now_ms) = (ctx.session.id(), ctx.now_ms());
    let candidates = match filter.id {
        Some(id) => ctx.shared.clients.get(ClientId(id)).into_iter().collect(),
        None => ctx.shared.clients.all(),
    };
    let (mut count, mut others) = (0, Vec::new());
    for handle in candidates {
        if !filter.fits(&handle, now_ms) {
            continue;
        }
        if handle.id == own {
            if !filter.skip_self {
                ctx.session.closing = true;
                count += 1;
            }
        } else {
            count += usize::from(handle.kill());
            others.push(handle.id);
        }
    }
    let action = if count == 0 && others.is_empty() {
        ShardAction::CloseGone
    } else {
        ShardAction::Poke(others)
    };
    (count, action)
}

pub(super) fn kill(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let action = if args.len() == 3 {
        let filter = Filter {
            address: Some(args.at(2)),
            skip_self: false,
            ..Filter::ALL
        };
        let (count, action) = kill_fitting(ctx, &filter);
        if count == 0 {
            return Err(error::NO_SUCH_CLIENT);
        }
        ctx.reply.ok();
        action
    } else {
        let filter = Filter::parse(args, &ctx.shared.users)?;
        let (count, action) = kill_fitting(ctx, &filter);
        ctx.reply.count(count);
        action
    };
    Ok(Outcome::Ask(action))
}

pub(super) fn unblock(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    if args.len() > 4 {
        return Err(error::wrong_subcommand("client", args.at(1)));
    }
    let how = match args.get(3) {
        Some(reason) if is(reason, "error") => Unblock::Error,
        Some(reason) if !is(reason, "timeout") => return Err(error::UNBLOCK_REASON),
        _ => Unblock::Timeout,
    };
    let id = args::required_integer(args.at(2))?;
    let handle = u64::try_from(id)
        .ok()
        .and_then(|id| ctx.shared.clients.get(ClientId(id)));
    match handle {
        Some(handle) if handle.unblock(how) => {
            ctx.reply.integer(1);
            Ok(Outcome::Ask(ShardAction::Poke(vec![handle.id])))
        }
        _ => {
            ctx.reply.integer(0);
            Ok(Outcome::Done)
        }
    }
}
