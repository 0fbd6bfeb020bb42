//! How long a publication waits for a thread that always has more to read from listeners.

use super::order::send;
use super::*;

/// Two threads: on the first somebody publishes, to the second somebody sends without end.
struct Flooded(World);

impl Flooded {
    fn new() -> Self {
        let mut world = World::empty(Random(1), 2);
        world.connect_to(0, false);
        world.settle();
        *world.mail.flooded.lock().unwrap() = Some((ShardId(1), 0));
        Self(world)
    }

    fn publish(&mut self) {
        send(&mut self.0, 0, &["PUBLISH c m"]);
    }

    /// The flooded thread has ended one more round, and says so.
    fn end_round(&mut self) {
        let mut flooded = self.0.mail.flooded.lock().unwrap();
        let (_, rounds) = flooded.as_mut().unwrap();
        *rounds += 1;
        drop(flooded);
        self.0.mail.push(ShardId(0), Message::CaughtUp);
    }

    /// What the first thread has answered now.
    fn answers(&mut self) -> String {
        while self.0.deliver(0) {}
        self.0.work(0);
        self.0.flush(0);
        String::from_utf8(std::mem::take(&mut self.0.players[0].received)).unwrap()
    }
}

#[test]
fn a_publication_waits_for_some_rounds_of_a_thread_that_always_has_more_to_read() {
    let mut flooded = Flooded::new();
    // Time stands still: that cannot end it.
    for _ in 0..2 {
        flooded.publish();
        let mut rounds = 0;
        while flooded.answers().is_empty() {
            flooded.end_round();
            rounds += 1;
            assert!(rounds < 100, "it waits without end");
        }
        assert_eq!(rounds, 8);
    }
}

#[test]
fn a_thread_that_stands_still_is_waited_for_once_until_it_moves() {
    let mut flooded = Flooded::new();
    let waits = |flooded: &mut Flooded| {
        flooded.publish();
        let mut waited_ms = 0;
        while flooded.answers().is_empty() {
            flooded.0.clock.sleep(10);
            waited_ms += 10;
            assert!(waited_ms < 10_000, "it waits without end");
            flooded.0.shards[0].handle(Event::Tick);
        }
        waited_ms
    };
    assert_eq!(waits(&mut flooded), 500);
    assert_eq!(waits(&mut flooded), 0);
    flooded.end_round();
    assert_eq!(waits(&mut flooded), 500, "it has moved");
}
