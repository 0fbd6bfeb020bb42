//! Users: made, changed, shown, deleted; read from and written to their file.

use std::sync::{Arc, MutexGuard, PoisonError};

use crate::acl::rules::Basis;
use crate::acl::selector::Selector;
use crate::acl::users::DEFAULT;
use crate::acl::{Rules, User, file, has_blank};
use crate::command::error::{self, CommandError};
use crate::command::permission::catalog;
use crate::command::{Context, Outcome, ShardAction, Shared};
use crate::ids::ClientId;
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;

fn basis(ctx: &Context<'_>) -> Basis<'static> {
    Basis {
        catalog: catalog(ctx.shared.commands),
        all_channels: ctx.settings.acl_pubsub_all,
    }
}

pub(super) fn set(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let name = args.at(2);
    if has_blank(name) {
        return Err(error::USER_NAME);
    }
    let words: Vec<&[u8]> = args.from(3).collect();
    let basis = basis(ctx);
    let changed = ctx.shared.users.change(name, |rules| match rules {
        Some(rules) => rules.changed(basis, &words),
        None => Rules::new(basis.all_channels).changed(basis, &words),
    });
    let changed = changed.map_err(|error| error::joined(&[b"ERR ", &error.text()]))?;
    ctx.reply.ok();
    let keeps = |before: &Arc<Rules>| changed.now.keeps_channels_of(before);
    if changed.before.as_ref().is_none_or(keeps) {
        return Ok(Outcome::Done);
    }
    let listeners = listeners_of(ctx, std::slice::from_ref(&changed.user));
    Ok(Outcome::Ask(ShardAction::Poke(listeners)))
}

/// The connections of these users: each is closed if it is subscribed to what it may not hear any more, or is about to be.
fn listeners_of(ctx: &mut Context<'_>, users: &[Arc<User>]) -> Vec<ClientId> {
    let mut listeners = Vec::new();
    for handle in ctx.shared.clients.all() {
        if !users.iter().any(|user| handle.is_user(user)) {
            continue;
        }
        if handle.id == ctx.session.id() {
            ctx.session.closing |= ctx.session.overhears();
        } else {
            listeners.push(handle.id);
        }
    }
    listeners
}

/// Marks the connections of deleted users to be closed; those of others, to be poked. The own one closes after the reply.
fn close_all_of(ctx: &mut Context<'_>, users: &[Arc<User>]) -> Vec<ClientId> {
    let mut closed = Vec::new();
    if users.is_empty() {
        return closed;
    }
    for handle in ctx.shared.clients.all() {
        if !users.iter().any(|user| handle.is_user(user)) {
            continue;
        }
        if handle.id == ctx.session.id() {
            ctx.session.closing = true;
        } else if handle.kill() {
            closed.push(handle.id);
        }
    }
    closed
}

pub(super) fn delete(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    if args.from(2).any(|name| name == DEFAULT) {
        return Err(error::DEFAULT_USER_STAYS);
    }
    let users = &ctx.shared.users;
    let deleted: Vec<_> = args.from(2).filter_map(|name| users.delete(name)).collect();
    ctx.reply.count(deleted.len());
    let closed = close_all_of(ctx, &deleted);
    Ok(Outcome::Ask(ShardAction::Poke(closed)))
}

pub(super) fn show(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let Some(user) = ctx.shared.users.get(args.at(2)) else {
        ctx.reply.null();
        return Ok(Outcome::Done);
    };
    let rules = user.rules();
    let reply = &mut *ctx.reply;
    reply.map(6);
    reply.bulk(b"flags");
    reply.set(rules.flags().count());
    rules.flags().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"passwords");
    reply.array(rules.passwords().len());
    for digest in rules.passwords() {
        reply.bulk(digest.to_string().as_bytes());
    }
    show_selector(reply, rules.root());
    reply.bulk(b"selectors");
    reply.array(rules.selectors().len());
    for selector in rules.selectors() {
        reply.map(3);
        show_selector(reply, selector);
    }
    Ok(Outcome::Done)
}

fn show_selector(reply: &mut Reply, selector: &Selector) {
    for (name, text) in [
        ("commands", selector.commands_text()),
        ("keys", selector.keys_text()),
        ("channels", selector.channels_text()),
    ] {
        reply.bulk(name.as_bytes());
        reply.bulk(&text);
    }
}

pub(super) fn list(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    let users = ctx.shared.users.list();
    ctx.reply.array(users.len());
    for user in users {
        ctx.reply.bulk(&file::line(user.name(), &user.rules()));
    }
    Ok(Outcome::Done)
}

pub(super) fn names(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    let names = ctx.shared.users.names();
    ctx.reply.array(names.len());
    names.iter().for_each(|name| ctx.reply.bulk(name));
    Ok(Outcome::Done)
}

/// Who reads or writes the file of users does so after the other.
fn hold_file(shared: &Shared) -> MutexGuard<'_, ()> {
    let file = shared.acl_file.lock();
    file.unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn load(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    let path = ctx.settings.aclfile.as_ref().ok_or(error::NO_ACL_FILE)?;
    let shown = path.as_os_str().as_encoded_bytes();
    let shared = ctx.shared;
    let process = shared.process.get().ok_or(error::NO_ACL_FILE)?;
    let _one_at_a_time = hold_file(shared);
    let text = process.read_users(path).map_err(|reason| {
        let reason = reason.into_bytes();
        let opening: &[u8] = b"ERR Error loading ACLs, opening file '";
        error::joined(&[opening, shown, b"': ", &reason])
    })?;
    let users = file::read(basis(ctx), shown, &text);
    let users = users.map_err(|errors| error::joined(&[b"ERR ", &errors]))?;
    let password = ctx.settings.requirepass.as_deref();
    let default = Rules::all_may().with_password(password);
    let before = ctx.shared.users.list();
    let gone = ctx.shared.users.replace_all(users, default);
    ctx.reply.ok();
    let mut poked = close_all_of(ctx, &gone);
    poked.extend(listeners_of(ctx, &before));
    Ok(Outcome::Ask(ShardAction::Poke(poked)))
}

pub(super) fn save(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    let path = ctx.settings.aclfile.as_ref().ok_or(error::NO_ACL_FILE)?;
    let process = ctx.shared.process.get().ok_or(error::NO_ACL_FILE)?;
    let _one_at_a_time = hold_file(ctx.shared);
    let users = ctx.shared.users.list();
    let text = file::write(users.iter().map(Arc::as_ref));
    let written = process.write_users(path, &text);
    written.map_err(|_| error::ACL_SAVE_FAILED)?;
    ctx.reply.ok();
    Ok(Outcome::Done)
}
