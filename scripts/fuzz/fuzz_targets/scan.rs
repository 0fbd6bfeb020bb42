//! Fuzzes checks/scan.rs.
#![no_main]

#[path = "../checks/scan.rs"]
mod scan;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| scan::check(bytes));
