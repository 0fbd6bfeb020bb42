//! The servers that the tools are tested against, and a proxy that steps in between.
//!
//! A tool works against any server that speaks the protocol, so each test runs against each of
//! [`kinds`]. The tools are child processes: the built executable, as a user starts it.

#![allow(dead_code, reason = "each test crate uses a part")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long a condition may take to come true before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The executable under test.
pub(crate) const MILLRACE: &str = env!("CARGO_BIN_EXE_millrace");

/// A kind of server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An executable that takes redis-server's options.
    Redis(String),
    /// The executable under test with this many shards.
    Millrace(u32),
}

/// The servers to test against: `MILLRACE_TEST_SERVERS`, a list such as
/// `redis-server,/usr/local/bin/valkey-server,millrace:1,millrace:4`, else the default.
pub(crate) fn kinds() -> Vec<Kind> {
    let list = std::env::var("MILLRACE_TEST_SERVERS");
    let list = list.unwrap_or_else(|_| "millrace:1,millrace:4,redis-server".to_owned());
    let kind = |word: &str| match word.strip_prefix("millrace:") {
        Some(shards) => Kind::Millrace(shards.parse().unwrap()),
        None => Kind::Redis(word.to_owned()),
    };
    list.split(',').map(kind).collect()
}

/// Runs a test against each kind of server, one after the other.
pub(crate) fn with_each_server(test: impl Fn(&Server)) {
    for kind in kinds() {
        test(&Server::start(&kind, &[]));
    }
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    /// What it is.
    pub(crate) kind: Kind,
    /// Its TCP port on 127.0.0.1.
    pub(crate) port: u16,
    child: Child,
    directory: tempfile::TempDir,
}

impl Server {
    /// Starts a server with `options` added and waits until it answers.
    pub(crate) fn start(kind: &Kind, options: &[&str]) -> Server {
        // A port that is free now may be taken by a test beside us a moment later: try again.
        for _attempt in 0..10 {
            let directory = tempfile::tempdir().unwrap();
            let port = TcpListener::bind(("127.0.0.1", 0))
                .unwrap()
                .local_addr()
                .unwrap()
                .port();
            let mut command = match kind {
                Kind::Redis(executable) => Command::new(executable),
                Kind::Millrace(shards) => {
                    let mut command = Command::new(MILLRACE);
                    command.args(["--shards", &shards.to_string()]);
                    command
                }
            };
            let child = command
                .args([
                    "--port",
                    &port.to_string(),
                    "--bind",
                    "127.0.0.1",
                    "--save",
                    "",
                ])
                .arg("--dir")
                .arg(directory.path())
                .args(options)
                .stdout(Stdio::null())
                .spawn()
                .unwrap_or_else(|error| panic!("cannot start {kind:?}: {error}"));
            let mut server = Server {
                kind: kind.clone(),
                port,
                child,
                directory,
            };
            if server.answers(options) {
                return server;
            }
        }
        panic!("{kind:?} does not start");
    }

    /// Waits until the server answers; false when it ended, for its port was taken meanwhile.
    fn answers(&mut self, options: &[&str]) -> bool {
        let password = options
            .iter()
            .skip_while(|&&option| option != "--requirepass")
            .nth(1);
        let settings = redis::Client::open(self.url())
            .unwrap()
            .get_connection_info()
            .clone();
        let mut authentication = settings.redis_settings().clone();
        if let Some(password) = password {
            authentication = authentication.set_password(password);
        }
        let client = redis::Client::open(settings.set_redis_settings(authentication)).unwrap();
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if let Ok(mut connection) = client.get_connection() {
                // Another server may have been faster to take the port: is it ours?
                let reply: redis::RedisResult<(String, String)> = redis::cmd("CONFIG")
                    .arg("GET")
                    .arg("dir")
                    .query(&mut connection);
                let ours = self.directory.path().canonicalize().unwrap();
                if reply.is_ok_and(|(_, dir)| ours == std::path::Path::new(&dir)) {
                    return true;
                }
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{:?} does not answer", self.kind);
    }

    /// The address for --url.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A connection of the test's own.
    pub(crate) fn connect(&self) -> redis::Connection {
        redis::Client::open(self.url())
            .unwrap()
            .get_connection()
            .unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command of the executable under test, free of the environment's settings.
pub(crate) fn millrace(arguments: &[&str]) -> Command {
    let mut command = Command::new(MILLRACE);
    command.args(arguments).stdin(Stdio::null());
    for name in [
        "MILLRACE_URL",
        "MILLRACE_PASSWORD",
        "REDISCLI_AUTH",
        "MILLRACE_IMPORT_PASSWORD",
    ] {
        command.env_remove(name);
    }
    command
}

/// What a finished tool left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

/// Runs a command to its end.
pub(crate) fn run(mut command: Command) -> Ended {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    Ended {
        code: status.code().expect("not killed"),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

/// Waits until `condition` holds.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends one command and returns the reply.
pub(crate) fn call(connection: &mut redis::Connection, line: &str) -> redis::Value {
    try_call(connection, line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// Sends one command, words separated by spaces, and returns the reply or error.
pub(crate) fn try_call(
    connection: &mut redis::Connection,
    line: &str,
) -> redis::RedisResult<redis::Value> {
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    for word in words {
        command.arg(word);
    }
    command.query(connection)
}

/// What a proxy does with the bytes of a request before it passes them on.
type Hook = Box<dyn FnMut(&str) + Send>;

/// Stands between a tool and a server and calls a hook before each request: so a test can make
/// something happen between two requests of the tool, always at the same place.
pub(crate) struct Proxy {
    /// Its TCP port on 127.0.0.1.
    pub(crate) port: u16,
}

impl Proxy {
    /// Starts a proxy; the hook gets what the tool sends, as it comes off the socket.
    pub(crate) fn start(server: &Server, hook: impl FnMut(&str) + Send + 'static) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let upstream_port = server.port;
        let hook: Arc<Mutex<Hook>> = Arc::new(Mutex::new(Box::new(hook)));
        // Ends with the test process.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                let Ok(upstream) = TcpStream::connect(("127.0.0.1", upstream_port)) else {
                    return;
                };
                let (from, to) = (upstream.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || pump(from, to, |_| {}));
                let hook = Arc::clone(&hook);
                std::thread::spawn(move || {
                    pump(client, upstream, |bytes| {
                        (hook.lock().unwrap())(&String::from_utf8_lossy(bytes));
                    });
                });
            }
        });
        Proxy { port }
    }

    /// The address for --url.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, mut before: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read) = from.read(&mut buffer) {
        if read == 0 {
            break;
        }
        before(&buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
