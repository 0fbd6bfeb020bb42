//! HTTP from strangers, for fuzzing: no panic, one answer at most, and an end.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{answer, exchange};

/// Room for any answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What is answered to these bytes, after which the stranger sends no more.
///
/// # Panics
/// When the connection does not end by itself.
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
        // An error is the end of the connection, too.
        let _ = exchange(ours, respond).await;
        let mut answered = Vec::new();
        (stranger.read_to_end(&mut answered).await).expect("memory does not fail");
        answered
    })
}
