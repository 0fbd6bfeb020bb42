//! Messages as subscribers get them.
//!
//! Source: "Pub/Sub" of Redis; an array in RESP2, a push in RESP3.

use bytes::Bytes;

use crate::limits::SHARED_BYTES_MIN;
use crate::resp::Protocol;
use crate::resp::reply::Reply;

/// By what a message reaches a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery<'a> {
    /// `message`: by the channel.
    Channel,
    /// `pmessage`: by this pattern.
    Pattern(&'a [u8]),
    /// `smessage`: by the shard channel.
    Shard,
}

/// A message on the wire, in parts of which a large payload is the publisher's: all versions and patterns share it.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    parts: [Bytes; 3],
}

impl Encoded {
    /// The parts, in order; some may be empty.
    pub(crate) fn parts(&self) -> &[Bytes] {
        &self.parts
    }
}

impl From<Bytes> for Encoded {
    fn from(whole: Bytes) -> Self {
        Self {
            parts: [whole, Bytes::new(), Bytes::new()],
        }
    }
}

/// Encodes one delivery.
pub(crate) fn encode(
    protocol: Protocol,
    delivery: Delivery<'_>,
    channel: &[u8],
    payload: &Bytes,
) -> Encoded {
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
    if payload.len() < SHARED_BYTES_MIN {
        reply.bulk(payload);
        return Bytes::from(reply.take()).into();
    }
    reply.bulk_length(payload.len());
    Encoded {
        parts: [
            reply.take().into(),
            payload.clone(),
            Bytes::from_static(b"\r\n"),
        ],
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_an_array_in_resp2_and_a_push_in_resp3() {
        let hi = Bytes::from_static(b"hi");
        let whole = |encoded: Encoded| String::from_utf8(encoded.parts().concat()).unwrap();
        assert_eq!(
            whole(encode(Protocol::Resp2, Delivery::Channel, b"c", &hi)),
            "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n"
        );
        assert_eq!(
            whole(encode(Protocol::Resp3, Delivery::Pattern(b"c*"), b"c", &hi)),
            ">4\r\n$8\r\npmessage\r\n$2\r\nc*\r\n$1\r\nc\r\n$2\r\nhi\r\n"
        );
    }

    #[test]
    fn a_large_payload_is_the_publishers_in_every_version() {
        let payload = Bytes::from(vec![b'x'; SHARED_BYTES_MIN]);
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            for delivery in [Delivery::Channel, Delivery::Pattern(b"c*"), Delivery::Shard] {
                let encoded = encode(protocol, delivery, b"c", &payload);
                let mut copied = Reply::new(protocol);
                copied.bulk(&payload);
                assert!(encoded.parts().concat().ends_with(copied.bytes()));
                let mut parts = encoded.parts().iter();
                assert!(parts.any(|part| part.as_ptr() == payload.as_ptr()));
            }
        }
    }
}
