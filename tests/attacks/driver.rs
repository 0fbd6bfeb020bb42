//! What drives attacks: many requests in pieces, names in numbers, sockets that are filled and not read.

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::support::Client;
use super::support::client::encode;
use super::support::server::info_field;

/// How long a state may take to come.
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests that are sent before their replies are read.
const PIECE: usize = 500;

/// A request of words separated by blanks.
pub(crate) fn request(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&line.split(' ').collect::<Vec<_>>(), &mut bytes);
    bytes
}

/// Sends so many requests, some at a time, and looks at each reply.
pub(crate) fn each(
    client: &mut Client,
    count: usize,
    make: impl Fn(usize) -> String,
    mut look: impl FnMut(usize, &[u8]),
) {
    for start in (0..count).step_by(PIECE) {
        let piece = start..count.min(start + PIECE);
        let mut bytes = Vec::new();
        for number in piece.clone() {
            let line = make(number);
            encode(&line.split(' ').collect::<Vec<_>>(), &mut bytes);
        }
        client.send_raw(&bytes);
        for number in piece {
            look(number, &client.raw_reply());
        }
    }
}

/// The same; every reply must be this one.
pub(crate) fn all(
    client: &mut Client,
    count: usize,
    make: impl Fn(usize) -> String,
    expected: &str,
) {
    each(client, count, make, |number, reply| {
        let reply = String::from_utf8_lossy(reply);
        assert_eq!(reply.trim_end(), expected, "reply {number}");
    });
}

/// The same; no reply may be an error.
pub(crate) fn none_fails(client: &mut Client, count: usize, make: impl Fn(usize) -> String) {
    each(client, count, make, |number, reply| {
        let shown = String::from_utf8_lossy(&reply[..reply.len().min(100)]);
        assert_ne!(reply[0], b'-', "reply {number}: {shown}");
    });
}

/// A request with so many names behind a word.
pub(crate) fn with_names(word: &str, prefix: &str, count: usize, after: &str) -> String {
    let mut line = word.to_owned();
    for number in 0..count {
        line.push_str(&format!(" {prefix}{number}"));
    }
    if !after.is_empty() {
        line.push(' ');
        line.push_str(after);
    }
    line
}

/// A number of INFO.
pub(crate) fn info(control: &mut Client, name: &str) -> u64 {
    let text = control.run("INFO").text();
    let value = info_field(&text, name).and_then(|value| value.parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in INFO"))
}

/// Waits for a state.
pub(crate) fn until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until so many clients are blocked.
pub(crate) fn until_blocked(control: &mut Client, count: usize) {
    let what = format!("{count} clients are blocked");
    until(&what, || info(control, "blocked_clients") == count as u64);
}

/// Connections on which these bytes were sent, all of which the server has read.
pub(crate) fn halves(
    address: SocketAddr,
    control: &mut Client,
    count: usize,
    bytes: &[u8],
) -> Vec<TcpStream> {
    let before = info(control, "total_net_input_bytes");
    let open = |_| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    };
    let streams = (0..count).map(open).collect();
    let sent = (count * bytes.len()) as u64;
    until("all is read", || {
        info(control, "total_net_input_bytes") >= before + sent
    });
    streams
}

/// Sends bytes again and again without reading, for a time or until so many are sent; how many were.
pub(crate) fn pour(stream: &TcpStream, bytes: &[u8], bytes_max: usize, time: Duration) -> usize {
    let (start, mut sent) = (Instant::now(), 0);
    stream.set_nonblocking(true).unwrap();
    while sent < bytes_max && start.elapsed() < time {
        match (&*stream).write(&bytes[sent % bytes.len()..]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_micros(200));
            }
            Err(_) => break,
        }
    }
    sent
}
