//! Whether the keys of a call are among KEYS, given where its command has them.
//!
//! ```text
//! set key value          One 1                      set  Key Other          yes
//! del key [key …]        UntilEnd 1 −0 step 1       del  Key Many           no: some of the many are keys
//! zunionstore …          One 1, Counted 2 → 3       zunionstore Key Other   no: how many are keys?
//! xread … STREAMS k… i…  Half "streams"             xread Other …           no: it could be the keyword
//! ```
//!
//! An argument that is not constant must not decide which arguments are keys. Positions count the name as 0, as
//! COMMAND INFO does.

use super::{Argument, CommandCall};

/// Where a command has some of its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// From `first` to `last`, every `step`.
    Span {
        /// The first one.
        first: usize,
        /// The last one that may be one; none beyond the arguments that there are.
        last: usize,
        /// From one to the next.
        step: usize,
    },
    /// From `first` to the last argument but `behind`, every `step`.
    UntilEnd {
        /// The first one.
        first: usize,
        /// Arguments behind the keys.
        behind: usize,
        /// From one to the next.
        step: usize,
    },
    /// As many as the number at `count` says, from `first` on, every `step`.
    Counted {
        /// Where the number is.
        count: usize,
        /// The first key.
        first: usize,
        /// From one to the next.
        step: usize,
    },
    /// The first half of what follows the first such keyword.
    Half {
        /// In lower case.
        keyword: &'static str,
        /// From where on it is looked for.
        from: usize,
    },
}

#[cfg(test)]
impl Place {
    /// One key.
    pub(crate) fn one(at: usize) -> Self {
        Self::Span {
            first: at,
            last: at,
            step: 1,
        }
    }
}

impl CommandCall {
    /// Whether every key that the call can have at these places is an element of KEYS.
    ///
    /// The places must be all of the command's. False where an argument that is not constant decides on the places.
    pub(crate) fn keys_are_declared(&self, places: &[Place]) -> bool {
        places.iter().all(|place| self.is_declared(*place))
    }

    /// The constant at a position, for the caller that has to tell subcommands apart.
    pub(crate) fn constant(&self, at: usize) -> Option<&[u8]> {
        match self.arguments.get(at.checked_sub(1)?) {
            Some(Argument::Constant(text)) => Some(text),
            _ => None,
        }
    }

    fn is_declared(&self, place: Place) -> bool {
        match place {
            Place::Span { first, last, step } => self.are_keys(first, last, step),
            Place::UntilEnd {
                first,
                behind,
                step,
            } => {
                let count = self.arguments.len() + 1;
                // With an open end it is not known which are the last ones.
                let behind = if self.is_open() { 0 } else { behind };
                match count.checked_sub(behind + 1) {
                    Some(last) => self.are_keys(first, last, step),
                    None => true,
                }
            }
            Place::Counted { count, first, step } => self.counted(count, first, step),
            Place::Half { keyword, from } => self.half(keyword, from),
        }
    }

    /// Whether the last argument stands for any number of them.
    fn is_open(&self) -> bool {
        matches!(
            self.arguments.last(),
            Some(Argument::Many | Argument::AllKeys)
        )
    }

    /// Whether no argument at these positions can be anything but a key.
    fn are_keys(&self, first: usize, last: usize, step: usize) -> bool {
        let Some((tail, fixed)) = self.arguments.split_last() else {
            return true;
        };
        let open = self.is_open();
        let last_fixed = if open { fixed.len() } else { fixed.len() + 1 };
        let mut positions = (first..=last.min(last_fixed)).step_by(step.max(1));
        let fixed_are = positions.all(|at| {
            at.checked_sub(1)
                .and_then(|at| self.arguments.get(at))
                .is_some_and(|argument| *argument == Argument::Key)
        });
        // The open end begins behind the fixed ones; what it reaches of the span is as unknown as it is.
        let reached = open && last > last_fixed;
        fixed_are && (!reached || *tail == Argument::AllKeys)
    }

    fn counted(&self, count: usize, first: usize, step: usize) -> bool {
        let number = self.constant(count).and_then(decimal);
        match number {
            Some(0) => true,
            Some(number) => {
                let last = (number - 1).checked_mul(step);
                let last = last.and_then(|span| span.checked_add(first));
                last.is_some_and(|last| self.are_keys(first, last, step))
            }
            None => false,
        }
    }

    fn half(&self, keyword: &str, from: usize) -> bool {
        let mut at = from;
        loop {
            match self.constant(at) {
                Some(text) if text.eq_ignore_ascii_case(keyword.as_bytes()) => break,
                Some(_) => at += 1,
                None => return false,
            }
        }
        let behind = self.arguments.len() - at;
        !self.is_open()
            && behind.is_multiple_of(2)
            && (behind == 0 || self.are_keys(at + 1, at + behind / 2, 1))
    }
}

/// A number as every reader of numbers takes it.
fn decimal(text: &[u8]) -> Option<usize> {
    let plain =
        text.iter().all(u8::is_ascii_digit) && (text.first() != Some(&b'0') || text.len() == 1);
    let text = std::str::from_utf8(text).ok().filter(|_| plain)?;
    text.parse().ok()
}
