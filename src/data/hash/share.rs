//! A share of a hash: the fields it had when the share was taken, whatever becomes of it.
//!
//! A large hash gives its segments, a small one is copied.

use super::{Hash, TIMED_STEP};
use crate::data::listpack::{Element, Listpack};
use crate::data::members::MembersShare;

/// Fields of a hash with their values, to be read in order. See the module's head.
pub(crate) struct Share {
    body: Body,
    left: usize,
}

enum Body {
    /// The next field lies there.
    Small {
        pack: Listpack,
        /// Elements of a field.
        step: usize,
        at: usize,
    },
    Large(MembersShare),
}

impl Body {
    fn small(pack: &Listpack, step: usize) -> Self {
        Self::Small {
            pack: pack.clone(),
            step,
            at: pack.first(),
        }
    }
}

impl Share {
    pub(super) fn new(hash: &Hash) -> Self {
        let body = match hash {
            Hash::Large(table) => Body::Large(table.members.share()),
            Hash::Small(pack) => Body::small(pack, 2),
            Hash::Timed(pack) => Body::small(pack, TIMED_STEP),
        };
        Self {
            body,
            left: hash.len(),
        }
    }

    /// Fields not read yet.
    #[must_use]
    pub(crate) fn left(&self) -> usize {
        self.left
    }

    /// Reads fields with their values until `take` says that it is enough, or there are no more.
    pub(crate) fn read(&mut self, mut take: impl FnMut(Element<'_>, Element<'_>) -> bool) {
        let left = &mut self.left;
        let mut counted = |field: Element<'_>, value: Element<'_>| {
            *left = left.saturating_sub(1);
            take(field, value)
        };
        match &mut self.body {
            Body::Small { pack, step, at } => {
                while *at < pack.end() {
                    let (field, value) = (*at, pack.next(*at));
                    *at = (1..*step).fold(value, |at, _| pack.next(at));
                    if counted(pack.at(field), pack.at(value)) {
                        return;
                    }
                }
            }
            Body::Large(members) => members
                .read(&mut |field, value| counted(Element::Bytes(field), Element::Bytes(value))),
        }
    }
}
