//! One consumer group of one stream, as the reclaimer asks for it and changes it.
//!
//! Each method is one round trip; replies are read into small types. Names of keys, groups and
//! consumers are bytes: a server knows no encoding.
//!
//! Invariants: only commands and options of Redis 6.2 are used (XPENDING … IDLE with exclusive
//! starts came with it); replies are understood as RESP2 arrays and as RESP3 maps.
//!
//! Deliberately not here: decisions. Which entry goes where is in `plan`, the order of steps that
//! keeps entries from being lost in `pass` and `too_often`.

use anyhow::{Context, bail};
use redis::{Connection, Value};

/// Most pending entries of one consumer that are listed when it is removed (see
/// [`Group::remove_consumer`]): far above what a worker takes between two requests.
const REMOVED_ENTRIES_MAX: usize = 10_000;

/// A consumer as XINFO CONSUMERS shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Consumer {
    pub(super) name: Vec<u8>,
    /// Entries delivered to it and not acknowledged.
    pub(super) pending_count: u64,
    /// Milliseconds since it last asked for anything.
    pub(super) idle_ms: u64,
}

/// A pending entry as XPENDING shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) id: String,
    /// Who has it; empty for an entry that was released by its consumer.
    pub(super) owner: Vec<u8>,
    /// Milliseconds since it was last delivered or claimed.
    pub(super) idle_ms: u64,
    /// Deliveries so far.
    pub(super) delivery_count: u64,
}

/// Fields and values of an entry, alternating.
pub(super) type Fields = Vec<Vec<u8>>;

/// What became of the attempt to move an entry to another stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// Written as this entry and acknowledged.
    Yes(String),
    /// Somebody else acknowledged it first: what was written is withdrawn.
    AcknowledgedMeanwhile,
    /// Nothing happened, for the destination changed under our hands; try again.
    Disturbed,
}

/// A consumer group of a stream.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) stream: &'a str,
    pub(super) name: &'a str,
}

impl Group<'_> {
    /// The beginning of a sentence about what failed.
    fn cannot(&self, what: &str) -> String {
        format!(
            "cannot {what} of group '{}' of stream '{}'",
            self.name, self.stream
        )
    }

    /// All consumers.
    pub(super) fn consumers(&self, connection: &mut Connection) -> anyhow::Result<Vec<Consumer>> {
        let reply: Value = redis::cmd("XINFO")
            .arg("CONSUMERS")
            .arg(self.stream)
            .arg(self.name)
            .query(connection)
            .with_context(|| self.cannot("list the consumers"))?;
        items(&reply)?.iter().map(consumer).collect()
    }

    /// Up to `count` entries pending for `min_idle_ms` or longer, in ID order, behind `after`.
    pub(super) fn pending_page(
        &self,
        connection: &mut Connection,
        min_idle_ms: u64,
        after: Option<&str>,
        count: u32,
    ) -> anyhow::Result<Vec<Pending>> {
        let start = after.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
        let reply: Value = redis::cmd("XPENDING")
            .arg(self.stream)
            .arg(self.name)
            .arg("IDLE")
            .arg(min_idle_ms)
            .arg(start)
            .arg("+")
            .arg(count)
            .query(connection)
            .with_context(|| self.cannot("list the pending entries"))?;
        items(&reply)?.iter().map(pending).collect()
    }

    /// For each of `ids` what the stream holds there; `None`: trimmed or deleted.
    pub(super) fn entries(
        &self,
        connection: &mut Connection,
        ids: &[&str],
    ) -> anyhow::Result<Vec<Option<Fields>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for id in ids {
            pipeline.cmd("XRANGE").arg(self.stream).arg(id).arg(id);
        }
        let replies: Vec<Value> = pipeline
            .query(connection)
            .with_context(|| self.cannot("read pending entries"))?;
        replies
            .iter()
            .map(|reply| match items(reply)?.first() {
                None => Ok(None),
                Some(entry) => match items(entry)? {
                    [_id, fields] => {
                        let fields = items(fields)?;
                        Ok(Some(
                            fields.iter().map(bytes).collect::<anyhow::Result<_>>()?,
                        ))
                    }
                    _ => bail!("XRANGE answered {entry:?}"),
                },
            })
            .collect()
    }

    /// Gives those of `ids` that are still pending for `min_idle_ms` to `consumer`; the IDs given.
    ///
    /// JUSTID: being handed on is not a delivery.
    pub(super) fn claim(
        &self,
        connection: &mut Connection,
        consumer: &[u8],
        min_idle_ms: u64,
        ids: &[&str],
    ) -> anyhow::Result<Vec<String>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let reply: Value = redis::cmd("XCLAIM")
            .arg(self.stream)
            .arg(self.name)
            .arg(consumer)
            .arg(min_idle_ms)
            .arg(ids)
            .arg("JUSTID")
            .query(connection)
            .with_context(|| self.cannot("claim entries"))?;
        // Redis 6.2 puts nil in the place of an entry that is gone.
        let claimed = items(&reply)?.iter().filter(|id| !matches!(id, Value::Nil));
        claimed.map(text).collect()
    }

    /// Acknowledges `ids`; how many were still pending.
    pub(super) fn acknowledge(
        &self,
        connection: &mut Connection,
        ids: &[&str],
    ) -> anyhow::Result<u64> {
        if ids.is_empty() {
            return Ok(0);
        }
        let mut command = redis::cmd("XACK");
        command.arg(self.stream).arg(self.name).arg(ids);
        command
            .query(connection)
            .with_context(|| self.cannot("acknowledge entries"))
    }

    /// Deletes an entry from the stream.
    pub(super) fn delete(&self, connection: &mut Connection, id: &str) -> anyhow::Result<()> {
        let mut command = redis::cmd("XDEL");
        command.arg(self.stream).arg(id);
        command
            .query::<Value>(connection)
            .with_context(|| self.cannot("delete an entry"))?;
        Ok(())
    }

    /// Fails if `key` holds something that is not a stream.
    pub(super) fn require_stream(connection: &mut Connection, key: &str) -> anyhow::Result<()> {
        let key_type: String = redis::cmd("TYPE")
            .arg(key)
            .query(connection)
            .with_context(|| format!("cannot look at the dead-letter stream '{key}'"))?;
        require_stream_type(key, &key_type)
    }

    /// Writes `fields` to the stream `destination` and acknowledges `entry`, both or neither.
    ///
    /// EXEC does not roll back: an XADD that fails beside an XACK that succeeds would lose the
    /// entry. So the destination is WATCHed and looked at first, and what can still fail (a stream
    /// whose last ID is the greatest of all) is repaired by putting the entry back.
    pub(super) fn move_to(
        &self,
        connection: &mut Connection,
        destination: &str,
        fields: &[Vec<u8>],
        entry: &Pending,
    ) -> anyhow::Result<Moved> {
        let (_, key_type): (Value, String) = redis::pipe()
            .cmd("WATCH")
            .arg(destination)
            .cmd("TYPE")
            .arg(destination)
            .query(connection)
            .with_context(|| format!("cannot look at the dead-letter stream '{destination}'"))?;
        if let Err(error) = require_stream_type(destination, &key_type) {
            redis::cmd("UNWATCH").exec(connection)?;
            return Err(error);
        }
        let replies: Option<Vec<redis::RedisResult<Value>>> = redis::pipe()
            .atomic()
            .ignore_errors()
            .cmd("XADD")
            .arg(destination)
            .arg("*")
            .arg(fields)
            .cmd("XACK")
            .arg(self.stream)
            .arg(self.name)
            .arg(&entry.id)
            .query(connection)
            .with_context(|| format!("cannot move entry {} to '{destination}'", entry.id))?;
        let Some(replies) = replies else {
            return Ok(Moved::Disturbed);
        };
        let [added, acknowledged] = <[_; 2]>::try_from(replies)
            .map_err(|replies| anyhow::anyhow!("EXEC answered {replies:?}"))?;
        let was_pending = matches!(acknowledged, Ok(Value::Int(1)));
        match added {
            Ok(id) if was_pending => Ok(Moved::Yes(text(&id)?)),
            Ok(id) => {
                let mut command = redis::cmd("XDEL");
                command.arg(destination).arg(text(&id)?);
                command
                    .exec(connection)
                    .with_context(|| format!("cannot withdraw an entry from '{destination}'"))?;
                acknowledged.with_context(|| self.cannot("acknowledge entries"))?;
                Ok(Moved::AcknowledgedMeanwhile)
            }
            Err(error) => {
                if was_pending {
                    self.put_back(connection, std::slice::from_ref(entry))?;
                }
                Err(error).with_context(|| {
                    format!("cannot add to the dead-letter stream '{destination}'")
                })
            }
        }
    }

    /// Makes entries pending again that were, with owner, idle time and delivery count.
    pub(super) fn put_back(
        &self,
        connection: &mut Connection,
        entries: &[Pending],
    ) -> anyhow::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut pipeline = redis::pipe();
        for entry in entries {
            pipeline
                .cmd("XCLAIM")
                .arg(self.stream)
                .arg(self.name)
                .arg(&entry.owner)
                .arg(0)
                .arg(&entry.id)
                .arg("IDLE")
                .arg(entry.idle_ms)
                .arg("RETRYCOUNT")
                .arg(entry.delivery_count)
                .arg("FORCE")
                .arg("JUSTID");
        }
        pipeline
            .query::<Vec<Value>>(connection)
            .with_context(|| self.cannot("make entries pending again"))?;
        Ok(())
    }

    /// Removes a consumer; its entries that were pending after all, which Redis throws away, are
    /// pending again afterwards and returned with the number that DELCONSUMER reports.
    ///
    /// No command removes a consumer only if it has nothing pending. So the list is read in the
    /// same transaction as the removal: what is thrown away is known exactly.
    pub(super) fn remove_consumer(
        &self,
        connection: &mut Connection,
        consumer: &[u8],
    ) -> anyhow::Result<(u64, Vec<Pending>)> {
        let (listed, thrown_away): (Value, u64) = redis::pipe()
            .atomic()
            .cmd("XPENDING")
            .arg(self.stream)
            .arg(self.name)
            .arg("-")
            .arg("+")
            .arg(REMOVED_ENTRIES_MAX)
            .arg(consumer)
            .cmd("XGROUP")
            .arg("DELCONSUMER")
            .arg(self.stream)
            .arg(self.name)
            .arg(consumer)
            .query(connection)
            .with_context(|| self.cannot("remove a consumer"))?;
        let entries: Vec<Pending> = items(&listed)?
            .iter()
            .map(pending)
            .collect::<anyhow::Result<_>>()?;
        if thrown_away > 0 {
            self.put_back(connection, &entries)?;
        }
        Ok((thrown_away, entries))
    }
}

fn require_stream_type(key: &str, key_type: &str) -> anyhow::Result<()> {
    match key_type {
        "stream" | "none" => Ok(()),
        other => bail!("cannot use '{key}' as dead-letter stream: it is a {other}"),
    }
}

/// One element of XINFO CONSUMERS.
fn consumer(value: &Value) -> anyhow::Result<Consumer> {
    let mut found = Consumer {
        name: Vec::new(),
        pending_count: 0,
        idle_ms: 0,
    };
    let pairs = value
        .as_map_iter()
        .with_context(|| format!("a consumer is {value:?}"))?;
    for (field, value) in pairs {
        match bytes(field)?.as_slice() {
            b"name" => found.name = bytes(value)?,
            b"pending" => found.pending_count = count(value)?,
            b"idle" => found.idle_ms = count(value)?,
            _newer_field => {}
        }
    }
    Ok(found)
}

/// One element of the long form of XPENDING.
fn pending(value: &Value) -> anyhow::Result<Pending> {
    match items(value)? {
        [id, owner, idle, deliveries] => Ok(Pending {
            id: text(id)?,
            owner: bytes(owner)?,
            idle_ms: count(idle)?,
            delivery_count: count(deliveries)?,
        }),
        _ => bail!("XPENDING answered {value:?}"),
    }
}

fn items(value: &Value) -> anyhow::Result<&[Value]> {
    match value {
        Value::Nil => Ok(&[]),
        value => value
            .as_sequence()
            .with_context(|| format!("not an array: {value:?}")),
    }
}

fn bytes(value: &Value) -> anyhow::Result<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Ok(bytes.clone()),
        Value::SimpleString(text) => Ok(text.clone().into_bytes()),
        Value::Nil => Ok(Vec::new()),
        other => bail!("not a string: {other:?}"),
    }
}

fn text(value: &Value) -> anyhow::Result<String> {
    String::from_utf8(bytes(value)?).context("not an ID")
}

/// A count or a time; Redis says -1 for the idle time of a released entry.
fn count(value: &Value) -> anyhow::Result<u64> {
    match value {
        Value::Int(number) => Ok(u64::try_from(*number).unwrap_or(0)),
        other => bail!("not a number: {other:?}"),
    }
}
