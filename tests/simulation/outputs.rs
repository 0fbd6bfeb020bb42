//! When replies and messages leave: what waits for company, what waits for a reply, and that every turn runs something.

use super::order::{FIRST, SECOND, hold_all, received, replace_shard, send, world};
use super::*;

/// What a client has received without anybody's doing anything more.
fn received_so_far(world: &mut World, player: usize) -> String {
    let shard = world.players[player].shard;
    world.flush(shard);
    let bytes = std::mem::take(&mut world.players[player].received);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_reply_that_soon_has_company_leaves_with_it() {
    let mut world = world();
    hold_all(&mut world);
    let set = format!("SET {FIRST} v");
    send(&mut world, 1, &["PING", &set]);
    assert_eq!(received_so_far(&mut world, 1), "");
    world.put_back();
    assert_eq!(received(&mut world, 1), "+PONG\r\n+OK\r\n");
}

#[test]
fn a_reply_to_who_listens_waits_for_no_company() {
    for listens in ["SUBSCRIBE ch", "CLIENT TRACKING on"] {
        let mut world = world();
        send(&mut world, 1, &["HELLO 3", listens]);
        received(&mut world, 1);
        hold_all(&mut world);
        let set = format!("SET {FIRST} v");
        send(&mut world, 1, &["PING", &set]);
        assert_eq!(received_so_far(&mut world, 1), "+PONG\r\n", "{listens}");
        world.put_back();
        assert_eq!(received(&mut world, 1), "+OK\r\n", "{listens}");
    }
}

#[test]
fn at_a_stop_a_reply_waits_for_no_company() {
    for is_stopped_first in [false, true] {
        let mut world = world();
        hold_all(&mut world);
        let set = format!("SET {FIRST} v");
        send(&mut world, 1, &["PING", &set]);
        if !is_stopped_first {
            assert_eq!(received_so_far(&mut world, 1), "");
        }
        world.shards[1].handle(Event::Message(Message::Stop));
        assert_eq!(received_so_far(&mut world, 1), "+PONG\r\n");
        world.put_back();
    }
}

#[test]
fn a_notice_comes_behind_a_reply_that_waits_for_all_shards() {
    let mut world = world();
    let get = format!("GET {SECOND}");
    send(&mut world, 1, &["HELLO 3", "CLIENT TRACKING on", &get]);
    received(&mut world, 1);
    send(&mut world, 1, &["CONFIG SET hz 10"]);
    send(&mut world, 0, &[&format!("SET {SECOND} new")]);
    // The notice is there, the other shard's answer is not.
    while world.deliver(1) {}
    assert_eq!(received_so_far(&mut world, 1), "");
    let text = received(&mut world, 1);
    assert!(text.starts_with("+OK\r\n>2\r\n"), "{text}");
}

/// The world's clock, on which each look takes 10 ms.
struct SlowClock(Arc<SimulatedClock>);

impl Clock for SlowClock {
    fn now_ms(&self) -> u64 {
        self.0.now_ms()
    }

    fn nanoseconds(&self) -> u64 {
        self.0.sleep(10);
        self.0.nanoseconds()
    }

    fn sleep(&self, ms: u64) {
        self.0.sleep(ms);
    }
}

#[test]
fn every_turn_runs_a_command_however_slow_the_machine_is() {
    const COUNT: usize = 20;
    for shard_count in [1, 2] {
        let mut world = World::empty(Random(1), shard_count);
        if shard_count == 2 {
            let clock = Arc::new(SlowClock(Arc::clone(&world.clock)));
            (0..2).for_each(|shard| replace_shard(&mut world, shard, clock.clone()));
        } else {
            world.shards[0] = slow_shard(&world);
        }
        world.connect_to(0, false);
        world.settle();
        let set = format!("SET {SECOND} v");
        send(&mut world, 0, &[set.as_str(); COUNT]);
        // A budget that was spent before its turn began would never let anything run.
        for _ in 0..10 * COUNT {
            while world.deliver(0) {}
            world.shards[0].work();
        }
        world.flush(0);
        let text = String::from_utf8_lossy(&world.players[0].received);
        assert_eq!(text, "+OK\r\n".repeat(COUNT), "{shard_count} shards");
    }
}

/// The only shard of its world.
fn slow_shard(world: &World) -> Shard {
    Shard::new(
        ShardId(0),
        Arc::clone(&world.shared),
        Arc::clone(&world.mail) as Arc<dyn Post>,
        Arc::new(SlowClock(Arc::clone(&world.clock))),
        hashbrown::DefaultHashBuilder::default(),
    )
}

#[test]
fn a_turn_ends_in_time_also_when_its_commands_have_something_to_tell() {
    let mut world = World::empty(Random(1), 2);
    let clock = Arc::new(SlowClock(Arc::clone(&world.clock)));
    (0..2).for_each(|shard| replace_shard(&mut world, shard, clock.clone()));
    world.connect_to(0, false);
    world.settle();
    send(&mut world, 0, &["CONFIG SET notify-keyspace-events KEA"]);
    received(&mut world, 0);
    send(&mut world, 0, &[format!("RPUSH {FIRST} v").as_str(); 60]);
    world.flush(0);
    let replies = &world.players[0].received;
    let count = replies.iter().filter(|byte| **byte == b'\n').count();
    assert!(count <= 2, "{count} in one turn");
}
