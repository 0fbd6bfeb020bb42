//! Every hard limit: name, unit, value, reason.
//!
//! A limit that a setting can change is the default of that setting; the others are fixed.

/// Longest bulk string in a request, bytes (`proto-max-bulk-len`).
pub(crate) const BULK_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Most arguments of one request. A declared count reserves nothing, so what bounds memory is `client-query-buffer-limit`.
pub(crate) const ARGUMENT_COUNT_MAX: usize = i32::MAX as usize;
/// Longest inline request line, bytes, and longest length line of a multibulk header.
pub(crate) const INLINE_BYTES_MAX: usize = 64 * 1024;
/// Most arguments of a request before AUTH.
pub(crate) const UNAUTHENTICATED_ARGUMENT_COUNT_MAX: usize = 10;
/// Longest bulk of a request before AUTH, bytes.
pub(crate) const UNAUTHENTICATED_BULK_BYTES_MAX: usize = 16 * 1024;
/// Replies to one unbroken pipeline before AUTH, bytes: who sends more without a password is closed (Redis: what is beyond the
/// buffer of 16 KB that every client has).
pub(crate) const UNAUTHENTICATED_REPLY_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a handshake that are kept until a message in them is whole: more than the longest chain of certificates.
pub(crate) const TLS_HANDSHAKE_BYTES_MAX: usize = 96 * 1024;
/// Most sessions of TLS that are kept, whatever the setting says: their places are made at once.
pub(crate) const TLS_SESSIONS_MAX: usize = 200_000;
/// Most rows of the command table, subcommands counted: what a user may run is a bit for each.
pub(crate) const COMMAND_COUNT_MAX: usize = 1024;
/// Time within which denials of the same kind share an entry of ACL LOG, ms.
pub(crate) const ACL_LOG_GROUPING_MS: u64 = 60_000;
/// Bytes of a key, channel or user name that an entry of ACL LOG keeps: its client chose them, and may not choose how much memory
/// the log takes.
pub(crate) const ACL_LOG_TEXT_BYTES_MAX: usize = 256;
/// Newest entries of ACL LOG among which one is looked for that a denial can share.
pub(crate) const ACL_LOG_GROUPED_AMONG: usize = 10;
/// Addresses, and users, whose refused logins the log tells of one by one; the others share a line.
pub(crate) const REFUSED_LOGIN_NAMES_MAX: usize = 1000;
/// Time between two lines about refused logins of one address or user, ms.
pub(crate) const REFUSED_LOGIN_LINE_MS: u64 = 60_000;
/// Time for which a publication waits for what listeners have sent to another thread before, ms: then that thread is stuck, and the others
/// go on without it.
pub(crate) const OUTSTANDING_WAIT_MS_MAX: u64 = 500;
/// Rounds of a thread for which a publication waits: somebody may send to it without end. So many turns of a long pipeline are waited for,
/// too.
pub(crate) const OUTSTANDING_ROUNDS_MAX: u64 = 8;
/// Commands of one connection in a row before the others get a turn.
pub(crate) const TURN_COMMANDS_MAX: usize = 128;
/// Turns of clients with requests left, before sockets are looked at again: who has sent a single request does not wait for
/// all who have sent thousands.
pub(crate) const TURNS_PER_ROUND_MAX: usize = 16;
/// Time of one connection's turn, µs.
pub(crate) const TURN_US_MAX: u64 = 200;
/// Reply bytes of one connection's turn.
pub(crate) const TURN_REPLY_BYTES_MAX: usize = 64 * 1024;
/// Encrypted bytes read from a socket at once: all that is received is decrypted, so what is in them fits the room of a read.
pub(crate) const TLS_READ_BYTES: usize = 64 * 1024;
/// Bytes that are encrypted at once: what a socket does not take of them is kept, encrypted, beside the output.
pub(crate) const TLS_WRITE_BYTES: usize = 64 * 1024;
/// One sixteenth of the records a key may encrypt is kept back, so that replies already made can still be sent.
pub(crate) const TLS_RECORDS_RESERVE_DIVISOR: u64 = 16;
/// Time for a TLS handshake, ms: whoever connects and says nothing is dropped then (Redis: never).
pub(crate) const TLS_HANDSHAKE_MS: u64 = 10_000;
/// Time for which a handshake keeps its place when there are too many clients, ms: it takes some round trips. Who has said nothing at
/// all makes room at once.
pub(crate) const TLS_HANDSHAKE_GRACE_MS: u64 = 2000;
const _: () = assert!(TLS_HANDSHAKE_GRACE_MS < TLS_HANDSHAKE_MS);
/// Time between two lines of the log about failed handshakes from one address, ms …
pub(crate) const TLS_FAILURE_LINE_MS: u64 = 60_000;
/// … and addresses that have lines of their own.
pub(crate) const TLS_FAILURE_ADDRESSES_MAX: usize = 1000;
/// Slots of the key space, as Redis Cluster has them.
pub(crate) const SLOT_COUNT: usize = 16384;
/// Most shards of one process: a shard's number fits a cursor's bits and a bit set of one word.
pub(crate) const SHARD_COUNT_MAX: usize = 64;
/// Keys in all up to which KEYS looks at them at once; of more it walks some at a time. So many take half a millisecond.
pub(crate) const KEYS_AT_ONCE_MAX: usize = 10_000;
/// Keys that a walk looks at before other work gets its turn.
pub(crate) const WALKED_PER_TURN_MAX: usize = 1000;
/// Walks under way in a keyspace: each write looks at all of them. With so many KEYS does not walk.
pub(crate) const WALKS_MAX: usize = 16;
/// How deep `include` may nest: a file that includes itself must end with an error.
pub(crate) const CONFIG_INCLUDE_DEPTH_MAX: usize = 16;
/// Unsent output at which a client's commands wait, bytes: it does not read its replies. (Redis goes on without end,
/// unless `client-output-buffer-limit normal` says when to close the connection.)
pub(crate) const OUTPUT_BYTES_TO_STOP_RUNNING: usize = 64 * 1024 * 1024;
/// Reply bytes of a long range that are encoded at once; what follows them is encoded when these have left. Also what a
/// command encodes of it before it turns to slices. A slice of the shortest elements takes about 50 µs.
pub(crate) const REPLY_SLICE_BYTES: usize = 32 * 1024;
/// A value from this size on is sent from where it lies, without a copy, bytes: what a slice would copy.
pub(crate) const SHARED_BULK_BYTES_MIN: usize = 32 * 1024;
/// What is read at once of a file that is sent (SYNC), bytes: all that memory has of it. From the page cache it takes about 10 µs.
pub(crate) const STORED_PIECE_BYTES: usize = 64 * 1024;
/// How long replies may take at the end of the process, ms: who reads has them by then.
pub(crate) const LAST_REPLIES_MS: u64 = 100;
/// Output sent to one connection before the others get a turn, bytes.
pub(crate) const SENT_PER_TURN_MAX: usize = 64 * 1024;
/// Bytes offered to a socket with one write: one that has much room would take a long value at once, for a millisecond.
pub(crate) const WRITE_BYTES_MAX: usize = 128 * 1024;
/// Replies from this size on become the output of their client as they are; shorter ones are copied, so that the shard
/// keeps its buffer. Bytes.
pub(crate) const REPLY_BYTES_HANDED_OVER: usize = 64 * 1024;
/// The buffer for replies that a shard keeps between turns, bytes: one that grew for a long reply is given back.
pub(crate) const REPLY_BYTES_KEPT: usize = 1024 * 1024;
/// Input kept for a client whose command is under way, bytes: one read more may come.
pub(crate) const INPUT_BYTES_WHILE_BUSY_MAX: usize = 64 * 1024;
/// Input of a client that waits (BLPOP, WAIT, CLIENT PAUSE) that is read at full speed, bytes: mostly enough to reach the
/// end of its input, which ends the wait.
pub(crate) const INPUT_BYTES_WHILE_WAITING_MAX: usize = 8 * 1024 * 1024;
/// Input kept for a client that waits, bytes: above [`INPUT_BYTES_WHILE_WAITING_MAX`] it is read slowly. The end of a client that is gone is seen
/// only behind what its socket and ours still hold, which is mostly less than the difference.
pub(crate) const INPUT_BYTES_TO_REACH_THE_END_MAX: usize = 32 * 1024 * 1024;
const _: () = assert!(INPUT_BYTES_TO_REACH_THE_END_MAX > INPUT_BYTES_WHILE_WAITING_MAX);
/// Input kept for a client that does not read its replies, bytes: many send a whole pipeline before they read the first one,
/// and would wait for ever for us to read on.
pub(crate) const INPUT_BYTES_WHILE_UNREAD_MAX: usize = 64 * 1024 * 1024;
/// Buffers of input, and as many of output, that a shard keeps for the next clients that need one, bytes in all …
pub(crate) const SPARE_BYTES_MAX: usize = 1024 * 1024;
/// … and of one of output: a client that is slow to read may hold one that is too large for it.
pub(crate) const SPARE_OUTPUT_BUFFER_BYTES_MAX: usize = 4096;
/// Commands that run with keyspaces in hand before others who wait for one of them get their turn …
pub(crate) const WANTED_HAND_COMMANDS_MAX: u32 = 16;
/// … and how long they may have had them, ns.
pub(crate) const WANTED_HAND_NS_MAX: u64 = 20_000;
/// How often a ticket may be passed before it reserves its berths …
pub(crate) const TICKET_LOSSES_MAX: u32 = 20;
/// … and for how long, ns.
pub(crate) const TICKET_AGE_MAX_NS: u64 = 1_000_000;
/// When a thread tries for what its jobs wait for even though nothing was offered, ms: who was offered it may be held up.
pub(crate) const TICKET_RETRY_MS: u64 = 1;
/// Jobs that wait for the same keyspaces and run in one round of the loop.
pub(crate) const JOBS_PER_ROUND_MAX: usize = 16;
/// Waiters that leave the wait tables of a keyspace in one hand.
pub(crate) const WAITERS_FORGOTTEN_AT_ONCE: usize = 64;
/// How often a thread looks for a keyspace that is in another hand …
pub(crate) const SPINS_MAX: u32 = 200;
/// … for how long at most, ns …
pub(crate) const SPIN_NS_MAX: u64 = 3_000;
/// … and how often where threads have to share cores: who has it may not be running.
pub(crate) const SPINS_SHARING_CORES: u32 = 16;
/// Published messages from this size on are held once for all who wait for them; smaller ones are copied, bytes. Measured on
/// two threads, to append and to send: 1 KB copied 0.9 µs, shared 1.8; 4 KB copied 5.5, shared 2.7; 64 KB copied 113, shared 15.
pub(crate) const SHARED_BYTES_MIN: usize = 2048;
/// Undelivered publications of one shard to another at which publishers are no longer read, bytes.
pub(crate) const PUBLICATION_CREDIT_BYTES: usize = 8 * 1024 * 1024;
/// Tracked keys forgotten at once when there are too many (`tracking-table-max-keys`); the rest a round later.
pub(crate) const TRACKED_KEYS_FORGOTTEN_MAX: usize = 1000;
/// References that a group notes as gone between two trims by ACKED; with more, the next such trim looks at everything again.
pub(crate) const RELEASED_REFERENCES_NOTED_MAX: usize = 4096;
/// Producers whose messages one stream knows (XADD IDMP): each takes about half a kilobyte until its messages have ended. A
/// producer is a process that adds, so this is far above what a stream has; who makes up a name for each message meets it.
pub const IDMP_PRODUCERS_MAX: usize = 100_000;
/// Producers that a round of housekeeping forgets, because their time is over, before other work gets its turn …
pub(crate) const IDMP_PRODUCERS_ENDED_PER_ROUND_MAX: usize = 2000;
/// … and streams that it looks at for them.
pub(crate) const IDMP_STREAMS_PER_ROUND_MAX: usize = 100;
/// Watchers that a round of housekeeping looks at, for those whose WATCH is over: at least so many, which take 50 µs …
pub(crate) const WATCHERS_SWEPT_PER_ROUND_MIN: usize = 5000;
/// … and this part of a larger table, so that a million that are gone are forgotten within six seconds.
pub(crate) const WATCHERS_SWEPT_PER_ROUND_SHARE: usize = 16;
/// IDs of one XDEL or XACK that an effect consists of.
pub(crate) const EFFECT_IDS_MAX: usize = 512;
/// Elements that have ended, of the keys of a command, that are removed before other work gets its turn: about as long as a turn.
pub(crate) const ENDED_PER_STEP_MAX: usize = 256;
/// Keys removed in one expiry round before other work gets its turn.
pub(crate) const EXPIRIES_PER_ROUND_MAX: usize = 200;
/// Keys that blocked clients look at again in one round, because it is time, before other work gets its turn.
pub(crate) const ALARMS_PER_ROUND_MAX: usize = 100;
/// Windows, most of them about one shard, at which a connection moves there for the first time.
pub(crate) const MIGRATION_WINDOWS_MIN: u32 = 8;
/// Time in which a connection's reluctance to move again halves, ms.
pub(crate) const MIGRATION_DECAY_MS: u64 = 1000;
/// Connections to the port of the metrics at a time. When one more comes the oldest that has not sent its request is closed:
/// so many that whoever sends at once has sent before it is the oldest.
pub(crate) const METRICS_CONNECTIONS_MAX: usize = 256;
/// Longest head of a request for metrics, bytes.
pub(crate) const METRICS_REQUEST_BYTES_MAX: usize = 16 * 1024;
/// Time to send a request for metrics in, ms.
pub const METRICS_REQUEST_MS: u64 = 3000;
/// Time for the whole exchange, until the metrics are read, ms. Prometheus gives up after 10 s.
pub(crate) const METRICS_EXCHANGE_MS: u64 = 10_000;
/// How long a scrape waits for a shard that is held up, ms.
pub(crate) const METRICS_GATHER_MS: u64 = 2000;
/// Groups of one stream in the metrics, at most.
pub(crate) const METRICS_GROUPS_PER_STREAM_MAX: usize = 100;
/// Names that a shard looks at for one scrape, when the pattern fits few of them.
pub(crate) const METRICS_STREAMS_EXAMINED_MAX: usize = 10_000;
/// Longest name of a stream or group in the metrics, bytes.
pub(crate) const METRICS_LABEL_BYTES_MAX: usize = 256;
/// Open files a server needs beside its clients' sockets: listeners, logs, wake-ups, files (Redis: 32).
pub(crate) const RESERVED_FILE_COUNT: u64 = 32;
/// How long accepting rests after the system refused a socket (no open file left), ms.
pub(crate) const ACCEPT_PAUSE_MS: u64 = 100;
/// Elements that one push of an effect names, so that a move of a long list is no longer a command than clients may send.
pub(crate) const PUSH_EFFECT_ELEMENTS_MAX: usize = 64 * 1024;
/// Arguments of a request that the slow log keeps (Redis: 32).
pub(crate) const SLOWLOG_ARGUMENTS_MAX: usize = 32;
/// Bytes of an argument that the slow log keeps (Redis: 128).
pub(crate) const SLOWLOG_ARGUMENT_BYTES_MAX: usize = 128;
/// Seconds with a sample that LATENCY keeps of each event (Redis: 160).
pub(crate) const LATENCY_SAMPLES_MAX: usize = 160;
/// Bytes that the thread which reads a file collects for the thread of a shard before it hands them over: so many that the
/// hand-over costs little, so few that they are still near the processor.
pub(crate) const LOAD_BATCH_BYTES: usize = 64 * 1024;
/// Bytes that wait for the thread of a shard while a file is loaded; a larger command or entry comes alone.
pub(crate) const LOAD_QUEUE_BYTES_MAX: usize = 1024 * 1024;
/// Commands and entries of a file that are loaded before threads are started for the rest: most files of few keys need none.
pub(crate) const LOADED_BEFORE_THREADS: usize = 1000;
/// Commands of a log that are run with all keyspaces in hand behind one that concerns several shards, before threads have the
/// keyspaces again: as many as run in the time that it takes to get them back.
pub(crate) const LOADED_BETWEEN_BARRIERS: usize = 128;
/// While a file is loaded the log tells of it so often, ms.
pub(crate) const LOAD_TOLD_EVERY_MS: u64 = 5000;
/// Longest password that ACL GENPASS makes, bits (Redis: 4096).
pub(crate) const GENERATED_PASSWORD_BITS_MAX: usize = 4096;
/// Longest reply that `millrace ping` takes, bytes; the answer to HELLO fits. It may be anything, and the decoder calls itself
/// for each level of nested arrays: for the five hundred levels of so many bytes it needs 1 MB of stack.
pub(crate) const RAW_REPLY_BYTES_MAX: usize = 2 * 1024;
/// How often the log is synced under `appendfsync everysec`, ms.
pub(crate) const LOG_SYNC_PERIOD_MS: u64 = 1000;
/// Where syncs of the log take less than this on average, ns, a shard waits for them itself: to hand them to another thread would cost
/// more.
pub(crate) const LOG_SYNC_QUICK_NS: u64 = 300_000;
/// A sync that takes so long is very slow, ns: the disk is on trial.
pub(crate) const LOG_SYNC_SLOW_NS: u64 = 8_000_000;
/// As many quick syncs must follow it before a shard waits for one itself again: half a second of a busy server.
pub(crate) const LOG_SYNCS_ON_TRIAL: u32 = 1000;
/// How often it is tried to write what could not be written to the log, ms.
pub(crate) const LOG_RETRY_PERIOD_MS: u64 = 100;
/// Beside a sync that takes longer than this `appendfsync everysec` answers no writes, ms (Redis: 2 s).
pub(crate) const LOG_SLOW_SYNC_MS: u64 = 2000;
/// How long a reply may wait for a log that cannot be written, ms: then its client is closed, and knows nothing.
pub(crate) const LOG_PATIENCE_MS: u64 = 5000;
/// How long a client may take nothing of a copy of the data that it has asked for, ms (Redis: `repl-timeout`, 60 s).
pub(crate) const COPY_PATIENCE_MS: u64 = 60_000;
/// Room that the log's buffer keeps when it was written, bytes.
pub(crate) const LOG_BUFFER_BYTES_KEPT: usize = 1024 * 1024;
/// Whoever has written so much to the log in little time that nothing filled ahead was left has so many times as much from then on.
pub(crate) const LOG_FILL_GROWTH: u64 = 16;
/// Between two parts of it others write for so long at least.
pub(crate) const LOG_FILL_PAUSE: std::time::Duration = std::time::Duration::from_micros(50);
/// Bytes that are filled ahead at the end of the log at once, so that few syncs store a new size. Nobody can write meanwhile: a
/// quarter of a millisecond. A multiple of 16.
pub(crate) const LOG_FILL_BYTES: u64 = 512 * 1024;
/// Work of a step of a snapshot between two looks at the clock, in small values shared.
pub(crate) const SNAPSHOT_STEP_COST: usize = 64;
/// After so long a step of a snapshot ends, and clients get their turn, ns: the longest, and the shortest while clients keep the
/// shard at work.
pub(crate) const SNAPSHOT_STEP_NS: u64 = 200_000;
/// See above.
pub(crate) const SNAPSHOT_STEP_SHORT_NS: u64 = 20_000;
/// A step takes at most this part of the time since the one before: clients keep three quarters of a busy shard.
pub(crate) const SNAPSHOT_STEP_PART: u64 = 3;
/// Entries of a snapshot that are handed out and not encoded: until then shards go on.
pub(crate) const SNAPSHOT_ENTRIES_UNDER_WAY_MAX: usize = 16 * 1024;
/// Bytes of a dump that are written at once.
pub(crate) const DUMP_PIECE_BYTES: usize = 256 * 1024;
/// Bytes of a dump that may wait for a sync, so that none takes long (Redis: 4 MB).
pub(crate) const DUMP_UNSYNCED_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Stack on which scripts run. Bytes. Lua nests 200 calls of C functions at most, each of which takes less than 8 KB here.
pub(crate) const SCRIPT_STACK_BYTES: usize = 2 << 20;

/// A command of a script may be so long. Bytes. Positions in it are 32 bits.
pub(crate) const SCRIPT_COMMAND_BYTES_MAX: usize = 1 << 30;

/// A buffer for commands of scripts that has become larger is not kept. Bytes.
pub(crate) const SCRIPT_EXCHANGE_BYTES_KEPT: usize = 1 << 20;

/// Scripts of EVAL that are remembered; Redis 7.4 has the same number.
pub(crate) const EVAL_SCRIPTS_MAX: usize = 500;

/// Memory of all scripts of one thread, unless `lua-memory-limit` says otherwise. Bytes.
pub(crate) const LUA_BYTES_DEFAULT: usize = 1 << 30;

/// The code of a library may run for so many times 10,000 instructions while it is loaded: about half a second, Redis' limit.
pub(crate) const LIBRARY_TICKS_MAX: usize = 5_000;

/// Functions of one library.
pub(crate) const LIBRARY_FUNCTIONS_MAX: usize = 10_000;

/// Values that a script may return; what is more than this nobody wants, and a small table that has itself twice is endless.
pub(crate) const SCRIPT_VALUES_MAX: usize = 10_000_000;

/// Bytes of what a script returns.
pub(crate) const SCRIPT_REPLY_BYTES_MAX: usize = 1 << 30;

/// A script that has allocated so much is asked at once whether it may go on. Bytes.
pub(crate) const SCRIPT_BYTES_PER_TICK: usize = 16 << 20;
