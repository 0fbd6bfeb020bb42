//! Every text a client can read as an error, once.
//!
//! Texts are Redis' own, byte for byte, where Redis has one. A constant for each fixed text, a function for each with a
//! hole. Families keep theirs in a section here, so that nobody writes one twice.

mod acl;
mod bitmap;
mod dump;
mod geo;
mod hash;
mod hyperloglog;
mod pending;
mod scripting;
mod server;
mod sets;
mod sorted_sets;
mod stream_writes;
mod strings;
mod tracking;

use std::borrow::Cow;

pub(crate) use acl::*;
pub(crate) use bitmap::*;
pub(crate) use dump::*;
pub(crate) use geo::*;
pub(crate) use hash::*;
pub(crate) use hyperloglog::*;
pub(crate) use pending::*;
pub(crate) use scripting::*;
pub(crate) use server::*;
pub(crate) use sets::*;
pub(crate) use sorted_sets::*;
pub(crate) use stream_writes::*;
pub(crate) use strings::*;
pub(crate) use tracking::*;

/// An error reply: its text with the code in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandError(Cow<'static, [u8]>);

impl CommandError {
    /// A fixed text.
    pub(crate) const fn fixed(text: &'static str) -> Self {
        Self(Cow::Borrowed(text.as_bytes()))
    }

    /// A text made for the occasion.
    pub(crate) fn text(text: impl Into<Vec<u8>>) -> Self {
        Self(Cow::Owned(text.into()))
    }

    /// The text.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Joins parts to a text; parts may hold any bytes.
pub(crate) fn joined(parts: &[&[u8]]) -> CommandError {
    // Redis: these are C strings, so a NUL ends a part.
    let cut = |part: &&[u8]| {
        part.split(|byte| *byte == 0)
            .next()
            .unwrap_or_default()
            .to_vec()
    };
    CommandError::text(parts.iter().map(cut).collect::<Vec<_>>().concat())
}

// General

/// The key holds another type.
pub(crate) const WRONG_TYPE: CommandError =
    CommandError::fixed("WRONGTYPE Operation against a key holding the wrong kind of value");
/// The arguments do not follow the syntax.
pub(crate) const SYNTAX: CommandError = CommandError::fixed("ERR syntax error");
/// Not a 64-bit integer.
pub(crate) const NOT_INTEGER: CommandError =
    CommandError::fixed("ERR value is not an integer or out of range");
/// Not a number.
pub(crate) const NOT_FLOAT: CommandError = CommandError::fixed("ERR value is not a valid float");
/// Below zero or above the limit.
pub(crate) const NOT_POSITIVE: CommandError =
    CommandError::fixed("ERR value is out of range, must be positive");
/// A key that must exist does not.
pub(crate) const NO_SUCH_KEY: CommandError = CommandError::fixed("ERR no such key");
/// An index outside the list.
pub(crate) const INDEX_OUT_OF_RANGE: CommandError = CommandError::fixed("ERR index out of range");
/// Database number out of range.
pub(crate) const DB_INDEX: CommandError = CommandError::fixed("ERR DB index is out of range");
/// A timeout that is no number.
pub(crate) const TIMEOUT_NOT_FLOAT: CommandError =
    CommandError::fixed("ERR timeout is not a float or out of range");
/// A timeout that is no integer.
pub(crate) const TIMEOUT_NOT_INTEGER: CommandError =
    CommandError::fixed("ERR timeout is not an integer or out of range");
/// A timeout below zero.
pub(crate) const TIMEOUT_NEGATIVE: CommandError = CommandError::fixed("ERR timeout is negative");
/// A timeout too far away.
pub(crate) const TIMEOUT_RANGE: CommandError = CommandError::fixed("ERR timeout is out of range");
/// CLIENT UNBLOCK … ERROR.
pub(crate) const UNBLOCKED: CommandError =
    CommandError::fixed("UNBLOCKED client unblocked via CLIENT UNBLOCK");

// Before a command runs

/// A command before AUTH.
pub(crate) const NO_AUTH: CommandError = CommandError::fixed("NOAUTH Authentication required.");
/// DEBUG while it is not enabled.
pub(crate) const DEBUG_DISABLED: CommandError = CommandError::fixed(
    "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a local \
     connection, otherwise you need to set this option in the configuration file, and then restart the server.",
);

/// The command does not exist. Source: what Redis shows of the arguments, 128 bytes in all.
pub(crate) fn unknown_command<'a>(
    name: &[u8],
    arguments: impl Iterator<Item = &'a [u8]>,
) -> CommandError {
    let mut shown = Vec::new();
    for argument in arguments {
        if shown.len() >= 128 {
            break;
        }
        let room = 128 - shown.len();
        let argument = argument.split(|byte| *byte == 0).next().unwrap_or_default();
        shown.push(b'\'');
        shown.extend_from_slice(&argument[..argument.len().min(room)]);
        shown.extend_from_slice(b"' ");
    }
    joined(&[
        b"ERR unknown command '",
        &name[..name.len().min(128)],
        b"', with args beginning with: ",
        &shown,
    ])
}

/// The subcommand does not exist.
pub(crate) fn unknown_subcommand(container: &str, name: &[u8]) -> CommandError {
    joined(&[
        b"ERR unknown subcommand '",
        &name[..name.len().min(128)],
        b"'. Try ",
        container.to_ascii_uppercase().as_bytes(),
        b" HELP.",
    ])
}

/// Too few or too many arguments; `name` as `xgroup|create` for a subcommand.
pub(crate) fn wrong_arity(name: &str) -> CommandError {
    joined(&[
        b"ERR wrong number of arguments for '",
        name.as_bytes(),
        b"' command",
    ])
}

/// EXEC that may not run: the transaction is gone with it. Redis: the code of the reason stays, unless it is `ERR`.
pub(crate) fn exec_discarded(reason: &CommandError) -> CommandError {
    let reason = reason.bytes();
    let reason = reason.strip_prefix(b"ERR ".as_slice()).unwrap_or(reason);
    joined(&[b"EXECABORT Transaction discarded because of: ", reason])
}

/// A command that RESP2's subscribed mode does not allow.
pub(crate) fn in_subscribed_mode(name: &str) -> CommandError {
    joined(&[
        b"ERR Can't execute '", name.as_bytes(),
        b"': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
    ])
}

// Streams

/// Not an ID.
pub(crate) const INVALID_STREAM_ID: CommandError =
    CommandError::fixed("ERR Invalid stream ID specified as stream command argument");
/// Nothing comes after the excluded start.
pub(crate) const INVALID_START_ID: CommandError =
    CommandError::fixed("ERR invalid start ID for the interval");
/// Nothing comes before the excluded end.
pub(crate) const INVALID_END_ID: CommandError =
    CommandError::fixed("ERR invalid end ID for the interval");
/// XADD with 0-0.
pub(crate) const XADD_ID_ZERO: CommandError =
    CommandError::fixed("ERR The ID specified in XADD must be greater than 0-0");
/// XADD with an ID that is not above the last.
pub(crate) const XADD_ID_TOO_SMALL: CommandError = CommandError::fixed(
    "ERR The ID specified in XADD is equal or smaller than the target stream top item",
);
/// The last possible ID is taken.
pub(crate) const STREAM_EXHAUSTED: CommandError = CommandError::fixed(
    "ERR The stream has exhausted the last possible ID, unable to add more items",
);
/// An entry larger than a block may be.
pub(crate) const STREAM_ENTRY_TOO_LARGE: CommandError =
    CommandError::fixed("ERR Elements are too large to be stored");
/// Both MAXLEN and MINID, or one twice.
pub(crate) const TRIM_STRATEGIES: CommandError = CommandError::fixed(
    "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
);
/// MAXLEN below zero.
pub(crate) const MAXLEN_NEGATIVE: CommandError =
    CommandError::fixed("ERR The MAXLEN argument must be >= 0.");
/// LIMIT below zero.
pub(crate) const LIMIT_NEGATIVE: CommandError =
    CommandError::fixed("ERR The LIMIT argument must be >= 0.");
/// LIMIT alone.
pub(crate) const LIMIT_WITHOUT_STRATEGY: CommandError = CommandError::fixed(
    "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
);
/// LIMIT of an exact trim.
pub(crate) const LIMIT_WITHOUT_APPROXIMATION: CommandError =
    CommandError::fixed("ERR syntax error, LIMIT cannot be used without the special ~ option");
/// XTRIM without MAXLEN and MINID.
pub(crate) const TRIM_WITHOUT_STRATEGY: CommandError =
    CommandError::fixed("ERR syntax error, XTRIM must be called with a trimming strategy");
/// XSETID ENTRIESADDED below zero.
pub(crate) const ENTRIES_ADDED_NEGATIVE: CommandError =
    CommandError::fixed("ERR entries_added must be positive");
/// XSETID below its own MAXDELETEDID.
pub(crate) const XSETID_BELOW_GIVEN_DELETED: CommandError = CommandError::fixed(
    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
);
/// XSETID below what was deleted.
pub(crate) const XSETID_BELOW_DELETED: CommandError = CommandError::fixed(
    "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id",
);
/// XSETID below the last entry.
pub(crate) const XSETID_BELOW_TOP: CommandError = CommandError::fixed(
    "ERR The ID specified in XSETID is smaller than the target stream top item",
);
/// XSETID ENTRIESADDED below the length.
pub(crate) const XSETID_ADDED_BELOW_LENGTH: CommandError = CommandError::fixed(
    "ERR The entries_added specified in XSETID is smaller than the target stream length",
);
/// GROUP in XREAD.
pub(crate) const GROUP_IN_XREAD: CommandError = CommandError::fixed(
    "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
);
/// NOACK in XREAD.
pub(crate) const NOACK_IN_XREAD: CommandError = CommandError::fixed(
    "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
);
/// XREADGROUP without GROUP.
pub(crate) const MISSING_GROUP: CommandError =
    CommandError::fixed("ERR Missing GROUP option for XREADGROUP");
/// `>` in XREAD.
pub(crate) const UNDELIVERED_IN_XREAD: CommandError = CommandError::fixed(
    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
);
/// `$` in XREADGROUP.
pub(crate) const DOLLAR_IN_XREADGROUP: CommandError = CommandError::fixed(
    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by \
     specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.",
);
/// `+` in XREADGROUP.
pub(crate) const PLUS_IN_XREADGROUP: CommandError = CommandError::fixed(
    "ERR The + ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by \
     specifying a proper ID, or use the > ID to get new messages. The + ID would just return an empty result set.",
);
/// `+` in XREAD of a stream that never had an entry.
/// XGROUP on a missing key.
pub(crate) const XGROUP_WITHOUT_KEY: CommandError = CommandError::fixed(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM \
     option to create an empty stream automatically.",
);
/// XGROUP CREATE of a group that is there.
pub(crate) const GROUP_EXISTS: CommandError =
    CommandError::fixed("BUSYGROUP Consumer Group name already exists");
/// ENTRIESREAD below -1.
pub(crate) const ENTRIES_READ_NEGATIVE: CommandError =
    CommandError::fixed("ERR value for ENTRIESREAD must be positive or -1");
/// XCLAIM's min-idle-time.
pub(crate) const XCLAIM_MIN_IDLE: CommandError =
    CommandError::fixed("ERR Invalid min-idle-time argument for XCLAIM");
/// XCLAIM's IDLE.
pub(crate) const XCLAIM_IDLE: CommandError =
    CommandError::fixed("ERR Invalid IDLE option argument for XCLAIM");
/// XCLAIM's TIME.
pub(crate) const XCLAIM_TIME: CommandError =
    CommandError::fixed("ERR Invalid TIME option argument for XCLAIM");
/// XCLAIM's RETRYCOUNT.
pub(crate) const XCLAIM_RETRYCOUNT: CommandError =
    CommandError::fixed("ERR Invalid RETRYCOUNT option argument for XCLAIM");
/// XAUTOCLAIM's min-idle-time.
pub(crate) const XAUTOCLAIM_MIN_IDLE: CommandError =
    CommandError::fixed("ERR Invalid min-idle-time argument for XAUTOCLAIM");
/// XAUTOCLAIM's COUNT.
pub(crate) const COUNT_NOT_POSITIVE: CommandError = CommandError::fixed("ERR COUNT must be > 0");

/// An odd number of arguments after STREAMS.
pub(crate) fn unbalanced_streams(for_group: bool) -> CommandError {
    let (command, mark) = if for_group {
        ("xreadgroup", '>')
    } else {
        ("xread", '$')
    };
    CommandError::text(format!(
        "ERR Unbalanced '{command}' list of streams: for each stream key an ID or '{mark}' must be specified."
    ))
}

/// XREADGROUP without the key or the group.
pub(crate) fn no_group_to_read(key: &[u8], group: &[u8]) -> CommandError {
    joined(&[
        b"NOGROUP No such key '",
        key,
        b"' or consumer group '",
        group,
        b"' in XREADGROUP with GROUP option",
    ])
}

/// XPENDING, XCLAIM, XAUTOCLAIM without the key or the group.
pub(crate) fn no_group(key: &[u8], group: &[u8]) -> CommandError {
    joined(&[
        b"NOGROUP No such key '",
        key,
        b"' or consumer group '",
        group,
        b"'",
    ])
}

/// XGROUP and XINFO CONSUMERS without the group.
pub(crate) fn no_such_group(key: &[u8], group: &[u8]) -> CommandError {
    joined(&[
        b"NOGROUP No such consumer group '",
        group,
        b"' for key name '",
        key,
        b"'",
    ])
}

/// An option XCLAIM does not know.
pub(crate) fn unrecognized_xclaim_option(option: &[u8]) -> CommandError {
    joined(&[b"ERR Unrecognized XCLAIM option '", option, b"'"])
}

/// A subcommand whose arguments do not fit (what the arity does not catch).
pub(crate) fn wrong_subcommand(container: &str, name: &[u8]) -> CommandError {
    joined(&[
        b"ERR unknown subcommand or wrong number of arguments for '",
        &name[..name.len().min(128)],
        b"'. Try ",
        container.to_ascii_uppercase().as_bytes(),
        b" HELP.",
    ])
}

// Transactions

/// MULTI in MULTI.
pub(crate) const NESTED_MULTI: CommandError =
    CommandError::fixed("ERR MULTI calls can not be nested");
/// EXEC outside.
pub(crate) const EXEC_WITHOUT_MULTI: CommandError = CommandError::fixed("ERR EXEC without MULTI");
/// DISCARD outside.
pub(crate) const DISCARD_WITHOUT_MULTI: CommandError =
    CommandError::fixed("ERR DISCARD without MULTI");
/// WATCH inside.
pub(crate) const WATCH_IN_MULTI: CommandError =
    CommandError::fixed("ERR WATCH inside MULTI is not allowed");
/// A command that needs memory, when more than `maxmemory` is used.
pub(crate) const OUT_OF_MEMORY: CommandError =
    CommandError::fixed("OOM command not allowed when used memory > 'maxmemory'.");
/// A command was refused while queueing.
pub(crate) const EXEC_ABORTED: CommandError =
    CommandError::fixed("EXECABORT Transaction discarded because of previous errors.");
/// A command that cannot be queued.
pub(crate) const NOT_IN_TRANSACTION: CommandError =
    CommandError::fixed("ERR Command not allowed inside a transaction");

// Lists

/// RANK 0 of LPOS.
pub(crate) const LPOS_RANK_ZERO: CommandError = CommandError::fixed(
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from \
     the end of the list",
);
/// COUNT of LPOS.
pub(crate) const LPOS_COUNT_NEGATIVE: CommandError =
    CommandError::fixed("ERR COUNT can't be negative");
/// MAXLEN of LPOS.
pub(crate) const LPOS_MAXLEN_NEGATIVE: CommandError =
    CommandError::fixed("ERR MAXLEN can't be negative");
/// COUNT of LMPOP.
pub(crate) const POP_COUNT_NOT_POSITIVE: CommandError =
    CommandError::fixed("ERR count should be greater than 0");
/// The one 64-bit integer without an opposite.
pub(crate) const NOT_SYMMETRIC: CommandError = CommandError::fixed(
    "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
);

// The connection

/// A wrong user or password.
pub(crate) const WRONG_PASSWORD: CommandError =
    CommandError::fixed("WRONGPASS invalid username-password pair or user is disabled.");
/// AUTH with a password where none is set.
pub(crate) const AUTH_WITHOUT_PASSWORD: CommandError = CommandError::fixed(
    "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration \
     is correct?",
);
/// HELLO's version is no number.
pub(crate) const HELLO_VERSION_NOT_INTEGER: CommandError =
    CommandError::fixed("ERR Protocol version is not an integer or out of range");
/// A version of the protocol that does not exist.
pub(crate) const HELLO_VERSION: CommandError =
    CommandError::fixed("NOPROTO unsupported protocol version");
/// HELLO before AUTH.
pub(crate) const HELLO_NO_AUTH: CommandError = CommandError::fixed(
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> \
     option can be used to authenticate the client and select the RESP protocol version at the same time",
);
/// CLIENT SETNAME with a blank.
pub(crate) const CLIENT_NAME: CommandError =
    CommandError::fixed("ERR Client names cannot contain spaces, newlines or special characters.");
/// CLIENT LIST ID.
pub(crate) const INVALID_CLIENT_ID: CommandError = CommandError::fixed("ERR Invalid client ID");
/// CLIENT KILL of an address.
pub(crate) const NO_SUCH_CLIENT: CommandError = CommandError::fixed("ERR No such client");
/// CLIENT KILL ID.
pub(crate) const CLIENT_ID_NOT_POSITIVE: CommandError =
    CommandError::fixed("ERR client-id should be greater than 0");
/// CLIENT KILL MAXAGE.
pub(crate) const MAXAGE_NOT_INTEGER: CommandError =
    CommandError::fixed("ERR maxage is not an integer or out of range");
/// CLIENT KILL MAXAGE.
pub(crate) const MAXAGE_NOT_POSITIVE: CommandError =
    CommandError::fixed("ERR maxage should be greater than 0");
/// CLIENT UNBLOCK.
pub(crate) const UNBLOCK_REASON: CommandError =
    CommandError::fixed("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
/// CLIENT PAUSE.
pub(crate) const PAUSE_MODE: CommandError =
    CommandError::fixed("ERR CLIENT PAUSE mode must be WRITE or ALL");
/// An option that HELLO does not know, or that lacks its value.
pub(crate) fn hello_option(option: &[u8]) -> CommandError {
    joined(&[b"ERR Syntax error in HELLO option '", option, b"'"])
}

/// CLIENT SETINFO of something else.
pub(crate) fn unrecognized_option(option: &[u8]) -> CommandError {
    joined(&[b"ERR Unrecognized option '", option, b"'"])
}

/// CLIENT SETINFO with a blank in its value.
pub(crate) fn client_fact(option: &[u8]) -> CommandError {
    joined(&[
        b"ERR ",
        option,
        b" cannot contain spaces, newlines or special characters.",
    ])
}

/// CLIENT LIST and KILL TYPE.
pub(crate) fn unknown_client_type(name: &[u8]) -> CommandError {
    joined(&[b"ERR Unknown client type '", name, b"'"])
}

/// CLIENT KILL USER.
pub(crate) fn no_such_user(name: &[u8]) -> CommandError {
    joined(&[b"ERR No such user '", name, b"'"])
}

// The server

/// SLOWLOG GET.
pub(crate) const SLOWLOG_COUNT: CommandError =
    CommandError::fixed("ERR count should be greater than or equal to -1");
/// CLUSTER, READONLY, READWRITE, ASKING.
pub(crate) const CLUSTER_DISABLED: CommandError =
    CommandError::fixed("ERR This instance has cluster support disabled");
/// MODULE LOAD and its like while they are not enabled.
pub(crate) const MODULES_DISABLED: CommandError = CommandError::fixed(
    "ERR MODULE command not allowed. If the enable-module-command option is set to \"local\", you can run it from a \
     local connection, otherwise you need to set this option in the configuration file, and then restart the server.",
);
/// MODULE LOAD.
pub(crate) const MODULE_NOT_LOADED: CommandError =
    CommandError::fixed("ERR Error loading the extension. Please check the server logs.");
/// MODULE UNLOAD.
pub(crate) const NO_SUCH_MODULE: CommandError =
    CommandError::fixed("ERR Error unloading module: no such module with that name");
/// ACL GENPASS.
pub(crate) const GENPASS_BITS: CommandError = CommandError::fixed(
    "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096",
);
/// Ours: the system gives no random bytes.
pub(crate) const NO_RANDOM: CommandError =
    CommandError::fixed("ERR the system gives no random bytes");
/// MONITOR in MULTI.
pub(crate) const MONITOR_IN_MULTI: CommandError =
    CommandError::fixed("ERR MONITOR isn't allowed for DENY BLOCKING client");
/// WAITAOF's first number; REPLCONF rdb-only.
pub(crate) const NOT_ZERO_OR_ONE: CommandError =
    CommandError::fixed("ERR value is out of range, value must between 0 and 1");
/// WAITAOF 1 without a file.
pub(crate) const WAITAOF_WITHOUT_FILE: CommandError = CommandError::fixed(
    "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
);
/// SHUTDOWN ABORT.
pub(crate) const NO_SHUTDOWN: CommandError = CommandError::fixed("ERR No shutdown in progress.");
/// REPLICAOF's port.
pub(crate) const INVALID_MASTER_PORT: CommandError = CommandError::fixed("ERR Invalid master port");
/// Ours: REPLICAOF a host; SYNC and PSYNC of a replica.
pub(crate) const REPLICATION_UNSUPPORTED: CommandError =
    CommandError::fixed("ERR replication is not supported by this server");
/// REPLCONF rdb-filter-only whose quotes do not balance.
pub(crate) const NO_COPY_FILTER: CommandError =
    CommandError::fixed("ERR Missing rdb-filter-only values");
/// FAILOVER TIMEOUT.
pub(crate) const FAILOVER_TIMEOUT: CommandError =
    CommandError::fixed("ERR FAILOVER timeout must be greater than 0");
/// FAILOVER ABORT.
pub(crate) const NO_FAILOVER: CommandError = CommandError::fixed("ERR No failover in progress.");
/// FAILOVER.
pub(crate) const FAILOVER_WITHOUT_REPLICAS: CommandError =
    CommandError::fixed("ERR FAILOVER requires connected replicas.");

/// REPLCONF.
pub(crate) fn unknown_replconf(option: &[u8]) -> CommandError {
    joined(&[b"ERR Unrecognized REPLCONF option: ", option])
}

/// REPLCONF rdb-filter-only.
pub(crate) fn unknown_copy_filter(filter: &[u8]) -> CommandError {
    joined(&[b"ERR Unsupported rdb-filter-only option: ", filter])
}

/// REPLCONF ip-address.
pub(crate) fn replica_address_too_long(bytes: usize) -> CommandError {
    let bytes = bytes.to_string();
    joined(&[
        b"ERR REPLCONF ip-address provided by replica instance is too long: ",
        bytes.as_bytes(),
        b" bytes",
    ])
}

/// LATENCY GRAPH.
pub(crate) fn no_latency_samples(event: &[u8]) -> CommandError {
    joined(&[b"ERR No samples available for event '", event, b"'"])
}

/// ACL CAT.
pub(crate) fn unknown_category(name: &[u8]) -> CommandError {
    joined(&[
        b"ERR Unknown category '",
        &name[..name.len().min(128)],
        b"'",
    ])
}

/// ACL DRYRUN.
pub(crate) fn user_not_found(name: &[u8]) -> CommandError {
    joined(&[b"ERR User '", name, b"' not found"])
}

/// ACL DRYRUN.
pub(crate) fn command_not_found(name: &[u8]) -> CommandError {
    joined(&[b"ERR Command '", name, b"' not found"])
}
