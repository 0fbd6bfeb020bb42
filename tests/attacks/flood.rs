//! Floods: connections whose sockets are always full, and what they are full of.
//!
//! ```text
//! one thread: for each connection in turn ─► write until the socket takes no more ─► read until there is no more
//! ```
//! Nothing waits for an answer. A connection whose shape says so reads nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::field::{Case, Room};
use super::support::Random;
use super::support::client::encode;

/// What a connection sends without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// INCR of one key for all.
    OneKey,
    /// INCR of a key of its own.
    OwnKey,
    /// Reads and writes of many keys.
    ManyKeys,
    /// Transactions.
    Multi,
    /// SUBSCRIBE and UNSUBSCRIBE.
    Subscribe,
    /// XADD to a stream of its own.
    Append,
    /// LPUSH and RPOP on a list of its own.
    Push,
    /// LRANGE of a list of its own.
    Range,
    /// INCR, and no answer is read.
    Unread,
    /// BLPOP of what never comes, and INCR behind it.
    Blocked,
}

/// All of them.
pub(crate) const SHAPES: [Shape; 10] = [
    Shape::OneKey,
    Shape::OwnKey,
    Shape::ManyKeys,
    Shape::Multi,
    Shape::Subscribe,
    Shape::Append,
    Shape::Push,
    Shape::Range,
    Shape::Unread,
    Shape::Blocked,
];

/// Requests in the piece that a connection sends again and again.
const REQUESTS: usize = 2000;
/// Names of [`Shape::ManyKeys`].
const MANY: usize = 100_000;

impl Shape {
    /// Its name in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OneKey => "one key",
            Self::OwnKey => "own keys",
            Self::ManyKeys => "many keys",
            Self::Multi => "MULTI",
            Self::Subscribe => "SUBSCRIBE",
            Self::Append => "XADD",
            Self::Push => "LPUSH RPOP",
            Self::Range => "LRANGE",
            Self::Unread => "replies unread",
            Self::Blocked => "behind BLPOP",
        }
    }

    /// What a connection sends first, once.
    fn opening(self, connection: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self == Self::Range {
            let own = format!("flood:own:{connection}");
            let line = format!("RPUSH {own} {}", ["element"; 100].join(" "));
            encode(&line.split(' ').collect::<Vec<_>>(), &mut bytes);
        }
        if self == Self::Blocked {
            encode(&["BLPOP", "flood:never", "0"], &mut bytes);
        }
        bytes
    }

    /// What it sends then, again and again.
    fn piece(self, connection: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut random = Random::new(connection as u64 + 1);
        let own = format!("flood:own:{connection}");
        for number in 0..REQUESTS {
            let mut send = |line: &str| encode(&line.split(' ').collect::<Vec<_>>(), &mut bytes);
            match self {
                Self::OneKey | Self::Unread | Self::Blocked => send("INCR flood:one"),
                Self::OwnKey => send(&format!("INCR {own}")),
                Self::ManyKeys => {
                    let name = random.below(MANY);
                    match number % 3 {
                        0 => send(&format!("SET flood:{name} {number}")),
                        1 => send(&format!("GET flood:{name}")),
                        _ => send(&format!("INCR flood:n:{name}")),
                    }
                }
                Self::Multi => {
                    for line in ["MULTI", "INCR flood:one", "EXEC"] {
                        send(line);
                    }
                    send(&format!("INCR {own}"));
                }
                Self::Subscribe => {
                    send(&format!("SUBSCRIBE flood:{}", number % 50));
                    send(&format!("UNSUBSCRIBE flood:{}", number % 50));
                }
                Self::Append => send(&format!("XADD {own} MAXLEN ~ 100 * field value")),
                Self::Range => send(&format!("LRANGE {own} 0 -1")),
                Self::Push => {
                    send(&format!("LPUSH {own} value"));
                    send(&format!("RPOP {own}"));
                }
            }
        }
        bytes
    }
}

/// What went over the sockets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    /// Bytes sent.
    pub(crate) sent: u64,
    /// Bytes read.
    pub(crate) read: u64,
    /// Connections that the server closed.
    pub(crate) closed: usize,
}

/// One connection.
struct Line {
    stream: TcpStream,
    opening: Vec<u8>,
    piece: Vec<u8>,
    /// Sent of both; behind the opening it begins again at the piece.
    at: usize,
    reads: bool,
    is_closed: bool,
}

impl Line {
    fn open(address: SocketAddr, shape: Shape, connection: usize) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self {
            stream,
            opening: shape.opening(connection),
            piece: shape.piece(connection),
            at: 0,
            reads: shape != Shape::Unread,
            is_closed: false,
        }
    }

    /// Moves bytes both ways once; whether any moved.
    fn turn(&mut self, chunk: &mut [u8], traffic: &mut Traffic) -> bool {
        if self.is_closed {
            return false;
        }
        let next = match self.opening.get(self.at..) {
            Some(rest) if !rest.is_empty() => rest,
            _ => &self.piece[self.at - self.opening.len()..],
        };
        let written = self.stream.write(next);
        let read = if self.reads {
            self.stream.read(chunk)
        } else {
            Err(ErrorKind::WouldBlock.into())
        };
        let moved = |result: &std::io::Result<usize>| match result {
            Ok(count) => *count,
            Err(_) => 0,
        };
        let is_end = |result: &std::io::Result<usize>| match result {
            Ok(count) => *count == 0,
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        };
        if is_end(&written) || is_end(&read) {
            self.is_closed = true;
            traffic.closed += 1;
        }
        self.at += moved(&written);
        if self.at == self.opening.len() + self.piece.len() {
            self.at = self.opening.len();
        }
        traffic.sent += moved(&written) as u64;
        traffic.read += moved(&read) as u64;
        moved(&written) + moved(&read) > 0
    }
}

/// A running flood.
pub(crate) struct Flood {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Traffic>,
}

impl Flood {
    /// Opens the connections; when it returns they are served.
    pub(crate) fn start(address: SocketAddr, shape: Shape, connections: usize) -> Self {
        let mut lines: Vec<Line> = (0..connections)
            .map(|connection| Line::open(address, shape, connection))
            .collect();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut chunk, mut traffic) = (vec![0; 256 * 1024], Traffic::default());
            while !stopped.load(Ordering::Relaxed) {
                let mut moved = false;
                for line in &mut lines {
                    moved |= line.turn(&mut chunk, &mut traffic);
                }
                if !moved {
                    // All sockets are full: the server has the processor.
                    std::thread::sleep(Duration::from_micros(100));
                }
            }
            traffic
        });
        Self { stop, thread }
    }

    /// Closes the connections.
    pub(crate) fn finish(self) -> Traffic {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// One flood as a case: the peak at most 100 MB above redis-server's, and nobody is closed who is not closed there.
fn case(shape: Shape, connections: usize) -> Case {
    let name = format!("flood: {}, {connections} connections", shape.name());
    let case = Case::new(name, Room::of(100, 60), move |attack| {
        let flood = Flood::start(attack.address, shape, connections);
        std::thread::sleep(attack.duration());
        let traffic = flood.finish();
        assert!(
            traffic.closed == 0 || shape == Shape::Blocked,
            "{} of {connections} connections were closed by {}: {traffic:?}",
            traffic.closed,
            attack.server.name
        );
        let [sent, read] = [traffic.sent, traffic.read].map(|bytes| bytes >> 20);
        format!("sent {sent} MB, read {read} MB, closed {}", traffic.closed)
    });
    // It is kept unread or is closed there: what it costs is to be seen, not the end of the machine's memory.
    case.with(&["--client-query-buffer-limit", "64mb"])
}

/// All of them, or some that differ most.
pub(crate) fn cases(full: bool) -> Vec<Case> {
    if full {
        let counts = [1, 20, 100];
        return SHAPES
            .iter()
            .flat_map(|shape| counts.map(|count| case(*shape, count)))
            .collect();
    }
    [
        (Shape::OneKey, 20),
        (Shape::ManyKeys, 1),
        (Shape::OwnKey, 100),
        (Shape::Multi, 20),
        (Shape::Subscribe, 20),
        (Shape::Unread, 20),
        (Shape::Blocked, 4),
    ]
    .map(|(shape, count)| case(shape, count))
    .into_iter()
    .collect()
}
