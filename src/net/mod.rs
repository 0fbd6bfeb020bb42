//! Sockets only: bytes in, bytes out.

pub(crate) mod buffers;
pub(crate) mod readable;
pub(crate) mod stored;
pub(crate) mod tls;
pub(crate) mod transport;
