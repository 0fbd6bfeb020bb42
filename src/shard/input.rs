//! From bytes to requests: what a client sends, cut into commands for its turn ([`super::session_loop`]).
//!
//! ```text
//! fresh bytes ─► parser ─► step ─┬─► next
//!                                └─► Defer: this request and the whole ones behind it are copied to `pending`
//! ```
//! A request that is incomplete stays in the client's own buffer; nothing is parsed twice but what was looked at ahead.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::client::session::Session;
use crate::ids::ClientId;
use crate::limits;
use crate::resp::arguments::{ArgumentRange, Request};
use crate::resp::reply::Reply;
use crate::resp::request::{RequestLimits, RequestParser, UnauthenticatedLimits};

use super::Shard;
use super::client::{Client, Phase};
use super::session_loop::{Budget, Flow};

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
        if matches!(client.phase, Phase::Ready) && client.pending.is_empty() {
            self.run_taken(client, bytes);
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
        if matches!(client.phase, Phase::Ready) {
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
        client.pending.clear();
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
        while matches!(client.phase, Phase::Ready) && !client.session.closing {
            if self.is_over(budget, reply) {
                return (Flow::Defer, at);
            }
            let rest = bytes.get(at..).unwrap_or_default();
            match parser.parse(rest, &limits) {
                Ok(None) => return (Flow::Next, at),
                Ok(Some(used)) => {
                    if !parser.ranges().is_empty() {
                        match self.step(client, reply, &parser.arguments(rest), false, false) {
                            Flow::Next => {}
                            Flow::Stop => return (Flow::Stop, at + used),
                            Flow::Defer => {
                                let used = self.parse_ahead(client, parser, rest, used);
                                let flow = self.plan(client);
                                return (flow, at + used);
                            }
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

    /// Copies the request that was just parsed, and whole ones behind it, to `pending`; gives the bytes they took.
    fn parse_ahead(
        &mut self,
        client: &mut Client,
        parser: &mut RequestParser,
        rest: &[u8],
        first: usize,
    ) -> usize {
        let limits = self.request_limits(&client.session);
        let mut found: Vec<(usize, SmallVec<[ArgumentRange; 6]>)> = Vec::new();
        if parser.is_inline() {
            client
                .pending
                .push_back(parser.arguments(rest).to_request());
            return first;
        }
        found.push((0, SmallVec::from_slice(parser.ranges())));
        let mut end = first;
        while found.len() < limits::TURN_COMMANDS_MAX && end < limits::BATCH_BYTES_MAX {
            let Some(next) = rest.get(end..).filter(|next| next.first() == Some(&b'*')) else {
                break;
            };
            match parser.parse(next, &limits) {
                Ok(Some(used)) => {
                    if !parser.ranges().is_empty() {
                        found.push((end, SmallVec::from_slice(parser.ranges())));
                    }
                    end += used;
                }
                // Incomplete, or an error to be told when its turn comes: parsed again from its first byte.
                Ok(None) | Err(_) => {
                    *parser = RequestParser::new();
                    break;
                }
            }
        }
        let chunk = Bytes::copy_from_slice(rest.get(..end).unwrap_or_default());
        for (start, ranges) in found {
            client
                .pending
                .push_back(Request::shared(chunk.slice(start..), &ranges));
        }
        end
    }
}
