//! Children of the agent that it did not start: what plugins leave behind.
//!
//! A plugin may fork, and what it forked may leave its process group, so that the kill of the group does not
//! reach it. The agent is a child subreaper: such a process becomes the agent's own child when its parent
//! ends. [`sweep`] ends every child that is not known here, and reaps it by its own id, so that the runtime,
//! which reaps the hosts, never loses one of them. Hosts are made known by [`adopt`], the only door through
//! which this process starts another one. Children that were there before [`begin`] are somebody else's.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, WaitOptions};

use crate::proc;

/// Of the whole process, as children are; `None` where nothing is swept.
static KNOWN: Mutex<Option<HashMap<Pid, Care>>> = Mutex::new(None);

/// Why a child is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Care {
    /// It is a host, and somebody waits for it.
    Waited,
    /// It was a host that nobody waits for any more; the runtime reaps it at some time.
    LeftToRuntime,
    /// It was there before anything was swept.
    Stranger,
}

/// A host that is known while this is held.
#[derive(Debug)]
pub(super) struct Known(Pid);

impl Known {
    /// The host was reaped: its id means nothing any more.
    pub(super) fn reaped(self) {
        if let Some(known) = known().as_mut() {
            known.remove(&self.0);
        }
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        if let Some(known) = known().as_mut()
            && let Some(care) = known.get_mut(&self.0)
        {
            *care = Care::LeftToRuntime;
        }
    }
}

fn known() -> MutexGuard<'static, Option<HashMap<Pid, Care>>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes this process the parent of what its descendants leave behind; from now on [`sweep`] ends it.
pub(super) fn begin() -> io::Result<()> {
    let mut known = known();
    if known.is_none() {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        let strangers = children()?.into_iter().map(|pid| (pid, Care::Stranger));
        *known = Some(strangers.collect());
    }
    Ok(())
}

/// Starts a host. No sweep can see it before it is known, because the lock is held meanwhile.
pub(super) fn adopt<T>(start: impl FnOnce() -> io::Result<(T, Pid)>) -> io::Result<(T, Known)> {
    let mut known = known();
    let (started, pid) = start()?;
    if let Some(known) = known.as_mut() {
        known.insert(pid, Care::Waited);
    }
    Ok((started, Known(pid)))
}

/// Ends every child that nobody knows and reaps those that have ended; gives how many there were. What they had
/// started in turn comes to light with their end, so it is called until there are none.
pub(super) fn sweep() -> io::Result<usize> {
    let mut known = known();
    let Some(known) = known.as_mut() else {
        return Ok(0);
    };
    let children = children()?;
    known.retain(|pid, care| *care == Care::Waited || children.contains(pid));
    let mut found = 0;
    for pid in children.into_iter().filter(|pid| !known.contains_key(pid)) {
        found += 1;
        // It can't have become another process's id: only we reap it.
        let _ = rustix::process::kill_process(pid, Signal::KILL);
        let _ = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
    }
    Ok(found)
}

/// Every child of this process, those that have ended and were not reaped too.
fn children() -> io::Result<Vec<Pid>> {
    let mut found = Vec::new();
    for task in fs::read_dir("/proc/self/task")? {
        match fs::read_to_string(task?.path().join("children")) {
            Ok(list) => found.extend(list.split_whitespace().filter_map(pid)),
            // A kernel without CONFIG_PROC_CHILDREN; or a thread that has just ended, which costs little.
            Err(_) => return children_by_parent(),
        }
    }
    Ok(found)
}

fn children_by_parent() -> io::Result<Vec<Pid>> {
    let own = std::process::id();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(pid) else {
            continue;
        };
        // One that has ended meanwhile has none any more.
        if proc::parent(&pid.as_raw_nonzero().to_string()) == Some(own) {
            found.push(pid);
        }
    }
    Ok(found)
}

fn pid(text: &str) -> Option<Pid> {
    text.parse().ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_find_the_same_children() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
        let (listed, scanned) = (children().unwrap(), children_by_parent().unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(listed.contains(&pid), "{listed:?}");
        assert!(scanned.contains(&pid), "{scanned:?}");
    }
}
