//! Structures: pure, no RESP, no clock, no I/O.

pub mod extended;
pub mod list;
pub mod listpack;
pub mod names;
pub mod steps;
pub mod stream;
