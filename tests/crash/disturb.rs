//! The client beside the writers that starts rewrites and snapshots and switches the log off and on, so that the kill meets them.
//!
//! While the log is off, and until it has all again, only what was acknowledged before is sure to survive: it tells the field so.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::plan::Mode;
use super::support::server::info_field;
use super::support::{Client, Frame, Outcome, Random};
use super::writer::Field;

/// How long a reply may take: a SAVE of everything is in it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The client.
pub(crate) struct Disturber<'a> {
    client: Client,
    field: &'a Field,
    mode: Mode,
    random: Random,
}

impl<'a> Disturber<'a> {
    /// `None` when the server is gone already.
    pub(crate) fn new(
        address: SocketAddr,
        field: &'a Field,
        mode: Mode,
        seed: u64,
    ) -> Option<Self> {
        Some(Self {
            client: Client::connect(address).ok()?,
            field,
            mode,
            random: Random::new(seed),
        })
    }

    /// Disturbs at random moments until the round is over or the server gone.
    pub(crate) fn run(mut self) {
        while !self.is_over() {
            self.wait(80);
            if self.step().is_none() {
                return;
            }
        }
    }

    /// Does everything once, in order, and last stops the server.
    pub(crate) fn run_through(mut self) -> Option<()> {
        if self.mode == Mode::Rdb {
            self.save()?;
            return self.snapshot();
        }
        self.ask("BGREWRITEAOF")?;
        self.until_settled()?;
        self.wait(40);
        self.ask("BGSAVE")?;
        self.until_settled()?;
        self.ask("SAVE")?;
        self.wait(40);
        self.switch()?;
        self.ask("BGREWRITEAOF")?;
        self.until_settled()?;
        self.ask("SHUTDOWN SAVE");
        Some(())
    }

    fn is_over(&self) -> bool {
        self.field.is_over.load(Ordering::SeqCst)
    }

    fn wait(&mut self, most_ms: usize) {
        let time = Duration::from_millis(self.random.below(most_ms) as u64);
        self.field.wait_for(u64::MAX, time);
    }

    /// The reply to a command; `None` when the server is gone.
    fn ask(&mut self, line: &str) -> Option<Frame> {
        self.client.send_line(line);
        match self.client.poll(PATIENCE) {
            Outcome::Reply(raw) => Some(Frame::parse(&raw)),
            Outcome::Closed => None,
            Outcome::Quiet => panic!("no reply to {line} within {PATIENCE:?}"),
        }
    }

    fn step(&mut self) -> Option<()> {
        let choice = self.random.below(20);
        match self.mode {
            Mode::Rdb if choice < 6 => self.save(),
            Mode::Rdb => self.snapshot(),
            _ => match choice {
                0..11 => self.ask("BGREWRITEAOF").map(drop),
                11..15 => self.ask("BGSAVE").map(drop),
                15 | 16 => self.ask("BGSAVE SCHEDULE").map(drop),
                17 | 18 => self.ask("SAVE").map(drop),
                _ => self.switch(),
            },
        }
    }

    fn save(&mut self) -> Option<()> {
        let counts = self.field.counts();
        if !self.ask("SAVE")?.is_error() {
            self.field.set_floors(counts);
        }
        Some(())
    }

    fn snapshot(&mut self) -> Option<()> {
        let counts = self.field.counts();
        if self.ask("BGSAVE")?.is_error() {
            return Some(());
        }
        let info = self.until_settled()?;
        if info_field(&info, "rdb_last_bgsave_status").as_deref() == Some("ok") {
            self.field.set_floors(counts);
        }
        Some(())
    }

    fn switch(&mut self) -> Option<()> {
        self.field.loosen();
        self.ask("CONFIG SET appendonly no")?;
        self.wait(60);
        self.ask("CONFIG SET appendonly yes")?;
        let info = self.until_settled()?;
        let is = |name: &str, value: &str| info_field(&info, name).as_deref() == Some(value);
        if is("aof_enabled", "1") && is("aof_last_bgrewrite_status", "ok") {
            self.field.is_loose.store(false, Ordering::SeqCst);
        }
        Some(())
    }

    /// INFO once no rewrite and no snapshot is running or asked for.
    fn until_settled(&mut self) -> Option<String> {
        const BUSY: [&str; 4] = [
            "rdb_bgsave_in_progress:1",
            "aof_rewrite_in_progress:1",
            "aof_rewrite_scheduled:1",
            "loading:1",
        ];
        loop {
            let info = self.ask("INFO persistence")?.text();
            if !BUSY.iter().any(|busy| info.contains(busy)) {
                return Some(info);
            }
            self.field.wait_for(u64::MAX, Duration::from_millis(2));
        }
    }
}
