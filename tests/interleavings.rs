//! The protocols between threads, in every order in which their steps can be mixed: who has a keyspace, who ends a wait.
//!
//! The files under test are those of the server, with the primitives of the model checker in the place of the standard ones.
//! A wake-up that is lost is a deadlock, which the checker reports.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "parts of the server, included as files"
)]

#[path = "../src/shard/hand/berths.rs"]
mod berths;
#[path = "../src/keyspace/claim.rs"]
mod claim;
#[path = "../src/ids.rs"]
mod ids;
#[path = "../src/limits.rs"]
mod limits;

mod sync {
    pub use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering, fence};
    pub use loom::sync::{Arc, Mutex, MutexGuard};
    pub use loom::thread::yield_now;
    pub use std::sync::PoisonError;
}

use loom::sync::Notify;
use loom::thread;

use berths::Berths;
use claim::Claim;
use ids::{ShardId, ShardSet};
use sync::Arc;

/// Berths, and a bell for each thread.
struct World {
    berths: Berths<u32>,
    bells: Vec<Notify>,
}

impl World {
    fn new(berth_count: usize, thread_count: usize) -> Arc<Self> {
        let world = Self {
            berths: Berths::new(berth_count),
            bells: (0..thread_count).map(|_| Notify::new()).collect(),
        };
        for berth in 0..berth_count {
            world.put(ShardId(berth as u16), 0);
        }
        Arc::new(world)
    }

    fn ring(&self, thread: ShardId) {
        self.bells[thread.index()].notify();
    }

    fn put(&self, shard: ShardId, content: u32) {
        let put = self.berths.put(shard, content, u64::MAX, false, || 0);
        if let Some(thread) = put.offer {
            self.ring(thread);
        }
    }

    /// Waits for the set as a thread of the server does, and works with it: each keyspace counts.
    fn work(&self, thread: u16, shards: ShardSet, is_old: bool) {
        let ticket = self.berths.ticket(ShardId(thread), shards);
        let taken = loop {
            match self
                .berths
                .claim(&ticket, is_old, 0, |other| self.ring(other))
            {
                Some(taken) => break taken,
                None => self.bells[usize::from(thread)].wait(),
            }
        };
        assert_eq!(taken.len(), shards.len());
        for (shard, content) in shards.iter().zip(taken) {
            self.put(shard, content + 1);
        }
    }

    /// Takes what is there, without a ticket.
    fn pass(&self, shards: ShardSet) -> u32 {
        let Some(taken) = self.berths.take(shards, 0) else {
            return 0;
        };
        for (shard, content) in shards.iter().zip(taken) {
            self.put(shard, content + 1);
        }
        1
    }

    fn counts(&self, berth_count: usize) -> Vec<u32> {
        assert!(self.berths.are_at_rest());
        let taken = self.berths.take(ShardSet::all(berth_count), 0);
        taken.unwrap().into_vec()
    }
}

fn set(shards: &[u16]) -> ShardSet {
    let mut set = ShardSet::EMPTY;
    shards.iter().for_each(|shard| set.insert(ShardId(*shard)));
    set
}

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    // More switches than that find nothing more and take hours.
    builder.preemption_bound = Some(3);
    builder.check(model);
}

#[test]
fn two_threads_that_want_the_same_keyspace_both_get_it() {
    check(|| {
        let world = World::new(1, 2);
        let other = Arc::clone(&world);
        let second = thread::spawn(move || other.work(1, set(&[0]), false));
        world.work(0, set(&[0]), false);
        second.join().unwrap();
        assert_eq!(world.counts(1), [2]);
    });
}

#[test]
fn who_needs_two_is_woken_when_they_are_put_back_by_two_threads() {
    check(|| {
        let world = World::new(2, 3);
        let others: Vec<_> = (0..2u16)
            .map(|shard| {
                let world = Arc::clone(&world);
                thread::spawn(move || world.pass(set(&[shard])))
            })
            .collect();
        world.work(2, set(&[0, 1]), false);
        let passed: Vec<u32> = others
            .into_iter()
            .map(|other| other.join().unwrap())
            .collect();
        assert_eq!(world.counts(2), [1 + passed[0], 1 + passed[1]]);
    });
}

#[test]
fn sets_that_overlap_starve_nobody_whether_they_reserve_or_not() {
    for is_old in [false, true] {
        check(move || {
            let world = World::new(2, 2);
            let other = Arc::clone(&world);
            let second = thread::spawn(move || other.work(1, set(&[0, 1]), is_old));
            world.work(0, set(&[1]), false);
            second.join().unwrap();
            assert_eq!(world.counts(2), [1, 2]);
        });
    }
}

#[test]
fn who_needs_one_is_not_kept_waiting_by_who_was_offered_two_and_cannot_have_both() {
    check(|| {
        let world = World::new(2, 2);
        let holder = world.berths.take(set(&[0, 1]), 0).unwrap();
        let other = Arc::clone(&world);
        let needs_both = thread::spawn(move || other.work(0, set(&[0, 1]), false));
        let other = Arc::clone(&world);
        let needs_one = thread::spawn(move || other.work(1, set(&[0]), false));
        let [first, second] = holder.into_vec()[..] else {
            unreachable!("both were taken");
        };
        world.put(ShardId(1), second);
        world.put(ShardId(0), first);
        let long_work = world.berths.take(set(&[1]), 0);
        needs_one.join().unwrap();
        if let Some(taken) = long_work {
            world.put(ShardId(1), taken[0]);
        }
        needs_both.join().unwrap();
        assert_eq!(world.counts(2), [2, 1]);
    });
}

#[test]
fn who_waits_longest_gets_all_it_needs_though_younger_ones_have_reserved_a_part() {
    loom::model(|| {
        let world = World::new(2, 3);
        let ticket = |thread, shards| world.berths.ticket(ShardId(thread), set(shards));
        let (one, oldest, youngest) = (ticket(0, &[1]), ticket(1, &[0, 1]), ticket(2, &[0, 1]));
        let claim = |ticket| world.berths.claim(ticket, true, 0, |_| {});
        let put = |shard| {
            world
                .berths
                .put(ShardId(shard), 0, u64::MAX, false, || 0)
                .offer
        };
        assert!(world.berths.take(set(&[0, 1]), 0).is_some());
        for ticket in [&one, &oldest, &youngest] {
            assert!(claim(ticket).is_none());
        }
        assert_eq!((put(0), put(1)), (None, Some(ShardId(0))));
        assert!(claim(&one).is_some());
        assert_eq!(put(1), Some(ShardId(1)));
        // Before who was offered comes, another reserves the berth that the first ticket had reserved.
        assert!(claim(&youngest).is_none());
        assert!(claim(&oldest).is_some());
    });
}

#[test]
fn an_offer_to_who_wants_nothing_any_more_goes_to_the_next() {
    check(|| {
        let world = World::new(1, 3);
        let holder = world.berths.take(set(&[0]), 0).unwrap();
        let gone = world.berths.ticket(ShardId(0), set(&[0]));
        assert!(world.berths.claim(&gone, false, 0, |_| ()).is_none());
        let other = Arc::clone(&world);
        let second = thread::spawn(move || other.work(1, set(&[0]), false));
        let other = Arc::clone(&world);
        let third = thread::spawn(move || other.berths.withdraw(&gone, 0, |next| other.ring(next)));
        holder
            .into_iter()
            .for_each(|content| world.put(ShardId(0), content));
        second.join().unwrap();
        third.join().unwrap();
        assert_eq!(world.counts(1), [1]);
    });
}

#[test]
fn a_wait_is_ended_by_exactly_one() {
    check(|| {
        let claim = Arc::new(Claim::new());
        let server = Arc::clone(&claim);
        let served = thread::spawn(move || {
            // In vain the first time, as when the element is for another.
            if server.take() {
                server.release();
            }
            let is_claimed = server.take();
            if is_claimed {
                server.serve();
            }
            is_claimed
        });
        let is_cancelled = claim.cancel();
        assert_ne!(served.join().unwrap(), is_cancelled);
        assert!(!claim.is_waiting());
    });
}
