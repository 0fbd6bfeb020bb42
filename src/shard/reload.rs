//! DEBUG LOADAOF without a log: every key is written as the effects that rebuild it, the keyspaces are dropped, the effects
//! are replayed through the same handlers as any command. All in memory. (A Redis ends there, or loses its data.)

use crate::client::registry::{ClientHandle, ClientOrigin};
use crate::client::session::Session;
use crate::command::keyspace::rewrite;
use crate::command::table::commands;
use crate::keyspace::effect::EffectWriter;
use crate::keyspace::{Keyspace, Space};
use crate::resp::Protocol;
use crate::resp::reply::Reply;
use crate::resp::request::{RequestLimits, RequestParser};

use super::env::{Aftermath, Call};
use super::measure::NOBODY;
use super::state::Shard;

impl Shard {
    /// Rebuilds the keyspaces in hand from the effects of their keys.
    pub(super) fn reload(&self, keyspaces: &mut [Box<Keyspace>]) {
        let mut log: Vec<(usize, Vec<u8>)> = Vec::new();
        for keyspace in keyspaces.iter() {
            for db in 0..keyspace.database_count() {
                for entry in keyspace.database(db).table().iter() {
                    rewrite(entry, self.now_ms, &mut |effect: &EffectWriter| {
                        let mut command = Vec::new();
                        effect.encode(&mut command);
                        log.push((db, command));
                    });
                }
            }
        }
        for keyspace in keyspaces.iter_mut() {
            keyspace.clear();
            keyspace.set_replaying(true);
        }
        for (db, command) in log {
            self.replay(keyspaces, db, &command);
        }
        for keyspace in keyspaces.iter_mut() {
            keyspace.set_replaying(false);
        }
    }

    /// Runs one effect.
    fn replay(&self, keyspaces: &mut [Box<Keyspace>], db: usize, command: &[u8]) {
        let mut parser = RequestParser::new();
        if !matches!(parser.parse(command, &RequestLimits::NONE), Ok(Some(_))) {
            debug_assert!(false, "an effect that is no request");
            return;
        }
        let args = parser.arguments(command);
        let table = commands();
        let Some(mut row) = table.find(args.at(0)) else {
            return;
        };
        if row.is_container() {
            row = table.find_subcommand(row, args.at(1)).unwrap_or(row);
        }
        let handle = ClientHandle::new(NOBODY, ClientOrigin::default(), self.id, self.now_ms);
        let mut session = Session::new(std::sync::Arc::new(handle), true);
        session.db = db;
        let mut reply = Reply::new(Protocol::Resp2);
        let mut space = Space::many(keyspaces, self.shared.shard_count);
        let call = Call::at_once(row, &args);
        let _ = self.env().run(
            &mut space,
            &mut session,
            &mut reply,
            &call,
            &mut Aftermath::default(),
        );
        if reply.bytes().first() == Some(&b'-') {
            tracing::error!(
                "replay of {} failed: {}",
                row.full_name,
                String::from_utf8_lossy(reply.bytes())
            );
        }
    }
}
