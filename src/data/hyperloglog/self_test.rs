//! What PFSELFTEST runs: registers keep what is put into them, both encodings agree, and the error is as small as promised.
//!
//! Redis adds ten million elements, which takes seconds; a shard has others to serve, so here it is ten thousand.

use super::{
    DENSE_BYTES, Encoding, HEADER_BYTES, REGISTER_COUNT, Sketch, StoredSketch, Trace, dense,
};

/// How often all registers are filled.
const CYCLES: usize = 2;
/// Elements added; the estimate is looked at with each power of ten.
const ELEMENTS: u64 = 10_000;
/// How many standard errors are too many.
const ERRORS_MAX: f64 = 6.;

/// Numbers that depend on a seed alone. Source: SplitMix64, S. Vigna.
struct Numbers(u64);

impl Iterator for Numbers {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(mixed ^ mixed >> 31)
    }
}

/// Runs it; with what went wrong, if anything did. `sparse_bytes_max` as for [`Sketch::empty`]. About 3 ms.
///
/// # Errors
/// The first thing that went wrong, in the words of Redis.
pub(crate) fn self_test(seed: u64, sparse_bytes_max: usize) -> Result<(), String> {
    registers_keep_their_numbers(seed)?;
    estimates_are_close(seed, sparse_bytes_max)
}

fn registers_keep_their_numbers(seed: u64) -> Result<(), String> {
    let mut numbers = Numbers(seed);
    for _ in 0..CYCLES {
        let expected: Vec<u8> = numbers
            .by_ref()
            .take(REGISTER_COUNT)
            .map(|number| (number % 64) as u8)
            .collect();
        let mut registers = vec![0; dense::BYTES];
        for (register, number) in expected.iter().copied().enumerate() {
            dense::raise(&mut registers, Trace { register, number });
        }
        let mut found = Vec::with_capacity(REGISTER_COUNT);
        dense::for_each(&registers, |number| found.push(number));
        let mut pairs = expected.iter().zip(&found).enumerate();
        if let Some((at, (expected, found))) =
            pairs.find(|(_, (expected, found))| expected != found)
        {
            return Err(format!(
                "TESTFAILED Register {at} should be {expected} but is {found}"
            ));
        }
    }
    Ok(())
}

fn estimates_are_close(seed: u64, sparse_bytes_max: usize) -> Result<(), String> {
    let failed = |what: &str| Err(format!("TESTFAILED {what}"));
    let mut sketch = Sketch::empty(sparse_bytes_max);
    let mut registers = [0; dense::BYTES];
    let mut checkpoint = 1;
    for element in 1..=ELEMENTS {
        let trace = Trace::of(&(element ^ seed).to_le_bytes());
        dense::raise(&mut registers, trace);
        if sketch.raise(trace).is_err() {
            return failed("sparse encoding corrupted");
        }
        if element != checkpoint {
            continue;
        }
        if element < sparse_bytes_max as u64 / 2 && sketch.encoding() != Encoding::Sparse {
            return failed("sparse encoding not used");
        }
        let mut all = Sketch::empty(0);
        let mut dense_count = None;
        if all.make_dense().is_ok() {
            all.bytes[HEADER_BYTES..DENSE_BYTES].copy_from_slice(&registers);
            dense_count = count_of(&all);
        }
        let Some(count) = dense_count.filter(|count| count_of(&sketch) == Some(*count)) else {
            return failed("dense/sparse disagree");
        };
        let error = count.abs_diff(checkpoint);
        let standard_error = 1.04 / (REGISTER_COUNT as f64).sqrt();
        // Redis: among ten elements two may well fall to the same register.
        let error_max = match checkpoint {
            10 => 1,
            _ => (standard_error * ERRORS_MAX * checkpoint as f64).ceil() as u64,
        };
        if error > error_max {
            return failed(&format!("Too big error. card:{checkpoint} abserr:{error}"));
        }
        checkpoint *= 10;
    }
    Ok(())
}

fn count_of(sketch: &Sketch) -> Option<u64> {
    StoredSketch::of(&sketch.bytes)?.count().ok()
}
