//! A tunnel that attackers connect to as if it were the server: it speaks TLS or logs in as a user for them, so that the attacks
//! are the same bytes whichever way they come.
//!
//! ```text
//! attacker ──bytes──► plain │ line: up, TLS, login │ far ──TLS──► server
//!          ◄─────────       │ down, in pieces      │     ◄──────
//! ```
//! One thread for all lines. A line keeps little: who does not read is not read for, and ends and resets go on to the other side.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;

/// What a line keeps of each direction before it stops reading, bytes.
const KEPT: usize = 64 * 1024;
/// How often an idle tunnel looks whether it is to end.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 5_000_000,
};

/// What a tunnel does for those who come.
#[derive(Clone, Default)]
pub(crate) struct Service {
    /// Speaks TLS.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// Sends this first, and keeps the `+OK` for itself.
    pub(crate) login: Vec<u8>,
}

/// A running one.
pub(crate) struct Tunnel {
    /// Where attackers connect to.
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Tunnel {
    /// To this address.
    pub(crate) fn start(target: SocketAddr, service: Service) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || serve(&listener, target, &service, &stopped));
        Self {
            address,
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(!matches!(ended, Some(Err(_))) || std::thread::panicking());
    }
}

/// One connection.
struct Line {
    plain: TcpStream,
    far: TcpStream,
    tls: Option<ClientConnection>,
    /// For the server, where there is no TLS that keeps it.
    up: Vec<u8>,
    /// For the attacker.
    down: Vec<u8>,
    /// So many of the next bytes of the server are not for the attacker.
    swallowed: usize,
    plain_ended: bool,
    far_told: bool,
    far_ended: bool,
    is_over: bool,
}

/// What reading or writing came to.
enum Moved {
    Some(usize),
    Nothing,
    End,
    Broken,
}

fn moved(result: std::io::Result<usize>) -> Moved {
    match result {
        Ok(0) => Moved::End,
        Ok(count) => Moved::Some(count),
        Err(error) => match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::Interrupted => Moved::Nothing,
            _ => Moved::Broken,
        },
    }
}

impl Line {
    fn open(plain: TcpStream, target: SocketAddr, service: &Service) -> Option<Self> {
        let far = TcpStream::connect(target).ok()?;
        for stream in [&plain, &far] {
            stream.set_nodelay(true).ok()?;
            stream.set_nonblocking(true).ok()?;
        }
        let mut line = Self {
            plain,
            far,
            tls: service.tls.as_ref().map(|config| {
                let name = ServerName::try_from("localhost").unwrap();
                ClientConnection::new(Arc::clone(config), name).unwrap()
            }),
            up: Vec::new(),
            down: Vec::new(),
            swallowed: if service.login.is_empty() { 0 } else { 5 },
            plain_ended: false,
            far_told: false,
            far_ended: false,
            is_over: false,
        };
        line.send(&service.login);
        Some(line)
    }

    /// Keeps bytes for the server.
    fn send(&mut self, bytes: &[u8]) {
        match &mut self.tls {
            Some(tls) => tls.writer().write_all(bytes).unwrap(),
            None => self.up.extend_from_slice(bytes),
        }
    }

    fn has_up(&self) -> bool {
        !self.up.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Whether more may be read of the attacker: not before what was read has left.
    fn takes_up(&self) -> bool {
        let shakes = self.tls.as_ref().is_some_and(|tls| tls.is_handshaking());
        !self.plain_ended && !shakes && !self.has_up()
    }

    fn takes_down(&self) -> bool {
        !self.far_ended && self.down.len() < KEPT
    }

    fn flush_up(&mut self) {
        while self.has_up() && !self.is_over {
            let sent = match &mut self.tls {
                Some(tls) => tls.write_tls(&mut self.far),
                None => self.far.write(&self.up),
            };
            match moved(sent) {
                Moved::Some(count) if self.tls.is_none() => drop(self.up.drain(..count)),
                Moved::Some(_) => {}
                Moved::Nothing => return,
                // It reads no more; what it has said is still to be read.
                Moved::End | Moved::Broken => {
                    self.up.clear();
                    self.plain_ended = true;
                    self.far_told = true;
                    return;
                }
            }
        }
    }

    fn carry_up(&mut self, chunk: &mut [u8]) {
        self.flush_up();
        while self.takes_up() {
            match moved(self.plain.read(&mut chunk[..KEPT / 4])) {
                Moved::Some(count) => self.send(&chunk[..count]),
                Moved::Nothing => break,
                Moved::Broken => self.is_over = true,
                Moved::End => {
                    self.plain_ended = true;
                    if let Some(tls) = &mut self.tls {
                        tls.send_close_notify();
                    }
                }
            }
            self.flush_up();
        }
        if self.plain_ended && !self.far_told && !self.has_up() {
            self.far_told = true;
            // It may be closed already.
            let _ = self.far.shutdown(Shutdown::Write);
        }
    }

    /// Reads once of the server; whether there may be more.
    fn receive(&mut self, chunk: &mut [u8]) -> bool {
        let Some(tls) = &mut self.tls else {
            let read = moved(self.far.read(&mut chunk[..KEPT]));
            if let Moved::Some(count) = read {
                self.down.extend_from_slice(&chunk[..count]);
            }
            self.far_ended = matches!(read, Moved::End | Moved::Broken);
            return matches!(read, Moved::Some(_));
        };
        let read = moved(tls.read_tls(&mut self.far));
        if matches!(read, Moved::Nothing) {
            return false;
        }
        let is_understood = tls.process_new_packets().is_ok();
        while let Moved::Some(count) = moved(tls.reader().read(&mut chunk[..KEPT])) {
            self.down.extend_from_slice(&chunk[..count]);
        }
        self.far_ended = !is_understood || !matches!(read, Moved::Some(_));
        !self.far_ended
    }

    fn carry_down(&mut self, chunk: &mut [u8]) {
        loop {
            let more = self.takes_down() && self.receive(chunk);
            let swallowed = self.swallowed.min(self.down.len());
            self.down.drain(..swallowed);
            self.swallowed -= swallowed;
            let mut at = 0;
            while at < self.down.len() {
                match moved(self.plain.write(&self.down[at..])) {
                    Moved::Some(count) => at += count,
                    Moved::Nothing => break,
                    Moved::End | Moved::Broken => {
                        self.is_over = true;
                        return;
                    }
                }
            }
            self.down.drain(..at);
            if !more || !self.down.is_empty() {
                break;
            }
        }
        self.is_over |= self.far_ended && self.down.is_empty();
    }

    /// What it waits for, of the attacker and of the server.
    fn wants(&self) -> [PollFlags; 2] {
        let of = |reads: bool, writes: bool| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, reads);
            flags.set(PollFlags::OUT, writes);
            flags
        };
        [
            of(self.takes_up(), !self.down.is_empty()),
            of(self.takes_down(), self.has_up()),
        ]
    }
}

/// Serves lines until it is told to stop.
fn serve(listener: &TcpListener, target: SocketAddr, service: &Service, stop: &AtomicBool) {
    let mut lines: Vec<Line> = Vec::new();
    let mut chunk = vec![0; KEPT];
    while !stop.load(Ordering::Relaxed) {
        let mut ready = vec![PollFd::new(listener, PollFlags::IN)];
        for line in &lines {
            let [plain, far] = line.wants();
            ready.push(PollFd::new(&line.plain, plain));
            ready.push(PollFd::new(&line.far, far));
        }
        match poll(&mut ready, Some(&LOOK)) {
            Err(Errno::INTR) => continue,
            polled => polled.unwrap(),
        };
        let events: Vec<PollFlags> = ready.iter().map(PollFd::revents).collect();
        drop(ready);
        for (line, events) in lines.iter_mut().zip(events[1..].chunks(2)) {
            if !(events[0] | events[1]).is_empty() {
                // Reset: there is nobody to carry for.
                line.is_over |= events[0].intersects(PollFlags::HUP | PollFlags::ERR);
                line.carry_up(&mut chunk);
                line.carry_down(&mut chunk);
                line.flush_up();
            }
        }
        lines.retain(|line| !line.is_over);
        while let Ok((plain, _)) = listener.accept() {
            let opened = Line::open(plain, target, service);
            lines.extend(opened.map(|mut line| {
                line.flush_up();
                line
            }));
        }
    }
}
