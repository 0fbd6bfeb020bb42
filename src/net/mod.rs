//! Sockets only: bytes in, bytes out.

pub mod buffers;
pub mod transport;
