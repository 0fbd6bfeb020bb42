//! One connection of the load: what it sends next, and how far its replies have come.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::plan::Expect;
use crate::skip::{Skipper, Summary, decimal};
use crate::template::{TIME_WIDTH, Template};
use crate::wire::Fault;

/// What a connection does with its replies.
pub(crate) enum Role {
    /// See [`crate::plan::Part::Loop`].
    Loop {
        units: u32,
        expects: Vec<Expect>,
        owes: u64,
    },
    /// See [`crate::plan::Part::Subscriber`].
    Subscriber,
    /// See [`crate::plan::Part::Consumer`].
    Consumer,
    /// See [`crate::plan::Part::Worker`].
    Worker(Worker),
}

/// A worker's half done unit.
pub(crate) struct Worker {
    /// Words before the IDs, as bulks, and how many.
    pub(crate) prefix: Vec<u8>,
    pub(crate) prefix_words: usize,
    pub(crate) entries: Option<usize>,
    /// The reply under way is that of the acknowledgement.
    pub(crate) is_acknowledging: bool,
    /// The times in the payloads being acknowledged; all zero where payloads have none.
    pub(crate) times: Vec<u64>,
}

/// Which bytes are being sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sending {
    /// The batch.
    Batch,
    /// What was built for this once.
    Built,
}

/// A connection and its state.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) role: Role,
    pub(crate) skipper: Skipper,
    pub(crate) batch: Template,
    pub(crate) built: Vec<u8>,
    pub(crate) sending: Sending,
    pub(crate) sent_bytes: usize,
    /// The socket was full: the event loop tells when it no longer is.
    pub(crate) wants_to_write: bool,
    /// When what is awaited was sent, ns.
    pub(crate) sent_ns: u64,
    /// Replies still to come of the batch.
    pub(crate) replies_left: u32,
    /// Which command of its unit the next reply belongs to.
    pub(crate) unit_position: usize,
    /// Bytes of a reply that is looked into and not yet whole.
    pub(crate) partial: Vec<u8>,
    pub(crate) is_started: bool,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, role: Role, batch: Template) -> Self {
        Self {
            stream,
            role,
            skipper: Skipper::default(),
            batch,
            built: Vec::new(),
            sending: Sending::Batch,
            sent_bytes: 0,
            wants_to_write: false,
            sent_ns: 0,
            replies_left: 0,
            unit_position: 0,
            partial: Vec::new(),
            is_started: false,
        }
    }

    /// Whether it stops when time is over, instead of waiting for what the others cause.
    pub(crate) fn is_driver(&self) -> bool {
        match &self.role {
            Role::Loop { .. } => true,
            Role::Worker(worker) => worker.entries.is_some(),
            Role::Subscriber | Role::Consumer => false,
        }
    }

    /// Sends as much as the socket takes.
    ///
    /// # Errors
    /// The connection is gone.
    #[inline]
    pub(crate) fn send(&mut self) -> Result<(), Fault> {
        let bytes = match self.sending {
            Sending::Batch => self.batch.bytes(),
            Sending::Built => &self.built,
        };
        while self.sent_bytes < bytes.len() {
            match self.stream.write(&bytes[self.sent_bytes..]) {
                Ok(length) => self.sent_bytes += length,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    self.wants_to_write = true;
                    return Ok(());
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.wants_to_write = false;
        Ok(())
    }

    /// Reads once; 0 when there is nothing.
    ///
    /// # Errors
    /// The connection is gone.
    #[inline]
    pub(crate) fn receive(&mut self, scratch: &mut [u8]) -> Result<usize, Fault> {
        match self.stream.read(scratch) {
            Ok(0) => Err(Fault::Lost("the server closed the connection".to_owned())),
            Ok(length) => Ok(length),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(0),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}

/// The next whole reply in `bytes` from `at` on; an error among them ends the turn.
///
/// # Errors
/// It is an error, or no reply.
#[inline]
pub(crate) fn next_reply(
    skipper: &mut Skipper,
    bytes: &[u8],
    at: &mut usize,
) -> Result<Option<Summary>, Fault> {
    match skipper.next(bytes, at) {
        Ok(Some(summary)) if summary.is_error => {
            Err(Fault::Refused(skipper.take_error().unwrap_or_default()))
        }
        Ok(found) => Ok(found),
        Err(_) => Err(Fault::Lost("not the protocol".to_owned())),
    }
}

/// Whether a reply is what the workload needs.
///
/// # Errors
/// What it is instead.
#[inline]
pub(crate) fn check(summary: &Summary, expect: Expect) -> Result<(), Fault> {
    let is_right = match expect {
        Expect::Any => true,
        Expect::Kind(kind) => summary.kind == kind && (kind == b':' || summary.number >= 0),
        Expect::Bulk(length) => summary.kind == b'$' && summary.number == length,
        Expect::Integer(value) => summary.kind == b':' && summary.number == value,
        Expect::Values(count) => summary.values == count,
    };
    if is_right {
        Ok(())
    } else {
        Err(unexpected(summary, expect))
    }
}

#[cold]
fn unexpected(summary: &Summary, expect: Expect) -> Fault {
    let Summary {
        kind,
        number,
        values,
        ..
    } = summary;
    let kind = char::from(*kind);
    Fault::Unexpected(format!(
        "a reply `{kind}{number}` with {values} values where {expect:?} was due"
    ))
}

/// The bulks of a whole RESP2 reply in their order, whatever they are nested in.
pub(crate) fn bulks(reply: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = reply;
    std::iter::from_fn(move || {
        loop {
            let end = rest.iter().position(|&byte| byte == b'\n')?;
            let line = rest[..end].strip_suffix(b"\r")?;
            rest = &rest[end + 1..];
            if line.first() == Some(&b'$')
                && let Ok(length) = usize::try_from(decimal(&line[1..]).ok()?)
            {
                let (bulk, behind) = rest.split_at_checked(length + 2)?;
                rest = behind;
                return Some(&bulk[..length]);
            }
        }
    })
}

/// The time at the head of a payload, µs; 0 when there is none.
pub(crate) fn time_of(payload: &[u8]) -> u64 {
    payload
        .get(..TIME_WIDTH)
        .and_then(|digits| decimal(digits).ok())
        .and_then(|time| u64::try_from(time).ok())
        .unwrap_or(0)
}

impl Worker {
    /// Builds the acknowledgement of every entry in a reply of one stream, of entries with one field; how many.
    pub(crate) fn acknowledge(&mut self, reply: &[u8], request: &mut Vec<u8>) -> usize {
        self.times.clear();
        request.clear();
        let mut ids = Vec::with_capacity(reply.len() / 4);
        let mut fields = bulks(reply).skip(1);
        while let (Some(id), Some(_name), Some(value)) =
            (fields.next(), fields.next(), fields.next())
        {
            ids.extend_from_slice(format!("${}\r\n", id.len()).as_bytes());
            ids.extend_from_slice(id);
            ids.extend_from_slice(b"\r\n");
            self.times.push(time_of(value));
        }
        let words = self.prefix_words + self.times.len();
        request.extend_from_slice(format!("*{words}\r\n").as_bytes());
        request.extend_from_slice(&self.prefix);
        request.extend_from_slice(&ids);
        self.times.len()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn every_entry_read_is_acknowledged() {
        let reply = b"*1\r\n*2\r\n$1\r\ns\r\n*2\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$16\r\n0000000000000005\r\n*2\r\n$4\r\n12-1\r\n*2\r\n$1\r\nf\r\n$2\r\nzz\r\n";
        let mut worker = Worker {
            prefix: b"$4\r\nXACK\r\n$1\r\ns\r\n$1\r\ng\r\n".to_vec(),
            prefix_words: 3,
            entries: None,
            is_acknowledging: false,
            times: Vec::new(),
        };
        let mut request = Vec::new();
        assert_eq!(worker.acknowledge(reply, &mut request), 2);
        assert_eq!(worker.times, [5, 0]);
        assert_eq!(
            request,
            b"*5\r\n$4\r\nXACK\r\n$1\r\ns\r\n$1\r\ng\r\n$3\r\n1-1\r\n$4\r\n12-1\r\n"
        );
    }

    #[test]
    fn a_reply_that_is_not_the_right_one_is_a_fault() {
        let read = |bytes: &[u8]| {
            Skipper::default()
                .next(bytes, &mut 0)
                .unwrap()
                .expect("whole")
        };
        let null = read(b"$-1\r\n");
        assert!(check(&null, Expect::Kind(b'$')).is_err());
        assert!(check(&null, Expect::Bulk(100)).is_err());
        assert!(check(&read(b"*-1\r\n"), Expect::Kind(b'*')).is_err());
        assert!(check(&read(b"*0\r\n"), Expect::Values(4)).is_err());
        assert!(check(&read(b":3\r\n"), Expect::Integer(4)).is_err());
        assert!(check(&read(b":-3\r\n"), Expect::Kind(b':')).is_ok());
        assert!(check(&read(b"$1\r\na\r\n"), Expect::Bulk(1)).is_ok());
    }
}
