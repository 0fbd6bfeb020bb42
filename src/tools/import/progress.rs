//! How far the import is: a bar on a terminal, else a line every few seconds.
//!
//! Invariants: nothing here stops an import, also not that nobody reads it; a bar is gone before anything else is printed.
//!
//! Deliberately not here: the report at the end.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::report::{bytes_shown, keys};

/// How often the bar is drawn.
const BAR_EVERY: Duration = Duration::from_millis(200);
/// How often a line is printed.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Characters of the bar; with all that stands beside it the line has less than 80.
const BAR_WIDTH: u64 = 20;

/// The progress of copying, then of comparing.
pub(super) struct Progress {
    is_terminal: bool,
    is_quiet: bool,
    what: &'static str,
    key_count: u64,
    /// Unknown with a pattern: SCAN does not tell how many it has passed over.
    keys_in_all: Option<u64>,
    /// Of payloads.
    bytes: u64,
    started: Instant,
    shown: Instant,
    has_bar: bool,
}

impl Progress {
    /// At the start of something, `copying`.
    pub(super) fn new(what: &'static str, keys_in_all: Option<u64>, is_quiet: bool) -> Progress {
        let now = Instant::now();
        Progress {
            is_terminal: std::io::stdout().is_terminal(),
            is_quiet,
            what,
            key_count: 0,
            keys_in_all,
            bytes: 0,
            started: now,
            shown: now,
            has_bar: false,
        }
    }

    /// So many more keys are done.
    pub(super) fn advance(&mut self, keys: u64, bytes: u64) {
        self.key_count += keys;
        self.bytes += bytes;
        let every = if self.is_terminal {
            BAR_EVERY
        } else {
            LINE_EVERY
        };
        let now = Instant::now();
        if self.is_quiet || now.duration_since(self.shown) < every {
            return;
        }
        self.shown = now;
        let line = self.line(now.duration_since(self.started));
        let mut out = std::io::stdout().lock();
        // Nobody may be reading: the exit code says how it went.
        let _ = if self.is_terminal {
            self.has_bar = true;
            write!(out, "\r{line}\x1b[K").and_then(|()| out.flush())
        } else {
            writeln!(out, "{line}").and_then(|()| out.flush())
        };
    }

    /// Removes the bar.
    pub(super) fn end(&mut self) {
        if self.has_bar {
            let mut out = std::io::stdout().lock();
            let _ = write!(out, "\r\x1b[K").and_then(|()| out.flush());
            self.has_bar = false;
        }
    }

    /// Bytes of payloads so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn line(&self, elapsed: Duration) -> String {
        let mut line = format!("{} ", self.what);
        let seconds = elapsed.as_secs_f64().max(0.001);
        let per_second = self.key_count as f64 / seconds;
        if let Some(all) = self.keys_in_all.filter(|&all| all > 0) {
            // There may be more keys meanwhile than at the start.
            let done = self.key_count.min(all);
            let filled = done.saturating_mul(BAR_WIDTH) / all;
            let bar: String = (0..BAR_WIDTH)
                .map(|at| if at < filled { '#' } else { '.' })
                .collect();
            let percent = done.saturating_mul(100) / all;
            line.push_str(&format!("[{bar}] {percent:>3} % "));
            if per_second > 0.0 {
                let left = ((all - done) as f64 / per_second).ceil();
                line.push_str(&format!("{left} s left, "));
            }
        }
        line.push_str(&keys(self.key_count));
        if self.bytes > 0 {
            line.push_str(&format!(", {}", bytes_shown(self.bytes)));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(keys: u64, all: Option<u64>, bytes: u64) -> String {
        let mut progress = Progress::new("copying", all, true);
        progress.advance(keys, bytes);
        progress.line(Duration::from_secs(2))
    }

    #[test]
    fn a_line_says_how_much_is_done_and_left() {
        assert_eq!(
            line(1_000, Some(4_000), 2_500_000),
            "copying [#####...............]  25 % 6 s left, 1,000 keys, 2.5 MB"
        );
        assert_eq!(line(1_000, None, 0), "copying 1,000 keys");
    }

    #[test]
    fn more_keys_than_there_were_at_the_start_are_no_more_than_all() {
        let bar = "#".repeat(20);
        assert_eq!(
            line(9, Some(3), 0),
            format!("copying [{bar}] 100 % 0 s left, 9 keys")
        );
    }
}
