//! The client that means no harm: SET and GET about once a millisecond, on keys of all shards, beside whatever is tried.
//!
//! It has a thread of its own that does nothing else, so that what it measures is the server. Every answer must be the right one.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::field::told;
use super::support::client::encode;

/// Names that are spread over all shards.
const NAMES: usize = 8;
/// Between the starts of two requests, unless the answer takes longer.
const PERIOD: Duration = Duration::from_millis(1);
/// How long an answer may take at all.
const PATIENCE: Duration = Duration::from_secs(60);

/// Latencies, sorted, µs, of one request each millisecond: one that was due while another was waited for waited for what was left
/// of that. Without those a server that serves in bursts, with long pauses between, would look quick.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies {
    us: Vec<u32>,
    /// Requests that were sent.
    count: usize,
}

impl Latencies {
    fn of(sent: &[Duration]) -> Self {
        let mut us = Vec::with_capacity(sent.len());
        for took in sent {
            let mut left = Some(*took);
            while let Some(waited) = left {
                us.push(u32::try_from(waited.as_micros()).unwrap_or(u32::MAX));
                left = waited.checked_sub(PERIOD).filter(|left| !left.is_zero());
            }
        }
        us.sort_unstable();
        Self {
            us,
            count: sent.len(),
        }
    }

    /// How many requests there were.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// So many of a hundred took no longer, ms.
    pub(crate) fn percentile_ms(&self, percent: f64) -> f64 {
        let last = self.us.len().saturating_sub(1);
        let at = (last as f64 * percent / 100.0).ceil() as usize;
        self.us.get(at).map_or(0.0, |us| f64::from(*us) / 1000.0)
    }
}

/// What it sends beside SET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    /// GET of what it has set.
    ForItsKeys,
    /// ECHO, since others remove its keys.
    ForNothing,
}

/// A running one.
pub(crate) struct Innocent {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Latencies>,
}

/// A request and the answer it must get.
fn exchanges(asks: Asks) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut exchanges = Vec::new();
    for number in 0..NAMES {
        let (name, value) = (format!("innocent:{number}"), format!("value:{number}"));
        let (mut set, mut get) = (Vec::new(), Vec::new());
        encode(&["SET", &name, &value], &mut set);
        match asks {
            Asks::ForItsKeys => encode(&["GET", &name], &mut get),
            Asks::ForNothing => encode(&["ECHO", &value], &mut get),
        }
        let found = format!("${}\r\n{value}\r\n", value.len());
        exchanges.push((set, b"+OK\r\n".to_vec()));
        exchanges.push((get, found.into_bytes()));
    }
    exchanges
}

impl Innocent {
    /// Begins to ask.
    pub(crate) fn start(address: SocketAddr, asks: Asks) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || ask(address, asks, &stopped));
        Self { stop, thread }
    }

    /// Ends; how long its requests took.
    ///
    /// # Errors
    /// What kept it from being served.
    pub(crate) fn finish(self) -> Result<Latencies, String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|panic| told(&*panic))
    }
}

fn ask(address: SocketAddr, asks: Asks, stop: &AtomicBool) -> Latencies {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut latencies = Vec::with_capacity(1 << 16);
    let mut answer = Vec::new();
    for (request, expected) in exchanges(asks).iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let start = Instant::now();
        answer.resize(expected.len(), 0);
        let served = stream
            .write_all(request)
            .and_then(|()| stream.read_exact(&mut answer));
        if let Err(error) = served {
            panic!("the innocent client is not served: {error}");
        }
        assert_eq!(&answer, expected, "the innocent client's answer");
        let took = start.elapsed();
        latencies.push(took);
        std::thread::sleep(PERIOD.saturating_sub(took));
    }
    Latencies::of(&latencies)
}
