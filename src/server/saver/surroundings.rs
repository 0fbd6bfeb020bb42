//! What the saver has around it: directories, the time, and others that work while it waits.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::journal::storage::Storage;
use crate::journal::storage::disk::DiskStorage;
use crate::shard::clock::unix_ms;

/// How often the thread looks what is due.
const TICK: Duration = Duration::from_millis(100);

/// See the module's head.
pub trait Surroundings {
    /// A directory of the settings.
    ///
    /// # Errors
    /// Those of the system.
    fn storage(&self, directory: &Path) -> io::Result<Arc<dyn Storage>>;

    /// Unix time, ms.
    fn now_ms(&self) -> u64;

    /// How long to wait for the others this time. Where there is one thread for all, they work inside of this call, and there is
    /// nothing left to wait for.
    fn patience(&self) -> Duration;
}

/// The machine, with a thread for the saver.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Machine;

impl Surroundings for Machine {
    fn storage(&self, directory: &Path) -> io::Result<Arc<dyn Storage>> {
        Ok(Arc::new(DiskStorage::new(directory)?))
    }

    fn now_ms(&self) -> u64 {
        unix_ms()
    }

    fn patience(&self) -> Duration {
        TICK
    }
}
