//! An entry of COMMAND and COMMAND INFO: a row's facts for a client that routes, checks or hints.

use crate::command::row::{CommandTable, Row};
use crate::command::spec::{Begin, Find, Flags, KeySpec};
use crate::resp::reply::Reply;

/// First key, last key, step: what clients knew before there were key specs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) step: i64,
    /// Whether there are keys besides it.
    pub(super) partial: bool,
}

impl Range {
    /// Joins the specs that are plain ranges. A negative last one (from the end of the request) is beyond all others.
    pub(super) fn of(specs: &[KeySpec]) -> Self {
        let mut range = Self::default();
        let mut previous_last = None;
        for spec in specs {
            let (Begin::Index(begin), Find::Range { last, step, .. }) =
                (spec.begin.shown(), spec.find)
            else {
                range.partial = true;
                continue;
            };
            let (begin, last, step) = (begin as i64, i64::from(last), step as i64);
            let last = if last >= 0 { begin + last } else { last };
            // One range cannot say what is apart.
            if range.first > 0 && previous_last != Some(begin - 1) {
                range.partial = true;
                continue;
            }
            if range.first == 0 {
                range.first = begin;
                range.step = step;
            }
            range.last = last;
            previous_last = Some(last);
        }
        range
    }
}

/// A set of names as simple strings.
pub(super) fn names(reply: &mut Reply, names: impl Iterator<Item = &'static str>) {
    let names: Vec<&str> = names.collect();
    reply.set(names.len());
    for name in names {
        reply.simple(name);
    }
}

/// The entry.
pub(super) fn write(reply: &mut Reply, table: &'static CommandTable, row: &Row) {
    let command = row.command;
    let range = Range::of(command.keys);
    let flags = if range.partial {
        command.flags.and(Flags::MOVABLE_KEYS)
    } else {
        command.flags
    };
    reply.array(10);
    reply.bulk(row.full_name.as_bytes());
    reply.integer(i64::from(command.arity));
    names(reply, flags.names());
    reply.integer(range.first);
    reply.integer(range.last);
    reply.integer(range.step);
    let categories: Vec<&str> = command.category_names().collect();
    reply.set(categories.len());
    for category in categories {
        reply.simple(&format!("@{category}"));
    }
    reply.set(command.tips.len());
    for tip in command.tips {
        reply.bulk(tip.as_bytes());
    }
    reply.set(command.keys.len());
    for spec in command.keys {
        key_spec(reply, spec);
    }
    let subcommands: Vec<&Row> = super::subcommands(table, row).collect();
    if subcommands.is_empty() {
        reply.set(0);
    } else {
        reply.array(subcommands.len());
    }
    for subcommand in subcommands {
        write(reply, table, subcommand);
    }
}

/// A map whose values are numbers.
fn numbers(reply: &mut Reply, pairs: &[(&str, i64)]) {
    reply.map(pairs.len());
    for (name, number) in pairs {
        reply.bulk(name.as_bytes());
        reply.integer(*number);
    }
}

/// Opens `{type: kind, spec: …}`.
fn typed(reply: &mut Reply, kind: &str) {
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
}

/// A part of a spec that tells nothing.
fn unknown(reply: &mut Reply) {
    typed(reply, "unknown");
    reply.map(0);
}

fn keyword_spec(reply: &mut Reply, keyword: &str, from: i32) {
    typed(reply, "keyword");
    reply.map(2);
    reply.bulk(b"keyword");
    reply.bulk(keyword.as_bytes());
    reply.bulk(b"startfrom");
    reply.integer(i64::from(from));
}

fn key_spec(reply: &mut Reply, spec: &KeySpec) {
    let is_unknown = matches!(spec.begin, Begin::Unknown { .. });
    let note = match spec.begin {
        Begin::Unknown { note, .. } => Some(note),
        Begin::Index(_)
        | Begin::Keyword(..)
        | Begin::Option { .. }
        | Begin::GroupStreams
        | Begin::Migrated { .. } => spec.note,
    };
    reply.map(3 + usize::from(note.is_some()));
    if let Some(note) = note {
        reply.bulk(b"notes");
        reply.bulk(note.as_bytes());
    }
    reply.bulk(b"flags");
    names(reply, spec.flags.names());
    reply.bulk(b"begin_search");
    match spec.begin.shown() {
        Begin::Index(at) => {
            typed(reply, "index");
            numbers(reply, &[("index", at as i64)]);
        }
        Begin::Unknown { .. } | Begin::GroupStreams | Begin::Migrated { .. } => unknown(reply),
        Begin::Keyword(keyword, from) => keyword_spec(reply, keyword, from),
        Begin::Option {
            options,
            which,
            from,
        } => keyword_spec(reply, options[which], from as i32),
    }
    reply.bulk(b"find_keys");
    match spec.find {
        Find::Range { .. } if is_unknown => unknown(reply),
        Find::Range { last, step, limit } => {
            typed(reply, "range");
            let (last, step, limit) = (i64::from(last), step as i64, limit as i64);
            numbers(
                reply,
                &[("lastkey", last), ("keystep", step), ("limit", limit)],
            );
        }
        Find::Count {
            count_at,
            first,
            step,
        } => {
            typed(reply, "keynum");
            let (count_at, first, step) = (count_at as i64, first as i64, step as i64);
            numbers(
                reply,
                &[
                    ("keynumidx", count_at),
                    ("firstkey", first),
                    ("keystep", step),
                ],
            );
        }
    }
}
