//! Users as text. The errors are those that a server of 7.2 replied to ACL LOAD.

use crate::acl::file::{declared, read, write};
use crate::acl::{Rules, Users};

use super::{basis, catalog, rules};

/// The users of a file as lines, or the errors without the warning that ends them.
fn load(text: &str) -> Result<Vec<String>, String> {
    let catalog = catalog();
    match read(basis(&catalog), b"FILE", text.as_bytes()) {
        Ok(users) => Ok(users
            .iter()
            .map(|(name, rules)| crate::acl::file::line(name, rules))
            .map(|line| String::from_utf8(line).unwrap())
            .collect()),
        Err(errors) => {
            let errors = String::from_utf8(errors).unwrap();
            let end = "WARNING: ACL errors detected, no change to the previously active ACL rules was performed";
            Err(errors.strip_suffix(end).unwrap().to_owned())
        }
    }
}

#[test]
fn a_file_is_read_line_by_line() {
    assert_eq!(load(""), Ok(vec![]));
    assert_eq!(
        load("\n\n  user alice on  \r\n\t\nuser bob"),
        Ok(vec![
            "user alice on sanitize-payload resetchannels -@all".to_owned(),
            "user bob off sanitize-payload resetchannels -@all".to_owned(),
        ])
    );
    let lines = "user alice  on\t   (~a +get\t)  %R~x\nuser default on nopass +@all\n";
    assert_eq!(
        load(lines),
        Ok(vec![
            "user alice on sanitize-payload %R~x resetchannels -@all (~a resetchannels -@all +get)"
                .to_owned(),
            "user default on nopass sanitize-payload resetchannels +@all".to_owned(),
        ])
    );
}

#[test]
fn every_error_of_a_file_is_told_in_the_peers_words() {
    let keyword = "FILE:1 should start with user keyword followed by the username. ";
    let after_all = "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. \
                     Try 'resetkeys' to start with an empty list of patterns. ";
    for (text, errors) in [
        ("user", keyword),
        ("user ", keyword),
        ("users alice on", keyword),
        ("USER alice", keyword),
        ("# comment\nuser x", keyword),
        (
            "  user alice\ton +get",
            "'FILE:1: username 'alice\ton' contains invalid characters. ",
        ),
        (
            "user alice on badrule worse +get\nuser bob +nosuch +@nosuch bad1 bad2",
            "FILE:1: Syntax error. FILE:2: Error in applying operation '+nosuch': Unknown command or category name in ACL. \
             FILE:2: Error in applying operation '+@nosuch': Unknown command or category name in ACL. FILE:2: Syntax error. ",
        ),
        (
            "user alice on\nuser alice off\n",
            "WARNING: Duplicate user 'alice' found on line 2. ",
        ),
        (
            "user alice (~a +get",
            "FILE:1: Unmatched parenthesis in selector definition.",
        ),
        // Redis stops here.
        (
            "user alice (~a +get) (+set\nuser bob on",
            "FILE:1: Unmatched parenthesis in selector definition.",
        ),
        ("user  alice on", "FILE:1: Syntax error. "),
        (
            "user alice (+nosuch on)",
            "FILE:1: Error in applying operation '(+nosuch on)': Unknown command or category name in ACL. ",
        ),
        (
            "user alice on\nuser bob on ~x\nuser alice bad\nuser carol ~* ~a +b",
            &format!(
                "WARNING: Duplicate user 'alice' found on line 3. FILE:4: {after_all}FILE:4: Error in applying operation '+b': \
                 Unknown command or category name in ACL. "
            ),
        ),
    ] {
        assert_eq!(load(text), Err(errors.to_owned()), "{text}");
    }
}

#[test]
fn what_is_written_is_read_back() {
    let users = Users::new(Rules::all_may());
    users.set(b"q\"uote", rules("on >a ~a\"b +get"));
    users.set(b"bob", rules("+@all -@dangerous (~x +get) (&c +publish)"));
    let listed = users.list();
    let text = write(listed.iter().map(|user| &**user));
    assert!(text.starts_with(b"user bob off sanitize-payload "));
    assert!(text.ends_with(b"\n"));
    let catalog = catalog();
    let back = read(basis(&catalog), b"FILE", &text).unwrap();
    assert_eq!(back.len(), 3);
    for ((name, rules), user) in back.iter().zip(&listed) {
        assert_eq!((name.as_slice(), rules), (user.name(), &*user.rules()));
    }
}

#[test]
fn user_lines_of_the_configuration_are_taken_or_say_what_is_wrong() {
    let catalog = catalog();
    let found = |lines: &[&str]| {
        let words = |line: &&str| {
            line.split(',')
                .map(|word| word.as_bytes().to_vec())
                .collect()
        };
        let lines: Vec<Vec<_>> = lines.iter().map(words).collect();
        match declared(basis(&catalog), &lines) {
            Ok(users) => format!("{} users", users.len()),
            Err(error) => {
                format!("{}: {}", error.line, String::from_utf8_lossy(&error.text))
            }
        }
    };
    for (lines, outcome) in [
        (&["alice,on,(~a,+get)", "bob"][..], "2 users"),
        (
            &["bob", "alice,on,bad"],
            "1: Error in user declaration 'bad': Syntax error",
        ),
        (
            &["alice,on,(~a"],
            "0: Error in user declaration '(~a': Unmatched parenthesis in selector definition",
        ),
        (
            &["alice,+nosuch"],
            "0: Error loading ACL rule '+nosuch' for the user named 'alice': Unknown command or category name in ACL",
        ),
        (
            &["alice", "alice"],
            "1: Error in user declaration 'alice': Duplicate user found. A user can only be defined once in config files",
        ),
        (&["al ice,on"], "0: Spaces not allowed in ACL usernames"),
    ] {
        assert_eq!(found(lines), outcome);
    }
}
