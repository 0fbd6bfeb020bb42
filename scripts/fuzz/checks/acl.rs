//! Rules of ACL SETUSER and the text of an aclfile: no panic, and what is shown of accepted rules reads back to rules that decide the same.

use millrace::command::probe;

/// What must hold of any bytes.
pub(crate) fn check(bytes: &[u8]) {
    // A file begins with its users, words with anything else.
    if bytes.starts_with(b"user ") {
        probe::users(bytes);
    } else {
        let words: Vec<&[u8]> = bytes.split(|byte| *byte == b' ').collect();
        probe::rules(&words);
    }
}
