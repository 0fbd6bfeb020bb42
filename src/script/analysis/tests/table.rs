//! Where the commands of the tests have their keys.

use crate::script::analysis::{CommandCall, Place, analyse};

/// The places of a command's keys; None for a command that the tests do not know.
pub(super) fn places(name: &[u8]) -> Option<Vec<Place>> {
    let all = Place::UntilEnd {
        first: 1,
        behind: 0,
        step: 1,
    };
    Some(match name {
        b"ping" | b"time" | b"publish" => vec![],
        b"del" | b"unlink" | b"exists" | b"mget" | b"sunion" | b"sdiff" => vec![all],
        b"rpoplpush" | b"rename" | b"smove" | b"lmove" => vec![Place::Span {
            first: 1,
            last: 2,
            step: 1,
        }],
        b"mset" => vec![Place::UntilEnd {
            first: 1,
            behind: 0,
            step: 2,
        }],
        b"blpop" => vec![Place::UntilEnd {
            first: 1,
            behind: 1,
            step: 1,
        }],
        b"zunionstore" => vec![
            Place::one(1),
            Place::Counted {
                count: 2,
                first: 3,
                step: 1,
            },
        ],
        b"xread" => vec![Place::Half {
            keyword: "streams",
            from: 1,
        }],
        _ if WITH_ONE_KEY.contains(&std::str::from_utf8(name).unwrap_or_default()) => {
            vec![Place::one(1)]
        }
        _ => return None,
    })
}

/// Commands whose only key is their first argument.
const WITH_ONE_KEY: &[&str] = &[
    "expire",
    "expireat",
    "get",
    "getrange",
    "hdel",
    "hexists",
    "hget",
    "hgetall",
    "hincrby",
    "hkeys",
    "hlen",
    "hmget",
    "hmset",
    "hset",
    "hsetnx",
    "hvals",
    "incr",
    "incrby",
    "decr",
    "decrby",
    "lindex",
    "linsert",
    "llen",
    "lpop",
    "lpos",
    "lpush",
    "lrange",
    "lrem",
    "lset",
    "ltrim",
    "persist",
    "pexpire",
    "pexpireat",
    "psetex",
    "pttl",
    "rpop",
    "rpush",
    "sadd",
    "scard",
    "set",
    "setex",
    "setnx",
    "sismember",
    "smembers",
    "spop",
    "srem",
    "strlen",
    "ttl",
    "type",
    "xack",
    "xadd",
    "xdel",
    "xlen",
    "xrange",
    "xrevrange",
    "xtrim",
    "zadd",
    "zcard",
    "zcount",
    "zincrby",
    "zlexcount",
    "zpopmax",
    "zpopmin",
    "zrange",
    "zrangebylex",
    "zrangebyscore",
    "zrank",
    "zrem",
    "zremrangebylex",
    "zremrangebyrank",
    "zremrangebyscore",
    "zrevrange",
    "zrevrangebylex",
    "zrevrangebyscore",
    "zscore",
    "getdel",
    "getex",
    "append",
    "lpushx",
    "rpushx",
];

/// Whether a call is of a known command and all its keys are declared.
pub(super) fn declared(call: &CommandCall) -> bool {
    places(&call.name).is_some_and(|places| call.keys_are_declared(&places))
}

/// Whether all keys of a script are.
pub(super) fn provable(source: &str) -> bool {
    analyse(source.as_bytes()).is_some_and(|calls| calls.iter().all(declared))
}

/// The keys of a command that ran, found on its real arguments by another way than the analysis.
pub(super) fn touched(command: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let Some((name, arguments)) = command.split_first() else {
        return Vec::new();
    };
    let keys: Vec<&Vec<u8>> = match &name.to_ascii_lowercase()[..] {
        b"ping" => Vec::new(),
        b"get" | b"set" | b"lpush" | b"rpush" | b"lpop" | b"expire" => {
            arguments.iter().take(1).collect()
        }
        b"del" => arguments.iter().collect(),
        b"mset" => arguments.iter().step_by(2).collect(),
        b"blpop" => arguments.iter().rev().skip(1).collect(),
        b"zunionstore" => {
            let count = arguments.get(1).map(|count| String::from_utf8_lossy(count));
            let count = count
                .and_then(|count| count.trim().parse().ok())
                .unwrap_or(0);
            let sources = arguments.iter().skip(2).take(count);
            arguments.iter().take(1).chain(sources).collect()
        }
        b"xread" => {
            let found = arguments
                .iter()
                .position(|word| word.eq_ignore_ascii_case(b"streams"));
            let behind = found.map_or(&[][..], |at| &arguments[at + 1..]);
            // Rounded up: an odd number is an error, or a key too many.
            behind.iter().take(behind.len().div_ceil(2)).collect()
        }
        // Whatever it is, it was not expected.
        _ => vec![name],
    };
    keys.into_iter().cloned().collect()
}
