#![allow(clippy::unwrap_used, reason = "tests")]

use crate::command::testing::Bench;

fn replies(bench: &mut Bench, lines: &[(&str, &str)]) {
    for (command, reply) in lines {
        assert_eq!(bench.line(command), *reply, "{command}");
    }
}

#[test]
fn elements_are_sorted_as_numbers_or_texts() {
    let mut bench = Bench::new();
    replies(
        &mut bench,
        &[
            ("RPUSH l 10 9 1e1 -0.5 0x10", ":5"),
            ("SORT l", "*5 $4 -0.5 $1 9 $2 10 $3 1e1 $4 0x10"),
            ("SORT l DESC", "*5 $4 0x10 $3 1e1 $2 10 $1 9 $4 -0.5"),
            ("SORT l ALPHA", "*5 $4 -0.5 $4 0x10 $2 10 $3 1e1 $1 9"),
            ("SORT l LIMIT 1 2", "*2 $1 9 $2 10"),
            ("SORT l LIMIT -3 2", "*2 $4 -0.5 $1 9"),
            ("SORT l LIMIT 3 -1", "*2 $3 1e1 $4 0x10"),
            ("SORT l LIMIT 9 9", "*0"),
            (
                "SORT l BY nosort DESC",
                "*5 $4 0x10 $4 -0.5 $3 1e1 $1 9 $2 10",
            ),
            ("SORT l LIMIT 1", "-ERR syntax error"),
            (
                "SORT l LIMIT a b",
                "-ERR value is not an integer or out of range",
            ),
            ("SORT l STORE", "-ERR syntax error"),
            ("SORT_RO l STORE d", "-ERR syntax error"),
            ("SORT none", "*0"),
            ("RPUSH l x", ":6"),
            (
                "SORT l",
                "-ERR One or more scores can't be converted into double",
            ),
            ("SET s x", "+OK"),
            (
                "SORT s",
                "-WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
        ],
    );
}

#[test]
fn other_keys_say_what_to_sort_by_and_what_to_give() {
    let mut bench = Bench::new();
    replies(
        &mut bench,
        &[
            ("SADD ids 1 2 3", ":3"),
            (
                "MSET weight_1 30 weight_2 20 name_1 one name_3 three",
                "+OK",
            ),
            ("SORT ids BY weight_*", "*3 $1 3 $1 2 $1 1"),
            (
                "SORT ids BY weight_* GET # GET name_* DESC",
                "*6 $1 1 $3 one $1 2 $-1 $1 3 $5 three",
            ),
            ("SORT ids GET constant", "*3 $-1 $-1 $-1"),
            ("SORT ids BY name_* ALPHA", "*3 $1 2 $1 1 $1 3"),
            ("SORT ids BY weight_* GET name_* STORE d", ":3"),
            ("LRANGE d 0 -1", "*3 $5 three $0  $3 one"),
            ("SORT ids BY nosort STORE d DESC", ":3"),
            ("LRANGE d 0 -1", "*3 $1 3 $1 2 $1 1"),
            ("SORT none STORE d", ":0"),
            ("EXISTS d", ":0"),
        ],
    );
}

#[test]
fn sorted_sets_and_fields_of_hashes_are_sorted_too() {
    let mut bench = Bench::new();
    replies(
        &mut bench,
        &[
            ("ZADD z 3 1 2 2 1 3", ":3"),
            ("SORT z", "*3 $1 1 $1 2 $1 3"),
            ("SORT z BY nosort", "*3 $1 3 $1 2 $1 1"),
            ("SORT z BY nosort DESC LIMIT 0 2", "*2 $1 1 $1 2"),
            ("HSET h_1 w 30 n one", ":2"),
            ("HSET h_2 w 20", ":1"),
            ("SORT z BY h_*->w", "*3 $1 3 $1 2 $1 1"),
            ("SORT_RO z BY h_*->w GET h_*->n DESC", "*3 $3 one $-1 $-1"),
            ("SORT z GET h_*->", "*3 $-1 $-1 $-1"),
            (
                "SORT h_1",
                "-WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
        ],
    );
}
