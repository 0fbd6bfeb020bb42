//! DEBUG PROTOCOL: a reply of each type, for tests of clients. The values are those of Redis.

use crate::command::args::is;
use crate::command::error::{self, CommandError};
use crate::command::{Context, Outcome};
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;

/// Not π: a value that Redis replies so.
#[allow(
    clippy::approx_constant,
    reason = "the test value of Redis is this one"
)]
const DOUBLE: f64 = 3.141;
const BIG_NUMBER: &str = "1234567999999999999999999999999999999";

pub(super) fn protocol(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let name = args.at(2);
    let reply = &mut *ctx.reply;
    if is(name, "string") {
        reply.bulk(b"Hello World");
    } else if is(name, "integer") {
        reply.integer(12345);
    } else if is(name, "double") {
        reply.double(DOUBLE);
    } else if is(name, "null") {
        reply.null();
    } else if is(name, "bignum") {
        reply.big_number(BIG_NUMBER);
    } else if is(name, "verbatim") {
        reply.verbatim("txt", b"This is a verbatim\nstring");
    } else if is(name, "true") || is(name, "false") {
        reply.boolean(is(name, "true"));
    } else {
        return containers(reply, name);
    }
    Ok(Outcome::Done)
}

fn containers(reply: &mut Reply, name: &[u8]) -> Result<Outcome, CommandError> {
    if is(name, "array") || is(name, "set") {
        if is(name, "set") {
            reply.set(3);
        } else {
            reply.array(3);
        }
        (0..3).for_each(|number| reply.integer(number));
    } else if is(name, "map") {
        reply.map(3);
        for number in 0..3 {
            reply.integer(number);
            reply.boolean(number == 1);
        }
    } else if is(name, "attrib") {
        if reply.is_resp3() {
            reply.attribute(1);
            reply.bulk(b"key-popularity");
            reply.array(2);
            reply.bulk(b"key:123");
            reply.integer(90);
        }
        reply.bulk(b"Some real reply following the attribute");
    } else if is(name, "push") {
        if !reply.is_resp3() {
            return Err(error::RESP2_NOT_SUPPORTED);
        }
        // A push follows the reply of the command that causes it.
        reply.bulk(b"Some real reply following the push reply");
        reply.push(2);
        reply.bulk(b"server-cpu-usage");
        reply.integer(42);
    } else {
        return Err(error::PROTOCOL_TYPE);
    }
    Ok(Outcome::Done)
}
