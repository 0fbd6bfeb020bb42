//! The pass that decides how much of a file counts.

use std::io::{self, Read, Seek, SeekFrom};

use super::super::annotation::{self, Commit, RangeChecksum};
use super::super::own;
use super::entry::Kind;
use super::proof;
use super::verdict::{self, Proof, Tail, Verdict, seal};
use super::window::{Found, Window};
use crate::resp::arguments::Args;

/// Bytes that are summed at once: so few that they are still near the processor.
const SUMMED_BYTES: usize = 16 * 1024;

/// Reads a file from `start`, where commands begin (0, or behind a snapshot), and decides how much of it counts.
///
/// # Errors
/// Those of the reader.
pub fn verify<R: Read + Seek>(mut reader: R, start: u64) -> io::Result<Verdict> {
    let bytes = reader.seek(SeekFrom::End(0))?;
    reader.seek(SeekFrom::Start(start))?;
    let mut pass = Pass::new(Window::new(&mut reader, start));
    let failure = pass.run()?;
    let state = pass.state;
    let tail = match failure {
        None => Tail::Clean,
        Some(failure) => state.judge(&mut reader, failure)?,
    };
    let valid_bytes = state.border.offset;
    Ok(Verdict {
        bytes,
        valid_bytes,
        unsynced_from: state.synced.min(valid_bytes),
        commands: state.border.commands,
        tail,
        is_open: !matches!(state.part, Part::Theirs),
        salt: state.border.salt,
        seal: state
            .border
            .salt
            .map(|salt| seal(salt, state.border.open, valid_bytes))
            .unwrap_or_default(),
    })
}

/// What ended the pass before the end of the file, or there.
struct Failure {
    at: u64,
    reason: &'static str,
    kind: FailureKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FailureKind {
    /// The file ends where more had to come.
    Short,
    /// Something fits nowhere, or has another checksum.
    Broken,
}

/// Whose the bytes are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// A Redis': commands count one by one.
    Theirs,
    /// Ours: what has this salt counts with a commit behind it.
    Ours(u32),
    /// The fill behind ours.
    Fill(u32),
}

/// A place where the file could be cut.
#[derive(Clone, Copy)]
struct Border {
    offset: u64,
    commands: u64,
    salt: Option<u32>,
    /// The checksum since the last commit, where the border is not right behind one.
    open: Option<RangeChecksum>,
}

struct State {
    part: Part,
    border: Border,
    /// End of the last mark that was right.
    last_mark: u64,
    /// End of the last begin mark.
    begun: u64,
    range: RangeChecksum,
    /// What is before this is on disk: commits say so of ours; a Redis' commands are taken for it.
    synced: u64,
    /// Whether commands came since the last mark.
    has_open: bool,
    /// Commands so far.
    commands: u64,
    /// The border before the transaction in progress.
    transaction: Option<Border>,
}

struct Pass<R> {
    window: Window<R>,
    state: State,
    /// Arguments of own lines, to see that they can be read.
    own_bytes: Vec<u8>,
    own_ends: Vec<usize>,
}

impl<R: Read> Pass<R> {
    fn new(window: Window<R>) -> Self {
        let start = window.offset();
        let state = State {
            part: Part::Theirs,
            border: Border {
                offset: start,
                commands: 0,
                salt: None,
                open: None,
            },
            last_mark: start,
            begun: start,
            synced: start,
            range: RangeChecksum::new(0),
            has_open: false,
            commands: 0,
            transaction: None,
        };
        Self {
            window,
            state,
            own_bytes: Vec::new(),
            own_ends: Vec::new(),
        }
    }

    /// Up to the end of the file, or to what does not fit.
    fn run(&mut self) -> io::Result<Option<Failure>> {
        loop {
            let at = self.window.offset();
            let failure = |at, reason, kind| Ok(Some(Failure { at, reason, kind }));
            let taken = match self.window.entry()? {
                Found::Whole(Kind::Command, len) => self.command(len),
                Found::Whole(kind, len) => self.line(kind, len),
                Found::Nothing if self.state.transaction.is_some() => {
                    return failure(at, "a transaction without its EXEC", FailureKind::Short);
                }
                Found::Nothing if self.state.has_open => {
                    return failure(at, "commands without their commit", FailureKind::Short);
                }
                Found::Nothing if self.state.lacks_end(at) => {
                    return failure(at, verdict::CUT_OFF, FailureKind::Short);
                }
                Found::Nothing => return Ok(None),
                Found::Incomplete => {
                    return failure(at, "the file ends within a command", FailureKind::Short);
                }
                Found::Broken(at, reason) => return failure(at, reason, FailureKind::Broken),
            };
            if let Err((reason, kind)) = taken {
                return failure(at, reason, kind);
            }
        }
    }

    fn sum(&mut self) {
        if self.state.part == Part::Theirs {
            self.window.passed();
        } else {
            self.state.range.extend(self.window.passed());
        }
    }

    #[inline]
    fn command(&mut self, len: usize) -> Result<(), (&'static str, FailureKind)> {
        if matches!(self.state.part, Part::Fill(_)) {
            return Err(("a command within the fill", FailureKind::Broken));
        }
        if self.window.ranges.len() == 1 {
            let arguments = Args::new(self.window.bytes(), &self.window.ranges);
            let name = arguments.at(0);
            if name.eq_ignore_ascii_case(b"MULTI") && self.state.transaction.is_none() {
                self.sum();
                self.state.transaction = Some(self.state.here(self.window.offset()));
            } else if name.eq_ignore_ascii_case(b"EXEC") {
                self.state.transaction = None;
            }
        }
        self.window.pass(len);
        if self.window.held_bytes() >= SUMMED_BYTES {
            self.sum();
        }
        self.state.commands += 1;
        match self.state.part {
            Part::Theirs if self.state.transaction.is_none() => {
                self.state.synced = self.window.offset();
                self.state.border = self.state.here(self.window.offset());
            }
            Part::Theirs => {}
            Part::Ours(_) | Part::Fill(_) => self.state.has_open = true,
        }
        Ok(())
    }

    fn line(&mut self, kind: Kind, len: usize) -> Result<(), (&'static str, FailureKind)> {
        use FailureKind::Broken;
        match (self.state.part, kind) {
            (_, Kind::Command) => self.command(len),
            (_, Kind::Begin(salt)) => self.begin(salt, len),
            (_, Kind::Reserved) => Err(("a mark that is damaged", Broken)),
            (Part::Theirs, Kind::Commit(_) | Kind::Own) => Err((
                "a line of ours in a part that does not begin as ours",
                Broken,
            )),
            (Part::Theirs, Kind::Fill | Kind::End | Kind::Note) => {
                self.window.pass(len);
                if self.state.transaction.is_none() && self.state.border.salt.is_none() {
                    self.state.border.offset = self.window.offset();
                }
                Ok(())
            }
            (Part::Ours(salt) | Part::Fill(salt), Kind::End) => self.end(salt, len),
            (Part::Ours(_), Kind::Fill) if self.state.has_open => {
                Err(("fill where a commit had to be", Broken))
            }
            (Part::Ours(salt) | Part::Fill(salt), Kind::Fill) => {
                self.window.pass(len);
                self.window.passed();
                self.state.part = Part::Fill(salt);
                Ok(())
            }
            (Part::Fill(_), _) => Err(("something within the fill", Broken)),
            (Part::Ours(salt), Kind::Commit(commit)) => {
                let is_right = self.commit(salt, commit);
                is_right.ok_or(("the checksum of a commit does not fit", Broken))
            }
            (Part::Ours(_), Kind::Own) => self.own(len),
            // Nothing else: a commit with a damaged second byte is no note.
            (Part::Ours(_), Kind::Note) if !self.window.bytes().starts_with(b"#TS:") => {
                Err(("a line that this version does not know", Broken))
            }
            (Part::Ours(_), Kind::Note) => {
                self.window.pass(len);
                self.state.has_open = true;
                Ok(())
            }
        }
    }

    fn begin(&mut self, salt: u32, len: usize) -> Result<(), (&'static str, FailureKind)> {
        if self.state.transaction.is_some() || self.state.has_open {
            return Err(("a begin mark where a commit had to be", FailureKind::Broken));
        }
        if matches!(self.state.part, Part::Fill(_)) {
            return Err(("a begin mark within the fill", FailureKind::Broken));
        }
        self.window.pass(len);
        self.window.passed();
        self.state.part = Part::Ours(salt);
        self.state.begun = self.window.offset();
        self.state.committed(salt, self.window.offset());
        Ok(())
    }

    fn commit(&mut self, salt: u32, commit: Commit) -> Option<()> {
        self.sum();
        if !commit.seals(self.state.range) {
            return None;
        }
        self.window.pass(commit.len);
        self.window.passed();
        self.state.synced = commit.synced(self.window.offset());
        self.state.committed(salt, self.window.offset());
        Some(())
    }

    fn end(&mut self, salt: u32, len: usize) -> Result<(), (&'static str, FailureKind)> {
        if !self.window.bytes().starts_with(&annotation::end_line(salt)) {
            return Err(("an end mark that is damaged", FailureKind::Broken));
        }
        if self.state.has_open || self.state.transaction.is_some() {
            return Err(("an end mark where a commit had to be", FailureKind::Broken));
        }
        self.window.pass(len);
        self.window.passed();
        self.state.part = Part::Theirs;
        Ok(())
    }

    fn own(&mut self, len: usize) -> Result<(), (&'static str, FailureKind)> {
        self.own_bytes.clear();
        self.own_ends.clear();
        let lines = self.window.bytes().get(..len).unwrap_or_default();
        if own::decode(lines, &mut self.own_bytes, &mut self.own_ends).is_none() {
            return Err(("a command of ours that is damaged", FailureKind::Broken));
        }
        self.window.pass(len);
        self.state.has_open = true;
        self.state.commands += 1;
        Ok(())
    }
}

impl State {
    /// The border at `offset`, up to which all is summed.
    fn here(&self, offset: u64) -> Border {
        let salt = match self.part {
            Part::Theirs => None,
            Part::Ours(salt) | Part::Fill(salt) => Some(salt),
        };
        Border {
            offset,
            commands: self.commands,
            salt,
            open: (salt.is_some() && self.has_open).then_some(self.range),
        }
    }

    /// Everything up to `offset` counts, but for a transaction in progress.
    fn committed(&mut self, salt: u32, offset: u64) {
        self.range = RangeChecksum::new(salt);
        self.has_open = false;
        self.last_mark = offset;
        self.border = self.transaction.unwrap_or_else(|| self.here(offset));
    }

    /// Whether a file that ends here has lost something: fill, with an end mark, is on disk before the first commit, and from then on
    /// there is always a line of one of them behind the last. A begin mark alone is what a kill leaves of the write that begins a part;
    /// at the beginning of a file it is too short for that.
    fn lacks_end(&self, end: u64) -> bool {
        let is_begun_alone = self.begun == end && end > annotation::ALIGNMENT;
        matches!(self.part, Part::Ours(_)) && self.last_mark == end && !is_begun_alone
    }

    /// Whether a failure is a torn end or damage.
    fn judge<R: Read + Seek>(&self, reader: &mut R, failure: Failure) -> io::Result<Tail> {
        let Failure { at, reason, kind } = failure;
        let commands = self.commands - self.border.commands;
        let torn = Tail::Torn {
            at,
            reason,
            commands,
        };
        let proof = match self.part {
            Part::Theirs if kind == FailureKind::Short => None,
            Part::Theirs => {
                // What a file system leaves of a size without its bytes, or of fill that was not synced.
                reader.seek(SeekFrom::Start(at))?;
                (!proof::is_filler(reader, at)?).then_some(Proof::Foreign)
            }
            Part::Ours(salt) | Part::Fill(salt) => {
                if matches!(self.part, Part::Fill(_)) && self.transaction.is_none() {
                    reader.seek(SeekFrom::Start(at))?;
                    if proof::is_filler(reader, at)? {
                        // Fill that was being lengthened: nothing is lost.
                        return Ok(Tail::Clean);
                    }
                }
                reader.seek(SeekFrom::Start(self.last_mark))?;
                let found = proof::search(reader, salt, self.last_mark, at)?;
                let is_behind_fill = matches!(self.part, Part::Fill(_));
                let has_no_end =
                    is_behind_fill && kind == FailureKind::Broken && !found.ends_as_ours;
                found.proof.or(has_no_end.then_some(Proof::NoEnd))
            }
        };
        Ok(proof.map_or(torn, |proof| Tail::Damaged { at, reason, proof }))
    }
}
