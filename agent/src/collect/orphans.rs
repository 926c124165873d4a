//! Children of the agent that it did not start: what plugins leave behind.
//!
//! A plugin may fork, and what it forked may leave its process group, so that the kill of the group does not
//! reach it. The agent is a child subreaper: such a process becomes the agent's own child when its parent
//! ends. [`sweep`] ends every child that is not known here, and reaps it by its own id, so that the runtime,
//! which reaps the hosts, never loses one of them. Hosts are made known by [`adopt`], the only door through
//! which this process starts another one. Children that were there before [`begin`] are somebody else's.
//!
//! An agent sweeps from its start on, and ends all that is left as its last act, with [`end_all`]. A command that
//! tries plugins sweeps while it does so, for as long as it holds a [`Reaping`]; what it runs besides, such as a
//! build, it runs before and after, so that neither that nor what it leaves is ever taken for a plugin's.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions};

use crate::{proc, words};

/// What was left behind is looked for again after a moment, because its own children come to light with its end.
const PAUSE: Duration = Duration::from_millis(5);
/// How often, where the next look comes by itself.
const ROUNDS: usize = 20;
/// How often, where it is the last one: for a second. Only what goes on forking outlasts that.
const LAST_ROUNDS: usize = 200;

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

/// While it is held, what plugins leave behind is ended; when it is dropped, all that is left of them. In an agent,
/// which sweeps from its start to its end, it does nothing.
#[derive(Debug)]
pub(super) struct Reaping {
    is_first: bool,
}

impl Reaping {
    /// Hosts may be started from now on, and nothing else.
    pub(super) fn begin() -> io::Result<Self> {
        let is_first = begin_once()?;
        Ok(Self { is_first })
    }
}

impl Drop for Reaping {
    fn drop(&mut self) {
        if self.is_first {
            end_all();
        }
    }
}

/// Makes this process the parent of what its descendants leave behind; from now on [`sweep`] ends it.
pub(super) fn begin() -> io::Result<()> {
    begin_once().map(drop)
}

fn begin_once() -> io::Result<bool> {
    let mut known = known();
    if known.is_some() {
        return Ok(false);
    }
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let strangers = children()?.into_iter().map(|pid| (pid, Care::Stranger));
    *known = Some(strangers.collect());
    Ok(true)
}

/// Ends all that plugins have and left, their hosts too, and sweeps no more. Takes a second at most.
pub fn end_all() {
    if known().is_none() {
        return;
    }
    tell(rounds(LAST_ROUNDS, end_hosts));
    *known() = None;
    let _ = rustix::process::set_child_subreaper(None);
}

/// Ends what plugins have left behind, with all that this had started in turn.
pub(super) fn sweep() {
    tell(rounds(ROUNDS, || false));
}

/// Looks until nothing is found and nothing is to be waited for; gives how many processes were ended.
fn rounds(max: usize, waits: impl Fn() -> bool) -> io::Result<usize> {
    let mut ended = HashSet::new();
    for round in 1..=max {
        // First: with the end of a host comes to light what its plugin left.
        let is_waiting = waits();
        let found = look()?;
        if found.is_empty() && !is_waiting {
            break;
        }
        ended.extend(found);
        if round < max {
            thread::sleep(PAUSE);
        }
    }
    Ok(ended.len())
}

fn tell(ended: io::Result<usize>) {
    match ended {
        Ok(0) => {}
        Ok(ended) => {
            let (one, several) = (
                "process that a plugin had left behind was",
                "processes that a plugin had left behind were",
            );
            tracing::warn!("{} ended", words::count(ended, one, several));
        }
        Err(error) => tracing::warn!("what plugins left behind can't be looked for: {error}"),
    }
}

/// Kills the hosts that run, each with its group; says whether there was one. It is reaped by whom it belongs to.
fn end_hosts() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let known = known();
    let hosts = known.iter().flatten();
    let mut is_running = false;
    for (pid, _) in hosts.filter(|(_, care)| **care != Care::Stranger) {
        if matches!(
            rustix::process::waitid(WaitId::Pid(*pid), options),
            Ok(None)
        ) {
            is_running = true;
            let _ = rustix::process::kill_process_group(*pid, Signal::KILL);
        }
    }
    is_running
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

/// Ends every child that nobody knows and reaps those that have ended; gives which there were.
fn look() -> io::Result<Vec<Pid>> {
    let mut known = known();
    let Some(known) = known.as_mut() else {
        return Ok(Vec::new());
    };
    let mut children = children()?;
    known.retain(|pid, care| *care == Care::Waited || children.contains(pid));
    children.retain(|pid| !known.contains_key(pid));
    for pid in &children {
        // It can't have become another process's id: only we reap it.
        let _ = rustix::process::kill_process(*pid, Signal::KILL);
        let _ = rustix::process::waitpid(Some(*pid), WaitOptions::NOHANG);
    }
    Ok(children)
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
