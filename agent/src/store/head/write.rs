//! The head's way to the disk: flushes and runs, and what is given up when the disk takes neither.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::file::HeadFile;
use super::run::{Builder, Run};
use super::table::Table;
use super::{Head, Held, Hour};
use crate::store::StoreError;
use crate::store::chunk::Samples;
use crate::store::folder::at;
use crate::store::record::{Encoder, Header};

/// Ticks of a collector in one W record, so that what waited for a full disk is encoded in small parts.
const RECORD_TICKS_MAX: usize = 64;
/// Series of a run that are copied under one lock.
const COPIED_SERIES: usize = 64;

impl Head {
    /// Appends what was pushed since the last flush as one record an hour file, and syncs it.
    /// On an error the samples stay in memory (bounded: the oldest go) and the next flush tries again.
    pub fn flush(&self) -> Result<(), StoreError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = |held: &Held| held.tables.iter().any(|table| !table.is_flushed());
        let hours = self.hours_with(waiting);
        let outcomes = hours.into_iter().map(|hour| self.flush_hour(hour));
        self.or_drop_oldest(outcomes)
    }

    /// Turns what is in memory of samples before `before_ms` into a run record; those samples leave memory.
    pub fn cut(&self, before_ms: i64) -> Result<(), StoreError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let hours: Vec<Hour> = self.state().hours.keys().copied().collect();
        let outcomes = hours.into_iter().map(|hour| self.cut_hour(hour, before_ms));
        self.or_drop_oldest(outcomes)
    }

    fn hours_with(&self, wanted: impl Fn(&Held) -> bool) -> Vec<Hour> {
        let state = self.state();
        let hours = state.hours.iter().filter(|(_, held)| wanted(held));
        hours.map(|(hour, _)| *hour).collect()
    }

    /// Goes through all of them; the first error is the answer, and then memory is kept within its bound.
    fn or_drop_oldest(
        &self,
        outcomes: impl Iterator<Item = Result<(), StoreError>>,
    ) -> Result<(), StoreError> {
        let outcome = outcomes.fold(Ok(()), Result::and);
        if outcome.is_err() {
            let mut state = self.write();
            let newest = state.collectors.values().max().map(|&(_, at_ms)| at_ms);
            let unwritten = newest.map_or(0, |at_ms| state.drop_oldest(at_ms));
            self.lost.fetch_add(unwritten as u64, Ordering::Relaxed);
        }
        outcome
    }

    fn flush_hour(&self, hour: Hour) -> Result<(), StoreError> {
        loop {
            let mut encoder = Encoder::default();
            let written: Vec<usize> = match self.state().hours.get(&hour) {
                Some(held) => {
                    let tables = held.tables.iter();
                    tables
                        .map(|table| table.write(RECORD_TICKS_MAX, &mut encoder))
                        .collect()
                }
                None => return Ok(()),
            };
            if let Some((mut header, body)) = encoder.finish() {
                header.hour_ms = hour.start_ms;
                header.epoch = hour.epoch;
                self.append(hour, &header, &[&body])?;
            }
            let mut state = self.write();
            let Some(held) = state.hours.get_mut(&hour) else {
                return Ok(());
            };
            // Tables are only ever added behind those that were written.
            for (table, ticks) in held.tables.iter_mut().zip(written) {
                table.set_flushed(ticks);
            }
            if held.tables.iter().all(Table::is_flushed) {
                return Ok(());
            }
        }
    }

    fn append(&self, hour: Hour, header: &Header, body: &[&[u8]]) -> Result<u64, StoreError> {
        let path = self.path(hour);
        let known = self
            .state()
            .hours
            .get(&hour)
            .and_then(|held| held.file.clone());
        let file = if let Some(file) = known {
            file
        } else {
            let file = HeadFile::open(&path).map_err(at(&path))?;
            if let Some(held) = self.write().hours.get_mut(&hour) {
                held.file = Some(file.clone());
            }
            file
        };
        let frame = header.encode();
        let mut parts: Vec<&[u8]> = vec![&frame];
        parts.extend(body);
        file.append(&parts).map_err(at(&path))
    }

    fn cut_hour(&self, hour: Hour, before_ms: i64) -> Result<(), StoreError> {
        let before = hour.offset(before_ms);
        let mut series = Vec::new();
        let runs = match self.state().hours.get(&hour) {
            Some(held) => {
                for table in held.tables.iter().filter(|table| table.has_before(before)) {
                    table.series_before(before, &mut series);
                }
                Arc::clone(&held.runs)
            }
            None => return Ok(()),
        };
        series.sort_unstable();
        series.dedup();
        let mut builder = Builder::new(hour);
        for part in series.chunks(COPIED_SERIES) {
            for (id, mut samples) in self.copy(hour, part, before) {
                super::put_in_order(&mut samples);
                builder.push(id, &samples);
            }
        }
        let Some(record) = builder.finish(before, &runs) else {
            return Ok(());
        };
        let position = self.append(hour, &record.header, &[&record.index, &record.groups])?;
        let run = Run::parse(position, &record.header, &record.index, &runs);
        let mut state = self.write();
        if let (Some(held), Ok(run)) = (state.hours.get_mut(&hour), run) {
            Arc::make_mut(&mut held.runs).push(Arc::new(run));
            held.drop_before(before);
        }
        Ok(())
    }

    fn copy(&self, hour: Hour, series: &[u32], before: u32) -> Vec<(u32, Samples)> {
        let state = self.state();
        let Some(held) = state.hours.get(&hour) else {
            return Vec::new();
        };
        let samples = series.iter().map(|&id| {
            let mut samples = Samples::default();
            held.read(id, before, hour, &mut samples);
            (id, samples)
        });
        samples.collect()
    }
}

impl Held {
    /// Forgets samples in memory before that time; gives how many of them were not in the file.
    pub(super) fn drop_before(&mut self, before: u32) -> usize {
        let dropped = self
            .tables
            .iter_mut()
            .map(|table| table.drop_before(before))
            .sum();
        self.tables.retain(|table| !table.is_empty());
        dropped
    }
}
