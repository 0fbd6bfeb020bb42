//! Rules and what a server of 7.2 made of them: the text of ACL LIST, or the error; and which commands it allowed.
//!
//! Each line of `recorded.txt` has, between tabs: `C` or `-` for `acl-pubsub-default`, the words of ACL SETUSER for a user that
//! does not exist, the text or `!` and the error, and the commands of [`PROBES`] that ACL DRYRUN allowed, a bit for each.

use crate::acl::rules::{Basis, Rules};
use crate::acl::{Catalog, Denied};

use super::{call, catalog};

/// What was tried: the command, and the first argument of one without subcommands.
const PROBES: &[(&str, Option<&str>)] = &[
    ("get", Some("k")),
    ("set", Some("k")),
    ("getex", Some("k")),
    ("del", Some("k")),
    ("lpush", Some("k")),
    ("blpop", Some("k")),
    ("lmove", Some("a")),
    ("xadd", Some("k")),
    ("xread", Some("streams")),
    ("xgroup|create", None),
    ("xgroup|destroy", None),
    ("xinfo|stream", None),
    ("config|get", None),
    ("config|set", None),
    ("config|rewrite", None),
    ("client|id", None),
    ("client|kill", None),
    ("client|setname", None),
    ("acl|whoami", None),
    ("acl|setuser", None),
    ("select", Some("0")),
    ("select", Some("1")),
    ("ping", None),
    ("publish", Some("c")),
    ("subscribe", Some("c")),
    ("psubscribe", Some("c*")),
    ("spublish", Some("c")),
    ("pubsub|channels", None),
    ("multi", None),
    ("exec", None),
    ("eval", Some("x")),
    ("script|load", None),
    ("keys", Some("*")),
    ("flushall", None),
    ("sort", Some("k")),
    ("debug", Some("x")),
    ("debug", Some("object")),
    ("hset", Some("k")),
    ("sadd", Some("k")),
    ("zadd", Some("k")),
    ("auth", Some("x")),
    ("object|encoding", None),
    ("memory|usage", None),
    ("memory|doctor", None),
    ("setbit", Some("k")),
    ("pfadd", Some("k")),
    ("geoadd", Some("k")),
    ("info", None),
    ("shutdown", None),
    ("watch", Some("k")),
];

fn allowed(rules: &Rules) -> u64 {
    let bits = PROBES.iter().enumerate().map(|(at, (name, argument))| {
        let is_allowed = rules.check(&call(name, *argument)) != Err(Denied::Command);
        u64::from(is_allowed) << at
    });
    bits.sum()
}

fn outcome(basis: Basis<'_>, words: &str) -> (String, String) {
    let words: Vec<_> = words.split(' ').filter(|word| !word.is_empty()).collect();
    match Rules::new(basis.all_channels).changed(basis, &words) {
        Ok(rules) => (
            String::from_utf8(rules.describe()).unwrap(),
            format!("{:x}", allowed(&rules)),
        ),
        Err(error) => {
            let text = String::from_utf8(error.text()).unwrap();
            (format!("! ERR {text}"), String::new())
        }
    }
}

fn compare(catalog: &Catalog, recorded: &str) {
    for line in recorded.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let &[default, words, text, bits] = fields.as_slice() else {
            panic!("four fields: {line}")
        };
        let basis = Basis {
            catalog,
            all_channels: default == "C",
        };
        let outcome = outcome(basis, words);
        let found = (outcome.0.as_str(), outcome.1.as_str());
        assert_eq!(found, (text, bits), "{words}");
    }
}

#[test]
fn rules_are_shown_refused_and_kept_as_recorded() {
    compare(&catalog(), include_str!("recorded.txt"));
}
