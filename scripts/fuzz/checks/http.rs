//! What a stranger sends to the port of the metrics: no panic, one answer at most, and an end.

use millrace::server::metrics_probe::answer_to;

/// What must hold of any bytes.
pub(crate) fn check(bytes: &[u8]) {
    let answer = answer_to(bytes);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."));
    let heads = answer.windows(7).filter(|part| part == b"HTTP/1.").count();
    assert!(heads <= 1, "two answers");
}
