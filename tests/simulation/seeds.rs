//! One run for each seed, on two threads.

use super::*;

/// Says what happens, where one seed runs alone (`MILLRACE_SEED`).
pub(crate) fn tell(what: impl FnOnce() -> String) {
    static IS_ALONE: std::sync::LazyLock<bool> =
        std::sync::LazyLock::new(|| std::env::var_os("MILLRACE_SEED").is_some());
    if *IS_ALONE {
        eprintln!("{}", what());
    }
}

/// Runs the seeds below a number: `MILLRACE_SEEDS`, or `count` where that is not set. `MILLRACE_SEED` runs that one alone, and
/// gives 0. Else gives how many there were.
///
/// # Panics
/// When one has failed; the text says how to run it again.
pub(crate) fn run_all(count: u64, run: impl Fn(u64) + Sync + std::panic::RefUnwindSafe) -> u64 {
    if let Ok(seed) = std::env::var("MILLRACE_SEED") {
        let lines = tracing_subscriber::fmt().without_time().with_test_writer();
        // Another test may have done it.
        let _ = lines.try_init();
        run(seed.parse().unwrap());
        return 0;
    }
    let seeds = std::env::var("MILLRACE_SEEDS").map_or(count, |seeds| seeds.parse().unwrap());
    let failed = Mutex::new(Vec::new());
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    if std::panic::catch_unwind(|| run(seed)).is_err() {
                        failed.lock().unwrap().push(seed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "failed: {failed:?}; MILLRACE_SEED=n runs one of them alone"
    );
    seeds
}
