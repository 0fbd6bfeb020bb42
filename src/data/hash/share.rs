//! A share of a hash: the fields it had when the share was taken, whatever becomes of it.
//!
//! A large hash gives its segments, a small one is copied.

use super::Hash;
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
        at: usize,
    },
    Large(MembersShare),
}

impl Share {
    pub(super) fn new(hash: &Hash) -> Self {
        let body = match hash {
            Hash::Small(pack) => Body::Small {
                pack: pack.clone(),
                at: pack.first(),
            },
            Hash::Large(members) => Body::Large(members.share()),
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
            Body::Small { pack, at } => {
                while *at < pack.end() {
                    let (field, value) = (*at, pack.next(*at));
                    *at = pack.next(value);
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
