//! One line on the terminal that tells what is being measured; nothing where there is no terminal.

use std::io::{IsTerminal, Write};
use std::time::Instant;

/// The line.
pub(crate) struct Progress {
    is_shown: bool,
    begin: Instant,
    total: usize,
    done: usize,
}

impl Progress {
    pub(crate) fn new(total: usize) -> Self {
        Self {
            is_shown: std::io::stderr().is_terminal(),
            begin: Instant::now(),
            total,
            done: 0,
        }
    }

    /// Tells what is going on within the item in progress.
    pub(crate) fn tell(&self, words: &str) {
        if !self.is_shown {
            return;
        }
        let seconds = self.begin.elapsed().as_secs();
        let width = 20;
        let filled = width * self.done / self.total.max(1);
        let bar = format!("{}{}", "#".repeat(filled), "-".repeat(width - filled));
        // A terminal that is gone need not be told.
        let _gone = write!(
            std::io::stderr(),
            "\r\x1b[K[{bar}] {}/{} {:02}:{:02} {words}",
            self.done,
            self.total,
            seconds / 60,
            seconds % 60
        );
    }

    /// One item is done.
    pub(crate) fn advance(&mut self) {
        self.done += 1;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _gone = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
