//! The state of every component, as `/healthz` and `basic-metrics` show it.
//!
//! Supervisors and parts report; the HTTP server and the hub read. It keeps the present only: no history,
//! no judgement beyond up or down.

use std::sync::{Arc, RwLock};

use indexmap::IndexMap;

use crate::protocol::Component;

/// Cloneable handle; entries are few and writes are one a second each.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<RwLock<IndexMap<String, Component>>>);

impl Board {
    /// Sets what is known of a component. `since` is kept while `up` stays the same.
    pub fn report(&self, mut component: Component) {
        let mut board = self
            .0
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = board.get(&component.name)
            && known.up == component.up
        {
            component.since = known.since;
        }
        board.insert(component.name.clone(), component);
    }

    /// Forgets a component that was taken out of the configuration.
    pub fn remove(&self, name: &str) {
        let mut board = self
            .0
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        board.shift_remove(name);
    }

    /// Every component, in the order of their first report.
    pub fn components(&self) -> Vec<Component> {
        let board = self
            .0
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        board.values().cloned().collect()
    }
}
