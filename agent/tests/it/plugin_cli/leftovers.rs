//! What a plugin has forked ends with the command that tried it, however that ends, and what a build has forked never.

use std::fs;
use std::io::pipe;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::fcntl_setpipe_size;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::timeout;

use super::{folder, line_with};
use crate::agent::{Agent, PATIENCE, alive, library, signal, until};
use crate::cli::{barograph, stderr};
use crate::compiler::{beside, compile, sdk};

/// What the fixture leaves each time that it is loaded.
const LEFT: usize = 3;

/// A folder with `shop.so`, which leaves processes behind.
struct Leaving {
    folder: TempDir,
}

impl Leaving {
    fn new(defined: &[&str]) -> Self {
        let leaving = Self { folder: folder() };
        let pids = format!("-DPIDS={:?}", leaving.pids().display().to_string());
        let library = leaving.path().join("shop.so");
        let source = beside("plugin_cli/leaves.c");
        compile(&source, &[&[pids.as_str()], defined].concat(), &library);
        leaving
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn pids(&self) -> PathBuf {
        self.path().join("pids")
    }

    /// What was left so far.
    fn left(&self) -> Vec<u32> {
        ids(&self.pids())
    }

    /// Something was left, and nothing of it is there.
    #[track_caller]
    fn assert_gone(&self, what: &str) {
        let left = self.left();
        assert!(
            left.len() >= LEFT && left.len().is_multiple_of(LEFT),
            "{what}: {left:?}"
        );
        assert_gone(&left, what);
    }

    /// Waits until the fixture was loaded so often.
    async fn loaded(&self, times: usize) {
        until("what the fixture leaves", || {
            (self.left().len() >= times * LEFT).then_some(())
        })
        .await;
    }

    /// Starts a command, with its output in pipes.
    fn start(&self, program: &[&str], arguments: &[&str]) -> tokio::process::Child {
        let own = [env!("CARGO_BIN_EXE_barograph")];
        let command = [program, &own, arguments].concat();
        tokio::process::Command::new(command[0])
            .args(&command[1..])
            .current_dir(self.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the agent's binary")
    }
}

/// The numbers in a file, one a line; what is not finished is no line yet.
fn ids(file: &Path) -> Vec<u32> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let lines = text.split_inclusive('\n');
    lines
        .filter_map(|line| line.strip_suffix('\n')?.parse().ok())
        .collect()
}

#[track_caller]
fn assert_gone(pids: &[u32], what: &str) {
    let alive: Vec<_> = pids.iter().filter(|pid| alive(**pid)).collect();
    assert!(alive.is_empty(), "{what}: {alive:?} of {pids:?}");
}

async fn end(child: &mut tokio::process::Child) -> ExitStatus {
    let ended = timeout(PATIENCE, child.wait()).await;
    ended.expect("an end in time").expect("a status")
}

/// Whether whoever runs the tests has them ignore SIGHUP, which a command then does as well.
fn ignores_hangup() -> bool {
    let status = fs::read_to_string("/proc/self/status").expect("the own status");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = u64::from_str_radix(mask.expect("a line").trim(), 16).expect("a mask");
    mask & 1 != 0
}

#[test]
fn no_command_leaves_anything_of_a_plugin_behind() {
    for (arguments, code) in [
        (&["plugin", "run-once", "./shop.so"][..], 0),
        (&["plugin", "check", "./shop.so"], 0),
        (&["plugin", "check", "./shop.so", "--set", "name=bad"], 1),
        // It has no lookups.
        (&["plugin", "lookup", "./shop.so", "price", "tea"], 1),
        (&["plugin", "bench", "./shop.so", "--ticks", "5"], 0),
        (
            &[
                "plugin",
                "bench",
                "./shop.so",
                "--ticks",
                "5",
                "--isolation",
                "thread",
            ],
            0,
        ),
        (&["check"], 0),
    ] {
        let leaving = Leaving::new(&[]);
        if arguments == ["check"] {
            let config = "[plugins.system]\nenabled = false\n[plugins.shop]\npath = 'shop.so'\n";
            fs::write(leaving.path().join("config.toml"), config).expect("a configuration");
        }
        let output = barograph(leaving.path(), &[], arguments);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        leaving.assert_gone(&format!("{arguments:?}"));
    }
}

#[test]
fn a_plugin_that_crashes_leaves_nothing_behind() {
    let leaving = Leaving::new(&["-DCRASH"]);
    let output = barograph(leaving.path(), &[], &["plugin", "run-once", "./shop.so"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    leaving.assert_gone("a crash");
}

#[tokio::test]
async fn a_signal_ends_everything_and_is_the_exit_code() {
    let mut signals = vec![("INT", 130), ("TERM", 143)];
    if !ignores_hangup() {
        signals.push(("HUP", 129));
    }
    for (name, code) in signals {
        let leaving = Leaving::new(&[]);
        let ticks = ["plugin", "run-once", "./shop.so", "--ticks", "86400"];
        let mut child = leaving.start(&[], &ticks);
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        line_with(&mut lines, "tick 0").await;
        assert!(leaving.left().iter().any(|pid| alive(*pid)), "{name}");
        signal(child.id().expect("it runs"), name);
        let status = end(&mut child).await;
        assert_eq!(status.code(), Some(code), "{name}: {:?}", status.signal());
        leaving.assert_gone(name);
    }
}

#[tokio::test]
async fn a_signal_is_heard_while_a_plugin_hangs() {
    let leaving = Leaving::new(&["-DSLOW"]);
    let mut child = leaving.start(&[], &["plugin", "check", "./shop.so"]);
    leaving.loaded(1).await;
    signal(child.id().expect("it runs"), "TERM");
    assert_eq!(end(&mut child).await.code(), Some(143));
    leaving.assert_gone("a plugin that hangs");
}

#[tokio::test]
async fn a_signal_is_heard_while_nobody_reads() {
    let many = library("many").display().to_string();
    let (reader, writer) = pipe().expect("a pipe");
    // A tick is longer than this.
    fcntl_setpipe_size(&writer, 4096).expect("a small pipe");
    let folder = folder();
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_barograph"))
        .args(["plugin", "run-once", &many])
        .current_dir(folder.path())
        .stdout(writer)
        .kill_on_drop(true)
        .spawn()
        .expect("the agent's binary");
    until("the first of a tick", || {
        let mut ready = [PollFd::new(&reader, PollFlags::IN)];
        let count = poll(&mut ready, Some(&Timespec::default())).expect("a poll");
        (count == 1).then_some(())
    })
    .await;
    signal(child.id().expect("it runs"), "TERM");
    assert_eq!(end(&mut child).await.code(), Some(143));
}

#[tokio::test]
async fn a_command_that_is_to_outlive_its_terminal_does() {
    let leaving = Leaving::new(&[]);
    let program = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"];
    let ticks = ["plugin", "run-once", "./shop.so", "--ticks", "86400"];
    let mut child = leaving.start(&program, &ticks);
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    line_with(&mut lines, "tick 0").await;
    let pid = child.id().expect("it runs");
    signal(pid, "HUP");
    line_with(&mut lines, "tick 1").await;
    signal(pid, "TERM");
    assert_eq!(end(&mut child).await.code(), Some(143));
    leaving.assert_gone("after nohup");
}

#[tokio::test]
async fn watch_ends_what_plugins_leave_and_not_what_builds_do() {
    let leaving = Leaving { folder: folder() };
    for name in ["leaves.c", "shop.c"] {
        let source = beside("plugin_cli").join(name);
        fs::copy(source, leaving.path().join(name)).expect("a copy");
    }
    // A daemon, as compilers have them.
    let makefile = format!(
        "shop.so: leaves.c shop.c Makefile\n\
         \tcc -shared -fPIC '-DPIDS={:?}' -I {:?} -o $@ leaves.c\n\
         \t(setsid sleep 60 <&- >&- 2>&- & echo $$! >> built)\n",
        leaving.pids().display().to_string(),
        sdk("include")
            .canonicalize()
            .expect("the header")
            .display()
            .to_string(),
    );
    let edit = |text: &str| fs::write(leaving.path().join("Makefile"), text).expect("an edit");
    edit(&makefile);
    let mut child = leaving.start(&[], &["plugin", "watch", "."]);
    let mut ticks = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut words = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    line_with(&mut words, "built ").await;
    line_with(&mut ticks, "tick ").await;
    let first = leaving.left();
    assert!(first.iter().any(|pid| alive(*pid)), "{first:?}");

    edit(&format!("{makefile}# Changed.\n"));
    line_with(&mut words, "built ").await;
    assert_gone(&first, "the plugin before the change");
    leaving.loaded(first.len() / LEFT + 1).await;
    signal(child.id().expect("it runs"), "INT");
    assert_eq!(end(&mut child).await.code(), Some(0));
    leaving.assert_gone("the end of watch");

    let built = ids(&leaving.path().join("built"));
    let alive: Vec<_> = built.iter().filter(|pid| alive(**pid)).collect();
    for pid in &built {
        signal(*pid, "KILL");
    }
    assert_eq!(alive.len(), 2, "of {built:?} only {alive:?} are there");
}

#[tokio::test]
async fn an_agent_that_is_ended_at_once_leaves_nothing_behind() {
    let leaving = Leaving::new(&[]);
    let library = leaving.path().join("shop.so").display().to_string();
    let mut agent = Agent::with(&format!("[plugins.shop]\npath = {library:?}\n")).await;
    agent
        .component_that("shop", |component| component["up"] == true)
        .await;
    for name in ["STOP", "TERM", "INT", "CONT"] {
        agent.signal(name);
    }
    assert_eq!(agent.end().await, Some(1), "{}", agent.log());
    leaving.assert_gone("a second signal");
}
