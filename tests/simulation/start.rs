//! Starts on what a disk holds, and what the server has then, as a client reads it.

use std::sync::atomic::AtomicI64;

use millrace::journal::storage::memory::{Call, Fault, MemoryStorage};
use millrace::journal::storage::{CrashPoint, Storage};
use millrace::server::stepped::{Saving, recover};

use super::commands::request;
use super::disk::Others;
use super::model::Model;
use super::stepped::{Around, SteppedStorage};
use super::units::{number_of, shown, text_of};
use super::*;

/// Points that a start can reach.
pub(crate) const POINTS: [CrashPoint; 16] = [
    CrashPoint::BeforeManifestRename,
    CrashPoint::AfterManifestRename,
    CrashPoint::AfterManifestSync,
    CrashPoint::AfterIncrementalCreated,
    CrashPoint::AfterLogFill,
    CrashPoint::BeforeSnapshotRename,
    CrashPoint::BeforeBaseRename,
    CrashPoint::AfterBaseRename,
    CrashPoint::BeforeDeleteHistory,
    CrashPoint::DuringDeleteHistory,
    CrashPoint::AfterDeleteHistory,
    CrashPoint::BeforeUpgradeRename,
    CrashPoint::AfterUpgradeRename,
    CrashPoint::BeforeTailCut,
    CrashPoint::AfterTailCut,
    CrashPoint::AfterReplay,
];

/// How a server is set up.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) shard_count: usize,
    pub(crate) has_log: bool,
    pub(crate) words: Vec<String>,
    pub(crate) has_save_points: bool,
    /// `appendfsync always`.
    pub(crate) syncs_always: bool,
}

impl Setup {
    /// One of a seed. `log`: whether there is to be one, where that is known.
    pub(crate) fn random(random: &mut Random, log: Option<bool>) -> Self {
        let has_log = !random.one_in(8);
        let has_log = log.unwrap_or(has_log);
        let policy = ["always", "always", "always", "everysec", "everysec", "no"];
        let policy = policy[random.below(policy.len())];
        let yes_or_no = |random: &mut Random| ["yes", "no"][random.below(2)];
        let points = if random.one_in(2) { "" } else { "2 20" };
        let words = [
            ("appendonly", if has_log { "yes" } else { "no" }),
            ("appendfsync", policy),
            ("save", points),
            ("aof-use-rdb-preamble", yes_or_no(random)),
            ("aof-timestamp-enabled", yes_or_no(random)),
            ("no-appendfsync-on-rewrite", yes_or_no(random)),
            ("rdbcompression", yes_or_no(random)),
            ("auto-aof-rewrite-min-size", "4kb"),
        ];
        let words = words.into_iter();
        Self {
            shard_count: [1, 1, 2, 3, 4][random.below(5)],
            has_log,
            words: words
                .flat_map(|(name, value)| [format!("--{name}"), value.to_owned()])
                .collect(),
            has_save_points: !points.is_empty(),
            syncs_always: policy == "always",
        }
    }
}

/// A server that has started.
pub(crate) struct Started {
    pub(crate) others: Others,
    pub(crate) saver: Saving<Around>,
    pub(crate) calls_left: Arc<AtomicI64>,
}

/// What disturbs a start.
#[derive(Debug)]
pub(crate) enum Trouble {
    None,
    /// The power fails in so many calls.
    Calls(i64),
    /// The power fails there.
    Point(CrashPoint),
    /// A call fails.
    Fault(Call, u64, Fault),
}

impl Trouble {
    pub(crate) fn random(random: &mut Random) -> Self {
        match random.below(6) {
            0 => Self::Calls(1 + random.below(12) as i64),
            1 => Self::Calls(1 + random.below(60) as i64),
            2 => Self::Point(POINTS[random.below(POINTS.len())]),
            3 => {
                let call = Call::ALL[random.below(Call::ALL.len())];
                let fault = [Fault::NoSpace, Fault::Broken, Fault::Short(3)][random.below(3)];
                Self::Fault(call, 1 + random.below(5) as u64, fault)
            }
            _ => Self::None,
        }
    }
}

/// Starts a server as it is set up.
pub(crate) fn start(
    random: Random,
    setup: &Setup,
    clock: &Arc<SimulatedClock>,
    disk: &MemoryStorage,
    trouble: &Trouble,
) -> Result<Started, String> {
    let calls = match trouble {
        Trouble::Calls(calls) => *calls,
        _ => i64::MAX,
    };
    match trouble {
        Trouble::Point(point) => disk.stop_at(*point, 1),
        Trouble::Fault(call, nth, fault) => disk.plan(*call, *nth, *fault),
        Trouble::None | Trouble::Calls(_) => {}
    }
    let words: Vec<&str> = setup.words.iter().map(String::as_str).collect();
    let mut world = World::without_shards(random, setup.shard_count, &words, Arc::clone(clock));
    let storage = SteppedStorage::new(disk.clone(), calls);
    let around = Around {
        storage: storage.clone(),
        clock: Arc::clone(clock),
    };
    let shared: Arc<dyn Storage> = Arc::new(storage.clone());
    let time: Arc<dyn Clock> = Arc::clone(clock) as Arc<dyn Clock>;
    let stepped = recover(&world.shared, shared, &world.mail, &time, around)?;
    world.shards = stepped.shards;
    let others = Others::new(world, stepped.log, &storage, setup);
    Ok(Started {
        others,
        saver: stepped.saver,
        calls_left: storage.calls_left,
    })
}

/// A reply as a tree.
enum Tree {
    Text(String),
    List(Vec<Tree>),
}

impl Tree {
    fn parse(rest: &mut &[u8]) -> Tree {
        let end = rest.windows(2).position(|two| two == b"\r\n").unwrap();
        let (line, behind) = rest.split_at(end);
        *rest = &behind[2..];
        let text = String::from_utf8_lossy(&line[1..]).into_owned();
        match line[0] {
            b'*' => {
                let count = text.parse().unwrap_or(0);
                Tree::List((0..count).map(|_| Tree::parse(rest)).collect())
            }
            b'$' if text == "-1" => Tree::Text(String::new()),
            b'$' => {
                let count: usize = text.parse().unwrap();
                let (text, behind) = rest.split_at(count);
                *rest = &behind[2..];
                Tree::Text(String::from_utf8_lossy(text).into_owned())
            }
            _ => Tree::Text(text),
        }
    }

    fn text(&self) -> &str {
        match self {
            Tree::Text(text) => text,
            Tree::List(_) => panic!("a list"),
        }
    }

    /// Nothing for an error.
    fn list(&self) -> &[Tree] {
        match self {
            Tree::Text(_) => &[],
            Tree::List(list) => list,
        }
    }
}

fn entry_number(id: &Tree) -> u64 {
    let number = id.text().trim_end_matches("-0").parse();
    number.unwrap_or_else(|_| panic!("no ID: {:?}", id.text()))
}

/// A stream as [`streams::Streams::shown`] has it.
fn stream_text(parts: &[Tree]) -> String {
    use std::fmt::Write;
    let [exists, entries, groups, pending] = parts else {
        panic!("four replies");
    };
    if exists.text() == "0" {
        return text_of::<String>([]);
    }
    let entries = entries.list().iter();
    let entries: Vec<u64> = entries
        .map(|entry| entry_number(&entry.list()[0]))
        .collect();
    let mut text = format!("{entries:?}");
    if let Some(group) = groups.list().first() {
        let fields: Vec<&Tree> = group.list().iter().collect();
        let mut fields = fields.chunks(2);
        let position = fields.find(|pair| pair[0].text() == "last-delivered-id");
        let _ = write!(text, " to {}:", entry_number(position.unwrap()[1]));
        for entry in pending.list() {
            let [id, consumer, _, deliveries] = entry.list() else {
                panic!("four parts");
            };
            let is_released = consumer.text().is_empty();
            let (id, deliveries) = (entry_number(id), deliveries.text());
            let _ = write!(text, " {id}/{deliveries}/{is_released}");
        }
    }
    text
}

/// The commands that read a key.
fn reads(key: &str) -> Vec<String> {
    if streams::KEYS.contains(&key) {
        vec![
            format!("EXISTS {key}"),
            format!("XRANGE {key} - +"),
            format!("XINFO GROUPS {key}"),
            format!("XPENDING {key} g - + 100000"),
        ]
    } else if scores::KEYS.contains(&key) {
        vec![format!("ZRANGE {key} 0 -1 WITHSCORES")]
    } else {
        vec![format!("LRANGE {key} 0 -1")]
    }
}

/// Each key with what can be read of it.
pub(crate) fn read_all(others: &mut Others) -> Vec<(&'static str, String)> {
    let lines: Vec<String> = units::keys().flat_map(reads).collect();
    let all = [vec!["MULTI".to_owned()], lines, vec!["EXEC".to_owned()]].concat();
    let bytes = all.iter().flat_map(|line| {
        let words: Vec<Vec<u8>> = line.split(' ').map(Into::into).collect();
        request(&words)
    });
    let bytes: Vec<u8> = bytes.collect();
    let (world, operator) = (&mut others.world, others.operator);
    world.players[operator].in_flight.extend(bytes);
    world.settle();
    let received = std::mem::take(&mut world.players[operator].received);
    let at = received.iter().position(|byte| *byte == b'*');
    let at = at.unwrap_or_else(|| panic!("no answer: {}", String::from_utf8_lossy(&received)));
    let tree = Tree::parse(&mut &received[at..]);
    let mut replies = tree.list();
    let values = units::keys().map(|key| {
        let count = reads(key).len();
        let (own, others) = replies.split_at(count);
        replies = others;
        let text = match own {
            [one] => text_of(one.list().iter().map(Tree::text)),
            several => stream_text(several),
        };
        (key, text)
    });
    values.collect()
}

/// The number of such a state, as [`units::Units`] has it.
pub(crate) fn sum_of(values: &[(&str, String)]) -> u64 {
    let numbers = values
        .iter()
        .map(|(key, shown)| number_of(key.as_bytes(), shown));
    numbers.fold(0, u64::wrapping_add)
}

/// Where a state differs from a model's.
pub(crate) fn differences(values: &[(&str, String)], model: &Model) -> String {
    let pairs = values
        .iter()
        .map(|(key, value)| (key, value, shown(model, key.as_bytes())));
    let different = pairs.filter(|(_, value, expected)| *value != expected);
    different
        .map(|(key, value, expected)| format!("\n{key}: {value:?}\n  not {expected:?}"))
        .collect()
}
