//! ACL LOG: what was denied lately, the newest first.
//!
//! A denial like one of the newest entries, within a minute of it, counts that entry up and moves it to the front.
//! Time is passed in. Source: the ACL LOG page.

use std::collections::VecDeque;

use crate::limits::{ACL_LOG_GROUPED_AMONG, ACL_LOG_GROUPING_MS, ACL_LOG_TEXT_BYTES_MAX};

/// Why something was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// A wrong user name or password.
    Auth,
    /// The command.
    Command,
    /// A key.
    Key,
    /// A channel.
    Channel,
}

impl Reason {
    /// As ACL LOG has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Command => "command",
            Self::Key => "key",
            Self::Channel => "channel",
        }
    }
}

/// Where something was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    /// A command of a client.
    Toplevel,
    /// A command between MULTI and EXEC, or at EXEC.
    Multi,
    /// A command of a script.
    Lua,
}

impl Context {
    /// As ACL LOG has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Toplevel => "toplevel",
            Self::Multi => "multi",
            Self::Lua => "lua",
        }
    }
}

/// Something that was denied.
#[derive(Clone, Debug)]
pub(crate) struct Denial {
    /// Why.
    pub(crate) reason: Reason,
    /// Where.
    pub(crate) context: Context,
    /// The command's full name, the key, the channel; of AUTH the command as it was sent.
    pub(crate) object: Vec<u8>,
    /// The user; of AUTH the name that was tried.
    pub(crate) username: Vec<u8>,
    /// The client, as CLIENT LIST shows it.
    pub(crate) client_info: Vec<u8>,
}

/// Denials of the same kind.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its number: unique with `created_ms`.
    pub(crate) id: u64,
    /// How many.
    pub(crate) count: u64,
    /// What they have in common; the client is that of the last one.
    pub(crate) denial: Denial,
    /// Time of the first.
    pub(crate) created_ms: u64,
    /// Time of the last.
    pub(crate) updated_ms: u64,
}

impl Entry {
    fn takes(&self, denial: &Denial, now_ms: u64) -> bool {
        self.denial.reason == denial.reason
            && self.denial.context == denial.context
            && self.updated_ms.abs_diff(now_ms) <= ACL_LOG_GROUPING_MS
            && self.denial.object == denial.object
            && self.denial.username == denial.username
    }
}

/// The log.
#[derive(Debug, Default)]
pub(crate) struct AclLog {
    /// The newest first.
    entries: VecDeque<Entry>,
    /// How many entries were ever made.
    made: u64,
}

impl AclLog {
    /// Notes a denial. When an entry is made for it, the oldest beyond `length_max` (`acllog-max-len`) go.
    pub(crate) fn add(&mut self, mut denial: Denial, now_ms: u64, length_max: usize) {
        // A key may be as long as a request.
        denial.object.truncate(ACL_LOG_TEXT_BYTES_MAX);
        denial.object.shrink_to_fit();
        denial.username.truncate(ACL_LOG_TEXT_BYTES_MAX);
        let mut newest = self.entries.iter().take(ACL_LOG_GROUPED_AMONG);
        let alike = newest.position(|entry| entry.takes(&denial, now_ms));
        if let Some(mut entry) = alike.and_then(|at| self.entries.remove(at)) {
            entry.count += 1;
            entry.updated_ms = now_ms;
            entry.denial.client_info = denial.client_info;
            self.entries.push_front(entry);
            return;
        }
        self.entries.push_front(Entry {
            id: self.made,
            count: 1,
            denial,
            created_ms: now_ms,
            updated_ms: now_ms,
        });
        self.made += 1;
        self.entries.truncate(length_max);
    }

    /// The entries, the newest first.
    pub(crate) fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Forgets all entries. Their numbers are not given again.
    pub(crate) fn reset(&mut self) {
        self.entries = VecDeque::new();
    }
}
