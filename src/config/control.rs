//! What a change of the configuration asks of the process: said here, done in server/.
//!
//! The command room may not know the server room, so the server puts an implementation into what all shards share.
//! Its methods are called while a shard runs CONFIG; they are rare, and done within milliseconds.

use std::path::Path;

use super::{Configuration, Notice, SetError, Settings};

/// The process, as CONFIG sees it.
pub(crate) trait ProcessControl: Send + Sync + std::fmt::Debug {
    /// Makes sockets, limits, directory and log follow `after` instead of `before`.
    ///
    /// # Errors
    /// What cannot be done, for the client; nothing has changed then.
    fn follow(&self, before: &Settings, after: &Settings) -> Result<(), SetError>;

    /// Ends the process in good order (SHUTDOWN).
    fn stop(&self);

    /// Puts notices into the log.
    fn tell(&self, notices: Vec<Notice>);

    /// Writes the configuration into the file it came from, with these `user` lines.
    ///
    /// # Errors
    /// What the system says.
    fn rewrite_file(&self, configuration: &Configuration, users: &[Vec<u8>]) -> Result<(), String>;

    /// The text of the file of users.
    ///
    /// # Errors
    /// What the system says.
    fn read_users(&self, path: &Path) -> Result<Vec<u8>, String>;

    /// Replaces the file of users.
    ///
    /// # Errors
    /// What the system says; the log has it too.
    fn write_users(&self, path: &Path, text: &[u8]) -> Result<(), String>;
}
