//! The wait tables of a keyspace, and whether it matters to a write who waits in them.

use super::Keyspace;
use super::wait::WaitTable;

impl Keyspace {
    /// The wait queues of database `db`.
    pub(crate) fn waits(&self, db: usize) -> &WaitTable {
        &self.waits[db]
    }

    /// The wait queues of database `db`, to register and forget waiters.
    pub(crate) fn waits_mut(&mut self, db: usize) -> &mut WaitTable {
        self.waits_changed.set(true);
        &mut self.waits[db]
    }

    /// Whether somebody may wait who writes to another key when served: false is certain. O(1) while nobody comes to wait.
    pub(crate) fn may_have_moving_waits(&self) -> bool {
        if self.waits_changed.get() {
            self.waits_changed.set(self.moving_waits().next().is_some());
        }
        self.waits_changed.get()
    }

    /// The wait queues of the databases in which a waiter writes to another key when served.
    pub(crate) fn moving_waits(&self) -> impl Iterator<Item = &WaitTable> {
        self.waits.iter().filter(|waits| waits.has_destinations())
    }
}
