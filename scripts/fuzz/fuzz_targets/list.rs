//! Fuzzes checks/list.rs.
#![no_main]

#[path = "../checks/list.rs"]
mod list;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| list::check(bytes));
