//! The manifest: which files make up the log, in Redis 7's own format.
//!
//! ```text
//! #millrace shards 4                                           ours; Redis skips it, and drops it when it rewrites the file
//! file appendonly.aof.2.base.rdb seq 2 type b                  everything up to a cut: at most one
//! file appendonly.aof.1.incr.aof seq 1 type h                  history: may be deleted
//! file appendonly.aof.2.incr.aof seq 2 type i                  what came after the base, in ascending order
//! file "my log.aof.3.incr.aof" seq 3 type i                    a name with a space is quoted as by CONFIG REWRITE
//! ```
//! Words of pairs that nobody knows are skipped, as Redis does; so are lines that begin with `#`. A change of the set of files is
//! a new [`Manifest`], made by a function that touches nothing and written whole: temporary file, sync, rename, sync of the directory.
//! Whoever lists a file has synced it, and its name, before.

mod words;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::storage::{CrashPoint, Opening, Storage, write_all_at};

/// Longest line that Redis reads, line end included, bytes.
const LINE_BYTES_MAX: usize = 1023;
/// Largest manifest that is read: Redis keeps as many files as there were rewrites that failed in a row. Bytes.
const BYTES_MAX: u64 = 16 << 20;
/// What a line is not. The first words of this and all other reasons are Redis'.
const NO_FILE: &str =
    "Invalid AOF manifest file format: it is not 'file <name> seq <number> type <b, h or i>'";
/// Begins the line with our own facts.
const OWN: &[u8] = b"#millrace shards ";

/// The format of a base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseFormat {
    /// A snapshot (`aof-use-rdb-preamble yes`).
    Rdb,
    /// Commands.
    Commands,
}

/// One file of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Its name in the log's directory.
    pub name: OsString,
    /// Its number among those of its kind, from 1.
    pub sequence: u64,
}

/// The files of a log. See the module's head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// What the names begin with (`appendfilename`).
    pub filename: OsString,
    /// How many shards wrote it, if a server of ours did.
    pub shards: Option<usize>,
    /// Everything up to a cut.
    pub base: Option<LogFile>,
    /// What came after it, oldest first; the last one is written to.
    pub incrementals: Vec<LogFile>,
    /// Files that nothing needs any more.
    pub history: Vec<LogFile>,
    /// Up to this number names are taken by files that it does not list. It is not written.
    pub taken: u64,
}

/// What is wrong with a manifest.
#[derive(Debug, PartialEq, Eq)]
pub struct ManifestError {
    /// Line, from 1; 0 for a file without one.
    pub line: usize,
    /// What.
    pub reason: &'static str,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(self.reason),
            line => write!(f, "line {line}: {}", self.reason),
        }
    }
}

impl std::error::Error for ManifestError {}

/// The name of the manifest of a log.
#[must_use]
pub fn manifest_name(filename: &OsStr) -> OsString {
    joined(filename, ".manifest")
}

/// What the name of a file of a log says: what the names of that log begin with, the number, and whether it is a base.
#[must_use]
pub fn parts_of(name: &OsStr) -> Option<(OsString, u64, bool)> {
    let name = name.as_bytes();
    let base = [b".base.rdb", b".base.aof"];
    let base = base.iter().find_map(|ending| name.strip_suffix(*ending));
    let name = base.or_else(|| name.strip_suffix(b".incr.aof"))?;
    let dot = name.iter().rposition(|byte| *byte == b'.')?;
    let (filename, digits) = (name.get(..dot)?, name.get(dot + 1..)?);
    let is_number = digits.iter().all(u8::is_ascii_digit);
    let sequence = std::str::from_utf8(digits).ok()?.parse().ok();
    let sequence = sequence.filter(|_| is_number && !filename.is_empty())?;
    Some((
        OsString::from_vec(filename.to_vec()),
        sequence,
        base.is_some(),
    ))
}

fn joined(filename: &OsStr, ending: &str) -> OsString {
    let mut name = filename.to_owned();
    name.push(ending);
    name
}

fn largest<'a>(files: impl Iterator<Item = &'a LogFile>) -> u64 {
    files.map(|file| file.sequence).max().unwrap_or_default()
}

impl Manifest {
    /// Of a log that has no file yet.
    #[must_use]
    pub fn new(filename: &OsStr) -> Self {
        Self {
            filename: filename.to_owned(),
            ..Self::default()
        }
    }

    /// Of a log that begins: a base and an incremental file, both number 1, to be written before it.
    #[must_use]
    pub fn first(filename: &OsStr, format: BaseFormat) -> Self {
        Self::new(filename)
            .with_new_incremental()
            .with_new_base(format, 1)
    }

    /// The base that the next rewrite makes.
    #[must_use]
    pub fn next_base(&self, format: BaseFormat) -> LogFile {
        let listed = largest(self.base.iter().chain(&self.history));
        let sequence = 1 + listed.max(self.taken);
        let ending = match format {
            BaseFormat::Rdb => "rdb",
            BaseFormat::Commands => "aof",
        };
        LogFile {
            name: joined(&self.filename, &format!(".{sequence}.base.{ending}")),
            sequence,
        }
    }

    /// The number in a name as the manifest gives it to its files.
    pub(super) fn sequence_of(&self, name: &OsStr) -> Option<u64> {
        let (filename, sequence, _) = parts_of(name)?;
        (filename == self.filename).then_some(sequence)
    }

    /// The incremental file that comes after the last.
    #[must_use]
    pub fn next_incremental(&self) -> LogFile {
        let listed = largest(self.incrementals.iter().chain(&self.history));
        let sequence = 1 + listed.max(self.taken);
        LogFile {
            name: joined(&self.filename, &format!(".{sequence}.incr.aof")),
            sequence,
        }
    }

    /// With [`Manifest::next_incremental`] as the file that is written to.
    #[must_use]
    pub fn with_new_incremental(&self) -> Self {
        let mut next = self.clone();
        next.incrementals.push(self.next_incremental());
        next
    }

    /// With [`Manifest::next_base`], which holds what the old base and the incremental files numbered below `covered_below` hold: these
    /// become history.
    #[must_use]
    pub fn with_new_base(&self, format: BaseFormat, covered_below: u64) -> Self {
        let mut next = self.clone();
        next.history
            .extend(next.base.replace(self.next_base(format)));
        let (covered, kept) = next
            .incrementals
            .into_iter()
            .partition(|file| file.sequence < covered_below);
        next.incrementals = kept;
        let covered: Vec<LogFile> = covered;
        next.history.extend(covered);
        next
    }

    /// Without the history, once its files are deleted.
    #[must_use]
    pub fn without_history(&self) -> Self {
        Self {
            history: Vec::new(),
            ..self.clone()
        }
    }

    /// Base and incremental files, in the order in which they are read.
    pub fn files(&self) -> impl Iterator<Item = &LogFile> {
        self.base.iter().chain(&self.incrementals)
    }

    /// The bytes of the manifest.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(shards) = self.shards {
            out.extend_from_slice(OWN);
            out.extend_from_slice(format!("{shards}\n").as_bytes());
        }
        let base = self.base.iter().map(|file| (file, b'b'));
        let history = self.history.iter().map(|file| (file, b'h'));
        let incrementals = self.incrementals.iter().map(|file| (file, b'i'));
        for (file, kind) in base.chain(history).chain(incrementals) {
            out.extend_from_slice(b"file ");
            words::write(file.name.as_bytes(), &mut out);
            out.extend_from_slice(format!(" seq {} type ", file.sequence).as_bytes());
            out.extend_from_slice(&[kind, b'\n']);
        }
        out
    }

    /// Reads the bytes of a manifest.
    ///
    /// # Errors
    /// What Redis refuses is refused, and so is a number that no file can follow.
    pub fn decode(filename: &OsStr, bytes: &[u8]) -> Result<Self, ManifestError> {
        let mut manifest = Self::new(filename);
        let mut last_incremental = 0;
        let error = |line, reason| ManifestError { line, reason };
        if bytes.is_empty() {
            return Err(error(0, "Found an empty AOF manifest"));
        }
        for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let number = index + 1;
            let error = |reason| error(number, reason);
            if line.len() > LINE_BYTES_MAX || !line.ends_with(b"\n") {
                return Err(error(
                    "The AOF manifest file contains too long line, or one without an end",
                ));
            }
            if line.starts_with(b"#") {
                let own = line.trim_ascii_end().strip_prefix(OWN);
                let own = own.and_then(|own| std::str::from_utf8(own).ok());
                manifest.shards = own.and_then(|own| own.parse().ok()).or(manifest.shards);
                continue;
            }
            let (file, kind) = file_of(line).map_err(error)?;
            match kind {
                b'b' if manifest.base.is_some() => {
                    return Err(error("Found duplicate base file information"));
                }
                b'b' => manifest.base = Some(file),
                b'h' => manifest.history.push(file),
                b'i' if file.sequence <= last_incremental => {
                    return Err(error("Found a non-monotonic sequence number"));
                }
                b'i' => {
                    last_incremental = file.sequence;
                    manifest.incrementals.push(file);
                }
                _ => return Err(error("Unknown AOF file type: it is none of b, h, i")),
            }
        }
        Ok(manifest)
    }

    /// Reads the manifest of a log, `None` when there is none.
    ///
    /// # Errors
    /// Those of the storage; `InvalidData` when it makes no sense: file, line, what to do.
    pub fn read(
        storage: &dyn Storage,
        directory: &Path,
        filename: &OsStr,
    ) -> io::Result<Option<Self>> {
        let path = directory.join(manifest_name(filename));
        let mut bytes = Vec::new();
        match storage.open_read(&path) {
            Ok(file) => file.take(BYTES_MAX).read_to_end(&mut bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Self::decode(filename, &bytes).map(Some).map_err(|error| {
            let path = path.display();
            let text = match error.line {
                0 => format!("{path}: {error}; take it from a backup"),
                _ => {
                    format!("{path}, {error}; correct the line, or take the manifest from a backup")
                }
            };
            io::Error::new(io::ErrorKind::InvalidData, text)
        })
    }

    /// Writes the manifest so that after a crash at any moment either the old or the new one is there.
    ///
    /// # Errors
    /// Those of the storage. After one either may be what a restart finds.
    pub fn write(&self, storage: &dyn Storage, directory: &Path) -> io::Result<()> {
        self.prepare(storage, directory)?.put(storage)
    }

    /// Writes the manifest under another name: nothing has changed yet.
    ///
    /// # Errors
    /// Those of the storage. After one the old manifest counts.
    pub(super) fn prepare(&self, storage: &dyn Storage, directory: &Path) -> io::Result<Prepared> {
        let name = manifest_name(&self.filename);
        let mut temporary = OsString::from("temp-");
        temporary.push(&name);
        let temporary: PathBuf = directory.join(temporary);
        let file = storage.open_write(&temporary, Opening::Emptied)?;
        write_all_at(&*file, 0, &self.encode())?;
        file.sync_data()?;
        drop(file);
        storage.reach(CrashPoint::BeforeManifestRename)?;
        Ok(Prepared {
            directory: directory.to_owned(),
            temporary,
            path: directory.join(name),
        })
    }
}

/// A manifest that is on disk under another name.
pub(super) struct Prepared {
    directory: PathBuf,
    temporary: PathBuf,
    path: PathBuf,
}

impl Prepared {
    /// Puts it in the place of the old one.
    ///
    /// # Errors
    /// Those of the storage. After one either may be what a restart finds.
    pub(super) fn put(self, storage: &dyn Storage) -> io::Result<()> {
        storage.rename(&self.temporary, &self.path)?;
        storage.reach(CrashPoint::AfterManifestRename)?;
        storage.sync_dir(&self.directory)?;
        storage.reach(CrashPoint::AfterManifestSync)
    }
}

/// The file that a line names, and its type.
fn file_of(line: &[u8]) -> Result<(LogFile, u8), &'static str> {
    let words = words::split(line.trim_ascii());
    let words = words.ok_or("Invalid AOF manifest file format: its quotes do not match")?;
    let (pairs, rest) = words.as_chunks::<2>();
    if pairs.len() < 3 || !rest.is_empty() {
        return Err(NO_FILE);
    }
    let (mut name, mut sequence, mut kind) = (None, 0, None);
    for [word, value] in pairs {
        if word.eq_ignore_ascii_case(b"file") {
            if value.contains(&b'/') {
                return Err("File can't be a path, just a filename");
            }
            name = Some(value);
        } else if word.eq_ignore_ascii_case(b"seq") {
            let text = std::str::from_utf8(value).unwrap_or_default();
            sequence = text.parse().unwrap_or_default();
        } else if word.eq_ignore_ascii_case(b"type") {
            kind = value.first().copied();
        }
    }
    let name = name.filter(|name| !matches!(name.as_slice(), b"" | b"." | b".."));
    match (name, sequence, kind) {
        // Beyond it there is no number for the next file; Redis counts in signed 64 bits.
        (_, 0 | 0x7FFF_FFFF_FFFF_FFFF.., _) => {
            Err("Invalid AOF manifest file format: its number is not one from 1 on")
        }
        (Some(name), sequence, Some(kind)) => {
            let name = OsString::from_vec(name.clone());
            Ok((LogFile { name, sequence }, kind))
        }
        _ => Err(NO_FILE),
    }
}

/// Takes over the log of a Redis before 7, which is a single file beside the log's directory: it becomes the base, in the directory.
/// Returns the manifest when there was one to take over. After a crash at any moment it can be called again.
///
/// # Errors
/// Those of the storage and of [`Manifest::read`].
pub fn upgrade(
    storage: &dyn Storage,
    directory: &Path,
    filename: &OsStr,
) -> io::Result<Option<Manifest>> {
    let old = Path::new(filename);
    let new = directory.join(filename);
    if storage.size(old)?.is_none() {
        return Ok(None);
    }
    let alone = Manifest {
        base: Some(LogFile {
            name: filename.to_owned(),
            sequence: 1,
        }),
        ..Manifest::new(filename)
    };
    match Manifest::read(storage, directory, filename)? {
        None => {}
        // A crash came between manifest and move.
        Some(found)
            if found.base == alone.base
                && found.incrementals.is_empty()
                && storage.size(&new)?.is_none() => {}
        Some(_) => return Ok(None),
    }
    storage.create_dir(directory)?;
    storage.sync_dir(Path::new(""))?;
    alone.write(storage, directory)?;
    storage.reach(CrashPoint::BeforeUpgradeRename)?;
    storage.rename(old, &new)?;
    storage.reach(CrashPoint::AfterUpgradeRename)?;
    storage.sync_dir(directory)?;
    storage.sync_dir(Path::new(""))?;
    Ok(Some(alone))
}

#[cfg(test)]
mod tests;
