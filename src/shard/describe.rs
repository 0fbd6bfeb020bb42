//! A scrape asks a shard for its streams: answered by a job with the keyspace in hand.

use tokio::sync::mpsc::UnboundedSender;

use crate::command::metrics::stream_listing;
use crate::keyspace::Keyspace;
use crate::observe::metrics::StreamListing;

/// Asks for streams.
#[derive(Debug)]
pub struct StreamQuery {
    /// Which, by a glob pattern.
    pub(crate) pattern: Vec<u8>,
    /// How many at most.
    pub(crate) streams_max: usize,
    /// Where the answer goes; one per shard.
    pub(crate) answer: UnboundedSender<StreamListing>,
}

impl StreamQuery {
    /// Answers with the streams of one keyspace.
    pub(super) fn answer_from(&self, keyspace: &Keyspace, now_ms: u64) {
        let now_ms = now_ms.max(keyspace.now_ms);
        let listing = stream_listing(keyspace, &self.pattern, self.streams_max, now_ms);
        // Whoever asked may have given up.
        let _ = self.answer.send(listing);
    }
}
