//! CLIENT TRACKING, CACHING, GETREDIR, TRACKINGINFO: what a client wants to be told of the keys it has read.
//!
//! Here only what it asks for is noted, in its tracker and in the registry of prefixes; readers are noted and told by the
//! shards (`shard/tracking.rs`). As in Redis a client that speaks RESP2 and redirects to nobody may track: it is told nothing.

use bytes::Bytes;

use crate::client::registry::ClientFlag;
use crate::command::args::{self, Cursor, is};
use crate::command::error::{self, CommandError};
use crate::command::{Context, Outcome};
use crate::ids::ClientId;
use crate::keyspace::tracking::TrackingOptions;
use crate::resp::arguments::Args;

use super::client::on_or_off;

/// What CLIENT TRACKING was told.
#[derive(Default)]
struct Wish {
    options: TrackingOptions,
    redirection: u64,
    prefixes: Vec<Bytes>,
}

impl Wish {
    fn parse(ctx: &Context<'_>, args: &Args<'_>) -> Result<Self, CommandError> {
        let mut wish = Self::default();
        let mut cursor = Cursor::new(args, 3);
        while let Some(option) = cursor.next() {
            if is(option, "redirect") && cursor.left() > 0 {
                if wish.redirection != 0 {
                    return Err(error::TRACKING_ONE_REDIRECT);
                }
                let id = args::required_integer(cursor.value()?)?;
                let client = u64::try_from(id)
                    .ok()
                    .and_then(|id| ctx.shared.clients.get(ClientId(id)));
                wish.redirection = client.ok_or(error::TRACKING_REDIRECT_GONE)?.id.0;
            } else if is(option, "prefix") && cursor.left() > 0 {
                wish.prefixes.push(Bytes::copy_from_slice(cursor.value()?));
            } else {
                wish.options = wish.options.and(mode(option).ok_or(error::SYNTAX)?);
            }
        }
        Ok(wish)
    }

    /// Whether its options go together, and with those the client has. Redis: in this order.
    fn check(&self, current: TrackingOptions) -> Result<(), CommandError> {
        let wants = |option| self.options.has(option);
        let broadcasts = wants(TrackingOptions::BROADCAST);
        if !self.prefixes.is_empty() && !broadcasts {
            return Err(error::TRACKING_PREFIX);
        }
        if current.has(TrackingOptions::ON) && current.has(TrackingOptions::BROADCAST) != broadcasts
        {
            return Err(error::TRACKING_BROADCAST_SWITCH);
        }
        let (opt_in, opt_out) = (
            wants(TrackingOptions::OPT_IN),
            wants(TrackingOptions::OPT_OUT),
        );
        if broadcasts && (opt_in || opt_out) {
            return Err(error::TRACKING_BROADCAST);
        }
        if opt_in && opt_out {
            return Err(error::TRACKING_OPT_BOTH);
        }
        if opt_in && current.has(TrackingOptions::OPT_OUT)
            || opt_out && current.has(TrackingOptions::OPT_IN)
        {
            return Err(error::TRACKING_OPT_SWITCH);
        }
        Ok(())
    }

    /// No prefix of a client may be the beginning of another. O(prefixes²), as many as one request has arguments at worst;
    /// sorted they meet only their neighbours.
    fn check_prefixes(&self, ctx: &Context<'_>) -> Result<(), CommandError> {
        let existing = &ctx.session.caching.prefixes;
        for prefix in &self.prefixes {
            if let Some(other) = overlapping(existing.iter(), prefix) {
                return Err(error::prefix_exists(prefix, other));
            }
        }
        let mut sorted: Vec<&Bytes> = self.prefixes.iter().collect();
        sorted.sort();
        let overlap = sorted.windows(2).any(|pair| pair[1].starts_with(pair[0]));
        if overlap {
            // Rare: found as Redis does, to name the pair that it names.
            for (at, prefix) in self.prefixes.iter().enumerate() {
                if let Some(other) = overlapping(self.prefixes[at + 1..].iter(), prefix) {
                    return Err(error::prefix_given_twice(prefix, other));
                }
            }
        }
        Ok(())
    }
}

fn overlapping<'p>(
    mut prefixes: impl Iterator<Item = &'p Bytes>,
    prefix: &Bytes,
) -> Option<&'p Bytes> {
    prefixes.find(|other| other.starts_with(prefix) || prefix.starts_with(other))
}

fn mode(option: &[u8]) -> Option<TrackingOptions> {
    let modes = [
        ("bcast", TrackingOptions::BROADCAST),
        ("optin", TrackingOptions::OPT_IN),
        ("optout", TrackingOptions::OPT_OUT),
        ("noloop", TrackingOptions::NO_LOOP),
    ];
    let mut modes = modes.into_iter();
    modes
        .find(|(name, _)| is(option, name))
        .map(|(_, mode)| mode)
}

pub(super) fn tracking(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let mut wish = Wish::parse(ctx, args)?;
    let shared = ctx.shared;
    if on_or_off(args.at(2))? {
        wish.check(ctx.session.handle.tracking())?;
        wish.check_prefixes(ctx)?;
        if wish.options.has(TrackingOptions::BROADCAST) && wish.prefixes.is_empty() {
            // All keys.
            wish.prefixes.push(Bytes::new());
        }
        if let Some(receiver) = shared.clients.get(ClientId(wish.redirection)) {
            receiver.set_flag(ClientFlag::TOLD_FOR_OTHERS, true);
        }
        let registry = &shared.tracking;
        registry.start(ctx.session, wish.options, wish.redirection, wish.prefixes);
    } else {
        shared.tracking.stop(ctx.session);
    }
    ctx.reply.ok();
    Ok(Outcome::Done)
}

pub(super) fn caching(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let options = ctx.session.handle.tracking();
    if !options.has(TrackingOptions::ON) {
        return Err(error::CACHING_WITHOUT_TRACKING);
    }
    let (needed, refusal) = if is(args.at(2), "yes") {
        (TrackingOptions::OPT_IN, error::CACHING_YES)
    } else if is(args.at(2), "no") {
        (TrackingOptions::OPT_OUT, error::CACHING_NO)
    } else {
        return Err(error::SYNTAX);
    };
    if !options.has(needed) {
        return Err(refusal);
    }
    ctx.session.caching.exception = true;
    ctx.reply.ok();
    Ok(Outcome::Done)
}

/// Who is told in its place: 0 for nobody, -1 without tracking.
fn redirection(ctx: &Context<'_>) -> i64 {
    match ctx.session.handle.tracker() {
        Some(tracker) if tracker.options().has(TrackingOptions::ON) => tracker.redirection() as i64,
        _ => -1,
    }
}

pub(super) fn get_redirection(
    ctx: &mut Context<'_>,
    _args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    let id = redirection(ctx);
    ctx.reply.integer(id);
    Ok(Outcome::Done)
}

pub(super) fn tracking_info(
    ctx: &mut Context<'_>,
    _args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    let options = ctx.session.handle.tracking();
    let exception = ctx.session.caching.exception;
    let (opt_in, opt_out) = (
        options.has(TrackingOptions::OPT_IN),
        options.has(TrackingOptions::OPT_OUT),
    );
    let is_on = options.has(TrackingOptions::ON);
    let flags: Vec<&str> = [
        (is_on, "on"),
        (!is_on, "off"),
        (options.has(TrackingOptions::BROADCAST), "bcast"),
        (opt_in, "optin"),
        (opt_in && exception, "caching-yes"),
        (opt_out, "optout"),
        (opt_out && exception, "caching-no"),
        (options.has(TrackingOptions::NO_LOOP), "noloop"),
        (options.has(TrackingOptions::BROKEN), "broken_redirect"),
    ]
    .into_iter()
    .filter_map(|(holds, name)| holds.then_some(name))
    .collect();
    let redirection = redirection(ctx);
    ctx.reply.map(3);
    ctx.reply.bulk(b"flags");
    ctx.reply.set(flags.len());
    for flag in flags {
        ctx.reply.bulk(flag.as_bytes());
    }
    ctx.reply.bulk(b"redirect");
    ctx.reply.integer(redirection);
    ctx.reply.bulk(b"prefixes");
    let prefixes = &ctx.session.caching.prefixes;
    ctx.reply.array(prefixes.len());
    for prefix in prefixes {
        ctx.reply.bulk(prefix);
    }
    Ok(Outcome::Done)
}
