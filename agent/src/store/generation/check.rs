//! Whether a generation holds what its list says.
//!
//! sled skips what it cannot read of its log without a word, so that a damaged database opens with groups missing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::super::group::Group;
use super::super::key;
use super::sealed::{Marker, Sealed};
use super::{Block, READ_BYTES_MAX};
use crate::kv::{Kv, KvError};
use crate::words;

/// What the database has of a block.
#[derive(Debug, Default)]
struct Held {
    groups: u32,
    series: BTreeSet<u32>,
    marker: Option<Marker>,
}

impl Held {
    fn is_all_of(&self, marker: Marker) -> bool {
        self.groups == marker.groups && self.series.len() == marker.series as usize
    }
}

/// What a sound generation has.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// Its whole blocks.
    pub(super) markers: BTreeMap<Block, Marker>,
    /// Those that are only partly sealed.
    pub(super) partial: BTreeSet<Block>,
}

/// Opens the database, reads everything, closes it.
pub(super) fn check(folder: &Path, sealed: &Sealed) -> Result<Content, KvError> {
    let blocks = read(folder)?;
    let nothing = Held::default();
    let promised = sealed.blocks().map(|(block, marker)| {
        let held = blocks.get(&block).unwrap_or(&nothing);
        (held, marker, held.marker == Some(marker))
    });
    let own = blocks
        .values()
        .filter_map(|held| Some((held, held.marker?, true)));
    for (held, marker, is_marked) in promised.chain(own) {
        if !is_marked || !held.is_all_of(marker) {
            return Err(KvError::Damaged {
                path: folder.display().to_string(),
                message: format!(
                    "{} with {} series of a block are there instead of {} with {}",
                    words::count(held.groups, "group", "groups"),
                    held.series.len(),
                    marker.groups,
                    marker.series
                ),
            });
        }
    }
    let mut found = Content::default();
    for (block, held) in blocks {
        match held.marker {
            Some(marker) => drop(found.markers.insert(block, marker)),
            None => drop(found.partial.insert(block)),
        }
    }
    Ok(found)
}

/// Counts what is there, closing the database from time to time for the sake of memory.
fn read(folder: &Path) -> Result<BTreeMap<Block, Held>, KvError> {
    let mut all: BTreeMap<Block, Held> = BTreeMap::new();
    let mut from = vec![0];
    loop {
        let kv = Kv::open(folder)?;
        let mut bytes = 0;
        let mut next = None;
        let mut broken = None;
        kv.scan(&from, &key::END, &mut |key, value| {
            if bytes >= READ_BYTES_MAX {
                next = Some(key.to_vec());
                return false;
            }
            bytes += value.len() as u64;
            let Some((start_ms, epoch, series)) = key::decode(key) else {
                broken = Some("a key makes no sense".to_owned());
                return false;
            };
            let held = all.entry(Block { start_ms, epoch }).or_default();
            if series == key::MARKER {
                held.marker = Marker::decode(value);
                return true;
            }
            match Group::parse(value) {
                Ok(group) => {
                    held.groups += 1;
                    held.series.extend(group.chunks().map(|(series, _)| series));
                    true
                }
                Err(error) => {
                    broken = Some(format!("a group cannot be read: {error}"));
                    false
                }
            }
        })?;
        if let Some(message) = broken {
            return Err(KvError::Damaged {
                path: folder.display().to_string(),
                message,
            });
        }
        match next {
            Some(next) => from = next,
            None => return Ok(all),
        }
    }
}
