//! How every property test is run: how many cases, and where the seeds of those that failed are kept.
//!
//! Seeds go to `target/`, whatever file the test is in: proptest's own default is a folder at the top level of the
//! repository. A failure worth keeping becomes a plain test with the steps it shrank to. `PROPERTY_TIMES=100` runs a
//! hundred times the cases.

use proptest::test_runner::{Config, FileFailurePersistence};

/// Seeds of cases that failed; each property test runs them first.
const FAILED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/failed-properties.txt");

/// The configuration of a property test with so many cases.
pub(crate) fn cases(count: u32) -> Config {
    let times = std::env::var("PROPERTY_TIMES").ok();
    let times = times.map_or(1, |times| times.parse().expect("PROPERTY_TIMES: a number"));
    Config {
        cases: count * times,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(FAILED))),
        ..Config::default()
    }
}
