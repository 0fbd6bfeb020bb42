//! Small hashes with times.
//!
//! ```text
//! listpack   field value ms │ field value ms │ …      0 ms: never
//! ```
//! A hash none of whose fields ever had an end pays nothing for it. Times are Unix ms; who calls has the clock.

use crate::data::listpack::Listpack;

/// Elements of a field in a listpack with times.
pub(super) const TIMED_STEP: usize = 3;

/// The most that the time of a field takes in a listpack, bytes.
pub(super) const TIME_BYTES_MAX: usize = 10;

/// The decimal text of a time, 0 for none.
pub(super) fn time_text(ends_ms: Option<u64>) -> String {
    ends_ms.unwrap_or(0).to_string()
}

/// The time at a position of a listpack with times.
pub(super) fn time_at(pack: &Listpack, at: usize) -> Option<u64> {
    let ms = pack.at(at).as_integer()?;
    u64::try_from(ms).ok().filter(|ms| *ms > 0)
}

/// The same fields with their values, none of which ends.
pub(super) fn with_times(pack: &Listpack) -> Listpack {
    let mut timed = Listpack::new();
    for (number, text) in pack.iter().enumerate() {
        timed.push_back(text.as_bytes(&mut [0; 20]));
        if number % 2 == 1 {
            timed.push_back(b"0");
        }
    }
    timed
}
