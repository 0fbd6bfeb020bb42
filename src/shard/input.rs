//! From bytes to requests: what a client sends, cut into commands for its turn ([`super::turn`]).
//!
//! ```text
//! fresh bytes ─► parser ─► step ─┬─► next
//!                                └─► Stop: this request is kept, what is behind it stays unparsed
//! ```
//! A request that is incomplete stays in the client's own buffer; nothing is parsed twice but what was looked at ahead.

use crate::client::session::Session;
use crate::limits;
use crate::resp::reply::Reply;
use crate::resp::request::{RequestLimits, RequestParser, UnauthenticatedLimits};

use super::client::Client;
use super::finish::Flow;
use super::state::Shard;

/// The limits of a turn.
pub(super) struct Budget {
    commands: usize,
    deadline_ns: u64,
}

impl Shard {
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
    #[inline(always)]
    pub(super) fn run_input(
        &mut self,
        client: &mut Client,
        reply: &mut Reply,
        budget: &mut Budget,
        fresh: &[u8],
    ) -> Flow {
        let mut parser = std::mem::take(&mut client.parser);
        let flow;
        if client.input.is_empty() {
            let used;
            (flow, used) = self.run_bytes(client, reply, budget, &mut parser, fresh);
            let left = fresh.get(used..).unwrap_or_default();
            if !left.is_empty() {
                client.input.append(left, &mut self.spare_inputs);
            }
        } else {
            let mut input = std::mem::take(&mut client.input);
            input.append(fresh, &mut self.spare_inputs);
            flow = loop {
                let (flow, used) =
                    self.run_bytes(client, reply, budget, &mut parser, input.unparsed());
                if flow != Flow::Next {
                    input.consume(used, &mut self.spare_inputs);
                    break flow;
                }
                if !input.consume_and_join(used, &mut self.spare_inputs) {
                    break flow;
                }
            };
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
                    let odd = rest.get(parser.understood_bytes()..).unwrap_or_default();
                    self.tell_protocol_error(&client.session, error, odd);
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

    pub(super) fn budget(&self) -> Budget {
        let now_ns = self.clock.nanoseconds();
        self.lap_ns.set(Some(now_ns));
        Budget {
            commands: limits::TURN_COMMANDS_MAX,
            deadline_ns: now_ns + limits::TURN_US_MAX * 1000,
        }
    }

    pub(super) fn is_over(&self, budget: &mut Budget, reply: &Reply) -> bool {
        // As of the end of the command before: what came since is its own parsing.
        let now_ns = self.lap_ns.get().unwrap_or_else(|| {
            let now_ns = self.clock.nanoseconds();
            self.lap_ns.set(Some(now_ns));
            now_ns
        });
        if budget.commands == 0
            || reply.len() > limits::TURN_REPLY_BYTES_MAX
            || self.hands.is_due(now_ns)
        {
            return true;
        }
        budget.commands -= 1;
        now_ns > budget.deadline_ns
    }
}
