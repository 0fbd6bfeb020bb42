//! The thread that frees what takes long to free: big values, emptied databases.
//!
//! It serves all shards, in the order in which they ask, for as long as the process runs. Nobody waits for it, the end of
//! the process neither.

use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};

use crate::command::context::{Disposal, Shared};
use crate::keyspace::discard::Discarded;
use crate::observe::{allocator, meter};

use super::error::{StartError, reason_of};

struct Disposer {
    work: mpsc::Sender<Discarded>,
    shared: Arc<Shared>,
}

impl Disposal for Disposer {
    fn free(&self, discards: Vec<Discarded>) {
        let pending = &self.shared.observations.lazy_free_pending;
        for discarded in discards {
            pending.fetch_add(discarded.object_count(), Ordering::Relaxed);
            // Should the thread be gone, it comes back and is freed here.
            let _ = self.work.send(discarded);
        }
    }
}

/// Starts the thread.
///
/// # Errors
/// When it cannot be started.
pub(super) fn start(shared: &Arc<Shared>) -> Result<(), StartError> {
    let (work, queue) = mpsc::channel();
    let observed = Arc::clone(shared);
    std::thread::Builder::new()
        .name("lazy-free".to_owned())
        .spawn(move || {
            while let Some(discarded) = next(&queue) {
                free(&observed, discarded);
            }
        })
        .map_err(|error| StartError::Runtime(reason_of(error)))?;
    let disposer = Disposer {
        work,
        shared: Arc::clone(shared),
    };
    // The one place that sets it.
    let _ = shared.disposal.set(Box::new(disposer));
    Ok(())
}

/// What is to be freed next, when there is something.
fn next(queue: &mpsc::Receiver<Discarded>) -> Option<Discarded> {
    let next = queue.try_recv().ok();
    next.or_else(|| {
        allocator::give_back_before_sleep();
        queue.recv().ok()
    })
}

fn free(shared: &Shared, discarded: Discarded) {
    let count = discarded.object_count();
    match discarded {
        Discarded::Evicted(evicted) => evicted.free(meter::net, || {
            meter::used();
        }),
        other => drop(other),
    }
    // Who asks how much is used does not have to wait until it is counted.
    meter::used();
    let observations = &shared.observations;
    observations.lazy_freed.fetch_add(count, Ordering::Relaxed);
    observations
        .lazy_free_pending
        .fetch_sub(count, Ordering::Relaxed);
}
