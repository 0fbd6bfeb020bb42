//! Fuzzes checks/rdb.rs.
#![no_main]

#[path = "../checks/rdb.rs"]
mod rdb;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rdb::check(bytes));
