//! The names of fields, in their order: a strict client refuses a map for one that it does not know.

use crate::support::{Client, Frame, Server};
use crate::{beside_the_oracle, is_of_70};

/// What 7.2 has and 7.0 has not: the map, and the field.
const SINCE_72: &[(&str, &str)] = &[
    ("XINFO CONSUMERS", "inactive"),
    ("XINFO STREAM FULL consumer", "active-time"),
    ("CLIENT LIST", "lib-name"),
    ("CLIENT LIST", "lib-ver"),
    ("CLIENT INFO", "lib-name"),
    ("CLIENT INFO", "lib-ver"),
];

type Fields = Vec<(&'static str, Vec<String>)>;

fn names(map: &Frame) -> Vec<String> {
    let names = map.items().iter().step_by(2);
    names.map(Frame::text).collect()
}

/// The names in a line of CLIENT LIST; RESP3 marks it as text.
fn names_of_line(text: &str) -> Vec<String> {
    let text = text.trim_start_matches("txt:");
    let line = text.lines().next().unwrap();
    let fields = line.split(' ');
    fields
        .map(|field| field.split('=').next().unwrap().to_owned())
        .collect()
}

/// Makes a stream with all that XINFO tells of.
fn prepare(client: &mut Client) {
    for line in [
        "FLUSHALL",
        "XADD s 1-1 f v",
        "XADD s 2-1 f v",
        "XGROUP CREATE s g 0",
        "XREADGROUP GROUP g c COUNT 1 STREAMS s >",
        "CONFIG SET slowlog-log-slower-than 0",
        "GET k",
    ] {
        let reply = client.run(line);
        assert!(!reply.is_error(), "{line}: {reply}");
    }
}

fn fields_of(server: &Server, protocol: &str) -> Fields {
    let mut client = server.connect();
    let hello = client.run(&format!("HELLO {protocol}"));
    prepare(&mut client);
    let full = client.run("XINFO STREAM s FULL");
    let group = full.field("groups").unwrap().items()[0].clone();
    let consumer = group.field("consumers").unwrap().items()[0].clone();
    let memory = client.run("MEMORY STATS");
    let key_spec = client.run("COMMAND INFO xreadgroup").items()[0].items()[8].items()[0].clone();
    let docs = client.run("COMMAND DOCS get");
    let shape_of_info = client.run("COMMAND INFO xinfo").items()[0].items().len();
    let shape_of_slow = client.run("SLOWLOG GET 1").items()[0].items().len();
    vec![
        ("HELLO", names(&hello)),
        (
            "XINFO GROUPS",
            names(&client.run("XINFO GROUPS s").items()[0]),
        ),
        (
            "XINFO CONSUMERS",
            names(&client.run("XINFO CONSUMERS s g").items()[0]),
        ),
        ("XINFO STREAM", names(&client.run("XINFO STREAM s"))),
        ("XINFO STREAM FULL", names(&full)),
        ("XINFO STREAM FULL group", names(&group)),
        ("XINFO STREAM FULL consumer", names(&consumer)),
        (
            "CLIENT LIST",
            names_of_line(&client.run("CLIENT LIST").text()),
        ),
        (
            "CLIENT INFO",
            names_of_line(&client.run("CLIENT INFO").text()),
        ),
        (
            "CLIENT TRACKINGINFO",
            names(&client.run("CLIENT TRACKINGINFO")),
        ),
        ("MEMORY STATS", names(&memory)),
        ("MEMORY STATS db", names(memory.field("db.0").unwrap())),
        ("COMMAND INFO", vec![shape_of_info.to_string()]),
        ("COMMAND INFO key spec", names(&key_spec)),
        ("COMMAND DOCS", names(&docs.items()[1])),
        ("ACL GETUSER", names(&client.run("ACL GETUSER default"))),
        (
            "LATENCY HISTOGRAM",
            names(&client.run("LATENCY HISTOGRAM get").items()[1]),
        ),
        ("SLOWLOG GET", vec![shape_of_slow.to_string()]),
    ]
}

#[test]
fn maps_have_the_fields_of_the_oracle_and_no_others() {
    beside_the_oracle(|server, oracle| {
        for protocol in ["2", "3"] {
            let (ours, theirs) = (fields_of(server, protocol), fields_of(oracle, protocol));
            for ((map, mut ours), (_, theirs)) in ours.into_iter().zip(theirs) {
                if is_of_70(oracle) {
                    ours.retain(|name| !SINCE_72.contains(&(map, name.as_str())));
                }
                assert_eq!(ours, theirs, "fields of {map}, RESP{protocol}");
            }
        }
    });
}

#[test]
fn a_word_too_many_is_refused_as_the_oracle_refuses_it() {
    beside_the_oracle(|server, oracle| {
        let (mut ours, mut theirs) = (server.connect(), oracle.connect());
        for line in [
            "XINFO GROUPS s EXTENDEDLY",
            "XINFO GROUPS s x y",
            "XINFO GROUPS",
            "XINFO STREAM s FULL COUNT",
            "XINFO STREAM s MORE",
            "CLIENT INFO x",
            "CLIENT LIST x",
        ] {
            prepare(&mut ours);
            prepare(&mut theirs);
            let (ours, theirs) = (ours.run(line), theirs.run(line));
            assert_eq!(ours.to_string(), theirs.to_string(), "{line}");
        }
    });
}

#[test]
fn fields_of_newer_commands_come_with_their_use() {
    beside_the_oracle(|server, _| {
        let mut client = server.connect();
        prepare(&mut client);
        let has = |client: &mut Client, name: &str| {
            let full = client.run("XINFO STREAM s FULL");
            let short = client.run("XINFO STREAM s");
            let group = full.field("groups").unwrap().items()[0].clone();
            let at_top = full.field(name).is_some();
            assert_eq!(at_top, short.field(name).is_some(), "{name}");
            at_top || group.field(name).is_some()
        };
        for name in ["idmp-duration", "iids-duplicates", "nacked-count"] {
            assert!(!has(&mut client, name), "{name}");
        }
        client.run("XNACK s g FAIL IDS 1 1-1");
        assert!(has(&mut client, "nacked-count"));
        // The window that it has already: somebody chose it all the same.
        client.run("XCFGSET s IDMP-DURATION 100");
        assert!(has(&mut client, "idmp-duration"));
        client.run("DEL s");
        prepare(&mut client);
        assert!(!has(&mut client, "idmp-duration"));
        client.run("XADD s IDMP p m * f v");
        assert!(has(&mut client, "iids-duplicates"));
        assert!(!has(&mut client, "nacked-count"));
    });
}

#[test]
fn extended_adds_our_own_fields() {
    beside_the_oracle(|server, _| {
        let mut client = server.connect();
        prepare(&mut client);
        let own = ["lag-exact", "oldest-pending-ms", "oldest-undelivered-ms"];
        let groups = client.run("XINFO GROUPS s EXTENDED");
        assert_eq!(names(&groups.items()[0])[6..], own);
        for line in [
            "XINFO STREAM s FULL extended",
            "XINFO STREAM s FULL COUNT 1 EXTENDED",
        ] {
            let full = client.run(line);
            let group = &full.field("groups").unwrap().items()[0];
            for name in own.iter().chain(&["nacked-count"]) {
                assert!(group.field(name).is_some(), "{name} in {line}");
            }
            assert!(full.field("idmp-maxsize").is_some(), "{line}");
        }
        assert!(
            client
                .run("XINFO STREAM s EXTENDED")
                .field("idmp-maxsize")
                .is_some()
        );
        for line in ["CLIENT LIST EXTENDED", "CLIENT INFO EXTENDED"] {
            let fields = names_of_line(&client.run(line).text());
            let end = fields.len() - 5;
            let own = [
                "watch",
                "io-thread",
                "tot-net-in",
                "tot-net-out",
                "tot-cmds",
            ];
            assert_eq!(fields[end..], own, "{line}");
        }
        client.run("MULTI");
        assert_eq!(client.run("XINFO GROUPS s EXTENDED").to_string(), "+QUEUED");
        assert_eq!(client.run("EXEC").items().len(), 1);
    });
}
