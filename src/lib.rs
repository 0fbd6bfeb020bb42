//! Millrace: a message broker that every Redis client already speaks. This page is the map; each room's head has the details.
//!
//! # From above
//!
//! ```text
//!  server/   boot, sockets accepted ──► shard 0 … shard N-1, a thread each (shard/thread.rs)
//!                                         │ clients (shard/client.rs, client/, net/)
//!                                         │ keyspace, owned; between turns on its shelf (keyspace/, shard/shelf.rs)
//!                                         └ mailbox (shard/mailbox.rs)
//!  command/  one row and one handler per command: synchronous, no socket, no clock
//!  data/     list, stream, listpack: pure structures
//! ```
//! A key's home is `slot * N / 16384` (`ids.rs`). Whoever holds a keyspace finishes the work on it: effects logged, blocked
//! clients served, publications sent, before it is given away and before the reply leaves.
//!
//! # The life of XADD
//!
//! 1. `shard/thread.rs` reads bytes; `shard/session_loop.rs` gives the client a turn; `resp/request.rs` finds the arguments.
//! 2. `shard/admit.rs` checks what needs no keyspace (unknown, arity, AUTH, subscribed mode); MULTI queues.
//! 3. `shard/route.rs` finds the home of the key. Own shard: it runs at once. Another: it runs here too if that shard does
//!    not need its keyspace this moment (`shard/shelf.rs`); else it travels with the commands behind it as a batch
//!    (`shard/batch.rs`), through that shard's queue (`shard/admission.rs`), and the replies come back.
//! 4. The handler in `command/stream/write.rs` changes the stream through `keyspace/handle.rs`, which insists on a report:
//!    effect (`keyspace/effect.rs`), touched (WATCH, blocked clients), event (`keyspace/event.rs`).
//! 5. `shard/execute.rs` logs effects, turns events into publications and serves who waits for the key.
//! 6. The reply leaves when all clients had their turn: one write for many commands.
//!
//! # The life of BLMOVE between two shards
//!
//! 1. Its keys live on two shards, so the client asks for a loan (`shard/lend.rs`): one message to both shards under the
//!    ordering lock; each moves its keyspace here when its queue reaches that place.
//! 2. With both in hand the handler runs (`shard/borrow.rs`, `keyspace/space.rs` finds the keyspace of a key). Nothing to
//!    move: a waiter goes into the wait table (`keyspace/wait.rs`) under the same loan, so no push falls between.
//! 3. A later LPUSH looks first whether a waiter's destination is not in hand; if so it runs under a loan that includes it.
//! 4. Then the waiter is claimed, its command runs again, and the reply goes to its shard (`shard/blocking.rs`).
//!
//! # Where is …?
//!
//! *Whose turn is next*: `shard/turns.rs`. *How it ends*: `shard/stop.rs`. *What is counted*: `shard/measure.rs`, `counters.rs`. *Tables with very
//! many names*: `data/names.rs`. *XCLAIM*: `command/stream/pending.rs`, row at the top of the family. *A client's text*: `command/error.rs`. *A limit*:
//! `limits.rs`. *Long replies*: `resp/rest.rs` (encoded as they leave), `net/buffers.rs`; KEYS over very many keys:
//! `keyspace/walk.rs`, `shard/walk.rs`. *A setting*: `config/parameters.rs`. *Publish/subscribe*: `command/pubsub.rs`, `pubsub/registry.rs`,
//! `shard/publish.rs`. *Client-side caching*: `keyspace/tracking.rs`, `shard/tracking.rs`. *Moving connections*:
//! `shard/migrate.rs`. *Freeing big values*: `keyspace/discard.rs`,
//! `server/disposal.rs`. *INFO*: `observe/info.rs`. *Metrics*: `observe/metrics.rs`, `server/metrics.rs`. *The tools*:
//! `tools/reclaim/`, `tools/demo/`, `tools/ping.rs`. *The command line, its help, completions and manual*: `cli/`. *The benchmark*: `bin/millrace-bench/`, run by `scripts/bench.sh`.
//!
//! To add a command: one row and one handler in its family's file, one test that sends it. `tests/tidy.rs` says what is
//! missing; `tests/simulation.rs` steps the engine from a seed against a sequential model.
//!
//! # Invariants of absence
//!
//! No lock and no socket in `command/`, `keyspace/`, `data/`, `resp/`; no clock but `shard/clock.rs`; no key changed but
//! through a handle; no `.await` while a keyspace of another shard is in hand; no unsafe code.

pub mod cli;
pub mod client;
pub mod command;
pub mod config;
pub mod counters;
pub mod data;
pub mod ids;
pub mod keyspace;
pub mod limits;
pub mod net;
pub mod observe;
#[cfg(test)]
mod property;
pub mod pubsub;
pub mod resp;
pub mod server;
pub mod shard;
pub mod tools;

/// The Redis whose behaviour clients may count on: what HELLO and INFO say.
pub const REDIS_VERSION: &str = "7.4.0";
