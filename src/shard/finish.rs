//! What follows a command: its publications and served waiters leave, its reply stays or is held, its client's phase changes.
//!
//! Handlers never do any of this; they say what is wanted ([`ShardAction`]), and here it is done once for every way of running.

use std::borrow::Cow;
use std::sync::atomic::Ordering;

use crate::client::registry::Wait;
use crate::command::context::{ReloadOptions, Save, ShardAction};
use crate::command::error::{self, CommandError};
use crate::command::row::Row;
use crate::command::table::commands;
use crate::keyspace::Keyspace;
use crate::observe::persistence::Saving;
use crate::resp::arguments::Args;
use crate::resp::reply::{Mark, Reply};

use super::client::{Client, finish_reply};
use super::env::{Aftermath, Call, Ran};
use super::mailbox::Message;
use super::phase::Phase;
use super::state::Shard;

/// What a command did to its client's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// The command is done with; the next one.
    Next,
    /// The command is done with, or will be; nothing more for now: the client's phase says why.
    Stop,
    /// The turn is over, though more could run: the client has another.
    Defer,
}

impl Shard {
    /// A command answered without a run of its handler: its error is in its records as if it had run.
    pub(super) fn record_failure(
        &self,
        client: &Client,
        row: &'static Row,
        args: &Args<'_>,
        error: &CommandError,
    ) {
        let env = self.env();
        let call = Call::at_once(row, args);
        let elapsed_ns = env.lap();
        env.record(&client.session, &call, elapsed_ns, Some(error));
        self.count(client);
    }

    /// Answers a command that may not run. EXEC's transaction ends with it, and what was watched for it.
    pub(super) fn reject(
        &self,
        client: &mut Client,
        reply: &mut Reply,
        args: &Args<'_>,
        error: &CommandError,
    ) {
        let mut error = Cow::Borrowed(error);
        let table = commands();
        let container = table.find_called(args.at(0));
        if container.is_some_and(|row| row.command.name == "exec") {
            client.session.transaction.clear();
            client.session.mirror();
            self.feed_monitors_exec(&client.session, &[], &[], &[], args);
            error = Cow::Owned(error::exec_discarded(&error));
        }
        if client.session.transaction.active {
            client.session.transaction.aborted = true;
        }
        let row = container.and_then(|container| {
            let named = args.get(1).filter(|_| container.is_container());
            let part = named.map(|name| table.find_subcommand(container, name));
            match part {
                // Redis: an unknown subcommand is an unknown command; its container is not charged with it.
                Some(None) if !container.is_one_command() => None,
                part => part.flatten().or(Some(container)),
            }
        });
        self.env().record_refusal(row, &error);
        if let Some(row) = row.or(container) {
            client.end_caching(row);
        } else if !client.session.transaction.active {
            client.session.caching.exception = false;
        }
        reply.error(error.bytes());
    }

    pub(super) fn count(&self, client: &Client) {
        client.session.handle.commands.store(
            client.session.handle.commands.load(Ordering::Relaxed) + 1,
            Ordering::Relaxed,
        );
    }

    /// Dispatches what a command left to do, and puts the client into the phase that follows.
    #[inline(always)]
    pub(super) fn finish(
        &mut self,
        client: &mut Client,
        reply: &mut Reply,
        ran: Ran,
        after: Aftermath,
        mark: Mark,
    ) -> Flow {
        if after.is_empty() && matches!(ran, Ran::Done) {
            // Nearly always.
            finish_reply(client, reply, mark);
            if client.session.login_delay_ms > 0 {
                self.delay_reply(client, reply, mark);
                return Flow::Stop;
            }
            return Flow::Next;
        }
        self.follow_up(client, reply, ran, after, mark)
    }

    fn follow_up(
        &mut self,
        client: &mut Client,
        reply: &mut Reply,
        ran: Ran,
        mut after: Aftermath,
        mark: Mark,
    ) -> Flow {
        let actions = std::mem::take(&mut after.actions);
        // What (un)subscribing confirms is pushed: it is sent whatever CLIENT REPLY says.
        let pushes = after.changes_subscriptions();
        let mut told = client.session.subscriptions.any() && after.publishes();
        if !after.is_empty() {
            told |= self.dispatch(after, Some(client));
        }
        // That was not the time of the next command.
        self.lap_ns.set(None);
        match ran {
            Ran::Done => {}
            Ran::Waits(blocked) => {
                self.block(client, blocked);
                return Flow::Stop;
            }
            Ran::Needs(_) | Ran::Suspended(_) => debug_assert!(false, "it has not run"),
        }
        // The reply of a wait obeys CLIENT REPLY when the wait ends.
        let waits = |action: &ShardAction| {
            let (replicas, sync) = (
                matches!(action, ShardAction::WaitForReplicas(_)),
                matches!(action, ShardAction::WaitForSync { .. }),
            );
            replicas || sync
        };
        if !pushes && !actions.iter().any(waits) {
            finish_reply(client, reply, mark);
        }
        let mut flow = Flow::Next;
        for action in actions {
            flow = self.carry_out(client, reply, action, mark);
            self.lap_ns.set(None);
        }
        if told && !client.session.closing {
            self.hold_until_told(client, reply, mark);
        }
        if client.session.login_delay_ms > 0 {
            self.delay_reply(client, reply, mark);
            return Flow::Stop;
        }
        if client.is_ready() { flow } else { Flow::Stop }
    }

    /// Asks the saver; whoever waits for it gets its reply when it is done.
    fn ask_to_save(&mut self, client: &mut Client, reply: &mut Reply, save: Save, mark: Mark) {
        let waits = match save {
            Save::DumpNow
            | Save::Copy(_)
            | Save::End(_)
            | Save::Switch
            | Save::Flushed
            | Save::Abort => true,
            Save::Dump | Save::Base | Save::Cancel => false,
        };
        if waits {
            self.hold_until_done(client, reply, mark);
        }
        if let Save::End(options) = save
            && options.save == Some(false)
            && self.shared.busy_scripts.any()
            && self
                .shared
                .observations
                .persistence
                .is_end_asked
                .load(Ordering::Acquire)
        {
            // An end that wants to save waits for the script, and this one would wait behind it.
            tracing::warn!("User requested shutdown while a script is busy: exiting now.");
            self.log.write();
            std::process::exit(0);
        }
        let who = waits.then(|| (self.id, client.id()));
        match self.shared.saver.get() {
            Some(saver) => saver.request(save, who),
            // Nothing is saved where there are no files (a simulation).
            None if matches!(save, Save::End(_)) => self.shut_down(),
            None if waits => self.post.send(self.id, Message::BarrierSeen(client.id())),
            None => {}
        }
    }

    /// DEBUG LOADAOF: through the files of the log where it stands, else in memory.
    fn reload_through_log(&mut self, reply: &mut Reply, mark: Mark) {
        let facts = &self.shared.observations.persistence;
        let stands = self.log.is_on() && facts.log_stands() && facts.saving() != Saving::Base;
        self.log_effects();
        self.reload_in_hand(reply, mark, true, |shard, keyspaces| {
            if stands {
                shard.reload_log(keyspaces)?;
            } else {
                shard.reload(keyspaces);
            }
            shard.note_all_saved();
            Ok(())
        });
    }

    /// DEBUG RELOAD.
    fn reload_through_dump(&mut self, reply: &mut Reply, options: ReloadOptions, mark: Mark) {
        self.reload_in_hand(reply, mark, options.flushes, |shard, keyspaces| {
            shard.reload_dump(keyspaces, options)
        });
    }

    /// As in Redis: watchers and caches learn that all keys went (`flushes`), blocked clients of nothing.
    fn reload_in_hand(
        &mut self,
        reply: &mut Reply,
        mark: Mark,
        flushes: bool,
        reload: impl FnOnce(&Self, &mut [Box<Keyspace>]) -> Result<(), &'static str>,
    ) {
        let mut hand = self.hands.lend();
        let reloaded = reload(self, hand.keyspaces_mut());
        self.hands.resume(hand);
        let mut after = Aftermath::default();
        self.with_hand(|env, space| {
            if flushes {
                space.invalidate_all();
            }
            env.collect(space, &mut after);
        });
        self.dispatch(after, None);
        if let Err(text) = reloaded {
            reply.truncate(mark);
            reply.error(text.as_bytes());
        }
    }

    /// CONFIG SET appendonly. Under `always` the reply promises that what follows is durable: base and manifest stand by then; else
    /// that the log has begun.
    fn switch_log(&mut self, client: &mut Client, reply: &mut Reply, mark: Mark) {
        self.raise_barrier(client, reply, mark);
        self.ask_to_save(client, reply, Save::Switch, mark);
    }

    /// Carries out what a handler asked for.
    fn carry_out(
        &mut self,
        client: &mut Client,
        reply: &mut Reply,
        action: ShardAction,
        mark: Mark,
    ) -> Flow {
        match action {
            ShardAction::Subscriptions(_) | ShardAction::Publish { .. } => {
                debug_assert!(false, "part of the aftermath")
            }
            ShardAction::Barrier => self.raise_barrier(client, reply, mark),
            ShardAction::SwitchLog => self.switch_log(client, reply, mark),
            ShardAction::Poke(clients) => self.poke(&clients, client, reply, mark),
            ShardAction::CloseGone => self.hold_until_gone(client, reply, mark),
            ShardAction::Sleep(_) => self.refresh(),
            ShardAction::WaitForReplicas(ms) => {
                let held = reply.since(mark).to_vec();
                reply.truncate(mark);
                let deadline_ms = (ms > 0).then(|| self.now_ms + ms);
                if let Some(at) = deadline_ms {
                    self.clients.set_deadline(client.id(), at);
                }
                client.session.handle.set_wait(Some(Wait::Replicas));
                client.phase = Phase::Waiting {
                    deadline_ms,
                    reply: held,
                };
            }
            ShardAction::WaitForSync { ms, replicas } => {
                self.log_effects();
                reply.truncate(mark);
                self.wait_for_sync(client, ms, replicas);
            }
            ShardAction::Monitor => {
                self.shared.monitor_count.fetch_add(1, Ordering::AcqRel);
                self.subscribers.add_monitor(client.id());
                client.session.monitoring = true;
                client.session.mirror();
                self.raise_barrier(client, reply, mark);
            }
            ShardAction::StopMonitoring(changes) => {
                self.shared.monitor_count.fetch_sub(1, Ordering::AcqRel);
                self.subscribers.remove_monitor(client.id());
                if self.change_subscriptions(client.id(), changes) {
                    self.hold_until_told(client, reply, mark);
                }
            }
            ShardAction::Walk(walks) => {
                client.phase = Phase::Walking {
                    missing: walks,
                    count: 0,
                    parts: Vec::new(),
                };
            }
            ShardAction::Save(save) => self.ask_to_save(client, reply, save, mark),
            ShardAction::ReloadDump(options) => self.reload_through_dump(reply, options, mark),
            ShardAction::Migrate(migration) => {
                self.begin_migration(client, reply, *migration, mark);
            }
            ShardAction::Reload => self.reload_through_log(reply, mark),
        }
        if client.is_ready() {
            Flow::Next
        } else {
            Flow::Stop
        }
    }
}
