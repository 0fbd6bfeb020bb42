//! What would hold up the others. Long replies in slices: the same bytes as in one go, wherever they are cut, and what was
//! there when the command ran. What goes in bulk: it is freed elsewhere.
#![allow(clippy::unwrap_used, reason = "tests")]

use crate::command::testing::Bench;
use crate::limits::{REPLY_SLICE_BYTES, SHARED_BULK_BYTES_MIN};

fn words(line: &str) -> Vec<Vec<u8>> {
    line.split(' ')
        .map(|word| word.as_bytes().to_vec())
        .collect()
}

/// The command gives the same in slices as at once; how many slices it took after the first.
fn same_in_slices(bench: &mut Bench, line: &str) -> usize {
    let whole = bench.run(&words(line));
    let sliced = bench.run_sliced(&words(line));
    let (bytes, slices, longest) = sliced.finish();
    assert!(
        bytes == whole,
        "{line}: {} and {} bytes",
        bytes.len(),
        whole.len()
    );
    let longest_max = 2 * REPLY_SLICE_BYTES + SHARED_BULK_BYTES_MIN;
    assert!(longest < longest_max.max(300_000), "{line}: {longest}");
    slices
}

fn push(bench: &mut Bench, key: &str, element: Vec<u8>) {
    bench.run(&[b"RPUSH".to_vec(), key.as_bytes().to_vec(), element]);
}

#[test]
fn a_range_of_a_list_is_the_same_wherever_it_is_cut() {
    // Elements of all kinds: packed integers and texts, one that is alone but copied, ones that are sent from where they lie.
    let mut bench = Bench::new();
    for number in 0..9000 {
        let element = match number % 1000 {
            7 => vec![b'm'; 9000],
            400 => vec![b'l'; SHARED_BULK_BYTES_MIN],
            401 => vec![b'L'; 200_000],
            at if at % 3 == 0 => number.to_string().into_bytes(),
            at => vec![b'a' + (at % 26) as u8; at % 70],
        };
        push(&mut bench, "l", element);
    }
    assert!(same_in_slices(&mut bench, "LRANGE l 0 -1") > 5);
    for start in (0..9000).step_by(97) {
        same_in_slices(&mut bench, &format!("LRANGE l {start} {}", start + 1500));
    }
    for line in [
        "LRANGE l 400 400",
        "LRANGE l 401 401",
        "LRANGE l -1 -1",
        "LRANGE l 5 2",
        "LRANGE none 0 -1",
    ] {
        assert_eq!(same_in_slices(&mut bench, line), 0, "{line}");
    }
    bench.resp3();
    assert!(same_in_slices(&mut bench, "LRANGE l 0 -1") > 5);
}

#[test]
fn a_range_that_ends_where_a_slice_ends_is_whole() {
    // Elements of ten bytes take sixteen: the border of a slice is passed one element at a time.
    let mut bench = Bench::new();
    let per_slice = REPLY_SLICE_BYTES / 16;
    for _ in 0..4 * per_slice {
        push(&mut bench, "l", b"abcdefghij".to_vec());
    }
    for count in [per_slice, 2 * per_slice, 3 * per_slice] {
        for last in count - 4..count + 4 {
            same_in_slices(&mut bench, &format!("LRANGE l 0 {last}"));
            same_in_slices(&mut bench, &format!("LRANGE l 3 {}", last + 3));
        }
    }
}

#[test]
fn a_range_of_a_sorted_set_is_the_same_wherever_it_is_cut() {
    let mut bench = Bench::new();
    for number in 0..9000 {
        let member = match number % 1000 {
            7 => "m".repeat(9000),
            400 => "l".repeat(100_000),
            at => format!("{number}{}", "x".repeat(at % 50)),
        };
        bench.run(&words(&format!("ZADD z {} {member}", number / 3)));
    }
    for resp3 in [false, true] {
        if resp3 {
            bench.resp3();
        }
        for line in [
            "ZRANGE z 0 -1",
            "ZRANGE z 0 -1 WITHSCORES",
            "ZREVRANGE z 0 -1 WITHSCORES",
            "ZUNION 1 z WITHSCORES",
            "ZRANDMEMBER z 9000 WITHSCORES",
        ] {
            assert!(same_in_slices(&mut bench, line) > 3, "{line}");
        }
        for start in (0..9000).step_by(131) {
            let stop = start + 3500;
            same_in_slices(&mut bench, &format!("ZRANGE z {start} {stop}"));
            same_in_slices(
                &mut bench,
                &format!("ZREVRANGE z {start} {stop} WITHSCORES"),
            );
        }
    }
    // What comes later is what was there.
    bench.run(&words("ZADD small 1 a"));
    let whole = bench.run(&words("ZRANGE z 0 -1 WITHSCORES"));
    let sliced = bench.run_sliced(&words("ZRANGE z 0 -1 WITHSCORES"));
    bench.run(&words("ZREMRANGEBYRANK z 1000 8000"));
    bench.run(&words("ZINCRBY z 5000 8999"));
    assert!(sliced.finish().0 == whole);
    let popped = bench.run(&words("ZRANGE z 0 900 WITHSCORES"));
    let sliced = bench.run_sliced(&words("ZPOPMIN z 901"));
    assert!(sliced.finish().0 == popped);
}

/// A stream of 2000 entries `<n>-1`, some deleted, of various fields.
fn stream(bench: &mut Bench, key: &str) {
    for number in 1..=2000 {
        let value = "v".repeat(number % 90);
        let fields = match number % 5 {
            0 => format!("other {value}x"),
            1 => format!("field {number} second {value}x"),
            _ => format!("field {value}x"),
        };
        bench.run(&words(&format!("XADD {key} {number}-1 {fields}")));
    }
    for number in (1..=2000).filter(|number| number % 7 == 0 || (700..900).contains(number)) {
        bench.run(&words(&format!("XDEL {key} {number}-1")));
    }
}

#[test]
fn a_range_of_a_stream_is_the_same_wherever_it_is_cut() {
    let mut bench = Bench::new();
    stream(&mut bench, "s");
    stream(&mut bench, "t");
    for resp3 in [false, true] {
        if resp3 {
            bench.resp3();
        }
        for line in [
            "XRANGE s - +",
            "XREVRANGE s + -",
            "XREAD STREAMS s 0",
            "XREAD STREAMS s none t 0 0 3",
        ] {
            assert!(same_in_slices(&mut bench, line) > 1, "{line}");
        }
        for count in (400..1600).step_by(13) {
            same_in_slices(&mut bench, &format!("XRANGE s - + COUNT {count}"));
            same_in_slices(&mut bench, &format!("XREVRANGE s + - COUNT {count}"));
            same_in_slices(&mut bench, &format!("XRANGE s {count} {}", count + 600));
            same_in_slices(&mut bench, &format!("XREVRANGE s {} ({count}", count + 600));
            same_in_slices(
                &mut bench,
                &format!("XREAD COUNT {count} STREAMS s t {count} 0"),
            );
            same_in_slices(
                &mut bench,
                &format!("XREAD MAXCOUNT {count} STREAMS s t 5 {count}"),
            );
            same_in_slices(
                &mut bench,
                &format!("XREAD MAXSIZE {}00 STREAMS s t 5 {count}", count),
            );
        }
    }
}

/// A large hash of 3000 fields, or a small one as long as that.
fn hash(bench: &mut Bench, key: &str, is_small: bool) {
    if is_small {
        let settings = (*bench.settings).clone();
        bench.settings = std::sync::Arc::new(crate::config::Settings {
            hash_limits: crate::data::listpack::PackLimits {
                entry_count_max: 10_000,
                text_bytes_max: 100_000,
            },
            ..settings
        });
    }
    for number in 0..3000 {
        let value = match number % 500 {
            7 => "m".repeat(9000),
            8 => "l".repeat(SHARED_BULK_BYTES_MIN + 1),
            _ => "v".repeat(number % 90),
        };
        bench.run(&words(&format!("HSET {key} field-{number} {value}x")));
    }
}

#[test]
fn all_of_a_hash_is_the_same_wherever_it_is_cut() {
    for is_small in [false, true] {
        let mut bench = Bench::new();
        hash(&mut bench, "h", is_small);
        for resp3 in [false, true] {
            if resp3 {
                bench.resp3();
            }
            for line in ["HGETALL h", "HVALS h", "HKEYS h"] {
                assert!(same_in_slices(&mut bench, line) > 0, "{line}");
            }
            for line in ["HRANDFIELD h 3000", "HRANDFIELD h 5000 WITHVALUES"] {
                assert!(same_in_slices(&mut bench, line) > 0, "{line}");
            }
            for line in [
                "HRANDFIELD h 2500",
                "HRANDFIELD h -9000",
                "HRANDFIELD h -2000 WITHVALUES",
            ] {
                let (bytes, slices, _) = bench.run_sliced(&words(line)).finish();
                assert!(slices > 0 && bytes.len() > REPLY_SLICE_BYTES, "{line}");
            }
        }
    }
}

#[test]
fn the_rest_shows_what_was_there_when_the_command_ran() {
    let mut bench = Bench::new();
    for number in 0..5000 {
        push(&mut bench, "l", format!("element-{number}").into_bytes());
    }
    stream(&mut bench, "s");
    hash(&mut bench, "h", false);
    for (read, changes) in [
        (
            "HGETALL h",
            [
                "HSET h field-2000 x",
                "HSET h field-2000 longer",
                "HDEL h field-1000 field-2000",
                "HSET h new x",
                "HINCRBY h number 1",
                "DEL h",
            ],
        ),
        (
            "LRANGE l 0 -1",
            [
                "LSET l 4000 x",
                "LPUSH l y",
                "RPUSH l z",
                "LTRIM l 10 4990",
                "LREM l 0 element-3000",
                "DEL l",
            ],
        ),
        (
            "XRANGE s - +",
            [
                "XDEL s 1500-1",
                "XADD s 9999-1 f v",
                "XTRIM s MAXLEN 1000",
                "XDEL s 1990-1",
                "XTRIM s MAXLEN 0",
                "DEL s",
            ],
        ),
        (
            "XREVRANGE s + -",
            [
                "SET s x",
                "GET s",
                "DEL s",
                "XADD s 1-1 f v",
                "XDEL s 1-1",
                "DEL s",
            ],
        ),
    ] {
        if read.starts_with("XREV") {
            stream(&mut bench, "s");
        }
        for change in changes {
            let whole = bench.run(&words(read));
            let sliced = bench.run_sliced(&words(read));
            bench.run(&words(change));
            let after = bench.run(&words(read));
            assert!(sliced.finish().0 == whole, "{read} before {change}");
            assert!(
                after != whole || change.starts_with("GET") || whole.len() < 100,
                "{change} changes nothing"
            );
        }
    }
}

#[test]
fn what_goes_in_bulk_is_freed_elsewhere() {
    let mut bench = Bench::new();
    let add = |bench: &mut Bench| {
        bench.run(&words("DEL l s"));
        for number in 1..=1000 {
            push(bench, "l", vec![b'x'; 2000]);
            bench.run(&words(&format!(
                "XADD s {number}-1 field {}",
                "v".repeat(2000)
            )));
        }
        bench.run(&words("XGROUP CREATE s empty $"));
        bench.run(&words("XGROUP CREATE s group 0"));
        bench.run(&words(
            "XREADGROUP GROUP group consumer COUNT 500 STREAMS s >",
        ));
        bench.run(&words("DEL h"));
        for first in (0..60_000).step_by(1000) {
            let fields = (first..first + 1000).map(|number| format!("field-{number} value"));
            let fields: Vec<String> = fields.collect();
            bench.run(&words(&format!("HSET h {}", fields.join(" "))));
        }
        bench.keyspaces[0].take_discards();
    };
    for (line, count) in [
        ("DEL h", 1),
        ("SET h x", 1),
        ("LTRIM l 990 -1", 1),
        ("LTRIM l 0 -10", 1),
        ("DEL l", 1),
        ("SET l x", 1),
        ("XTRIM s MAXLEN 10", 1),
        ("XTRIM s MINID 900-1", 1),
        ("XTRIM s MAXLEN 990", 0),
        ("XADD s MAXLEN 1 * f v", 1),
        ("XGROUP DESTROY s group", 1),
        ("XGROUP DESTROY s empty", 0),
        ("DEL s", 1),
        ("FLUSHALL", 1),
    ] {
        add(&mut bench);
        bench.run(&words(line));
        let discards = bench.keyspaces[0].take_discards();
        assert_eq!(discards.len(), count, "{line}");
    }
    // What references still kept of entries that are gone is big too, whichever group has them.
    add(&mut bench);
    bench.run(&words("XTRIM s MAXLEN 0"));
    bench.keyspaces[0].take_discards();
    bench.run(&words("DEL s"));
    assert_eq!(bench.keyspaces[0].take_discards().len(), 1);
}
