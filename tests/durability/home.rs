//! A directory in which servers live one after the other.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::support::server::oracle_path;
use super::support::{Client, Outcome};

/// As long as a busy machine may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The directory.
pub(crate) struct Home(pub(crate) TempDir);

/// A server in it.
pub(crate) struct Life {
    child: Child,
    port: u16,
}

impl Home {
    pub(crate) fn new() -> Self {
        let mut directory = tempfile::Builder::new();
        Self(directory.prefix("millrace-test-").tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// All that has been logged there.
    pub(crate) fn log(&self) -> String {
        let bytes = std::fs::read(self.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Millrace, with its defaults but for these options.
    pub(crate) fn millrace(&self, options: &[&str]) -> Life {
        self.start_in(
            self.path(),
            Path::new(env!("CARGO_BIN_EXE_millrace")),
            options,
        )
    }

    /// The oracle.
    pub(crate) fn redis(&self, options: &[&str]) -> Life {
        self.start_in(self.path(), &oracle_path(), options)
    }

    /// Starts a server whose data are in a directory, and waits until it has loaded them.
    pub(crate) fn start_in(&self, data: &Path, program: &Path, options: &[&str]) -> Life {
        let mut life = self.spawn(data, program, options);
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = life.child.try_wait().unwrap() {
                panic!("it ended: {status}: {}", self.log());
            }
            if let Ok(mut client) = Client::connect(life.address()) {
                client.send_line("PING");
                if let Outcome::Reply(answer) = client.poll(PATIENCE)
                    && !answer.starts_with(b"-LOADING")
                {
                    return life;
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("it does not answer: {}", self.log());
    }

    /// A start that must fail; gives what it said.
    pub(crate) fn fails_to_start(&self, options: &[&str]) -> String {
        let program = Path::new(env!("CARGO_BIN_EXE_millrace"));
        let mut life = self.spawn(self.path(), program, options);
        assert_ne!(life.exit_code(), Some(0), "{}", self.log());
        self.log()
    }

    fn spawn(&self, data: &Path, program: &Path, options: &[&str]) -> Life {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path().join("log"))
            .unwrap();
        let child = Command::new(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--enable-debug-command", "yes"])
            .args(["--dir", &data.display().to_string()])
            .args(options)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Life { child, port }
    }
}

impl Life {
    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port()))
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address()).unwrap()
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Of its process.
    pub(crate) fn id(&self) -> String {
        self.child.id().to_string()
    }

    /// Another signal.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.id()]).status();
        assert!(sent.unwrap().success());
    }

    /// How it ended; `None`: by a signal.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("it does not end");
    }

    /// Sends a command until its reply is as wanted.
    pub(crate) fn wait_for(&self, command: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut client = self.connect();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let reply = client.run(command).text();
            if wanted(&reply) {
                return reply;
            }
            assert!(Instant::now() < deadline, "{command}: {reply}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
