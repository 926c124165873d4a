//! The head: what is not sealed yet. One append file for each hour of an epoch, and the last minutes in memory.
//!
//! `head/START-EPOCH` (start in Unix seconds) is a sequence of records, framed as in [`super::record`]. A W record is
//! one flush: everything pushed since the last one. An R record is a run: all samples before a moment that were in
//! memory, as groups of chunks; it stands for the W records before it, and its samples leave memory. A record is
//! there as a whole or not at all, so a kill loses what was pushed since the last flush and nothing else.
//!
//! Memory holds samples since the last run and, for each run, where its groups are; older parts of an hour are read
//! from the file. Locks are short: chunks are encoded and the disk is used without them, except that the body of
//! a W record is encoded under a read lock. One thread pushes, flushes, cuts and removes; any number reads.

mod file;
mod replay;
mod run;
mod table;
mod write;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::chunk::Samples;
use super::folder::at;
use super::{HOUR_MS, StoreError};
use file::HeadFile;
use run::Run;
use table::Table;

/// Series that are read under one lock and with one pass over the runs.
const READ_SERIES: usize = 64;
/// What memory holds of samples that the disk does not take, before the newest one: the oldest go.
const WAITING_MS_MAX: i64 = 600_000;
/// Ticks that wait for a flush before it is looked for what is too old: a flush is due every ten or so, and by
/// their number a step of the clock is told from a writer that is stuck.
const UNFLUSHED_TICKS_MAX: usize = 900;
/// Epochs for which it is remembered up to which hour they are closed.
const CLOSED_EPOCHS_MAX: usize = 64;

/// An hour of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour {
    /// Its start, Unix milliseconds.
    pub start_ms: i64,
    /// The epoch of the wall clock: one more after each backward step.
    pub epoch: u16,
}

/// What a replay found.
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    /// For the log and `/healthz`: what was damaged, and what was lost with it.
    pub losses: Vec<String>,
}

/// What became of pushed samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Samples that were taken.
    pub taken: usize,
    /// Samples that came too late for their hour, or that the paused head had no room for.
    pub dropped: usize,
}

/// See the module. Shared by reference between threads; one of them writes.
#[derive(Debug)]
pub struct Head {
    folder: PathBuf,
    state: RwLock<State>,
    /// Held by what removes samples from memory and by what writes files.
    writing: Mutex<()>,
    /// Samples that never reached the disk because it took nothing for too long.
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    hours: BTreeMap<Hour, Held>,
    /// For each collector of this process its epoch and its last stamp.
    collectors: HashMap<u32, (u16, i64)>,
    /// The newest epoch.
    epoch: u16,
    /// The last stamp in it that an earlier process wrote.
    floor_ms: i64,
    /// For each epoch the start of the last hour that takes nothing more.
    closed: BTreeMap<u16, i64>,
}

/// An hour that is held.
#[derive(Debug, Default)]
struct Held {
    /// Made by the first flush or run.
    file: Option<HeadFile>,
    runs: Arc<Vec<Arc<Run>>>,
    tables: Vec<Table>,
}

impl Head {
    /// Opens the folder `head`, replaying what is there.
    pub fn open(folder: &Path) -> Result<(Self, Replayed), StoreError> {
        fs::create_dir_all(folder).map_err(at(folder))?;
        let mut state = State {
            floor_ms: i64::MIN,
            ..State::default()
        };
        let mut losses = Vec::new();
        for entry in fs::read_dir(folder).map_err(at(folder))? {
            let entry = entry.map_err(at(folder))?;
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            let Some(hour) = entry
                .file_name()
                .to_str()
                .and_then(Hour::parse)
                .filter(|_| is_file)
            else {
                continue;
            };
            let file = match HeadFile::open(&entry.path()) {
                Ok(file) => file,
                Err(error) => {
                    losses.push(at(&entry.path())(error).to_string());
                    continue;
                }
            };
            let contents = replay::replay(&file, hour);
            if let Some(last) = contents.last {
                state.saw(hour.epoch, hour.start_ms + i64::from(last));
            }
            losses.extend(contents.losses);
            let tables = contents.tables.into_iter().map(Table::replayed);
            let held = Held {
                file: Some(file),
                runs: Arc::new(contents.runs),
                tables: tables.collect(),
            };
            state.hours.insert(hour, held);
        }
        let head = Self {
            folder: folder.to_owned(),
            state: RwLock::new(state),
            writing: Mutex::default(),
            lost: AtomicU64::new(0),
        };
        Ok((head, Replayed { losses }))
    }

    /// Tells of a sample that is sealed: a first stamp at or before that of the newest epoch begins a new epoch.
    pub fn saw(&self, epoch: u16, last_ms: i64) {
        self.write().saw(epoch, last_ms);
    }

    /// Takes the samples of one collector's tick: `(store series, value)`. No input/output.
    pub fn push(&self, collector: u32, at_ms: i64, samples: &[(u32, f64)]) -> Pushed {
        let mut state = self.write();
        let (taken, is_behind) = state.push(collector, at_ms, samples);
        // Unless somebody is writing just now, nobody has for long; the next push may find out more.
        if is_behind && let Ok(_writing) = self.writing.try_lock() {
            let lost = state.drop_oldest(at_ms);
            self.lost.fetch_add(lost as u64, Ordering::Relaxed);
        }
        Pushed {
            taken,
            dropped: samples.len() - taken,
        }
    }

    /// All hours that are held, oldest first.
    pub fn hours(&self) -> Vec<Hour> {
        self.state().hours.keys().copied().collect()
    }

    /// The series of an hour, ascending.
    pub fn series(&self, hour: Hour) -> Result<Vec<u32>, StoreError> {
        let state = self.state();
        let Some(held) = state.hours.get(&hour) else {
            return Ok(Vec::new());
        };
        let mut series = Vec::new();
        let mut last: Option<&Arc<[u32]>> = None;
        for run in held.runs.iter() {
            // Runs share one list as long as no series comes or goes.
            if last.is_none_or(|last| !Arc::ptr_eq(last, &run.series)) {
                series.extend_from_slice(&run.series);
            }
            last = Some(&run.series);
        }
        for table in &held.tables {
            table.series_before(u32::MAX, &mut series);
        }
        drop(state);
        series.sort_unstable();
        series.dedup();
        Ok(series)
    }

    /// Appends the samples of some series (ascending) in an hour, runs and memory together. `visit` is called once
    /// for each of them that has any.
    pub fn read(
        &self,
        hour: Hour,
        series: &[u32],
        visit: &mut dyn FnMut(u32, &Samples),
    ) -> Result<(), StoreError> {
        for part in series.chunks(READ_SERIES) {
            let mut wanted: Vec<(u32, Samples)> =
                part.iter().map(|&id| (id, Samples::default())).collect();
            let mut recent = wanted.clone();
            let Some((file, runs)) = self.snapshot(hour, &mut recent) else {
                return Ok(());
            };
            if let Some(file) = file {
                for run in runs.iter() {
                    run.read(&file, &mut wanted, &mut |what| {
                        tracing::error!(file = %file.path().display(), "history was lost: {what}");
                    });
                }
            }
            for ((id, mut samples), (_, recent)) in wanted.into_iter().zip(recent) {
                samples.times_ms.extend(recent.times_ms);
                samples.values.extend(recent.values);
                put_in_order(&mut samples);
                if !samples.times_ms.is_empty() {
                    visit(id, &samples);
                }
            }
        }
        Ok(())
    }

    /// What an hour has at one moment: its runs, and the samples of some series that are in memory.
    #[expect(clippy::type_complexity, reason = "named, it would be harder to read")]
    fn snapshot(
        &self,
        hour: Hour,
        recent: &mut [(u32, Samples)],
    ) -> Option<(Option<HeadFile>, Arc<Vec<Arc<Run>>>)> {
        let state = self.state();
        let held = state.hours.get(&hour)?;
        for (id, samples) in recent {
            held.read(*id, u32::MAX, hour, samples);
        }
        Some((held.file.clone(), Arc::clone(&held.runs)))
    }

    /// From now on samples for that hour, and for those before it in its epoch, are late.
    pub fn close(&self, hour: Hour) {
        self.write().close(hour);
    }

    /// Unlinks an hour's file: everything in it is sealed.
    pub fn remove(&self, hour: Hour) -> Result<(), StoreError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(hour);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(at(&path)(error)),
            _ => {}
        }
        let mut state = self.write();
        state.close(hour);
        state.hours.remove(&hour);
        Ok(())
    }

    /// The epoch that a collector writes in; the newest that exists for one that has not written yet.
    pub fn epoch(&self, collector: u32) -> u16 {
        let state = self.state();
        let known = state.collectors.get(&collector);
        known.map_or(state.epoch, |&(epoch, _)| epoch)
    }

    /// Bytes of the files, and of the samples in memory.
    pub fn sizes(&self) -> (u64, usize) {
        let state = self.state();
        let mut files = 0;
        let mut memory = 0;
        let mut lists = BTreeSet::new();
        for held in state.hours.values() {
            files += held.file.as_ref().map_or(0, HeadFile::len);
            memory += held.tables.iter().map(Table::bytes).sum::<usize>();
            for run in held.runs.iter() {
                memory += run.bytes();
                if lists.insert(run.series.as_ptr()) {
                    memory += size_of_val(&*run.series);
                }
            }
        }
        (files, memory)
    }

    /// Samples that never reached the disk because it took nothing for too long.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn path(&self, hour: Hour) -> PathBuf {
        let start_s = hour.start_ms.div_euclid(1_000);
        self.folder.join(format!("{start_s}-{}", hour.epoch))
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hour {
    fn parse(name: &str) -> Option<Self> {
        let (start_s, epoch) = name.rsplit_once('-')?;
        let hour = Self {
            start_ms: start_s.parse::<i64>().ok()?.checked_mul(1_000)?,
            epoch: epoch.parse().ok()?,
        };
        (hour.start_ms.rem_euclid(HOUR_MS) == 0).then_some(hour)
    }

    /// Milliseconds from its start, within it.
    fn offset(self, at_ms: i64) -> u32 {
        let offset = at_ms.saturating_sub(self.start_ms).clamp(0, HOUR_MS);
        u32::try_from(offset).unwrap_or(u32::MAX)
    }
}

impl State {
    fn saw(&mut self, epoch: u16, last_ms: i64) {
        if epoch > self.epoch {
            self.epoch = epoch;
            self.floor_ms = last_ms;
        } else if epoch == self.epoch {
            self.floor_ms = self.floor_ms.max(last_ms);
        }
    }

    /// Gives how many samples were taken, and whether so many wait to be written that the oldest must go.
    fn push(&mut self, collector: u32, at_ms: i64, samples: &[(u32, f64)]) -> (usize, bool) {
        if samples.is_empty() {
            return (0, false);
        }
        let newest = (self.epoch, self.floor_ms);
        let (mut epoch, last_ms) = *self.collectors.get(&collector).unwrap_or(&newest);
        if at_ms <= last_ms {
            // All collectors see the same step, and meet in the epoch that the first of them begins.
            epoch = epoch.saturating_add(1).max(self.epoch);
            if epoch > self.epoch {
                self.epoch = epoch;
                self.floor_ms = i64::MIN;
            }
        }
        self.collectors.insert(collector, (epoch, at_ms));
        let hour = Hour {
            start_ms: at_ms.div_euclid(HOUR_MS) * HOUR_MS,
            epoch,
        };
        let closed = self.closed.get(&epoch);
        if closed.is_some_and(|&last| hour.start_ms <= last) {
            return (0, false);
        }
        let tables = &mut self.hours.entry(hour).or_default().tables;
        let known = tables
            .iter()
            .position(|table| table.collector == Some(collector));
        let position = known.unwrap_or_else(|| {
            tables.push(Table::new(Some(collector)));
            tables.len() - 1
        });
        let table = &mut tables[position];
        let taken = table.push(hour.offset(at_ms), samples);
        let is_behind = table.unflushed() > UNFLUSHED_TICKS_MAX;
        (taken, is_behind)
    }

    /// Forgets what is in memory and too old at that time; gives how many samples of it were not on disk.
    /// Epochs are not told apart: one that is over is as old as the hours in it.
    fn drop_oldest(&mut self, at_ms: i64) -> usize {
        let before_ms = at_ms.saturating_sub(WAITING_MS_MAX);
        let hours = self.hours.iter_mut();
        hours
            .map(|(hour, held)| held.drop_before(hour.offset(before_ms)))
            .sum()
    }

    fn close(&mut self, hour: Hour) {
        let last = self.closed.entry(hour.epoch).or_insert(hour.start_ms);
        *last = hour.start_ms.max(*last);
        if self.closed.len() > CLOSED_EPOCHS_MAX {
            self.closed.pop_first();
        }
    }
}

impl Held {
    /// Appends a series' samples in memory before that time.
    fn read(&self, series: u32, before: u32, hour: Hour, samples: &mut Samples) {
        let (times, values) = (&mut samples.times_ms, &mut samples.values);
        for table in &self.tables {
            table.read(series, before, hour.start_ms, times, values);
        }
    }
}

/// Samples of a series come in order, unless damage made a replay read some again: then a time stands once.
fn put_in_order(samples: &mut Samples) {
    if samples.times_ms.windows(2).all(|pair| pair[0] < pair[1]) {
        return;
    }
    let times = samples.times_ms.iter().copied();
    let mut pairs: Vec<(i64, f64)> = times.zip(samples.values.iter().copied()).collect();
    pairs.sort_by_key(|&(at_ms, _)| at_ms);
    pairs.dedup_by_key(|(at_ms, _)| *at_ms);
    (samples.times_ms, samples.values) = pairs.into_iter().unzip();
}

#[cfg(test)]
mod tests;
