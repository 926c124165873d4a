//! `barograph plugin inspect`: what a library says of itself and whether an agent would load it. None of its code runs.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::json;

use super::Failure;
use super::subject::{self, Words};
use crate::collect::library;

/// Whether an agent of this user would load a file.
#[derive(Debug)]
pub(super) struct Permissions {
    pub(super) uid: u32,
    /// The bits that chmod sets.
    pub(super) mode: u32,
    pub(super) verdict: Verdict,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    /// It is loaded, unless `strict` is set.
    Doubtful(String),
    Refused(String),
}

impl Permissions {
    /// `strict` is the agent's key.
    pub(super) fn of(file: &Path, strict: bool) -> Result<Self, Failure> {
        let data = fs::metadata(file).map_err(|error| {
            Failure::Usage(format!("{} can't be read: {error}", file.display()))
        })?;
        let verdict = match library::judge(file, strict) {
            Ok(warnings) if warnings.is_empty() => Verdict::Good,
            Ok(warnings) => Verdict::Doubtful(warnings.join("; ")),
            Err(error) => Verdict::Refused(error.to_string()),
        };
        Ok(Self {
            uid: data.uid(),
            mode: data.mode() & 0o7777,
            verdict,
        })
    }

    /// One line.
    fn text(&self) -> String {
        let Self { uid, mode, verdict } = self;
        let verdict = match verdict {
            Verdict::Good => "good".to_owned(),
            Verdict::Doubtful(why) => format!("loaded with a warning: {why}"),
            Verdict::Refused(why) => format!("refused: {why}"),
        };
        format!("owner {uid}, mode {mode:04o}, {verdict}")
    }

    fn json(&self) -> serde_json::Value {
        let (word, reason) = match &self.verdict {
            Verdict::Good => ("good", None),
            Verdict::Doubtful(why) => ("warning", Some(why)),
            Verdict::Refused(why) => ("refused", Some(why)),
        };
        let mode = format!("{:04o}", self.mode);
        json!({"uid": self.uid, "mode": mode, "verdict": word, "reason": reason})
    }
}

pub(super) fn run(file: &Path, json: bool) -> Result<(), Failure> {
    let words = subject::words(file).map_err(Failure::Usage)?;
    let sha256 = library::sha256(file)
        .map_err(|error| Failure::Usage(format!("{} can't be read: {error}", file.display())))?;
    let permissions = Permissions::of(file, false)?;
    let Words {
        name,
        topic,
        version,
        abi,
        file_bytes,
    } = words;
    let mut out = io::stdout().lock();
    if json {
        let all = json!({
            "name": name, "topic": topic, "version": version, "abi": abi, "sizeBytes": file_bytes,
            "sha256": sha256, "permissions": permissions.json(),
        });
        writeln!(out, "{all}")?;
    } else {
        writeln!(out, "name     {name}\ntopic    {topic}\nversion  {version}")?;
        writeln!(out, "abi      {abi}\nsize     {file_bytes} bytes")?;
        writeln!(out, "sha256   {sha256}\naccess   {}", permissions.text())?;
    }
    Ok(())
}
