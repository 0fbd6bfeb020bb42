//! The names in directories, and which of their changes survive.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::super::Entry;
use super::FileId;
use super::loss::Random;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    File(FileId),
    Directory,
}

/// A change of one name. A rename is two: the new name, then the end of the old one.
#[derive(Clone, Debug)]
enum Change {
    Set(PathBuf, Node),
    /// With the place where the file went to, when it was moved.
    Clear(PathBuf, Option<PathBuf>),
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Change::Set(path, node) => names.insert(path.clone(), *node),
            Change::Clear(path, _) => names.remove(path),
        };
    }
}

/// Changes that happen together.
type Step = Vec<Change>;

/// All names under the base directory.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    current: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    /// For each directory the changes since its last sync, in order.
    pending: BTreeMap<PathBuf, Vec<Step>>,
}

fn parent(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}

impl Names {
    pub(super) fn file(&self, path: &Path) -> Option<FileId> {
        match self.current.get(path)? {
            Node::File(file) => Some(*file),
            Node::Directory => None,
        }
    }

    pub(super) fn is_directory(&self, path: &Path) -> bool {
        path.as_os_str().is_empty() || self.current.get(path) == Some(&Node::Directory)
    }

    /// The files that have a name.
    pub(super) fn files(&self) -> BTreeSet<FileId> {
        let file = |node: &Node| match node {
            Node::File(file) => Some(*file),
            Node::Directory => None,
        };
        self.current.values().filter_map(file).collect()
    }

    fn expect_directory(&self, path: &Path) -> io::Result<()> {
        if self.is_directory(path) {
            return Ok(());
        }
        Err(io::ErrorKind::NotFound.into())
    }

    fn change(&mut self, directory: PathBuf, step: Step) {
        for change in &step {
            change.apply(&mut self.current);
        }
        self.pending.entry(directory).or_default().push(step);
    }

    /// A name that is there and durable, for tests.
    pub(super) fn put(&mut self, path: &Path, file: FileId) {
        let directory = parent(path);
        for names in [&mut self.current, &mut self.durable] {
            if !directory.as_os_str().is_empty() {
                names.insert(directory.clone(), Node::Directory);
            }
            names.insert(path.to_owned(), Node::File(file));
        }
    }

    pub(super) fn create(&mut self, path: &Path, file: FileId) -> io::Result<()> {
        let directory = parent(path);
        self.expect_directory(&directory)?;
        if self.is_directory(path) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let step = vec![Change::Set(path.to_owned(), Node::File(file))];
        self.change(directory, step);
        Ok(())
    }

    pub(super) fn create_directory(&mut self, path: &Path) -> io::Result<()> {
        let directory = parent(path);
        self.expect_directory(&directory)?;
        if self.file(path).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if !self.is_directory(path) {
            let step = vec![Change::Set(path.to_owned(), Node::Directory)];
            self.change(directory, step);
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.file(path).ok_or(io::ErrorKind::NotFound)?;
        self.change(parent(path), vec![Change::Clear(path.to_owned(), None)]);
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let file = self.file(from).ok_or(io::ErrorKind::NotFound)?;
        let (source, target) = (parent(from), parent(to));
        self.expect_directory(&target)?;
        if self.is_directory(to) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if from == to {
            return Ok(());
        }
        let arrival = Change::Set(to.to_owned(), Node::File(file));
        let moved = (source != target).then(|| to.to_owned());
        let departure = Change::Clear(from.to_owned(), moved);
        if source == target {
            self.change(source, vec![arrival, departure]);
        } else {
            self.change(target, vec![arrival]);
            self.change(source, vec![departure]);
        }
        Ok(())
    }

    pub(super) fn list(&self, directory: &Path) -> io::Result<Vec<Entry>> {
        self.expect_directory(directory)?;
        let inside = self
            .current
            .iter()
            .filter(|(path, _)| parent(path) == directory);
        Ok(inside
            .filter_map(|(path, node)| {
                Some(Entry {
                    name: path.file_name()?.to_owned(),
                    is_directory: *node == Node::Directory,
                    bytes: 0,
                })
            })
            .collect())
    }

    pub(super) fn sync(&mut self, directory: &Path) -> io::Result<()> {
        self.expect_directory(directory)?;
        let steps = self.pending.remove(directory).unwrap_or_default();
        // A file does not end to have a name because its old directory is synced first.
        let moved_to: BTreeSet<PathBuf> = steps
            .iter()
            .flatten()
            .filter_map(|change| match change {
                Change::Clear(_, Some(to)) => Some(parent(to)),
                Change::Clear(_, None) | Change::Set(..) => None,
            })
            .collect();
        for target in moved_to {
            for step in self.pending.remove(&target).unwrap_or_default() {
                step.iter()
                    .for_each(|change| change.apply(&mut self.durable));
            }
        }
        for step in steps {
            step.iter()
                .for_each(|change| change.apply(&mut self.durable));
        }
        Ok(())
    }

    /// Keeps of each directory's changes the first so many.
    pub(super) fn lose(&mut self, random: &mut Random) {
        let mut departures = Vec::new();
        for (_, steps) in std::mem::take(&mut self.pending) {
            let survive = random.below(steps.len() as u64 + 1) as usize;
            for change in steps.into_iter().take(survive).flatten() {
                match change {
                    Change::Clear(from, Some(to)) => departures.push((from, to)),
                    change => change.apply(&mut self.durable),
                }
            }
        }
        for (from, to) in departures {
            let arrived = self.durable.get(&to);
            if arrived.is_some_and(|file| self.durable.get(&from) == Some(file)) {
                self.durable.remove(&from);
            }
        }
        // What is in a directory that did not survive is out of reach.
        let durable = self.durable.clone();
        self.durable.retain(|path, _| {
            let directory = parent(path);
            directory.as_os_str().is_empty() || durable.get(&directory) == Some(&Node::Directory)
        });
        self.current.clone_from(&self.durable);
    }
}
