//! The thread that saves: dumps, bases of the log, what SHUTDOWN wants saved.
//!
//! ```text
//! BGSAVE, SAVE … ──► Inbox ──► the thread ──Cut──► shards ──entries──► file, sync, name, directory
//! save points, size of the log ──► (looked at ten times a second)
//! ```
//! One thing at a time. Who wants to begin one has first taken [`Persistence`]'s place for it, so that two clients who ask at once get
//! Redis' answers.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{error, info, warn};

use crate::command::context::{EndOptions, Save, Saver, Shared};
use crate::config::Settings;
use crate::ids::{ClientId, ShardId, ShardSet};
use crate::journal::dump::{Dump, Head};
use crate::journal::files::Files;
use crate::journal::log::Log;
use crate::journal::manifest::BaseFormat;
use crate::journal::storage::disk::DiskStorage;
use crate::journal::storage::{CrashPoint, Storage};
use crate::observe::allocator;
use crate::observe::persistence::{Persistence, Saving};
use crate::shard::clock::unix_ms;
use crate::shard::dumps::{rdb_options, temporary_dump};
use crate::shard::mailbox::{Message, Post};
use crate::shard::snapshot::run::{Begun, Piece, Run};

use super::control::Control;

/// How often the thread looks what is due.
const TICK: Duration = Duration::from_millis(100);
/// After a dump could not be written the next is tried so much later, ms (Redis: 5 s).
const RETRY_MS: u64 = 5000;

const CANCELLED: &str = "it was cancelled";
/// Redis' text.
const CANNOT_SWITCH: &str = "ERR CONFIG SET failed (possibly related to argument 'appendonly') - Unable to turn on AOF. Check server logs.";

type Client = Option<(ShardId, ClientId)>;

/// What the thread is asked.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    requests: Mutex<VecDeque<(Save, Client)>>,
    has_request: Condvar,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(Save, Client)>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<(Save, Client)> {
        let mut requests = self.lock();
        if requests.is_empty() {
            let waited = self.has_request.wait_timeout(requests, TICK);
            requests = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        requests.pop_front()
    }

    /// Whether what is being written is not wanted any more; who only wanted that is answered by it.
    fn takes_cancel(&self) -> bool {
        let mut requests = self.lock();
        let before = requests.len();
        requests.retain(|(save, _)| *save != Save::Cancel);
        let is_end = |(save, _): &(Save, Client)| matches!(save, Save::End(_));
        requests.len() < before || requests.iter().any(is_end)
    }
}

/// How shards reach the thread.
#[derive(Debug)]
pub(super) struct Asker(pub(super) Arc<Inbox>);

impl Saver for Asker {
    fn request(&self, save: Save, client: Client) {
        self.0.lock().push_back((save, client));
        self.0.has_request.notify_one();
    }
}

/// The thread.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) post: Arc<dyn Post + Send + Sync>,
    pub(super) log: Arc<Log>,
    pub(super) files: Files,
    /// Before that no base is begun that nobody asks for, Unix ms.
    pub(super) rewrites_again_ms: u64,
    pub(super) inbox: Arc<Inbox>,
    pub(super) control: Control,
}

impl Worker {
    /// Works for as long as the process runs.
    pub(super) fn run(mut self) {
        loop {
            match self.inbox.next() {
                Some((Save::End(options), client)) => {
                    if self.end(options) {
                        self.answer(client, None);
                        self.control.stop();
                        self.turn_away();
                    }
                    self.answer(client, Some("ERR Errors trying to SHUTDOWN. Check logs."));
                }
                Some((save, client)) => self.serve(save, client),
                None => self.look(),
            }
        }
    }

    /// The process ends: nothing is begun any more, and nobody is left without an answer. The files stay locked until it has ended.
    fn turn_away(&self) -> ! {
        loop {
            if let Some((save, client)) = self.inbox.next() {
                let is_end = matches!(save, Save::End(_));
                self.answer(
                    client,
                    (!is_end).then_some("ERR The server is shutting down"),
                );
            }
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
            Save::Dump | Save::DumpNow => self.dump(false).err().map(|_| "ERR"),
            Save::Base => {
                // It is in the log.
                let _ = self.base();
                None
            }
            Save::Switch => match self.follow_settings() {
                Ok(true) => None,
                Ok(false) => {
                    // Behind what somebody else has asked for.
                    self.inbox.lock().push_back((save, client));
                    return;
                }
                Err(_) => Some(CANNOT_SWITCH),
            },
            // Nothing is under way.
            Save::Cancel | Save::End(_) => None,
        };
        self.answer(client, error);
    }

    fn answer(&self, client: Client, error: Option<&str>) {
        if let Some((shard, client)) = client {
            let error = error.map(|text| format!("-{text}\r\n").into_bytes());
            self.post.post(shard, Message::Saved { client, error });
        }
    }

    /// Does what is due without a request.
    fn look(&mut self) {
        if self.facts().is_loading() || self.shared.stopping.load(Ordering::Acquire) {
            return;
        }
        let (settings, now_ms) = (self.settings(), unix_ms());
        if self.log.is_cut() {
            // The process was to end, and could not.
            let _ = self.files.next(&self.log);
        }
        let may_rewrite = now_ms >= self.rewrites_again_ms;
        if self.log.is_on() && self.log.has_failed() && self.files.is_there() {
            error!("A sync of the append only file has failed: it is written anew from memory");
            self.files.begin_anew();
        }
        if may_rewrite {
            // It is in the log, and tried again.
            let _ = self.follow_settings();
        }
        if may_rewrite
            && (self.facts().rewrite_scheduled.swap(false, Ordering::AcqRel)
                || self.log.is_on() && self.log_has_grown(&settings))
        {
            if self.facts().begin(Saving::Base, now_ms) {
                // It is in the log.
                let _ = self.base();
            }
        } else if (self.facts().dump_scheduled.swap(false, Ordering::AcqRel)
            || self.is_save_due(&settings, now_ms))
            && self.facts().begin(Saving::Dump, now_ms)
        {
            // As above.
            let _ = self.dump(false);
        }
    }

    fn changes(&self) -> u64 {
        let dirty = self.shared.observations.sum(|shard| &shard.keyspace.dirty);
        dirty.saturating_sub(self.facts().dumped_changes.load(Ordering::Relaxed))
    }

    fn is_save_due(&self, settings: &Settings, now_ms: u64) -> bool {
        let facts = self.facts();
        let changes = self.changes();
        let since_ms = now_ms.saturating_sub(facts.dumped_ms.load(Ordering::Relaxed));
        let tried_ms = now_ms.saturating_sub(facts.dump_tried_ms.load(Ordering::Relaxed));
        if facts.dump_failed.load(Ordering::Relaxed) && tried_ms < RETRY_MS {
            return false;
        }
        let mut points = settings.persistence.save_points.iter();
        points.any(|point| {
            let seconds = u64::try_from(point.seconds).unwrap_or(0);
            let wanted = u64::try_from(point.changes).unwrap_or(0);
            let is_due = changes >= wanted && since_ms > seconds * 1000;
            if is_due {
                info!("{wanted} changes in {seconds} seconds. Saving...");
            }
            is_due
        })
    }

    fn log_has_grown(&self, settings: &Settings) -> bool {
        let percentage = settings.persistence.rewrite_percentage;
        let bytes = self.facts().log_bytes();
        if percentage == 0 || bytes <= settings.persistence.rewrite_bytes_min {
            return false;
        }
        let base = self.facts().log_base_bytes.load(Ordering::Relaxed).max(1);
        let growth = (bytes * 100 / base).saturating_sub(100);
        if growth >= percentage {
            info!("Starting automatic rewriting of AOF on {growth}% growth");
        }
        growth >= percentage
    }

    /// Lets the log be on or off as the settings want it (CONFIG SET appendonly): when it is to be on, until it stands on disk.
    /// False: something else comes first.
    fn follow_settings(&mut self) -> io::Result<bool> {
        let is_wanted = self.settings().persistence.append_only;
        if !is_wanted {
            self.end_log();
            return Ok(true);
        }
        if self.log.is_on() && self.files.is_there() {
            return Ok(true);
        }
        if !self.facts().begin(Saving::Base, unix_ms()) {
            return Ok(false);
        }
        self.base().map(|()| true)
    }

    fn end_log(&self) {
        if self.log.is_on()
            && let Err(error) = self.log.end_log()
        {
            error!("The end of the append only file could not be written: {error}");
        }
    }

    /// Begins a snapshot; gives its first piece, or `None` when the process ends.
    fn begin(&self, run: &Arc<Run>, pieces: &Receiver<Piece>) -> Option<Begun> {
        self.post.post(ShardId(0), Message::Cut(Arc::clone(run)));
        match pieces.recv() {
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
            if result.is_ok() && self.inbox.takes_cancel() {
                result = Err(io::Error::other(CANCELLED));
            }
            if result.is_err() {
                run.abort();
                self.walk_on(run, all);
            }
            match pieces.recv_timeout(TICK) {
                Ok(Piece::Entries(entries)) => {
                    let count = entries.len();
                    if result.is_ok() {
                        let mut entries = entries.iter();
                        result = entries
                            .try_for_each(|saved| dump.entry(saved.db, &saved.entry, now_ms));
                    }
                    let written = &self.facts().saving_keys;
                    let before = written.fetch_add(count as u64, Ordering::Relaxed);
                    let half = self.facts().saving_keys_total.load(Ordering::Relaxed) / 2;
                    if result.is_ok() && before <= half && half < before + count as u64 {
                        result = storage.reach(CrashPoint::DuringSnapshot);
                    }
                    // What took a share with it may be large: it is freed here.
                    drop(entries);
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
            counts: begun.counts.clone(),
            libraries: self.facts().libraries(),
        }
    }

    /// Writes a dump; the place for it is taken. `is_last`: nobody writes after its cut.
    fn dump(&mut self, is_last: bool) -> io::Result<()> {
        info!("Background saving started by pid {}", std::process::id());
        let since_ms = unix_ms();
        let result = self.write_dump(is_last);
        let now_ms = unix_ms();
        let facts = self.facts();
        // One that was cancelled has not failed, as in Redis: writes are not refused for it.
        if result.as_ref().err().map(io::Error::to_string).as_deref() != Some(CANCELLED) {
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
        let storage = DiskStorage::new(&settings.dir)?;
        let (sender, pieces) = mpsc::channel();
        let run = Arc::new(Run::new(self.shared.shard_count, sender, false, is_last));
        let begun = self.begin(&run, &pieces);
        let begun = begun.ok_or_else(|| io::Error::other("the process ends"))?;
        let temporary = temporary_dump();
        let written = self.write_file(&storage, &temporary, &run, &pieces, (&begun, false));
        if written.is_err() {
            // It may not be there.
            let _ = storage.remove(&temporary);
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
            match pieces.recv_timeout(TICK) {
                Ok(Piece::Done(shard)) => done.insert(shard),
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Writes a base of the log; the place for it is taken.
    fn base(&mut self) -> io::Result<()> {
        info!(
            "Background append only file rewriting started by pid {}",
            std::process::id()
        );
        let since_ms = unix_ms();
        let result = self.write_base();
        let now_ms = unix_ms();
        let facts = self.facts();
        facts
            .rewrite_failed
            .store(result.is_err(), Ordering::Release);
        let took_s = (now_ms - since_ms) / 1000;
        facts.rewrite_took_s.store(took_s as i64, Ordering::Relaxed);
        match &result {
            Ok(()) => {
                facts.rewrites.fetch_add(1, Ordering::Relaxed);
                facts.rewrites_failed_in_a_row.store(0, Ordering::Relaxed);
                info!("Background AOF rewrite terminated with success");
            }
            Err(error) => {
                let failed = &facts.rewrites_failed_in_a_row;
                let before = failed.fetch_add(1, Ordering::Relaxed);
                error!("Background AOF rewrite failed: {error}");
                facts.end(now_ms);
                self.rewrites_again_ms = now_ms + retry_after_ms(before);
                return result;
            }
        }
        facts.end(now_ms);
        result
    }

    fn write_base(&mut self) -> io::Result<()> {
        let settings = self.settings();
        let wants_log = settings.persistence.append_only;
        self.files.claim()?;
        if !wants_log {
            // A client has asked for it right after it has switched the log off.
            self.end_log();
        } else if !self.log.is_on() {
            self.files.begin_anew();
        }
        let (sender, pieces) = mpsc::channel();
        let run = Arc::new(Run::new(self.shared.shard_count, sender, wants_log, false));
        let begun = self.begin(&run, &pieces);
        let begun = begun.ok_or_else(|| io::Error::other("the process ends"))?;
        if wants_log && let Err(error) = self.next_file() {
            self.give_up(&run, &pieces);
            return Err(error);
        }
        let storage = Arc::clone(self.files.storage());
        let temporary = self.files.temporary();
        let written = self.write_file(&*storage, &temporary, &run, &pieces, (&begun, true));
        let bytes = match written {
            Ok(bytes) => bytes,
            Err(error) => {
                // It may not be there.
                let _ = storage.remove(&temporary);
                return Err(error);
            }
        };
        let format = if settings.persistence.rdb_base {
            BaseFormat::Rdb
        } else {
            BaseFormat::Commands
        };
        self.files.install_base(format, wants_log)?;
        self.log.end_limit(begun.position);
        let facts = self.facts();
        facts.log_earlier_bytes.store(bytes, Ordering::Relaxed);
        let file_bytes = facts.log_file_bytes.load(Ordering::Relaxed);
        facts
            .log_base_bytes
            .store(bytes + file_bytes, Ordering::Relaxed);
        Ok(())
    }

    /// The next file of the log, behind the cut. Until it is there nobody's write is answered, so it is tried again.
    fn next_file(&mut self) -> io::Result<()> {
        let mut told = false;
        loop {
            match self.files.next(&self.log) {
                Ok(()) => return Ok(()),
                Err(error) if !told => {
                    error!(
                        "The next append only file cannot be made, which is tried again: {error}"
                    );
                    told = true;
                }
                Err(_) => {}
            }
            if self.inbox.takes_cancel() {
                // SHUTDOWN, a signal: nobody waits for the disk for ever.
                return Err(io::Error::other("the process ends"));
            }
            std::thread::sleep(TICK);
        }
    }

    /// Saves what is to be saved at the end; whether the process may end.
    fn end(&mut self, options: EndOptions) -> bool {
        let settings = self.settings();
        let wants_dump = options
            .save
            .unwrap_or(!settings.persistence.save_points.is_empty());
        let is_loading = self.facts().is_loading();
        if !wants_dump || is_loading {
            return true;
        }
        info!("Saving the final RDB snapshot before exiting.");
        self.facts().begin(Saving::Dump, unix_ms());
        if self.dump(true).is_ok() || options.force {
            return true;
        }
        error!("Error trying to save the DB, can't exit.");
        self.shared.ending.store(false, Ordering::Release);
        false
    }
}

/// When a base is tried again after so many failures before this one, ms. Source: Redis waits from the third on, 1 minute, 2, 4 … 60;
/// but it makes a new file each time, so here the first two wait too.
fn retry_after_ms(failures_before: u64) -> u64 {
    match failures_before {
        0 | 1 => RETRY_MS,
        count => 60_000 * (1 << (count - 2).min(6)).min(60),
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
