//! What clients and operators count on beyond the value of a reply, compared with a live oracle: which fields a map has, what
//! goes into the records, what a write tells others, how numbers and limits are read.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "replies/fields.rs"]
mod fields;
#[path = "replies/numbers.rs"]
mod numbers;
#[path = "replies/records.rs"]
mod records;
mod support;
#[path = "replies/writes.rs"]
mod writes;

use support::{Server, for_each_shard_count};

/// Runs a test with each shard count beside an oracle that was started with the same options.
fn beside_the_oracle(test: impl Fn(&Server, &Server)) {
    let oracle = Server::oracle();
    for_each_shard_count(|server| test(server, &oracle));
}

/// Whether the oracle is of 7.0, which counts and names less than the 7.2 that is promised.
fn is_of_70(oracle: &Server) -> bool {
    oracle.version().starts_with("7.0.")
}
