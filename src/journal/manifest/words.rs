//! Words of a line, as Redis quotes them in its files.

/// Appends a word, in quotes when a space, a quote or a byte that cannot be printed is in it.
pub(super) fn write(word: &[u8], out: &mut Vec<u8>) {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
    if word.iter().all(is_plain) {
        out.extend_from_slice(word);
        return;
    }
    out.push(b'"');
    for &byte in word {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b' ' => out.push(b' '),
            byte if byte.is_ascii_graphic() => out.push(byte),
            byte => out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
    out.push(b'"');
}

/// The words of a line; `None` when quotes do not match.
pub(super) fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while let Some(&first) = rest.first() {
        let mut word = Vec::new();
        rest = match first {
            b'"' | b'\'' => {
                let after = quoted(first, rest.get(1..)?, &mut word)?;
                // Redis: a closing quote ends the word.
                if after
                    .first()
                    .is_some_and(|byte| !byte.is_ascii_whitespace())
                {
                    return None;
                }
                after
            }
            _ => {
                let is_end = |byte: &u8| byte.is_ascii_whitespace();
                let len = rest.iter().position(is_end).unwrap_or(rest.len());
                let (now, later) = rest.split_at(len);
                word.extend_from_slice(now);
                later
            }
        };
        words.push(word);
        rest = rest.trim_ascii_start();
    }
    Some(words)
}

/// Reads up to the closing quote and returns what is behind it.
fn quoted<'a>(quote: u8, mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [byte, after @ ..] if *byte == quote => return Some(after),
            [b'\\', b'\'', after @ ..] if quote == b'\'' => {
                word.push(b'\'');
                after
            }
            [b'\\', b'x', high, low, after @ ..]
                if quote == b'"' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).ok()?;
                word.push(u8::from_str_radix(digits, 16).ok()?);
                after
            }
            [b'\\', escaped, after @ ..] if quote == b'"' => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                after
            }
            [byte, after @ ..] => {
                word.push(*byte);
                after
            }
            [] => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #![proptest_config(crate::property::cases(500))]

        #[test]
        fn any_word_is_read_back(word in proptest::collection::vec(1u8.., 1..20)) {
            let mut line = b"file ".to_vec();
            write(&word, &mut line);
            line.extend_from_slice(b" seq");
            let expected = Some(vec![b"file".to_vec(), word, b"seq".to_vec()]);
            proptest::prop_assert_eq!(split(&line), expected);
        }
    }

    #[test]
    fn a_word_of_one_quote_is_read_back() {
        for word in [b"'", b"\""] {
            let mut line = Vec::new();
            write(word, &mut line);
            assert_eq!(split(&line), Some(vec![word.to_vec()]));
        }
    }

    #[test]
    fn quotes_must_match() {
        for line in [&b"\"a"[..], b"'a", b"\"a\"b", b"a \"", b"\"a\\"] {
            assert_eq!(split(line), None);
        }
        assert_eq!(
            split(b"'it\\'s' \"\\x41\\n\""),
            Some(vec![b"it's".to_vec(), b"A\n".to_vec()])
        );
        assert_eq!(split(b" "), Some(Vec::new()));
    }
}
