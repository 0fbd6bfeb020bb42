//! One run for each seed, on two threads.

use super::*;

/// Runs the seeds below a number: `MILLRACE_SEEDS`, or `count` where that is not set. `MILLRACE_SEED` runs that one alone, and
/// gives 0. Else gives how many there were.
///
/// # Panics
/// When one has failed; the text says how to run it again.
pub(crate) fn run_all(count: u64, run: impl Fn(u64) + Sync + std::panic::RefUnwindSafe) -> u64 {
    if let Ok(seed) = std::env::var("MILLRACE_SEED") {
        run(seed.parse().unwrap());
        return 0;
    }
    let seeds = std::env::var("MILLRACE_SEEDS").map_or(count, |seeds| seeds.parse().unwrap());
    let failed = Mutex::new(None);
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while failed.lock().unwrap().is_none() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    if std::panic::catch_unwind(|| run(seed)).is_err() {
                        *failed.lock().unwrap() = Some(seed);
                    }
                }
            });
        }
    });
    if let Some(seed) = *failed.lock().unwrap() {
        panic!("seed {seed} failed; replay it with MILLRACE_SEED={seed}");
    }
    seeds
}
