//! A base of the log: what comes before its cut, the next incremental file, the base itself and its name.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};

use tracing::{error, info};

use crate::journal::manifest::BaseFormat;
use crate::shard::snapshot::run::Run;

use super::due::retry_after_ms;
use super::inbox::{CANCELLED, Work};
use super::surroundings::Surroundings;
use super::{Worker, is};

impl<S: Surroundings> Worker<S> {
    /// Writes a base of the log; the place for it is taken.
    pub(super) fn base(&mut self) -> io::Result<()> {
        info!(
            "Background append only file rewriting started by pid {}",
            std::process::id()
        );
        let since_ms = self.around.now_ms();
        let result = self.write_base();
        self.work = Work::None;
        let now_ms = self.around.now_ms();
        let facts = self.facts();
        let is_cancelled = result.as_ref().is_err_and(|error| is(error, CANCELLED));
        if !is_cancelled {
            facts
                .rewrite_failed
                .store(result.is_err(), Ordering::Release);
        }
        let took_s = (now_ms - since_ms) / 1000;
        facts.rewrite_took_s.store(took_s as i64, Ordering::Relaxed);
        match &result {
            Ok(()) => {
                facts.rewrites.fetch_add(1, Ordering::Relaxed);
                facts.rewrites_failed_in_a_row.store(0, Ordering::Relaxed);
                info!("Background AOF rewrite terminated with success");
            }
            Err(_) if is_cancelled => info!("Background AOF rewrite was ended before it was done"),
            Err(error) => {
                let failed = &facts.rewrites_failed_in_a_row;
                let before = failed.fetch_add(1, Ordering::Relaxed);
                error!("Background AOF rewrite failed: {error}");
                facts.end(now_ms);
                self.rewrites_again_ms = now_ms + retry_after_ms(before, self.log.is_in_trouble());
                return result;
            }
        }
        facts.end(now_ms);
        result
    }

    fn write_base(&mut self) -> io::Result<()> {
        let settings = self.settings();
        let wants_log = settings.persistence.append_only;
        let is_new = self.prepare(wants_log)?;
        let (sender, pieces) = mpsc::channel();
        let run = Arc::new(Run::new(self.shared.shard_count, sender, wants_log, false));
        let begun = self.begin(&run, &pieces);
        let begun = begun.ok_or_else(|| io::Error::other("the process ends"))?;
        if wants_log && let Err(error) = self.next_file(is_new) {
            self.give_up(&run, &pieces);
            if is_new {
                // Nobody has been told that there is a log.
                self.end_log();
            }
            return Err(error);
        }
        let awaits = self.awaits_next_file.take();
        self.answer(awaits, None);
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
        let begun_ms = self.around.now_ms();
        let installed = self.files.install_base(format, wants_log);
        self.note_latency("aof-rename", begun_ms);
        if wants_log && self.files.is_there() {
            self.facts().log_stands.store(true, Ordering::Release);
        }
        installed?;
        self.awaits_first_base = false;
        self.log.end_limit(begun.position);
        let facts = self.facts();
        facts.log_earlier_bytes.store(bytes, Ordering::Relaxed);
        let file_bytes = facts.log_file_bytes.load(Ordering::Relaxed);
        facts
            .log_base_bytes
            .store(bytes + file_bytes, Ordering::Relaxed);
        self.files
            .delete_history(settings.persistence.keeps_history);
        Ok(())
    }

    /// What comes before the cut. Gives whether there was no log.
    fn prepare(&mut self, wants_log: bool) -> io::Result<bool> {
        self.files.claim().inspect_err(|error| {
            let settings = self.settings();
            let directory = settings.persistence.append_dirname.display();
            error!("The directory {directory} of the append only file cannot be used: {error}");
        })?;
        let is_new = wants_log && !self.log.is_on();
        if !wants_log {
            // A client has asked for it right after it has switched the log off.
            self.end_log();
        } else if is_new {
            self.files.begin_anew();
            self.awaits_first_base = true;
        }
        self.work = if self.awaits_first_base {
            Work::FirstBase
        } else {
            Work::Base
        };
        if wants_log && let Err(error) = self.make_ready() {
            if is_new {
                // Nobody has been told that there is a log.
                self.end_log();
            }
            return Err(error);
        }
        Ok(is_new)
    }

    /// What would keep the next file of the log from being begun is found before the cut: without one writes go on. Not where they wait
    /// for a new file.
    fn make_ready(&mut self) -> io::Result<()> {
        if self.log.has_failed() {
            return Ok(());
        }
        self.log.write();
        match self.facts().log_write_error.load(Ordering::Acquire) {
            0 => self.files.prepare_next(),
            code => Err(io::Error::from_raw_os_error(
                i32::try_from(code).unwrap_or_default(),
            )),
        }
    }

    /// The next file of the log, behind the cut. Until it is there nobody's write is answered, so it is tried again.
    /// `is_new`: but not where there was no log before.
    fn next_file(&mut self, is_new: bool) -> io::Result<()> {
        let mut told = false;
        loop {
            if self.log.has_failed() {
                // What the file before it lacks is in the base that follows.
                self.files.begin_anew();
            }
            match self.files.next(&self.log) {
                Ok(()) => return Ok(()),
                Err(error) if is_new => return Err(error),
                Err(error) => {
                    // Writes are refused, and clients that wait are not left to wait for ever.
                    self.log.note_no_file(&error);
                    if !told {
                        error!(
                            "The next append only file cannot be made, which is tried again: {error}"
                        );
                    }
                    told = true;
                }
            }
            if let Some(reason) = self.interruption() {
                // SHUTDOWN, a signal: nobody waits for the disk for ever.
                return Err(io::Error::other(reason));
            }
            std::thread::sleep(self.around.patience());
        }
    }
}
