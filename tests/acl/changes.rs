//! Rules that change, and what becomes of the connections and commands they hold for.

use std::time::{Duration, Instant};

use super::support::{Client, Server, shard_counts};
use super::{NO_KEY, expect, log_in, no_command, until_blocked, until_closed, user};

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
fn a_user_has_no_more_connections_than_it_may() {
    for shards in shard_counts() {
        let server = Server::millrace_with(shards, &["--maxclients-per-user", "2"]);
        let (mut one, _two) = (user(&server, "u", "+@all"), log_in(&server, "u"));
        let refused = "-ERR max number of clients of this user reached: close some, or raise maxclients-per-user";
        let mut third = server.connect();
        assert_eq!(third.run("AUTH u pw").to_string(), refused);
        let told = "Logins refused since user \"u\" has as many connections as maxclients-per-user allows: 1";
        let begun = Instant::now();
        while !server.log().contains(told) {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "{}",
                server.log()
            );
            std::thread::yield_now();
        }
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
