//! A real agent for a test: the built binary with a data folder and a port of its own, ended on drop.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// A test that waits longer than this for anything has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running agent.
pub(crate) struct Agent {
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    child: Child,
    folder: Arc<TempDir>,
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Agent {
    /// Starts one with the default configuration.
    pub(crate) async fn start() -> Self {
        Self::with("").await
    }

    /// Starts one with this configuration besides address and data folder.
    pub(crate) async fn with(config: &str) -> Self {
        Self::inside(new_folder(), config).await
    }

    /// Starts one in a folder that another one may have used before.
    pub(crate) async fn inside(folder: Arc<TempDir>, config: &str) -> Self {
        Self::started(folder, config, false, &[]).await
    }

    /// Starts one through a program that becomes the agent, such as `unshare`.
    pub(crate) async fn through(
        folder: Arc<TempDir>,
        config: &str,
        program: &[impl AsRef<str>],
    ) -> Self {
        let program: Vec<&str> = program.iter().map(AsRef::as_ref).collect();
        Self::started(folder, config, false, &program).await
    }

    /// Starts one whose log goes into a pipe that nobody reads.
    pub(crate) async fn unread(config: &str) -> Self {
        Self::started(new_folder(), config, true, &[]).await
    }

    async fn started(folder: Arc<TempDir>, config: &str, unread: bool, through: &[&str]) -> Self {
        let system = library("barograph_plugin_system");
        assert!(
            system.is_file(),
            "{} is not there: `cargo xtask test` builds the libraries first",
            system.display()
        );
        let file = folder.path().join("config.toml");
        std::fs::write(&file, config).expect("a config file");
        let log = std::fs::File::create(folder.path().join("log")).expect("a log file");
        let mut command = through.to_vec();
        command.extend([env!("CARGO_BIN_EXE_barograph"), "run", "--config"]);
        let mut child = Command::new(command[0])
            .args(&command[1..])
            .arg(&file)
            .env("BAROGRAPH_LISTEN", "127.0.0.1:0")
            .env("BAROGRAPH_DATA_DIR", folder.path().join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(if unread { Stdio::piped() } else { log.into() })
            .kill_on_drop(true)
            .spawn()
            .expect("the agent's binary");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let line = timeout(PATIENCE, lines.next_line())
            .await
            .expect("a line in time");
        let line = line.expect("readable output").unwrap_or_default();
        let addr = line
            .strip_prefix("listening on http://")
            .and_then(|rest| rest.strip_suffix("/dashboard/"))
            .and_then(|addr| addr.parse().ok());
        let Some(addr) = addr else {
            let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
            panic!("the agent did not start: {line:?}\n{log}");
        };
        Self {
            addr,
            child,
            folder,
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("the agent runs")
    }

    /// The folder that holds its configuration, its log and its `data`.
    pub(crate) fn folder(&self) -> Arc<TempDir> {
        Arc::clone(&self.folder)
    }

    /// A path as its own mount namespace has it.
    pub(crate) fn inner(&self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.pid()));
        root.join(path.strip_prefix("/").expect("an absolute path"))
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Kills it with -9 and gives back its folder.
    pub(crate) async fn killed(mut self) -> Arc<TempDir> {
        self.signal("KILL");
        self.end().await;
        self.folder()
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The configuration file, to be changed before a reload.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    /// The plugin hosts that are its children, by collector.
    pub(crate) fn hosts(&self, collector: &str) -> Vec<u32> {
        children(self.pid())
            .into_iter()
            .filter(|pid| command_line(*pid).ends_with(collector))
            .collect()
    }

    /// Waits for the one host of a collector.
    pub(crate) async fn host(&self, collector: &str) -> u32 {
        until("a plugin host", || self.hosts(collector).first().copied()).await
    }

    /// Every process below it, whoever started it.
    pub(crate) fn descendants(&self) -> Vec<u32> {
        let mut found = children(self.pid());
        let mut at = 0;
        while let Some(&pid) = found.get(at) {
            found.extend(children(pid));
            at += 1;
        }
        found
    }

    /// Changes its configuration and has it read.
    pub(crate) fn reload(&self, config: &str) {
        std::fs::write(self.config_file(), config).expect("a written file");
        self.signal("HUP");
    }

    /// Sends a signal to the agent itself.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Waits for its end and gives its exit code.
    pub(crate) async fn end(&mut self) -> Option<i32> {
        let status = timeout(PATIENCE, self.child.wait())
            .await
            .expect("the agent ends in time");
        status.expect("a status").code()
    }

    /// A GET on a connection of its own.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        let host = format!("Host: {}", self.addr);
        self.request(&format!(
            "GET {path} HTTP/1.1\r\n{host}\r\nConnection: close\r\n\r\n"
        ))
        .await
    }

    /// A GET whose answer is JSON.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).expect("JSON")
    }

    /// The value on the first line of `/metrics` that begins so.
    pub(crate) async fn value(&self, start: &str) -> Option<f64> {
        let metrics = self.get("/metrics").await.body;
        let line = metrics.lines().find(|line| line.starts_with(start))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// Waits until that value is as wanted.
    pub(crate) async fn value_that(&self, start: &str, is: impl Fn(Option<f64>) -> bool) {
        let mut last = None;
        let wait = async {
            loop {
                last = self.value(start).await;
                if is(last) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = timeout(PATIENCE, wait).await;
        assert!(waited.is_ok(), "{start} did not become as wanted: {last:?}");
    }

    /// A request, byte for byte; reads until the server closes.
    pub(crate) async fn request(&self, text: &str) -> Answer {
        let mut stream = TcpStream::connect(self.addr).await.expect("a connection");
        stream
            .write_all(text.as_bytes())
            .await
            .expect("a written request");
        let mut bytes = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
        read.expect("an answer in time").expect("a readable answer");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let is_chunked = head
            .to_ascii_lowercase()
            .contains("transfer-encoding: chunked");
        let body = if is_chunked {
            unchunked(body)
        } else {
            body.to_owned()
        };
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or(0);
        Answer {
            status,
            head: head.to_owned(),
            body,
        }
    }

    /// Waits for a tick of the system that came after this call.
    pub(crate) async fn sampled_after_now(&self) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now_ms = i64::try_from(now.expect("after 1970").as_millis()).expect("a time");
        let wait = async {
            loop {
                let answer = self.json("/api/dashboard/metrics?topic=system").await;
                let at = &answer["topics"]["system"]["collectors"]["system"]["at"];
                if at.as_i64().is_some_and(|at| at > now_ms) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, wait).await.expect("a tick in time");
    }

    /// The state of a component on `/healthz`.
    pub(crate) async fn component(&self, name: &str) -> Option<Value> {
        let health = self.json("/healthz").await;
        let components = health["components"].as_array()?;
        components
            .iter()
            .find(|component| component["name"] == name)
            .cloned()
    }

    /// Waits until a component is as wanted.
    pub(crate) async fn component_that(&self, name: &str, is: impl Fn(&Value) -> bool) -> Value {
        let wait = async {
            loop {
                if let Some(component) = self.component(name).await.filter(&is) {
                    return component;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = timeout(PATIENCE, wait).await;
        waited.unwrap_or_else(|_| panic!("{name} did not become as wanted\n{}", self.log()))
    }
}

impl Agent {
    /// What `/api/dashboard/plugins` says about a collector.
    pub(crate) async fn plugin(&self, name: &str) -> Value {
        let mut answer = self.json("/api/dashboard/plugins").await;
        let plugins = answer["plugins"].as_array_mut().expect("plugins");
        let at = plugins.iter().position(|plugin| plugin["name"] == name);
        at.map_or(Value::Null, |at| plugins.swap_remove(at))
    }

    /// Waits until it says what is wanted.
    pub(crate) async fn plugin_that(&self, name: &str, is: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let wait = async {
            loop {
                last = self.plugin(name).await;
                if is(&last) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = timeout(PATIENCE, wait).await;
        assert!(
            waited.is_ok(),
            "{name} did not become as wanted, it is {last:#}"
        );
        last
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the agent's log:\n{}", self.log());
        }
    }
}

/// A folder of its own for an agent.
pub(crate) fn new_folder() -> Arc<TempDir> {
    Arc::new(tempfile::tempdir().expect("a temp folder"))
}

/// A program for [`Agent::through`] whose mount namespace has a tmpfs of this size in a folder, which is made.
pub(crate) fn on_tmpfs(folder: &Path, size: &str) -> [String; 6] {
    std::fs::create_dir(folder).expect("a folder");
    let folder = folder.display();
    let mount = format!("mount -t tmpfs -o size={size} tmpfs {folder} && exec \"$@\"");
    // Root has a namespace for the asking; anybody else becomes root in one of his own.
    let is_root = rustix::process::getuid().is_root();
    let flags = if is_root { "-m" } else { "-rm" };
    ["unshare", flags, "sh", "-c", &mount, "sh"].map(str::to_owned)
}

/// The body of an answer that came in chunks; the last one must be there.
fn unchunked(mut text: &str) -> String {
    let mut body = String::new();
    loop {
        let (size, rest) = text.split_once("\r\n").expect("the size of a chunk");
        let size = usize::from_str_radix(size, 16).expect("a size in hexadecimal");
        if size == 0 {
            return body;
        }
        body.push_str(&rest[..size]);
        text = rest[size..]
            .strip_prefix("\r\n")
            .expect("the end of a chunk");
    }
}

/// A built library by its crate's name; fixtures stand in `examples`.
pub(crate) fn library(name: &str) -> PathBuf {
    let own = Path::new(env!("CARGO_BIN_EXE_barograph"))
        .parent()
        .expect("a folder");
    let folder = std::env::var_os("TEST_PLUGIN_DIR").map_or_else(|| own.to_owned(), PathBuf::from);
    let file = format!("lib{name}.so");
    let plugin = folder.join(&file);
    if plugin.is_file() {
        plugin
    } else {
        folder.join("examples").join(file)
    }
}

/// Waits until `find` finds something.
pub(crate) async fn until<T>(what: &str, find: impl Fn() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(found) = find() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = timeout(PATIENCE, wait).await;
    waited.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Sends a signal by name to a process that the test started.
pub(crate) fn signal(pid: u32, name: &str) {
    let status = std::process::Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .status();
    assert!(status.expect("kill").success(), "kill -{name} {pid}");
}

/// Whether a process exists and is no zombie.
pub(crate) fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// How a process was called, its arguments apart by spaces.
pub(crate) fn command_line(pid: u32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes)
        .trim_end_matches('\0')
        .replace('\0', " ")
}
