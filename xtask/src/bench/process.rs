//! What a tree of processes costs, read from `/proc`: processor time and proportional memory.

use std::collections::HashSet;
use std::fs;

use crate::shell::Fallible;

/// The cost of a process and all its descendants at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) processes: usize,
    /// User and system time since each process began, that of reaped children included.
    pub(crate) cpu_seconds: f64,
    /// Proportional set size: shared pages are divided among those who share them.
    pub(crate) pss_bytes: u64,
}

/// Measures the tree below `root`. A process that ends while it is read is left out.
pub(crate) fn cost(root: u32) -> Fallible<Cost> {
    let ticks_per_second = rustix::param::clock_ticks_per_second();
    let mut cost = Cost::default();
    for (pid, stat) in tree(root) {
        let Some(pss_kib) = pss_kib(pid)? else {
            continue;
        };
        cost.processes += 1;
        cost.cpu_seconds += stat.ticks as f64 / ticks_per_second as f64;
        cost.pss_bytes += pss_kib * 1024;
    }
    if cost.processes == 0 {
        return Err(format!("process {root} is gone").into());
    }
    Ok(cost)
}

#[derive(Debug, Clone, Copy)]
struct Stat {
    parent: u32,
    ticks: u64,
}

fn tree(root: u32) -> Vec<(u32, Stat)> {
    let all: Vec<(u32, Stat)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| {
            let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            Some((pid, parse_stat(&text)?))
        })
        .collect();
    let mut members = HashSet::from([root]);
    // Parents may come after their children in the listing, so that one pass is not enough.
    loop {
        let before = members.len();
        members.extend(
            all.iter()
                .filter(|(_, stat)| members.contains(&stat.parent))
                .map(|(pid, _)| *pid)
                .collect::<Vec<_>>(),
        );
        if members.len() == before {
            break;
        }
    }
    all.into_iter()
        .filter(|(pid, _)| members.contains(pid))
        .collect()
}

/// Reads parent and times (fields 4 and 14 to 17). The name before them may hold spaces and brackets.
fn parse_stat(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        ticks: number(11)? + number(12)? + number(13)? + number(14)?,
    })
}

/// `None` for a process that has ended; an error where the kernel refuses to tell.
fn pss_kib(pid: u32) -> Fallible<Option<u64>> {
    match fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) {
        Ok(text) => Ok(text
            .lines()
            .find_map(|line| line.strip_prefix("Pss:"))
            .and_then(|value| value.trim().strip_suffix(" kB")?.parse().ok())),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(format!(
            "cannot read the memory of process {pid}: {error}; run the measurement as root, \
             because the agent hides its memory from other processes of its user"
        )
        .into()),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_move_the_fields() {
        let text = "12 (a) b (c) S 7 12 12 0 -1 4194304 100 0 0 0 5 6 7 8 20 0 1 0 100 1 1";
        let stat = parse_stat(text).unwrap();
        assert_eq!((stat.parent, stat.ticks), (7, 26));
    }

    #[test]
    fn a_child_counts_with_its_parent() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let members = tree(std::process::id());
        assert!(members.iter().any(|(pid, _)| *pid == child.id()));
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
