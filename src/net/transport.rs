//! TCP and unix sockets behind one type, awake (registered with a runtime) or parked (on the way to another thread).

use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendFlags, send};
use tokio::io::{AsyncRead, Interest, ReadBuf};

/// A socket that no runtime knows: it can be sent to another thread.
#[derive(Debug)]
pub enum ParkedTransport {
    /// TCP.
    Tcp(std::net::TcpStream),
    /// Unix.
    Unix(std::os::unix::net::UnixStream),
}

/// A socket registered with the runtime of the present thread.
#[derive(Debug)]
pub(crate) enum Transport {
    /// TCP.
    Tcp(tokio::net::TcpStream),
    /// Unix.
    Unix(tokio::net::UnixStream),
}

/// Writes what there is room for; a peer that is gone is an error, not a signal.
fn send_now(socket: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    Ok(send(socket, bytes, SendFlags::NOSIGNAL)?)
}

impl ParkedTransport {
    /// Registers it with the runtime of the present thread.
    ///
    /// # Errors
    /// When the runtime cannot register it.
    pub(crate) fn wake(self) -> io::Result<Transport> {
        match self {
            Self::Tcp(stream) => tokio::net::TcpStream::from_std(stream).map(Transport::Tcp),
            Self::Unix(stream) => tokio::net::UnixStream::from_std(stream).map(Transport::Unix),
        }
    }
}

impl Transport {
    /// Takes it from its runtime.
    ///
    /// # Errors
    /// When the runtime cannot let go of it.
    pub(crate) fn park(self) -> io::Result<ParkedTransport> {
        match self {
            Self::Tcp(stream) => stream.into_std().map(ParkedTransport::Tcp),
            Self::Unix(stream) => stream.into_std().map(ParkedTransport::Unix),
        }
    }

    /// Whether the peer has ended its side, or the connection is broken, however much is left to read.
    pub(crate) fn peer_has_ended(&self) -> bool {
        let fd = match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        };
        let mut asked = [PollFd::from_borrowed_fd(fd, PollFlags::RDHUP)];
        let now = Timespec::default();
        poll(&mut asked, Some(&now)).is_ok_and(|ended| ended > 0)
    }

    /// Ready when there may be room to write.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    pub(crate) fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_write_ready(context),
            Self::Unix(stream) => stream.poll_write_ready(context),
        }
    }

    /// Reads what is there; nothing filled is the end. A read that does not fill the buffer saves the next one a system call.
    ///
    /// # Errors
    /// When the connection is broken.
    pub(crate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }

    /// Writes as much of several pieces as there is room for. A single one without the C library, whose threads may be
    /// cancelled in the middle of a write: to provide for that costs two locked instructions each time.
    ///
    /// # Errors
    /// `WouldBlock` when there is no room; else the connection is broken.
    pub(crate) fn try_write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match (self, pieces) {
            (Self::Tcp(stream), [piece]) => {
                stream.try_io(Interest::WRITABLE, || send_now(stream, piece))
            }
            (Self::Tcp(stream), pieces) => stream.try_write_vectored(pieces),
            (Self::Unix(stream), [piece]) => {
                stream.try_io(Interest::WRITABLE, || send_now(stream, piece))
            }
            (Self::Unix(stream), pieces) => stream.try_write_vectored(pieces),
        }
    }
}
