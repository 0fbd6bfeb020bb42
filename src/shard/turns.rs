//! Whose turn comes next: clients that can go on without an event, each at most once. Pure.
//!
//! A client in this queue has whole requests left, so it is not read: its input stays bounded, and in one round of the
//! loop it has one turn at most.

use std::collections::VecDeque;

use crate::ids::ClientId;

use super::client::Client;

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Turns(VecDeque<ClientId>);

impl Turns {
    /// The client gets a turn behind those who wait for theirs; nothing happens when it waits already.
    pub(super) fn queue(&mut self, client: &mut Client) {
        if !std::mem::replace(&mut client.has_turn_coming, true) {
            self.0.push_back(client.id());
        }
    }

    /// The client that has waited longest; the caller resets [`Client::has_turn_coming`].
    pub(super) fn next(&mut self) -> Option<ClientId> {
        self.0.pop_front()
    }

    /// The client leaves the shard.
    pub(super) fn forget(&mut self, client: &mut Client) {
        if std::mem::take(&mut client.has_turn_coming) {
            let id = client.id();
            self.0.retain(|other| *other != id);
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
