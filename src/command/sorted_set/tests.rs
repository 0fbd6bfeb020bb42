#![allow(clippy::unwrap_used, reason = "tests")]
//! The sorted set handlers on a bare keyspace.
