//! Fuzzes checks/acl.rs.
#![no_main]

#[path = "../checks/acl.rs"]
mod acl;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| acl::check(bytes));
