//! Entries delivered too often: to the dead-letter stream, or deleted.
//!
//! ```text
//! pending, idle, delivered N times
//!    │ XCLAIM <own consumer> min-idle JUSTID      not ours: acknowledged or taken meanwhile, leave
//!    ▼
//! ours, idle 0: no worker reads it, no other reclaimer may take it for min-idle
//!    │ MULTI XADD dead-letter …, XACK  EXEC       XACK says 0: acknowledged after all, withdraw
//!    ▼                 (or: XACK, and only if it says 1, XDEL)
//! gone from the group
//! ```
//!
//! Invariants: an entry is at any moment pending or in the dead-letter stream, and in both only
//! between EXEC and the XDEL that withdraws a copy whose original was acknowledged in time. Dying
//! at any point leaves the entry pending (with our consumer, from which the next pass takes it).
//!
//! The claim goes to a consumer of the reclaimer's own. Claiming for the present owner would be no
//! protection (it reads its own pending entries and would start on this one), and would make a
//! dead owner look alive.

use std::time::{Duration, Instant};

use redis::Connection;

use super::group::{Fields, Group, Moved, Pending};

/// Attempts to write to a dead-letter stream that others write to at the same time.
const ATTEMPTS_MAX: u32 = 100;

/// What to do with entries delivered too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Move them to this stream.
    DeadLetter(String),
    /// Acknowledge them and delete them from their stream.
    Delete,
}

/// What became of one entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Moved, to this ID.
    DeadLettered(String),
    Deleted,
    /// Acknowledged or taken by somebody else meanwhile: left alone.
    LeftAlone,
}

/// Takes `entry` for `own_consumer` and carries out the verdict, or leaves it alone.
pub(super) fn settle(
    connection: &mut Connection,
    group: &Group<'_>,
    own_consumer: &[u8],
    min_idle: Duration,
    verdict: &Verdict,
    (entry, fields): (&Pending, &Fields),
) -> anyhow::Result<Outcome> {
    let min_idle_ms = u64::try_from(min_idle.as_millis()).unwrap_or(u64::MAX);
    // From before the request: the server's idle time starts later than this.
    let claimed_at = Instant::now();
    let taken = group.claim(connection, own_consumer, min_idle_ms, &[&entry.id])?;
    if taken.is_empty() {
        return Ok(Outcome::LeftAlone);
    }
    match verdict {
        Verdict::Delete => {
            // Not in one MULTI: the entry of a worker that was done in time is history that
            // other groups may still have to read.
            if group.acknowledge(connection, &[&entry.id])? == 0 {
                return Ok(Outcome::LeftAlone);
            }
            group.delete(connection, &entry.id)?;
            Ok(Outcome::Deleted)
        }
        Verdict::DeadLetter(destination) => {
            let fields = with_origin(fields, group, entry);
            for _attempt in 0..ATTEMPTS_MAX {
                // Held up for so long that it may be somebody else's by now.
                if claimed_at.elapsed() >= min_idle {
                    return Ok(Outcome::LeftAlone);
                }
                match group.move_to(connection, destination, &fields, entry)? {
                    Moved::Yes(id) => return Ok(Outcome::DeadLettered(id)),
                    Moved::AcknowledgedMeanwhile => return Ok(Outcome::LeftAlone),
                    Moved::Disturbed => {}
                }
            }
            anyhow::bail!(
                "'{destination}' is written to so much that {} stays pending",
                entry.id
            )
        }
    }
}

/// The entry's fields, and where it comes from.
///
/// A field of the entry that has one of our names keeps it, and ours gets underscores in front:
/// a client that reads the fields into a map must not lose what the producer wrote.
fn with_origin(fields: &Fields, group: &Group<'_>, entry: &Pending) -> Fields {
    let origin: [(&str, Vec<u8>); 5] = [
        ("source", group.stream.as_bytes().to_vec()),
        ("id", entry.id.clone().into_bytes()),
        ("group", group.name.as_bytes().to_vec()),
        ("deliveries", entry.delivery_count.to_string().into_bytes()),
        ("consumer", entry.owner.clone()),
    ];
    let mut all = fields.clone();
    for (name, value) in origin {
        let mut name = name.as_bytes().to_vec();
        while fields.iter().step_by(2).any(|field| *field == name) {
            name.insert(0, b'_');
        }
        all.push(name);
        all.push(value);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_does_not_hide_the_producers_fields() {
        let fields: Fields = ["id", "42", "_id", "x"]
            .map(|text| text.as_bytes().to_vec())
            .to_vec();
        let group = Group {
            stream: "s",
            name: "g",
        };
        let entry = Pending {
            id: "1-1".to_owned(),
            owner: b"w".to_vec(),
            idle_ms: 9,
            delivery_count: 3,
        };
        let all: Vec<String> = with_origin(&fields, &group, &entry)
            .iter()
            .map(|field| String::from_utf8_lossy(field).into_owned())
            .collect();
        assert_eq!(
            all.join(" "),
            "id 42 _id x source s __id 1-1 group g deliveries 3 consumer w"
        );
    }
}
