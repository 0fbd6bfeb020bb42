//! Publish/subscribe: who listens to what, and messages to them.
//!
//! A handler keeps the session and the registry of the process; the shard keeps its own list of subscribers
//! ([`ShardAction::Subscriptions`]) and sends what is published ([`ShardAction::Publish`]).

use bytes::Bytes;

use crate::data::names::Name;

use crate::client::session::Session;
use crate::pubsub::registry::ChannelKind;
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;

use super::context::{Context, Outcome, ShardAction, SubscriptionChange};
use super::error::{self, CommandError};
use super::spec::{Command, Flags, KeyFlags, KeySpec};

const SUBSCRIBE_FLAGS: &[Flags] = &[
    Flags::PUBSUB,
    Flags::NOSCRIPT,
    Flags::LOADING,
    Flags::STALE,
    Flags::WHILE_SUBSCRIBED,
];
const PUBLISH_FLAGS: &[Flags] = &[
    Flags::PUBSUB,
    Flags::LOADING,
    Flags::STALE,
    Flags::FAST,
    Flags::MAY_REPLICATE,
];
const QUERY_FLAGS: &[Flags] = &[Flags::PUBSUB, Flags::LOADING, Flags::STALE];
const SHARD_CHANNELS: &[KeySpec] = &[KeySpec::range(KeyFlags::NOT_KEY, 1, -1, 1)];

/// The family's rows.
pub(crate) static COMMANDS: &[Command] = &[
    Command::new("subscribe", "channel [channel ...]", subscribe)
        .arity(-2)
        .flags(SUBSCRIBE_FLAGS)
        .docs(
            "2.0.0",
            "pubsub",
            "O(N) for N channels.",
            "Listens for messages on channels.",
        ),
    Command::new("unsubscribe", "[channel [channel ...]]", unsubscribe)
        .arity(-1)
        .flags(SUBSCRIBE_FLAGS)
        .docs(
            "2.0.0",
            "pubsub",
            "O(N) for N channels.",
            "Stops listening to channels, or to all of them.",
        ),
    Command::new("psubscribe", "pattern [pattern ...]", psubscribe)
        .arity(-2)
        .flags(SUBSCRIBE_FLAGS)
        .docs(
            "2.0.0",
            "pubsub",
            "O(N) for N patterns.",
            "Listens for messages on channels that match patterns.",
        ),
    Command::new("punsubscribe", "[pattern [pattern ...]]", punsubscribe)
        .arity(-1)
        .flags(SUBSCRIBE_FLAGS)
        .docs(
            "2.0.0",
            "pubsub",
            "O(N) for N patterns.",
            "Stops listening to patterns, or to all of them.",
        ),
    Command::new("ssubscribe", "shardchannel [shardchannel ...]", ssubscribe)
        .arity(-2)
        .flags(SUBSCRIBE_FLAGS)
        .keys(SHARD_CHANNELS)
        .docs(
            "7.0.0",
            "pubsub",
            "O(N) for N shard channels.",
            "Listens for messages on shard channels.",
        ),
    Command::new(
        "sunsubscribe",
        "[shardchannel [shardchannel ...]]",
        sunsubscribe,
    )
    .arity(-1)
    .flags(SUBSCRIBE_FLAGS)
    .keys(SHARD_CHANNELS)
    .docs(
        "7.0.0",
        "pubsub",
        "O(N) for N shard channels.",
        "Stops listening to shard channels, or to all of them.",
    ),
    Command::new("publish", "channel message", publish)
        .arity(3)
        .flags(PUBLISH_FLAGS)
        .docs(
            "2.0.0",
            "pubsub",
            "O(N+M) for N subscribers and M patterns.",
            "Sends a message to the listeners of a channel.",
        ),
    Command::new("spublish", "shardchannel message", spublish)
        .arity(3)
        .flags(PUBLISH_FLAGS)
        .keys(&[KeySpec::one(KeyFlags::NOT_KEY, 1)])
        .docs(
            "7.0.0",
            "pubsub",
            "O(N) for N subscribers.",
            "Sends a message to the listeners of a shard channel.",
        ),
    Command::new("pubsub", "", unreachable_container)
        .arity(-2)
        .docs(
            "2.8.0",
            "pubsub",
            "Depends on the subcommand.",
            "Container of the commands that ask about subscriptions.",
        )
        .subcommands(&[
            Command::new("channels", "[pattern]", channels)
                .arity(-2)
                .flags(QUERY_FLAGS)
                .docs(
                    "2.8.0",
                    "pubsub",
                    "O(N) for N channels.",
                    "Lists the channels that somebody listens to.",
                ),
            Command::new("numsub", "[channel [channel ...]]", numsub)
                .arity(-2)
                .flags(QUERY_FLAGS)
                .docs(
                    "2.8.0",
                    "pubsub",
                    "O(N) for N channels.",
                    "Counts the listeners of channels.",
                ),
            Command::new("numpat", "", numpat)
                .arity(2)
                .flags(QUERY_FLAGS)
                .docs(
                    "2.8.0",
                    "pubsub",
                    "O(1)",
                    "Counts the patterns that somebody listens to.",
                ),
            Command::new("shardchannels", "[pattern]", shardchannels)
                .arity(-2)
                .flags(QUERY_FLAGS)
                .docs(
                    "7.0.0",
                    "pubsub",
                    "O(N) for N shard channels.",
                    "Lists the shard channels that somebody listens to.",
                ),
            Command::new(
                "shardnumsub",
                "[shardchannel [shardchannel ...]]",
                shardnumsub,
            )
            .arity(-2)
            .flags(QUERY_FLAGS)
            .docs(
                "7.0.0",
                "pubsub",
                "O(N) for N shard channels.",
                "Counts the listeners of shard channels.",
            ),
            Command::new("help", "", help)
                .arity(2)
                .flags(&[Flags::LOADING, Flags::STALE])
                .docs("6.2.0", "pubsub", "O(1)", "Describes the subcommands."),
        ]),
];

/// The wire name of making (`subscribe`) and ending a subscription, by name space.
fn verbs(kind: ChannelKind) -> (&'static [u8], &'static [u8]) {
    match kind {
        ChannelKind::Channel => (b"subscribe", b"unsubscribe"),
        ChannelKind::Pattern => (b"psubscribe", b"punsubscribe"),
        ChannelKind::Shard => (b"ssubscribe", b"sunsubscribe"),
    }
}

/// The count that a confirmation tells: channels and patterns together, shard channels apart.
fn told_count(session: &Session, kind: ChannelKind) -> i64 {
    let subscriptions = &session.subscriptions;
    match kind {
        ChannelKind::Shard => subscriptions.shard_channels.len() as i64,
        ChannelKind::Channel | ChannelKind::Pattern => subscriptions.count() as i64,
    }
}

fn confirm(reply: &mut Reply, verb: &[u8], name: Option<&[u8]>, count: i64) {
    reply.push(3);
    reply.bulk(verb);
    match name {
        Some(name) => reply.bulk(name),
        None => reply.null(),
    }
    reply.integer(count);
}

fn names(session: &mut Session, kind: ChannelKind) -> &mut std::collections::BTreeSet<Name> {
    match kind {
        ChannelKind::Channel => &mut session.subscriptions.channels,
        ChannelKind::Pattern => &mut session.subscriptions.patterns,
        ChannelKind::Shard => &mut session.subscriptions.shard_channels,
    }
}

fn subscribe_to(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    kind: ChannelKind,
) -> Result<Outcome, CommandError> {
    let mut changes = Vec::new();
    for name in args.from(1) {
        let name = Name::from(name);
        if names(ctx.session, kind).insert(Name::clone(&name)) {
            ctx.shared.channels.subscribe(kind, &name, ctx.shard);
            changes.push(SubscriptionChange {
                kind,
                name: name.clone(),
                subscribed: true,
            });
        }
        let count = told_count(ctx.session, kind);
        confirm(ctx.reply, verbs(kind).0, Some(&name), count);
    }
    ctx.session.mirror();
    Ok(Outcome::Ask(ShardAction::Subscriptions(changes)))
}

fn unsubscribe_from(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    kind: ChannelKind,
) -> Result<Outcome, CommandError> {
    let verb = verbs(kind).1;
    let wanted: Vec<Name> = if args.len() > 1 {
        args.from(1).map(Name::from).collect()
    } else {
        names(ctx.session, kind).iter().cloned().collect()
    };
    let mut changes = Vec::new();
    for name in &wanted {
        if names(ctx.session, kind).remove(name) {
            ctx.shared.channels.unsubscribe(kind, name, ctx.shard);
            changes.push(SubscriptionChange {
                kind,
                name: name.clone(),
                subscribed: false,
            });
        }
        let count = told_count(ctx.session, kind);
        confirm(ctx.reply, verb, Some(name), count);
    }
    if wanted.is_empty() {
        // Redis answers once even when there was nothing to end.
        let count = told_count(ctx.session, kind);
        confirm(ctx.reply, verb, None, count);
    }
    ctx.session.mirror();
    Ok(Outcome::Ask(ShardAction::Subscriptions(changes)))
}

fn subscribe(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    subscribe_to(ctx, args, ChannelKind::Channel)
}

fn unsubscribe(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    unsubscribe_from(ctx, args, ChannelKind::Channel)
}

fn psubscribe(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    subscribe_to(ctx, args, ChannelKind::Pattern)
}

fn punsubscribe(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    unsubscribe_from(ctx, args, ChannelKind::Pattern)
}

fn ssubscribe(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    // Unlike the other two it is refused in a transaction.
    if !ctx.may_block {
        return Err(error::SSUBSCRIBE_DENIED);
    }
    subscribe_to(ctx, args, ChannelKind::Shard)
}

fn sunsubscribe(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    unsubscribe_from(ctx, args, ChannelKind::Shard)
}

fn publish_to(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    kind: ChannelKind,
) -> Result<Outcome, CommandError> {
    let receivers = ctx.shared.channels.targets(kind, args.at(1)).receivers;
    ctx.reply.count(receivers);
    if receivers == 0 {
        return Ok(Outcome::Done);
    }
    let channel = Bytes::copy_from_slice(args.at(1));
    let payload = Bytes::copy_from_slice(args.at(2));
    Ok(Outcome::Ask(ShardAction::Publish {
        kind,
        channel,
        payload,
    }))
}

fn publish(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    publish_to(ctx, args, ChannelKind::Channel)
}

fn spublish(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    publish_to(ctx, args, ChannelKind::Shard)
}

fn list_channels(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    kind: ChannelKind,
) -> Result<Outcome, CommandError> {
    if args.len() > 3 {
        return Err(error::wrong_subcommand("pubsub", args.at(1)));
    }
    let names = ctx.shared.channels.active(kind, args.get(2));
    ctx.reply.array(names.len());
    for name in names {
        ctx.reply.bulk(&name);
    }
    Ok(Outcome::Done)
}

fn channels(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    list_channels(ctx, args, ChannelKind::Channel)
}

fn shardchannels(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    list_channels(ctx, args, ChannelKind::Shard)
}

fn count_listeners(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    kind: ChannelKind,
) -> Result<Outcome, CommandError> {
    ctx.reply.array(2 * (args.len() - 2));
    for name in args.from(2) {
        ctx.reply.bulk(name);
        ctx.reply.count(ctx.shared.channels.subscribers(kind, name));
    }
    Ok(Outcome::Done)
}

fn numsub(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    count_listeners(ctx, args, ChannelKind::Channel)
}

fn shardnumsub(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    count_listeners(ctx, args, ChannelKind::Shard)
}

fn numpat(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply
        .count(ctx.shared.channels.name_count(ChannelKind::Pattern));
    Ok(Outcome::Done)
}

fn help(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.lines(&[
        "PUBSUB <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CHANNELS [<pattern>]",
        "    Channels that somebody listens to, all or those that match (default: '*').",
        "NUMPAT",
        "    How many patterns somebody listens to.",
        "NUMSUB [<channel> ...]",
        "    How many listen to each of the channels, patterns left out.",
        "SHARDCHANNELS [<pattern>]",
        "    Shard channels that somebody listens to, all or those that match (default: '*').",
        "SHARDNUMSUB [<shardchannel> ...]",
        "    How many listen to each of the shard channels.",
        "HELP",
        "    This text.",
    ]);
    Ok(Outcome::Done)
}

/// A container never runs: its arity asks for a subcommand.
fn unreachable_container(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    Err(super::error::unknown_subcommand(
        ctx.row.command.name,
        args.at(1),
    ))
}
