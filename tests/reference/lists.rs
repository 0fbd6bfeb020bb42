//! LMOVEM as its page describes it, on plain deques.

use std::collections::VecDeque;

use super::{Expected, Model};
use crate::support::Random;
use crate::support::frame::Frame;

const KEYS: &[&str] = &["a", "b", "c"];

/// Three lists of numbers.
#[derive(Default)]
pub(crate) struct Lists {
    lists: [VecDeque<u64>; 3],
    next: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Left,
    Right,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Side::Left => "LEFT",
            Side::Right => "RIGHT",
        }
    }
}

fn bulk(value: u64) -> Frame {
    Frame::Bulk(value.to_string().into_bytes())
}

impl Lists {
    /// Moves elements; they are returned as they stand in the destination.
    fn move_many(
        &mut self,
        from: (usize, Side),
        to: (usize, Side),
        count: usize,
        one_by_one: bool,
    ) -> Vec<u64> {
        let mut taken: Vec<u64> = Vec::new();
        for _ in 0..count {
            let list = &mut self.lists[from.0];
            taken.extend(match from.1 {
                Side::Left => list.pop_front(),
                Side::Right => list.pop_back(),
            });
        }
        // As they will stand from the head to the tail of the destination: pushed one by one to the left, the last one comes
        // first; moved at once, they stand as they stood in the source.
        let reversed = if one_by_one {
            to.1 == Side::Left
        } else {
            from.1 == Side::Right
        };
        if reversed {
            taken.reverse();
        }
        let list = &mut self.lists[to.0];
        match to.1 {
            Side::Left => taken.iter().rev().for_each(|value| list.push_front(*value)),
            Side::Right => list.extend(&taken),
        }
        taken
    }

    fn push(&mut self, random: &mut Random) -> (String, Expected<Self>) {
        let at = random.below(3);
        let mut line = format!("RPUSH {}", KEYS[at]);
        for _ in 0..=random.below(5) {
            self.next += 1;
            self.lists[at].push_back(self.next);
            line += &format!(" {}", self.next);
        }
        let length = self.lists[at].len();
        (
            line,
            Expected::Reply(Frame::Integer(i64::try_from(length).unwrap())),
        )
    }
}

impl Model for Lists {
    fn step(&mut self, random: &mut Random) -> (String, Expected<Self>) {
        if random.percent(40) {
            return self.push(random);
        }
        let sides = [Side::Left, Side::Right];
        let (from, to) = (
            (random.below(3), random.pick(&sides)),
            (random.below(3), random.pick(&sides)),
        );
        let mut line = format!(
            "LMOVEM {} {} {} {}",
            KEYS[from.0],
            KEYS[to.0],
            from.1.name(),
            to.1.name()
        );
        // In MULTI and with something to give the blocking form is the same.
        let available = self.lists[from.0].len();
        let selector = random.pick(&["", "COUNT", "COUNT", "EXACTLY", "EXACTLY"]);
        let (count, one_by_one) = match selector {
            "" => (1, true),
            _ => (1 + random.below(6), random.percent(50)),
        };
        if available >= count && random.percent(30) {
            line = format!("B{line} 0");
        }
        if !selector.is_empty() {
            line += &format!(
                " {selector} {count} {}",
                if one_by_one { "OBO" } else { "BULK" }
            );
        }
        if selector == "EXACTLY" && available < count {
            let nothing = |_: &mut Self, reply: &Frame| {
                reply.is_null().then_some(()).ok_or("a null".to_owned())
            };
            return (line, Expected::Judged(Box::new(nothing)));
        }
        let moved = self.move_many(from, to, count.min(available), one_by_one);
        (
            line,
            Expected::Reply(Frame::Array(moved.into_iter().map(bulk).collect())),
        )
    }

    fn state(&self) -> Vec<(String, Frame)> {
        let look = |(key, list): (&&str, &VecDeque<u64>)| {
            (
                format!("LRANGE {key} 0 -1"),
                Frame::Array(list.iter().copied().map(bulk).collect()),
            )
        };
        KEYS.iter().zip(&self.lists).map(look).collect()
    }
}
