//! A stream in plain lists, which removals are compared with.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Fate, ReferencePolicy, TrimOptions, TrimTo};
use super::id;

/// A stream as lists: blocks of entries with whether they live, groups with position and what they have pending. As in
/// Redis, a block goes with its last living entry, but for one: a trim to an exact ID leaves the block it ends in, also when
/// nothing in it lives, and what is appended next fills it up.
#[derive(Default, Clone)]
pub(super) struct Model {
    pub(super) blocks: Vec<Vec<(u64, bool)>>,
    pub(super) groups: BTreeMap<Vec<u8>, (u64, BTreeSet<u64>)>,
    pub(super) last: u64,
}

impl Model {
    pub(super) fn live(&self) -> Vec<u64> {
        let all = self.blocks.iter().flatten();
        all.filter(|entry| entry.1).map(|entry| entry.0).collect()
    }

    fn needed(&self, n: u64) -> bool {
        let mut groups = self.groups.values();
        groups.any(|(last, pending)| n > *last || pending.contains(&n))
    }

    pub(super) fn append(&mut self) {
        self.last += 1;
        let full = self.blocks.last().is_none_or(|block| block.len() == 4);
        if full {
            self.blocks.push(Vec::new());
        }
        self.blocks.last_mut().unwrap().push((self.last, true));
    }

    /// Removes an entry, and with the last one its block.
    fn remove(&mut self, n: u64) -> bool {
        let holds = |block: &Vec<(u64, bool)>| block.contains(&(n, true));
        let Some(at) = self.blocks.iter().position(holds) else {
            return false;
        };
        self.mark(at, n);
        if !self.blocks[at].iter().any(|entry| entry.1) {
            self.blocks.remove(at);
        }
        true
    }

    fn mark(&mut self, at: usize, n: u64) {
        let entry = self.blocks[at].iter_mut().find(|entry| entry.0 == n);
        entry.unwrap().1 = false;
    }

    fn release(&mut self, gone: impl Fn(u64) -> bool) {
        for (_, pending) in self.groups.values_mut() {
            pending.retain(|n| !gone(*n));
        }
    }

    pub(super) fn delete(&mut self, n: u64, policy: ReferencePolicy) -> Fate {
        if policy == ReferencePolicy::Delete {
            self.release(|other| other == n);
        }
        match policy {
            ReferencePolicy::Acknowledged if self.needed(n) => Fate::Needed,
            _ if self.remove(n) => Fate::Deleted,
            _ => Fate::Missing,
        }
    }

    pub(super) fn trim(&mut self, options: &TrimOptions, policy: ReferencePolicy) -> u64 {
        // Without groups nothing is needed.
        let spared = policy == ReferencePolicy::Acknowledged && !self.groups.is_empty();
        let removed = if spared {
            self.trim_unneeded(options)
        } else {
            let by_block = options.approximate && policy == ReferencePolicy::Keep;
            self.trim_front(options, by_block)
        };
        if policy == ReferencePolicy::Delete {
            let first = self.live().first().copied();
            match options.to {
                TrimTo::MaxLength(_) if removed == 0 => {}
                TrimTo::MaxLength(_) => self.release(|n| first.is_none_or(|first| n < first)),
                TrimTo::MinId(to) => {
                    self.release(|n| id(n) < to && first.is_none_or(|first| n < first));
                }
            }
        }
        removed
    }

    /// Whole blocks while the goal allows it, then, unless it is approximate, entries of the next one.
    fn trim_front(&mut self, options: &TrimOptions, by_block: bool) -> u64 {
        let before = self.live().len() as u64;
        while let Some(block) = self.blocks.first().cloned() {
            let length = self.live().len() as u64;
            let live: Vec<u64> = block.iter().filter(|e| e.1).map(|e| e.0).collect();
            let over_limit = before - length + live.len() as u64 > options.limit;
            let (reached, whole, excess) = match options.to {
                TrimTo::MaxLength(most) => {
                    let excess = length.saturating_sub(most) as usize;
                    (excess == 0, live.len() <= excess, excess)
                }
                TrimTo::MinId(first) => {
                    let below = live.iter().filter(|n| id(**n) < first).count();
                    (false, id(block.last().unwrap().0) < first, below)
                }
            };
            if reached || options.limit > 0 && over_limit {
                break;
            }
            if whole {
                self.blocks.remove(0);
                continue;
            }
            if !by_block {
                live[..excess].iter().for_each(|n| self.mark(0, *n));
            }
            break;
        }
        before - self.live().len() as u64
    }

    /// Entry by entry, over those that are needed.
    fn trim_unneeded(&mut self, options: &TrimOptions) -> u64 {
        let (mut removed, mut last) = (0, None);
        'blocks: for block in self.blocks.clone() {
            let live: Vec<u64> = block.iter().filter(|e| e.1).map(|e| e.0).collect();
            if options.limit > 0 && removed + live.len() as u64 > options.limit {
                break;
            }
            for n in live {
                let fits = match options.to {
                    TrimTo::MaxLength(most) => self.live().len() as u64 > most,
                    TrimTo::MinId(first) => id(n) < first,
                };
                if !fits {
                    break 'blocks;
                }
                // Without LIMIT nothing behind the slowest group could go anyway.
                if !self.needed(n) {
                    assert!(self.remove(n));
                    removed += 1;
                    last = Some(n);
                }
            }
        }
        // The block without a living entry goes with what was taken from behind it, when nothing stayed in front of that.
        let first = self.live().first().copied();
        if last.is_some_and(|last| first.is_none_or(|first| first > last)) {
            let lives = |block: &Vec<(u64, bool)>| block.iter().any(|entry| entry.1);
            self.blocks.retain(|block| lives(block));
        }
        removed
    }
}
