//! A client's socket: TCP, unix or TLS behind one type, awake (registered with a runtime) or parked (on the way to another thread).

use std::io::{self, IoSlice, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendFlags, Shutdown, send, shutdown};
use tokio::io::{AsyncRead, Interest, ReadBuf};

use super::buffers::Written;
use super::tls::{Arrived, Tls, TlsRoom};

/// A socket that no runtime knows: it can be sent to another thread.
#[derive(Debug)]
pub enum ParkedTransport {
    /// TCP.
    Tcp(std::net::TcpStream),
    /// Unix.
    Unix(std::os::unix::net::UnixStream),
    /// TLS over TCP, the handshake done.
    Tls(std::net::TcpStream, Tls),
}

/// A socket registered with the runtime of the present thread.
#[derive(Debug)]
pub(crate) enum Transport {
    /// TCP.
    Tcp(tokio::net::TcpStream),
    /// Unix.
    Unix(tokio::net::UnixStream),
    /// TLS over TCP.
    Tls(tokio::net::TcpStream, Tls),
}

/// Writes what there is room for; a peer that is gone is an error, not a signal.
fn send_now(socket: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    Ok(send(socket, bytes, SendFlags::NOSIGNAL)?)
}

/// The same, for a socket that a runtime knows.
#[inline(always)]
fn try_send(stream: &tokio::net::TcpStream, bytes: &[u8]) -> io::Result<usize> {
    stream.try_io(Interest::WRITABLE, || send_now(stream, bytes))
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
            Self::Tls(stream, tls) => {
                tokio::net::TcpStream::from_std(stream).map(|stream| Transport::Tls(stream, tls))
            }
        }
    }

    /// Sends a few last words, as far as there is room; its client may be gone already.
    pub(crate) fn refuse(self, text: &[u8]) {
        let _ = match self {
            Self::Tcp(mut socket) => socket.write_all(text),
            Self::Unix(mut socket) => socket.write_all(text),
            Self::Tls(socket, mut tls) => {
                let mut send = |records: &[u8]| send_now(&socket, records);
                let room = &mut TlsRoom::default();
                let sent = tls.write(&[IoSlice::new(text)], room, &mut send);
                tls.close(&mut send);
                sent.map(drop)
            }
        };
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
            Self::Tls(stream, tls) => stream
                .into_std()
                .map(|stream| ParkedTransport::Tls(stream, tls)),
        }
    }

    /// The descriptor of its socket.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) | Self::Tls(stream, _) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }

    /// Whether the peer has ended its side, or the connection is broken, however much is left to read.
    pub(crate) fn peer_has_ended(&self) -> bool {
        let mut asked = [PollFd::from_borrowed_fd(
            self.descriptor(),
            PollFlags::RDHUP,
        )];
        let now = Timespec::default();
        poll(&mut asked, Some(&now)).is_ok_and(|ended| ended > 0)
    }

    /// Ready when there may be room to write.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    pub(crate) fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) | Self::Tls(stream, _) => stream.poll_write_ready(context),
            Self::Unix(stream) => stream.poll_write_ready(context),
        }
    }

    /// Reads what is there. A read that does not fill the buffer saves the next one a system call.
    ///
    /// # Errors
    /// When the connection is broken.
    pub(crate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        room: &mut TlsRoom,
    ) -> Poll<io::Result<Arrived>> {
        match self {
            Self::Tcp(stream) => ready!(Pin::new(stream).poll_read(context, buffer))?,
            Self::Unix(stream) => ready!(Pin::new(stream).poll_read(context, buffer))?,
            Self::Tls(stream, tls) => {
                let read = tls.poll_read(room, buffer, |records| {
                    Pin::new(&mut *stream).poll_read(context, records)
                });
                if tls.has_unsent() && !matches!(read, Poll::Pending) {
                    // What is wrong, or that new keys were taken. It is not worth waiting for.
                    let _ = tls.flush(|records| try_send(stream, records));
                }
                return read;
            }
        }
        Poll::Ready(Ok(if buffer.filled().is_empty() {
            Arrived::End
        } else if buffer.remaining() == 0 {
            Arrived::Full
        } else {
            Arrived::Part
        }))
    }

    /// Writes as much of several pieces as there is room for. A single one without the C library, whose threads may be
    /// cancelled in the middle of a write: to provide for that costs two locked instructions each time.
    ///
    /// # Errors
    /// `WouldBlock` when there is no room; what was kept before ([`Written::kept`]) is kept on. Else the connection is broken.
    pub(crate) fn try_write(
        &mut self,
        pieces: &[IoSlice<'_>],
        room: &mut TlsRoom,
    ) -> io::Result<Written> {
        let sent = match (self, pieces) {
            (Self::Tcp(stream), [piece]) => try_send(stream, piece),
            (Self::Tcp(stream), pieces) => stream.try_write_vectored(pieces),
            (Self::Unix(stream), [piece]) => {
                let stream = &*stream;
                stream.try_io(Interest::WRITABLE, || send_now(stream, piece))
            }
            (Self::Unix(stream), pieces) => stream.try_write_vectored(pieces),
            (Self::Tls(stream, tls), pieces) => {
                return tls.write(pieces, room, |records| try_send(stream, records));
            }
        };
        sent.map(Written::sent)
    }

    /// Whether it may not be sent much more.
    pub(crate) fn is_worn_out(&self) -> bool {
        match self {
            Self::Tls(_, tls) => tls.is_worn_out(),
            Self::Tcp(_) | Self::Unix(_) => false,
        }
    }

    /// Ends the connection: the peer reads what was sent, and its end. The descriptor stays open until this is dropped.
    pub(crate) fn close(&mut self) {
        if let Self::Tls(stream, tls) = self {
            tls.close(|records| try_send(stream, records));
        }
        // Where that fails it has ended.
        let _ = shutdown(self.descriptor(), Shutdown::Both);
    }
}
