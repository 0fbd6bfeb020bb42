//! A blocking client on a raw socket that hands out the raw bytes of each whole reply.
//!
//! It knows framing only; pushes come out like any other reply, in the order of arrival. Every read has a deadline:
//! a hanging server fails the test instead of hanging it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::frame::{EndFinder, Frame, printable, printable_command};

/// How long a reply may take before the test fails.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);

/// What came of waiting for a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// One whole reply.
    Reply(Vec<u8>),
    /// The server closed the connection.
    Closed,
    /// Nothing whole arrived in time.
    Quiet,
}

/// What a server has moved over a connection, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// It has read.
    pub(crate) received: u64,
    /// It has written.
    pub(crate) sent: u64,
    /// Of what it is to write.
    pub(crate) unsent: u64,
}

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    input: Vec<u8>,
    /// Bytes of `input` already handed out.
    taken: usize,
    /// How much of the next reply is there.
    finder: EndFinder,
    /// Bytes received in all.
    received: u64,
    /// How long `raw_reply` waits.
    pub(crate) timeout: Duration,
    closed: bool,
}

/// A command in RESP's array form.
pub(crate) fn encode<A: AsRef<[u8]>>(arguments: &[A], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", arguments.len()).as_bytes());
    for argument in arguments {
        let bytes = argument.as_ref();
        out.extend_from_slice(format!("${}\r\n", bytes.len()).as_bytes());
        out.extend_from_slice(bytes);
        out.extend_from_slice(b"\r\n");
    }
}

/// All that a server answers to bytes: sends them, ends its own side, and reads until the server has ended the other. Nothing
/// that the server does not answer has to be waited for.
pub(crate) fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect_timeout(&address, REPLY_TIMEOUT).unwrap();
    stream.set_read_timeout(Some(REPLY_TIMEOUT)).unwrap();
    let reader = stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        // It may close before it has read everything, and its answer may be longer than the sockets hold.
        scope.spawn(|| {
            let _ = stream.write_all(bytes);
            let _ = stream.shutdown(std::net::Shutdown::Write);
        });
        read_to_close(reader)
    })
}

/// Reads until the other side has closed; that it had not read everything does no harm.
///
/// # Panics
/// When it does not close in time.
pub(crate) fn read_to_close(mut stream: TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            panic!("the connection stays open after {}", printable(&answer))
        }
        // A reset: what came before it has been read.
        _ => answer,
    }
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there.
    pub(crate) fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            input: Vec::new(),
            taken: 0,
            finder: EndFinder::new(0),
            received: 0,
            timeout: REPLY_TIMEOUT,
            closed: false,
        })
    }

    /// Sends bytes as they are; a connection that the server has closed swallows them.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.set_write_timeout(Some(self.timeout)).unwrap();
        match self.stream.write_all(bytes) {
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
                ) =>
            {
                self.closed = true
            }
            Err(error) => panic!("could not send {} bytes: {error}", bytes.len()),
        }
    }

    /// Sends a command.
    pub(crate) fn send<A: AsRef<[u8]>>(&mut self, arguments: &[A]) {
        let mut bytes = Vec::new();
        encode(arguments, &mut bytes);
        self.send_raw(&bytes);
    }

    /// Sends a command given as words separated by blanks.
    pub(crate) fn send_line(&mut self, line: &str) {
        self.send(&line.split_whitespace().collect::<Vec<_>>());
    }

    fn take_whole(&mut self) -> Option<Vec<u8>> {
        let end = self.finder.end(&self.input)?;
        let reply = self.input[self.taken..end].to_vec();
        self.taken = end;
        if self.taken == self.input.len() {
            self.input.clear();
            self.taken = 0;
        } else if self.taken > 1 << 20 {
            self.input.drain(..self.taken);
            self.taken = 0;
        }
        self.finder = EndFinder::new(self.taken);
        Some(reply)
    }

    /// Waits at most `patience` for the next whole reply.
    pub(crate) fn poll(&mut self, patience: Duration) -> Outcome {
        let deadline = Instant::now() + patience;
        let mut chunk = vec![0; 64 * 1024];
        loop {
            if let Some(reply) = self.take_whole() {
                return Outcome::Reply(reply);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let read = if left.is_zero() {
                self.stream.set_nonblocking(true).unwrap();
                let read = self.stream.read(&mut chunk);
                self.stream.set_nonblocking(false).unwrap();
                read
            } else {
                self.stream.set_read_timeout(Some(left)).unwrap();
                self.stream.read(&mut chunk)
            };
            match read {
                Ok(0) => return self.at_end(),
                Ok(count) => {
                    self.received += count as u64;
                    self.input.extend_from_slice(&chunk[..count]);
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    if left.is_zero() || deadline <= Instant::now() {
                        return Outcome::Quiet;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return self.at_end(),
                Err(error) => panic!("could not read: {error}"),
            }
        }
    }

    fn at_end(&mut self) -> Outcome {
        if let Some(reply) = self.take_whole() {
            return Outcome::Reply(reply);
        }
        self.closed = true;
        Outcome::Closed
    }

    /// The raw bytes of the next reply.
    ///
    /// # Panics
    /// When none arrives in time.
    pub(crate) fn raw_reply(&mut self) -> Vec<u8> {
        match self.poll(self.timeout) {
            Outcome::Reply(reply) => reply,
            other => panic!(
                "no reply: {other:?}; unfinished input: {}",
                printable(&self.input[self.taken..])
            ),
        }
    }

    /// The next reply.
    pub(crate) fn reply(&mut self) -> Frame {
        Frame::parse(&self.raw_reply())
    }

    /// Sends a command and waits for its reply.
    pub(crate) fn call<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> Frame {
        Frame::parse(&self.raw_call(arguments))
    }

    /// Sends a command and waits for the raw bytes of its reply.
    pub(crate) fn raw_call<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> Vec<u8> {
        self.send(arguments);
        match self.poll(self.timeout) {
            Outcome::Reply(reply) => reply,
            other => panic!("no reply to {}: {other:?}", printable_command(arguments)),
        }
    }

    /// Runs a command given as words separated by blanks.
    pub(crate) fn run(&mut self, line: &str) -> Frame {
        self.call(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// Sends commands (each a line of words) in one write and collects their replies.
    pub(crate) fn pipeline<S: AsRef<str>>(&mut self, lines: &[S]) -> Vec<Frame> {
        let mut bytes = Vec::new();
        for line in lines {
            encode(
                &line.as_ref().split_whitespace().collect::<Vec<_>>(),
                &mut bytes,
            );
        }
        self.send_raw(&bytes);
        lines.iter().map(|_| self.reply()).collect()
    }

    /// Whether nothing more can come: the server has closed and everything received was handed out.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Bytes received that do not (yet) make a whole reply.
    pub(crate) fn unfinished(&self) -> &[u8] {
        &self.input[self.taken..]
    }

    /// Asserts that the server closes the connection without a further reply.
    pub(crate) fn expect_closed(&mut self) {
        assert_eq!(
            self.poll(self.timeout),
            Outcome::Closed,
            "the connection must be closed"
        );
    }

    /// Asserts that of what others have done, as far as they were answered, nothing more was sent to this client.
    ///
    /// `control` makes every shard look at what it was told before, then the server is asked how much it has sent here: all of
    /// it has been received, and no whole reply is among it.
    pub(crate) fn expect_quiet(&mut self, control: &mut Self) {
        // It is answered when every shard has seen it, behind all that was on its way. Nothing changes: it is the default.
        control.run("CONFIG SET hz 10");
        let sent = control.traffic_of(self.local_address()).map(|traffic| {
            assert_eq!(traffic.unsent, 0, "nothing may be on its way");
            traffic.sent
        });
        if sent.is_none() {
            // Not told by this server; it has one thread, and has written what was there before it read again.
            control.run("PING");
        }
        while self.received < sent.unwrap_or(0) {
            let all = self.input.len() as u64 + sent.unwrap_or(0) - self.received;
            self.receive(all as usize);
        }
        let next = self.poll(Duration::ZERO);
        assert_eq!(next, Outcome::Quiet, "nothing may arrive");
    }

    /// Reads until so many bytes are there.
    fn receive(&mut self, wanted: usize) {
        let mut chunk = vec![0; wanted - self.input.len()];
        self.stream.set_read_timeout(Some(self.timeout)).unwrap();
        self.stream.read_exact(&mut chunk).unwrap();
        self.received += chunk.len() as u64;
        self.input.extend_from_slice(&chunk);
    }

    /// What the server tells of the connection that comes from an address; `None` where it does not tell.
    pub(crate) fn traffic_of(&mut self, address: SocketAddr) -> Option<Traffic> {
        let list = self.run("CLIENT LIST EXTENDED").text();
        let start = format!(" addr={address} ");
        let line = list.lines().find(|line| line.contains(&start))?;
        let number = |name: &str| {
            let field = line.split(' ').find_map(|field| field.strip_prefix(name));
            field?.parse().ok()
        };
        Some(Traffic {
            received: number("tot-net-in=")?,
            sent: number("tot-net-out=")?,
            unsent: number("obl=")? + number("omem=")?,
        })
    }

    /// Waits until the server has received so many bytes of the connection that comes from an address.
    ///
    /// # Panics
    /// When it has not in time.
    pub(crate) fn until_received(&mut self, address: SocketAddr, bytes: u64) {
        let deadline = Instant::now() + REPLY_TIMEOUT;
        loop {
            // Perhaps it has not accepted it yet.
            let traffic = self.traffic_of(address);
            let received = traffic.map_or(0, |traffic| traffic.received);
            if received >= bytes {
                return;
            }
            assert!(Instant::now() < deadline, "{received} of {bytes} bytes");
        }
    }

    /// The address of this end.
    pub(crate) fn local_address(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    /// The socket, for tests that misuse it.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// `CLIENT ID` of this connection.
    pub(crate) fn id(&mut self) -> i64 {
        self.run("CLIENT ID").integer()
    }
}
