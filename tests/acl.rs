//! Users: what they may, whenever and wherever it is judged, and what becomes of their connections when that changes.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use support::server::info_field;
use support::{Client, Outcome, Server, shard_counts};

/// A connection of a user that may run these rules; its password is `pw`.
fn user(server: &Server, name: &str, rules: &str) -> Client {
    let line = format!("ACL SETUSER {name} on >pw {rules}");
    assert_eq!(server.connect().run(&line).text(), "OK", "{line}");
    log_in(server, name)
}

fn log_in(server: &Server, name: &str) -> Client {
    let mut client = server.connect();
    assert_eq!(client.run(&format!("AUTH {name} pw")).text(), "OK");
    client
}

/// Runs lines that end in what each must answer, behind ` => `.
fn expect(client: &mut Client, table: &[&str]) {
    for row in table {
        let (line, answer) = row.split_once(" => ").unwrap();
        assert_eq!(client.run(line).to_string(), answer, "{line}");
    }
}

const NO_KEY: &str = "-NOPERM No permissions to access a key";
const NO_CHANNEL: &str = "-NOPERM No permissions to access a channel";

fn no_command(user: &str, command: &str) -> String {
    format!("-NOPERM User {user} has no permissions to run the '{command}' command")
}

#[test]
fn a_user_may_what_its_rules_say_and_no_more() {
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        let rules = "+@read +@write +@pubsub -flushall +config|get ~job:* %R~in:* %W~out:* &news:*";
        let mut worker = user(&server, "worker", rules);
        expect(
            &mut worker,
            &[
                "SET job:1 a => +OK",
                "GET job:1 => \"a\"",
                "GET in:1 => nil",
                "SET out:1 b => +OK",
                &format!("GET out:1 => {NO_KEY}"),
                &format!("SET in:1 b => {NO_KEY}"),
                &format!("MGET job:1 other => {NO_KEY}"),
                &format!("LMOVE job:l in:l LEFT LEFT => {NO_KEY}"),
                "COPY in:1 out:1 => :0",
                &format!("COPY out:1 job:1 => {NO_KEY}"),
                &format!("SORT job:l STORE in:x => {NO_KEY}"),
                &format!("XREADGROUP GROUP g c STREAMS job:s other > > => {NO_KEY}"),
                "PUBLISH news:1 x => :0",
                &format!("PUBLISH other x => {NO_CHANNEL}"),
                &format!("SUBSCRIBE news:1 other => {NO_CHANNEL}"),
                &format!("PSUBSCRIBE news:1* => {NO_CHANNEL}"),
                &format!("FLUSHALL => {}", no_command("worker", "flushall")),
                &format!("CONFIG SET hz 10 => {}", no_command("worker", "config|set")),
                &format!("PING => {}", no_command("worker", "ping")),
                &format!("ACL WHOAMI => {}", no_command("worker", "acl|whoami")),
                "NOSUCH => -ERR unknown command 'NOSUCH', with args beginning with: ",
                "GET => -ERR wrong number of arguments for 'get' command",
                "PSUBSCRIBE news:* => [\"psubscribe\", \"news:*\", :1]",
            ],
        );
    }
}

#[test]
fn one_selector_must_allow_the_whole_command() {
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        let mut client = user(&server, "s", "(+get ~a* ) (+set ~b*) +lpush ~c*");
        expect(
            &mut client,
            &[
                "GET a1 => nil",
                "SET b1 x => +OK",
                "LPUSH c1 x => :1",
                &format!("GET b1 => {NO_KEY}"),
                &format!("SET a1 x => {NO_KEY}"),
                &format!("DEL a1 => {}", no_command("s", "del")),
            ],
        );
    }
}

#[test]
fn rules_hold_for_open_connections_at_once_on_every_thread() {
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        let mut admin = server.connect();
        user(&server, "w", "+@all ~*");
        let mut clients: Vec<_> = (0..8).map(|_| log_in(&server, "w")).collect();
        for round in 0..20 {
            let (rule, allowed) = [("-get", false), ("+get", true)][round % 2];
            assert_eq!(admin.run(&format!("ACL SETUSER w {rule}")).text(), "OK");
            for client in &mut clients {
                let reply = client.run("GET k");
                assert_eq!(reply.is_null(), allowed, "{rule}: {reply}");
            }
        }
        // A user that is off keeps its connections and gets no new ones.
        assert_eq!(admin.run("ACL SETUSER w off").text(), "OK");
        assert!(clients[0].run("GET k").is_null());
        let told = server.connect().run("AUTH w pw").to_string();
        assert!(told.starts_with("-WRONGPASS"), "{told}");
    }
}

#[test]
fn the_connections_of_a_deleted_user_are_closed_and_those_of_others_are_not() {
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        let mut admin = server.connect();
        let mut gone: Vec<_> = (0..6)
            .map(|_| user(&server, "gone", "+@all ~* &*"))
            .collect();
        let mut stays = user(&server, "stays", "+@all ~*");
        gone[0].send_line("BLPOP queue 0");
        until_blocked(&server);
        assert_eq!(
            gone[1].run("SUBSCRIBE c").to_string(),
            "[\"subscribe\", \"c\", :1]"
        );
        assert_eq!(admin.run("ACL DELUSER gone nobody").to_string(), ":1");
        gone.iter_mut().for_each(Client::expect_closed);
        assert_eq!(stays.run("PING").text(), "PONG");
        assert_eq!(admin.run("LPUSH queue x").to_string(), ":1");
        assert_eq!(admin.run("LLEN queue").to_string(), ":1", "nobody waits");
        expect(
            &mut admin,
            &[
                "ACL DELUSER default => -ERR The 'default' user cannot be removed",
                "ACL GETUSER gone => nil",
                "ACL USERS => [\"default\", \"stays\"]",
            ],
        );
        // Who deletes itself is told so first.
        assert_eq!(stays.run("ACL DELUSER stays").to_string(), ":1");
        stays.expect_closed();
    }
}

/// Reads until the server closes: what was on its way may come before, or be lost with the connection.
fn until_closed(client: &mut Client) {
    loop {
        match client.poll(Duration::from_secs(20)) {
            Outcome::Closed => return,
            Outcome::Reply(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Waits until a client is blocked.
fn until_blocked(server: &Server) {
    let mut client = server.connect();
    let began = Instant::now();
    loop {
        let info = client.run("INFO clients").text();
        if info_field(&info, "blocked_clients").as_deref() == Some("1") {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{info}");
    }
}

#[test]
fn a_subscriber_that_may_not_hear_its_channel_any_more_is_closed() {
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        let mut admin = server.connect();
        let (mut one, mut two) = (
            user(&server, "sub", "+@all resetchannels &a* &b"),
            log_in(&server, "sub"),
        );
        let mut three = log_in(&server, "sub");
        one.run("SUBSCRIBE a1");
        two.run("PSUBSCRIBE a*");
        three.run("SSUBSCRIBE b");
        assert_eq!(admin.run("ACL SETUSER sub &c").text(), "OK");
        assert_eq!(admin.run("PUBLISH a1 x").to_string(), ":2");
        assert_eq!(
            admin.run("ACL SETUSER sub resetchannels &a1 &b").text(),
            "OK"
        );
        until_closed(&mut two);
        assert_eq!(admin.run("PUBLISH a1 y").to_string(), ":1");
        assert_eq!(one.reply().to_string(), "[\"message\", \"a1\", \"x\"]");
        assert_eq!(one.reply().to_string(), "[\"message\", \"a1\", \"y\"]");
        assert_eq!(admin.run("ACL SETUSER sub resetchannels").text(), "OK");
        one.expect_closed();
        three.expect_closed();
        assert_eq!(admin.run("PUBSUB NUMSUB a1").to_string(), "[\"a1\", :0]");
    }
}

#[test]
fn queued_commands_are_judged_when_they_are_queued_and_again_at_exec() {
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        let mut admin = server.connect();
        let mut client = user(&server, "m", "+@all ~a*");
        expect(
            &mut client,
            &[
                "MULTI => +OK",
                "SET a1 x => +QUEUED",
                &format!("SET b1 x => {NO_KEY}"),
                "EXEC => -EXECABORT Transaction discarded because of previous errors.",
                "MULTI => +OK",
                "SET a1 x => +QUEUED",
                "SET a2 x => +QUEUED",
                "GET a1 => +QUEUED",
            ],
        );
        assert_eq!(admin.run("ACL SETUSER m resetkeys ~a1 -get").text(), "OK");
        let changed = "-NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. \
                       This command is no longer allowed for the following reason: no permission to";
        let replies = client.run("EXEC").to_string();
        let expected = format!(
            "[+OK, {changed} touch the specified keys, {changed} execute the command or subcommand]"
        );
        assert_eq!(replies, expected);
        assert!(admin.run("GET a2").is_null());
    }
}

#[test]
fn a_blocked_command_is_judged_again_when_it_is_served_and_takes_nothing() {
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        let mut admin = server.connect();
        let mut waits = user(&server, "w", "+@all ~*");
        waits.send_line("BLPOP queue 0");
        until_blocked(&server);
        assert_eq!(admin.run("ACL SETUSER w -blpop").text(), "OK");
        assert_eq!(admin.run("RPUSH queue job").to_string(), ":1");
        assert_eq!(waits.reply().to_string(), no_command("w", "blpop"));
        assert_eq!(admin.run("LRANGE queue 0 -1").to_string(), "[\"job\"]");
        assert_eq!(waits.run("PING").text(), "PONG");
    }
}

#[test]
fn a_command_that_a_pause_holds_back_is_judged_when_it_runs() {
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        let mut admin = server.connect();
        let mut client = user(&server, "p", "+@all ~*");
        assert_eq!(admin.run("CLIENT PAUSE 60000 WRITE").text(), "OK");
        client.send_line("SET k v");
        until_blocked(&server);
        assert_eq!(admin.run("ACL SETUSER p -set").text(), "OK");
        assert_eq!(admin.run("CLIENT UNPAUSE").text(), "OK");
        assert_eq!(client.reply().to_string(), no_command("p", "set"));
        assert!(admin.run("GET k").is_null());
    }
}

#[test]
fn a_script_may_what_the_user_may_who_runs_it() {
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        let mut client = user(&server, "l", "+eval +fcall +get +function|load ~a*");
        let in_script = "-ERR ACL failure in script: ";
        for (script, keys, answer) in [
            ("return redis.call('get', KEYS[1])", "a", "nil".to_owned()),
            (
                "return redis.call('get', 'b')",
                "a",
                format!("{in_script}No permissions to access a key script: "),
            ),
            (
                "return redis.call('set', KEYS[1], 1)",
                "a",
                format!("{in_script}User l has no permissions to run the 'set' command script: "),
            ),
            (
                "return redis.pcall('get', 'b').err",
                "a",
                "\"ERR ACL failure in script: No permissions to access a key\"".to_owned(),
            ),
            (
                "return redis.acl_check_cmd('get', 'a')",
                "a",
                ":1".to_owned(),
            ),
            (
                "return redis.acl_check_cmd('get', 'b')",
                "a",
                "nil".to_owned(),
            ),
            (
                "return redis.acl_check_cmd('set', 'a', 1)",
                "a",
                "nil".to_owned(),
            ),
            ("return 1", "b", NO_KEY.to_owned()),
        ] {
            let got = client.call(&["EVAL", script, "1", keys]).to_string();
            assert!(got.starts_with(&answer), "{script}: {got}");
        }
        let library = "#!lua name=lib\nredis.register_function('f', function(keys) return redis.call('get', keys[1]) end)";
        assert_eq!(client.call(&["FUNCTION", "LOAD", library]).text(), "lib");
        assert!(client.run("FCALL f 1 a").is_null());
        assert_eq!(client.run("FCALL f 1 b").to_string(), NO_KEY);
    }
}

#[test]
fn sort_looks_at_other_keys_only_for_who_may_read_all() {
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        server.connect().run("RPUSH mylist 2 1");
        let mut client = user(&server, "s", "+sort +sort_ro ~mylist");
        let option = |name| {
            format!("-ERR {name} option of SORT denied due to insufficient ACL permissions.")
        };
        expect(
            &mut client,
            &[
                "SORT mylist => [\"1\", \"2\"]",
                "SORT mylist BY nosort => [\"2\", \"1\"]",
                &format!("SORT mylist BY w_* => {}", option("BY")),
                &format!("SORT_RO mylist GET obj_* => {}", option("GET")),
            ],
        );
        server.connect().run("ACL SETUSER s %R~*");
        assert_eq!(
            client.run("SORT mylist GET obj_*").to_string(),
            "[nil, nil]"
        );
    }
}

#[test]
fn what_was_denied_is_logged_and_counted() {
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        let mut admin = server.connect();
        let mut client = user(&server, "u", "+get +multi +eval ~a &c");
        client.run("CLIENT SETNAME x");
        client.run("GET b");
        client.run("GET b");
        client.run("MULTI");
        client.run("SET a 1");
        client.run("EXEC");
        client.run("PUBLISH d x");
        client.call(&["EVAL", "return redis.pcall('get', 'z')", "0"]);
        client.run("AUTH u wrong");
        let log = admin.run("ACL LOG");
        let entries = log.items();
        let told: Vec<String> = entries
            .iter()
            .map(|entry| {
                let fields = entry.items();
                let of = |name: &str| {
                    let at = fields.iter().position(|field| field.text() == name);
                    fields[at.unwrap() + 1].to_string().replace('"', "")
                };
                assert!(of("client-info").contains(" user=u "), "{entry}");
                let parts = ["count", "reason", "context", "object", "username"];
                parts.map(of).join(" ")
            })
            .collect();
        let expected = [
            ":1 auth toplevel AUTH u",
            ":1 key lua z u",
            ":1 command toplevel publish u",
            ":1 command multi exec u",
            ":1 command multi set u",
            ":2 key toplevel b u",
            ":1 command toplevel client|setname u",
        ];
        assert_eq!(told, expected);
        let info = admin.run("INFO stats").text();
        for (name, count) in [("auth", "1"), ("cmd", "4"), ("key", "3"), ("channel", "0")] {
            let field = info_field(&info, &format!("acl_access_denied_{name}"));
            assert_eq!(field.as_deref(), Some(count), "{name}");
        }
        expect(&mut admin, &["ACL LOG RESET => +OK", "ACL LOG => []"]);
        assert_eq!(admin.run("CONFIG SET acllog-max-len 2").text(), "OK");
        for key in ["x", "y", "z"] {
            client.run(&format!("GET {key}"));
        }
        assert_eq!(admin.run("ACL LOG").items().len(), 2);
        assert_eq!(admin.run("ACL LOG 1").items().len(), 1);
    }
}

#[test]
fn clients_are_listed_and_killed_by_user() {
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        let mut admin = server.connect();
        let (mut one, mut two) = (user(&server, "a", "+@all"), user(&server, "b", "+@all"));
        assert!(one.run("CLIENT INFO").text().contains(" user=a "));
        assert_eq!(admin.run("CLIENT KILL USER a").to_string(), ":1");
        one.expect_closed();
        assert_eq!(two.run("RESET").text(), "RESET");
        assert_eq!(two.run("ACL WHOAMI").text(), "default");
        let told = admin.run("CLIENT KILL USER nobody").to_string();
        assert_eq!(told, "-ERR No such user 'nobody'");
    }
}

/// A directory of its own with files in it.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

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
    assert!(
        server
            .connect()
            .run("PING")
            .to_string()
            .starts_with("-NOAUTH")
    );
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
fn a_start_with_wrong_users_says_which_line_and_what_to_do() {
    let files = directory(&[
        ("both.conf", "aclfile users.acl\nuser a on\n"),
        ("rule.conf", "port 0\n\nuser a on\nuser b +nosuch\n"),
        ("twice.conf", "user a on\nuser a off\n"),
        ("missing.conf", "aclfile missing.acl\n"),
        ("bad.conf", "aclfile bad.acl\n"),
        ("bad.acl", "user x on\nuser y +nosuch\n"),
        ("users.acl", ""),
    ]);
    for (file, parts) in [
        (
            "both.conf",
            &["both.conf", "line 2", "keep one of the two"][..],
        ),
        ("rule.conf", &["rule.conf", "line 4", "+nosuch"]),
        ("twice.conf", &["twice.conf", "line 2", "Duplicate user"]),
        (
            "missing.conf",
            &["missing.acl", "No such file", "create it"],
        ),
        ("bad.conf", &["bad.acl:2", "+nosuch"]),
    ] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_millrace"))
            .arg(files.path().join(file))
            .args(["--port", "0", "--dir", &shown(files.path())])
            .output()
            .unwrap();
        assert!(!output.status.success(), "{file}");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        for part in parts {
            assert!(told.contains(part), "{file}: {part}: {told}");
        }
    }
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
        assert!(
            server
                .connect()
                .run("PING")
                .to_string()
                .starts_with("-NOAUTH")
        );
        assert_eq!(admin.run("ACL LOAD").text(), "OK");
        assert!(
            server
                .connect()
                .run("PING")
                .to_string()
                .starts_with("-NOAUTH")
        );
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
    assert!(
        again
            .connect()
            .run("PING")
            .to_string()
            .starts_with("-NOAUTH")
    );
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
fn connections_are_let_in_when_no_password_is_needed_any_more() {
    for shards in shard_counts() {
        let server = Server::millrace_with(shards, &["--requirepass", "one"]);
        let (mut admin, mut waits) = (server.connect(), server.connect());
        assert!(waits.run("PING").to_string().starts_with("-NOAUTH"));
        admin.run("AUTH one");
        assert_eq!(
            admin.call(&["CONFIG", "SET", "requirepass", ""]).text(),
            "OK"
        );
        assert_eq!(waits.run("PING").text(), "PONG");
        assert_eq!(waits.run("HELLO 2").items().len(), 14);
    }
}

#[test]
fn keys_are_found_where_the_command_finds_them() {
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        let mut admin = server.connect();
        admin.run("XADD k 1-1 f v");
        admin.run("XGROUP CREATE k g 0");
        admin.run("RPUSH l 2 1");
        let mut client = user(&server, "u", "+xreadgroup +sort ~STREAMS ~l ~alpha ~DESC");
        for line in [
            "XREADGROUP COUNT 1 GROUP g STREAMS STREAMS k >",
            "XREADGROUP NOACK GROUP STREAMS STREAMS COUNT 1 STREAMS k >",
            "SORT l STORE store alpha",
            "SORT l STORE store DESC",
        ] {
            assert_eq!(client.run(line).to_string(), NO_KEY, "{line}");
            let told = admin.run(line).to_string();
            assert!(
                !told.starts_with('-') || told.starts_with("-NOGROUP"),
                "{line}: {told}"
            );
        }
        assert_eq!(admin.run("LRANGE store 0 -1").to_string(), "[\"2\", \"1\"]");
    }
}

#[test]
fn what_is_denied_takes_little_memory_however_long_its_keys_are() {
    let server = Server::millrace(1);
    let mut client = user(&server, "u", "+get");
    let before = server.resident_bytes();
    for number in 0..100u8 {
        let mut key = vec![b'x'; 1 << 20];
        key[0] = number;
        client.call(&[&b"GET"[..], &key]);
    }
    let growth = server.growth_below(before, 32 << 20);
    assert!(growth < 32 << 20, "{growth} bytes");
    let log = server.connect().run("ACL LOG 1").to_string();
    assert!(log.len() < 2000, "{log}");
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
        assert!(
            server
                .connect()
                .run("PING")
                .to_string()
                .starts_with("-NOAUTH")
        );
        assert_eq!(log_in(&server, "admin").run("PING").text(), "PONG");
    }
}

#[test]
fn monitor_and_slow_log_show_no_password() {
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        let (mut admin, mut monitor) = (server.connect(), server.connect());
        admin.run("CONFIG SET slowlog-log-slower-than 0");
        assert_eq!(monitor.run("MONITOR").text(), "OK");
        admin.run("ACL SETUSER x on >secretpw +@all");
        admin.run("ACL GETUSER secretpw");
        admin.run("AUTH x secretpw");
        admin.run("HELLO 3 AUTH x secretpw");
        admin.run("ECHO end");
        let log = admin.run("SLOWLOG GET 20").to_string();
        assert!(
            log.contains("(redacted)") && !log.contains("secretpw"),
            "{log}"
        );
        loop {
            match monitor.poll(Duration::from_secs(20)) {
                Outcome::Reply(line) => {
                    let line = String::from_utf8_lossy(&line).into_owned();
                    assert!(!line.contains("secretpw"), "{line}");
                    if line.contains("\"end\"") {
                        break;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn our_own_commands_are_in_the_categories_of_their_kin() {
    let server = Server::millrace(1);
    let mut client = user(&server, "q", "+@stream +@list -@all +@stream ~*");
    for line in [
        "XADD s 1-1 f v",
        "XDELEX s IDS 1 9-9",
        "XLEN s",
        "XGROUP CREATE s g 0",
        "XACKDEL s g IDS 1 9-9",
    ] {
        let told = client.run(line).to_string();
        assert!(!told.starts_with('-'), "{line}: {told}");
    }
    for (command, category) in [("xdelex", "write"), ("xackdel", "fast"), ("xnack", "write")] {
        let members = server
            .connect()
            .run(&format!("ACL CAT {category}"))
            .to_string();
        assert!(
            members.contains(&format!("\"{command}\"")),
            "{command} {category}"
        );
    }
}

#[test]
fn a_user_has_no_more_connections_than_it_may() {
    for shards in shard_counts() {
        let server = Server::millrace_with(shards, &["--maxclients-per-user", "2"]);
        let (mut one, _two) = (user(&server, "u", "+@all"), log_in(&server, "u"));
        let refused = "-ERR max number of clients of this user reached: close some, or raise maxclients-per-user";
        let mut third = server.connect();
        assert_eq!(third.run("AUTH u pw").to_string(), refused);
        assert_eq!(one.run("AUTH u pw").text(), "OK", "it is that user already");
        assert_eq!(user(&server, "v", "+@all").run("PING").text(), "PONG");
        assert_eq!(one.run("RESET").text(), "RESET");
        assert_eq!(third.run("AUTH u pw").text(), "OK");
        drop(third);
        let began = Instant::now();
        let mut fourth = server.connect();
        while fourth.run("AUTH u pw").to_string() != "+OK" {
            assert!(began.elapsed() < Duration::from_secs(20));
        }
    }
}

#[test]
fn renamed_commands_have_their_new_names_only_everywhere() {
    for shards in shard_counts() {
        let names = [
            "--rename-command",
            "BLPOP",
            "bwait",
            "--rename-command",
            "EXEC",
            "go",
        ];
        let gone = [
            "--rename-command",
            "FLUSHALL",
            "",
            "--rename-command",
            "GET",
            "fetch",
        ];
        let server = Server::millrace_with(shards, &[&names[..], &gone].concat());
        let (mut client, mut other) = (server.connect(), server.connect());
        let unknown =
            |name: &str| format!("-ERR unknown command '{name}', with args beginning with: ");
        expect(
            &mut client,
            &[
                &format!("FLUSHALL => {}", unknown("FLUSHALL")),
                &format!("EXEC => {}", unknown("EXEC")),
                "SET k v => +OK",
                "FETCH k => \"v\"",
                "MULTI => +OK",
                "fetch k => +QUEUED",
                "go => [\"v\"]",
                "MULTI => +OK",
                "nosuch => -ERR unknown command 'nosuch', with args beginning with: ",
                "go => -EXECABORT Transaction discarded because of previous errors.",
                "COMMAND INFO flushall => [nil]",
            ],
        );
        let script = "return {redis.call('fetch', KEYS[1]), redis.pcall('get', KEYS[1]).err}";
        let told = client.call(&["EVAL", script, "1", "k"]).to_string();
        let expected = "[\"v\", \"ERR Unknown Redis command called from script\"]";
        assert_eq!(told, expected);
        other.send_line("bwait queue 0");
        until_blocked(&server);
        assert_eq!(client.run("LPUSH queue job").to_string(), ":1");
        assert_eq!(other.reply().to_string(), "[\"queue\", \"job\"]");
        // Rules know commands by their own names.
        assert_eq!(client.run("ACL SETUSER u on >pw ~* +get").text(), "OK");
        assert_eq!(log_in(&server, "u").run("FETCH k").to_string(), "\"v\"");
    }
    let wrong = |words: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_millrace"))
            .args(["--port", "0"])
            .args(words)
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let told = wrong(&["--rename-command", "NOSUCH", "x"]);
    assert!(told.contains("No such command in rename-command"), "{told}");
    let told = wrong(&["--rename-command", "GET", "SET"]);
    assert!(
        told.contains("Target command name already exists"),
        "{told}"
    );
}
