//! cjson, cmsgpack, struct and bit against what Redis 7.2 was recorded to answer, and against hostile input.

use crate::resp::Protocol;
use crate::resp::reply::Reply;
use crate::script::engine::{Engine, Step};
use crate::script::lua::{Answer, Request};

use super::redis::hex;

use sha1::{Digest, Sha1};

/// The recorded cases, as `tests/scripting` plays them against a whole server.
const CASES: [&str; 3] = [
    include_str!("../../../tests/scripting/cases/cjson.txt"),
    include_str!("../../../tests/scripting/cases/cmsgpack.txt"),
    include_str!("../../../tests/scripting/cases/struct_bit.txt"),
];

fn engine() -> Engine {
    Engine::new("7.4.0", 64 << 20).expect("memory")
}

/// Runs a script, with so many ticks before it is stopped; the reply as Redis sends it, and how many ticks it used.
fn run(engine: &mut Engine, script: &[u8], ticks: usize) -> (Vec<u8>, usize) {
    let slot = engine.compile(script).expect("a script of Lua");
    let mut step = engine.start(slot, [].into_iter(), [].into_iter());
    let mut ticked = 0;
    let reply = loop {
        match step {
            Step::Wants(Request::Tick) if ticked == ticks => {
                step = engine.go_on(Answer::Stop("killed"));
            }
            Step::Wants(_) => {
                ticked += 1;
                step = engine.go_on(Answer::Go);
            }
            Step::Returned => {
                let mut reply = Reply::new(Protocol::Resp2);
                engine.write_result(&mut reply);
                break reply.bytes().to_vec();
            }
            Step::Failed(error) => {
                let mut text = b"-".to_vec();
                text.extend_from_slice(&error.text);
                let sha = hex(&Sha1::digest(script));
                text.extend_from_slice(format!(" script: {sha}").as_bytes());
                if let Some((chunk, line)) = error.place {
                    let chunk = String::from_utf8_lossy(&chunk);
                    let line = String::from_utf8_lossy(&line);
                    text.extend_from_slice(format!(", on {chunk}:{line}.").as_bytes());
                }
                text.extend_from_slice(b"\r\n");
                break text;
            }
        }
    };
    engine.forget(slot);
    (reply, ticked)
}

fn text_of(engine: &mut Engine, script: &str) -> String {
    let (reply, _) = run(engine, script.as_bytes(), 1_000_000);
    String::from_utf8_lossy(&reply).into_owned()
}

/// As the files have a reply.
fn escaped(raw: &[u8]) -> String {
    let raw = raw.strip_suffix(b"\r\n").unwrap_or(raw);
    let mut line = String::new();
    let mut rest = raw;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'\r' if rest.first() == Some(&b'\n') => {
                rest = rest.get(1..).unwrap_or_default();
                line.push_str("\\n");
            }
            b'\r' => line.push_str("\\r"),
            b'\t' => line.push_str("\\t"),
            b'\\' => line.push_str("\\\\"),
            b' '..=b'~' => line.push(char::from(*byte)),
            _ => line.push_str(&format!("\\x{byte:02x}")),
        }
    }
    line
}

#[test]
fn recorded_answers_are_given() {
    let mut reports = Vec::new();
    let mut count = 0;
    for file in CASES {
        let mut script = None;
        let mut engine = engine();
        for line in file.lines() {
            if let Some(text) = line.strip_prefix("eval ") {
                script = Some(text);
            } else if line.is_empty() || line == "> SCRIPT FLUSH" {
                // A case begins with new settings.
                engine = self::engine();
            } else if let Some(expected) = line.strip_prefix("= ")
                && let Some(script) = script.take()
            {
                let (reply, _) = run(&mut engine, script.as_bytes(), 1_000_000);
                let reply = escaped(&reply);
                count += 1;
                if reply != expected {
                    reports.push(format!(
                        "{script}\n   expected {expected}\n   got      {reply}"
                    ));
                }
            }
        }
    }
    assert!(reports.is_empty(), "{}", reports.join("\n"));
    assert!(count > 380, "{count} cases");
}

#[test]
fn tables_of_libraries_have_their_fields_in_the_order_of_redis() {
    let mut engine = engine();
    for (name, fields) in [
        (
            "cjson",
            "_NAME encode decode_max_depth _VERSION decode_invalid_numbers encode_keep_buffer null encode_number_precision new \
             encode_max_depth encode_invalid_numbers decode encode_sparse_array",
        ),
        (
            "cmsgpack",
            "_DESCRIPTION pack _NAME unpack _COPYRIGHT _VERSION unpack_one unpack_limit",
        ),
        ("struct", "pack size unpack"),
        (
            "bit",
            "band rshift bor bnot bswap bxor tobit ror lshift tohex rol arshift",
        ),
    ] {
        let script = format!(
            "local k={{}} for n in pairs({name}) do k[#k+1]=n end return table.concat(k,' ')"
        );
        let expected = format!("${}\r\n{fields}\r\n", fields.len());
        assert_eq!(text_of(&mut engine, &script), expected);
    }
}

#[test]
fn depth_beyond_the_stack_of_lua_is_refused_as_redis_does() {
    let mut engine = engine();
    for (script, reply) in [
        (
            "cjson.encode_max_depth(2147483647) local t={} t[1]=t local ok,e=pcall(cjson.encode,t) return e",
            "Cannot serialise, excessive nesting (7998)",
        ),
        (
            "local t={} t.a=t local ok,e=pcall(cjson.encode,t) return e",
            "Cannot serialise, excessive nesting (4000)",
        ),
        (
            "cjson.decode_max_depth(2147483647) local ok,e=pcall(cjson.decode,('['):rep(10000)) return e",
            "Found too many nested data structures (7999) at character 7999",
        ),
        (
            "local ok,e=pcall(cjson.decode,('{\"a\":'):rep(10000)) return e",
            "Found too many nested data structures (4000) at character 19996",
        ),
        (
            "local s=('['):rep(7998)..(']'):rep(7998) return tostring(cjson.encode(cjson.decode(s))==s:sub(1,7996)..'{}'..s:sub(8001))",
            "Cannot serialise, excessive nesting (7998)",
        ),
        (
            "local s=('['):rep(7997)..(']'):rep(7997) return #cjson.encode(cjson.decode(s))",
            ":15994",
        ),
        (
            "local s=('{\"a\":'):rep(3999)..'1'..('}'):rep(3999) return tostring(cjson.encode(cjson.decode(s))==s)",
            "true",
        ),
        (
            "local ok,e=pcall(cmsgpack.unpack,('\\145'):rep(1e7)) return e",
            "stack overflow (in function mp_decode_to_lua_array)",
        ),
        (
            "local ok,e=pcall(cmsgpack.unpack,('\\129\\1'):rep(1e6)) return e",
            "stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)",
        ),
        (
            "local ok,e=pcall(cmsgpack.unpack,('\\1'):rep(10000)) return e",
            "stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)",
        ),
    ] {
        let got = text_of(&mut engine, script);
        assert!(got.contains(reply), "{script}: {got}");
        assert_eq!(text_of(&mut engine, "return 1"), ":1\r\n", "after {script}");
    }
}

#[test]
fn long_work_can_be_stopped() {
    let mut engine = engine();
    for script in [
        "local t={} for i=1,1e5 do t[i]=i end while true do cjson.encode(t) end",
        "local s='['..('1,'):rep(1e5)..'1]' while true do cjson.decode(s) end",
        "local t={} for i=1,1e5 do t[i]=i end while true do cmsgpack.pack(t) end",
        "local s='\\221\\0\\1\\134\\160'..('\\1'):rep(1e5) while true do cmsgpack.unpack(s) end",
        "local t={1} for i=1,40 do t={t,t} end return #cjson.encode(t)",
        "local t={1,2,3,4} for i=1,14 do t={t,t,t,t,x=t} end return #cmsgpack.pack(t)",
        "cjson.encode_sparse_array(false,0,0) cjson.encode({[2^31-1]=1})",
    ] {
        let (reply, ticks) = run(&mut engine, script.as_bytes(), 20);
        assert!(
            reply.starts_with(b"-ERR killed"),
            "{script}: {}",
            escaped(&reply)
        );
        assert_eq!(ticks, 20, "{script}");
    }
}

#[test]
fn memory_is_limited() {
    let mut engine = engine();
    for script in [
        "local t={('x'):rep(1e6)} for i=1,10 do t={t,t} end return #cjson.encode(t)",
        "local t={('x'):rep(1e6)} for i=1,10 do t={t,t} end return #cmsgpack.pack(t)",
        "return #cjson.decode('['..('1,'):rep(8e6)..'1]')",
        "return #cjson.decode('['..('[],'):rep(3e6)..'1]')",
        "return #cjson.decode('['..('\"abc\",{},'):rep(2e6)..'1]')",
        "return #cmsgpack.unpack('\\221\\1\\0\\0\\0'..('\\1'):rep(2^24))",
        "return #cmsgpack.unpack('\\221\\1\\0\\0\\0'..('\\144'):rep(2^24))",
        "return #cjson.encode(('\\0'):rep(2e7))",
        "local s=('x'):rep(2e7) return #struct.pack('ssss',s,s,s,s)",
    ] {
        let reply = text_of(&mut engine, script);
        assert!(reply.contains("not enough memory"), "{script}: {reply}");
        // Each time Lua gives back half of the buffer for `..`.
        (0..8).for_each(|_| engine.renew());
        assert!(engine.used_bytes() < 1 << 20, "{script}");
    }
}

#[test]
fn settings_belong_to_a_table_and_stay() {
    let mut engine = engine();
    for (script, reply) in [
        (
            "cjson.encode_number_precision(3) return cjson.encode(1/3)",
            "$5\r\n0.333\r\n",
        ),
        ("return cjson.encode(1/3)", "$5\r\n0.333\r\n"),
        (
            "return cjson.new().encode(1/3)",
            "$16\r\n0.33333333333333\r\n",
        ),
        (
            "local ok = pcall(cjson.encode_sparse_array,true,-1) return cjson.encode({[1]=1,[100]=2})",
            "$15\r\n{\"1\":1,\"100\":2}\r\n",
        ),
        (
            "cjson.encode_sparse_array(false) cjson.encode_number_precision(14) return cjson.encode(1/3)",
            "$16\r\n0.33333333333333\r\n",
        ),
    ] {
        assert_eq!(text_of(&mut engine, script), reply, "{script}");
    }
}
