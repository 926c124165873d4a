//! The collectors that run: started, stopped and exchanged as the configuration says.

use std::collections::HashMap;

use tokio::sync::watch;

use super::{STEP_TIMEOUT, Task};
use crate::catalog::{Catalog, CollectorId};
use crate::collect::stats::Registry;
use crate::collect::supervisor::{Parts, Supervisor};
use crate::collect::{self, Runner, Settings};
use crate::config::Instance;
use crate::protocol::Component;

/// Makes what collects for one collector.
pub type MakeRunner<R> = Box<dyn Fn(Settings, Catalog, CollectorId) -> R + Send + Sync>;

struct Running {
    instance: Instance,
    id: CollectorId,
    stop: watch::Sender<bool>,
    task: Task,
}

/// All collectors by name, and what a new one is made with.
pub(super) struct Collectors<R> {
    pub(super) parts: Parts,
    pub(super) stats: Registry,
    make_runner: MakeRunner<R>,
    running: HashMap<String, Running>,
    /// Could not be started; shown as down.
    refused: Vec<Instance>,
}

impl<R: Runner> Collectors<R> {
    pub(super) fn new(parts: Parts, make_runner: MakeRunner<R>) -> Self {
        let stats = Registry::default();
        Self {
            parts,
            stats,
            make_runner,
            running: HashMap::new(),
            refused: Vec::new(),
        }
    }

    /// Starts a collector; one that can't start is shown as down, with the reason.
    pub(super) fn start(&mut self, instance: Instance) {
        let settings = match instance.settings() {
            Ok(settings) => settings,
            Err(error) => return self.refuse(instance, &error),
        };
        let topic = collect::topic_of(&settings);
        let Parts { catalog, .. } = &self.parts;
        let id = catalog.register(
            &settings.name,
            &settings.plugin,
            &topic,
            settings.series_max,
        );
        let stats = self.stats.of(&settings.name, &settings.plugin);
        let runner = (self.make_runner)(settings.clone(), catalog.clone(), id);
        let name = settings.name.clone();
        let supervisor = Supervisor::new(settings, id, self.parts.clone(), stats, runner);
        let (stop, stops) = watch::channel(false);
        let task = Task::spawn(&name, supervisor.run(stops));
        self.running.insert(
            name,
            Running {
                instance,
                id,
                stop,
                task,
            },
        );
    }

    fn refuse(&mut self, instance: Instance, error: &str) {
        tracing::error!(collector = %instance.name, "plugin can't be run: {error}");
        self.parts.board.report(Component {
            name: instance.name.clone(),
            topic: instance.plugin.clone(),
            up: false,
            latency_ms: None,
            since: self.parts.clock.now_ms(),
            restarts: 0,
            error: Some(error.to_owned()),
        });
        self.refused.push(instance);
    }

    /// Stops what is gone or has changed and starts what is new or has changed; the rest goes on.
    pub(super) async fn exchange(&mut self, wanted: &[Instance]) {
        for instance in std::mem::take(&mut self.refused) {
            self.parts.board.remove(&instance.name);
        }
        let changed = self
            .running
            .extract_if(|_, running| !wanted.contains(&running.instance));
        let changed: Vec<_> = changed.map(|(_, running)| running).collect();
        let gone: Vec<_> = changed
            .iter()
            .map(|old| (old.instance.clone(), old.id))
            .collect();
        self.end(changed).await;
        for instance in wanted {
            if !self.running.contains_key(&instance.name) {
                self.start(instance.clone());
            }
        }
        for (instance, id) in gone {
            // What came back as the same collector keeps its series; its supervisor retires what is missing.
            if self
                .running
                .get(&instance.name)
                .is_some_and(|running| running.id == id)
            {
                continue;
            }
            self.retire(id);
            if !wanted.iter().any(|wanted| wanted.name == instance.name) {
                self.parts.board.remove(&instance.name);
                self.stats.remove(&instance.name);
            }
        }
    }

    fn retire(&self, collector: CollectorId) {
        let series: Vec<_> = {
            let tables = self.parts.catalog.read();
            let all = tables
                .all_series()
                .filter(|(_, series)| series.collector == collector);
            all.map(|(id, _)| id).collect()
        };
        for id in series {
            self.parts.catalog.retire(id);
        }
    }

    /// Stops all of them.
    pub(super) async fn stop_all(mut self) {
        let all = self.running.drain().map(|(_, running)| running).collect();
        self.end(all).await;
    }

    /// Stops some at the same time.
    async fn end(&self, collectors: Vec<Running>) {
        for running in &collectors {
            running.stop.send_replace(true);
        }
        let until = self.parts.clock.mono() + STEP_TIMEOUT;
        for running in collectors {
            running.task.join(until).await;
        }
    }
}
