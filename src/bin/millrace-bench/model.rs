//! A model of the engine on more cores than this machine has: a discrete-event simulation, fed with costs measured here.
//!
//! ```text
//! clients ─request─► thread of the client ─┬─ hold: takes the keyspace where it lies, spins a moment, or waits with a ticket
//!      ◄──reply───                         └─ ship: sends the commands to the owner's thread, which answers
//! ```
//! Every client waits for its replies before it sends again. The load has machines of its own.
//!
//! Not in it: the memory's bandwidth, threads that share a core, connections that move (each stays where it was accepted).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::report::figure;

/// Costs, ns.
#[derive(Clone, Copy, Debug)]
struct Costs {
    /// To receive a request of a client and to send the replies: system calls and their share of the loop.
    socket: u64,
    /// To parse a command, and to count and write what it answers: outside of the hand.
    parse: u64,
    /// To run it with the keyspace in hand and its cache lines near.
    run: u64,
    /// To take a keyspace and put it back.
    take: u64,
    /// To fetch the cache lines of a keyspace and a key that another thread had last.
    remote: u64,
    /// To put a message into a mailbox, or to take one out.
    message: u64,
    /// To wake a thread that sleeps …
    wake: u64,
    /// … and how long it takes until it runs.
    wake_delay: u64,
    /// How long a thread looks for a keyspace that is in another hand.
    spin: u64,
    /// From the reply to the client's next request.
    network: u64,
}

/// Measured on the two cores of the machine this was written on (`sharding`, callgrind, a hop between threads).
const MEASURED: Costs = Costs {
    socket: 3_000,
    parse: 150,
    run: 150,
    take: 40,
    remote: 300,
    message: 150,
    wake: 1_500,
    wake_delay: 5_000,
    spin: 3_000,
    network: 20_000,
};

/// Clients of each core.
const CLIENTS: usize = 25;
/// How long the model runs, ns of its own time.
const DURATION: u64 = 50_000_000;

/// What clients do.
#[derive(Clone, Copy, Debug)]
enum Work {
    /// One key for all.
    HotKey,
    /// A key for each client.
    OwnKeys,
    /// Any key.
    RandomKeys,
    /// Two keys of different shards at once.
    TwoShards,
}

const WORKLOADS: [(&str, Work, usize); 6] = [
    ("one hot key", Work::HotKey, 1),
    ("one hot key P16", Work::HotKey, 16),
    ("own keys", Work::OwnKeys, 1),
    ("random keys", Work::RandomKeys, 1),
    ("random keys P16", Work::RandomKeys, 16),
    ("MULTI over two shards", Work::TwoShards, 1),
];

/// How a command gets to its keyspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strategy {
    /// Its thread holds the keyspace for one run.
    Hold,
    /// The thread of the shard runs it.
    Ship,
}

/// What a thread does next.
#[derive(Clone, Copy, Debug)]
enum Task {
    /// Goes on with a client's request.
    Client(usize),
    /// Runs commands for a client of another thread.
    Shipped(usize),
}

#[derive(Debug, Default)]
struct Thread {
    tasks: VecDeque<Task>,
    current: Option<Task>,
    sleeps: bool,
    /// What it has done beside its tasks, ns.
    debt: u64,
}

#[derive(Debug)]
struct Client {
    thread: usize,
    /// The shards of the commands that are left, the next one last.
    left: Vec<[usize; 2]>,
    sent_at: u64,
    has_been_parsed: bool,
}

#[derive(Debug, Default)]
struct Berth {
    held_until: u64,
    last: Option<usize>,
    waiting: VecDeque<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A thread goes on.
    Step(usize),
    /// A client's request has come.
    Arrives(usize),
    /// A keyspace that somebody waits for is put back.
    Released(usize),
}

struct Model {
    costs: Costs,
    strategy: Strategy,
    work: Work,
    depth: usize,
    now: u64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    event_count: u64,
    threads: Vec<Thread>,
    clients: Vec<Client>,
    berths: Vec<Berth>,
    random: u64,
    done: u64,
    latencies: Vec<u64>,
}

impl Model {
    fn new(cores: usize, (work, depth): (Work, usize), strategy: Strategy, costs: Costs) -> Self {
        let client = |number| Client {
            thread: number % cores,
            left: Vec::new(),
            sent_at: 0,
            has_been_parsed: false,
        };
        let mut model = Self {
            costs,
            strategy,
            work,
            depth,
            now: 0,
            events: BinaryHeap::new(),
            event_count: 0,
            threads: (0..cores).map(|_| Thread::default()).collect(),
            clients: (0..cores * CLIENTS).map(client).collect(),
            berths: (0..cores).map(|_| Berth::default()).collect(),
            random: 1,
            done: 0,
            latencies: Vec::new(),
        };
        model
            .threads
            .iter_mut()
            .for_each(|thread| thread.sleeps = true);
        for number in 0..model.clients.len() {
            let at = model.below(usize::try_from(costs.network).unwrap_or(1));
            model.at(at as u64, Event::Arrives(number));
        }
        model
    }

    fn below(&mut self, limit: usize) -> usize {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((self.random >> 33) as usize) % limit.max(1)
    }

    fn at(&mut self, time: u64, event: Event) {
        self.event_count += 1;
        self.events.push(Reverse((time, self.event_count, event)));
    }

    /// Runs to the end; gives commands each second, and the latency of 99 of 100 requests, ns.
    fn run(mut self) -> (f64, u64) {
        while let Some(Reverse((time, _, event))) = self.events.pop() {
            if time > DURATION {
                break;
            }
            self.now = time;
            match event {
                Event::Arrives(client) => self.arrives(client),
                Event::Step(thread) => self.step(thread),
                Event::Released(shard) => self.offer(shard),
            }
        }
        self.latencies.sort_unstable();
        let p99 = self.latencies.get(self.latencies.len() * 99 / 100);
        (
            self.done as f64 * 1e9 / DURATION as f64,
            p99.copied().unwrap_or(0),
        )
    }

    fn arrives(&mut self, number: usize) {
        let shards = self.berths.len();
        let left = (0..self.depth)
            .map(|_| match self.work {
                Work::HotKey => [0, 0],
                // Where it is at home in one of so many cases.
                Work::OwnKeys => [number / CLIENTS % shards; 2],
                Work::RandomKeys => [self.below(shards); 2],
                Work::TwoShards => {
                    let first = self.below(shards);
                    [first, (first + 1 + self.below(shards - 1)) % shards]
                }
            })
            .collect();
        let now = self.now;
        let client = &mut self.clients[number];
        client.left = left;
        client.sent_at = now;
        client.has_been_parsed = false;
        let thread = client.thread;
        self.give(thread, Task::Client(number), 0);
    }

    /// Gives a thread something to do, so much later; wakes it if it sleeps.
    fn give(&mut self, thread: usize, task: Task, delay: u64) {
        self.threads[thread].tasks.push_back(task);
        if std::mem::take(&mut self.threads[thread].sleeps) {
            self.at(self.now + delay, Event::Step(thread));
        }
    }

    /// What it costs to give a thread something, and how long it takes.
    fn hand_over(&mut self, thread: usize, task: Task) -> u64 {
        let costs = self.costs;
        let sleeps = self.threads[thread].sleeps;
        self.give(thread, task, costs.wake_delay);
        costs.message + if sleeps { costs.wake } else { 0 }
    }

    fn step(&mut self, thread: usize) {
        let Some(task) = self.threads[thread].current.take() else {
            match self.threads[thread].tasks.pop_front() {
                Some(task) => self.threads[thread].current = Some(task),
                None => {
                    self.threads[thread].sleeps = true;
                    return;
                }
            }
            return self.step(thread);
        };
        let took = match task {
            Task::Client(client) => self.serve(thread, client),
            Task::Shipped(client) => self.run_shipped(thread, client),
        };
        let debt = std::mem::take(&mut self.threads[thread].debt);
        self.at(self.now + took + debt, Event::Step(thread));
    }

    /// Goes on with a client's request; gives how long that keeps its thread.
    fn serve(&mut self, thread: usize, number: usize) -> u64 {
        let costs = self.costs;
        let Some(shards) = self.clients[number].left.last().copied() else {
            let sent_at = self.clients[number].sent_at;
            self.latencies
                .push(self.now + costs.socket - sent_at + costs.network);
            self.done += self.depth as u64;
            self.at(
                self.now + costs.socket + costs.network,
                Event::Arrives(number),
            );
            return costs.socket;
        };
        if !std::mem::replace(&mut self.clients[number].has_been_parsed, true) {
            self.threads[thread].current = Some(Task::Client(number));
            return costs.parse;
        }
        match self.strategy {
            Strategy::Hold => self.hold(thread, number, shards),
            Strategy::Ship => self.ship(thread, number, shards),
        }
    }

    fn hold(&mut self, thread: usize, number: usize, shards: [usize; 2]) -> u64 {
        let costs = self.costs;
        let free_at = shards.map(|shard| self.berths[shard].held_until);
        let wait = free_at[0].max(free_at[1]).saturating_sub(self.now);
        if wait > costs.spin {
            let busiest = if free_at[0] >= free_at[1] { 0 } else { 1 };
            let shard = shards[busiest];
            self.berths[shard].waiting.push_back(number);
            self.at(free_at[busiest], Event::Released(shard));
            return costs.message;
        }
        if wait > 0 {
            self.threads[thread].current = Some(Task::Client(number));
            return wait;
        }
        let mut took = 0;
        for (at, shard) in shards.into_iter().enumerate() {
            if at == 1 && shards[0] == shards[1] {
                continue;
            }
            let berth = &mut self.berths[shard];
            took += costs.take + costs.run;
            if berth.last.replace(thread) != Some(thread) {
                took += costs.remote;
            }
        }
        // What follows in the pipeline about the same keyspace runs in the same window.
        let left = &mut self.clients[number].left;
        left.pop();
        while left.last() == Some(&shards) {
            left.pop();
            took += costs.run + costs.parse;
        }
        self.clients[number].has_been_parsed = false;
        for shard in shards {
            self.berths[shard].held_until = self.now + took;
        }
        self.threads[thread].current = Some(Task::Client(number));
        took
    }

    /// Who holds a keyspace has put it back, and offers it to who waits longest.
    fn offer(&mut self, shard: usize) {
        let berth = &mut self.berths[shard];
        if berth.held_until > self.now {
            // Somebody passed the ticket.
            let at = berth.held_until;
            return self.at(at, Event::Released(shard));
        }
        let holder = berth.last;
        if let Some(next) = berth.waiting.pop_front() {
            let thread = self.clients[next].thread;
            let took = self.hand_over(thread, Task::Client(next));
            if let Some(holder) = holder {
                self.threads[holder].debt += took;
            }
        }
    }

    fn ship(&mut self, thread: usize, number: usize, shards: [usize; 2]) -> u64 {
        let owner = shards[0];
        if owner == thread && shards[1] == thread {
            let took = self.run_batch(number, shards);
            self.threads[thread].current = Some(Task::Client(number));
            return took;
        }
        let to = if owner == thread { shards[1] } else { owner };
        self.hand_over(to, Task::Shipped(number))
    }

    fn run_batch(&mut self, number: usize, shards: [usize; 2]) -> u64 {
        let costs = self.costs;
        let left = &mut self.clients[number].left;
        let mut took = 0;
        while left.last() == Some(&shards) {
            left.pop();
            // The first one has been parsed.
            took += costs.run + if took > 0 { costs.parse } else { 0 };
        }
        self.clients[number].has_been_parsed = false;
        took
    }

    /// The owner runs what was sent to it, and answers. Of two shards the second owner lends its keyspace meanwhile: both stand
    /// still for a message there and back.
    fn run_shipped(&mut self, _thread: usize, number: usize) -> u64 {
        let costs = self.costs;
        let Some(shards) = self.clients[number].left.last().copied() else {
            return costs.message;
        };
        let mut took = costs.message + self.run_batch(number, shards) + costs.remote / 2;
        if shards[0] != shards[1] {
            took += 2 * costs.message + costs.run + costs.remote;
            took += costs.message * 2;
        }
        let home = self.clients[number].thread;
        took += self.hand_over(home, Task::Client(number));
        took
    }
}

/// The tables.
pub(crate) fn run() -> String {
    let mut text = String::from("# A model of the engine\n\n");
    text.push_str(&format!(
        "Costs, ns: {MEASURED:?}; {CLIENTS} clients for each core\n"
    ));
    for cores in [8, 16, 64] {
        text.push_str(&format!(
            "\n### {cores} cores\n\n| | hold: each second | p99 µs | ship: each second | p99 µs | ship / hold |\n|---|---|---|---|---|---|\n"
        ));
        for (name, work, depth) in WORKLOADS {
            let [hold, ship] = [Strategy::Hold, Strategy::Ship]
                .map(|strategy| Model::new(cores, (work, depth), strategy, MEASURED).run());
            text.push_str(&format!(
                "| {name} | {} | {} | {} | {} | {:.2} |\n",
                crate::report::thousands(hold.0),
                figure(hold.1 as f64 / 1000.0),
                crate::report::thousands(ship.0),
                figure(ship.1 as f64 / 1000.0),
                ship.0 / hold.0
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each_second(cores: usize, work: Work, strategy: Strategy) -> f64 {
        Model::new(cores, (work, 1), strategy, MEASURED).run().0
    }

    #[test]
    fn on_one_core_it_makes_no_difference_who_runs_a_command() {
        let [hold, ship] =
            [Strategy::Hold, Strategy::Ship].map(|strategy| each_second(1, Work::HotKey, strategy));
        let takes = MEASURED.take as f64 / (MEASURED.socket + MEASURED.run) as f64;
        assert!((ship / hold - 1.0).abs() < 2.0 * takes, "{hold} {ship}");
    }

    #[test]
    fn keys_that_nobody_shares_scale_with_the_cores() {
        let one = each_second(1, Work::OwnKeys, Strategy::Hold);
        let eight = each_second(8, Work::OwnKeys, Strategy::Hold);
        assert!(eight > 6.0 * one, "{one} {eight}");
    }

    #[test]
    fn a_hot_key_gets_no_more_done_than_its_keyspace_allows() {
        let most = 1e9 / (MEASURED.run + MEASURED.take) as f64;
        for cores in [8, 64] {
            let done = each_second(cores, Work::HotKey, Strategy::Hold);
            assert!(done < most, "{done} of {most}");
        }
    }
}
