//! Exports: the samples of many series, or points of a minute or an hour, as text.
//!
//! Written series by series, as the formats want it, while the store lies hour by hour: some series are read
//! together, their chunks kept encoded, and decoded one after the other. Memory is bounded by that, whatever the
//! range. Whoever calls decides where the text goes; nothing here knows files or sockets.

pub mod text;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use super::chunk::{self, Samples};
use super::engine::Engine;
use super::generation::Block;
use super::head::Hour;
use super::query::{Plan, QueryError, Row, newest_wins};
use super::registry::{Selector, StoredSeries};
use super::{HOUR_MS, Level, StoreError};
use crate::catalog::Kind;
use crate::protocol::{Aggregation, Resolution};
pub use text::{Format, Part, Shape, Text};

/// Chunks that are held at a time: a megabyte or two at about a kilobyte each.
const CHUNKS_MAX: usize = 1_536;
/// Series that are read together; those with neighbouring numbers share groups, so more would save nothing.
const SERIES_MAX: usize = 64;
/// Points of all series that are held at a time: 24 MB at three numbers each.
const POINTS_MAX: i64 = 1 << 20;
/// Points that are asked for at a time.
const WINDOW_POINTS: i64 = 1_440;

/// What to export.
#[derive(Clone, Debug, PartialEq)]
pub struct Export {
    /// Which series.
    pub selector: Selector,
    /// From here, Unix milliseconds.
    pub from_ms: i64,
    /// Up to here, without it.
    pub to_ms: i64,
    /// Samples, or points of a minute or an hour.
    pub resolution: Resolution,
    /// How it is written.
    pub format: Format,
}

/// What was exported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Series with at least one sample or point.
    pub series: u64,
    /// Samples or points.
    pub samples: u64,
    /// Chunks that could not be read: what is damaged is left out.
    pub damaged: u64,
    /// Why points are missing: a limit, or what is damaged.
    pub stopped: Option<String>,
}

/// Why an export was not finished.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Whoever reads the text has gone, or its disk is full.
    #[error(transparent)]
    Write(#[from] io::Error),
    /// The store failed.
    #[error(transparent)]
    Query(#[from] QueryError),
}

impl From<StoreError> for ExportError {
    fn from(error: StoreError) -> Self {
        Self::Query(error.into())
    }
}

/// Writes the text to `out`.
pub fn write(
    engine: &Engine,
    export: &Export,
    out: &mut dyn Write,
) -> Result<Exported, ExportError> {
    let series = engine.registry.select(&export.selector);
    let shape = match export.resolution {
        Resolution::Raw => Shape::Samples,
        Resolution::Minute | Resolution::Hour => Shape::Points,
    };
    let mut writing = Writing {
        engine,
        export,
        text: Text::new(export.format, shape, out)?,
        exported: Exported::default(),
    };
    match export.resolution {
        Resolution::Raw => writing.samples(&series)?,
        Resolution::Minute => writing.points(&series, 60_000)?,
        Resolution::Hour => writing.points(&series, HOUR_MS)?,
    }
    writing.text.end()?;
    Ok(writing.exported)
}

struct Writing<'a, W: Write> {
    engine: &'a Engine,
    export: &'a Export,
    text: Text<W>,
    exported: Exported,
}

/// The chunks of one series, by hour and epoch.
type Chunks = BTreeMap<Hour, Vec<u8>>;

impl<W: Write> Writing<'_, W> {
    fn samples(&mut self, series: &[Arc<StoredSeries>]) -> Result<(), ExportError> {
        let hours = hours(self.engine, self.export.from_ms, self.export.to_ms)?;
        let together = (CHUNKS_MAX / hours.len().max(1)).clamp(1, SERIES_MAX);
        for batch in series.chunks(together) {
            let mut chunks: BTreeMap<u32, Chunks> = batch
                .iter()
                .map(|series| (series.id, Chunks::new()))
                .collect();
            let ids: Vec<u32> = chunks.keys().copied().collect();
            for &hour in &hours {
                read(self.engine, hour, &ids, &mut |id, bytes| {
                    if let Some(chunks) = chunks.get_mut(&id) {
                        chunks.insert(hour, bytes);
                    }
                })?;
            }
            for series in batch {
                self.series_samples(series, &chunks[&series.id])?;
            }
        }
        Ok(())
    }

    fn series_samples(&mut self, series: &StoredSeries, chunks: &Chunks) -> io::Result<()> {
        let mut is_named = false;
        let mut samples = Samples::default();
        let mut rest = chunks.iter().peekable();
        while let Some((hour, bytes)) = rest.next() {
            let mut epochs = vec![bytes.as_slice()];
            while let Some((_, bytes)) = rest.next_if(|(next, _)| next.start_ms == hour.start_ms) {
                epochs.push(bytes);
            }
            self.exported.damaged += merge(&epochs, &mut samples);
            clip(&mut samples, self.export.from_ms, self.export.to_ms);
            if samples.times_ms.is_empty() {
                continue;
            }
            if !is_named {
                self.text.series(series)?;
                self.exported.series += 1;
                is_named = true;
            }
            self.exported.samples += samples.times_ms.len() as u64;
            self.text.part(Part {
                times_ms: &samples.times_ms,
                values: &samples.values,
                ..Part::default()
            })?;
        }
        Ok(())
    }

    fn points(&mut self, series: &[Arc<StoredSeries>], step_ms: i64) -> Result<(), ExportError> {
        let from_ms = self.export.from_ms.div_euclid(step_ms) * step_ms;
        let to_ms = (self.export.to_ms + step_ms - 1).div_euclid(step_ms) * step_ms;
        let points = (to_ms - from_ms) / step_ms;
        let together = (POINTS_MAX / points.max(1)).clamp(1, 64);
        let together = usize::try_from(together).expect("at most 64");
        for batch in series.chunks(together) {
            let mut rows: BTreeMap<u32, Points> = BTreeMap::new();
            let mut at_ms = from_ms;
            while at_ms < to_ms {
                let end_ms = (at_ms + WINDOW_POINTS * step_ms).min(to_ms);
                let plan = Plan {
                    from_ms: at_ms,
                    to_ms: end_ms,
                    step_ms,
                    resolution: self.export.resolution,
                    series: batch.to_vec(),
                    by_name: false,
                };
                self.window(&plan, &mut rows)?;
                at_ms = end_ms;
            }
            for series in batch {
                if let Some(points) = rows.get(&series.id) {
                    self.series_points(series, points)?;
                }
            }
        }
        Ok(())
    }

    /// Adds the points of one window to each series' own.
    fn window(&mut self, plan: &Plan, rows: &mut BTreeMap<u32, Points>) -> Result<(), ExportError> {
        let is_open_metrics = self.export.format == Format::OpenMetrics;
        let (counters, gauges): (Vec<_>, Vec<_>) = plan
            .series
            .iter()
            .cloned()
            .partition(|series| is_open_metrics && series.kind == Kind::Counter);
        for (series, aggregation) in [
            (counters, Aggregation::Increase),
            (gauges, Aggregation::Envelope),
        ] {
            if series.is_empty() {
                continue;
            }
            let plan = Plan {
                series,
                ..plan.clone()
            };
            let answered = self.engine.answer(&plan, aggregation, &mut |series, row| {
                let points = rows.entry(series.id).or_default();
                points.add(&plan, row, aggregation == Aggregation::Increase);
                true
            })?;
            if self.exported.stopped.is_none() {
                self.exported.stopped = answered.stopped;
            }
        }
        Ok(())
    }

    fn series_points(&mut self, series: &StoredSeries, points: &Points) -> io::Result<()> {
        if points.times_ms.is_empty() {
            return Ok(());
        }
        self.text.series(series)?;
        self.exported.series += 1;
        self.exported.samples += points.times_ms.len() as u64;
        self.text.part(Part {
            times_ms: &points.times_ms,
            values: &points.values,
            min: &points.min,
            max: &points.max,
        })
    }
}

/// The points of one series so far.
#[derive(Debug, Default)]
struct Points {
    times_ms: Vec<i64>,
    values: Vec<f64>,
    min: Vec<f64>,
    max: Vec<f64>,
    /// What a counter has grown by so far.
    total: f64,
}

impl Points {
    /// Gaps are left out. Of increases the total so far is kept, at the end of each point, where it is reached.
    fn add(&mut self, plan: &Plan, row: &Row, is_increase: bool) {
        for (at, &value) in row.value.iter().enumerate() {
            if value.is_nan() {
                continue;
            }
            let at_ms = plan.from_ms + i64::try_from(at).expect("a window's points") * plan.step_ms;
            if is_increase {
                self.total += value;
                self.times_ms.push(at_ms + plan.step_ms);
                self.values.push(self.total);
            } else {
                self.times_ms.push(at_ms);
                self.values.push(value);
                self.min.push(row.min[at]);
                self.max.push(row.max[at]);
            }
        }
    }
}

/// The hours with samples in the range, sealed or not, by time and epoch.
fn hours(engine: &Engine, from_ms: i64, to_ms: i64) -> Result<Vec<Hour>, StoreError> {
    let first_ms = from_ms.div_euclid(HOUR_MS) * HOUR_MS;
    // The head first: an hour that is sealed in between is then in both, and not in neither.
    let mut hours = engine.head.hours();
    let sealed = engine.level(Level::Raw).blocks(first_ms, to_ms)?;
    hours.extend(
        sealed
            .into_iter()
            .map(|Block { start_ms, epoch }| Hour { start_ms, epoch }),
    );
    hours.retain(|hour| (first_ms..to_ms).contains(&hour.start_ms));
    hours.sort_unstable();
    hours.dedup();
    Ok(hours)
}

/// Calls `visit` with the chunk of each of the series that has one in the hour.
fn read(
    engine: &Engine,
    hour: Hour,
    ids: &[u32],
    visit: &mut dyn FnMut(u32, Vec<u8>),
) -> Result<(), StoreError> {
    if engine.head.hours().contains(&hour) {
        engine.head.read(hour, ids, &mut |id, samples| {
            let mut bytes = Vec::new();
            chunk::encode(&samples.times_ms, &samples.values, &mut bytes);
            visit(id, bytes);
        })?;
        // It may have left the head meanwhile; what was read twice replaces what was read first.
        if engine.head.hours().contains(&hour) {
            return Ok(());
        }
    }
    let Hour { start_ms, epoch } = hour;
    let block = Block { start_ms, epoch };
    engine
        .level(Level::Raw)
        .read(block, ids, &mut |id, bytes| visit(id, bytes.to_vec()))
}

/// Decodes the chunks of one hour, oldest epoch first, into one row of samples, as a query takes them. Says how many
/// chunks were damaged.
fn merge(epochs: &[&[u8]], samples: &mut Samples) -> u64 {
    let mut damaged = 0;
    samples.times_ms.clear();
    samples.values.clear();
    if let [only] = epochs {
        if chunk::decode(only, samples).is_err() {
            samples.times_ms.clear();
            samples.values.clear();
            damaged = 1;
        }
        return damaged;
    }
    let mut parts = Vec::new();
    for (epoch, bytes) in (0..).zip(epochs) {
        let mut part = Samples::default();
        match chunk::decode(bytes, &mut part) {
            Ok(()) => parts.push((epoch, part)),
            Err(_) => damaged += 1,
        }
    }
    for part in newest_wins(parts) {
        samples.times_ms.extend(part.times_ms);
        samples.values.extend(part.values);
    }
    damaged
}

fn clip(samples: &mut Samples, from_ms: i64, to_ms: i64) {
    let end = samples.times_ms.partition_point(|&at_ms| at_ms < to_ms);
    let start = samples
        .times_ms
        .partition_point(|&at_ms| at_ms < from_ms)
        .min(end);
    samples.times_ms.truncate(end);
    samples.values.truncate(end);
    samples.times_ms.drain(..start);
    samples.values.drain(..start);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(samples: &[(i64, f64)]) -> Vec<u8> {
        let (times, values): (Vec<i64>, Vec<f64>) = samples.iter().copied().unzip();
        let mut bytes = Vec::new();
        chunk::encode(&times, &values, &mut bytes);
        bytes
    }

    #[test]
    fn a_newer_epoch_counts_from_its_first_to_its_last_sample() {
        let old = chunk(&[
            (1_000, 1.0),
            (2_000, 2.0),
            (3_000, 3.0),
            (4_000, 4.0),
            (9_000, 9.0),
        ]);
        let new = chunk(&[(2_500, 20.0), (3_500, 30.0)]);
        let newest = chunk(&[(3_400, 300.0)]);
        let mut samples = Samples::default();
        assert_eq!(merge(&[&old, &new, &newest], &mut samples), 0);
        assert_eq!(
            samples.times_ms,
            [1_000, 2_000, 2_500, 3_400, 3_500, 4_000, 9_000]
        );
        assert_eq!(samples.values, [1.0, 2.0, 20.0, 300.0, 30.0, 4.0, 9.0]);
        assert_eq!(merge(&[&old, b"damage"], &mut samples), 1);
        assert_eq!(samples.times_ms.len(), 5);
        assert_eq!(merge(&[b"damage"], &mut samples), 1);
        assert!(samples.times_ms.is_empty());
    }

    #[test]
    fn a_range_ends_before_its_end() {
        let mut samples = Samples {
            times_ms: vec![1, 2, 3, 4],
            values: vec![1.0, 2.0, 3.0, 4.0],
        };
        clip(&mut samples, 2, 4);
        assert_eq!(samples.times_ms, [2, 3]);
        assert_eq!(samples.values, [2.0, 3.0]);
        clip(&mut samples, 9, 5);
        assert!(samples.values.is_empty());
    }

    #[test]
    fn a_counters_points_are_added_up() {
        let plan = Plan {
            from_ms: 60_000,
            to_ms: 240_000,
            step_ms: 60_000,
            resolution: Resolution::Minute,
            series: Vec::new(),
            by_name: false,
        };
        let row = Row {
            value: vec![2.0, f64::NAN, 3.0],
            ..Row::default()
        };
        let mut points = Points::default();
        points.add(&plan, &row, true);
        assert_eq!(points.times_ms, [120_000, 240_000]);
        assert_eq!(points.values, [2.0, 5.0]);
    }
}
