//! Keys looked at, whatever they hold.

use std::hash::{BuildHasher as _, RandomState};

use crate::command::context::{Context, Outcome};
use crate::command::error::CommandError;
use crate::keyspace::Keyspace;
use crate::keyspace::table::Entry;
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
    let (db, now_ms) = (ctx.space.db, ctx.now_ms());
    let mut count = 0;
    for key in args.from(1) {
        // Redis: TOUCH is an access also with CLIENT NO-TOUCH.
        let found = ctx.space.of(key).read(db, key, now_ms, true).is_some();
        count += usize::from(found);
    }
    ctx.reply.count(count);
    Ok(Outcome::Done)
}

/// Whether a key met in a walk is still there for clients. Redis leaves its removal to others.
fn is_live(entry: &Entry, now_ms: u64) -> bool {
    entry.expiry().is_none_or(|at| now_ms <= at)
}

pub(super) fn keys(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (db, now_ms, wanted) = (ctx.space.db, ctx.now_ms(), args.at(1));
    let (mut found, mut count) = (Reply::new(ctx.reply.protocol()), 0);
    // Redis: `*` alone is every key, even the one with no name, which the glob does not match.
    let is_all = wanted == b"*";
    let prefix = pattern::prefix_of(wanted);
    if is_all {
        found.reserve(key_count(ctx) * KEY_REPLY_BYTES);
    }
    for keyspace in ctx.space.keyspaces() {
        let database = keyspace.database(db);
        let none_expires = database.expiring_count() == 0;
        for entry in database.table().iter() {
            let matches = match prefix {
                _ if is_all => true,
                Some(prefix) => entry.key.starts_with(prefix),
                None => pattern::matches(wanted, &entry.key, Case::Sensitive),
            };
            if matches && (none_expires || is_live(entry, now_ms)) {
                found.bulk(&entry.key);
                count += 1;
            }
        }
    }
    ctx.reply.array_of(count, found);
    Ok(Outcome::Done)
}

/// Room for each key in the reply to `KEYS *`, bytes: more is made when it is needed.
const KEY_REPLY_BYTES: usize = 24;

pub(super) fn dbsize(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.count(key_count(ctx));
    Ok(Outcome::Done)
}

fn key_count(ctx: &Context<'_>) -> usize {
    ctx.space
        .keyspaces()
        .map(|keyspace| keyspace.database(ctx.space.db).table().len())
        .sum()
}

fn all_expire(ctx: &Context<'_>) -> bool {
    let expiring = |keyspace: &Keyspace| keyspace.database(ctx.space.db).expiring_count();
    ctx.space.keyspaces().map(expiring).sum::<usize>() >= key_count(ctx)
}

/// How often RANDOMKEY chooses when CLIENT PAUSE may keep nothing but expired keys. Source: `dbRandomKey` of Redis.
const CHOICES_MAX: usize = 100;

/// Each keyspace is chosen as often as its share of the keys; a key that is chosen and turns out expired is removed, and
/// the choice made again. A pause keeps such keys: when there may be no others, one of them is named in the end.
pub(super) fn randomkey(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (db, now_ms) = (ctx.space.db, ctx.now_ms());
    let mut random = Random::new();
    let mut choices = 0;
    loop {
        let count = key_count(ctx);
        if count == 0 {
            ctx.reply.null();
            return Ok(Outcome::Done);
        }
        let mut rank = (random.next() % count as u64) as usize;
        let chosen = ctx.space.keyspaces_mut().find(|keyspace| {
            let len = keyspace.database(db).table().len();
            let chosen = rank < len;
            rank = rank.saturating_sub(len);
            chosen
        });
        let Some(keyspace) = chosen else { continue };
        let entry = keyspace.database(db).table().random(|| random.next());
        let Some(key) = entry.map(|entry| entry.key.clone()) else {
            continue;
        };
        choices += 1;
        if keyspace.peek(db, &key, now_ms).is_some() || choices >= CHOICES_MAX && all_expire(ctx) {
            ctx.reply.bulk(&key);
            return Ok(Outcome::Done);
        }
    }
}

/// Splitmix64, seeded anew for each command. Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators".
struct Random(u64);

impl Random {
    fn new() -> Self {
        Self(RandomState::new().hash_one(0))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
