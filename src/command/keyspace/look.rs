//! Keys looked at, whatever they hold.

use crate::client::session::ReplyMode;
use crate::command::context::{Context, Outcome, ShardAction};
use crate::command::error::CommandError;
use crate::command::random::Random;
use crate::keyspace::Database;
use crate::keyspace::walk::{WalkRequest, Wanted, is_live};
use crate::limits::{KEYS_AT_ONCE_MAX, WALKS_MAX};
use crate::pubsub::pattern::{self, Case};
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;

pub(super) fn exists(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let count = args
        .from(1)
        .filter(|key| ctx.space.look(key).is_some())
        .count();
    ctx.reply.count(count);
    Ok(Outcome::Done)
}

pub(super) fn type_of(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let entry = ctx.space.look(args.at(1));
    let name = entry.map_or("none", |entry| entry.value.value_type().name());
    ctx.reply.simple(name);
    Ok(Outcome::Done)
}

pub(super) fn touch(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    // Redis: TOUCH is an access also with CLIENT NO-TOUCH.
    let found = args.from(1).filter(|key| ctx.space.access(key).is_some());
    let count = found.count();
    ctx.reply.count(count);
    Ok(Outcome::Done)
}

pub(super) fn keys(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    if let Some(outcome) = walk_for_keys(ctx, args.at(1)) {
        return Ok(outcome);
    }
    let (db, now_ms, is_wanted) = (ctx.space.db, ctx.now_ms(), wanted(args.at(1)));
    let (mut found, mut count) = (Reply::new(ctx.reply.protocol()), 0);
    for database in ctx.space.databases(db) {
        let none_expires = database.expiring_count() == 0 && !database.has_ending_elements();
        for entry in database.table().iter() {
            if is_wanted(&entry.key) && (none_expires || is_live(entry, now_ms)) {
                found.bulk(&entry.key);
                count += 1;
            }
        }
    }
    ctx.reply.array(count);
    ctx.reply.append(found.take());
    Ok(Outcome::Done)
}

/// Whether KEYS gives a key.
fn wanted(pattern: &[u8]) -> Wanted {
    // Redis: `*` alone is every key, even the one with no name, which the glob does not match.
    if pattern == b"*" {
        return Box::new(|_| true);
    }
    match pattern::prefix_of(pattern).map(<[u8]>::to_vec) {
        Some(prefix) => Box::new(move |key| key.starts_with(&prefix)),
        None => {
            let pattern = pattern.to_vec();
            Box::new(move |key| pattern::matches(&pattern, key, Case::Sensitive))
        }
    }
}

/// Over very many keys KEYS holds nobody up: a walk begins here, in all keyspaces at once, and the shards go on with it.
fn walk_for_keys(ctx: &mut Context<'_>, pattern: &[u8]) -> Option<Outcome> {
    let can_wait = ctx.may_block && ctx.reply.slices() && ctx.session.reply_mode == ReplyMode::On;
    if !can_wait || key_count(ctx) <= KEYS_AT_ONCE_MAX || ctx.space.walk_count_max() >= WALKS_MAX {
        return None;
    }
    let (db, now_ms, client, home) = (ctx.space.db, ctx.now_ms(), ctx.session.id(), ctx.shard);
    let walks = ctx.space.begin_walks(|| WalkRequest {
        db,
        now_ms,
        client,
        home,
        wanted: wanted(pattern),
    });
    Some(Outcome::Ask(ShardAction::Walk(walks)))
}

pub(super) fn dbsize(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.count(key_count(ctx));
    Ok(Outcome::Done)
}

fn key_count(ctx: &Context<'_>) -> usize {
    let databases = ctx.space.databases(ctx.space.db);
    databases.map(|database| database.table().len()).sum()
}

fn all_expire(ctx: &Context<'_>) -> bool {
    let databases = ctx.space.databases(ctx.space.db);
    databases.map(Database::expiring_count).sum::<usize>() >= key_count(ctx)
}

/// How often RANDOMKEY chooses when CLIENT PAUSE may keep nothing but expired keys. Source: `dbRandomKey` of Redis.
const CHOICES_MAX: usize = 100;

/// Each keyspace is chosen as often as its share of the keys; a key that is chosen and turns out expired is removed, and
/// the choice made again. A pause keeps such keys: when there may be no others, one of them is named in the end.
pub(super) fn randomkey(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    let mut random = Random::new();
    let mut choices = 0;
    loop {
        let count = key_count(ctx);
        if count == 0 {
            ctx.reply.null();
            return Ok(Outcome::Done);
        }
        let mut rank = (random.next() % count as u64) as usize;
        let chosen = ctx.space.databases(ctx.space.db).find(|database| {
            let len = database.table().len();
            let chosen = rank < len;
            rank = rank.saturating_sub(len);
            chosen
        });
        let Some(database) = chosen else { continue };
        let entry = database.table().random(|| random.next());
        let Some(key) = entry.map(|entry| entry.key.clone()) else {
            continue;
        };
        choices += 1;
        if ctx.space.peek(&key).is_some() || choices >= CHOICES_MAX && all_expire(ctx) {
            ctx.reply.bulk(&key);
            return Ok(Outcome::Done);
        }
    }
}
