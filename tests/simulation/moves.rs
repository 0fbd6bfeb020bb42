//! A connection that moves: what reaches it on the way, and when it goes.

use super::order::{
    FIRST, SECOND, received, send, times_of_ids, world, world_with_the_second_ahead,
};
use super::*;

/// The second shard's client works at the other shard until its socket is being taken from its task: it has left when its
/// shard flushes again, and has arrived when the other shard has taken it in.
fn begin_to_leave(world: &mut World) {
    let set = format!("SET {FIRST} v");
    for _ in 0..100 {
        send(world, 1, &[set.as_str(); 8]);
        world.flush(1);
        if !world.leaving[1].is_empty() {
            return;
        }
        world.settle();
    }
    panic!("it does not leave for its keys");
}

/// It has left; nobody has taken it in yet.
fn leave(world: &mut World) {
    begin_to_leave(world);
    world.flush(1);
    assert!(world.leaving[1].is_empty(), "it is on its way");
}

#[test]
fn a_notice_follows_a_client_that_has_moved() {
    for is_on_its_way in [false, true] {
        let mut world = world();
        send(&mut world, 1, &["HELLO 3"]);
        received(&mut world, 1);
        begin_to_leave(&mut world);
        if is_on_its_way {
            world.flush(1);
        }
        // What another reads, it is told of from now on: its shard sends that to where it still is.
        let track = format!("CLIENT TRACKING on REDIRECT {}", world.players[1].id.0);
        send(&mut world, 0, &[&track, &format!("GET {SECOND}")]);
        send(&mut world, 0, &[&format!("SET {SECOND} new")]);
        if !is_on_its_way {
            world.flush(1);
        }
        let text = received(&mut world, 1);
        let told = format!(
            ">2\r\n$10\r\ninvalidate\r\n*1\r\n${}\r\n{SECOND}\r\n",
            SECOND.len()
        );
        assert!(text.ends_with(&told), "{text}");
        assert_eq!(world.players[1].shard, 0, "it has moved");
    }
}

#[test]
fn a_client_that_is_killed_on_its_way_is_closed_where_it_arrives() {
    let mut world = world();
    leave(&mut world);
    let id = world.players[1].id;
    send(&mut world, 0, &[&format!("CLIENT KILL ID {}", id.0)]);
    // Its old shard is asked, which has it no more.
    while world.deliver(1) {}
    assert!(world.shared.clients.shard_of(id).is_some(), "on its way");
    assert_eq!(received(&mut world, 0), ":1\r\n");
    assert!(world.shared.clients.shard_of(id).is_none(), "it is closed");
    assert_eq!(world.shards[0].client_count(), 1, "the other is left");
}

#[test]
fn a_client_that_leaves_runs_nothing_until_it_has_arrived() {
    let mut world = world();
    begin_to_leave(&mut world);
    let id = world.players[1].id;
    assert!(
        !world.shards[1].wants_input(id),
        "its socket is not its own"
    );
    // Bytes that its task has read already.
    let get = request(&[b"GET".to_vec(), FIRST.into()]);
    world.shards[1].handle(Event::Input(id, &get));
    world.shards[1].work();
    let before = world.players[1].received.len();
    world.flush(1);
    assert_eq!(world.players[1].received.len(), before, "nothing ran");
    assert!(received(&mut world, 1).ends_with("$1\r\nv\r\n"));
    assert_eq!(world.players[1].shard, 0);
}

#[test]
fn who_is_served_again_and_again_moves_between_two_waits_and_goes_on() {
    const COUNT: usize = 100;
    let mut world = world();
    let wait = format!("BLPOP {FIRST} 0");
    // All in one piece: it is never without a command, and waits in nearly every moment.
    send(&mut world, 1, &[wait.as_str(); COUNT]);
    let mut expected = String::new();
    for number in 0..COUNT {
        if number == COUNT - 1 {
            assert_eq!(world.players[1].shard, 0, "it has moved to its key");
        }
        send(&mut world, 0, &[&format!("RPUSH {FIRST} {number:03}")]);
        // The word that it is served comes when its thread has had its turn: the next wait begins in the next round.
        while world.deliver(1) {}
        world.flush(1);
        world.flush(1);
        world.settle();
        let key = String::from_utf8(bulk(FIRST.as_bytes())).unwrap();
        expected.push_str(&format!("*2\r\n{key}$3\r\n{number:03}\r\n"));
    }
    assert_eq!(received(&mut world, 1), expected);
}

#[test]
fn time_does_not_go_back_for_who_moves() {
    let mut world = world_with_the_second_ahead();
    let time = |world: &mut World| {
        send(world, 1, &["TIME"]);
        received(world, 1)
    };
    // The shards have never heard of each other: only the client tells of the time that it has seen.
    leave(&mut world);
    world.players[1].received.clear();
    world.settle();
    assert_eq!(world.players[1].shard, 0);
    let text = time(&mut world);
    assert_eq!(text, "*2\r\n$4\r\n1000\r\n$5\r\n50000\r\n");
}

#[test]
fn stream_ids_do_not_go_back_for_who_was_served_by_a_thread_ahead() {
    let mut world = world_with_the_second_ahead();
    send(&mut world, 0, &[&format!("BLPOP {SECOND} 0")]);
    world.settle();
    let add = format!("XADD {{{SECOND}}}stream * f v");
    send(&mut world, 1, &[&add, &format!("RPUSH {SECOND} v")]);
    let mut text = received(&mut world, 1);
    assert!(received(&mut world, 0).ends_with("v\r\n"), "it is served");
    // What it adds comes after what it has seen, though its own clock is behind.
    send(&mut world, 0, &[&format!("XADD {FIRST}stream * f v")]);
    text.push_str(&received(&mut world, 0));
    let times = times_of_ids(&text);
    assert!(times.len() == 2 && times[0] <= times[1], "{text}");
}
