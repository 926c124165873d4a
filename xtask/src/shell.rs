//! Running other programs: shown, captured, or shown and kept at once.
//!
//! Each command line is printed before it runs, so that a failure can be repeated by hand.

use std::error::Error;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The result of a task; the error is a sentence for the person at the terminal.
pub(crate) type Fallible<T = ()> = Result<T, Box<dyn Error>>;

/// Runs a command on the terminal and fails if it fails.
pub(crate) fn run(command: &mut Command) -> Fallible {
    show(command);
    let status = command.status().map_err(|error| cannot(command, &error))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("`{}` failed: {status}", line(command)).into())
}

/// Runs a command silently and returns what it printed on standard output.
pub(crate) fn capture(command: &mut Command) -> Fallible<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| cannot(command, &error))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "`{}` failed: {}\n{}",
            line(command),
            output.status,
            complaint.trim_end()
        )
        .into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What a command printed, on both streams in their order, and whether it succeeded.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) success: bool,
    pub(crate) text: String,
}

/// Runs a command, passing its output on line by line while keeping it.
pub(crate) fn tell(command: &mut Command) -> Fallible<Told> {
    show(command);
    let (reader, writer) = std::io::pipe()?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()
        .map_err(|error| cannot(command, &error))?;
    // The command holds the writing ends until it is given others; the loop below would wait for them.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut text = String::new();
    let mut reader = BufReader::new(reader);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes)? > 0 {
        std::io::stdout().write_all(&bytes)?;
        text.push_str(&String::from_utf8_lossy(&bytes));
        bytes.clear();
    }
    let success = child.wait()?.success();
    Ok(Told { success, text })
}

/// The command as one would type it, for messages.
pub(crate) fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    // These are called by long paths within a toolchain, which nobody types.
    let is_tool = ["cargo", "node", "npm"].iter().any(|tool| name == *tool);
    let shown = if is_tool { name } else { program.as_os_str() };
    let mut words = vec![shown.to_string_lossy().into_owned()];
    words.extend(
        command
            .get_args()
            .map(|word| word.to_string_lossy().into_owned()),
    );
    words.join(" ")
}

/// Where a program is on the search path or in the administrators' folders.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

fn show(command: &Command) {
    // Our own lines must stand before those of the program, whichever stream those go to.
    let mut out = std::io::stdout();
    let _ = writeln!(out, "$ {}", line(command)).and_then(|()| out.flush());
}

fn cannot(command: &Command, error: &std::io::Error) -> Box<dyn Error> {
    format!("cannot start `{}`: {error}", line(command)).into()
}
