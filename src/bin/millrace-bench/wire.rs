//! A blocking connection for what is not measured: set-up, checks, INFO.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::skip::{Skipper, Summary};
use crate::template::{Random, Template};

/// Longest wait for a reply during set-up: filling millions of entries answers all the time, freeing them may not.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest time for all of a workload's data: a server that needs more has no figure, and does not hold up the others.
const FILL_PATIENCE: Duration = Duration::from_secs(45);
/// Most request bytes sent before the replies are read: less than the sockets hold, so that neither side waits for the other.
const BATCH_BYTES_MAX: usize = 64 * 1024;
/// Most commands sent before the replies are read.
const BATCH_COMMANDS_MAX: usize = 200;

/// Why a server has no figure for a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It answered with an error: the text.
    Refused(String),
    /// It answered something else than the workload needs: what.
    Unexpected(String),
    /// It did not answer.
    Timeout,
    /// It took too long to take the data of the workload.
    SlowFill,
    /// The connection ended, or what came was no protocol.
    Lost(String),
}

impl Fault {
    /// Whether the server has to be started anew.
    pub(crate) fn is_fatal(&self) -> bool {
        !matches!(self, Fault::Refused(_))
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Refused(text) if text.to_lowercase().contains("unknown command") => {
                out.write_str("n/a: unknown command")
            }
            Fault::Refused(text) => write!(out, "n/a: {text}"),
            Fault::Unexpected(what) => write!(out, "wrong: {what}"),
            Fault::Timeout => out.write_str("timeout"),
            Fault::SlowFill => out.write_str("timeout while filling"),
            Fault::Lost(what) => write!(out, "lost: {what}"),
        }
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => Fault::Timeout,
            _ => Fault::Lost(error.to_string()),
        }
    }
}

/// One blocking connection.
pub(crate) struct Wire {
    stream: TcpStream,
    skipper: Skipper,
    scratch: Vec<u8>,
}

impl Wire {
    /// # Errors
    /// The server cannot be reached.
    pub(crate) fn connect(address: SocketAddr) -> Result<Self, Fault> {
        Self::connect_within(address, PATIENCE)
    }

    /// # Errors
    /// The server cannot be reached.
    pub(crate) fn connect_within(address: SocketAddr, patience: Duration) -> Result<Self, Fault> {
        let stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Self {
            stream,
            skipper: Skipper::default(),
            scratch: vec![0; 64 * 1024],
        })
    }

    /// Sends a command; what its reply was, and its bytes.
    ///
    /// # Errors
    /// No reply, or an error reply.
    pub(crate) fn ask(&mut self, command: &str) -> Result<(Summary, Vec<u8>), Fault> {
        let mut request = Template::command(command, 0).map_err(Fault::Unexpected)?;
        request.patch(&mut Random::new(1), &mut 0, 0);
        self.stream.write_all(request.bytes())?;
        let mut kept = Vec::new();
        let mut last = None;
        self.read_replies(1, |summary| last = Some(summary), Some(&mut kept))?;
        last.map(|summary| (summary, kept))
            .ok_or_else(|| Fault::Lost("no reply".to_owned()))
    }

    /// Sends a command `times` over, in pipelines.
    ///
    /// # Errors
    /// The first error reply, or no reply.
    pub(crate) fn repeat(&mut self, command: &str, times: u64) -> Result<(), Fault> {
        let unit = Template::command(command, 0).map_err(Fault::Unexpected)?;
        let batch = (BATCH_BYTES_MAX / unit.bytes().len().max(1)).clamp(1, BATCH_COMMANDS_MAX);
        let (mut random, mut counter, mut left) = (Random::new(7), 0, times);
        let deadline = Instant::now() + FILL_PATIENCE;
        while left > 0 {
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(batch);
            let mut requests = unit.repeated(count);
            while left >= count as u64 {
                requests.patch(&mut random, &mut counter, 0);
                self.stream.write_all(requests.bytes())?;
                self.read_replies(count, |_| (), None)?;
                left -= count as u64;
                if Instant::now() > deadline {
                    return Err(Fault::SlowFill);
                }
            }
        }
        Ok(())
    }

    /// Subscribes with one command that is confirmed so many times.
    ///
    /// # Errors
    /// No reply, or an error reply.
    pub(crate) fn subscribe(&mut self, command: &str, confirmations: usize) -> Result<(), Fault> {
        let request = Template::command(command, 0).map_err(Fault::Unexpected)?;
        self.stream.write_all(request.bytes())?;
        self.read_replies(confirmations, |_| (), None)
    }

    /// The socket, without time limits.
    ///
    /// # Errors
    /// The socket's own.
    pub(crate) fn into_stream(self) -> Result<TcpStream, Fault> {
        self.stream.set_read_timeout(None)?;
        self.stream.set_write_timeout(None)?;
        Ok(self.stream)
    }

    /// Reads whole replies.
    fn read_replies(
        &mut self,
        count: usize,
        mut each: impl FnMut(Summary),
        mut kept: Option<&mut Vec<u8>>,
    ) -> Result<(), Fault> {
        let mut left = count;
        while left > 0 {
            let length = self.stream.read(&mut self.scratch)?;
            if length == 0 {
                return Err(Fault::Lost("the server closed the connection".to_owned()));
            }
            let bytes = &self.scratch[..length];
            if let Some(kept) = kept.as_deref_mut() {
                kept.extend_from_slice(bytes);
            }
            let mut at = 0;
            while let Some(summary) = self
                .skipper
                .next(bytes, &mut at)
                .map_err(|_| Fault::Lost("not the protocol".to_owned()))?
            {
                left = left.saturating_sub(1);
                each(summary);
            }
        }
        match self.skipper.take_error() {
            Some(text) => Err(Fault::Refused(text)),
            None => Ok(()),
        }
    }

    /// A field of INFO.
    pub(crate) fn info(&mut self, section: &str, field: &str) -> Option<String> {
        let (_, bytes) = self.ask(&format!("INFO {section}")).ok()?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let start = format!("{field}:");
        text.lines()
            .find_map(|line| line.strip_prefix(&start))
            .map(|value| value.trim().to_owned())
    }
}
