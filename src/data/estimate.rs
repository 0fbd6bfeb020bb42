//! What many pieces of memory have, known well enough from a few of them.
//!
//! To measure a value of a million pieces takes milliseconds; who decides by it what is to go has none of them.

/// So many pieces are looked at.
const SAMPLES: usize = 32;

/// The bytes of so many pieces: exact of a few, else from pieces at equal distances. `bytes_of`: of one of them. O(1).
pub(super) fn sum_of(count: usize, mut bytes_of: impl FnMut(usize) -> usize) -> usize {
    if count <= 2 * SAMPLES {
        return (0..count).map(bytes_of).sum();
    }
    let seen: usize = (0..SAMPLES)
        .map(|sample| bytes_of(sample * count / SAMPLES))
        .sum();
    (seen as u128 * count as u128 / SAMPLES as u128) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_pieces_are_summed_and_many_are_estimated() {
        assert_eq!(sum_of(0, |_| 1), 0);
        assert_eq!(sum_of(64, |at| at), 63 * 32);
        let mut looked = 0;
        let sum = sum_of(1_000_000, |at| {
            looked += 1;
            4000 + at % 200
        });
        assert!((4_000_000_000..4_200_000_000).contains(&sum), "{sum}");
        assert_eq!(looked, SAMPLES);
    }
}
