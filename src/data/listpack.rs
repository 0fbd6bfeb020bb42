//! listpack
