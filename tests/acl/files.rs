//! Users in files: the configuration, the aclfile, `requirepass`.

use super::support::{self, Server, shard_counts};
use super::{NO_KEY, directory, expect_login_wanted, log_in, shown, user};

#[test]
fn the_file_of_users_is_read_at_the_start_and_loaded_and_saved_whole() {
    for shards in shard_counts() {
        let text =
            "user alice on nopass ~* &* +@all\n\nuser bob on nopass ~b* resetchannels +get\n";
        let files = directory(&[("users.acl", text)]);
        let path = files.path().join("users.acl");
        let server = Server::millrace_with(shards, &["--aclfile", &shown(&path)]);
        let mut admin = log_in(&server, "alice");
        let mut bob = log_in(&server, "bob");
        assert_eq!(
            admin.run("ACL USERS").to_string(),
            "[\"alice\", \"bob\", \"default\"]"
        );
        assert_eq!(bob.run("GET a").to_string(), NO_KEY);
        // A file with errors changes nothing, and all of them are told.
        std::fs::write(&path, "user alice on +nosuch\nusr x\nuser bob foo\n").unwrap();
        let told = admin.run("ACL LOAD").to_string();
        for part in [
            "users.acl:1: ",
            "'+nosuch'",
            "users.acl:2 ",
            "users.acl:3: ",
            "no change",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert_eq!(bob.run("GET b").to_string(), "nil");
        // Who is still in the file stays connected under the new rules.
        std::fs::write(
            &path,
            "user alice on nopass ~* +@all\nuser bob on nopass ~a* +get\n",
        )
        .unwrap();
        let mut carol = user(&server, "carol", "+@all");
        assert_eq!(admin.run("ACL LOAD").text(), "OK");
        carol.expect_closed();
        assert!(bob.run("GET a").is_null());
        assert_eq!(admin.run("ACL SETUSER dave on >pw +ping").text(), "OK");
        assert_eq!(admin.run("ACL SAVE").text(), "OK");
        let saved = std::fs::read_to_string(&path).unwrap();
        let listed = admin.run("ACL LIST");
        let listed: Vec<_> = listed.items().iter().map(support::Frame::text).collect();
        assert_eq!(saved.lines().collect::<Vec<_>>(), listed);
        let again = Server::millrace_with(shards, &["--aclfile", &shown(&path)]);
        assert_eq!(log_in(&again, "dave").run("PING").text(), "PONG");
        std::fs::remove_file(&path).unwrap();
        let told = admin.run("ACL LOAD").to_string();
        assert!(
            told.starts_with("-ERR Error loading ACLs, opening file '"),
            "{told}"
        );
    }
}

#[test]
fn users_of_the_configuration_survive_a_rewrite() {
    let text = "port 0\nuser alice on >pw ~a* +@all -@dangerous +config +acl\nuser default on >top ~* &* +@all\n";
    let files = directory(&[("millrace.conf", text)]);
    let path = files.path().join("millrace.conf");
    let server = Server::millrace_with_file(&path);
    let mut alice = log_in(&server, "alice");
    assert_eq!(alice.run("PING").text(), "PONG");
    expect_login_wanted(&server);
    assert_eq!(
        alice
            .call(&["ACL", "SETUSER", "eve", "on", ">pw", "(+get ~e:*)"])
            .text(),
        "OK"
    );
    assert_eq!(alice.run("CONFIG REWRITE").text(), "OK");
    let listed = alice.run("ACL LIST").to_string();
    // The first one lives on, since the file names its directory.
    let again = Server::millrace_with_file(&path);
    let mut alice = log_in(&again, "alice");
    assert_eq!(alice.run("ACL LIST").to_string(), listed);
    assert!(log_in(&again, "eve").run("GET e:1").is_null());
}

#[test]
fn a_start_that_fails_shows_no_password() {
    let files = directory(&[
        ("rule.conf", "user alice on >topsecret ~a +nosuch\n"),
        ("less.conf", "user alice on <topsecret\n"),
        ("name.conf", "usre alice on >topsecret\n"),
        ("quote.conf", "requirepass \"topsecret\n"),
        ("twice.conf", "user a on >topsecret\nuser a on >topsecret\n"),
        ("both.conf", "aclfile users.acl\nuser a on >topsecret\n"),
        ("file.conf", "aclfile users.acl\n"),
        (
            "users.acl",
            "user x on >topsecret +nosuch\nuser y <topsecret\n",
        ),
    ]);
    let fails = |words: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_millrace"))
            .args(words)
            .args(["--port", "0", "--dir", &shown(files.path())])
            .output()
            .unwrap();
        assert!(!output.status.success(), "{words:?}");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!told.contains("topsecret"), "{told}");
    };
    for file in ["rule", "less", "name", "quote", "twice", "both", "file"] {
        let path = files.path().join(format!("{file}.conf"));
        fails(&[&shown(&path)]);
    }
    fails(&["--user", "alice", "on", ">topsecret", "+nosuch"]);
}

#[test]
fn a_file_without_the_default_user_leaves_it_the_password_of_the_configuration() {
    for shards in shard_counts() {
        let files = directory(&[("users.acl", "user admin on nopass ~* &* +@all\n")]);
        let path = shown(&files.path().join("users.acl"));
        let options = ["--aclfile", &path, "--requirepass", "secret"];
        let server = Server::millrace_with(shards, &options);
        let mut admin = log_in(&server, "admin");
        expect_login_wanted(&server);
        assert_eq!(admin.run("ACL LOAD").text(), "OK");
        expect_login_wanted(&server);
        assert_eq!(server.connect().run("AUTH secret").text(), "OK");
    }
}

#[test]
fn a_change_of_the_configuration_that_fails_leaves_the_password() {
    for shards in shard_counts() {
        let options = ["--requirepass", "one", "--appenddirname", "log-of-commands"];
        let server = Server::millrace_with(shards, &options);
        // Where the log would be is a file: it cannot be switched on.
        std::fs::write(server.directory().join("log-of-commands"), "").unwrap();
        let mut admin = server.connect();
        assert_eq!(admin.run("AUTH one").text(), "OK");
        let told = admin
            .run("CONFIG SET appendonly yes requirepass two")
            .to_string();
        assert!(told.starts_with('-'), "{told}");
        assert_eq!(server.connect().run("AUTH one").text(), "OK");
        let told = server.connect().run("AUTH two").to_string();
        assert!(told.starts_with("-WRONGPASS"), "{told}");
    }
}

#[test]
fn a_rewritten_configuration_has_the_same_users_whatever_their_names_and_patterns() {
    let files = directory(&[("millrace.conf", "port 0\n")]);
    let path = files.path().join("millrace.conf");
    let server = Server::millrace_with_file(&path);
    let mut admin = server.connect();
    for rules in [
        &["a\"b", "on", "~a\"b", "+get"][..],
        &["c'd", "on", "(%R~q +get)", "(%W~\"*\" +set)"],
        &["e\\f", "on", ">pw", "~\\x41", "&'", "+@all"],
    ] {
        let words = [&["ACL", "SETUSER"], rules].concat();
        assert_eq!(admin.call(&words).text(), "OK", "{rules:?}");
    }
    assert_eq!(admin.run("CONFIG REWRITE").text(), "OK");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        !text.contains("user default"),
        "nobody has touched it: {text}"
    );
    let again = Server::millrace_with_file(&path);
    let listed = again.connect().run("ACL LIST").to_string();
    assert_eq!(listed, admin.run("ACL LIST").to_string());
    // A password that is added to the file later counts.
    std::fs::write(&path, text + "requirepass late\n").unwrap();
    let again = Server::millrace_with_file(&path);
    expect_login_wanted(&again);
}

#[test]
fn a_configuration_whose_users_stand_elsewhere_is_not_rewritten() {
    let files = directory(&[("users.conf", "user a on nopass +@all\n")]);
    let text = format!(
        "port 0\ninclude {}\n",
        shown(&files.path().join("users.conf"))
    );
    let path = files.path().join("millrace.conf");
    std::fs::write(&path, &text).unwrap();
    let server = Server::millrace_with_file(&path);
    let told = server.connect().run("CONFIG REWRITE").to_string();
    assert!(
        told.contains("users are declared in an included file"),
        "{told}"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn many_who_save_the_users_at_a_time_leave_a_whole_file() {
    let files = directory(&[("users.acl", "")]);
    let path = files.path().join("users.acl");
    let server = Server::millrace_with(4, &["--aclfile", &shown(&path)]);
    for number in 0..50 {
        let line = format!("ACL SETUSER user{number} on >pw ~k* +@all");
        server.connect().run(&line);
    }
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let mut client = server.connect();
            scope.spawn(move || {
                for _ in 0..30 {
                    assert_eq!(client.run("ACL SAVE").text(), "OK");
                }
            });
        }
        for _ in 0..100 {
            let text = std::fs::read_to_string(&path).unwrap();
            let count = text.lines().count();
            assert!(
                count == 0 || count == 51 && text.ends_with('\n'),
                "{count} lines"
            );
        }
    });
}

#[test]
fn the_password_of_the_configuration_is_that_of_the_default_user() {
    for shards in shard_counts() {
        let server = Server::millrace_with(shards, &["--requirepass", "one"]);
        let mut admin = server.connect();
        assert!(admin.run("PING").to_string().starts_with("-NOAUTH"));
        assert_eq!(admin.run("AUTH one").text(), "OK");
        assert_eq!(admin.run("ACL SETUSER default >two").text(), "OK");
        assert_eq!(server.connect().run("AUTH two").text(), "OK");
        assert_eq!(server.connect().run("AUTH one").text(), "OK");
        assert_eq!(admin.run("CONFIG SET requirepass three").text(), "OK");
        assert!(
            server
                .connect()
                .run("AUTH two")
                .to_string()
                .starts_with("-WRONGPASS")
        );
        assert_eq!(server.connect().run("AUTH three").text(), "OK");
        assert_eq!(admin.run("ACL SETUSER default nopass").text(), "OK");
        assert_eq!(server.connect().run("PING").text(), "PONG");
        // Without the default user, everybody must log in.
        assert_eq!(admin.run("ACL SETUSER admin on >pw +@all ~*").text(), "OK");
        assert_eq!(admin.run("ACL SETUSER default off").text(), "OK");
        expect_login_wanted(&server);
        assert_eq!(log_in(&server, "admin").run("PING").text(), "PONG");
    }
}
