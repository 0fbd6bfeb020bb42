//! The log: lines as redis-server writes them, from `tracing` events.
//!
//! ```text
//! error!, warn!  → '#' warning      12345:M 20 Nov 2026 21:42:56.103 * Ready to accept connections
//! info!          → '*' notice       pid   role  time (UTC)            level  message
//! debug!         → '-' verbose
//! trace!         → '.' debug
//! ```
//!
//! The level is one atomic, so CONFIG SET loglevel acts at once. A log file is opened for each line, so that
//! logrotate can move it away; log lines are rare. Control characters in a message are escaped: a client's
//! bytes cannot forge a line.
//!
//! Deliberately not here: spans, colours, local time (std knows no time zones), syslog.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::calendar::date_of;
use super::error::{StartError, reason_of};
use crate::config::LogLevel;

/// Milliseconds since 1970: the log's clock is passed in.
pub(crate) type Clock = fn() -> u64;

static LEVEL: AtomicU8 = AtomicU8::new(LogLevel::Notice as u8);
static HAS_FILE: AtomicBool = AtomicBool::new(false);

/// Starts logging to `file`, or standard output. A second call in one process changes the level only.
///
/// # Errors
/// The file cannot be opened for appending.
pub(crate) fn start(file: Option<&Path>, level: LogLevel, clock: Clock) -> Result<(), StartError> {
    if let Some(path) = file {
        open(path).map_err(|error| StartError::LogFile(path.to_path_buf(), reason_of(error)))?;
    }
    HAS_FILE.store(file.is_some(), Ordering::Relaxed);
    let log = Log {
        file: file.map(Path::to_path_buf),
        clock,
        process: std::process::id(),
    };
    // An error means that a log is there already: tests start several servers in one process.
    let _ = tracing::subscriber::set_global_default(log);
    set_level(level);
    Ok(())
}

/// Whether the log goes to a file.
#[must_use]
pub(crate) fn has_file() -> bool {
    HAS_FILE.load(Ordering::Relaxed)
}

/// Changes what is logged from now on.
pub(crate) fn set_level(level: LogLevel) {
    LEVEL.store(level as u8, Ordering::Relaxed);
    tracing::callsite::rebuild_interest_cache();
}

fn open(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
}

fn most_detailed() -> LevelFilter {
    match LEVEL.load(Ordering::Relaxed) {
        level if level == LogLevel::Debug as u8 => LevelFilter::TRACE,
        level if level == LogLevel::Verbose as u8 => LevelFilter::DEBUG,
        level if level == LogLevel::Notice as u8 => LevelFilter::INFO,
        level if level == LogLevel::Warning as u8 => LevelFilter::WARN,
        _ => LevelFilter::OFF,
    }
}

struct Log {
    file: Option<PathBuf>,
    clock: Clock,
    process: u32,
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Libraries below log for their own developers; only ours is the server's log.
        metadata.is_event()
            && *metadata.level() <= most_detailed()
            && metadata.target().starts_with("millrace")
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(most_detailed())
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let line = line(
            self.process,
            (self.clock)(),
            *event.metadata().level(),
            &text.0,
        );
        // A log that cannot be written must not stop the server.
        let _ = match &self.file {
            Some(path) => open(path).and_then(|mut file| file.write_all(line.as_bytes())),
            None => std::io::stdout().lock().write_all(line.as_bytes()),
        };
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// One line of the log.
fn line(process: u32, unix_ms: u64, level: Level, text: &str) -> String {
    let mark = match level {
        Level::ERROR | Level::WARN => '#',
        Level::INFO => '*',
        Level::DEBUG => '-',
        Level::TRACE => '.',
    };
    format!("{process}:M {} {mark} {text}\n", date(unix_ms))
}

/// `20 Nov 2026 21:42:56.103`, UTC.
pub(super) fn date(unix_ms: u64) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (days, ms) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let (year, month, day) = date_of(days);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    let month = MONTHS[(month - 1) as usize];
    format!(
        "{day:02} {month} {year} {hour:02}:{minute:02}:{second:02}.{:03}",
        ms % 1000
    )
}

/// Collects an event's fields: the message first, the others as ` name=value`.
struct Text(String);

impl Text {
    fn push(&mut self, text: &str) {
        for character in text.chars() {
            if character.is_control() {
                self.0.extend(character.escape_default());
            } else {
                self.0.push(character);
            }
        }
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}");
        self.record_str(field, &text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() != "message" {
            self.push(&format!(" {}=", field.name()));
        }
        self.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_look_as_those_of_redis() {
        assert_eq!(
            line(7, 1_795_210_976_103, Level::INFO, "Ready"),
            "7:M 20 Nov 2026 21:42:56.103 * Ready\n"
        );
        assert_eq!(date(0), "01 Jan 1970 00:00:00.000");
        assert_eq!(date(951_782_400_000), "29 Feb 2000 00:00:00.000");
        assert_eq!(date(4_107_542_399_999), "28 Feb 2100 23:59:59.999");
    }

    #[test]
    fn a_message_cannot_forge_a_line() {
        let mut text = Text(String::new());
        text.push("a\n1:M b");
        assert_eq!(text.0, "a\\n1:M b");
    }
}
