//! Which commands there are: the rows of all families in one table.

use std::sync::OnceLock;

use super::row::CommandTable;
use super::{
    bitmap, connection, geo, hash, hyperloglog, keyspace, list, pubsub, scripting, server, set,
    sort, sorted_set, stream, string, transaction,
};

/// All commands.
pub fn commands() -> &'static CommandTable {
    static TABLE: OnceLock<CommandTable> = OnceLock::new();
    TABLE.get_or_init(|| {
        CommandTable::of(&[
            &[bitmap::COMMANDS],
            &[connection::COMMANDS],
            &[geo::COMMANDS],
            &[hash::COMMANDS],
            &[hyperloglog::COMMANDS],
            &[keyspace::COMMANDS],
            &[list::COMMANDS],
            &[pubsub::COMMANDS],
            &[scripting::COMMANDS],
            server::COMMANDS,
            &[set::COMMANDS],
            &[sort::COMMANDS],
            &[sorted_set::COMMANDS],
            stream::COMMANDS,
            &[string::COMMANDS],
            &[transaction::COMMANDS],
        ])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::row::Row;

    #[test]
    fn a_name_is_found_in_any_case_and_nothing_else_is() {
        let table = commands();
        let containers = table.rows().iter().filter(|row| row.parent.is_none());
        for row in containers {
            let name = row.command.name.as_bytes();
            let found = |name: &[u8]| table.find(name).map(|row| row.id);
            assert_eq!(found(name), Some(row.id));
            assert_eq!(found(&name.to_ascii_uppercase()), Some(row.id));
            for at in 0..name.len() {
                for byte in 0..=255 {
                    let mut other = name.to_vec();
                    other[at] = byte;
                    let expected = table.rows().iter().find(|row| {
                        row.parent.is_none()
                            && row.command.name.as_bytes().eq_ignore_ascii_case(&other)
                    });
                    assert_eq!(found(&other), expected.map(|row| row.id));
                }
            }
            assert_eq!(found(&[name, b"\0"].concat()), None);
            assert_eq!(found(&[name, &[b'x'; 40]].concat()), None);
        }
        assert!(table.find(b"").is_none());
    }

    #[test]
    fn who_subscribes_and_who_publishes_is_known_by_the_row() {
        let named = |does: fn(&Row) -> bool| -> Vec<_> {
            let rows = commands().rows().iter().filter(|row| does(row));
            rows.map(|row| row.command.name).collect()
        };
        assert_eq!(named(Row::publishes), ["publish", "spublish"]);
        let subscribes = [
            "subscribe",
            "unsubscribe",
            "psubscribe",
            "punsubscribe",
            "ssubscribe",
            "sunsubscribe",
        ];
        assert_eq!(named(Row::subscribes), subscribes);
    }
}
