//! What a connection is, without its socket: session, transaction, subscriptions, and the registry of all clients.

pub mod registry;
pub mod session;
pub mod transaction;
