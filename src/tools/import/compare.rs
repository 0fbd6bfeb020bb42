//! Whether keys have the same value and end on both sides.
//!
//! ```text
//! payloads of DUMP without their footers equal ─► the same
//! else: other encoding, other order, other version, or another value ─► read by the commands of the type, in slices
//! ```
//!
//! Equal payloads are proof; unequal ones are not: a hash of more than a few fields is dumped in the order of a table whose seed each process
//! draws. So the slow way decides. It reads both sides in slices of about 8 MB, a set, hash or sorted set by the elements of the source
//! (with equal numbers of elements the target then has no others).
//!
//! Invariants: nothing is written. A key that has ended or was deleted at the source meanwhile is no difference.
//!
//! Deliberately not here: the ends of fields of a hash and, of a group of a stream, idle times. They are copied, not compared.

use redis::Value;

use super::copy::FOOTER_BYTES;
use super::facts::Facts;
use super::link::{Link, Links, Refusal, Reply, array, bytes, number, text};
use super::pages::Item;

/// Values above this are not compared by payload, bytes: both payloads are in memory.
const PAYLOAD_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// About what one slice of a value takes, bytes.
const SLICE_BYTES: u64 = 8 * 1024 * 1024;
/// Elements in a slice at most.
const SLICE_ELEMENTS_MAX: u64 = 1_000;
/// Ends that differ by less are the same, milliseconds: where a server tells only what is left, its clock comes in.
const END_NOISE_MS: u64 = 2_000;

/// What comparing said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The same value, with the same end.
    Same,
    /// The source has it no more.
    Gone,
    /// The target does not have it.
    Missing,
    /// They differ; how.
    Different(String),
    /// It could not be found out; why.
    Unknown(String),
}

/// What the reading of a value came to: equal or not, or a server refused to show it.
type Equal = Result<bool, Refusal>;

/// Compares the keys of a group.
///
/// # Errors
/// A connection failed.
pub(super) fn items(
    links: &mut Links,
    facts: &Facts,
    items: &[Item],
) -> anyhow::Result<Vec<Verdict>> {
    let small = |item: &Item| item.bytes <= PAYLOAD_BYTES_MAX;
    for item in items.iter().filter(|item| small(item)) {
        for link in [&mut links.source, &mut links.target] {
            link.send(&[b"DUMP", &item.key])?;
        }
    }
    let mut verdicts = Vec::with_capacity(items.len());
    let mut doubtful = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let is_equal = if small(item) {
            let ours = links.source.receive()?;
            let theirs = links.target.receive()?;
            payloads_equal(ours, theirs)?
        } else {
            false
        };
        if !is_equal {
            doubtful.push(index);
        }
        verdicts.push(Verdict::Same);
    }
    let alike = ends(links, facts, items)?;
    for (index, is_alike) in alike.into_iter().enumerate() {
        if !is_alike && !doubtful.contains(&index) {
            doubtful.push(index);
        }
    }
    for index in doubtful {
        if let (Some(item), Some(verdict)) = (items.get(index), verdicts.get_mut(index)) {
            *verdict = one(links, facts, item)?;
        }
    }
    Ok(verdicts)
}

fn payloads_equal(ours: Reply, theirs: Reply) -> anyhow::Result<bool> {
    let (Ok(ours), Ok(theirs)) = (ours, theirs) else {
        return Ok(false);
    };
    let (ours, theirs) = (bytes(ours)?, bytes(theirs)?);
    let body = |payload: &Option<Vec<u8>>| {
        let payload = payload.as_deref().unwrap_or_default();
        let end = payload.len().checked_sub(FOOTER_BYTES)?;
        payload.get(..end).map(<[u8]>::to_vec)
    };
    Ok(body(&ours).is_some_and(|ours| Some(ours) == body(&theirs)))
}

/// Whether the keys end at the same time.
fn ends(links: &mut Links, facts: &Facts, items: &[Item]) -> anyhow::Result<Vec<bool>> {
    for item in items {
        facts.source_ends_by.send(&mut links.source, &item.key)?;
        facts.target_ends_by.send(&mut links.target, &item.key)?;
    }
    let mut alike = Vec::with_capacity(items.len());
    for _ in items {
        let ours = facts.source_ends_by.receive(&mut links.source)?;
        let theirs = facts.target_ends_by.receive(&mut links.target)?;
        let ours = ours.map(|ends| ends.saturating_add(facts.clock_shift_ms));
        alike.push(match (ours, theirs) {
            (None, None) => true,
            (Some(ours), Some(theirs)) => ours.abs_diff(theirs) <= END_NOISE_MS,
            _ => false,
        });
    }
    Ok(alike)
}

/// Compares one key by reading its value.
fn one(links: &mut Links, facts: &Facts, item: &Item) -> anyhow::Result<Verdict> {
    let Links { source, target } = &mut *links;
    let ours = kind(source, &item.key)?;
    let theirs = kind(target, &item.key)?;
    let verdict = if theirs == "none" {
        Verdict::Missing
    } else if ours != theirs {
        Verdict::Different(format!("it is a {theirs}, at the source a {ours}"))
    } else {
        match contents(source, target, item, &ours)? {
            Ok(true) if ends(links, facts, std::slice::from_ref(item))? == [true] => Verdict::Same,
            Ok(true) => Verdict::Different("it ends at another time".to_owned()),
            Ok(false) => Verdict::Different(format!("the {ours} differs")),
            Err(refusal) => Verdict::Unknown(format!("a server answered '{refusal}'")),
        }
    };
    // It may have ended while we looked, first at the one server, then at the other.
    Ok(match verdict {
        Verdict::Same => Verdict::Same,
        other if has_ended(links, &item.key)? => {
            drop(other);
            Verdict::Gone
        }
        other => other,
    })
}

/// Whether the source has the key no more, or not for long.
fn has_ended(links: &mut Links, key: &[u8]) -> anyhow::Result<bool> {
    let reply = links.source.ask(&[b"PTTL", key])?;
    let left = number(&links.source.expected(reply, "PTTL")?)?;
    Ok(left == -2 || (0..i64::try_from(END_NOISE_MS)?).contains(&left))
}

fn kind(link: &mut Link, key: &[u8]) -> anyhow::Result<String> {
    let reply = link.ask(&[b"TYPE", key])?;
    text(link.expected(reply, "TYPE")?)
}

fn contents(
    source: &mut Link,
    target: &mut Link,
    item: &Item,
    kind: &str,
) -> anyhow::Result<Equal> {
    let key = item.key.as_slice();
    let count_command: &[u8] = match kind {
        "string" => b"STRLEN",
        "list" => b"LLEN",
        "set" => b"SCARD",
        "hash" => b"HLEN",
        "zset" => b"ZCARD",
        "stream" => b"XLEN",
        other => {
            return Ok(Err(Refusal {
                code: "no command".to_owned(),
                detail: format!("reads a {other}"),
            }));
        }
    };
    let (ours, theirs) = both(source, target, &[count_command, key])?;
    let (ours, theirs) = match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(refusal), _) | (_, Err(refusal)) => return Ok(Err(refusal)),
    };
    if ours != theirs {
        return Ok(Ok(false));
    }
    let count = u64::try_from(number(&ours)?).unwrap_or(0);
    let slice = slice_of(item.bytes, count);
    match kind {
        "string" => ranges(source, target, (b"GETRANGE", key), count, SLICE_BYTES),
        "list" => ranges(source, target, (b"LRANGE", key), count, slice),
        "stream" => stream(source, target, key, slice),
        kind => elements(source, target, key, slice, kind),
    }
}

/// Elements to read in one go.
fn slice_of(bytes: u64, count: u64) -> u64 {
    let element_bytes = (bytes / count.max(1)).max(1);
    (SLICE_BYTES / element_bytes).clamp(1, SLICE_ELEMENTS_MAX)
}

/// The same request to both.
fn both(source: &mut Link, target: &mut Link, words: &[&[u8]]) -> anyhow::Result<(Reply, Reply)> {
    source.send(words)?;
    target.send(words)?;
    Ok((source.receive()?, target.receive()?))
}

fn equal((ours, theirs): (Reply, Reply)) -> Equal {
    Ok(ours? == theirs?)
}

/// What has positions: compared slice by slice.
fn ranges(
    source: &mut Link,
    target: &mut Link,
    (command, key): (&[u8], &[u8]),
    count: u64,
    slice: u64,
) -> anyhow::Result<Equal> {
    let mut from = 0;
    while from < count {
        let (start, end) = (from.to_string(), (from + slice - 1).to_string());
        let words = [command, key, start.as_bytes(), end.as_bytes()];
        let result = equal(both(source, target, &words)?);
        if result != Ok(true) {
            return Ok(result);
        }
        from += slice;
    }
    Ok(Ok(true))
}

/// What has no order: the elements of the source are looked up in the target.
fn elements(
    source: &mut Link,
    target: &mut Link,
    key: &[u8],
    slice: u64,
    kind: &str,
) -> anyhow::Result<Equal> {
    let (scan, look_up): (&[u8], &[u8]) = match kind {
        "set" => (b"SSCAN", b"SMISMEMBER"),
        "hash" => (b"HSCAN", b"HMGET"),
        _ => (b"ZSCAN", b"ZMSCORE"),
    };
    let slice = slice.to_string();
    let mut cursor = b"0".to_vec();
    loop {
        let page = match source.ask(&[scan, key, &cursor, b"COUNT", slice.as_bytes()])? {
            Ok(page) => page,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut parts = array(page)?.into_iter();
        cursor = bytes(parts.next().unwrap_or_default())?.unwrap_or_default();
        let (names, values) = names_and_values(array(parts.next().unwrap_or_default())?, kind)?;
        if !names.is_empty() {
            let mut words: Vec<&[u8]> = vec![look_up, key];
            words.extend(names.iter().map(Vec::as_slice));
            let found = match target.ask(&words)? {
                Ok(found) => array(found)?,
                Err(refusal) => return Ok(Err(refusal)),
            };
            if !values_equal(values, found, kind)? {
                return Ok(Ok(false));
            }
        }
        if cursor == b"0" || cursor.is_empty() {
            return Ok(Ok(true));
        }
    }
}

fn names_and_values(page: Vec<Value>, kind: &str) -> anyhow::Result<(Vec<Vec<u8>>, Vec<Value>)> {
    let (mut names, mut values) = (Vec::new(), Vec::new());
    let mut page = page.into_iter();
    while let Some(name) = page.next() {
        names.push(bytes(name)?.unwrap_or_default());
        values.push(match kind {
            "set" => Value::Int(1),
            _ => page.next().unwrap_or_default(),
        });
    }
    Ok((names, values))
}

fn values_equal(ours: Vec<Value>, theirs: Vec<Value>, kind: &str) -> anyhow::Result<bool> {
    if kind != "zset" {
        return Ok(ours == theirs);
    }
    // Servers write the same number in more than one way.
    let scores = |values: Vec<Value>| -> anyhow::Result<Vec<Option<f64>>> {
        let score = |value| Ok(text(value)?.parse().ok());
        values.into_iter().map(score).collect()
    };
    Ok(scores(ours)? == scores(theirs)?)
}

/// Entries, last ID and groups.
fn stream(source: &mut Link, target: &mut Link, key: &[u8], slice: u64) -> anyhow::Result<Equal> {
    let slice = slice.to_string();
    let mut from = b"-".to_vec();
    loop {
        let words = [
            b"XRANGE".as_slice(),
            key,
            &from,
            b"+",
            b"COUNT",
            slice.as_bytes(),
        ];
        let (ours, theirs) = match both(source, target, &words)? {
            (Ok(ours), Ok(theirs)) => (ours, theirs),
            (Err(refusal), _) | (_, Err(refusal)) => return Ok(Err(refusal)),
        };
        if ours != theirs {
            return Ok(Ok(false));
        }
        let Some(last) = array(ours)?.pop() else {
            break;
        };
        let id = bytes(array(last)?.into_iter().next().unwrap_or_default())?.unwrap_or_default();
        match id_after(&id) {
            Some(next) => from = next,
            None => break,
        }
    }
    let (ours, theirs) = (stream_facts(source, key)?, stream_facts(target, key)?);
    Ok(ours.and_then(|ours| Ok(ours == theirs?)))
}

/// The ID after this one, if there is any: ranges without their first entry, `(ID`, are known since Redis 6.2.
fn id_after(id: &[u8]) -> Option<Vec<u8>> {
    let (ms, sequence) = std::str::from_utf8(id).ok()?.split_once('-')?;
    let (ms, sequence): (u64, u64) = (ms.parse().ok()?, sequence.parse().ok()?);
    let next = match sequence.checked_add(1) {
        Some(sequence) => format!("{ms}-{sequence}"),
        None => format!("{}-0", ms.checked_add(1)?),
    };
    Some(next.into_bytes())
}

/// The last ID, and of each group its name, position and who holds how many entries.
fn stream_facts(link: &mut Link, key: &[u8]) -> anyhow::Result<Result<Vec<Value>, Refusal>> {
    let mut facts = Vec::new();
    match link.ask(&[b"XINFO", b"STREAM", key])? {
        Ok(about) => facts.push(value_of(about, "last-generated-id")?),
        Err(refusal) => return Ok(Err(refusal)),
    }
    let groups = match link.ask(&[b"XINFO", b"GROUPS", key])? {
        Ok(groups) => array(groups)?,
        Err(refusal) => return Ok(Err(refusal)),
    };
    for group in groups {
        let name = value_of(group.clone(), "name")?;
        facts.push(value_of(group.clone(), "last-delivered-id")?);
        facts.push(value_of(group, "consumers")?);
        let words = bytes(name.clone())?.unwrap_or_default();
        facts.push(name);
        match link.ask(&[b"XPENDING", key, &words])? {
            Ok(pending) => facts.push(pending),
            Err(refusal) => return Ok(Err(refusal)),
        }
    }
    Ok(Ok(facts))
}

/// A value of a list of names and values.
fn value_of(pairs: Value, wanted: &str) -> anyhow::Result<Value> {
    let mut pairs = array(pairs)?.into_iter();
    while let (Some(name), Some(value)) = (pairs.next(), pairs.next()) {
        if bytes(name)?.as_deref() == Some(wanted.as_bytes()) {
            return Ok(value);
        }
    }
    Ok(Value::Nil)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn payload(text: &[u8]) -> Reply {
        Ok(Value::BulkString(text.to_vec()))
    }

    #[test]
    fn payloads_are_compared_without_version_and_checksum() {
        let equal =
            |ours: &[u8], theirs: &[u8]| payloads_equal(payload(ours), payload(theirs)).unwrap();
        assert!(equal(b"\x00\x01av112345678", b"\x00\x01av287654321"));
        assert!(!equal(b"\x00\x01av112345678", b"\x00\x01bv112345678"));
        assert!(!equal(b"short", b"short"), "what has no footer is no proof");
        assert!(!payloads_equal(Ok(Value::Nil), Ok(Value::Nil)).unwrap());
    }

    #[test]
    fn slices_are_bounded_by_bytes_and_by_elements() {
        assert_eq!(slice_of(1_000, 1_000), 1_000);
        assert_eq!(slice_of(500 << 20, 1), 1);
        assert_eq!(slice_of(1 << 30, 1 << 10), 8);
        assert_eq!(slice_of(0, 0), 1_000);
    }

    #[test]
    fn the_next_id_has_the_next_sequence_number_or_millisecond() {
        let last = u64::MAX;
        for (id, next) in [
            ("0-1".to_owned(), Some("0-2".to_owned())),
            (format!("7-{last}"), Some("8-0".to_owned())),
            (format!("{last}-{last}"), None),
        ] {
            assert_eq!(
                id_after(id.as_bytes()),
                next.map(String::into_bytes),
                "{id}"
            );
        }
    }

    #[test]
    fn scores_are_compared_as_numbers() {
        let value = |text: &str| vec![Value::BulkString(text.as_bytes().to_vec())];
        assert!(values_equal(value("1e3"), value("1000"), "zset").unwrap());
        assert!(values_equal(value("inf"), value("inf"), "zset").unwrap());
        assert!(!values_equal(value("1"), vec![Value::Nil], "zset").unwrap());
        assert!(!values_equal(value("1e3"), value("1000"), "hash").unwrap());
    }
}
