//! A file that appears under its name only when it is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::Failure;

/// For reading and writing files of many megabytes.
pub(super) const BUFFER_BYTES: usize = 256 * 1024;

/// Being written beside where it will stand; taken away again unless it is kept.
#[derive(Debug)]
pub(super) struct Output {
    file: File,
    wanted: PathBuf,
    /// `None` once it was kept.
    unfinished: Option<PathBuf>,
}

impl Output {
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        if name.is_empty() || path.is_dir() {
            let message = format!("{} is no name for a file", path.display());
            return Err(Failure::Usage(message));
        }
        name.push(format!(".{}.partial", std::process::id()));
        let unfinished = path.with_file_name(name);
        // What an agent saw is its user's business alone.
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished);
        let file = opened.map_err(|error| Failure::from(error).at(path))?;
        Ok(Self {
            file,
            wanted: path.to_owned(),
            unfinished: Some(unfinished),
        })
    }

    /// What was written so far, for reading.
    pub(super) fn reopen(&self) -> io::Result<File> {
        File::open(self.unfinished.as_ref().unwrap_or(&self.wanted))
    }

    /// It is whole: from now on it stands under its name, also after a power cut.
    pub(super) fn keep(mut self) -> Result<(), Failure> {
        let keep = || -> io::Result<()> {
            self.file.sync_all()?;
            if let Some(unfinished) = &self.unfinished {
                fs::rename(unfinished, &self.wanted)?;
            }
            let folder = self
                .wanted
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        };
        keep().map_err(|error| Failure::from(error).at(&self.wanted))?;
        self.unfinished = None;
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(unfinished) = &self.unfinished {
            let _ = fs::remove_file(unfinished);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn it_appears_when_it_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.csv");
        fs::write(&path, "old").unwrap();
        let mut output = Output::create(&path).unwrap();
        output.write_all(b"half").unwrap();
        drop(output);
        assert_eq!(names(folder.path()), ["history.csv"]);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        let mut output = Output::create(&path).unwrap();
        output.write_all(b"whole").unwrap();
        output.keep().unwrap();
        assert_eq!(names(folder.path()), ["history.csv"]);
        assert_eq!(fs::read(&path).unwrap(), b"whole");
    }

    #[test]
    fn a_folder_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            Output::create(folder.path()),
            Err(Failure::Usage(_))
        ));
        let absent = folder.path().join("absent/file");
        let failure = Output::create(&absent).unwrap_err();
        assert!(failure.to_string().contains("absent/file"), "{failure}");
    }
}
