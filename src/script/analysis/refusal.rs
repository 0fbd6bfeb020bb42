//! Why a script is not provable.

/// What stands in the way of a proof, for the people who write scripts and for the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The line, from 1; of the statement at least.
    pub(crate) line: u32,
    /// The reason, as a part of a sentence.
    pub(crate) why: &'static str,
}

impl Refusal {
    /// A refusal at a line.
    pub(super) fn new(line: u32, why: &'static str) -> Self {
        Self { line, why }
    }
}

/// A part of the analysis, or why there is none.
pub(super) type Outcome<T> = Result<T, Refusal>;
