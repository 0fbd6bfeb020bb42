//! Counts whole replies in a stream of bytes and keeps nothing of them.
//!
//! ```text
//!   +OK\r\n                  a line                          1 value
//!   $3\r\nabc\r\n            a line, then a body             1 value
//!   *2\r\n:1\r\n$1\r\na\r\n  a line, then that many values   3 values
//! ```
//!
//! A decoder that builds a tree of each reply costs the load generator more than the reply costs the server, and the two share
//! the machine. All that a workload has to know of a reply is that it is whole, that it is no error, and how much is in it.
//!
//! Invariants: a reply may be cut at any byte; an array inside an array needs no stack, since only the number of values still to
//! come is kept. Streamed strings and aggregates (`$?`, `*?`), which no server here sends, are refused rather than misread.

/// What there is to know of one whole reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// The byte that tells the type.
    pub(crate) kind: u8,
    /// The number on its first line: an integer, a length, a count; -1 for a null.
    pub(crate) number: i64,
    /// Values in it, itself and all within.
    pub(crate) values: u64,
    /// An error is it, or within it.
    pub(crate) is_error: bool,
}

/// Bytes that are no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Longest line kept of an error, and of a line that the end of the buffer cuts.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// How far one connection's replies are read.
#[derive(Debug, Default)]
pub(crate) struct Skipper {
    /// Values still to come of the reply in progress.
    missing: u64,
    /// Bytes still to come of a body and its line end.
    body: usize,
    /// The beginning of a line that the end of the buffer has cut.
    line: Vec<u8>,
    /// The reply in progress.
    current: Option<Summary>,
    /// The text of the first error met.
    error: Option<String>,
}

impl Skipper {
    /// Whether no reply is half read.
    pub(crate) fn is_between_replies(&self) -> bool {
        self.current.is_none() && self.line.is_empty()
    }

    /// The text of the first error met, if any.
    pub(crate) fn take_error(&mut self) -> Option<String> {
        self.error.take()
    }

    /// Goes on at `bytes[*at]`; `Some` when a reply ends, with `at` behind it; `None` when the bytes do.
    ///
    /// # Errors
    /// [`Malformed`]: the connection's bytes make no sense from here on.
    #[inline]
    pub(crate) fn next(
        &mut self,
        bytes: &[u8],
        at: &mut usize,
    ) -> Result<Option<Summary>, Malformed> {
        loop {
            if self.body > 0 {
                let taken = self.body.min(bytes.len() - *at);
                *at += taken;
                self.body -= taken;
                if self.body > 0 {
                    return Ok(None);
                }
                if let Some(whole) = self.value_read() {
                    return Ok(Some(whole));
                }
                continue;
            }
            let rest = &bytes[*at..];
            let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
                self.line.extend_from_slice(rest);
                *at = bytes.len();
                return if self.line.len() > LINE_BYTES_MAX {
                    Err(Malformed)
                } else {
                    Ok(None)
                };
            };
            *at += end + 1;
            if self.line.is_empty() {
                self.take_line(&rest[..end])?;
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(&rest[..end]);
                self.take_line(&line)?;
            }
            if self.body == 0
                && let Some(whole) = self.value_read()
            {
                return Ok(Some(whole));
            }
        }
    }

    /// A line without its `\n`.
    #[inline]
    fn take_line(&mut self, line: &[u8]) -> Result<(), Malformed> {
        let (&kind, rest) = line.split_first().ok_or(Malformed)?;
        let text = rest.strip_suffix(b"\r").ok_or(Malformed)?;
        let (mut number, mut within, mut is_value) = (0, 0, true);
        match kind {
            b'+' | b',' | b'#' | b'(' => {}
            b'-' => self.note_error(text),
            b'_' => number = -1,
            b':' => number = decimal(text)?,
            b'$' | b'=' | b'!' => {
                number = decimal(text)?;
                if let Ok(length) = usize::try_from(number) {
                    self.body = length + 2;
                }
                if kind == b'!' {
                    self.note_error(b"a long error");
                }
            }
            b'*' | b'~' | b'>' | b'%' | b'|' => {
                number = decimal(text)?;
                within = u64::try_from(number).unwrap_or(0);
                if matches!(kind, b'%' | b'|') {
                    within *= 2;
                }
                is_value = kind != b'|';
            }
            _ => return Err(Malformed),
        }
        if self.current.is_none() {
            self.missing = 1;
        }
        // The attributes of a value come before it and are not counted: they stand in for no value that was announced.
        self.missing += within + u64::from(!is_value);
        let current = self.current.get_or_insert(Summary {
            kind,
            number,
            values: 0,
            is_error: false,
        });
        if current.kind == b'|' && is_value && self.missing == 1 + within {
            // What the attributes stood before.
            current.kind = kind;
            current.number = number;
        }
        current.values += u64::from(is_value);
        current.is_error |= matches!(kind, b'-' | b'!');
        Ok(())
    }

    /// One announced value is read; the whole reply, if it was the last.
    #[inline]
    fn value_read(&mut self) -> Option<Summary> {
        self.missing -= 1;
        if self.missing == 0 {
            self.current.take()
        } else {
            None
        }
    }

    #[cold]
    fn note_error(&mut self, text: &[u8]) {
        if self.error.is_none() {
            self.error = Some(String::from_utf8_lossy(text).into_owned());
        }
    }
}

/// A decimal number of at most 18 digits.
#[inline]
pub(crate) fn decimal(text: &[u8]) -> Result<i64, Malformed> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', digits)) => (true, digits),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 18 {
        return Err(Malformed);
    }
    let mut value = 0_i64;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return Err(Malformed);
        }
        value = value * 10 + i64::from(digit - b'0');
    }
    Ok(if negative { -value } else { value })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use redis_protocol::resp2::decode::decode as decode2;
    use redis_protocol::resp3::decode::complete::decode as decode3;

    use super::*;

    /// A generator of numbers: the same ones each time.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % limit
        }
    }

    /// Appends a value of RESP2 or RESP3. The decoder hashes the elements of sets and the keys of maps, which are plain therefore.
    fn write_value(numbers: &mut Numbers, depth: u64, resp3: bool, out: &mut Vec<u8>) {
        let text = "x\r\n-*$1".repeat(usize::try_from(numbers.below(4)).unwrap());
        let plain = "y".repeat(usize::try_from(numbers.below(30)).unwrap());
        let count = numbers.below(4);
        let length = text.len();
        let kinds = match (resp3, depth) {
            (false, 0) => 6,
            (false, _) => 7,
            (true, 0) => 12,
            (true, _) => 14,
        };
        let written = match (numbers.below(kinds), resp3) {
            (0, _) => format!("+{plain}\r\n"),
            (1, _) => format!("-ERR {plain}\r\n"),
            (2, _) => format!(":-{count}\r\n"),
            (3 | 4, _) => format!("${length}\r\n{text}\r\n"),
            (5, false) => ["$-1\r\n", "*-1\r\n"][usize::try_from(count % 2).unwrap()].to_owned(),
            (5, true) => "_\r\n".to_owned(),
            (7, true) => "#t\r\n".to_owned(),
            (8, true) => ",1.5\r\n".to_owned(),
            (9, true) => "(12345678901234567890123\r\n".to_owned(),
            (10, true) => format!("={}\r\ntxt:{text}\r\n", length + 4),
            (11, true) => format!("!{length}\r\n{text}\r\n"),
            (12, true) => format!("~2\r\n:{count}\r\n${length}\r\n{text}\r\n"),
            (13, true) => format!("%{count}\r\n"),
            // RESP3's sixth, which RESP2 has too, and what is left of RESP2.
            _ if depth > 0 => format!("*{count}\r\n"),
            _ => ":7\r\n".to_owned(),
        };
        out.extend_from_slice(written.as_bytes());
        let within = match written.as_bytes()[0] {
            b'*' if !written.starts_with("*-") => count,
            b'%' => count,
            _ => 0,
        };
        for key in 0..within {
            if written.starts_with('%') {
                out.extend_from_slice(format!("+key {key}\r\n").as_bytes());
            }
            write_value(numbers, depth - 1, resp3, out);
        }
    }

    fn replies_of(resp3: bool, seed: u64) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        let mut numbers = Numbers(seed);
        for _ in 0..6 {
            write_value(&mut numbers, 3, resp3, &mut bytes);
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    #[test]
    fn whole_replies_end_where_the_decoder_says() {
        for seed in 0..400 {
            for resp3 in [false, true] {
                let (bytes, ends) = replies_of(resp3, seed);
                let (mut at, mut found) = (0, Vec::new());
                let mut skipper = Skipper::default();
                while at < bytes.len() {
                    let begin = at;
                    skipper.next(&bytes, &mut at).unwrap().expect("whole");
                    let source = bytes::Bytes::copy_from_slice(&bytes[begin..]);
                    let theirs = if resp3 {
                        decode3(&source).unwrap().expect("whole").1
                    } else {
                        decode2(&source).unwrap().expect("whole").1
                    };
                    assert_eq!(at - begin, theirs, "seed {seed}");
                    found.push(at);
                }
                assert_eq!(found, ends);
            }
        }
    }

    #[test]
    fn a_cut_at_any_byte_changes_nothing() {
        for seed in 0..60 {
            let (bytes, _) = replies_of(seed % 2 == 0, seed);
            let read = |parts: &[&[u8]]| {
                let mut skipper = Skipper::default();
                let mut found = Vec::new();
                for part in parts {
                    let mut at = 0;
                    while let Some(summary) = skipper.next(part, &mut at).unwrap() {
                        found.push(summary);
                    }
                    assert_eq!(at, part.len());
                }
                assert!(skipper.is_between_replies());
                found
            };
            let whole = read(&[&bytes]);
            assert_eq!(whole.len(), 6);
            for cut in 0..=bytes.len() {
                assert_eq!(read(&[&bytes[..cut], &bytes[cut..]]), whole, "cut at {cut}");
            }
        }
    }

    #[test]
    fn what_a_reply_holds_is_told() {
        let one = |bytes: &[u8]| {
            let mut skipper = Skipper::default();
            skipper.next(bytes, &mut 0).unwrap().expect("whole")
        };
        assert_eq!(one(b"*2\r\n*1\r\n:1\r\n$1\r\na\r\n").values, 4);
        assert!(one(b"*2\r\n+OK\r\n-ERR inside\r\n").is_error);
        assert_eq!(one(b":42\r\n").number, 42);
        assert_eq!(one(b"*-1\r\n").number, -1);
        let attributed = one(b"|1\r\n+a\r\n+b\r\n$1\r\nx\r\n");
        assert_eq!((attributed.values, attributed.kind), (3, b'$'));
        let mut skipper = Skipper::default();
        skipper.next(b"-ERR what\r\n", &mut 0).unwrap();
        assert_eq!(skipper.take_error().as_deref(), Some("ERR what"));
        assert_eq!(Skipper::default().next(b"$?\r\n", &mut 0), Err(Malformed));
        assert_eq!(Skipper::default().next(b"what\r\n", &mut 0), Err(Malformed));
    }
}
