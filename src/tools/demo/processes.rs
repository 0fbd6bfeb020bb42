//! The demo's child processes: workers and, without --url, a server.
//!
//! Invariants: no child outlives the demo. Both owners kill what still runs when they are
//! dropped; and a worker holds the reading end of a pipe whose other end dies with the demo.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::cli::TlsArguments;
use crate::tools::connect;

/// How long a server may take from its start to its first PONG.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a server may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A millrace of the demo's own on a free port, in a directory of its own.
pub(super) struct OwnServer {
    child: Child,
    directory: PathBuf,
    port: u16,
}

impl OwnServer {
    /// Starts the server and waits until it answers.
    pub(super) fn start(shards: u64) -> anyhow::Result<OwnServer> {
        let directory = std::env::temp_dir().join(format!("millrace-demo-{}", std::process::id()));
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        // Free now, and not given out again so soon by the kernel.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let log = std::fs::File::create(directory.join("server.log"))?;
        let child = Command::new(std::env::current_exe()?)
            .args([
                "--bind",
                "127.0.0.1",
                "--port",
                &port.to_string(),
                "--save",
                "",
            ])
            .args(["--shards", &shards.to_string(), "--dir"])
            .arg(&directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start a server")?;
        let mut server = OwnServer {
            child,
            directory,
            port,
        };
        server.wait_until_it_answers()?;
        Ok(server)
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn wait_until_it_answers(&mut self) -> anyhow::Result<()> {
        let url = self.url();
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                let log = std::fs::read_to_string(self.directory.join("server.log"));
                bail!(
                    "the server ended at once ({status}):\n{}",
                    log.unwrap_or_default().trim()
                );
            }
            let limit = Duration::from_millis(500);
            let client = redis::Client::open(url.as_str())?;
            let pong = connect::connect_within(&client, limit, limit)
                .and_then(|mut connection| Ok(redis::cmd("PING").exec(&mut connection)?));
            match pong {
                Ok(()) => return Ok(()),
                Err(error) if started.elapsed() > START_TIMEOUT => {
                    return Err(error).context("the server does not answer");
                }
                Err(_not_yet) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        let _ = end_politely(&mut self.child);
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// SIGTERM, and SIGKILL if that does not help.
fn end_politely(child: &mut Child) -> anyhow::Result<()> {
    if child.try_wait()?.is_some() {
        return Ok(());
    }
    let id = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    if let Some(id) = id {
        rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
    }
    if !wait(child, STOP_TIMEOUT)? {
        child.kill()?;
        child.wait()?;
    }
    Ok(())
}

/// Waits for the end of a process; false when it still runs after `timeout`.
fn wait(child: &mut Child, timeout: Duration) -> anyhow::Result<bool> {
    let started = Instant::now();
    while child.try_wait()?.is_none() {
        if started.elapsed() > timeout {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(true)
}

/// The worker processes; the first is the one that will be killed.
pub(super) struct Workers {
    children: Vec<(String, Child)>,
    victim_name: String,
    victim_is_dead: bool,
}

impl Workers {
    /// Starts a worker for each name; the first falls ill after `ill_after` entries.
    pub(super) fn start(
        url: &str,
        tls: &TlsArguments,
        names: &[String],
        ill_after: u64,
    ) -> anyhow::Result<Workers> {
        let victim_name = names.first().context("no workers")?.clone();
        let mut workers = Workers {
            children: Vec::new(),
            victim_name,
            victim_is_dead: false,
        };
        for name in names {
            let mut command = Command::new(std::env::current_exe()?);
            command
                .args(["demo", "--as-worker", name])
                .args(tls.words())
                .env("MILLRACE_URL", url);
            if *name == workers.victim_name {
                command.args(["--fall-ill-after", &ill_after.to_string()]);
            }
            let child = command
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
                .context("cannot start a worker")?;
            workers.children.push((name.clone(), child));
        }
        Ok(workers)
    }

    /// The consumer that is going to be killed.
    pub(super) fn victim(&self) -> &str {
        &self.victim_name
    }

    /// Kills the victim with SIGKILL and waits until it is dead.
    pub(super) fn kill_victim(&mut self) -> anyhow::Result<()> {
        if let Some((_, child)) = self.children.first_mut() {
            child.kill()?;
            child.wait()?;
            self.victim_is_dead = true;
        }
        Ok(())
    }

    pub(super) fn running_count(&self) -> usize {
        self.children.len() - usize::from(self.victim_is_dead)
    }

    /// An error if a worker ended that nobody killed.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        let (victim_name, victim_is_dead) = (&self.victim_name, self.victim_is_dead);
        for (name, child) in &mut self.children {
            let expected = victim_is_dead && name == victim_name;
            if !expected && let Some(status) = child.try_wait()? {
                bail!("{name} ended by itself ({status})");
            }
        }
        Ok(())
    }

    /// Waits for the workers to leave; how many did so of their own accord and without an error.
    pub(super) fn wait(&mut self, timeout: Duration) -> anyhow::Result<usize> {
        let started = Instant::now();
        let mut left = 0;
        for (_, child) in &mut self.children {
            if wait(child, timeout.saturating_sub(started.elapsed()))? {
                left += usize::from(child.wait()?.success());
            }
        }
        Ok(left)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for (_, child) in &mut self.children {
            // Killing one that is gone already is an error of no interest.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
