//! Users as text: the aclfile, and the `user` lines of redis.conf.
//!
//! ```text
//!  user alice on #5994… ~jobs:* resetchannels &jobs:* -@all +@stream (%R~stats:* resetchannels -@all +get)
//! ```
//! The aclfile is read whole or not at all, and every error in it is told. Its words lie between single spaces, without
//! quotes; those of redis.conf come here already split.

use std::collections::HashSet;

use crate::data::words::{quoted, split};

use super::rules::{Basis, RuleError, Rules};
use super::users::User;
use super::words::{has_blank, merge_selectors};

/// A user that a file declares: name and rules.
pub(crate) type Declared = (Vec<u8>, Rules);

/// Users to the text of an aclfile.
pub(crate) fn write<'a>(users: impl Iterator<Item = &'a User>) -> Vec<u8> {
    let mut text = Vec::new();
    for user in users {
        text.extend(line(user.name(), &user.rules()));
        text.push(b'\n');
    }
    text
}

/// A user as ACL LIST shows it and the aclfile has it: `user alice on …`.
pub(crate) fn line(name: &[u8], rules: &Rules) -> Vec<u8> {
    [b"user ", name, b" ", &*rules.describe()].concat()
}

/// The same as a line of redis.conf, whose words may need quotes.
pub(crate) fn quoted_line(name: &[u8], rules: &Rules) -> Vec<u8> {
    let words = std::iter::once(name.to_vec()).chain(rules.words());
    words.fold(b"user".to_vec(), |mut line, word| {
        line.push(b' ');
        let is_plain = !word.is_empty() && split(&word).is_some_and(|words| words == [&word[..]]);
        line.extend(if is_plain { word } else { quoted(&word) });
        line
    })
}

/// The users of an aclfile, or all its errors in Redis' words, on one line. `path` is what they call the file.
///
/// # Errors
/// The text to reply to ACL LOAD, or to end the start with.
pub(crate) fn read(basis: Basis<'_>, path: &[u8], text: &[u8]) -> Result<Vec<Declared>, Vec<u8>> {
    let mut reader = Reader {
        basis,
        path,
        names: HashSet::new(),
        users: Vec::new(),
        errors: Vec::new(),
    };
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        reader.line(at + 1, trimmed(line, b" \t\r"));
    }
    if reader.errors.is_empty() {
        return Ok(reader.users);
    }
    let end =
        b"WARNING: ACL errors detected, no change to the previously active ACL rules was performed";
    reader.errors.extend_from_slice(end);
    Err(reader.errors)
}

struct Reader<'a> {
    basis: Basis<'a>,
    path: &'a [u8],
    names: HashSet<&'a [u8]>,
    users: Vec<Declared>,
    errors: Vec<u8>,
}

impl<'a> Reader<'a> {
    fn error(&mut self, parts: &[&[u8]]) {
        self.errors.extend(parts.concat());
    }

    fn line(&mut self, number: usize, line: &'a [u8]) {
        if line.is_empty() {
            return;
        }
        let path = self.path;
        let number = number.to_string();
        let number = number.as_bytes();
        let words: Vec<_> = line.split(|byte| *byte == b' ').collect();
        let [b"user", name, rules @ ..] = words.as_slice() else {
            let text = b" should start with user keyword followed by the username. ";
            return self.error(&[path, b":", number, text]);
        };
        if has_blank(name) {
            // The quote at the beginning is Redis'.
            let parts = [b"'", path, b":", number, b": username '", name];
            self.error(&parts);
            return self.error(&[b"' contains invalid characters. "]);
        }
        if !self.names.insert(name) {
            let parts = [&b"WARNING: Duplicate user '"[..], name, b"' found on line "];
            self.error(&parts);
            return self.error(&[number, b". "]);
        }
        let Ok(rules) = merge_selectors(rules) else {
            let text = b": Unmatched parenthesis in selector definition.";
            return self.error(&[path, b":", number, text]);
        };
        self.rules(number, name, &rules);
    }

    /// Of errors of syntax only the first is told, since it may be the reason for the next; unknown names all are.
    fn rules(&mut self, number: &[u8], name: &[u8], words: &[Vec<u8>]) {
        let path = self.path;
        let mut rules = Rules::new(self.basis.all_channels);
        let mut told = false;
        for word in words {
            let word = trimmed(word, b"\t\r\n");
            let Err(error) = rules.apply(self.basis, word) else {
                continue;
            };
            let text = error.to_string();
            if error == RuleError::UnknownName {
                let what: &[u8] = b": Error in applying operation '";
                self.error(&[path, b":", number, what, word, b"': "]);
                self.error(&[text.as_bytes(), b". "]);
            } else if !told {
                self.error(&[path, b":", number, b": ", text.as_bytes(), b". "]);
                told = true;
            }
        }
        self.users.push((name.to_vec(), rules));
    }
}

fn trimmed<'a>(mut text: &'a [u8], bytes: &[u8]) -> &'a [u8] {
    while let [first, rest @ ..] = text
        && bytes.contains(first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && bytes.contains(last)
    {
        text = rest;
    }
    text
}

/// Why the `user` lines of redis.conf cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeclarationError {
    /// Which of the lines.
    pub(crate) line: usize,
    /// What is wrong, in Redis' words where it has some.
    pub(crate) text: Vec<u8>,
}

/// The users of `user` lines, each given as its words without `user`: name, rules.
///
/// # Errors
/// The first line that is none.
pub(crate) fn declared<L: AsRef<[Vec<u8>]>>(
    basis: Basis<'_>,
    lines: &[L],
) -> Result<Vec<Declared>, DeclarationError> {
    let mut names = HashSet::new();
    let mut users = Vec::new();
    for (line, words) in lines.iter().map(AsRef::as_ref).enumerate() {
        let wrong = |text| DeclarationError { line, text };
        let Some((name, words)) = words.split_first() else {
            return Err(wrong(b"A user has a name".to_vec()));
        };
        if has_blank(name) {
            return Err(wrong(b"Spaces not allowed in ACL usernames".to_vec()));
        }
        if !names.insert(name) {
            let text: &[u8] =
                b"Duplicate user found. A user can only be defined once in config files";
            return Err(wrong(
                [b"Error in user declaration '", &**name, b"': ", text].concat(),
            ));
        }
        let rules = declared_rules(basis, name, words).map_err(wrong)?;
        users.push((name.clone(), rules));
    }
    Ok(users)
}

fn declared_rules(basis: Basis<'_>, name: &[u8], words: &[Vec<u8>]) -> Result<Rules, Vec<u8>> {
    // No password in an error that is logged.
    let shown = |word: &[u8]| match word {
        [mark @ (b'>' | b'<'), ..] => vec![*mark],
        word => word.to_vec(),
    };
    let wrong = |word: &[u8], error: &str| {
        let word = &*shown(word);
        let parts = [b"Error in user declaration '", word, b"': "];
        [&parts.concat(), error.as_bytes()].concat()
    };
    let words = merge_selectors(words).map_err(|at| {
        let word = words.get(at).map_or(&[][..], Vec::as_slice);
        wrong(word, "Unmatched parenthesis in selector definition")
    })?;
    let mut rules = Rules::new(basis.all_channels);
    for word in words {
        rules.apply(basis, &word).map_err(|error| {
            let text = error.to_string();
            if error != RuleError::UnknownName {
                return wrong(&word, &text);
            }
            let parts: [&[u8]; 4] = [
                b"Error loading ACL rule '",
                &word,
                b"' for the user named '",
                name,
            ];
            [&parts.concat(), &b"': "[..], text.as_bytes()].concat()
        })?;
    }
    Ok(rules)
}
