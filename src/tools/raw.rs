//! A raw connection to a server: sends a command, waits for its reply, all of it within one time limit.
//!
//! ```text
//! words ─► redis-protocol encodes ─► socket ─► redis-protocol decodes ─► Reply, or an error as the `redis` client has it
//! ```
//! Invariant: a reply is refused when it is longer than [`limits::RAW_REPLY_BYTES_MAX`]: the decoder calls itself for each level of
//! nested arrays, and what answers may be anything.
//!
//! Deliberately not here: pipelines, pushes, replies that are more than a line or a text.

use std::io::{ErrorKind as IoKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use redis::{ConnectionAddr, ErrorKind, RedisError, RedisResult};
use redis_protocol::error::RedisProtocolError;
use redis_protocol::resp2::types::{OwnedFrame as Resp2Frame, Resp2Frame as _};
use redis_protocol::resp3::types::OwnedFrame as Resp3Frame;
use redis_protocol::{resp2, resp3};
use rustls::ClientConfig;

use super::tls;
use crate::limits;

/// A reply that is no error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// A line, a text or a number.
    Text(String),
    /// Something else.
    Other,
}

/// A reply as it was decoded: an error of the server has its own text.
type Answer = Result<Reply, String>;

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<tls::Stream>),
}

/// A connection.
pub(super) struct Connection {
    stream: Stream,
    deadline: Instant,
    /// What was received and not decoded.
    received: Vec<u8>,
    /// HELLO 3 was sent.
    is_resp3: bool,
}

impl Connection {
    /// Connects; from now on until the deadline everything else must be done.
    ///
    /// # Errors
    /// The server cannot be reached in time.
    pub(super) fn connect(
        address: &ConnectionAddr,
        tls: Option<Arc<ClientConfig>>,
        deadline: Instant,
    ) -> RedisResult<Self> {
        // In a thread of its own: looking up a name, and connecting to a unix socket whose queue is full, know no time limit.
        let (sender, receiver) = mpsc::channel();
        let address = address.clone();
        thread::spawn(move || {
            // When nobody waits for it any more the process is about to end.
            let _ = sender.send(open(&address, tls, deadline));
        });
        let stream = receiver.recv_timeout(left_until(deadline)?);
        let stream = stream.map_err(|_| std::io::Error::from(IoKind::TimedOut))??;
        Ok(Self {
            stream,
            deadline,
            received: Vec::new(),
            is_resp3: false,
        })
    }

    /// From the next reply on the server speaks RESP3.
    pub(super) fn expect_resp3(&mut self) {
        self.is_resp3 = true;
    }

    /// Sends a command and waits for its reply.
    ///
    /// # Errors
    /// The server answers with an error, does not answer in time, or is no server.
    pub(super) fn call(&mut self, words: &[&str]) -> RedisResult<Reply> {
        let bytes = encoded(words)?;
        self.limit_time()?;
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(&bytes)?,
            Stream::Unix(stream) => stream.write_all(&bytes)?,
            Stream::Tls(stream) => {
                stream.write_all(&bytes)?;
                stream.flush()?;
            }
        }
        loop {
            if let Some((answer, used)) = self.decode().map_err(|_| no_server())? {
                self.received.drain(..used);
                return answer.map_err(|text| refused(&text));
            }
            if self.received.len() >= limits::RAW_REPLY_BYTES_MAX {
                return Err(no_server());
            }
            self.receive()?;
        }
    }

    fn decode(&self) -> Result<Option<(Answer, usize)>, RedisProtocolError> {
        let bytes = &self.received;
        if self.is_resp3 {
            let decoded = resp3::decode::complete::decode(bytes)?;
            return Ok(decoded.map(|(frame, used)| (of_resp3(frame), used)));
        }
        let decoded = resp2::decode::decode(bytes)?;
        Ok(decoded.map(|(frame, used)| (of_resp2(frame), used)))
    }

    /// Receives more of the reply, no more than its limit allows.
    fn receive(&mut self) -> RedisResult<()> {
        self.limit_time()?;
        let mut piece = [0; limits::RAW_REPLY_BYTES_MAX];
        let room = piece.len() - self.received.len();
        let piece = &mut piece[..room];
        let count = match &mut self.stream {
            Stream::Tcp(stream) => stream.read(piece),
            Stream::Unix(stream) => stream.read(piece),
            Stream::Tls(stream) => stream.read(piece),
        };
        match count {
            Ok(0) => Err(std::io::Error::from(IoKind::UnexpectedEof).into()),
            Ok(count) => {
                self.received.extend_from_slice(&piece[..count]);
                Ok(())
            }
            Err(error) if error.kind() == IoKind::Interrupted => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The next reads and writes end at the deadline.
    fn limit_time(&self) -> std::io::Result<()> {
        let left = Some(left_until(self.deadline)?);
        match &self.stream {
            Stream::Tcp(stream) => {
                stream.set_read_timeout(left)?;
                stream.set_write_timeout(left)
            }
            Stream::Unix(stream) => {
                stream.set_read_timeout(left)?;
                stream.set_write_timeout(left)
            }
            // It looks at the clock by itself.
            Stream::Tls(_) => Ok(()),
        }
    }
}

pub(super) fn left_until(deadline: Instant) -> std::io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(IoKind::TimedOut.into());
    }
    Ok(left)
}

fn open(
    address: &ConnectionAddr,
    tls: Option<Arc<ClientConfig>>,
    deadline: Instant,
) -> RedisResult<Stream> {
    match (address, tls) {
        (ConnectionAddr::TcpTls { host, port, .. }, Some(config)) => {
            let socket = connect_tcp(host, *port, deadline)?;
            let stream = tls::wrap(config, host, socket, deadline)?;
            Ok(Stream::Tls(Box::new(stream)))
        }
        (ConnectionAddr::Tcp(host, port), _) => {
            Ok(Stream::Tcp(connect_tcp(host, *port, deadline)?))
        }
        (ConnectionAddr::Unix(path), _) => Ok(Stream::Unix(UnixStream::connect(path)?)),
        (other, _) => {
            let text = other.to_string();
            Err((ErrorKind::InvalidClientConfig, "no such connection", text).into())
        }
    }
}

/// The first address of the host that can be reached; else why the last could not.
fn connect_tcp(host: &str, port: u16, deadline: Instant) -> std::io::Result<TcpStream> {
    let mut last = IoKind::NotFound.into();
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left_until(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn encoded(words: &[&str]) -> RedisResult<Vec<u8>> {
    let words = words
        .iter()
        .map(|word| Resp2Frame::BulkString((*word).into()));
    let command = Resp2Frame::Array(words.collect());
    let mut bytes = vec![0; command.encode_len(false)];
    resp2::encode::encode(&mut bytes, &command, false)
        .map_err(|error| (ErrorKind::Client, "cannot encode", error.to_string()))?;
    Ok(bytes)
}

fn of_resp2(frame: Resp2Frame) -> Answer {
    match frame {
        Resp2Frame::SimpleString(text) | Resp2Frame::BulkString(text) => Ok(text_of(&text)),
        Resp2Frame::Integer(number) => Ok(Reply::Text(number.to_string())),
        Resp2Frame::Error(text) => Err(text),
        _ => Ok(Reply::Other),
    }
}

fn of_resp3(frame: Resp3Frame) -> Answer {
    match frame {
        Resp3Frame::SimpleString { data, .. } | Resp3Frame::BlobString { data, .. } => {
            Ok(text_of(&data))
        }
        Resp3Frame::Number { data, .. } => Ok(Reply::Text(data.to_string())),
        Resp3Frame::SimpleError { data, .. } => Err(data),
        Resp3Frame::BlobError { data, .. } => Err(String::from_utf8_lossy(&data).into_owned()),
        _ => Ok(Reply::Other),
    }
}

fn text_of(bytes: &[u8]) -> Reply {
    Reply::Text(String::from_utf8_lossy(bytes).into_owned())
}

/// An error of the server: its code, then why.
fn refused(text: &str) -> RedisError {
    let (code, detail) = text.split_once(' ').unwrap_or((text, ""));
    redis::make_extension_error(code.to_owned(), Some(detail.to_owned()))
}

fn no_server() -> RedisError {
    (ErrorKind::Parse, "no RESP").into()
}
