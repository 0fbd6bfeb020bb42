//! The acting settings in their own types: the immutable snapshot that a shard reads once per turn.
//!
//! Made from a `Configuration` after each change and shared as an `Arc`. It has no setter and no
//! lock; a change is a new snapshot. What does not act is not here.

use std::path::PathBuf;
use std::time::Duration;

use crate::data::listpack::PackLimits;

use super::memory::{MemorySettings, SizeLimit};
use super::persistence::{AppendFsync, EndOptions, PersistenceSettings};
use super::tls::{ClientCertificates, TlsSettings};
use super::value::{OutputLimit, Value, path_of};
use super::{Configuration, parameters};

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LogLevel {
    /// Everything.
    Debug,
    /// Much that is rarely useful.
    Verbose,
    /// What one wants in production.
    Notice,
    /// Only what is important.
    Warning,
    /// Nothing.
    Nothing,
}

/// Who started the process and waits for its word that it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Supervision {
    /// Nobody.
    No,
    /// Whoever the environment names.
    Auto,
    /// systemd: a datagram to `NOTIFY_SOCKET`.
    Systemd,
    /// upstart: SIGSTOP to oneself.
    Upstart,
}

/// Who may use a guarded command or setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    /// Nobody.
    No,
    /// Everybody.
    Yes,
    /// Connections from this machine.
    Local,
}

/// Who may use what is guarded (`enable-…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Guards {
    /// DEBUG.
    pub(crate) debug: Permission,
    /// MODULE LOAD and its like.
    pub(crate) modules: Permission,
    /// CONFIG SET of protected parameters.
    pub(crate) protected_configs: Permission,
}

impl Permission {
    /// Whether a client may, given whether it is on this machine.
    #[must_use]
    pub(crate) fn allows(self, client_is_local: bool) -> bool {
        match self {
            Permission::No => false,
            Permission::Yes => true,
            Permission::Local => client_is_local,
        }
    }
}

/// Which of the freeing modes are on. Big values are always freed off the shard's thread when they
/// are; these decide only what DEL and FLUSHALL without a mode mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LazyFree {
    /// Evicted keys.
    pub(crate) eviction: bool,
    /// Expired keys.
    pub(crate) expire: bool,
    /// Keys overwritten by a command.
    pub(crate) server_del: bool,
    /// DEL is UNLINK.
    pub(crate) user_del: bool,
    /// FLUSHALL and FLUSHDB without a mode are ASYNC.
    pub(crate) user_flush: bool,
}

/// The metrics over HTTP. Whether TLS is spoken there is a setting of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MetricsSettings {
    /// Their port; 0: none.
    pub(crate) port: u16,
    /// Streams that they list, at most.
    pub(crate) streams_max: usize,
    /// Which streams they list, a glob pattern.
    pub(crate) streams_pattern: Vec<u8>,
}

/// The acting settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// TCP port; 0: no TCP.
    pub(crate) port: u16,
    /// TLS.
    pub(crate) tls: TlsSettings,
    /// Addresses to listen on; `-` before one: it may be missing; `*` is all of IPv4, `::*` all of IPv6.
    pub(crate) bind: Vec<String>,
    /// Path of the unix socket.
    pub(crate) unixsocket: Option<PathBuf>,
    /// Its mode; 0: leave what the umask gives.
    pub(crate) unixsocketperm: u32,
    /// Shards, 1..=64.
    pub(crate) shards: usize,
    /// Which keys live together: patterns of their beginnings.
    pub(crate) colocate: Vec<Box<[u8]>>,
    /// Memory of the scripts of one thread, bytes.
    pub(crate) lua_bytes_max: usize,
    /// Databases per shard.
    pub(crate) databases: usize,
    /// Working directory, absolute.
    pub(crate) dir: PathBuf,
    /// Password of the default user; `None`: no password.
    pub(crate) requirepass: Option<Vec<u8>>,
    /// The file of users.
    pub(crate) aclfile: Option<PathBuf>,
    /// Whether a new user may use all channels.
    pub(crate) acl_pubsub_all: bool,
    /// Most connections of each user but the default one; 0: as many as there may be at all.
    pub(crate) maxclients_per_user: usize,
    /// The longest that the reply to a failed login is held back, ms.
    pub(crate) auth_failure_delay_ms: u64,
    /// Most entries of ACL LOG.
    pub(crate) acl_log_length_max: usize,
    /// Whether, with no password, only loopback addresses and unix sockets may connect.
    pub(crate) protected_mode: bool,
    /// Most clients at a time.
    pub(crate) maxclients: usize,
    /// Idle clients are closed after this many seconds; 0: never.
    pub(crate) timeout_s: u64,
    /// TCP keepalive, seconds; 0: off.
    pub(crate) tcp_keepalive_s: u32,
    /// Length of the accept queue.
    pub(crate) tcp_backlog: i32,
    /// How much is logged.
    pub(crate) loglevel: LogLevel,
    /// Where to; `None`: standard output.
    pub(crate) logfile: Option<PathBuf>,
    /// Whether to run detached.
    pub(crate) daemonize: bool,
    /// Where to write the process number.
    pub(crate) pidfile: Option<PathBuf>,
    /// Who supervises.
    pub(crate) supervised: Supervision,
    /// Longest bulk string of a request, bytes.
    pub(crate) proto_max_bulk_bytes: u64,
    /// Most unparsed input of a client, bytes.
    pub(crate) client_query_buffer_bytes_max: u64,
    /// Limit on unsent output of ordinary clients.
    pub(crate) output_limit_normal: OutputLimit,
    /// … of replicas.
    pub(crate) output_limit_replica: OutputLimit,
    /// … of subscribers.
    pub(crate) output_limit_pubsub: OutputLimit,
    /// Size of a list's chunk: above 0 entries, below 0 a class of bytes (-1: 4 KB … -5: 64 KB).
    pub(crate) list_max_listpack_size: i32,
    /// Accepted; lists are not compressed.
    pub(crate) list_compress_depth: u32,
    /// Up to which size a hash is small.
    pub(crate) hash_limits: PackLimits,
    /// Up to which size a set is small.
    pub(crate) set_limits: PackLimits,
    /// Most members of a set of integers that is small.
    pub(crate) set_max_intset_entries: usize,
    /// Up to which size a sorted set is small.
    pub(crate) zset_limits: PackLimits,
    /// Most bytes of a HyperLogLog that stores runs of registers.
    pub(crate) hll_sparse_bytes_max: usize,
    /// Most bytes of a stream's block; 0: no bound.
    pub(crate) stream_node_bytes_max: u64,
    /// Most entries of a stream's block; 0: no bound.
    pub(crate) stream_node_entries_max: u64,
    /// How long a new stream knows its producers' messages, seconds.
    pub(crate) stream_idmp_duration_s: u32,
    /// How many messages of a producer a new stream knows.
    pub(crate) stream_idmp_size_max: u32,
    /// Bits as `keyspace::event::EventClass` names them; 0: no notifications.
    pub(crate) notify_keyspace_events: u32,
    /// Commands slower than this go to the slow log, µs; below 0: none.
    pub(crate) slowlog_log_slower_than_us: i64,
    /// Entries of the slow log.
    pub(crate) slowlog_len_max: usize,
    /// Events slower than this are recorded, ms; 0: none.
    pub(crate) latency_monitor_threshold_ms: u64,
    /// Whether each command's latencies are counted.
    pub(crate) latency_tracking: bool,
    /// A script that runs for longer is busy, ms; 0: none is.
    pub(crate) busy_reply_threshold_ms: u64,
    /// Most keys that clients may have in their caches (`tracking-table-max-keys`); 0 for no limit.
    pub(crate) tracking_table_keys_max: u64,
    /// Which percentiles INFO shows.
    pub(crate) latency_tracking_percentiles: Vec<f64>,
    /// The metrics over HTTP.
    pub(crate) metrics: MetricsSettings,
    /// Who may use what is guarded.
    pub(crate) guards: Guards,
    /// `hide-user-data-from-log`.
    pub(crate) hide_user_data_from_log: bool,
    /// `bind-source-addr`: where connections of MIGRATE come from; none: the system chooses.
    pub(crate) bind_source_addr: Option<String>,
    /// Freeing modes.
    pub(crate) lazyfree: LazyFree,
    /// Background rounds a second, 1..=500.
    pub(crate) hz: u32,
    /// Whether a thread of the allocator gives unused memory back.
    pub(crate) jemalloc_bg_thread: bool,
    /// Files.
    pub(crate) persistence: PersistenceSettings,
    /// How SIGINT ends the process.
    pub(crate) shutdown_on_sigint: EndOptions,
    /// How SIGTERM ends it.
    pub(crate) shutdown_on_sigterm: EndOptions,
    /// How much memory may be used.
    pub(crate) memory: MemorySettings,
    /// How slowly the counters of LFU grow.
    pub(crate) lfu_log_factor: u32,
    /// Minutes in which a counter of LFU that is not used loses one; 0: it loses nothing.
    pub(crate) lfu_decay_minutes: u32,
}

impl Settings {
    /// Reads the acting values out of a configuration.
    pub(crate) fn of(configuration: &Configuration) -> Settings {
        let row = Row(configuration);
        let output_limits = row.output_limits("client-output-buffer-limit");
        Settings {
            port: row.number("port"),
            tls: row.tls(),
            bind: row.words("bind"),
            unixsocket: row.path("unixsocket"),
            unixsocketperm: row.number("unixsocketperm"),
            shards: row.number("shards"),
            colocate: row.patterns("colocate"),
            lua_bytes_max: row.number("lua-memory-limit"),
            databases: row.number("databases"),
            dir: row.path("dir").unwrap_or_else(|| PathBuf::from("/")),
            requirepass: row.text("requirepass"),
            aclfile: row.path("aclfile"),
            acl_pubsub_all: row.bits("acl-pubsub-default") == 1,
            maxclients_per_user: row.number("maxclients-per-user"),
            auth_failure_delay_ms: row.number("auth-failure-delay"),
            acl_log_length_max: row.number("acllog-max-len"),
            protected_mode: row.yes("protected-mode"),
            maxclients: row.number("maxclients"),
            timeout_s: row.number("timeout"),
            tcp_keepalive_s: row.number("tcp-keepalive"),
            tcp_backlog: row.number("tcp-backlog"),
            loglevel: row.log_level(),
            logfile: row.path("logfile"),
            daemonize: row.yes("daemonize"),
            pidfile: row.path("pidfile"),
            supervised: row.supervision(),
            proto_max_bulk_bytes: row.number("proto-max-bulk-len"),
            client_query_buffer_bytes_max: row.number("client-query-buffer-limit"),
            output_limit_normal: output_limits[0],
            output_limit_replica: output_limits[1],
            output_limit_pubsub: output_limits[2],
            list_max_listpack_size: row.number("list-max-listpack-size"),
            list_compress_depth: row.number("list-compress-depth"),
            hash_limits: row.pack_limits("hash"),
            set_limits: row.pack_limits("set"),
            set_max_intset_entries: row.number("set-max-intset-entries"),
            zset_limits: row.pack_limits("zset"),
            hll_sparse_bytes_max: row.number("hll-sparse-max-bytes"),
            stream_node_bytes_max: row.number("stream-node-max-bytes"),
            stream_node_entries_max: row.number("stream-node-max-entries"),
            stream_idmp_duration_s: row.number("stream-idmp-duration"),
            stream_idmp_size_max: row.number("stream-idmp-maxsize"),
            notify_keyspace_events: row.bits("notify-keyspace-events"),
            slowlog_log_slower_than_us: row.number("slowlog-log-slower-than"),
            slowlog_len_max: row.number("slowlog-max-len"),
            latency_monitor_threshold_ms: row.number("latency-monitor-threshold"),
            latency_tracking: row.yes("latency-tracking"),
            busy_reply_threshold_ms: row.number("busy-reply-threshold"),
            tracking_table_keys_max: row.number("tracking-table-max-keys"),
            latency_tracking_percentiles: row.percentiles("latency-tracking-info-percentiles"),
            metrics: row.metrics(),
            guards: row.guards(),
            hide_user_data_from_log: row.yes("hide-user-data-from-log"),
            bind_source_addr: row.source_address(),
            lazyfree: row.lazyfree(),
            hz: row.number("hz"),
            jemalloc_bg_thread: row.yes("jemalloc-bg-thread"),
            persistence: row.persistence(),
            shutdown_on_sigint: row.end_options("shutdown-on-sigint"),
            shutdown_on_sigterm: row.end_options("shutdown-on-sigterm"),
            memory: row.memory(),
            lfu_log_factor: row.number("lfu-log-factor"),
            lfu_decay_minutes: row.number("lfu-decay-time"),
        }
    }
}

impl Default for Settings {
    /// The settings of a server started without any.
    fn default() -> Settings {
        Configuration::default().settings()
    }
}

/// Typed access by name. A name or type that does not fit the table is a mistake of ours, met by any test.
struct Row<'a>(&'a Configuration);

impl Row<'_> {
    fn value(&self, name: &str) -> &Value {
        match parameters::position(name.as_bytes()) {
            Some(at) => &self.0.values[at],
            None => panic!("no parameter {name}"),
        }
    }

    fn number<N: TryFrom<i128>>(&self, name: &str) -> N {
        match self.value(name) {
            Value::Number(number) => match N::try_from(*number) {
                Ok(number) => number,
                Err(_) => panic!("bounds of {name} exceed its type"),
            },
            other => panic!("{name} is no number: {other:?}"),
        }
    }

    fn metrics(&self) -> MetricsSettings {
        MetricsSettings {
            port: self.number("metrics-port"),
            streams_max: self.number("metrics-streams-max"),
            streams_pattern: self.text("metrics-streams-pattern").unwrap_or_default(),
        }
    }

    fn tls(&self) -> TlsSettings {
        TlsSettings {
            port: self.number("tls-port"),
            metrics: self.yes("metrics-tls") && self.number::<u16>("metrics-port") != 0,
            cert_file: self.path("tls-cert-file"),
            key_file: self.path("tls-key-file"),
            key_password: self.text("tls-key-file-pass"),
            ca_cert_file: self.path("tls-ca-cert-file"),
            ca_cert_dir: self.path("tls-ca-cert-dir"),
            client_certificates: match self.bits("tls-auth-clients") {
                0 => ClientCertificates::No,
                2 => ClientCertificates::Optional,
                _ => ClientCertificates::Required,
            },
            names_are_users: self.bits("tls-auth-clients-user") == 1,
            protocols: self.shown("tls-protocols"),
            ciphers: self.shown("tls-ciphers"),
            ciphersuites: self.shown("tls-ciphersuites"),
            prefer_server_ciphers: self.yes("tls-prefer-server-ciphers"),
            session_caching: self.yes("tls-session-caching"),
            session_cache_size: self.number("tls-session-cache-size"),
            session_cache_timeout_s: self.number("tls-session-cache-timeout"),
            changes: self.0.tls_changes,
        }
    }

    /// Bytes, or a share, which is kept below zero.
    fn size_limit(&self, name: &str) -> SizeLimit {
        let number: i128 = self.number(name);
        match u64::try_from(number) {
            Ok(0) => SizeLimit::None,
            Ok(bytes) => SizeLimit::Bytes(bytes),
            Err(_) => SizeLimit::Percent(u64::try_from(-number).unwrap_or(u64::MAX)),
        }
    }

    fn memory(&self) -> MemorySettings {
        MemorySettings {
            max: self.size_limit("maxmemory"),
            policy: self.shown("maxmemory-policy"),
            samples: self.number("maxmemory-samples"),
            tenacity: self.number("maxmemory-eviction-tenacity"),
            clients_max: self.size_limit("maxmemory-clients"),
        }
    }

    fn persistence(&self) -> PersistenceSettings {
        let file = |name| self.path(name).unwrap_or_default();
        PersistenceSettings {
            append_only: self.yes("appendonly"),
            append_fsync: match self.bits("appendfsync") {
                2 => AppendFsync::Always,
                1 => AppendFsync::EverySecond,
                _ => AppendFsync::No,
            },
            append_filename: file("appendfilename"),
            append_dirname: file("appenddirname"),
            load_truncated: self.yes("aof-load-truncated"),
            rdb_base: self.yes("aof-use-rdb-preamble"),
            notes_time: self.yes("aof-timestamp-enabled"),
            no_fsync_on_rewrite: self.yes("no-appendfsync-on-rewrite"),
            keeps_history: self.yes("aof-disable-auto-gc"),
            rewrite_percentage: self.number("auto-aof-rewrite-percentage"),
            rewrite_bytes_min: self.number("auto-aof-rewrite-min-size"),
            dump_filename: file("dbfilename"),
            save_points: match self.value("save") {
                Value::SavePoints(points) => points.clone(),
                _ => Vec::new(),
            },
            compression: self.yes("rdbcompression"),
            for_redis_7_0: self.bits("rdb-version-compat") == 1,
            checksum: self.yes("rdbchecksum"),
            key_save_delay: self.microseconds("rdb-key-save-delay"),
            key_load_delay: self.microseconds("key-load-delay"),
            stop_writes_on_error: self.yes("stop-writes-on-bgsave-error"),
        }
    }

    /// Redis: below 0 a sleep behind one of so many keys, which is nearly none.
    fn microseconds(&self, name: &str) -> Duration {
        Duration::from_micros(u64::try_from(self.number::<i64>(name)).unwrap_or(0))
    }

    fn end_options(&self, name: &str) -> EndOptions {
        let bits = self.bits(name);
        EndOptions {
            save: match bits & 3 {
                1 => Some(false),
                2 => Some(true),
                _ => None,
            },
            now: bits & 4 != 0,
            force: bits & 8 != 0,
        }
    }

    fn pack_limits(&self, family: &str) -> PackLimits {
        PackLimits {
            entry_count_max: self.number(&format!("{family}-max-listpack-entries")),
            text_bytes_max: self.number(&format!("{family}-max-listpack-value")),
        }
    }

    fn bits(&self, name: &str) -> u32 {
        match self.value(name) {
            Value::Choice(bits) | Value::Events(bits) => *bits,
            other => panic!("{name} has no bits: {other:?}"),
        }
    }

    fn yes(&self, name: &str) -> bool {
        *self.value(name) == Value::YesNo(true)
    }

    /// `None` when empty.
    fn text(&self, name: &str) -> Option<Vec<u8>> {
        match self.value(name) {
            Value::Text(text) if !text.is_empty() => Some(text.clone()),
            _ => None,
        }
    }

    /// The words of a text.
    fn patterns(&self, name: &str) -> Vec<Box<[u8]>> {
        let text = self.text(name).unwrap_or_default();
        let words = text.split(u8::is_ascii_whitespace);
        let words = words.filter(|word| !word.is_empty());
        words.map(Box::from).collect()
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(|text| path_of(&text))
    }

    fn words(&self, name: &str) -> Vec<String> {
        match self.value(name) {
            Value::Words(words) => words
                .iter()
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect(),
            _ => Vec::new(),
        }
    }

    fn shown(&self, name: &str) -> String {
        parameters::position(name.as_bytes())
            .map(|at| String::from_utf8_lossy(&self.0.shown(at)).into_owned())
            .unwrap_or_default()
    }

    fn output_limits(&self, name: &str) -> [OutputLimit; 3] {
        match self.value(name) {
            Value::OutputLimits(limits) => *limits,
            other => panic!("{name} has no limits: {other:?}"),
        }
    }

    fn percentiles(&self, name: &str) -> Vec<f64> {
        match self.value(name) {
            Value::Percentiles(percentiles) => percentiles.clone(),
            other => panic!("{name} has no percentiles: {other:?}"),
        }
    }

    fn guards(&self) -> Guards {
        Guards {
            debug: self.permission("enable-debug-command"),
            modules: self.permission("enable-module-command"),
            protected_configs: self.permission("enable-protected-configs"),
        }
    }

    fn source_address(&self) -> Option<String> {
        let text = self.text("bind-source-addr")?;
        Some(String::from_utf8_lossy(&text).into_owned())
    }

    fn permission(&self, name: &str) -> Permission {
        match self.bits(name) {
            0 => Permission::No,
            1 => Permission::Yes,
            _ => Permission::Local,
        }
    }

    fn log_level(&self) -> LogLevel {
        match self.bits("loglevel") {
            0 => LogLevel::Debug,
            1 => LogLevel::Verbose,
            2 => LogLevel::Notice,
            3 => LogLevel::Warning,
            _ => LogLevel::Nothing,
        }
    }

    fn supervision(&self) -> Supervision {
        match self.bits("supervised") {
            0 => Supervision::No,
            1 => Supervision::Auto,
            2 => Supervision::Systemd,
            _ => Supervision::Upstart,
        }
    }

    fn lazyfree(&self) -> LazyFree {
        LazyFree {
            eviction: self.yes("lazyfree-lazy-eviction"),
            expire: self.yes("lazyfree-lazy-expire"),
            server_del: self.yes("lazyfree-lazy-server-del"),
            user_del: self.yes("lazyfree-lazy-user-del"),
            user_flush: self.yes("lazyfree-lazy-user-flush"),
        }
    }
}
