//! The metrics: what is scraped is what INFO tells, in a form that Prometheus takes, whoever else is on the line.
//!
//! `promtool` (of Debian's package `prometheus`) is looked for in `MILLRACE_PROMTOOL`, in PATH and in `target/tools`, where
//! scripts/test.sh puts it; without it the test that needs it fails.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "metrics/exposition.rs"]
mod exposition;
mod support;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use exposition::Exposition;
use support::server::info_field;
use support::{Client, Server, shard_counts};

/// A server with metrics, and where they are.
struct Measured {
    server: Server,
    address: SocketAddr,
}

fn measured(shards: usize, options: &[&str]) -> Measured {
    let probe = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = probe.local_addr().unwrap();
    drop(probe);
    let port = address.port().to_string();
    let options = [&["--metrics-port", port.as_str()], options].concat();
    Measured {
        server: Server::millrace_with(shards, &options),
        address,
    }
}

fn for_each_shard_count(test: impl Fn(&Measured)) {
    for shards in shard_counts() {
        test(&measured(shards, &[]));
    }
}

/// Status, head and body of an answer over HTTP.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Measured {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        let patience = Some(Duration::from_secs(30));
        stream.set_read_timeout(patience).unwrap();
        stream
    }

    /// Sends bytes and reads to the end.
    fn exchange(&self, request: &[u8]) -> Option<Answer> {
        let mut stream = self.connect();
        // It may have answered and closed before all is sent.
        let _ = stream.write_all(request);
        read_answer(&mut stream)
    }

    fn get(&self, path: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.exchange(request.as_bytes()).unwrap()
    }

    fn scrape(&self) -> Exposition {
        let answer = self.get("/metrics");
        assert_eq!(answer.status, 200, "{answer:?}");
        let head = answer.head.to_ascii_lowercase();
        assert!(head.contains("content-type: text/plain; version=0.0.4"));
        Exposition::parse(&answer.body)
    }
}

fn read_answer(stream: &mut TcpStream) -> Option<Answer> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

fn lines(client: &mut Client, lines: &[&str]) {
    for line in lines {
        client.run(line);
    }
}

/// A bit of everything that is counted; gives the clients that stay blocked and subscribed.
fn make_history(server: &Server, control: &mut Client) -> Vec<Client> {
    let groups = [
        "XADD orders 1-1 f a",
        "XADD orders 1-2 f b",
        "XADD orders 1-3 f c",
        "XADD orders 1-4 f d",
        "XADD audit 5-1 f a",
        "XGROUP CREATE orders billing 0",
        "XGROUP CREATE orders mail $",
        "XREADGROUP GROUP billing b1 COUNT 3 STREAMS orders >",
        "XREADGROUP GROUP billing b1 STREAMS orders 0",
        "XCLAIM orders billing b2 0 1-1",
        "XACK orders billing 1-3",
        "XDEL orders 1-4",
        "XADD orders 1-5 f e",
        "XADD orders 1-6 f e",
        "XADD jobs 1-1 f a",
        "XADD jobs 1-2 f b",
        "XADD jobs 1-3 f c",
        "XGROUP CREATE jobs workers 0",
        "XREADGROUP GROUP workers w STREAMS jobs >",
        "XNACK jobs workers FATAL IDS 1 1-1",
        "XNACK jobs workers FAIL IDS 1 1-2",
    ];
    lines(control, &groups);
    let rest = [
        "SET a 1",
        "SET b 1 EX 1000",
        "SET c 1 PX 1",
        "GET a",
        "GET nosuch",
        "LPUSH a x",
        "GET a b c",
        "NOSUCH",
        "SELECT 3",
        "SET d 1",
        "SELECT 0",
        "CONFIG GET port",
    ];
    lines(control, &rest);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !control.run("EXISTS c").to_string().ends_with('0') {
        assert!(Instant::now() < deadline, "c must expire");
    }
    let mut kept: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    kept[0].send_line("BLPOP empty 0");
    kept[1].run("SUBSCRIBE news");
    kept[2].run("PSUBSCRIBE n*");
    control.run("PUBLISH news hello");
    kept[1].reply();
    kept[2].reply();
    while !control
        .run("INFO clients")
        .text()
        .contains("blocked_clients:1\r\n")
    {
        assert!(Instant::now() < deadline, "it must block");
    }
    kept
}

#[test]
fn a_scrape_tells_what_info_tells() {
    for_each_shard_count(|measured| {
        let mut control = measured.server.connect();
        let _kept = make_history(&measured.server, &mut control);
        let info = control.run("INFO everything").text();
        let scraped = measured.scrape();
        let field = |name: &str| -> f64 { info_field(&info, name).unwrap().parse().unwrap() };
        for (metric, name) in [
            ("millrace_clients_connected", "connected_clients"),
            ("millrace_clients_blocked", "blocked_clients"),
            ("millrace_clients_subscribed", "pubsub_clients"),
            ("millrace_clients_max", "maxclients"),
            (
                "millrace_connections_accepted_total",
                "total_connections_received",
            ),
            (
                "millrace_connections_rejected_total",
                "rejected_connections",
            ),
            ("millrace_keys_expired_total", "expired_keys"),
            ("millrace_elements_expired_total", "expired_subkeys"),
            ("millrace_keyspace_hits_total", "keyspace_hits"),
            ("millrace_keyspace_misses_total", "keyspace_misses"),
            ("millrace_changes_total", "rdb_changes_since_last_save"),
            ("millrace_shards", "millrace_shards"),
            ("millrace_shard_migrations_total", "millrace_migrations"),
            ("millrace_shard_windows_total", "millrace_windows"),
            ("millrace_shard_tickets_total", "millrace_tickets"),
        ] {
            assert_eq!(scraped.sum(metric), field(name), "{metric}");
        }
        for (db, keys, expiring) in [("0", 5.0, 1.0), ("3", 1.0, 0.0)] {
            assert_eq!(scraped.value("millrace_keys", &[("db", db)]), keys);
            let counted = scraped.value("millrace_keys_expiring", &[("db", db)]);
            assert_eq!(counted, expiring);
        }
        let mut compared = 0;
        for line in info
            .lines()
            .filter_map(|line| line.strip_prefix("cmdstat_"))
        {
            let (name, counts) = line.split_once(':').unwrap();
            let count = |field: &str| -> f64 {
                let mut parts = counts.split(',');
                let text = parts.find_map(|part| part.strip_prefix(field)).unwrap();
                text.parse().unwrap()
            };
            // The INFO itself is counted when it is over.
            if name == "info" {
                continue;
            }
            let labels = [("command", name)];
            let calls = scraped.value("millrace_command_calls_total", &labels);
            assert_eq!(calls, count("calls="), "{name}");
            let failed = scraped.value("millrace_command_failed_total", &labels);
            assert_eq!(failed, count("failed_calls="), "{name}");
            let rejected = scraped.value("millrace_command_rejected_total", &labels);
            assert_eq!(rejected, count("rejected_calls="), "{name}");
            let histogram = scraped.histogram("millrace_command_duration_seconds", &labels);
            assert_eq!(histogram.count, calls, "{name}");
            assert!((histogram.sum * 1e6 - count("usec=")).abs() < 1.0, "{name}");
            compared += 1;
        }
        assert!(compared > 15, "{compared} commands");
        assert_eq!(scraped.sum("millrace_publications_total"), 1.0);
        assert_eq!(scraped.sum("millrace_deliveries_total"), 2.0);
        assert!(scraped.sum("millrace_network_received_bytes_total") > 500.0);
        assert!(scraped.sum("millrace_shard_busy_seconds_total") > 0.0);
        assert!(scraped.value("millrace_errors_total", &[("code", "WRONGTYPE")]) >= 1.0);
    });
}

#[test]
fn streams_and_groups_are_told_of() {
    for_each_shard_count(|measured| {
        let mut control = measured.server.connect();
        let _kept = make_history(&measured.server, &mut control);
        let scraped = measured.scrape();
        let stream = |name: &str| {
            let labels = [("db", "0"), ("stream", name)];
            [
                scraped.value("millrace_stream_entries", &labels),
                scraped.value("millrace_stream_entries_added_total", &labels),
                scraped.value("millrace_stream_groups", &labels),
            ]
        };
        assert_eq!(stream("orders"), [5.0, 6.0, 2.0]);
        assert_eq!(stream("audit"), [1.0, 1.0, 0.0]);
        let group = |name: &str| {
            let labels = [("db", "0"), ("stream", "orders"), ("group", name)];
            [
                scraped.value("millrace_stream_group_lag_entries", &labels),
                scraped.value("millrace_stream_group_pending_entries", &labels),
                scraped.value("millrace_stream_group_consumers", &labels),
                scraped.value("millrace_stream_group_redeliveries_total", &labels),
            ]
        };
        // 1-4 is gone: nobody has to read it. Three were read once more, one was claimed.
        assert_eq!(group("billing"), [2.0, 2.0, 2.0, 4.0]);
        assert_eq!(group("mail"), [2.0, 0.0, 0.0, 0.0]);
        let of_workers = |metric: &str| {
            let labels = [("db", "0"), ("stream", "jobs"), ("group", "workers")];
            scraped.value(&format!("millrace_stream_group_{metric}"), &labels)
        };
        assert_eq!(of_workers("pending_entries"), 3.0);
        assert_eq!(of_workers("released_entries"), 2.0);
        assert_eq!(of_workers("dead_letter_entries"), 1.0);
        assert_eq!(of_workers("redeliveries_total"), 0.0);
        let oldest = |name: &str| {
            let labels = [("db", "0"), ("stream", "orders"), ("group", name)];
            measured
                .scrape()
                .value("millrace_stream_group_oldest_pending_seconds", &labels)
        };
        assert_eq!(oldest("mail"), 0.0);
        let deadline = Instant::now() + Duration::from_secs(20);
        while oldest("billing") < 0.05 {
            assert!(Instant::now() < deadline, "it grows older");
        }
        control.run("XACK jobs workers 1-1");
        let labels = [("stream", "jobs"), ("group", "workers")];
        let dead = measured
            .scrape()
            .value("millrace_stream_group_dead_letter_entries", &labels);
        assert_eq!(dead, 0.0);
        control.run("XACK orders billing 1-1 1-2");
        assert_eq!(oldest("billing"), 0.0);
        assert_eq!(scraped.sum("millrace_streams_listed"), 3.0);
        assert_eq!(scraped.sum("millrace_streams_cut"), 0.0);
        let shards = scraped.sum("millrace_shards");
        assert_eq!(scraped.sum("millrace_shards_answered"), shards);
    });
}

/// Database and name of the listed streams.
fn listed(scraped: &Exposition) -> Vec<(String, String)> {
    let samples = scraped.samples("millrace_stream_entries").into_iter();
    let mut names: Vec<_> = samples
        .map(|sample| (sample.label("db"), sample.label("stream")))
        .collect();
    names.sort();
    names
}

#[test]
fn listed_streams_are_those_there_are_within_limit_and_pattern() {
    for_each_shard_count(|measured| {
        let mut control = measured.server.connect();
        let names = |expected: &[(&str, &str)]| {
            let expected: Vec<_> = expected
                .iter()
                .map(|(db, name)| ((*db).to_owned(), (*name).to_owned()))
                .collect();
            assert_eq!(listed(&measured.scrape()), expected);
        };
        for name in ["a:1", "a:2", "b:1", "b:2", "c", "d"] {
            control.call(&["XADD", name, "*", "f", "v"]);
        }
        lines(&mut control, &["RPUSH a:list x", "SET a:text x"]);
        lines(&mut control, &["CONFIG SET metrics-streams-max 3"]);
        names(&[("0", "a:1"), ("0", "a:2"), ("0", "b:1")]);
        assert_eq!(measured.scrape().sum("millrace_streams_cut"), 1.0);
        control.run("CONFIG SET metrics-streams-pattern *:[12]");
        names(&[("0", "a:1"), ("0", "a:2"), ("0", "b:1")]);
        control.run("CONFIG SET metrics-streams-pattern b:*");
        names(&[("0", "b:1"), ("0", "b:2")]);
        assert_eq!(measured.scrape().sum("millrace_streams_cut"), 0.0);
        lines(
            &mut control,
            &["CONFIG SET metrics-streams-pattern * metrics-streams-max 100"],
        );
        // Whatever a stream goes by, it is no longer listed; whatever it comes by, it is.
        lines(
            &mut control,
            &["DEL a:1", "SET a:2 x", "RENAME b:1 e", "PEXPIRE d 1"],
        );
        let deadline = Instant::now() + Duration::from_secs(20);
        while listed(&measured.scrape()).contains(&("0".to_owned(), "d".to_owned())) {
            assert!(Instant::now() < deadline, "d must expire");
        }
        names(&[("0", "b:2"), ("0", "c"), ("0", "e")]);
        lines(
            &mut control,
            &["COPY c copy", "MOVE e 2", "SWAPDB 0 2", "DEBUG RELOAD"],
        );
        names(&[("0", "e"), ("2", "b:2"), ("2", "c"), ("2", "copy")]);
        lines(&mut control, &["SELECT 2", "FLUSHDB"]);
        names(&[("0", "e")]);
        control.run("FLUSHALL");
        names(&[]);
        control.run("CONFIG SET metrics-streams-max 0");
        control.run("XADD late * f v");
        names(&[]);
    });
}

#[test]
fn only_what_is_there_is_answered() {
    let measured = measured(2, &[]);
    let missing = measured.get("/");
    assert_eq!(
        (missing.status, &*missing.body),
        (404, "The metrics are at /metrics.\n")
    );
    let request = b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
    let posted = measured.exchange(request).unwrap();
    assert_eq!(posted.status, 405);
    assert!(
        posted
            .head
            .to_ascii_lowercase()
            .contains("allow: get, head")
    );
    let head = measured
        .exchange(b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    assert_eq!((head.status, &*head.body), (200, ""));
    assert!(head.head.to_ascii_lowercase().contains("content-length: "));
    assert_eq!(measured.get("/metrics?name[]=x").status, 200);
    let old = measured.exchange(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    assert!(old.status == 200 && old.body.contains("millrace_shards 2\n"));
}

#[test]
fn slow_and_wild_clients_keep_nobody_else_from_scraping() {
    let mut measured = measured(2, &[]);
    let silent: Vec<TcpStream> = (0..40).map(|_| measured.connect()).collect();
    let mut halves: Vec<TcpStream> = (0..5).map(|_| measured.connect()).collect();
    for stream in &mut halves {
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
    }
    for garbage in [
        b"PING\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(100),
        b"*1\r\n$4\r\nPING\r\n".to_vec(),
        vec![b'\n'; 100_000],
        [
            b"GET /".to_vec(),
            vec![b'x'; 100_000],
            b" HTTP/1.1\r\n\r\n".to_vec(),
        ]
        .concat(),
        [
            b"GET /metrics HTTP/1.1\r\n".to_vec(),
            b"A: b\r\n".repeat(10_000),
        ]
        .concat(),
    ] {
        let answer = measured.exchange(&garbage);
        assert!(
            answer
                .as_ref()
                .is_none_or(|answer| (400..500).contains(&answer.status)),
            "{answer:?}"
        );
    }
    std::thread::scope(|scope| {
        let scrapes: Vec<_> = (0..8).map(|_| scope.spawn(|| measured.scrape())).collect();
        for scrape in scrapes {
            assert_eq!(scrape.join().unwrap().sum("millrace_shards"), 2.0);
        }
    });
    drop((silent, halves));
    measured.server.expect_alive();
}

/// Whether the other end has closed a socket on which it has nothing to say.
fn is_closed(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let mut reader = stream;
    let read = reader.read(&mut [0; 1024]);
    !matches!(read, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Scrapes while `count` sockets hold half a request; tells which of them were closed when the answer was there. An attempt
/// that took so long that their time may have run out by itself shows nothing, and is made again.
fn closed_by_a_scrape_beside(measured: &Measured, count: usize) -> Vec<bool> {
    for _ in 0..20 {
        let start = Instant::now();
        let halves: Vec<TcpStream> = (0..count)
            .map(|_| {
                let mut stream = measured.connect();
                stream.write_all(b"GET /metrics HTTP/1.1\r\nHost").unwrap();
                stream
            })
            .collect();
        assert_eq!(measured.scrape().sum("millrace_shards"), 2.0);
        let closed = halves.iter().map(is_closed).collect();
        if start.elapsed() < Duration::from_millis(millrace::limits::METRICS_REQUEST_MS) {
            return closed;
        }
    }
    panic!("a scrape beside {count} half requests waits for their time to run out");
}

#[test]
fn half_requests_delay_no_scrape_and_the_oldest_of_too_many_are_closed() {
    let measured = measured(2, &[]);
    let closed = closed_by_a_scrape_beside(&measured, 100);
    assert!(!closed.contains(&true), "there is room for all: {closed:?}");
    let closed = closed_by_a_scrape_beside(&measured, 500);
    assert!(closed[..100].iter().all(|closed| *closed), "{closed:?}");
    assert!(!closed[400..].contains(&true), "{closed:?}");
}

#[test]
fn a_shard_that_is_held_up_does_not_hold_a_scrape_up_for_ever() {
    let measured = measured(4, &[]);
    let mut control = measured.server.connect();
    for n in 0..20 {
        control.call(&["XADD", &format!("stream{n}"), "*", "f", "v"]);
    }
    assert_eq!(listed(&measured.scrape()).len(), 20);
    let mut sleeper = measured.server.connect();
    sleeper.send_line("DEBUG SLEEP 6");
    let deadline = Instant::now() + Duration::from_secs(6);
    loop {
        let scraped = measured.scrape();
        if scraped.sum("millrace_shards_answered") == 3.0 {
            let count = listed(&scraped).len();
            assert!((1..20).contains(&count), "{count}");
            break;
        }
        assert!(Instant::now() < deadline, "it never slept");
    }
    assert_eq!(sleeper.reply().to_string(), "+OK");
    assert_eq!(measured.scrape().sum("millrace_shards_answered"), 4.0);
}

#[test]
fn without_a_port_there_are_no_metrics_and_it_stays_so() {
    let server = Server::millrace(1);
    let mut control = server.connect();
    assert_eq!(
        control.run("CONFIG GET metrics-port").items()[1].text(),
        "0"
    );
    assert!(control.run("CONFIG SET metrics-port 9999").is_error());
}

fn promtool() -> PathBuf {
    if let Some(path) = std::env::var_os("MILLRACE_PROMTOOL") {
        return path.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools"));
    std::env::split_paths(&path)
        .chain([own])
        .map(|directory| directory.join("promtool"))
        .find(|candidate| candidate.is_file())
        .expect("no promtool: scripts/test.sh gets it, or set MILLRACE_PROMTOOL")
}

#[test]
fn promtool_finds_nothing_to_complain_of() {
    for_each_shard_count(|measured| {
        let mut control = measured.server.connect();
        let _kept = make_history(&measured.server, &mut control);
        for name in [
            &b"wild\xff\"\\\n{}=,"[..],
            "Größe".as_bytes(),
            b"",
            &[b'x'; 5000],
        ] {
            control.call(&[b"XADD", name, b"*", b"f", b"v"]);
            control.call(&[b"XGROUP".as_slice(), b"CREATE", name, name, b"0"]);
        }
        let text = measured.get("/metrics").body;
        let mut check = Command::new(promtool())
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        check
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        let found = check.wait_with_output().unwrap();
        let words = [found.stdout, found.stderr].concat();
        let words = String::from_utf8_lossy(&words);
        assert!(found.status.success() && words.is_empty(), "{words}");
    });
}

#[test]
fn the_dashboard_shows_every_metric_and_only_those_there_are() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/scripts/grafana-dashboard.json"
    );
    let text = std::fs::read_to_string(path).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let inputs = dashboard["__inputs"].as_array().unwrap();
    assert_eq!(inputs[0]["name"], "DS_PROMETHEUS");
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<&str> = variables
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert!(names.contains(&"job") && names.contains(&"instance"));
    let mut shown = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().unwrap();
            assert!(query.contains("instance=~\"$instance\""), "{query}");
            assert_eq!(target["datasource"]["uid"], "${DS_PROMETHEUS}");
            let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            shown.extend(
                words
                    .filter(|word| word.starts_with("millrace_"))
                    .map(str::to_owned),
            );
        }
    }
    let measured = measured(2, &[]);
    let mut control = measured.server.connect();
    let _kept = make_history(&measured.server, &mut control);
    let scraped = measured.scrape();
    let families: BTreeSet<String> = scraped.families().map(str::to_owned).collect();
    let shown: BTreeSet<String> = shown
        .into_iter()
        .map(|name| match name.strip_suffix("_bucket") {
            Some(family) if families.contains(family) => family.to_owned(),
            _ => name,
        })
        .collect();
    assert_eq!(shown, families);
}
