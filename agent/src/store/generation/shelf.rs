//! Which generations of a level there are, which are open, and the care for damaged ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::folder::at;
use super::super::recover::{self, Outcome, Place};
use super::super::{Level, StoreError};
use super::opened::Opened;
use super::sealed::Sealed;
use super::{Block, READ_BYTES_MAX, WRITTEN_BYTES_MAX, check, salvage};
use crate::kv::{Kv, KvError};

/// End of the name of a generation that is being removed; what an interruption left is removed at the next start.
pub(super) const REMOVED: &str = "removed";

#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) level: Level,
    folder: PathBuf,
    quarantine: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) generations: BTreeMap<i64, Generation>,
    /// Counts the uses of all of them.
    pub(super) uses: u64,
    /// `uses` at the last `close_idle`.
    pub(super) idle_since: u64,
    pub(super) losses: Vec<String>,
}

#[derive(Debug, Default)]
pub(super) struct Generation {
    opened: Option<Arc<Opened>>,
    /// Its blocks that are whole; `None` before they were first asked for.
    sealed: Option<Sealed>,
    /// Its blocks that have groups but are not whole, as far as they are known.
    pub(super) partial: BTreeSet<Block>,
    /// Whether its content was compared with `sealed` since this process started.
    pub(super) is_checked: bool,
    /// `State::uses` at its last use.
    pub(super) used: u64,
}

impl Shelf {
    /// Lists the folders of a level; opens none.
    pub(super) fn list(root: &Path, level: Level) -> Result<Self, StoreError> {
        let folder = root.join(level.folder());
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        let mut generations = BTreeMap::new();
        for entry in fs::read_dir(&folder).map_err(at(&folder))? {
            let path = entry.map_err(at(&folder))?.path();
            if path.extension().is_some_and(|end| end == REMOVED) {
                fs::remove_dir_all(&path).map_err(at(&path))?;
            } else if let Some(start_ms) = start_of(&path, level) {
                generations.insert(start_ms, Generation::default());
            }
        }
        Ok(Self {
            level,
            folder,
            quarantine: root.join("quarantine"),
            state: Mutex::new(State {
                generations,
                ..State::default()
            }),
        })
    }

    /// Runs `work` on an open generation; `None` if there is no such generation. Damage that shows itself only now
    /// is repaired, and `work` runs once more on what was salvaged.
    pub(super) fn with<T>(
        &self,
        start_ms: i64,
        work: &mut dyn FnMut(&Opened) -> Result<T, KvError>,
    ) -> Result<Option<T>, StoreError> {
        let Some(opened) = self.acquire(start_ms)? else {
            return Ok(None);
        };
        let outcome = work(&opened);
        drop(opened);
        let outcome = match outcome {
            Err(KvError::Damaged { .. }) => {
                self.doubt(start_ms);
                match self.acquire(start_ms)? {
                    Some(opened) => work(&opened),
                    // It was removed while it was read.
                    None => return Ok(None),
                }
            }
            outcome => outcome,
        };
        self.trim();
        Ok(Some(outcome?))
    }

    /// Makes sure that what is known of a generation's blocks is right.
    pub(super) fn checked(&self, start_ms: i64) -> Result<(), StoreError> {
        let known = self
            .state()
            .generations
            .get(&start_ms)
            .map(|one| one.is_checked);
        if known == Some(false) {
            self.with(start_ms, &mut |_| Ok(()))?;
        }
        Ok(())
    }

    /// The open generation, opened (and the first time checked) if need be.
    fn acquire(&self, start_ms: i64) -> Result<Option<Arc<Opened>>, StoreError> {
        let mut state = self.state();
        let State {
            generations,
            uses,
            losses,
            ..
        } = &mut *state;
        let Some(generation) = generations.get_mut(&start_ms) else {
            return Ok(None);
        };
        *uses += 1;
        generation.used = *uses;
        if let Some(opened) = &generation.opened {
            return Ok(Some(Arc::clone(opened)));
        }
        let folder = self.path(start_ms);
        if !generation.is_checked {
            self.look_after(start_ms, generation, losses)?;
        }
        let kv = match Kv::open(&folder) {
            // It was sound when it was checked, and is not any more.
            Err(KvError::Damaged { .. }) => {
                self.look_after(start_ms, generation, losses)?;
                Kv::open(&folder)?
            }
            opened => opened?,
        };
        let opened = Arc::new(Opened::new(kv));
        generation.opened = Some(Arc::clone(&opened));
        Ok(Some(opened))
    }

    /// Checks a closed generation against its list, and repairs it if need be.
    fn look_after(
        &self,
        start_ms: i64,
        generation: &mut Generation,
        losses: &mut Vec<String>,
    ) -> Result<(), StoreError> {
        let folder = self.path(start_ms);
        let name = format!("{}-{}", self.level.folder(), start_ms / 1_000);
        generation.sealed(&folder)?;
        let Generation {
            sealed: Some(sealed),
            partial,
            is_checked,
            ..
        } = generation
        else {
            return Ok(());
        };
        let mut found = check::Content::default();
        let place = Place {
            folder: &folder,
            quarantine: &self.quarantine,
            name: &name,
        };
        let outcome = recover::climb(place, &mut || {
            check::check(&folder, sealed).map(|content| found = content)
        })?;
        match outcome {
            Outcome::Sound => {}
            Outcome::Repaired { why } => {
                losses.push(format!(
                    "repaired {}, nothing is lost: {why}",
                    folder.display()
                ));
            }
            Outcome::Quarantined { why, remains } => {
                let salvaged = salvage::salvage(self.level, start_ms, &folder, &remains, sealed)?;
                losses.push(format!(
                    "{} was damaged ({why}): {} groups were saved",
                    folder.display(),
                    salvaged.groups
                ));
                if salvaged.losses.is_empty() {
                    // There is nothing more to be had from it.
                    fs::remove_dir_all(&remains).map_err(at(&remains))?;
                } else {
                    losses.extend(salvaged.losses);
                    losses.push(format!("what is left of it is in {}", remains.display()));
                }
                *partial = salvaged.partial;
                *is_checked = true;
                return Ok(());
            }
        }
        *partial = found.partial;
        sealed.complete(&found.markers)?;
        *is_checked = true;
        Ok(())
    }

    /// Closes a generation for good, so that the next use checks it.
    fn doubt(&self, start_ms: i64) {
        let mut state = self.state();
        if let Some(generation) = state.generations.get_mut(&start_ms) {
            generation.opened = None;
            generation.is_checked = false;
        }
    }

    /// Makes the folder of a generation that there is none of yet.
    pub(super) fn create(&self, start_ms: i64) -> Result<(), StoreError> {
        let mut state = self.state();
        if !state.generations.contains_key(&start_ms) {
            let folder = self.path(start_ms);
            fs::create_dir_all(&folder).map_err(at(&folder))?;
            // Blocks come in the order of time, so what was written to so far is done.
            state.generations.values_mut().for_each(Generation::close);
            let generation = Generation {
                is_checked: true,
                ..Generation::default()
            };
            state.generations.insert(start_ms, generation);
        }
        Ok(())
    }

    /// Closes generations that nobody is reading: those that were written much to, and the least recently used until
    /// the others have read little enough.
    fn trim(&self) {
        let mut state = self.state();
        for generation in state.generations.values_mut() {
            if generation.written() > WRITTEN_BYTES_MAX {
                generation.close();
            }
        }
        loop {
            let fetched = state.generations.values().filter_map(Generation::fetched);
            if fetched.sum::<u64>() <= READ_BYTES_MAX {
                return;
            }
            let oldest = state
                .generations
                .values_mut()
                .filter(|one| one.is_idle() && one.fetched() > Some(0))
                .min_by_key(|one| one.used);
            match oldest {
                Some(generation) => generation.close(),
                None => return,
            }
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn start_of(&self, block: Block) -> i64 {
        let length = self.level.generation_ms();
        block.start_ms.div_euclid(length) * length
    }

    pub(super) fn path(&self, start_ms: i64) -> PathBuf {
        self.folder.join((start_ms / 1_000).to_string())
    }
}

impl State {
    /// Starts in `(after_ms, before_ms)`.
    pub(super) fn within(&self, after_ms: i64, before_ms: i64) -> Vec<i64> {
        let starts = self.generations.keys().copied();
        starts
            .filter(|start_ms| (after_ms + 1..before_ms).contains(start_ms))
            .collect()
    }
}

impl Generation {
    pub(super) fn sealed(&mut self, folder: &Path) -> Result<&mut Sealed, StoreError> {
        let sealed = match self.sealed.take() {
            Some(sealed) => sealed,
            None => Sealed::open(folder)?,
        };
        Ok(self.sealed.insert(sealed))
    }

    /// About how many bytes it has in memory; `None` for a closed one.
    pub(super) fn fetched(&self) -> Option<u64> {
        self.opened.as_ref().map(|opened| opened.fetched())
    }

    /// About how many bytes were written to it since it was opened.
    pub(super) fn written(&self) -> u64 {
        self.opened.as_ref().map_or(0, |opened| opened.written())
    }

    /// Whether it is open and nobody is reading it.
    fn is_idle(&self) -> bool {
        self.opened
            .as_ref()
            .is_some_and(|opened| Arc::strong_count(opened) == 1)
    }

    /// Closes it unless somebody is reading it: it could not be opened again before he is done.
    pub(super) fn close(&mut self) {
        if self.is_idle() {
            self.opened = None;
        }
    }
}

/// The start that a folder's name says; `None` for names that are none.
fn start_of(path: &Path, level: Level) -> Option<i64> {
    let seconds: i64 = path.file_name()?.to_str()?.parse().ok()?;
    let start_ms = seconds.checked_mul(1_000)?;
    (path.is_dir() && start_ms.rem_euclid(level.generation_ms()) == 0).then_some(start_ms)
}
