//! What a worker process does: the pattern for workers of a consumer group.
//!
//! ```text
//! start ─► own pending entries (ID 0) ─► loop: exit message?      ─► leave
//!                                              new entries (ID >) ─► square, XADD + XACK in a MULTI
//!                                              own pending entries, twice a second
//! ```
//!
//! Reading one's own pending entries at the start finds what an earlier life left behind; reading
//! them regularly finds what the reclaimer handed over. A worker that reads only `>` never sees
//! either.
//!
//! Invariants: a result is written if and only if its source entry is acknowledged by the same
//! transaction's XACK or was before; being killed anywhere leaves every unfinished entry pending. A
//! healthy worker holds fewer entries than the demo kills for.
//!
//! Falling ill is acted: so that the demo surely kills a worker that holds entries, one of them
//! stops finishing and only takes in.

use std::io::Read;
use std::time::{Duration, Instant};

use anyhow::Context;
use redis::streams::{StreamId, StreamReadReply};
use redis::{Connection, Value};

use super::{EXIT, HELD_MIN, RESULT, SOURCE, WORKERS};
use crate::cli::DemoArguments;
use crate::tools::connect;

/// Entries taken at a time; fewer than the demo kills for.
const BATCH: usize = 8;
const _: () = assert!(BATCH < HELD_MIN);
/// How long to wait for new entries before looking at other things, milliseconds.
const BLOCK_MS: u64 = 200;
/// Time between two looks at one's own pending entries.
const OWN_PENDING_INTERVAL: Duration = Duration::from_millis(500);
/// Entries an ill worker takes in.
const ILL_HOLDS: usize = 2 * HELD_MIN;

struct Worker<'a> {
    name: &'a str,
    connection: Connection,
    finished: u64,
}

/// Runs a worker until the exit message.
pub(super) fn run(arguments: &DemoArguments, name: &str) -> anyhow::Result<()> {
    leave_with_parent();
    let client = connect::client(arguments.url.as_deref(), &arguments.tls)?;
    let connection = connect::connect(&client).with_context(|| format!("{name} failed"))?;
    let mut worker = Worker {
        name,
        connection,
        finished: 0,
    };
    worker
        .work(arguments.fall_ill_after)
        .with_context(|| format!("{name} failed"))
}

impl Worker<'_> {
    fn work(&mut self, fall_ill_after: Option<u64>) -> anyhow::Result<()> {
        self.finish_own_pending()?;
        let mut own_pending_at = Instant::now();
        while !self.told_to_exit()? {
            if fall_ill_after.is_some_and(|limit| self.finished >= limit) {
                return self.be_ill();
            }
            let new = self.read(SOURCE, WORKERS, ">", BATCH, Some(BLOCK_MS))?;
            self.finish(new)?;
            if own_pending_at.elapsed() >= OWN_PENDING_INTERVAL {
                self.finish_own_pending()?;
                own_pending_at = Instant::now();
            }
        }
        Ok(())
    }

    /// Works on what is pending for this worker: left by an earlier life or handed over.
    fn finish_own_pending(&mut self) -> anyhow::Result<()> {
        loop {
            // Finished entries are no longer pending, so the beginning is always the next page.
            let own = self.read(SOURCE, WORKERS, "0", BATCH, None)?;
            if own.is_empty() {
                return Ok(());
            }
            self.finish(own)?;
        }
    }

    fn finish(&mut self, entries: Vec<StreamId>) -> anyhow::Result<()> {
        for entry in entries {
            let Some(number) = entry.get::<u64>("number") else {
                // Trimmed away while it was pending: nothing to work on.
                let mut acknowledge = redis::cmd("XACK");
                acknowledge
                    .arg(SOURCE)
                    .arg(WORKERS)
                    .arg(&entry.id)
                    .exec(&mut self.connection)?;
                continue;
            };
            let mut pipeline = redis::pipe();
            pipeline
                .atomic()
                .cmd("XADD")
                .arg(RESULT)
                .arg("*")
                .arg("source")
                .arg(&entry.id);
            pipeline.arg("square").arg(number * number);
            pipeline.cmd("XACK").arg(SOURCE).arg(WORKERS).arg(&entry.id);
            pipeline.query::<(Value, Value)>(&mut self.connection)?;
            self.finished += 1;
        }
        Ok(())
    }

    /// Whether the exit message has come, through the group that only this worker reads.
    fn told_to_exit(&mut self) -> anyhow::Result<bool> {
        let name = self.name;
        let messages = self.read(EXIT, name, ">", 1, None)?;
        for message in &messages {
            let mut acknowledge = redis::cmd("XACK");
            acknowledge
                .arg(EXIT)
                .arg(name)
                .arg(&message.id)
                .exec(&mut self.connection)?;
        }
        Ok(!messages.is_empty())
    }

    /// Takes entries in, finishes none, and waits for the end.
    fn be_ill(&mut self) -> anyhow::Result<()> {
        let mut held = 0;
        loop {
            if held < ILL_HOLDS {
                held += self
                    .read(SOURCE, WORKERS, ">", BATCH, Some(BLOCK_MS))?
                    .len();
            } else {
                std::thread::sleep(Duration::from_secs(1));
            }
        }
    }

    fn read(
        &mut self,
        stream: &str,
        group: &str,
        id: &str,
        count: usize,
        block_ms: Option<u64>,
    ) -> anyhow::Result<Vec<StreamId>> {
        let mut command = redis::cmd("XREADGROUP");
        command
            .arg("GROUP")
            .arg(group)
            .arg(self.name)
            .arg("COUNT")
            .arg(count);
        if let Some(block_ms) = block_ms {
            command.arg("BLOCK").arg(block_ms);
        }
        command.arg("STREAMS").arg(stream).arg(id);
        let reply: Option<StreamReadReply> = command.query(&mut self.connection)?;
        let first = reply.and_then(|reply| reply.keys.into_iter().next());
        Ok(first.map(|key| key.ids).unwrap_or_default())
    }
}

/// Ends the process when the demo is gone: it holds the other end of standard input.
fn leave_with_parent() {
    std::thread::spawn(|| {
        let mut ignored = [0_u8; 64];
        while matches!(std::io::stdin().lock().read(&mut ignored), Ok(read) if read > 0) {}
        std::process::exit(1);
    });
}
