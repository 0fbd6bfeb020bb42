//! The categories of commands that rules name with `@`.

/// The ACL categories in Redis' order.
pub(crate) const CATEGORIES: [&str; 21] = [
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

/// A set of categories: bit `i` for `CATEGORIES[i]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Categories(u32);

impl Categories {
    /// Those of these names.
    ///
    /// # Panics
    /// When there is no such category: the names are those of the command table.
    pub(crate) fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().fold(Self::default(), |all, name| {
            let one = Self::from_name(name.as_bytes());
            Self(all.0 | one.expect("a row names a category that Redis has").0)
        })
    }

    /// The one of this name, in any case of letters.
    pub(crate) fn from_name(name: &[u8]) -> Option<Self> {
        let at = CATEGORIES
            .iter()
            .position(|category| name.eq_ignore_ascii_case(category.as_bytes()))?;
        Some(Self(1 << at))
    }

    /// Their names, in Redis' order.
    #[cfg(test)]
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        self.places().map(|at| CATEGORIES[at])
    }

    /// Their places in [`CATEGORIES`].
    pub(super) fn places(self) -> impl Iterator<Item = usize> {
        (0..CATEGORIES.len()).filter(move |at| self.0 & (1 << at) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_are_found_by_name_and_named_in_order() {
        let some = Categories::of(["stream", "read", "fast"]);
        assert_eq!(some.names().collect::<Vec<_>>(), ["read", "stream", "fast"]);
        assert_eq!(
            Categories::from_name(b"SortedSet"),
            Some(Categories::of(["sortedset"]))
        );
        assert_eq!(Categories::from_name(b"all"), None);
        assert_eq!(Categories::of(CATEGORIES).names().count(), 21);
    }
}
