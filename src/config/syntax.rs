//! The text of redis.conf: words with quotes, glob patterns, and the command line as such text.
//!
//! Pure functions over bytes. What a directive means is not known here.

pub(crate) use crate::data::words::{quoted, split};

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
