//! Connections end: closed, lost, over a limit of input or output, or at the end of their input.

use std::sync::atomic::Ordering;

use crate::client::session::Session;
use crate::ids::ClientId;
use crate::keyspace::discard::{Discarded, Part};
use crate::pubsub::registry::ChannelKind;
use crate::resp::request::ProtocolError;

use super::client::Client;
use super::phase::Phase;
use super::state::Shard;

/// Most bytes of input that the log shows of a protocol error. Source: Redis.
const SHOWN_INPUT_BYTES_MAX: usize = 128;

/// Input in quotes, with a point for each byte that cannot be shown; of longer input the beginning and the end.
fn shown_input(input: &[u8]) -> String {
    let shown = |bytes: &[u8]| {
        let visible = |byte: &u8| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        };
        format!("'{}'", bytes.iter().map(visible).collect::<String>())
    };
    if input.len() < SHOWN_INPUT_BYTES_MAX {
        return shown(input);
    }
    let (half, left_out) = (
        SHOWN_INPUT_BYTES_MAX / 2,
        input.len() - SHOWN_INPUT_BYTES_MAX,
    );
    let (beginning, end) = (&input[..half], &input[input.len() - half..]);
    format!(
        "{} (... more {left_out} bytes ...) {}",
        shown(beginning),
        shown(end)
    )
}

impl Shard {
    /// Logs why a connection ends whose bytes are not the protocol; `input` begins at what is not understood.
    pub(super) fn tell_protocol_error(
        &self,
        session: &Session,
        error: ProtocolError,
        input: &[u8],
    ) {
        let mut text = Vec::new();
        error.write_to(&mut text);
        let reason = match error {
            // Without the byte, which is the client's.
            ProtocolError::ExpectedDollar(_) => &b"expected $ but got something else"[..],
            _ => text.strip_prefix(b"Protocol error: ").unwrap_or(&text),
        };
        let input = if self.settings.hide_user_data_from_log {
            "*redacted*".to_owned()
        } else {
            shown_input(input)
        };
        tracing::debug!(
            "Protocol error ({}) from client id={} addr={}. Query buffer during protocol error: {input}",
            String::from_utf8_lossy(reason),
            session.handle.id.0,
            session.handle.address,
        );
    }

    pub(super) fn check_query_limit(&mut self, id: ClientId) {
        let limit = self.settings.client_query_buffer_bytes_max;
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if client.unparsed_bytes() as u64 > limit {
            tracing::warn!(
                "Closing client that reached max query buffer length: id={}",
                id.0
            );
            self.disconnect(id);
        }
    }

    /// A client whose input has ended does not wait: it is gone, as Redis sees it, when its earlier replies are sent.
    pub(super) fn leave_if_ended(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if !(client.ended && client.phase.is_a_wait()) {
            return;
        }
        let Some(mut client) = self.clients.take(id) else {
            return;
        };
        self.leave_wait(&mut client);
        client.phase = Phase::Ready;
        client.kept = None;
        client.session.closing = true;
        self.clients.note_output(id);
        self.clients.put(client);
    }

    /// Closes a client whose unsent output is over its limit (`client-output-buffer-limit`).
    pub(super) fn check_output_limit(&mut self, id: ClientId) {
        let now_ms = self.now_ms;
        let (pubsub, normal) = (
            self.settings.output_limit_pubsub,
            self.settings.output_limit_normal,
        );
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let limit = if client.session.subscriptions.any() {
            pubsub
        } else {
            normal
        };
        let length = client.output.len() as u64;
        let mut close = limit.hard_bytes > 0 && length > limit.hard_bytes;
        if limit.soft_bytes > 0 && length > limit.soft_bytes {
            let since = *client.over_soft_limit_ms.get_or_insert(now_ms);
            close |= now_ms.saturating_sub(since) > limit.soft_seconds * 1000;
        } else {
            client.over_soft_limit_ms = None;
        }
        close |= client.is_over_unauthenticated_limit();
        if close {
            tracing::warn!(
                "Client id={} addr={} scheduled to be closed ASAP for overcoming of output buffer limits.",
                id.0,
                client.session.handle.address
            );
            self.shared.observations.shards[self.id.index()]
                .output_limit_disconnections
                .add(1);
            self.disconnect(id);
        }
    }

    /// A client is gone: its subscriptions end.
    pub(super) fn drop_subscriptions(&mut self, client: &Client) {
        let subscriptions = &client.session.subscriptions;
        for (kind, names) in [
            (ChannelKind::Channel, &subscriptions.channels),
            (ChannelKind::Pattern, &subscriptions.patterns),
            (ChannelKind::Shard, &subscriptions.shard_channels),
        ] {
            for name in names {
                self.shared.channels.unsubscribe(kind, name, self.id);
                self.subscribers.remove(client.id(), kind, name, false);
            }
        }
    }

    /// Drops a client: its waits, subscriptions, registry entry.
    pub(crate) fn disconnect(&mut self, id: ClientId) {
        if self.leaves_behind_script(id) {
            return;
        }
        let Some(mut client) = self.clients.close(id) else {
            return;
        };
        self.leave_wait(&mut client);
        self.drop_subscriptions(&client);
        if client.session.monitoring {
            self.shared.monitor_count.fetch_sub(1, Ordering::AcqRel);
            self.subscribers.remove_monitor(id);
        }
        client.session.transaction.clear();
        self.shared.tracking.stop(&mut client.session);
        self.shared.clients.remove(id);
        if client.output.has_shares()
            && let Some(disposal) = self.shared.disposal.get()
        {
            // It may be the last to hold a long list that was deleted.
            let output = std::mem::take(&mut client.output);
            disposal.free(vec![Discarded::Part(Part::new(output))]);
        }
    }
}
