//! Sockets only: bytes in, bytes out.

pub(crate) mod buffers;
pub(crate) mod stored;
pub(crate) mod tls;
pub(crate) mod transport;
pub(crate) mod unread;
