//! Words of a line as redis.conf has them: split at blanks, with quotes, and quoted again.
//!
//! Invariant: `split(&quoted(word))` is `[word]` for every word of bytes.

/// Splits a line into words by the rules of redis.conf: blanks separate; `"…"` understands `\n \r \t
/// \b \a \xHH` and `\` before any other character, `'…'` only `\'`; a closing quote must be followed
/// by a blank or the end. `None`: quotes do not balance.
pub(crate) fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        while line.get(at).is_some_and(|&byte| is_blank(byte)) {
            at += 1;
        }
        if at >= line.len() {
            return Some(words);
        }
        let (word, next) = word_at(line, at)?;
        words.push(word);
        at = next;
    }
}

/// What `isspace` of C accepts.
fn is_blank(byte: u8) -> bool {
    byte == b' ' || (0x09..=0x0d).contains(&byte)
}

/// Reads one word from `at`; returns it and where it ended.
fn word_at(line: &[u8], mut at: usize) -> Option<(Vec<u8>, usize)> {
    let mut word = Vec::new();
    while let Some(&byte) = line.get(at) {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => return Some((word, at)),
            // A quote may open in the middle of a word, as in Redis: a"b c" is one word.
            b'"' => return double_quoted(line, at + 1, word),
            b'\'' => return single_quoted(line, at + 1, word),
            other => word.push(other),
        }
        at += 1;
    }
    Some((word, at))
}

fn closes(line: &[u8], quote_at: usize) -> bool {
    line.get(quote_at + 1).is_none_or(|&byte| is_blank(byte))
}

fn double_quoted(line: &[u8], mut at: usize, mut word: Vec<u8>) -> Option<(Vec<u8>, usize)> {
    loop {
        match *line.get(at)? {
            b'"' => return closes(line, at).then_some((word, at + 1)),
            b'\\' => {
                let (byte, width) = escape(line.get(at + 1..).unwrap_or(&[]));
                word.push(byte);
                at += 1 + width;
            }
            other => {
                word.push(other);
                at += 1;
            }
        }
    }
}

/// The byte meant by what follows a backslash, and how many bytes that took.
fn escape(rest: &[u8]) -> (u8, usize) {
    match *rest {
        [b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
            (hex_digit(high) * 16 + hex_digit(low), 3)
        }
        [b'n', ..] => (b'\n', 1),
        [b'r', ..] => (b'\r', 1),
        [b't', ..] => (b'\t', 1),
        [b'b', ..] => (0x08, 1),
        [b'a', ..] => (0x07, 1),
        [other, ..] => (other, 1),
        [] => (b'\\', 0),
    }
}

fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.to_ascii_uppercase().wrapping_sub(b'A') + 10,
    }
}

fn single_quoted(line: &[u8], mut at: usize, mut word: Vec<u8>) -> Option<(Vec<u8>, usize)> {
    loop {
        match *line.get(at)? {
            b'\'' => return closes(line, at).then_some((word, at + 1)),
            b'\\' if line.get(at + 1) == Some(&b'\'') => {
                word.push(b'\'');
                at += 2;
            }
            other => {
                word.push(other);
                at += 1;
            }
        }
    }
}

/// The word in double quotes, everything unprintable escaped.
pub(crate) fn quoted(word: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(word.len() + 2);
    text.push(b'"');
    for &byte in word {
        match byte {
            b'\\' | b'"' => text.extend([b'\\', byte]),
            b'\n' => text.extend(b"\\n"),
            b'\r' => text.extend(b"\\r"),
            b'\t' => text.extend(b"\\t"),
            0x07 => text.extend(b"\\a"),
            0x08 => text.extend(b"\\b"),
            b' '..=b'~' => text.push(byte),
            other => text.extend(format!("\\x{other:02x}").bytes()),
        }
    }
    text.push(b'"');
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn words(line: &str) -> Option<Vec<String>> {
        split(line.as_bytes()).map(|words| {
            words
                .iter()
                .map(|w| String::from_utf8_lossy(w).into_owned())
                .collect()
        })
    }

    #[test]
    fn words_split_with_quotes_as_in_redis_conf() {
        assert_eq!(words("  save 900\t1 ").unwrap(), ["save", "900", "1"]);
        assert_eq!(words(r#"a "b c" 'd e'"#).unwrap(), ["a", "b c", "d e"]);
        assert_eq!(words(r#"a"b c""#).unwrap(), ["ab c"]);
        assert_eq!(words(r#""\x41\n\"" '\'' ''"#).unwrap(), ["A\n\"", "'", ""]);
        assert_eq!(words(""), Some(vec![]));
        assert_eq!(words(r#"a "b"#), None);
        assert_eq!(words(r#""a"b"#), None);
        assert_eq!(words("'a"), None);
        assert_eq!(words(r#""a\"#), None);
    }

    #[test]
    fn a_quoted_word_splits_back_to_itself() {
        let all: Vec<u8> = (0..=255).collect();
        for word in [&all[..], b"", b"a b", b"'", b"\\", b"\\x41"] {
            assert_eq!(split(&quoted(word)).unwrap(), [word.to_vec()]);
        }
    }
}
