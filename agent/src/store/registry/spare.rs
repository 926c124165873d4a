//! A second copy of the series' names, in the file `names` beside the databases.
//!
//! History without names can't be asked for, and sled passes over damage in silence. So each record of a series also
//! goes into this plain file, and what `core` lacks after a start is found here: that is how a loss is noticed, and
//! mended. It is written after `core`, and before series are forgotten there, so that it never names too many.
//! Records check themselves; torn and damaged ones are passed over, and the file is written anew at the next start.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::record::{self, Record};
use super::{Carved, SERIES_MAX, StoredSeries, carve};
use crate::store::StoreError;
use crate::store::folder::{at, write_whole};

/// Name of the file in the data folder.
pub const FILE: &str = "names";
/// Records in it, with those of forgotten series, before it is written anew.
const RECORDS_MAX: usize = 2 * SERIES_MAX;

/// What the file holds.
pub fn read(path: &Path) -> Result<Carved, StoreError> {
    let mut carved = Carved::default();
    match fs::read(path) {
        Ok(bytes) => carve(&bytes, &mut carved),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(at(path)(error)),
    }
    Ok(carved)
}

/// The file, and what is in it.
#[derive(Debug)]
pub(super) struct Spare {
    path: PathBuf,
    held: BTreeSet<u32>,
    records: usize,
    is_behind: bool,
}

impl Spare {
    /// Knows nothing of the file yet: the first [`Spare::keep`] writes all of it.
    pub(super) const fn new(path: PathBuf) -> Self {
        Self {
            path,
            held: BTreeSet::new(),
            records: usize::MAX,
            is_behind: false,
        }
    }

    /// Whether it could not be written last time.
    pub(super) const fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Adds the series that the file lacks, and from time to time leaves out those that are forgotten.
    pub(super) fn keep(&mut self, all: &[Arc<StoredSeries>], next: u32) {
        let was_behind = std::mem::replace(&mut self.is_behind, false);
        if let Err(error) = self.write(all, next) {
            self.is_behind = true;
            if !was_behind {
                tracing::warn!("the second copy of the series' names is not up to date: {error}");
            }
        }
    }

    fn write(&mut self, all: &[Arc<StoredSeries>], next: u32) -> Result<(), StoreError> {
        let lacking = all.iter().filter(|series| !self.held.contains(&series.id));
        let lacking: Vec<_> = lacking.collect();
        let has_too_many = self.held.len() + lacking.len() > all.len();
        if has_too_many || self.records.saturating_add(lacking.len()) > RECORDS_MAX {
            write_whole(&self.path, &bytes(all.iter(), next))?;
            self.held = all.iter().map(|series| series.id).collect();
            self.records = all.len();
        } else if !lacking.is_empty() {
            self.append(&bytes(lacking.iter().copied(), next))
                .map_err(at(&self.path))?;
            self.held.extend(lacking.iter().map(|series| series.id));
            self.records += lacking.len();
        }
        Ok(())
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).open(&self.path)?;
        file.write_all(bytes)?;
        file.sync_data()
    }
}

fn bytes<'a>(series: impl Iterator<Item = &'a Arc<StoredSeries>>, next: u32) -> Vec<u8> {
    let mut bytes = record::encode(&Record::Next(next));
    for series in series {
        bytes.extend(record::encode_series(series));
    }
    bytes
}
