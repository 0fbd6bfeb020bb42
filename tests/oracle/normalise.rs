//! The closed lists of what may differ between two right answers, each entry with its reason.
//!
//! `NEWER_THAN_ALL` is what only we tell; `NORMALISERS` are differences between any two servers or two moments; `VERSION_DIFFERENCES` are those between Redis 7.0 (Debian's
//! oracle) and 7.2 (what millrace promises), used only against an oracle of 7.0. A normaliser changes both frames of a pair in
//! the same place, and only where they would be right anyhow (two clock readings close to each other, a set's order):
//! everything else stays to be compared.

use super::generator::Dialect;
use super::order::{ORDERS, is_claimed, sort_claimed};
use crate::support::Frame;

/// How far two clocks' readings may lie apart, ms: the two servers run a command within this time.
const CLOCK_TOLERANCE_MS: i64 = 20_000;

/// One accepted difference.
pub(crate) struct Normaliser {
    /// Its name in reports.
    pub(crate) name: &'static str,
    /// Why the two may differ.
    pub(crate) reason: &'static str,
    /// Whether it concerns this command; the words' first one is in capitals.
    pub(super) applies: fn(&Command<'_>) -> bool,
    /// Makes equal what may differ.
    pub(super) apply: fn(&mut Frame, &mut Frame),
}

/// A command as normalisers see it.
pub(crate) struct Command<'a> {
    name: String,
    pub(super) words: &'a [Vec<u8>],
}

impl<'a> Command<'a> {
    /// Of the words sent.
    pub(crate) fn new(words: &'a [Vec<u8>]) -> Self {
        let name = words
            .first()
            .map(|name| String::from_utf8_lossy(name).to_ascii_uppercase())
            .unwrap_or_default();
        Self { name, words }
    }

    pub(super) fn is(&self, names: &[&str]) -> bool {
        names.contains(&self.name.as_str())
    }

    pub(super) fn sub(&self, names: &[&str]) -> bool {
        let sub = self
            .words
            .get(1)
            .map(|sub| String::from_utf8_lossy(sub).to_ascii_uppercase())
            .unwrap_or_default();
        names.contains(&sub.as_str())
    }
}

/// What may differ between any two servers.
pub(crate) const NORMALISERS: &[Normaliser] = &[
    Normaliser {
        name: "time-to-live",
        reason: "the two servers read their clocks at different moments",
        applies: |command| command.is(&["TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"]),
        apply: close_integers,
    },
    Normaliser {
        name: "clock",
        reason: "TIME and LASTSAVE are clock readings",
        applies: |command| command.is(&["TIME", "LASTSAVE"]),
        apply: same_shape,
    },
    Normaliser {
        name: "client-id",
        reason: "a server numbers its clients itself",
        applies: |command| command.is(&["CLIENT"]) && command.sub(&["ID"]),
        apply: same_shape,
    },
    Normaliser {
        name: "hello-identity",
        reason: "HELLO tells the server's name, its version and the client's id",
        applies: |command| command.is(&["HELLO"]),
        apply: |ours, theirs| {
            for name in ["server", "version", "id"] {
                each_field(ours, theirs, name, same_shape);
            }
        },
    },
    Normaliser {
        name: "claimed-entries",
        reason: "what XREADGROUP claims comes longest idle first, and entries delivered in one millisecond by one server may not be by \
                 the other; the idle time is measured with the clock",
        applies: |command| {
            command.is(&["XREADGROUP"])
                && command
                    .words
                    .iter()
                    .any(|word| word.eq_ignore_ascii_case(b"CLAIM"))
        },
        apply: |ours, theirs| {
            each_frame(ours, &mut sort_claimed);
            each_frame(theirs, &mut sort_claimed);
            close_claimed(ours, theirs);
        },
    },
    Normaliser {
        name: "stream-id-from-clock",
        reason: "XADD with * takes its ID from the clock; such IDs are of this decade, explicit ones of the generator never",
        applies: |command| command.is(STREAM_COMMANDS),
        apply: |ours, theirs| {
            hide_clock_ids(ours);
            hide_clock_ids(theirs);
        },
    },
    Normaliser {
        name: "pending-idle",
        reason: "XPENDING's idle times (third element of a row) are measured with the clock",
        applies: |command| command.is(&["XPENDING"]) && command.words.len() > 3,
        apply: |ours, theirs| {
            for (ours, theirs) in ours.items_mut().iter_mut().zip(theirs.items_mut()) {
                if let (Some(ours), Some(theirs)) =
                    (ours.items_mut().get_mut(2), theirs.items_mut().get_mut(2))
                {
                    close_integers(ours, theirs);
                }
            }
        },
    },
    Normaliser {
        name: "consumer-idle",
        reason: "XINFO CONSUMERS' idle and inactive are measured with the clock",
        applies: |command| command.is(&["XINFO"]) && command.sub(&["CONSUMERS"]),
        apply: |ours, theirs| {
            for name in ["idle", "inactive"] {
                each_field(ours, theirs, name, close_integers);
            }
        },
    },
    Normaliser {
        name: "stream-times",
        reason: "XINFO STREAM FULL shows clock readings: seen-time, active-time and the delivery time of each pending entry",
        applies: |command| command.is(&["XINFO"]) && command.sub(&["STREAM"]),
        apply: |ours, theirs| {
            for name in ["seen-time", "active-time"] {
                each_field(ours, theirs, name, close_integers);
            }
            each_field(ours, theirs, "pending", |ours, theirs| {
                for (ours, theirs) in ours.items_mut().iter_mut().zip(theirs.items_mut()) {
                    // [id, consumer, time, count] of a group, [id, time, count] of a consumer.
                    let at = ours.items().len().saturating_sub(2);
                    if let (Some(ours), Some(theirs)) =
                        (ours.items_mut().get_mut(at), theirs.items_mut().get_mut(at))
                    {
                        close_integers(ours, theirs);
                    }
                }
            });
        },
    },
    Normaliser {
        name: "radix-tree-nodes",
        reason: "counts the nodes of a structure that only Redis has; radix-tree-keys (blocks of entries) is compared",
        applies: |command| command.is(&["XINFO"]) && command.sub(&["STREAM"]),
        apply: |ours, theirs| each_field(ours, theirs, "radix-tree-nodes", same_shape),
    },
    Normaliser {
        name: "object-idletime",
        reason: "counts seconds of a coarse clock",
        applies: |command| command.is(&["OBJECT"]) && command.sub(&["IDLETIME"]),
        apply: close_integers,
    },
    Normaliser {
        name: "object-idletime-of-shared-integers",
        reason: "Redis shares the integers below 10,000 between keys, and their idle time with them",
        applies: |command| command.is(&["OBJECT"]) && command.sub(&["IDLETIME"]),
        apply: |ours, theirs| {
            if matches!(theirs, Frame::Integer(seconds) if *seconds > CLOCK_TOLERANCE_MS) {
                same_shape(ours, theirs);
            }
        },
    },
    Normaliser {
        name: "object-refcount",
        reason: "who shares an integer, or still holds an argument, is the implementation's",
        applies: |command| command.is(&["OBJECT"]) && command.sub(&["REFCOUNT"]),
        apply: same_shape,
    },
    Normaliser {
        name: "memory-usage",
        reason: "bytes of memory are the implementation's; null against a number is compared",
        applies: |command| command.is(&["MEMORY"]) && command.sub(&["USAGE"]),
        apply: same_shape,
    },
];

const STREAM_COMMANDS: &[&str] = &[
    "XADD",
    "XRANGE",
    "XREVRANGE",
    "XREAD",
    "XREADGROUP",
    "XCLAIM",
    "XAUTOCLAIM",
    "XPENDING",
    "XINFO",
    "XCFGSET",
    "XIDMPRECORD",
];

/// What millrace answers beyond the newest oracle at hand.
pub(crate) const NEWER_THAN_ALL: &[Normaliser] = &[Normaliser {
    name: "fields-of-groups",
    reason: "XINFO has nacked-count since 8.8; lag-exact and the ages are ours",
    applies: |command| command.is(&["XINFO"]),
    apply: |ours, theirs| {
        for name in [
            "nacked-count",
            "lag-exact",
            "oldest-pending-ms",
            "oldest-undelivered-ms",
        ] {
            each_frame(ours, &mut |frame| drop_field(frame, name));
            each_frame(theirs, &mut |frame| drop_field(frame, name));
        }
    },
}];

/// What only 8.6 answers so.
pub(crate) const ONLY_86: &[Normaliser] = &[
    Normaliser {
        name: "tombstones-of-trims",
        reason: "entries that a trim by ACKED takes from between others are deleted ones to us, so that no lag counts them; 8.6 \
                 forgets them",
        applies: |command| command.is(&["XINFO"]),
        apply: |ours, theirs| {
            for name in ["max-deleted-entry-id", "lag", "entries-read"] {
                each_frame(ours, &mut |frame| drop_field(frame, name));
                each_frame(theirs, &mut |frame| drop_field(frame, name));
            }
        },
    },
    Normaliser {
        name: "encoding-of-short-strings",
        reason: "8.x counts the key when it decides between embstr and raw",
        applies: |command| command.is(&["OBJECT"]) && command.sub(&["ENCODING"]),
        apply: |ours, theirs| {
            if [b"raw".as_slice(), b"embstr"].contains(&ours.bytes()) {
                same_shape(ours, theirs);
            }
        },
    },
    Normaliser {
        name: "modules",
        reason: "HELLO lists the modules built into 8.6",
        applies: |command| command.is(&["HELLO"]),
        apply: |ours, theirs| {
            drop_field(ours, "modules");
            drop_field(theirs, "modules");
        },
    },
    Normaliser {
        name: "text-of-unbalanced-with-plus",
        reason: "since 7.4 the error of an unbalanced list of streams names `+` too; ours is that of 7.2",
        applies: |command| command.is(&["XREAD"]),
        apply: |ours, theirs| same_error(ours, theirs, b"ERR Unbalanced "),
    },
];

/// What 8.6 has and the oracles before it have not.
pub(crate) const SINCE_86: &[Normaliser] = &[
    Normaliser {
        name: "lag",
        reason: "before 8.0 the lag of a group that stands in front of the first entry counts entries that are gone",
        applies: |command| command.is(&["XINFO"]),
        apply: |ours, theirs| {
            each_frame(ours, &mut |frame| drop_field(frame, "lag"));
            each_frame(theirs, &mut |frame| drop_field(frame, "lag"));
        },
    },
    Normaliser {
        name: "fields-of-idempotency",
        reason: "XINFO STREAM tells of idempotency since 8.6",
        applies: |command| command.is(&["XINFO"]) && command.sub(&["STREAM"]),
        apply: |ours, _| {
            for name in [
                "idmp-duration",
                "idmp-maxsize",
                "pids-tracked",
                "iids-tracked",
                "iids-added",
                "iids-duplicates",
            ] {
                drop_field(ours, name);
            }
        },
    },
];

/// What 7.0 answers otherwise than 7.2.
pub(crate) const VERSION_DIFFERENCES: &[Normaliser] = &[
    Normaliser {
        name: "encoding-of-small-lists",
        reason: "7.2 keeps small lists as a listpack, 7.0 always as a quicklist",
        applies: |command| command.is(&["OBJECT"]) && command.sub(&["ENCODING"]),
        apply: |ours, theirs| {
            if ours.bytes() == b"listpack" && theirs.bytes() == b"quicklist" {
                theirs.clone_from(ours);
            }
        },
    },
    Normaliser {
        name: "encoding-of-hashes-by-arguments",
        reason: "7.2 makes a hash large for so many arguments though fields repeat",
        applies: |command| command.is(&["OBJECT"]) && command.sub(&["ENCODING"]),
        apply: |ours, theirs| {
            if ours.bytes() == b"hashtable" && theirs.bytes() == b"listpack" {
                theirs.clone_from(ours);
            }
        },
    },
    Normaliser {
        name: "encoding-of-small-sets",
        reason: "7.2 keeps small sets as a listpack, 7.0 as a hashtable unless all members are integers",
        applies: |command| command.is(&["OBJECT"]) && command.sub(&["ENCODING"]),
        apply: |ours, theirs| {
            if [b"listpack".as_slice(), b"intset"].contains(&ours.bytes())
                && theirs.bytes() == b"hashtable"
            {
                theirs.clone_from(ours);
            }
        },
    },
    Normaliser {
        name: "encoding-of-sorted-sets",
        reason: "7.2 makes a sorted set large at once when a command adds many members, though some are the same",
        applies: |command| command.is(&["OBJECT"]) && command.sub(&["ENCODING"]),
        apply: |ours, theirs| {
            if ours.bytes() == b"skiplist" && theirs.bytes() == b"listpack" {
                theirs.clone_from(ours);
            }
        },
    },
    Normaliser {
        name: "text-of-scores",
        reason: "7.2 prints the shortest text of a score, 7.0 seventeen digits",
        applies: |command| command.name.starts_with('Z') || command.name.starts_with("BZ"),
        apply: same_scores,
    },
    Normaliser {
        name: "consumers-without-entries",
        reason: "7.2 creates the consumer of XREADGROUP, XCLAIM and XAUTOCLAIM also when it gets nothing, 7.0 only with its first entry",
        applies: |command| {
            command.is(&["XINFO"]) || (command.is(&["XGROUP"]) && command.sub(&["CREATECONSUMER"]))
        },
        apply: |ours, theirs| {
            for frame in [&mut *ours, &mut *theirs] {
                drop_idle_consumers(frame);
            }
            if let (Frame::Integer(0 | 1), Frame::Integer(0 | 1)) = (&*ours, &*theirs) {
                theirs.clone_from(ours);
            }
            // The count in XINFO GROUPS.
            each_field(ours, theirs, "consumers", |ours, theirs| {
                if matches!(ours, Frame::Integer(_)) {
                    theirs.clone_from(ours);
                }
            });
        },
    },
    Normaliser {
        name: "inactive-of-consumers",
        reason: "XINFO CONSUMERS has the field inactive since 7.2",
        applies: |command| command.is(&["XINFO"]) && command.sub(&["CONSUMERS"]),
        apply: |ours, theirs| {
            for frame in ours.items_mut().iter_mut().chain(theirs.items_mut()) {
                drop_field(frame, "inactive");
            }
        },
    },
    Normaliser {
        name: "active-time-of-consumers",
        reason: "XINFO STREAM FULL has the field active-time since 7.2",
        applies: |command| command.is(&["XINFO"]) && command.sub(&["STREAM"]),
        apply: |ours, theirs| {
            each_frame(ours, &mut |frame| drop_field(frame, "active-time"));
            each_frame(theirs, &mut |frame| drop_field(frame, "active-time"));
        },
    },
    Normaliser {
        name: "text-of-unbalanced",
        reason: "7.2 names the command in the error of an unbalanced list of streams",
        applies: |command| command.is(&["XREAD", "XREADGROUP"]),
        apply: |ours, theirs| same_error(ours, theirs, b"ERR Unbalanced "),
    },
    Normaliser {
        name: "number-without-opposite",
        reason: "7.2 refuses the one RANK that has no opposite, 7.0.15 lets it overflow",
        applies: |command| {
            command.is(&["LPOS"])
                && command
                    .words
                    .iter()
                    .any(|word| word == b"-9223372036854775808")
        },
        apply: |ours, theirs| {
            if ours.is_error() {
                theirs.clone_from(ours);
            }
        },
    },
    Normaliser {
        name: "text-of-infinite-timeout",
        reason: "7.2 calls an infinite timeout out of range, 7.0 negative",
        applies: |command| command.is(&["BLPOP", "BRPOP", "BLMOVE", "BRPOPLPUSH", "BLMPOP"]),
        apply: |ours, theirs| same_error(ours, theirs, b"ERR timeout is "),
    },
];

/// Whether the two raw replies to a command are the same answer.
pub(crate) fn same_answer(words: &[Vec<u8>], ours: &[u8], theirs: &[u8], dialect: Dialect) -> bool {
    if ours == theirs {
        return true;
    }
    match (Frame::try_parse(ours), Frame::try_parse(theirs)) {
        (Some(ours), Some(theirs)) => same_frames(words, ours, theirs, dialect),
        _ => false,
    }
}

/// As `same_answer`, for frames out of a larger reply (EXEC).
pub(crate) fn same_frames(
    words: &[Vec<u8>],
    mut ours: Frame,
    mut theirs: Frame,
    dialect: Dialect,
) -> bool {
    let command = Command::new(words);
    // Fields that one side lacks go first: the others look for pairs in the same place.
    let mut lists = vec![NEWER_THAN_ALL];
    if dialect < Dialect::Redis86 {
        lists.push(SINCE_86);
    } else {
        lists.push(ONLY_86);
    }
    // What has no order gets one before anything is compared place by place.
    lists.push(ORDERS);
    if dialect == Dialect::Redis70 {
        lists.push(VERSION_DIFFERENCES);
    }
    lists.push(NORMALISERS);
    for normaliser in lists.into_iter().flatten() {
        if (normaliser.applies)(&command) {
            (normaliser.apply)(&mut ours, &mut theirs);
        }
    }
    encoded(&ours) == encoded(&theirs)
}

pub(super) fn encoded(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    bytes
}

/// Two errors with the same beginning.
fn same_error(ours: &Frame, theirs: &mut Frame, beginning: &[u8]) {
    if let (Frame::Error(a), Frame::Error(b)) = (ours, theirs)
        && a.starts_with(beginning)
        && b.starts_with(beginning)
    {
        b.clone_from(a);
    }
}

/// Texts of the same number are the same.
fn same_scores(ours: &mut Frame, theirs: &mut Frame) {
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<f64>().ok();
    match (&*ours, &mut *theirs) {
        (Frame::Bulk(a), Frame::Bulk(b)) | (Frame::Double(a), Frame::Double(b)) => {
            if number(a).is_some() && number(a) == number(b) {
                b.clone_from(a);
            }
        }
        _ => {
            let pairs = ours.items_mut().iter_mut().zip(theirs.items_mut());
            pairs.for_each(|(ours, theirs)| same_scores(ours, theirs));
        }
    }
}

/// Leaves consumers with nothing pending out of XINFO CONSUMERS and of the groups of XINFO STREAM FULL.
fn drop_idle_consumers(frame: &mut Frame) {
    each_frame(frame, &mut |frame| {
        if let Frame::Array(items) = frame {
            items.retain(|item| {
                // A group has a name and pel-count too, and consumers besides.
                let idle = |name| item.field(name) == Some(&Frame::Integer(0));
                let consumer = item.field("seen-time").is_some() || item.field("idle").is_some();
                !(consumer && (idle("pel-count") || idle("pending")))
            });
        }
    });
}

/// The idle time of each entry, the third of its four parts.
fn close_claimed(ours: &mut Frame, theirs: &mut Frame) {
    let both = is_claimed(ours) && is_claimed(theirs);
    for (at, (ours, theirs)) in ours
        .items_mut()
        .iter_mut()
        .zip(theirs.items_mut())
        .enumerate()
    {
        if both && at == 2 {
            close_integers(ours, theirs);
        } else {
            close_claimed(ours, theirs);
        }
    }
}

/// Two integers that are close, or both so large that they are clock readings that are close.
fn close_integers(ours: &mut Frame, theirs: &mut Frame) {
    if let (Frame::Integer(a), Frame::Integer(b)) = (&*ours, &*theirs) {
        // -1 and -2 are answers of their own (no expiry, no key, never active), never a time.
        if *a >= 0 && *b >= 0 && a.abs_diff(*b) <= CLOCK_TOLERANCE_MS.unsigned_abs() {
            theirs.clone_from(ours);
        }
    }
}

/// Only the kind of reply counts, through all its items.
pub(super) fn same_shape(ours: &mut Frame, theirs: &mut Frame) {
    match (&mut *ours, &mut *theirs) {
        (Frame::Integer(a), Frame::Integer(b)) => *b = *a,
        (Frame::Bulk(a), Frame::Bulk(b)) => b.clone_from(a),
        (Frame::Array(a), Frame::Array(b)) if a.len() == b.len() => {
            for (a, b) in a.iter_mut().zip(b) {
                same_shape(a, b);
            }
        }
        _ => {}
    }
}

/// Applies to the pairs of values under a name, wherever in the frames it stands in the same place.
fn each_field(ours: &mut Frame, theirs: &mut Frame, name: &str, apply: fn(&mut Frame, &mut Frame)) {
    let named =
        |frame: &Frame, at: usize| at > 0 && frame.items()[at - 1].bytes() == name.as_bytes();
    for at in 0..ours.items().len().min(theirs.items().len()) {
        let both = named(ours, at) && named(theirs, at);
        let (ours, theirs) = (&mut ours.items_mut()[at], &mut theirs.items_mut()[at]);
        if both {
            apply(ours, theirs);
        } else {
            each_field(ours, theirs, name, apply);
        }
    }
}

fn each_frame(frame: &mut Frame, apply: &mut dyn FnMut(&mut Frame)) {
    apply(frame);
    for item in frame.items_mut() {
        each_frame(item, apply);
    }
}

fn drop_field(frame: &mut Frame, name: &str) {
    if let Frame::Array(items) | Frame::Map(items) = frame
        && let Some(at) = items
            .iter()
            .position(|item| matches!(item, Frame::Bulk(data) if data == name.as_bytes()))
        && at + 1 < items.len()
    {
        items.drain(at..at + 2);
    }
}

/// Whether it looks like `1700000000000-0`.
fn is_clock_id(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let Some((ms, sequence)) = text.split_once('-') else {
        return false;
    };
    let ms: u64 = ms.parse().unwrap_or(0);
    (1_600_000_000_000..2_600_000_000_000).contains(&ms) && sequence.parse::<u64>().is_ok()
}

fn hide_clock_ids(frame: &mut Frame) {
    each_frame(frame, &mut |frame| {
        if let Frame::Bulk(data) = frame
            && is_clock_id(data)
        {
            *data = b"<id from the clock>".to_vec();
        }
    });
}
