//! Alerts on the disk: what is written of each, and where.
//!
//! One key an alert in the core database: `a`, then the alert's id; its value is a [`Saved`] as JSON. The
//! engine says what changed, the task has it written on a thread that may block. Alerts that are inactive
//! have no key.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::state::State;
use crate::catalog::{Kind, Unit};
use crate::kv::{Kv, KvError};
use crate::protocol::AlertInfo;

const PREFIX: &[u8] = b"a";
const PREFIX_END: &[u8] = b"b";

/// What is kept of an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// Where it stands.
    #[serde(flatten)]
    pub state: State,
    /// How its values are written.
    pub unit: Unit,
    /// Values of a counter are rates.
    pub kind: Kind,
    /// As it was shown when it changed last.
    pub alert: AlertInfo,
}

/// Alerts that changed, by id; `None` for one that is inactive now.
pub type Changes = BTreeMap<String, Option<Saved>>;

/// Reads all alerts. A value that can't be understood is left out and reported in the log.
pub fn load(core: &Kv) -> Result<Vec<Saved>, KvError> {
    let mut found = Vec::new();
    core.scan(PREFIX, PREFIX_END, &mut |key, value| {
        match serde_json::from_slice(value) {
            Ok(saved) => found.push(saved),
            Err(error) => {
                let id = String::from_utf8_lossy(&key[PREFIX.len()..]);
                tracing::warn!(%id, "a stored alert can't be read and is left out: {error}");
            }
        }
        true
    })?;
    Ok(found)
}

/// Writes changes; they are on the disk when this returns.
pub fn store(core: &Kv, changes: &Changes) -> Result<(), KvError> {
    let written: Vec<(Vec<u8>, Option<Vec<u8>>)> = changes
        .iter()
        .map(|(id, saved)| {
            let value = saved
                .as_ref()
                .map(|saved| serde_json::to_vec(saved).expect("plain values with string keys"));
            ([PREFIX, id.as_bytes()].concat(), value)
        })
        .collect();
    let pairs: Vec<(&[u8], Option<&[u8]>)> = written
        .iter()
        .map(|(key, value)| (key.as_slice(), value.as_deref()))
        .collect();
    core.apply(&pairs)?;
    core.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::state::Held;
    use crate::protocol::{AlertState, Comparison, Labels, Severity};

    fn saved(id: &str) -> Saved {
        let held = Held {
            any_ms: 5_000,
            critical_ms: None,
            seen_ms: None,
        };
        Saved {
            state: State::Firing {
                since_ms: 1,
                fired_ms: 2,
                severity: Severity::Warning,
                held,
            },
            unit: Unit::Ratio,
            kind: Kind::Gauge,
            alert: AlertInfo {
                id: id.to_owned(),
                rule: "memory".to_owned(),
                state: AlertState::Firing,
                severity: Severity::Warning,
                metric: "m".to_owned(),
                collector: "system".to_owned(),
                labels: Labels::from_iter([("cpu".to_owned(), "0".to_owned())]),
                value: Some(0.9),
                threshold: 0.85,
                comparison: Comparison::Above,
                since: 1,
                fired_at: Some(2),
                resolved_at: None,
                message: "memory is at 90 %".to_owned(),
            },
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let core = Kv::open(folder.path()).unwrap();
        core.insert(b"aX", b"{\"state\":\"strange\"}").unwrap();
        core.insert(b"b", b"not ours").unwrap();
        let (one, two) = (saved("memory-1"), saved("memory-2"));
        let changes = Changes::from_iter([
            ("memory-1".to_owned(), Some(one.clone())),
            ("memory-2".to_owned(), Some(two.clone())),
        ]);
        store(&core, &changes).unwrap();
        assert_eq!(load(&core).unwrap(), [one, two.clone()]);
        store(&core, &Changes::from_iter([("memory-1".to_owned(), None)])).unwrap();
        drop(core);
        let core = Kv::open(folder.path()).unwrap();
        assert_eq!(load(&core).unwrap(), [two]);
    }
}
