//! Tools: clients of a server.
