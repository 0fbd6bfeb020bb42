//! Who is connected to a shard, and who of them has something coming: a turn, a deadline, output, a move, the end.
//!
//! A client that runs is taken out of its place meanwhile, and put back: nobody else finds it there.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::Ordering;

use crate::client::registry::ClientFlag;
use crate::ids::{ClientId, ShardId};

use super::client::Client;
use super::phase::Phase;
use super::turns::Turns;

/// The clients of one shard.
#[derive(Debug, Default)]
pub(super) struct Clients {
    /// `None`: it runs.
    all: HashMap<ClientId, Option<Box<Client>>, hashbrown::DefaultHashBuilder>,
    turns: Turns,
    /// Of those that are blocked or wait, Unix ms.
    deadlines: BTreeSet<(u64, ClientId)>,
    /// Held by CLIENT PAUSE.
    paused: Vec<ClientId>,
    /// Held for credit.
    throttled: Vec<ClientId>,
    /// With new output, or to be closed when it is sent.
    dirty: Vec<ClientId>,
    /// With output that waits for the log.
    held: Vec<ClientId>,
    /// That are sent a copy of the data, or were.
    copies: Vec<ClientId>,
    /// That wait for the log to be on disk up to there.
    awaiting_sync: BTreeSet<(u64, ClientId)>,
    /// To move to another shard.
    departing: Vec<(ClientId, ShardId)>,
    /// Gone: their sockets are to be dropped.
    closed: Vec<ClientId>,
    /// New: their sockets have come with them.
    arrived: Vec<ClientId>,
}

impl Clients {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// A client that does not run.
    pub(super) fn get(&self, id: ClientId) -> Option<&Client> {
        self.all.get(&id)?.as_deref()
    }

    /// A client that does not run.
    pub(super) fn get_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        self.all.get_mut(&id)?.as_deref_mut()
    }

    /// A client that does not run, with the list of those that have new output.
    pub(super) fn get_to_send(
        &mut self,
        id: ClientId,
    ) -> Option<(&mut Client, &mut Vec<ClientId>)> {
        let client = self.all.get_mut(&id)?.as_deref_mut()?;
        Some((client, &mut self.dirty))
    }

    /// All that do not run.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Client> {
        self.all.values().filter_map(|client| client.as_deref())
    }

    /// Takes a client out of its place while it runs; [`Clients::put`] must follow unless it is gone.
    pub(super) fn take(&mut self, id: ClientId) -> Option<Box<Client>> {
        self.all.get_mut(&id)?.take()
    }

    /// Puts a client that was taken back into its place, unless it has been disconnected meanwhile.
    pub(super) fn put(&mut self, client: Box<Client>) {
        if let Some(slot) = self.all.get_mut(&client.id()) {
            *slot = Some(client);
        }
    }

    /// Whether a client receives messages that others cause: a subscriber, a tracking client.
    pub(super) fn listens(&self, id: ClientId) -> bool {
        self.get(id).is_some_and(|client| client.session.listens())
    }

    /// A client is new here; it gets a turn.
    pub(super) fn arrive(&mut self, mut client: Box<Client>) {
        let id = client.id();
        self.turns.queue(&mut client);
        self.all.insert(id, Some(client));
        self.arrived.push(id);
    }

    /// Who has arrived since the last call.
    pub(super) fn take_arrived(&mut self) -> Vec<ClientId> {
        std::mem::take(&mut self.arrived)
    }

    /// A client, which does not run, is gone.
    pub(super) fn close(&mut self, id: ClientId) -> Option<Box<Client>> {
        let slot = self.all.remove(&id)?;
        debug_assert!(slot.is_some(), "closed while it runs");
        self.closed.push(id);
        slot
    }

    /// Who is gone since the last call.
    pub(super) fn take_closed(&mut self) -> Vec<ClientId> {
        std::mem::take(&mut self.closed)
    }

    /// Whether some have come and nobody was told.
    pub(super) fn has_arrived(&self) -> bool {
        !self.arrived.is_empty()
    }

    /// Whether some are gone and nobody was told.
    pub(super) fn has_closed(&self) -> bool {
        !self.closed.is_empty()
    }

    /// Whether some may be about to leave.
    pub(super) fn has_departing(&self) -> bool {
        !self.departing.is_empty()
    }

    /// A client gets a turn, once.
    pub(super) fn queue(&mut self, client: &mut Client) {
        self.turns.queue(client);
    }

    /// As [`Clients::queue`], of a client in its place.
    pub(super) fn give_turn(&mut self, id: ClientId) {
        if let Some(Some(client)) = self.all.get_mut(&id) {
            self.turns.queue(client);
        }
    }

    /// Who has waited longest for a turn.
    pub(super) fn next_turn(&mut self) -> Option<ClientId> {
        let id = self.turns.next()?;
        if let Some(client) = self.get_mut(id) {
            client.has_turn_coming = false;
        }
        Some(id)
    }

    /// How many wait for a turn.
    pub(super) fn turn_count(&self) -> usize {
        self.turns.len()
    }

    /// A client is to be looked at by then, Unix ms.
    pub(super) fn set_deadline(&mut self, id: ClientId, at_ms: u64) {
        self.deadlines.insert((at_ms, id));
    }

    pub(super) fn clear_deadline(&mut self, id: ClientId, at_ms: Option<u64>) {
        if let Some(at_ms) = at_ms {
            self.deadlines.remove(&(at_ms, id));
        }
    }

    /// The first deadline, Unix ms.
    pub(super) fn next_deadline_ms(&self) -> u64 {
        self.deadlines.first().map_or(u64::MAX, |(at_ms, _)| *at_ms)
    }

    /// A client whose deadline has passed, which it has no longer.
    pub(super) fn pop_overdue(&mut self, now_ms: u64) -> Option<ClientId> {
        if self.next_deadline_ms() > now_ms {
            return None;
        }
        self.deadlines.pop_first().map(|(_, id)| id)
    }

    /// Keeps a client until the pause is over. Redis: it counts as blocked.
    pub(super) fn pause(&mut self, client: &mut Client) {
        client.phase = Phase::Paused;
        client.session.handle.set_flag(ClientFlag::PAUSED, true);
        self.paused.push(client.id());
    }

    /// Lets clients that were held by a pause go on: it is over, or has changed.
    pub(super) fn release_paused(&mut self, now_ms: u64) {
        for id in std::mem::take(&mut self.paused) {
            if let Some(Some(client)) = self.all.get_mut(&id)
                && matches!(client.phase, Phase::Paused)
            {
                client.phase = Phase::Ready;
                let handle = &client.session.handle;
                handle.set_flag(ClientFlag::PAUSED, false);
                handle.active_ms.store(now_ms, Ordering::Relaxed);
                self.turns.queue(client);
            }
        }
    }

    /// Keeps a client until what was published is delivered.
    pub(super) fn throttle(&mut self, client: &mut Client) {
        client.phase = Phase::Throttled;
        self.throttled.push(client.id());
    }

    /// Lets clients that were held for credit go on.
    pub(super) fn release_throttled(&mut self) {
        for id in std::mem::take(&mut self.throttled) {
            if let Some(Some(client)) = self.all.get_mut(&id)
                && matches!(client.phase, Phase::Throttled)
            {
                client.phase = Phase::Ready;
                self.turns.queue(client);
            }
        }
    }

    /// What a client's command came behind has taken effect, or was waited for long enough.
    pub(super) fn release_behind(&mut self, id: ClientId) {
        if let Some(Some(client)) = self.all.get_mut(&id)
            && matches!(client.phase, Phase::Behind)
        {
            if let Some(kept) = &mut client.kept {
                kept.has_waited = true;
            }
            client.phase = Phase::Ready;
            self.turns.queue(client);
        }
    }

    /// A client has new output, or is to be closed when it is sent.
    pub(super) fn note_output(&mut self, id: ClientId) {
        self.dirty.push(id);
    }

    /// A client is sent a copy of the data.
    pub(super) fn note_copy(&mut self, id: ClientId) {
        self.copies.push(id);
    }

    /// Who is sent a copy and has taken nothing since then, Unix ms.
    pub(super) fn inactive_copies(&mut self, since_ms: u64) -> Vec<ClientId> {
        let (all, copies) = (&self.all, &mut self.copies);
        copies.retain(|id| all.contains_key(id));
        let is_inactive = |id: &ClientId| {
            let client = all.get(id).and_then(Option::as_deref);
            let handle = client.map(|client| &client.session.handle);
            handle.is_some_and(|handle| handle.active_ms.load(Ordering::Relaxed) < since_ms)
        };
        copies.iter().copied().filter(is_inactive).collect()
    }

    /// The output of a client waits for the log.
    pub(super) fn hold(&mut self, id: ClientId, now_ms: u64) {
        if let Some(Some(client)) = self.all.get_mut(&id)
            && !client.is_held
        {
            client.is_held = true;
            client.held_since_ms = now_ms;
            self.held.push(id);
        }
    }

    /// Whose output has waited since then, Unix ms, or for longer.
    pub(super) fn held_since(&self, since_ms: u64) -> Vec<ClientId> {
        let held = self.held.iter().filter(|id| {
            let client = self.get(**id);
            client.is_some_and(|client| client.held_since_ms <= since_ms)
        });
        held.copied().collect()
    }

    /// Whether anybody, or anybody's output, waits for the log.
    #[inline]
    pub(super) fn has_held(&self) -> bool {
        !self.held.is_empty() || !self.awaiting_sync.is_empty()
    }

    /// A client waits until the log is on disk up to a position.
    pub(super) fn await_sync(&mut self, id: ClientId, position: u64) {
        self.awaiting_sync.insert((position, id));
    }

    /// It waits no longer.
    pub(super) fn stop_awaiting_sync(&mut self, id: ClientId, position: u64) {
        self.awaiting_sync.remove(&(position, id));
    }

    /// Who has waited for the log to be on disk up to here, or up to a position before.
    pub(super) fn release_synced(&mut self, synced: u64) -> Vec<ClientId> {
        let later = self.awaiting_sync.split_off(&(synced + 1, ClientId(0)));
        let all = std::mem::replace(&mut self.awaiting_sync, later);
        all.into_iter().map(|(_, id)| id).collect()
    }

    /// The log has come so far: who waited for that has output to send.
    pub(super) fn release_held(&mut self, mark: u64, log_is_in_trouble: bool) {
        let (all, dirty) = (&mut self.all, &mut self.dirty);
        self.held.retain(|id| {
            let Some(Some(client)) = all.get_mut(id) else {
                // Gone; or it runs just now.
                return all.contains_key(id);
            };
            if client.waits_for(log_is_in_trouble) > mark {
                return true;
            }
            client.is_held = false;
            dirty.push(*id);
            false
        });
    }

    /// All that have unsent output have new one.
    pub(super) fn note_all_output(&mut self) {
        let clients = self.all.values().filter_map(|client| client.as_deref());
        let unsent = clients.filter(|client| !client.output.is_empty());
        self.dirty.extend(unsent.map(Client::id));
    }

    /// Who has new output since the last call, each perhaps several times.
    pub(super) fn take_dirty(&mut self) -> Vec<ClientId> {
        std::mem::take(&mut self.dirty)
    }

    /// Gives a spent list back, to save its allocation.
    pub(super) fn reuse_dirty(&mut self, mut list: Vec<ClientId>) {
        list.clear();
        if self.dirty.is_empty() {
            self.dirty = list;
        }
    }

    /// Whether some have new output, or are gone, and nobody was told.
    pub(super) fn has_news(&self) -> bool {
        !self.dirty.is_empty() || !self.closed.is_empty()
    }

    /// A client is to move when its output is sent.
    pub(super) fn send_off(&mut self, id: ClientId, target: ShardId) {
        self.departing.push((id, target));
    }

    /// Nobody moves any more.
    pub(super) fn keep_all(&mut self) {
        self.departing.clear();
    }

    /// Who can leave now, with the shard they go to. Until they have left they run nothing.
    pub(super) fn take_departing(&mut self) -> Vec<(ClientId, ShardId)> {
        let mut candidates = std::mem::take(&mut self.departing);
        candidates.retain(|(id, target)| {
            let Some(client) = self.get_mut(*id) else {
                return false;
            };
            let leaves = client.can_move() && client.habits.place() == Some(*target);
            if leaves {
                client.phase = Phase::Leaving;
            }
            leaves
        });
        candidates
    }

    /// A client leaves for another shard.
    pub(super) fn depart(&mut self, id: ClientId) -> Option<Box<Client>> {
        let mut client = self.take(id)?;
        self.all.remove(&id);
        // Its output may have to wait again where it arrives.
        client.is_held = false;
        self.turns.forget(&mut client);
        Some(client)
    }
}
