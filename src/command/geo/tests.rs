#![allow(clippy::unwrap_used, reason = "tests")]
//! The handlers on a bare keyspace: replies, errors in their order, events, effects.

use crate::command::testing::Bench;
use crate::data::geo::Place;

#[track_caller]
fn check(bench: &mut Bench, table: &[(&str, &str)]) {
    for (line, expected) in table {
        assert_eq!(bench.line(line), *expected, "{line}");
    }
}

#[test]
fn errors_are_those_of_redis_and_the_first_of_several() {
    const NO_UNIT: &str = "-ERR unsupported unit provided. please use M, KM, FT, MI";
    let table = [
        ("GEOADD g 1 1 a", ":1"),
        ("SET s 1", "+OK"),
        ("GEOADD g NX XX 1 1 a", "-ERR syntax error"),
        ("GEOADD g 1 1 a 2", "-ERR syntax error"),
        ("GEOADD g NX CH XX", "-ERR syntax error"),
        ("GEOADD g CH CH CH", "-ERR syntax error"),
        ("GEOADD g x 1 a", "-ERR value is not a valid float"),
        (
            "GEOADD s 1 1 a",
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
        ("GEODIST g a a yd", NO_UNIT),
        ("GEODIST g a a m m", "-ERR syntax error"),
        (
            "GEORADIUS s x",
            "-ERR wrong number of arguments for 'georadius' command",
        ),
        (
            "GEORADIUS s x 1 1 m",
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
        ("GEORADIUS g 1 1 x m", "-ERR need numeric radius"),
        ("GEORADIUS g 1 1 -1 yd", "-ERR radius cannot be negative"),
        ("GEORADIUS g 1 1 1 yd STORE", NO_UNIT),
        ("GEORADIUS g 1 1 1 m STORE", "-ERR syntax error"),
        ("GEORADIUS_RO g 1 1 1 m STORE x", "-ERR syntax error"),
        ("GEORADIUSBYMEMBER none a x yd", "*0"),
        ("GEORADIUSBYMEMBER none a x yd STORE d", ":0"),
        (
            "GEORADIUSBYMEMBER g b x yd",
            "-ERR could not decode requested zset member",
        ),
        (
            "GEOSEARCH g FROMMEMBER a FROMLONLAT 1 1 BYRADIUS",
            "-ERR syntax error",
        ),
        (
            "GEOSEARCH g FROMMEMBER a BYBOX 1 -1 yd",
            "-ERR height or width cannot be negative",
        ),
        (
            "GEOSEARCH g FROMMEMBER a BYBOX x y m",
            "-ERR need numeric width",
        ),
        (
            "GEOSEARCH g FROMMEMBER a BYBOX 1 y m",
            "-ERR need numeric height",
        ),
        (
            "GEOSEARCH g FROMMEMBER a BYBOX 1 1 m BYRADIUS 1 m",
            "-ERR syntax error",
        ),
        (
            "GEOSEARCH g FROMMEMBER a BYRADIUS 1 m COUNT 0",
            "-ERR COUNT must be > 0",
        ),
        (
            "GEOSEARCH g FROMMEMBER a BYRADIUS 1 m ANY",
            "-ERR the ANY argument requires COUNT argument",
        ),
        (
            "GEOSEARCH g FROMMEMBER a ANY COUNT 1",
            "-ERR exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCH",
        ),
        (
            "GEOSEARCH g FROMMEMBER a BYRADIUS 1 m STOREDIST",
            "-ERR syntax error",
        ),
        (
            "GEOSEARCHSTORE d g FROMMEMBER a BYRADIUS 1 m WITHHASH",
            "-ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
        ),
    ];
    check(&mut Bench::new(), &table);
}

#[test]
fn events_and_effects_are_those_of_redis() {
    let mut bench = Bench::new();
    for (line, events, effects) in [
        (
            "GEOADD g CH 13.361389 38.115556 a 1 1 b",
            "new g, zadd g",
            "ZADD g CH 3479099956230698 a 3377822707026402 b",
        ),
        ("GEOADD g NX 2 2 a", "", ""),
        (
            "GEOSEARCHSTORE d g FROMMEMBER b BYRADIUS 1 m",
            "new d, geosearchstore d",
            "GEOSEARCHSTORE d g FROMMEMBER b BYRADIUS 1 m",
        ),
        (
            "GEORADIUS g 50 50 1 m STORE d",
            "del d",
            "GEORADIUS g 50 50 1 m STORE d",
        ),
        ("GEORADIUS g 50 50 1 m STORE d", "", ""),
    ] {
        bench.line(line);
        assert_eq!(bench.events().join(", "), events, "{line}");
        assert_eq!(bench.effects().join(", "), effects, "{line}");
    }
}

/// Searches beside a plain look at every member.
#[test]
fn a_search_finds_what_lies_within_and_nothing_else() {
    let mut bench = Bench::new();
    let mut part = 0.5;
    let mut coordinate = |from: f64, to: f64| {
        // Multiples of the golden ratio, modulo 1, fill an interval evenly.
        part = (part + 0.618_033_988_749_894_9_f64) % 1.0;
        from + part * (to - from)
    };
    let mut places = Vec::new();
    for number in 0..3000 {
        let (longitude, latitude) = (coordinate(5.0, 25.0), coordinate(30.0, 50.0));
        bench.line(&format!("GEOADD g {longitude} {latitude} {number}"));
        let score = Place::new(longitude, latitude).unwrap().score();
        places.push((number.to_string(), Place::of_score(score)));
    }
    for _ in 0..300 {
        let (longitude, latitude) = (coordinate(4.0, 26.0), coordinate(29.0, 51.0));
        let middle = Place::new(longitude, latitude).unwrap();
        let radius = coordinate(0.0, 400_000.0);
        let mut within: Vec<(f64, &str)> = places
            .iter()
            .map(|(name, place)| (middle.distance(*place), name.as_str()))
            .filter(|(distance, _)| *distance <= radius)
            .collect();
        within.sort_by(|one, other| one.0.total_cmp(&other.0));
        let count = 1 + within.len() / 2;
        let expected = |names: &[(f64, &str)]| {
            let names = names.iter();
            let names = names.map(|(_, name)| format!(" ${} {name}", name.len()));
            names.collect::<String>()
        };
        let search = format!("GEOSEARCH g FROMLONLAT {longitude} {latitude} BYRADIUS {radius} m");
        let all = format!("*{}{}", within.len(), expected(&within));
        assert_eq!(bench.line(&format!("{search} ASC")), all);
        let nearest = &within[..count.min(within.len())];
        let some = format!("*{}{}", nearest.len(), expected(nearest));
        assert_eq!(bench.line(&format!("{search} COUNT {count}")), some);
        let any = bench.line(&format!("{search} COUNT {count} ANY"));
        assert!(any.starts_with(&format!("*{}", nearest.len())));
    }
}
