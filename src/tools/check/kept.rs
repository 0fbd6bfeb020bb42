//! The repair of a file: it is cut, and what was cut off stays readable.
//!
//! ```text
//! NAME.cut-8272            what was cut off, byte by byte
//! NAME.cut-8272.commands   the whole commands in it, as redis-cli --pipe sends them
//! ```
//! The commands come without MULTI and EXEC, of which one may be missing, and begin with a SELECT of the database that the valid prefix
//! ends in.

use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::{Check, State};
use crate::journal::cut::{cut, kept_at};
use crate::journal::format;
use crate::journal::scan::{Replay, Verdict, commands_from};
use crate::journal::storage::{Opening, Storage, StorageFile, write_all_at};

/// Bytes written at once.
const PIECE_BYTES: usize = 1 << 20;

impl Check<'_> {
    /// Cuts a log at the end of its valid prefix, or says what that would do. `start`: where its commands begin.
    pub(super) fn repair(
        &mut self,
        path: &Path,
        verdict: &Verdict,
        start: u64,
    ) -> anyhow::Result<State> {
        if verdict.bytes == verdict.valid_bytes {
            return self.repair_end(path, verdict);
        }
        let file = self.storage.open_read(path)?;
        let count = commands_from(file, verdict.valid_bytes, |_| Ok(()))?;
        let commands = match count {
            0 => "no whole command".to_owned(),
            1 => "1 whole command".to_owned(),
            count => format!("{count} whole commands"),
        };
        let lost = format!(
            "{} bytes from offset {} on, in which {commands} can be read",
            verdict.bytes - verdict.valid_bytes,
            verdict.valid_bytes
        );
        if !self.fix {
            self.hint(&format!("millrace check --fix cuts {lost}"))?;
            return Ok(State::Broken);
        }
        let commands = match count {
            0 => None,
            _ => self.keep_commands(path, verdict, start)?,
        };
        let base = self.storage.base().to_owned();
        match cut(&self.storage, path, verdict)? {
            Some(kept) => self.hint(&format!(
                "cut {lost}; they are kept in {}",
                base.join(kept).display()
            ))?,
            None => self.hint(&format!("cut {lost}; there was no room to keep them"))?,
        }
        if let Some(commands) = commands {
            let commands = base.join(commands);
            self.hint(&format!(
                "the commands alone are in {0}: look at them, then 'redis-cli --pipe < {0}' sends them to a running server. They may depend on what is \
                 missing",
                commands.display()
            ))?;
        }
        Ok(State::Whole)
    }

    /// Puts the end there where nothing can be cut, or says what that would do.
    fn repair_end(&mut self, path: &Path, verdict: &Verdict) -> anyhow::Result<State> {
        let advice =
            "what is missing does not come back: if it may be in a backup, take the log from there";
        if !self.fix {
            self.hint(&format!(
                "{advice}. millrace check --fix puts an end there, and the file is taken as it is"
            ))?;
            return Ok(State::Broken);
        }
        cut(&self.storage, path, verdict)?;
        self.hint(&format!("an end was put there. But {advice}"))?;
        Ok(State::Whole)
    }

    /// Writes the commands that can be read behind the valid prefix into a file of their own; gives its path, if there is room for it.
    fn keep_commands(
        &self,
        path: &Path,
        verdict: &Verdict,
        start: u64,
    ) -> anyhow::Result<Option<PathBuf>> {
        let mut to = kept_at(path, verdict).into_os_string();
        to.push(".commands");
        let to = PathBuf::from(to);
        let file = self.storage.open_write(&to, Opening::Emptied)?;
        let mut pieces = Pieces {
            file,
            offset: 0,
            bytes: Vec::new(),
        };
        let database = self.database_at(path, verdict, start)?;
        format::command([b"SELECT".as_slice(), &database], &mut pieces.bytes);
        let from = self.storage.open_read(path)?;
        let written = commands_from(from, verdict.valid_bytes, |arguments| {
            let is_of_transaction = matches!(arguments, [name]
                if name.eq_ignore_ascii_case(b"MULTI") || name.eq_ignore_ascii_case(b"EXEC"));
            if is_of_transaction {
                return Ok(());
            }
            format::command(arguments.iter().copied(), &mut pieces.bytes);
            pieces.write(PIECE_BYTES)
        });
        let written = written.and_then(|_| pieces.write(1));
        match written.and_then(|()| pieces.file.sync_data()) {
            Ok(()) => Ok(Some(to)),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                self.storage.remove(&to)?;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The database in which the valid prefix ends.
    fn database_at(&self, path: &Path, verdict: &Verdict, start: u64) -> io::Result<Vec<u8>> {
        let mut file = self.storage.open_read(path)?;
        file.seek(SeekFrom::Start(start))?;
        let mut replay = Replay::new(file, start, verdict.valid_bytes);
        let mut database = b"0".to_vec();
        while let Some(item) = replay.read()? {
            let arguments = item.arguments();
            if arguments.len() == 2 && arguments.at(0).eq_ignore_ascii_case(b"SELECT") {
                database = arguments.at(1).to_vec();
            }
        }
        Ok(database)
    }
}

/// A file that is written from its beginning to its end.
struct Pieces {
    file: Box<dyn StorageFile>,
    offset: u64,
    bytes: Vec<u8>,
}

impl Pieces {
    /// Writes what has come together, if it is as much.
    fn write(&mut self, bytes_min: usize) -> io::Result<()> {
        if self.bytes.len() < bytes_min {
            return Ok(());
        }
        write_all_at(&*self.file, self.offset, &self.bytes)?;
        self.offset += self.bytes.len() as u64;
        self.bytes.clear();
        Ok(())
    }
}
