//! CLUSTER and its connection modes, as a server answers that is in no cluster.

use crate::command::error::{self, CommandError};
use crate::command::{Command, Context, Flags, Outcome};
use crate::resp::arguments::Args;

const ADMIN: &[Flags] = &[Flags::NO_ASYNC_LOADING, Flags::ADMIN, Flags::STALE];
const ADMIN_QUERY: &[Flags] = &[Flags::ADMIN, Flags::STALE];
const QUERY: &[Flags] = &[Flags::STALE];
const LOADING_QUERY: &[Flags] = &[Flags::LOADING, Flags::STALE];
const CHANGING: &[&str] = &["nondeterministic_output"];

const fn row(
    name: &'static str,
    syntax: &'static str,
    arity: i32,
    flags: &'static [Flags],
    since: &'static str,
    summary: &'static str,
) -> Command {
    Command::new(name, syntax, disabled)
        .arity(arity)
        .flags(flags)
        .docs(since, "cluster", "O(1)", summary)
}

/// The rows.
pub(crate) static COMMANDS: &[Command] = &[
    Command::new("cluster", "", super::unreachable_container)
        .arity(-2)
        .docs(
            "3.0.0",
            "cluster",
            "Depends on the subcommand.",
            "Container of the commands about the cluster.",
        )
        .subcommands(SUBCOMMANDS),
    Command::new("asking", "", disabled)
        .arity(1)
        .flags(&[Flags::FAST])
        .categories(&["connection"])
        .docs(
            "3.0.0",
            "cluster",
            "O(1)",
            "Allows the next command on a slot that moves here.",
        ),
    Command::new("readonly", "", disabled)
        .arity(1)
        .flags(&[Flags::FAST, Flags::LOADING, Flags::STALE])
        .categories(&["connection"])
        .docs(
            "3.0.0",
            "cluster",
            "O(1)",
            "Allows reads from a replica of the cluster.",
        ),
    Command::new("readwrite", "", disabled)
        .arity(1)
        .flags(&[Flags::FAST, Flags::LOADING, Flags::STALE])
        .categories(&["connection"])
        .docs(
            "3.0.0",
            "cluster",
            "O(1)",
            "Ends reads from a replica of the cluster.",
        ),
];

const SUBCOMMANDS: &[Command] = &[
    row(
        "addslots",
        "slot [slot ...]",
        -3,
        ADMIN,
        "3.0.0",
        "Takes slots.",
    ),
    row(
        "addslotsrange",
        "range:<start-slot end-slot> ...",
        -4,
        ADMIN,
        "7.0.0",
        "Takes ranges of slots.",
    ),
    row("bumpepoch", "", 2, ADMIN, "3.0.0", "Raises the epoch.").tips(CHANGING),
    row(
        "count-failure-reports",
        "node-id",
        3,
        ADMIN_QUERY,
        "3.0.0",
        "Counts who reports a node as failed.",
    )
    .tips(CHANGING),
    row(
        "countkeysinslot",
        "slot",
        3,
        QUERY,
        "3.0.0",
        "Counts the keys of a slot.",
    ),
    row(
        "delslots",
        "slot [slot ...]",
        -3,
        ADMIN,
        "3.0.0",
        "Gives slots up.",
    ),
    row(
        "delslotsrange",
        "range:<start-slot end-slot> ...",
        -4,
        ADMIN,
        "7.0.0",
        "Gives ranges of slots up.",
    ),
    row(
        "failover",
        "[options:<FORCE | TAKEOVER>]",
        -2,
        ADMIN,
        "3.0.0",
        "Makes a replica the primary.",
    ),
    row("flushslots", "", 2, ADMIN, "3.0.0", "Gives all slots up."),
    row("forget", "node-id", 3, ADMIN, "3.0.0", "Removes a node."),
    row(
        "getkeysinslot",
        "slot count",
        4,
        QUERY,
        "3.0.0",
        "Replies keys of a slot.",
    )
    .tips(CHANGING),
    // Redis: HELP too is refused without a cluster.
    row(
        "help",
        "",
        2,
        LOADING_QUERY,
        "5.0.0",
        "Describes the subcommands.",
    ),
    row(
        "info",
        "",
        2,
        QUERY,
        "3.0.0",
        "Tells the state of the cluster.",
    )
    .tips(CHANGING),
    row(
        "keyslot",
        "key",
        3,
        QUERY,
        "3.0.0",
        "Replies the slot of a key.",
    ),
    row(
        "links",
        "",
        2,
        QUERY,
        "7.0.0",
        "Lists the links to other nodes.",
    )
    .tips(CHANGING),
    row(
        "meet",
        "ip port [cluster-bus-port@4.0.0]",
        -4,
        ADMIN,
        "3.0.0",
        "Makes nodes meet.",
    ),
    row("myid", "", 2, QUERY, "3.0.0", "Replies the node's name."),
    row(
        "myshardid",
        "",
        2,
        QUERY,
        "7.2.0",
        "Replies the name of the node's shard.",
    )
    .tips(CHANGING),
    row("nodes", "", 2, QUERY, "3.0.0", "Tells of all nodes.").tips(CHANGING),
    row(
        "replicas",
        "node-id",
        3,
        ADMIN_QUERY,
        "5.0.0",
        "Lists a node's replicas.",
    )
    .tips(CHANGING),
    row(
        "replicate",
        "node-id",
        3,
        ADMIN,
        "3.0.0",
        "Makes the node a replica.",
    ),
    row(
        "reset",
        "[reset-type:<HARD | SOFT>]",
        -2,
        &[Flags::ADMIN, Flags::STALE, Flags::NOSCRIPT],
        "3.0.0",
        "Makes the node forget the cluster.",
    ),
    row(
        "saveconfig",
        "",
        2,
        ADMIN,
        "3.0.0",
        "Saves the state of the cluster.",
    ),
    row(
        "set-config-epoch",
        "config-epoch",
        3,
        ADMIN,
        "3.0.0",
        "Sets the epoch of a new node.",
    ),
    row(
        "setslot",
        "slot subcommand:<IMPORTING importing=node-id | MIGRATING migrating=node-id | NODE node=node-id | STABLE>",
        -4,
        ADMIN,
        "3.0.0",
        "Moves a slot.",
    ),
    row(
        "shards",
        "",
        2,
        LOADING_QUERY,
        "7.0.0",
        "Tells slots and nodes by shard.",
    )
    .tips(CHANGING),
    row(
        "slaves",
        "node-id",
        3,
        ADMIN_QUERY,
        "3.0.0",
        "Lists a node's replicas.",
    )
    .tips(CHANGING)
    .deprecated("5.0.0", "`CLUSTER REPLICAS`"),
    row(
        "slots",
        "",
        2,
        LOADING_QUERY,
        "3.0.0",
        "Tells the nodes of slots.",
    )
    .tips(CHANGING)
    .deprecated("7.0.0", "`CLUSTER SHARDS`"),
];

fn disabled(_ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    Err(error::CLUSTER_DISABLED)
}
