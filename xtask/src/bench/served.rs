//! A running agent to be measured: its own data folder, a free port, nobody watching.
//!
//! The folder is the working directory too, so that the agent finds no configuration and runs on
//! its defaults. Dropping it ends the agent and removes the folder.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::bench::process::{self, Cost};
use crate::bench::request::Connection;
use crate::shell::Fallible;

const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(crate) struct Served {
    child: Child,
    folder: PathBuf,
    pub(crate) port: u16,
    /// Just before the process was started.
    pub(crate) began: Instant,
}

impl Served {
    pub(crate) fn start(program: &Path, folder: PathBuf) -> Fallible<Self> {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)
            .map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
        Self::resume(program, folder)
    }

    /// Starts it on a folder whose `data` is there already.
    pub(crate) fn resume(program: &Path, folder: PathBuf) -> Fallible<Self> {
        let log = File::create(folder.join("agent.log"))?;
        let began = Instant::now();
        let mut child = Command::new(program)
            .arg("run")
            .current_dir(&folder)
            .env("BAROGRAPH_LISTEN", "127.0.0.1:0")
            .env("BAROGRAPH_DATA_DIR", folder.join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        let line = first_line(&mut child);
        let mut served = Self {
            child,
            folder,
            port: 0,
            began,
        };
        served.port = line
            .as_deref()
            .and_then(port)
            .ok_or_else(|| served.complaint("did not say where it listens"))?;
        Ok(served)
    }

    pub(crate) fn connect(&self) -> Fallible<Connection> {
        Connection::open(self.port)
    }

    pub(crate) fn cost(&self) -> Fallible<Cost> {
        process::cost(self.child.id())
    }

    /// The number of series, counted as samples of the text exposition.
    pub(crate) fn series(&self) -> Fallible<usize> {
        let text = self.connect()?.get("/metrics")?;
        Ok(text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .count())
    }

    fn complaint(&self, what: &str) -> String {
        let log = fs::read_to_string(self.folder.join("agent.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(20)..].join("\n");
        format!("the agent {what}; the end of its log:\n{tail}")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        stop(&mut self.child);
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Ends a process as an administrator would, and by force if it does not obey.
pub(crate) fn stop(child: &mut Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, Signal::TERM);
    }
    let began = Instant::now();
    while began.elapsed() < STOP_LIMIT {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// The first line of standard output. The thread goes on reading, so that the pipe never breaks.
fn first_line(child: &mut Child) -> Option<String> {
    let mut output = BufReader::new(child.stdout.take()?);
    // One line is ever sent; a full channel can't happen.
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut line = String::new();
        if output.read_line(&mut line).is_ok() && !line.is_empty() {
            let _ = sender.send(line);
        }
        let _ = std::io::copy(&mut output, &mut std::io::sink());
    });
    receiver.recv_timeout(START_LIMIT).ok()
}

/// Reads the port of `listening on http://127.0.0.1:10132/dashboard/`.
fn port(line: &str) -> Option<u16> {
    let address = line.trim().strip_prefix("listening on http://")?;
    address.split('/').next()?.rsplit(':').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::port;

    #[test]
    fn the_port_is_read_from_the_line_that_the_agent_prints() {
        assert_eq!(
            port("listening on http://127.0.0.1:10132/dashboard/\n"),
            Some(10132)
        );
        assert_eq!(port("listening on http://[::1]:9/dashboard/"), Some(9));
        assert_eq!(port("starting"), None);
    }
}
