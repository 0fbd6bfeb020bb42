//! What a pass did, as a table for people or JSON for programs.
//!
//! Invariants: both forms come from the same numbers; each entry that was looked at is counted in
//! exactly one column (or its stream has an error). Names that are not UTF-8 are shown lossily.
//!
//! Deliberately not here: the IDs of entries handed on, which may be a million.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value, json};

/// An entry that was delivered too often.
#[derive(Debug)]
pub(super) struct TooOften {
    pub(super) id: String,
    pub(super) delivery_count: u64,
    pub(super) consumer: Vec<u8>,
    /// Its ID in the dead-letter stream; `None` in a dry run and when it was deleted.
    pub(super) dead_letter_id: Option<String>,
}

/// What a pass did with one stream.
#[derive(Debug, Default)]
pub(crate) struct StreamReport {
    pub(super) stream: String,
    pub(super) group: String,
    /// Whether there is no such stream (yet).
    pub(super) is_missing: bool,
    /// Consumers that are alive.
    pub(super) living_count: usize,
    /// The consumer that gets everything, if one was named.
    pub(super) receiver: Option<String>,
    /// Pending entries that were idle for long enough.
    pub(super) looked_at: u64,
    /// (from, to) → entries.
    pub(super) hand_overs: BTreeMap<(Vec<u8>, Vec<u8>), u64>,
    pub(super) dead_letters: Vec<TooOften>,
    pub(super) deleted: Vec<TooOften>,
    /// Pending entries that the stream no longer has: acknowledged.
    pub(super) gone: u64,
    /// Acknowledged or taken by others while we looked.
    pub(super) taken_meanwhile: u64,
    /// Left where they are: nobody but their owner could get them.
    pub(super) stayed: u64,
    pub(super) dropped_consumers: Vec<Vec<u8>>,
    pub(super) errors: Vec<String>,
}

/// What a pass did.
#[derive(Debug, Default)]
pub(crate) struct PassReport {
    pub(super) dry_run: bool,
    /// One per stream, in the order asked for.
    pub(super) streams: Vec<StreamReport>,
}

impl StreamReport {
    fn handed_on(&self) -> u64 {
        self.hand_overs.values().sum()
    }

    fn json(&self) -> Value {
        let hand_overs: Vec<Value> = self
            .hand_overs
            .iter()
            .map(|((from, to), entries)| {
                json!({ "from": shown(from), "to": shown(to), "entries": entries })
            })
            .collect();
        let dropped: Vec<String> = self
            .dropped_consumers
            .iter()
            .map(|name| shown(name))
            .collect();
        json!({
            "stream": self.stream,
            "group": self.group,
            "exists": !self.is_missing,
            "living_consumers": self.living_count,
            "looked_at": self.looked_at,
            "handed_on": self.handed_on(),
            "hand_overs": hand_overs,
            "dead_lettered": self.dead_letters.len(),
            "dead_letters": self.dead_letters.iter().map(TooOften::json).collect::<Vec<_>>(),
            "deleted": self.deleted.len(),
            "deleted_entries": self.deleted.iter().map(TooOften::json).collect::<Vec<_>>(),
            "gone": self.gone,
            "taken_meanwhile": self.taken_meanwhile,
            "stayed": self.stayed,
            "dropped_consumers": dropped,
            "errors": self.errors,
        })
    }

    fn row(&self) -> Vec<String> {
        let numbers = [
            self.looked_at,
            self.handed_on(),
            self.dead_letters.len() as u64,
            self.deleted.len() as u64,
            self.gone,
            self.taken_meanwhile,
            self.stayed,
            self.dropped_consumers.len() as u64,
        ];
        // Zeros would say that there was nothing to do.
        let has_failed =
            self.looked_at == 0 && !self.errors.is_empty() && !self.changed_something();
        let shown = |number: &u64| match has_failed {
            true => "-".to_owned(),
            false => number.to_string(),
        };
        [self.stream.clone(), self.group.clone()]
            .into_iter()
            .chain(numbers.iter().map(shown))
            .collect()
    }

    /// Whether the pass changed something, or would have in a dry run.
    fn changed_something(&self) -> bool {
        self.gone > 0
            || !self.hand_overs.is_empty()
            || !self.dead_letters.is_empty()
            || !self.deleted.is_empty()
            || !self.dropped_consumers.is_empty()
    }

    fn why_entries_stay(&self) -> String {
        let entries = match self.stayed {
            1 => "1 entry stays".to_owned(),
            stayed => format!("{stayed} entries stay"),
        };
        match (&self.receiver, self.living_count) {
            (Some(receiver), _) => format!("{entries} with {receiver}, who has them already"),
            (None, 0) => format!("no consumer is alive, {entries}"),
            (None, _) => format!("{entries}: only their owner is alive"),
        }
    }

    fn write_details(&self, out: &mut dyn Write) -> io::Result<()> {
        let stream = &self.stream;
        for ((from, to), entries) in &self.hand_overs {
            writeln!(out, "{stream}: {} -> {}: {entries}", shown(from), shown(to))?;
        }
        for entry in &self.dead_letters {
            let id = entry.dead_letter_id.as_deref().unwrap_or("?");
            writeln!(out, "{stream}: {} dead-lettered as {id}", entry.described())?;
        }
        for entry in &self.deleted {
            writeln!(out, "{stream}: {} deleted", entry.described())?;
        }
        for consumer in &self.dropped_consumers {
            writeln!(out, "{stream}: consumer {} dropped", shown(consumer))?;
        }
        if self.is_missing {
            writeln!(out, "{stream}: does not exist (yet)")?;
        }
        if self.stayed > 0 {
            writeln!(out, "{stream}: {}", self.why_entries_stay())?;
        }
        Ok(())
    }
}

impl TooOften {
    fn json(&self) -> Value {
        let mut value = json!({
            "id": self.id,
            "deliveries": self.delivery_count,
            "consumer": shown(&self.consumer),
        });
        if let Some(id) = &self.dead_letter_id {
            value["dead_letter_id"] = json!(id);
        }
        value
    }

    fn described(&self) -> String {
        let consumer = shown(&self.consumer);
        format!(
            "{} ({} deliveries, last to {consumer})",
            self.id, self.delivery_count
        )
    }
}

const COLUMNS: [&str; 10] = [
    "STREAM",
    "GROUP",
    "LOOKED AT",
    "HANDED ON",
    "DEAD-LETTERED",
    "DELETED",
    "GONE",
    "TAKEN MEANWHILE",
    "STAYED",
    "DROPPED",
];

impl PassReport {
    /// Entries given to other consumers.
    #[must_use]
    pub(crate) fn handed_on(&self) -> u64 {
        self.streams.iter().map(StreamReport::handed_on).sum()
    }

    /// What went wrong, a sentence each.
    pub(crate) fn errors(&self) -> impl Iterator<Item = &str> {
        self.streams
            .iter()
            .flat_map(|report| report.errors.iter().map(String::as_str))
    }

    /// Whether the pass changed something, or would have in a dry run.
    #[must_use]
    pub(crate) fn changed_something(&self) -> bool {
        self.streams.iter().any(StreamReport::changed_something)
    }

    /// Writes one JSON object on one line.
    ///
    /// # Errors
    /// The writer's.
    pub(crate) fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let streams: Vec<Value> = self.streams.iter().map(StreamReport::json).collect();
        let ok = self.errors().next().is_none();
        writeln!(
            out,
            "{}",
            json!({ "dry_run": self.dry_run, "ok": ok, "streams": streams })
        )
    }

    /// Writes a table, a row per stream, and what is worth a line of its own.
    ///
    /// # Errors
    /// The writer's.
    pub(crate) fn write_table(&self, out: &mut dyn Write) -> io::Result<()> {
        let header: Vec<String> = COLUMNS.iter().map(|&name| name.to_owned()).collect();
        let rows: Vec<Vec<String>> = std::iter::once(header)
            .chain(self.streams.iter().map(StreamReport::row))
            .collect();
        let widths: Vec<usize> = (0..COLUMNS.len())
            .map(|column| {
                rows.iter()
                    .filter_map(|row| row.get(column))
                    .map(|cell| cell.chars().count())
                    .max()
            })
            .map(|width| width.unwrap_or(0))
            .collect();
        for row in &rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                // Names to the left, numbers to the right.
                if column < 2 {
                    line.push_str(&format!("{cell:<width$}  "));
                } else {
                    line.push_str(&format!("{cell:>width$}  "));
                }
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        for report in &self.streams {
            report.write_details(out)?;
        }
        if self.dry_run {
            writeln!(out, "dry run: nothing was changed")?;
        }
        Ok(())
    }
}

/// A name for a person's eyes.
pub(super) fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn report() -> PassReport {
        let mut stream = StreamReport {
            stream: "jobs".to_owned(),
            group: "g".to_owned(),
            looked_at: 12,
            stayed: 1,
            dropped_consumers: vec![b"old".to_vec()],
            ..StreamReport::default()
        };
        stream
            .hand_overs
            .insert((b"dead".to_vec(), b"w1".to_vec()), 11);
        PassReport {
            dry_run: true,
            streams: vec![stream],
        }
    }

    #[test]
    fn the_table_lines_up() {
        let mut out = Vec::new();
        report().write_table(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0].find("GROUP"), lines[1].find('g'));
        assert_eq!(lines[0].len(), lines[1].len());
        assert_eq!(lines[2], "jobs: dead -> w1: 11");
        assert_eq!(lines[3], "jobs: consumer old dropped");
        assert_eq!(lines[4], "jobs: no consumer is alive, 1 entry stays");
        assert_eq!(lines[5], "dry run: nothing was changed");
    }

    #[test]
    fn a_stream_that_could_not_be_looked_at_has_no_numbers() {
        let mut failed = report();
        failed.streams[0] = StreamReport {
            stream: "jobs".to_owned(),
            group: "g".to_owned(),
            errors: vec!["jobs: no permission".to_owned()],
            ..StreamReport::default()
        };
        let mut out = Vec::new();
        failed.write_table(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let row: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(row, ["jobs", "g", "-", "-", "-", "-", "-", "-", "-", "-"]);
    }

    #[test]
    fn the_json_is_one_line_with_the_same_numbers() {
        let mut out = Vec::new();
        report().write_json(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 1);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["ok"], true);
        assert_eq!(value["streams"][0]["handed_on"], 11);
        assert_eq!(value["streams"][0]["hand_overs"][0]["from"], "dead");
    }
}
