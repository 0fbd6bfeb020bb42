//! Commands with keys and channels, and what a server of 7.2 said of them; what other questions about rules reply.
//!
//! Each line of `checks.txt` has, between tabs: the words of ACL SETUSER, a command, and what ACL DRYRUN found: `ok`,
//! `command`, `key NAME`, `channel NAME`.

use crate::acl::{Channel, Denied, Key, Rules};

use super::{basis, call, catalog, id_of, rules};

/// What a command does with its first arguments, a letter each: `r` reads a key, `w` writes it, `b` both, `n` neither; `c` a
/// channel, `p` a pattern of channels.
const ARGUMENTS: &[(&str, &str)] = &[
    ("get", "r"),
    ("set", "w"),
    ("del", "ww"),
    ("lmove", "bw"),
    ("object|encoding", "n"),
    ("watch", "n"),
    ("publish", "c"),
    ("subscribe", "cc"),
    ("psubscribe", "pp"),
    ("getex", "b"),
    ("hset", "w"),
    ("config|get", ""),
];

/// The verdict on a command, in the words of the file.
fn verdict(rules: &Rules, command: &str) -> String {
    let words: Vec<_> = command.split(' ').collect();
    let two = words[..2].join("|");
    let (name, first) = match id_of(&two) {
        Some(_) => (two.as_str(), 2),
        None => (words[0], 1),
    };
    let (_, letters) = ARGUMENTS.iter().find(|(one, _)| *one == name).unwrap();
    let (mut keys, mut channels) = (Vec::new(), Vec::new());
    for (argument, letter) in (first..).zip(letters.chars()) {
        let name = words[argument].as_bytes();
        match letter {
            'c' | 'p' => channels.push(Channel {
                argument,
                name,
                is_pattern: letter == 'p',
            }),
            _ => keys.push(Key {
                argument,
                name,
                reads: matches!(letter, 'r' | 'b'),
                writes: matches!(letter, 'w' | 'b'),
            }),
        }
    }
    let mut call = call(name, None);
    call.keys = &keys;
    call.channels = &channels;
    match rules.check(&call) {
        Ok(()) => "ok".to_owned(),
        Err(Denied::Command) => "command".to_owned(),
        Err(Denied::Key(at)) => format!("key {}", words[at]),
        Err(Denied::Channel(at)) => format!("channel {}", words[at]),
    }
}

#[test]
fn commands_are_allowed_and_denied_as_recorded() {
    let catalog = catalog();
    for line in include_str!("checks.txt").lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let words: Vec<_> = fields[0].split(' ').collect();
        let rules = Rules::new(false).changed(basis(&catalog), &words).unwrap();
        let found = verdict(&rules, fields[1]);
        assert_eq!(found, fields[2], "{}: {}", fields[0], fields[1]);
    }
}

#[test]
fn what_came_closest_to_allowing_is_told() {
    // The key of the second selector is further on; a channel counts more than a key, a key more than the command.
    let two = rules("-@all (+lmove ~a) (+lmove %RW~b) (+publish)");
    assert_eq!(verdict(&two, "lmove a b left left"), "key b");
    assert_eq!(verdict(&two, "lmove c b left left"), "key c");
    assert_eq!(verdict(&two, "publish x m"), "channel x");
    assert_eq!(verdict(&two, "get a"), "command");
}

#[test]
fn a_user_without_restrictions_is_known_as_such() {
    let all = Rules::all_may();
    assert!(all.is_unrestricted() && !all.looks_at_keys() && !all.looks_at_channels());
    assert_eq!(
        all.describe(),
        b"on nopass sanitize-payload ~* &* +@all".to_vec()
    );
    assert_eq!(verdict(&all, "get "), "ok");
    assert!(rules("+get (~* &* +@all)").is_unrestricted());
    for less in ["~* &* +@all -get", "~* +@all", "&* +@all %RW~*", "~* &*"] {
        assert!(!rules(less).is_unrestricted(), "{less}");
    }
    assert!(rules("~* &* +@all -@read +@read").is_unrestricted());
    assert!(rules("&* +@all -get").looks_at_keys());
    assert!(!rules("~* &* +@all -get").looks_at_keys());
    assert!(rules("~* +@all -get").looks_at_channels());
}

#[test]
fn commands_before_login_are_allowed_whatever_the_rules() {
    assert_eq!(rules("-@all -auth").check(&call("auth", None)), Ok(()));
}

#[test]
fn a_first_argument_is_compared_in_any_case_of_letters() {
    let rules = rules("+select|0 +debug|Object");
    for (name, argument, is_allowed) in [
        ("select", Some("0"), true),
        ("select", Some("1"), false),
        ("select", None, false),
        ("debug", Some("oBject"), true),
        ("ping", Some("0"), false),
    ] {
        let verdict = rules.check(&call(name, argument));
        assert_eq!(verdict.is_ok(), is_allowed, "{name} {argument:?}");
    }
}

#[test]
fn reading_every_key_takes_a_selector_that_allows_the_command_too() {
    let sort = call("sort", None);
    for (words, may) in [
        ("+sort ~*", true),
        ("+sort %R~*", true),
        ("+sort %W~*", false),
        ("+sort ~a*", false),
        ("+sort ~a (+get ~*)", false),
        ("+sort ~a (+sort %R~*)", true),
        ("~* &* +@all", true),
        ("~*", false),
    ] {
        assert_eq!(rules(words).may_read_every_key(&sort), may, "{words}");
    }
}

#[test]
fn subscriptions_are_judged_by_the_channels_of_all_selectors() {
    let now = rules("&a* (&b)");
    assert!(now.may_use_channel(b"ab", false) && now.may_use_channel(b"b", false));
    assert!(!now.may_use_channel(b"c", false));
    assert!(now.may_use_channel(b"a*", true) && !now.may_use_channel(b"ab*", true));
    assert!(rules("(&*)").may_use_channel(b"c*", true));
    for (before, is_kept) in [
        ("&a*", true),
        ("&b (&a*)", true),
        ("", true),
        ("&ab", false),
        ("&*", false),
        ("(&c)", false),
    ] {
        assert_eq!(now.keeps_channels_of(&rules(before)), is_kept, "{before}");
    }
    assert!(rules("(&*)").keeps_channels_of(&rules("&* (&x)")));
    let key = Key {
        argument: 0,
        name: b"k",
        reads: true,
        writes: false,
    };
    assert!(rules("(%R~k)").may_use_key(&key) && !rules("%W~k").may_use_key(&key));
}

#[test]
fn passwords_are_accepted_whether_the_user_is_on_or_not() {
    let two = rules(">a >b");
    assert!(two.accepts(b"a") && two.accepts(b"b") && !two.accepts(b"c") && !two.is_on());
    assert!(!rules("on").accepts(b""));
    assert!(rules("nopass").accepts(b"anything"));
    assert!(!format!("{two:?}").contains(&two.passwords()[0].to_string()));
}

#[test]
fn what_the_peer_stops_at_is_refused() {
    let catalog = catalog();
    for word in [
        "%",
        "+select|a b",
        "+select|\t",
        "~a b",
        "&a\0",
        "(\"~a)",
        "(~'a)",
    ] {
        let error = Rules::new(false).changed(basis(&catalog), &[word]);
        let text = String::from_utf8(error.unwrap_err().text()).unwrap();
        assert!(text.ends_with("': Syntax error"), "{word}: {text}");
    }
}

#[test]
fn text_that_would_be_read_as_something_else_is_shown_otherwise() {
    let words = |words: &[&str]| {
        let catalog = catalog();
        let basis = basis(&catalog);
        let rules = Rules::new(false).changed(basis, words).unwrap();
        let text = String::from_utf8(rules.describe()).unwrap();
        let again: Vec<_> = text.split(' ').collect();
        assert_eq!(Rules::new(false).changed(basis, &again).unwrap(), rules);
        text.strip_prefix("off sanitize-payload ")
            .unwrap()
            .to_owned()
    };
    assert_eq!(words(&["%RW~*", "~a"]), "%RW~* ~a resetchannels -@all");
    assert_eq!(
        words(&["(~x) +get)"]),
        "resetchannels -@all (\"~x)\" resetchannels -@all +get)"
    );
    assert_eq!(
        words(&[r#"("~a\"b" +get)"#, "~\"q"]),
        r#"~"q resetchannels -@all ("~a\"b" resetchannels -@all +get)"#
    );
}
