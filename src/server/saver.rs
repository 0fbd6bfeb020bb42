//! The thread that saves: dumps, bases of the log, what SHUTDOWN wants saved.
//!
//! ```text
//! BGSAVE, SAVE … ──► Inbox ──► the thread ──Cut──► shards ──entries──► file, sync, name, directory
//! save points, size of the log ──► (looked at ten times a second)
//! ```
//! One thing at a time. Who wants to begin one has first taken [`Persistence`]'s place for it, so that two clients who ask at once get
//! Redis' answers; only SAVE and SYNC wait for the place, in line.
//!
//! ```text
//! base.rs    a base of the log
//! inbox.rs   requests, and which of them end what is being written    due.rs      what is begun without a request
//! switch.rs  CONFIG SET appendonly                                    ending.rs   SHUTDOWN, signals
//! copy.rs    SYNC
//! surroundings.rs  directories, the time, who works meanwhile: a simulation has others
//! ```

mod base;
mod copy;
mod due;
mod ending;
pub(super) mod inbox;
pub(super) mod surroundings;
mod switch;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tracing::{error, info, warn};

use crate::command::context::{Save, Shared};
use crate::config::Settings;
use crate::ids::{ShardId, ShardSet};
use crate::journal::dump::{Dump, Head};
use crate::journal::files::Files;
use crate::journal::log::Log;
use crate::journal::storage::{CrashPoint, Storage};
use crate::observe::persistence::{Persistence, Saving};
use crate::observe::{allocator, meter};
use crate::shard::dumps::{rdb_options, temporary_dump};
use crate::shard::mailbox::{Message, Post};
use crate::shard::snapshot::run::{Begun, Piece, Run};

use inbox::{ABORTED, CANCELLED, Client, Inbox, Work};
use surroundings::Surroundings;

pub(super) use ending::ask_end;

/// After a dump could not be written the next is tried so much later, ms (Redis: 5 s).
const RETRY_MS: u64 = 5000;

/// Redis' text.
const CANNOT_END: &str = "ERR Errors trying to SHUTDOWN. Check logs.";

/// Whether that is why something ended.
fn is(error: &io::Error, reason: &str) -> bool {
    error.kind() == io::ErrorKind::Other && error.to_string() == reason
}

/// What a dump is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occasion {
    /// It is written beside other work: when it fails, writes are refused.
    Background,
    /// A client waits for it, and learns how it ended (Redis: nothing more follows from that).
    Client,
    /// The process ends behind it.
    End,
}

/// What the thread does, in turns.
pub(super) struct Worker<S> {
    shared: Arc<Shared>,
    post: Arc<dyn Post + Send + Sync>,
    log: Arc<Log>,
    files: Files,
    /// Before that no base is begun that nobody asks for, Unix ms.
    rewrites_again_ms: u64,
    inbox: Arc<Inbox>,
    around: S,
    work: Work,
    /// There is no log until a base stands that is being written, or tried again.
    awaits_first_base: bool,
    /// Who is answered when the next file of the log is there.
    awaits_next_file: Client,
}

impl<S: Surroundings> Worker<S> {
    /// One that has nothing to do yet.
    pub(super) fn new(
        shared: Arc<Shared>,
        post: Arc<dyn Post + Send + Sync>,
        (log, files): (Arc<Log>, Files),
        inbox: Arc<Inbox>,
        around: S,
    ) -> Self {
        Self {
            shared,
            post,
            log,
            files,
            rewrites_again_ms: 0,
            inbox,
            around,
            work: Work::None,
            awaits_first_base: false,
            awaits_next_file: None,
        }
    }

    /// Waits a little for a request, and does what is asked or due. True: the process is to end.
    pub(super) fn turn(&mut self) -> bool {
        let patience = self.around.patience();
        match self.inbox.next(patience, || self.holds_signals()) {
            Some((Save::End(options), client)) => {
                let ends = self.end(options);
                self.answer(client, (!ends).then_some(CANNOT_END));
                ends
            }
            Some((save, client)) => {
                self.serve(save, client);
                false
            }
            None => {
                allocator::give_back_when_quiet(self.around.now_ms());
                self.look();
                false
            }
        }
    }

    /// A turn while the process ends: nothing is begun any more, and nobody is left without an answer. The files stay locked until it
    /// has ended.
    pub(super) fn turn_away(&self) {
        if let Some((save, client)) = self.inbox.next(self.around.patience(), || false) {
            let is_end = matches!(save, Save::End(_));
            self.answer(
                client,
                (!is_end).then_some("ERR The server is shutting down"),
            );
        }
    }

    fn facts(&self) -> &Persistence {
        &self.shared.observations.persistence
    }

    fn settings(&self) -> Arc<Settings> {
        let settings = self.shared.settings.read();
        Arc::clone(&settings.unwrap_or_else(PoisonError::into_inner))
    }

    fn serve(&mut self, save: Save, client: Client) {
        let error = match save {
            Save::Dump => self.dump(Occasion::Background).err().map(|_| "ERR"),
            Save::DumpNow => {
                if !self.takes_place(save, client) {
                    return;
                }
                self.dump(Occasion::Client).err().map(|_| "ERR")
            }
            Save::Copy(of) => return self.copy(of, client),
            Save::Base => {
                // It is in the log.
                let _ = self.base();
                None
            }
            Save::Switch => return self.switch(client),
            Save::Flushed => {
                self.dump_flushed();
                None
            }
            Save::Abort => return self.abort(client),
            // Nothing is under way.
            Save::Cancel | Save::End(_) => None,
        };
        self.answer(client, error);
    }

    /// Takes the place for a dump. Where somebody has it, the request is put in line again: whoever has it is in line too, or about to be.
    fn takes_place(&self, save: Save, client: Client) -> bool {
        let is_taken = self.facts().begin(Saving::Dump, self.around.now_ms());
        if !is_taken {
            self.inbox.lock().push_back((save, client));
            std::thread::yield_now();
        }
        is_taken
    }

    /// Redis writes a dump without what FLUSHALL has dropped, where there are save points, before it answers.
    fn dump_flushed(&mut self) {
        if self.settings().persistence.save_points.is_empty() {
            return;
        }
        if self.facts().begin(Saving::Dump, self.around.now_ms()) {
            // It is in the log.
            let _ = self.dump(Occasion::Client);
        } else {
            self.facts().dump_scheduled.store(true, Ordering::Release);
        }
    }

    fn answer(&self, client: Client, error: Option<&str>) {
        if let Some((shard, client)) = client {
            let error = error.map(|text| format!("-{text}\r\n").into_bytes());
            self.post.post(shard, Message::Saved { client, error });
        }
    }

    /// Begins a snapshot; gives its first piece, or `None` when the process ends.
    fn begin(&self, run: &Arc<Run>, pieces: &Receiver<Piece>) -> Option<Begun> {
        self.post.post(ShardId(0), Message::Cut(Arc::clone(run)));
        let mut first = self.piece(pieces);
        while matches!(first, Err(RecvTimeoutError::Timeout)) {
            first = self.piece(pieces);
        }
        match first {
            Ok(Piece::Begun(begun)) => {
                let keys: usize = begun.counts.iter().map(|counts| counts.keys).sum();
                let facts = self.facts();
                facts.saving_retained_bytes.store(0, Ordering::Relaxed);
                facts.saving_keys.store(0, Ordering::Relaxed);
                facts
                    .saving_keys_total
                    .store(keys as u64, Ordering::Relaxed);
                Some(begun)
            }
            _ => None,
        }
    }

    fn piece(&self, pieces: &Receiver<Piece>) -> Result<Piece, RecvTimeoutError> {
        pieces.recv_timeout(self.around.patience())
    }

    /// Writes all that the shards give.
    fn write(
        &self,
        storage: &dyn Storage,
        run: &Arc<Run>,
        pieces: &Receiver<Piece>,
        dump: &mut Dump,
        now_ms: u64,
    ) -> io::Result<()> {
        let all = ShardSet::all(self.shared.shard_count);
        let (mut done, mut result) = (ShardSet::EMPTY, Ok(()));
        while done != all {
            if result.is_ok()
                && let Some(reason) = self.interruption()
            {
                result = Err(io::Error::other(reason));
            }
            if result.is_err() {
                run.abort();
                self.walk_on(run, all);
            }
            match self.piece(pieces) {
                Ok(Piece::Entries(batch)) => {
                    let count = batch.entries.len();
                    let rests = !self.settings().persistence.key_save_delay.is_zero();
                    if result.is_ok() {
                        let mut entries = batch.entries.iter();
                        result = entries.try_for_each(|saved| {
                            dump.entry(saved.db, &saved.entry, now_ms)?;
                            if rests {
                                self.rest_behind_key()
                            } else {
                                Ok(())
                            }
                        });
                    }
                    let written = &self.facts().saving_keys;
                    let before = written.fetch_add(count as u64, Ordering::Relaxed);
                    let half = self.facts().saving_keys_total.load(Ordering::Relaxed) / 2;
                    if result.is_ok() && before <= half && half < before + count as u64 {
                        result = storage.reach(CrashPoint::DuringSnapshot);
                    }
                    // What took a share with it may be large: it is freed here.
                    batch.free(|| {
                        meter::used();
                    });
                    self.walk_on(run, run.encoded(count));
                }
                Ok(Piece::Done(shard)) => done.insert(shard),
                Ok(Piece::Begun(_)) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("the process ends"));
                }
            }
        }
        result
    }

    /// `rdb-key-save-delay`: for tests of what happens meanwhile.
    fn rest_behind_key(&self) -> io::Result<()> {
        let mut rested = Duration::ZERO;
        loop {
            let delay = self.settings().persistence.key_save_delay;
            let left = delay.saturating_sub(rested).min(self.around.patience());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left);
            rested += left;
            if let Some(reason) = self.interruption() {
                return Err(io::Error::other(reason));
            }
        }
    }

    /// What has been going on since then was slow or not (LATENCY).
    fn note_latency(&self, name: &'static str, begun_ms: u64) {
        let now_ms = self.around.now_ms();
        let took_ns = now_ms.saturating_sub(begun_ms) * 1_000_000;
        let threshold_ms = self.settings().latency_monitor_threshold_ms;
        let latency = &self.shared.observations.latency;
        latency.note(name, now_ms, took_ns, threshold_ms);
    }

    fn walk_on(&self, run: &Arc<Run>, shards: ShardSet) {
        for shard in shards.iter() {
            self.post.post(shard, Message::Walk(Arc::clone(run)));
        }
    }

    fn head(&self, begun: &Begun, is_base: bool) -> Head {
        Head {
            version: crate::REDIS_VERSION,
            time_s: begun.now_ms / 1000,
            memory_bytes: allocator::allocated().used,
            is_base,
            notes_time: is_base && self.settings().persistence.notes_time,
            counts: begun.counts.clone(),
            libraries: self.facts().libraries(),
        }
    }

    /// Writes a dump; the place for it is taken.
    fn dump(&mut self, occasion: Occasion) -> io::Result<()> {
        info!("Background saving started by pid {}", std::process::id());
        let since_ms = self.around.now_ms();
        self.work = match occasion {
            Occasion::End => Work::LastDump,
            Occasion::Background | Occasion::Client => Work::Dump,
        };
        // Nobody writes behind the cut of the last one.
        let result = self.write_dump(occasion == Occasion::End);
        self.work = Work::None;
        let now_ms = self.around.now_ms();
        let facts = self.facts();
        // One that was cancelled has not failed, as in Redis: writes are not refused for it.
        let is_ended = |error: &io::Error| is(error, CANCELLED) || is(error, ABORTED);
        let is_told = occasion == Occasion::Background && !result.as_ref().is_err_and(is_ended);
        if result.is_ok() || is_told {
            facts.dump_failed.store(result.is_err(), Ordering::Release);
        }
        facts.dump_tried_ms.store(now_ms, Ordering::Relaxed);
        let took_s = (now_ms - since_ms) / 1000;
        facts.dump_took_s.store(took_s as i64, Ordering::Relaxed);
        match &result {
            Ok(changes) => {
                facts.dumped_ms.store(now_ms, Ordering::Relaxed);
                facts.dumped_changes.store(*changes, Ordering::Relaxed);
                facts.dumps.fetch_add(1, Ordering::Relaxed);
                info!("DB saved on disk");
                info!("Background saving terminated with success");
            }
            Err(error) => {
                warn!("Error saving DB on disk: {error}");
                error!("Background saving error");
            }
        }
        facts.end(now_ms);
        result.map(drop)
    }

    /// Gives the changes that it has.
    fn write_dump(&self, is_last: bool) -> io::Result<u64> {
        let settings = self.settings();
        let storage = self.around.storage(&settings.dir)?;
        let (sender, pieces) = mpsc::channel();
        let run = Arc::new(Run::new(self.shared.shard_count, sender, false, is_last));
        let begun = self.begin(&run, &pieces);
        let begun = begun.ok_or_else(|| io::Error::other("the process ends"))?;
        let temporary = temporary_dump();
        let written = self.write_file(&*storage, &temporary, &run, &pieces, (&begun, false));
        if written.is_err() {
            let begun_ms = self.around.now_ms();
            // It may not be there.
            let _ = storage.remove(&temporary);
            self.note_latency("rdb-unlink-temp-file", begun_ms);
        }
        written?;
        storage.rename(&temporary, &settings.persistence.dump_filename)?;
        storage.reach(CrashPoint::AfterSnapshotRename)?;
        storage.sync_dir(Path::new(""))?;
        Ok(begun.changes)
    }

    /// Writes a snapshot that has begun to a file; gives its size. When the file cannot be written the snapshot is ended.
    fn write_file(
        &self,
        storage: &dyn Storage,
        path: &Path,
        run: &Arc<Run>,
        pieces: &Receiver<Piece>,
        (begun, is_base): (&Begun, bool),
    ) -> io::Result<u64> {
        let settings = self.settings();
        let options = rdb_options(&settings);
        let options = (!is_base || settings.persistence.rdb_base).then_some(options);
        storage.reach(CrashPoint::AfterCut)?;
        match Dump::create(storage, path, options, self.head(begun, is_base)) {
            Ok(mut dump) => {
                self.write(storage, run, pieces, &mut dump, begun.now_ms)?;
                dump.finish(storage)
            }
            Err(error) => {
                self.give_up(run, pieces);
                Err(error)
            }
        }
    }

    /// Ends a snapshot of which nothing is wanted.
    fn give_up(&self, run: &Arc<Run>, pieces: &Receiver<Piece>) {
        let all = ShardSet::all(self.shared.shard_count);
        run.abort();
        self.walk_on(run, all);
        let mut done = ShardSet::EMPTY;
        while done != all {
            match self.piece(pieces) {
                Ok(Piece::Done(shard)) => done.insert(shard),
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// The log's directory and the beginning of its files' names, of the settings.
pub(super) fn names(settings: &Settings) -> (PathBuf, PathBuf) {
    let persistence = &settings.persistence;
    (
        persistence.append_dirname.clone(),
        persistence.append_filename.clone(),
    )
}
