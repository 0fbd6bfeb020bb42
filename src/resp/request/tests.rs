#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
//! The parser against redis-protocol's decoder, against itself at every split, and at its limits.

use super::*;
use proptest::prelude::*;

const LIMITS: RequestLimits = RequestLimits {
    bulk_bytes_max: 512 * 1024 * 1024,
    argument_count_max: 1024 * 1024,
    unparsed_bytes_max: usize::MAX,
    line_bytes_max: 64 * 1024,
    unauthenticated: None,
};

const BEFORE_AUTH: RequestLimits = RequestLimits {
    unauthenticated: Some(UnauthenticatedLimits {
        argument_count_max: 10,
        bulk_bytes_max: 16_384,
    }),
    ..LIMITS
};

type Outcome = (Vec<Vec<Vec<u8>>>, Result<usize, ProtocolError>);

/// All requests in `bytes` delivered in pieces that end at `ends`, and where it stopped.
fn parse_in_pieces(
    bytes: &[u8],
    ends: impl Iterator<Item = usize>,
    limits: &RequestLimits,
) -> Outcome {
    let mut parser = RequestParser::new();
    let (mut requests, mut start) = (Vec::new(), 0);
    for end in ends {
        loop {
            match parser.parse(&bytes[start..end], limits) {
                Ok(Some(consumed)) => {
                    assert!(consumed > 0, "a request takes bytes");
                    let buffer = &bytes[start..end];
                    requests.push(
                        parser
                            .arguments(buffer)
                            .iter()
                            .map(<[u8]>::to_vec)
                            .collect(),
                    );
                    start += consumed;
                }
                Ok(None) => break,
                Err(error) => return (requests, Err(error)),
            }
        }
    }
    (requests, Ok(start))
}

fn parse_whole(bytes: &[u8]) -> Outcome {
    parse_in_pieces(bytes, std::iter::once(bytes.len()), &LIMITS)
}

fn encode(request: &[Vec<u8>]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", request.len()).into_bytes();
    for argument in request {
        out.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn request() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let argument = prop_oneof![
        9 => proptest::collection::vec(any::<u8>(), 0..30),
        1 => proptest::collection::vec(any::<u8>(), 90..1_100),
    ];
    proptest::collection::vec(argument, 1..8)
}

/// Bytes that look like the protocol more often than chance would have it.
fn almost_protocol() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"*".to_vec()),
        Just(b"$".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"'".to_vec()),
        Just(b"\\x4".to_vec()),
        Just(b" ".to_vec()),
        (-2i64..5).prop_map(|n| n.to_string().into_bytes()),
        request().prop_map(|r| encode(&r)),
        proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(crate::property::cases(256))]
    #[test]
    fn requests_are_what_redis_protocol_decodes(requests in proptest::collection::vec(request(), 1..4)) {
        use redis_protocol::resp2::types::OwnedFrame;
        let bytes: Vec<u8> = requests.iter().flat_map(|r| encode(r)).collect();
        let mut rest = bytes.as_slice();
        let mut decoded = Vec::new();
        while let Some((frame, taken)) = redis_protocol::resp2::decode::decode(rest).unwrap() {
            let OwnedFrame::Array(items) = frame else { panic!("not an array") };
            decoded.push(items.into_iter().map(|item| match item {
                OwnedFrame::BulkString(bytes) => bytes,
                other => panic!("not a bulk: {other:?}"),
            }).collect::<Vec<_>>());
            rest = &rest[taken..];
            if rest.is_empty() {
                break;
            }
        }
        let (parsed, end) = parse_whole(&bytes);
        prop_assert_eq!(end, Ok(bytes.len()));
        prop_assert_eq!(&parsed, &decoded);
        prop_assert_eq!(&parsed, &requests);
    }

    #[test]
    fn it_does_not_matter_where_the_bytes_are_split(bytes in almost_protocol(), cut in any::<proptest::sample::Index>()) {
        let whole = parse_whole(&bytes);
        prop_assert_eq!(&parse_in_pieces(&bytes, 1..=bytes.len(), &LIMITS), &whole);
        let cut = cut.index(bytes.len() + 1);
        prop_assert_eq!(&parse_in_pieces(&bytes, [cut, bytes.len()].into_iter(), &LIMITS), &whole);
    }

    #[test]
    fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_whole(&bytes);
    }
}

#[track_caller]
fn fails(bytes: &[u8], limits: &RequestLimits, text: &str) {
    let (_, end) = parse_in_pieces(bytes, std::iter::once(bytes.len()), limits);
    let mut out = Vec::new();
    end.unwrap_err().write_to(&mut out);
    assert_eq!(String::from_utf8_lossy(&out), text);
}

#[test]
fn errors_have_the_texts_of_redis() {
    fails(
        b"*x\r\n",
        &LIMITS,
        "Protocol error: invalid multibulk length",
    );
    fails(
        b"*03\r\n",
        &LIMITS,
        "Protocol error: invalid multibulk length",
    );
    fails(
        b"*\r\n",
        &LIMITS,
        "Protocol error: invalid multibulk length",
    );
    fails(
        b"*3000000000\r\n",
        &LIMITS,
        "Protocol error: invalid multibulk length",
    );
    fails(
        b"*1048577\r\n",
        &LIMITS,
        "Protocol error: invalid multibulk length",
    );
    fails(
        b"*1\r\n$x\r\n",
        &LIMITS,
        "Protocol error: invalid bulk length",
    );
    fails(
        b"*1\r\n$-1\r\n",
        &LIMITS,
        "Protocol error: invalid bulk length",
    );
    fails(
        b"*1\r\n$536870913\r\n",
        &LIMITS,
        "Protocol error: invalid bulk length",
    );
    fails(
        b"*1\r\n$99999999999999999999\r\n",
        &LIMITS,
        "Protocol error: invalid bulk length",
    );
    fails(
        b"*1\r\nfoo\r\n",
        &LIMITS,
        "Protocol error: expected '$', got 'f'",
    );
    fails(
        b"*1\r\n\r\n",
        &LIMITS,
        "Protocol error: expected '$', got ' '",
    );
    fails(
        b"set a \"b\n",
        &LIMITS,
        "Protocol error: unbalanced quotes in request",
    );
    fails(
        b"set a 'b'c\r\n",
        &LIMITS,
        "Protocol error: unbalanced quotes in request",
    );
    fails(
        &[b'a'; 65537],
        &LIMITS,
        "Protocol error: too big inline request",
    );
    fails(
        &[&b"*"[..], &[b'1'; 65536]].concat(),
        &LIMITS,
        "Protocol error: too big mbulk count string",
    );
    fails(
        &[&b"*1\r\n$"[..], &[0; 65536]].concat(),
        &LIMITS,
        "Protocol error: too big bulk count string",
    );
    fails(
        b"*11\r\n",
        &BEFORE_AUTH,
        "Protocol error: unauthenticated multibulk length",
    );
    fails(
        b"*10\r\n$16385\r\n",
        &BEFORE_AUTH,
        "Protocol error: unauthenticated bulk length",
    );
}

#[test]
fn what_is_within_the_limits_is_waited_for() {
    for bytes in [
        &b"*1048576\r\n"[..],
        b"*1\r\n$536870912\r\n",
        b"*1\r\n$536870912\r",
        b"*",
        b"*1",
        b"*1\r",
        b"*x",
        b"*1\r\nx",
        &[b'a'; 65536],
    ] {
        let (requests, end) = parse_whole(bytes);
        assert!(requests.is_empty());
        assert_eq!(end, Ok(0));
    }
    let (_, end) = parse_in_pieces(b"*10\r\n$16384\r\n", std::iter::once(13), &BEFORE_AUTH);
    assert_eq!(end, Ok(0));
}

#[test]
fn a_declared_length_reserves_nothing() {
    let mut parser = RequestParser::new();
    assert_eq!(
        parser.parse(b"*1048576\r\n$536870912\r\nabc", &LIMITS),
        Ok(None)
    );
    assert!(parser.heap_bytes() <= RANGES_RESERVED_MAX * size_of::<ArgumentRange>());
}

#[test]
fn memory_of_a_large_request_is_given_back() {
    let bytes = encode(&vec![b"x".to_vec(); 5000]);
    let mut parser = RequestParser::new();
    assert_eq!(parser.parse(&bytes, &LIMITS), Ok(Some(bytes.len())));
    assert_eq!(parser.ranges().len(), 5000);
    assert_eq!(parser.parse(b"", &LIMITS), Ok(None));
    assert_eq!(parser.heap_bytes(), 0);
    let line = [&b"echo "[..], &[b'a'; 5000], b"\n"].concat();
    assert_eq!(parser.parse(&line, &LIMITS), Ok(Some(line.len())));
    assert_eq!(parser.parse(b"", &LIMITS), Ok(None));
    assert!(parser.heap_bytes() <= RANGES_KEPT_MAX * size_of::<ArgumentRange>());
}

#[test]
fn empty_requests_are_consumed_without_arguments() {
    let (requests, end) = parse_whole(b"\r\n\n*0\r\n*-1\r\n   \r\nping\n");
    let empty: Vec<Vec<u8>> = Vec::new();
    let ping = vec![b"ping".to_vec()];
    assert_eq!(
        requests,
        vec![
            empty.clone(),
            empty.clone(),
            empty.clone(),
            empty.clone(),
            empty,
            ping
        ]
    );
    assert_eq!(end, Ok(22));
}

#[test]
fn inline_words_are_split_as_redis_splits_them() {
    let cases: [(&[u8], &[&[u8]]); 9] = [
        (b"set  a\tb \r\n", &[b"set", b"a", b"b"]),
        (b"\x0b set a\x0bb\n", &[b"set", b"a\x0bb"]),
        (b"\"\" ''\n", &[b"", b""]),
        (br#"a"b c" 'it\'s'"#, &[b"ab c", b"it's"]),
        (br#""\x41\xfF\x4z\n\t\"\q" x"#, &[b"A\xffx4z\n\t\"q", b"x"]),
        (br#"'\n' "'" '"'"#, &[br"\n", b"'", b"\""]),
        (b"a\\n b\n", &[b"a\\n", b"b"]),
        (b"\"a\"\x0bb\n", &[b"a", b"b"]),
        (b"a\rb\r\n", &[b"a", b"b"]),
    ];
    for (line, words) in cases {
        let line = if line.ends_with(b"\n") {
            line.to_vec()
        } else {
            [line, b"\n"].concat()
        };
        let (requests, end) = parse_whole(&line);
        assert_eq!(end, Ok(line.len()));
        assert_eq!(
            requests,
            vec![words.iter().map(|w| w.to_vec()).collect::<Vec<_>>()],
            "{}",
            String::from_utf8_lossy(&line)
        );
    }
}
