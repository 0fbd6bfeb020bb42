//! Requests written once and patched in place: the generator sends millions of them and builds none.
//!
//! A command is words; what varies stands in braces:
//!
//! ```text
//!   {random:N}     a number below N, 12 digits        {id:BASE:N}   a number from BASE to BASE+N, its own width
//!   {counter}      0, 1, 2 …, 12 digits               {from:BASE}   BASE, BASE+1 …, its own width
//!   {time}         microseconds since the start of the benchmark, 16 digits
//!   {value:N}      N bytes                            {time:N}      the time, then bytes up to N
//!   {connection}   which connection of the load       WORD*N        the word N times
//! ```

/// What a place in a request is overwritten with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// `base` plus a random number below `count`.
    Random { base: u64, count: u64 },
    /// The next of a row of numbers.
    Counter { base: u64 },
    /// Microseconds.
    Time,
}

#[derive(Clone, Copy, Debug)]
struct Patch {
    at: usize,
    width: usize,
    source: Source,
}

/// Requests as bytes, and what changes in them each time they are sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    patches: Vec<Patch>,
}

/// Digits of a time.
pub(crate) const TIME_WIDTH: usize = 16;
const COUNTER_WIDTH: usize = 12;

/// Random numbers for keys: cheap, and the same in each run.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `limit`.
    #[inline]
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

impl Template {
    /// One command, for the connection with this number.
    ///
    /// # Errors
    /// A text that says what is wrong with `command`.
    pub(crate) fn command(command: &str, connection: usize) -> Result<Self, String> {
        let mut words = Vec::new();
        for word in command.split_whitespace() {
            let (word, times) = match word.rsplit_once("}*") {
                Some((word, times)) => (
                    format!("{word}}}"),
                    times.parse().map_err(|_| format!("{word}: not a count"))?,
                ),
                None => (word.to_owned(), 1),
            };
            for _ in 0..times {
                words.push(expand(&word, connection)?);
            }
        }
        let mut whole = Self {
            bytes: format!("*{}\r\n", words.len()).into_bytes(),
            patches: Vec::new(),
        };
        for word in &words {
            whole
                .bytes
                .extend_from_slice(format!("${}\r\n", word.bytes.len()).as_bytes());
            whole.append(word);
            whole.bytes.extend_from_slice(b"\r\n");
        }
        Ok(whole)
    }

    /// Appends another's bytes and patches.
    pub(crate) fn append(&mut self, other: &Template) {
        let offset = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.patches.extend(other.patches.iter().map(|patch| Patch {
            at: patch.at + offset,
            ..*patch
        }));
    }

    /// This, `times` over.
    pub(crate) fn repeated(&self, times: usize) -> Self {
        let mut all = Self::default();
        for _ in 0..times {
            all.append(self);
        }
        all
    }

    /// As it was last patched.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Overwrites what varies.
    #[inline]
    pub(crate) fn patch(&mut self, random: &mut Random, counter: &mut u64, micros: u64) {
        for patch in &self.patches {
            let number = match patch.source {
                Source::Random { base, count } => base + random.below(count),
                Source::Counter { base } => {
                    *counter += 1;
                    base + *counter - 1
                }
                Source::Time => micros,
            };
            write_digits(&mut self.bytes[patch.at..patch.at + patch.width], number);
        }
    }

    fn text(text: &[u8]) -> Self {
        Self {
            bytes: text.to_vec(),
            patches: Vec::new(),
        }
    }

    fn number(width: usize, source: Source) -> Self {
        Self {
            bytes: vec![b'0'; width],
            patches: vec![Patch {
                at: 0,
                width,
                source,
            }],
        }
    }
}

#[inline]
fn write_digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

/// A word with its braces filled in.
fn expand(word: &str, connection: usize) -> Result<Template, String> {
    let mut whole = Template::default();
    let mut rest = word;
    while let Some(open) = rest.find('{') {
        let Some(length) = rest[open..].find('}') else {
            break;
        };
        whole.append(&Template::text(&rest.as_bytes()[..open]));
        let inside = &rest[open + 1..open + length];
        whole.append(&placeholder(inside, connection)?);
        rest = &rest[open + length + 1..];
    }
    whole.append(&Template::text(rest.as_bytes()));
    Ok(whole)
}

fn placeholder(inside: &str, connection: usize) -> Result<Template, String> {
    let mut parts = inside.split(':');
    let name = parts.next().unwrap_or_default();
    let mut number = || -> Result<u64, String> {
        let part = parts
            .next()
            .ok_or(format!("{{{inside}}}: a number is missing"))?;
        part.parse()
            .map_err(|_| format!("{{{inside}}}: {part} is no number"))
    };
    let bytes = |count: u64| vec![b'x'; usize::try_from(count).unwrap_or(0)];
    Ok(match name {
        "random" => Template::number(
            COUNTER_WIDTH,
            Source::Random {
                base: 0,
                count: number()?.max(1),
            },
        ),
        "id" => {
            let (base, count) = (number()?, number()?.max(1));
            Template::number(base.to_string().len(), Source::Random { base, count })
        }
        "counter" => Template::number(COUNTER_WIDTH, Source::Counter { base: 0 }),
        "from" => {
            let base = number()?;
            Template::number(base.to_string().len(), Source::Counter { base })
        }
        "time" => {
            let mut time = Template::number(TIME_WIDTH, Source::Time);
            if let Ok(length) = number() {
                time.append(&Template::text(&bytes(
                    length.saturating_sub(TIME_WIDTH as u64),
                )));
            }
            time
        }
        "value" => Template::text(&bytes(number()?)),
        "connection" => Template::text(connection.to_string().as_bytes()),
        // A hash tag.
        _ => Template::text(format!("{{{inside}}}").as_bytes()),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn sent(command: &str) -> String {
        let mut template = Template::command(command, 7).unwrap();
        let mut counter = 5;
        template.patch(&mut Random::new(1), &mut counter, 42);
        String::from_utf8(template.bytes().to_vec()).unwrap()
    }

    #[test]
    fn words_become_bulks_and_braces_what_they_stand_for() {
        assert_eq!(sent("PING"), "*1\r\n$4\r\nPING\r\n");
        assert_eq!(sent("GET {tag}:a"), "*2\r\n$3\r\nGET\r\n$7\r\n{tag}:a\r\n");
        assert_eq!(
            sent("A k{counter}"),
            "*2\r\n$1\r\nA\r\n$13\r\nk000000000005\r\n"
        );
        assert_eq!(
            sent("A c{connection} {value:3}*2"),
            "*4\r\n$1\r\nA\r\n$2\r\nc7\r\n$3\r\nxxx\r\n$3\r\nxxx\r\n"
        );
        assert_eq!(
            sent("A {time:18}"),
            "*2\r\n$1\r\nA\r\n$18\r\n0000000000000042xx\r\n"
        );
        assert_eq!(sent("A {from:1000}-1"), "*2\r\n$1\r\nA\r\n$6\r\n1005-1\r\n");
        assert!(Template::command("A {value:x}", 0).is_err());
        assert!(Template::command("A {value:1}*x", 0).is_err());
    }

    #[test]
    fn each_repetition_is_patched_by_itself() {
        let mut all = Template::command("A {counter}", 0).unwrap().repeated(2);
        let mut counter = 0;
        all.patch(&mut Random::new(1), &mut counter, 0);
        let text = String::from_utf8(all.bytes().to_vec()).unwrap();
        assert!(text.contains("000000000000") && text.contains("000000000001"));
        assert_eq!(counter, 2);
    }

    #[test]
    fn random_numbers_stay_below_their_limit_and_reach_all_of_it() {
        let mut random = Random::new(3);
        let mut seen = [false; 10];
        for _ in 0..1000 {
            seen[usize::try_from(random.below(10)).unwrap()] = true;
        }
        assert_eq!(seen, [true; 10]);
    }
}
