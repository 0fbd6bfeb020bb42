//! What is judged: commands, keys and channels, wherever they come from.

use std::time::Duration;

use super::support::server::info_field;
use super::support::{Outcome, Server, shard_counts};
use super::{
    NO_CHANNEL, NO_KEY, directory, expect, log_in, no_command, shown, until_blocked, user,
};

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
