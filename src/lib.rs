//! Millrace: a message broker that every Redis client already speaks.

pub mod cli;
pub mod client;
pub mod command;
pub mod config;
pub mod data;
pub mod ids;
pub mod keyspace;
pub mod limits;
pub mod net;
pub mod observe;
pub mod pubsub;
pub mod resp;
pub mod server;
pub mod shard;
pub mod tools;

/// The Redis whose behaviour clients may count on: what HELLO and INFO say.
pub const REDIS_VERSION: &str = "7.2.4";
