//! Several elements by chance: HRANDFIELD, SRANDMEMBER, ZRANDMEMBER with a count. Many leave in slices.
//!
//! ```text
//! count < 0            any element, each time again
//! few of many          any element; what was chosen before is passed over
//! more                 one pass over all: each is taken with the chance that those still wanted are among those ahead
//! ```

use std::collections::HashSet;

use crate::resp::reply::Reply;
use crate::resp::rest::Elements;

use super::random::Random;

/// So many different elements are remembered while others are chosen, at most, and only where there are this many times as many.
const REMEMBERED_MAX: usize = 100_000;
const REMEMBERED_SHARE: usize = 3;
/// So many are written at once: for them the value is not kept.
const AT_ONCE_MAX: usize = 64;

/// Elements of which any can be written.
pub(crate) trait Choices {
    /// Writes any element, each as likely, if its name is wanted; says whether it did. Names tell elements apart.
    fn write_any(
        &self,
        random: &mut Random,
        is_wanted: &mut dyn FnMut(&[u8]) -> bool,
        reply: &mut Reply,
    ) -> bool;
}

/// Elements in their order.
pub(crate) trait Pass: Send + 'static {
    /// Moves over the next one; writes it if there is a reply.
    fn next(&mut self, reply: Option<&mut Reply>);
}

/// A value from which elements are chosen.
pub(crate) trait Pool: Choices {
    /// It as it is now, to be chosen from later.
    type Kept: Choices + Send + 'static;
    /// It as it is now, to be passed over later.
    type Passed: Pass;

    /// How many elements it has.
    fn len(&self) -> usize;
    /// Whether any element is found without looking at the others.
    fn is_large(&self) -> bool;
    /// See [`Pool::Kept`].
    fn keep(&self) -> Self::Kept;
    /// See [`Pool::Passed`].
    fn pass(&self) -> Self::Passed;
}

/// How many elements a count asks for: of a negative one so many, of another so many different ones as there are.
pub(crate) fn wanted(count: i64, len: usize) -> usize {
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count < 0 { wanted } else { wanted.min(len) }
}

/// Writes the elements behind the head of a reply: as many as [`wanted`] says, of a pool that has some.
pub(crate) fn write_chosen<P: Pool>(reply: &mut Reply, pool: &P, count: i64) {
    let (len, left) = (pool.len(), wanted(count, pool.len()));
    debug_assert!(left == 0 || len > 0, "an empty value has no key");
    if left == 0 {
        return;
    }
    let mut random = Random::new();
    let is_few = left <= REMEMBERED_MAX && left.saturating_mul(REMEMBERED_SHARE) <= len;
    if count >= 0 && !(is_few && pool.is_large()) {
        let pass = pool.pass();
        reply.rest(Box::new(OnePass {
            pass,
            ahead: len,
            left,
            random,
        }));
        return;
    }
    let mut chosen = (count >= 0).then(HashSet::new);
    if left <= AT_ONCE_MAX {
        let mut written = 0;
        while written < left {
            written += usize::from(write_one(pool, &mut random, &mut chosen, reply));
        }
        return;
    }
    reply.rest(Box::new(OneByOne {
        kept: pool.keep(),
        chosen,
        left,
        random,
    }));
}

/// Writes any element that was not chosen before, if that is asked.
fn write_one(
    choices: &impl Choices,
    random: &mut Random,
    chosen: &mut Option<HashSet<Vec<u8>>>,
    reply: &mut Reply,
) -> bool {
    let mut is_wanted = |name: &[u8]| match chosen {
        Some(chosen) => chosen.insert(name.to_vec()),
        None => true,
    };
    choices.write_any(random, &mut is_wanted, reply)
}

struct OneByOne<C> {
    kept: C,
    /// Without it an element may come again.
    chosen: Option<HashSet<Vec<u8>>>,
    left: usize,
    random: Random,
}

impl<C: Choices + Send> Elements for OneByOne<C> {
    fn write_next(&mut self, reply: &mut Reply, end: usize) {
        while self.left > 0 {
            let is_written = write_one(&self.kept, &mut self.random, &mut self.chosen, reply);
            self.left -= usize::from(is_written);
            if is_written && reply.len() >= end {
                return;
            }
        }
    }

    fn left(&self) -> usize {
        self.left
    }
}

struct OnePass<P> {
    pass: P,
    /// Elements not looked at yet.
    ahead: usize,
    left: usize,
    random: Random,
}

impl<P: Pass> Elements for OnePass<P> {
    fn write_next(&mut self, reply: &mut Reply, end: usize) {
        while self.left > 0 {
            let is_chosen = self.random.below(self.ahead) < self.left;
            self.ahead -= 1;
            if !is_chosen {
                self.pass.next(None);
                continue;
            }
            self.pass.next(Some(&mut *reply));
            self.left -= 1;
            if reply.len() >= end {
                return;
            }
        }
    }

    fn left(&self) -> usize {
        self.left
    }
}
