//! `millrace check`: looks through the files of a log, or a snapshot, and repairs them when told to.
//!
//! ```text
//! DIR    its manifests, each with its files in order; of a server's directory also those of the directories in it, and snapshots
//! FILE   a manifest, a snapshot, or a log, which may begin with a snapshot
//! ```
//! Invariants: nothing is changed without `--fix`; what is cut is kept beside the file. What is behind a cut in a later file is no longer
//! listed, since a log without its middle would be another history; for the same reason a file in the middle of a log is not cut by itself.
//! A file that is neither a log nor a snapshot is left alone: a file whose name ends in `.rdb` is never a log, and a log of which nothing
//! makes sense is none.
//!
//! Exit code: 0 whole, or repaired; 1 torn or damaged; 2 something could not be read.

mod kept;
mod unlisted;

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use rustix::io::Errno;

use super::{complain, described, nobody_reads};
use crate::cli::CheckArguments;
use crate::journal::manifest::{LogFile, Manifest, manifest_name};
use crate::journal::scan::{Tail, Verdict, is_snapshot, verify};
use crate::journal::snapshot::{self, Snapshot};
use crate::journal::storage::disk::DiskStorage;
use crate::journal::storage::{DirectoryLock, Storage};

/// Runs the subcommand.
#[must_use]
pub fn run(arguments: &CheckArguments) -> ExitCode {
    let mut out = io::stdout().lock();
    match check(&arguments.path, arguments.fix, &mut out) {
        Ok(State::Whole) => ExitCode::SUCCESS,
        Ok(State::Broken) => ExitCode::from(1),
        Err(error) if nobody_reads(&error) => ExitCode::from(1),
        Err(error) => {
            complain(&described(&error));
            ExitCode::from(2)
        }
    }
}

/// How a file is, after a repair if there was one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Whole,
    Broken,
}

fn check(path: &Path, fix: bool, out: &mut dyn Write) -> anyhow::Result<State> {
    let about = || format!("cannot read {}", path.display());
    if path.is_dir() {
        let mut check = Check::new(path, fix, out)?;
        return check.directory().with_context(about);
    }
    let name = path.file_name().unwrap_or_default();
    let directory = path.parent().filter(|path| !path.as_os_str().is_empty());
    let mut check = Check::new(directory.unwrap_or(Path::new(".")), fix, out)?;
    let log = name.as_bytes().strip_suffix(b".manifest");
    match log {
        Some(log) => check.manifest(Path::new(""), OsStr::from_bytes(log)),
        None => check.single(Path::new(name)),
    }
    .with_context(about)
}

struct Check<'a> {
    storage: DiskStorage,
    fix: bool,
    out: &'a mut dyn Write,
    /// So that no server writes to what is repaired.
    locks: Vec<(PathBuf, Box<dyn DirectoryLock>)>,
}

/// What is said of a file that is left alone.
const NEITHER: &str =
    "it begins neither as a log nor as a snapshot, so nothing is cut: take it from a backup";

/// What is said of a file that a repair has put what it has cut off into.
const CUT_OFF: &str = "it is what a repair has cut off from a log, byte by byte: the commands that can be read in it are in the file with .commands \
                       behind the name, if there are any";

/// A file that was looked through.
enum Found {
    Missing,
    /// Neither a log nor a snapshot, so many bytes.
    Neither(u64),
    /// A snapshot that nothing goes on behind, or that is broken.
    Snapshot(Snapshot, u64),
    /// A log, and the end of the snapshot that it begins with, or 0.
    Log(Verdict, u64),
}

impl Found {
    fn state(&self) -> State {
        match self {
            Found::Snapshot(Snapshot::Whole { .. }, _) => State::Whole,
            Found::Log(verdict, _) if verdict.tail == Tail::Clean => State::Whole,
            Found::Missing | Found::Neither(_) | Found::Snapshot(..) | Found::Log(..) => {
                State::Broken
            }
        }
    }

    /// What is said of it, behind its name.
    fn text(&self) -> String {
        match self {
            Found::Missing => "missing".to_owned(),
            Found::Neither(bytes) => format!("{bytes} bytes: {NEITHER}"),
            Found::Snapshot(Snapshot::Broken(reason), bytes) => {
                format!("snapshot, {bytes} bytes: damaged or not whole {reason}")
            }
            Found::Snapshot(
                Snapshot::Whole {
                    version,
                    has_checksum,
                    ..
                },
                bytes,
            ) => {
                let checksum = if *has_checksum { "right" } else { "none" };
                format!("snapshot, {bytes} bytes, version {version}, checksum {checksum}: whole")
            }
            Found::Log(verdict, snapshot_bytes) => {
                let snapshot = match snapshot_bytes {
                    0 => String::new(),
                    bytes => format!(", a snapshot of {bytes} bytes"),
                };
                format!(
                    "log, {} bytes{snapshot}, {} commands in the first {}: {}",
                    verdict.bytes, verdict.commands, verdict.valid_bytes, verdict.tail
                )
            }
        }
    }
}

/// What comes behind a file in the same log.
struct Followers {
    manifest: PathBuf,
    names: String,
    /// Whether they are behind the base.
    is_of_base: bool,
}

impl<'a> Check<'a> {
    fn new(directory: &Path, fix: bool, out: &'a mut dyn Write) -> anyhow::Result<Self> {
        Ok(Self {
            storage: DiskStorage::new(directory)?,
            fix,
            out,
            locks: Vec::new(),
        })
    }

    fn say(&mut self, path: &Path, text: &str) -> io::Result<()> {
        let path = self.storage.base().join(path);
        writeln!(self.out, "{}: {text}", path.display())
    }

    fn lock(&mut self, directory: &Path) -> anyhow::Result<()> {
        let has_lock = self.locks.iter().any(|(locked, _)| locked == directory);
        if self.fix && !has_lock {
            let lock = self.storage.lock_dir(directory)?;
            self.locks.push((directory.to_owned(), lock));
        }
        Ok(())
    }

    fn directory(&mut self) -> anyhow::Result<State> {
        let mut state = State::Whole;
        let mut logs = Vec::new();
        let entries = self.storage.list(Path::new(""))?;
        let (inner, files): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.is_directory);
        let inner = inner.into_iter().map(|entry| PathBuf::from(entry.name));
        let mut has_unlisted = false;
        for directory in std::iter::once(PathBuf::new()).chain(inner) {
            let Ok(entries) = self.storage.list(&directory) else {
                // Of others, as lost+found.
                continue;
            };
            if self.unlisted(&directory, &entries)? {
                has_unlisted = true;
                state = State::Broken;
            }
            for entry in entries {
                if let Some(log) = entry.name.as_bytes().strip_suffix(b".manifest") {
                    logs.push(log.to_vec());
                    state = state.max(self.manifest(&directory, OsStr::from_bytes(log))?);
                }
            }
        }
        let mut seen = !logs.is_empty() || has_unlisted;
        for file in files {
            let name = file.name.as_bytes();
            if files_of_logs(&file.name) {
                continue;
            }
            if is_leftover(&file.name) {
                let text = "left over from a save that did not end, or that goes on: not read";
                self.say(
                    Path::new(&file.name),
                    &format!("{} bytes, {text}", file.bytes),
                )?;
                continue;
            }
            // A log of Redis up to 6 is one file; once it has a manifest, it is looked at with that or not read.
            let is_log = name.ends_with(b".aof") && !logs.iter().any(|log| log == name);
            if is_log || name.ends_with(b".rdb") {
                seen = true;
                self.lock(Path::new(""))?;
                let found = self.look(Path::new(&file.name))?;
                state = state.max(self.told(Path::new(&file.name), &found)?);
            }
        }
        if !seen {
            anyhow::bail!("neither a log nor a snapshot is in it");
        }
        Ok(state)
    }

    /// A file by itself.
    fn single(&mut self, path: &Path) -> anyhow::Result<State> {
        self.lock(Path::new(""))?;
        let found = self.look(path)?;
        match found {
            Found::Missing => Err(io::Error::from_raw_os_error(Errno::NOENT.raw_os_error()).into()),
            Found::Neither(_) if is_cut_off(path) => anyhow::bail!(CUT_OFF),
            Found::Neither(_) => anyhow::bail!(NEITHER),
            found => self.told(path, &found),
        }
    }

    /// Says what a file by itself is, and repairs it.
    fn told(&mut self, path: &Path, found: &Found) -> anyhow::Result<State> {
        self.say(path, &found.text())?;
        match found {
            Found::Log(verdict, start) if verdict.tail != Tail::Clean => {
                if let Some(followers) = self.followers(path)? {
                    let Followers {
                        manifest, names, ..
                    } = &followers;
                    if followers.is_of_base {
                        self.hint(&format!(
                            "{names} come after it in the same log, and are nothing without what a cut would take: take it from a backup"
                        ))?;
                        return Ok(State::Broken);
                    }
                    let manifest = self.storage.base().join(manifest);
                    self.hint(&format!(
                        "{names} come after it in the same log, and cannot be read without what a cut would take: so it is not cut by itself. \
                         'millrace check --fix {}' cuts it and no longer lists what comes after it",
                        manifest.display()
                    ))?;
                    return Ok(State::Broken);
                }
                self.repair(path, verdict, *start)
            }
            Found::Snapshot(Snapshot::Broken(_), _) => {
                self.hint("a snapshot cannot be repaired: take it from a backup")?;
                Ok(State::Broken)
            }
            _ => Ok(found.state()),
        }
    }

    /// What a manifest beside a file lists behind it, if there is something in that.
    fn followers(&self, path: &Path) -> anyhow::Result<Option<Followers>> {
        let directory = path.parent().unwrap_or(Path::new(""));
        for entry in self.storage.list(directory)? {
            let Some(log) = entry.name.as_bytes().strip_suffix(b".manifest") else {
                continue;
            };
            // Of one that makes no sense nobody knows what it lists.
            let manifest = Manifest::read(&self.storage, directory, OsStr::from_bytes(log))?;
            let base = manifest
                .as_ref()
                .and_then(|manifest| manifest.base.as_ref());
            let is_of_base =
                base.is_some_and(|base| Some(base.name.as_os_str()) == path.file_name());
            let files: Vec<LogFile> = manifest
                .iter()
                .flat_map(Manifest::files)
                .skip_while(|file| Some(file.name.as_os_str()) != path.file_name())
                .skip(1)
                .cloned()
                .collect();
            if self.has_something(directory, &files)? {
                return Ok(Some(Followers {
                    manifest: directory.join(entry.name),
                    names: names_of(&files),
                    is_of_base,
                }));
            }
        }
        Ok(None)
    }

    fn has_something(&self, directory: &Path, files: &[LogFile]) -> io::Result<bool> {
        for file in files {
            if self.storage.size(&directory.join(&file.name))? > Some(0) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A file that no manifest lists: it may be anything.
    fn look(&mut self, path: &Path) -> anyhow::Result<Found> {
        let found = self.look_listed(path)?;
        let Found::Log(verdict, 0) = &found else {
            return Ok(found);
        };
        let has_something = verdict.commands > 0 || verdict.salt.is_some();
        if verdict.tail == Tail::Clean || has_something {
            return Ok(found);
        }
        let mut first = Vec::new();
        let file = self.storage.open_read(path)?;
        file.take(1).read_to_end(&mut first)?;
        let is_first_command = matches!(verdict.tail, Tail::Torn { .. }) && first == b"*";
        Ok(if is_first_command {
            found
        } else {
            Found::Neither(verdict.bytes)
        })
    }

    /// A file that a manifest lists, or that may be a log.
    fn look_listed(&mut self, path: &Path) -> anyhow::Result<Found> {
        let about = || format!("cannot read {}", self.storage.base().join(path).display());
        let Some(bytes) = self.storage.size(path).with_context(about)? else {
            return Ok(Found::Missing);
        };
        let mut file = self.storage.open_read(path).with_context(about)?;
        let mut first = Vec::new();
        (&mut file)
            .take(5)
            .read_to_end(&mut first)
            .with_context(about)?;
        file.seek(SeekFrom::Start(0)).with_context(about)?;
        let is_rdb = path.as_os_str().as_bytes().ends_with(b".rdb");
        if !is_snapshot(&first) && is_rdb {
            return Ok(Found::Neither(bytes));
        }
        if !is_snapshot(&first) {
            return Ok(Found::Log(verify(file, 0).with_context(about)?, 0));
        }
        let snapshot = snapshot::check(&mut file).with_context(about)?;
        // Of a dump nobody reads what is behind its end.
        let may_go_on = !is_rdb || files_of_logs(path.as_os_str());
        match snapshot {
            Snapshot::Whole { bytes: end, .. } if end < bytes && may_go_on => {
                Ok(Found::Log(verify(file, end).with_context(about)?, end))
            }
            snapshot => Ok(Found::Snapshot(snapshot, bytes)),
        }
    }

    /// A log with all its files.
    fn manifest(&mut self, directory: &Path, filename: &OsStr) -> anyhow::Result<State> {
        self.lock(directory)?;
        let path = directory.join(manifest_name(filename));
        let manifest = match Manifest::read(&self.storage, directory, filename) {
            Ok(Some(manifest)) => manifest,
            Ok(None) => {
                return Err(io::Error::from_raw_os_error(Errno::NOENT.raw_os_error()).into());
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let text = error.to_string();
                let base = self.storage.base().join("");
                writeln!(self.out, "{}{text}", base.display())?;
                return Ok(State::Broken);
            }
            Err(error) => return Err(error.into()),
        };
        self.say(&path, &format!("{} files", manifest.files().count()))?;
        let mut state = State::Whole;
        for (index, file) in manifest.files().enumerate() {
            let path = directory.join(&file.name);
            // The log of a Redis before 7 is a base with nothing behind it, and may be torn.
            let is_alone = manifest.files().count() == 1;
            let found = if is_alone && manifest.base.is_some() {
                self.look(&path)?
            } else {
                self.look_listed(&path)?
            };
            let found = match found {
                Found::Log(verdict, start) if index + 1 < manifest.files().count() => {
                    Found::Log(verdict.before_others(), start)
                }
                Found::Log(verdict, start)
                    if verdict.bytes == 0 && is_listed_by_us(&manifest, file) =>
                {
                    Found::Log(verdict.emptied(), start)
                }
                found => found,
            };
            self.say(&path, &found.text())?;
            if found.state() == State::Whole {
                continue;
            }
            state = match &found {
                Found::Log(verdict, start) if manifest.base.is_none() || index > 0 || is_alone => {
                    self.repair_listed(directory, &manifest, file, (verdict, *start))?
                }
                Found::Log(..) | Found::Snapshot(..) | Found::Missing | Found::Neither(_) => {
                    self.hint(
                        "a base and a missing file cannot be repaired: take it from a backup",
                    )?;
                    State::Broken
                }
            };
            // What is behind it is either no longer listed, or looked at when this is repaired.
            break;
        }
        self.orphans(directory, &manifest)?;
        Ok(state)
    }

    fn hint(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "  {text}")
    }

    /// Repairs an incremental file, or a base that is alone; files after it that have something in them are no longer listed.
    fn repair_listed(
        &mut self,
        directory: &Path,
        manifest: &Manifest,
        file: &LogFile,
        (verdict, start): (&Verdict, u64),
    ) -> anyhow::Result<State> {
        let is_later = |later: &&LogFile| later.sequence > file.sequence;
        let later: Vec<LogFile> = manifest
            .incrementals
            .iter()
            .filter(is_later)
            .cloned()
            .collect();
        if self.has_something(directory, &later)? {
            let names = names_of(&later);
            if self.fix {
                let mut shorter = manifest.clone();
                shorter
                    .incrementals
                    .retain(|other| other.sequence <= file.sequence);
                shorter.write(&self.storage, directory)?;
                // Under its own name the next file of the log would be written over it.
                for file in &later {
                    let mut kept = file.name.clone();
                    kept.push(".kept");
                    let (from, to) = (directory.join(&file.name), directory.join(kept));
                    self.storage.rename(&from, &to)?;
                }
                self.storage.sync_dir(directory)?;
                self.hint(&format!(
                    "no longer listed, but kept, with .kept behind the name: {names}"
                ))?;
            } else {
                self.hint(&format!(
                    "what comes after it would be lost with it: {names}"
                ))?;
            }
        }
        self.repair(&directory.join(&file.name), verdict, start)
    }

    /// Files that look as if they belonged to the log and are not listed.
    fn orphans(&mut self, directory: &Path, manifest: &Manifest) -> anyhow::Result<()> {
        let listed: Vec<&OsString> = manifest
            .files()
            .chain(&manifest.history)
            .map(|file| &file.name)
            .collect();
        let mut beginning = manifest.filename.as_bytes().to_vec();
        beginning.push(b'.');
        for entry in self.storage.list(directory)? {
            let belongs = entry.name.as_bytes().starts_with(&beginning);
            if belongs && files_of_logs(&entry.name) && !listed.contains(&&entry.name) {
                let text = format!("{} bytes, not in the manifest: not read", entry.bytes);
                self.say(&directory.join(&entry.name), &text)?;
            }
        }
        Ok(())
    }
}

fn names_of(files: &[LogFile]) -> String {
    let names: Vec<_> = files
        .iter()
        .map(|file| file.name.to_string_lossy())
        .collect();
    names.join(", ")
}

/// Whether a file is an incremental one that a manifest of ours lists: it was begun before it was listed.
fn is_listed_by_us(manifest: &Manifest, file: &LogFile) -> bool {
    manifest.shards.is_some() && manifest.base.as_ref() != Some(file)
}

/// Whether a name is that of what a repair has cut off.
fn is_cut_off(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.rsplit_once(".cut-").is_some_and(|(_, digits)| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Whether a name is that of a base or an incremental file, or of one that a repair has kept.
fn files_of_logs(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    [".base.rdb", ".base.aof", ".incr.aof", ".kept"]
        .iter()
        .any(|ending| name.ends_with(ending))
}

/// Whether a name is that of a dump while it is written, `temp-<process>.rdb`: the next start removes it.
fn is_leftover(name: &OsStr) -> bool {
    let process = name.as_bytes().strip_prefix(b"temp-");
    process
        .and_then(|name| name.strip_suffix(b".rdb"))
        .is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests;
