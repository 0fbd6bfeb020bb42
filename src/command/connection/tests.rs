//! The connection's commands on the bench.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::acl::Rules;
use crate::acl::users::DEFAULT;
use crate::client::registry::{ClientFlag, ClientHandle, ClientOrigin};
use crate::client::session::ReplyMode;
use crate::command::testing::Bench;
use crate::command::{Outcome, ShardAction};
use crate::ids::{ClientId, ShardId};
use crate::pubsub::registry::ChannelKind;
use crate::resp::Protocol;

fn with_password(password: &str) -> Bench {
    let mut bench = Bench::new();
    let rules = Rules::all_may().with_password(Some(password.as_bytes()));
    bench.shared.users.set(DEFAULT, rules);
    bench.session.authenticated = false;
    bench
}

fn poked(bench: &Bench) -> &[ClientId] {
    match &bench.outcome {
        Some(Outcome::Ask(ShardAction::Poke(clients))) => clients,
        other => panic!("no poke: {other:?}"),
    }
}

fn other(bench: &Bench, address: &str) -> Arc<ClientHandle> {
    let origin = ClientOrigin {
        address: address.into(),
        ..ClientOrigin::default()
    };
    let id = bench.shared.clients.next_id();
    let handle = Arc::new(ClientHandle::new(id, origin, ShardId(0), 0));
    bench.shared.clients.insert(Arc::clone(&handle));
    handle
}

#[test]
fn ping_has_the_form_of_a_message_while_subscribed_in_resp2() {
    let mut bench = Bench::new();
    assert_eq!(bench.line("PING"), "+PONG");
    assert_eq!(bench.line("PING x"), "$1 x");
    assert_eq!(
        bench.line("PING x y"),
        "-ERR wrong number of arguments for 'ping' command"
    );
    bench
        .session
        .subscriptions
        .channels
        .insert(b"c".as_slice().into());
    assert_eq!(bench.line("PING"), "*2 $4 pong $0");
    bench.session.set_protocol(Protocol::Resp3);
    assert_eq!(bench.line("PING"), "+PONG");
}

#[test]
fn auth_takes_the_password_of_the_default_user_only() {
    let mut bench = with_password("secret");
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.";
    for line in [
        "AUTH x",
        "AUTH secre",
        "AUTH secretsecret",
        "AUTH me secret",
        "AUTH default x",
    ] {
        assert_eq!(bench.line(line), wrong);
    }
    assert!(!bench.session.authenticated);
    assert_eq!(bench.line("AUTH secret"), "+OK");
    assert!(bench.session.authenticated);
    assert_eq!(bench.line("RESET"), "+RESET");
    assert!(!bench.session.authenticated);
    assert!(
        bench
            .line("HELLO 3")
            .starts_with("-NOAUTH HELLO must be called")
    );
    assert!(
        bench
            .line("HELLO 3 AUTH default secret")
            .starts_with("%7 $6 server $5 redis")
    );
    assert_eq!(Bench::new().line("AUTH default anything"), "+OK");
    assert!(
        Bench::new()
            .line("AUTH x")
            .starts_with("-ERR AUTH <password> called without")
    );
}

#[test]
fn hello_changes_nothing_when_it_fails() {
    let mut bench = Bench::new();
    for (line, reply) in [
        ("HELLO 4", "-NOPROTO unsupported protocol version"),
        (
            "HELLO x",
            "-ERR Protocol version is not an integer or out of range",
        ),
        ("HELLO 3 AUTH a", "-ERR Syntax error in HELLO option 'AUTH'"),
        (
            "HELLO 3 SETNAME",
            "-ERR Syntax error in HELLO option 'SETNAME'",
        ),
        (
            "HELLO 3 SETNAME n AUTH x y",
            "-WRONGPASS invalid username-password pair or user is disabled.",
        ),
    ] {
        assert_eq!(bench.line(line), reply);
        assert_eq!(bench.session.protocol, Protocol::Resp2);
        assert_eq!(bench.line("CLIENT GETNAME"), "$-1");
    }
    assert!(bench.line("HELLO 3 SETNAME n").starts_with("%7"));
    assert_eq!(bench.line("CLIENT GETNAME"), "$1 n");
    assert!(bench.session.handle.has_flag(ClientFlag::RESP3));
}

#[test]
fn select_and_its_limits() {
    let mut bench = Bench::new();
    assert_eq!(bench.line("SELECT 3"), "+OK");
    assert_eq!(bench.session.db, 3);
    assert_eq!(bench.line("SELECT 16"), "-ERR DB index is out of range");
    assert_eq!(bench.line("SELECT -1"), "-ERR DB index is out of range");
    assert_eq!(
        bench.line("SELECT x"),
        "-ERR value is not an integer or out of range"
    );
    assert_eq!(bench.session.db, 3);
}

#[test]
fn reset_makes_the_connection_new() {
    let mut bench = Bench::new();
    for line in [
        "HELLO 3",
        "SELECT 2",
        "CLIENT SETNAME n",
        "CLIENT NO-TOUCH ON",
        "CLIENT NO-EVICT ON",
        "MULTI",
    ] {
        assert!(!bench.line(line).starts_with('-'), "{line}");
    }
    bench.line("SUBSCRIBE a");
    bench.session.reply_mode = ReplyMode::Off;
    assert_eq!(bench.line("RESET"), "+RESET");
    match &bench.outcome {
        Some(Outcome::Ask(ShardAction::Subscriptions(changes))) => {
            assert_eq!(changes.len(), 1);
            assert!(!changes[0].subscribed);
        }
        other => panic!("{other:?}"),
    }
    let session = &bench.session;
    assert_eq!((session.db, session.protocol), (0, Protocol::Resp2));
    assert_eq!(session.reply_mode, ReplyMode::On);
    assert!(!session.transaction.active && !session.no_touch && !session.subscriptions.any());
    assert_eq!(session.handle.flags.load(Ordering::Relaxed), 0);
    assert_eq!(bench.shared.channels.name_count(ChannelKind::Channel), 0);
    assert_eq!(bench.line("CLIENT GETNAME"), "$-1");
}

#[test]
fn kill_marks_whom_all_conditions_fit() {
    let mut bench = Bench::new();
    bench
        .shared
        .clients
        .insert(Arc::clone(&bench.session.handle));
    let (a, b) = (other(&bench, "1.2.3.4:5"), other(&bench, "1.2.3.4:6"));
    b.set_flag(ClientFlag::PUBSUB, true);
    assert_eq!(bench.line("CLIENT KILL 9.9.9.9:1"), "-ERR No such client");
    assert_eq!(bench.line("CLIENT KILL TYPE pubsub ADDR 1.2.3.4:5"), ":0");
    assert_eq!(bench.line("CLIENT KILL TYPE pubsub ADDR 1.2.3.4:6"), ":1");
    assert_eq!(poked(&bench), [b.id]);
    assert!(b.is_killed() && !a.is_killed());
    assert_eq!(bench.line("CLIENT KILL TYPE normal"), ":1");
    assert_eq!(poked(&bench), [a.id]);
    assert!(!bench.session.closing);
    let own = bench.session.id().0;
    assert_eq!(bench.line(&format!("CLIENT KILL ID {own}")), ":0");
    assert_eq!(bench.line(&format!("CLIENT KILL ID {own} SKIPME no")), ":1");
    assert!(bench.session.closing);
}

#[test]
fn a_line_of_client_list_has_the_fields_of_redis_in_order() {
    let mut bench = Bench::new();
    bench
        .shared
        .clients
        .insert(Arc::clone(&bench.session.handle));
    bench.line("CLIENT SETINFO LIB-NAME lib");
    let text = bench.line("CLIENT LIST");
    let fields: Vec<&str> = text
        .split_whitespace()
        .skip(1)
        .map(|field| field.split('=').next().unwrap())
        .collect();
    let expected = "id addr laddr fd name age idle flags db sub psub ssub multi qbuf qbuf-free argv-mem multi-mem rbs rbp obl oll \
                    omem tot-mem events cmd user redir resp lib-name lib-ver";
    assert_eq!(fields, expected.split_whitespace().collect::<Vec<_>>());
    for line in ["CLIENT LIST EXTENDED", "CLIENT LIST TYPE normal EXTENDED"] {
        assert!(
            bench
                .line(line)
                .contains(" lib-ver= watch=0 io-thread=0 tot-net-in=")
        );
    }
    assert!(text.contains(" flags=N ") && text.contains(" lib-name=lib "));
    assert_eq!(bench.line("CLIENT LIST TYPE pubsub"), "$0");
    assert_eq!(bench.line("CLIENT LIST ID 7777"), "$0");
    assert_eq!(bench.line("CLIENT LIST ID x"), "-ERR Invalid client ID");
}

#[test]
fn a_pause_is_neither_shortened_nor_weakened() {
    let mut bench = Bench::new();
    let until = |bench: &Bench| {
        let shared = &bench.shared;
        let at_ms = shared.paused_until_ms.load(Ordering::Relaxed);
        (
            at_ms.saturating_sub(bench.now_ms),
            shared.pause_writes_only.load(Ordering::Relaxed),
        )
    };
    assert_eq!(bench.line("CLIENT PAUSE 100 WRITE"), "+OK");
    assert_eq!(until(&bench), (100, true));
    assert_eq!(bench.line("CLIENT PAUSE 50"), "+OK");
    assert_eq!(until(&bench), (100, false));
    assert_eq!(bench.line("CLIENT PAUSE 500 WRITE"), "+OK");
    assert_eq!(until(&bench), (500, false));
    assert_eq!(bench.line("CLIENT UNPAUSE"), "+OK");
    assert_eq!(until(&bench).0, 0);
    assert!(matches!(
        bench.outcome,
        Some(Outcome::Ask(ShardAction::Barrier))
    ));
    assert_eq!(
        bench.line("CLIENT PAUSE 1 x"),
        "-ERR CLIENT PAUSE mode must be WRITE or ALL"
    );
}

#[test]
fn replies_are_switched() {
    let mut bench = Bench::new();
    assert_eq!(bench.line("CLIENT REPLY SKIP"), "");
    assert_eq!(bench.session.reply_mode, ReplyMode::SkipNext);
    assert_eq!(bench.line("CLIENT REPLY OFF"), "");
    assert_eq!(bench.line("CLIENT REPLY SKIP"), "");
    assert_eq!(bench.session.reply_mode, ReplyMode::Off);
    assert_eq!(bench.line("CLIENT REPLY ON"), "+OK");
    assert_eq!(bench.session.reply_mode, ReplyMode::On);
}

#[test]
fn tracking_is_turned_on_when_its_options_go_together() {
    let mut bench = Bench::new();
    for (line, reply) in [
        ("CLIENT TRACKING OFF", "+OK"),
        ("CLIENT TRACKING ON FOO", "-ERR syntax error"),
        (
            "CLIENT TRACKING ON PREFIX a",
            "-ERR PREFIX option requires BCAST mode to be enabled",
        ),
        (
            "CLIENT TRACKING ON BCAST OPTIN",
            "-ERR OPTIN and OPTOUT are not compatible with BCAST",
        ),
        (
            "CLIENT TRACKING ON REDIRECT 99",
            "-ERR The client ID you want redirect to does not exist",
        ),
        ("CLIENT GETREDIR", ":-1"),
        (
            "CLIENT TRACKINGINFO",
            "*6 $5 flags *1 $3 off $8 redirect :-1 $8 prefixes *0",
        ),
        ("CLIENT TRACKING ON BCAST PREFIX a PREFIX b", "+OK"),
        ("CLIENT GETREDIR", ":0"),
    ] {
        assert_eq!(bench.line(line), reply);
    }
    assert_eq!(
        (
            bench.shared.tracking.client_count(),
            bench.shared.tracking.len()
        ),
        (1, 2)
    );
    assert_eq!(bench.line("CLIENT TRACKING OFF"), "+OK");
    assert_eq!(
        (
            bench.shared.tracking.client_count(),
            bench.shared.tracking.len()
        ),
        (0, 0)
    );
}
