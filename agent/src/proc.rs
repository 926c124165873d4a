//! What the kernel says of a process in `/proc`, for whoever counts, measures or cleans up.
//!
//! A process is named by its id, or by `self`. Nothing is known (`None`) of one that has gone, and of one of
//! another user only what that user shows.

use std::fs;
use std::time::Duration;

/// Resident memory.
pub(crate) fn rss_bytes(process: &str) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// Resident memory, of which what is shared counts in part. A process that is not dumpable shows it to root alone.
pub(crate) fn pss_bytes(process: &str) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib << 10)
}

/// Processor time so far, in the kernel too; the kernel counts it in steps of ten milliseconds.
pub(crate) fn cpu_time(process: &str) -> Option<Duration> {
    let ticks = cpu_ticks(&stat(process)?)?;
    let per_second = rustix::param::clock_ticks_per_second();
    Some(Duration::from_secs_f64(ticks as f64 / per_second as f64))
}

/// The processes that it has started, and what those started in turn, as long as they have not ended; the nearest
/// first, and no more than `max`. None where the kernel was built without `CONFIG_PROC_CHILDREN`.
pub(crate) fn descendants(process: &str, max: usize) -> Vec<u32> {
    let mut found = children(process);
    let mut at = 0;
    while let Some(next) = found.get(at).filter(|_| found.len() < max) {
        found.extend(children(&next.to_string()));
        at += 1;
    }
    found.truncate(max);
    found
}

/// The kernel keeps them by the thread that started them.
fn children(process: &str) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{process}/task"));
    let mut found = Vec::new();
    for thread in threads.into_iter().flatten().flatten() {
        // A thread that has just ended has left its children to another one.
        if let Ok(list) = fs::read_to_string(thread.path().join("children")) {
            found.extend(list.split_whitespace().filter_map(pid));
        }
    }
    found
}

fn pid(text: &str) -> Option<u32> {
    text.parse().ok()
}

/// Whether this process ignores a signal, given by its number.
pub(crate) fn ignores(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status");
    status.is_ok_and(|status| ignores_in(&status, signal))
}

fn ignores_in(status: &str, signal: i32) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let bit = u32::try_from(signal - 1).ok();
    let bit = bit.and_then(|bit| 1_u64.checked_shl(bit));
    mask.zip(bit).is_some_and(|(mask, bit)| mask & bit != 0)
}

/// The id of its parent; 0 if that is in another namespace.
pub(crate) fn parent(process: &str) -> Option<u32> {
    parent_in(&stat(process)?)
}

fn stat(process: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/{process}/stat")).ok()
}

fn parent_in(stat: &str) -> Option<u32> {
    behind_name(stat)?.nth(1)?.parse().ok()
}

/// `utime` and `stime`.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = behind_name(stat)?.skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// The fields of `/proc/PID/stat` from the state on; the name before it may hold anything, spaces and parentheses
/// too.
fn behind_name(stat: &str) -> Option<impl Iterator<Item = &str>> {
    let (_, rest) = stat.rsplit_once(')')?;
    Some(rest.split_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_found_behind_any_name() {
        for (stat, expected) in [
            ("12 (sh) S 7 12 12 0", Some(7)),
            ("12 (a) b) (c) R 3000 1 1", Some(3000)),
            ("12 (sh) S 0 12", Some(0)),
            ("12 (sh) S -1 12", None),
            ("12 (sh", None),
            ("", None),
        ] {
            assert_eq!(parent_in(stat), expected, "{stat}");
        }
    }

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 100 0 0 0 12 30 0 0 20 0 2 0 5";
        assert_eq!(cpu_ticks(stat), Some(42));
        assert_eq!(cpu_ticks("7 (a"), None);
    }

    #[test]
    fn ignored_signals_are_bits_from_one_up() {
        let status =
            "Name:\tsh\nSigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001001\nSigCgt:\t0\n";
        for (signal, expected) in [(1, true), (2, false), (13, true), (0, false), (65, false)] {
            assert_eq!(ignores_in(status, signal), expected, "{signal}");
        }
        assert!(!ignores_in("SigIgn:\tx\n", 1));
        // The standard library sees to that before main.
        assert!(ignores(13));
    }

    #[test]
    fn descendants_are_found_wherever_they_went() {
        use std::io::BufRead as _;
        // Each line is the id of a process; the last one is in a session of its own, below another shell.
        let script = "sleep 60 & echo $!; sh -c 'setsid sleep 60 & echo $!; echo $$; wait' & wait";
        let mut shell = std::process::Command::new("sh")
            .args(["-c", script])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = std::io::BufReader::new(shell.stdout.take().unwrap()).lines();
        let mut expected: Vec<u32> = lines
            .take(3)
            .map(|line| line.unwrap().parse().unwrap())
            .collect();
        let own = shell.id().to_string();
        let mut found = descendants(&own, 100);
        let (one, none) = (
            descendants(&own, 1),
            descendants(&expected[0].to_string(), 100),
        );
        for pid in expected.iter().copied().chain([shell.id()]) {
            let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        shell.wait().unwrap();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected);
        assert_eq!((one.len(), none), (1, Vec::new()));
    }

    #[test]
    fn a_process_is_known_while_it_is_there() {
        let own = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().cast_unsigned());
        assert_eq!(parent("self"), own);
        assert!(rss_bytes("self").is_some_and(|bytes| bytes > 0));
        assert!(cpu_time("self").is_some());
        assert_eq!(
            (rss_bytes("0"), pss_bytes("0"), parent("0")),
            (None, None, None)
        );
    }
}
