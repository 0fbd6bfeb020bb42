//! Calls of commands from a script, sound ones and others.

use super::Scripts;

/// Commands with their arguments: `K` is a key, `V` a value, `N` a number, `I` a small number.
const COMMANDS: &[&str] = &[
    "set K V",
    "set K N",
    "get K",
    "set K V nx",
    "set K V get",
    "getset K V",
    "append K V",
    "strlen K",
    "incr K",
    "incrby K I",
    "incrby K N",
    "decr K",
    "incrbyfloat K 0.5",
    "getrange K I I",
    "setrange K 3 V",
    "mset K V K V",
    "mget K K",
    "setnx K V",
    "del K",
    "exists K K",
    "type K",
    "expire K 1000",
    "persist K",
    "ttl K",
    "rename K K",
    "lpush K V V",
    "rpush K V N",
    "lpop K",
    "rpop K",
    "llen K",
    "lrange K I I",
    "lindex K I",
    "lset K I V",
    "lrem K I V",
    "linsert K before V V",
    "lmove K K left right",
    "hset K V V",
    "hset K f N",
    "hget K f",
    "hmget K f g",
    "hgetall K",
    "hdel K f",
    "hlen K",
    "hincrby K f I",
    "hkeys K",
    "sadd K V",
    "srem K V",
    "scard K",
    "sismember K V",
    "smismember K V V",
    "zadd K I V",
    "zscore K V",
    "zrange K 0 -1 withscores",
    "zrank K V",
    "zcard K",
    "zincrby K I V",
    "zpopmin K",
    "xadd K 1-* f V",
    "xlen K",
    "xrange K - +",
    "echo V",
    "echo N",
    "ping",
    "ping V",
    "dbsize",
    "flushdb",
    "lpos K V",
    "setex K 1000 V",
    "bitcount K",
    "setbit K 7 1",
    "getbit K I",
    "pfadd K V",
    "pfcount K",
    "copy K K",
    "publish c V",
    "nosuch V",
    "get",
    "get K K",
    "subscribe c",
    "multi",
    "eval V 0",
    "config get maxmemory",
    "client id",
    "object nosuch",
    "xgroup create K g $ mkstream",
    "xgroup nosuch",
    "select 0",
    "select x",
    "sort K alpha",
    "ECHO V",
    "Get K",
];

impl Scripts {
    /// A call of a command, with whatever the words stand for.
    pub(super) fn command_call(&mut self) -> String {
        let line = self.random.pick(COMMANDS);
        let mut arguments: Vec<String> = line
            .split(' ')
            .map(|word| match word {
                "K" => self
                    .random
                    .pick(&[
                        "'k1'",
                        "'k2'",
                        "'k3'",
                        "'k4'",
                        "'k\\0 5'",
                        "(KEYS[1] or 'k1')",
                    ])
                    .to_owned(),
                "V" => self.command_value(),
                "N" => self.exact_number(),
                "I" => self.small(),
                other => format!("'{other}'"),
            })
            .collect();
        match self.random.below(30) {
            0 => {
                arguments.pop();
            }
            1 => {
                let bad = self
                    .random
                    .pick(&["nil", "true", "{}", "cjson.null", "redis.call"]);
                let at = self.random.below(arguments.len() + 1);
                arguments.insert(at, bad.to_owned());
            }
            _ => {}
        }
        let name = if self.random.percent(50) {
            "pcall"
        } else {
            "call"
        };
        let call = format!("redis.{name}({})", arguments.join(","));
        // What a script in RESP3 gets; the rest of the script is in RESP2 again.
        if self.random.percent(20) {
            format!(
                "(function() redis.setresp(3) local r={{pcall(function() return {call} end)}} redis.setresp(2) return r[1],r[2] end)()"
            )
        } else {
            call
        }
    }

    fn command_value(&mut self) -> String {
        match self.random.below(5) {
            0 => self.exact_number(),
            1 => self
                .random
                .pick(&["ARGV[1] or 'v'", "'a'", "'b'", "'f'", "''"])
                .to_owned(),
            _ => self.string_of(8),
        }
    }
}
