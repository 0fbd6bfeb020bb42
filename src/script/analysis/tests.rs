//! Scripts that are provable, scripts that are not, and how constants are read.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fuzz;
mod script;
mod table;
mod words;

use super::{Argument, CommandCall, analyse, explain};
use table::provable;

fn call(name: &str, arguments: &[Argument]) -> (String, Vec<Argument>) {
    (name.to_owned(), arguments.to_vec())
}

fn calls(source: &str) -> Vec<(String, Vec<Argument>)> {
    let shape = |call: CommandCall| {
        let name = String::from_utf8(call.name.into_vec()).unwrap();
        (name, call.arguments)
    };
    match explain(source.as_bytes()) {
        Ok(calls) => calls.into_iter().map(shape).collect(),
        Err(refusal) => panic!("{source}: {refusal:?}"),
    }
}

fn constant(text: &str) -> Argument {
    Argument::Constant(text.as_bytes().into())
}

#[test]
fn a_call_tells_its_name_and_arguments() {
    let source = "return redis.call('SET', KEYS[1], ARGV[1], 'EX', 10, nil, tostring(1))";
    let arguments = [
        Argument::Key,
        Argument::Other,
        constant("EX"),
        constant("10"),
        Argument::Key,
        Argument::Many,
    ];
    assert_eq!(calls(source), [call("set", &arguments)]);
}

#[test]
fn a_call_with_one_of_several_names_is_told_for_each() {
    let source = "local push = ARGV[1] and 'RPUSH' or 'LPUSH'; redis.call(push, KEYS[1], 'x')";
    let arguments = [Argument::Key, constant("x")];
    assert_eq!(
        calls(source),
        [call("lpush", &arguments), call("rpush", &arguments)]
    );
}

#[test]
fn a_call_knows_its_line() {
    let calls = analyse(b"local a = 1\n\nreturn redis.call('get', KEYS[1])").unwrap();
    assert_eq!(calls[0].line, 3);
}

const PROVABLE: &[&str] = &[
    "return 1",
    "",
    "#!lua flags=no-writes\nreturn redis.call('get', KEYS[1])",
    "return redis.call('get', KEYS[1])",
    "return redis['call']('get', KEYS[1])",
    "return redis.pcall('get', KEYS[ARGV[1]])",
    "return redis.call('get', KEYS['x'])",
    "return redis.call('get', KEYS.x)",
    "return redis.call('get', KEYS[#KEYS])",
    "return redis.call('get', (KEYS[1]))",
    "return redis.call('get', (KEYS)[1])",
    "redis.call'ping'",
    "local key = KEYS[1]; return redis.call('get', key)",
    "local a, b = KEYS[1], KEYS[2]; redis.call('set', a, b); redis.call('del', a, b)",
    "local k; if ARGV[1] then k = KEYS[1] else k = KEYS[2] end; redis.call('get', k)",
    "local k = ARGV[1] and KEYS[1] or KEYS[2]; redis.call('get', k)",
    "local k = KEYS[2] or KEYS[1]; redis.call('get', k)",
    "for i = 1, #KEYS do redis.call('get', KEYS[i]) end",
    "for i = 1, #KEYS do i = i + 1; redis.call('get', KEYS[i]) end",
    "for i, k in ipairs(KEYS) do redis.call('get', k) end",
    "for _, k in pairs(KEYS) do redis.call('get', k) end",
    "local ipairs = ipairs; for i, k in ipairs(KEYS) do redis.call('get', k) end",
    "local j = KEYS[1]; for _, k in ipairs({j, KEYS[2]}) do redis.call('expire', k, 1) end",
    "redis.call('del', unpack(KEYS))",
    "redis.call('del', unpack(KEYS, 2, 3))",
    "redis.call('del', KEYS[1], unpack({KEYS[2], KEYS[3]}))",
    "local unpack = unpack or table.unpack; redis.call('del', unpack(KEYS))",
    "redis.call('set', KEYS[1], ARGV[1], unpack(ARGV))",
    "redis.call('set', KEYS[1], unpack(ARGV))",
    "redis.call('mset', KEYS[1], ARGV[1], KEYS[2], ARGV[2])",
    "redis.call('zunionstore', KEYS[1], 2, KEYS[2], KEYS[3])",
    "redis.call('zunionstore', KEYS[1], '1', KEYS[2], 'weights', ARGV[1])",
    "redis.call('zunionstore', KEYS[1], 2, unpack(KEYS))",
    "redis.call('xread', 'COUNT', 1, 'streams', KEYS[1], KEYS[2], ARGV[1], ARGV[2])",
    "local call = redis.call; call('get', KEYS[1])",
    "local r = redis; local call = r.call; local c = call; c('get', KEYS[1])",
    "local K = KEYS; redis.call('get', K[1])",
    "local redis, KEYS = redis, KEYS; redis.call('get', KEYS[1])",
    "pcall(redis.call, 'get', KEYS[1])",
    "local function f(k) redis.call('get', k) end; f(KEYS[1]); f(KEYS[2])",
    "local function f(k) redis.call('get', k) end; pcall(f, KEYS[1])",
    "local f = function(k, v) redis.call('set', k, v) end; f(KEYS[1], ARGV[1])",
    "local function g(k) redis.call('get', k) end; local function f(k) g(k) end; f(KEYS[1])",
    "local function f(k, n) if n > 0 then f(k, n - 1) end redis.call('get', k) end; f(KEYS[1], 3)",
    "local function f(k) redis.call('get', k) end; f()",
    "local function f(k) redis.call('get', k) end; f(unpack(KEYS))",
    "local function f() return KEYS[1], 'x' end; local k, x = f(); redis.call('set', k, x)",
    "local function f(c, k) redis.call(c, k, 'x') end; f('lpush', KEYS[1]); f('rpush', KEYS[2])",
    "local function f() return redis.call('get', KEYS[1]) end; table.sort({}, f)",
    "local t = {}; t.get = function(x) return redis.call('get', KEYS[1]) end; t.get(2)",
    "local t = {}; function t:get(x) return redis.call('get', KEYS[1]) end; t:get(2)",
    "local x = KEYS[1]:sub(1); redis.call('set', KEYS[1], x)",
    "redis.log(redis.LOG_NOTICE, redis.sha1hex(KEYS[1])); return redis.error_reply('x')",
    "local t = {KEYS[1]}; t[1] = 'x'; return t",
    "repeat local done = redis.call('get', KEYS[1]) until done",
    "while redis.call('lpop', KEYS[1]) do end",
    "local co = coroutine.wrap(function() coroutine.yield(redis.call('get', KEYS[1])) end); co()",
    "local KEYS = ARGV; return KEYS[1]",
    "local goto = KEYS[1]; redis.call('get', goto)",
    "redis.call('set', KEYS[1], redis.call('get', KEYS[2]))",
];

#[test]
fn provable_scripts_are_proved() {
    for source in PROVABLE {
        let calls = explain(source.as_bytes());
        assert!(provable(source), "{source}: {calls:?}");
    }
}

const NOT_PROVABLE: &[&str] = &[
    // Keys of another origin.
    "redis.call('get', 'x')",
    "redis.call('get', ARGV[1])",
    "redis.call('get', KEYS[1] .. 'x')",
    "redis.call('get', KEYS[1]:sub(1))",
    "redis.call('get', #KEYS)",
    "redis.call('del', KEYS[1], 'x')",
    "redis.call('del', KEYS[1], ARGV[1])",
    "redis.call('del', KEYS[1], unpack(ARGV))",
    "redis.call('del', KEYS[1], f())",
    "redis.call('del', KEYS[1], ...)",
    "local k = KEYS[1]; k = k .. 'x'; redis.call('get', k)",
    "local k = KEYS[1]; local function f() k = 'x' end; f(); redis.call('get', k)",
    "local k = KEYS[1]; do local k = ARGV[1]; redis.call('get', k) end",
    "local next = next; redis.call('get', next)",
    "local k = KEYS[1] or ARGV[1]; redis.call('get', k)",
    "local k = ARGV[1] or KEYS[1]; redis.call('get', k)",
    "local k = ARGV[1] and 'x' or KEYS[1]; redis.call('get', k)",
    "local KEYS = ARGV; redis.call('get', KEYS[1])",
    "local t = {KEYS[1]}; redis.call('get', t[1])",
    "for i, k in ipairs(KEYS) do redis.call('get', i) end",
    "for i, k in ipairs(KEYS) do k = 'x'; redis.call('get', k) end",
    "for i, k in ipairs(ARGV) do redis.call('get', k) end",
    "for i, k in ipairs({KEYS[1], 'x'}) do redis.call('get', k) end",
    "for i, k in ipairs({KEYS[1], unpack(ARGV)}) do redis.call('get', k) end",
    "for i, k in ipairs({KEYS[1], a = 'x'}) do redis.call('get', k) end",
    "for k = 1, 2 do redis.call('get', k) end",
    "local ipairs = function() return next, ARGV end; for i, k in ipairs(KEYS) do redis.call('get', k) end",
    "local unpack = function() return 'x' end; redis.call('del', unpack(KEYS))",
    "local function unpack(t) return 'x' end; redis.call('del', unpack(KEYS))",
    // Key positions that are not constant.
    "redis.call('zunionstore', KEYS[1], ARGV[1], KEYS[2])",
    "redis.call('zunionstore', KEYS[1], KEYS[2], KEYS[3])",
    "redis.call('zunionstore', KEYS[1], 2, KEYS[2], ARGV[1])",
    "redis.call('zunionstore', KEYS[1], 2, KEYS[2], unpack(ARGV))",
    "redis.call('zunionstore', KEYS[1], unpack(KEYS))",
    "redis.call('zunionstore', KEYS[1], '01', KEYS[2])",
    "redis.call('xread', ARGV[1], 'x', 'streams', KEYS[1], '0')",
    "redis.call('xread', KEYS[1], 'x', 'streams', KEYS[1], '0')",
    "redis.call('xread', 'streams', KEYS[1], ARGV[1], ARGV[2], ARGV[3])",
    "redis.call('xread', 'streams', KEYS[1], unpack(ARGV))",
    "redis.call('mset', KEYS[1], 1, unpack(ARGV))",
    "redis.call('mset', KEYS[1], 1, ARGV[1], 1)",
    // Names of commands that are not constant, or not known.
    "redis.call(ARGV[1], KEYS[1])",
    "redis.call(KEYS[1], KEYS[1])",
    "redis.call('g' .. 'et', KEYS[1])",
    "redis.call(unpack(ARGV))",
    "redis.call(...)",
    "redis.call('flushall')",
    "local c = 'get'; c = ARGV[1]; redis.call(c, KEYS[1])",
    // What is guarded is handed out, or changed.
    "return KEYS",
    "return redis",
    "return redis.call",
    "return {KEYS}",
    "return {redis = redis}",
    "local r = {call = redis.call}; r.call('get', 'x')",
    "f(KEYS)",
    "tostring(KEYS)",
    "redis.log(KEYS)",
    "redis[ARGV[1]]('get', 'x')",
    "redis['c' .. 'all']('get', 'x')",
    "redis:call('get')",
    "redis.call.x = 1",
    "redis.x = 1",
    "redis.register_function('f', function() end)",
    "redis.call = function() end",
    "function redis.call() end",
    "function redis:call() end",
    "KEYS[1] = 'x'; redis.call('get', KEYS[1])",
    "KEYS.x = 'x'; redis.call('get', KEYS.x)",
    "KEYS = {'x'}; redis.call('get', KEYS[1])",
    "function KEYS() end",
    "local K = KEYS; K[1] = 'x'; redis.call('get', KEYS[1])",
    "local K = KEYS; K = ARGV; redis.call('get', K[1])",
    "local K = KEYS; local function f() K = ARGV end; f(); redis.call('get', K[1])",
    "local K = ARGV; K = KEYS; redis.call('get', K[1])",
    "local a, K = 1, KEYS; a, K = K, ARGV",
    "local K = KEYS or ARGV; K[1] = 'x'; redis.call('get', KEYS[1])",
    "(KEYS)[1] = 'x'; redis.call('get', KEYS[1])",
    "table.insert(KEYS, 'x')",
    "table.remove(KEYS)",
    "table.sort(KEYS)",
    "table.foreach(KEYS, error)",
    "KEYS:x()",
    "local f, s, i = ipairs(KEYS); s[1] = 'x'; redis.call('get', KEYS[1])",
    "for a, b in ipairs(KEYS), nil do end",
    "for a, b in next, KEYS do end",
    "for a, b in pairs(KEYS, 1) do end",
    "local function f(k) k[1] = 'x' end; f(KEYS); redis.call('get', KEYS[1])",
    "pcall(table.insert, KEYS, 'x')",
    "local c = redis.call; c = f",
    "local f = pcall; f(redis.call, ARGV[1])",
    "pcall(redis.call, 'get', ARGV[1])",
    "pcall(redis.call, unpack(ARGV))",
    "pcall(pcall, redis.call, 'get', 'x')",
    "xpcall(redis.call, error)",
    "coroutine.wrap(redis.call)('get', 'x')",
    "string.gsub('x', '.', redis.call)",
    // Functions.
    "local function f(k) redis.call('get', k) end; f(KEYS[1]); f(ARGV[1])",
    "local function f(k) redis.call('get', k) end; f(KEYS[1]); local g = f; g('x')",
    "local function f(k) redis.call('get', k) end; f(KEYS[1]); local g; g = f",
    "local function f(k) redis.call('get', k) end; f(KEYS[1]); return f",
    "local function f(k) redis.call('get', k) end; f(unpack(ARGV))",
    "local function f(a, k) redis.call('get', k) end; f(1, unpack(ARGV))",
    "local function f(k) redis.call('get', k) end; pcall(f, 'x')",
    "local function f(k) redis.call('get', k) end; table.foreach(ARGV, f)",
    "local function f(k) k = 'x'; redis.call('get', k) end; f(KEYS[1])",
    "local function f(k) redis.call('get', k) end; f = nil; f(KEYS[1])",
    "local f; f = function(k) redis.call('get', k) end; f(KEYS[1])",
    "local function f(...) redis.call('get', ...) end; f(KEYS[1])",
    "local function f(...) redis.call('get', arg[1]) end; f('x')",
    "local arg = KEYS; local function f(...) redis.call('get', arg[1]) end; f('x')",
    "local t = {}; function t.f(k) redis.call('get', k) end; t.f(KEYS[1])",
    "local t = {}; function t:f() redis.call('get', self) end; t.f('x')",
    "local function f() return KEYS[1], ARGV[1] end; local _, k = f(); redis.call('get', k)",
    "local function f(a) if a then return KEYS[1] end return 'x' end; redis.call('get', (f()))",
    "local function f() return KEYS[1] end; redis.call('del', KEYS[1], f(), (g()))",
    "local function f() return unpack(ARGV) end; local a, b = f(); redis.call('get', b)",
    "local function f(a) return f(a .. 'x') or a end; redis.call('get', (f(KEYS[1])))",
    "redis.call('get', (function() return 'x' end)())",
];

const NOT_PROVABLE_FOR_THEIR_GLOBALS: &[&str] = &[
    "nobody = function() end",
    "function nobody() end",
    "function tostring() end",
    "unpack = tostring",
    "ipairs, pairs = 1, 2",
    // Globals by which something guarded can be reached.
    "_G.redis.call('get', 'x')",
    "getfenv(0).redis.call('get', 'x')",
    "setfenv(1, {})",
    "loadstring(ARGV[1])()",
    "load(ARGV[1])",
    "dofile('x')",
    "require('x')",
    "package.loaded._G.KEYS = ARGV",
    "module('x')",
    "debug.setlocal(1, 1, 'x')",
    "rawset(ARGV, 1, 'x')",
    "rawget(ARGV, 1)",
    "setmetatable({}, {})",
    "getmetatable('').__index = 1",
    "nobody()",
    "server.call('get', 'x')",
];

const NO_LUA: &[&str] = &[
    "x x",
    "if",
    "local function",
    "return '\\300'",
    "return 'x",
    "return [[x",
    "--[[ x",
    "return [[ [[ ]]",
    "f\n(x)",
    "goto x",
    "return 1 // 2",
    "return 1; x = 1",
    "local é = 1",
    "return \0",
    "#x\nreturn 1",
];

#[test]
fn the_others_are_not() {
    for source in NOT_PROVABLE {
        // A name for whatever the script calls, so that it is not refused for that.
        let source = format!("local f, g = tostring, tostring; {source}");
        assert!(!provable(&source), "{source}");
        let why = explain(source.as_bytes()).map_err(|refusal| refusal.why);
        let misses = ["a syntax error", "it names a global that is not known"];
        assert!(
            !misses.iter().any(|miss| why == Err(miss)),
            "{source}: {why:?}"
        );
    }
    for source in NOT_PROVABLE_FOR_THEIR_GLOBALS.iter().chain(NO_LUA) {
        assert!(!provable(source), "{source}");
    }
}

#[test]
fn deep_nesting_is_refused_and_harmless() {
    let repeat = |text: &str, times| text.repeat(times);
    for deep in [
        format!("return {}1{}", repeat("(", 100_000), repeat(")", 100_000)),
        repeat("do ", 100_000),
        repeat("return function() ", 100_000),
        format!("return {}", repeat("{", 100_000)),
        format!("return {}1", repeat("- ", 1_000)),
        format!("return {}1", repeat("not ", 100_000)),
        format!("return 1{}", repeat(" .. 1", 100_000)),
        format!("return f{}", repeat("(f", 100_000)),
        repeat("if 1 then ", 100_000),
    ] {
        assert!(analyse(deep.as_bytes()).is_none());
    }
    let within = format!("return {}1{}", repeat("(", 110), repeat(")", 110));
    assert!(provable(&within));
}

#[test]
fn long_chains_are_flat() {
    let long = |begin: &str, part: &str| format!("return {begin}{}", part.repeat(100_000));
    for source in [
        long("1", "+1"),
        long("1", " or 1"),
        long("1", " and 1"),
        long("1", "==1"),
        long("ARGV", ".x"),
        long("tostring", "(1)"),
        long("ARGV", ":x()"),
    ] {
        assert!(provable(&source));
    }
}

#[test]
fn work_is_bounded() {
    // Each function learns from the one behind it: one round for each.
    let mut source = String::new();
    for at in 0..10_000 {
        source += &format!("local function f{at}(k) if k then f{at}(k) end end\n");
    }
    assert!(analyse(source.as_bytes()).is_some());
    let mut source = "local function f0(k) redis.call('get', k) end\n".to_owned();
    for at in 1..10_000 {
        let before = at - 1;
        source += &format!("local function f{at}(k) f{before}(k) end\n");
    }
    source += "f9999(KEYS[1])";
    assert_eq!(
        explain(source.as_bytes()).unwrap_err().why,
        "its functions call each other too deep"
    );
    let long = "x".repeat(super::SOURCE_BYTES_MAX + 1);
    assert!(analyse(long.as_bytes()).is_none());
}
