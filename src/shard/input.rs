//! From bytes to requests: what a client sends, cut into commands for its turn ([`super::turn`]).
//!
//! ```text
//! fresh bytes ─► parser ─► step ─┬─► next
//!                                └─► Stop: this request is kept, what is behind it stays unparsed
//! ```
//! A request that is incomplete stays in the client's own buffer; nothing is parsed twice but what was looked at ahead.

use std::sync::atomic::Ordering;

use crate::client::session::Session;
use crate::ids::ClientId;
use crate::limits;
use crate::resp::reply::Reply;
use crate::resp::request::{RequestLimits, RequestParser, UnauthenticatedLimits};

use super::Shard;
use super::client::Client;
use super::phase::{Happening, Phase, Reaction};
use super::turn::{Budget, Flow};

impl Shard {
    /// Bytes of a client.
    pub(super) fn input(&mut self, id: ClientId, bytes: &[u8]) {
        let counters = &self.shared.observations.shards[self.id.index()];
        counters.reads.add(1);
        counters.net_in.add(bytes.len() as u64);
        let Some(mut client) = self.take(id) else {
            return;
        };
        client.session.handle.count_read(bytes.len());
        if client.input.is_empty() {
            client.unauthenticated_reply_bytes = 0;
        }
        if client.is_ready() && client.kept.is_none() {
            if client.session.listens() {
                self.put(client);
                self.run_client(id, bytes);
            } else {
                self.run_taken(client, bytes);
            }
        } else {
            client.input.append(bytes, &mut self.spare_inputs);
            client
                .session
                .handle
                .query_bytes
                .store(client.input.len(), Ordering::Relaxed);
            self.put(client);
            self.check_query_limit(id);
        }
    }

    pub(super) fn check_query_limit(&mut self, id: ClientId) {
        let limit = self.settings.client_query_buffer_bytes_max;
        let Some(client) = self.client_mut(id) else {
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

    /// A client's input ended. What it sent before runs and is answered, as far as it does not have to wait.
    pub(super) fn end_of_input(&mut self, id: ClientId) {
        let Some(client) = self.client_mut(id) else {
            return;
        };
        client.ended = true;
        if client.phase.on(Happening::End) == Reaction::Run {
            self.run_client(id, &[]);
        } else {
            self.leave_if_ended(id);
        }
    }

    /// A client whose input has ended does not wait: it is gone, as Redis sees it, when its earlier replies are sent.
    pub(super) fn leave_if_ended(&mut self, id: ClientId) {
        let Some(client) = self.client_mut(id) else {
            return;
        };
        if !(client.ended && client.phase.is_a_wait()) {
            return;
        }
        let Some(mut client) = self.take(id) else {
            return;
        };
        self.leave_wait(&mut client);
        client.phase = Phase::Ready;
        client.kept = None;
        client.session.closing = true;
        self.dirty.push(id);
        self.put(client);
    }

    pub(super) fn request_limits(&self, session: &Session) -> RequestLimits {
        RequestLimits {
            bulk_bytes_max: usize::try_from(self.settings.proto_max_bulk_bytes)
                .unwrap_or(limits::BULK_BYTES_MAX),
            argument_count_max: limits::ARGUMENT_COUNT_MAX,
            unparsed_bytes_max: usize::try_from(self.settings.client_query_buffer_bytes_max)
                .unwrap_or(usize::MAX),
            line_bytes_max: limits::INLINE_BYTES_MAX,
            unauthenticated: (!session.authenticated).then_some(UnauthenticatedLimits {
                argument_count_max: limits::UNAUTHENTICATED_ARGUMENT_COUNT_MAX,
                bulk_bytes_max: limits::UNAUTHENTICATED_BULK_BYTES_MAX,
            }),
        }
    }

    /// Parses and runs a client's input: `fresh` behind what was left.
    pub(super) fn run_input(
        &mut self,
        client: &mut Client,
        reply: &mut Reply,
        budget: &mut Budget,
        fresh: &[u8],
    ) -> Flow {
        let mut parser = std::mem::take(&mut client.parser);
        let left = std::mem::take(&mut client.input);
        let flow;
        if left.is_empty() {
            let used;
            (flow, used) = self.run_bytes(client, reply, budget, &mut parser, fresh);
            let left = fresh.get(used..).unwrap_or_default();
            client.input.append(left, &mut self.spare_inputs);
        } else {
            let mut input = left;
            input.append(fresh, &mut self.spare_inputs);
            let used;
            (flow, used) = self.run_bytes(client, reply, budget, &mut parser, input.unparsed());
            input.consume(used, &mut self.spare_inputs);
            client.input = input;
        }
        client.parser = parser;
        flow
    }

    /// Runs the whole requests at the start of `bytes`; gives how many bytes they took.
    fn run_bytes(
        &mut self,
        client: &mut Client,
        reply: &mut Reply,
        budget: &mut Budget,
        parser: &mut RequestParser,
        bytes: &[u8],
    ) -> (Flow, usize) {
        let mut at = 0;
        let mut limits = self.request_limits(&client.session);
        while client.is_ready() && !client.session.closing {
            if self.is_over(budget, reply) {
                return (Flow::Defer, at);
            }
            let rest = bytes.get(at..).unwrap_or_default();
            match parser.parse(rest, &limits) {
                Ok(None) => return (Flow::Next, at),
                Ok(Some(used)) => {
                    if !parser.ranges().is_empty() {
                        let flow = self.step(client, reply, &parser.arguments(rest));
                        if flow != Flow::Next {
                            return (flow, at + used);
                        }
                    }
                    at += used;
                }
                Err(error) => {
                    let mut text = b"ERR ".to_vec();
                    error.write_to(&mut text);
                    self.shared.observations.errors.add(&text);
                    reply.error(&text);
                    client.session.closing = true;
                    return (Flow::Stop, bytes.len());
                }
            }
            if limits.unauthenticated.is_some() {
                limits = self.request_limits(&client.session);
            }
        }
        (Flow::Stop, at)
    }
}
