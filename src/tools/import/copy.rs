//! Copies the keys of a database: DUMP at the source, RESTORE at the target.
//!
//! ```text
//! group of keys ─► PEXPIRETIME, DUMP of all, sent ahead ─► each payload goes on as RESTORE … ABSTTL when it is read
//!                  replies of RESTORE: OK ─► copied
//!                                      BUSYKEY ─► compared: the same ─► was there;  another ─► conflict
//!                                      ERR ─► refused: stop, or with --skip-errors go on
//!                                      anything else (OOM, READONLY …) ─► stop
//! ```
//!
//! Invariants: ends are points in time, so what the import takes lengthens no life; each key that was dumped is counted in exactly one
//! column; stopping at any point, also by SIGKILL, leaves whole values only, and the next import goes on from there.
//!
//! Deliberately not here: which keys come when (`pages`), what is the same (`compare`).

use anyhow::bail;

use super::compare::{self, Verdict};
use super::facts::Facts;
use super::link::{Links, Refusal, bytes, text};
use super::pages::{self, Item, Pages};
use super::progress::Progress;
use super::report::{DatabaseReport, grouped, shown};
use crate::cli::ImportArguments;

/// Bytes at the end of a payload: the version of its format, two, and a checksum, eight.
pub(super) const FOOTER_BYTES: usize = 10;

/// A RESTORE on its way.
struct Sent<'a> {
    item: &'a Item,
    payload_bytes: usize,
    /// Of the payload's format.
    version: u16,
}

/// A key that was not copied.
struct Problem<'a> {
    item: &'a Item,
    why: String,
}

/// The copying of one database.
pub(super) struct Copying<'a> {
    pub(super) links: &'a mut Links,
    pub(super) facts: &'a Facts,
    pub(super) arguments: &'a ImportArguments,
    pub(super) report: &'a mut DatabaseReport,
    pub(super) progress: &'a mut Progress,
}

impl Copying<'_> {
    /// Copies all keys.
    ///
    /// # Errors
    /// It cannot go on: a connection failed, a server refuses everything, or a key was refused and --skip-errors is not given.
    pub(super) fn run(&mut self) -> anyhow::Result<()> {
        self.links.select(self.report.number)?;
        let mut pages = Pages::new(self.arguments.pattern.as_deref());
        while let Some(keys) = pages.next(&mut self.links.source)? {
            for group in pages::groups(&mut self.links.source, keys)? {
                let bytes = self.group(&group)?;
                self.progress.advance(group.len() as u64, bytes);
            }
        }
        Ok(())
    }

    /// Copies a group; the bytes of its payloads.
    fn group(&mut self, items: &[Item]) -> anyhow::Result<u64> {
        let mut problems = Vec::new();
        let sent = self.send_group(items, &mut problems)?;
        let payload_bytes = sent.iter().map(|sent| sent.payload_bytes as u64).sum();
        let mut busy = Vec::new();
        let mut fatal: Option<Refusal> = None;
        for Sent { item, version, .. } in sent {
            match self.links.target.receive()? {
                Ok(_) => self.report.copied += 1,
                Err(refusal) if refusal.code == "BUSYKEY" => busy.push(item.clone()),
                Err(refusal) if refusal.code == "ERR" => problems.push(Problem {
                    item,
                    why: why_refused(&refusal, version),
                }),
                Err(refusal) => fatal = fatal.or(Some(refusal)),
            }
        }
        self.judge_busy(&busy)?;
        self.judge(&problems)?;
        match fatal {
            Some(refusal) => bail!(
                "cannot copy keys of database {} into {}: the server answered '{refusal}'",
                self.report.number,
                self.links.target.address
            ),
            None => Ok(payload_bytes),
        }
    }

    /// Reads the group at the source and sends what is there to the target.
    fn send_group<'b>(
        &mut self,
        items: &'b [Item],
        problems: &mut Vec<Problem<'b>>,
    ) -> anyhow::Result<Vec<Sent<'b>>> {
        let Links { source, target } = &mut *self.links;
        let ends_by = self.facts.source_ends_by;
        for item in items {
            ends_by.send(source, &item.key)?;
            source.send(&[b"DUMP", &item.key])?;
        }
        let mut sent = Vec::with_capacity(items.len());
        for item in items {
            let ends_ms = ends_by.receive(source)?;
            let payload = match source.receive()? {
                Ok(value) => bytes(value)?,
                Err(refusal) if refusal.code == "ERR" => {
                    let why = format!("the source answered '{refusal}'");
                    problems.push(Problem { item, why });
                    continue;
                }
                reply => bytes(source.expected(reply, "DUMP")?)?,
            };
            let Some(payload) = payload else {
                self.report.gone += 1;
                continue;
            };
            if payload.len() > self.facts.argument_bytes_max {
                let why = why_too_large(payload.len(), self.facts.argument_bytes_max);
                problems.push(Problem { item, why });
                continue;
            }
            // Zero is no end, and an end before 1970 has passed as one in it has.
            let ends = ends_ms.map_or(0, |ends| {
                ends.saturating_add(self.facts.clock_shift_ms).max(1)
            });
            let ends = ends.to_string();
            let mut words: Vec<&[u8]> =
                vec![b"RESTORE", &item.key, ends.as_bytes(), &payload, b"ABSTTL"];
            if self.arguments.replace {
                words.push(b"REPLACE");
            }
            target.send(&words)?;
            sent.push(Sent {
                item,
                payload_bytes: payload.len(),
                version: version_of(&payload),
            });
        }
        Ok(sent)
    }

    /// Keys that the target has already: with this value, or with another.
    fn judge_busy(&mut self, items: &[Item]) -> anyhow::Result<()> {
        let verdicts = compare::items(self.links, self.facts, items)?;
        for (item, verdict) in items.iter().zip(verdicts) {
            let why = match verdict {
                Verdict::Same => {
                    self.report.same += 1;
                    continue;
                }
                Verdict::Gone => {
                    self.report.gone += 1;
                    continue;
                }
                Verdict::Missing => "it was removed from the target meanwhile".to_owned(),
                Verdict::Different(why) | Verdict::Unknown(why) => why,
            };
            self.report.conflicts.add(format!(
                "key {} of database {} is in the target already, with another value ({why}); give --replace to overwrite it",
                shown(&item.key),
                self.report.number
            ));
        }
        Ok(())
    }

    /// Keys that cannot be copied: the first is the end, unless they are to be skipped.
    fn judge(&mut self, problems: &[Problem<'_>]) -> anyhow::Result<()> {
        for Problem { item, why } in problems {
            let kind = match self.links.source.ask(&[b"TYPE", &item.key])? {
                Ok(value) => text(value)?,
                Err(_) => "of unknown type".to_owned(),
            };
            let line = format!(
                "cannot copy key {} ({kind}) of database {}: {why}",
                shown(&item.key),
                self.report.number
            );
            self.report.refused.add(line);
            if !self.arguments.skip_errors {
                bail!(
                    "cannot go on after a key that is refused: give --skip-errors to copy the others"
                );
            }
        }
        Ok(())
    }
}

/// The version of a payload's format; 0 where it is too short to have one.
fn version_of(payload: &[u8]) -> u16 {
    let footer = payload.len().checked_sub(FOOTER_BYTES);
    match footer.and_then(|start| payload.get(start..start + 2)) {
        Some(&[low, high]) => u16::from_le_bytes([low, high]),
        _ => 0,
    }
}

fn why_refused(refusal: &Refusal, version: u16) -> String {
    let detail = &refusal.detail;
    if detail.contains("payload version or checksum") {
        return format!(
            "the target does not read values of RDB version {version} (it answered '{refusal}'), for the source is newer; \
             import into a newer server"
        );
    }
    if detail.contains("Bad data format") {
        return format!(
            "the target does not read values of this form (RDB version {version}; it answered '{refusal}'): \
             the source may be newer, or have a module that the target lacks"
        );
    }
    format!("the target answered '{refusal}'")
}

fn why_too_large(payload_bytes: usize, bytes_max: usize) -> String {
    format!(
        "its value takes {} bytes and the target accepts {}; raise proto-max-bulk-len there (and client-query-buffer-limit)",
        grouped(payload_bytes as u64),
        grouped(bytes_max as u64)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_payload_is_ten_bytes_before_its_end() {
        assert_eq!(version_of(b"\x00\x01a\x0a\x0012345678"), 10);
        assert_eq!(version_of(b"\x0b\x0112345678"), 267);
        assert_eq!(version_of(b"short"), 0);
        assert_eq!(version_of(b""), 0);
    }

    #[test]
    fn a_newer_source_is_named_as_the_reason() {
        let refusal = |detail: &str| Refusal {
            code: "ERR".to_owned(),
            detail: detail.to_owned(),
        };
        let why = why_refused(&refusal("DUMP payload version or checksum are wrong"), 80);
        assert!(
            why.contains("RDB version 80") && why.contains("newer"),
            "{why}"
        );
        let why = why_refused(&refusal("Bad data format"), 11);
        assert!(why.contains("module"), "{why}");
        assert_eq!(
            why_refused(&refusal("no"), 11),
            "the target answered 'ERR no'"
        );
    }
}
