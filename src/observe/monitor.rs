//! The lines of MONITOR.

use bytes::Bytes;

/// One command as MONITOR shows it: `+1700000000.123456 [0 127.0.0.1:1234] "set" "k"`. Arguments quoted as Redis quotes them.
pub(crate) fn line<'a>(
    now_ms: u64,
    db: usize,
    address: &str,
    arguments: impl Iterator<Item = &'a [u8]>,
) -> Bytes {
    let mut text = format!(
        "+{}.{:06} [{db} {address}]",
        now_ms / 1000,
        now_ms % 1000 * 1000
    )
    .into_bytes();
    for argument in arguments {
        text.push(b' ');
        quote(argument, &mut text);
    }
    text.extend_from_slice(b"\r\n");
    text.into()
}

/// Appends bytes in double quotes, what is not printable escaped (`sdscatrepr` of Redis).
pub(crate) fn quote(bytes: &[u8], into: &mut Vec<u8>) {
    into.push(b'"');
    for byte in bytes {
        match byte {
            b'\\' | b'"' => into.extend_from_slice(&[b'\\', *byte]),
            b'\n' => into.extend_from_slice(b"\\n"),
            b'\r' => into.extend_from_slice(b"\\r"),
            b'\t' => into.extend_from_slice(b"\\t"),
            7 => into.extend_from_slice(b"\\a"),
            8 => into.extend_from_slice(b"\\b"),
            b' '..=b'~' => into.push(*byte),
            _ => into.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
    into.push(b'"');
}
