//! What a client's windows were about lately: where it is best placed.

use crate::ids::{ShardId, ShardSet};
use crate::limits;

/// What a client's windows were about lately.
#[derive(Debug, Default)]
pub(super) struct Habits {
    /// The set that most of them were about …
    shards: ShardSet,
    /// … and by how much: a window about another set counts twice, so it is at least two thirds of them.
    score: u32,
    /// Windows since that is so.
    windows: u32,
    moves: u32,
    moved_ms: u64,
}

impl Habits {
    /// Notes a window.
    pub(super) fn window(&mut self, shards: ShardSet) {
        if shards == self.shards {
            self.score = (self.score + 1).min(SCORE_MAX);
        } else if self.score < 2 {
            self.shards = shards;
            self.score = 1;
            self.windows = 0;
        } else {
            self.score -= 2;
        }
        self.windows = self.windows.saturating_add(1);
    }

    /// Where it is best placed: the lowest shard of the set that nearly all its windows are about.
    pub(super) fn place(&self) -> Option<ShardId> {
        self.shards.first().filter(|_| self.score >= SCORE_MIN)
    }

    /// Whether its windows have been about another place for long enough to move there.
    pub(super) fn suffice(&self, now_ms: u64) -> bool {
        let rested_ms = now_ms.saturating_sub(self.moved_ms);
        let decayed = (rested_ms / limits::MIGRATION_DECAY_MS) as u32;
        let moves = self.moves.saturating_sub(decayed).min(16);
        self.windows >= limits::MIGRATION_WINDOWS_MIN << moves
    }

    /// It has moved.
    pub(super) fn moved(&mut self, now_ms: u64) {
        *self = Self {
            moves: self.moves + 1,
            moved_ms: now_ms,
            ..Self::default()
        };
    }
}

/// By how much most windows must be about one set.
const SCORE_MIN: u32 = 6;

/// What was long ago is forgotten.
const SCORE_MAX: u32 = 16;
