//! Structures: pure, no RESP, no clock, no I/O.

pub(crate) mod bits;
mod deque;
pub(crate) mod ends;
mod estimate;
pub(crate) mod extended;
pub(crate) mod geo;
pub(crate) mod hash;
pub(crate) mod hyperloglog;
pub mod list;
pub mod listpack;
pub(crate) mod members;
pub(crate) mod names;
pub(crate) mod set;
pub(crate) mod sorted_set;
pub(crate) mod steps;
pub(crate) mod stream;
pub(crate) mod words;
