//! What a connection is, without its socket: session, transaction, subscriptions, client-side caching, and the registry of all clients.

pub(crate) mod held;
pub mod registry;
pub(crate) mod session;
pub(crate) mod tracking;
pub(crate) mod transaction;
