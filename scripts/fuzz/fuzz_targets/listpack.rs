//! Fuzzes checks/listpack.rs.
#![no_main]

#[path = "../checks/listpack.rs"]
mod listpack;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| listpack::check(bytes));
