//! A checkup: everything in a data folder is opened and read, down to every chunk.
//!
//! Opening repairs what can be repaired, so `barograph doctor` runs it on a copy unless it was asked to repair. What
//! was wrong is told with what it cost and what to do. No agent may run on the folder; nothing here decides that.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::backup::check;
use super::derive;
use super::engine::Engine;
use super::folder::disk_bytes;
use super::{Config, HOUR_MS, Level, StoreError, period};

/// Series of the head that are read together.
const TOGETHER: usize = 64;

/// What is there, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkup {
    /// Core, head, and the levels, finest first.
    pub parts: Vec<Part>,
    /// In words.
    pub findings: Vec<Finding>,
}

/// One part of the folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Its folder.
    pub name: &'static str,
    /// Generations, or files.
    pub folders: u64,
    /// Start of the first block and end of the last, Unix milliseconds.
    pub span_ms: Option<(i64, i64)>,
    /// Blocks: hours of samples, 6 hours of minutes, 5 days of hours.
    pub blocks: u64,
    /// Different series.
    pub series: u64,
    /// Samples, or points.
    pub samples: u64,
    /// What it takes on the disk.
    pub bytes: u64,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What, and what it cost.
    pub what: String,
    /// What to do.
    pub advice: &'static str,
}

const REPAIR: &str = "run `barograph doctor --repair`, or start the agent, which repairs the same way; what could not \
    be saved stays in `quarantine` for a while";
const ANSWERED_WITHOUT: &str = "it is left out of answers and goes with its generation; check the disk, and restore a backup if it matters";

impl Part {
    fn add_block(&mut self, start_ms: i64, length_ms: i64) {
        self.blocks += 1;
        let end_ms = start_ms + length_ms;
        self.span_ms = Some(match self.span_ms {
            None => (start_ms, end_ms),
            Some((first, last)) => (first.min(start_ms), last.max(end_ms)),
        });
    }
}

/// Reads everything.
pub fn run(root: &Path, config: Config, now_ms: i64) -> Result<Checkup, StoreError> {
    let engine = Engine::open(root, config, now_ms)?;
    let mut checkup = Checkup::default();
    let mut found = engine.take_losses();
    checkup.parts.push(Part {
        name: "core",
        folders: 1,
        series: engine
            .registry
            .select(&super::registry::Selector::default())
            .len() as u64,
        bytes: disk_bytes(&root.join("core")),
        ..Part::default()
    });
    checkup.parts.push(head(&engine, root, &mut found)?);
    for level in Level::ALL {
        checkup
            .parts
            .push(sealed(&engine, root, level, &mut found)?);
    }
    found.extend(derive::missing(&engine.levels)?);
    checkup.findings = found
        .into_iter()
        .map(|what| Finding {
            what,
            advice: REPAIR,
        })
        .collect();
    for (part, level) in checkup.parts[2..].iter_mut().zip(Level::ALL) {
        let damaged = damaged(&engine, level, part)?;
        checkup
            .findings
            .extend(damaged.into_iter().map(|what| Finding {
                what,
                advice: ANSWERED_WITHOUT,
            }));
    }
    Ok(checkup)
}

/// Reads every sample that is not sealed yet.
fn head(engine: &Engine, root: &Path, found: &mut Vec<String>) -> Result<Part, StoreError> {
    let folder = root.join("head");
    let mut part = Part {
        name: "head",
        folders: fs::read_dir(&folder).map_or(0, |entries| entries.count() as u64),
        bytes: disk_bytes(&folder),
        ..Part::default()
    };
    let mut all = BTreeSet::new();
    for hour in engine.head.hours() {
        part.add_block(hour.start_ms, HOUR_MS);
        let series = engine.head.series(hour)?;
        for together in series.chunks(TOGETHER) {
            let read = engine.head.read(hour, together, &mut |id, samples| {
                all.insert(id);
                part.samples += samples.times_ms.len() as u64;
            });
            if let Err(error) = read {
                let hour = period::between(hour.start_ms, hour.start_ms + HOUR_MS);
                found.push(format!("a part of the head can't be read, {hour}: {error}"));
            }
        }
    }
    part.series = all.len() as u64;
    Ok(part)
}

/// Opens each generation, which compares what it holds with the list beside it.
fn sealed(
    engine: &Engine,
    root: &Path,
    level: Level,
    found: &mut Vec<String>,
) -> Result<Part, StoreError> {
    let generations = engine.level(level);
    let mut part = Part {
        name: level.folder(),
        bytes: disk_bytes(&root.join(level.folder())),
        ..Part::default()
    };
    for start_ms in generations.starts() {
        part.folders += 1;
        for block in generations.blocks(start_ms, start_ms + level.generation_ms())? {
            part.add_block(block.start_ms, level.block_ms());
        }
        // Memory stays that of one generation, however many there are.
        generations.close_idle(true);
    }
    found.extend(generations.take_losses());
    Ok(part)
}

/// Decodes every chunk of a level.
fn damaged(engine: &Engine, level: Level, part: &mut Part) -> Result<Vec<String>, StoreError> {
    let generations = engine.level(level);
    let mut found = Vec::new();
    let mut all = BTreeSet::new();
    for start_ms in generations.starts() {
        generations.scan(start_ms, &mut |block, bytes| {
            match check(level, bytes, &mut |series| {
                all.insert(series);
            }) {
                Ok((_, samples)) => part.samples += samples,
                Err(error) => {
                    let span = period::between(block.start_ms, block.start_ms + level.block_ms());
                    found.push(format!(
                        "a group of `{}` can't be decoded, {span}: {error}",
                        level.folder()
                    ));
                }
            }
            true
        })?;
        generations.close_idle(true);
    }
    part.series = all.len() as u64;
    Ok(found)
}
