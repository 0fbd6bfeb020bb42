//! What stock Lua does not survive, or takes too long for.

use std::thread;
use std::time::{Duration, Instant};

use super::*;

/// Runs `test` where the machine stack is too small for any recursion.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    thread::Builder::new()
        .stack_size(64 * 1024)
        .spawn(test)
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn patterns_that_kill_stock_lua_do_not_overflow() {
    on_a_small_stack(|| {
        let mut ours = Ours::new(usize::MAX);
        let subject = vec![b'a'; 400_000];
        let begin = Instant::now();
        let too_complex = Err(TOO_COMPLEX.to_owned());
        let find = |ours: &mut Ours, item: &str, count: usize, end: &str| {
            let pattern = item.repeat(count) + end;
            ours.find(&subject, pattern.as_bytes(), 1, false)
        };
        let numbers = |end: usize| Ok(vec![Value::Number(1), Value::Number(end)]);
        assert_eq!(find(&mut ours, ".-", 300_000, ""), too_complex);
        assert_eq!(find(&mut ours, "a?", 300_000, ""), too_complex);
        assert_eq!(find(&mut ours, "a?", 300_000, "%"), too_complex);
        assert_eq!(find(&mut ours, ".-", 199_000, ""), numbers(0));
        assert_eq!(find(&mut ours, "a?", 199_000, ""), numbers(199_000));
        assert_eq!(find(&mut ours, "a*", 300_000, ""), numbers(400_000));
        assert_eq!(find(&mut ours, "[ab]", 300_000, ""), numbers(300_000));
        assert_eq!(
            find(&mut ours, "(", 300_000, ""),
            Err("too many captures".to_owned())
        );
        assert_eq!(find(&mut ours, "a", 300_000, "%"), {
            Err("malformed pattern (ends with '%')".to_owned())
        });
        assert!(
            begin.elapsed() < Duration::from_secs(20),
            "{:?}",
            begin.elapsed()
        );
        assert!(ours.matcher.frames.capacity() <= KEPT_ENTRIES);
        assert!(ours.matcher.scratch.program.ops.capacity() <= KEPT_ENTRIES);
    });
}

#[test]
fn a_catastrophic_match_is_stopped_by_its_tick() {
    on_a_small_stack(|| {
        let subject = vec![b'a'; 100_000];
        let mut ours = Ours::new(1_000);
        for pattern in [
            ".-.-.-.-b".to_owned(),
            "a*a*a*a*b".to_owned(),
            "[ab]*[ab]*[ab]*c".to_owned(),
            "(.-)%1(.-)%2b".to_owned(),
            ".-".repeat(3_000) + "b",
            "%ba".to_owned() + "b",
            "(a*)*%1b".to_owned(),
        ] {
            let begin = Instant::now();
            let outcome = ours.find(&subject, pattern.as_bytes(), 1, false);
            let short = &pattern[..pattern.len().min(20)];
            if outcome != Ok(vec![Value::Nil]) {
                assert_eq!(outcome, Err("stopped".to_owned()), "{short}");
            }
            assert!(
                begin.elapsed() < Duration::from_secs(5),
                "{short} {:?}",
                begin.elapsed()
            );
        }
    });
}

#[test]
fn many_short_matches_tick_too() {
    let subject = vec![b'a'; 200_000];
    let mut count = 0;
    let mut tick = || {
        count += 1;
        Ok::<_, Infallible>(())
    };
    let (mut matcher, mut walk) = (Matcher::new(), Gmatch::new());
    while walk
        .next(&mut matcher, &subject, b"a", &mut tick)
        .unwrap()
        .is_some()
    {}
    assert!(count >= 10, "{count}");
}

#[test]
fn a_replacement_stops_at_its_limit() {
    let subject = vec![b'a'; 1000];
    let mut matcher = Matcher::new();
    let mut never = || Ok::<_, Infallible>(());
    let found = matcher
        .find(&subject, b"a*", 0, Caret::Anchor, &mut never)
        .unwrap()
        .unwrap();
    let mut out = Vec::new();
    let new = b"%0".repeat(1000);
    assert_eq!(
        expand(&new, &subject, found, &mut out, 5000),
        Err(ExpandError::TooLarge)
    );
    assert_eq!(out.len(), 5000);
}
