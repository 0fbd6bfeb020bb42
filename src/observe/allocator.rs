//! The allocator of the process, jemalloc, and what it counts.
//!
//! Chosen by measuring (against glibc's and mimalloc, with 1 and 8 shards): it counts exactly, gives memory back within a
//! second or two, and costs no workload of the benchmark more. glibc's kept 414 of 414 MB after FLUSHALL.
//!
//! Under Miri and the fuzzer the system's allocator stays, which they check; the counts say nothing then.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use tikv_jemalloc_ctl::thread::{ThreadLocal, deallocatedp};
use tikv_jemalloc_ctl::{Access, AsName, arenas, background_thread, epoch, stats, stats_print};

// The library under its own unit tests has it from the library that it depends on then.
#[cfg(not(any(test, miri, fuzzing)))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What the allocator reads before the first piece is asked for: pieces of these sizes lie four pages at a time (the smallest two). By itself
/// it takes one page for them, of 4096 bytes and more for each piece, and never gives back the 128 bytes by which it knows of
/// each such slab: 3 MB behind 100 MB of queues. Of other sizes a slab has several pages anyway.
#[cfg(not(any(test, miri, fuzzing)))]
#[expect(
    unsafe_code,
    reason = "a name that the allocator's library looks for; it is defined once, and only read"
)]
#[unsafe(export_name = "_rjem_malloc_conf")]
static OPTIONS: &[u8; 113] = b"slab_sizes:16-16:2|32-32:4|64-64:4|128-128:4|256-256:4|512-512:4|1024-1024:4|2048-2048:4|4096-4096:4|8192-8192:4\0";

/// What the allocator had given out when the server was ready, bytes.
static AT_START: AtomicU64 = AtomicU64::new(0);
/// The most that it was seen to have given out, bytes.
static PEAK: AtomicU64 = AtomicU64::new(0);

/// Pieces of all arenas that threads keep for their next use, bytes. The allocator counts them as given out.
const KEPT_BY_THREADS: &str = "stats.arenas.4096.tcache_bytes\0";

/// Memory as the allocator counts it, bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allocated {
    /// Given out and not taken back, each piece with what its size class rounds up; not what threads keep for their next piece.
    pub(crate) used: u64,
    /// Most of `used` in the samples so far.
    pub(crate) peak: u64,
    /// `used` when the server was ready.
    pub(crate) at_start: u64,
    /// Pages that hold something of `used`.
    pub(crate) active: u64,
    /// Pages that the system has backed: `active`, free ones, and the allocator's own.
    pub(crate) resident: u64,
}

/// Counts now. Walks over the arenas: microseconds, not for each command.
pub(crate) fn allocated() -> Allocated {
    // The counts are those of the last step of the epoch.
    let stepped = epoch::advance();
    let of = |read: tikv_jemalloc_ctl::Result<usize>| read.map_or(0, |bytes| bytes as u64);
    debug_assert!(stepped.is_ok(), "jemalloc is built with its counts");
    let kept = of(KEPT_BY_THREADS.as_bytes().name().read());
    let used = of(stats::allocated::read()).saturating_sub(kept).max(1);
    let peak = PEAK.fetch_max(used, Ordering::Relaxed).max(used);
    Allocated {
        used,
        peak,
        at_start: AT_START.load(Ordering::Relaxed),
        active: of(stats::active::read()).max(used),
        resident: of(stats::resident::read()).max(used),
    }
}

/// Notes what a server without data takes.
pub(crate) fn note_start() {
    AT_START.store(allocated().used, Ordering::Relaxed);
}

/// How long unused pages are kept in case they are needed again, ms. jemalloc's own 10 s kept what a flood had taken, and half a
/// gigabyte of a deleted value, for as long; no workload of the benchmark misses the difference.
const UNUSED_MS: isize = 1000;

/// Makes the allocator's settings ours. Before other threads start: each takes the settings over when it first allocates.
pub(crate) fn begin() {
    for name in ["arenas.dirty_decay_ms\0", "arena.0.dirty_decay_ms\0"] {
        // An allocator without this setting keeps its own.
        let _ = name.as_bytes().name().write(UNUSED_MS);
    }
}

/// Whether a thread of the allocator's own gives unused pages back (`jemalloc-bg-thread`). Without it the threads that
/// allocate do so on their way, and idle ones not at all.
pub(crate) fn give_back_in_background(wanted: bool) {
    // Where the allocator has no such thread it goes on without.
    let _ = background_thread::write(wanted);
}

/// Gives all unused pages back now (MEMORY PURGE).
pub(crate) fn give_back_now() {
    let arena_count = arenas::narenas::read().unwrap_or(0);
    for arena in 0..arena_count {
        // A time of zero gives back at once. An arena that no thread has used has no such time.
        let name = format!("arena.{arena}.dirty_decay_ms\0");
        let key = name.as_bytes().name();
        let kept: tikv_jemalloc_ctl::Result<isize> = key.read();
        if let Ok(kept) = kept {
            let _ = key.write(0_isize).and_then(|()| key.write(kept));
        }
    }
}

/// Time between two looks at what a thread keeps, ms.
const LOOK_MS: u64 = 1000;
/// Who frees less between two looks has nothing much to do, bytes.
const QUIET_BYTES: u64 = 256 * 1024;
/// What a thread frees before its pieces are given back, bytes.
const GIVEN_BACK_BYTES_MIN: u64 = 1024 * 1024;

thread_local! {
    static OWN: OwnPieces = OwnPieces::new();
}

/// What a thread has freed. It keeps some of it for its next use: a hundred pieces of each size may lie on a hundred pages, of which
/// nothing else is used.
struct OwnPieces {
    freed: Option<ThreadLocal<u64>>,
    at_look: Cell<u64>,
    at_return: Cell<u64>,
    looked_ms: Cell<u64>,
}

impl OwnPieces {
    fn new() -> Self {
        let freed = deallocatedp::read().ok();
        let bytes = freed.map_or(0, ThreadLocal::get);
        Self {
            freed,
            at_look: Cell::new(bytes),
            at_return: Cell::new(bytes),
            looked_ms: Cell::new(0),
        }
    }

    fn give_back(&self, freed: u64) {
        self.at_return.set(freed);
        // Without such a store a thread has none; it gets a new one.
        let enabled = "thread.tcache.enabled\0".as_bytes().name();
        let _ = enabled.write(false).and_then(|()| enabled.write(true));
    }
}

/// The pieces that this thread keeps for its next use are given back if it has freed much and has nothing much to do any more. To
/// be called again and again. `now_ms`: any clock.
pub(crate) fn give_back_when_quiet(now_ms: u64) {
    OWN.with(|own| {
        if now_ms.saturating_sub(own.looked_ms.get()) < LOOK_MS {
            return;
        }
        own.looked_ms.set(now_ms);
        let freed = own.freed.map_or(0, ThreadLocal::get);
        let is_quiet = freed - own.at_look.replace(freed) < QUIET_BYTES;
        if is_quiet && freed - own.at_return.get() >= GIVEN_BACK_BYTES_MIN {
            own.give_back(freed);
        }
    });
}

/// As [`give_back_when_quiet`], of a thread that is about to sleep.
pub(crate) fn give_back_before_sleep() {
    OWN.with(|own| {
        let freed = own.freed.map_or(0, ThreadLocal::get);
        if freed - own.at_return.get() >= GIVEN_BACK_BYTES_MIN {
            own.give_back(freed);
        }
    });
}

/// The allocator's own report.
pub(crate) fn report() -> Vec<u8> {
    let mut text = Vec::new();
    // Writing into a vector does not fail.
    let _ = stats_print::stats_print(&mut text, stats_print::Options::default());
    text
}

/// Name and version, as `mem_allocator` shows them.
pub(crate) fn name() -> String {
    let version = tikv_jemalloc_ctl::version::read().unwrap_or("unknown");
    let release = version.split('-').next().unwrap_or(version);
    format!("jemalloc-{release}")
}
