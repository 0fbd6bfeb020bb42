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
