//! Reads what a plan wants, a few series at a time, and folds it as it comes.
//!
//! Series of the same block are read together, so that each group is fetched once for all of them. What is held
//! at a time is one decoded chunk and the points of a batch. What cannot be read is left out and named.

use std::sync::Arc;

use super::epochs::{Content, Part, merge};
use super::fold::{Fold, Grid};
use super::pieces::{Inventory, Piece, Source};
use crate::catalog::Kind;
use crate::protocol::Aggregation;
use crate::store::chunk::{self, Samples};
use crate::store::engine::Engine;
use crate::store::generation::Block;
use crate::store::head::Hour;
use crate::store::registry::StoredSeries;
use crate::store::rollup;
use crate::store::{HOUR_MS, Level, StoreError};

/// Samples and rollup points that one question may read: 500 series of a day and a half at 1 s.
pub(super) const SCANNED_MAX: u64 = 65_000_000;
/// Series of which several epochs are held at once, undecoded for no other reason than to be merged.
const MERGED_TOGETHER: usize = 8;

/// What is read for one question.
pub(super) struct Reader<'a> {
    pub(super) engine: &'a Engine,
    pub(super) grid: Grid,
    pub(super) pieces: &'a [Vec<Piece>],
    /// Says false when nobody waits for the answer any more, or it took too long.
    pub(super) go_on: &'a mut dyn FnMut() -> bool,
    pub(super) scanned: u64,
    pub(super) stopped: Option<String>,
    samples: Samples,
}

/// A few series with the folds of their points, ascending by number.
struct Batch<'a> {
    ids: Vec<u32>,
    series: Vec<&'a StoredSeries>,
    folds: &'a mut [Fold],
    /// For each number its fold.
    places: Vec<usize>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        engine: &'a Engine,
        grid: Grid,
        pieces: &'a [Vec<Piece>],
        go_on: &'a mut dyn FnMut() -> bool,
    ) -> Self {
        Self {
            engine,
            grid,
            pieces,
            go_on,
            scanned: 0,
            stopped: None,
            samples: Samples::default(),
        }
    }

    /// Folds these series; `folds` is parallel to them. False if it was stopped before the end.
    pub(super) fn fold(
        &mut self,
        series: &[Arc<StoredSeries>],
        aggregation: Aggregation,
        folds: &mut [Fold],
    ) -> bool {
        if !(self.go_on)() {
            return false;
        }
        for (series, fold) in series.iter().zip(folds.iter_mut()) {
            fold.begin(series.kind, aggregation, self.grid.points);
        }
        let mut places: Vec<usize> = (0..series.len()).collect();
        places.sort_unstable_by_key(|place| series[*place].id);
        let mut batch = Batch {
            ids: places.iter().map(|place| series[*place].id).collect(),
            series: places.iter().map(|place| &*series[*place]).collect(),
            folds,
            places,
        };
        let mut before: Option<Piece> = None;
        for list in self.pieces {
            if !(self.go_on)() {
                return false;
            }
            if self.scanned > SCANNED_MAX {
                let millions = SCANNED_MAX / 1_000_000;
                self.note(&format!(
                    "more than {millions} million samples were read; ask for a shorter range or fewer series"
                ));
                return false;
            }
            if let [piece] = list[..] {
                if !joins(before, piece) {
                    self.prime(piece, &mut batch);
                }
                self.single(piece, &mut batch);
                before = Some(piece);
            } else {
                self.several(list, &mut batch);
                before = list.last().copied();
            }
        }
        true
    }

    /// Reads a piece that alone has its time.
    fn single(&mut self, piece: Piece, batch: &mut Batch<'_>) {
        let clip = (piece.from_ms, piece.to_ms);
        let (grid, epoch) = (self.grid, piece.source.epoch());
        let mut scanned = 0;
        let mut damaged = 0_usize;
        let buffer = &mut self.samples;
        let read = match piece.source {
            Source::Head(hour) => {
                self.engine
                    .head
                    .read(hour, &batch.ids.clone(), &mut |id, samples| {
                        scanned += samples.times_ms.len();
                        if let Some((_, fold)) = batch.get(id) {
                            fold.samples(grid, epoch, samples, clip);
                        }
                    })
            }
            Source::Sealed(level, block) => {
                let ids = batch.ids.clone();
                self.engine
                    .level(level)
                    .read(block, &ids, &mut |id, bytes| {
                        let Some((_, fold)) = batch.get(id) else {
                            return;
                        };
                        let Some(width_ms) = level.point_ms() else {
                            buffer.times_ms.clear();
                            buffer.values.clear();
                            if chunk::decode(bytes, buffer).is_ok() {
                                scanned += buffer.times_ms.len();
                                fold.samples(grid, epoch, buffer, clip);
                            } else {
                                damaged += 1;
                            }
                            return;
                        };
                        match rollup::decode(bytes) {
                            Ok(points) => {
                                scanned += points.len();
                                fold.points(grid, &points, width_ms, clip);
                            }
                            Err(_) => damaged += 1,
                        }
                    })
            }
        };
        if scanned == 0
            && let Some(sealed) = self.sealed_since(piece)
        {
            return self.single(sealed, batch);
        }
        self.after(piece, read, scanned, damaged);
    }

    /// The same piece in its block, if its hour has left the head since the pieces were listed.
    fn sealed_since(&self, piece: Piece) -> Option<Piece> {
        let Source::Head(hour) = piece.source else {
            return None;
        };
        let block = Block {
            start_ms: hour.start_ms,
            epoch: hour.epoch,
        };
        let gone = !self.engine.head.hours().contains(&hour);
        gone.then_some(Piece {
            source: Source::Sealed(Level::Raw, block),
            ..piece
        })
    }

    /// Reads pieces of several epochs, which have the same time, and lets the newest win.
    fn several(&mut self, list: &[Piece], batch: &mut Batch<'_>) {
        for from in (0..batch.ids.len()).step_by(MERGED_TOGETHER) {
            let until = (from + MERGED_TOGETHER).min(batch.ids.len());
            let ids = batch.ids[from..until].to_vec();
            let mut parts: Vec<Vec<Part>> = vec![Vec::new(); ids.len()];
            for piece in list {
                self.collect(*piece, &ids, &mut parts);
            }
            for (id, parts) in ids.into_iter().zip(parts) {
                let Some((_, fold)) = batch.get(id) else {
                    continue;
                };
                for part in merge(parts) {
                    let all = (i64::MIN, i64::MAX);
                    match &part.content {
                        Content::Samples(samples) => {
                            fold.samples(self.grid, part.epoch, samples, all);
                        }
                        Content::Points(points, width_ms) => {
                            fold.points(self.grid, points, *width_ms, all);
                        }
                    }
                }
            }
        }
    }

    /// Adds what a piece has of some series to their parts.
    fn collect(&mut self, piece: Piece, ids: &[u32], parts: &mut [Vec<Part>]) {
        let epoch = piece.source.epoch();
        let mut scanned = 0;
        let mut damaged = 0_usize;
        let mut add = |id: u32, content: &Content| {
            scanned += content.len();
            if let Ok(place) = ids.binary_search(&id) {
                let content = content.within(piece.from_ms, piece.to_ms);
                parts[place].push(Part { epoch, content });
            }
        };
        let read = match piece.source {
            Source::Head(hour) => self.engine.head.read(hour, ids, &mut |id, samples| {
                add(id, &Content::Samples(samples.clone()));
            }),
            Source::Sealed(level, block) => {
                self.engine.level(level).read(block, ids, &mut |id, bytes| {
                    let content = if let Some(width_ms) = level.point_ms() {
                        rollup::decode(bytes).map(|points| Content::Points(points, width_ms))
                    } else {
                        let mut samples = Samples::default();
                        chunk::decode(bytes, &mut samples).map(|()| Content::Samples(samples))
                    };
                    match content {
                        Ok(content) => add(id, &content),
                        Err(_) => damaged += 1,
                    }
                })
            }
        };
        if scanned == 0
            && let Some(sealed) = self.sealed_since(piece)
        {
            return self.collect(sealed, ids, parts);
        }
        self.after(piece, read, scanned, damaged);
    }

    /// Tells counters the last sample before a piece whose predecessor is not read.
    fn prime(&mut self, piece: Piece, batch: &mut Batch<'_>) {
        let starts = piece.from_ms >= self.grid.from_ms && piece.from_ms % HOUR_MS == 0;
        if piece.source.level() != Level::Raw || !starts {
            return;
        }
        let counters = batch.series.iter().filter(|s| s.kind == Kind::Counter);
        let ids: Vec<u32> = counters.map(|series| series.id).collect();
        if ids.is_empty() {
            return;
        }
        let (start_ms, epoch) = (piece.from_ms - HOUR_MS, piece.source.epoch());
        let hour = Hour { start_ms, epoch };
        // A sample more or less at the edge: what cannot be read here is no loss to speak of.
        if self.engine.head.hours().contains(&hour) {
            let _ = self.engine.head.read(hour, &ids, &mut |id, samples| {
                if let (Some((_, fold)), Some(at), Some(value)) = (
                    batch.get(id),
                    samples.times_ms.last(),
                    samples.values.last(),
                ) {
                    fold.prime(epoch, *at, *value);
                }
            });
        } else {
            let block = Block { start_ms, epoch };
            let raw = self.engine.level(Level::Raw);
            let _ = raw.read(block, &ids, &mut |id, bytes| {
                if let (Some((_, fold)), Ok(summary)) = (batch.get(id), chunk::summary(bytes)) {
                    fold.prime(epoch, summary.last_ms, summary.last);
                }
            });
        }
    }

    fn after(
        &mut self,
        piece: Piece,
        read: Result<(), StoreError>,
        scanned: usize,
        damaged: usize,
    ) {
        self.scanned += u64::try_from(scanned).unwrap_or(u64::MAX);
        let from_ms = piece.from_ms;
        if let Err(error) = read {
            self.note(&format!(
                "history from {from_ms} on could not be read: {error}"
            ));
        } else if damaged > 0 {
            self.note(&format!("{damaged} series are damaged from {from_ms} on"));
        }
    }

    /// The first reason stays: the others most likely follow from it.
    pub(super) fn note(&mut self, reason: &str) {
        self.stopped.get_or_insert_with(|| reason.to_owned());
    }
}

impl Batch<'_> {
    fn get(&mut self, id: u32) -> Option<(&StoredSeries, &mut Fold)> {
        let at = self.ids.binary_search(&id).ok()?;
        Some((self.series[at], &mut self.folds[self.places[at]]))
    }
}

/// What there is to read in a range.
pub(super) fn inventory(
    engine: &Engine,
    (from_ms, to_ms): (i64, i64),
) -> Result<Inventory, StoreError> {
    // The head first: what leaves it in between is in the list of the sealed ones then.
    let mut head = engine.head.hours();
    head.retain(|hour| hour.start_ms < to_ms && hour.start_ms + HOUR_MS > from_ms);
    let mut sealed = [const { Vec::new() }; 3];
    for level in Level::ALL {
        let generations = engine.level(level);
        for block in generations.blocks(from_ms - level.block_ms() + 1, to_ms)? {
            // What is sealed in part stands in the head as well; a rollup counts when it is whole.
            if level == Level::Raw || generations.marker(block)?.is_some() {
                sealed[level as usize].push(block);
            }
        }
    }
    Ok(Inventory { head, sealed })
}

/// Whether the samples of a piece go on where those of the one before end.
fn joins(before: Option<Piece>, piece: Piece) -> bool {
    before.is_some_and(|before| {
        before.source.level() == Level::Raw
            && before.to_ms == piece.from_ms
            && before.source.epoch() == piece.source.epoch()
    })
}
