//! Rules of selectors that lie over several words.

/// Joins the words of each `( … )` into one; the others stay as they are. A selector over several words begins with one
/// that opens with `(` and goes on to the first that closes with `)`.
///
/// # Errors
/// The index of the word that opens a selector which nothing closes.
pub(crate) fn merge_selectors<W: AsRef<[u8]>>(words: &[W]) -> Result<Vec<Vec<u8>>, usize> {
    let mut merged = Vec::with_capacity(words.len());
    let mut open: Option<(usize, Vec<u8>)> = None;
    for (at, word) in words.iter().map(AsRef::as_ref).enumerate() {
        open = match open {
            None if word.starts_with(b"(") && !word.ends_with(b")") => Some((at, word.to_vec())),
            None => {
                merged.push(word.to_vec());
                None
            }
            Some((from, mut selector)) => {
                selector.push(b' ');
                selector.extend_from_slice(word);
                if word.ends_with(b")") {
                    merged.push(selector);
                    None
                } else {
                    Some((from, selector))
                }
            }
        };
    }
    match open {
        Some((from, _)) => Err(from),
        None => Ok(merged),
    }
}

/// What `isspace` of C accepts.
fn is_blank(byte: u8) -> bool {
    byte == b' ' || (0x09..=0x0d).contains(&byte)
}

/// Whether a name or a pattern could not be told from what is next to it in a line of rules: a blank is in it, or a NUL.
/// No user may be called so.
pub(crate) fn has_blank(word: &[u8]) -> bool {
    word.iter().any(|&byte| byte == 0 || is_blank(byte))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn merged(words: &[&str]) -> Result<Vec<String>, usize> {
        let words = merge_selectors(words)?;
        Ok(words
            .into_iter()
            .map(|word| String::from_utf8(word).unwrap())
            .collect())
    }

    #[test]
    fn selectors_over_several_words_become_one() {
        assert_eq!(merged(&[]).unwrap(), [""; 0]);
        assert_eq!(merged(&["on", "()", "~a"]).unwrap(), ["on", "()", "~a"]);
        assert_eq!(
            merged(&["(", "~a", "", "+get", ")", "(x)", "(+set", "%R~b)", "off"]).unwrap(),
            ["( ~a  +get )", "(x)", "(+set %R~b)", "off"]
        );
        assert_eq!(merged(&["(a", "(b)", "c)"]).unwrap(), ["(a (b)", "c)"]);
    }

    #[test]
    fn a_selector_that_nothing_closes_is_told_by_its_first_word() {
        assert_eq!(merged(&["on", "(~a", "+get"]), Err(1));
        assert_eq!(merged(&["("]), Err(0));
        assert_eq!(merged(&["(a)", "b", "(c", "d) e"]), Err(2));
    }
}
