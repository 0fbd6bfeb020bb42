//! COMMAND DOCS: the documentation of the rows.

use crate::command::error::CommandError;
use crate::command::row::{CommandTable, Row};
use crate::command::spec::{Begin, KeyFlags};
use crate::command::{Context, Flags, Outcome};
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;

use super::details::names;
use super::syntax::{Argument, Kind, arguments};

pub(super) fn docs(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let table = ctx.shared.commands;
    let rows: Vec<&Row> = if args.len() == 2 {
        super::commands(table).collect()
    } else {
        args.from(2)
            .filter_map(|name| table.find_told(name))
            .collect()
    };
    ctx.reply.map(rows.len());
    for row in rows {
        write(ctx.reply, table, row);
    }
    Ok(Outcome::Done)
}

fn text(reply: &mut Reply, name: &str, value: &str) {
    reply.bulk(name.as_bytes());
    reply.bulk(value.as_bytes());
}

/// A name and its documentation.
fn write(reply: &mut Reply, table: &'static CommandTable, row: &Row) {
    let command = row.command;
    let arguments = arguments(command);
    let subcommands: Vec<&Row> = super::subcommands(table, row).collect();
    let facts = [
        ("summary", command.summary),
        ("since", command.since),
        ("group", command.group),
        ("complexity", command.complexity),
    ];
    let facts: Vec<_> = facts
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
    reply.bulk(row.full_name.as_bytes());
    let doc_flags = [
        (command.deprecated.is_some(), "deprecated"),
        (command.flags.has(Flags::SYSTEM), "syscmd"),
    ];
    let doc_flags = doc_flags
        .into_iter()
        .filter(|(set, _)| *set)
        .map(|(_, name)| name);
    let has_doc_flags = doc_flags.clone().next().is_some();
    reply.map(
        facts.len()
            + usize::from(has_doc_flags)
            + if command.deprecated.is_some() { 2 } else { 0 }
            + usize::from(!arguments.is_empty())
            + usize::from(!subcommands.is_empty()),
    );
    for (name, value) in facts {
        text(reply, name, value);
    }
    if has_doc_flags {
        reply.bulk(b"doc_flags");
        names(reply, doc_flags);
    }
    if let Some((since, instead)) = command.deprecated {
        text(reply, "deprecated_since", since);
        text(reply, "replaced_by", instead);
    }
    if !arguments.is_empty() {
        let specs = command.keys.iter();
        let mut keys = Keys {
            count: specs
                .filter(|spec| !spec.flags.has(KeyFlags::NOT_KEY))
                .count(),
            next: 0,
            of_patterns: command
                .keys
                .iter()
                .position(|spec| matches!(spec.begin, Begin::Unknown { keyword: None, .. })),
        };
        reply.bulk(b"arguments");
        write_arguments(reply, &arguments, &mut keys);
    }
    if !subcommands.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(subcommands.len());
        for subcommand in subcommands {
            write(reply, table, subcommand);
        }
    }
}

/// Gives the key arguments their key specs, in order.
struct Keys {
    count: usize,
    next: usize,
    /// The spec of what patterns name (SORT).
    of_patterns: Option<usize>,
}

impl Keys {
    fn take(&mut self) -> Option<usize> {
        let index = self.next.min(self.count.checked_sub(1)?);
        self.next += 1;
        Some(index)
    }
}

fn write_arguments(reply: &mut Reply, arguments: &[Argument], keys: &mut Keys) {
    reply.array(arguments.len());
    for argument in arguments {
        write_argument(reply, argument, keys);
    }
}

fn write_argument(reply: &mut Reply, argument: &Argument, keys: &mut Keys) {
    let holds_others = matches!(argument.kind, Kind::OneOf | Kind::Block);
    let spec = match (argument.kind, keys.of_patterns) {
        (Kind::Key, _) => keys.take(),
        (Kind::Pattern, Some(index)) => {
            keys.next = index + 1;
            Some(index)
        }
        _ => None,
    };
    let flags = [
        (argument.is_optional, "optional"),
        (argument.is_multiple, "multiple"),
        (argument.repeats_token, "multiple_token"),
    ];
    let flags = flags
        .into_iter()
        .filter(|(set, _)| *set)
        .map(|(_, name)| name);
    let has_flags = argument.is_optional || argument.is_multiple;
    let facts = [
        ("token", &argument.token),
        ("since", &argument.since),
        ("deprecated_since", &argument.deprecated_since),
    ];
    let facts = facts
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_ref()?)));
    reply.map(3 + usize::from(spec.is_some()) + facts.clone().count() + usize::from(has_flags));
    text(reply, "name", &argument.name);
    text(reply, "type", argument.kind.name());
    if !holds_others {
        text(reply, "display_text", &argument.display);
    }
    if let Some(index) = spec {
        reply.bulk(b"key_spec_index");
        reply.count(index);
    }
    for (name, value) in facts {
        text(reply, name, value);
    }
    if has_flags {
        reply.bulk(b"flags");
        names(reply, flags);
    }
    if holds_others {
        reply.bulk(b"arguments");
        write_arguments(reply, &argument.arguments, keys);
    }
}
