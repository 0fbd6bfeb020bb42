//! `string`: the pattern functions and `rep`.
//!
//! Lua's own pattern functions recurse as deep as a pattern wants, and run as long: both end a server. Ours keep their place on the
//! heap, up to a limit, and let the host look at the time (`pattern.rs`).
//!
//! Source: section 5.4 of the manual of Lua 5.1.

use std::ffi::c_int;
use std::ops::Range;

use crate::script::lua::native::{Native, Raise};
use crate::script::lua::stack::{Kind, Stack};
use crate::script::pattern::{
    self, CAPTURES_MAX, Capture, Caret, ExpandError, Found, Gmatch, Gsub, Matcher, PatternError,
};

use super::check::{bad, integer, integer_or, text};

/// Replaces the functions in the table on top.
pub(super) fn install(stack: &mut Stack<'_>) {
    stack.push_native(rep);
    stack.raw_set_name(-2, "rep");
    stack.push_native(find);
    stack.raw_set_name(-2, "find");
    stack.push_native(match_);
    stack.raw_set_name(-2, "match");
    stack.push_native(gmatch);
    stack.raw_set_name(-2, "gmatch");
    stack.push_native(gmatch);
    stack.raw_set_name(-2, "gfind");
    stack.push_native(gsub);
    stack.raw_set_name(-2, "gsub");
}

fn rep(stack: &mut Stack<'_>) -> Native {
    let piece = text(stack, 1)?;
    let count = integer(stack, 2)?;
    // As C cuts it to an int.
    let count = usize::try_from(count as i32).unwrap_or(0);
    let Some(len) = piece.len().checked_mul(count) else {
        return stack.error(b"not enough memory");
    };
    // Twice: here, and as a string of Lua.
    stack.reserve(len)?;
    let repeated = piece.repeat(count);
    stack.tick()?;
    stack.push_bytes(&repeated);
    Ok(1)
}

/// The matcher of the state, and the host that is asked while it works.
fn search<'s, R>(
    stack: &mut Stack<'s>,
    work: impl FnOnce(
        &mut Matcher,
        &mut dyn FnMut() -> Result<(), Raise>,
    ) -> Result<R, PatternError<Raise>>,
) -> Result<R, Raise> {
    let runtime = stack.runtime();
    let mut matcher = runtime.matcher.borrow_mut();
    let outcome = work(&mut matcher, &mut || stack.tick());
    drop(matcher);
    outcome.map_err(|error| failed(stack, error))
}

/// The error on top of the stack.
fn failed(stack: &mut Stack<'_>, error: PatternError<Raise>) -> Raise {
    let raised: Result<(), Raise> = match error {
        PatternError::Malformed(malformed) => stack.error_here(malformed.text().as_bytes()),
        PatternError::TooComplex => stack.error_here(pattern::TOO_COMPLEX.as_bytes()),
        PatternError::Stopped(raise) => return raise,
    };
    raised.err().unwrap_or_else(Raise::of_top)
}

/// What a match has found, kept while the stack is worked with.
struct Values {
    range: Range<usize>,
    captures: [Option<Capture>; CAPTURES_MAX],
    count: usize,
}

impl Values {
    /// The captures; the whole match where there are none and `whole` wants it.
    fn of(found: &Found, whole: bool) -> Result<Self, PatternError<Raise>> {
        Self::first(found, whole, CAPTURES_MAX)
    }

    /// As [`Values::of`], so many at most: what is wrong with the others nobody notices.
    fn first(found: &Found, whole: bool, most: usize) -> Result<Self, PatternError<Raise>> {
        let count = if whole {
            found.value_count()
        } else {
            found.count()
        };
        let count = count.min(most);
        let mut captures = [const { None }; CAPTURES_MAX];
        for (index, capture) in captures.iter_mut().enumerate().take(count) {
            *capture = Some(found.capture(index).map_err(PatternError::Malformed)?);
        }
        Ok(Self {
            range: found.range.clone(),
            captures,
            count,
        })
    }

    /// Pushes them; how many.
    fn push(&self, stack: &mut Stack<'_>, subject: &[u8]) -> Result<c_int, Raise> {
        let count = c_int::try_from(self.count).unwrap_or(0);
        stack.ensure(count + 2)?;
        for capture in self.captures.iter().flatten() {
            push_capture(stack, subject, capture);
        }
        Ok(count)
    }
}

fn push_capture(stack: &mut Stack<'_>, subject: &[u8], capture: &Capture) {
    match capture {
        Capture::Text(range) => {
            stack.push_bytes(subject.get(range.clone()).unwrap_or_default());
        }
        Capture::Position(position) => stack.push_number(*position as f64),
    }
}

fn find(stack: &mut Stack<'_>) -> Native {
    let (subject, sought) = (text(stack, 1)?, text(stack, 2)?);
    let from = pattern::start_of(integer_or(stack, 3, 1)?, subject.len());
    let is_plain = stack.argument_count() >= 4 && stack.truth(4);
    if is_plain || !pattern::has_specials(sought) {
        let found = search(stack, |_, tick| {
            pattern::find_plain(subject, sought, from, tick).map_err(PatternError::Stopped)
        })?;
        return push_range(stack, found.map(|start| start..start + sought.len()));
    }
    let found = search(stack, |matcher, tick| {
        let found = matcher.find(subject, sought, from, Caret::Anchor, tick)?;
        found.map(|found| Values::of(found, false)).transpose()
    })?;
    let Some(values) = found else {
        return push_range(stack, None);
    };
    push_range(stack, Some(values.range.clone()))?;
    Ok(2 + values.push(stack, subject)?)
}

/// First and last position, or nil.
fn push_range(stack: &mut Stack<'_>, range: Option<Range<usize>>) -> Native {
    match range {
        Some(range) => {
            stack.push_number((range.start + 1) as f64);
            stack.push_number(range.end as f64);
            Ok(2)
        }
        None => {
            stack.push_nil();
            Ok(1)
        }
    }
}

fn match_(stack: &mut Stack<'_>) -> Native {
    let (subject, sought) = (text(stack, 1)?, text(stack, 2)?);
    let from = pattern::start_of(integer_or(stack, 3, 1)?, subject.len());
    let found = search(stack, |matcher, tick| {
        let found = matcher.find(subject, sought, from, Caret::Anchor, tick)?;
        found.map(|found| Values::of(found, true)).transpose()
    })?;
    match found {
        Some(values) => values.push(stack, subject),
        None => push_range(stack, None),
    }
}

/// The iterator has subject, pattern and position in a table of its own.
fn gmatch(stack: &mut Stack<'_>) -> Native {
    text(stack, 1)?;
    text(stack, 2)?;
    stack.push_table(3, 0);
    for index in 1..=2 {
        stack.push_copy(index);
        stack.raw_set_index(-2, index);
    }
    stack.push_number(0.0);
    stack.raw_set_index(-2, 3);
    stack.push_native_with(next_match);
    Ok(1)
}

fn next_match(stack: &mut Stack<'_>) -> Native {
    stack.push_captured();
    let state = stack.top();
    for index in 1..=3 {
        stack.raw_get_index(state, index);
    }
    stack.keep();
    let subject = stack.argument_bytes(state + 1).unwrap_or_default();
    let sought = stack.argument_bytes(state + 2).unwrap_or_default();
    let from = stack.number(state + 3).unwrap_or_default() as usize;
    let mut walk = Gmatch::from(from);
    let found = search(stack, |matcher, tick| {
        let found = walk.next(matcher, subject, sought, tick)?;
        found.map(|found| Values::of(found, true)).transpose()
    })?;
    stack.push_number(walk.position() as f64);
    stack.raw_set_index(state, 3);
    match found {
        Some(values) => values.push(stack, subject),
        None => push_range(stack, None),
    }
}

/// What takes the place of a match.
#[derive(Clone, Copy)]
enum Replacement<'a> {
    Text(&'a [u8]),
    Table,
    Function,
}

fn gsub(stack: &mut Stack<'_>) -> Native {
    let (subject, sought) = (text(stack, 1)?, text(stack, 2)?);
    let replacement = match stack.kind(3) {
        Kind::String | Kind::Number => Replacement::Text(text(stack, 3)?),
        Kind::Table => Replacement::Table,
        Kind::Function => Replacement::Function,
        _ => return bad(stack, 3, "string/function/table expected"),
    };
    let limit = match stack.kind(4) {
        Kind::None => usize::MAX,
        _ => usize::try_from(integer_or(stack, 4, subject.len() as i64 + 1)?).unwrap_or(0),
    };
    let mut walk = Gsub::new(limit);
    let mut out = Vec::new();
    loop {
        let found = search(stack, |matcher, tick| {
            let found = walk.next(matcher, subject, sought, &mut out, tick)?;
            let Some(found) = found else { return Ok(None) };
            if let Replacement::Text(text) = replacement {
                expand(text, subject, found, &mut out)?;
                return Ok(Some(None));
            }
            let most = match replacement {
                Replacement::Table => 1,
                _ => CAPTURES_MAX,
            };
            Values::first(found, true, most).map(|values| Some(Some(values)))
        })?;
        stack.reserve(out.len())?;
        match found {
            None => break,
            Some(None) => {}
            Some(Some(values)) => replace(stack, subject, replacement, &values, &mut out)?,
        }
    }
    stack.push_bytes(&out);
    stack.push_number(walk.count() as f64);
    Ok(2)
}

fn expand(
    text: &[u8],
    subject: &[u8],
    found: &Found,
    out: &mut Vec<u8>,
) -> Result<(), PatternError<Raise>> {
    let bytes_max = crate::limits::LUA_BYTES_DEFAULT;
    pattern::expand(text, subject, found, out, bytes_max).map_err(|error| match error {
        ExpandError::Malformed(malformed) => PatternError::Malformed(malformed),
        ExpandError::TooLarge => PatternError::TooComplex,
    })
}

/// Asks a table or a function what takes the place of a match: nil and false keep it.
fn replace(
    stack: &mut Stack<'_>,
    subject: &[u8],
    replacement: Replacement<'_>,
    values: &Values,
    out: &mut Vec<u8>,
) -> Result<(), Raise> {
    if let Replacement::Function = replacement {
        stack.push_copy(3);
        let count = values.push(stack, subject)?;
        stack.call(count, 1)?;
    } else {
        if let Some(capture) = values.captures.first().and_then(Option::as_ref) {
            push_capture(stack, subject, capture);
        }
        stack.get(3)?;
    }
    match stack.kind(-1) {
        Kind::String | Kind::Number => {
            out.extend_from_slice(stack.bytes(-1).unwrap_or_default());
        }
        _ if !stack.truth(-1) => {
            out.extend_from_slice(subject.get(values.range.clone()).unwrap_or_default());
        }
        kind => {
            let text = format!("invalid replacement value (a {})", kind.name());
            return stack.error_here(text.as_bytes());
        }
    }
    stack.pop(1);
    Ok(())
}
