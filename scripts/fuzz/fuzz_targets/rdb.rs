//! RDB files and values of DUMP: no panic, and what is accepted is the same value when it is written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use millrace::rdb::probe;

fuzz_target!(|bytes: &[u8]| {
    match bytes {
        [b'R' | b'V', ..] => {
            probe::file(bytes);
        }
        [type_code, value @ ..] => {
            probe::value(*type_code, value);
        }
        [] => {}
    }
});
