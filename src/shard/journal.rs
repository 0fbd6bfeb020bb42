//! The log as a shard sees it: the effects of its hands go there, and what reveals them waits until the log has them.
//!
//! ```text
//! hand ─► effects ─► log, before its keyspaces are back and before a message leaves
//! reply, message ─► client's output, held until the log's mark has reached what it may reveal ─► socket
//! ```
//! Each keyspace carries the position of its last effect. What a client gets from a hand may reveal all effects of the keyspaces
//! in it, and so may an event; what a client publishes may reveal what it has written; any other message all that the log had
//! when it was taken in. So a client that works with other keys than those who write waits for nobody's disk; but on a quick one its
//! shard may wait for what it has written (`journal/quick.rs`).
//!
//! Not here: what the log writes when (`journal/log.rs`).

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::command::context::Shared;
use crate::config::{AppendFsync, Settings};
use crate::ids::ClientId;
use crate::journal::log::Log;
use crate::journal::storage::{Opening, Points, Storage};
use crate::journal::target::{SyncPolicy, Target};
use crate::keyspace::effect::{Effect, EffectBuffer, in_order};
use crate::limits;
use crate::observe::effects::{Effect as Recorded, EffectLog};
use crate::observe::persistence::Saving;

use super::client::Client;
use super::state::Shard;

impl Shard {
    /// Hands the effects of the keyspaces in hand on, and notes what a reply may reveal. Before they are put back, and before
    /// others are sent anything that follows from the effects.
    #[inline]
    pub(super) fn log_effects(&mut self) {
        if self.is_recording {
            self.log_recorded();
        }
    }

    fn log_recorded(&mut self) {
        let now_ms = self.now_ms;
        let keyspaces = self.hands.hand_mut().keyspaces_mut();
        let is_any = |buffer: &EffectBuffer| !buffer.is_empty();
        if keyspaces.iter().any(|keyspace| is_any(&keyspace.effects)) {
            let to = &Destinations {
                log: &self.log,
                recorder: &self.shared.effects,
                now_ms,
            };
            let position = match &*keyspaces {
                [one] => to.append(one.effects.effects()),
                many => {
                    let buffers = many.iter().map(|keyspace| &keyspace.effects);
                    to.append(in_order(buffers).into_iter())
                }
            };
            for keyspace in keyspaces.iter_mut() {
                keyspace.effects.clear();
                keyspace.logged_to = position;
            }
            self.wrote_to = position;
        }
        let seen = keyspaces.iter().map(|keyspace| keyspace.logged_to);
        self.revealed = seen.fold(self.revealed, u64::max);
    }

    /// Writes what the log has not written, and on a quick disk syncs it: before anything is sent.
    pub(super) fn write_log(&mut self) {
        if !self.log.is_on() {
            self.mark = u64::MAX;
            return;
        }
        self.log.heed_sync(self.now_ms);
        let syncs = self.log.is_synced_by_writers();
        self.owes_sync |= if self.settings.latency_monitor_threshold_ms == 0 {
            self.write_for(syncs)
        } else {
            self.write_log_timed(syncs)
        };
        if self.owes_sync {
            self.settle_sync(syncs);
        }
        self.mark = self.log.mark();
    }

    /// `syncs`: it is not left to the thread that syncs. Whether something was written that has to be synced here.
    fn write_for(&self, syncs: bool) -> bool {
        if syncs {
            return self.log.write_unsynced();
        }
        self.log.write();
        false
    }

    /// What this shard has written and left to nobody is synced, or left to the thread that syncs: the disk may have become slow.
    fn settle_sync(&mut self, syncs: bool) {
        if syncs {
            self.sync_log();
            self.owes_sync = self.log.synced() < self.log.written();
        } else {
            self.log.want_sync();
            self.owes_sync = false;
        }
    }

    /// Waits for the disk, unless another thread does: then this shard is woken when it has.
    fn sync_log(&self) {
        let Some(sync) = self.log.begin_own_sync(self.id.index()) else {
            return;
        };
        let took_ns = self.log.run_to_end(&sync, || self.clock.nanoseconds());
        let latency = &self.shared.observations.latency;
        let threshold_ms = self.settings.latency_monitor_threshold_ms;
        latency.note("aof-fsync-always", self.now_ms, took_ns, threshold_ms);
    }

    /// As Redis does, a write that took long is noted under a name that says what went on beside it, and under one for all.
    fn write_log_timed(&self, syncs: bool) -> bool {
        let facts = &self.shared.observations.persistence;
        let name = if facts.log_syncing.load(Ordering::Relaxed) {
            "aof-write-pending-fsync"
        } else if facts.saving() == Saving::Nothing {
            "aof-write-alone"
        } else {
            "aof-write-active-child"
        };
        let begun_ns = self.clock.nanoseconds();
        let owes = self.write_for(syncs);
        let took_ns = self.clock.nanoseconds() - begun_ns;
        let threshold_ms = self.settings.latency_monitor_threshold_ms;
        for name in [name, "aof-write"] {
            let latency = &self.shared.observations.latency;
            latency.note(name, self.now_ms, took_ns, threshold_ms);
        }
        owes
    }

    /// What a client is sent from now on may reveal all that has happened so far.
    pub(super) fn hold_for_all(&self, client: &mut Client) {
        client.held_for = client.held_for.max(self.log.end());
    }

    /// Whether the output of a client has to wait for the log. It is sent as soon as that has come so far.
    pub(super) fn is_held(&mut self, id: ClientId) -> bool {
        let in_trouble = self.log.is_in_trouble();
        let client = self.clients.get(id);
        let held_for = client.map_or(0, |client| client.waits_for(in_trouble));
        if held_for <= self.mark {
            return false;
        }
        // Noted before the log is asked again: it moves on meanwhile, and wakes whom it finds noted.
        self.log.wait(self.id.index());
        self.mark = self.log.mark();
        if held_for <= self.mark {
            return false;
        }
        self.clients.hold(id, self.now_ms);
        true
    }

    /// What WAITAOF answers, when the client waits for that.
    pub(super) fn synced_reply(&self, client: &mut Client) -> Option<Vec<u8>> {
        let position = client.waits_for_sync.take()?;
        let local = u8::from(self.log.is_on() && self.log.durable() >= position);
        Some(format!("*2\r\n:{local}\r\n:0\r\n").into_bytes())
    }
}

/// Tells the log what the settings say about it.
pub(crate) fn follow_settings(log: &Log, settings: &Settings) {
    let policy = match settings.persistence.append_fsync {
        AppendFsync::Always => SyncPolicy::Always,
        AppendFsync::EverySecond => SyncPolicy::EverySecond,
        AppendFsync::No => SyncPolicy::No,
    };
    let persistence = &settings.persistence;
    log.set_policy(
        policy,
        persistence.notes_time,
        persistence.no_fsync_on_rewrite,
    );
}

/// The name of the file of [`log_in`].
pub const SIMULATED_LOG: &str = "log";

/// A log in one file of a simulated directory, which only syncs when it is told ([`Log::sync`]): replies wait for that.
///
/// # Errors
/// Those of the storage.
pub fn log_in(storage: &dyn Storage, shared: &Shared) -> io::Result<Arc<Log>> {
    let facts = Arc::clone(&shared.observations.persistence);
    let log = Log::new(shared.shard_count, facts);
    log.set_policy(SyncPolicy::Always, false, false);
    let file = storage.open_write(Path::new(SIMULATED_LOG), Opening::New)?;
    log.begin_file(Target::begin(
        file,
        Points::default(),
        0,
        1,
        limits::LOG_FILL_BYTES,
    )?);
    Ok(Arc::new(log))
}

/// Where effects go.
struct Destinations<'s> {
    log: &'s Log,
    recorder: &'s EffectLog,
    now_ms: u64,
}

impl Destinations<'_> {
    /// Gives the position of the log behind them; its end where the log is off.
    fn append<'b>(&self, effects: impl Iterator<Item = Effect<'b>> + Clone) -> u64 {
        if self.recorder.is_recording() {
            let copies = effects.clone().map(|effect| Recorded {
                db: effect.db,
                command: effect.command.to_vec(),
            });
            self.recorder.append(copies);
        }
        if self.log.is_on() {
            self.log.append(effects, self.now_ms)
        } else {
            self.log.end()
        }
    }
}
