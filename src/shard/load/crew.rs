//! A thread for each shard, with its keyspace while the file is read; all keyspaces in one hand where a command wants several.
//!
//! ```text
//!            ┌─ queue ─► thread of shard 0: K0 ─┐
//! reader ────┤                                  ├── gather ──► K0 K1 … with the reader ── spread ──► the threads again
//!            └─ queue ─► thread of shard 1: K1 ─┘
//! ```
//! Invariant: a keyspace is with the reader or with its thread, and changes hands only through a queue and behind all work that
//! came before. So what the reader runs with all of them sees exactly what a single thread would have seen.

#![allow(
    clippy::vec_box,
    reason = "a keyspace stays where it is: hands and berths pass its box on"
)]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::ids::ShardId;
use crate::keyspace::Keyspace;
use crate::limits::LOAD_BATCH_BYTES;

use super::batch::Batch;
use super::queue::{Queue, Work};
use super::runner::{BadEntry, Runner};

/// The first entry of the file that cannot be loaded, as far as is known.
#[derive(Default)]
struct Failure(Mutex<Option<BadEntry>>);

impl Failure {
    fn note(&self, bad: BadEntry) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if first.as_ref().is_none_or(|first| bad.offset < first.offset) {
            *first = Some(bad);
        }
    }

    fn take(&self) -> Option<BadEntry> {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        first.take()
    }

    fn is_there(&self) -> bool {
        let first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        first.is_some()
    }
}

struct Worker {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
    /// What the reader has for it and has not sent.
    batch: Batch,
}

/// See the module's head.
pub(super) struct Crew {
    workers: Vec<Worker>,
    /// All keyspaces, or none while the threads have them.
    pub(super) home: Vec<Box<Keyspace>>,
    returned: Receiver<Box<Keyspace>>,
    returns: Sender<Box<Keyspace>>,
    failure: Arc<Failure>,
}

impl Crew {
    /// Without threads so far.
    pub(super) fn new(keyspaces: Vec<Box<Keyspace>>) -> Self {
        let (returns, returned) = channel();
        Self {
            workers: Vec::new(),
            home: keyspaces,
            returned,
            returns,
            failure: Arc::default(),
        }
    }

    /// Whether the threads have the keyspaces.
    pub(super) fn is_spread(&self) -> bool {
        self.home.is_empty()
    }

    /// Lets each thread have its keyspace. The threads begin with the first call.
    ///
    /// # Errors
    /// No thread can be had; the keyspaces stay where they are.
    pub(super) fn spread(&mut self, runner: &Runner) -> std::io::Result<()> {
        while self.workers.len() < self.home.len() {
            let worker = self.worker(runner)?;
            self.workers.push(worker);
        }
        for (worker, keyspace) in self.workers.iter().zip(self.home.drain(..)) {
            worker.queue.push(Work::Take(keyspace));
        }
        Ok(())
    }

    fn worker(&self, runner: &Runner) -> std::io::Result<Worker> {
        let queue = Arc::new(Queue::default());
        let (works, returns) = (Arc::clone(&queue), self.returns.clone());
        let (failure, mut runner) = (Arc::clone(&self.failure), runner.another());
        let shard_count = self.home.len();
        let name = format!("load-{}", self.workers.len());
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            work(&works, &returns, &failure, &mut runner, shard_count);
        })?;
        Ok(Worker {
            queue,
            thread: Some(thread),
            batch: Batch::default(),
        })
    }

    /// Adds work for a shard; whether that made it send a batch.
    pub(super) fn add(&mut self, shard: ShardId, add: impl FnOnce(&mut Batch)) -> bool {
        let Some(worker) = self.workers.get_mut(shard.index()) else {
            return false;
        };
        add(&mut worker.batch);
        let is_full = worker.batch.len() >= LOAD_BATCH_BYTES;
        if is_full {
            worker.send();
        }
        is_full
    }

    /// Whether an entry could not be loaded: there is no use in going on.
    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_there()
    }

    /// Waits until the threads have done all there was to do, and takes the keyspaces.
    ///
    /// # Errors
    /// The first entry that could not be loaded.
    pub(super) fn gather(&mut self) -> Result<(), BadEntry> {
        if self.is_spread() {
            for worker in &mut self.workers {
                worker.send();
                worker.queue.push(Work::GiveBack);
            }
            // The crew has a sender itself, and a thread that panicked ends the process.
            self.home = self.returned.iter().take(self.workers.len()).collect();
            self.home.sort_by_key(|keyspace| keyspace.shard());
        }
        self.failure.take().map_or(Ok(()), Err)
    }
}

impl Worker {
    fn send(&mut self) {
        if !self.batch.is_empty() {
            let empty = self.queue.empty_batch();
            let batch = std::mem::replace(&mut self.batch, empty);
            self.queue.push(Work::Run(batch));
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for worker in &self.workers {
            worker.queue.close();
        }
        for worker in &mut self.workers {
            // One that panicked has said so.
            let _ = worker.thread.take().map(JoinHandle::join);
        }
    }
}

/// Ends the process when its thread panics: the reader would wait for ever.
struct EndOnPanic;

impl Drop for EndOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

/// What the thread of a shard does.
fn work(
    queue: &Queue,
    returns: &Sender<Box<Keyspace>>,
    failure: &Failure,
    runner: &mut Runner,
    shard_count: usize,
) {
    let _guard = EndOnPanic;
    let mut keyspace: Option<Box<Keyspace>> = None;
    let mut has_failed = false;
    while let Some(work) = queue.take() {
        match work {
            Work::Take(taken) => keyspace = Some(taken),
            Work::Run(batch) => {
                if let Some(keyspace) = keyspace.as_mut().filter(|_| !has_failed)
                    && let Err(bad) = batch.run(runner, keyspace, shard_count)
                {
                    has_failed = true;
                    failure.note(bad);
                }
                runner.tell();
                queue.done(batch);
            }
            Work::GiveBack => {
                if let Some(keyspace) = keyspace.take() {
                    // Nobody is there to have it when the load has been given up.
                    let _ = returns.send(keyspace);
                }
            }
        }
    }
}
