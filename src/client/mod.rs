//! What a connection is, without its socket: session, transaction, subscriptions, client-side caching, and the registry of all clients.

pub mod registry;
pub mod session;
pub mod tracking;
pub mod transaction;
