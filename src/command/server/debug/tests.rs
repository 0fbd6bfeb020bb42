//! What the subcommands reply.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::memory_bytes;
use crate::command::testing::Bench;

fn run(bench: &mut Bench, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    String::from_utf8(bench.run(&words)).unwrap()
}

#[test]
fn sizes_have_units() {
    assert_eq!(memory_bytes(b"10b"), Some(10));
    assert_eq!(memory_bytes(b"1KB"), Some(1024));
    assert_eq!(memory_bytes(b"0"), Some(0));
    assert_eq!(memory_bytes(b"kb"), None);
    assert_eq!(memory_bytes(b"1x"), None);
}

#[test]
fn effects_are_recorded_taken_and_stopped() {
    let mut bench = Bench::with_shards(2);
    assert_eq!(run(&mut bench, "debug effects on"), "+OK\r\n");
    assert_eq!(run(&mut bench, "debug effects get"), "*0\r\n");
    assert_eq!(run(&mut bench, "debug effects off"), "+OK\r\n");
    assert!(
        run(&mut bench, "debug effects nosuch").starts_with("-ERR unknown subcommand or wrong")
    );
}

#[test]
fn digests_tell_values_apart() {
    let mut bench = Bench::new();
    let zeros = "0".repeat(40);
    assert_eq!(run(&mut bench, "debug digest"), format!("+{zeros}\r\n"));
    assert_eq!(
        run(&mut bench, "debug digest-value nosuch"),
        format!("*1\r\n+{zeros}\r\n")
    );
    run(&mut bench, "rpush a 1 2");
    run(&mut bench, "rpush b 1 2");
    run(&mut bench, "rpush c 2 1");
    let of = |bench: &mut Bench, key: &str| run(bench, &format!("debug digest-value {key}"));
    assert_eq!(of(&mut bench, "a"), of(&mut bench, "b"));
    assert_ne!(of(&mut bench, "a"), of(&mut bench, "c"));
}

#[test]
fn object_tells_the_chunks_of_a_large_list() {
    let mut bench = Bench::new();
    run(&mut bench, "rpush small a");
    let small = run(&mut bench, "debug object small");
    assert!(
        small.contains(" encoding:listpack ") && !small.contains("ql_nodes"),
        "{small}"
    );
    let large = "x".repeat(5000);
    run(&mut bench, &format!("rpush large {large} {large}"));
    let shown = run(&mut bench, "debug object large");
    assert!(
        shown.contains(" encoding:quicklist ") && shown.contains(" ql_nodes:2 "),
        "{shown}"
    );
    assert_eq!(
        run(&mut bench, "debug object nosuch"),
        "-ERR no such key\r\n"
    );
    assert!(run(&mut bench, "debug listpack large").starts_with("-ERR Not a listpack"));
}

#[test]
fn populate_leaves_what_exists() {
    let mut bench = Bench::new();
    run(&mut bench, "rpush key:1 a");
    assert_eq!(run(&mut bench, "debug populate 3"), "+OK\r\n");
    assert_eq!(run(&mut bench, "llen key:1"), ":1\r\n");
    assert_eq!(run(&mut bench, "get key:2"), "$7\r\nvalue:2\r\n");
    assert_eq!(run(&mut bench, "debug populate 1 p 3"), "+OK\r\n");
    assert_eq!(run(&mut bench, "get p:0"), "$3\r\nval\r\n");
}

#[test]
fn protocol_replies_each_type() {
    let mut bench = Bench::new();
    assert_eq!(run(&mut bench, "debug protocol double"), "$5\r\n3.141\r\n");
    assert_eq!(
        run(&mut bench, "debug protocol push"),
        "-ERR RESP2 is not supported by this command\r\n"
    );
    bench.resp3();
    assert_eq!(
        run(&mut bench, "debug protocol set"),
        "~3\r\n:0\r\n:1\r\n:2\r\n"
    );
    assert_eq!(
        run(&mut bench, "debug protocol map"),
        "%3\r\n:0\r\n#f\r\n:1\r\n#t\r\n:2\r\n#f\r\n"
    );
}
