//! Every command through a socket, with each number of shards: replies, events, blocking. One file for each family.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../support/mod.rs"]
mod support;

mod bitmap;
mod connection;
mod dump;
mod facts;
mod geo;
mod hash;
mod hyperloglog;
mod introspection;
mod list;
mod pending;
mod pipelines;
mod rows;
mod server;
mod set;
mod sorted_set;
mod stream;
mod stream_writes;
mod string;
mod tracking;
mod transaction;
mod waits;
