//! Values of settings that are one of a long list of names.

use super::value::Kind::{self, Choice};

/// `maxmemory-policy`.
pub(super) const EVICTION: Kind = Choice(&[
    ("volatile-lru", 0),
    ("volatile-lfu", 1),
    ("volatile-random", 2),
    ("volatile-ttl", 3),
    ("allkeys-lru", 4),
    ("allkeys-lfu", 5),
    ("allkeys-random", 6),
    ("noeviction", 7),
]);
/// `syslog-facility`.
pub(super) const FACILITY: Kind = Choice(&[
    ("user", 0),
    ("local0", 1),
    ("local1", 2),
    ("local2", 3),
    ("local3", 4),
    ("local4", 5),
    ("local5", 6),
    ("local6", 7),
    ("local7", 8),
]);
