//! Every hard limit: name, unit, value, reason.
//!
//! A limit that a setting can change is the default of that setting; the others are fixed.

/// Longest bulk string in a request, bytes (`proto-max-bulk-len`).
pub const BULK_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Most arguments of one request (Redis: 1024 * 1024).
pub const ARGUMENT_COUNT_MAX: usize = 1024 * 1024;
/// Longest inline request line, bytes, and longest length line of a multibulk header.
pub const INLINE_BYTES_MAX: usize = 64 * 1024;
/// Most arguments of a request before AUTH.
pub const UNAUTHENTICATED_ARGUMENT_COUNT_MAX: usize = 10;
/// Longest bulk of a request before AUTH, bytes.
pub const UNAUTHENTICATED_BULK_BYTES_MAX: usize = 16 * 1024;
/// Unparsed input a client may have (`client-query-buffer-limit`), bytes.
pub const QUERY_BUFFER_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Commands of one connection in a row before the others get a turn.
pub const TURN_COMMANDS_MAX: usize = 128;
/// Time of one connection's turn, µs.
pub const TURN_US_MAX: u64 = 200;
/// Reply bytes of one connection's turn.
pub const TURN_REPLY_BYTES_MAX: usize = 64 * 1024;
/// Slots of the key space, as Redis Cluster has them.
pub const SLOT_COUNT: usize = 16384;
/// Most shards of one process: a shard's number fits a cursor's bits and a bit set of one word.
pub const SHARD_COUNT_MAX: usize = 64;
/// How deep `include` may nest: a file that includes itself must end with an error.
pub const CONFIG_INCLUDE_DEPTH_MAX: usize = 16;
