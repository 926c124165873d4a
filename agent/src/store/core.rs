//! Opening `core`, the small database of names and states, whatever has become of it.
//!
//! It climbs down the ladder of [`super::recover`] like a generation. sled passes over what it cannot read without a
//! word, so the series that the rest of the store has are looked up as well: names that are missing are carved out of
//! the database's own files, where old records stay for long, and out of what is in quarantine; but first they are
//! looked for in their second copy ([`spare`]). Numbers that any file has are never given again.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::derive::all_blocks;
use super::generation::Generations;
use super::head::Head;
use super::recover::{self, Outcome, Place};
use super::registry::{self, Carved, Registry, spare};
use super::{Level, StoreError};
use crate::kv::Kv;

/// The database with its registry, and what there is to tell.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) kv: Arc<Kv>,
    pub(super) registry: Registry,
    pub(super) losses: Vec<String>,
}

/// Opens it. `head` and `levels` say which series there are.
pub(super) fn open(
    root: &Path,
    head: &Head,
    levels: &[Generations; 3],
) -> Result<Core, StoreError> {
    let folder = root.join("core");
    let quarantine = root.join("quarantine");
    let place = Place {
        folder: &folder,
        quarantine: &quarantine,
        name: "core",
    };
    let has_history = levels.iter().any(|level| !level.starts().is_empty());
    let is_new = !folder.join("db").exists();
    let outcome = recover::climb(place, &mut || {
        Kv::open(&folder)?.scan(&[], &[u8::MAX; 64], &mut |_, _| true)
    })?;
    let kv = Arc::new(Kv::open(&folder)?);
    let mut losses = Vec::new();
    let mut stored = in_head(head)?;
    let mut carved = Carved::default();
    match outcome {
        Outcome::Sound if is_new && (has_history || !stored.is_empty()) => {
            losses.push("the database `core` was lost: states of alerts are gone".to_owned());
            stored.extend(in_levels(levels)?);
        }
        Outcome::Sound => {}
        Outcome::Repaired { why } => {
            losses.push(format!("repaired `core`, without its snapshot: {why}"));
        }
        Outcome::Quarantined { why, remains } => {
            recover::carve(&remains, &mut |bytes| registry::carve(bytes, &mut carved))?;
            losses.push(format!(
                "`core` was damaged ({why}): the names of {} series were saved, the rest is in {}; states of alerts \
                 are lost",
                carved.series.len(),
                remains.display()
            ));
            stored.extend(in_levels(levels)?);
        }
    }
    let floor = stored.last().map_or(0, |last| last.saturating_add(1));
    let registry = Registry::open(Arc::clone(&kv), floor)?;
    registry.adopt(carved);
    let names = root.join(spare::FILE);
    losses.extend(from_spare(&names, &registry));
    losses.extend(find_names(&folder, &quarantine, &registry, &stored)?);
    registry.keep_spare(&names);
    Ok(Core {
        kv,
        registry,
        losses,
    })
}

/// Takes over the names that only their second copy has. Without it the agent starts all the same.
fn from_spare(path: &Path, registry: &Registry) -> Option<String> {
    let known = match spare::read(path) {
        Ok(known) => known,
        Err(error) => {
            return Some(format!(
                "the second copy of the series' names is damaged: {error}"
            ));
        }
    };
    let lost = known.series.keys();
    let lost = lost.filter(|&&id| registry.get(id).is_none()).count();
    registry.adopt(known);
    (lost > 0).then(|| {
        format!(
            "`core` was damaged: {lost} series had lost their names, which were found in `{}`; states of alerts may be \
             lost",
            spare::FILE
        )
    })
}

/// Looks for the names of series that have samples and no name.
fn find_names(
    folder: &Path,
    quarantine: &Path,
    registry: &Registry,
    held: &BTreeSet<u32>,
) -> Result<Vec<String>, StoreError> {
    let nameless = || {
        held.iter()
            .filter(|&&id| registry.get(id).is_none())
            .count()
    };
    let before = nameless();
    if before == 0 {
        return Ok(Vec::new());
    }
    let mut carved = Carved::default();
    let mut places = vec![folder.to_owned()];
    if let Ok(entries) = std::fs::read_dir(quarantine) {
        let paths = entries.flatten().map(|entry| entry.path());
        places.extend(paths.filter(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy());
            name.is_some_and(|name| name.starts_with("core-"))
        }));
    }
    for place in places {
        recover::carve(&place, &mut |bytes| registry::carve(bytes, &mut carved))?;
    }
    carved.series.retain(|id, _| held.contains(id));
    registry.adopt(carved);
    let after = nameless();
    let mut told = vec![format!(
        "`core` was damaged: {} series had lost their names, {} of them were found again",
        before,
        before - after
    )];
    if after > 0 {
        told.push(format!(
            "lost the names of {after} series: their history cannot be asked for"
        ));
    }
    Ok(told)
}

fn in_head(head: &Head) -> Result<BTreeSet<u32>, StoreError> {
    let mut all = BTreeSet::new();
    for hour in head.hours() {
        all.extend(head.series(hour)?);
    }
    Ok(all)
}

fn in_levels(levels: &[Generations; 3]) -> Result<BTreeSet<u32>, StoreError> {
    let mut all = BTreeSet::new();
    for level in Level::ALL {
        let generations = &levels[level as usize];
        for block in all_blocks(generations)? {
            all.extend(generations.covered(block)?);
        }
        generations.close_idle(true);
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
