//! Millrace: a message broker that every Redis client already speaks.

pub mod cli;
pub mod config;
pub mod data;
pub mod limits;
pub mod pubsub;
pub mod resp;
pub mod server;
pub mod tools;
