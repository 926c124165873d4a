//! The collectors that run: started, stopped and exchanged as the configuration and their libraries say.
//!
//! What can change in a running collector is its supervisor's business, which is told what is wanted; here is
//! decided who stays, who goes and who is new. A library that can't be used stops nobody who runs.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::{STEP_TIMEOUT, Task};
use crate::catalog::{Catalog, CollectorId};
use crate::collect::events::Outbox;
use crate::collect::library::Shelf;
use crate::collect::lookup::Lookups;
use crate::collect::stats::{CollectorStats, Registry};
use crate::collect::status::Outcome;
use crate::collect::supervisor::{Parts, Supervisor, Wanted};
use crate::collect::{self, Runner, Settings};
use crate::config::Instance;
use crate::protocol::Component;

/// Makes what collects for one collector.
pub type MakeRunner<R> = Box<dyn Fn(Settings, Catalog, CollectorId, Outbox) -> R + Send + Sync>;

/// What a collector would run with.
struct Plan {
    settings: Settings,
    /// Its library says so.
    topic: String,
}

struct Running {
    /// What was wished last.
    settings: Settings,
    topic: String,
    id: CollectorId,
    stats: Arc<CollectorStats>,
    wanted: watch::Sender<Wanted>,
    task: Task,
}

impl Running {
    /// Whether a plan is for the same collector; another one has other series and has to start anew.
    fn can_become(&self, plan: &Plan) -> bool {
        let (old, new) = (&self.settings, &plan.settings);
        old.plugin == new.plugin
            && old.labelled == new.labelled
            && old.isolation == new.isolation
            && self.topic == plan.topic
    }
}

/// All collectors by name, and what a new one is made with.
pub(super) struct Collectors<R> {
    pub(super) parts: Parts,
    pub(super) stats: Registry,
    pub(super) lookups: Lookups,
    outbox: Outbox,
    make_runner: MakeRunner<R>,
    shelf: Arc<Shelf>,
    running: HashMap<String, Running>,
    /// Names of those that could not be started; shown as down.
    refused: Vec<String>,
}

impl<R: Runner> Collectors<R> {
    pub(super) fn new(
        parts: Parts,
        outbox: Outbox,
        make_runner: MakeRunner<R>,
        shelf: Arc<Shelf>,
    ) -> Self {
        Self {
            parts,
            stats: Registry::default(),
            lookups: Lookups::default(),
            outbox,
            make_runner,
            shelf,
            running: HashMap::new(),
            refused: Vec::new(),
        }
    }

    /// Starts a collector; one that can't start is shown as down, with the reason.
    pub(super) fn start(&mut self, instance: &Instance) {
        match plan(instance, &self.shelf) {
            Ok(plan) => self.start_as(plan),
            Err(error) => self.refuse(instance, &error),
        }
    }

    fn start_as(&mut self, plan: Plan) {
        let Plan { settings, topic } = plan;
        let name = settings.name.clone();
        let id = self.register(&settings, &topic);
        let stats = self.stats.of(&name, &settings.plugin);
        let (parts, outbox) = (self.parts.clone(), self.outbox.clone());
        let runner = (self.make_runner)(settings.clone(), parts.catalog.clone(), id, outbox);
        let supervisor = Supervisor::new(settings.clone(), id, parts, Arc::clone(&stats), runner);
        self.lookups.insert(&name, supervisor.questions());
        let (wanted, wishes) = watch::channel(Wanted::Run(Box::new(settings.clone())));
        let task = Task::spawn(&name, supervisor.run(wishes));
        let running = Running {
            settings,
            topic,
            id,
            stats,
            wanted,
            task,
        };
        self.running.insert(name, running);
    }

    fn register(&self, settings: &Settings, topic: &str) -> CollectorId {
        self.parts
            .catalog
            .register(&settings.name, &settings.plugin, topic, settings.series_max)
    }

    fn refuse(&mut self, instance: &Instance, error: &str) {
        tracing::error!(collector = %instance.name, "plugin can't be run: {error}");
        let now_ms = self.parts.clock.now_ms();
        self.parts.board.report(Component {
            name: instance.name.clone(),
            topic: instance.plugin.clone(),
            up: false,
            latency_ms: None,
            since: now_ms,
            restarts: 0,
            error: Some(error.to_owned()),
        });
        let its = self.stats.of(&instance.name, &instance.plugin);
        let mut shown = its.status();
        shown.topic.clone_from(&instance.plugin);
        shown.configured(&instance.unloaded());
        shown.is_refused(now_ms, error);
        drop(shown);
        self.refused.push(instance.name.clone());
    }

    /// Tells a collector what it shall run with; it goes on as it is until that is known to work.
    fn change(&mut self, name: &str, plan: Result<Plan, String>) {
        let Some(running) = self.running.get_mut(name) else {
            return;
        };
        match plan {
            Ok(plan) => {
                running.settings = plan.settings.clone();
                let wish = Wanted::Run(Box::new(plan.settings));
                running.wanted.send_replace(wish);
                let settings = &self.running[name].settings;
                // Its bound of series counts at once.
                self.register(settings, &self.running[name].topic);
            }
            Err(error) => {
                tracing::error!(
                    collector = name,
                    "plugin was not reloaded and goes on as before: {error}"
                );
                let now_ms = self.parts.clock.now_ms();
                running
                    .stats
                    .reloaded(now_ms, Outcome::Refused, Some(error));
            }
        }
    }

    /// Stops what is gone or has become another collector, starts what is new, and tells the rest what is wanted
    /// of it now.
    pub(super) async fn exchange(&mut self, wanted: &[Instance]) {
        let mut plans = self.plans(wanted).await;
        for (instance, plan) in &mut plans {
            // Another plugin has another topic, and would be started in the place of one that runs well.
            if self.running.contains_key(&instance.name)
                && let Ok(Plan { settings, .. }) = &plan
                && let Err(error) = collect::check_name(settings)
            {
                *plan = Err(error);
            }
        }
        let stays = |name: &str, running: &Running| {
            plans.iter().any(|(instance, plan)| {
                instance.name == name && plan.as_ref().map_or(true, |plan| running.can_become(plan))
            })
        };
        let ending = self
            .running
            .extract_if(|name, running| !stays(name, running));
        let ending: Vec<_> = ending.map(|(_, running)| running).collect();
        let mut gone: Vec<_> = std::mem::take(&mut self.refused)
            .into_iter()
            .map(|name| (name, None))
            .collect();
        gone.extend(
            ending
                .iter()
                .map(|old| (old.settings.name.clone(), Some(old.id))),
        );
        self.end(ending).await;
        for (instance, plan) in plans {
            match plan {
                plan if self.running.contains_key(&instance.name) => {
                    self.change(&instance.name, plan);
                }
                Ok(plan) => self.start_as(plan),
                Err(error) => self.refuse(&instance, &error),
            }
        }
        for (name, id) in gone {
            // What came back as the same collector keeps its series; its supervisor retires what is missing.
            if let Some(id) = id
                && self
                    .running
                    .get(&name)
                    .is_none_or(|running| running.id != id)
            {
                self.retire(id);
            }
            if !wanted.iter().any(|wanted| wanted.name == name) {
                self.parts.board.remove(&name);
                self.stats.remove(&name);
                self.lookups.remove(&name);
            }
        }
        let names: Vec<_> = wanted.iter().map(|wanted| wanted.name.as_str()).collect();
        self.stats.arrange(&names);
        self.sweep();
    }

    /// Looks at every library anew, which may mean that it is read as a whole.
    async fn plans(&self, wanted: &[Instance]) -> Vec<(Instance, Result<Plan, String>)> {
        let (instances, copies) = (wanted.to_vec(), Arc::clone(&self.shelf));
        let planning = tokio::task::spawn_blocking(move || {
            let plans = instances.into_iter().map(|instance| {
                let plan = plan(&instance, &copies);
                (instance, plan)
            });
            plans.collect()
        });
        planning
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    /// Removes the copies of libraries that nobody runs and nobody will.
    pub(super) fn sweep(&self) {
        let wished = self
            .running
            .values()
            .map(|running| running.settings.sha256.clone());
        let used = self.stats.all();
        let used = used.iter().map(|stats| stats.status().sha256.clone());
        let keep: Vec<_> = wished.chain(used).collect();
        self.shelf.sweep(&keep);
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
            running.wanted.send_replace(Wanted::Stop);
        }
        let until = self.parts.clock.mono() + STEP_TIMEOUT;
        for running in collectors {
            running.task.join(until).await;
        }
    }
}

fn plan(instance: &Instance, shelf: &Shelf) -> Result<Plan, String> {
    let resolved = instance.resolve(shelf).map_err(|error| error.message)?;
    for warning in resolved.warnings {
        tracing::warn!(collector = %instance.name, "{warning}");
    }
    let settings = resolved.settings;
    let topic = collect::topic_of(&settings);
    Ok(Plan { settings, topic })
}
