//! Which series of a collector are in use, and by how many of its processes.
//!
//! During a reload two of them run beside each other and declare the same series. What one of them retires
//! lives on as long as the other has it, and what a process had when it ended is retired by nobody here: its
//! supervisor does that, once it knows what the next one declares.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::catalog::{Catalog, CatalogError, SeriesId};

/// Cloneable handle, shared by all processes of a collector.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims(Arc<Mutex<HashMap<SeriesId, u32>>>);

impl Claims {
    fn lock(&self) -> MutexGuard<'_, HashMap<SeriesId, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Defines a series and claims it in one step, so that nobody retires it in between.
    pub(super) fn define(
        &self,
        define: impl FnOnce() -> Result<SeriesId, CatalogError>,
    ) -> Result<SeriesId, CatalogError> {
        let mut claims = self.lock();
        let id = define()?;
        *claims.entry(id).or_default() += 1;
        Ok(id)
    }

    /// Gives a claim up and retires the series with the last of them.
    pub(super) fn retire(&self, id: SeriesId, catalog: &Catalog) {
        let mut claims = self.lock();
        if release(&mut claims, id) {
            catalog.retire(id);
        }
    }

    /// Retires those of the series that nobody claims.
    pub(super) fn retire_unclaimed(&self, ids: &[SeriesId], catalog: &Catalog) {
        let claims = self.lock();
        for &id in ids.iter().filter(|id| !claims.contains_key(id)) {
            catalog.retire(id);
        }
    }

    /// Gives claims up; the series stay as they are.
    pub(super) fn release(&self, ids: impl Iterator<Item = SeriesId>) {
        let mut claims = self.lock();
        for id in ids {
            release(&mut claims, id);
        }
    }
}

/// Whether it was the last claim.
fn release(claims: &mut HashMap<SeriesId, u32>, id: SeriesId) -> bool {
    let Some(count) = claims.get_mut(&id) else {
        return true;
    };
    *count -= 1;
    let is_last = *count == 0;
    if is_last {
        claims.remove(&id);
    }
    is_last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Kind, Metric, SERIES_MAX};
    use crate::clock::Tier;

    #[test]
    fn a_series_is_retired_with_its_last_claim_only() {
        let catalog = Catalog::default();
        let collector = catalog.register("c", "p", "t", SERIES_MAX);
        let metric = Metric::for_test("m", Kind::Gauge, Tier::Fast, &[]);
        let metric = catalog.define_metric(collector, metric).unwrap();
        let claims = Claims::default();
        let define = || claims.define(|| catalog.define_series(collector, metric, Vec::new()));
        let (old, new) = (define().unwrap(), define().unwrap());
        assert_eq!(old, new);
        claims.retire(old, &catalog);
        assert!(!catalog.read().series(new).retired, "the other one has it");
        claims.retire(new, &catalog);
        assert!(catalog.read().series(new).retired);
        define().unwrap();
        claims.release([new].into_iter());
        assert!(
            !catalog.read().series(new).retired,
            "that is for others to say"
        );
    }
}
