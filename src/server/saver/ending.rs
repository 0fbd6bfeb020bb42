//! The end of the process: what is saved before it, who may still change his mind.

use std::path::Path;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use tracing::{error, info, warn};

use crate::command::context::{Save, Shared};
use crate::config::{EndOptions, Settings};
use crate::journal::storage::Storage;
use crate::journal::storage::disk::DiskStorage;
use crate::observe::persistence::Saving;
use crate::server::signals::EndSignal;
use crate::shard::clock::unix_ms;
use crate::shard::dumps::{temporary_copy, temporary_dump};

use super::inbox::{ABORTED, Client};
use super::surroundings::Surroundings;
use super::{CANNOT_END, Occasion, Worker, is};

/// A SIGINT that follows another so soon is no second one: who signals a process and its group sends it twice, and Redis sees one.
const SAME_SIGNAL_MS: u64 = 2;

impl<S: Surroundings> Worker<S> {
    /// Saves what is to be saved at the end; whether the process may end.
    pub(super) fn end(&mut self, options: EndOptions) -> bool {
        info!("User requested shutdown...");
        self.facts().is_end_asked.store(true, Ordering::Release);
        let settings = self.settings();
        let wants_dump = options
            .save
            .unwrap_or(!settings.persistence.save_points.is_empty());
        let is_loading = self.facts().is_loading();
        if !wants_dump || is_loading {
            return true;
        }
        info!("Saving the final RDB snapshot before exiting.");
        self.facts().begin(Saving::Dump, self.around.now_ms());
        match self.dump(Occasion::End) {
            Ok(()) => return true,
            Err(error) if is(&error, ABORTED) => info!("Shutdown manually aborted."),
            Err(_) if options.force => return true,
            Err(_) => error!("Error trying to save the DB, can't exit."),
        }
        self.shared.ending.store(false, Ordering::Release);
        self.facts().is_end_asked.store(false, Ordering::Release);
        false
    }

    /// SHUTDOWN ABORT, while nothing is being saved for an end: takes out of the line who asks for one.
    pub(super) fn abort(&self, client: Client) {
        let mut ends = Vec::new();
        self.inbox.lock().retain(|(save, client)| {
            let is_end = matches!(save, Save::End(_));
            if is_end {
                ends.push(*client);
            }
            !is_end
        });
        if ends.is_empty() {
            return self.answer(client, Some("ERR No shutdown in progress."));
        }
        info!("Shutdown manually aborted.");
        self.facts().is_end_asked.store(false, Ordering::Release);
        for end in ends {
            self.answer(end, Some(CANNOT_END));
        }
        self.answer(client, None);
    }
}

/// A signal asks for the end, as `shutdown-on-sigint` and `shutdown-on-sigterm` want it. A second SIGINT meanwhile demands it.
pub(in crate::server) fn ask_end(shared: &Shared, signal: EndSignal) {
    let facts = &shared.observations.persistence;
    let settings = shared.settings.read();
    let settings = settings.unwrap_or_else(PoisonError::into_inner).clone();
    if signal == EndSignal::Interrupt {
        let now_ms = unix_ms();
        let before_ms = facts.interrupted_ms.swap(now_ms, Ordering::AcqRel);
        // A clock that was put back says nothing.
        let since_ms = now_ms.checked_sub(before_ms);
        if since_ms.is_some_and(|ms| ms < SAME_SIGNAL_MS) {
            return;
        }
        if facts.is_end_asked.load(Ordering::Acquire) {
            insist(&settings);
        }
    }
    info!("Received {} scheduling shutdown...", signal.name());
    match (shared.saver.get(), shared.process.get()) {
        (Some(_), _) if facts.is_end_asked.load(Ordering::Acquire) => {}
        (Some(saver), _) => {
            let options = match signal {
                EndSignal::Interrupt => settings.shutdown_on_sigint,
                EndSignal::Terminate => settings.shutdown_on_sigterm,
            };
            saver.request(Save::End(options), None);
        }
        // While data are loaded there is nothing to save.
        (None, Some(process)) => process.stop(),
        (None, None) => {}
    }
}

/// Ends the process at once; what clients were told of is in the log, and written.
fn insist(settings: &Settings) -> ! {
    warn!("You insist... exiting now.");
    if let Ok(storage) = DiskStorage::new(&settings.dir) {
        // They may not be there.
        let _ = storage.remove(Path::new(&temporary_dump()));
        let _ = storage.remove(Path::new(&temporary_copy()));
    }
    std::process::exit(1);
}
