//! The text of redis.conf: words with quotes, glob patterns, and the command line as such text.
//!
//! Pure functions over bytes. What a directive means is not known here.
//!
//! Invariant: `split(&quoted(word))` is `[word]` for every word of bytes.

/// Splits a line into words by the rules of redis.conf: blanks separate; `"…"` understands `\n \r \t
/// \b \a \xHH` and `\` before any other character, `'…'` only `\'`; a closing quote must be followed
/// by a blank or the end. `None`: quotes do not balance.
pub(crate) fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        while line.get(at).is_some_and(|&byte| is_blank(byte)) {
            at += 1;
        }
        if at >= line.len() {
            return Some(words);
        }
        let (word, next) = word_at(line, at)?;
        words.push(word);
        at = next;
    }
}

/// What `isspace` of C accepts.
fn is_blank(byte: u8) -> bool {
    byte == b' ' || (0x09..=0x0d).contains(&byte)
}

/// Reads one word from `at`; returns it and where it ended.
fn word_at(line: &[u8], mut at: usize) -> Option<(Vec<u8>, usize)> {
    let mut word = Vec::new();
    while let Some(&byte) = line.get(at) {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => return Some((word, at)),
            // A quote may open in the middle of a word, as in Redis: a"b c" is one word.
            b'"' => return double_quoted(line, at + 1, word),
            b'\'' => return single_quoted(line, at + 1, word),
            other => word.push(other),
        }
        at += 1;
    }
    Some((word, at))
}

fn closes(line: &[u8], quote_at: usize) -> bool {
    line.get(quote_at + 1).is_none_or(|&byte| is_blank(byte))
}

fn double_quoted(line: &[u8], mut at: usize, mut word: Vec<u8>) -> Option<(Vec<u8>, usize)> {
    loop {
        match *line.get(at)? {
            b'"' => return closes(line, at).then_some((word, at + 1)),
            b'\\' => {
                let (byte, width) = escape(line.get(at + 1..).unwrap_or(&[]));
                word.push(byte);
                at += 1 + width;
            }
            other => {
                word.push(other);
                at += 1;
            }
        }
    }
}

/// The byte meant by what follows a backslash, and how many bytes that took.
fn escape(rest: &[u8]) -> (u8, usize) {
    match *rest {
        [b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
            (hex_digit(high) * 16 + hex_digit(low), 3)
        }
        [b'n', ..] => (b'\n', 1),
        [b'r', ..] => (b'\r', 1),
        [b't', ..] => (b'\t', 1),
        [b'b', ..] => (0x08, 1),
        [b'a', ..] => (0x07, 1),
        [other, ..] => (other, 1),
        [] => (b'\\', 0),
    }
}

fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.to_ascii_uppercase().wrapping_sub(b'A') + 10,
    }
}

fn single_quoted(line: &[u8], mut at: usize, mut word: Vec<u8>) -> Option<(Vec<u8>, usize)> {
    loop {
        match *line.get(at)? {
            b'\'' => return closes(line, at).then_some((word, at + 1)),
            b'\\' if line.get(at + 1) == Some(&b'\'') => {
                word.push(b'\'');
                at += 2;
            }
            other => {
                word.push(other);
                at += 1;
            }
        }
    }
}

/// The word in double quotes, everything unprintable escaped.
pub(crate) fn quoted(word: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(word.len() + 2);
    text.push(b'"');
    for &byte in word {
        match byte {
            b'\\' | b'"' => text.extend([b'\\', byte]),
            b'\n' => text.extend(b"\\n"),
            b'\r' => text.extend(b"\\r"),
            b'\t' => text.extend(b"\\t"),
            0x07 => text.extend(b"\\a"),
            0x08 => text.extend(b"\\b"),
            b' '..=b'~' => text.push(byte),
            other => text.extend(format!("\\x{other:02x}").bytes()),
        }
    }
    text.push(b'"');
    text
}

/// What a command line says, taken apart as redis-server does.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CommandLine {
    /// The first word, if it is no option: the configuration file.
    pub(crate) file: Option<Vec<u8>>,
    /// `-` as first or last word: directives come from standard input.
    pub(crate) reads_stdin: bool,
    /// The options as lines of redis.conf.
    pub(crate) options: Vec<u8>,
}

/// Takes the words after the program's name apart. `--name` begins an option if the option before it
/// has a value already; so `--requirepass --secret` sets a password that begins with dashes.
/// `--save` alone means `--save ""`.
pub(crate) fn command_line<A: AsRef<[u8]>>(words: &[A]) -> CommandLine {
    let mut line = CommandLine::default();
    let mut at = 0;
    if let Some(first) = words.first().map(AsRef::as_ref)
        && !first.starts_with(b"-")
    {
        line.file = Some(first.to_vec());
        at = 1;
    }
    let begins_option =
        |word: Option<&A>| word.is_some_and(|word| word.as_ref().starts_with(b"--"));
    let mut has_value = true;
    while let Some(word) = words.get(at).map(AsRef::as_ref) {
        let next = words.get(at + 1);
        if word == b"-" && (at == 0 || next.is_none()) {
            line.reads_stdin = true;
        } else if has_value && word.starts_with(b"--") {
            if !line.options.is_empty() {
                line.options.push(b'\n');
            }
            line.options.extend_from_slice(&word[2..]);
            line.options.push(b' ');
            // A name and its value may come as one word: "--port 6380".
            has_value = split(word).is_none_or(|parts| parts.len() != 1);
            let is_save = word.eq_ignore_ascii_case(b"--save");
            if !has_value && is_save && (next.is_none() || begins_option(next)) {
                line.options.extend(b"\"\"");
                has_value = true;
            }
        } else {
            line.options.extend(quoted(word));
            line.options.push(b' ');
            has_value = true;
        }
        at += 1;
    }
    line
}

/// Whether `text` matches a glob pattern: `*`, `?`, `[a-z]`, `[^…]`, `\` before a literal.
/// Letters match in either case when `fold_case`. O(pattern × text) at worst.
pub(crate) fn glob_matches(pattern: &[u8], text: &[u8], fold_case: bool) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to resume when the part after the last star fails: one star back is enough.
    let mut resume: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            resume = Some((p + 1, t));
            p += 1;
            continue;
        }
        if let Some(width) = pattern
            .get(p..)
            .and_then(|rest| one_matches(rest, text[t], fold_case))
        {
            p += width;
            t += 1;
        } else if let Some((star_next, star_text)) = resume {
            p = star_next;
            t = star_text + 1;
            resume = Some((star_next, t));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// How many bytes of the pattern match this one byte, if they do.
fn one_matches(pattern: &[u8], byte: u8, fold_case: bool) -> Option<usize> {
    let fold = |b: u8| if fold_case { b.to_ascii_lowercase() } else { b };
    match *pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'[', ..] => class_matches(pattern, byte, fold),
        [b'\\', literal, ..] => (fold(literal) == fold(byte)).then_some(2),
        [literal, ..] => (fold(literal) == fold(byte)).then_some(1),
    }
}

fn class_matches(pattern: &[u8], byte: u8, fold: impl Fn(u8) -> u8) -> Option<usize> {
    let mut at = 1;
    let negated = pattern.get(at) == Some(&b'^');
    if negated {
        at += 1;
    }
    let mut found = false;
    let byte = fold(byte);
    while let Some(&member) = pattern.get(at) {
        match (member, pattern.get(at + 1), pattern.get(at + 2)) {
            (b']', _, _) => break,
            (b'\\', Some(&literal), _) => {
                found |= fold(literal) == byte;
                at += 2;
            }
            (from, Some(b'-'), Some(&to)) => {
                let (low, high) = (fold(from).min(fold(to)), fold(from).max(fold(to)));
                found |= (low..=high).contains(&byte);
                at += 3;
            }
            _ => {
                found |= fold(member) == byte;
                at += 1;
            }
        }
    }
    (found != negated).then_some((at + 1).min(pattern.len()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn words(line: &str) -> Option<Vec<String>> {
        split(line.as_bytes()).map(|words| {
            words
                .iter()
                .map(|w| String::from_utf8_lossy(w).into_owned())
                .collect()
        })
    }

    #[test]
    fn words_split_with_quotes_as_in_redis_conf() {
        assert_eq!(words("  save 900\t1 ").unwrap(), ["save", "900", "1"]);
        assert_eq!(words(r#"a "b c" 'd e'"#).unwrap(), ["a", "b c", "d e"]);
        assert_eq!(words(r#"a"b c""#).unwrap(), ["ab c"]);
        assert_eq!(words(r#""\x41\n\"" '\'' ''"#).unwrap(), ["A\n\"", "'", ""]);
        assert_eq!(words(""), Some(vec![]));
        assert_eq!(words(r#"a "b"#), None);
        assert_eq!(words(r#""a"b"#), None);
        assert_eq!(words("'a"), None);
        assert_eq!(words(r#""a\"#), None);
    }

    #[test]
    fn a_quoted_word_splits_back_to_itself() {
        let all: Vec<u8> = (0..=255).collect();
        for word in [&all[..], b"", b"a b", b"'", b"\\", b"\\x41"] {
            assert_eq!(split(&quoted(word)).unwrap(), [word.to_vec()]);
        }
    }

    #[test]
    fn the_command_line_becomes_lines_of_redis_conf() {
        let options = |words: &[&str]| String::from_utf8(command_line(words).options).unwrap();
        assert_eq!(
            options(&["--port", "1", "--loglevel", "debug"]),
            "port \"1\" \nloglevel \"debug\" "
        );
        assert_eq!(options(&["--port 1", "--hz", "5"]), "port 1 \nhz \"5\" ");
        assert_eq!(
            options(&["--save", "--port", "1"]),
            "save \"\"\nport \"1\" "
        );
        assert_eq!(options(&["--save"]), "save \"\"");
        assert_eq!(
            options(&["--requirepass", "--secret"]),
            "requirepass \"--secret\" "
        );
        let line = command_line(&["a.conf", "--hz", "1", "-"]);
        assert_eq!(line.file.as_deref(), Some(&b"a.conf"[..]));
        assert!(line.reads_stdin);
        assert!(command_line(&["-", "--hz", "1"]).reads_stdin);
        assert!(!command_line(&["--requirepass", "-", "--hz", "1"]).reads_stdin);
    }

    #[test]
    fn globs_match_as_in_redis() {
        let matches =
            |pattern: &str, text: &str| glob_matches(pattern.as_bytes(), text.as_bytes(), true);
        assert!(matches("*", ""));
        assert!(matches("*max*", "list-MAX-x"));
        assert!(matches("h?z", "haz"));
        assert!(matches("[a-c]x", "Bx"));
        assert!(!matches("[^a-c]x", "bx"));
        assert!(matches("\\*", "*"));
        assert!(!matches("\\*", "a"));
        assert!(!matches("port", "ports"));
        assert!(matches("a*b*c", "a1b2b3c"));
    }
}
