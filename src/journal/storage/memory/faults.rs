//! Which call fails, and how.

use std::collections::BTreeMap;
use std::io;

use rustix::io::Errno;

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// A file is opened, for reading or writing.
    Open,
    /// `read`.
    Read,
    /// `write_at`.
    Write,
    /// `sync_data`.
    SyncData,
    /// `set_len`.
    SetLen,
    /// `rename`.
    Rename,
    /// `remove`.
    Remove,
    /// `size` and `list`.
    Look,
    /// `create_dir`.
    CreateDir,
    /// `sync_dir`.
    SyncDir,
    /// `lock_dir`.
    Lock,
}

impl Call {
    /// All kinds.
    pub const ALL: [Call; 11] = [
        Call::Open,
        Call::Read,
        Call::Write,
        Call::SyncData,
        Call::SetLen,
        Call::Rename,
        Call::Remove,
        Call::Look,
        Call::CreateDir,
        Call::SyncDir,
        Call::Lock,
    ];
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A read or write of at most so many bytes; nothing for other calls.
    Short(usize),
    /// "No space left on device".
    NoSpace,
    /// "Input/output error".
    Broken,
    /// Interrupted by a signal.
    Interrupted,
}

/// What comes of a fault.
#[derive(Debug)]
pub(super) enum Cut {
    /// It goes on, with so many bytes.
    After(usize),
    /// It fails.
    Error(io::Error),
}

/// The plan, and the calls so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    calls: BTreeMap<Call, u64>,
    planned: BTreeMap<(Call, u64), Fault>,
}

impl Faults {
    pub(super) fn plan(&mut self, call: Call, nth: u64, fault: Fault) {
        let nth = self.calls(call) + nth;
        self.planned.insert((call, nth), fault);
    }

    pub(super) fn calls(&self, call: Call) -> u64 {
        self.calls.get(&call).copied().unwrap_or_default()
    }

    /// Counts a call and says what is planned for it.
    pub(super) fn next(&mut self, call: Call) -> Option<Cut> {
        let count = self.calls.entry(call).or_default();
        *count += 1;
        let error = |errno: Errno| Cut::Error(io::Error::from_raw_os_error(errno.raw_os_error()));
        Some(match self.planned.remove(&(call, *count))? {
            Fault::Short(most) => Cut::After(most),
            Fault::NoSpace => error(Errno::NOSPC),
            Fault::Broken => error(Errno::IO),
            Fault::Interrupted => error(Errno::INTR),
        })
    }
}
