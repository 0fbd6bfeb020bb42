//! MIGRATE: another thread sends the keys; what the other server has taken is deleted when the keyspaces are free.

use crate::command::error::{self, CommandError};
use crate::command::keyspace::migrate::{Migrated, Migration};
use crate::command::table::commands;
use crate::ids::{ClientId, ShardSet, shard_of};
use crate::resp::Protocol;
use crate::resp::reply::{Mark, Reply};

use super::client::Client;
use super::env::Aftermath;
use super::job::Job;
use super::mailbox::Message;
use super::phase::Phase;
use super::state::Shard;

impl Shard {
    /// Hands the keys over; the client gets its reply when all is done.
    pub(super) fn begin_migration(
        &mut self,
        client: &mut Client,
        reply: &mut Reply,
        migration: Migration,
        mark: Mark,
    ) {
        self.hold_until_done(client, reply, mark);
        let id = client.id();
        match self.shared.migrator.get() {
            Some(migrator) => migrator.begin(migration, self.id, id),
            // There is no other server in a simulation.
            None => {
                let error = error::migrate_io("connecting to the client");
                let ended = migration.ended(id, Vec::new(), Some(error));
                self.post.send(self.id, Message::Migrated(Box::new(ended)));
            }
        }
    }

    /// A migration has ended.
    pub(super) fn migrated(&mut self, done: Box<Migrated>) {
        let shards = done.keys().fold(ShardSet::EMPTY, |mut shards, key| {
            shards.insert(shard_of(key, self.shared.shard_count));
            shards
        });
        if shards.is_empty() {
            self.answer_migration(done.client, done.error.as_ref());
        } else {
            self.hands.wait_in_line(shards, Job::Remove(done));
        }
    }

    /// Deletes what another server has now; the keyspaces are in hand.
    pub(super) fn remove_migrated(&mut self, done: &Migrated) {
        let mut after = Aftermath::default();
        let changed = self.with_hand(|env, space| {
            let changed = done.remove_from(space);
            env.collect_of(done.client, space, &mut after);
            env.log(space, "migrate");
            env.serve(space, &mut after);
            changed
        });
        self.dispatch(after, None);
        // The reply waits for what was just written.
        self.log_effects();
        self.answer_migration(done.client, done.error.as_ref().or(changed.as_ref()));
    }

    fn answer_migration(&mut self, client: ClientId, error: Option<&CommandError>) {
        let error = error.map(|error| {
            if let Some(row) = commands().find(b"migrate") {
                self.env().record_late_failure(row, error);
            }
            let mut reply = Reply::new(Protocol::Resp2);
            reply.error(error.bytes());
            reply.take()
        });
        // Without a reply the client wants none (CLIENT REPLY).
        let phase = self.clients.get_mut(client).map(|client| &client.phase);
        let is_silent = matches!(phase, Some(Phase::Barrier { reply, .. }) if reply.is_empty());
        self.saved(client, error.filter(|_| !is_silent));
    }
}
