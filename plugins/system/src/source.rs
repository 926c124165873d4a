//! Reads the kernel's files: each kept open and read again from its start, all through one buffer.
//!
//! Opening a file of `/proc` costs several times what reading it does, and this happens each second.
//! What the bytes mean is `parse.rs`'s affair.

use std::{fs::File, io, os::unix::fs::FileExt, path::PathBuf, str};

/// One file of the kernel, open while it can be read.
#[derive(Debug)]
pub(crate) struct KernelFile {
    path: PathBuf,
    file: Option<File>,
}

/// What one file may hold at most; `/proc/stat` of a machine with 512 CPUs has about 80 kB.
const FILE_BYTES_MAX: usize = 4 << 20;
const READ_BYTES: usize = 16 << 10;

impl KernelFile {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            file: None,
        }
    }

    /// Reads the file from its start into `buffer`.
    pub(crate) fn read<'b>(&mut self, buffer: &'b mut Vec<u8>) -> io::Result<&'b str> {
        match self.fill(buffer) {
            Ok(bytes) => str::from_utf8(&buffer[..bytes]).map_err(|_| self.error("is not text")),
            Err(error) => {
                // The next read opens it anew: a controller or device may come back as another file.
                self.file = None;
                Err(io::Error::new(
                    error.kind(),
                    format!("{}: {error}", self.path.display()),
                ))
            }
        }
    }

    fn fill(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(File::open(&self.path)?),
        };
        let mut filled = 0;
        loop {
            if buffer.len() < filled + READ_BYTES {
                buffer.resize(filled + READ_BYTES, 0);
            }
            match file.read_at(&mut buffer[filled..], filled as u64) {
                Ok(0) => return Ok(filled),
                Ok(bytes) => filled += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if filled > FILE_BYTES_MAX {
                return Err(io::Error::other(
                    "is longer than a file of the kernel should be",
                ));
            }
        }
    }

    fn error(&self, what: &str) -> io::Error {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{} {what}", self.path.display()),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_read_anew_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut buffer = Vec::new();
        fs::write(&path, "a long first text").unwrap();
        let mut file = KernelFile::new(&path);
        assert_eq!(file.read(&mut buffer).unwrap(), "a long first text");
        fs::write(&path, "short").unwrap();
        assert_eq!(file.read(&mut buffer).unwrap(), "short");
    }

    #[test]
    fn a_file_longer_than_one_read_is_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let text = "0123456789".repeat(READ_BYTES);
        fs::write(&path, &text).unwrap();
        assert_eq!(KernelFile::new(&path).read(&mut Vec::new()).unwrap(), text);
    }

    #[test]
    fn an_error_names_the_file_and_the_next_read_tries_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut file = KernelFile::new(&path);
        let error = file.read(&mut Vec::new()).unwrap_err();
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
        fs::write(&path, "now").unwrap();
        assert_eq!(file.read(&mut Vec::new()).unwrap(), "now");
        fs::write(&path, b"\xff\xfe").unwrap();
        assert_eq!(
            file.read(&mut Vec::new()).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }
}
