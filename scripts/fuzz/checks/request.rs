//! The request parser on any bytes: the same result however the bytes are split, requests that encode back to what was
//! read, and the same requests as redis-protocol decodes.

use millrace::resp::request::{RequestLimits, RequestParser};
use redis_protocol::resp2::types::OwnedFrame;

const LIMITS: RequestLimits = RequestLimits {
    bulk_bytes_max: 1 << 20,
    argument_count_max: 1024,
    unparsed_bytes_max: 2 << 20,
    line_bytes_max: 64,
    unauthenticated: None,
};

type Request = (Vec<Vec<u8>>, bool, usize);

/// The requests in `bytes`, delivered in pieces of `step` bytes, and whether they end in an error.
fn parse(bytes: &[u8], step: usize) -> (Vec<Request>, bool) {
    let mut parser = RequestParser::new();
    let (mut requests, mut start, mut end) = (Vec::new(), 0, 0);
    loop {
        match parser.parse(&bytes[start..end], &LIMITS) {
            Ok(Some(consumed)) => {
                let words = parser
                    .arguments(&bytes[start..end])
                    .iter()
                    .map(<[u8]>::to_vec)
                    .collect();
                let is_inline = bytes[start] != b'*';
                requests.push((words, is_inline, consumed));
                start += consumed;
            }
            Ok(None) if end == bytes.len() => return (requests, false),
            Ok(None) => end = bytes.len().min(end + step),
            Err(_) => return (requests, true),
        }
    }
}

fn encode(words: &[Vec<u8>]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Line ends are not looked at by the parser, as in Redis: make them what they should be before comparing.
fn same_but_for_line_ends(read: &[u8], encoded: &[u8]) -> bool {
    read.len() == encoded.len()
        && read
            .iter()
            .zip(encoded)
            .all(|(a, b)| a == b || matches!(b, b'\r' | b'\n'))
}

/// What must hold of any bytes.
pub(crate) fn check(bytes: &[u8]) {
    let whole = parse(bytes, usize::MAX / 2);
    // A line that is too long is noticed when it is, so pieces may end sooner, never with other requests.
    for step in [1, 7] {
        let (requests, failed) = parse(bytes, step);
        assert!(
            whole.0.starts_with(&requests),
            "a split changed the requests"
        );
        assert!(
            failed || (requests == whole.0 && !whole.1),
            "a split changed the end"
        );
    }
    let mut start = 0;
    for (words, is_inline, consumed) in whole.0 {
        let read = &bytes[start..start + consumed];
        start += consumed;
        if is_inline || words.is_empty() {
            continue;
        }
        let encoded = encode(&words);
        assert!(
            same_but_for_line_ends(read, &encoded),
            "a request does not encode back to what was read"
        );
        let Ok(Some((OwnedFrame::Array(frames), taken))) =
            redis_protocol::resp2::decode::decode(&encoded)
        else {
            panic!("redis-protocol does not read what the parser read");
        };
        assert_eq!(taken, encoded.len());
        let decoded: Vec<_> = frames
            .into_iter()
            .map(|frame| match frame {
                OwnedFrame::BulkString(bytes) => bytes,
                other => panic!("not a bulk string: {other:?}"),
            })
            .collect();
        assert_eq!(decoded, words);
    }
}
