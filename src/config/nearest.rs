//! The name that was probably meant by a mistyped one.
//!
//! Distance: letters added, left out, replaced, or swapped with their neighbour. Upper and lower case are the same.
//!
//! Deliberately not here: which names there are, and what is said about the one found.

/// The candidate closest to `word`, if it is close enough to be meant: one slip in words of up to five letters,
/// two in longer ones, three from twelve on. The first among equals. O(candidates × length²).
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().collect();
    let allowed = match word.len() {
        0..=2 => 0,
        3..=5 => 1,
        6..=11 => 2,
        _ => 3,
    };
    candidates
        .map(|candidate| (distance(&word, candidate), candidate))
        .filter(|(slips, _)| *slips <= allowed)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

/// How many slips turn one word into the other (optimal string alignment).
fn distance(word: &[char], candidate: &str) -> usize {
    let other: Vec<char> = candidate.to_lowercase().chars().collect();
    let width = other.len() + 1;
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..width).collect();
    for (row, letter) in word.iter().enumerate() {
        let mut current = vec![row + 1; width];
        for (column, other_letter) in other.iter().enumerate() {
            let replaced = last[column] + usize::from(letter != other_letter);
            let one_off = last[column + 1].min(current[column]) + 1;
            current[column + 1] = replaced.min(one_off);
            let swapped = row > 0
                && column > 0
                && word[row - 1] == *other_letter
                && *letter == other[column - 1];
            if swapped {
                current[column + 1] = current[column + 1].min(before_last[column - 1] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[width - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        let slips = |word: &str, other: &str| distance(&word.chars().collect::<Vec<_>>(), other);
        assert_eq!(slips("port", "port"), 0);
        assert_eq!(slips("prot", "port"), 1);
        assert_eq!(slips("por", "port"), 1);
        assert_eq!(slips("portt", "port"), 1);
        assert_eq!(slips("fort", "port"), 1);
        assert_eq!(slips("", "port"), 4);
        assert_eq!(slips("kitten", "sitting"), 3);
    }

    #[test]
    fn the_closest_is_meant_if_it_is_close() {
        let of = |word| nearest(word, ["demo", "reclaim", "ping"].into_iter());
        assert_eq!(of("recliam"), Some("reclaim"));
        assert_eq!(of("RECLAIM"), Some("reclaim"));
        assert_eq!(of("pings"), Some("ping"));
        assert_eq!(of("redis.conf"), None);
        assert_eq!(of(""), None);
        assert_eq!(of("d"), None);
    }
}
