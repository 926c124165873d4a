//! Which blocks answer which part of a range. Pure.
//!
//! The wanted level comes first; where it has nothing, the next one does: finer ones for what is not rolled up
//! yet, coarser ones for what is gone. An hour that the head still has is read from the head. Each epoch of the
//! wall clock is looked at by itself; where several have the same time, `epochs` lets the newest win.

use std::collections::BTreeMap;

use crate::protocol::Resolution;
use crate::store::generation::Block;
use crate::store::head::Hour;
use crate::store::{HOUR_MS, Level};

/// Where samples or points stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// An hour that is not sealed yet.
    Head(Hour),
    /// A sealed block.
    Sealed(Level, Block),
}

/// A part of a range, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) source: Source,
    /// From here, Unix milliseconds.
    pub(super) from_ms: i64,
    /// Up to here, without it.
    pub(super) to_ms: i64,
}

/// What there is to read.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    /// Hours of the head.
    pub(super) head: Vec<Hour>,
    /// Sealed blocks by level.
    pub(super) sealed: [Vec<Block>; 3],
}

impl Source {
    pub(super) const fn epoch(self) -> u16 {
        match self {
            Self::Head(hour) => hour.epoch,
            Self::Sealed(_, block) => block.epoch,
        }
    }

    pub(super) const fn level(self) -> Level {
        match self {
            Self::Head(_) => Level::Raw,
            Self::Sealed(level, _) => level,
        }
    }

    const fn extent(self) -> (i64, i64) {
        match self {
            Self::Head(hour) => (hour.start_ms, hour.start_ms + HOUR_MS),
            Self::Sealed(level, block) => (block.start_ms, block.start_ms + level.block_ms()),
        }
    }
}

/// The pieces of a range in the order of time. Those that lie in the same time, which only several epochs do,
/// come together in one list.
pub(super) fn pieces(
    resolution: Resolution,
    (from_ms, to_ms): (i64, i64),
    inventory: &Inventory,
) -> Vec<Vec<Piece>> {
    let order = match resolution {
        Resolution::Raw => [Level::Raw, Level::Minute, Level::Hour],
        Resolution::Minute => [Level::Minute, Level::Raw, Level::Hour],
        Resolution::Hour => [Level::Hour, Level::Minute, Level::Raw],
    };
    let mut found = Vec::new();
    // By epoch, the time that a level before has.
    let mut taken = BTreeMap::<u16, Vec<(i64, i64)>>::new();
    for level in order {
        let mut level_has = Vec::new();
        for source in sources(level, inventory) {
            let extent = source.extent();
            if extent.0 >= to_ms || extent.1 <= from_ms {
                continue;
            }
            let before = taken.get(&source.epoch()).map_or(&[][..], Vec::as_slice);
            let free = without(extent, before);
            // Not cut to the range: a counter's first interval and a wide point begin before it.
            let free = free
                .into_iter()
                .filter(|free| free.0 < to_ms && free.1 > from_ms);
            found.extend(free.map(|(from_ms, to_ms)| Piece {
                source,
                from_ms,
                to_ms,
            }));
            level_has.push((source.epoch(), extent));
        }
        for (epoch, extent) in level_has {
            let list = taken.entry(epoch).or_default();
            list.push(extent);
            list.sort_unstable();
        }
    }
    together(found)
}

fn sources(level: Level, inventory: &Inventory) -> impl Iterator<Item = Source> {
    let head = if level == Level::Raw {
        &inventory.head[..]
    } else {
        &[]
    };
    let in_head = |block: &Block| {
        head.iter()
            .any(|hour| (hour.start_ms, hour.epoch) == (block.start_ms, block.epoch))
    };
    let sealed = inventory.sealed[level as usize].iter();
    let sealed = sealed.filter(move |block| !in_head(block));
    head.iter()
        .map(|hour| Source::Head(*hour))
        .chain(sealed.map(move |block| Source::Sealed(level, *block)))
}

/// What of `extent` is in none of `taken`, which is in the order of time.
fn without(extent: (i64, i64), taken: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let mut free = Vec::new();
    let mut from = extent.0;
    for (start, end) in taken {
        if *end <= from || *start >= extent.1 {
            continue;
        }
        if *start > from {
            free.push((from, *start));
        }
        from = *end;
    }
    if from < extent.1 {
        free.push((from, extent.1));
    }
    free
}

fn together(mut found: Vec<Piece>) -> Vec<Vec<Piece>> {
    found.sort_unstable_by_key(|piece| (piece.from_ms, piece.source.epoch()));
    let mut lists = Vec::<Vec<Piece>>::new();
    let mut end_ms = i64::MIN;
    for piece in found {
        match lists.last_mut() {
            Some(list) if piece.from_ms < end_ms => list.push(piece),
            _ => lists.push(vec![piece]),
        }
        end_ms = end_ms.max(piece.to_ms);
    }
    lists
}

#[cfg(test)]
mod tests {
    use super::*;

    const H: i64 = HOUR_MS;

    fn block(hour: i64, epoch: u16) -> Block {
        Block {
            start_ms: hour * H,
            epoch,
        }
    }

    fn inventory(head: &[i64], raw: &[i64], minute: &[i64], hour: &[i64]) -> Inventory {
        let blocks = |hours: &[i64]| hours.iter().map(|hour| block(*hour, 0)).collect();
        Inventory {
            head: head
                .iter()
                .map(|hour| Hour {
                    start_ms: hour * H,
                    epoch: 0,
                })
                .collect(),
            sealed: [blocks(raw), blocks(minute), blocks(hour)],
        }
    }

    /// In words: `head 12-13`.
    fn told(resolution: Resolution, hours: (i64, i64), inventory: &Inventory) -> Vec<String> {
        let lists = pieces(resolution, (hours.0 * H, hours.1 * H), inventory);
        let one = |piece: &Piece| {
            let name = match piece.source {
                Source::Head(_) => "head",
                Source::Sealed(level, _) => level.folder(),
            };
            format!("{name} {}-{}", piece.from_ms / H, piece.to_ms / H)
        };
        lists
            .iter()
            .map(|list| list.iter().map(one).collect::<Vec<_>>().join(" | "))
            .collect()
    }

    #[test]
    fn the_recent_part_is_finer_and_the_old_part_coarser() {
        use Resolution::{Hour, Minute, Raw};
        // Raw from 6 on, of which 12 is being sealed; minutes up to 12; hours of the first 5 days.
        let all = inventory(&[12, 13], &[6, 7, 8, 9, 10, 11, 12], &[0, 6], &[]);
        assert_eq!(
            told(Raw, (10, 14), &all),
            ["raw 10-11", "raw 11-12", "head 12-13", "head 13-14"]
        );
        assert_eq!(told(Raw, (5, 7), &all), ["m1 0-6", "raw 6-7"]);
        assert_eq!(
            told(Minute, (0, 14), &all),
            ["m1 0-6", "m1 6-12", "head 12-13", "head 13-14"]
        );
        assert_eq!(told(Hour, (11, 13), &all), ["m1 6-12", "head 12-13"]);
        let old = inventory(&[], &[], &[120], &[0]);
        assert_eq!(told(Minute, (0, 240), &old), ["h1 0-120", "m1 120-126"]);
        assert_eq!(told(Raw, (119, 121), &old), ["h1 0-120", "m1 120-126"]);
        assert_eq!(told(Hour, (0, 240), &old), ["h1 0-120", "m1 120-126"]);
        assert!(told(Raw, (300, 301), &old).is_empty());
    }

    #[test]
    fn a_hole_in_the_finer_level_is_filled_from_the_coarser() {
        let holed = inventory(&[], &[1, 2, 4], &[0], &[]);
        assert_eq!(
            told(Resolution::Raw, (0, 6), &holed),
            [
                "m1 0-1", "raw 1-2", "raw 2-3", "m1 3-4", "raw 4-5", "m1 5-6"
            ]
        );
    }

    #[test]
    fn epochs_of_the_same_time_come_together() {
        let mut twice = inventory(&[2], &[0, 1], &[], &[]);
        twice.head.push(Hour {
            start_ms: H,
            epoch: 1,
        });
        assert_eq!(
            told(Resolution::Raw, (0, 3), &twice),
            ["raw 0-1", "raw 1-2 | head 1-2", "head 2-3"]
        );
    }
}
