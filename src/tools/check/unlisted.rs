//! Files of a log whose manifest is missing: a start reads none of them.
//!
//! Each is looked at, nothing is changed. What the manifest has said can be told from the names alone where there is one base and no number
//! is missing; a base that a crash has left, or one that is covered by another, cannot be told from the one that counts. (Files that are
//! covered are deleted before their base.)

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::{Check, names_of};
use crate::journal::files::has_commands;
use crate::journal::manifest::{LogFile, Manifest, manifest_name, parts_of};
use crate::journal::storage::Entry;

impl Check<'_> {
    /// Says which files in a directory belong to a log whose manifest is not there; whether there are some with something in them.
    pub(super) fn unlisted(&mut self, directory: &Path, entries: &[Entry]) -> anyhow::Result<bool> {
        let mut has_some = false;
        for (filename, manifest) in without_manifest(entries) {
            let (mut files, mut count) = (Vec::new(), 0);
            for file in manifest.bases.iter().chain(&manifest.incrementals) {
                let path = directory.join(&file.name);
                // What cannot be read is told of below.
                count += u32::from(has_commands(&self.storage, &path).unwrap_or(true));
                files.push(path);
            }
            // A process that ended before it had written the first manifest leaves a file without a command.
            if count == 0 {
                continue;
            }
            has_some = true;
            for path in &files {
                let found = self.look_listed(path)?;
                self.say(path, &found.text())?;
            }
            let path = directory.join(manifest_name(&filename));
            let text = "missing, so a start reads none of the files of this log above, and begins without them";
            self.say(&path, text)?;
            self.hint("put the manifest back from a backup, before a server is started here")?;
            match manifest.listed(&filename) {
                Ok(listed) => {
                    self.hint(
                        "without a backup: if nothing newer is anywhere, and no other file of the log was there, write it with these lines, \
                         and check again before you start",
                    )?;
                    for line in String::from_utf8_lossy(&listed.encode()).lines() {
                        self.hint(&format!("  {line}"))?;
                    }
                }
                Err(reason) => self.hint(&reason)?,
            }
        }
        Ok(has_some)
    }
}

/// The files of a log as their names say, by number.
#[derive(Default)]
struct Unlisted {
    bases: Vec<LogFile>,
    incrementals: Vec<LogFile>,
}

fn without_manifest(entries: &[Entry]) -> BTreeMap<OsString, Unlisted> {
    let mut logs: BTreeMap<OsString, Unlisted> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| !entry.is_directory) {
        let Some((filename, sequence, is_base)) = parts_of(&entry.name) else {
            continue;
        };
        let log = logs.entry(filename).or_default();
        let files = match is_base {
            true => &mut log.bases,
            false => &mut log.incrementals,
        };
        files.push(LogFile {
            name: entry.name.clone(),
            sequence,
        });
    }
    for log in logs.values_mut() {
        log.bases.sort_by_key(|file| file.sequence);
        log.incrementals.sort_by_key(|file| file.sequence);
    }
    let has_manifest = |filename: &OsStr| {
        let name = manifest_name(filename);
        entries.iter().any(|entry| entry.name == name)
    };
    logs.retain(|filename, _| !has_manifest(filename));
    logs
}

impl Unlisted {
    /// A manifest that lists all of them; or why nobody can know what it was.
    fn listed(&self, filename: &OsStr) -> Result<Manifest, String> {
        let [base] = self.bases.as_slice() else {
            let names = names_of(&self.bases);
            return Err(match self.bases.len() {
                0 => "their base is missing, without which they are nothing: take the log from a backup. \
                      A server that ended while it began its first log leaves such files: if it was that, they can be deleted"
                    .to_owned(),
                _ => format!("without it nobody can know which of these bases counts: {names}"),
            });
        };
        let follow = |pair: &[LogFile]| matches!(pair, [one, next] if one.sequence.checked_add(1) == Some(next.sequence));
        if !self.incrementals.windows(2).all(follow) {
            let names = names_of(&self.incrementals);
            return Err(format!(
                "numbers are missing among these files, so take the log from a backup: {names}"
            ));
        }
        Ok(Manifest {
            base: Some(base.clone()),
            incrementals: self.incrementals.clone(),
            ..Manifest::new(filename)
        })
    }
}
