//! HTTP from strangers, for fuzzing: no panic, one answer at most, and an end.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{answer, exchange};
use crate::limits;

/// Room for any answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What is answered to these bytes, after which the stranger sends no more.
///
/// # Panics
/// When the connection does not end by itself in the time that an exchange may take.
#[must_use]
pub fn answer_to(bytes: &[u8]) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime of one thread");
    runtime.block_on(async {
        let (mut stranger, ours) = tokio::io::duplex(bytes.len().max(1) + ANSWER_BYTES_MAX);
        (stranger.write_all(bytes).await).expect("there is room for it");
        stranger.shutdown().await.expect("memory does not fail");
        let respond =
            async |request| answer(&request, true, async { "metrics\n".to_owned() }).await;
        let patience = Duration::from_millis(limits::METRICS_EXCHANGE_MS);
        let ended = tokio::time::timeout(patience, exchange(ours, respond)).await;
        // An error is the end of the connection, too.
        let _ = ended.expect("the connection ends by itself");
        let mut answered = Vec::new();
        (stranger.read_to_end(&mut answered).await).expect("memory does not fail");
        answered
    })
}
