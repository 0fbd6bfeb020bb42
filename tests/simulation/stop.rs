//! The end of the process, at any moment: each shard is told when its mail brings it, and goes on answering the others.

use super::*;

impl World {
    /// Tells all shards to stop while everything goes on, and works until all have left their loops.
    fn stop(&mut self) {
        for shard in 0..self.shards.len() {
            self.mail.push(ShardId(shard as u16), Message::Stop);
        }
        for _ in 0..self.random.below(200) {
            if (0..self.shards.len()).any(|shard| self.drain(shard)) {
                break;
            }
            self.step();
        }
        let mut running: Vec<usize> = (0..self.shards.len()).collect();
        for _ in 0..100_000 {
            if running.is_empty() {
                return;
            }
            let at = self.random.below(running.len());
            let shard = running[at];
            for _ in 0..self.random.below(4) {
                self.deliver(shard);
            }
            self.shards[shard].work();
            self.flush(shard);
            if self.random.one_in(8) {
                self.put_back();
            }
            if self.drain(shard) {
                running.swap_remove(at);
            }
        }
        panic!("shards {running:?} do not leave their loops");
    }

    /// Whether a shard leaves its loop.
    pub(crate) fn drain(&mut self, shard: usize) -> bool {
        let leaves = self.shards[shard].drain();
        self.shards[shard].ring_others();
        leaves
    }
}

fn stop_somewhere(seed: u64) -> u64 {
    let mut world = World::new(seed);
    for _ in 0..world.random.below(1000) {
        world.step();
    }
    let before = world.notes.lock().unwrap().len();
    world.stop();
    let seen = world.notes.lock().unwrap().clone();
    let (_, replies) = check_against_model(&seen);
    for player in &world.players {
        check_program_order(player, &seen);
        if !player.subscriber {
            let own = replies.get(&player.id.0).cloned().unwrap_or_default();
            check_received(player, &own);
        }
    }
    while !world.held.is_empty() {
        world.put_back();
    }
    if world.shards.len() > 1 {
        assert!(
            world.mail.berths.are_at_rest(),
            "a keyspace is not in its berth"
        );
    }
    (seen.len() - before) as u64
}

#[test]
fn a_stop_answers_what_ran_and_leaves_every_keyspace_in_its_berth_whenever_it_comes() {
    let seeds = std::env::var("MILLRACE_SEEDS").map_or(3000, |seeds| seeds.parse().unwrap());
    let mut after_the_stop = 0;
    for seed in 0..seeds {
        match std::panic::catch_unwind(|| stop_somewhere(seed)) {
            Ok(executions) => after_the_stop += executions,
            Err(panic) => {
                eprintln!("seed {seed} failed");
                std::panic::resume_unwind(panic);
            }
        }
    }
    assert!(
        after_the_stop > seeds,
        "hardly ever was something under way: {after_the_stop}"
    );
}
