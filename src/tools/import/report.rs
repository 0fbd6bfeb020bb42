//! What an import did: counts, and the first of what went wrong.
//!
//! Invariants: each key that was looked at is counted in exactly one column; what went wrong is counted in full and kept up to
//! a limit, so that a million refused keys take no memory.
//!
//! Deliberately not here: deciding what is wrong.

use std::time::Duration;

/// How many keys of a kind are named.
const LISTED_MAX: usize = 20;

/// Things that went wrong: how many, and the first of them as sentences.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) count: u64,
    first: Vec<String>,
}

impl Listed {
    /// One more.
    pub(super) fn add(&mut self, sentence: String) {
        self.count += 1;
        if self.first.len() < LISTED_MAX {
            self.first.push(sentence);
        }
    }

    /// The sentences, and one more for those that are only counted.
    fn sentences(&self) -> Vec<String> {
        let mut sentences = self.first.clone();
        let others = self.count - self.first.len() as u64;
        if others > 0 {
            sentences.push(format!("and {} more like the last one", grouped(others)));
        }
        sentences
    }
}

/// What comparing a database said.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// Keys of the source that were looked for in the target.
    pub(super) key_count: u64,
    /// Of these, keys that the target has and that a sample is taken from.
    pub(super) there_count: u64,
    /// Values that were compared.
    pub(super) value_count: u64,
    /// Of these, all of the keys looked at before a sample was taken: the servers' digests were no use.
    pub(super) whole_count: u64,
    /// All values by digest; else one of so many by content.
    pub(super) by_digest: bool,
    pub(super) every: u64,
    pub(super) missing: Listed,
    pub(super) different: Listed,
    pub(super) unknown: Listed,
}

/// What was done with a database.
#[derive(Debug, Default)]
pub(super) struct DatabaseReport {
    pub(super) number: u32,
    pub(super) copied: u64,
    /// In the target already, with the same value.
    pub(super) same: u64,
    /// Ended or deleted between being found and being read.
    pub(super) gone: u64,
    /// In the target already, with another value.
    pub(super) conflicts: Listed,
    pub(super) refused: Listed,
    /// Keys of source and target at the end.
    pub(super) sizes: Option<(u64, u64)>,
    pub(super) compared: Option<Compared>,
}

/// What was done with functions.
#[derive(Debug, Default)]
pub(super) struct FunctionsReport {
    pub(super) copied: u64,
    pub(super) same: u64,
    pub(super) not_copied: Listed,
}

/// The whole import.
#[derive(Debug, Default)]
pub(super) struct ImportReport {
    pub(super) databases: Vec<DatabaseReport>,
    pub(super) functions: FunctionsReport,
    /// Of payloads.
    pub(super) bytes: u64,
}

impl DatabaseReport {
    fn wrong(&self) -> Vec<&Listed> {
        let mut wrong = vec![&self.conflicts, &self.refused];
        if let Some(compared) = &self.compared {
            wrong.extend([&compared.missing, &compared.different, &compared.unknown]);
        }
        wrong
    }

    fn copied_line(&self) -> String {
        let mut line = format!("db{}: {} copied", self.number, keys(self.copied));
        let rest = [
            (self.same, "in the target already with the same value"),
            (
                self.conflicts.count,
                "in the target already with another value",
            ),
            (self.refused.count, "refused"),
            (self.gone, "ended or deleted meanwhile"),
        ];
        for (count, what) in rest {
            if count > 0 {
                line.push_str(&format!(", {} {what}", grouped(count)));
            }
        }
        line
    }

    fn compared_line(&self) -> Option<String> {
        let (source, target) = self.sizes?;
        let mut line = format!(
            "db{}: {} in the source, {} in the target",
            self.number,
            keys(source),
            grouped(target)
        );
        if let Some(compared) = &self.compared {
            line.push_str(&format!("; {}", compared.line()));
        }
        Some(line)
    }
}

impl Compared {
    /// Which values were compared, and how.
    fn how(&self) -> String {
        let is_all = self.value_count + self.missing.count >= self.key_count;
        let (whole, every) = (grouped(self.whole_count), grouped(self.every));
        match (self.by_digest, self.every, self.whole_count) {
            (true, _, _) => "all, by digest".to_owned(),
            (false, every, _) if is_all || every == 1 => "all, by content".to_owned(),
            (false, _, 0) => format!("one key in {every}, by content"),
            // A sample of none.
            (false, _, count) if count == self.value_count => {
                format!("the first {whole}, by content")
            }
            (false, _, _) => format!("the first {whole}, then one key in {every}, by content"),
        }
    }

    fn line(&self) -> String {
        let there = match self.missing.count {
            0 => format!("all {} looked for are there", grouped(self.key_count)),
            missing => format!(
                "{} of {} are not there",
                grouped(missing),
                grouped(self.key_count)
            ),
        };
        let how = self.how();
        let mut line = format!("{there}; {} compared", values(self.value_count));
        if self.value_count > 0 {
            line.push_str(&format!(" ({how})"));
            line.push_str(&match self.different.count {
                0 => ", no difference".to_owned(),
                different => format!(", {} differ", grouped(different)),
            });
        }
        if self.unknown.count > 0 {
            line.push_str(&format!(", {} not comparable", grouped(self.unknown.count)));
        }
        line
    }
}

impl ImportReport {
    /// Whether everything is copied and, as far as it was compared, the same.
    pub(super) fn is_complete(&self) -> bool {
        self.wrong().iter().all(|listed| listed.count == 0)
    }

    /// What went wrong, in sentences.
    pub(super) fn complaints(&self) -> Vec<String> {
        self.wrong()
            .iter()
            .flat_map(|listed| listed.sentences())
            .collect()
    }

    fn wrong(&self) -> Vec<&Listed> {
        let databases = self.databases.iter().flat_map(DatabaseReport::wrong);
        databases.chain([&self.functions.not_copied]).collect()
    }

    /// What was done, in lines.
    pub(super) fn lines(&self, took: Duration, whence: &str) -> Vec<String> {
        let mut lines: Vec<String> = self
            .databases
            .iter()
            .map(DatabaseReport::copied_line)
            .collect();
        lines.extend(
            self.databases
                .iter()
                .filter_map(DatabaseReport::compared_line),
        );
        let functions = &self.functions;
        if functions.copied + functions.same + functions.not_copied.count > 0 {
            lines.push(format!(
                "function libraries: {} copied, {} in the target already, {} not copied",
                functions.copied, functions.same, functions.not_copied.count
            ));
        }
        let copied = self.databases.iter().map(|database| database.copied).sum();
        lines.push(format!(
            "{} copied from {whence} in {:.1} s; {} read",
            keys(copied),
            took.as_secs_f64(),
            bytes_shown(self.bytes)
        ));
        lines
    }
}

/// So many keys, in words.
pub(super) fn keys(count: u64) -> String {
    match count {
        1 => "1 key".to_owned(),
        count => format!("{} keys", grouped(count)),
    }
}

fn values(count: u64) -> String {
    match count {
        0 => "no values".to_owned(),
        1 => "1 value".to_owned(),
        count => format!("{} values", grouped(count)),
    }
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes with a unit, for a person.
pub(super) fn bytes_shown(bytes: u64) -> String {
    let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match units.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} bytes"),
    }
}

/// A key for a person's eyes: as it is where it is printable text, else with escapes, in quotes.
pub(super) fn shown(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if !text.chars().any(char::is_control) => format!("'{text}'"),
        _ => format!("\"{}\"", key.escape_ascii()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(bytes_shown(999), "999 bytes");
        assert_eq!(bytes_shown(34_560_000), "34.6 MB");
    }

    #[test]
    fn keys_cannot_play_with_the_terminal() {
        assert_eq!(shown("schlüssel 1".as_bytes()), "'schlüssel 1'");
        assert_eq!(shown(b"\x1b[2J"), "\"\\x1b[2J\"");
        assert_eq!(shown(b"\xff\x00"), "\"\\xff\\x00\"");
    }

    #[test]
    fn what_went_wrong_is_named_twenty_times_and_counted() {
        let mut database = DatabaseReport::default();
        for n in 0..1_025 {
            database.refused.add(format!("key {n}"));
        }
        let report = ImportReport {
            databases: vec![database],
            ..ImportReport::default()
        };
        assert!(!report.is_complete());
        let complaints = report.complaints();
        assert_eq!(complaints.len(), 21);
        assert_eq!(
            complaints.last().map(String::as_str),
            Some("and 1,005 more like the last one")
        );
    }

    #[test]
    fn a_line_says_what_was_compared_and_how() {
        let mut compared = Compared {
            key_count: 10_000,
            value_count: 1_000,
            every: 10,
            ..Compared::default()
        };
        assert_eq!(
            compared.line(),
            "all 10,000 looked for are there; 1,000 values compared (one key in 10, by content), no difference"
        );
        compared.whole_count = 300;
        assert!(
            compared
                .line()
                .contains("1,000 values compared (the first 300, then one key in 10, by content)"),
            "{}",
            compared.line()
        );
        compared.whole_count = 1_000;
        assert!(
            compared.line().contains("(the first 1,000, by content)"),
            "{}",
            compared.line()
        );
        compared.key_count = 1_000;
        assert!(
            compared.line().contains("(all, by content)"),
            "{}",
            compared.line()
        );
        compared.key_count = 10_000;
        compared.by_digest = true;
        compared.missing.add(String::new());
        compared.different.add(String::new());
        assert_eq!(
            compared.line(),
            "1 of 10,000 are not there; 1,000 values compared (all, by digest), 1 differ"
        );
    }
}
