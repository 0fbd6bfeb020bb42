//! What the notation means, and the ranges of old clients.

use super::details::Range;
use super::syntax::{Argument, arguments, is_read_to_its_end};
use super::*;
use crate::command::spec::KeySpec;

/// An argument on one line: `COUNT count:integer?` and the like.
fn shown(argument: &Argument) -> String {
    let inner: Vec<String> = argument.arguments.iter().map(shown).collect();
    let token = argument.token.as_deref().unwrap_or_default();
    let optional = if argument.is_optional { "?" } else { "" };
    let multiple = if argument.is_multiple { "+" } else { "" };
    let kind = argument.kind.name();
    let mut name = argument.name.clone();
    if argument.display != argument.name {
        name += &format!("={}", argument.display);
    }
    for (mark, version) in [('@', &argument.since), ('~', &argument.deprecated_since)] {
        name.extend(version.iter().map(|version| format!("{mark}{version}")));
    }
    let inner = if inner.is_empty() {
        String::new()
    } else {
        format!("({})", inner.join(" "))
    };
    format!("{token}:{name}:{kind}{inner}{optional}{multiple}")
}

fn parsed(syntax: &str) -> String {
    let syntax: &'static str = Box::leak(syntax.to_owned().into_boxed_str());
    const KEY: &[KeySpec] = &[KeySpec::one(KeyFlags::RO, 1)];
    let command = Command::new("", syntax, help)
        .keys(KEY)
        .flags(&[Flags::BLOCKING])
        .docs("", "list", "", "");
    let shown: Vec<String> = arguments(&command).iter().map(shown).collect();
    shown.join(" ")
}

#[test]
fn plain_repeated_and_optional_arguments() {
    assert_eq!(
        parsed("key element [element ...]"),
        ":key:key :element:string+"
    );
    assert_eq!(parsed("[channel [channel ...]]"), ":channel:string?+");
    assert_eq!(parsed("key [count]"), ":key:key :count:integer?");
    assert_eq!(parsed(""), "");
}

#[test]
fn tokens_and_choices() {
    assert_eq!(
        parsed("key element [RANK rank] [COUNT num-matches]"),
        ":key:key :element:string RANK:rank:integer? COUNT:num-matches:integer?"
    );
    assert_eq!(
        parsed("source <LEFT | RIGHT> timeout"),
        ":source:key :option:oneof(LEFT:left:pure-token RIGHT:right:pure-token) :timeout:double"
    );
    assert_eq!(
        parsed("[PREFIX prefix [PREFIX prefix ...]]"),
        "PREFIX:prefix:string?+"
    );
    assert_eq!(parsed("[NOACK]"), "NOACK:noack:pure-token?");
}

#[test]
fn blocks() {
    assert_eq!(
        parsed("[COUNT count] STREAMS key [key ...] id [id ...]"),
        "COUNT:count:integer? STREAMS:streams:block(:key:key+ :id:string+)"
    );
    assert_eq!(
        parsed(
            "key [<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] <* | id> field value [field value ...]"
        ),
        ":key:key :option:block(:option:oneof(MAXLEN:maxlen:pure-token MINID:minid:pure-token) \
         :option:oneof(=:equal:pure-token ~:approximately:pure-token)? :threshold:string LIMIT:count:integer?)? \
         :option:oneof(*:auto-id:pure-token :id:string) :field:block(:field:string :value:string)+"
    );
}

#[test]
fn names_and_versions() {
    assert_eq!(
        parsed("key wherefrom:<LEFT | RIGHT@7.0.0> [NX@6.2.0]"),
        ":key:key :wherefrom:oneof(LEFT:left:pure-token RIGHT:right@7.0.0:pure-token) NX:nx@6.2.0:pure-token?"
    );
    assert_eq!(
        parsed(
            "[trim@5.0.0:<operator:<= | ~> threshold [LIMIT count@6.2.0]>] data:<field value> ..."
        ),
        ":trim@5.0.0:block(:operator:oneof(=:equal:pure-token ~:approximately:pure-token) :threshold:string \
         LIMIT:count@6.2.0:integer?)? :data:block(:field:string :value:string)+"
    );
    assert_eq!(
        parsed("[old-format=ip:port~2.8.12] [TYPE kind:<A | B>] [READ read=entries-read@7.0.0]"),
        ":old-format=ip:port~2.8.12:string? TYPE:kind:oneof(A:a:pure-token B:b:pure-token)? \
         READ:read=entries-read@7.0.0:integer?"
    );
}

#[test]
fn every_syntax_is_read_to_its_end() {
    for row in crate::command::table::commands().rows() {
        let syntax = row.command.syntax;
        assert!(
            is_read_to_its_end(row.command),
            "{}: {syntax}",
            row.full_name
        );
    }
}

#[test]
fn old_ranges_join_neighbours_only() {
    let range = |name: &[u8]| {
        let range = crate::command::table::commands()
            .find(name)
            .map(|row| Range::of(row.command.keys));
        range.map(|range| (range.first, range.last, range.step, range.partial))
    };
    assert_eq!(range(b"lmove"), Some((1, 2, 1, false)));
    assert_eq!(range(b"mset"), Some((1, -1, 2, false)));
    assert_eq!(range(b"xread"), Some((0, 0, 0, true)));
    assert_eq!(range(b"ping"), Some((0, 0, 0, false)));
}
