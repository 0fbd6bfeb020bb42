//! What the two servers say of themselves before anything is copied: databases, clocks, what they can do.
//!
//! Invariants: everything here only reads; an import that cannot work ends here, before the target is touched.
//!
//! Deliberately not here: the copying.

use anyhow::{Context, bail};

use super::link::{Link, Links, array, bytes, number, text};
use super::report::grouped;

/// Clocks that differ by less are taken for equal, milliseconds: it is what asking takes.
const CLOCK_NOISE_MS: i64 = 1_000;

/// A database of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Database {
    pub(super) number: u32,
    /// Keys when the import began, those included that have ended and not been removed yet.
    pub(super) keys: u64,
}

/// How the time at which a key ends is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndsBy {
    /// `PEXPIRETIME`, of Redis 7.0.
    ExpireTime,
    /// `PTTL`, added to the clock of the server.
    TimeToLive,
}

/// The facts.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// Those with keys, by number.
    pub(super) databases: Vec<Database>,
    /// What is added to an end at the source to have it at the target, milliseconds.
    pub(super) clock_shift_ms: i64,
    pub(super) source_ends_by: EndsBy,
    pub(super) target_ends_by: EndsBy,
    /// Longest argument that the target takes, bytes.
    pub(super) argument_bytes_max: usize,
    /// What a person should know of the servers.
    pub(super) notices: Vec<String>,
}

impl Facts {
    /// Asks both servers; `wanted` are the databases to copy, none is all.
    ///
    /// # Errors
    /// The import cannot work: a sentence that says why.
    pub(super) fn of(links: &mut Links, wanted: &[u32]) -> anyhow::Result<Facts> {
        let Links { source, target } = links;
        let (about_source, about_target) =
            (source.call("INFO server")?, target.call("INFO server")?);
        let (about_source, about_target) = (text(about_source)?, text(about_target)?);
        let id = field(&about_source, "run_id");
        if id.is_some() && id == field(&about_target, "run_id") {
            bail!(
                "cannot import from {} into {}: they are the same server",
                source.address,
                target.address
            );
        }
        let mut notices = Vec::new();
        if field(&about_source, "redis_mode") == Some("cluster") {
            notices.push(format!(
                "{} is a node of a cluster: only the keys of this node are copied; import from each of its primaries",
                source.address
            ));
        }
        if field(&about_target, "redis_mode") == Some("cluster") {
            bail!(
                "cannot import into {}: it is a node of a cluster",
                target.address
            );
        }
        require(source, "DUMP")?;
        require(target, "RESTORE")?;
        let mut databases = databases(source)?;
        if !wanted.is_empty() {
            databases.retain(|database| wanted.contains(&database.number));
        }
        notices.extend(empty(wanted, &databases, &source.address));
        require_databases(target, &databases)?;
        let clock_shift_ms = clock_shift(source, target)?;
        if clock_shift_ms != 0 {
            notices.push(format!(
                "the clocks of the servers differ by {} ms: keys are given ends by the clock of the target",
                grouped(clock_shift_ms.unsigned_abs())
            ));
        }
        Ok(Facts {
            databases,
            clock_shift_ms,
            source_ends_by: ends_by(source)?,
            target_ends_by: ends_by(target)?,
            argument_bytes_max: argument_bytes_max(target)?,
            notices,
        })
    }
}

/// A field of INFO.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .filter_map(|line| line.trim_end().split_once(':'))
        .find_map(|(found, value)| (found == name).then_some(value))
}

/// The server knows the command and lets us use it: it complains of missing arguments only.
fn require(link: &mut Link, command: &str) -> anyhow::Result<()> {
    match link.ask(&[command.as_bytes()])? {
        Err(refusal) if refusal.is_unknown() => {
            bail!(
                "cannot use {}: it does not know the command {command}",
                link.address
            )
        }
        Err(refusal) if refusal.code == "ERR" => Ok(()),
        reply => link.expected(reply, command).map(|_| ()),
    }
}

/// The databases that have keys.
fn databases(source: &mut Link) -> anyhow::Result<Vec<Database>> {
    let info = text(source.call("INFO keyspace")?)?;
    let mut found: Vec<Database> = info.lines().filter_map(database_of_line).collect();
    found.sort_by_key(|database| database.number);
    Ok(found)
}

/// Says of each database that is wanted and has no keys that it is empty.
fn empty(wanted: &[u32], databases: &[Database], address: &str) -> Vec<String> {
    let has_keys = |number: u32| databases.iter().any(|database| database.number == number);
    let mut empty: Vec<u32> = wanted.to_vec();
    empty.retain(|number| !has_keys(*number));
    empty.sort_unstable();
    empty.dedup();
    empty
        .iter()
        .map(|number| format!("database {number} of {address} is empty: nothing to copy"))
        .collect()
}

/// `db0:keys=1,expires=0,…`
fn database_of_line(line: &str) -> Option<Database> {
    let (name, values) = line.trim_end().split_once(':')?;
    let keys = values
        .split(',')
        .find_map(|value| value.strip_prefix("keys="))?;
    Some(Database {
        number: name.strip_prefix("db")?.parse().ok()?,
        keys: keys.parse().ok()?,
    })
}

fn require_databases(target: &mut Link, databases: &[Database]) -> anyhow::Result<()> {
    let Some(last) = databases.last() else {
        return Ok(());
    };
    let line = format!("SELECT {}", last.number);
    match target.ask(&["SELECT".as_bytes(), last.number.to_string().as_bytes()])? {
        Err(refusal) if refusal.detail.contains("out of range") => bail!(
            "cannot import database {} into {}: the target has fewer databases; start it with --databases {} or more, \
             or choose databases by --db",
            last.number,
            target.address,
            u64::from(last.number) + 1
        ),
        reply => target.expected(reply, &line).map(|_| ()),
    }
}

/// The clock of a server, Unix time in milliseconds.
pub(super) fn clock(link: &mut Link) -> anyhow::Result<i64> {
    let reply = link.call("TIME")?;
    clock_of(reply)
}

/// The reply to TIME, Unix time in milliseconds.
pub(super) fn clock_of(reply: redis::Value) -> anyhow::Result<i64> {
    let parts: Vec<i64> = array(reply)?
        .into_iter()
        .map(|part| text(part)?.parse().context("not a time"))
        .collect::<anyhow::Result<_>>()?;
    match parts[..] {
        [seconds, microseconds] => Ok(seconds
            .saturating_mul(1000)
            .saturating_add(microseconds / 1000)),
        _ => bail!("TIME has {} parts", parts.len()),
    }
}

fn clock_shift(source: &mut Link, target: &mut Link) -> anyhow::Result<i64> {
    let before = clock(source)?;
    let between = clock(target)?;
    let after = clock(source)?;
    let shift = between - (before + (after - before) / 2);
    Ok(if shift.abs() < CLOCK_NOISE_MS {
        0
    } else {
        shift
    })
}

fn ends_by(link: &mut Link) -> anyhow::Result<EndsBy> {
    Ok(match link.ask(&[b"PEXPIRETIME"])? {
        Err(refusal) if !refusal.is_unknown() && refusal.code == "ERR" => EndsBy::ExpireTime,
        Ok(_) | Err(_) => EndsBy::TimeToLive,
    })
}

/// `proto-max-bulk-len` of the target, or Redis' default where it does not tell.
fn argument_bytes_max(target: &mut Link) -> anyhow::Result<usize> {
    const DEFAULT: usize = 512 * 1024 * 1024;
    let Ok(reply) = target.ask(&[b"CONFIG", b"GET", b"proto-max-bulk-len"])? else {
        return Ok(DEFAULT);
    };
    let value = array(reply)?
        .into_iter()
        .nth(1)
        .map(bytes)
        .transpose()?
        .flatten();
    let told = value.and_then(|value| String::from_utf8(value).ok()?.parse().ok());
    Ok(told.unwrap_or(DEFAULT))
}

impl EndsBy {
    /// Asks when a key ends; two requests are sent where one of them is the clock.
    pub(super) fn send(self, link: &mut Link, key: &[u8]) -> anyhow::Result<()> {
        match self {
            EndsBy::ExpireTime => link.send(&[b"PEXPIRETIME", key]),
            // The clock first: an end may come out too early by what lies between, never too late.
            EndsBy::TimeToLive => {
                link.send(&[b"TIME"])?;
                link.send(&[b"PTTL", key])
            }
        }
    }

    /// When it ends, Unix time in milliseconds by the clock of its server; `None`: never, or there is no such key.
    pub(super) fn receive(self, link: &mut Link) -> anyhow::Result<Option<i64>> {
        let clock_ms = match self {
            EndsBy::ExpireTime => 0,
            EndsBy::TimeToLive => {
                let reply = link.receive()?;
                clock_of(link.expected(reply, "TIME")?)?
            }
        };
        let reply = link.receive()?;
        let left = number(&link.expected(reply, "PTTL")?)?;
        Ok((left >= 0).then(|| left.saturating_add(clock_ms)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn databases_are_read_from_info() {
        let line = "db12:keys=34,expires=5,avg_ttl=6\r";
        let database = Database {
            number: 12,
            keys: 34,
        };
        assert_eq!(database_of_line(line), Some(database));
        for line in [
            "# Keyspace",
            "",
            "db:keys=1",
            "dbx:keys=1",
            "db1:keys=x",
            "db1:expires=1",
        ] {
            assert_eq!(database_of_line(line), None, "{line}");
        }
    }

    #[test]
    fn fields_of_info_are_found_by_their_whole_name() {
        let info = "# Server\r\nrun_id:abc\r\nredis_mode:cluster\r\n";
        assert_eq!(field(info, "run_id"), Some("abc"));
        assert_eq!(field(info, "id"), None);
    }

    #[test]
    fn times_have_two_parts() {
        let part = |text: &str| redis::Value::BulkString(text.as_bytes().to_vec());
        let time = |parts: &[&str]| {
            clock_of(redis::Value::Array(
                parts.iter().map(|text| part(text)).collect(),
            ))
        };
        assert_eq!(time(&["12", "345678"]).unwrap(), 12_345);
        assert!(time(&["12"]).is_err());
        assert!(time(&["12", "x"]).is_err());
    }
}
