//! Rules of users from strangers, for fuzzing: no panic, and what is shown of accepted rules reads back to rules that decide the same.

use crate::acl::rules::Basis;
use crate::acl::{Call, Channel, Key, Rules, file};

use super::permission;
use super::table::commands;

const KEYS: [&[u8]; 3] = [b"k", b"queue:1", b"\xff\0"];

/// Words of ACL SETUSER: whether they were accepted.
///
/// # Panics
/// When what is shown of the rules is not what they are.
pub fn rules(words: &[&[u8]]) -> bool {
    let basis = basis();
    let rules = match Rules::new(false).changed(basis, words) {
        Ok(rules) => rules,
        Err(error) => {
            assert!(!error.text().is_empty());
            return false;
        }
    };
    check(&rules);
    true
}

/// The text of an aclfile: whether it was accepted.
///
/// # Panics
/// When what is shown of its users is not what they are.
pub fn users(text: &[u8]) -> bool {
    match file::read(basis(), b"users.acl", text) {
        Ok(users) => {
            for (_, rules) in &users {
                check(rules);
            }
            true
        }
        Err(text) => {
            assert!(!text.contains(&b'\n'), "the reply is one line");
            false
        }
    }
}

fn basis() -> Basis<'static> {
    Basis {
        catalog: permission::catalog(commands()),
        all_channels: false,
    }
}

/// Rules read back from what is shown of them, as words and as a line of a file.
fn check(rules: &Rules) {
    let basis = basis();
    let shown = rules.words();
    let again = Rules::new(false)
        .changed(basis, &shown)
        .expect("what is shown is accepted");
    assert_eq!(again.words(), shown);
    let line = [&file::line(b"someone", rules)[..], b"\n"].concat();
    let read = file::read(basis, b"users.acl", &line).expect("a line that was written");
    let (name, from_file) = read.first().expect("the user is there");
    assert_eq!((&name[..], from_file.words()), (&b"someone"[..], shown));
    for command in 0..commands().rows().len() as u16 {
        let (argument, is_pattern) = (1 + usize::from(command) % 3, command % 2 == 0);
        let name = KEYS[usize::from(command) % KEYS.len()];
        let (reads, writes) = (command % 3 > 0, command % 5 > 0);
        let call = Call {
            command,
            is_for_all: false,
            first_argument: Some(b"0"),
            keys: &[Key {
                argument,
                name,
                reads,
                writes,
            }],
            channels: &[Channel {
                argument,
                name,
                is_pattern,
            }],
        };
        let verdict = rules.check(&call);
        assert_eq!(again.check(&call), verdict);
        assert_eq!(from_file.check(&call), verdict);
        assert!(verdict.is_ok() || !rules.is_unrestricted());
    }
}
