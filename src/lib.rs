//! Millrace: a message broker that every Redis client already speaks. This page is the map; each room's head has the details.
//!
//! # From above
//!
//! ```text
//!  server/   boot, sockets accepted ──► shard 0 … shard N-1, a thread each (shard/thread.rs)
//!                                         │ clients (shard/client.rs, client/, net/)
//!                                         │ what it has in hand, and its jobs that wait (shard/hand/)
//!                                         └ mailbox (shard/mailbox.rs)
//!  berths    one for each keyspace (shard/hand/berths.rs): any thread takes it for a window of commands
//!  command/  one row and one handler per command: synchronous, no socket, no clock
//!  data/     list, hash, stream, listpack: pure structures
//!  journal/  the files that survive: manifest, log, what a crash leaves of them: pure, over a directory real or simulated
//!  script/   Lua: the scripts of one thread, what they find, which there are; it asks its host for commands
//!  acl/      users: what their rules say and whether a command keeps to them; the log of those that do not
//!  rdb/      values to bytes and back, as Redis' files and DUMP have them
//! ```
//! A key's home is `slot * N / 16384` (`ids.rs`). Whoever holds a keyspace finishes the work on it: effects logged, blocked
//! clients served, publications sent, before it is put back and before the reply leaves.
//!
//! # Walks
//!
//! **XADD.** `shard/thread.rs` `read` gets bytes → `shard/input.rs` `run_bytes` finds a request (`resp/request.rs` `parse`) →
//! `shard/requests.rs` `step` → `shard/admit.rs` `admit` (unknown, arity, AUTH, subscribed mode; MULTI queues) →
//! `shard/route.rs` `shards_of` → `shard/window.rs` `attempt`: `has_in_hand` takes the keyspace where it lies
//! (`shard/hand/berths.rs` `take`), or the command is kept and waits in line → `run_in_hand` → `shard/execute.rs` `run` → `shard/call.rs` `call` →
//! `command/stream/write.rs` `xadd` → `keyspace/handle.rs`, which insists on a report: effect, touched, event → `call.rs`
//! `collect`, `log`, then `shard/waiters.rs` `serve` → `shard/finish.rs` `finish` → `shard/publish.rs` `dispatch` → the next
//! command, or `shard/turn.rs` `end_turn` → `shard/taking.rs` `put_back` → `thread.rs` `flush`: one write for many commands.
//!
//! **A woken XREADGROUP.** Its own attempt found nothing: `execute.rs` `run` → `waiters.rs` `register` puts it into the wait tables
//! of its keys with the same keyspaces in hand → `finish.rs` → `shard/blocking.rs` `block`. An XADD, on whatever thread: `serve`
//! → `serve_one` claims the waiter (`keyspace/claim.rs`), calls its handler again, takes it out of the wait tables → `dispatch`
//! sends the reply to its thread → there `blocking.rs` `unblock` appends it and gives the client its turn.
//!
//! **BLMOVE over two shards.** `shards_of` names two keyspaces, `take` gives both or neither: `work.rs` `resume` runs the kept
//! command when the ticket is answered. Nothing to move: `register`, as above. A later LPUSH to its source has one keyspace in
//! hand: `waiters.rs` `waiters_need` finds that serving writes to the other, `attempt` puts back and takes both, `serve_one` moves
//! the element.
//!
//! **PUBLISH.** No key, nothing in hand: `attempt` → `run_in_hand` → `command/pubsub.rs` `publish` answers with an action →
//! `dispatch` → `publish` asks `pubsub/registry.rs` for the shards with subscribers and puts one message into all their mailboxes
//! under the ordering lock (`shard/mailbox.rs`) → each thread's `deliver.rs` `deliver_publication` → `shard/subscribers.rs` → outputs.
//!
//! **EVAL.** `window.rs` `shards_of_script`: the shards of its keys, if `script/analysis.rs` has proven that it touches no others, else
//! all → `execute.rs` `run` → `shard/scripts.rs` `call_script` finds and starts it (`script/engine.rs`), on a stack of its own
//! (`script/lua/`). `redis.call` suspends it with a wish; `drive` runs the command (`call.rs` `call`) and lets it go on with the reply.
//! When it has run for too long, `shard/aside.rs` puts it aside with its keyspaces, and `shard/slices.rs` gives it time between rounds.
//!
//! # Where is …?
//!
//! *Whose turn is next*: `shard/turns.rs`. *How it ends*: `shard/stop.rs`. *What is counted*: `shard/measure.rs`, `counters.rs`. *Tables with very
//! many names*: `data/names.rs`. *XCLAIM*: `command/stream/pending.rs`, row at the top of the family. *A client's text*: `command/error.rs`. *A limit*:
//! `limits.rs`. *Long replies*: `resp/rest.rs` (encoded as they leave), `net/buffers.rs`; KEYS over very many keys:
//! `keyspace/walk.rs`, `shard/walk.rs`. *A setting*: `config/parameters.rs`. *What a user may*: `acl/rules.rs`. *Publish/subscribe*: `shard/publish.rs`. *Client-side caching*: `keyspace/tracking.rs`, `shard/tracking.rs`. *Moving connections*:
//! `shard/migrate.rs`. *TLS*: `net/tls.rs`, `server/door.rs`, `server/handshakes.rs`,
//! `server/tls.rs`. *Keys to another server* (MIGRATE): `server/migrate.rs`, `shard/sending.rs`. *Elements that end*: `keyspace/element_ends.rs`. *Freeing big values*: `keyspace/discard.rs`,
//! `server/disposal.rs`. *INFO*: `observe/info.rs`. *Metrics*: `observe/metrics.rs`, `server/metrics.rs`. *The tools*:
//! `tools/reclaim/`, `tools/import/`, `tools/demo/`, `tools/ping.rs`, `tools/check.rs`. *The command line, its help, completions and manual*: `cli/`. *The benchmark*: `bin/millrace-bench/`, run by `scripts/bench.sh`.
//!
//! To add a command: one row and one handler in its family's file, one test that sends it. `tests/tidy.rs` says what is
//! missing; `tests/simulation.rs` steps the engine from a seed against a sequential model.
//!
//! # Invariants of absence
//!
//! No lock in `keyspace/`, `data/`, `resp/`, and none but those of settings and registries in `command/`; no socket in any of them; no
//! clock but `shard/clock.rs`; no key changed but through a handle, no keyspace within reach of a handler; no `.await` and no socket while a keyspace is in
//! hand but that of a script that stands aside; no keyspace in a mailbox; no unsafe code but in `script/lua/` and for
//! the name of the options of the allocator.

pub(crate) mod acl;
pub mod cli;
pub mod client;
pub mod command;
pub mod config;
pub(crate) mod counters;
pub mod data;
pub mod ids;
pub mod journal;
pub mod keyspace;
pub mod limits;
pub(crate) mod net;
pub(crate) mod observe;
#[cfg(test)]
mod property;
pub(crate) mod pubsub;
pub mod rdb;
pub mod resp;
pub(crate) mod script;
pub mod server;
pub mod shard;
mod sync;
pub mod tools;

/// The Redis whose behaviour clients may count on: what HELLO and INFO say.
pub(crate) const REDIS_VERSION: &str = "7.4.0";
