//! The notation of a row's syntax, parsed to the arguments that COMMAND DOCS describes.
//!
//! ```text
//! name            an argument            [ … ]        may be left out
//! NAME name …     a token before it      < a | b >    one of several; so is [ a | b ]
//! NAME            a token alone          x [x ...]    once or more; so is x ...
//! name:< … >      a group by its name    name=text    an argument that is shown as another word, or a token
//! name@1.2.3      since this version     name~1.2.3   deprecated since this version
//! 'name'          a token in lower case
//! ```
//! The type of an argument follows from the word it is shown as: words are chosen for it. A group of several arguments is a
//! block. What stands behind a name comes in this order; behind a token only its version.

use crate::command::{Command, Flags};

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `string`
    Text,
    /// `integer`
    Integer,
    /// `double`
    Double,
    /// `key`
    Key,
    /// `pattern`
    Pattern,
    /// `unix-time`
    UnixTime,
    /// `pure-token`
    Token,
    /// `oneof`
    OneOf,
    /// `block`
    Block,
}

impl Kind {
    /// As COMMAND DOCS names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Text => "string",
            Kind::Integer => "integer",
            Kind::Double => "double",
            Kind::Key => "key",
            Kind::Pattern => "pattern",
            Kind::UnixTime => "unix-time",
            Kind::Token => "pure-token",
            Kind::OneOf => "oneof",
            Kind::Block => "block",
        }
    }

    /// By the name of the argument, where names mean different things by the command.
    fn of(name: &str, command: &Command) -> Self {
        let is_stream = command.group == "stream";
        let is_lex = command.name.contains("lex") || command.name == "zrangestore";
        match name {
            "key" | "source" | "destination" | "src" | "dst" | "newkey" | "key1" | "key2"
            | "destkey" | "sourcekey" | "storekey" | "storedistkey" => {
                // The key of CLUSTER KEYSLOT is only a text.
                let has_keys = !command.keys.is_empty();
                if has_keys { Kind::Key } else { Kind::Text }
            }
            "pattern" => Kind::Pattern,
            "timeout" if command.flags.has(Flags::BLOCKING) && command.group != "generic" => {
                Kind::Double
            }
            "increment" if command.name.ends_with("float") => Kind::Double,
            "unix-time-seconds" | "unix-time-milliseconds" => Kind::UnixTime,
            "start" | "end" if is_stream => Kind::Text,
            "start" | "stop" if command.name == "zrange" => Kind::Text,
            "score" | "score-min" | "score-max" | "longitude" | "latitude" | "radius" | "width"
            | "height" => Kind::Double,
            "min" | "max" if !is_lex => Kind::Double,
            "bit" | "value" if command.group == "bitmap" => Kind::Integer,
            "timeout" | "count" | "exactly" | "index" | "start" | "end" | "stop" | "seconds"
            | "milliseconds" | "ms" | "numkeys" | "rank" | "num-matches" | "len" | "port"
            | "ttl" | "frequency" | "db" | "destination-db" | "cursor" | "offset" | "increment"
            | "decrement" | "bits" | "numids" | "numfields" | "nummembers" | "num-members"
            | "client-id" | "numreplicas" | "numlocal" | "entries-added" | "entries-read"
            | "limit" | "index1" | "index2" | "protover" | "version" | "slot" | "maxage"
            | "weight" | "start-slot" | "end-slot" | "config-epoch" | "cluster-bus-port"
            | "min-match-len" => Kind::Integer,
            _ => Kind::Text,
        }
    }
}

/// An argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Argument {
    pub(super) name: String,
    /// The word it is shown as.
    pub(super) display: String,
    pub(super) kind: Kind,
    /// The version it appeared in, when it is not its command's.
    pub(super) since: Option<String>,
    /// Since when it is deprecated.
    pub(super) deprecated_since: Option<String>,
    /// The word in front of it, or that it is.
    pub(super) token: Option<String>,
    pub(super) is_optional: bool,
    pub(super) is_multiple: bool,
    /// Whether the token is repeated too.
    pub(super) repeats_token: bool,
    /// Of a block or choice.
    pub(super) arguments: Vec<Argument>,
}

impl Argument {
    fn new(name: &str, kind: Kind) -> Self {
        Self {
            name: name.to_owned(),
            display: name.to_owned(),
            kind,
            since: None,
            deprecated_since: None,
            token: None,
            is_optional: false,
            is_multiple: false,
            repeats_token: false,
            arguments: Vec::new(),
        }
    }

    /// A word that stands for a value.
    fn value(word: &str, command: &Command) -> Self {
        let (word, deprecated_since) = split(word, '~');
        let (word, since) = split(word, '@');
        let (name, display) = split(word, '=');
        let display = display.unwrap_or(name);
        let mut argument = if is_token(display) {
            let mut token = Self::token(display);
            token.rename(name);
            token
        } else {
            let mut value = Self::new(name, Kind::of(display, command));
            value.display = display.to_owned();
            value
        };
        argument.since = since.map(str::to_owned);
        argument.deprecated_since = deprecated_since.map(str::to_owned);
        argument
    }

    fn token(word: &str) -> Self {
        let (word, since) = split(word, '@');
        let name = match word {
            "=" => "equal".to_owned(),
            "~" => "approximately".to_owned(),
            "*" => "auto-id".to_owned(),
            "$" => "new-id".to_owned(),
            word => word.trim_matches('\'').to_ascii_lowercase(),
        };
        let mut argument = Self::new(&name, Kind::Token);
        argument.token = Some(word.trim_matches('\'').to_owned());
        argument.since = since.map(str::to_owned);
        argument
    }

    fn rename(&mut self, name: &str) {
        self.name = name.to_owned();
        self.display = name.to_owned();
    }

    /// A group by the name that stands before it.
    fn named(mut self, name: &str) -> Self {
        let (name, since) = split(name, '@');
        self.rename(name);
        self.since = since.map(str::to_owned);
        self
    }

    /// Several arguments as one: the one itself, or a block named after its first.
    fn joined(mut arguments: Vec<Argument>, kind: Kind) -> Self {
        if arguments.len() == 1 {
            return arguments.remove(0);
        }
        let name = match kind {
            Kind::OneOf => "option",
            _ => arguments.first().map_or("", |first| first.name.as_str()),
        };
        let mut argument = Self::new(name, kind);
        argument.arguments = arguments;
        argument
    }
}

/// What is before a mark, and what is behind it. A word that begins with the mark is one.
fn split(word: &str, mark: char) -> (&str, Option<&str>) {
    match word.split_once(mark) {
        Some((before, behind)) if !before.is_empty() => (before, Some(behind)),
        _ => (word, None),
    }
}

/// Where the bracket that opens a group ends, with its name; `None` when the word does not go on behind one.
fn opening(word: &str) -> Option<usize> {
    let end = if word.starts_with(['[', '<']) {
        1
    } else {
        word.find(":<")? + 2
    };
    (end < word.len()).then_some(end)
}

/// Whether a word is written as it stands, not replaced by a value.
fn is_token(word: &str) -> bool {
    word.starts_with('\'') || !word.chars().any(|letter| letter.is_ascii_lowercase())
}

/// Reads words from the left.
struct Parser<'a> {
    command: &'a Command,
    words: Vec<&'a str>,
    at: usize,
}

impl<'a> Parser<'a> {
    fn new(command: &'a Command) -> Self {
        let mut words = Vec::new();
        for mut word in command.syntax.split_whitespace() {
            while let Some(end) = opening(word) {
                words.push(&word[..end]);
                word = &word[end..];
            }
            let inner = word.trim_end_matches([']', '>']);
            // A bracket alone, or nothing but brackets, is its own word.
            if !inner.is_empty() {
                words.push(inner);
            }
            words.extend((inner.len()..word.len()).map(|at| &word[at..=at]));
        }
        Self {
            command,
            words,
            at: 0,
        }
    }

    fn next(&self) -> Option<&'a str> {
        self.words.get(self.at).copied()
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.next() == Some(word);
        self.at += usize::from(found);
        found
    }

    /// At `<` or `name:<`: what is up to its `>`, as one argument.
    fn group(&mut self) -> Option<Argument> {
        let name = self.next()?.strip_suffix(":<");
        self.at += 1;
        let group = self.alternatives();
        self.take(">");
        match name {
            Some(name) => group.map(|group| group.named(name)),
            None => group,
        }
    }

    /// Alternatives up to a closing bracket or the end, as one argument.
    fn alternatives(&mut self) -> Option<Argument> {
        let mut choices = Vec::new();
        loop {
            let sequence = self.sequence();
            if !sequence.is_empty() {
                choices.push(Argument::joined(sequence, Kind::Block));
            }
            if !self.take("|") {
                break;
            }
        }
        (!choices.is_empty()).then(|| Argument::joined(choices, Kind::OneOf))
    }

    /// Arguments up to `|`, a closing bracket or the end.
    fn sequence(&mut self) -> Vec<Argument> {
        let mut arguments: Vec<Argument> = Vec::new();
        while let Some(word) = self.next() {
            match word {
                "|" | "]" | ">" => break,
                "[" => {
                    if let Some(count) = self.repeated(&arguments) {
                        let repeated = arguments.split_off(arguments.len() - count);
                        let mut repeated = Argument::joined(repeated, Kind::Block);
                        repeated.is_multiple = true;
                        arguments.push(repeated);
                        continue;
                    }
                    self.at += 1;
                    let inner = self.alternatives();
                    self.take("]");
                    arguments.extend(inner.map(|mut inner| {
                        inner.is_optional = true;
                        inner
                    }));
                }
                word if word.ends_with('<') => arguments.extend(self.group()),
                "..." => {
                    self.at += 1;
                    if let Some(last) = arguments.last_mut() {
                        last.is_multiple = true;
                    }
                }
                word if is_token(word) => arguments.push(self.token(word)),
                word => {
                    self.at += 1;
                    arguments.push(Argument::value(word, self.command));
                }
            }
        }
        arguments
    }

    /// A token with what follows it: values, or a choice.
    fn token(&mut self, word: &str) -> Argument {
        self.at += 1;
        let mut values: Vec<Argument> = Vec::new();
        loop {
            match self.next() {
                Some(word) if word.ends_with('<') && values.is_empty() => {
                    values.extend(self.group())
                }
                Some("[") => match self.repeated(&values) {
                    Some(count) => {
                        let repeated = values.split_off(values.len() - count);
                        let mut repeated = Argument::joined(repeated, Kind::Block);
                        repeated.is_multiple = true;
                        values.push(repeated);
                    }
                    None => break,
                },
                Some(word)
                    if !matches!(word, "|" | "]" | ">")
                        && !word.ends_with('<')
                        && !is_token(word) =>
                {
                    self.at += 1;
                    values.push(Argument::value(word, self.command));
                }
                _ => break,
            }
        }
        if values.is_empty() {
            return Argument::token(word);
        }
        let is_block = values.len() > 1;
        let mut argument = Argument::joined(values, Kind::Block);
        if is_block {
            argument.rename(&word.to_ascii_lowercase());
        }
        if word == "IDLE" {
            argument.kind = Kind::Integer;
        }
        argument.token = Some(word.to_owned());
        if self.repeats(word) {
            argument.is_multiple = true;
            argument.repeats_token = true;
        }
        argument
    }

    /// At `[TOKEN x ...]` behind `TOKEN x`: moves over it.
    fn repeats(&mut self, token: &str) -> bool {
        let rest = self.words.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|word| *word == "...");
        let found = rest.first() == Some(&"[") && rest.get(1) == Some(&token);
        match end {
            Some(end) if found && rest.get(end + 1) == Some(&"]") => {
                self.at += end + 2;
                true
            }
            _ => false,
        }
    }

    /// At `[x y ...]` behind `x y`: moves over it and gives how many arguments it repeats.
    fn repeated(&mut self, before: &[Argument]) -> Option<usize> {
        let rest = self.words.get(self.at + 1..)?;
        let count = rest.iter().position(|word| *word == "...")?;
        let names = rest.get(..count)?;
        let last = before.get(before.len().checked_sub(count)?..)?;
        let same = names
            .iter()
            .zip(last)
            .all(|(name, argument)| *name == argument.name);
        if count == 0 || !same || rest.get(count + 1) != Some(&"]") {
            return None;
        }
        self.at += count + 3;
        Some(count)
    }
}

/// The arguments of a command.
pub(super) fn arguments(command: &Command) -> Vec<Argument> {
    Parser::new(command).sequence()
}

/// Whether brackets and repetitions fit.
#[cfg(test)]
pub(super) fn is_read_to_its_end(command: &Command) -> bool {
    let mut parser = Parser::new(command);
    let arguments = parser.sequence();
    parser.at == parser.words.len() && command.syntax.is_empty() == arguments.is_empty()
}
