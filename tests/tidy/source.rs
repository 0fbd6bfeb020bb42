//! Rust source as the rules see it: without comments, strings and tests.
//!
//! `Source::code` has the same length and the same line breaks as the file; what a rule must not see is blanked with spaces, so
//! positions are positions in the file. It is a scanner, not a parser: it knows comments, strings, characters, attributes and
//! braces, which is all that the rules need.

/// A file of src/.
#[derive(Debug)]
pub(crate) struct Source {
    /// From the repository root: `src/data/list.rs`.
    pub(crate) path: String,
    /// As written.
    pub(crate) text: String,
    /// Without comments, strings, characters, and items under `#[cfg(test)]`.
    pub(crate) code: String,
    /// Lines outside items under `#[cfg(test)]`.
    pub(crate) line_count: usize,
    /// The modules it declares without a body: name, path attribute, whether under `#[cfg(test)]`.
    pub(crate) modules: Vec<Module>,
}

/// `mod name;`
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) path_attribute: Option<String>,
    pub(crate) is_test: bool,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let whole = blank_text(text);
        let tests = test_items(&whole);
        let mut code = whole.clone().into_bytes();
        let mut test_lines = 0;
        for range in &tests {
            test_lines += text[range.clone()].matches('\n').count();
            for byte in &mut code[range.clone()] {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
        }
        if path.starts_with("tests/") {
            // There every line is a test's.
            test_lines = 0;
        }
        let modules = modules(text, &whole, &tests);
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code: String::from_utf8(code).unwrap(),
            line_count: text.lines().count() - test_lines,
            modules,
        }
    }

    /// The line of a position, from 1.
    pub(crate) fn line(&self, position: usize) -> usize {
        self.text[..position].matches('\n').count() + 1
    }

    /// The room: `data` of `src/data/list.rs`, `limits` of `src/limits.rs`.
    pub(crate) fn room(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let first = inside.split('/').next().unwrap_or(inside);
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// How many modules deep it is: 1 for `src/data/mod.rs`, 2 for `src/data/list.rs`.
    pub(crate) fn depth(&self) -> usize {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let parts = inside.split('/').count();
        let is_root = matches!(inside, "lib.rs" | "main.rs") || inside.starts_with("bin/");
        if is_root {
            0
        } else {
            parts - usize::from(inside.ends_with("/mod.rs"))
        }
    }

    /// Where a word stands by itself in the code.
    pub(crate) fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        let bytes = self.code.as_bytes();
        self.code
            .match_indices(word)
            .map(|(at, _)| at)
            .filter(move |&at| {
                let before = at
                    .checked_sub(1)
                    .is_none_or(|before| !is_word(bytes[before]));
                let after = bytes
                    .get(at + word.len())
                    .is_none_or(|&after| !is_word(after));
                let starts = !word.starts_with(|c: char| c.is_ascii_alphanumeric()) || before;
                let ends = !word.ends_with(|c: char| c.is_ascii_alphanumeric()) || after;
                starts && ends
            })
    }

    /// Every function with a body: name, position, lines from `fn` to the closing brace.
    pub(crate) fn functions(&self) -> Vec<(String, usize, usize)> {
        let mut found = Vec::new();
        for at in self.words("fn") {
            let rest = &self.code[at + 2..];
            let name = identifier(rest.trim_start());
            let Some(body) = body_of(&self.code, at) else {
                continue;
            };
            if !name.is_empty() {
                let lines = self.code[at..body.end].matches('\n').count() + 1;
                found.push((name.to_owned(), at, lines));
            }
        }
        found
    }

    /// Every declared name with its position: functions, types, traits, modules, constants, statics.
    pub(crate) fn declared_names(&self) -> Vec<(&'static str, String, usize)> {
        let mut found = Vec::new();
        for keyword in [
            "fn", "struct", "enum", "trait", "mod", "type", "const", "static",
        ] {
            for at in self.words(keyword) {
                let name = identifier(self.code[at + keyword.len()..].trim_start());
                if !name.is_empty() && !matches!(name, "fn" | "mut" | "move") {
                    found.push((keyword, name.to_owned(), at));
                }
            }
        }
        found
    }
}

pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The identifier at the start of the text, or nothing.
pub(crate) fn identifier(text: &str) -> &str {
    let end = text
        .bytes()
        .position(|byte| !is_word(byte))
        .unwrap_or(text.len());
    &text[..end]
}

/// The range from the `{` of the item starting at `from` to behind its `}`; none if a `;` ends the item first.
pub(crate) fn body_of(code: &str, from: usize) -> Option<std::ops::Range<usize>> {
    let bytes = code.as_bytes();
    let mut brackets = 0_usize;
    let mut at = from;
    while at < bytes.len() {
        match bytes[at] {
            b'(' | b'[' => brackets += 1,
            b')' | b']' => brackets = brackets.saturating_sub(1),
            b';' if brackets == 0 => return None,
            b'{' if brackets == 0 => return Some(at..closing_brace(bytes, at)),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Behind the brace that closes the one at `open`.
fn closing_brace(bytes: &[u8], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in bytes.iter().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    bytes.len()
}

/// Items under `#[cfg(test)]` or `#[test]`, with their attribute; with `#![cfg(test)]` the whole file.
fn test_items(code: &str) -> Vec<std::ops::Range<usize>> {
    if code.contains("#![cfg(test)]") {
        return std::iter::once(0..code.len()).collect();
    }
    let mut found: Vec<std::ops::Range<usize>> = Vec::new();
    let attributes = ["#[cfg(test)]", "#[cfg(all(test", "#[test]"];
    let mut starts: Vec<usize> = attributes
        .iter()
        .flat_map(|attribute| code.match_indices(attribute).map(|(at, _)| at))
        .collect();
    starts.sort_unstable();
    for start in starts {
        if found.last().is_some_and(|last| start < last.end) {
            continue;
        }
        let item = after_attributes(code, start);
        let end = body_of(code, item).map_or_else(|| statement_end(code, item), |body| body.end);
        found.push(start..end);
    }
    found
}

/// The position behind the attributes that start at `from`.
fn after_attributes(code: &str, from: usize) -> usize {
    let bytes = code.as_bytes();
    let mut at = from;
    loop {
        while at < bytes.len() && bytes[at].is_ascii_whitespace() {
            at += 1;
        }
        if !code[at..].starts_with("#[") {
            return at;
        }
        let mut depth = 0_usize;
        while at < bytes.len() {
            match bytes[at] {
                b'[' => depth += 1,
                b']' => depth -= 1,
                _ => {}
            }
            at += 1;
            if depth == 0 && bytes[at - 1] == b']' {
                break;
            }
        }
    }
}

fn statement_end(code: &str, from: usize) -> usize {
    code[from..]
        .find(';')
        .map_or(code.len(), |end| from + end + 1)
}

fn modules(text: &str, code: &str, tests: &[std::ops::Range<usize>]) -> Vec<Module> {
    let mut found = Vec::new();
    let bytes = code.as_bytes();
    for (at, _) in code.match_indices("mod ") {
        let starts = at
            .checked_sub(1)
            .is_none_or(|before| !is_word(bytes[before]));
        let rest = &code[at + 4..];
        let name = identifier(rest);
        if !starts || name.is_empty() || !rest[name.len()..].trim_start().starts_with(';') {
            continue;
        }
        // Strings are blanked in the code, so the attribute's value is read from the text.
        let before = text[..at]
            .trim_end()
            .trim_end_matches("pub(crate)")
            .trim_end_matches("pub")
            .trim_end();
        let attribute = before
            .strip_suffix("\"]")
            .and_then(|head| head.rsplit_once("#[path = \""));
        found.push(Module {
            name: name.to_owned(),
            path_attribute: attribute.map(|(_, path)| path.to_owned()),
            is_test: tests.iter().any(|range| range.contains(&at)),
        });
    }
    found
}

/// The text with comments, strings and characters blanked; line breaks stay.
pub(crate) fn blank_text(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = text_end(bytes, at);
        if end == at {
            at += 1;
            continue;
        }
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    String::from_utf8(out).unwrap()
}

/// Behind the comment, string or character that starts at `at`; `at` itself when none does.
fn text_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let word_before = at > 0 && is_word(bytes[at - 1]);
    if rest.starts_with(b"//") {
        return at
            + rest
                .iter()
                .position(|&byte| byte == b'\n')
                .unwrap_or(rest.len());
    }
    if rest.starts_with(b"/*") {
        return at + block_comment_length(rest);
    }
    if rest.starts_with(b"\"") {
        return at + quoted_length(rest);
    }
    if !word_before && matches!(rest[0], b'r' | b'b' | b'c') {
        return at + prefixed_string_length(rest);
    }
    if rest.starts_with(b"'") {
        return at + character_length(rest);
    }
    at
}

fn block_comment_length(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

/// The length of `"…"`.
fn quoted_length(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 1,
            b'"' => return at + 1,
            _ => {}
        }
        at += 1;
    }
    rest.len()
}

/// The length of `r"…"`, `b"…"`, `br#"…"#`, `b'…'`; 0 if it is none of them.
fn prefixed_string_length(rest: &[u8]) -> usize {
    let prefix = rest
        .iter()
        .take_while(|byte| matches!(byte, b'r' | b'b' | b'c'))
        .count();
    let raw = rest[..prefix].contains(&b'r');
    let hashes = rest[prefix..]
        .iter()
        .take_while(|&&byte| byte == b'#')
        .count();
    match rest.get(prefix + hashes) {
        Some(b'"') if raw => {
            let mut end = b"\"".to_vec();
            end.resize(hashes + 1, b'#');
            let from = prefix + hashes + 1;
            let found = rest[from..]
                .windows(end.len())
                .position(|window| window == end);
            found.map_or(rest.len(), |found| from + found + end.len())
        }
        Some(b'"') if hashes == 0 && prefix <= 2 => prefix + quoted_length(&rest[prefix..]),
        Some(b'\'') if hashes == 0 && &rest[..prefix] == b"b" => {
            prefix + character_length(&rest[prefix..])
        }
        _ => 0,
    }
}

/// The length of `'c'`; 0 for a lifetime.
fn character_length(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        let end = rest.iter().skip(3).position(|&byte| byte == b'\'');
        return end.map_or(rest.len(), |end| end + 4);
    }
    // One character of one to four bytes, then the closing quote.
    let width = match rest.get(1) {
        None => return 0,
        Some(byte) if *byte < 0x80 => 1,
        Some(byte) if *byte < 0xe0 => 2,
        Some(byte) if *byte < 0xf0 => 3,
        Some(_) => 4,
    };
    if rest.get(1 + width) == Some(&b'\'') {
        width + 2
    } else {
        0
    }
}
