//! What the rules compare with: who may import whom, which word lives where, what may stay long and why.

/// `room, the rooms it may import`. No row, no import. Rooms of the binary (main, cli, bin) come first.
///
/// Lower rooms never name higher ones; `ids`, `limits` and `counters` are numbers and may be used everywhere.
/// `sync` has the primitives of the two protocols between threads.
pub(crate) const IMPORTS: &[(&str, &[&str])] = &[
    (
        "main",
        &["cli", "config", "server", "tools", "limits", "ids"],
    ),
    (
        "bin",
        &["cli", "config", "server", "tools", "limits", "ids", "resp"],
    ),
    // The help, the completions and the manual are made from the parameter table.
    ("cli", &["config", "limits", "ids"]),
    (
        "server",
        &[
            "shard",
            "net",
            "resp",
            "client",
            "command",
            "keyspace",
            "data",
            "rdb",
            "journal",
            "replication",
            "pubsub",
            "acl",
            "observe",
            "config",
            "script",
            "limits",
            "ids",
            "counters",
        ],
    ),
    (
        "shard",
        &[
            "net",
            "resp",
            "client",
            "command",
            "keyspace",
            "rdb",
            "journal",
            "replication",
            "pubsub",
            "acl",
            "observe",
            "config",
            "script",
            "limits",
            "ids",
            "counters",
            "sync",
        ],
    ),
    (
        "command",
        &[
            "keyspace", "client", "data", "rdb", "resp", "pubsub", "acl", "observe", "config",
            "script", "limits", "ids", "counters",
        ],
    ),
    (
        "replication",
        &["journal", "keyspace", "resp", "net", "limits", "ids"],
    ),
    (
        "journal",
        &[
            "keyspace", "data", "rdb", "resp", "observe", "limits", "ids",
        ],
    ),
    // A value has the commands for what no file holds: they are the effects of the keyspace.
    ("rdb", &["keyspace", "data", "resp", "limits", "ids"]),
    // A waiter keeps the command to run again, and an effect is a command: both as owned arguments of resp.
    (
        "keyspace",
        &["data", "resp", "limits", "ids", "counters", "sync"],
    ),
    // A session watches keys and waits for them: its marks are the ones the keyspace keeps.
    ("client", &["keyspace", "resp", "acl", "limits", "ids"]),
    // An output takes a whole reply over, with the parts of it that are encoded as they leave.
    ("net", &["resp", "limits", "ids"]),
    // Numbers with a point are read in one place, for arguments and settings.
    ("config", &["data", "limits", "ids"]),
    ("observe", &["limits", "ids", "resp", "counters"]),
    // What a script wants of commands it asks its host for: it knows none of them.
    ("script", &["resp", "limits", "ids"]),
    // Rules match keys and channels as subscriptions do, and a selector has words as redis.conf has them.
    ("acl", &["pubsub", "data", "limits", "ids"]),
    ("pubsub", &["data", "limits", "ids", "resp"]),
    ("data", &["limits", "ids"]),
    ("resp", &["limits", "ids"]),
    ("ids", &["limits"]),
    ("counters", &[]),
    ("sync", &[]),
    ("limits", &[]),
    ("tools", &["cli", "journal", "rdb", "limits", "ids"]),
];

/// `word, the rooms where it may be named, why`.
pub(crate) const WORD_ROOMS: &[(&str, &[&str], &str)] = &[
    (
        "tokio",
        // bin: the null server of the benchmark stands on what the real one stands on.
        &[
            "server",
            "shard",
            "net",
            "journal",
            "replication",
            "tools",
            "bin",
        ],
        "handlers, structures and the wire format are synchronous; tasks and sockets live in the engine",
    ),
    (
        "Instant::now",
        &["shard", "tools", "bin"],
        "time enters as now_ms, so that tests, simulation and replay own it",
    ),
    (
        "SystemTime::now",
        &["shard", "tools", "bin"],
        "time enters as now_ms, so that tests, simulation and replay own it",
    ),
    (
        "DashMap",
        &["pubsub", "server", "client"],
        "only registries that every shard reads are shared; data has one owner",
    ),
    (
        "Mutex",
        &[
            "sync", "shard", "server", "observe", "pubsub", "client", "command", "journal",
            "script", "tools", "bin",
        ],
        "what threads share is a registry, a log or a setting; data is worked with by who has it in hand",
    ),
    (
        "RwLock",
        &["server", "pubsub", "client", "command", "script", "acl"],
        "as for Mutex",
    ),
    (
        "unsafe",
        &["script", "observe"],
        "calls to the C library of Lua, in its folder lua/, and the name of the allocator's options, which its library looks for; no other \
         module has earned it yet",
    ),
    (
        ".unwrap()",
        &[],
        "input never panics; a broken invariant says what broke with expect or assert",
    ),
    ("todo!", &[], "what is merged is whole"),
    ("unimplemented!", &[], "what is merged is whole"),
    ("dbg!", &[], "logs go through tracing"),
    ("mem::forget", &[], "keyspaces come home by Drop"),
    (
        "InHand",
        &["keyspace", "shard"],
        "keyspaces are for who finishes the work on them; a handler gets what Space and KeyHandle offer",
    ),
];

/// The clock is read in one place of the engine.
pub(crate) const CLOCK_WORDS: [&str; 2] = ["Instant::now", "SystemTime::now"];
/// The room in which that is so.
pub(crate) const CLOCK_ROOM: &str = "shard";

/// Parts of names that say nothing.
pub(crate) const EMPTY_NAME_PARTS: [&str; 5] = ["helper", "helpers", "manager", "util", "utils"];
/// Beginnings of function names that say nothing.
pub(crate) const EMPTY_NAME_STARTS: [&str; 3] = ["handle_", "do_", "process_"];
/// Names that start so because the thing is called so.
pub(crate) const NAMES_ALLOWED: [&str; 3] = ["process_id", "process_ids", "process_commands"];

pub(crate) const FUNCTION_LINES_MAX: usize = 70;
pub(crate) const FILE_LINES_MAX: usize = 600;

/// `path or path::function, lines, why`: what may pass the line. Entries only shrink; one that is back under it must go.
pub(crate) const RATCHET: &[(&str, usize, &str)] = &[
    (
        "src/config/parameters.rs",
        640,
        "one row for each parameter, one after the other",
    ),
    (
        "tests/attacks/tables.rs::cases",
        105,
        "a table of cases, one after the other",
    ),
    (
        "tests/multi/generator.rs::blocking",
        71,
        "one arm for each command",
    ),
    (
        "tests/commands/pending.rs",
        657,
        "one family of commands: its edge cases, one test each",
    ),
    (
        "tests/commands/stream_writes.rs",
        628,
        "one family of commands: its edge cases, one test each",
    ),
    (
        "tests/oracle/lists.rs::list",
        74,
        "one arm for each command",
    ),
    (
        "tests/oracle/streams.rs::stream",
        81,
        "one arm for each command",
    ),
    (
        "tests/oracle/strings.rs::key",
        85,
        "one arm for each command",
    ),
    (
        "tests/oracle/strings.rs::string",
        108,
        "one arm for each command",
    ),
    (
        "tests/reclaim.rs",
        751,
        "one test for each option and each way to fail",
    ),
    (
        "tests/simulation/checks.rs::see",
        95,
        "one arm for each kind of execution, over one state",
    ),
    (
        "tests/simulation/checks.rs::check_program_order",
        73,
        "one walk over two sequences",
    ),
    (
        "tests/simulation/model.rs::run",
        96,
        "one arm for each command",
    ),
    (
        "tests/simulation/commands.rs::words",
        85,
        "one arm for each command",
    ),
    (
        "tests/simulation/streams.rs::run",
        71,
        "one arm for each command",
    ),
];

/// The files of src/shard, each needing only those before it. The head of its mod.rs says what they are for.
pub(crate) const ENGINE_FILES: &[&str] = &[
    "clock",
    "route",
    "phase",
    "habits",
    "admit",
    "client",
    "describe",
    "snapshot/run",
    "job",
    "hand/berths",
    "hand/line",
    "mailbox",
    "hand",
    "turns",
    "clients",
    "subscribers",
    "listener_sockets",
    "mailboxes",
    "behind",
    "headroom",
    "env",
    "busy",
    "measure",
    "readers",
    "call",
    "scripts",
    "waiters",
    "execute",
    "transaction",
    "state",
    "journal",
    "pause",
    "refresh",
    "tracking",
    "taking",
    "outstanding",
    "aside",
    "migrate",
    "blocking",
    "leaving",
    "held",
    "credit",
    "barriers",
    "copies",
    "publish",
    "evict",
    "room",
    "crowd",
    "deliver",
    "sending",
    "walk",
    "stop",
    "snapshot",
    "load/runner",
    "load/batch",
    "load/queue",
    "load/crew",
    "load",
    "dumps",
    "logs",
    "reload",
    "messages",
    "finish",
    "window",
    "requests",
    "input",
    "turn",
    "slices",
    "work",
    "tick",
    "output",
    "events",
    "thread",
];
/// The types to which several of them add methods.
pub(crate) const ENGINE_TYPES: &[&str] = &["Shard", "Env"];

/// What the repository's top level may hold.
pub(crate) const TOP_LEVEL: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "src",
    "tests",
    "scripts",
    "Dockerfile",
    "README.md",
    "LICENSE",
    ".gitignore",
    ".dockerignore",
    ".ci",
];
