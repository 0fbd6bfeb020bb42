//! Logins that were refused: how many in all, and how many by name for the log. A wrong password is noted by the address it came from,
//! a user who has as many connections as it may have by the user.
//!
//! ```text
//! AUTH, HELLO AUTH, a certificate ──► note(name) ──► window of that name ── once a minute, if there were any ──► one line
//! ```
//! The first of a name is told of at once, later ones together: a guesser writes one line a minute, not the disk full.
//!
//! Invariants: no more windows than [`REFUSED_LOGIN_NAMES_MAX`], the names beyond share one; one in which nothing happened for a
//! minute is forgotten.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::limits::{REFUSED_LOGIN_LINE_MS, REFUSED_LOGIN_NAMES_MAX};

/// The window of all names for which there is no room. No user can have this name: it has a blank.
const OTHERS: &str = "all others";

/// What is not told of one name yet.
#[derive(Debug, Default)]
struct Window {
    count: u64,
    /// When its last line was written, Unix ms; `None` before the first.
    told_ms: Option<u64>,
}

impl Window {
    fn is_due(&self, now_ms: u64) -> bool {
        self.told_ms
            .is_none_or(|told| now_ms.saturating_sub(told) >= REFUSED_LOGIN_LINE_MS)
    }
}

/// The logins that were refused for one reason.
#[derive(Debug, Default)]
pub(crate) struct RefusedLogins {
    count: AtomicU64,
    windows: Mutex<HashMap<Box<str>, Window>>,
}

/// The address of a client (`ip:port`, or the path of a unix socket and a port) without its port.
pub(crate) fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

impl RefusedLogins {
    /// How many since the start.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// One more.
    pub(crate) fn note(&self, mut name: &str) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if !windows.contains_key(name) && windows.len() + 1 >= REFUSED_LOGIN_NAMES_MAX {
            name = OTHERS;
        }
        match windows.get_mut(name) {
            Some(window) => window.count += 1,
            None => {
                let first = Window {
                    count: 1,
                    told_ms: None,
                };
                windows.insert(name.into(), first);
            }
        }
    }

    /// One more of a user with this name, which need not be UTF-8.
    pub(crate) fn note_user(&self, name: &[u8]) {
        self.note(&String::from_utf8_lossy(name));
    }

    /// What the log is to tell now, by name.
    pub(crate) fn take_due(&self, now_ms: u64) -> Vec<(Box<str>, u64)> {
        let mut due = Vec::new();
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.retain(|name, window| {
            if !window.is_due(now_ms) {
                return true;
            }
            let count = std::mem::take(&mut window.count);
            window.told_ms = Some(now_ms);
            if count > 0 {
                due.push((name.clone(), count));
            }
            count > 0
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(logins: &RefusedLogins, now_ms: u64) -> Vec<(String, u64)> {
        let due = logins.take_due(now_ms).into_iter();
        let mut due: Vec<_> = due.map(|(name, count)| (name.into(), count)).collect();
        due.sort();
        due
    }

    #[test]
    fn an_address_is_told_of_at_once_and_then_once_a_minute() {
        let logins = RefusedLogins::default();
        let note = |address| logins.note(host_of(address));
        note("192.0.2.1:5000");
        note("192.0.2.1:5001");
        note("[2001:db8::1]:6");
        note("/run/millrace.sock:0");
        let expected = [
            ("/run/millrace.sock", 1),
            ("192.0.2.1", 2),
            ("2001:db8::1", 1),
        ];
        assert_eq!(
            lines(&logins, 1000),
            expected.map(|(a, n)| (a.to_owned(), n))
        );
        (0..7).for_each(|_| note("192.0.2.1:5002"));
        assert_eq!(lines(&logins, 60_999), []);
        assert_eq!(lines(&logins, 61_000), [("192.0.2.1".to_owned(), 7)]);
        assert_eq!(logins.count(), 11);
    }

    #[test]
    fn a_quiet_minute_ends_a_window_and_the_next_failure_is_told_of_at_once() {
        let logins = RefusedLogins::default();
        logins.note("192.0.2.1");
        assert_eq!(lines(&logins, 0).len(), 1);
        assert_eq!(lines(&logins, 60_000), []);
        logins.note("192.0.2.1");
        assert_eq!(lines(&logins, 60_001).len(), 1);
    }

    #[test]
    fn names_beyond_the_limit_share_one_line() {
        let logins = RefusedLogins::default();
        for number in 0..2 * REFUSED_LOGIN_NAMES_MAX {
            logins.note(&format!("2001:db8::{number:x}"));
        }
        let lines = lines(&logins, 1);
        assert_eq!(lines.len(), REFUSED_LOGIN_NAMES_MAX);
        let others = REFUSED_LOGIN_NAMES_MAX as u64 + 1;
        assert!(lines.contains(&(OTHERS.to_owned(), others)), "{lines:?}");
    }
}
