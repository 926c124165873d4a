//! `barograph backup`: the whole history in one file, which is read back before it gets its name.

use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use super::Failure;
use super::origin::{Origin, folder};
use super::output::{BUFFER_BYTES, Output};
use crate::control::request::{Nothing, Request};
use crate::moment::Shown;
use crate::store::backup::{Contents, restore};
use crate::words;

pub(super) fn run(
    config: Option<&Path>,
    data_dir: Option<PathBuf>,
    path: &Path,
) -> Result<(), Failure> {
    let (root, config) = folder(config, data_dir)?;
    let origin = Origin::find(&root, config.store)?;
    let mut output = Output::create(path)?;
    origin
        .ask(&Request::Backup(Nothing {}), &mut output)
        .map_err(|failure| failure.at(path))?;
    let written = output
        .reopen()
        .map_err(|error| Failure::from(error).at(path))?;
    let contents = restore::verify(BufReader::with_capacity(BUFFER_BYTES, written))
        .map_err(|error| Failure::Running(format!("{}: {error}; try again", path.display())))?;
    output.keep()?;
    writeln!(io::stdout(), "{}: {}", path.display(), summary(&contents))?;
    Ok(())
}

/// What is in a backup, in one line.
pub(super) fn summary(contents: &Contents) -> String {
    let [raw, minute, hour] = contents.blocks;
    let at = contents.about.as_ref().map_or_else(String::new, |about| {
        format!("taken {}, ", Shown(about.at_ms))
    });
    let pairs = words::count(contents.pairs, "record", "records");
    let head_files = words::count(contents.head_files, "head file", "head files");
    let raw = words::count(raw, "hour", "hours");
    let minute = words::count(minute, "block", "blocks");
    let samples = words::count(contents.samples, "sample", "samples");
    format!(
        "{at}{} bytes, {pairs} of the core, {head_files}, {raw} of samples, {minute} of minutes, {hour} of hours, \
         {samples} in them",
        contents.bytes
    )
}
