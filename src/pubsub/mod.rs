//! Publish/subscribe without sockets: who subscribes to what, on which shard.

pub(crate) mod message;
pub(crate) mod pattern;
pub(crate) mod patterns;
pub(crate) mod registry;

pub(crate) use crate::data::names::{Name, NameTable};
