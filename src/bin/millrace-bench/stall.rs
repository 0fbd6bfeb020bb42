//! Who waits for whom: the latency of a light client while another keeps the server busy with what is big.
//!
//! ```text
//!   light:  one request each millisecond, PING and LPUSH in turns ──► latency, also of those it could not send while it waited
//!   heavy:  one command again and again; what it destroys it makes anew, and meanwhile nothing is recorded
//! ```

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::catalogue::{Scale, Step, step};
use crate::drive::{LATENCY_NS_MAX, latencies};
use crate::fleet::Server;
use crate::measure::{prepare, rest, to_float};
use crate::report::{Columns, figure};
use crate::wire::{Fault, Wire};

/// Between two requests of the light client.
const PERIOD: Duration = Duration::from_millis(1);
/// How long is recorded after a command that destroys: what it leaves to be done may be done later.
const AFTERMATH: Duration = Duration::from_millis(100);

/// What the heavy client does.
struct Burden {
    name: &'static str,
    /// Once.
    once: Vec<Step>,
    /// Before each time, unrecorded.
    each: Vec<Step>,
    command: &'static str,
}

fn burdens(scale: Scale) -> Vec<Burden> {
    let (read, big) = (scale.pick(20_000, 100_000), scale.pick(200_000, 1_000_000));
    let burden = |name, once, each, command| Burden {
        name,
        once,
        each,
        command,
    };
    let list = |key: &str, count: u64| step(format!("RPUSH {key} {{value:100}}*50"), count / 50);
    let stream = |count: u64| step("XADD stream * f {value:100}", count);
    let keys = || step("SET key:{counter} {value:100}", big);
    vec![
        burden("nothing", vec![], vec![], ""),
        burden(
            "LRANGE of all",
            vec![list("list", read)],
            vec![],
            "LRANGE list 0 -1",
        ),
        burden(
            "XRANGE of all",
            vec![stream(read)],
            vec![],
            "XRANGE stream - +",
        ),
        burden("DEL of a list", vec![], vec![list("list", big)], "DEL list"),
        burden("DEL of a stream", vec![], vec![stream(big)], "DEL stream"),
        burden(
            "KEYS that finds nothing",
            vec![keys()],
            vec![],
            "KEYS nothing*",
        ),
        burden("FLUSHALL ASYNC", vec![], vec![keys()], "FLUSHALL ASYNC"),
    ]
}

/// Latencies of the light client, and how often the heavy one did its work.
struct Found {
    latencies: Histogram<u64>,
    times: u64,
}

/// What the other client does, row by row.
pub(crate) fn names(scale: Scale) -> Vec<&'static str> {
    burdens(scale).iter().map(|burden| burden.name).collect()
}

/// Measures every burden on every server; a table.
///
/// # Errors
/// A server does not start again.
pub(crate) fn run(
    servers: &mut [Server],
    scale: Scale,
    duration: Duration,
    selects: impl Fn(&str) -> bool,
    mut tell: impl FnMut(&str),
) -> anyhow::Result<String> {
    let columns = Columns::of(servers);
    let elements = (scale.pick(20_000, 100_000), scale.pick(200_000, 1_000_000));
    let mut text = format!(
        "\n## Latency of a light client, µs: p50 / p99 / p99.9 / most (times of the other's command)\n\n\
         Reads are of {} elements; what is deleted, searched or flushed has {}.\n\n{}",
        elements.0,
        elements.1,
        columns.head("meanwhile")
    );
    for burden in burdens(scale) {
        if !selects(burden.name) {
            continue;
        }
        text.push_str(&format!("| {} |", burden.name));
        for server in servers.iter_mut().filter(|server| !server.spec.is_null()) {
            tell(&format!("{}: {}", burden.name, server.spec.name));
            match one(server, &burden, duration) {
                Ok(found) => text.push_str(&cell(&found)),
                Err(fault) => {
                    text.push_str(&format!(" {fault} |"));
                    server.restart()?;
                }
            }
        }
        text.push('\n');
    }
    Ok(text)
}

fn cell(found: &Found) -> String {
    let micros = |value: u64| figure(to_float(value) / 1000.0);
    let quantile = |of: f64| micros(found.latencies.value_at_quantile(of));
    format!(
        " {} / {} / {} / {} ({}×) |",
        quantile(0.5),
        quantile(0.99),
        quantile(0.999),
        micros(found.latencies.max()),
        found.times
    )
}

fn one(server: &Server, burden: &Burden, duration: Duration) -> Result<Found, Fault> {
    prepare(server, &[step("FLUSHALL", 1)])?;
    prepare(server, &burden.once)?;
    rest(server);
    let (is_over, is_recording) = (AtomicBool::new(false), AtomicBool::new(false));
    let address = server.address;
    std::thread::scope(|scope| {
        let light = scope.spawn(|| probe(address, &is_over, &is_recording));
        let times = weigh(address, burden, duration, &is_recording);
        is_over.store(true, Ordering::Release);
        let latencies = light
            .join()
            .map_err(|_| Fault::Lost("the light client died".to_owned()))?;
        Ok(Found {
            latencies: latencies?,
            times: times?,
        })
    })
}

/// The heavy client.
fn weigh(
    address: SocketAddr,
    burden: &Burden,
    duration: Duration,
    is_recording: &AtomicBool,
) -> Result<u64, Fault> {
    if burden.command.is_empty() {
        is_recording.store(true, Ordering::Release);
        std::thread::sleep(duration);
        return Ok(0);
    }
    let mut wire = Wire::connect(address)?;
    let (mut times, mut recorded) = (0, Duration::ZERO);
    while recorded < duration {
        for step in &burden.each {
            wire.repeat(&step.command, step.times)?;
        }
        if !burden.each.is_empty() {
            std::thread::sleep(AFTERMATH);
        }
        is_recording.store(true, Ordering::Release);
        let begin = Instant::now();
        wire.repeat(burden.command, 1)?;
        if !burden.each.is_empty() {
            std::thread::sleep(AFTERMATH);
            is_recording.store(false, Ordering::Release);
        }
        recorded += begin.elapsed();
        times += 1;
    }
    Ok(times)
}

/// The light client.
fn probe(
    address: SocketAddr,
    is_over: &AtomicBool,
    is_recording: &AtomicBool,
) -> Result<Histogram<u64>, Fault> {
    let mut wire = Wire::connect(address)?;
    let mut found = latencies();
    let period_ns = u64::try_from(PERIOD.as_nanos()).unwrap_or(u64::MAX);
    let (mut due, mut is_ping) = (Instant::now(), false);
    while !is_over.load(Ordering::Acquire) {
        due += PERIOD;
        if let Some(early) = due.checked_duration_since(Instant::now()) {
            std::thread::sleep(early);
        }
        let is_recorded = is_recording.load(Ordering::Acquire);
        let sent = Instant::now();
        is_ping = !is_ping;
        wire.ask(if is_ping { "PING" } else { "LPUSH light x" })?;
        if is_recorded {
            let latency = u64::try_from(sent.elapsed().as_nanos()).unwrap_or(u64::MAX);
            // Who waits for 50 ms sends nothing meanwhile: the 49 requests that were due are counted as they would have waited.
            let within = latency.clamp(1, LATENCY_NS_MAX);
            let _in_bounds = found.record_correct(within, period_ns);
        }
        // Late is late: what was not sent is not made up for, it would only wait for itself.
        due = due.max(Instant::now() - PERIOD);
    }
    Ok(found)
}
