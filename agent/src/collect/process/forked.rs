//! What a plugin's process has started, and the memory that it takes.
//!
//! It is looked at again and again, and a process counts from the second look on at which it is there: between its
//! start and its `exec` it shows the memory of the process that it came from, and a plugin that calls a small program
//! in each tick would now and then seem to take twice what it does.

use rustix::process::Pid;

use crate::proc;

/// Processes that count, the nearest first. To look at one takes some twenty microseconds.
const PROCESSES_MAX: usize = 256;
/// Looks that are left out where the last one found nothing. Threads are asked one by one, so that with the four of a
/// plugin in Rust a look takes 32 µs of processor time, and the read of its own memory 7 µs.
const LEFT_OUT: u32 = 4;

/// What it has started, in whatever session or process group that is.
#[derive(Debug, Default)]
pub(super) struct Forked {
    /// Those of the last look.
    seen: Vec<u32>,
    bytes: u64,
    left_out: u32,
}

impl Forked {
    /// Looks at what the process has started; once a second.
    pub(super) fn look(&mut self, process: Pid) {
        if self.seen.is_empty() && self.left_out < LEFT_OUT {
            self.left_out += 1;
            return;
        }
        self.left_out = 0;
        let process = process.as_raw_nonzero().to_string();
        let now = proc::descendants(&process, PROCESSES_MAX);
        let stayed = now.iter().filter(|pid| self.seen.contains(pid));
        self.bytes = stayed
            .filter_map(|pid| proc::rss_bytes(&pid.to_string()))
            .sum();
        self.seen = now;
    }

    /// Resident memory of those that were there at the last two looks; what they share counts for each.
    pub(super) const fn rss_bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    use rustix::process::{Signal, kill_process};

    use super::*;

    #[test]
    fn a_process_counts_from_the_second_look_on() {
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 60 & echo $!; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = shell.stdout.take().unwrap();
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).unwrap();
        let sleeping = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        let process = Pid::from_raw(shell.id().cast_signed()).unwrap();
        let mut forked = Forked::default();
        let mut look = || {
            forked.look(process);
            forked.rss_bytes()
        };
        let looks: Vec<u64> = (0..=LEFT_OUT + 2).map(|_| look()).collect();
        kill_process(sleeping, Signal::KILL).unwrap();
        shell.wait().unwrap();
        let (before, after) = looks.split_at(LEFT_OUT as usize + 1);
        assert!(before.iter().all(|bytes| *bytes == 0), "{looks:?}");
        assert!(after.iter().all(|bytes| *bytes > 0), "{looks:?}");
        assert_eq!(look(), 0);
    }
}
