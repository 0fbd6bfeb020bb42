//! The stream.
