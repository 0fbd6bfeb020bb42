//! A connection to one of the two servers, with requests sent ahead and their replies read one by one.
//!
//! ```text
//! send ─► out (up to 64 KB) ─► socket        a long word goes from where it is to the socket, without a copy
//! receive ◄── one reply at a time            so what is in memory is one value, not a batch of them
//! ```
//!
//! Invariants: each request sent is received exactly once, in order, also when one is refused; a failure of the connection
//! is an error of the whole import, a refusal by the server is a value that the caller judges.
//!
//! Deliberately not here: what the requests mean.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, bail};
use redis::{Connection, Value};

use crate::tools::connect;

/// How long a reply may take: a value of hundreds of megabytes is packed or unpacked in one go.
const REPLY_TIMEOUT: Duration = Duration::from_secs(600);
/// Bytes collected before they are sent; a word as long as this is not collected.
const OUT_BYTES: usize = 64 * 1024;

/// What a server answered instead of doing what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The first word: `ERR`, `BUSYKEY`.
    pub(super) code: String,
    /// The rest.
    pub(super) detail: String,
}

impl Refusal {
    /// Whether the server does not know the command.
    pub(super) fn is_unknown(&self) -> bool {
        self.code == "ERR" && self.detail.to_ascii_lowercase().contains("unknown")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.detail)
    }
}

impl std::error::Error for Refusal {}

/// A reply: a value, or a refusal.
pub(super) type Reply = Result<Value, Refusal>;

/// A connection.
pub(super) struct Link {
    connection: Connection,
    /// For messages, without a password.
    pub(super) address: String,
    out: Vec<u8>,
    waiting_count: usize,
}

impl Link {
    /// Connects and logs in.
    ///
    /// # Errors
    /// The server cannot be reached, or does not let us in.
    pub(super) fn open(client: &redis::Client) -> anyhow::Result<Link> {
        let connection = connect::connect(client)?;
        connection.set_read_timeout(Some(REPLY_TIMEOUT))?;
        connection.set_write_timeout(Some(REPLY_TIMEOUT))?;
        Ok(Link {
            connection,
            address: connect::address(client),
            out: Vec::with_capacity(OUT_BYTES),
            waiting_count: 0,
        })
    }

    /// Sends a request, perhaps only with the next ones or at [`Link::receive`].
    ///
    /// # Errors
    /// The connection's.
    pub(super) fn send(&mut self, words: &[&[u8]]) -> anyhow::Result<()> {
        self.out
            .extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in words {
            self.out
                .extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            if word.len() >= OUT_BYTES {
                self.flush()?;
                self.write(word)?;
            } else {
                self.out.extend_from_slice(word);
            }
            self.out.extend_from_slice(b"\r\n");
            if self.out.len() >= OUT_BYTES {
                self.flush()?;
            }
        }
        self.waiting_count += 1;
        Ok(())
    }

    /// The reply to the first request that has none yet.
    ///
    /// # Errors
    /// The connection's.
    pub(super) fn receive(&mut self) -> anyhow::Result<Reply> {
        assert!(self.waiting_count > 0, "every reply was asked for");
        self.flush()?;
        self.waiting_count -= 1;
        match self.connection.recv_response() {
            Ok(Value::ServerError(error)) => Ok(Err(Refusal {
                code: error.code().to_owned(),
                detail: error.details().unwrap_or_default().to_owned(),
            })),
            Ok(value) => Ok(Ok(value)),
            Err(error) => Err(error).with_context(|| format!("cannot go on with {}", self.address)),
        }
    }

    /// One request and its reply.
    ///
    /// # Errors
    /// The connection's.
    pub(super) fn ask(&mut self, words: &[&[u8]]) -> anyhow::Result<Reply> {
        self.send(words)?;
        self.receive()
    }

    /// One request that must not be refused.
    ///
    /// # Errors
    /// The connection's, or the refusal.
    pub(super) fn call(&mut self, line: &str) -> anyhow::Result<Value> {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let reply = self.ask(&words)?;
        self.expected(reply, line)
    }

    /// The value of a reply to `request`.
    ///
    /// # Errors
    /// It is a refusal.
    pub(super) fn expected(&self, reply: Reply, request: &str) -> anyhow::Result<Value> {
        match reply {
            Ok(value) => Ok(value),
            Err(refusal) if refusal.code == "LOADING" => {
                bail!("{}: the server is still loading its data", self.address)
            }
            Err(refusal) => bail!(
                "cannot {request} at {}: the server answered '{refusal}'",
                self.address
            ),
        }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let out = std::mem::take(&mut self.out);
        let result = if out.is_empty() {
            Ok(())
        } else {
            self.write(&out)
        };
        self.out = out;
        self.out.clear();
        result
    }

    fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let result = self.connection.send_packed_command(bytes);
        result.with_context(|| format!("cannot go on with {}", self.address))
    }
}

/// Source and target, which always work on the database of the same number.
pub(super) struct Links {
    /// Only read.
    pub(super) source: Link,
    /// Written to.
    pub(super) target: Link,
}

impl Links {
    /// Both turn to a database.
    ///
    /// # Errors
    /// There is none of this number, or a connection failed.
    pub(super) fn select(&mut self, database: u32) -> anyhow::Result<()> {
        let line = format!("SELECT {database}");
        self.source.call(&line)?;
        self.target.call(&line)?;
        Ok(())
    }
}

/// A string, of any of the types that servers send it as; `None` for nil.
pub(super) fn bytes(value: Value) -> anyhow::Result<Option<Vec<u8>>> {
    match value {
        Value::BulkString(bytes) => Ok(Some(bytes)),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => {
            Ok(Some(text.into_bytes()))
        }
        Value::Okay => Ok(Some(b"OK".to_vec())),
        Value::Nil => Ok(None),
        other => bail!(
            "the server answered something else than a string: {}",
            shape(&other)
        ),
    }
}

/// A string as text, in which what is no UTF-8 is replaced.
pub(super) fn text(value: Value) -> anyhow::Result<String> {
    let bytes = bytes(value)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A number.
pub(super) fn number(value: &Value) -> anyhow::Result<i64> {
    match value {
        Value::Int(number) => Ok(*number),
        other => bail!(
            "the server answered something else than a number: {}",
            shape(other)
        ),
    }
}

/// The elements of an array.
pub(super) fn array(value: Value) -> anyhow::Result<Vec<Value>> {
    match value {
        Value::Array(values) | Value::Set(values) => Ok(values),
        Value::Nil => Ok(Vec::new()),
        other => bail!(
            "the server answered something else than an array: {}",
            shape(&other)
        ),
    }
}

/// What a value is, without its content, which may be long.
fn shape(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Int(_) => "a number",
        Value::Array(_) | Value::Set(_) => "an array",
        Value::Map(_) => "a map",
        Value::BulkString(_)
        | Value::SimpleString(_)
        | Value::VerbatimString { .. }
        | Value::Okay => "a string",
        _ => "a value of another type",
    }
}
