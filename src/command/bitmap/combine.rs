//! Strings combined bit by bit.

use crate::command::args::is;
use crate::command::context::{Context, Outcome};
use crate::command::element;
use crate::command::error::{self, CommandError};
use crate::command::string::string_of;
use crate::data::bits::{self, Combination, InOne};
use crate::keyspace::event::EventClass;
use crate::keyspace::value::{StringValue, Value};
use crate::resp::arguments::Args;

/// What BITOP does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    /// AND, OR, XOR: all strings, one after the other.
    All(Combination),
    /// NOT: turns every bit of the one string.
    Not,
    /// DIFF: in the first and in no other.
    Difference,
    /// DIFF1: in any other and not in the first.
    DifferenceFromFirst,
    /// ANDOR: in the first and in any other.
    FirstAndAny,
    /// ONE: in exactly one.
    One,
}

impl Operation {
    fn named(name: &[u8]) -> Option<Self> {
        [
            ("AND", Self::All(Combination::And)),
            ("OR", Self::All(Combination::Or)),
            ("XOR", Self::All(Combination::Xor)),
            ("NOT", Self::Not),
            ("DIFF", Self::Difference),
            ("DIFF1", Self::DifferenceFromFirst),
            ("ANDOR", Self::FirstAndAny),
            ("ONE", Self::One),
        ]
        .into_iter()
        .find(|(known, _)| is(name, known))
        .map(|(_, operation)| operation)
    }

    /// The result of a first string and others.
    fn result<'s>(self, first: &[u8], others: impl Iterator<Item = &'s [u8]>) -> Vec<u8> {
        let joined = |first: &[u8], others: &mut dyn Iterator<Item = &'s [u8]>, combination| {
            let mut result = first.to_vec();
            others.for_each(|other| bits::combine(&mut result, other, combination));
            result
        };
        let mut others = others;
        match self {
            Self::All(combination) => joined(first, &mut others, combination),
            Self::Difference => joined(first, &mut others, Combination::AndNot),
            Self::Not => {
                let mut result = first.to_vec();
                bits::invert(&mut result);
                result
            }
            Self::DifferenceFromFirst => {
                let mut result = joined(&[], &mut others, Combination::Or);
                bits::combine(&mut result, first, Combination::AndNot);
                result
            }
            Self::FirstAndAny => {
                let mut result = joined(&[], &mut others, Combination::Or);
                bits::combine(&mut result, first, Combination::And);
                result
            }
            Self::One => {
                let mut found = InOne::default();
                found.add(first);
                others.for_each(|other| found.add(other));
                found.finish()
            }
        }
    }
}

pub(super) fn bitop(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let operation = Operation::named(args.at(1)).ok_or(error::SYNTAX)?;
    match operation {
        Operation::Not if args.len() != 4 => return Err(error::BITOP_NOT_KEYS),
        Operation::Difference | Operation::DifferenceFromFirst | Operation::FirstAndAny
            if args.len() < 5 =>
        {
            return Err(error::bitop_few_keys(args.at(1)));
        }
        _ => {}
    }
    for key in args.from(3) {
        string_of(ctx.space.read(key))?;
    }
    let mut texts = vec![[0; 20]; args.len() - 3];
    let strings = args.from(3).zip(&mut texts).map(|(key, text)| {
        let string = string_of(ctx.space.view(key)).ok().flatten();
        string.map_or(&[][..], |string| string.bytes(text))
    });
    let strings: Vec<&[u8]> = strings.collect();
    let (first, others) = strings.split_first().ok_or(error::SYNTAX)?;
    let result = operation.result(first, others.iter().copied());
    ctx.reply.count(result.len());
    let mut handle = ctx.space.write(args.at(2));
    let made = (!result.is_empty()).then(|| Value::String(StringValue::raw(result)));
    if element::store(&mut handle, made, EventClass::STRING, "set") {
        handle.effect(|effect| {
            effect.args(args.iter());
        });
    }
    Ok(Outcome::Done)
}
