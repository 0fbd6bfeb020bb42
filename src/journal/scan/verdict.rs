//! What is known about a file that was read through.

use std::fmt;

use super::super::annotation;

/// What is said of a file of ours that ends right behind a mark.
pub(super) const CUT_OFF: &str = "the file ends right behind a commit, where a server leaves fill or an end mark: it was cut off there, and what \
                                  came behind is missing";
/// What is said of a file without a byte that a server of ours has listed.
const EMPTIED: &str =
    "the file is empty, but a server of ours never leaves it so: what was in it is missing";

/// How much of a file counts. See the module's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Bytes of the file.
    pub bytes: u64,
    /// The valid prefix, bytes.
    pub valid_bytes: u64,
    /// From there on the valid prefix may not be on disk, though it can be read.
    pub unsynced_from: u64,
    /// Commands in it, own lines, SELECT, MULTI and EXEC included.
    pub commands: u64,
    /// What is behind it.
    pub tail: Tail,
    /// The salt, when the valid prefix ends in a part that we wrote.
    pub salt: Option<u32>,
    /// Whether a part of ours goes on to the end of the file: there is no end mark.
    pub is_open: bool,
    /// What the file must end with once it is cut, at `valid_bytes`: a commit where the cut falls between two, and the end mark, so
    /// that a Redis may append.
    pub seal: Vec<u8>,
}

/// What is behind the valid prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tail {
    /// Nothing but fill.
    Clean,
    /// The end of what was written, not whole: it can be cut.
    Torn {
        /// Offset of the first byte that does not fit.
        at: u64,
        /// Why not.
        reason: &'static str,
        /// Whole commands behind the valid prefix. Where the writer's contract holds they are ours and were never acknowledged as
        /// synced.
        commands: u64,
    },
    /// It was once whole: not to be cut without being asked.
    Damaged {
        /// Offset of the first byte that does not fit, or of the mark whose range does not.
        at: u64,
        /// Why not.
        reason: &'static str,
        /// How that is known.
        proof: Proof,
    },
}

/// How damage is told from the end of what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A commit that ends at `commit` says that the file was on disk up to `synced`.
    Synced {
        /// Offset behind the commit mark.
        commit: u64,
        /// What was on disk when it was written.
        synced: u64,
    },
    /// The checksum is right, so this was written so: by another version, or with intent.
    Sealed,
    /// Something was appended behind the end of our part, which is at this offset.
    Appended(u64),
    /// An end mark, which ends at this offset, is put right behind a commit only when all before it is on disk.
    Ended(u64),
    /// Fill is behind the last commit, and no end mark behind what follows it.
    NoEnd,
    /// Files of commands that Redis writes are only ever cut short.
    Foreign,
}

impl Verdict {
    /// The verdict on a file that others follow in the same log: it must be finished.
    #[must_use]
    pub fn before_others(mut self) -> Self {
        if self.tail == Tail::Clean && self.is_open {
            self.tail = Tail::Torn {
                at: self.bytes,
                reason: "the end of the file is missing",
                commands: 0,
            };
        }
        self
    }

    /// The verdict on the last incremental file of a log whose manifest a server of ours has written, when it has no byte.
    #[must_use]
    pub fn emptied(mut self) -> Self {
        self.tail = Tail::Torn {
            at: 0,
            reason: EMPTIED,
            commands: 0,
        };
        // With nothing between the two any salt will do: who goes on begins with another.
        annotation::begin(0, 0, &mut self.seal);
        self.seal.extend_from_slice(&annotation::end_line(0));
        self
    }

    /// Whether the seal is no more than an end mark, or nothing: then the prefix is whole without it.
    #[must_use]
    pub fn is_sealed_by_end(&self) -> bool {
        self.seal.len() <= annotation::ALIGNMENT as usize
    }

    /// Bytes behind the valid prefix that are lost when the file is cut; fill is not. Of a torn file 0: what is missing is gone already.
    #[must_use]
    pub fn tail_bytes(&self) -> u64 {
        match self.tail {
            Tail::Clean => 0,
            Tail::Torn { .. } | Tail::Damaged { .. } => self.bytes - self.valid_bytes,
        }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Proof::Synced { commit, synced } => write!(
                f,
                "the commit that ends at offset {commit} says that everything up to offset {synced} was on disk"
            ),
            Proof::Sealed => f.write_str("the checksum around it is right"),
            Proof::Appended(at) => write!(
                f,
                "something was appended behind the end of our part at offset {at}"
            ),
            Proof::Ended(at) => write!(
                f,
                "the end mark before offset {at} says that everything before it was on disk"
            ),
            Proof::NoEnd => f.write_str("no end of our part follows, so it was appended"),
            Proof::Foreign => f.write_str("it is not the end of the file"),
        }
    }
}

impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tail::Clean => f.write_str("whole"),
            Tail::Torn { at, reason, .. } => write!(f, "torn at offset {at}: {reason}"),
            Tail::Damaged { at, reason, proof } => {
                write!(f, "damaged at offset {at}: {reason}; {proof}")
            }
        }
    }
}

/// The end of a part of ours that was cut at `at`. `open`: the checksum of what is there since the last commit, if anything is.
pub(super) fn seal(salt: u32, open: Option<annotation::RangeChecksum>, at: u64) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(range) = open {
        annotation::commit(range, at, 0, &mut out);
    }
    out.extend_from_slice(&annotation::end_line(salt));
    out
}
