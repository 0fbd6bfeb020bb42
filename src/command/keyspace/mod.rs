//! The keyspace family: commands on keys of any type and on whole databases.
//!
//! ```text
//! remove.rs   DEL UNLINK FLUSHDB FLUSHALL          expiry.rs   EXPIRE … PERSIST, TTL …
//! look.rs     EXISTS TYPE TOUCH KEYS RANDOMKEY …   scan.rs     SCAN, and which shards a cursor needs
//! place.rs    RENAME COPY MOVE SWAPDB              object.rs   OBJECT
//! dump.rs     DUMP RESTORE                         digest.rs   a value as 20 bytes
//! migrate.rs  MIGRATE
//! ```
//! Where a command changes two keys, one effect says all of it, on the side of the key that is written: what that
//! side's lookup found expired lies before it in the same buffer.
//!
//! Values are dropped where they are; a large one would better be dropped by another thread.

pub(crate) mod digest;
pub(crate) mod dump;
mod expiry;
#[cfg(test)]
mod file_tests;
mod look;
pub(crate) mod migrate;
mod object;
mod place;
mod remove;
mod scan;
#[cfg(test)]
mod snapshot_tests;
#[cfg(test)]
mod tests;

pub(crate) use crate::keyspace::rewrite::rewrite;
pub(crate) use digest::{digest, value_digest};
pub(super) use expiry::{lift_expiry, set_expiry};
pub(super) use remove::remove_as_expired;
pub(crate) use scan::{cursor_number, shards_for_cursor};

use super::spec::{Command, Flags, Handler, KeyFlags, KeySpec, Scope};

const READ: KeyFlags = KeyFlags::RO.and(KeyFlags::ACCESS);
const UPDATE: KeyFlags = KeyFlags::RW.and(KeyFlags::UPDATE);
const SOURCE: KeyFlags = KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::DELETE);
const READ_ONE: &[KeySpec] = &[KeySpec::one(READ, 1)];
const UPDATE_ONE: &[KeySpec] = &[KeySpec::one(UPDATE, 1)];
const LOOK_MANY: &[KeySpec] = &[KeySpec::range(KeyFlags::RO, 1, -1, 1)];
const REMOVE_MANY: &[KeySpec] = &[KeySpec::range(KeyFlags::RM.and(KeyFlags::DELETE), 1, -1, 1)];
const SUMMED: &[&str] = &["request_policy:multi_shard", "response_policy:agg_sum"];
const ALL_SUCCEEDED: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];

const OVERWRITE_ONE: &[KeySpec] = &[KeySpec::one(KeyFlags::OW.and(KeyFlags::UPDATE), 1)];

const MIGRATE_SYNTAX: &str = "host port key-selector:<key | empty-string='\"\"'> destination-db timeout [COPY@3.0.0] [REPLACE@3.0.0] \
     [authentication:<AUTH auth=password@4.0.7 | AUTH2 username password>] [KEYS keys=key@3.0.6 ...]";

const RESTORE_SYNTAX: &str = "key ttl serialized-value [REPLACE@3.0.0] [ABSTTL@5.0.0] [IDLETIME seconds@5.0.0] [FREQ frequency@5.0.0]";

/// The family's rows.
pub(crate) static COMMANDS: &[Command] = &[
    row("del", "key [key ...]", remove::del)
        .arity(-2)
        .flags(&[Flags::WRITE])
        .keys(REMOVE_MANY)
        .tips(SUMMED)
        .docs(
            "1.0.0",
            "generic",
            "O(N) for N keys, and for the elements of their values.",
            "Removes keys.",
        ),
    row("unlink", "key [key ...]", remove::unlink)
        .arity(-2)
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(REMOVE_MANY)
        .tips(SUMMED)
        .docs(
            "4.0.0",
            "generic",
            "O(1) for each key.",
            "Removes keys; their values are freed later.",
        ),
    row("exists", "key [key ...]", look::exists)
        .arity(-2)
        .flags(&[Flags::READONLY, Flags::FAST])
        .keys(LOOK_MANY)
        .tips(SUMMED)
        .docs(
            "1.0.0",
            "generic",
            "O(N) for N keys.",
            "Counts how many of the keys exist, each as often as it is named.",
        ),
    row("type", "key", look::type_of)
        .arity(2)
        .flags(&[Flags::READONLY, Flags::FAST])
        .keys(&[KeySpec::one(KeyFlags::RO, 1)])
        .docs(
            "1.0.0",
            "generic",
            "O(1)",
            "Names the type of a key's value.",
        ),
    row("touch", "key [key ...]", look::touch)
        .arity(-2)
        .flags(&[Flags::READONLY, Flags::FAST, Flags::ALWAYS_TOUCHES])
        .keys(LOOK_MANY)
        .tips(SUMMED)
        .docs(
            "3.2.1",
            "generic",
            "O(N) for N keys.",
            "Counts how many of the keys exist and notes the access.",
        ),
    row("rename", "key newkey", place::rename)
        .arity(3)
        .flags(&[Flags::WRITE])
        .keys(&[
            KeySpec::one(SOURCE, 1),
            KeySpec::one(KeyFlags::OW.and(KeyFlags::UPDATE), 2),
        ])
        .docs(
            "1.0.0",
            "generic",
            "O(1)",
            "Gives a key another name, in place of what had that name.",
        ),
    row("renamenx", "key newkey", place::renamenx)
        .arity(3)
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(&[
            KeySpec::one(SOURCE, 1),
            KeySpec::one(KeyFlags::OW.and(KeyFlags::INSERT), 2),
        ])
        .docs(
            "1.0.0",
            "generic",
            "O(1)",
            "Gives a key another name unless that is taken.",
        ),
    row(
        "copy",
        "source destination [DB destination-db] [REPLACE]",
        place::copy,
    )
    .arity(-3)
    .flags(&[Flags::WRITE, Flags::DENYOOM])
    .keys(&[
        KeySpec::one(READ, 1),
        KeySpec::one(KeyFlags::OW.and(KeyFlags::UPDATE), 2),
    ])
    .docs(
        "6.2.0",
        "generic",
        "O(N) for N blocks of the value, which are shared; O(1) for a string.",
        "Copies a value with its expiry to another key.",
    ),
    row("dump", "key", dump::dump)
        .arity(2)
        .flags(&[Flags::READONLY])
        .keys(READ_ONE)
        .tips(&["nondeterministic_output"])
        .docs(
            "2.6.0",
            "generic",
            "O(1) for the key, O(N*M) for N elements of M bytes.",
            "Returns a value as bytes that RESTORE takes.",
        ),
    row("restore", RESTORE_SYNTAX, dump::restore)
        .arity(-4)
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(OVERWRITE_ONE)
        .categories(&["keyspace", "dangerous"])
        .docs(
            "2.6.0",
            "generic",
            "O(1) for the key, O(N*M) for N elements of M bytes, O(N*M*log(N)) for a sorted set.",
            "Makes a key of bytes that DUMP gave.",
        ),
    Command::new("restore-asking", RESTORE_SYNTAX, dump::restore)
        .arity(-4)
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::ASKING, Flags::SYSTEM])
        .keys(OVERWRITE_ONE)
        .categories(&["keyspace", "dangerous"])
        .docs(
            "3.0.0",
            "server",
            "O(1) for the key, O(N*M) for N elements of M bytes, O(N*M*log(N)) for a sorted set.",
            "RESTORE, while a slot is being moved to this server.",
        ),
    row("migrate", MIGRATE_SYNTAX, migrate::migrate)
        .arity(-6)
        .flags(&[Flags::WRITE, Flags::MOVABLE_KEYS])
        .categories(&["keyspace", "dangerous"])
        .keys(&[
            KeySpec::migrated(SOURCE, false),
            KeySpec::migrated(SOURCE.and(KeyFlags::INCOMPLETE), true),
        ])
        .tips(&["nondeterministic_output"])
        .docs(
            "2.6.0",
            "generic",
            "DUMP, RESTORE and DEL of each key, and O(N) for the bytes that are sent.",
            "Moves keys to another server.",
        ),
    row("move", "key db", place::move_to_database)
        .arity(3)
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(&[KeySpec::one(UPDATE.and(KeyFlags::ACCESS), 1)])
        .docs(
            "1.0.0",
            "generic",
            "O(1)",
            "Moves a key to another database unless it exists there.",
        ),
    row("keys", "pattern", look::keys)
        .arity(2)
        .flags(&[Flags::READONLY])
        .scope(Scope::AllShards)
        .categories(&["keyspace", "dangerous"])
        .tips(&["request_policy:all_shards", "nondeterministic_output_order"])
        .docs(
            "1.0.0",
            "generic",
            "O(N) for N keys in the database.",
            "Lists the keys that match a pattern.",
        ),
    row(
        "scan",
        "cursor [MATCH pattern] [COUNT count] [TYPE type@6.0.0]",
        scan::scan,
    )
    .arity(-2)
    .flags(&[Flags::READONLY])
    .scope(Scope::Cursor)
    .tips(&[
        "nondeterministic_output",
        "request_policy:special",
        "response_policy:special",
    ])
    .docs(
        "2.8.0",
        "generic",
        "O(1) a call, O(N) for a walk over N keys.",
        "Walks over the keys of the database, some at a time.",
    ),
    row("randomkey", "", look::randomkey)
        .arity(1)
        .flags(&[Flags::READONLY])
        .scope(Scope::AllShards)
        .tips(&[
            "request_policy:all_shards",
            "response_policy:special",
            "nondeterministic_output",
        ])
        .docs("1.0.0", "generic", "O(1)", "Gives any key of the database."),
    row("dbsize", "", look::dbsize)
        .arity(1)
        .flags(&[Flags::READONLY, Flags::FAST])
        .scope(Scope::AllShards)
        .tips(&["request_policy:all_shards", "response_policy:agg_sum"])
        .docs(
            "1.0.0",
            "server",
            "O(1)",
            "Counts the keys of the database.",
        ),
    row(
        "flushdb",
        "[flush-type:<ASYNC@4.0.0 | SYNC@6.2.0>]",
        remove::flushdb,
    )
    .arity(-1)
    .flags(&[Flags::WRITE])
    .scope(Scope::AllShards)
    .categories(&["keyspace", "dangerous"])
    .tips(ALL_SUCCEEDED)
    .docs(
        "1.0.0",
        "server",
        "O(N) for N keys in the database.",
        "Removes all keys of the database.",
    ),
    row(
        "flushall",
        "[flush-type:<ASYNC@4.0.0 | SYNC@6.2.0>]",
        remove::flushall,
    )
    .arity(-1)
    .flags(&[Flags::WRITE])
    .scope(Scope::AllShards)
    .categories(&["keyspace", "dangerous"])
    .tips(ALL_SUCCEEDED)
    .docs(
        "1.0.0",
        "server",
        "O(N) for N keys.",
        "Removes all keys of all databases.",
    ),
    row("swapdb", "index1 index2", place::swapdb)
        .arity(3)
        .flags(&[Flags::WRITE, Flags::FAST])
        .scope(Scope::AllShards)
        .categories(&["keyspace", "dangerous"])
        .docs(
            "4.0.0",
            "server",
            "O(N) for N clients that watch or wait for keys of either database.",
            "Lets two databases change places.",
        ),
    row(
        "expire",
        "key seconds [condition@7.0.0:<NX | XX | GT | LT>]",
        expiry::expire,
    )
    .arity(-3)
    .flags(&[Flags::WRITE, Flags::FAST])
    .keys(UPDATE_ONE)
    .docs(
        "1.0.0",
        "generic",
        "O(1)",
        "Lets a key end after a number of seconds.",
    ),
    row(
        "pexpire",
        "key milliseconds [condition@7.0.0:<NX | XX | GT | LT>]",
        expiry::pexpire,
    )
    .arity(-3)
    .flags(&[Flags::WRITE, Flags::FAST])
    .keys(UPDATE_ONE)
    .docs(
        "2.6.0",
        "generic",
        "O(1)",
        "Lets a key end after a number of milliseconds.",
    ),
    row(
        "expireat",
        "key unix-time-seconds [condition@7.0.0:<NX | XX | GT | LT>]",
        expiry::expireat,
    )
    .arity(-3)
    .flags(&[Flags::WRITE, Flags::FAST])
    .keys(UPDATE_ONE)
    .docs(
        "1.2.0",
        "generic",
        "O(1)",
        "Lets a key end at a time, in seconds.",
    ),
    row(
        "pexpireat",
        "key unix-time-milliseconds [condition@7.0.0:<NX | XX | GT | LT>]",
        expiry::pexpireat,
    )
    .arity(-3)
    .flags(&[Flags::WRITE, Flags::FAST])
    .keys(UPDATE_ONE)
    .docs(
        "2.6.0",
        "generic",
        "O(1)",
        "Lets a key end at a time, in milliseconds.",
    ),
    row("ttl", "key", expiry::ttl)
        .arity(2)
        .flags(&[Flags::READONLY, Flags::FAST])
        .keys(READ_ONE)
        .tips(&["nondeterministic_output"])
        .docs(
            "1.0.0",
            "generic",
            "O(1)",
            "Tells how many seconds a key has left.",
        ),
    row("pttl", "key", expiry::pttl)
        .arity(2)
        .flags(&[Flags::READONLY, Flags::FAST])
        .keys(READ_ONE)
        .tips(&["nondeterministic_output"])
        .docs(
            "2.6.0",
            "generic",
            "O(1)",
            "Tells how many milliseconds a key has left.",
        ),
    row("expiretime", "key", expiry::expiretime)
        .arity(2)
        .flags(&[Flags::READONLY, Flags::FAST])
        .keys(READ_ONE)
        .docs(
            "7.0.0",
            "generic",
            "O(1)",
            "Tells when a key ends, in seconds.",
        ),
    row("pexpiretime", "key", expiry::pexpiretime)
        .arity(2)
        .flags(&[Flags::READONLY, Flags::FAST])
        .keys(READ_ONE)
        .docs(
            "7.0.0",
            "generic",
            "O(1)",
            "Tells when a key ends, in milliseconds.",
        ),
    row("persist", "key", expiry::persist)
        .arity(2)
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(UPDATE_ONE)
        .docs(
            "2.2.0",
            "generic",
            "O(1)",
            "Lets a key live on without end.",
        ),
    Command::new("object", "", object::object)
        .arity(-2)
        .subcommands(OBJECT)
        .docs(
            "2.2.3",
            "generic",
            "Depends on the subcommand.",
            "Looks at how values are kept.",
        ),
];

const OBJECT_KEY: &[KeySpec] = &[KeySpec::one(KeyFlags::RO, 2)];

static OBJECT: &[Command] = &[
    row("encoding", "key", object::encoding)
        .arity(3)
        .flags(&[Flags::READONLY])
        .keys(OBJECT_KEY)
        .tips(&["nondeterministic_output"])
        .docs(
            "2.2.3",
            "generic",
            "O(1)",
            "Names the form in which a value is kept.",
        ),
    row("freq", "key", object::freq)
        .arity(3)
        .flags(&[Flags::READONLY])
        .keys(OBJECT_KEY)
        .tips(&["nondeterministic_output"])
        .docs(
            "4.0.0",
            "generic",
            "O(1)",
            "Tells how often a key is accessed, on a logarithmic scale.",
        ),
    row("help", "", object::help)
        .arity(2)
        .flags(&[Flags::LOADING, Flags::STALE])
        .docs("6.2.0", "generic", "O(1)", "Explains the subcommands."),
    row("idletime", "key", object::idletime)
        .arity(3)
        .flags(&[Flags::READONLY])
        .keys(OBJECT_KEY)
        .tips(&["nondeterministic_output"])
        .docs(
            "2.2.3",
            "generic",
            "O(1)",
            "Tells for how many seconds a key was not accessed.",
        ),
    row("refcount", "key", object::refcount)
        .arity(3)
        .flags(&[Flags::READONLY])
        .keys(OBJECT_KEY)
        .tips(&["nondeterministic_output"])
        .docs(
            "2.2.3",
            "generic",
            "O(1)",
            "Tells how many references a value has.",
        ),
];

const fn row(name: &'static str, syntax: &'static str, handler: Handler) -> Command {
    Command::new(name, syntax, handler).categories(&["keyspace"])
}
