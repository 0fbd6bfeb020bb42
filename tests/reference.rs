//! Commands and options that no server at hand has yet, against models written from their reference pages: XNACK, MAXCOUNT and
//! MAXSIZE, the order in which XREADGROUP CLAIM takes entries; LMOVEM.
//!
//! Each run is a list of generated commands; each reply is compared with the model's, and after some of them everything that is
//! pending. A failure names the seed and the commands before it.
//!
//! Environment: `MILLRACE_REFERENCE_STEPS`: commands of a run (default 3000); `MILLRACE_SEED_FIRST`: the first seed.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "reference/lists.rs"]
mod lists;
#[path = "reference/streams.rs"]
mod streams;
mod support;

use support::frame::Frame;
use support::random::number_from_environment;
use support::{Client, Random, Server, for_each_shard_count};

/// A model of a part of the commands.
trait Model: Default {
    /// A command, and what the model expects of its reply.
    fn step(&mut self, random: &mut Random) -> (String, Expected<Self>);
    /// Commands that show everything stored, with their replies.
    fn state(&self) -> Vec<(String, Frame)>;
    /// A reply to one of these without what the model cannot know.
    fn comparable(reply: Frame) -> Frame {
        reply
    }
}

/// Looks at a reply; an objection when it is wrong.
type Judgement<M> = Box<dyn FnOnce(&mut M, &Frame) -> Result<(), String>>;

/// What a reply must be.
enum Expected<M> {
    /// Exactly this.
    Reply(Frame),
    /// Any error.
    Error,
    /// The model looks at the reply and goes on with what it tells.
    Judged(Judgement<M>),
}

/// Waits until the server's clock shows another millisecond: the order of deliveries is that of their times.
fn next_millisecond(client: &mut Client) {
    let now = |client: &mut Client| {
        let time = client.run("TIME");
        let number = |at: usize| time.items()[at].text().parse::<u64>().unwrap();
        number(0) * 1000 + number(1) / 1000
    };
    let first = now(client);
    while now(client) == first {}
}

fn run<M: Model>(server: &Server, seed: u64) {
    let steps = number_from_environment("MILLRACE_REFERENCE_STEPS", 3000);
    let (mut random, mut model, mut client) = (Random::new(seed), M::default(), server.connect());
    client.run("FLUSHALL");
    let mut past: Vec<String> = Vec::new();
    for step in 0..steps {
        let (line, expected) = model.step(&mut random);
        let reply = client.run(&line);
        past.push(format!("{line}\n    {reply}"));
        let wrong = match expected {
            Expected::Reply(frame) => (frame != reply).then(|| frame.to_string()),
            Expected::Error => (!reply.is_error()).then(|| "an error".to_owned()),
            Expected::Judged(judge) => judge(&mut model, &reply).err(),
        };
        let wrong = wrong.or_else(|| {
            let due = step % 8 == 0 || step + 1 == steps;
            let looks = if due { model.state() } else { Vec::new() };
            looks.into_iter().find_map(|(line, frame)| {
                let reply = M::comparable(client.run(&line));
                (reply != frame).then(|| format!("{line}: {frame}\n    not {reply}"))
            })
        });
        if let Some(wrong) = wrong {
            let from = past.len().saturating_sub(25);
            panic!(
                "seed {seed}, {}:\n  {}\nexpected: {wrong}",
                server.name,
                past[from..].join("\n  ")
            );
        }
        if line.starts_with("XREADGROUP") || line.contains("CLAIM") {
            next_millisecond(&mut client);
        }
    }
}

#[test]
fn released_entries_and_limits_of_reads_are_as_the_reference_says() {
    for_each_shard_count(|server| {
        let first = number_from_environment("MILLRACE_SEED_FIRST", 1);
        for seed in first..first + 2 {
            run::<streams::Streams>(server, seed);
        }
    });
}

#[test]
fn many_elements_are_moved_as_the_reference_says() {
    for_each_shard_count(|server| {
        let first = number_from_environment("MILLRACE_SEED_FIRST", 1);
        for seed in first..first + 2 {
            run::<lists::Lists>(server, seed);
        }
    });
}
