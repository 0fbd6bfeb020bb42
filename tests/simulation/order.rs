//! Orders that a client must see also when its own shard's keyspace was with another shard meanwhile.

use super::*;

pub(crate) const SHARDS: usize = 2;

/// Keys at home on the first and on the second of two shards.
pub(crate) const FIRST: &str = "b";
pub(crate) const SECOND: &str = "a";

/// A client of each of two shards, at rest.
pub(crate) fn world() -> World {
    let mut world = World::empty(Random(1), SHARDS);
    connect_to_all(&mut world);
    world
}

pub(crate) fn connect_to_all(world: &mut World) {
    for shard in 0..SHARDS {
        world.connect_to(shard, false);
    }
    world.settle();
}

/// Sends commands in one piece; delivers no messages.
pub(crate) fn send(world: &mut World, player: usize, commands: &[&str]) {
    let words = |line: &&str| -> Vec<Vec<u8>> { line.split(' ').map(Into::into).collect() };
    let bytes: Vec<u8> = commands
        .iter()
        .flat_map(|line| request(&words(line)))
        .collect();
    world.players[player].in_flight.extend(bytes);
    let count = world.players[player].in_flight.len();
    world.feed(player, count);
}

/// What a client has received since the last call, everything under way being done.
pub(crate) fn received(world: &mut World, player: usize) -> String {
    world.settle();
    let bytes = std::mem::take(&mut world.players[player].received);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_tracking_client_hears_of_a_change_before_it_sees_it() {
    let mut world = world();
    let get = format!("GET {SECOND}");
    send(&mut world, 1, &["HELLO 3", "CLIENT TRACKING on", &get]);
    received(&mut world, 1);
    // The other shard changes it: the word of that is in the mailbox, the change in the berth.
    send(&mut world, 0, &[&format!("SET {SECOND} new")]);
    send(&mut world, 1, &[&get]);
    let text = received(&mut world, 1);
    let heard = text.find("invalidate").expect("it has read the key");
    let seen = text.find("new").expect("it has asked for it");
    assert!(heard < seen, "{text}");
}

#[test]
fn a_subscriber_hears_what_came_with_a_change_before_it_sees_it() {
    let mut world = world();
    send(&mut world, 1, &["HELLO 3", "SUBSCRIBE ch"]);
    received(&mut world, 1);
    let set = format!("SET {SECOND} new");
    send(&mut world, 0, &["PUBLISH ch heard", &set]);
    send(&mut world, 1, &[&format!("GET {SECOND}")]);
    let text = received(&mut world, 1);
    let heard = text.find("heard").expect("it is subscribed");
    let seen = text.find("new").expect("it has asked for it");
    assert!(heard < seen, "{text}");
}

/// The world's clock, ahead of it.
struct ClockAhead(Arc<SimulatedClock>);

impl Clock for ClockAhead {
    fn now_ms(&self) -> u64 {
        self.0.now_ms() + 50
    }

    fn nanoseconds(&self) -> u64 {
        self.0.nanoseconds()
    }

    fn sleep(&self, ms: u64) {
        self.0.sleep(ms);
    }
}

/// A client of each of two shards, at rest; the clock of the second shard is 50 ms ahead.
pub(crate) fn world_with_the_second_ahead() -> World {
    let mut world = World::empty(Random(1), SHARDS);
    let clock = Arc::new(ClockAhead(Arc::clone(&world.clock)));
    replace_shard(&mut world, 1, clock);
    connect_to_all(&mut world);
    world
}

/// Another shard takes the place of one that has no clients, with a clock of its own.
pub(crate) fn replace_shard(world: &mut World, number: usize, clock: Arc<dyn Clock>) {
    let post: Arc<dyn Post> = Arc::clone(&world.mail) as Arc<dyn Post>;
    let id = ShardId(number as u16);
    assert!(world.mail.berths.take(ShardSet::one(id), 0).is_some());
    let hasher = hashbrown::DefaultHashBuilder::default();
    world.shards[number] = Shard::new(id, Arc::clone(&world.shared), post, clock, hasher);
}

/// The milliseconds of the stream IDs in replies.
pub(crate) fn times_of_ids(text: &str) -> Vec<u64> {
    let time = |line: &str| line.split_once('-')?.0.parse().ok();
    text.lines().filter_map(time).collect()
}

#[test]
fn stream_ids_do_not_go_back_from_one_shard_to_the_next() {
    let mut world = world_with_the_second_ahead();
    let add = |key: &str| format!("XADD {key} * f v");
    let (first, second) = (add(FIRST), add(SECOND));
    send(&mut world, 1, &[&second]);
    received(&mut world, 1);
    send(&mut world, 0, &[&second, &first]);
    let text = received(&mut world, 0);
    let times = times_of_ids(&text);
    assert!(times.len() == 2 && times[0] <= times[1], "{text}");
}

#[test]
fn a_connection_moves_to_where_its_windows_are_and_back() {
    let mut world = world();
    for (home, key) in [(0, FIRST), (1, SECOND)] {
        let set = format!("SET {key} v");
        let window = [set.as_str(); 8];
        for turns in 0.. {
            assert!(turns < 100, "it stays away from its keys");
            if world.players[1].shard == home {
                break;
            }
            send(&mut world, 1, &window);
            assert_eq!(received(&mut world, 1), "+OK\r\n".repeat(8));
        }
    }
}

#[test]
fn a_connection_that_needs_both_keyspaces_equally_stays_where_it_is() {
    let mut world = world();
    let (first, second) = (format!("SET {FIRST} v"), format!("SET {SECOND} v"));
    for _ in 0..100 {
        send(&mut world, 1, &[&first, &second, &first, &second]);
        assert_eq!(received(&mut world, 1), "+OK\r\n".repeat(4));
        assert_eq!(world.players[1].shard, 1);
    }
}

/// Somebody has all keyspaces until [`World::put_back`].
pub(crate) fn hold_all(world: &mut World) {
    let all = ShardSet::all(SHARDS);
    let taken = world.mail.berths.take(all, 0).expect("they are at rest");
    world.held.push((all, taken));
}

#[test]
fn a_command_waits_for_keyspaces_that_somebody_has_and_runs_when_they_are_back() {
    let mut world = world();
    hold_all(&mut world);
    let set = format!("SET {FIRST} v");
    send(&mut world, 1, &[&set]);
    let get = format!("GET {FIRST}");
    send(&mut world, 1, &[&get]);
    assert!(world.shards[1].has_work(), "it sleeps without a ticket");
    assert!(!world.shards[1].work(), "it waits for an offer");
    world.flush(1);
    assert!(world.players[1].received.is_empty(), "nothing could run");
    world.put_back();
    let is_offered = |message: &Message| matches!(message, Message::Offer);
    assert!(world.mail.boxes.lock().unwrap()[1].iter().any(is_offered));
    assert_eq!(received(&mut world, 1), "+OK\r\n$1\r\nv\r\n");
}

/// Lets a thread do all that is due now, and no other.
fn work_alone(world: &mut World, shard: usize) {
    world.shards[shard].handle(Event::Tick);
    while world.shards[shard].work() {}
    world.flush(shard);
}

#[test]
fn an_earlier_alarm_reaches_the_thread_of_the_keyspace_whoever_puts_it_back() {
    let mut world = world();
    let read =
        |who: &str, options: &str| format!("XREADGROUP GROUP g {who} {options} STREAMS {SECOND} >");
    let add = format!("XADD {SECOND} 1-1 f v");
    let create = format!("XGROUP CREATE {SECOND} g 0");
    send(&mut world, 1, &[&add, &create, &read("first", "COUNT 1")]);
    received(&mut world, 1);
    // A client of the other thread waits until the entry has been pending for a while.
    send(&mut world, 0, &[&read("second", "BLOCK 0 CLAIM 5000")]);
    assert_eq!(received(&mut world, 0), "");
    world.clock.sleep(5000);
    work_alone(&mut world, 1);
    let text = received(&mut world, 0);
    assert!(text.contains("1-1"), "it still waits: {text}");
}

#[test]
fn a_stop_answers_a_barrier_that_a_job_of_the_stopping_thread_was_to_answer() {
    let mut world = world();
    send(&mut world, 0, &["CLIENT TRACKING ON"]);
    received(&mut world, 0);
    // What the second thread has to do for it waits for its keyspace.
    let second = ShardSet::one(ShardId(1));
    let taken = world.mail.berths.take(second, 0).expect("it is at rest");
    world.held.push((second, taken));
    send(&mut world, 0, &["CONFIG SET tracking-table-max-keys 1"]);
    while world.deliver(1) {}
    world.shards[1].work();
    for shard in 0..SHARDS {
        world.mail.push(ShardId(shard as u16), Message::Stop);
    }
    for _ in 0..100 {
        let mut have_left = 0;
        for shard in 0..SHARDS {
            while world.deliver(shard) {}
            world.shards[shard].work();
            have_left += usize::from(world.drain(shard));
            world.flush(shard);
        }
        if have_left == SHARDS {
            return;
        }
    }
    panic!("they wait for each other");
}
