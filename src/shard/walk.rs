//! KEYS over very many keys: each shard walks its own a few at a time, the client waits for what all have found.
//!
//! ```text
//! KEYS, all keyspaces in hand: walks begin ─► Walking ─► each shard, a job for each step (work.rs) ─► Walked ─► reply
//! ```
//! The command has run when the walks have begun: what they find is what was there then.

use crate::keyspace::walk::Walked;
use crate::resp::reply::Reply;

use super::phase::Phase;
use super::state::Shard;

impl Shard {
    /// A shard has found its part for a client, which may be gone.
    pub(super) fn walked(&mut self, walked: Walked) {
        let id = walked.client;
        let Some(mut client) = self.clients.take(id) else {
            return;
        };
        if let Phase::Walking {
            missing,
            count,
            parts,
        } = &mut client.phase
        {
            *missing -= 1;
            *count += walked.count;
            parts.push(walked.keys);
            if *missing == 0 {
                let mut reply = Reply::new(client.session.protocol);
                reply.set_slices(true);
                reply.array(*count);
                for part in std::mem::take(parts) {
                    reply.append(part);
                }
                client.phase = Phase::Ready;
                client.output.take(&mut reply);
                self.hold_for_all(&mut client);
                self.release_behind_reply(&mut client);
                self.clients.queue(&mut client);
            }
        }
        self.clients.put(client);
    }
}
