//! Entries delivered too often: what becomes of them, and that nothing is lost on the way.

use super::*;

pub(crate) fn range_last(connection: &mut Connection) -> String {
    let last: Vec<(String, Vec<String>)> =
        redis::from_redis_value(call(connection, "XREVRANGE s + - COUNT 1")).unwrap();
    last.first().map(|(id, _)| id.clone()).unwrap_or_default()
}

pub(crate) fn field(fields: &[String], name: &str) -> String {
    fields
        .chunks(2)
        .find(|pair| pair[0] == name)
        .map(|pair| pair[1].clone())
        .unwrap()
}

/// Three entries: the first delivered three times, the others once; all idle.
pub(crate) fn one_delivered_three_times(connection: &mut Connection) -> Vec<String> {
    let ids = given(connection, 3);
    let claim = format!("XCLAIM s g dead 0 {} RETRYCOUNT 3 JUSTID", ids[0]);
    call(connection, &claim);
    until_idle(connection, &["dead"]);
    ids
}

#[test]
fn an_entry_delivered_too_often_goes_to_the_dead_letter_stream() {
    with_each_server(|server| {
        let mut connection = server.connect();
        let ids = one_delivered_three_times(&mut connection);
        alive(&mut connection, "w1");
        let report = pass(server, "--max-deliveries 3 --dead-letter d");
        assert_eq!(
            (&report["dead_lettered"], &report["handed_on"]),
            (&1.into(), &2.into())
        );
        let dead = range(&mut connection, "d");
        let expected: Vec<String> = [
            "n",
            "0",
            "source",
            "s",
            "id",
            &ids[0],
            "group",
            "g",
            "deliveries",
            "3",
            "consumer",
            "dead",
        ]
        .iter()
        .map(|&word| word.to_owned())
        .collect();
        assert_eq!(dead[0].1, expected);
        assert_eq!(
            report["dead_letters"][0]["dead_letter_id"],
            dead[0].0.as_str()
        );
        assert_eq!(dead.len(), 1);
        assert_eq!(
            owners(&mut connection),
            HashMap::from([("w1".to_owned(), 2)])
        );
        assert_eq!(
            count(call(&mut connection, "XLEN s")),
            3,
            "other groups may need it"
        );
        let names: HashSet<String> = consumers(&mut connection).into_keys().collect();
        assert_eq!(
            names,
            HashSet::from(["dead".to_owned(), "w1".to_owned()]),
            "no traces"
        );
    });
}

#[test]
fn dead_letters_need_nobody_alive() {
    with_each_server(|server| {
        let mut connection = server.connect();
        one_delivered_three_times(&mut connection);
        let report = pass(server, "--max-deliveries 1 --dead-letter d");
        assert_eq!(
            (&report["dead_lettered"], &report["stayed"]),
            (&3.into(), &0.into())
        );
        assert!(pending(&mut connection).is_empty());
    });
}

#[test]
fn a_dead_letter_key_of_another_type_changes_nothing() {
    with_each_server(|server| {
        let mut connection = server.connect();
        one_delivered_three_times(&mut connection);
        call(&mut connection, "SET d precious");
        let before = pending(&mut connection);
        let ended = run(pass_command(
            &server.url(),
            "--max-deliveries 3 --dead-letter d",
        ));
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(
            ended
                .stderr
                .contains("cannot use 'd' as dead-letter stream: it is a string"),
            "{ended:?}"
        );
        assert_eq!(pending(&mut connection), before);
        // Also when it becomes one at the last moment: EXEC would not roll the XACK back.
        call(&mut connection, "DEL d");
        let mut other = server.connect();
        let proxy = Proxy::start(server, move |request| {
            if request.contains("MULTI") {
                call(&mut other, "SET d precious");
            }
        });
        let ended = run(pass_command(
            &proxy.url(),
            "--max-deliveries 3 --dead-letter d",
        ));
        assert_eq!(ended.code, 1, "{ended:?}");
        assert_eq!(pending(&mut connection).len(), 3, "nothing lost");
    });
}

#[test]
fn a_dead_letter_stream_that_takes_nothing_more_loses_nothing() {
    with_each_server(|server| {
        let mut connection = server.connect();
        let ids = one_delivered_three_times(&mut connection);
        call(
            &mut connection,
            "XADD d 18446744073709551615-18446744073709551615 the last",
        );
        let ended = run(pass_command(
            &server.url(),
            "--max-deliveries 3 --dead-letter d",
        ));
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(
            ended
                .stderr
                .contains("cannot add to the dead-letter stream 'd'"),
            "{ended:?}"
        );
        assert_eq!(pending(&mut connection)[&ids[0]], ("dead".to_owned(), 3));
        assert_eq!(pending(&mut connection).len(), 3);
    });
}

#[test]
fn an_entry_acknowledged_before_it_was_taken_is_left_alone() {
    with_each_server(|server| {
        let mut connection = server.connect();
        let ids = one_delivered_three_times(&mut connection);
        let (id, mut other) = (ids[0].clone(), server.connect());
        let proxy = Proxy::start(server, move |request| {
            if request.contains("XCLAIM") {
                call(&mut other, &format!("XACK s g {id}"));
            }
        });
        let line = "--max-deliveries 3 --dead-letter d --json";
        let ended = run(pass_command(&proxy.url(), line));
        assert_eq!(ended.code, 0, "{ended:?}");
        assert_eq!(report(&ended)["taken_meanwhile"], 1);
        assert_eq!(report(&ended)["dead_lettered"], 0);
        assert_eq!(count(call(&mut connection, "EXISTS d")), 0);
    });
}

#[test]
fn an_entry_acknowledged_after_it_was_taken_is_withdrawn_from_the_dead_letters() {
    with_each_server(|server| {
        let mut connection = server.connect();
        let ids = one_delivered_three_times(&mut connection);
        let (id, mut other) = (ids[0].clone(), server.connect());
        let proxy = Proxy::start(server, move |request| {
            if request.contains("MULTI") {
                call(&mut other, &format!("XACK s g {id}"));
            }
        });
        let line = "--max-deliveries 3 --dead-letter d --json";
        let ended = run(pass_command(&proxy.url(), line));
        assert_eq!(ended.code, 0, "{ended:?}");
        assert_eq!(report(&ended)["taken_meanwhile"], 1);
        assert_eq!(count(call(&mut connection, "XLEN d")), 0);
        // The same with --delete: it stays in the stream, for it was worked on.
        let (id, mut other) = (ids[1].clone(), server.connect());
        let proxy = Proxy::start(server, move |request| {
            if request.contains("XACK") {
                call(&mut other, &format!("XACK s g {id}"));
            }
        });
        let ended = run(pass_command(
            &proxy.url(),
            "--max-deliveries 1 --delete --json",
        ));
        assert_eq!(ended.code, 0, "{ended:?}");
        assert_eq!(report(&ended)["taken_meanwhile"], 1);
        assert_eq!(report(&ended)["deleted"], 1);
        assert_eq!(count(call(&mut connection, "XLEN s")), 2);
    });
}

#[test]
fn others_may_write_to_the_dead_letter_stream_at_the_same_time() {
    with_each_server(|server| {
        let mut connection = server.connect();
        one_delivered_three_times(&mut connection);
        let (mut times, mut other) = (3, server.connect());
        let proxy = Proxy::start(server, move |request| {
            if times > 0 && request.contains("MULTI") {
                times -= 1;
                call(&mut other, "XADD d * from others");
            }
        });
        let ended = run(pass_command(
            &proxy.url(),
            "--max-deliveries 3 --dead-letter d",
        ));
        assert_eq!(ended.code, 0, "{ended:?}");
        assert_eq!(range(&mut connection, "d").len(), 4);
        assert_eq!(pending(&mut connection).len(), 2);
    });
}

#[test]
fn an_entry_taken_by_a_worker_meanwhile_is_left_alone() {
    with_each_server(|server| {
        let mut connection = server.connect();
        given(&mut connection, 3);
        until_idle(&mut connection, &["dead"]);
        alive(&mut connection, "w1");
        let mut other = server.connect();
        let proxy = Proxy::start(server, move |request| {
            if request.contains("XCLAIM") {
                call(&mut other, "XREADGROUP GROUP g dead COUNT 2 STREAMS s 0");
            }
        });
        let ended = run(pass_command(&proxy.url(), "--json"));
        assert_eq!(report(&ended)["handed_on"], 1);
        assert_eq!(report(&ended)["taken_meanwhile"], 2);
        let expected = HashMap::from([("dead".to_owned(), 2), ("w1".to_owned(), 1)]);
        assert_eq!(owners(&mut connection), expected);
    });
}

#[test]
fn delete_removes_an_entry_delivered_too_often_from_the_stream() {
    with_each_server(|server| {
        let mut connection = server.connect();
        let ids = one_delivered_three_times(&mut connection);
        let report = pass(server, "--max-deliveries 3 --delete");
        assert_eq!(report["deleted"], 1);
        assert_eq!(report["deleted_entries"][0]["id"], ids[0].as_str());
        assert_eq!(pending(&mut connection).len(), 2);
        let left: Vec<String> = range(&mut connection, "s")
            .into_iter()
            .map(|(id, _)| id)
            .collect();
        assert_eq!(left, ids[1..]);
    });
}
