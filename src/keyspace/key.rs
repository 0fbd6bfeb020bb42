//! The name of a key, as its entry keeps it.
//!
//! ```text
//! short   | length | bytes … |       up to 22 bytes, in place
//! long    | pointer | length |       on the heap
//! ending  | pointer |                on the heap with the time at which the key ends, when that is not near
//! ```
//! Names of queues are short, and a piece of memory of their own would cost more than the name.

use std::fmt;
use std::ops::Deref;

/// The longest name in place, bytes: what fits beside the two words of a long one.
const SHORT_BYTES_MAX: usize = 22;

const _: () = assert!(size_of::<Key>() == 24);

#[derive(Clone)]
enum Name {
    Short {
        len: u8,
        bytes: [u8; SHORT_BYTES_MAX],
    },
    Long(Box<[u8]>),
    Ending(Box<Ending>),
}

#[derive(Clone)]
struct Ending {
    name: Box<[u8]>,
    end_ms: u64,
}

/// The name of a key: bytes that do not change.
#[derive(Clone)]
pub(crate) struct Key(Name);

impl Key {
    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        match &self.0 {
            Name::Short { .. } => 0,
            Name::Long(bytes) => bytes.len(),
            Name::Ending(ending) => size_of::<Ending>() + ending.name.len(),
        }
    }

    /// The time kept beside the name, Unix ms.
    #[cold]
    pub(super) fn end_ms(&self) -> Option<u64> {
        match &self.0 {
            Name::Short { .. } | Name::Long(_) => None,
            Name::Ending(ending) => Some(ending.end_ms),
        }
    }

    /// Keeps a time beside the name, Unix ms, or none any more.
    pub(super) fn set_end(&mut self, end_ms: Option<u64>) {
        *self = match end_ms {
            None => Self::from(&**self),
            Some(end_ms) => {
                let name = (**self).into();
                Self(Name::Ending(Box::new(Ending { name, end_ms })))
            }
        };
    }
}

impl From<&[u8]> for Key {
    fn from(name: &[u8]) -> Self {
        let len = name.len();
        if len > SHORT_BYTES_MAX {
            return Self(Name::Long(name.into()));
        }
        let mut bytes = [0; SHORT_BYTES_MAX];
        bytes[..len].copy_from_slice(name);
        Self(Name::Short {
            len: len as u8,
            bytes,
        })
    }
}

impl Deref for Key {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Name::Short { len, bytes } => &bytes[..usize::from(*len)],
            Name::Long(bytes) => bytes,
            Name::Ending(ending) => &ending.name,
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_bytes_it_was_made_from() {
        for len in 0..100 {
            let name: Vec<u8> = (0..len).collect();
            let key = Key::from(name.as_slice());
            assert_eq!(*key, *name);
            assert_eq!(*key.clone(), *name);
            assert_eq!(key.heap_bytes() == 0, name.len() <= SHORT_BYTES_MAX);
        }
    }
}
