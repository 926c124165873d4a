//! The task: what is written, when events go out, and what a disk that fails changes.

use std::collections::BTreeMap;

use super::*;
use crate::bus::{Batch, Bus, Sample};
use crate::catalog::{CollectorId, Kind, Metric, SeriesId};
use crate::clock::{Tier, TierSet};
use crate::protocol::Comparison;
use rule::{Function, Limits};

const START_MS: i64 = 1_700_000_000_000;

struct Rig {
    bus: Bus,
    alerts: Alerts,
    events: mpsc::Receiver<Event>,
    task: JoinHandle<()>,
    collector: CollectorId,
    load: SeriesId,
    clock: Clock,
}

fn rules() -> Vec<Rule> {
    vec![Rule {
        name: "load".to_owned(),
        metric: "load".to_owned(),
        labels: BTreeMap::new(),
        function: Function::Last,
        window: Duration::ZERO,
        limits: Limits {
            comparison: Comparison::Above,
            warning: Some(5.0),
            critical: None,
            clear: 4.0,
            hold: Duration::ZERO,
        },
        message: String::new(),
    }]
}

impl Rig {
    fn start(core: &Arc<Kv>) -> Self {
        let (clock, catalog) = (Clock::simulated(START_MS), Catalog::default());
        let (bus, mut queues) = Bus::new(&[("alerts", 64)]);
        let collector = catalog.register("system", "system", "system", 100);
        let metric = catalog.define_metric(
            collector,
            Metric::for_test("load", Kind::Gauge, Tier::Fast, &[]),
        );
        let load = catalog
            .define_series(collector, metric.unwrap(), Vec::new())
            .unwrap();
        let (alerts, events, run) = start(Parts {
            clock: clock.clone(),
            catalog,
            queue: queues.remove(0),
            core: Arc::clone(core),
            rules: rules(),
            history: Arc::new(|_, _| Vec::new()),
        });
        Self {
            bus,
            alerts,
            events,
            task: tokio::spawn(run),
            collector,
            load,
            clock,
        }
    }

    fn publish(&self, value: f64) {
        self.bus.publish(Batch {
            collector: self.collector,
            tick: 0,
            at_ms: self.clock.now_ms(),
            at: self.clock.mono(),
            due: TierSet::ALL,
            up: true,
            took: Duration::ZERO,
            samples: vec![Sample {
                series: self.load,
                value,
            }],
        });
    }

    async fn event(&mut self) -> (String, AlertState) {
        let event = self.events.recv().await.expect("an event");
        (event.event, event.data.state)
    }
}

#[tokio::test]
async fn an_event_is_on_the_disk_when_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let core = Arc::new(Kv::open(folder.path()).unwrap());
    let mut rig = Rig::start(&core);
    rig.publish(9.0);
    assert_eq!(
        rig.event().await,
        ("dashboard-alert".to_owned(), AlertState::Firing)
    );
    let kept = persist::load(&core).unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].alert, rig.alerts.answer(None, 0).alerts[0]);
    // Ended like a killed process: nothing is said or written on the way out.
    rig.task.abort();
    let _ = rig.task.await;

    let mut rig = Rig::start(&core);
    let firing = rig.alerts.answer(Some(AlertState::Firing), 0);
    assert_eq!(firing.alerts.len(), 1, "before the first sample");
    assert_eq!(
        rig.alerts.answer(Some(AlertState::Pending), 0).alerts.len(),
        0
    );
    rig.publish(9.0);
    rig.publish(3.0);
    let expected = ("dashboard-alert-resolved".to_owned(), AlertState::Resolved);
    assert_eq!(
        rig.event().await,
        expected,
        "and no second `dashboard-alert`"
    );
    drop(rig.bus);
    rig.task.await.unwrap();
    assert!(matches!(
        persist::load(&core).unwrap()[0].state,
        state::State::Resolved { .. }
    ));
}

#[tokio::test]
async fn what_is_left_is_written_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let core = Arc::new(Kv::open(folder.path()).unwrap());
    let mut rig = Rig::start(&core);
    for value in [9.0, 3.0, 9.0] {
        rig.publish(value);
    }
    drop(rig.bus);
    rig.task.await.unwrap();
    let mut told = Vec::new();
    while let Some(event) = rig.events.recv().await {
        told.push(event.data.state);
    }
    assert_eq!(
        told,
        [AlertState::Firing, AlertState::Resolved, AlertState::Firing]
    );
    assert!(matches!(
        persist::load(&core).unwrap()[0].state,
        state::State::Firing { .. }
    ));
}
