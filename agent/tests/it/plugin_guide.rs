//! The guide `docs/plugins.md`, tried word for word: its commands run in order in one shell, its files are written, and
//! what it shows is compared with what comes.
//!
//! Blocks are told apart by the word behind their language: of `sh` blocks `setup` is what this test provides itself,
//! `again` is repeated until it succeeds, `ctrl-c` is interrupted after some ticks; `file=` and `append=` say where a
//! listing goes. A `text` block is what the `sh` block before it shows, `…` standing for anything. Two things are
//! not word for word: the agent listens on a free port instead of the default one, and the crate's `target` folder is a
//! link into the workspace's, so that what the crate depends on is compiled once.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use barograph::config::HOST_KEYS;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::agent::PATIENCE;

/// For a block that compiles all that a crate depends on, on a busy machine.
const BUILD_PATIENCE: Duration = Duration::from_mins(10);
/// Where the guide's agent listens.
const DEFAULT_ADDRESS: &str = "127.0.0.1:10132";
/// Begins the line that says how a block ended.
const END: char = '\u{1}';

/// A fenced block of the guide.
#[derive(Debug)]
struct Block {
    line: usize,
    language: String,
    /// What stands behind the language.
    mark: String,
    text: String,
}

fn checkout() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().expect("the checkout")
}

fn guide() -> String {
    fs::read_to_string(checkout().join("docs/plugins.md")).expect("the guide")
}

fn blocks(guide: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (at, line) in guide.lines().enumerate() {
        match (line.strip_prefix("```"), open.as_mut()) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(head), None) => {
                let (language, mark) = head.split_once(' ').unwrap_or((head, ""));
                open = Some(Block {
                    line: at + 1,
                    language: language.to_owned(),
                    mark: mark.to_owned(),
                    text: String::new(),
                });
            }
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// A shell that lives as long as the guide, so that folders and variables stay.
struct Shell {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    /// Where it stands.
    folder: PathBuf,
    /// Where it began.
    root: PathBuf,
}

impl Shell {
    /// In an empty folder, with everything that the guide's `setup` block sets.
    async fn start(folder: &Path, address: &str) -> Self {
        let own = Path::new(env!("CARGO_BIN_EXE_barograph"));
        let own = own.parent().expect("a folder").display();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("sh");
        command
            .current_dir(folder)
            .env("BAROGRAPH", checkout())
            .env("PATH", format!("{own}:{path}"))
            .env("BAROGRAPH_LISTEN", address)
            // All crates are there: the workspace itself was built of them.
            .env("CARGO_NET_OFFLINE", "true")
            .env("CARGO_TERM_COLOR", "never")
            .env("CARGO_INCREMENTAL", "0");
        for variable in [
            "BLESS",
            "CARGO_BUILD_TARGET",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_TARGET_DIR",
            "RUSTFLAGS",
        ] {
            command.env_remove(variable);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .expect("a shell");
        let input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut shell = Self {
            child,
            input,
            output,
            folder: folder.to_owned(),
            root: folder.to_owned(),
        };
        shell.run("exec 2>&1; set -e; umask 022").await;
        shell
    }

    /// Runs some commands, of which none may fail; gives what they wrote.
    async fn run(&mut self, commands: &str) -> String {
        let end = "printf '\\n\\001%s\\n' \"$PWD\"";
        let text = format!("{commands}\n{end}\n");
        self.input
            .write_all(text.as_bytes())
            .await
            .expect("a shell that reads");
        let patience = if commands.contains("cargo ") {
            BUILD_PATIENCE
        } else {
            PATIENCE
        };
        let mut said = String::new();
        let read = async {
            while let Some(line) = self.output.next_line().await.expect("readable output") {
                if let Some(folder) = line.strip_prefix(END) {
                    self.folder = folder.into();
                    return true;
                }
                said.push_str(&line);
                said.push('\n');
            }
            false
        };
        match timeout(patience, read).await {
            Ok(true) => said,
            Ok(false) => panic!("a command failed:\n{commands}\nit said:\n{said}"),
            Err(late) => panic!("{late}:\n{commands}\nit said:\n{said}"),
        }
    }
}

impl Drop for Shell {
    /// The guide's agent runs in its group.
    fn drop(&mut self) {
        let Some(pid) = self.child.id() else { return };
        let group = format!("-{pid}");
        let _ = std::process::Command::new("kill")
            .args(["-KILL", "--", &group])
            .status();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.root.join("queue/agent.log")).unwrap_or_default();
            eprintln!("the agent's log:\n{log}");
        }
    }
}

/// Where the crate's own things are built; what other runs left of it goes.
fn target() -> PathBuf {
    let own = Path::new(env!("CARGO_BIN_EXE_barograph"));
    let target = own
        .ancestors()
        .nth(2)
        .expect("the target folder")
        .join("plugin-guide");
    fs::create_dir_all(&target).expect("a folder");
    for folder in ["debug/deps", "debug/.fingerprint"] {
        let entries = fs::read_dir(target.join(folder))
            .into_iter()
            .flatten()
            .flatten();
        for entry in entries {
            let name = entry.file_name().to_string_lossy().replace('-', "_");
            if name.contains("barograph_plugin_queue") {
                let path = entry.path();
                let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
            }
        }
    }
    target
}

/// The crate builds in a folder that stays, with the versions that are there.
fn prepare(folder: &Path, target: &Path) {
    if folder.join("Cargo.toml").is_file() && !folder.join("target").exists() {
        std::os::unix::fs::symlink(target, folder.join("target")).expect("a link");
        fs::copy(checkout().join("Cargo.lock"), folder.join("Cargo.lock")).expect("a copy");
    }
}

/// Whether the line is as expected, `…` being anything and the width of columns free.
fn is_like(expected: &str, line: &str) -> bool {
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (expected, line) = (squeezed(expected), squeezed(line));
    let mut parts = expected.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    true
}

/// Every line of the guide is there, in its order.
fn compare(block: &Block, said: &str) {
    let mut lines = said.lines();
    for expected in block.text.lines().filter(|line| !line.trim().is_empty()) {
        let found = lines.any(|line| is_like(expected, line));
        assert!(
            found,
            "line {}: no {expected:?} in its place in:\n{said}",
            block.line
        );
    }
}

#[tokio::test]
async fn the_guide_works_word_for_word() {
    let folder = tempfile::tempdir().expect("a temp folder");
    let port = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = port.local_addr().expect("an address").to_string();
    drop(port);
    let target = target();
    let mut shell = Shell::start(folder.path(), &address).await;
    let mut said = String::new();
    let mut run = 0;
    for block in blocks(&guide()) {
        let text = block.text.replace(DEFAULT_ADDRESS, &address);
        let text = text.trim_end();
        match (block.language.as_str(), block.mark.as_str()) {
            ("sh", "setup") => continue,
            ("sh", "") => said = shell.run(text).await,
            ("sh", "again") => {
                said = shell
                    .run(&format!("until {{ {text}\n}}; do sleep 0.2; done"))
                    .await;
            }
            ("sh", "ctrl-c") => {
                let seen = "until grep -q '^tick 1' watched; do sleep 0.1; done";
                let commands = format!(
                    "(exec {text}) > watched 2>&1 & watched=$!\n{seen}\nkill -INT $watched\nwait $watched\ncat watched"
                );
                said = shell.run(&commands).await;
            }
            ("text", "") => compare(&block, &said),
            (_, mark) => {
                if let Some(file) = mark.strip_prefix("file=") {
                    fs::write(shell.folder.join(file), text.to_owned() + "\n").expect("a file");
                } else if let Some(file) = mark.strip_prefix("append=") {
                    let file = shell.folder.join(file);
                    let before = fs::read_to_string(&file).expect("a file");
                    fs::write(file, format!("{before}\n{text}\n")).expect("a file");
                } else {
                    assert_eq!(mark, "", "line {}: what is that?", block.line);
                }
                continue;
            }
        }
        if block.language == "sh" {
            run += 1;
            assert!(!said.contains("warning"), "line {}: {said}", block.line);
            prepare(&shell.folder, &target);
        }
        if text.ends_with("cargo build") || text.contains("BLESS=1") {
            shell
                .run("cargo clippy --quiet --all-targets -- -D warnings -W clippy::pedantic")
                .await;
            shell.run("cargo fmt --check").await;
        }
    }
    assert!(run > 20, "only {run} blocks were run");
    shell.run("wait").await;
}

#[test]
fn the_guides_c_plugin_is_the_example() {
    let blocks = blocks(&guide());
    let listing = blocks
        .iter()
        .find(|block| block.language == "c")
        .expect("a listing");
    let example = fs::read_to_string(checkout().join("sdk/plugin/examples/c/uptime.c"));
    assert_eq!(listing.text, example.expect("the example"));
    assert!(listing.text.lines().count() <= 60);
}

#[test]
fn the_guide_has_every_key_of_the_agent() {
    let guide = guide();
    for key in HOST_KEYS {
        let row = format!("| `{key}` |");
        assert!(guide.contains(&row), "no row for {key}");
    }
}

#[test]
fn lines_are_compared_with_gaps() {
    for (expected, line, like) in [
        ("a …  b", "a   1.5 b", true),
        ("a … b", "a b", false),
        ("a …", "a 1", true),
        ("…", "anything", true),
        ("a", "a b", false),
        ("x … y … z", "x 1 y 2 z", true),
        ("x … y … z", "x 1 z", false),
    ] {
        assert_eq!(is_like(expected, line), like, "{expected} {line}");
    }
}
