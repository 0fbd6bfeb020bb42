//! From the thread that reads to the thread of a shard: pieces of work in order, bounded in bytes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::keyspace::Keyspace;
use crate::limits::{LOAD_BATCH_BYTES, LOAD_QUEUE_BYTES_MAX};

use super::batch::Batch;

/// Empty batches that are kept to be used again.
const SPARE_BATCHES_MAX: usize = LOAD_QUEUE_BYTES_MAX / LOAD_BATCH_BYTES;

/// What the thread of a shard is told.
pub(super) enum Work {
    /// The keyspace is the thread's from here on.
    Take(Box<Keyspace>),
    /// Run this.
    Run(Batch),
    /// Give the keyspace back.
    GiveBack,
}

#[derive(Default)]
struct State {
    works: VecDeque<Work>,
    bytes: usize,
    spare: Vec<Batch>,
    is_closed: bool,
}

/// See the module's head.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Something has come, or the queue is closed.
    came: Condvar,
    /// There is room again.
    went: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds work. Waits while there is too much of it; what is larger than the limit comes alone.
    pub(super) fn push(&self, work: Work) {
        let bytes = bytes_of(&work);
        let mut state = self.lock();
        while bytes > 0 && state.bytes > 0 && state.bytes + bytes > LOAD_QUEUE_BYTES_MAX {
            let waited = self.went.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state.bytes += bytes;
        state.works.push_back(work);
        drop(state);
        self.came.notify_one();
    }

    /// The next piece of work; waits for it. `None` when the queue is closed.
    pub(super) fn take(&self) -> Option<Work> {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return None;
            }
            if let Some(work) = state.works.pop_front() {
                return Some(work);
            }
            let waited = self.came.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A batch was run: only now is there room for another.
    pub(super) fn done(&self, mut batch: Batch) {
        let bytes = batch.len();
        batch.clear(4 * LOAD_BATCH_BYTES);
        let mut state = self.lock();
        state.bytes -= bytes;
        if state.spare.len() < SPARE_BATCHES_MAX {
            state.spare.push(batch);
        }
        drop(state);
        self.went.notify_one();
    }

    /// A batch to be filled.
    pub(super) fn empty_batch(&self) -> Batch {
        self.lock().spare.pop().unwrap_or_default()
    }

    /// Nothing more is taken out.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.came.notify_one();
    }
}

fn bytes_of(work: &Work) -> usize {
    match work {
        Work::Run(batch) => batch.len(),
        Work::Take(_) | Work::GiveBack => 0,
    }
}
