//! SYNC: a copy of the data, as a file, to a client.
//!
//! ```text
//! SYNC ──ask──► saver: writes a file, opens it, removes its name ──Copied──► "$<bytes>", the file piece by piece, the end
//! ```
//! The client is sent nothing behind the file, and closed: nobody is to think that it follows this server.

use std::sync::atomic::Ordering;

use crate::client::registry::ClientFlag;
use crate::ids::ClientId;
use crate::keyspace::discard::{Discarded, Part};
use crate::net::stored::Stored;

use super::state::Shard;

impl Shard {
    /// The copy that a client has asked for is written: it is sent, behind the log as everything that shows data.
    pub(super) fn copied(&mut self, id: ClientId, copy: Stored) {
        let position = self.log.end();
        let Some(client) = self.clients.get_mut(id) else {
            // To free a large file takes long.
            if let Some(disposal) = self.shared.disposal.get() {
                disposal.free(vec![Discarded::Part(Part::new(copy))]);
            }
            return;
        };
        tracing::info!(
            "Client id={} addr={} is sent a copy of the data, {} bytes",
            id.0,
            client.session.handle.address,
            copy.bytes_left()
        );
        client.held_for = client.held_for.max(position);
        client
            .output
            .append(format!("${}\r\n", copy.bytes_left()).as_bytes());
        client.output.append_stored(copy);
        client.is_sent_copy = true;
        client
            .session
            .handle
            .active_ms
            .store(self.now_ms, Ordering::Relaxed);
        client.session.closing = true;
        client.session.handle.set_flag(ClientFlag::CLOSING, true);
        self.clients.note_copy(id);
        self.barrier_seen(id);
    }
}
