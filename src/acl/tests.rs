//! Tests of rules against what a server of 7.2 showed, and against rules replayed naively.
#![allow(clippy::unwrap_used, reason = "tests")]

mod checks;
mod file;
mod log;
mod properties;
mod recorded;
mod users;

use super::catalog::Entry;
use super::categories::Categories;
use super::rules::{Basis, Rules};
use super::{Call, Catalog};

/// Some commands with their categories, as COMMAND INFO replies them; each container before its subcommands.
const COMMANDS: &[(&str, &str)] = &[
    ("get", "read string fast"),
    ("set", "write string slow"),
    ("getex", "write string fast"),
    ("del", "keyspace write slow"),
    ("lpush", "write list fast"),
    ("blpop", "write list slow blocking"),
    ("lmove", "write list slow"),
    ("xadd", "write stream fast"),
    ("xread", "read stream slow blocking"),
    ("xgroup", "slow"),
    ("xgroup|create", "write stream slow"),
    ("xgroup|destroy", "write stream slow"),
    ("xinfo", "slow"),
    ("xinfo|stream", "read stream slow"),
    ("config", "slow"),
    ("config|get", "admin slow dangerous"),
    ("config|set", "admin slow dangerous"),
    ("config|rewrite", "admin slow dangerous"),
    ("client", "slow"),
    ("client|id", "slow connection"),
    ("client|kill", "admin slow dangerous connection"),
    ("client|setname", "slow connection"),
    ("acl", "slow"),
    ("acl|whoami", "slow"),
    ("acl|setuser", "admin slow dangerous"),
    ("select", "fast connection"),
    ("ping", "fast connection"),
    ("publish", "pubsub fast"),
    ("subscribe", "pubsub slow"),
    ("psubscribe", "pubsub slow"),
    ("spublish", "pubsub fast"),
    ("pubsub", "slow"),
    ("pubsub|channels", "pubsub slow"),
    ("multi", "fast transaction"),
    ("exec", "slow transaction"),
    ("eval", "slow scripting"),
    ("script", "slow"),
    ("script|load", "slow scripting"),
    ("keys", "keyspace read slow dangerous"),
    ("flushall", "keyspace write slow dangerous"),
    ("sort", "write set sortedset list slow dangerous"),
    ("debug", "admin slow dangerous"),
    ("hset", "write hash fast"),
    ("sadd", "write set fast"),
    ("zadd", "write sortedset fast"),
    ("auth", "fast connection"),
    ("object", "slow"),
    ("object|encoding", "keyspace read slow"),
    ("memory", "slow"),
    ("memory|usage", "read slow"),
    ("memory|doctor", "slow"),
    ("setbit", "write bitmap slow"),
    ("pfadd", "write hyperloglog fast"),
    ("geoadd", "write geo slow"),
    ("info", "slow dangerous"),
    ("shutdown", "admin slow dangerous"),
    ("watch", "fast transaction"),
];

fn categories_of(name: &str) -> Categories {
    let (_, categories) = COMMANDS.iter().find(|(one, _)| *one == name).unwrap();
    Categories::of(categories.split(' '))
}

/// The place in the table is the id.
fn id_of(name: &str) -> Option<u16> {
    let at = COMMANDS.iter().position(|(one, _)| *one == name)?;
    u16::try_from(at).ok()
}

fn catalog() -> Catalog {
    Catalog::of(COMMANDS.iter().map(|(full_name, _)| {
        let (container, name) = match full_name.split_once('|') {
            Some((container, name)) => (Some(container), name),
            None => (None, *full_name),
        };
        Entry {
            id: id_of(full_name).unwrap(),
            name,
            parent: container.and_then(id_of),
            categories: categories_of(full_name),
        }
    }))
}

fn basis(catalog: &Catalog) -> Basis<'_> {
    Basis {
        catalog,
        all_channels: false,
    }
}

/// The rules of a new user without channels, after these words.
fn rules(words: &str) -> Rules {
    let words: Vec<_> = words.split(' ').filter(|word| !word.is_empty()).collect();
    let catalog = catalog();
    Rules::new(false).changed(basis(&catalog), &words).unwrap()
}

/// A command without keys and channels.
fn call<'a>(name: &str, first_argument: Option<&'a str>) -> Call<'a> {
    Call {
        command: id_of(name).unwrap(),
        is_for_all: name == "auth",
        first_argument: first_argument.map(str::as_bytes),
        keys: &[],
        channels: &[],
    }
}
