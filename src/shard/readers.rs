//! Client-side caching, as commands meet it: who has read which keys. What they are told of: `tracking.rs`.

use std::sync::Arc;

use crate::keyspace::tracking::Tracker;
use crate::keyspace::{InHand, Keyspace, Space};
use crate::limits;

use super::env::{Call, Env};

impl Env<'_> {
    /// Notes that the client has read the keys of a command, when it tracks. Redis: also when the command failed or waits.
    pub(super) fn remember(
        &self,
        space: &mut Space<'_>,
        tracker: &Arc<Tracker>,
        call: &Call<'_>,
        caching: bool,
    ) {
        if !tracker.wants_keys(caching) {
            return;
        }
        call.row.command.for_each_key(call.args, |at| {
            let key = call.args.at(at);
            // A command that runs again looks only at what is in hand.
            if space.holds(key) {
                space.of(key).remember_reader(key, tracker);
            }
        });
        for keyspace in space.keyspaces_mut() {
            self.limit_tracked(keyspace);
        }
    }

    /// Forgets tracked keys over `tracking-table-max-keys`, as far as this keyspace has any.
    pub(super) fn limit_tracked(&self, keyspace: &mut Keyspace) {
        let max = usize::try_from(self.settings.tracking_table_keys_max).unwrap_or(usize::MAX);
        if max > 0 {
            keyspace.limit_tracked(max, limits::TRACKED_KEYS_FORGOTTEN_MAX);
        }
    }
}
