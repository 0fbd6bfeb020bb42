//! The wire format, without sockets: requests come in, replies go out.
//!
//! Bytes from strangers: nothing here indexes a slice, so no input can panic.
#![deny(clippy::indexing_slicing)]

pub mod request;
