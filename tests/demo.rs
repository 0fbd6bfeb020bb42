//! `millrace demo`, as a user starts it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod peer;

use std::time::Duration;

use peer::{Ended, Kind, Server, call, millrace, run, with_each_server};

fn demo(server: &Server, arguments: &[&str]) -> Ended {
    let mut command = millrace(&["demo", "--url", &server.url()]);
    command.args(arguments);
    run(command)
}

/// The number behind a label of the result.
fn result(ended: &Ended, label: &str) -> u128 {
    let line = ended.stdout.lines().rfind(|line| line.starts_with(label));
    let line = line.unwrap_or_else(|| panic!("no {label} in {ended:?}"));
    let number = line.trim_start_matches(label).split_whitespace().next();
    number.unwrap().parse().unwrap()
}

fn assert_success(ended: &Ended, messages: u128) {
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(result(ended, "sent    "), messages);
    assert_eq!(result(ended, "processed    "), messages);
    assert!(result(ended, "reclaimed    ") >= 10, "{ended:?}");
    assert_eq!(result(ended, "sum  "), result(ended, "expected sum  "));
    assert!(ended.stdout.contains("killed with SIGKILL"), "{ended:?}");
}

#[test]
fn the_sums_are_equal_though_a_worker_is_killed() {
    with_each_server(|server| {
        let ended = demo(
            server,
            &["--messages", "2000", "--workers", "3", "--rate", "1000"],
        );
        assert_success(&ended, 2000);
        assert!(
            ended
                .stdout
                .contains("2 of 2 workers left on the exit message"),
            "{ended:?}"
        );
        let keys = call(&mut server.connect(), "EXISTS sourceQ resultQ exitCh");
        assert_eq!(keys, redis::Value::Int(0), "the keys are cleaned up");
    });
}

#[test]
fn a_producer_at_full_speed_loses_nothing_to_trimming() {
    with_each_server(|server| {
        let ended = demo(
            server,
            &["--messages", "30000", "--workers", "2", "--rate", "0"],
        );
        assert_success(&ended, 30_000);
    });
}

#[test]
fn few_numbers_are_enough_to_catch_a_worker_with_ten_in_hand() {
    with_each_server(|server| {
        let arguments = [
            "--messages",
            "80",
            "--workers",
            "2",
            "--rate",
            "200",
            "--keep",
        ];
        assert_success(&demo(server, &arguments), 80);
        // What --keep left behind is a demo's, so the next one may take its place.
        assert_success(&demo(server, &arguments), 80);
    });
}

#[test]
fn keys_of_others_are_not_touched_without_force() {
    with_each_server(|server| {
        let mut connection = server.connect();
        call(&mut connection, "XADD exitCh * precious data");
        let ended = demo(server, &["--messages", "80", "--workers", "2"]);
        assert_eq!(ended.code, 1);
        assert!(ended.stderr.contains("--force"), "{ended:?}");
        assert_eq!(call(&mut connection, "XLEN exitCh"), redis::Value::Int(1));
        assert_success(
            &demo(server, &["--messages", "80", "--workers", "2", "--force"]),
            80,
        );
    });
}

#[test]
fn a_demo_whose_worker_dies_by_itself_fails() {
    with_each_server(|server| {
        let mut command = millrace(&["demo", "--url", &server.url(), "--messages", "200000"]);
        // What the workers say is said to whoever runs the test, and only noise here.
        command.stderr(std::process::Stdio::null());
        let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
        let mut connection = server.connect();
        peer::until("a worker is there", || {
            peer::try_call(&mut connection, "XINFO CONSUMERS sourceQ workers")
                .is_ok_and(|reply| reply.as_sequence().is_some_and(|all| all.len() == 4))
        });
        // Its next request gets an error, which a worker does not survive.
        call(&mut connection, "XGROUP DESTROY sourceQ workers");
        assert_eq!(child.wait().unwrap().code(), Some(1));
    });
}

#[test]
fn a_worker_finishes_what_an_earlier_life_left_and_lets_go_of_what_is_gone() {
    with_each_server(|server| {
        let mut connection = server.connect();
        call(&mut connection, "XGROUP CREATE sourceQ workers 0 MKSTREAM");
        call(&mut connection, "XGROUP CREATE exitCh w $ MKSTREAM");
        for n in 1..=20 {
            call(&mut connection, &format!("XADD sourceQ {n}-0 number {n}"));
        }
        call(
            &mut connection,
            "XREADGROUP GROUP workers w STREAMS sourceQ >",
        );
        call(&mut connection, "XDEL sourceQ 1-0 7-0 20-0");
        let mut command = millrace(&["demo", "--url", &server.url(), "--as-worker", "w"]);
        let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
        peer::until("nothing is pending", || {
            let reply = call(&mut connection, "XPENDING sourceQ workers - + 100");
            reply.as_sequence().is_some_and(<[redis::Value]>::is_empty)
        });
        assert_eq!(call(&mut connection, "XLEN resultQ"), redis::Value::Int(17));
        call(&mut connection, "XADD exitCh * exit now");
        // Not `wait`, which closes the pipe by which a worker sees its parent.
        peer::until("it has left", || child.try_wait().unwrap().is_some());
        assert_eq!(child.wait().unwrap().code(), Some(0));
    });
}

#[test]
fn exit_codes_tell_usage_from_failure() {
    let ended = run(millrace(&["demo", "--url", "redis://127.0.0.1:1"]));
    assert_eq!(ended.code, 1, "{ended:?}");
    for wrong in [
        &["--messages", "79", "--workers", "2"][..],
        &["--workers", "1"],
        &["--bogus"],
        &["--rate", "x"],
    ] {
        let mut command = millrace(&["demo"]);
        command.args(wrong);
        assert_eq!(run(command).code, 2, "{wrong:?}");
    }
}

#[test]
fn a_demo_without_an_address_brings_its_own_server() {
    if !peer::kinds()
        .iter()
        .any(|kind| matches!(kind, Kind::Millrace(_)))
    {
        return;
    }
    let arguments = [
        "demo",
        "--messages",
        "1000",
        "--rate",
        "1000",
        "--shards",
        "2",
    ];
    let started = std::time::Instant::now();
    assert_success(&run(millrace(&arguments)), 1000);
    assert!(started.elapsed() < Duration::from_secs(60));
}
