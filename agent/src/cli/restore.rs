//! `barograph restore`: a data folder out of a backup. It must be empty, and no agent may run on it.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use super::Failure;
use super::backup::summary;
use super::origin::folder;
use super::output::BUFFER_BYTES;
use crate::store::backup::restore::{RestoreError, restore};

pub(super) fn run(
    config: Option<&Path>,
    data_dir: Option<PathBuf>,
    path: &Path,
) -> Result<(), Failure> {
    let (root, _) = folder(config, data_dir)?;
    let file = File::open(path)
        .map_err(|error| Failure::Usage(format!("{} can't be read: {error}", path.display())))?;
    let from = BufReader::with_capacity(BUFFER_BYTES, file);
    let contents = restore(from, &root).map_err(|error| match error {
        RestoreError::Read(_) | RestoreError::Nonsense(_) => {
            Failure::Running(format!("{}: {error}; nothing was restored", path.display()))
        }
        RestoreError::NotEmpty { .. }
        | RestoreError::NewerSchema { .. }
        | RestoreError::Store(_) => Failure::DataFolder(error.to_string()),
    })?;
    writeln!(io::stdout(), "{}: {}", root.display(), summary(&contents))?;
    Ok(())
}
