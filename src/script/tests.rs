//! Scripts against a host of a few commands.

use crate::resp::Protocol;
use crate::resp::reply::Reply;

use super::engine::{Engine, Step};
use super::lua::{Answer, Request};

/// A host: ECHO replies its argument, ERROR an error; the others +OK.
pub(super) struct Host {
    engine: Engine,
    /// So many ticks are let pass, then the script is stopped.
    ticks: usize,
}

impl Host {
    pub(super) fn new() -> Self {
        Self {
            engine: Engine::new("7.4.0", 64 << 20).expect("memory"),
            ticks: 1_000,
        }
    }

    /// Runs a script; its reply as RESP, an error with the place.
    pub(super) fn run(&mut self, script: &str) -> String {
        let slot = match self.engine.compile(script.as_bytes()) {
            Ok(slot) => slot,
            Err(text) => return format!("compile: {}", String::from_utf8_lossy(&text)),
        };
        let keys = [b"k1".as_slice(), b"k2"];
        let step = self
            .engine
            .start(slot, keys.into_iter(), [b"a1".as_slice()].into_iter());
        let reply = self.finish(step);
        self.engine.forget(slot);
        reply
    }

    fn finish(&mut self, mut step: Step) -> String {
        loop {
            match step {
                Step::Wants(request) => {
                    let answer = self.answer(request);
                    step = self.engine.go_on(answer);
                }
                Step::Returned => {
                    let mut reply = Reply::new(Protocol::Resp2);
                    self.engine.write_result(&mut reply);
                    return String::from_utf8_lossy(reply.bytes()).into_owned();
                }
                Step::Failed(error) => {
                    let (chunk, line) = error.place.unwrap_or_default();
                    return format!(
                        "{} at {}:{}",
                        String::from_utf8_lossy(&error.text),
                        String::from_utf8_lossy(&chunk),
                        String::from_utf8_lossy(&line)
                    );
                }
            }
        }
    }

    fn answer(&mut self, request: Request) -> Answer {
        match request {
            Request::Call => {
                let exchange = self.engine.exchange();
                let mut exchange = exchange.borrow_mut();
                let (args, reply) = exchange.call();
                match args.at(0) {
                    b"ECHO" => reply.bulk(args.at(1)),
                    b"ERROR" => reply.error(b"ERR it failed"),
                    _ => reply.ok(),
                }
                Answer::Go
            }
            Request::Tick if self.ticks == 0 => Answer::Stop("killed"),
            Request::Tick => {
                self.ticks -= 1;
                Answer::Go
            }
            _ => Answer::Go,
        }
    }
}

#[test]
fn values_become_replies() {
    let mut host = Host::new();
    for (script, reply) in [
        ("return 3.99", ":3\r\n"),
        ("return 1e20", ":-9223372036854775808\r\n"),
        ("return {1,2,nil,4}", "*2\r\n:1\r\n:2\r\n"),
        ("return {ok='FINE'}", "+FINE\r\n"),
        ("return {err='My err'}", "-My err\r\n"),
        ("return {map={a=1}}", "*2\r\n$1\r\na\r\n:1\r\n"),
        (
            "return {verbatim_string={format='txt',string='hi'}}",
            "$2\r\nhi\r\n",
        ),
        ("return KEYS[2]..ARGV[1]..#KEYS", "$5\r\nk2a12\r\n"),
        ("return redis", "*0\r\n"),
        (
            "return math.random(1000000)..' '..math.random(1000000)..' '..math.random()",
            "$30\r\n396465 840486 0.35333609737146\r\n",
        ),
    ] {
        assert_eq!(host.run(script), reply, "{script}");
    }
}

#[test]
fn commands_run_and_their_errors_are_raised() {
    let mut host = Host::new();
    for (script, reply) in [
        ("return redis.call('ECHO', 12)", "$2\r\n12\r\n"),
        ("return redis.call('ECHO', 0.1)", "$3\r\n0.1\r\n"),
        (
            "return redis.call('ECHO', 2^53)",
            "$16\r\n9007199254740992\r\n",
        ),
        ("return redis.call('SET').ok", "$2\r\nOK\r\n"),
        (
            "\nreturn redis.call('ERROR')",
            "ERR it failed at @user_script:2",
        ),
        (
            "return redis.pcall('ERROR').err",
            "$13\r\nERR it failed\r\n",
        ),
        (
            "return {pcall(redis.call,'ERROR')}",
            "*2\r\n$-1\r\n$13\r\nERR it failed\r\n",
        ),
        (
            "return redis.call()",
            "ERR Please specify at least one argument for this redis lib call at @user_script:1",
        ),
        (
            "return redis.call('ECHO', {})",
            "ERR Lua redis lib command arguments must be strings or integers at @user_script:1",
        ),
        (
            "return coroutine.wrap(function() return redis.call('ECHO', 'x') end)()",
            "$1\r\nx\r\n",
        ),
        ("error('boom')", "ERR user_script:1: boom at @user_script:1"),
        ("error({err='tbl'})", "tbl at @user_script:1"),
        ("error()", "ERR nil at @user_script:1"),
    ] {
        assert_eq!(host.run(script), reply, "{script}");
    }
}

#[test]
fn globals_cannot_be_changed() {
    let mut host = Host::new();
    let read_only = "ERR user_script:1: Attempt to modify a readonly table at @user_script:1";
    let raw = "ERR Attempt to modify a readonly table at @user_script:1";
    for (script, reply) in [
        ("x=1", read_only),
        ("_G.x=1", read_only),
        ("redis.call=1", read_only),
        ("string.x=1", read_only),
        (
            "getmetatable('').__index=function() return 1 end return 1",
            read_only,
        ),
        ("getmetatable(_G).__index=1", read_only),
        ("rawset(_G,'x',1)", raw),
        ("setmetatable(_G,nil)", raw),
        ("table.insert(string, 1)", raw),
        (
            "return nosuchglobal",
            "ERR user_script:1: Script attempted to access nonexistent global variable 'nosuchglobal' at @user_script:1",
        ),
        (
            "return tostring(getmetatable('').__index==string)",
            "$4\r\ntrue\r\n",
        ),
        ("return ('x'):rep(3)", "$3\r\nxxx\r\n"),
        ("return rawget(_G,'nosuch')", "$-1\r\n"),
        (
            "local n=0 for k in pairs(redis) do n=n+1 end return n",
            ":23\r\n",
        ),
        ("KEYS[5]='a' return KEYS[5]", "$1\r\na\r\n"),
    ] {
        assert_eq!(host.run(script), reply, "{script}");
    }
}

#[test]
fn no_script_changes_what_others_find() {
    let mut host = Host::new();
    for script in [
        "local m = getmetatable(setmetatable({}, redis)) m.call = function() return 'HACK' end",
        "local m = getmetatable(setmetatable({}, string)) m.rep = 1",
        "local m = getmetatable(setmetatable({}, _G)) m.tostring = 1",
        "table.insert(redis, 1)",
        "table.sort(redis, function() redis.x = 1 end)",
        "for k, v in pairs(redis) do redis[k] = nil end",
        "cjson.encode = nil",
        "loadstring('tostring = 1')()",
        "coroutine.wrap(function() tostring = 1 end)()",
        "rawset(redis, 'call', 1)",
        "rawset(getmetatable(''), '__index', 1)",
        "setmetatable(getmetatable(_G), {})",
        "error(redis)",
    ] {
        host.run(script);
        let reply = host.run(
            "local n = 0 for k in pairs(redis) do n = n + 1 end \
            return {redis.call('ECHO', 'x'), ('x'):rep(2), tostring(1), cjson.encode(1), n, #redis, redis.source == nil}",
        );
        assert_eq!(
            reply, "*7\r\n$1\r\nx\r\n$2\r\nxx\r\n$1\r\n1\r\n$1\r\n1\r\n:23\r\n:0\r\n:1\r\n",
            "after {script}"
        );
    }
}

#[test]
fn many_arguments_and_large_results_are_bounded() {
    let mut host = Host::new();
    host.ticks = 1_000_000;
    for script in [
        "local t = {} for i = 1, 3500 do t[i] = i end table.sort({}, nil, unpack(t))",
        "local t = {} for i = 1, 3500 do t[i] = i end return collectgarbage('count', unpack(t))",
        "local t = {} for i = 1, 7900 do t[i] = i end return pcall(unpack, t)",
        "local t = {} for i = 1, 7900 do t[i] = i end return string.format('%d', unpack(t))",
        "local t = {1} for i = 1, 40 do t = {t, t} end return t",
        "local t = {} t[1] = t t[2] = t return t",
        "local t = {map={}} t.map.a = t t.map.b = t return t",
        "local t = {} for i = 1, 30000 do t[i] = 30000 - i .. '' end table.sort(t) return t[1] .. t[30000]",
        "local t = {} for i = 1, 30000 do t[i] = 30000 - i end table.sort(t) return t[1] .. t[30000]",
        "local t = {} for i = 1, 30000 do t[i] = i end table.sort(t, rawequal)",
        "local function f(n) return (('x'):gsub('.', function() if n > 0 then return f(n - 1) end end)) end return f(190)",
    ] {
        let reply = host.run(script);
        assert!(reply.len() < 1_000, "{script}");
        assert_eq!(host.run("return 1"), ":1\r\n", "after {script}");
    }
    let reply = host.run("local t = {3, 1, 2} table.remove(t, 1) table.insert(t, 1, 9) return t");
    assert_eq!(reply, "*3\r\n:9\r\n:1\r\n:2\r\n");
}

#[test]
fn endless_scripts_end_when_they_are_stopped() {
    for script in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "local function f() return pcall(f) end while true do f() end",
        "while true do local co = coroutine.wrap(function() while true do end end) pcall(co) end",
        "for i=1,1e9 do xpcall(function() error('x') end, function() while true do end end) end",
        "local t = setmetatable({}, {__index=function(t, k) return t[k+1] end}) while true do pcall(function() return t[1] end) end",
        "local s = string.rep('a', 100) while true do s:gsub('.', function() end) end",
    ] {
        let mut host = Host::new();
        host.ticks = 5;
        let reply = host.run(script);
        assert!(reply.starts_with("ERR killed"), "{script}: {reply}");
        host.ticks = 5;
        assert_eq!(host.run("return 1"), ":1\r\n", "after {script}");
    }
}

#[test]
fn memory_is_limited_and_given_back() {
    let mut host = Host::new();
    for script in [
        "local s = 'x' while true do s = s .. s end",
        "local t = {} for i = 1, 1e9 do t[i] = {} end",
        "return string.rep('x', 1e9)",
        "local t = {} for i = 1, 1e9 do t[i] = tostring(i) .. 'some text' end",
        "return table.concat({string.rep('x', 3e7), string.rep('y', 3e7), string.rep('z', 3e7)})",
    ] {
        let reply = host.run(script);
        assert!(reply.contains("not enough memory"), "{script}: {reply}");
        // Each time all is collected Lua halves its buffer for joined strings.
        (0..8).for_each(|_| host.engine.renew());
        assert!(host.engine.used_bytes() < 1 << 20, "{script}");
        assert_eq!(host.run("return 1"), ":1\r\n", "after {script}");
    }
    // Garbage is no use of memory.
    host.ticks = 1_000_000;
    let reply = host.run("for i = 1, 1000 do local s = string.rep('x', 1e6) .. i end return 1");
    assert_eq!(reply, ":1\r\n");
}

#[test]
fn deep_recursion_ends_with_an_error() {
    let mut host = Host::new();
    for script in [
        "local function f() return 1 + f() end return f()",
        "local function f() local co = coroutine.wrap(f) return co() end return f()",
        "local function f(a, b) local t = {3, 2, 1} table.sort(t, f) return true end f()",
        "local t = setmetatable({}, {}) getmetatable(t).__index = function(s, k) return s[k] end return t.x",
        "local function f() return pcall(f) end return tostring(f())",
        "local s = string.rep('(', 10000) return loadstring('return ' .. s)",
        "local s = string.rep('{', 10000) return loadstring('return ' .. s)",
        "local s = 'return ' .. string.rep('a.', 100000) .. 'a' return tostring(loadstring(s))",
        "local t = {} t[1] = t return t",
    ] {
        host.run(script);
        assert_eq!(host.run("return 1"), ":1\r\n", "after {script}");
    }
}
