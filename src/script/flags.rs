//! What a script says of itself: the line `#!lua name=… flags=…`, and the flags of functions.
//!
//! Source: "Script flags" in the documentation of scripting.

use crate::resp::request::split_inline;

/// Flags of a script or a function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ScriptFlags(u8);

impl ScriptFlags {
    /// It changes nothing.
    pub(crate) const NO_WRITES: Self = Self(1);
    /// It may run when the memory is used up.
    pub(crate) const ALLOW_OOM: Self = Self(1 << 1);
    /// It may run on a replica that has lost its primary.
    pub(crate) const ALLOW_STALE: Self = Self(1 << 2);
    /// It does not run in a cluster.
    pub(crate) const NO_CLUSTER: Self = Self(1 << 3);
    /// Its keys may be in several slots.
    pub(crate) const ALLOW_CROSS_SLOT_KEYS: Self = Self(1 << 4);
    /// It says nothing of itself: as it was before there were flags.
    pub(crate) const COMPATIBLE: Self = Self(1 << 5);

    /// Names, in the order in which FUNCTION LIST has them.
    pub(crate) const NAMES: [(&str, Self); 5] = [
        ("no-writes", Self::NO_WRITES),
        ("allow-oom", Self::ALLOW_OOM),
        ("allow-stale", Self::ALLOW_STALE),
        ("no-cluster", Self::NO_CLUSTER),
        ("allow-cross-slot-keys", Self::ALLOW_CROSS_SLOT_KEYS),
    ];

    /// The flag of a name, in any case: of a function.
    pub(crate) fn of_function(name: &[u8]) -> Option<Self> {
        Self::named(&name.to_ascii_lowercase())
    }

    /// The flag of a name.
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        let mut names = Self::NAMES.into_iter();
        names.find_map(|(known, flag)| (known.as_bytes() == name).then_some(flag))
    }

    /// Whether all of `other` are set.
    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The words of the first line, when that begins with `#!`, and the rest, which keeps the line's end so that lines keep their
/// numbers. The words are absent when the line has no end, or no words.
fn split(text: &[u8]) -> Option<(Words, &[u8])> {
    if !text.starts_with(b"#!") {
        return None;
    }
    let Some(end) = text.iter().position(|byte| *byte == b'\n') else {
        return Some((Err(NoWords::NoEnd), text));
    };
    let (line, code) = text.split_at(end);
    Some((split_inline(line).ok_or(NoWords::Quotes), code))
}

/// The words of a first line.
type Words = Result<Vec<Vec<u8>>, NoWords>;

/// Why a first line has no words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NoWords {
    /// It has no end.
    NoEnd,
    /// A quote has no end.
    Quotes,
}

fn text_of(start: &str, word: &[u8]) -> String {
    format!("{start}{}", String::from_utf8_lossy(word))
}

/// The flags of a script of EVAL, and its code.
///
/// # Errors
///
/// The first line is wrong: the text for the client.
pub(crate) fn of_script(text: &[u8]) -> Result<(ScriptFlags, &[u8]), String> {
    let (words, code) = match split(text) {
        None => return Ok((ScriptFlags::COMPATIBLE, text)),
        Some((Err(NoWords::NoEnd), _)) => return Err("Invalid script shebang".into()),
        Some((Err(NoWords::Quotes), _)) => {
            return Err("Invalid engine in script shebang".into());
        }
        Some((Ok(words), code)) => (words, code),
    };
    let mut words = words.into_iter();
    let engine = words.next().unwrap_or_default();
    if engine != b"#!lua" {
        return Err(text_of("Unexpected engine in script shebang: ", &engine));
    }
    let mut flags = ScriptFlags::default();
    for word in words {
        let Some(list) = word.strip_prefix(b"flags=") else {
            return Err(text_of("Unknown lua shebang option: ", &word));
        };
        for name in list
            .split(|byte| *byte == b',')
            .filter(|_| !list.is_empty())
        {
            let flag = ScriptFlags::named(name)
                .ok_or_else(|| text_of("Unexpected flag in script shebang: ", name))?;
            flags = flags.and(flag);
        }
    }
    Ok((flags, code))
}

/// What the first line of a library says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LibraryHead<'t> {
    /// Its name.
    pub(crate) name: Vec<u8>,
    /// What follows.
    pub(crate) code: &'t [u8],
}

/// The first line of a library.
///
/// # Errors
///
/// It is wrong: the text for the client.
pub(crate) fn of_library(text: &[u8]) -> Result<LibraryHead<'_>, String> {
    let (words, code) = match split(text) {
        None => return Err("Missing library metadata".into()),
        Some((Err(_), _)) => return Err("Invalid library metadata".into()),
        Some((Ok(words), code)) => (words, code),
    };
    let mut words = words.into_iter();
    let engine = words.next().unwrap_or_default();
    let engine = engine.get(2..).unwrap_or_default();
    let mut name = None;
    for word in words {
        let (key, value) = word.split_at(word.len().min(5));
        if !key.eq_ignore_ascii_case(b"name=") {
            return Err(text_of("Invalid metadata value given: ", &word));
        }
        if name.replace(value.to_vec()).is_some() {
            return Err("Invalid metadata value, name argument was given multiple times".into());
        }
    }
    let name = name.ok_or("Library name was not given")?;
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    if name.is_empty() || !name.iter().all(is_letter) {
        return Err(
            "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long"
                .into(),
        );
    }
    if !engine.eq_ignore_ascii_case(b"lua") {
        return Err(text_of("Engine '", engine) + "' not found");
    }
    Ok(LibraryHead { name, code })
}
