//! A scrape asks a shard for its streams: answered in its turn, when the keyspace is home.

use tokio::sync::mpsc::UnboundedSender;

use crate::command::metrics::stream_listing;
use crate::observe::metrics::StreamListing;

use super::Shard;

/// Asks for streams.
#[derive(Debug)]
pub struct StreamQuery {
    /// Which, by a glob pattern.
    pub pattern: Vec<u8>,
    /// How many at most.
    pub streams_max: usize,
    /// Where the answer goes; one per shard.
    pub answer: UnboundedSender<StreamListing>,
}

impl Shard {
    /// Answers a query.
    pub(super) fn describe_streams(&self, query: &StreamQuery) {
        let Some(keyspace) = &self.keyspace else {
            return;
        };
        let now_ms = self.now_ms.max(keyspace.now_ms);
        let listing = stream_listing(keyspace, &query.pattern, query.streams_max, now_ms);
        // Whoever asked may have given up.
        let _ = query.answer.send(listing);
    }
}
