//! What every test through the public door shares: servers under test, oracles, a raw client.
//!
//! Layout:
//! - `server`: start millrace (or the oracle) on a free port in a temp dir, kill it on drop.
//! - `client`: a blocking RESP client that hands out the *raw bytes* of each whole reply.
//! - `frame`: finds the end of a reply in raw bytes and parses it for readable assertions.
//! - `random`: a small seeded generator, so that a printed seed replays a run.
//!
//! Invariants: nothing here sleeps to synchronise, other than to poll for a condition with a deadline; a
//! missing oracle fails the test and is never skipped.
//!
//! It deliberately has no assertions about commands: those belong in the tests.
//!
//! Environment:
//! - `MILLRACE_ORACLE`: path of the oracle server; otherwise `redis-server` from PATH.
//! - `MILLRACE_UNDER_TEST`: path of another Redis-like server to put in the place of millrace (checks the tests
//!   themselves, oracle against oracle).
//! - `MILLRACE_SHARDS`: the shard counts to test, `1,4` unless given.
#![allow(dead_code, reason = "each test crate uses its own part of the support")]
#![allow(
    unused_imports,
    reason = "each test crate uses its own part of the support"
)]
#![allow(
    unused_macros,
    reason = "each test crate uses its own part of the support"
)]
#![allow(clippy::unwrap_used, reason = "tests")]

pub(crate) mod client;
pub(crate) mod frame;
pub(crate) mod random;
pub(crate) mod records;
pub(crate) mod server;

pub(crate) use client::{Client, Outcome};
pub(crate) use frame::Frame;
pub(crate) use random::Random;
pub(crate) use server::{Server, for_each_shard_count, shard_counts};

/// Runs a command (words, or a slice of arguments) and compares the readable form of its reply.
///
/// `expect_reply!(client, "SET k v", "+OK")`, `expect_reply!(client, ["SET", "k", "a b"], "+OK")`; the readable form is the
/// one of `Frame`'s `Display`.
macro_rules! expect_reply {
    ($client:expr, [$($argument:expr),+ $(,)?], $expected:expr) => {{
        let arguments: Vec<Vec<u8>> = vec![$(AsRef::<[u8]>::as_ref(&$argument).to_vec()),+];
        let reply = $client.call(&arguments).to_string();
        assert_eq!(reply, $expected, "reply to {}", $crate::support::frame::printable_command(&arguments));
    }};
    ($client:expr, $line:expr, $expected:expr) => {{
        let reply = $client.run($line).to_string();
        assert_eq!(reply, $expected, "reply to {}", $line);
    }};
}

/// As `expect_reply!`, for an error reply of which only the beginning is fixed.
macro_rules! expect_error {
    ($client:expr, $line:expr, $prefix:expr) => {{
        let reply = $client.run($line).to_string();
        assert!(
            reply.starts_with(concat!("-", $prefix)),
            "reply to {}: {reply}",
            $line
        );
    }};
}

pub(crate) use {expect_error, expect_reply};
