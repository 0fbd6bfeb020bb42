//! Sends the keys of MIGRATE to another server: a thread for each, which ends with it. No connection is kept (Redis keeps them for ten
//! seconds).
//!
//! ```text
//! connect ──► [AUTH] [SELECT] RESTORE … RESTORE, all at once ──► their replies, one by one
//! ```
//! Invariant: a key counts as accepted only when the other server has said so.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

use crate::command::context::Shared;
use crate::command::error::{self, CommandError};
use crate::command::keyspace::migrate::{Migrated, Migration, Migrator, SentKey};
use crate::ids::{ClientId, ShardId};
use crate::shard::clock::{Clock, SystemClock, unix_ms};
use crate::shard::mailbox::{Message, Post};
use crate::shard::mailboxes::Mailboxes;

/// Longest reply that is read, bytes. Source: Redis.
const REPLY_BYTES_MAX: u64 = 1024;

/// Starts the threads.
struct Sender {
    post: Arc<Mailboxes>,
}

/// Lets shards send keys.
pub(super) fn install(shared: &Shared, mailboxes: &Arc<Mailboxes>) {
    let post = Arc::clone(mailboxes);
    // The one place that sets it.
    let _ = shared.migrator.set(Box::new(Sender { post }));
}

impl Migrator for Sender {
    fn begin(&self, migration: Migration, shard: ShardId, client: ClientId) {
        let post = Arc::clone(&self.post);
        let builder = std::thread::Builder::new().name("migrate".to_owned());
        // Where no thread is to be had it fails as a connection does. What was not sent is still here.
        let (give, take) = std::sync::mpsc::channel::<Migration>();
        let started = builder.spawn(move || {
            if let Ok(migration) = take.recv() {
                let ended = send(migration, client);
                post.post(shard, Message::Migrated(Box::new(ended)));
            }
        });
        let refused = match started {
            Ok(_) => give.send(migration).err().map(|error| error.0),
            Err(_) => Some(migration),
        };
        if let Some(migration) = refused {
            let error = error::migrate_io("connecting to the client");
            let ended = migration.ended(client, Vec::new(), Some(error));
            self.post.post(shard, Message::Migrated(Box::new(ended)));
        }
    }
}

fn send(mut migration: Migration, client: ClientId) -> Migrated {
    let keys = std::mem::take(&mut migration.keys);
    let mut accepted = Vec::new();
    let error = converse(&migration, keys, &mut accepted).err();
    migration.ended(client, accepted, error)
}

fn connect(migration: &Migration) -> io::Result<TcpStream> {
    let port = migration.port.parse::<u16>().map_err(io::Error::other)?;
    let timeout = Duration::from_millis(migration.timeout_ms);
    let mut error = io::Error::other("no address");
    for address in (migration.host.as_str(), port).to_socket_addrs()? {
        let connected = match &migration.source {
            None => TcpStream::connect_timeout(&address, timeout),
            Some(source) => connect_from(source, address, timeout),
        };
        match connected {
            Ok(stream) => {
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))?;
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(another) => error = another,
        }
    }
    Err(error)
}

/// Connects from an address of this machine; from where the system likes if it is none, as Redis does.
fn connect_from(source: &str, target: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let family = if target.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let socket = net::socket_with(
        family,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    let mut sources = (source, 0).to_socket_addrs().into_iter().flatten();
    let bound = sources
        .find(|source| source.is_ipv4() == target.is_ipv4())
        .ok_or_else(|| io::Error::other("no such address of the target's family"))
        .and_then(|source| Ok(net::bind(&socket, &source)?));
    if let Err(error) = bound {
        tracing::warn!("MIGRATE cannot connect from bind-source-addr {source}: {error}");
    }
    match net::connect(&socket, &target) {
        Ok(()) => {}
        Err(Errno::INPROGRESS) => {
            await_room(&socket, timeout)?;
            sockopt::socket_error(&socket)??;
        }
        Err(error) => return Err(error.into()),
    }
    let stream = TcpStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// Waits until a socket can be written to, whatever signals come meanwhile.
fn await_room(socket: &impl AsFd, timeout: Duration) -> io::Result<()> {
    let waiting = SystemClock::start();
    loop {
        let left = timeout.saturating_sub(Duration::from_nanos(waiting.nanoseconds()));
        let limit = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(socket, PollFlags::OUT)], Some(&limit)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Sends the keys and reads the replies; puts those that were accepted into `accepted`, also when an error follows.
fn converse(
    migration: &Migration,
    keys: Vec<SentKey>,
    accepted: &mut Vec<SentKey>,
) -> Result<(), CommandError> {
    let stream = connect(migration).map_err(|error| match error.kind() {
        // Redis finds that out when it writes.
        io::ErrorKind::ConnectionRefused => error::migrate_io("writing to target instance"),
        _ => error::migrate_io("connecting to the client"),
    })?;
    let now_ms = unix_ms();
    let has_ended = |sent: &SentKey| sent.end_ms.is_some_and(|end_ms| end_ms < now_ms);
    let keys: Vec<SentKey> = keys.into_iter().filter(|sent| !has_ended(sent)).collect();
    write(&stream, migration, &keys, now_ms)
        .map_err(|_| error::migrate_io("writing to target instance"))?;
    let mut replies = BufReader::new(&stream);
    let mut next =
        || reply(&mut replies).map_err(|_| error::migrate_io("reading to target instance"));
    // What the other server says of the login and the database holds for all keys.
    let mut refusal = None;
    if !migration.login.is_empty() {
        refusal = next()?;
    }
    refusal = refusal.or(next()?);
    let refuses_all = refusal.is_some();
    for sent in keys {
        let refused = next()?;
        if refused.is_none() && !refuses_all {
            accepted.push(sent);
        }
        refusal = refusal.or(refused);
    }
    refusal.map_or(Ok(()), |text| Err(error::migrate_refused(&text)))
}

fn write(
    stream: &TcpStream,
    migration: &Migration,
    keys: &[SentKey],
    now_ms: u64,
) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(64 * 1024, stream);
    if !migration.login.is_empty() {
        let login = migration.login.iter().map(Vec::as_slice);
        command(&mut out, std::iter::once(b"AUTH".as_slice()).chain(login))?;
    }
    let db = migration.target_db.to_string();
    command(&mut out, [b"SELECT".as_slice(), db.as_bytes()])?;
    for sent in keys {
        // A time of 0 would be no end.
        let ttl = sent.end_ms.map_or(0, |end_ms| (end_ms - now_ms).max(1));
        let ttl = ttl.to_string();
        let words = [b"RESTORE", &*sent.key, ttl.as_bytes(), &sent.payload];
        let replace = migration.replace.then_some(b"REPLACE".as_slice());
        command(&mut out, words.into_iter().chain(replace))?;
    }
    out.flush()
}

fn command<'a>(out: &mut impl Write, words: impl IntoIterator<Item = &'a [u8]>) -> io::Result<()> {
    let words: Vec<&[u8]> = words.into_iter().collect();
    write!(out, "*{}\r\n", words.len())?;
    for word in words {
        write!(out, "${}\r\n", word.len())?;
        out.write_all(word)?;
        out.write_all(b"\r\n")?;
    }
    Ok(())
}

/// Reads a reply of one line; gives the text of an error. Whatever is neither that nor OK comes from no server that has taken a key.
fn reply(replies: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    replies.take(REPLY_BYTES_MAX).read_until(b'\n', &mut line)?;
    let Some(line) = line.strip_suffix(b"\r\n") else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    match line {
        b"+OK" => Ok(None),
        [b'-', text @ ..] => Ok(Some(text.to_vec())),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
