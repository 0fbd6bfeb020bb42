//! Who is connected to the port of the metrics, and who is closed when there is no place left.
//!
//! ```text
//! accepted ──► Reads (a request, for at most METRICS_REQUEST_MS) ──► Gathers ──► Sends ──► gone
//! ```
//! Closed first is the oldest that reads, since whoever wants metrics sends its request at once; then the oldest that sends,
//! whose peer does not read; the oldest that gathers last.
//!
//! Invariant: a connection is in the table from its start until its task has ended.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::task::AbortHandle;

/// What a connection does. In the order in which they are closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Its request is not whole.
    #[default]
    Reads,
    /// Its answer is on the way.
    Sends,
    /// Its answer is being made.
    Gathers,
}

/// One connection in the table.
struct Entry {
    stage: Rc<Cell<Stage>>,
    task: AbortHandle,
}

/// All connections, oldest first.
#[derive(Default)]
pub(super) struct Places {
    entries: RefCell<BTreeMap<u64, Entry>>,
    last: Cell<u64>,
}

/// The place of one connection, given up when dropped.
pub(super) struct Place {
    places: Rc<Places>,
    number: u64,
    stage: Rc<Cell<Stage>>,
}

impl Places {
    /// Closes connections until there are fewer than `max`.
    pub(super) fn make_room(&self, max: usize) {
        while let Some(entry) = self.take_above(max) {
            entry.task.abort();
        }
    }

    /// The next to be closed, if there are `max` or more.
    fn take_above(&self, max: usize) -> Option<Entry> {
        let mut entries = self.entries.borrow_mut();
        if entries.len() < max {
            return None;
        }
        let by_stage = |(number, entry): &(&u64, &Entry)| (entry.stage.get(), **number);
        let (number, _) = entries.iter().min_by_key(by_stage)?;
        let number = *number;
        entries.remove(&number)
    }

    /// Runs a connection as a task of the `LocalSet`.
    pub(super) fn start<F: Future<Output = ()> + 'static>(
        self: &Rc<Self>,
        connection: impl FnOnce(Place) -> F,
    ) {
        let number = self.last.get() + 1;
        self.last.set(number);
        let stage = Rc::new(Cell::new(Stage::default()));
        let place = Place {
            places: Rc::clone(self),
            number,
            stage: Rc::clone(&stage),
        };
        let task = tokio::task::spawn_local(connection(place)).abort_handle();
        self.entries
            .borrow_mut()
            .insert(number, Entry { stage, task });
    }
}

impl Place {
    /// Notes what the connection does from now on.
    pub(super) fn is_at(&self, stage: Stage) {
        self.stage.set(stage);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.entries.borrow_mut().remove(&self.number);
    }
}
