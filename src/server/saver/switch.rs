//! CONFIG SET appendonly: the log on or off while the server runs.
//!
//! ```text
//! no   a rewrite ends, the log ends, then the client has its answer
//! yes  the place for a base is taken ─► cut, next file ─► under always: base, manifest ─► the client has its answer
//!        └ something else is being written: the client has its answer, the base follows
//! ```
//! What fails before the client has its answer takes back all that its CONFIG SET has changed, as in Redis. What fails later is tried again.

use std::io;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use tracing::{error, warn};

use crate::command::context::Save;
use crate::config::AppendFsync;
use crate::observe::persistence::Saving;

use super::Worker;
use super::inbox::Client;
use super::surroundings::Surroundings;

/// Redis' text.
const CANNOT_SWITCH: &str = "ERR CONFIG SET failed (possibly related to argument 'appendonly') - Unable to turn on AOF. Check server logs.";

impl<S: Surroundings> Worker<S> {
    /// Does what CONFIG SET appendonly asks for.
    pub(super) fn switch(&mut self, client: Client) {
        let waits_for_base = self.settings().persistence.append_fsync == AppendFsync::Always;
        if !waits_for_base {
            self.awaits_next_file = client;
        }
        let is_answered = |worker: &mut Self| {
            !waits_for_base && worker.awaits_next_file.take().is_none() && client.is_some()
        };
        match self.follow_settings() {
            Ok(true) => {
                if !is_answered(self) {
                    self.answer(client, None);
                }
            }
            // Behind what is being written.
            Ok(false) if waits_for_base => {
                self.inbox.lock().push_back((Save::Switch, client));
            }
            Ok(false) => {
                self.awaits_next_file = None;
                let scheduled = &self.facts().rewrite_scheduled;
                scheduled.store(true, Ordering::Release);
                self.answer(client, None);
            }
            Err(_) => {
                if !is_answered(self) {
                    self.take_back();
                    self.answer(client, Some(CANNOT_SWITCH));
                }
            }
        }
    }

    /// Lets the log be on or off as the settings want it (CONFIG SET appendonly): when it is to be on, until it stands on disk.
    /// False: something else comes first.
    pub(super) fn follow_settings(&mut self) -> io::Result<bool> {
        let is_wanted = self.settings().persistence.append_only;
        if !is_wanted {
            self.end_log();
            return Ok(true);
        }
        if self.log.is_on() && self.files.is_there() {
            return Ok(true);
        }
        if !self.facts().begin(Saving::Base, self.around.now_ms()) {
            return Ok(false);
        }
        self.base()?;
        // What was put off until now is done.
        self.facts()
            .rewrite_scheduled
            .store(false, Ordering::Release);
        Ok(true)
    }

    pub(super) fn end_log(&mut self) {
        self.awaits_first_base = false;
        self.facts().log_stands.store(false, Ordering::Release);
        if self.log.is_on()
            && let Err(error) = self.log.end_log()
        {
            error!("The end of the append only file could not be written: {error}");
        }
    }

    /// The log could not be switched on: all that the CONFIG SET has changed is as before.
    fn take_back(&mut self) {
        warn!(
            "Failed applying new configuration. Possibly related to new appendonly setting. Restoring previous settings."
        );
        let current = self.shared.configuration.lock();
        let mut current = current.unwrap_or_else(PoisonError::into_inner);
        let mut restored = current.without_log();
        let (now, before) = (current.settings(), restored.settings());
        let followed = match self.shared.process.get() {
            Some(process) => process.follow(&now, &before),
            None => Ok(()),
        };
        if let Err(error) = followed {
            let error = error.text();
            let error = String::from_utf8_lossy(&error);
            error!("Failed restoring failed CONFIG SET command. Error: {error}");
            restored = current.clone();
        }
        if restored.settings().persistence.append_only {
            restored = restored
                .with(&[("appendonly", "no")], true)
                .unwrap_or(restored);
        }
        let password = restored.settings().requirepass;
        if password != now.requirepass {
            self.shared.users.set_default_password(password.as_deref());
        }
        let in_force = self.shared.settings.write();
        *in_force.unwrap_or_else(PoisonError::into_inner) = Arc::new(restored.settings());
        *current = restored;
        self.shared.settings_version.fetch_add(1, Ordering::Release);
        drop(current);
        self.end_log();
    }
}
