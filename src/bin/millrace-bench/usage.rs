//! What a process has used: CPU time to the nanosecond, memory.

use std::fs;

use rustix::time::{ClockId, clock_gettime};

/// CPU time of each thread of a process, ns. The scheduler's own account: ticks of 10 ms would be too coarse for rounds of 0.2 s.
#[derive(Debug, Clone, Default)]
pub(crate) struct CpuTime {
    threads: Vec<(u32, u64)>,
}

impl CpuTime {
    /// What the process has used so far; empty when it is gone.
    pub(crate) fn of(process: u32) -> Self {
        let mut threads = Vec::new();
        let tasks = fs::read_dir(format!("/proc/{process}/task"));
        for entry in tasks.into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(thread) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let account = fs::read_to_string(entry.path().join("schedstat")).unwrap_or_default();
            let used = account.split(' ').next().and_then(|used| used.parse().ok());
            if let Some(used) = used {
                threads.push((thread, used));
            }
        }
        if threads.iter().all(|(_, used)| *used == 0) {
            // A kernel without that account: ticks of the whole process, then.
            threads = vec![(process, ticks_ns(process))];
        }
        Self { threads }
    }

    /// ns used since `before`. A thread that has ended in between is lost, one that began counts whole.
    pub(crate) fn since(&self, before: &Self) -> u64 {
        let earlier = |thread: u32| {
            let found = before.threads.iter().find(|(known, _)| *known == thread);
            found.map_or(0, |(_, used)| *used)
        };
        self.threads
            .iter()
            .map(|(thread, used)| used.saturating_sub(earlier(*thread)))
            .sum()
    }
}

/// User and system time by /proc/PID/stat. The name in its second field may hold blanks: counted from behind its parenthesis.
fn ticks_ns(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields: Vec<&str> = text
        .rsplit_once(')')
        .map_or_else(Vec::new, |(_, rest)| rest.split_whitespace().collect());
    let field = |index: usize| -> u64 {
        fields
            .get(index)
            .and_then(|field| field.parse().ok())
            .unwrap_or(0)
    };
    (field(11) + field(12)) * (1_000_000_000 / rustix::param::clock_ticks_per_second().max(1))
}

/// Resident memory of a process, bytes; 0 when it is gone.
pub(crate) fn resident_bytes(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|kilobytes| kilobytes.trim().parse::<u64>().ok())
        .map_or(0, |kilobytes| kilobytes * 1024)
}

/// CPU time of the calling thread, ns.
pub(crate) fn own_thread_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000
        + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Model of the processor, cores that this process may use, kernel, memory: one line.
pub(crate) fn machine() -> String {
    let line_of = |file: &str, start: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines()
            .find(|line| line.starts_with(start))
            .and_then(|line| line.split_once(':'))
            .map_or_else(|| "unknown".to_owned(), |(_, rest)| rest.trim().to_owned())
    };
    let cores = cores();
    let kernel = rustix::system::uname();
    let memory = line_of("/proc/meminfo", "MemTotal");
    let gibibytes = memory
        .trim_end_matches(" kB")
        .parse::<f64>()
        .map_or(0.0, |kilobytes| kilobytes / 1024.0 / 1024.0);
    format!(
        "{}, {cores} cores, {} {}, {gibibytes:.1} GiB",
        line_of("/proc/cpuinfo", "model name"),
        kernel.sysname().to_string_lossy(),
        kernel.release().to_string_lossy(),
    )
}

/// Cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen_in_the_account_of_the_process() {
        let process = std::process::id();
        let (before, own) = (CpuTime::of(process), own_thread_ns());
        let mut sum = 0_u64;
        while own_thread_ns() - own < 60_000_000 {
            sum = sum.wrapping_add(own_thread_ns());
        }
        let used = CpuTime::of(process).since(&before);
        assert!(used >= 40_000_000, "{used} ns, {sum}");
        assert!(resident_bytes(process) > 100_000);
        assert!(ticks_ns(process) > 0);
    }
}
