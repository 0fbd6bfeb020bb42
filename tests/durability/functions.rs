//! Libraries of functions, and what scripts have written, after a restart.

use super::support::Frame;
use super::{LOG, home::Home};

const LIBRARY: &str = "#!lua name=mine\n\
    redis.register_function('put', function(keys, args) return redis.call('set', keys[1], args[1]) end)\n\
    redis.register_function{function_name='look', callback=function() return 1 end, flags={'no-writes'}}";
const GONE: &str = "#!lua name=gone\nredis.register_function('old', function() return 1 end)";

#[test]
fn functions_and_what_scripts_wrote_are_there_after_a_restart() {
    for kind in [LOG, &["--save", "3600 1"]] {
        for (first, second) in [("1", "4"), ("4", "1")] {
            let home = Home::new();
            let mut life = home.millrace(&[kind, &["--shards", first]].concat());
            let mut client = life.connect();
            for library in [GONE, LIBRARY] {
                assert!(!client.call(&["FUNCTION", "LOAD", library]).is_error());
            }
            client.run("FUNCTION DELETE gone");
            client.run("FCALL put 1 a 1");
            client.call(&[
                "EVAL",
                "redis.call('set', 'b', '2') redis.call('incr', 'c') redis.set_repl(redis.REPL_NONE) \
                 redis.call('set', 'unlogged', '1') redis.set_repl(redis.REPL_ALL) error('late')",
                "0",
            ]);
            if kind == LOG {
                life.kill();
            } else {
                client.send_line("SHUTDOWN");
                life.exit_code();
            }
            let life = home.millrace(&[kind, &["--shards", second]].concat());
            let mut client = life.connect();
            let listed = client.run("FUNCTION LIST").to_string();
            assert!(
                listed.contains("mine") && listed.contains("no-writes") && !listed.contains("gone"),
                "{listed}"
            );
            for (key, value) in [("a", "1"), ("b", "2"), ("c", "1")] {
                assert_eq!(client.run(&format!("GET {key}")).text(), value, "{kind:?}");
            }
            let is_there = client.run("EXISTS unlogged").to_string().contains('1');
            assert_eq!(is_there, kind != LOG);
            assert_eq!(client.run("FCALL put 1 d 4").text(), "OK");
            assert!(client.run("FCALL_RO look 0").to_string().contains('1'));
        }
    }
}

#[test]
fn each_change_of_the_libraries_is_in_the_log() {
    for (first, second) in [("1", "4"), ("4", "1")] {
        let home = Home::new();
        // What is done, and the libraries that are there then.
        let steps: [(&[&str], &str); 6] = [
            (&["FUNCTION", "RESTORE"], "gone mine"),
            (&["FUNCTION", "DELETE", "gone"], "mine"),
            (&["FUNCTION", "RESTORE", "REPLACE"], "gone mine"),
            (&["FUNCTION", "FLUSH"], ""),
            (&["FUNCTION", "RESTORE", "FLUSH"], "gone mine"),
            (&["FUNCTION", "LOAD", "REPLACE", GONE], "gone mine"),
        ];
        let mut life = home.millrace(&[LOG, &["--shards", first]].concat());
        let mut client = life.connect();
        for library in [GONE, LIBRARY] {
            client.call(&["FUNCTION", "LOAD", library]);
        }
        let dumped = client.run("FUNCTION DUMP");
        client.run("FUNCTION FLUSH");
        for (index, (words, expected)) in steps.into_iter().enumerate() {
            let mut command: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            if words[1] == "RESTORE" {
                command.insert(2, dumped.bytes());
            }
            let reply = client.call(&command);
            assert!(!reply.is_error(), "{words:?}: {reply}");
            life.kill();
            let shards = if index % 2 == 0 { second } else { first };
            life = home.millrace(&[LOG, &["--shards", shards]].concat());
            client = life.connect();
            let listed = client.run("FUNCTION LIST");
            let name = |library: &Frame| library.items()[1].text();
            let mut names: Vec<String> = listed.items().iter().map(name).collect();
            names.sort();
            assert_eq!(names.join(" "), expected, "after {words:?}");
            if expected.contains("mine") {
                assert_eq!(client.run("FCALL put 1 a 1").text(), "OK");
            }
        }
        assert!(client.run("FCALL old 0").to_string().contains('1'));
    }
}

#[test]
fn libraries_go_to_redis_and_back() {
    let home = Home::new();
    let options = [LOG, &["--rdb-version-compat", "7.0", "--shards", "3"]].concat();
    let life = home.millrace(&options);
    let mut client = life.connect();
    client.call(&["FUNCTION", "LOAD", LIBRARY]);
    life.kill();
    let mut redis = home.redis(LOG);
    let mut client = redis.connect();
    assert_eq!(client.run("FCALL put 1 a 1").text(), "OK");
    client.call(&["FUNCTION", "LOAD", GONE]);
    client.send_line("SHUTDOWN");
    redis.exit_code();
    let life = home.millrace(&options);
    let mut client = life.connect();
    assert!(client.run("FCALL old 0").to_string().contains('1'));
    assert_eq!(client.run("FCALL put 1 a 2").text(), "OK");
    assert_eq!(client.run("GET a").text(), "2");
}
