//! Publish/subscribe without sockets.
