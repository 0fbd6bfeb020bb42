//! Scripts that run for too long: others are served or told, and the script is ended or outlived.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use support::server::{info_field, shard_counts};
use support::{Client, Frame, Outcome, Server};

const ENDLESS: &str = "while true do end";

/// A script is busy after 50 ms.
fn servers() -> impl Iterator<Item = Server> {
    shard_counts()
        .into_iter()
        .map(|shards| Server::millrace_with(shards, &["--busy-reply-threshold", "50"]))
}

/// Asks again until a script is busy, which is so when a key cannot be read.
fn until_busy(client: &mut Client, line: &str) -> Frame {
    let began = Instant::now();
    loop {
        let reply = client.run(line);
        if reply.to_string().contains("BUSY") {
            return reply;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{line}: {reply}");
    }
}

fn until_not_busy(client: &mut Client, line: &str) -> Frame {
    let began = Instant::now();
    loop {
        let reply = client.run(line);
        if !reply.to_string().contains("BUSY") {
            return reply;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{line}: {reply}");
    }
}

#[test]
fn a_busy_script_is_killed_from_another_connection() {
    for server in servers() {
        for script in [
            ENDLESS,
            "while true do pcall(function() while true do end end) end",
            "while true do xpcall(function() error('x') end, function() while true do end end) end",
            "local function f(d) if d==0 then for i=1,2000 do end return end for i=1,500 do coroutine.wrap(f)(d-1) end end f(20)",
            "while true do redis.pcall('get', 'k') end",
            "local s = string.rep('x', 1e7) while true do s:upper() end",
            "local s = string.rep('a', 1e5) while true do s:find('.-.-.-.-b') end",
            "while true do table.insert({}, -2147483647, 1) end",
        ] {
            let (mut runs, mut other) = (server.connect(), server.connect());
            runs.send(&["EVAL", script, "1", "k"]);
            let told = until_busy(&mut other, "GET k").to_string();
            assert!(told.contains("SCRIPT KILL or SHUTDOWN NOSAVE"), "{told}");
            assert!(other.run("FUNCTION KILL").to_string().contains("BUSY"));
            assert_eq!(other.run("SCRIPT KILL").text(), "OK", "{script}");
            let ended = runs.reply().to_string();
            assert!(ended.contains("Script killed by user"), "{script}: {ended}");
            assert!(until_not_busy(&mut other, "GET k").is_null());
            assert_eq!(runs.run("SET after 1").text(), "OK");
        }
    }
}

#[test]
fn a_busy_script_that_has_written_is_waited_for() {
    for server in servers() {
        let (mut runs, mut other) = (server.connect(), server.connect());
        let script = "redis.call('set', KEYS[1], 'half') \
            for i = 1, 3e7 do end redis.call('set', KEYS[1], 'whole') return 'done'";
        runs.send(&["EVAL", script, "1", "k"]);
        until_busy(&mut other, "GET k");
        let answer = other.run("SCRIPT KILL").to_string();
        assert!(
            answer.contains("UNKILLABLE") || answer.contains("NOTBUSY"),
            "{answer}"
        );
        assert_eq!(until_not_busy(&mut other, "GET k").text(), "whole");
        assert_eq!(runs.reply().text(), "done");
    }
}

#[test]
fn a_busy_function_is_killed_and_told_of() {
    for server in servers() {
        let (mut runs, mut other) = (server.connect(), server.connect());
        let code =
            "#!lua name=l\nredis.register_function('forever', function() while true do end end)";
        assert_eq!(runs.call(&["FUNCTION", "LOAD", code]).text(), "l");
        runs.send(&["FCALL", "forever", "0"]);
        let told = until_busy(&mut other, "GET k").to_string();
        assert!(told.contains("FUNCTION KILL or SHUTDOWN NOSAVE"), "{told}");
        let stats = other.run("FUNCTION STATS").to_string();
        assert!(stats.contains("forever"), "{stats}");
        assert!(other.run("SCRIPT KILL").to_string().contains("BUSY"));
        assert_eq!(other.run("FUNCTION KILL").text(), "OK");
        assert!(runs.reply().to_string().contains("killed"));
        assert!(other.run("FUNCTION KILL").to_string().contains("NOTBUSY"));
    }
}

#[test]
fn each_busy_script_of_an_exec_is_killed() {
    for server in servers() {
        let (mut runs, mut other) = (server.connect(), server.connect());
        runs.run("MULTI");
        runs.run("SET before 1");
        for _ in 0..2 {
            runs.call(&["EVAL", ENDLESS, "1", "k"]);
        }
        runs.run("SET after 1");
        runs.send(&["EXEC"]);
        until_busy(&mut other, "GET k");
        let began = Instant::now();
        let replies = loop {
            other.run("SCRIPT KILL");
            match runs.poll(Duration::from_millis(20)) {
                Outcome::Reply(replies) => break Frame::parse(&replies),
                Outcome::Quiet => assert!(began.elapsed() < Duration::from_secs(20)),
                Outcome::Closed => panic!("the connection has ended"),
            }
        };
        assert_eq!(replies.items().len(), 4, "{replies}");
        assert!(
            replies.items()[2].to_string().contains("killed"),
            "{replies}"
        );
        assert_eq!(until_not_busy(&mut other, "GET after").text(), "1");
    }
}

#[test]
fn a_client_that_leaves_its_busy_script_behind_is_forgotten_when_that_ends() {
    for server in servers() {
        let (mut runs, mut other) = (server.connect(), server.connect());
        let id = runs.id();
        runs.send(&["EVAL", ENDLESS, "1", "k"]);
        until_busy(&mut other, "GET k");
        other.run(&format!("CLIENT KILL ID {id}"));
        drop(runs);
        assert_eq!(other.run("SCRIPT KILL").text(), "OK");
        assert!(until_not_busy(&mut other, "GET k").is_null());
        let began = Instant::now();
        while other
            .run("CLIENT LIST")
            .text()
            .contains(&format!("id={id} "))
        {
            assert!(began.elapsed() < Duration::from_secs(20));
        }
    }
}

#[test]
fn keys_that_a_busy_script_does_not_hold_are_served() {
    let server = Server::millrace_with(4, &["--busy-reply-threshold", "50"]);
    let (mut runs, mut other) = (server.connect(), server.connect());
    let sha = runs.call(&["SCRIPT", "LOAD", ENDLESS]);
    runs.send(&["EVALSHA", sha.text().as_str(), "1", "a"]);
    until_busy(&mut other, "GET a");
    let keys = ["b", "c", "d", "e", "f", "g", "h", "i"];
    let served = keys.iter().filter(|key| {
        let reply = other.run(&format!("SET {key} 1"));
        reply.text() == "OK"
    });
    assert!(served.count() >= 4, "only some keys live with the script's");
    assert_eq!(other.run("PING").text(), "PONG");
    // On whatever thread they are, others' scripts run or are told, and nothing breaks.
    for round in 0..32 {
        let mut another = server.connect();
        let reply = another.call(&["EVAL", "return 1", "0"]).to_string();
        assert!(
            reply.contains('1') || reply.contains("BUSY"),
            "{round}: {reply}"
        );
        another.call(&["SCRIPT", "LOAD", "return 2"]);
    }
    assert_eq!(other.run("SCRIPT KILL").text(), "OK");
    assert!(runs.reply().to_string().contains("killed"));
}

/// The threads that have looked for a keyspace in vain so far.
fn tickets(client: &mut Client) -> u64 {
    let info = client.run("INFO stats").text();
    info_field(&info, "millrace_tickets")
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn who_waits_in_line_when_a_script_turns_out_to_be_busy_is_told() {
    for shards in [2, 4] {
        let server = Server::millrace_with(shards, &["--busy-reply-threshold", "500"]);
        let mut runs = server.connect();
        runs.run("GET k");
        let sha = runs.call(&["SCRIPT", "LOAD", ENDLESS]).text();
        let mut has_waited = false;
        for _ in 0..20 {
            // Some on each thread: those on another than the script's come to its line while it is not known to be busy.
            // New ones each time: who has asked for the key often enough moves to the thread of the script.
            let mut waiting: Vec<Client> = (0..4 * shards).map(|_| server.connect()).collect();
            let before = tickets(&mut waiting[0]);
            runs.send(&["EVALSHA", sha.as_str(), "1", "k"]);
            let mut told = vec![false; waiting.len()];
            let began = Instant::now();
            while told.contains(&false) {
                for (client, told) in waiting.iter_mut().zip(&mut told) {
                    // Nil: the script had not begun.
                    if !*told {
                        client.send_line("GET k");
                    }
                }
                for (client, told) in waiting.iter_mut().zip(&mut told) {
                    *told = *told || client.reply().to_string().contains("BUSY");
                }
                assert!(began.elapsed() < Duration::from_secs(20));
            }
            assert_eq!(waiting[0].run("SCRIPT KILL").text(), "OK");
            assert!(runs.reply().to_string().contains("killed"));
            has_waited = tickets(&mut waiting[0]) > before;
            // The line is empty, and what was refused is not run.
            for client in &mut waiting {
                assert!(client.run("GET k").is_null());
            }
            if has_waited {
                break;
            }
        }
        assert!(has_waited, "{shards} shards: nobody came to the line");
    }
}

#[test]
fn a_command_whose_keys_a_busy_script_holds_is_not_queued_by_multi() {
    for server in servers() {
        let (mut runs, mut other) = (server.connect(), server.connect());
        runs.send(&["EVAL", ENDLESS, "1", "k"]);
        until_busy(&mut other, "GET k");
        assert_eq!(other.run("MULTI").text(), "OK");
        let told = other.run("INCR k").to_string();
        assert!(told.contains("BUSY"), "{told}");
        assert_eq!(other.run("SCRIPT KILL").text(), "QUEUED");
        let mut another = server.connect();
        assert_eq!(another.run("SCRIPT KILL").text(), "OK");
        assert!(runs.reply().to_string().contains("killed"));
        let told = until_not_busy(&mut other, "EXEC").to_string();
        assert!(told.contains("EXECABORT"), "{told}");
        assert!(other.run("GET k").is_null());
    }
}

#[test]
fn shutdown_nosave_ends_a_busy_script_and_logs_nothing_of_it() {
    for shards in shard_counts() {
        let options = ["--busy-reply-threshold", "50", "--appendonly", "yes"];
        let mut server = Server::millrace_with(shards, &options);
        let (mut runs, mut other) = (server.connect(), server.connect());
        other.run("SET earlier 1");
        let script = "redis.call('set', KEYS[1], 'half') while true do end";
        runs.send(&["EVAL", script, "1", "k"]);
        until_busy(&mut other, "GET k");
        for _ in 0..3 {
            assert!(other.run("FUNCTION STATS").to_string().contains("BUSY"));
        }
        assert!(other.run("SCRIPT KILL").to_string().contains("UNKILLABLE"));
        assert!(other.run("SHUTDOWN").to_string().contains("BUSY"));
        other.send(&["SHUTDOWN", "NOSAVE"]);
        assert_eq!(server.wait_for_exit(), Some(0));
        let directory = server.directory().join("appendonlydir");
        let logs = std::fs::read_dir(directory).unwrap();
        let text: Vec<u8> = logs
            .flat_map(|file| std::fs::read(file.unwrap().path()).unwrap())
            .collect();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(text.contains("earlier") && !text.contains("half"), "{text}");
    }
}

#[test]
fn a_script_that_uses_all_memory_leaves_the_others_theirs() {
    for shards in shard_counts() {
        let server = Server::millrace_with(shards, &["--lua-memory-limit", "8mb"]);
        let mut client = server.connect();
        for hog in [
            "local t = {} for i = 1, 1e8 do t[i] = tostring(i) .. 'q' end return #t",
            "return #string.rep('x', 50000000)",
            "local s = 'x' while true do s = s .. s end",
        ] {
            let reply = client.call(&["EVAL", hog, "0"]).to_string();
            assert!(reply.contains("not enough memory"), "{hog}: {reply}");
            for _ in 0..3 {
                let before = client.run("GET innocent");
                let incr = "return redis.call('INCR', KEYS[1])";
                let reply = client.call(&["EVAL", incr, "1", "innocent"]);
                assert!(
                    !reply.is_error(),
                    "after {hog}: {reply}, before it {before}"
                );
            }
        }
        assert_eq!(client.run("GET innocent").text(), "9");
    }
}

#[test]
fn a_command_of_a_script_just_below_the_limit_of_memory_is_answered() {
    for shards in shard_counts() {
        let mut server = Server::millrace_with(shards, &["--lua-memory-limit", "8mb"]);
        let mut client = server.connect();
        let value = "x".repeat(20_000);
        client.call(&["RPUSH", "list", &value, &value, &value]);
        let mut outcomes = BTreeSet::new();
        // So many bytes before the end; what is called then, and what is replied.
        let fill = "local held, left = {}, tonumber(ARGV[1]) \
            for _, step in ipairs({{20000, 1997}, {0, 97}}) do \
            while collectgarbage('count') * 1024 < 8 * 1048576 - left - step[1] do \
            held[#held + 1] = string.rep('x', step[2]) .. #held end end ";
        for call in [
            "return redis.call('SET', KEYS[1], held[1])",
            "return redis.call('LRANGE', 'list', 0, -1)",
            "return redis.pcall('SET', KEYS[1], string.rep('y', 50000))",
            "return redis.pcall('LPUSH', unpack(held, 1, 2000))",
            "return redis.pcall('NONESUCH')",
            "return cjson.encode(held)",
            "return held",
        ] {
            let script = format!("{fill}{call}");
            for left in [3_000_000, 300_000, 100_000, 60_000, 20_000, 2_000, 400, 150] {
                let left = left.to_string();
                let reply = client.call(&["EVAL", &script, "1", "k", &left]);
                outcomes.insert(reply.to_string().contains("not enough memory"));
                let incr = "return redis.call('INCR', KEYS[1])";
                let reply = client.call(&["EVAL", incr, "1", "count"]);
                assert!(!reply.is_error(), "after {call}, {left}: {reply}");
            }
        }
        assert_eq!(client.run("GET count").text(), "56");
        assert_eq!(outcomes.len(), 2, "some fit, some do not");
        assert!(server.log().contains("A script has used all memory"));
        server.expect_alive();
    }
}

#[test]
fn who_asks_for_a_debugger_does_not_run_the_script_without_one() {
    for server in servers() {
        let mut client = server.connect();
        assert!(client.run("SCRIPT DEBUG YES").is_error());
        let script = "return redis.call('set', KEYS[1], '1')";
        assert!(client.call(&["EVAL", script, "1", "k"]).is_error());
        assert!(client.run("GET k").is_null());
        assert_eq!(client.call(&["EVAL", script, "1", "k"]).text(), "OK");
    }
}
