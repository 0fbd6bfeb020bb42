//! The servers under comparison as child processes: started on free ports, killed however this process ends.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::wire::Wire;

/// How long a server may take to its first reply.
const START_PATIENCE: Duration = Duration::from_secs(20);

/// What runs now and must not outlive this process: processes and their directories.
static RUNNING: Mutex<Vec<(u32, PathBuf)>> = Mutex::new(Vec::new());
/// Everything was killed: nothing starts any more. Changed and read under the lock of what runs.
static IS_OVER: AtomicBool = AtomicBool::new(false);
static NEXT_DIRECTORY: AtomicU64 = AtomicU64::new(0);

/// Kills every server and removes its directory. Safe to call at any time, also from the panic hook.
pub(crate) fn kill_all() {
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    IS_OVER.store(true, Ordering::Relaxed);
    for (process, directory) in running.drain(..) {
        kill(process);
        let _gone = fs::remove_dir_all(directory);
    }
}

fn kill(process: u32) {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        let _gone = kill_process(pid, Signal::KILL);
    }
}

/// Lets no way of ending leave a server behind: a panic (which aborts in release builds) or an interrupt.
pub(crate) fn watch_for_the_end() -> anyhow::Result<()> {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        usual(info);
        kill_all();
    }));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    std::thread::Builder::new()
        .name("interrupt".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                use tokio::signal::unix::{SignalKind, signal};
                let (Ok(mut interrupt), Ok(mut terminate)) = (
                    signal(SignalKind::interrupt()),
                    signal(SignalKind::terminate()),
                ) else {
                    return;
                };
                tokio::select! {
                    _ = interrupt.recv() => (),
                    _ = terminate.recv() => (),
                }
                kill_all();
                std::process::exit(130);
            });
        })?;
    Ok(())
}

/// Which servers can be named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Millrace with so many shards.
    Millrace(usize),
    /// The `redis-server` of the PATH.
    Redis,
    /// The null server, a mode of this program.
    Null,
    /// Any other: a command with `{port}` in it.
    Other(String),
}

/// A server and how it is started.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

impl Spec {
    /// `millrace:2`, `millrace` (one shard), `redis`, `null`.
    ///
    /// # Errors
    /// A name that stands for no server.
    pub(crate) fn named(name: &str) -> anyhow::Result<Self> {
        let kind = match name.split_once(':') {
            Some(("millrace", shards)) => {
                Kind::Millrace(shards.parse().context("millrace:SHARDS")?)
            }
            None if name == "millrace" => Kind::Millrace(1),
            None if name == "redis" => Kind::Redis,
            None if name == "null" => Kind::Null,
            _ => {
                bail!("no server `{name}`: millrace:SHARDS, redis, null, or --server name=command")
            }
        };
        Ok(Self {
            name: name.to_owned(),
            kind,
        })
    }

    /// `name=command with {port}`.
    ///
    /// # Errors
    /// A command without a name or a port.
    pub(crate) fn other(text: &str) -> anyhow::Result<Self> {
        let Some((name, command)) = text.split_once('=') else {
            bail!("--server {text}: name=command with {{port}} in it");
        };
        if !command.contains("{port}") {
            bail!("--server {text}: the command has no {{port}}");
        }
        Ok(Self {
            name: name.to_owned(),
            kind: Kind::Other(command.to_owned()),
        })
    }

    /// Whether it answers anything to everything.
    pub(crate) fn is_null(&self) -> bool {
        self.kind == Kind::Null
    }

    /// The words that start it.
    fn words(&self, port: u16, directory: &Path, millrace: &Path) -> anyhow::Result<Vec<String>> {
        let usual = |program: &str| -> Vec<String> {
            let directory = directory.display().to_string();
            let port = port.to_string();
            [
                program,
                "--port",
                &port,
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
                "--dir",
                &directory,
                "--maxclients",
                "20000",
            ]
            .map(str::to_owned)
            .to_vec()
        };
        Ok(match &self.kind {
            Kind::Millrace(shards) => {
                let mut words = usual(&millrace.display().to_string());
                words.extend(["--shards".to_owned(), shards.to_string()]);
                words
            }
            Kind::Redis => usual("redis-server"),
            Kind::Null => {
                let own = std::env::current_exe().context("where is this program?")?;
                vec![
                    own.display().to_string(),
                    "null-server".to_owned(),
                    port.to_string(),
                ]
            }
            Kind::Other(command) => command
                .replace("{port}", &port.to_string())
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
        })
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) spec: Spec,
    pub(crate) address: SocketAddr,
    /// Its command line, for the report.
    pub(crate) command_line: String,
    /// Its name and version by INFO.
    pub(crate) version: String,
    millrace: PathBuf,
    child: Child,
}

impl Server {
    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// It does not start; its last words are in the message.
    pub(crate) fn start(spec: &Spec, millrace: &Path) -> anyhow::Result<Self> {
        let mut reason = String::new();
        // Another process may take the free port first.
        for _ in 0..3 {
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            let number = NEXT_DIRECTORY.fetch_add(1, Ordering::Relaxed);
            let directory = std::env::temp_dir()
                .join(format!("millrace-bench-{}-{number}", std::process::id()));
            fs::create_dir_all(&directory)?;
            let words = spec.words(port, &directory, millrace)?;
            let (program, options) = words.split_first().context("an empty command")?;
            let log = File::create(directory.join("log"))?;
            let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
            if IS_OVER.load(Ordering::Relaxed) {
                let _gone = fs::remove_dir_all(&directory);
                bail!("interrupted");
            }
            let child = Command::new(program)
                .args(options)
                .current_dir(&directory)
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log)
                .spawn()
                .with_context(|| format!("{}: cannot run {program}", spec.name))
                .inspect_err(|_| {
                    let _gone = fs::remove_dir_all(&directory);
                })?;
            running.push((child.id(), directory.clone()));
            drop(running);
            let mut server = Self {
                spec: spec.clone(),
                address: SocketAddr::from(([127, 0, 0, 1], port)),
                command_line: words.join(" "),
                version: String::new(),
                millrace: millrace.to_owned(),
                child,
            };
            if server.is_up() {
                server.version = server.ask_version();
                return Ok(server);
            }
            reason = fs::read_to_string(directory.join("log")).unwrap_or_default();
        }
        bail!("{} does not start: {}", spec.name, reason.trim())
    }

    /// Kills it and starts it anew, empty.
    ///
    /// # Errors
    /// It does not start again.
    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        let fresh = Self::start(&self.spec, &self.millrace)?;
        *self = fresh;
        Ok(())
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    fn is_up(&mut self) -> bool {
        let deadline = Instant::now() + START_PATIENCE;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return false;
            }
            let pong = Wire::connect_within(self.address, Duration::from_secs(2))
                .and_then(|mut wire| wire.ask("PING"));
            if pong.is_ok() {
                return matches!(self.child.try_wait(), Ok(None));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    fn ask_version(&self) -> String {
        let Ok(mut wire) = Wire::connect(self.address) else {
            return "unknown".to_owned();
        };
        for (field, product) in [
            ("millrace_version", "millrace"),
            ("valkey_version", "valkey"),
            ("redis_version", "redis"),
        ] {
            if let Some(version) = wire.info("server", field) {
                return format!("{product} {version}");
            }
        }
        "no version told".to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let process = self.child.id();
        kill(process);
        let _gone = self.child.wait();
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let position = running.iter().position(|(known, _)| *known == process);
        if let Some(position) = position {
            let (_, directory) = running.swap_remove(position);
            let _gone = fs::remove_dir_all(directory);
        }
    }
}
