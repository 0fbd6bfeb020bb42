//! RDB files and values of DUMP: no panic, and what is accepted is the same value when it is written and read again.

use millrace::rdb::probe;

/// What must hold of any bytes.
pub(crate) fn check(bytes: &[u8]) {
    match bytes {
        [b'R' | b'V', ..] => {
            probe::file(bytes);
        }
        [type_code, value @ ..] => {
            probe::value(*type_code, value);
        }
        [] => {}
    }
}
