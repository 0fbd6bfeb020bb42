//! Glob matching as Redis does it, byte for byte: channels, keys, settings.
//!
//! `*` any bytes · `?` one byte · `[abc]`, `[a-z]`, `[^a]` one byte of a set · `\x` the byte x itself.
//!
//! Every token but `*` takes exactly one byte, so when a part between two stars has matched somewhere, only the
//! last star ever needs to take more: no recursion, O(pattern × text) at worst.
//!
//! Redis' quirks are kept: `*` does not match the empty text, a set may lack its `]`, `[a-]` is a range up to `]`, bytes
//! compare as signed in ranges, and a pattern of more than 1000 separate stars matches nothing.

/// Stars (runs of them) beyond which Redis gives up.
const STARS_MAX: usize = 1000;

/// Whether letters must match exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// `a` is not `A`.
    Sensitive,
    /// ASCII letters match in either case.
    Insensitive,
}

impl Case {
    fn fold(self, byte: u8) -> u8 {
        match self {
            Case::Sensitive => byte,
            Case::Insensitive => byte.to_ascii_lowercase(),
        }
    }
}

/// Whether the whole of `text` matches `pattern`. O(pattern × text), without allocation.
#[must_use]
pub(crate) fn matches(pattern: &[u8], text: &[u8], case: Case) -> bool {
    let (mut rest, mut unmatched) = (pattern, text);
    // Behind the last star: the pattern that follows it, and the text from where that was last tried.
    let mut retry: Option<(&[u8], &[u8])> = None;
    let mut stars = 0;
    loop {
        let (Some((&token, after)), Some((&byte, tail))) =
            (rest.split_first(), unmatched.split_first())
        else {
            if unmatched.is_empty() {
                return rest.is_empty();
            }
            match next_try(&mut retry) {
                Some(again) => (rest, unmatched) = again,
                None => return false,
            }
            continue;
        };
        if token == b'*' {
            rest = without_stars(after);
            if rest.is_empty() {
                return true;
            }
            stars += 1;
            if stars > STARS_MAX {
                return false;
            }
            retry = Some((rest, unmatched));
            continue;
        }
        let (matched, after) = match_one(token, after, byte, case);
        if matched {
            (rest, unmatched) = (after, tail);
            if unmatched.is_empty() {
                rest = without_stars(rest);
            }
        } else {
            match next_try(&mut retry) {
                Some(again) => (rest, unmatched) = again,
                None => return false,
            }
        }
    }
}

/// What every text begins with that matches, and whatever begins so does: `text*`, the pattern most asked for.
#[must_use]
pub(crate) fn prefix_of(pattern: &[u8]) -> Option<&[u8]> {
    let (last, prefix) = pattern.split_last()?;
    let is_special = |byte: &u8| matches!(byte, b'*' | b'?' | b'[' | b'\\');
    (*last == b'*' && !prefix.is_empty() && !prefix.iter().any(is_special)).then_some(prefix)
}

/// Lets the last star take one byte more; `None` when there is no star or nothing left for what follows it.
fn next_try<'p, 't>(retry: &mut Option<(&'p [u8], &'t [u8])>) -> Option<(&'p [u8], &'t [u8])> {
    let (_, from) = retry.as_mut()?;
    *from = from.get(1..).filter(|from| !from.is_empty())?;
    *retry
}

fn without_stars(pattern: &[u8]) -> &[u8] {
    let stars = pattern.iter().take_while(|byte| **byte == b'*').count();
    &pattern[stars..]
}

/// Matches one byte with the token that begins with `token` and goes on in `rest`; also what follows the token.
fn match_one(token: u8, rest: &[u8], byte: u8, case: Case) -> (bool, &[u8]) {
    match (token, rest.split_first()) {
        (b'?', _) => (true, rest),
        (b'[', _) => match_set(rest, byte, case),
        (b'\\', Some((escaped, after))) => (case.fold(*escaped) == case.fold(byte), after),
        _ => (case.fold(token) == case.fold(byte), rest),
    }
}

fn match_set(set: &[u8], byte: u8, case: Case) -> (bool, &[u8]) {
    let (negated, mut rest) = match set {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, set),
    };
    let mut found = false;
    loop {
        match rest {
            // Redis: an escaped byte in a set is compared exactly even when case is ignored.
            [b'\\', escaped, after @ ..] => {
                found |= *escaped == byte;
                rest = after;
            }
            [b']', after @ ..] => return (found != negated, after),
            [first, b'-', last, after @ ..] => {
                found |= in_range(*first, *last, byte, case);
                rest = after;
            }
            [one, after @ ..] => {
                found |= case.fold(*one) == case.fold(byte);
                rest = after;
            }
            [] => return (found != negated, rest),
        }
    }
}

/// Redis: the ends are put in order first, then lowered; bytes compare as signed.
fn in_range(first: u8, last: u8, byte: u8, case: Case) -> bool {
    let (first, last) = if first as i8 > last as i8 {
        (last, first)
    } else {
        (first, last)
    };
    let [first, last, byte] = [first, last, byte].map(|byte| case.fold(byte) as i8);
    (first..=last).contains(&byte)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    enum Token {
        Star,
        OneOf(Box<dyn Fn(u8) -> bool>),
    }

    /// The naive twin: tokens first, then every way to divide the text.
    fn tokens(pattern: &[u8], case: Case) -> Vec<Token> {
        let (mut found, mut rest) = (Vec::new(), pattern);
        while let Some((&first, after)) = rest.split_first() {
            if first == b'*' {
                found.push(Token::Star);
                rest = after;
                continue;
            }
            rest = match_one(first, after, 0, case).1;
            let after = after.to_vec();
            found.push(Token::OneOf(Box::new(move |byte| {
                match_one(first, &after, byte, case).0
            })));
        }
        found
    }

    fn naive(tokens: &[Token], text: &[u8]) -> bool {
        match (tokens.split_first(), text.split_first()) {
            (None, _) => text.is_empty(),
            (Some((Token::Star, rest)), _) => {
                (0..=text.len()).any(|taken| naive(rest, &text[taken..]))
            }
            (Some((Token::OneOf(accepts), rest)), Some((byte, tail))) => {
                accepts(*byte) && naive(rest, tail)
            }
            (Some((Token::OneOf(_), _)), None) => false,
        }
    }

    fn check(pattern: &str, text: &str) -> bool {
        matches(pattern.as_bytes(), text.as_bytes(), Case::Sensitive)
    }

    proptest! {
        #![proptest_config(crate::property::cases(256))]
        #[test]
        fn matches_what_the_naive_twin_matches(pattern in "[ab*?\\[\\]^\\\\A-]{0,12}", text in "[abA\\]-]{0,10}", ignored in any::<bool>()) {
            let case = if ignored { Case::Insensitive } else { Case::Sensitive };
            let naive = naive(&tokens(pattern.as_bytes(), case), text.as_bytes());
            let quirk = text.is_empty() && !pattern.is_empty();
            prop_assert_eq!(matches(pattern.as_bytes(), text.as_bytes(), case), naive && !quirk);
        }

        #[test]
        fn a_prefix_matches_what_its_pattern_matches(pattern in "[ab]{0,3}[ab*?\\[\\\\]{0,1}[*]{0,1}", text in "[ab*]{0,5}") {
            if let Some(prefix) = prefix_of(pattern.as_bytes()) {
                prop_assert_eq!(text.as_bytes().starts_with(prefix), check(&pattern, &text));
            }
        }

        #[test]
        fn no_pattern_panics(pattern in proptest::collection::vec(any::<u8>(), 0..20), text in proptest::collection::vec(any::<u8>(), 0..20)) {
            let _ = matches(&pattern, &text, Case::Insensitive);
        }
    }

    #[test]
    fn globs_match_as_in_redis() {
        for (pattern, text) in [
            ("*", "a"),
            ("h?llo", "hello"),
            ("h*llo", "heeeello"),
            ("h[ae]llo", "hallo"),
            ("h[^e]llo", "hallo"),
            ("h[a-b]llo", "hbllo"),
            ("h[b-a]llo", "hbllo"),
            ("a\\*c", "a*c"),
            ("a*", "a"),
            ("a**", "a"),
            ("[ab", "a"),
            ("[^", "a"),
            ("[a-]x", "^"),
            ("\\", "\\"),
            ("news.*.eu*", "news.x.y.eu"),
            ("[\\]]", "]"),
            ("*a*b*", "xxaxxbxx"),
            ("", ""),
            ("[^]", "x"),
        ] {
            assert!(check(pattern, text), "{pattern} should match {text}");
        }
        for (pattern, text) in [
            ("*", ""),
            ("h?llo", "hllo"),
            ("h[^e]llo", "hello"),
            ("a*b", "a"),
            ("", "a"),
            ("[]a]", "a"),
            ("[", "["),
            ("a", "A"),
            ("*b", "bc"),
            ("[^]", ""),
        ] {
            assert!(!check(pattern, text), "{pattern} should not match {text}");
        }
        assert!(matches(b"HE[K-l]*O", b"hello", Case::Insensitive));
        assert!(!matches(b"[\\A]", b"a", Case::Insensitive));
        assert!(matches(b"[\x80-\x7f]", b"\xff", Case::Sensitive));
    }

    #[test]
    fn hostile_patterns_are_cheap() {
        let text = vec![b'a'; 5000];
        assert!(!matches(
            &b"a*"
                .repeat(500)
                .iter()
                .copied()
                .chain(*b"b")
                .collect::<Vec<_>>(),
            &text,
            Case::Sensitive
        ));
        assert!(!matches(&b"*a".repeat(1001), &text, Case::Sensitive));
        assert!(matches(&b"*a".repeat(1000), &text, Case::Sensitive));
        assert!(matches(&vec![b'*'; 100_000], &text, Case::Sensitive));
    }
}
