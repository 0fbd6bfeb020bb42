//! What reveals a write that is not on disk waits for it, and nothing else does.

use millrace::journal::log::Log;
use millrace::journal::storage::memory::MemoryStorage;
use millrace::shard::journal::log_in;

use super::order::{FIRST, SECOND, send};
use super::*;

/// Players: 0 writes to the first shard, 1 watches from the second, 2 from the first.
struct Held {
    world: World,
    log: Arc<Log>,
}

impl Held {
    fn new() -> Self {
        let mut world = World::empty(Random(1), 2);
        let log = log_in(&MemoryStorage::new(), &world.shared).unwrap();
        let mail = Arc::clone(&world.mail);
        log.set_wake(move |shard| mail.post(ShardId(shard as u16), Message::LogMoved));
        world.shards = std::mem::take(&mut world.shards)
            .into_iter()
            .map(|shard| shard.with_log(Arc::clone(&log)))
            .collect();
        for shard in [0, 1, 0] {
            world.connect_to(shard, false);
        }
        world.settle();
        let mut held = Self { world, log };
        held.received(0);
        held
    }

    /// What a player has received; nothing is synced.
    fn received(&mut self, player: usize) -> String {
        self.world.settle();
        let bytes = std::mem::take(&mut self.world.players[player].received);
        String::from_utf8(bytes).unwrap()
    }

    fn send(&mut self, player: usize, commands: &[&str]) {
        send(&mut self.world, player, commands);
    }

    /// Sends commands, which must be answered only when the log is synced; gives the answer.
    fn answered_after_the_sync(&mut self, player: usize, commands: &[&str]) -> String {
        self.send(player, commands);
        assert_eq!(self.received(player), "", "{commands:?}");
        self.sync();
        self.received(player)
    }

    fn sync(&mut self) {
        assert!(self.log.sync());
    }

    fn find_disk_quick(&self) {
        (0..2000).for_each(|_| self.log.note_sync_took(0));
    }
}

#[test]
fn the_reply_to_a_write_waits_for_the_sync() {
    let mut held = Held::new();
    let set = format!("SET {FIRST} v");
    assert_eq!(held.answered_after_the_sync(0, &[&set]), "+OK\r\n");
}

#[test]
fn who_does_not_look_at_unsynced_keys_waits_for_nobody() {
    let mut held = Held::new();
    let set = format!("SET {FIRST} v");
    held.send(0, &[&set]);
    assert_eq!(held.received(0), "");
    let get = format!("GET {SECOND}");
    held.send(1, &["PING", &get, "PUBLISH nobody m"]);
    assert_eq!(held.received(1), "+PONG\r\n$-1\r\n:0\r\n");
}

#[test]
fn a_read_of_an_unsynced_write_waits_for_it_on_whatever_thread() {
    for player in [1, 2] {
        let mut held = Held::new();
        let (set, get) = (format!("SET {FIRST} v"), format!("GET {FIRST}"));
        held.send(0, &[&set]);
        held.received(0);
        let reply = held.answered_after_the_sync(player, &[&get]);
        assert_eq!(reply, "$1\r\nv\r\n");
    }
}

#[test]
fn what_is_sent_without_a_question_waits_too() {
    let (subscribe, track, watch) = (
        format!("PSUBSCRIBE __key*__:{FIRST}"),
        format!("GET {FIRST}"),
        format!("BLPOP {FIRST} 0"),
    );
    let set = format!("SET {FIRST} v");
    let push = format!("RPUSH {FIRST} v");
    let cases: [(&[&str], &str, &str); 4] = [
        (&["HELLO 3", &subscribe], &set, "pmessage"),
        (
            &["HELLO 3", "CLIENT TRACKING on", &track],
            &set,
            "invalidate",
        ),
        (&[&watch], &push, "*2\r\n"),
        (&["MONITOR"], &set, FIRST),
    ];
    for (before, write, told) in cases {
        for player in [1, 2] {
            let mut held = Held::new();
            held.send(0, &["CONFIG SET notify-keyspace-events KA"]);
            held.sync();
            held.received(0);
            held.send(player, before);
            held.received(player);
            held.send(0, &[write]);
            held.received(0);
            assert_eq!(held.received(player), "", "{before:?} {write}");
            held.sync();
            let text = held.received(player);
            assert!(text.contains(told), "{before:?} {write}: {text}");
        }
    }
}

#[test]
fn a_message_waits_for_what_its_publisher_wrote_before() {
    let set = format!("SET {FIRST} v");
    for writes in [
        &[&set[..]][..],
        &["CLIENT REPLY OFF", &set],
        &["MULTI", &set, "EXEC"],
    ] {
        let mut held = Held::new();
        held.send(1, &["SUBSCRIBE ch"]);
        held.received(1);
        held.send(0, writes);
        held.received(0);
        held.send(0, &["PUBLISH ch told"]);
        held.received(0);
        assert_eq!(held.received(1), "", "{writes:?}");
        held.sync();
        assert!(held.received(1).contains("told"));
    }
}

#[test]
fn a_message_waits_for_nothing_that_others_wrote() {
    for (writer, publisher) in [(0, 2), (2, 0)] {
        let mut held = Held::new();
        held.send(1, &["SUBSCRIBE ch"]);
        held.received(1);
        held.send(writer, &[&format!("SET {FIRST} v")]);
        assert_eq!(held.received(writer), "");
        held.send(
            publisher,
            &["PUBLISH ch told", "MULTI", "PUBLISH ch again", "EXEC"],
        );
        let told = held.received(1);
        assert!(told.contains("told") && told.contains("again"), "{told}");
    }
}

#[test]
fn an_event_that_tells_of_no_write_waits_for_the_one_it_is_about() {
    let mut held = Held::new();
    held.send(
        0,
        &[
            "CONFIG SET notify-keyspace-events KEAm",
            &format!("SET {FIRST} v"),
        ],
    );
    held.sync();
    held.send(1, &["PSUBSCRIBE *"]);
    held.received(1);
    held.send(0, &[&format!("DEL {FIRST}")]);
    held.received(0);
    held.received(1);
    held.send(2, &[&format!("GET {FIRST}")]);
    held.received(2);
    assert_eq!(held.received(1), "");
    held.sync();
    let told = held.received(1);
    assert!(told.contains("del") && told.contains("keymiss"), "{told}");
}

#[test]
fn a_transaction_that_did_nothing_tells_of_the_write_that_stopped_it() {
    let mut held = Held::new();
    let (watch, ping) = (format!("WATCH {FIRST}"), "PING");
    held.send(1, &[&watch, "MULTI", ping]);
    held.received(1);
    let set = format!("SET {FIRST} v");
    held.send(0, &[&set]);
    held.received(0);
    assert_eq!(held.answered_after_the_sync(1, &["EXEC"]), "*-1\r\n");
}

#[test]
fn a_client_that_quits_gets_its_last_replies_after_the_sync() {
    let mut held = Held::new();
    let set = format!("SET {FIRST} v");
    let replies = held.answered_after_the_sync(0, &[&set, "QUIT"]);
    assert_eq!(replies, "+OK\r\n+OK\r\n");
}

#[test]
fn on_a_quick_disk_the_shard_that_wrote_waits_for_the_sync_itself() {
    let mut held = Held::new();
    let set = format!("SET {FIRST} v");
    held.find_disk_quick();
    held.send(0, &[&set]);
    assert_eq!(held.received(0), "+OK\r\n");
    held.log.note_sync_took(u64::MAX);
    assert_eq!(held.answered_after_the_sync(0, &[&set]), "+OK\r\n");
}

#[test]
fn on_a_quick_disk_who_wrote_beside_a_sync_syncs_when_it_has_ended() {
    for became_slow in [false, true] {
        let mut held = Held::new();
        let (first, second) = (format!("SET {FIRST} v"), format!("SET {SECOND} v"));
        held.send(0, &[&first]);
        assert_eq!(held.received(0), "");
        held.find_disk_quick();
        assert!(held.log.take_wanted());
        let syncing = held.log.begin_sync().unwrap();
        for (player, set) in [(1, &second), (2, &first)] {
            held.send(player, &[set]);
            assert_eq!(held.received(player), "");
        }
        let result = syncing.run();
        if became_slow {
            held.log.note_sync_took(u64::MAX);
        }
        held.log.finish_sync(&syncing, result);
        assert_eq!(held.received(0), "+OK\r\n");
        let (told, untold) = ("+OK\r\n", "");
        let expected = if became_slow { untold } else { told };
        for player in [1, 2] {
            assert_eq!(held.received(player), expected);
        }
        assert_eq!(held.log.take_wanted(), became_slow);
        held.log.sync();
        let rest = if became_slow { told } else { untold };
        for player in [1, 2] {
            assert_eq!(held.received(player), rest);
        }
    }
}

#[test]
fn on_a_quick_disk_who_only_reads_waits_for_no_sync_and_makes_none() {
    let mut held = Held::new();
    held.send(0, &[&format!("SET {FIRST} v")]);
    assert_eq!(held.received(0), "");
    held.find_disk_quick();
    held.send(1, &["PING", &format!("GET {SECOND}")]);
    assert_eq!(held.received(1), "+PONG\r\n$-1\r\n");
    assert!(held.log.synced() < held.log.end());
    assert_eq!(held.received(0), "");
}
