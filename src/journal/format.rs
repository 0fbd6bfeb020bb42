//! What a log's file consists of besides marks: commands as a client would send them.
//!
//! ```text
//! *2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n                     when the database changes
//! *1\r\n$5\r\nMULTI\r\n  …  *1\r\n$4\r\nEXEC\r\n        around what belongs together
//! ```
//! Commands that Redis does not know are own lines (`own.rs`), also between MULTI and EXEC.

use crate::resp::reply::format_integer;

/// Begins a transaction.
pub const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
/// Ends it.
pub const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";

/// Appends a command.
pub fn command<'a>(
    arguments: impl IntoIterator<Item = &'a [u8], IntoIter: ExactSizeIterator>,
    out: &mut Vec<u8>,
) {
    let arguments = arguments.into_iter();
    number(b'*', arguments.len(), out);
    for argument in arguments {
        number(b'$', argument.len(), out);
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends the choice of a database.
pub fn select(database: usize, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let database = format_integer(database as i64, &mut digits);
    command([b"SELECT".as_slice(), database], out);
}

fn number(kind: u8, number: usize, out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(format_integer(number as i64, &mut [0; 20]));
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_written_as_clients_send_it() {
        let mut out = Vec::new();
        select(12, &mut out);
        command([b"SET".as_slice(), b"", b"\r\n"], &mut out);
        let expected =
            "*2\r\n$6\r\nSELECT\r\n$2\r\n12\r\n*3\r\n$3\r\nSET\r\n$0\r\n\r\n$2\r\n\r\n\r\n";
        assert_eq!(out, expected.as_bytes());
    }
}
