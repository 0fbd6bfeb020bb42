//! The wire format, without sockets: requests in, replies out.

pub mod arguments;
pub(crate) mod reply;
pub mod request;
pub(crate) mod rest;

/// Which version of the protocol a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) enum Protocol {
    /// RESP2, the one a connection starts with.
    #[default]
    Resp2,
    /// RESP3, chosen with HELLO 3.
    Resp3,
}
