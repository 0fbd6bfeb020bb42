//! One pass over the streams: every pending entry idle for long enough is looked at once.
//!
//! ```text
//! XINFO CONSUMERS ─► who is alive
//! XPENDING IDLE, page by page in ID order
//!    └─ per page: gone → XACK · too often → too_often · else XCLAIM … JUSTID, one per receiver
//! XINFO CONSUMERS again ─► idle consumers with nothing pending → XGROUP DELCONSUMER
//! ```
//!
//! Invariants: a page starts behind the last ID of the page before, so a pass ends even if entries
//! become idle while it runs; an entry changes hands only by XCLAIM with min-idle, so one that was
//! acknowledged or taken since the page was read is left alone; a dry run sends nothing that writes.
//!
//! Who is alive is asked once per pass: our own claims make their receivers look alive.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use redis::Connection;

use super::group::{Consumer, Fields, Group, Pending};
use super::plan::{HandOvers, Living};
use super::report::{PassReport, StreamReport, TooOften, shown};
use super::too_often::{self, Outcome, Verdict};
use crate::cli::ReclaimArguments;
use crate::tools::described;

/// How the consumers that reclaimers claim with are called; the process makes the rest.
const RESERVED_PREFIX: &str = "millrace-reclaim-";

/// Passes over the same streams, with what is remembered between them.
#[derive(Debug)]
pub(crate) struct Reclaimer {
    arguments: ReclaimArguments,
    min_idle_ms: u64,
    verdict: Option<Verdict>,
    own_consumer: Vec<u8>,
    hand_overs: HandOvers,
}

/// The pass over one stream: what does not change while it runs, and what it found.
struct StreamPass<'a> {
    reclaimer: &'a Reclaimer,
    group: Group<'a>,
    living: Living,
    report: StreamReport,
    /// Owner → entries that it lost by this pass.
    lost: HashMap<Vec<u8>, u64>,
    used_own_consumer: bool,
}

impl Reclaimer {
    /// A reclaimer that does what the command line asks for.
    #[must_use]
    pub(crate) fn new(arguments: &ReclaimArguments) -> Reclaimer {
        let verdict = match (&arguments.dead_letter, arguments.delete) {
            (Some(destination), _) => Some(Verdict::DeadLetter(destination.clone())),
            (None, true) => Some(Verdict::Delete),
            (None, false) => None,
        };
        // Two reclaimers at once, also in two containers, must not share a consumer: each removes
        // its own when it is done.
        let unique = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos());
        let own_consumer = format!("{RESERVED_PREFIX}{}-{unique:x}", std::process::id());
        Reclaimer {
            arguments: arguments.clone(),
            min_idle_ms: u64::try_from(arguments.min_idle.as_millis()).unwrap_or(u64::MAX),
            verdict,
            own_consumer: own_consumer.into_bytes(),
            hand_overs: HandOvers::default(),
        }
    }

    /// Makes one pass over all streams. What fails is in the report; after a failure of the
    /// connection the streams left over are not tried.
    pub(crate) fn pass(&mut self, connection: &mut Connection) -> PassReport {
        let mut report = PassReport {
            dry_run: self.arguments.dry_run,
            streams: Vec::new(),
        };
        for stream in self.arguments.streams.clone() {
            let (stream_report, connection_works) = self.stream_pass(connection, &stream);
            report.streams.push(stream_report);
            if !connection_works {
                break;
            }
        }
        report
    }

    fn stream_pass(&mut self, connection: &mut Connection, stream: &str) -> (StreamReport, bool) {
        let group_name = self.arguments.group.clone();
        let group = Group {
            stream,
            name: &group_name,
        };
        let started = Instant::now();
        let mut consumers = match group.consumers(connection) {
            Ok(consumers) => consumers,
            Err(error) => {
                let works = connection_works(&error);
                // A producer that has not come yet is no failure; a group that does not exist is one.
                let is_missing = is_no_such_key(&error);
                let report = StreamReport {
                    stream: stream.to_owned(),
                    group: group_name.clone(),
                    is_missing,
                    errors: if is_missing {
                        Vec::new()
                    } else {
                        vec![described(&error)]
                    },
                    ..StreamReport::default()
                };
                return (report, works);
            }
        };
        self.hand_overs.correct(stream, &mut consumers, started);
        let living = Living::among(
            &consumers,
            self.min_idle_ms,
            self.arguments.to.as_deref(),
            RESERVED_PREFIX.as_bytes(),
        );
        let report = StreamReport {
            stream: stream.to_owned(),
            group: group_name.clone(),
            living_count: living.count(),
            receiver: self.arguments.to.clone(),
            ..StreamReport::default()
        };
        let mut pass = StreamPass {
            reclaimer: self,
            group,
            living,
            report,
            lost: HashMap::new(),
            used_own_consumer: false,
        };
        let works = match pass.checked_run(connection, &consumers) {
            Ok(()) => true,
            Err(error) => {
                pass.report.errors.push(described(&error));
                connection_works(&error)
            }
        };
        let report = pass.report;
        if !self.arguments.dry_run {
            self.remember(stream, &consumers, &report, started);
        }
        (report, works)
    }

    fn remember(
        &mut self,
        stream: &str,
        consumers: &[Consumer],
        report: &StreamReport,
        started: Instant,
    ) {
        let now = Instant::now();
        let took_ms = u64::try_from(now.saturating_duration_since(started).as_millis());
        for consumer in consumers {
            if report.hand_overs.keys().any(|(_, to)| *to == consumer.name) {
                let idle_ms = consumer.idle_ms.saturating_add(took_ms.unwrap_or(u64::MAX));
                self.hand_overs.note(stream, consumer, idle_ms, now);
            }
        }
    }
}

impl StreamPass<'_> {
    /// The pass, if the consumer that is to get everything exists or may be made (by XCLAIM, when it gets something).
    fn checked_run(
        &mut self,
        connection: &mut Connection,
        consumers: &[Consumer],
    ) -> anyhow::Result<()> {
        let arguments = &self.reclaimer.arguments;
        let is_there = |name: &String| {
            consumers
                .iter()
                .any(|consumer| consumer.name == name.as_bytes())
        };
        match &arguments.to {
            Some(name) if !arguments.create && !is_there(name) => anyhow::bail!(
                "cannot give entries to consumer '{name}': group '{}' of stream '{}' has no such consumer; \
                 give --create to make it",
                self.group.name,
                self.group.stream
            ),
            Some(_) | None => self.run(connection),
        }
    }

    fn run(&mut self, connection: &mut Connection) -> anyhow::Result<()> {
        let arguments = &self.reclaimer.arguments;
        if let Some(Verdict::DeadLetter(destination)) = &self.reclaimer.verdict {
            // Before anything is claimed for a move that cannot be made.
            Group::require_stream(connection, destination)?;
        }
        let mut after: Option<String> = None;
        loop {
            let page = self.group.pending_page(
                connection,
                self.reclaimer.min_idle_ms,
                after.as_deref(),
                arguments.count,
            )?;
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            self.page(connection, &page)?;
        }
        if self.used_own_consumer {
            self.remove_own_consumer(connection)?;
        }
        if arguments.drop_idle_consumers.is_some() {
            self.drop_idle_consumers(connection)?;
        }
        Ok(())
    }

    /// Looks at each entry of a page once.
    fn page(&mut self, connection: &mut Connection, page: &[Pending]) -> anyhow::Result<()> {
        self.report.looked_at += page.len() as u64;
        let ids: Vec<&str> = page.iter().map(|entry| entry.id.as_str()).collect();
        let entries = self.group.entries(connection, &ids)?;
        let mut gone: Vec<&str> = Vec::new();
        let mut too_often: Vec<(&Pending, &Fields)> = Vec::new();
        let mut receivers: BTreeMap<Vec<u8>, Vec<&Pending>> = BTreeMap::new();
        let max = self.reclaimer.arguments.max_deliveries.unwrap_or(u64::MAX);
        for (entry, fields) in page.iter().zip(&entries) {
            match fields {
                None => gone.push(&entry.id),
                Some(fields) if entry.delivery_count >= max => too_often.push((entry, fields)),
                Some(_) => match self.living.choose(&entry.owner) {
                    Some(receiver) => receivers.entry(receiver).or_default().push(entry),
                    None => self.report.stayed += 1,
                },
            }
        }
        // An ID never comes back to a stream, so what is gone now is gone whoever has it.
        if !self.reclaimer.arguments.dry_run {
            self.group.acknowledge(connection, &gone)?;
        }
        self.report.gone += gone.len() as u64;
        for (entry, fields) in too_often {
            self.settle(connection, entry, fields)?;
        }
        for (receiver, entries) in receivers {
            self.hand_on(connection, &receiver, &entries)?;
        }
        Ok(())
    }

    fn hand_on(
        &mut self,
        connection: &mut Connection,
        receiver: &[u8],
        entries: &[&Pending],
    ) -> anyhow::Result<()> {
        let ids: Vec<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
        let dry_run = self.reclaimer.arguments.dry_run;
        let claimed: std::collections::HashSet<String> = if dry_run {
            ids.iter().map(|&id| id.to_owned()).collect()
        } else {
            let min_idle_ms = self.reclaimer.min_idle_ms;
            self.group
                .claim(connection, receiver, min_idle_ms, &ids)?
                .into_iter()
                .collect()
        };
        for entry in entries {
            if claimed.contains(&entry.id) {
                let way = (entry.owner.clone(), receiver.to_vec());
                *self.report.hand_overs.entry(way).or_default() += 1;
                self.count_lost(&entry.owner);
            } else {
                self.report.taken_meanwhile += 1;
                self.living.not_given(receiver);
            }
        }
        Ok(())
    }

    /// Dead-letters or deletes an entry that was delivered too often.
    fn settle(
        &mut self,
        connection: &mut Connection,
        entry: &Pending,
        fields: &Fields,
    ) -> anyhow::Result<()> {
        let Some(verdict) = &self.reclaimer.verdict else {
            return Ok(());
        };
        let outcome = if self.reclaimer.arguments.dry_run {
            None
        } else {
            self.used_own_consumer = true;
            Some(too_often::settle(
                connection,
                &self.group,
                &self.reclaimer.own_consumer,
                self.reclaimer.arguments.min_idle,
                verdict,
                (entry, fields),
            )?)
        };
        let mut record = TooOften {
            id: entry.id.clone(),
            delivery_count: entry.delivery_count,
            consumer: entry.owner.clone(),
            dead_letter_id: None,
        };
        match (outcome, verdict) {
            (Some(Outcome::LeftAlone), _) => {
                self.report.taken_meanwhile += 1;
                return Ok(());
            }
            (Some(Outcome::DeadLettered(id)), _) => {
                record.dead_letter_id = Some(id);
                self.report.dead_letters.push(record);
            }
            (None, Verdict::DeadLetter(_)) => self.report.dead_letters.push(record),
            (Some(Outcome::Deleted), _) | (None, Verdict::Delete) => {
                self.report.deleted.push(record);
            }
        }
        self.count_lost(&entry.owner);
        Ok(())
    }

    fn count_lost(&mut self, owner: &[u8]) {
        *self.lost.entry(owner.to_vec()).or_default() += 1;
    }

    /// Removes the consumer that this pass claimed with, if it holds nothing. Only this process
    /// claims for it, so nothing can come in between.
    fn remove_own_consumer(&mut self, connection: &mut Connection) -> anyhow::Result<()> {
        let own = &self.reclaimer.own_consumer;
        let consumers = self.group.consumers(connection)?;
        if consumers
            .iter()
            .any(|consumer| consumer.name == *own && consumer.pending_count == 0)
        {
            self.group.remove_consumer(connection, own)?;
        }
        Ok(())
    }

    /// Removes consumers idle for longer than the limit that hold nothing.
    fn drop_idle_consumers(&mut self, connection: &mut Connection) -> anyhow::Result<()> {
        let Some(limit) = self.reclaimer.arguments.drop_idle_consumers else {
            return Ok(());
        };
        let dry_run = self.reclaimer.arguments.dry_run;
        for consumer in self.group.consumers(connection)? {
            // A dry run counts as away what the pass would have taken from it.
            let lost = if dry_run {
                self.lost.get(&consumer.name).copied().unwrap_or(0)
            } else {
                0
            };
            let empty = consumer.pending_count <= lost;
            if !empty || u128::from(consumer.idle_ms) <= limit.as_millis() {
                continue;
            }
            if !dry_run {
                let (thrown_away, entries) =
                    self.group.remove_consumer(connection, &consumer.name)?;
                if thrown_away > 0 {
                    self.report.errors.push(format!(
                        "cannot drop consumer '{}' of group '{}' of stream '{}': it was given {thrown_away} entries \
                         meanwhile, and they were put back: {}",
                        shown(&consumer.name),
                        self.group.name,
                        self.group.stream,
                        entries.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>().join(" "),
                    ));
                    continue;
                }
            }
            self.report.dropped_consumers.push(consumer.name);
        }
        Ok(())
    }
}

/// Whether the server says that the stream does not exist.
fn is_no_such_key(error: &anyhow::Error) -> bool {
    let answer = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<redis::RedisError>());
    answer.is_some_and(|answer| answer.detail() == Some("no such key"))
}

/// Whether the connection can be used after `error`: a refusal by the server leaves it intact, a
/// reply that did not come in time or was not understood does not.
fn connection_works(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<redis::RedisError>())
        .all(|cause| {
            matches!(
                cause.kind(),
                redis::ErrorKind::Server(_) | redis::ErrorKind::Extension
            )
        })
}
