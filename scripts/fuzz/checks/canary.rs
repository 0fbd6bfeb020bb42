//! A target that must fail: it shows that the others would be heard.

use millrace::resp::request::{RequestLimits, RequestParser};

/// What must hold of any bytes.
pub(crate) fn check(bytes: &[u8]) {
    let limits = RequestLimits {
        bulk_bytes_max: 1 << 20,
        argument_count_max: 1024,
        unparsed_bytes_max: 2 << 20,
        line_bytes_max: 64,
        unauthenticated: None,
    };
    let mut parser = RequestParser::new();
    // False on purpose: "no input is a whole request with two arguments".
    if let Ok(Some(_)) = parser.parse(bytes, &limits) {
        assert!(parser.ranges().len() != 2, "the canary sings");
    }
}
