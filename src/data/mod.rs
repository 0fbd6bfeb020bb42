//! Structures: pure, no RESP, no clock, no I/O.

pub(crate) mod extended;
pub mod list;
pub mod listpack;
pub(crate) mod names;
pub(crate) mod steps;
pub(crate) mod stream;
