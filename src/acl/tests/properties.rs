//! Random rules against the same rules replayed one by one for one command, and against themselves read back.

use proptest::prelude::*;

use crate::acl::rules::{Basis, Rules};
use crate::acl::{Catalog, Channel, Key};
use crate::data::words::{quoted, split};
use crate::pubsub::pattern::{Case, matches};

use super::{COMMANDS, basis, call, catalog, categories_of};

const NAMES: &[&str] = &["a", "ab", "b", "", "x)", "a\"b", "k1", "it's", "*"];
const ARGUMENTS: &[&str] = &["0", "1", "OBJECT"];

fn command_rule() -> impl Strategy<Value = String> {
    let sign = || prop::sample::select(vec!["+", "-"]);
    let name = prop::sample::select(COMMANDS).prop_map(|(name, _)| name.to_owned());
    let category = prop::sample::select(&crate::acl::categories::CATEGORIES[..]);
    prop_oneof![
        6 => (sign(), name).prop_map(|(sign, name)| sign.to_owned() + &name),
        3 => (sign(), category).prop_map(|(sign, name)| format!("{sign}@{name}")),
        2 => (prop::sample::select(vec!["select", "debug", "get"]), prop::sample::select(ARGUMENTS))
            .prop_map(|(name, argument)| format!("+{name}|{argument}")),
        1 => prop::sample::select(vec!["+@all", "-@all", "allcommands", "nocommands"]).prop_map(str::to_owned),
    ]
}

fn selector_rule() -> impl Strategy<Value = String> {
    let texts = || {
        prop::sample::select(vec![
            "a", "a*", "?", "k[0-9]", "*", "x)", "a\"b", "it's", "**", "",
        ])
    };
    let mark = prop::sample::select(vec!["~", "%R~", "%W~", "%RW~"]);
    let reset = vec!["allkeys", "resetkeys", "allchannels", "resetchannels"];
    prop_oneof![
        5 => command_rule(),
        2 => (mark, texts()).prop_map(|(mark, text)| mark.to_owned() + text),
        1 => texts().prop_map(|text| format!("&{text}")),
        1 => prop::sample::select(reset).prop_map(str::to_owned),
    ]
}

/// The rules of some selectors, the root one first.
fn selectors() -> impl Strategy<Value = Vec<Vec<String>>> {
    let selector = prop::collection::vec(selector_rule(), 0..10);
    prop::collection::vec(selector, 1..4)
}

/// A word in parentheses with these rules, quoted so that nothing is misread.
fn in_parentheses(rules: &[String]) -> Vec<u8> {
    let words: Vec<_> = rules.iter().map(|rule| quoted(rule.as_bytes())).collect();
    [b"(", &*words.join(&b' '), b")"].concat()
}

/// Drops the rules that are refused, such as a pattern after `~*`.
fn accepted(basis: Basis<'_>, rules: &[String]) -> Vec<String> {
    let mut so_far = Rules::new(basis.all_channels);
    let accepts = |rule: &&String| so_far.apply(basis, rule.as_bytes()).is_ok();
    rules.iter().filter(accepts).cloned().collect()
}

fn made_of(basis: Basis<'_>, selectors: &[Vec<String>]) -> Rules {
    let mut rules = Rules::new(basis.all_channels);
    for rule in &selectors[0] {
        rules.apply(basis, rule.as_bytes()).unwrap();
    }
    for selector in &selectors[1..] {
        rules.apply(basis, &in_parentheses(selector)).unwrap();
    }
    rules
}

/// One selector's rules, replayed for one command.
fn allows_command(rules: &[String], name: &str, argument: Option<&str>) -> bool {
    let (mut allowed, mut arguments) = (name == "auth", Vec::new());
    for rule in rules {
        let lower = rule.to_ascii_lowercase();
        let named = lower.get(1..).unwrap_or_default();
        let container = name.split('|').next().unwrap();
        let category = named.strip_prefix('@');
        let in_category = |category: &str| {
            let has = |name: &str| categories_of(name).names().any(|one| one == category);
            has(name) || has(container)
        };
        let concerns = match lower.as_str() {
            "allcommands" | "nocommands" | "+@all" | "-@all" => true,
            _ if !lower.starts_with(['+', '-']) => false,
            _ => category.map_or(named == name || named == container, in_category),
        };
        if concerns {
            allowed = lower.starts_with('+') || lower == "allcommands" || name == "auth";
            arguments.clear();
        } else if let Some((command, argument)) = named.split_once('|')
            && command == name
        {
            arguments.push(argument.to_owned());
        }
    }
    let is_given = |argument: &str| arguments.contains(&argument.to_ascii_lowercase());
    allowed || argument.is_some_and(is_given)
}

/// One selector's rules, replayed for one key: what each pattern allows is added up over the rules about it.
fn allows_key(rules: &[String], key: &Key<'_>) -> bool {
    let (mut all, mut patterns) = (false, Vec::<(&str, bool, bool)>::new());
    for rule in rules {
        let marked = rule.split_once('~');
        match rule.as_str() {
            "allkeys" | "~*" => (all, patterns) = (true, Vec::new()),
            "resetkeys" => (all, patterns) = (false, Vec::new()),
            _ if rule.starts_with(['~', '%']) => {
                let (mark, text) = marked.unwrap();
                let (reads, writes) = (mark != "%W", mark != "%R");
                match patterns.iter_mut().find(|one| one.0 == text) {
                    Some(one) => *one = (text, one.1 || reads, one.2 || writes),
                    None => patterns.push((text, reads, writes)),
                }
            }
            _ => {}
        }
    }
    let allows = |one: &(&str, bool, bool)| {
        (one.1 || !key.reads)
            && (one.2 || !key.writes)
            && matches(one.0.as_bytes(), key.name, Case::Sensitive)
    };
    all || patterns.iter().any(allows)
}

fn allows_channel(rules: &[String], channel: &Channel<'_>) -> bool {
    let (mut all, mut patterns) = (false, Vec::new());
    for rule in rules {
        match rule.as_str() {
            "allchannels" | "&*" => (all, patterns) = (true, Vec::new()),
            "resetchannels" => (all, patterns) = (false, Vec::new()),
            _ => patterns.extend(rule.strip_prefix('&')),
        }
    }
    let allows = |pattern: &&str| match channel.is_pattern {
        true => pattern.as_bytes() == channel.name,
        false => matches(pattern.as_bytes(), channel.name, Case::Sensitive),
    };
    all || patterns.iter().any(allows)
}

fn catalog_once() -> &'static Catalog {
    static CATALOG: std::sync::OnceLock<Catalog> = std::sync::OnceLock::new();
    CATALOG.get_or_init(catalog)
}

proptest! {
    #![proptest_config(crate::property::cases(300))]

    #[test]
    fn a_command_is_judged_as_by_replaying_the_rules(
        selectors in selectors(),
        command in prop::sample::select(COMMANDS),
        argument in prop::option::of(prop::sample::select(ARGUMENTS)),
        key in (prop::sample::select(NAMES), any::<bool>(), any::<bool>()),
        channel in (prop::sample::select(NAMES), any::<bool>()),
        has in any::<(bool, bool)>(),
    ) {
        let basis = basis(catalog_once());
        let selectors: Vec<_> = selectors.iter().map(|one| accepted(basis, one)).collect();
        let rules = made_of(basis, &selectors);
        let keys = [Key { argument: 1, name: key.0.as_bytes(), reads: key.1, writes: key.2 }];
        let channels = [Channel { argument: 2, name: channel.0.as_bytes(), is_pattern: channel.1 }];
        let argument = argument.filter(|_| !command.0.contains('|'));
        let mut call = call(command.0, argument);
        call.keys = &keys[..usize::from(has.0)];
        call.channels = &channels[..usize::from(has.1)];
        let expected = selectors.iter().any(|one| {
            allows_command(one, command.0, argument)
                && call.keys.iter().all(|key| allows_key(one, key))
                && call.channels.iter().all(|channel| allows_channel(one, channel))
        });
        prop_assert_eq!(rules.check(&call).is_ok(), expected);
    }

    #[test]
    fn what_is_shown_is_read_back_to_the_same_rules(
        selectors in selectors(),
        more in prop::collection::vec(
            prop::sample::select(vec!["on", "nopass", ">a", ">b", "<a", "skip-sanitize-payload"]), 0..5),
    ) {
        let basis = basis(catalog_once());
        let selectors: Vec<_> = selectors.iter().map(|one| accepted(basis, one)).collect();
        let mut rules = made_of(basis, &selectors);
        for rule in more {
            let _ = rules.apply(basis, rule.as_bytes());
        }
        let text = rules.describe();
        let words: Vec<_> = text.split(|byte| *byte == b' ').collect();
        let again = Rules::new(false).changed(basis, &words);
        prop_assert!(again.is_ok(), "{}: {:?}", String::from_utf8_lossy(&text), again);
        let again = again.unwrap();
        // `%RW~*` is shown as `~*`, which also matches the empty key.
        if !String::from_utf8_lossy(&text).contains("~*") {
            prop_assert_eq!(&again, &rules);
        }
        for name in NAMES.iter().filter(|name| !name.is_empty()) {
            for (reads, writes) in [(true, false), (false, true), (true, true), (false, false)] {
                let key = Key { argument: 1, name: name.as_bytes(), reads, writes };
                prop_assert_eq!(again.may_use_key(&key), rules.may_use_key(&key), "{}", name);
            }
        }
        for (name, _) in COMMANDS {
            for argument in [None, Some("0"), Some("OBJECT")] {
                let call = call(name, argument);
                prop_assert_eq!(again.check(&call), rules.check(&call), "{}", name);
            }
        }
        // As a line of redis.conf, each word in quotes.
        let quoted: Vec<_> = rules.words().iter().map(|word| quoted(word)).collect();
        let back = Rules::new(false).changed(basis, &split(&quoted.join(&b' ')).unwrap());
        prop_assert_eq!(back.unwrap(), again);
    }
}
