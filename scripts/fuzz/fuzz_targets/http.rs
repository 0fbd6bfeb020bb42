//! Fuzzes checks/http.rs.
#![no_main]

#[path = "../checks/http.rs"]
mod http;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| http::check(bytes));
