//! The pattern functions against stock Lua 5.1.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod hostile;

use std::cell::Cell;
use std::convert::Infallible;

use mlua::{Lua, Value as LuaValue};
use proptest::prelude::*;

use super::*;

/// A Lua value as the four functions return them.
#[derive(Clone, PartialEq, Debug)]
enum Value {
    Nil,
    Number(usize),
    Text(String),
}

/// The values of a call, or its error text.
type Outcome = Result<Vec<Value>, String>;

/// Bytes as text that a failed test can show, zero bytes included.
fn text(bytes: &[u8]) -> Value {
    Value::Text(bytes.escape_ascii().to_string())
}

fn value(subject: &[u8], capture: Capture) -> Value {
    match capture {
        Capture::Text(range) => text(&subject[range]),
        Capture::Position(position) => Value::Number(position),
    }
}

fn message<E>(error: PatternError<E>) -> String {
    match error {
        PatternError::Malformed(malformed) => malformed.text().to_owned(),
        PatternError::TooComplex => TOO_COMPLEX.to_owned(),
        PatternError::Stopped(_) => "stopped".to_owned(),
    }
}

/// The four functions on this matcher. Each call fails after `ticks_max` ticks.
struct Ours {
    matcher: Matcher,
    ticks_max: usize,
}

impl Ours {
    fn new(ticks_max: usize) -> Ours {
        Ours {
            matcher: Matcher::new(),
            ticks_max,
        }
    }

    fn find(&mut self, subject: &[u8], pattern: &[u8], init: i64, plain: bool) -> Outcome {
        let from = start_of(init, subject.len());
        if plain || !has_specials(pattern) {
            let Ok(found) = find_plain(subject, pattern, from, &mut || Ok::<_, Infallible>(()));
            return Ok(match found {
                Some(at) => vec![Value::Number(at + 1), Value::Number(at + pattern.len())],
                None => vec![Value::Nil],
            });
        }
        let mut ticks = ticks(self.ticks_max);
        let found = self
            .matcher
            .find(subject, pattern, from, Caret::Anchor, &mut ticks);
        let Some(found) = found.map_err(message)? else {
            return Ok(vec![Value::Nil]);
        };
        let mut values = vec![
            Value::Number(found.range.start + 1),
            Value::Number(found.range.end),
        ];
        values.extend(captures(subject, found, found.count())?);
        Ok(values)
    }

    fn matched(&mut self, subject: &[u8], pattern: &[u8], init: i64) -> Outcome {
        let from = start_of(init, subject.len());
        let mut ticks = ticks(self.ticks_max);
        let found = self
            .matcher
            .find(subject, pattern, from, Caret::Anchor, &mut ticks);
        match found.map_err(message)? {
            Some(found) => captures(subject, found, found.value_count()),
            None => Ok(vec![Value::Nil]),
        }
    }

    fn gmatch(&mut self, subject: &[u8], pattern: &[u8]) -> Outcome {
        let mut ticks = ticks(self.ticks_max);
        let mut walk = Gmatch::new();
        let mut values = Vec::new();
        while let Some(found) = walk
            .next(&mut self.matcher, subject, pattern, &mut ticks)
            .map_err(message)?
        {
            values.extend(captures(subject, found, found.value_count())?);
        }
        Ok(values)
    }

    fn gsub(&mut self, subject: &[u8], pattern: &[u8], new: &[u8], limit: Option<i64>) -> Outcome {
        let mut ticks = ticks(self.ticks_max);
        let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(0));
        let mut walk = Gsub::new(limit);
        let mut out = Vec::new();
        while let Some(found) = walk
            .next(&mut self.matcher, subject, pattern, &mut out, &mut ticks)
            .map_err(message)?
        {
            expand(new, subject, found, &mut out, usize::MAX).map_err(|error| match error {
                ExpandError::Malformed(malformed) => malformed.text(),
                ExpandError::TooLarge => "too large",
            })?;
        }
        Ok(vec![text(&out), Value::Number(walk.count())])
    }
}

fn lua_value(value: LuaValue) -> Value {
    match value {
        LuaValue::Nil => Value::Nil,
        LuaValue::Integer(number) => Value::Number(number as usize),
        LuaValue::Number(number) => Value::Number(number as usize),
        LuaValue::String(string) => text(&string.as_bytes()),
        other => panic!("{other:?}"),
    }
}

fn captures(subject: &[u8], found: &Found, count: usize) -> Outcome {
    (0..count)
        .map(|index| match found.capture(index) {
            Ok(capture) => Ok(value(subject, capture)),
            Err(malformed) => Err(malformed.text().to_owned()),
        })
        .collect()
}

fn ticks(max: usize) -> impl FnMut() -> Result<(), ()> {
    let mut left = max;
    move || {
        left = left.checked_sub(1).ok_or(())?;
        Ok(())
    }
}

/// Stock Lua.
struct Stock {
    lua: Lua,
}

impl Stock {
    fn new() -> Stock {
        let lua = Lua::new();
        lua.load(
            "function all(s, p)
                 local values, count = {}, 0
                 local function take(first, ...)
                     if first == nil then return false end
                     for _, value in ipairs({first, ...}) do
                         count = count + 1
                         values[count] = value
                     end
                     return true
                 end
                 local walk = string.gmatch(s, p)
                 while take(walk()) do end
                 return unpack(values)
             end",
        )
        .exec()
        .unwrap();
        Stock { lua }
    }

    fn call(&self, function: &str, arguments: impl mlua::IntoLuaMulti) -> Outcome {
        // The results travel in a table: pcall itself has no room for very many.
        let call = format!(
            "local function count(...) return {{n = select('#', ...), ...}} end
             return pcall(function(...) return count({function}(...)) end, ...)"
        );
        let (good, result): (bool, LuaValue) = self.lua.load(call).call(arguments).unwrap();
        match result {
            LuaValue::Table(table) if good => {
                let count: usize = table.get("n").unwrap();
                Ok((1..=count)
                    .map(|index| lua_value(table.get(index).unwrap()))
                    .collect())
            }
            LuaValue::String(message) if !good => {
                // Lua puts the place of the call before the message.
                let message = message.to_string_lossy();
                Err(message.rsplit(": ").next().unwrap_or_default().to_owned())
            }
            other => panic!("{other:?}"),
        }
    }

    fn find(&self, subject: &[u8], pattern: &[u8], init: i64, plain: bool) -> Outcome {
        self.call("string.find", (bytes(subject), bytes(pattern), init, plain))
    }

    fn matched(&self, subject: &[u8], pattern: &[u8], init: i64) -> Outcome {
        self.call("string.match", (bytes(subject), bytes(pattern), init))
    }

    fn gmatch(&self, subject: &[u8], pattern: &[u8]) -> Outcome {
        self.call("all", (bytes(subject), bytes(pattern)))
    }

    fn gsub(&self, subject: &[u8], pattern: &[u8], new: &[u8], limit: Option<i64>) -> Outcome {
        self.call(
            "string.gsub",
            (bytes(subject), bytes(pattern), bytes(new), limit),
        )
    }
}

fn bytes(bytes: &[u8]) -> mlua::BString {
    bytes.into()
}

/// The same call on both sides, for each function. False if it was too long to compare.
fn same(subject: &[u8], pattern: &[u8], init: i64, new: &[u8], limit: Option<i64>) -> bool {
    thread_local! {
        static STOCK: Stock = Stock::new();
    }
    // One matcher for all calls, so that kept programs meet other patterns; but shared by
    // nothing that fails.
    let mut ours = Ours::new(50);
    let stopped = Err("stopped".to_owned());
    STOCK.with(|stock| {
        let found = ours.find(subject, pattern, init, false);
        if found == stopped {
            return false;
        }
        let case = (
            subject.escape_ascii().to_string(),
            pattern.escape_ascii().to_string(),
            init,
        );
        assert_eq!(
            found,
            stock.find(subject, pattern, init, false),
            "find {case:?}"
        );
        let plain = ours.find(subject, pattern, init, true);
        assert_eq!(
            plain,
            stock.find(subject, pattern, init, true),
            "plain {case:?}"
        );
        let matched = ours.matched(subject, pattern, init);
        assert_eq!(
            matched,
            stock.matched(subject, pattern, init),
            "match {case:?}"
        );
        let all = ours.gmatch(subject, pattern);
        if all == stopped {
            return false;
        }
        assert_eq!(all, stock.gmatch(subject, pattern), "gmatch {case:?}");
        let replaced = ours.gsub(subject, pattern, new, limit);
        if replaced == stopped {
            return false;
        }
        let (new, expected) = (new.escape_ascii(), stock.gsub(subject, pattern, new, limit));
        assert_eq!(replaced, expected, "gsub {case:?} {new} {limit:?}");
        true
    })
}

fn agree(subject: &str, pattern: &str) {
    assert!(
        same(subject.as_bytes(), pattern.as_bytes(), 1, b"<%0>", None),
        "too long"
    );
    assert!(
        same(
            subject.as_bytes(),
            pattern.as_bytes(),
            -3,
            b"<%1%%%2>",
            Some(2)
        ),
        "too long"
    );
}

/// Pieces of patterns, whole and broken.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let whole = prop::sample::select(vec![
        "a", "b", "ab", "aab", ".", "-", "=", "%a", "%d", "%A", "%w", "%s", "%p", "%z", "%Z", "%x",
        "%c", "%l", "%u", "%.", "%%", "%-", "%(", "[ab]", "[^a]", "[^ab]", "[a-c]", "[%d=]", "[]]",
        "[^]a]", "[-a]", "[a-]", "[%a-z]", "[a-%%]", "[^%s]", "[^%z]", "[%]a]", "[^-b]", "[=-a]",
    ]);
    let sign = prop::sample::select(vec!["", "", "", "*", "+", "-", "?"]);
    let rare = prop::sample::select(vec![
        "%b()", "%bab", "%baa", "%f[a]", "%f[^a]", "%f[%z]", "%f[%w]", "$", "^", "%1", "%2", "%0",
        "%9", "()", "\0", "%b", "%ba", "%f", "%fa", "%", "[", "[^", "[]", "[a", "[%", "[a%]",
        "[a-", "*", "+", "?", "]", ")", "(", "%f[", "[\0]", "%\0", "%b\0a", "%ba\0", "a\0*",
    ]);
    prop_oneof![
        12 => (whole, sign).prop_map(|(item, sign)| [item, sign].concat().into_bytes()),
        2 => Just(b"(".to_vec()),
        2 => Just(b")".to_vec()),
        2 => prop::sample::select(vec!["(a*)", "(.-)", "(b+)", "([^=]*)", "()", "%1"])
            .prop_map(|item| item.as_bytes().to_vec()),
        2 => rare.prop_map(|item| item.as_bytes().to_vec()),
    ]
}

/// A whole pattern of groups and back references, over two letters so that it matches.
fn groups() -> impl Strategy<Value = Vec<u8>> {
    let item = prop::sample::select(vec![
        "a", "b", "a*", "b-", ".-", ".*", "[ab]+", "[^a]*", ".?", "a?", "b+", "ab", "%a-", "()",
    ]);
    let group = (prop::collection::vec(item, 1..4), 0..5).prop_map(|(items, kind)| {
        let items = items.concat();
        match kind {
            0 => items,
            1 => format!("{items}%1"),
            2 => format!("({items})%2"),
            _ => format!("({items})"),
        }
    });
    prop::collection::vec(group, 1..5).prop_map(|groups| groups.concat().into_bytes())
}

fn pattern() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (prop::bool::weighted(0.15), prop::collection::vec(piece(), 0..7)).prop_map(
            |(anchored, pieces)| {
                let mut pattern = pieces.concat();
                if anchored {
                    pattern.insert(0, b'^');
                }
                pattern
            }
        ),
        2 => groups(),
        1 => prop::collection::vec(
            prop::sample::select(b"ab()%%.[]^$*+-?1bf\0=".to_vec()), 0..10),
    ]
}

fn subject() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(prop::sample::select(b"aaabbb=()1\0-] A".to_vec()), 0..14),
        2 => prop::collection::vec(prop::sample::select(b"ab".to_vec()), 0..20),
        1 => prop::collection::vec(any::<u8>(), 0..14),
    ]
}

fn replacement() -> impl Strategy<Value = Vec<u8>> {
    let part = prop::sample::select(vec![
        "x", "%0", "%1", "%2", "%%", "%a", "%", "\0", "%9", "", "%3", "<>",
    ]);
    prop::collection::vec(part, 0..4).prop_map(|parts| parts.concat().into_bytes())
}

proptest! {
    #![proptest_config(crate::property::cases(4000))]

    #[test]
    fn every_call_gives_what_stock_lua_gives(
        subject in subject(),
        pattern in pattern(),
        init in -16i64..18,
        replacement in replacement(),
        limit in prop::option::of(-1i64..6),
    ) {
        same(&subject, &pattern, init, &replacement, limit);
    }

    #[test]
    fn one_matcher_gives_the_same_for_all_its_patterns(
        calls in prop::collection::vec((subject(), pattern()), 1..30),
    ) {
        let mut shared = Ours::new(50);
        for (subject, pattern) in calls.iter().chain(&calls) {
            let alone = Ours::new(50).matched(subject, pattern, 1);
            // The steps before the first tick depend on what came before.
            if alone != Err("stopped".to_owned()) {
                shared.ticks_max = 100;
                prop_assert_eq!(shared.matched(subject, pattern, 1), alone);
            }
        }
    }
}

proptest! {
    #![proptest_config(crate::property::cases(100))]

    #[test]
    fn plain_text_is_found_across_chunks(
        before in 65_500usize..65_560,
        needle in prop::collection::vec(prop::sample::select(b"ab".to_vec()), 1..80),
        long in prop::bool::ANY,
    ) {
        let mut needle = needle;
        needle.push(b'c');
        if long {
            needle = needle.iter().cycle().take(200_000).copied().collect();
        }
        let mut subject = b"a".repeat(before * if long { 6 } else { 1 });
        let at = subject.len();
        subject.extend_from_slice(&needle);
        let count = Cell::new(0);
        let mut tick = || { count.set(count.get() + 1); Ok::<_, Infallible>(()) };
        let Ok(found) = find_plain(&subject, &needle, 0, &mut tick);
        let naive = memchr::memmem::find(&subject, &needle);
        prop_assert_eq!(found, naive);
        prop_assert!(found.is_some_and(|found| found <= at));
    }
}

#[test]
fn each_byte_is_in_the_classes_that_c_says() {
    let all: Vec<u8> = (0..=u8::MAX).collect();
    for letter in 0..=u8::MAX {
        same(&all, &[b'%', letter], 1, b"<%0>", None);
        same(&all, &[b'[', b'%', letter, b']'], 1, b"<%0>", None);
        same(
            &all,
            &[b'[', b'^', letter, b'-', b'z', b']'],
            1,
            b"<%0>",
            None,
        );
        same(&all, &[letter], 1, b"<%0>", None);
    }
}

#[test]
fn known_habits_are_kept() {
    let same_all = |cases: &[(&str, &str)]| {
        for (subject, pattern) in cases {
            agree(subject, pattern);
        }
    };
    same_all(&[
        ("hello world", "o w"),
        ("hello", ""),
        ("", ""),
        ("", ".*"),
        ("abc", "%w*"),
        ("abc", "b*"),
        ("key = value", "^(%w+)%s*=%s*(%w+)$"),
        ("a\0b", "a\0b"),
        ("a\0b", "a%z"),
        ("a\0b", "a.\0x"),
        ("a\0b", "[\0]"),
        ("a\0b", "a\0%"),
        ("^ab^a", "^a"),
        ("^ab^a", "%^a"),
        ("THE (quick) fox", "%((%a+)%)"),
        ("THE (quick) fox", "%f[%a]%a+%f[%A]"),
        ("f(a(b)c)d)", "%b()"),
        ("xaxax", "%bxx"),
        ("abab", "(ab)%1"),
        ("abab", "()ab%1"),
        // A later start can match where `.-` from the first one cannot.
        ("xabac", "(.-)b%1c"),
        ("xabac", ".-(.)b%1c"),
        ("xabac", "(.*)b%1c"),
        ("ab", "(a%1)"),
        ("ab", "%1"),
        ("ab", "%0"),
        ("ab", "(a"),
        ("ab", "a)"),
        ("ab", "((a)(b"),
        ("a$b", "a$b"),
        ("a$", "a$$"),
        ("ab", "a$\0b"),
        ("a", "a%"),
        ("b", "a%"),
        ("a", "a[b"),
        ("a", "a[]"),
        ("a", "a%b"),
        ("a", "a%f"),
        ("x]", "[a-%%]"),
        ("a-z", "[%a-z]+"),
        ("**", "**"),
        ("a+", "a++"),
        ("1.5e3", "^[+-]?%d*%.?%d*[eE]?[+-]?%d*$"),
    ]);
}

#[test]
fn captures_are_limited_to_thirty_two() {
    let subject = "a".repeat(40);
    for count in [31, 32, 33] {
        let (open, pair) = ("(a".repeat(count), "(a)".repeat(count));
        for pattern in [open, pair, "()".repeat(count)] {
            let mut ours = Ours::new(50);
            let stock = Stock::new();
            let (subject, pattern) = (subject.as_bytes(), pattern.as_bytes());
            assert_eq!(
                ours.find(subject, pattern, 1, false),
                stock.find(subject, pattern, 1, false)
            );
            let replaced = ours.gsub(subject, pattern, b"%9", None);
            assert_eq!(replaced, stock.gsub(subject, pattern, b"%9", None));
        }
    }
}

#[test]
fn long_subjects_give_what_stock_lua_gives() {
    let (ours, stock) = (&mut Ours::new(usize::MAX), &Stock::new());
    let a = "a".repeat(100_000);
    let few = "a".repeat(5_000);
    let mixed = "ab=c,".repeat(2_000) + "x" + &"ab=c,".repeat(2_000);
    let doubled = "abc".repeat(40) + "|" + &"abc".repeat(40);
    for (subject, pattern) in [
        (&a, "a*".to_owned()),
        (&a, ".-$".to_owned()),
        (&a, "^(a-)()$".to_owned()),
        (&few, ".*b".to_owned()),
        (&few, "(a-)b".to_owned()),
        (&mixed, "(.-)x(.*)=".to_owned()),
        (&mixed, "[^x]*x(%a+)".to_owned()),
        (&mixed, "(%w+)=(%w+),x".to_owned()),
        (&doubled, "(.-)%1".to_owned()),
        (&doubled, "(.*)|%1$".to_owned()),
        (&doubled, ".-".repeat(3_000)),
        (&doubled, "a?".repeat(3_000) + "b"),
        (&doubled, ".-".repeat(3_000) + "$"),
        (&a, "a".repeat(99_000) + "."),
    ] {
        let pattern = pattern.as_bytes();
        let expected = stock.find(subject.as_bytes(), pattern, 1, false);
        assert_eq!(ours.find(subject.as_bytes(), pattern, 1, false), expected);
    }
}
