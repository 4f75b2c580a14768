//! What a process and the machine have used, from `/proc`.

use std::path::PathBuf;
use std::time::Duration;

/// Linux reports processor time to programs in hundredths of a second on every architecture
/// that Envoy is built for (`USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;

#[derive(Debug, thiserror::Error)]
#[error("what process {pid} has used cannot be read from `/proc`: it has ended")]
pub(crate) struct ProcessGone {
    pid: u32,
}

/// Processor time of all threads so far, in user and in kernel mode.
pub(crate) fn processor_time(pid: u32) -> Result<Duration, ProcessGone> {
    scheduler_time(pid)
        .or_else(|| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            ticks(&stat).map(|ticks| Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
        })
        .ok_or(ProcessGone { pid })
}

/// The same to the nanosecond, where the kernel accounts for it: hundredths of a second are
/// coarse for a round of one or two.
fn scheduler_time(pid: u32) -> Option<Duration> {
    let mut nanos = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let path: PathBuf = thread.ok()?.path().join("schedstat");
        let text = std::fs::read_to_string(path).ok()?;
        nanos += text.split(' ').next()?.parse::<u64>().ok()?;
    }
    (nanos > 0).then(|| Duration::from_nanos(nanos))
}

/// Fields 14 and 15 of `/proc/PID/stat` (proc(5)): `utime` and `stime`, of all threads.
fn ticks(stat: &str) -> Option<u64> {
    // The name in field 2 may hold spaces and parentheses.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Memory of the process that is in RAM, MiB (`VmRSS`, proc(5)).
pub(crate) fn resident_mib(pid: u32) -> Result<f64, ProcessGone> {
    std::fs::read_to_string(format!("/proc/{pid}/status"))
        .ok()
        .and_then(|status| resident_kib(&status))
        .map(|kib| f64::from(kib) / 1024.0)
        .ok_or(ProcessGone { pid })
}

fn resident_kib(status: &str) -> Option<u32> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// The machine, in a few words.
pub(crate) fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu_info = read("/proc/cpuinfo");
    let model = cpu_info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| {
            rest.trim_start_matches(['\t', ' ', ':'])
        });
    let cores = cpu_info
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    format!(
        "{model}, {cores} cores, Linux {}, load average {load} at the start",
        kernel.trim()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_a_name_with_parentheses() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194304 7 0 0 0 150 50 0 0 20 0 3 0 9 1 1";
        assert_eq!(ticks(stat), Some(200));
    }

    #[test]
    fn this_process_has_used_some_time_and_one_that_is_gone_has_none() {
        let busy: u64 = (0..5_000_000u64).fold(0, |sum, n| sum ^ n.wrapping_mul(31));
        assert!(busy < u64::MAX);
        assert!(processor_time(std::process::id()).unwrap() > Duration::ZERO);
        assert!(processor_time(u32::MAX).is_err());
        assert!(resident_mib(std::process::id()).unwrap() > 0.5);
        assert!(resident_mib(u32::MAX).is_err());
    }
}
