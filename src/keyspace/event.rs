//! Keyspace notifications before they are published: class, name, key.
//!
//! Source: `notify-keyspace-events` and the "Keyspace notifications" page of Redis.

/// Classes of events as bits, each a letter of `notify-keyspace-events`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct EventClass(pub(crate) u32);

impl EventClass {
    /// `K`: publish to `__keyspace@<db>__:<key>`.
    pub(crate) const KEYSPACE: Self = Self(1 << 0);
    /// `E`: publish to `__keyevent@<db>__:<event>`.
    pub(crate) const KEYEVENT: Self = Self(1 << 1);
    /// `g`: DEL, EXPIRE, RENAME …
    pub(crate) const GENERIC: Self = Self(1 << 2);
    /// `$`
    pub(crate) const STRING: Self = Self(1 << 3);
    /// `l`
    pub(crate) const LIST: Self = Self(1 << 4);
    /// `s`
    pub(crate) const SET: Self = Self(1 << 5);
    /// `h`
    pub(crate) const HASH: Self = Self(1 << 6);
    /// `z`
    pub(crate) const SORTED_SET: Self = Self(1 << 7);
    /// `x`
    pub(crate) const EXPIRED: Self = Self(1 << 8);
    /// `e`
    pub(crate) const EVICTED: Self = Self(1 << 9);
    /// `t`
    pub(crate) const STREAM: Self = Self(1 << 10);
    /// `m`, not in `A`
    pub(crate) const KEY_MISS: Self = Self(1 << 11);
    /// `n`, not in `A`
    pub(crate) const NEW: Self = Self(1 << 14);
    /// `o`, not in `A`: a value was replaced whole. Source: keyspace notifications of Redis 8.2.
    pub(crate) const OVERWRITTEN: Self = Self(1 << 15);
    /// `c`, not in `A`: … by one of another type.
    pub(crate) const TYPE_CHANGED: Self = Self(1 << 16);
    /// Whether any bit of `other` is in it.
    pub(crate) fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// One event of one key.
#[derive(Clone, Debug)]
pub(crate) struct KeyEvent {
    /// Its number among what the thread did to all keyspaces in hand.
    pub(crate) order: u64,
    /// Database.
    pub(crate) db: usize,
    /// Event name: `lpush`, `expired` …
    pub(crate) name: &'static str,
    /// Key.
    pub(crate) key: Box<[u8]>,
}
