//! A script that runs for too long: what was put aside with it.
//!
//! `aside.rs` puts it aside · `slices.rs` lets it go on.

use std::sync::Arc;

use crate::client::transaction::Transaction;
use crate::ids::ClientId;
use crate::resp::reply::Reply;
use crate::script::busy::BusyScript;

use super::admit::Admitted;
use super::env::{Aftermath, Suspended};
use super::hand::Hand;

/// What was put aside.
pub(super) struct Busy {
    pub(super) client: ClientId,
    /// The client is gone, and is dropped when the script has ended.
    pub(super) client_is_gone: bool,
    pub(super) hand: Hand,
    /// Its effects belong together.
    pub(super) group: u64,
    /// The one time of the script, Unix ms.
    pub(super) now_ms: u64,
    pub(super) attempt: Admitted,
    /// What EXEC has replied so far.
    pub(super) reply: Reply,
    pub(super) after: Aftermath,
    pub(super) transaction: Option<Transaction>,
    pub(super) suspended: Suspended,
    pub(super) known: Arc<BusyScript>,
}

/// What was under way when a script was found to be busy.
pub(super) struct UnderWay {
    pub(super) attempt: Admitted,
    pub(super) after: Aftermath,
    pub(super) transaction: Option<Transaction>,
    pub(super) suspended: Suspended,
    pub(super) now_ms: u64,
}
