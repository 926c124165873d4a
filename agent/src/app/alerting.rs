//! Alerts tied to what they do not know: the store, which keeps their states and fills their windows, and the
//! hub, which tells the admins.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Task;
use crate::alerts::engine::{Event, Wanted};
use crate::alerts::{self, Alerts, History};
use crate::bus::Queue;
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::config::Config;
use crate::hub::Hub;
use crate::protocol::{Aggregation, Match};
use crate::store::engine::Engine;
use crate::store::query::Query;
use crate::store::registry::Selector;

/// Batches that may wait for the alerts, which take microseconds for each.
pub(super) const QUEUE_BATCHES: usize = 1_024;
/// Points that a window is filled with: as many as it keeps.
const POINTS: u32 = 600;

/// The running part.
pub(super) struct Alerting {
    pub(super) alerts: Alerts,
    task: Task,
    announcer: Task,
}

impl Alerting {
    pub(super) fn start(
        engine: &Arc<Engine>,
        clock: &Clock,
        catalog: &Catalog,
        queue: Queue,
        config: &Config,
        hub: &Hub,
    ) -> Self {
        let (alerts, events, run) = alerts::start(alerts::Parts {
            clock: clock.clone(),
            catalog: catalog.clone(),
            queue,
            core: Arc::clone(&engine.core),
            rules: config.alerts.clone(),
            history: history(Arc::clone(engine)),
        });
        Self {
            alerts,
            task: Task::spawn("alerts", run),
            announcer: Task::spawn("announcer", announce(events, hub.clone())),
        }
    }

    /// Waits for the end, which the bus brings.
    pub(super) async fn join(self, until: Instant) {
        self.task.join(until).await;
        self.announcer.join(until).await;
    }
}

/// Hands what happens to alerts to the hub, until either of the two ends.
async fn announce(mut events: mpsc::Receiver<Event>, hub: Hub) {
    while let Some(event) = events.recv().await {
        if hub.announce(&event).await.is_err() {
            return;
        }
    }
}

/// What the store has of a series. One that it can't read is begun with nothing, as a new one is.
fn history(engine: Arc<Engine>) -> History {
    Arc::new(move |wanted, now_ms| {
        points(&engine, wanted, now_ms).unwrap_or_else(|error| {
            tracing::warn!(metric = wanted.metric, "a window starts empty: {error}");
            Vec::new()
        })
    })
}

fn points(
    engine: &Engine,
    wanted: &Wanted,
    now_ms: i64,
) -> Result<Vec<(i64, f64)>, crate::store::query::QueryError> {
    let span_ms = i64::try_from(wanted.span.as_millis()).unwrap_or(i64::MAX);
    let labels = wanted.labels.iter();
    let query = Query {
        selector: Selector {
            matching: Match {
                metrics: vec![wanted.metric.clone()],
                labels: labels.map(|(n, v)| (n.clone(), v.clone())).collect(),
            },
            collector: Some(wanted.collector.clone()),
        },
        from_ms: now_ms.saturating_sub(span_ms),
        to_ms: now_ms,
        points: POINTS,
        aggregation: Aggregation::Avg,
        resolution: None,
    };
    let plan = engine.plan(&query, now_ms)?;
    let mut found = Vec::new();
    engine.answer(&plan, query.aggregation, &mut |series, row| {
        if series.labels == wanted.labels {
            let starts = (0i64..).map(|at| plan.from_ms + at * plan.step_ms);
            let points = starts.zip(row.value.iter().copied());
            found = points.filter(|(_, value)| value.is_finite()).collect();
        }
        true
    })?;
    Ok(found)
}
