//! Waits and their ends, in the order in which nobody would meet them by chance; what a pause holds still.

use super::order::{FIRST, SECOND, hold_all, received, send, world};
use super::*;

/// Time passes, and everything that is due then is done.
fn pass(world: &mut World, ms: u64) {
    world.clock.sleep(ms);
    world
        .shards
        .iter_mut()
        .for_each(|shard| shard.handle(Event::Tick));
    world.settle();
}

#[test]
fn a_timeout_or_an_unblock_that_comes_too_late_does_nothing() {
    let mut world = world();
    send(&mut world, 1, &[&format!("BLPOP {FIRST} 0.05")]);
    world.settle();
    let unblock = format!("CLIENT UNBLOCK {}", world.players[1].id.0);
    send(&mut world, 0, &[&format!("RPUSH {FIRST} v"), &unblock]);
    // It was served: the reply is in its shard's mailbox when its time is over.
    world.clock.sleep(100);
    world.shards[1].handle(Event::Tick);
    world.flush(1);
    assert!(world.players[1].received.is_empty(), "it was served");
    assert_eq!(received(&mut world, 0), ":1\r\n:0\r\n");
    let served = format!("*2\r\n$1\r\n{FIRST}\r\n$1\r\nv\r\n");
    assert_eq!(received(&mut world, 1), served);
    // It goes on, and nothing is left of the deadline.
    pass(&mut world, 1000);
    send(&mut world, 1, &["PING"]);
    assert_eq!(received(&mut world, 1), "+PONG\r\n");
}

#[test]
fn a_push_that_comes_after_the_end_of_a_wait_keeps_its_element() {
    let mut world = world();
    send(&mut world, 1, &[&format!("BLPOP {FIRST} 0.05")]);
    world.settle();
    // Its end is known to its own shard alone: it has not left the wait table of the other one yet.
    world.clock.sleep(100);
    world.shards[1].handle(Event::Tick);
    send(&mut world, 0, &[&format!("RPUSH {FIRST} v")]);
    assert_eq!(received(&mut world, 1), "*-1\r\n");
    send(&mut world, 0, &[&format!("LLEN {FIRST}")]);
    assert_eq!(received(&mut world, 0), ":1\r\n:1\r\n");
}

#[test]
fn a_command_that_waited_for_its_keyspaces_when_a_pause_was_confirmed_does_not_run() {
    let mut world = world();
    let control = world.players.len();
    world.connect_to(0, false);
    send(&mut world, 0, &["MULTI", "GET x", "INCR x", "GET x"]);
    received(&mut world, 0);
    hold_all(&mut world);
    send(&mut world, 0, &["EXEC"]);
    send(&mut world, 1, &[&format!("INCR {FIRST}")]);
    send(&mut world, control, &["CLIENT PAUSE 60000 WRITE"]);
    for _ in 0..2 {
        (0..2).for_each(|shard| while world.deliver(shard) {});
    }
    world.flush(0);
    assert_eq!(world.players[control].received, b"+OK\r\n", "confirmed");
    world.players[control].received.clear();
    world.put_back();
    send(&mut world, control, &[&format!("MGET x {FIRST}")]);
    assert_eq!(received(&mut world, control), "*2\r\n$-1\r\n$-1\r\n");
    assert_eq!(received(&mut world, 0) + &received(&mut world, 1), "");
    send(&mut world, control, &["CLIENT UNPAUSE"]);
    assert_eq!(
        received(&mut world, 0),
        "*3\r\n$-1\r\n:1\r\n$1\r\n1\r\n",
        "then it runs"
    );
    assert_eq!(received(&mut world, 1), ":1\r\n");
}

#[test]
fn keys_do_not_end_during_a_pause_or_while_the_cron_is_paused() {
    let mut world = world();
    let size = |world: &mut World| {
        send(world, 0, &["DBSIZE"]);
        received(world, 0)
    };
    let set = [
        format!("SET {FIRST} v PX 50"),
        format!("SET {SECOND} v PX 50"),
    ];
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    for pauses_cron in [false, true] {
        send(&mut world, 0, &set);
        received(&mut world, 0);
        if pauses_cron {
            world.shared.cron_paused.store(true, Ordering::Release);
        } else {
            send(&mut world, 0, &["CLIENT PAUSE 60000 WRITE"]);
            assert_eq!(received(&mut world, 0), "+OK\r\n");
        }
        (0..10).for_each(|_| pass(&mut world, 100));
        assert_eq!(size(&mut world), ":2\r\n", "cron: {pauses_cron}");
        world.shared.cron_paused.store(false, Ordering::Release);
        send(&mut world, 0, &["CLIENT UNPAUSE"]);
        received(&mut world, 0);
        (0..2).for_each(|_| pass(&mut world, 100));
        assert_eq!(size(&mut world), ":0\r\n", "cron: {pauses_cron}");
    }
}

#[test]
fn no_alarm_rings_before_the_end_of_a_pause_and_nobody_wakes_for_it() {
    let mut world = world();
    let lines = [
        format!("XADD {FIRST} 1-1 f v"),
        format!("XGROUP CREATE {FIRST} g 0"),
        format!("XREADGROUP GROUP g early STREAMS {FIRST} >"),
    ];
    send(&mut world, 0, &lines.each_ref().map(String::as_str));
    received(&mut world, 0);
    let claim = format!("XREADGROUP GROUP g late BLOCK 0 CLAIM 150 STREAMS {FIRST} >");
    send(&mut world, 1, &[&claim]);
    world.settle();
    send(&mut world, 0, &["CLIENT PAUSE 1000 WRITE"]);
    received(&mut world, 0);
    for _ in 0..9 {
        pass(&mut world, 100);
        assert_eq!(received(&mut world, 1), "", "it is paused");
        for shard in &world.shards {
            assert!(!shard.has_work(), "it has nothing to do");
            assert!(shard.next_wake_ms() > shard.now_ms(), "it may sleep");
        }
    }
    (0..2).for_each(|_| pass(&mut world, 100));
    assert!(received(&mut world, 1).contains("1-1"), "it is over");
}
