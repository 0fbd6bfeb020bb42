//! What the system knows of this process: memory, processor time, names. Read from `/proc`; zero where there is none.

use std::fs;

/// Clock ticks a second in `/proc`: fixed by the kernel's interface.
const TICKS_PER_SECOND: f64 = 100.0;

/// Memory, bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) resident: u64,
    /// Most that was resident.
    pub(crate) resident_peak: u64,
    /// Of the machine.
    pub(crate) system: u64,
}

/// Processor time, seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ProcessorTime {
    /// In the kernel.
    pub(crate) system: f64,
    /// Outside.
    pub(crate) user: f64,
}

fn field_kb(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number = line.trim_start_matches(':').split_whitespace().next()?;
    number.parse::<u64>().ok().map(|kb| kb * 1024)
}

/// Memory of the process.
pub(crate) fn memory() -> Memory {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let machine = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let of = |name| field_kb(&status, name).unwrap_or(0);
    Memory {
        resident: of("VmRSS"),
        resident_peak: of("VmHWM"),
        system: field_kb(&machine, "MemTotal").unwrap_or(0),
    }
}

/// Memory that the process may use, bytes: of the machine, or what its group of processes has.
pub(crate) fn memory_available() -> u64 {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let group = std::path::Path::new(group.unwrap_or("/").trim_start_matches('/'));
    let limits = group.ancestors().map(|group| {
        std::path::Path::new("/sys/fs/cgroup")
            .join(group)
            .join("memory.max")
    });
    let older = std::path::PathBuf::from("/sys/fs/cgroup/memory/memory.limit_in_bytes");
    let limits = limits.chain([older]).filter_map(|path| {
        let text = fs::read_to_string(path).ok()?;
        text.trim().parse::<u64>().ok()
    });
    limits.fold(memory().system, u64::min)
}

/// Times in a `stat` file of the kernel: of itself, of its children.
fn times(path: &str) -> [ProcessorTime; 2] {
    let text = fs::read_to_string(path).unwrap_or_default();
    // The name in parentheses may hold blanks: fields are counted behind it.
    let rest = text.rsplit(')').next().unwrap_or_default();
    let fields: Vec<f64> = rest
        .split_whitespace()
        .skip(11)
        .take(4)
        .map(|field| field.parse().unwrap_or(0.0) / TICKS_PER_SECOND)
        .collect();
    let at = |index: usize| fields.get(index).copied().unwrap_or(0.0);
    [
        ProcessorTime {
            user: at(0),
            system: at(1),
        },
        ProcessorTime {
            user: at(2),
            system: at(3),
        },
    ]
}

/// Processor time of the process and of its ended children.
pub(crate) fn processor_time() -> [ProcessorTime; 2] {
    times("/proc/self/stat")
}

/// Processor time of the main thread.
pub(crate) fn main_thread_time() -> ProcessorTime {
    times(&format!("/proc/self/task/{}/stat", std::process::id()))[0]
}

/// Time of a thread, seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ThreadTime {
    /// On a processor.
    pub(crate) running: f64,
    /// Ready to run, without one.
    pub(crate) waiting: f64,
}

/// Times of the threads of the shards, by number. The kernel counts them anyway; the shards themselves measure nothing.
pub(crate) fn shard_times(shard_count: usize) -> Vec<ThreadTime> {
    let mut times = vec![ThreadTime::default(); shard_count];
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten();
    for task in tasks.flatten() {
        let read = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let comm = read("comm");
        let number = comm.trim().strip_prefix("shard-");
        let number: Option<usize> = number.and_then(|number| number.parse().ok());
        let Some(time) = number.and_then(|number| times.get_mut(number)) else {
            continue;
        };
        // ns on a processor, ns waiting for one, turns.
        let schedstat = read("schedstat");
        let mut nanoseconds = schedstat
            .split_whitespace()
            .map(|field| field.parse::<f64>().unwrap_or(0.0) / 1e9);
        time.running = nanoseconds.next().unwrap_or(0.0);
        time.waiting = nanoseconds.next().unwrap_or(0.0);
    }
    times
}

/// `Linux 6.1.0 x86_64`.
pub(crate) fn operating_system() -> String {
    let read = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
        text.trim().to_owned()
    };
    format!(
        "{} {} {}",
        read("ostype"),
        read("osrelease"),
        std::env::consts::ARCH
    )
}

/// Path of the program.
pub(crate) fn executable() -> String {
    std::env::current_exe()
        .map(|path| path.display().to_string())
        .unwrap_or_default()
}
