//! AUTH, HELLO, RESET: who the client is and what it speaks.
//!
//! AUTH with the password alone is for the user `default`. Where that has none, any password is right for it, as in Redis; AUTH with the
//! password alone is then an error, since it shows a misconfiguration.

use bytes::Bytes;

use crate::acl::users::DEFAULT;
use crate::client::registry::ClientFlag;
use crate::client::session::{CopyTerms, ReplyMode};
use crate::command::args::{self, Cursor, is};
use crate::command::context::{ShardAction, SubscriptionChange};
use crate::command::error::{self, CommandError};
use crate::command::permission;
use crate::command::{Context, Outcome};
use crate::observe::logins::host_of;
use crate::pubsub::registry::ChannelKind;
use crate::resp::Protocol;
use crate::resp::arguments::Args;

use super::client::is_printable_word;

/// Makes the client the user, or counts and notes the attempt.
fn log_in(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    name: &[u8],
    password: &[u8],
) -> Result<(), CommandError> {
    let Some(user) = ctx.shared.users.log_in(name, password) else {
        let failed = &ctx.shared.observations.failed_logins;
        failed.note(host_of(&ctx.session.handle.address));
        permission::note_login(ctx.shared, (ctx.session, ctx.now_ms()), args, name);
        ctx.session.fail_login(ctx.settings.auth_failure_delay_ms);
        return Err(error::WRONG_PASSWORD);
    };
    let limit = ctx.settings.maxclients_per_user;
    if ctx.session.log_in(&user, limit) {
        return Ok(());
    }
    let beyond_limit = &ctx.shared.observations.logins_beyond_limit;
    beyond_limit.note_user(user.name());
    Err(error::TOO_MANY_CLIENTS_OF_USER)
}

pub(super) fn auth(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (user, password) = match args.len() {
        2 if ctx.shared.users.default().rules().has_no_password() => {
            return Err(error::AUTH_WITHOUT_PASSWORD);
        }
        2 => (DEFAULT, args.at(1)),
        3 => (args.at(1), args.at(2)),
        _ => return Err(error::SYNTAX),
    };
    log_in(ctx, args, user, password)?;
    ctx.reply.ok();
    Ok(Outcome::Done)
}

/// What HELLO asks for.
#[derive(Default)]
struct Greeting<'a> {
    protocol: Option<Protocol>,
    login: Option<(&'a [u8], &'a [u8])>,
    name: Option<&'a [u8]>,
}

fn greeting<'a>(args: &Args<'a>) -> Result<Greeting<'a>, CommandError> {
    let mut greeting = Greeting::default();
    let mut cursor = Cursor::new(args, 1);
    let Some(version) = cursor.next() else {
        return Ok(greeting);
    };
    greeting.protocol = match args::integer(version) {
        None => return Err(error::HELLO_VERSION_NOT_INTEGER),
        Some(2) => Some(Protocol::Resp2),
        Some(3) => Some(Protocol::Resp3),
        Some(_) => return Err(error::HELLO_VERSION),
    };
    while let Some(option) = cursor.next() {
        if is(option, "auth") && cursor.left() >= 2 {
            greeting.login = Some((cursor.value()?, cursor.value()?));
        } else if is(option, "setname") && cursor.left() >= 1 {
            let name = cursor.value()?;
            if !is_printable_word(name) {
                return Err(error::CLIENT_NAME);
            }
            greeting.name = Some(name);
        } else {
            return Err(error::hello_option(option));
        }
    }
    Ok(greeting)
}

pub(super) fn hello(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let greeting = greeting(args)?;
    if let Some((user, password)) = greeting.login {
        log_in(ctx, args, user, password)?;
    }
    if !ctx.session.authenticated && !ctx.shared.users.are_open() {
        return Err(error::HELLO_NO_AUTH);
    }
    if let Some(name) = greeting.name {
        let name = Bytes::copy_from_slice(name);
        ctx.session.handle.set_names(|names| names.name = name);
    }
    if let Some(protocol) = greeting.protocol {
        ctx.session.set_protocol(protocol);
        ctx.reply.set_protocol(protocol);
    }
    let reply = &mut *ctx.reply;
    reply.map(7);
    reply.bulk(b"server");
    reply.bulk(b"redis");
    reply.bulk(b"version");
    reply.bulk(crate::REDIS_VERSION.as_bytes());
    reply.bulk(b"proto");
    reply.integer(if reply.is_resp3() { 3 } else { 2 });
    reply.bulk(b"id");
    reply.integer(ctx.session.id().0 as i64);
    reply.bulk(b"mode");
    reply.bulk(b"standalone");
    reply.bulk(b"role");
    reply.bulk(b"master");
    reply.bulk(b"modules");
    reply.array(0);
    Ok(Outcome::Done)
}

/// All subscriptions end without a confirmation; the shard forgets them, and that this client monitors.
pub(super) fn reset(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    let subscriptions = std::mem::take(&mut ctx.session.subscriptions);
    let mut changes = Vec::new();
    for (kind, names) in [
        (ChannelKind::Channel, subscriptions.channels),
        (ChannelKind::Pattern, subscriptions.patterns),
        (ChannelKind::Shard, subscriptions.shard_channels),
    ] {
        for name in names {
            ctx.shared.channels.unsubscribe(kind, &name, ctx.shard);
            changes.push(SubscriptionChange {
                kind,
                name,
                subscribed: false,
            });
        }
    }
    let shared = ctx.shared;
    let session = &mut *ctx.session;
    shared.tracking.stop(session);
    session.transaction.clear();
    session.copy_terms = CopyTerms::default();
    session.select(0);
    session.set_protocol(Protocol::Resp2);
    session.begin_as(shared.users.default());
    session.reply_mode = ReplyMode::On;
    session.no_touch = false;
    let was_monitoring = std::mem::take(&mut session.monitoring);
    session.handle.set_flag(ClientFlag::NO_EVICT, false);
    session.handle.set_names(|names| names.name = Bytes::new());
    session.mirror();
    ctx.reply.set_protocol(Protocol::Resp2);
    ctx.reply.simple("RESET");
    Ok(Outcome::Ask(if was_monitoring {
        ShardAction::StopMonitoring(changes)
    } else {
        ShardAction::Subscriptions(changes)
    }))
}
