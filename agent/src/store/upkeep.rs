//! What can wait: sealing, rollups, a look at each generation after a start, retention. A call does one bounded step of
//! one of them.
//!
//! Owned by the engine, which says when. It holds what is on its way and when to try again; a failure throws away what
//! was on its way, because what was written of it is found again. Sealing comes first, since the head's files are the
//! dearest form of history.

use super::derive::{self, Deriving};
use super::engine::Engine;
use super::folder;
use super::generation::Generations;
use super::head::Hour;
use super::retention::{self, Reason, Stock};
use super::seal::Sealing;
use super::space::Disk;
use super::{HOUR_MS, Level, StoreError, period, seal};
use crate::words;

/// An hour takes samples for this long after its end: collects that hang, clocks that are adjusted.
const CLOSE_AFTER_MS: i64 = 60_000;
/// Samples that a call seals: some 10 ms. 2,000 series at one second take four minutes of an hour.
const SEAL_SAMPLES: usize = 32_768;
/// Samples that a call folds into rollups: decoding is a tenth of encoding.
const DERIVE_SAMPLES: usize = 131_072;
/// A caller that calls less often gets more done at a call, up to this many times as much.
const FACTOR_MAX: usize = 10;
/// After a failure.
const RETRY_MS: i64 = 10_000;
/// Time and bytes change slowly.
const RETENTION_MS: i64 = 60_000;
/// After a start each generation is opened once, which compares it with what it should hold; one at a time.
const LOOK_MS: i64 = 2_000;
/// Rollups become due four times a day.
const DUE_MS: i64 = 10_000;

/// See the module.
#[derive(Debug)]
pub(super) struct Upkeep {
    sealing: Option<Sealing>,
    deriving: Option<Deriving>,
    /// Generations that were not looked at since the start; the next one last.
    unseen: Vec<(Level, i64)>,
    looked_ms: i64,
    due_ms: i64,
    retained_ms: i64,
    /// Nothing is sealed or derived before this.
    retry_ms: i64,
    /// It was said that `disk_max` is too small.
    is_excess_told: bool,
    /// Hours that are over and not sealed.
    pub(super) backlog: usize,
    losses: Vec<String>,
    notices: Vec<String>,
}

impl Upkeep {
    pub(super) fn new(levels: &[Generations; 3]) -> Self {
        let mut unseen = Vec::new();
        // From the past to the present and from coarse to fine: the last is the first to be looked at.
        for generations in levels.iter().rev() {
            let level = generations.level();
            unseen.extend(generations.starts().into_iter().map(|at| (level, at)));
        }
        Self {
            sealing: None,
            deriving: None,
            unseen,
            looked_ms: i64::MIN,
            due_ms: i64::MIN,
            retained_ms: i64::MIN,
            retry_ms: i64::MIN,
            is_excess_told: false,
            backlog: 0,
            losses: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Gives up what is on its way.
    pub(super) fn let_go(&mut self) {
        self.sealing = None;
        self.deriving = None;
    }

    pub(super) fn stepped_back(&mut self, now_ms: i64) {
        self.looked_ms = self.looked_ms.min(now_ms);
        self.due_ms = self.due_ms.min(now_ms);
        self.retained_ms = self.retained_ms.min(now_ms);
        self.retry_ms = self.retry_ms.min(now_ms);
    }

    /// What was found lost since the last call.
    pub(super) fn take_losses(&mut self) -> Vec<String> {
        std::mem::take(&mut self.losses)
    }

    /// What else an operator should know, since the last call.
    pub(super) fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// Whether every generation was looked at since the start.
    pub(super) fn has_seen_all(&self) -> bool {
        self.unseen.is_empty()
    }

    /// Does some work.
    pub(super) fn step(
        &mut self,
        engine: &Engine,
        disk: &Disk,
        now_ms: i64,
        elapsed_ms: i64,
    ) -> Result<(), StoreError> {
        let held = engine.head.hours();
        let over = close(engine, &held, now_ms);
        self.backlog = over.len();
        let is_short = matches!(disk, Disk::Short { .. });
        let retained = if is_short || now_ms.saturating_sub(self.retained_ms) >= RETENTION_MS {
            self.retained_ms = now_ms;
            self.retain(engine, disk, now_ms)
        } else {
            Ok(())
        };
        if is_short || now_ms < self.retry_ms {
            return retained;
        }
        let worked = self.work(engine, &held, &over, now_ms, factor(elapsed_ms));
        if worked.is_err() {
            self.let_go();
            self.retry_ms = now_ms.saturating_add(RETRY_MS);
        }
        retained.and(worked)
    }

    fn work(
        &mut self,
        engine: &Engine,
        held: &[Hour],
        over: &[Hour],
        now_ms: i64,
        factor: usize,
    ) -> Result<(), StoreError> {
        if now_ms.saturating_sub(self.looked_ms) >= LOOK_MS
            && let Some((level, start_ms)) = self.unseen.pop()
        {
            self.looked_ms = now_ms;
            let end_ms = start_ms + level.generation_ms();
            engine.level(level).blocks(start_ms, end_ms)?;
            if self.unseen.is_empty() {
                self.losses.extend(derive::missing(&engine.levels)?);
            }
            return Ok(());
        }
        if self.sealing.is_some() || !over.is_empty() {
            return self.seal(engine, over, factor);
        }
        // To know what is due, every generation has to be looked at.
        if !self.unseen.is_empty() {
            return Ok(());
        }
        self.derive(engine, held, now_ms, factor)
    }

    fn seal(&mut self, engine: &Engine, over: &[Hour], factor: usize) -> Result<(), StoreError> {
        let (head, raw) = (&engine.head, engine.level(Level::Raw));
        let mut sealing = match (self.sealing.take(), over.first()) {
            (Some(sealing), _) => sealing,
            (None, Some(&hour)) if raw.marker(seal::block(hour))?.is_some() => {
                // A kill came between the block and the file.
                return head.remove(hour);
            }
            (None, Some(&hour)) => Sealing::open(head, raw, hour)?,
            (None, None) => return Ok(()),
        };
        if sealing.step(head, raw, SEAL_SAMPLES * factor)? {
            sealing.finish(head, raw)?;
            self.due_ms = i64::MIN;
            raw.close_idle(false);
        } else {
            self.sealing = Some(sealing);
        }
        Ok(())
    }

    fn derive(
        &mut self,
        engine: &Engine,
        held: &[Hour],
        now_ms: i64,
        factor: usize,
    ) -> Result<(), StoreError> {
        let levels = &engine.levels;
        let mut deriving = if let Some(deriving) = self.deriving.take() {
            deriving
        } else if now_ms < self.due_ms {
            return Ok(());
        } else if let Some((level, block)) = derive::due(levels, held, now_ms)? {
            Deriving::open(levels, level, block)?
        } else {
            self.due_ms = now_ms + DUE_MS;
            return Ok(());
        };
        if !deriving.step(levels, &engine.registry, DERIVE_SAMPLES * factor)? {
            self.deriving = Some(deriving);
            return Ok(());
        }
        if deriving.damaged > 0 {
            self.losses.push(format!(
                "lost {} of history to damage; the minutes are missing in the rollups",
                words::count(deriving.damaged, "chunk", "chunks")
            ));
        }
        deriving.finish(levels)?;
        for level in levels {
            level.close_idle(false);
        }
        Ok(())
    }

    fn retain(&mut self, engine: &Engine, disk: &Disk, now_ms: i64) -> Result<(), StoreError> {
        let generations = engine.levels.each_ref().map(|level| {
            let starts = level.starts();
            let with_bytes = starts.into_iter().map(|at| (at, level.disk_bytes(at)));
            with_bytes.collect::<Vec<_>>()
        });
        let total = folder::disk_bytes(engine.folder.root());
        let of_generations: u64 = generations.iter().flatten().map(|(_, bytes)| bytes).sum();
        let wanted_bytes = match disk {
            Disk::Short {
                free_bytes,
                reserve_bytes,
            } => reserve_bytes.saturating_sub(*free_bytes),
            _ => 0,
        };
        let stock = Stock {
            generations,
            other_bytes: total.saturating_sub(of_generations),
            wanted_bytes,
        };
        let decision = retention::decide(&engine.config, stock, now_ms);
        for (level, start_ms, reason) in decision.removed {
            self.remove(engine, level, start_ms, reason)?;
        }
        self.tell_of_excess(decision.excess_bytes);
        Ok(())
    }

    /// Says once that what is kept in any case does not fit, and again when it had fitted in between.
    fn tell_of_excess(&mut self, bytes: u64) {
        if bytes > 0 && !self.is_excess_told {
            self.notices.push(format!(
                "what is kept in any case, the samples of `history` and a week of minutes, takes {} MiB more than \
                 `disk_max`; raise it, or shorten `history`",
                bytes.div_ceil(1 << 20)
            ));
        }
        self.is_excess_told = bytes > 0;
    }

    fn remove(
        &mut self,
        engine: &Engine,
        level: Level,
        start_ms: i64,
        reason: Reason,
    ) -> Result<(), StoreError> {
        // What is on its way may read from it or write to it.
        self.let_go();
        let end_ms = start_ms + level.generation_ms();
        engine.level(level).remove(start_ms)?;
        let why = match reason {
            Reason::Age => return Ok(()),
            Reason::Budget => "`disk_max` is used up",
            Reason::Space => "the disk is nearly full",
        };
        self.notices.push(format!(
            "removed the {} history of {}: {why}",
            level.folder(),
            period::between(start_ms, end_ms)
        ));
        Ok(())
    }
}

/// Closes the hours that are over, and gives them, oldest first.
fn close(engine: &Engine, held: &[Hour], now_ms: i64) -> Vec<Hour> {
    let is_over = |hour: &&Hour| hour.start_ms + HOUR_MS + CLOSE_AFTER_MS <= now_ms;
    let over: Vec<Hour> = held.iter().filter(is_over).copied().collect();
    for &hour in &over {
        engine.head.close(hour);
    }
    over
}

/// How much more than in one second.
fn factor(elapsed_ms: i64) -> usize {
    usize::try_from(elapsed_ms / 1_000).map_or(1, |seconds| seconds.clamp(1, FACTOR_MAX))
}
