//! The whole store without threads or clocks: whoever holds it says what time it is.
//!
//! Samples go into the head ([`Engine::push`], memory only). [`Engine::maintain`], about once a second, writes what is
//! due and does one bounded step of what can wait: sealing an hour that is over, rollups, retention. Each step can be
//! cut off by a kill and is taken up by the next run. Answers are in [`super::query`].

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::core;
use super::derive;
use super::folder::{self, Folder};
use super::generation::Generations;
use super::head::{Head, Pushed};
use super::registry::Registry;
use super::space::{self, Disk};
use super::status::Status;
use super::upkeep::Upkeep;
use super::{Config, HOUR_MS, Level, StoreError};
use crate::kv::Kv;

/// How much a kill may cost.
const FLUSH_MS: i64 = 10_000;
/// How long samples stay in memory: the length of a run.
const RUN_MS: i64 = 5 * 60_000;
/// A run is cut this long after its end, when the collects of its last tick are in.
const RUN_SETTLE_MS: i64 = 2_000;
/// A clock that goes back by more than this was stepped.
const BACK_MS: i64 = 1_000;
/// How often sizes are looked at: a walk over some dozens of files.
const SIZES_MS: i64 = 10_000;

/// See the module. Shared by reference between threads; one of them writes.
#[derive(Debug)]
pub struct Engine {
    /// Settings, series, alert states.
    pub core: Arc<Kv>,
    /// Stored series.
    pub registry: Registry,
    /// What is not sealed yet.
    pub head: Head,
    /// Sealed levels, by [`Level`].
    pub levels: [Generations; 3],
    pub(super) config: Config,
    work: Mutex<Work>,
    status: Mutex<Status>,
    seen: Mutex<Seen>,
    samples: AtomicU64,
    dropped: AtomicU64,
    /// Dropped last: the folder is ours as long as anything in it is open.
    pub(super) folder: Folder,
}

/// When what was done, in wall time.
#[derive(Debug)]
struct Work {
    last_ms: i64,
    flushed_ms: i64,
    cut_ms: i64,
    sizes_ms: i64,
    /// The clock went back over samples that are in memory.
    has_future: bool,
    /// Why names of new series are not on the disk.
    unnamed: Option<String>,
    /// What the opening found, and what was lost since, until somebody asks.
    losses: Vec<String>,
    upkeep: Upkeep,
}

/// Which series had samples since the registry was told: a bit a series.
#[derive(Debug, Default)]
struct Seen(Vec<u64>);

impl Seen {
    fn add(&mut self, series: u32) {
        let (word, bit) = (series as usize / 64, series % 64);
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << bit;
    }

    fn take(&mut self) -> Vec<u32> {
        let mut all = Vec::new();
        for (number, word) in (0_u32..).zip(&mut self.0) {
            let mut left = std::mem::take(word);
            while left != 0 {
                all.push(number * 64 + left.trailing_zeros());
                left &= left - 1;
            }
        }
        all
    }
}

impl Engine {
    /// Takes the folder (one owner at a time), checks its schema, repairs what is damaged, replays the head.
    pub fn open(root: &Path, config: Config, now_ms: i64) -> Result<Self, StoreError> {
        let folder = Folder::take(root)?;
        let mut losses = folder.notes().to_vec();
        let (head, replayed) = Head::open(&root.join("head"))?;
        losses.extend(replayed.losses);
        let levels = [
            Generations::open(root, Level::Raw)?,
            Generations::open(root, Level::Minute)?,
            Generations::open(root, Level::Hour)?,
        ];
        let core = core::open(root, &head, &levels)?;
        losses.extend(core.losses);
        tell_of_sealed(&head, &levels[Level::Raw as usize], now_ms)?;
        let upkeep = Upkeep::new(&levels);
        let engine = Self {
            core: core.kv,
            registry: core.registry,
            head,
            levels,
            config,
            work: Mutex::new(Work {
                last_ms: now_ms,
                flushed_ms: i64::MIN,
                cut_ms: i64::MIN,
                sizes_ms: now_ms,
                has_future: false,
                unnamed: None,
                losses,
                upkeep,
            }),
            status: Mutex::default(),
            seen: Mutex::default(),
            samples: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            folder,
        };
        engine.measure();
        lock(&engine.status).losses = lock(&engine.work).losses.len() as u64;
        Ok(engine)
    }

    /// The generations of a level.
    pub fn level(&self, level: Level) -> &Generations {
        &self.levels[level as usize]
    }

    /// Takes the samples of one collector's tick: `(store series, value)`. No input/output.
    pub fn push(&self, collector: u32, at_ms: i64, samples: &[(u32, f64)]) -> Pushed {
        let pushed = self.head.push(collector, at_ms, samples);
        let mut seen = lock(&self.seen);
        for &(series, _) in samples {
            seen.add(series);
        }
        drop(seen);
        self.samples
            .fetch_add(pushed.taken as u64, Ordering::Relaxed);
        self.lose(pushed.dropped);
        pushed
    }

    /// Counts samples that could not be taken.
    pub fn lose(&self, samples: usize) {
        self.dropped.fetch_add(samples as u64, Ordering::Relaxed);
    }

    /// Does what is due: flush, run, a step of sealing, of rollups, of retention. Blocks on the disk; called about
    /// once a second.
    pub fn maintain(&self, now_ms: i64) -> Result<(), StoreError> {
        let mut work = lock(&self.work);
        let work = &mut *work;
        if now_ms < work.last_ms - BACK_MS {
            work.stepped_back(now_ms);
        }
        let elapsed_ms = now_ms - work.last_ms;
        work.last_ms = now_ms;
        let written = self.write(work, now_ms);
        let disk = self.disk(&written);
        let kept = match &disk {
            Disk::Paused(_) => Ok(()),
            disk => work.upkeep.step(self, disk, now_ms, elapsed_ms),
        };
        let known = work.losses.len();
        for level in &self.levels {
            work.losses.extend(level.take_losses());
        }
        work.losses.extend(work.upkeep.take_losses());
        let losses = (work.losses.len() - known) as u64;
        work.losses.extend(work.upkeep.take_notices());
        let unnamed = work.unnamed.as_ref();
        let unnamed = unnamed.map(|error| format!("names of new series can't be written: {error}"));
        let problem = unnamed.or_else(|| kept.as_ref().err().map(ToString::to_string));
        let mut status = lock(&self.status);
        status.disk = disk;
        status.error = problem;
        status.backlog = work.upkeep.backlog;
        status.losses += losses;
        drop(status);
        if now_ms.saturating_sub(work.sizes_ms) >= SIZES_MS {
            work.sizes_ms = now_ms;
            self.measure();
            if work.upkeep.has_seen_all() {
                self.count();
            }
        }
        written.and(kept)
    }

    /// The head's part: what was pushed, on disk; what is old enough, in runs.
    fn write(&self, work: &mut Work, now_ms: i64) -> Result<(), StoreError> {
        let is_due = now_ms.saturating_sub(work.flushed_ms) >= FLUSH_MS;
        if is_due || work.unnamed.is_some() {
            // The names first: nobody can ask for samples of a series without one. But if they can't be written, all
            // other samples still can.
            work.unnamed = self.persist(now_ms).err().map(|error| error.to_string());
        }
        if is_due {
            self.head.flush()?;
            work.flushed_ms = now_ms;
        }
        if work.has_future {
            // It would stay in memory until its time comes again.
            self.head.cut(i64::MAX)?;
            work.has_future = false;
        }
        let boundary_ms = (now_ms - RUN_SETTLE_MS).div_euclid(RUN_MS) * RUN_MS;
        if boundary_ms > work.cut_ms {
            self.head.cut(boundary_ms)?;
            work.cut_ms = boundary_ms;
        }
        Ok(())
    }

    fn persist(&self, now_ms: i64) -> Result<(), StoreError> {
        const DAY_MS: i64 = 86_400_000;
        let seen = lock(&self.seen).take();
        let day = u32::try_from(now_ms.div_euclid(DAY_MS)).unwrap_or(0);
        let outcome = self.registry.persist(&seen, day);
        if outcome.is_err() {
            let mut again = lock(&self.seen);
            for series in seen {
                again.add(series);
            }
        }
        outcome
    }

    fn disk(&self, written: &Result<(), StoreError>) -> Disk {
        match (written, self.folder.space()) {
            (Err(error), _) => Disk::Paused(error.to_string()),
            (Ok(()), Ok(space)) => space::judge(space),
            (Ok(()), Err(_)) => Disk::Ok,
        }
    }

    fn measure(&self) {
        let root = self.folder.root();
        let level_bytes = self.levels.each_ref().map(|level| {
            let starts = level.starts();
            starts.iter().map(|&start| level.disk_bytes(start)).sum()
        });
        let head_bytes = folder::disk_bytes(&root.join("head"));
        let total_bytes = folder::disk_bytes(root);
        let series = self.registry.len();
        let mut status = lock(&self.status);
        status.level_bytes = level_bytes;
        status.head_bytes = head_bytes;
        status.total_bytes = total_bytes;
        status.series = series;
    }

    /// Counts the samples of the whole raw blocks, which opens generations that were not looked at yet.
    fn count(&self) {
        let raw = self.level(Level::Raw);
        let Ok(blocks) = derive::all_blocks(raw) else {
            return;
        };
        let markers = blocks.into_iter().map(|block| raw.marker(block));
        lock(&self.status).sealed_samples =
            markers.flatten().flatten().map(|one| one.samples).sum();
    }

    /// What there is to say about the store. No input/output.
    pub fn status(&self) -> Status {
        let mut status = lock(&self.status).clone();
        status.samples = self.samples.load(Ordering::Relaxed);
        status.dropped = self.dropped.load(Ordering::Relaxed) + self.head.lost();
        status.memory_bytes = self.head.sizes().1;
        status
    }

    /// What was lost or repaired since the last call, for the log.
    pub fn take_losses(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.work).losses)
    }

    /// Writes and syncs everything.
    pub fn stop(&self) -> Result<(), StoreError> {
        let mut work = lock(&self.work);
        work.upkeep.let_go();
        let persisted = self.persist(work.last_ms);
        let flushed = self.head.flush();
        let core = self.core.flush();
        for level in &self.levels {
            level.close_idle(true);
        }
        persisted.and(flushed).and(core.map_err(StoreError::from))
    }
}

/// Tells the head what is sealed at or after the present: a clock that is behind that begins a new epoch.
fn tell_of_sealed(head: &Head, raw: &Generations, now_ms: i64) -> Result<(), StoreError> {
    let span_ms = Level::Raw.generation_ms();
    for start_ms in raw.starts() {
        if start_ms + span_ms > now_ms {
            for block in raw.blocks(start_ms, start_ms + span_ms)? {
                head.saw(block.epoch, block.start_ms + HOUR_MS - 1);
            }
        }
    }
    Ok(())
}

impl Work {
    /// Nothing that was done in a future that did not come counts as done.
    fn stepped_back(&mut self, now_ms: i64) {
        self.has_future = true;
        self.flushed_ms = self.flushed_ms.min(now_ms);
        self.cut_ms = self.cut_ms.min(now_ms);
        self.sizes_ms = self.sizes_ms.min(now_ms);
        self.upkeep.stepped_back(now_ms);
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
