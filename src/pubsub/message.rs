//! Messages as subscribers get them.
//!
//! Source: "Pub/Sub" of Redis; an array in RESP2, a push in RESP3.

use bytes::Bytes;

use crate::resp::Protocol;
use crate::resp::reply::Reply;

/// By what a message reaches a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery<'a> {
    /// `message`: by the channel.
    Channel,
    /// `pmessage`: by this pattern.
    Pattern(&'a [u8]),
    /// `smessage`: by the shard channel.
    Shard,
}

/// Encodes one delivery.
pub fn encode(protocol: Protocol, delivery: Delivery<'_>, channel: &[u8], payload: &[u8]) -> Bytes {
    let mut reply = Reply::new(protocol);
    match delivery {
        Delivery::Channel => {
            reply.push(3);
            reply.bulk(b"message");
        }
        Delivery::Pattern(pattern) => {
            reply.push(4);
            reply.bulk(b"pmessage");
            reply.bulk(pattern);
        }
        Delivery::Shard => {
            reply.push(3);
            reply.bulk(b"smessage");
        }
    }
    reply.bulk(channel);
    reply.bulk(payload);
    reply.take().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_an_array_in_resp2_and_a_push_in_resp3() {
        assert_eq!(
            encode(Protocol::Resp2, Delivery::Channel, b"c", b"hi"),
            "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n"
        );
        assert_eq!(
            encode(Protocol::Resp3, Delivery::Pattern(b"c*"), b"c", b"hi"),
            ">4\r\n$8\r\npmessage\r\n$2\r\nc*\r\n$1\r\nc\r\n$2\r\nhi\r\n"
        );
    }
}
