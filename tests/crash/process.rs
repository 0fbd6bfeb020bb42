//! The server under test as a process on a directory that outlives it.
//!
//! It leads a process group, so that a kill also ends what it has forked: a saving child of redis-server would go on and put its
//! file into the directory of the next life.

use std::fs::OpenOptions;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::plan::{Kind, Mode, Plan};
use super::support::server::oracle_path;
use super::support::{Client, Outcome};

/// How long a server may take to load, and to stop.
const PATIENCE: Duration = Duration::from_secs(90);
/// Starts when another process has taken the port meanwhile.
const ATTEMPTS: usize = 5;

/// A server, running or not.
pub(crate) struct Process {
    child: Child,
    directory: PathBuf,
    port: u16,
    begun: Instant,
}

/// What a start is made with.
#[derive(Clone, Debug)]
pub(crate) struct Start<'a> {
    /// Which server, and how it writes.
    pub(crate) plan: &'a Plan,
    /// How many shards, where it has some.
    pub(crate) shards: usize,
    /// Where it is to kill itself.
    pub(crate) point: Option<&'a str>,
}

impl Start<'_> {
    fn options(&self) -> Vec<String> {
        let plan = self.plan;
        let fsync = match plan.mode {
            Mode::Always => "always",
            Mode::Everysec => "everysec",
            Mode::No | Mode::Rdb => "no",
        };
        let (log, save) = match plan.mode {
            Mode::Rdb => ("no", "3600 1"),
            _ => ("yes", ""),
        };
        let mut all = vec!["--bind", "127.0.0.1", "--appendonly", log];
        all.extend(["--appendfsync", fsync, "--save", save]);
        // Rewrites that nobody asked for, too.
        all.extend(["--auto-aof-rewrite-min-size", "256kb"]);
        let percentage = if plan.is_calm { "0" } else { "60" };
        all.extend(["--auto-aof-rewrite-percentage", percentage]);
        let mut all: Vec<String> = all.into_iter().map(str::to_owned).collect();
        if plan.kind == Kind::Millrace {
            all.extend(["--shards".to_owned(), self.shards.to_string()]);
            if plan.loads_in_redis {
                all.extend(["--rdb-version-compat".to_owned(), "7.0".to_owned()]);
            }
        }
        all
    }

    fn spawn(&self, directory: &Path) -> Process {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(directory.join("log"))
            .unwrap();
        let program = match self.plan.kind {
            Kind::Millrace => PathBuf::from(env!("CARGO_BIN_EXE_millrace")),
            Kind::Redis => oracle_path(),
        };
        let mut command = Command::new(&program);
        command
            .args(["--port", &port.to_string(), "--dir"])
            .arg(directory)
            .args(self.options())
            .current_dir(directory)
            .env_remove("MILLRACE_CRASH_AT")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0);
        if let Some(point) = self.point {
            command.env("MILLRACE_CRASH_AT", point);
        }
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("could not run {}: {error}", program.display()));
        Process {
            child,
            directory: directory.to_owned(),
            port,
            begun: Instant::now(),
        }
    }

    /// Starts it and kills it after a time, wherever in its start it is by then.
    pub(crate) fn and_kill(&self, directory: &Path, after: Duration) {
        let mut process = self.spawn(directory);
        std::thread::sleep(after);
        process.kill();
    }

    /// Starts it and waits until it has loaded everything.
    ///
    /// # Errors
    /// How it ended instead.
    pub(crate) fn until_ready(&self, directory: &Path) -> Result<Process, String> {
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            let log_before = log_of(directory).len();
            let mut process = self.spawn(directory);
            match process.wait_until_ready() {
                Ok(()) => return Ok(process),
                Err(status) => {
                    let log = log_of(directory);
                    let log = log.get(log_before..).unwrap_or_default().to_owned();
                    last = format!("it ended with {status} at the start:\n{log}");
                    if !log.contains("ddress already in use") {
                        break;
                    }
                }
            }
        }
        Err(last)
    }
}

fn log_of(directory: &Path) -> String {
    let log = std::fs::read(directory.join("log")).unwrap_or_default();
    String::from_utf8_lossy(&log).into_owned()
}

impl Process {
    /// Waits until this very process answers PING; how it ended when it ends before.
    fn wait_until_ready(&mut self) -> Result<(), ExitStatus> {
        while self.begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Err(status);
            }
            if let Ok(mut client) = Client::connect(self.address()) {
                client.send_line("PING");
                client.send_line("INFO server");
                let answer = client.poll(PATIENCE);
                let info = client.poll(PATIENCE);
                let own = format!("process_id:{}\r\n", self.child.id());
                if let (Outcome::Reply(answer), Outcome::Reply(info)) = (answer, info)
                    && answer == b"+PONG\r\n"
                    && String::from_utf8_lossy(&info).contains(&own)
                {
                    return Ok(());
                }
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("the server has not loaded within {PATIENCE:?}");
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Its number.
    pub(crate) fn number(&self) -> u32 {
        self.child.id()
    }

    /// How long it has been running.
    pub(crate) fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// SIGKILL, to it and to what it has forked.
    pub(crate) fn kill(&mut self) {
        // Nobody is left to kill when it has ended by itself.
        let _ = kill_process_group(self.pid(), Signal::KILL);
        self.child.wait().unwrap();
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Unfinished files of other processes, which have been killed.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let own = self.number().to_string();
        let directories = [self.directory.clone(), self.directory.join("appendonlydir")];
        let entries = directories.iter().flat_map(std::fs::read_dir).flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        let is_left = |name: &String| {
            name.starts_with("temp-") && name.ends_with(".rdb")
                || name.starts_with("temp-rewriteaof-")
                || name.ends_with(".temp")
        };
        let left = names.filter(|name| is_left(name) && !name.contains(&own));
        left.map(|name| format!("{name} was left by a process that was killed"))
            .collect()
    }

    /// Whether it has ended, and how.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end; `None` when it does not come in time.
    pub(crate) fn wait(&mut self, time: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        None
    }

    /// Ends it in order by SIGTERM: again when it does not follow, since redis-server does not while it writes its first log
    /// ("Writing initial AOF, can't exit").
    ///
    /// # Errors
    /// What came instead.
    pub(crate) fn terminate_and_wait(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            self.terminate();
            match self.wait(Duration::from_secs(5)) {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    return Err(format!("it ended with {status}; {}", self.last_words()));
                }
                None => {}
            }
        }
        Err(format!(
            "it did not end within {PATIENCE:?}; {}",
            self.last_words()
        ))
    }

    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        let log = log_of(&self.directory);
        let mut from = log.len().saturating_sub(3_000);
        while !log.is_char_boundary(from) {
            from += 1;
        }
        log[from..].to_owned()
    }
}

/// Whether a process ended by SIGKILL.
pub(crate) fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(Signal::KILL.as_raw())
}

/// Copies a directory.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
