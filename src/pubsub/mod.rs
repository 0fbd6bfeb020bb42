//! Publish/subscribe without sockets: who subscribes to what, on which shard.

pub mod message;
pub mod pattern;
pub mod patterns;
pub mod registry;

pub use crate::data::names::{Name, NameTable};
