//! One row per parameter: name, kind, default, whether it can change while running, and what it does here.
//!
//! The set of names is what a Redis 7.2 answers to `CONFIG GET *` and its hidden ones, with `shards`
//! added. A row without `.acts()` is known, checked and given back, and otherwise ignored: the start says
//! so. A row whose neglect would weaken safety is `.unsafe_unless(..)`: such a value is refused, not ignored.
//!
//! Invariants (tested): names and aliases are unique, each default can be read by its kind.
//! What a value means is not here: settings.rs gives the acting ones their types.

use super::choices::{EVICTION, FACILITY};
use super::row::{Group, Parameter, row};
use super::value::{Kind, TextRule, Value};

use super::row::Change::{Fixed, Live, Protected};
use Group::{Clients, Files, Logs, Network, Process, Security, Values};
use Kind::{
    Choice, Clamped, Flags, Integer, Memory, MemoryOrPercent, Octal, Percentiles, Text, Unsigned,
    YesNo,
};

/// The rows whose name or alias is `name`, in either case.
pub(crate) fn position(name: &[u8]) -> Option<usize> {
    PARAMETERS.iter().position(|row| {
        row.name.as_bytes().eq_ignore_ascii_case(name)
            || row
                .alias
                .is_some_and(|alias| alias.as_bytes().eq_ignore_ascii_case(name))
    })
}

fn is_off(value: &Value) -> bool {
    match value {
        Value::YesNo(yes) => !yes,
        Value::Number(number) => *number == 0,
        Value::Text(text) => text.is_empty(),
        Value::Words(words) => words.is_empty(),
        Value::SavePoints(points) => points.is_empty(),
        _ => true,
    }
}

const INT_MAX: i64 = i32::MAX as i64;
const LONG_MAX: u64 = i64::MAX as u64;
const MEBIBYTE: u64 = 1 << 20;
/// Tables of Lua have not room for more than this takes.
const GIBIBYTE: u64 = 1 << 30;

/// log levels by falling detail; the numbers are those of `settings::LogLevel`.
const LOG_LEVELS: Kind = Choice(&[
    ("debug", 0),
    ("verbose", 1),
    ("notice", 2),
    ("warning", 3),
    ("nothing", 4),
]);
const SUPERVISORS: Kind = Choice(&[("upstart", 3), ("systemd", 2), ("auto", 1), ("no", 0)]);
const PERMISSION: Kind = Choice(&[("no", 0), ("yes", 1), ("local", 2)]);
const SHUTDOWN: Kind = Flags(&[
    ("default", 0),
    ("save", 2),
    ("nosave", 1),
    ("now", 4),
    ("force", 8),
]);
const DELAY: Kind = Integer(i32::MIN as i64, INT_MAX);
const DISKLESS_LOAD: Kind = Choice(&[("disabled", 0), ("on-empty-db", 1), ("swapdb", 2)]);
const ENDPOINT: Kind = Choice(&[("ip", 0), ("hostname", 1), ("unknown-endpoint", 2)]);
const PROPAGATION: Kind = Choice(&[("ignore", 0), ("panic", 1), ("panic-on-replicas", 2)]);
const OOM_ADJUST: Kind = Choice(&[("no", 0), ("yes", 1), ("relative", 1), ("absolute", 2)]);
const SANITIZE: Kind = Choice(&[("no", 0), ("yes", 1), ("clients", 2)]);
const RDB_VERSIONS: Kind = Choice(&[("none", 0), ("7.0", 1)]);
const TLS_CLIENTS: Kind = Choice(&[("no", 0), ("yes", 1), ("optional", 2)]);
const TLS_USERS: Kind = Choice(&[("off", 0), ("CN", 1)]);

const ANY: Kind = Text(TextRule::Any);
const NATURAL: Kind = Integer(0, INT_MAX);
const PORT: Kind = Integer(0, 65535);
const LONG: Kind = Unsigned(0, LONG_MAX);
const BYTES: Kind = Memory(0, LONG_MAX);

const TLS_PEERS_ADVICE: &str = "TLS is for clients: there is neither replication nor a cluster whose links it could protect: set it to no";
const TLS_DH_ADVICE: &str = "there is no key exchange here that has DH parameters (ECDHE is used): remove tls-dh-params-file";
const REPLICA_ADVICE: &str = "replication is not available yet: remove replicaof";
const CLUSTER_ADVICE: &str = "cluster mode is not available: set cluster-enabled no";
const MIN_REPLICAS_ADVICE: &str = "replication is not available yet, so no write could ever be accepted: set min-replicas-to-write 0";

/// All parameters.
pub(crate) static PARAMETERS: &[Parameter] = &[
    // Listening and connections.
    row("port", PORT, "6379", Live).acts(Network, "TCP port to listen on; 0: no TCP."),
    row("bind", Kind::Bind, "* -::*", Live).acts(
        Network,
        "Addresses to listen on: * all of IPv4, ::* all of IPv6, -ADDRESS if it exists.",
    ),
    row("bind-source-addr", ANY, "", Live).acts(
        Network,
        "Address that connections of MIGRATE come from; empty: the system chooses.",
    ),
    row("unixsocket", ANY, "", Fixed).acts(Network, "Path of a unix socket to listen on as well."),
    row("unixsocketperm", Octal(0o777), "0", Fixed).acts(
        Network,
        "Mode of the unix socket, octal; 0: what the umask leaves.",
    ),
    row("tcp-backlog", NATURAL, "511", Fixed).acts(
        Network,
        "Connections that may wait to be accepted; the kernel has a limit of its own.",
    ),
    row("tcp-keepalive", NATURAL, "300", Live).acts(
        Network,
        "Seconds of silence after which the kernel probes a connection; 0: never.",
    ),
    row("timeout", NATURAL, "0", Live).acts(
        Clients,
        "Seconds after which an idle client is closed; 0: never.",
    ),
    row("maxclients", Unsigned(1, u32::MAX as u64), "10000", Live).acts(
        Clients,
        "Clients at a time; the limit on open files is raised to fit where allowed.",
    ),
    row("protected-mode", YesNo, "yes", Live).acts(
        Security,
        "Without a password only connections to 127.0.0.1, ::1 or a unix socket are accepted.",
    ),
    row("requirepass", ANY, "", Live)
        .secret()
        .acts(Security, "Password that clients must give with AUTH."),
    row(
        "proto-max-bulk-len",
        Memory(MEBIBYTE, LONG_MAX),
        "512mb",
        Live,
    )
    .acts(Clients, "Longest single argument of a request."),
    row(
        "client-query-buffer-limit",
        Memory(MEBIBYTE, LONG_MAX),
        "1gb",
        Live,
    )
    .acts(
        Clients,
        "Bytes of unprocessed input that a client may have.",
    ),
    row(
        "client-output-buffer-limit",
        Kind::OutputLimits,
        "normal 0 0 0 replica 256mb 64mb 60 pubsub 32mb 8mb 60",
        Live,
    )
    .acts(
        Clients,
        "How far a client may fall behind in reading before it is closed, by class.",
    ),
    row("socket-mark-id", Unsigned(0, u32::MAX as u64), "0", Fixed),
    row("tracking-table-max-keys", LONG, "1000000", Live).acts(
        Clients,
        "Keys remembered for client-side caching; 0: no limit.",
    ),
    // The process.
    row("shards", Integer(1, 64), "1", Fixed).acts(
        Process,
        "Threads that share the keys; a parameter that only Millrace has.",
    ),
    row("colocate", Text(TextRule::Beginnings), "", Fixed).acts(
        Process,
        "Patterns of key beginnings, with blanks between: keys with the same beginning live on one shard, as with a hash tag. \
        * is anything but a colon: bull:*: for BullMQ, queues:* for Laravel.",
    ),
    row("databases", Integer(1, INT_MAX), "16", Fixed).acts(Process, "Databases for SELECT."),
    row("dir", Kind::Directory, ".", Protected)
        .acts(Process, "Directory to work in; relative paths start there."),
    row("daemonize", YesNo, "no", Fixed).acts(
        Process,
        "Runs in the background and returns when it serves.",
    ),
    row("supervised", SUPERVISORS, "no", Fixed).acts(
        Process,
        "Who is told that the server is ready or ends; auto looks at the environment.",
    ),
    row("pidfile", ANY, "", Fixed).acts(Process, "File for the number of the process."),
    row("loglevel", LOG_LEVELS, "notice", Live).acts(Logs, "How much is logged."),
    row("logfile", ANY, "", Fixed).acts(
        Logs,
        "File for the log; without one it goes to standard output.",
    ),
    row("hz", Clamped(1, 500), "10", Live).acts(Process, "Rounds of housekeeping for each second."),
    row("dynamic-hz", YesNo, "yes", Live),
    row("syslog-enabled", YesNo, "no", Fixed),
    row("syslog-ident", ANY, "redis", Fixed),
    row("syslog-facility", FACILITY, "local0", Fixed),
    row("always-show-logo", YesNo, "no", Fixed),
    row("set-proc-title", YesNo, "yes", Fixed),
    row(
        "proc-title-template",
        Text(TextRule::ProcessTitle),
        "\"{title} {listen-addr} {server-mode}\"",
        Live,
    ),
    row("crash-log-enabled", YesNo, "yes", Live),
    row("crash-memcheck-enabled", YesNo, "yes", Live),
    row("use-exit-on-panic", YesNo, "no", Live).hidden(),
    row("disable-thp", YesNo, "yes", Fixed),
    row("jemalloc-bg-thread", YesNo, "yes", Live).acts(
        Process,
        "Whether a thread of the allocator gives unused memory back.",
    ),
    row("oom-score-adj", OOM_ADJUST, "no", Live),
    row("oom-score-adj-values", Kind::OomScores, "0 200 800", Live),
    row("server_cpulist", ANY, "", Fixed).alias("server-cpulist"),
    row("bio_cpulist", ANY, "", Fixed).alias("bio-cpulist"),
    row("aof_rewrite_cpulist", ANY, "", Fixed).alias("aof-rewrite-cpulist"),
    row("bgsave_cpulist", ANY, "", Fixed).alias("bgsave-cpulist"),
    row("io-threads", Integer(1, 128), "1", Fixed),
    row("io-threads-do-reads", YesNo, "no", Fixed),
    row("ignore-warnings", ANY, "", Live),
    row("locale-collate", ANY, "", Live),
    row("shutdown-timeout", NATURAL, "10", Live),
    row("shutdown-on-sigint", SHUTDOWN, "default", Live)
        .acts(Process, "What SIGINT does: options of SHUTDOWN."),
    row("shutdown-on-sigterm", SHUTDOWN, "default", Live)
        .acts(Process, "What SIGTERM does: options of SHUTDOWN."),
    row("watchdog-period", NATURAL, "0", Live).hidden(),
    row("enable-debug-assert", YesNo, "no", Fixed).hidden(),
    row("enable-protected-configs", PERMISSION, "no", Fixed).acts(
        Security,
        "Who may change dir and dbfilename with CONFIG SET.",
    ),
    row("enable-debug-command", PERMISSION, "no", Fixed).acts(Security, "Who may use DEBUG."),
    row("enable-module-command", PERMISSION, "no", Fixed).acts(
        Security,
        "Who may use MODULE LOAD and its like: they find no module here.",
    ),
    row("hide-user-data-from-log", YesNo, "yes", Live).acts(
        Security,
        "Log lines do not show keys and what clients sent.",
    ),
    // Observation.
    row(
        "slowlog-log-slower-than",
        Integer(-1, i64::MAX),
        "10000",
        Live,
    )
    .acts(
        Logs,
        "Microseconds from which a command is kept for SLOWLOG; -1: none is.",
    ),
    row("slowlog-max-len", LONG, "128", Live).acts(Logs, "Commands that SLOWLOG keeps."),
    row("latency-monitor-threshold", Integer(0, i64::MAX), "0", Live).acts(
        Logs,
        "Milliseconds from which LATENCY keeps an event; 0: none is kept.",
    ),
    row("latency-tracking", YesNo, "yes", Live).acts(
        Logs,
        "Counts how long each command takes, for INFO latencystats.",
    ),
    row(
        "latency-tracking-info-percentiles",
        Percentiles,
        "50 99 99.9",
        Live,
    )
    .acts(Logs, "Percentiles that INFO latencystats shows."),
    row("notify-keyspace-events", Kind::Events, "\"\"", Live).acts(
        Logs,
        "Which changes of keys are published, as letters: KEA is nearly all.",
    ),
    row("metrics-port", PORT, "0", Fixed).acts(
        Logs,
        "Port of the metrics for Prometheus; 0: none. Only Millrace has it.",
    ),
    row("metrics-tls", YesNo, "no", Fixed).acts(
        Logs,
        "Whether that port speaks TLS, with the certificates of the server. Only Millrace has it.",
    ),
    row("metrics-streams-max", Integer(0, 10_000), "100", Live).acts(
        Logs,
        "Streams with metrics of their own. Only Millrace has it.",
    ),
    row("metrics-streams-pattern", ANY, "*", Live).acts(
        Logs,
        "Which streams have metrics of their own. Only Millrace has it.",
    ),
    // Values.
    row(
        "list-max-listpack-size",
        Integer(i32::MIN as i64, INT_MAX),
        "-2",
        Live,
    )
    .alias("list-max-ziplist-size")
    .acts(
        Values,
        "Elements of a list that are stored together; -1 to -5: 4 to 64 kilobytes.",
    ),
    row("list-compress-depth", NATURAL, "0", Live)
        .acts(Values, "Accepted and shown; lists are not compressed."),
    row("stream-idmp-duration", Integer(1, 86_400), "100", Live).acts(
        Values,
        "Seconds for which a new stream knows the messages of its producers.",
    ),
    row("stream-idmp-maxsize", Integer(1, 10_000), "100", Live)
        .acts(Values, "Messages of each producer that a new stream knows."),
    row("stream-node-max-bytes", BYTES, "4096", Live).acts(
        Values,
        "Bytes of a stream that are stored together; 0: no limit.",
    ),
    row("stream-node-max-entries", Integer(0, i64::MAX), "100", Live).acts(
        Values,
        "Entries of a stream that are stored together; 0: no limit.",
    ),
    row("hll-sparse-max-bytes", BYTES, "3000", Live).acts(
        Values,
        "Bytes up to which a HyperLogLog stores runs of registers instead of all.",
    ),
    row("lazyfree-lazy-eviction", YesNo, "no", Live)
        .acts(Values, "The log has UNLINK for an evicted key, not DEL."),
    row("lazyfree-lazy-expire", YesNo, "no", Live).acts(
        Values,
        "Accepted and shown; big values are freed on another thread in any case.",
    ),
    row("lazyfree-lazy-server-del", YesNo, "no", Live).acts(
        Values,
        "Accepted and shown; big values are freed on another thread in any case.",
    ),
    row("lazyfree-lazy-user-del", YesNo, "no", Live).acts(
        Values,
        "DEL frees memory on another thread, as UNLINK does.",
    ),
    row("lazyfree-lazy-user-flush", YesNo, "no", Live).acts(
        Values,
        "FLUSHALL and FLUSHDB without a mode free memory on another thread.",
    ),
    row("hash-max-listpack-entries", LONG, "512", Live)
        .alias("hash-max-ziplist-entries")
        .acts(Values, "Most fields of a hash that is stored in one piece."),
    row("hash-max-listpack-value", BYTES, "64", Live)
        .alias("hash-max-ziplist-value")
        .acts(Values, "The longest field or value of such a hash."),
    row("set-max-intset-entries", LONG, "512", Live).acts(
        Values,
        "Most members of a set of integers that is stored as numbers.",
    ),
    row("set-max-listpack-entries", LONG, "128", Live)
        .acts(Values, "Most members of a set that is stored in one piece."),
    row("set-max-listpack-value", LONG, "64", Live)
        .acts(Values, "The longest member of such a set."),
    row("zset-max-listpack-entries", LONG, "128", Live)
        .alias("zset-max-ziplist-entries")
        .acts(
            Values,
            "Most members of a sorted set that is stored in one piece.",
        ),
    row("zset-max-listpack-value", BYTES, "64", Live)
        .alias("zset-max-ziplist-value")
        .acts(Values, "The longest member of such a sorted set."),
    row("activerehashing", YesNo, "yes", Live),
    row("active-expire-effort", Integer(1, 10), "1", Live),
    row("busy-reply-threshold", Integer(0, i64::MAX), "5000", Live)
        .alias("lua-time-limit")
        .acts(
            Clients,
            "ms: a script that runs for longer is busy, and who waits for what it holds is told so; 0: never.",
        ),
    row("sanitize-dump-payload", SANITIZE, "no", Live).acts(
        Values,
        "Accepted and shown; every value from a file or RESTORE is looked at closely.",
    ),
    // Memory.
    row("lua-memory-limit", Memory(MEBIBYTE, GIBIBYTE), "1gb", Live).acts(
        Values,
        "Memory of the scripts of one thread; a script that wants more fails.",
    ),
    row("maxmemory", MemoryOrPercent, "0", Live)
        .acts(Values, "Most memory, also as a share of the machine's (50%); 0: no limit."),
    row("maxmemory-policy", EVICTION, "noeviction", Live)
        .acts(Values, "Which keys go beyond it; noeviction: writes are refused, as a broker wants."),
    row("maxmemory-samples", Integer(1, i32::MAX as i64), "5", Live)
        .acts(Values, "Keys that are looked at to find one to evict."),
    row("maxmemory-eviction-tenacity", Integer(0, 100), "10", Live)
        .acts(Values, "How long a command may evict: 10: 0.5 ms; 100: until it is enough."),
    row("maxmemory-clients", MemoryOrPercent, "0", Live)
        .acts(Clients, "Most memory of all clients, also as a share of maxmemory; the largest are closed."),
    row("lfu-log-factor", NATURAL, "10", Live),
    row("lfu-decay-time", NATURAL, "1", Live),
    row("activedefrag", YesNo, "no", Live),
    row("active-defrag-cycle-min", Integer(1, 99), "1", Live),
    row("active-defrag-cycle-max", Integer(1, 99), "25", Live),
    row(
        "active-defrag-threshold-lower",
        Integer(0, 1000),
        "10",
        Live,
    ),
    row(
        "active-defrag-threshold-upper",
        Integer(0, 1000),
        "100",
        Live,
    ),
    row(
        "active-defrag-max-scan-fields",
        Unsigned(1, LONG_MAX),
        "1000",
        Live,
    ),
    row(
        "active-defrag-ignore-bytes",
        Memory(1, LONG_MAX),
        "100mb",
        Live,
    ),
    // Persistence.
    row("save", Kind::SavePoints, "3600 1 300 100 60 10000", Live).acts(
        Files,
        "Save all data to dbfilename after so many seconds with so many changes; \"\": never.",
    ),
    row("appendonly", YesNo, "no", Live).acts(
        Files,
        "Whether every change is logged before it is acknowledged.",
    ),
    row(
        "dbfilename",
        Text(TextRule::BaseName("dbfilename", "filename")),
        "dump.rdb",
        Protected,
    )
    .acts(Files, "Name of the dump in dir."),
    row(
        "appendfilename",
        Text(TextRule::BaseName("appendfilename", "filename")),
        "appendonly.aof",
        Fixed,
    )
    .acts(Files, "What the names of the log's files begin with."),
    row(
        "appenddirname",
        Text(TextRule::BaseName("appenddirname", "dirname")),
        "appendonlydir",
        Fixed,
    )
    .acts(Files, "Directory of the log in dir."),
    row(
        "appendfsync",
        Choice(&[("everysec", 1), ("always", 2), ("no", 0)]),
        "everysec",
        Live,
    )
    .acts(
        Files,
        "When the log is synced: always before a reply, everysec, or no: when the system does.",
    ),
    row("no-appendfsync-on-rewrite", YesNo, "no", Live).acts(
        Files,
        "Whether the log is not synced while a dump or a base is written.",
    ),
    row("auto-aof-rewrite-percentage", NATURAL, "100", Live).acts(
        Files,
        "Rewrite the log when it has grown by so many percent; 0: never.",
    ),
    row("auto-aof-rewrite-min-size", BYTES, "64mb", Live)
        .acts(Files, "Below this size the log is not rewritten."),
    row("aof-load-truncated", YesNo, "yes", Live).acts(
        Files,
        "Whether a log whose end is torn is cut there at the start.",
    ),
    row("aof-use-rdb-preamble", YesNo, "yes", Live).acts(
        Files,
        "Whether the base of the log is a dump, else commands.",
    ),
    row("aof-timestamp-enabled", YesNo, "no", Live)
        .acts(Files, "Whether the log has notes of the time."),
    row("aof-rewrite-incremental-fsync", YesNo, "yes", Live),
    row("aof-disable-auto-gc", YesNo, "no", Live)
        .acts(
            Files,
            "Whether files of the log that nothing needs any more are kept; no: they are deleted.",
        )
        .hidden(),
    row("rdbcompression", YesNo, "yes", Live).acts(
        Files,
        "Whether strings in files and payloads of DUMP are compressed.",
    ),
    row("rdb-version-compat", RDB_VERSIONS, "none", Live).acts(
        Files,
        "7.0: files and payloads of DUMP are such as Redis 7.0 reads; none: such as 7.2 reads.",
    ),
    row("rdbchecksum", YesNo, "yes", Fixed).acts(Files, "Whether dumps end with a checksum."),
    row("rdb-del-sync-files", YesNo, "no", Live),
    row("rdb-save-incremental-fsync", YesNo, "yes", Live),
    row("rdb-key-save-delay", DELAY, "0", Live)
        .acts(Files, "Rest behind each key that is saved, us: for tests.")
        .hidden(),
    row("key-load-delay", DELAY, "0", Live)
        .acts(Files, "Rest behind each key that is loaded, us: for tests.")
        .hidden(),
    row(
        "loading-process-events-interval-bytes",
        Memory(1024, i32::MAX as u64),
        "2mb",
        Live,
    )
    .hidden(),
    row("stop-writes-on-bgsave-error", YesNo, "yes", Live).acts(
        Files,
        "Whether writes are refused after a dump could not be written.",
    ),
    // Access control.
    row("aclfile", ANY, "", Fixed).acts(
        Security,
        "File of users, one line each: ACL LOAD reads it, ACL SAVE writes it.",
    ),
    row(
        "acl-pubsub-default",
        Choice(&[("allchannels", 1), ("resetchannels", 0)]),
        "resetchannels",
        Live,
    )
    .acts(
        Security,
        "Whether a new user may use all channels (allchannels) or none (resetchannels).",
    ),
    row("maxclients-per-user", Unsigned(0, u32::MAX as u64), "0", Live).acts(
        Security,
        "Connections that each user may have, but the default one; 0: no limit of their own.",
    ),
    row("auth-failure-delay", Integer(0, 60_000), "1000", Live).acts(
        Security,
        "Milliseconds that a connection waits for the reply to a wrong password, after several of them; 0: none.",
    ),
    row("acllog-max-len", LONG, "128", Live).acts(
        Security,
        "Entries that ACL LOG keeps of what users tried and may not.",
    ),
    // Replication.
    row("replicaof", Kind::Primary, "no one", Fixed)
        .alias("slaveof")
        .unsafe_unless(is_off, REPLICA_ADVICE),
    row("masterauth", ANY, "", Live).secret(),
    row("masteruser", ANY, "", Live).secret(),
    row("min-replicas-to-write", NATURAL, "0", Live)
        .alias("min-slaves-to-write")
        .unsafe_unless(is_off, MIN_REPLICAS_ADVICE),
    row("min-replicas-max-lag", NATURAL, "10", Live).alias("min-slaves-max-lag"),
    row("replica-announce-ip", ANY, "", Live).alias("slave-announce-ip"),
    row("replica-announce-port", PORT, "0", Live).alias("slave-announce-port"),
    row("replica-announced", YesNo, "yes", Live),
    row("replica-ignore-disk-write-errors", YesNo, "no", Live),
    row("replica-ignore-maxmemory", YesNo, "yes", Live).alias("slave-ignore-maxmemory"),
    row("replica-lazy-flush", YesNo, "no", Live).alias("slave-lazy-flush"),
    row("replica-priority", NATURAL, "100", Live).alias("slave-priority"),
    row("replica-read-only", YesNo, "yes", Live).alias("slave-read-only"),
    row("replica-serve-stale-data", YesNo, "yes", Live).alias("slave-serve-stale-data"),
    row("repl-backlog-size", Memory(1, LONG_MAX), "1mb", Live),
    row("repl-backlog-ttl", Integer(0, i64::MAX), "3600", Live),
    row("repl-disable-tcp-nodelay", YesNo, "no", Live),
    row("repl-diskless-load", DISKLESS_LOAD, "disabled", Live),
    row("repl-diskless-sync", YesNo, "yes", Live),
    row("repl-diskless-sync-delay", NATURAL, "5", Live),
    row("repl-diskless-sync-max-replicas", NATURAL, "0", Live),
    row("repl-ping-replica-period", Integer(1, INT_MAX), "10", Live)
        .alias("repl-ping-slave-period"),
    row("repl-timeout", Integer(1, INT_MAX), "60", Live),
    row("propagation-error-behavior", PROPAGATION, "ignore", Live),
    // Cluster.
    row("cluster-enabled", YesNo, "no", Fixed).unsafe_unless(is_off, CLUSTER_ADVICE),
    row(
        "cluster-config-file",
        Text(TextRule::Filled("cluster-config-file")),
        "nodes.conf",
        Fixed,
    ),
    row("cluster-node-timeout", Integer(0, i64::MAX), "15000", Live),
    row("cluster-ping-interval", Integer(0, i64::MAX), "0", Live).hidden(),
    row("cluster-port", PORT, "0", Fixed),
    row("cluster-announce-ip", ANY, "", Live),
    row("cluster-announce-port", PORT, "0", Live),
    row("cluster-announce-bus-port", PORT, "0", Live),
    row("cluster-announce-tls-port", PORT, "0", Live),
    row(
        "cluster-announce-hostname",
        Text(TextRule::HostName),
        "",
        Live,
    ),
    row(
        "cluster-announce-human-nodename",
        Text(TextRule::NodeName),
        "",
        Live,
    ),
    row("cluster-preferred-endpoint-type", ENDPOINT, "ip", Live),
    row("cluster-allow-pubsubshard-when-down", YesNo, "yes", Live),
    row("cluster-allow-reads-when-down", YesNo, "no", Live),
    row("cluster-allow-replica-migration", YesNo, "yes", Live),
    row("cluster-link-sendbuf-limit", Memory(0, u64::MAX), "0", Live),
    row("cluster-migration-barrier", NATURAL, "1", Live),
    row("cluster-replica-no-failover", YesNo, "no", Live).alias("cluster-slave-no-failover"),
    row("cluster-replica-validity-factor", NATURAL, "10", Live)
        .alias("cluster-slave-validity-factor"),
    row("cluster-require-full-coverage", YesNo, "yes", Live),
    // TLS.
    row("tls-port", PORT, "0", Live).tls("Port for TLS; 0: none."),
    row("tls-cluster", YesNo, "no", Live).unsafe_unless(is_off, TLS_PEERS_ADVICE),
    row("tls-replication", YesNo, "no", Live).unsafe_unless(is_off, TLS_PEERS_ADVICE),
    row("tls-auth-clients", TLS_CLIENTS, "yes", Live).tls("Whether clients must show a certificate of a known authority."),
    row("tls-auth-clients-user", TLS_USERS, "off", Live).tls("CN: a client is the user whose name is in its certificate."),
    row("tls-ca-cert-dir", ANY, "", Live).tls("Directory with certificates of the authorities of clients."),
    row("tls-ca-cert-file", ANY, "", Live).tls("File with certificates of the authorities of clients."),
    row("tls-cert-file", ANY, "", Live).tls("File with the server's certificate and those behind it, PEM."),
    row("tls-key-file", ANY, "", Live).tls("File with its private key, PEM."),
    row("tls-key-file-pass", ANY, "", Live)
        .secret()
        .tls("Password of that key."),
    row("tls-client-cert-file", ANY, "", Live),
    row("tls-client-key-file", ANY, "", Live),
    row("tls-client-key-file-pass", ANY, "", Live).secret(),
    row("tls-dh-params-file", ANY, "", Live).unsafe_unless(is_off, TLS_DH_ADVICE),
    row("tls-protocols", ANY, "", Live).tls("Versions: TLSv1.2, TLSv1.3, or both with a blank between."),
    row("tls-ciphers", ANY, "", Live).tls("Ciphers of TLS 1.2, with colons between; empty: all."),
    row("tls-ciphersuites", ANY, "", Live).tls("Ciphers of TLS 1.3, with colons between; empty: all."),
    row("tls-prefer-server-ciphers", YesNo, "no", Live).tls("Whether the server's order of ciphers counts, not the client's."),
    row("tls-session-caching", YesNo, "yes", Live).tls("Whether clients that come again need no whole handshake."),
    row("tls-session-cache-size", NATURAL, "20480", Live)
        .tls("Sessions that are kept for that; 0: 20480."),
    row("tls-session-cache-timeout", NATURAL, "300", Live)
        .tls("Seconds for which they are kept."),
];
