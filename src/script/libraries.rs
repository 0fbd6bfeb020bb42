//! Which libraries of functions there are. For all threads: each loads them into its own state when it calls one.
//!
//! Source: FUNCTION LOAD, LIST, DELETE, FLUSH, DUMP, RESTORE.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::flags::ScriptFlags;

/// A function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// As it was registered; found in any case.
    pub(crate) name: Vec<u8>,
    /// What it says of itself.
    pub(crate) description: Option<Vec<u8>>,
    /// What it may do.
    pub(crate) flags: ScriptFlags,
}

/// A library.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Library {
    /// Its name.
    pub(crate) name: Vec<u8>,
    /// Its text, with the first line.
    pub(crate) text: Vec<u8>,
    /// Its functions.
    pub(crate) functions: Vec<Function>,
}

/// All libraries at a moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Libraries {
    list: Vec<Arc<Library>>,
    /// Library and number of each function, by its name in lower case.
    functions: HashMap<Vec<u8>, (Arc<Library>, usize)>,
}

impl Libraries {
    /// All of them.
    pub(crate) fn list(&self) -> &[Arc<Library>] {
        &self.list
    }

    /// How many functions there are.
    pub(crate) fn function_count(&self) -> usize {
        self.functions.len()
    }

    /// A function by its name, in any case.
    pub(crate) fn function(&self, name: &[u8]) -> Option<(&Arc<Library>, &Function)> {
        let (library, at) = self.functions.get(&name.to_ascii_lowercase())?;
        Some((library, library.functions.get(*at)?))
    }

    /// Adds a library; `replaces` one of its name, which goes then.
    ///
    /// # Errors
    ///
    /// There is one of its name, or a function of the name of one of its functions: the text for the client. Nothing has changed.
    pub(crate) fn add(&mut self, library: Library, replaces: bool) -> Result<(), Vec<u8>> {
        let others = |library_name: &[u8]| self.list.iter().any(|other| other.name == library_name);
        if !replaces && others(&library.name) {
            return Err([b"Library '".as_slice(), &library.name, b"' already exists"].concat());
        }
        for function in &library.functions {
            if let Some((other, _)) = self.function(&function.name)
                && !(replaces && other.name == library.name)
            {
                return Err([b"Function ".as_slice(), &function.name, b" already exists"].concat());
            }
        }
        self.remove(&library.name);
        let library = Arc::new(library);
        for (at, function) in library.functions.iter().enumerate() {
            let name = function.name.to_ascii_lowercase();
            self.functions.insert(name, (Arc::clone(&library), at));
        }
        self.list.push(library);
        Ok(())
    }

    /// Removes a library; false when there is none of this name.
    pub(crate) fn remove(&mut self, name: &[u8]) -> bool {
        let Some(at) = self.list.iter().position(|library| library.name == name) else {
            return false;
        };
        self.list.remove(at);
        self.functions
            .retain(|_, (library, _)| library.name != name);
        true
    }
}

/// The libraries now.
#[derive(Debug, Default)]
pub(crate) struct LibraryRegistry {
    now: RwLock<Arc<Libraries>>,
    /// Moves when they change.
    version: AtomicU64,
}

impl LibraryRegistry {
    /// As they are now.
    pub(crate) fn now(&self) -> Arc<Libraries> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Moves when they change.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// From now on there are these.
    pub(crate) fn set(&self, libraries: Libraries) {
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        *now = Arc::new(libraries);
        self.version.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(name: &str, functions: &[&str]) -> Library {
        let function = |name: &&str| Function {
            name: name.as_bytes().to_vec(),
            description: None,
            flags: ScriptFlags::default(),
        };
        Library {
            name: name.as_bytes().to_vec(),
            text: Vec::new(),
            functions: functions.iter().map(function).collect(),
        }
    }

    #[test]
    fn a_function_has_one_library() {
        let mut libraries = Libraries::default();
        assert_eq!(libraries.add(library("a", &["f", "g"]), false), Ok(()));
        let text = b"Library 'a' already exists".to_vec();
        assert_eq!(libraries.add(library("a", &["h"]), false), Err(text));
        let text = b"Function F already exists".to_vec();
        assert_eq!(libraries.add(library("b", &["F"]), true), Err(text));
        assert_eq!(libraries.add(library("a", &["g", "h"]), true), Ok(()));
        assert!(libraries.function(b"f").is_none());
        assert!(libraries.function(b"H").is_some());
        assert!(libraries.remove(b"a") && !libraries.remove(b"a"));
        assert_eq!((libraries.function_count(), libraries.list().len()), (0, 0));
    }
}
