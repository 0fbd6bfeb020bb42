//! Servers as child processes: millrace under test, and the oracle.
//!
//! A server listens on a free port of 127.0.0.1, works in a temp dir of its own, is ready when `PING` answers from *this*
//! process, and is killed on drop. Another process may win the race for a free port: then the start is repeated.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::client::{Client, Outcome};

/// How long a server may take to answer its first PING.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A running server.
pub(crate) struct Server {
    child: Child,
    directory: TempDir,
    port: u16,
    /// What it is, for messages: `millrace --shards 4`, `oracle`.
    pub(crate) name: String,
    /// How many shards it was asked for; 0 for an oracle.
    pub(crate) shards: usize,
}

/// The shard counts every test runs with.
pub(crate) fn shard_counts() -> Vec<usize> {
    let text = std::env::var("MILLRACE_SHARDS").unwrap_or_else(|_| "1,4".to_owned());
    text.split(',')
        .map(|count| {
            count
                .trim()
                .parse()
                .expect("MILLRACE_SHARDS is a list of numbers")
        })
        .collect()
}

/// Runs a test against a fresh server for each shard count.
pub(crate) fn for_each_shard_count(test: impl Fn(&Server)) {
    for shards in shard_counts() {
        test(&Server::millrace(shards));
    }
}

/// The path of the oracle: `MILLRACE_ORACLE`, or `redis-server` from PATH.
///
/// # Panics
/// When there is none: a differential test without an oracle proves nothing, so it fails rather than skips.
pub(crate) fn oracle_path() -> PathBuf {
    if let Some(path) = std::env::var_os("MILLRACE_ORACLE") {
        let path = PathBuf::from(path);
        assert!(
            path.is_file(),
            "MILLRACE_ORACLE={} is not a file",
            path.display()
        );
        return path;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join("redis-server"))
        .find(|candidate| candidate.is_file())
        .expect("no oracle: install redis-server or set MILLRACE_ORACLE to one")
}

impl Server {
    /// Millrace with this many shards (or the stand-in of `MILLRACE_UNDER_TEST`).
    pub(crate) fn millrace(shards: usize) -> Self {
        Self::millrace_with(shards, &[])
    }

    /// Millrace with a unix socket, named `socket` in its directory, and an output limit as in `"pubsub 1mb 0 0"`.
    pub(crate) fn millrace_with_output_limit(shards: usize, limit: &str) -> Self {
        let options = ["--unixsocket", "socket", "--client-output-buffer-limit"];
        Self::millrace_with(shards, &[&options[..], &[limit]].concat())
    }

    /// Millrace with further options, as in `["--maxclients", "20"]`.
    pub(crate) fn millrace_with(shards: usize, options: &[&str]) -> Self {
        if let Some(path) = std::env::var_os("MILLRACE_UNDER_TEST") {
            let mut server = Self::start(Path::new(&path), options, "stand-in");
            server.shards = shards;
            return server;
        }
        let count = shards.to_string();
        let mut all = vec!["--shards", &count];
        all.extend_from_slice(options);
        let mut server = Self::start(
            Path::new(env!("CARGO_BIN_EXE_millrace")),
            &all,
            &format!("millrace --shards {shards}"),
        );
        server.shards = shards;
        server
    }

    /// Millrace with a configuration file.
    pub(crate) fn millrace_with_file(file: &Path) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_millrace"));
        Self::start_with(program, &[&file.display().to_string()], &[], "millrace")
    }

    /// The oracle.
    pub(crate) fn oracle() -> Self {
        Self::oracle_with(&[])
    }

    /// The oracle with further options.
    pub(crate) fn oracle_with(options: &[&str]) -> Self {
        Self::start(&oracle_path(), options, "oracle")
    }

    fn start(program: &Path, options: &[&str], name: &str) -> Self {
        Self::start_with(program, &[], options, name)
    }

    /// `first`: words before the options that every server gets.
    fn start_with(program: &Path, first: &[&str], options: &[&str], name: &str) -> Self {
        for _ in 0..5 {
            if let Some(server) = Self::try_start(program, first, options, name) {
                return server;
            }
        }
        panic!(
            "{name} ({}) did not start; its last words are above",
            program.display()
        );
    }

    fn try_start(program: &Path, first: &[&str], options: &[&str], name: &str) -> Option<Self> {
        let directory = tempfile::Builder::new()
            .prefix("millrace-test-")
            .tempdir()
            .unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let log = File::create(directory.path().join("log")).unwrap();
        let child = Command::new(program)
            .args(first)
            .args([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
            ])
            .args([
                "--enable-debug-command",
                "yes",
                "--dir",
                &directory.path().display().to_string(),
            ])
            .args(options)
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("could not run {}: {error}", program.display()));
        let mut server = Self {
            child,
            directory,
            port,
            name: name.to_owned(),
            shards: 0,
        };
        if server.wait_until_ready() {
            return Some(server);
        }
        server.print_log();
        None
    }

    /// Whether PING is answered by this very process.
    fn wait_until_ready(&mut self) -> bool {
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if let Ok(mut client) = Client::connect(self.address()) {
                client.send_line("PING");
                // Closed or silent: that was not our server yet (a port that another process just gave up).
                let Outcome::Reply(answer) = client.poll(START_TIMEOUT) else {
                    continue;
                };
                if answer.starts_with(b"-NOAUTH") {
                    return true;
                }
                if answer == b"+PONG\r\n" {
                    let info = client.run("INFO server").text();
                    let own = format!("process_id:{}\r\n", self.child.id());
                    return !info.contains("process_id:") || info.contains(&own);
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    fn print_log(&self) {
        let log = self.log();
        let from = log.len().saturating_sub(4000);
        eprintln_log(&self.name, log.get(from..).unwrap_or(&log));
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A new connection (RESP2).
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address())
            .unwrap_or_else(|error| panic!("could not connect to {}: {error}", self.name))
    }

    /// A new connection that speaks RESP3.
    pub(crate) fn connect_resp3(&self) -> Client {
        let mut client = self.connect();
        client.run("HELLO 3");
        client
    }

    /// All it has logged.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(
            &std::fs::read(self.directory.path().join("log")).unwrap_or_default(),
        )
        .into_owned()
    }

    /// Its working directory.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its process id.
    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory, bytes (Linux).
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .expect("VmRSS");
        let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kibibytes * 1024
    }

    /// How much more memory is resident than `before`, bytes. What the server has freed it gives back within a second or two:
    /// looks again until the growth is below `limit`, or long enough to see that it is not freed.
    pub(crate) fn growth_below(&self, before: u64, limit: u64) -> u64 {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let growth = self.resident_bytes().saturating_sub(before);
            if growth < limit || Instant::now() > deadline {
                return growth;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Processor time it has taken so far (Linux; to 10 ms).
    pub(crate) fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.unwrap_or_default();
        // The name in brackets may hold anything; user and system time are the 12th and 13th field behind it.
        let behind = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let ticks = behind.split(' ').skip(11).take(2);
        let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// The version it reports.
    pub(crate) fn version(&self) -> String {
        let info = self.connect().run("INFO server").text();
        info_field(&info, "redis_version").unwrap_or_default()
    }

    /// Asserts that the process is alive and serves a new connection, as soon as it has seen that others have left.
    pub(crate) fn expect_alive(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("{} has ended: {status}", self.name);
        }
        let deadline = Instant::now() + START_TIMEOUT;
        let mut answer = self.connect().run("PING").to_string();
        while answer.starts_with("-ERR max number of clients") && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
            answer = self.connect().run("PING").to_string();
        }
        let answers = answer == "+PONG" || answer.starts_with("-NOAUTH");
        assert!(
            answers,
            "{} must serve a new connection: {answer}",
            self.name
        );
    }

    /// Waits for the process to end and returns its exit code; `None` when a signal ended it.
    pub(crate) fn wait_for_exit(&mut self) -> Option<i32> {
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("{} does not end", self.name);
    }
}

#[allow(
    clippy::print_stderr,
    reason = "the log of a failed server belongs in the output of its test"
)]
fn eprintln_log(name: &str, log: &str) {
    eprintln!("---- last words of {name}\n{log}\n----");
}

/// A field of INFO.
pub(crate) fn info_field(info: &str, name: &str) -> Option<String> {
    info.lines().find_map(|line| {
        line.strip_prefix(name)?
            .strip_prefix(':')
            .map(|value| value.trim().to_owned())
    })
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that has already ended leaves nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            self.print_log();
        }
    }
}
