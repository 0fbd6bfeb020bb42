//! TLS on one connection, without its socket: encrypted records on one side, bytes on the other.
//!
//! ```text
//! socket ─► room.received ─► records ─► bytes          bytes ─► room.encrypted ─► socket
//!             ▲        └ not whole: incoming                     └ no room there: outgoing
//!             └──────────────┘                                      first of all, the next time
//! ```
//! It is one plain struct, so that a client moves to another thread with it. A connection owns a buffer only for a record that is not
//! whole and for what its socket did not take; the rest is in the [`TlsRoom`] of its thread.
//!
//! Invariants:
//! * Whatever was received is decrypted at once, up to the end of the last whole record: nothing that nobody is woken for stays behind.
//!   Where it does not fit (it was sent right behind the handshake) it lies in `early`, and is read before the socket is.
//! * Bytes are sent when the socket has taken the records that hold them. Until then they are kept here, and nothing else is encrypted;
//!   their owner counts them as unsent ([`Written`]). So who has nothing unsent has no records to send either.
//! * With TLS 1.2 and AES-GCM a key may encrypt 2^24 records, and there is no way to change it: the library refuses the next one, in the
//!   middle of whatever it is. The connection [is worn out](Tls::is_worn_out) a sixteenth before that, and is to be ended between two
//!   replies. TLS 1.3 changes its keys by itself.
//!
//! Deliberately not here: sockets, certificates, how long a handshake may take.

use std::fmt;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Poll, ready};

use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError};
use rustls::{ServerConfig, SupportedCipherSuite};
use tokio::io::ReadBuf;

use super::buffers::Written;
use crate::limits::{
    TLS_HANDSHAKE_BYTES_MAX, TLS_READ_BYTES, TLS_RECORDS_RESERVE_DIVISOR, TLS_WRITE_BYTES,
};

/// Bytes that a record is longer than what it holds, and more: TLS 1.2 adds 29, TLS 1.3 adds 22.
const RECORD_OVERHEAD: usize = 64;
/// Most bytes that a record holds.
const RECORD_BYTES: usize = 16 * 1024;
/// Room for what is sent beside the bytes, as an answer to new keys.
const MESSAGE_BYTES: usize = 1024;

/// Room for the records of one connection at a time. Its thread has one for all.
#[derive(Debug, Default)]
pub(crate) struct TlsRoom {
    received: Vec<u8>,
    gathered: Vec<u8>,
    encrypted: Vec<u8>,
}

impl TlsRoom {
    /// Makes the room when the first connection needs it.
    fn furnish(&mut self) {
        if self.received.is_empty() {
            self.received = vec![0; TLS_READ_BYTES];
            let records = TLS_WRITE_BYTES.div_ceil(RECORD_BYTES) + 1;
            self.encrypted = vec![0; TLS_WRITE_BYTES + records * RECORD_OVERHEAD + MESSAGE_BYTES];
        }
    }
}

/// What came of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// Bytes, perhaps; there may be more at once.
    Full,
    /// Bytes; whoever reads again waits.
    Part,
    /// Nothing more will come.
    End,
}

/// TLS on one connection.
pub struct Tls {
    connection: Box<UnbufferedServerConnection>,
    /// Received: a record that is not whole, or a message in several.
    incoming: Vec<u8>,
    /// Decrypted, and not read yet.
    early: Vec<u8>,
    /// Encrypted, and not taken by the socket …
    outgoing: Vec<u8>,
    /// … but for so many bytes …
    sent: usize,
    /// … and how many bytes of their owner's are in it.
    kept: usize,
    /// Records that were encrypted, and those after which it is worn out.
    records: u64,
    records_max: u64,
    /// The peer has said that nothing more comes.
    ended: bool,
    /// Something was wrong: the library has noted places in bytes that are gone, and is not asked again.
    failed: bool,
}

/// What is to be done beside taking the records.
struct Task<'a> {
    /// To be encrypted, and where to.
    plain: &'a [u8],
    room: &'a mut [u8],
    /// How much of the room is used.
    encrypted: usize,
}

fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl Tls {
    /// The server's side of a connection on which nothing was sent.
    ///
    /// # Errors
    /// The configuration does not fit.
    pub(crate) fn new(config: Arc<ServerConfig>) -> io::Result<Self> {
        Ok(Self {
            connection: Box::new(UnbufferedServerConnection::new(config).map_err(broken)?),
            incoming: Vec::new(),
            early: Vec::new(),
            outgoing: Vec::new(),
            sent: 0,
            kept: 0,
            records: 0,
            records_max: u64::MAX,
            ended: false,
            failed: false,
        })
    }

    /// Whether both sides have not agreed yet.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// The certificate of the peer, if it has shown one that was accepted.
    pub(crate) fn peer_certificate(&self) -> Option<&[u8]> {
        self.connection
            .peer_certificates()?
            .first()
            .map(AsRef::as_ref)
    }

    /// Whether the peer has said that nothing more comes.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether there are records that the socket has not taken.
    pub(crate) fn has_unsent(&self) -> bool {
        self.outgoing.len() > self.sent
    }

    /// Takes what the peer has sent in the handshake; what is to be answered can be sent then ([`Tls::flush`]).
    ///
    /// # Errors
    /// The peer does not speak TLS, or both do not agree: it is to be told so (again [`Tls::flush`]).
    pub(crate) fn shake(&mut self, received: &[u8]) -> io::Result<()> {
        if self.failed || self.incoming.len() + received.len() > TLS_HANDSHAKE_BYTES_MAX {
            self.failed = true;
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut records = std::mem::take(&mut self.incoming);
        records.extend_from_slice(received);
        let mut early = std::mem::take(&mut self.early);
        let taken = self.take_records(&mut records, |bytes| early.extend_from_slice(bytes), None);
        self.early = early;
        let taken = taken.map_err(broken)?;
        self.keep(records.get(taken..).unwrap_or_default());
        Ok(())
    }

    /// Reads what is there.
    ///
    /// # Errors
    /// The connection is broken, or what came is no TLS.
    pub(crate) fn poll_read(
        &mut self,
        room: &mut TlsRoom,
        buffer: &mut ReadBuf<'_>,
        mut receive: impl FnMut(&mut ReadBuf<'_>) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<Arrived>> {
        if !self.early.is_empty() {
            return Poll::Ready(Ok(self.read_early(buffer)));
        }
        if self.failed {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        room.furnish();
        while !self.ended {
            let kept = self.incoming.len();
            let records = room.received.get_mut(kept..).unwrap_or_default();
            let mut records = ReadBuf::new(records);
            ready!(receive(&mut records))?;
            let count = records.filled().len();
            if count == 0 {
                break;
            }
            let is_full = records.remaining() == 0;
            let records = room.received.get_mut(..kept + count).unwrap_or_default();
            if let Some(before) = records.get_mut(..kept) {
                before.copy_from_slice(&self.incoming);
            }
            let mut early = std::mem::take(&mut self.early);
            let sink = |bytes: &[u8]| {
                let (fits, rest) = bytes.split_at(bytes.len().min(buffer.remaining()));
                buffer.put_slice(fits);
                early.extend_from_slice(rest);
            };
            let taken = self.take_records(records, sink, None);
            self.early = early;
            let taken = match taken {
                Ok(taken) => taken,
                Err(error) if buffer.filled().is_empty() && self.early.is_empty() => {
                    return Poll::Ready(Err(broken(error)));
                }
                // What came whole before it is served first.
                Err(_) => return Poll::Ready(Ok(Arrived::Full)),
            };
            self.keep(records.get(taken..).unwrap_or_default());
            if is_full || !self.early.is_empty() {
                return Poll::Ready(Ok(Arrived::Full));
            }
            if !buffer.filled().is_empty() {
                return Poll::Ready(Ok(Arrived::Part));
            }
        }
        Poll::Ready(Ok(Arrived::End))
    }

    fn read_early(&mut self, buffer: &mut ReadBuf<'_>) -> Arrived {
        let count = self.early.len().min(buffer.remaining());
        let rest = self.early.split_off(count);
        buffer.put_slice(&self.early);
        self.early = rest;
        if self.early.is_empty() && !self.failed {
            Arrived::Part
        } else {
            Arrived::Full
        }
    }

    /// Keeps what was received and cannot be taken yet.
    fn keep(&mut self, rest: &[u8]) {
        self.incoming.clear();
        if rest.is_empty() {
            // An idle connection owns no buffer.
            self.incoming = Vec::new();
        } else {
            self.incoming.extend_from_slice(rest);
        }
    }

    /// Writes what was kept, if anything was, and nothing else; or the first of these bytes.
    ///
    /// # Errors
    /// `WouldBlock` when the socket has not taken all that was kept. Else the connection is broken.
    pub(crate) fn write(
        &mut self,
        pieces: &[IoSlice<'_>],
        room: &mut TlsRoom,
        mut send: impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<Written> {
        self.flush(&mut send)?;
        if self.failed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if self.kept > 0 {
            return Ok(Written::sent(std::mem::take(&mut self.kept)));
        }
        room.furnish();
        let plain = match pieces {
            [piece] => piece.get(..TLS_WRITE_BYTES).unwrap_or(piece),
            pieces => {
                gather(pieces, &mut room.gathered);
                &room.gathered
            }
        };
        let mut task = Task {
            plain,
            room: &mut room.encrypted,
            encrypted: 0,
        };
        if self.records == 0 {
            self.records_max = self.limit();
        }
        self.records += plain.len().div_ceil(RECORD_BYTES) as u64;
        self.run(&mut task)?;
        let records = task.room.get(..task.encrypted).unwrap_or_default();
        let mut sent = 0;
        if self.outgoing.is_empty() {
            sent = match send(records) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(error) => return Err(error),
            };
            if sent == records.len() {
                return Ok(Written::sent(plain.len()));
            }
        }
        // The beginning of a record was sent: its rest, and what follows, is all that may be sent next.
        let unsent = records.get(sent..).unwrap_or_default();
        self.outgoing.extend_from_slice(unsent);
        self.kept = plain.len();
        Ok(Written {
            sent: 0,
            kept: self.kept,
        })
    }

    /// Whether its keys may encrypt little more: it is to be ended soon, where nothing is cut.
    pub(crate) fn is_worn_out(&self) -> bool {
        self.records >= self.records_max
    }

    /// After how many records it is worn out.
    fn limit(&self) -> u64 {
        match self.connection.negotiated_cipher_suite() {
            Some(SupportedCipherSuite::Tls12(suite)) => {
                let limit = suite.common.confidentiality_limit;
                limit - limit / TLS_RECORDS_RESERVE_DIVISOR
            }
            Some(SupportedCipherSuite::Tls13(_)) | None => u64::MAX,
        }
    }

    /// Encrypts.
    fn run(&mut self, task: &mut Task<'_>) -> io::Result<()> {
        // A message that is not whole is looked at again each time: it has to be there.
        let mut records = std::mem::take(&mut self.incoming);
        let mut early = std::mem::take(&mut self.early);
        let sink = |bytes: &[u8]| early.extend_from_slice(bytes);
        let taken = self.take_records(&mut records, sink, Some(task));
        self.early = early;
        let taken = taken.map_err(broken)?;
        if taken > 0 {
            records.drain(..taken);
        }
        self.incoming = records;
        if task.encrypted == 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    }

    /// Sends the records that the socket has not taken.
    ///
    /// # Errors
    /// `WouldBlock` when it does not take all of them now; else the connection is broken.
    pub(crate) fn flush(
        &mut self,
        mut send: impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<()> {
        while let Some(records) = self.outgoing.get(self.sent..)
            && !records.is_empty()
        {
            self.sent += send(records)?;
        }
        if self.sent > 0 {
            self.outgoing = Vec::new();
            self.sent = 0;
        }
        Ok(())
    }

    /// Says that nothing more is sent, if the socket takes it at once: it is about to be closed.
    pub(crate) fn close(&mut self, mut send: impl FnMut(&[u8]) -> io::Result<usize>) {
        if self.is_handshaking() || self.flush(&mut send).is_err() || self.failed {
            return;
        }
        let mut record = [0; 2 * RECORD_OVERHEAD];
        let status = self.connection.process_tls_records(&mut self.incoming);
        if let Ok(ConnectionState::WriteTraffic(mut traffic)) = status.state
            && let Ok(count) = traffic.queue_close_notify(&mut record)
        {
            // Whoever is gone need not know.
            let _ = send(record.get(..count).unwrap_or_default());
        }
        // Nothing is asked of it any more.
        self.failed = true;
    }

    /// Takes all whole records; gives how many bytes they took. `sink` gets what is in them.
    fn take_records(
        &mut self,
        records: &mut [u8],
        sink: impl FnMut(&[u8]),
        task: Option<&mut Task<'_>>,
    ) -> Result<usize, rustls::Error> {
        let taken = self.take_each_record(records, sink, task);
        self.failed |= taken.is_err();
        taken
    }

    fn take_each_record(
        &mut self,
        records: &mut [u8],
        mut sink: impl FnMut(&[u8]),
        mut task: Option<&mut Task<'_>>,
    ) -> Result<usize, rustls::Error> {
        let mut taken = 0;
        loop {
            let rest = records.get_mut(taken..).unwrap_or_default();
            let status = self.connection.process_tls_records(rest);
            let mut discard = status.discard;
            let mut is_over = false;
            match status.state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        sink(record.payload);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut message)) => {
                    append(&mut self.outgoing, |room| message.encode(room));
                }
                Ok(ConnectionState::TransmitTlsData(message)) => message.done(),
                Ok(ConnectionState::PeerClosed) => self.ended = true,
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    if let Some(task) = task.take() {
                        task.encrypted = match traffic.encrypt(task.plain, task.room) {
                            Ok(count) => count,
                            Err(EncryptError::InsufficientSize(_)) => {
                                let text = "no room for the records".to_owned();
                                return Err(rustls::Error::General(text));
                            }
                            Err(EncryptError::EncryptExhausted) => {
                                return Err(rustls::Error::EncryptError);
                            }
                        };
                    }
                    is_over = true;
                }
                Ok(ConnectionState::BlockedHandshake) => is_over = true,
                Ok(ConnectionState::Closed) => {
                    self.ended = true;
                    is_over = true;
                }
                // Early data, which nobody was offered to send.
                Ok(_) => return Err(rustls::Error::HandshakeNotComplete),
                Err(error) => {
                    self.queue_alert();
                    return Err(error);
                }
            }
            taken += discard;
            if is_over {
                return Ok(taken);
            }
        }
    }

    /// Something went wrong: the peer is to know what, if there is anything to say. Only then: the library would look into bytes that it
    /// is not given.
    fn queue_alert(&mut self) {
        if !self.connection.wants_write() {
            return;
        }
        let status = self.connection.process_tls_records(&mut []);
        if let Ok(ConnectionState::EncodeTlsData(mut message)) = status.state {
            append(&mut self.outgoing, |room| message.encode(room));
        }
    }
}

/// Appends a message that says how much room it needs.
fn append(outgoing: &mut Vec<u8>, mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>) {
    let Err(EncodeError::InsufficientSize(needed)) = encode(&mut []) else {
        return;
    };
    let before = outgoing.len();
    outgoing.resize(before + needed.required_size, 0);
    if let Some(room) = outgoing.get_mut(before..) {
        let encoded = encode(room);
        debug_assert!(encoded.is_ok(), "there is as much room as was asked for");
    }
}

/// Puts several pieces together, as many as are written at once.
fn gather(pieces: &[IoSlice<'_>], gathered: &mut Vec<u8>) {
    gathered.clear();
    for piece in pieces {
        let room = TLS_WRITE_BYTES - gathered.len();
        gathered.extend_from_slice(piece.get(..room).unwrap_or(piece));
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("is_handshaking", &self.is_handshaking())
            .field("incoming", &self.incoming.len())
            .field("unsent", &(self.outgoing.len() - self.sent))
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
