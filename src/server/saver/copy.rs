//! SYNC: a copy of the data to a file that has no name when it is whole, for one client.
//!
//! It is a dump that nobody finds after a restart, so nothing that is told of dumps changes: LASTSAVE, save points, INFO. Only the place
//! for a dump is taken meanwhile, as Redis' child takes it. It ends with the client that it is for.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};

use tracing::{info, warn};

use crate::client::session::CopyOf;
use crate::command::context::Save;
use crate::journal::dump::{Dump, Head};
use crate::journal::storage::Storage;
use crate::net::stored::Stored;
use crate::shard::dumps::{rdb_options, temporary_copy};
use crate::shard::mailbox::Message;
use crate::shard::snapshot::run::{Begun, Run};

use super::inbox::{Client, Work};
use super::surroundings::Surroundings;
use super::{CANCELLED, Worker, is};

/// Redis' text.
const FAILED: &str = "ERR BGSAVE failed, replication can't continue";

impl<S: Surroundings> Worker<S> {
    /// Writes a copy for a client when the place for a dump is free; until then it waits in line.
    pub(super) fn copy(&mut self, of: CopyOf, client: Client) {
        if !self.is_connected(client) {
            return;
        }
        if !self.takes_place(Save::Copy(of), client) {
            return;
        }
        info!("Writing a copy of the data for a client");
        self.work = Work::Copy(client);
        let written = self.write_copy(of);
        self.work = Work::None;
        self.facts().end(self.around.now_ms());
        match written {
            Ok(copy) => {
                if let Some((shard, client)) = client {
                    let copy = Box::new(copy);
                    self.post.post(shard, Message::Copied { client, copy });
                }
            }
            Err(error) if is(&error, CANCELLED) => {
                info!("The copy of the data was ended before it was done");
                self.answer(client, Some(FAILED));
            }
            Err(error) => {
                warn!("The copy of the data could not be written: {error}");
                self.answer(client, Some(FAILED));
            }
        }
    }

    /// Whether somebody is there who waits for an answer.
    pub(super) fn is_connected(&self, client: Client) -> bool {
        client.is_some_and(|(_, id)| self.shared.clients.shard_of(id).is_some())
    }

    fn write_copy(&self, of: CopyOf) -> io::Result<Stored> {
        let storage = self.around.storage(&self.settings().dir)?;
        let temporary = temporary_copy();
        let written = match of {
            CopyOf::Everything => self.write_all(&*storage),
            CopyOf::Libraries => self.write_libraries(&*storage, self.facts().libraries()),
            CopyOf::Nothing => self.write_libraries(&*storage, Vec::new()),
        };
        let copy = written.and_then(|bytes| {
            let file = storage.open_read(&temporary)?;
            Ok(Stored::new(Box::new(file), bytes))
        });
        // Whoever has it open reads on. It may not be there.
        let _ = storage.remove(&temporary);
        copy
    }

    fn write_all(&self, storage: &dyn Storage) -> io::Result<u64> {
        let (sender, pieces) = mpsc::channel();
        let run = Arc::new(Run::new(self.shared.shard_count, sender, false, false));
        let begun = self.begin(&run, &pieces);
        let begun = begun.ok_or_else(|| io::Error::other("the process ends"))?;
        self.write_file(storage, &temporary_copy(), &run, &pieces, (&begun, false))
    }

    /// No key is needed, so nobody is asked for any.
    fn write_libraries(&self, storage: &dyn Storage, libraries: Vec<Vec<u8>>) -> io::Result<u64> {
        let facts = self.facts();
        facts.saving_keys.store(0, Ordering::Relaxed);
        facts.saving_keys_total.store(0, Ordering::Relaxed);
        let begun = Begun {
            now_ms: self.around.now_ms(),
            changes: 0,
            position: 0,
            counts: Vec::new(),
        };
        let head = Head {
            libraries,
            ..self.head(&begun, false)
        };
        let options = Some(rdb_options(&self.settings()));
        Dump::create(storage, &temporary_copy(), options, head)?.finish(storage)
    }
}
