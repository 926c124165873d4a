//! The catalog's series and their numbers on disk.
//!
//! Catalog ids live as long as the process, numbers on disk for good. Each is asked for once and then found in a
//! vector, because this happens for every sample. Used by the store's task alone.

use crate::bus::Batch;
use crate::catalog::{Catalog, SeriesId, Tables};

use super::registry::{Registry, StoredSeries};

/// Not asked for yet.
const UNKNOWN: u32 = u32::MAX;
/// The registry had no room.
const REFUSED: u32 = u32::MAX - 1;

/// See the module.
#[derive(Debug)]
pub(super) struct Names {
    catalog: Catalog,
    /// By catalog id.
    numbers: Vec<u32>,
    /// How many series the registry had forgotten when this was last looked at.
    forgotten: u64,
}

impl Names {
    pub(super) fn new(catalog: Catalog) -> Self {
        Self {
            catalog,
            numbers: Vec::new(),
            forgotten: 0,
        }
    }

    /// Appends a batch's samples with their numbers; gives how many have none because the registry is full.
    pub(super) fn translate(
        &mut self,
        registry: &Registry,
        batch: &Batch,
        out: &mut Vec<(u32, f64)>,
    ) -> usize {
        let forgotten = registry.forgotten();
        if forgotten != self.forgotten {
            // Any number may be one of a series that is known no more.
            self.numbers.fill(UNKNOWN);
            self.forgotten = forgotten;
        }
        let mut refused = 0;
        for sample in &batch.samples {
            match self.number(registry, sample.series) {
                Some(number) => out.push((number, sample.value)),
                None => refused += 1,
            }
        }
        refused
    }

    /// Asks again for those that were refused: the registry may have forgotten others since.
    pub(super) fn retry(&mut self) {
        for number in &mut self.numbers {
            if *number == REFUSED {
                *number = UNKNOWN;
            }
        }
    }

    fn number(&mut self, registry: &Registry, id: SeriesId) -> Option<u32> {
        let at = id.0 as usize;
        if at >= self.numbers.len() {
            self.numbers.resize(at + 1, UNKNOWN);
        }
        if self.numbers[at] == UNKNOWN {
            let series = stored(&self.catalog.read(), id);
            self.numbers[at] = registry.resolve(series).unwrap_or(REFUSED);
        }
        Some(self.numbers[at]).filter(|&number| number != REFUSED)
    }
}

fn stored(tables: &Tables, id: SeriesId) -> StoredSeries {
    let series = tables.series(id);
    let metric = tables.metric(series.metric);
    let labels = tables.labels(id);
    StoredSeries {
        id: 0,
        metric: metric.name.clone(),
        kind: metric.kind,
        unit: metric.unit,
        tier: metric.tier,
        topic: metric.topic.clone(),
        collector: tables.collector(series.collector).name.clone(),
        labels: labels
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        last_day: 0,
    }
}
