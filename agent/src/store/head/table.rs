//! The samples of one collector in memory: its ticks once, and a dense column of values for each series.
//!
//! A column that has a value at each tick says where it begins and nothing else about time; one with holes has an
//! index of two bytes a sample. With capacity that grows in small steps this is 8 to 10 bytes a sample.

use std::collections::HashMap;

use crate::store::record::{self, Encoder, Section};

/// Ticks that one table holds: an index has 16 bits. The head drops its oldest long before.
const TICKS_MAX: usize = record::TICKS_MAX - 1;
/// A column's capacity doubles from the first to the second and grows by the second from then on: doubling
/// throughout would leave up to half of the memory unused.
const COLUMN_STEP_MIN: usize = 8;
const COLUMN_STEP_MAX: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Who pushes into it; `None` for what was replayed.
    pub(super) collector: Option<u32>,
    /// Milliseconds since the hour's start, ascending.
    ticks: Vec<u32>,
    columns: Vec<Column>,
    /// Series to position in `columns`.
    index: HashMap<u32, u32>,
    /// How many of the ticks are in the file.
    flushed: usize,
}

#[derive(Debug, Default)]
struct Column {
    series: u32,
    /// Index of the first value's tick, as long as there was no hole.
    start: usize,
    /// The tick of each value, from the first hole on.
    ticks: Option<Vec<u16>>,
    values: Vec<f64>,
}

impl Table {
    pub(super) fn new(collector: Option<u32>) -> Self {
        Self {
            collector,
            ..Self::default()
        }
    }

    /// As it is after a replay: whoever has its collector's number now is not who filled it.
    pub(super) fn replayed(self) -> Self {
        Self {
            collector: None,
            ..self
        }
    }

    /// Adds a tick, later than all so far. Gives how many samples it took; of a series named twice only the first.
    pub(super) fn push(&mut self, tick: u32, samples: &[(u32, f64)]) -> usize {
        if self.ticks.len() >= TICKS_MAX {
            return 0;
        }
        let at = self.ticks.len();
        self.ticks.push(tick);
        let mut taken = 0;
        // Collectors name their series in the same order each time, so the next column is nearly always the one.
        let mut next = 0;
        for &(series, value) in samples {
            if self.columns.get(next).is_none_or(|c| c.series != series) {
                next = self.position(series);
            }
            taken += usize::from(self.columns[next].push(at, value));
            next += 1;
        }
        taken
    }

    fn position(&mut self, series: u32) -> usize {
        let position = self.index.entry(series).or_insert_with(|| {
            self.columns.push(Column {
                series,
                ..Column::default()
            });
            u32::try_from(self.columns.len() - 1).unwrap_or(u32::MAX)
        });
        *position as usize
    }

    /// Adds what of a replayed section lies in one of the spans. False, and nothing is added, if it does not come
    /// after what is there.
    pub(super) fn extend(&mut self, section: &Section, spans: &[(u32, u32)]) -> bool {
        let wanted = |tick: u32| spans.iter().any(|&(from, to)| (from..to).contains(&tick));
        let kept: Vec<Option<usize>> = section
            .ticks
            .iter()
            .scan(self.ticks.len(), |next, &tick| {
                let at = wanted(tick).then_some(*next);
                *next += usize::from(at.is_some());
                Some(at)
            })
            .collect();
        let first = section.ticks.iter().find(|&&tick| wanted(tick));
        let Some(first) = first else {
            return true;
        };
        if self.ticks.last() >= Some(first) || self.ticks.len() + kept.len() > TICKS_MAX {
            return false;
        }
        let ticks = section.ticks.iter().filter(|&&tick| wanted(tick));
        self.ticks.extend(ticks);
        self.flushed = self.ticks.len();
        for column in &section.columns {
            let position = self.position(column.series);
            for (&tick, &value) in column.ticks.iter().zip(&column.values) {
                if let Some(at) = kept[usize::from(tick)] {
                    self.columns[position].push(at, value);
                }
            }
        }
        true
    }

    /// Whether it has ticks before that time.
    pub(super) fn has_before(&self, before: u32) -> bool {
        self.ticks.first().is_some_and(|&first| first < before)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ticks.is_empty()
    }

    /// Bytes that its samples take.
    pub(super) fn bytes(&self) -> usize {
        let column = |column: &Column| {
            let indexes = column.ticks.as_ref().map_or(0, Vec::capacity);
            size_of::<Column>() + 8 * column.values.capacity() + 2 * indexes
        };
        4 * self.ticks.capacity() + self.columns.iter().map(column).sum::<usize>()
    }

    /// Series that have samples here before that time.
    pub(super) fn series_before(&self, before: u32, out: &mut Vec<u32>) {
        let end = self.ticks.partition_point(|&tick| tick < before);
        let held = self.columns.iter().filter(|c| c.count_before(end) > 0);
        out.extend(held.map(|column| column.series));
    }

    /// Appends a series' samples before that time.
    pub(super) fn read(
        &self,
        series: u32,
        before: u32,
        hour_ms: i64,
        times_ms: &mut Vec<i64>,
        values: &mut Vec<f64>,
    ) {
        let Some(&position) = self.index.get(&series) else {
            return;
        };
        let column = &self.columns[position as usize];
        let end = self.ticks.partition_point(|&tick| tick < before);
        let count = column.count_before(end);
        values.extend(&column.values[..count]);
        let time = |tick: u32| hour_ms + i64::from(tick);
        if let Some(indexes) = &column.ticks {
            let ticks = indexes[..count].iter();
            times_ms.extend(ticks.map(|&at| time(self.ticks[usize::from(at)])));
        } else {
            let ticks = &self.ticks[column.start..column.start + count];
            times_ms.extend(ticks.iter().map(|&tick| time(tick)));
        }
    }

    /// Writes at most `ticks_max` of the ticks that are not in the file yet. Gives up to which tick that is.
    pub(super) fn write(&self, ticks_max: usize, out: &mut Encoder) -> usize {
        let from = self.flushed;
        let to = self.ticks.len().min(from + ticks_max);
        if from == to {
            return to;
        }
        let spans = self.columns.iter().filter_map(|column| {
            let first = column.count_before(from);
            let end = column.count_before(to);
            (first < end).then_some((column, first, end))
        });
        // Written without a value only if nothing was taken; its stamp says nothing then.
        let count = spans.clone().count();
        if count == 0 {
            return to;
        }
        out.section(self.collector.unwrap_or(0), &self.ticks[from..to], count);
        for (column, first, end) in spans {
            let values = &column.values[first..end];
            if values.len() == to - from {
                out.column(column.series, None, values);
            } else {
                let mut indexes = (first..end).map(|nth| column.tick_of(nth) - from);
                let mut indexes = indexes.by_ref().map(|at| u16::try_from(at).unwrap_or(0));
                out.column(column.series, Some(&mut indexes), values);
            }
        }
        to
    }

    /// The ticks up to here are in the file.
    pub(super) fn set_flushed(&mut self, ticks: usize) {
        self.flushed = ticks.min(self.ticks.len());
    }

    /// How many of the ticks are not in the file.
    pub(super) fn unflushed(&self) -> usize {
        self.ticks.len() - self.flushed
    }

    pub(super) fn is_flushed(&self) -> bool {
        self.flushed == self.ticks.len()
    }

    /// Forgets what is before that time, and series that have nothing left. Gives how many of the samples were not
    /// in the file.
    pub(super) fn drop_before(&mut self, before: u32) -> usize {
        let ticks = self.ticks.partition_point(|&tick| tick < before);
        if ticks == 0 {
            return 0;
        }
        let flushed = ticks.min(self.flushed);
        let mut unwritten = 0;
        for column in &mut self.columns {
            unwritten += column.count_before(ticks) - column.count_before(flushed);
            column.drop_ticks(ticks);
        }
        self.ticks.drain(..ticks);
        self.flushed -= flushed;
        let columns = self.columns.len();
        self.columns.retain(|column| !column.values.is_empty());
        if self.columns.len() != columns {
            let series = self.columns.iter().map(|column| column.series);
            self.index = series.zip(0..).collect();
        }
        unwritten
    }
}

impl Column {
    /// False if it has a value at this tick already.
    fn push(&mut self, at: usize, value: f64) -> bool {
        if self.values.is_empty() {
            self.start = at;
            self.ticks = None;
        } else {
            let last = self.tick_of(self.values.len() - 1);
            if at <= last {
                return false;
            }
            if at != last + 1 && self.ticks.is_none() {
                let ticks = self.start..self.start + self.values.len();
                self.ticks = Some(ticks.map(|at| u16::try_from(at).unwrap_or(0)).collect());
            }
        }
        grow(&mut self.values);
        self.values.push(value);
        if let Some(ticks) = &mut self.ticks {
            grow(ticks);
            ticks.push(u16::try_from(at).unwrap_or(u16::MAX));
        }
        true
    }

    /// The tick of its nth value.
    fn tick_of(&self, nth: usize) -> usize {
        match &self.ticks {
            Some(ticks) => usize::from(ticks[nth]),
            None => self.start + nth,
        }
    }

    /// How many of its values are at ticks before this one.
    fn count_before(&self, tick: usize) -> usize {
        match &self.ticks {
            Some(ticks) => ticks.partition_point(|&at| usize::from(at) < tick),
            None => tick.saturating_sub(self.start).min(self.values.len()),
        }
    }

    fn drop_ticks(&mut self, ticks: usize) {
        let count = self.count_before(ticks);
        self.values.drain(..count);
        self.start = self.start.max(ticks) - ticks;
        if let Some(indexes) = &mut self.ticks {
            indexes.drain(..count);
            let moved = u16::try_from(ticks).unwrap_or(u16::MAX);
            for at in indexes {
                *at -= moved;
            }
        }
    }
}

fn grow<T>(values: &mut Vec<T>) {
    if values.len() == values.capacity() {
        values.reserve_exact(values.len().clamp(COLUMN_STEP_MIN, COLUMN_STEP_MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(table: &Table, series: u32) -> Vec<(i64, f64)> {
        let (mut times, mut values) = (Vec::new(), Vec::new());
        table.read(series, u32::MAX, 0, &mut times, &mut values);
        times.into_iter().zip(values).collect()
    }

    #[test]
    fn columns_with_and_without_holes_keep_their_times_when_old_ticks_go() {
        let mut table = Table::new(Some(1));
        for tick in 0..10 {
            let value = f64::from(tick);
            let all = [(7, value), (8, value), (9, value)];
            let wanted = if tick % 3 == 0 { &all[..] } else { &all[..1] };
            assert_eq!(table.push(tick * 1_000, wanted), wanted.len());
        }
        assert_eq!(table.push(10_000, &[(7, 10.0), (7, 11.0)]), 1);
        assert_eq!(read(&table, 8).len(), 4);

        assert_eq!(table.drop_before(5_000), 5 + 2 + 2);
        let dense: Vec<(i64, f64)> = (5..11).map(|at| (at * 1_000, at as f64)).collect();
        assert_eq!(read(&table, 7), dense);
        assert_eq!(read(&table, 8), [(6_000, 6.0), (9_000, 9.0)]);
        table.push(11_000, &[(8, 11.0), (7, 11.0)]);
        assert_eq!(read(&table, 8).last(), Some(&(11_000, 11.0)));
        assert_eq!(read(&table, 7).last(), Some(&(11_000, 11.0)));

        // What has nothing left is forgotten, and may come back.
        table.drop_before(10_000);
        assert_eq!(read(&table, 9), []);
        assert_eq!(table.push(12_000, &[(9, 1.0), (8, 2.0)]), 2);
        assert_eq!(read(&table, 9), [(12_000, 1.0)]);
        assert_eq!(read(&table, 8), [(11_000, 11.0), (12_000, 2.0)]);
    }

    #[test]
    fn five_minutes_take_at_most_ten_bytes_a_sample() {
        let mut table = Table::new(None);
        let fast: Vec<(u32, f64)> = (0..1_000).map(|series| (series, 1.0)).collect();
        let all: Vec<(u32, f64)> = (0..2_000).map(|series| (series, 1.0)).collect();
        let mut samples = 0;
        for tick in 0..300 {
            samples += table.push(tick * 1_000, if tick % 5 == 0 { &all } else { &fast });
        }
        let bytes = table.bytes();
        assert!(bytes <= 11 * samples, "{bytes} bytes for {samples}");
        let mut table = Table::new(None);
        let samples: usize = (0..300).map(|tick| table.push(tick * 1_000, &all)).sum();
        assert!(table.bytes() <= 9 * samples + samples / 2);
    }
}
