//! Whether the keys of a script are among its KEYS: what the analysis has found, against the command table.

use crate::command::key_spec::{Begin, Find, KeyFlags, KeySpec};
use crate::command::row::Row;
use crate::command::spec::{Flags, Scope};
use crate::command::table::commands;
use crate::script::analysis::{CommandCall, Place, analyse};

/// Whether every key that the code of a script can touch is one of its KEYS. False where that is not certain.
pub(crate) fn keys_are_declared(code: &[u8]) -> bool {
    analyse(code).is_some_and(|calls| calls.iter().all(is_declared))
}

fn is_declared(call: &CommandCall) -> bool {
    let table = commands();
    // A command that there is not, or that scripts may not call, touches nothing.
    let Some(row) = table.find_called(&call.name) else {
        return true;
    };
    if !row.is_container() {
        return has_declared_keys(row, call);
    }
    let part = call
        .constant(1)
        .map(|name| table.find_subcommand(row, name));
    match part {
        Some(Some(part)) => has_declared_keys(part, call),
        Some(None) => !row.is_one_command(),
        None => false,
    }
}

fn has_declared_keys(row: &Row, call: &CommandCall) -> bool {
    let command = row.command;
    if command.flags.has(Flags::NOSCRIPT) {
        return true;
    }
    match command.scope {
        Scope::None => true,
        Scope::Keys => {
            let keys = command.keys.iter();
            let mut keys = keys.filter(|spec| !spec.flags.has(KeyFlags::NOT_KEY));
            keys.all(|spec| place(spec).is_some_and(|place| call.keys_are_declared(&[place])))
        }
        Scope::AllShards | Scope::KeysAndPatterns | Scope::Cursor | Scope::Script => false,
    }
}

/// Where a spec has its keys, as far as the analysis can tell.
fn place(spec: &KeySpec) -> Option<Place> {
    match (spec.begin, spec.find) {
        (Begin::Index(first), Find::Range { last, step, limit }) if limit <= 1 => {
            let place = match usize::try_from(last) {
                Ok(last) => Place::Span {
                    first,
                    last: first + last,
                    step,
                },
                Err(_) => Place::UntilEnd {
                    first,
                    behind: usize::try_from(-1 - last).ok()?,
                    step,
                },
            };
            Some(place)
        }
        (
            Begin::Index(begin),
            Find::Count {
                count_at,
                first,
                step,
            },
        ) => Some(Place::Counted {
            count: begin + count_at,
            first: begin + first,
            step,
        }),
        (
            Begin::Keyword(keyword, from),
            Find::Range {
                last: -1,
                step: 1,
                limit: 2,
            },
        ) => Some(Place::Half {
            keyword: lower(keyword)?,
            from: usize::try_from(from).ok()?,
        }),
        _ => None,
    }
}

/// The keyword as the analysis has words: in lower case.
fn lower(keyword: &'static str) -> Option<&'static str> {
    keyword.eq_ignore_ascii_case("streams").then_some("streams")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_commands_are_found_where_the_table_has_them() {
        for (code, declared) in [
            ("return redis.call('set', KEYS[1], ARGV[1])", true),
            ("return redis.call('set', ARGV[1], KEYS[1])", false),
            ("return redis.call('get', 'k')", false),
            ("return redis.call('del', unpack(KEYS))", true),
            ("return redis.call('del', KEYS[1], ARGV[1])", false),
            (
                "return redis.call('mset', KEYS[1], 'k', KEYS[2], 'v')",
                true,
            ),
            (
                "return redis.call('zunionstore', KEYS[1], 2, KEYS[2], KEYS[3])",
                true,
            ),
            (
                "return redis.call('zunionstore', KEYS[1], ARGV[1], KEYS[2])",
                false,
            ),
            ("return redis.call('xread', 'STREAMS', KEYS[1], '0')", true),
            ("return redis.call('xread', ARGV[1], KEYS[1], '0')", false),
            (
                "return redis.call('xgroup', 'create', KEYS[1], 'g', '$')",
                true,
            ),
            (
                "return redis.call('xgroup', ARGV[1], KEYS[1], 'g', '$')",
                false,
            ),
            ("return redis.call('blpop', KEYS[1], 0)", true),
            (
                "return redis.call('lmove', KEYS[1], KEYS[2], 'left', 'right')",
                true,
            ),
            (
                "return redis.call('lmove', KEYS[1], 'x', 'left', 'right')",
                false,
            ),
            ("return redis.call('sort', KEYS[1], 'by', 'x_*')", false),
            ("return redis.call('keys', '*')", false),
            ("return redis.call('dbsize')", false),
            ("return redis.call('scan', 0)", false),
            ("return redis.call('publish', 'c', 'm')", true),
            ("return redis.call('time')", true),
            ("return redis.call('nosuch', 'k')", true),
            ("return redis.call(ARGV[1], KEYS[1])", false),
            ("return 1", true),
        ] {
            assert_eq!(keys_are_declared(code.as_bytes()), declared, "{code}");
        }
    }
}
