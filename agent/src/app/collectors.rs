//! The collectors that run: started, stopped and exchanged as the configuration and their libraries say.
//!
//! What can change in a running collector is its supervisor's business, which is told what is wanted; here is
//! decided who stays, who goes and who is new. A library that can't be used stops nobody who runs, and what is to
//! take the place of one that runs is tried before, see [`super::trials`].

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;

use super::trials::{Members, Trials, Tried};
use super::{STEP_TIMEOUT, Task};
use crate::catalog::{Catalog, CollectorId};
use crate::collect::events::Outbox;
use crate::collect::library::Shelf;
use crate::collect::lookup::Lookups;
use crate::collect::stats::{CollectorStats, Stats};
use crate::collect::status::Outcome;
use crate::collect::supervisor::{Parts, Supervisor, Trial, Wanted};
use crate::collect::{self, Isolation, Runner, Settings};
use crate::config::Instance;
use crate::protocol::{Component, PluginPhase};

/// Makes what collects for one collector.
pub type MakeRunner<R> = Box<dyn Fn(Settings, Catalog, CollectorId, Outbox) -> R + Send + Sync>;

/// What a collector would run with.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    settings: Settings,
    /// Its library says so.
    topic: String,
    /// What is unwise about it.
    warnings: Vec<String>,
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

    /// What has to be shown by whoever is to take its place: as much as it does itself. Nothing if it does not run,
    /// since then there is nothing to lose.
    fn asks(&self) -> Option<Trial> {
        let is_running = self.stats.status().phase() == PluginPhase::Running;
        let is_up = self.stats.up.load(Ordering::Relaxed);
        is_running.then_some(if is_up {
            Trial::Collects
        } else {
            Trial::Starts
        })
    }
}

/// All collectors by name, and what a new one is made with.
pub(super) struct Collectors<R> {
    pub(super) parts: Parts,
    pub(super) stats: Stats,
    pub(super) lookups: Lookups,
    outbox: Outbox,
    make_runner: MakeRunner<R>,
    shelf: Arc<Shelf>,
    running: HashMap<String, Running>,
    /// Of those that are to take the place of others.
    trials: Trials,
    /// Names of those that could not be started; shown as down.
    refused: Vec<String>,
    /// The warnings of each, as they were logged last: a reload that changes nothing says nothing.
    warned: HashMap<String, Vec<String>>,
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
            stats: Stats::default(),
            lookups: Lookups::default(),
            outbox,
            make_runner,
            shelf,
            running: HashMap::new(),
            trials: Trials::default(),
            refused: Vec::new(),
            warned: HashMap::new(),
        }
    }

    /// Starts collectors; one that can't start is shown as down, with the reason.
    pub(super) fn start(&mut self, instances: &[Instance]) {
        let plan = |instance: &Instance| (instance.clone(), plan(instance, &self.shelf));
        let plans: Vec<_> = instances.iter().map(plan).collect();
        self.prepare(&plans);
        for (instance, plan) in plans {
            match plan {
                Ok(plan) => self.start_as(plan),
                Err(error) => self.refuse(&instance, &error),
            }
        }
    }

    /// Before any of them starts: no plugin may take a name of what is said of another one, whoever comes first.
    fn prepare(&mut self, plans: &[(Instance, Result<Plan, String>)]) {
        for (instance, plan) in plans {
            let Ok(plan) = plan else { continue };
            self.parts.catalog.reserve(&plan.topic);
            let name = &instance.name;
            if self.warned.get(name) != Some(&plan.warnings) {
                for warning in &plan.warnings {
                    tracing::warn!(collector = %name, "{warning}");
                }
                self.warned.insert(name.clone(), plan.warnings.clone());
            }
        }
    }

    fn start_as(&mut self, plan: Plan) {
        let Plan {
            settings, topic, ..
        } = plan;
        let name = settings.name.clone();
        let id = self.register(&settings, &topic);
        let stats = self.stats.of(&name, &settings.plugin);
        let (parts, outbox) = (self.parts.clone(), self.outbox.clone());
        let runner = (self.make_runner)(settings.clone(), parts.catalog.clone(), id, outbox);
        let supervisor = Supervisor::new(settings.clone(), id, parts, Arc::clone(&stats), runner);
        self.lookups.insert(&name, supervisor.lookups());
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

    /// Whether one runs with exactly these settings, and nothing else is wanted of it.
    pub(super) fn runs(&self, settings: &Settings) -> bool {
        let its = self.running.get(&settings.name);
        its.is_some_and(|running| {
            let status = running.stats.status();
            running.settings == *settings
                && status.phase() == PluginPhase::Running
                && status.reload_refusal().is_none()
        })
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

    /// Stops what is gone, starts what is new, tells those that stay what is wanted of them now, and begins to try
    /// what is to be another collector under the name of one that runs. The newest wish counts: trials for another
    /// one end.
    pub(super) async fn exchange(&mut self, wanted: &[Instance]) {
        let plans = self.plans(wanted).await;
        self.prepare(&plans);
        self.remove_all_but(wanted).await;
        let is_another = |plan: &Plan| {
            let running = self.running.get(&plan.settings.name);
            running.is_some_and(|running| !running.can_become(plan))
        };
        let known = plans.iter().filter_map(|(_, plan)| plan.as_ref().ok());
        let changing: HashSet<String> = known
            .filter(|plan| is_another(plan))
            .map(|plan| plan.settings.plugin.clone())
            .collect();
        let mut groups: Vec<Members> = Vec::new();
        for (instance, plan) in plans {
            let running = self.running.get(&instance.name);
            match plan {
                Ok(plan) if running.is_some_and(|running| running.can_become(&plan)) => {
                    self.change(&instance.name, Ok(plan));
                }
                // Also what is new waits: the metrics of the old ones may have other labels, or another topic.
                Ok(plan) if changing.contains(&plan.settings.plugin) => {
                    let of_plugin = |group: &&mut Members| group[0].0.plugin == instance.plugin;
                    match groups.iter_mut().find(of_plugin) {
                        Some(group) => group.push((instance, plan)),
                        None => groups.push(vec![(instance, plan)]),
                    }
                }
                Ok(plan) => self.start_as(plan),
                Err(error) if running.is_some() => self.change(&instance.name, Err(error)),
                Err(error) => self.refuse(&instance, &error),
            }
        }
        let mut before = std::mem::take(&mut self.trials);
        for members in groups {
            if !self.trials.keep(&mut before, &members) {
                self.try_first(members).await;
            }
        }
        before.give_up();
        let names: Vec<_> = wanted.iter().map(|wanted| wanted.name.as_str()).collect();
        self.stats.arrange(&names);
        self.sweep();
    }

    /// Stops and forgets what is not configured any more.
    async fn remove_all_but(&mut self, wanted: &[Instance]) {
        let is_wanted = |name: &String| wanted.iter().any(|wanted| wanted.name == *name);
        let gone = self.running.extract_if(|name, _| !is_wanted(name));
        let gone: Vec<_> = gone.map(|(_, running)| running).collect();
        let ids: Vec<_> = gone.iter().map(|old| old.id).collect();
        let mut names = std::mem::take(&mut self.refused);
        names.extend(gone.iter().map(|old| old.settings.name.clone()));
        self.end(gone).await;
        for id in ids {
            self.retire(id);
        }
        for name in names.iter().filter(|name| !is_wanted(name)) {
            self.parts.board.remove(name);
            self.stats.remove(name);
            self.lookups.remove(name);
            self.warned.remove(name);
        }
    }

    /// Begins the trials that have to be good before these take the place of others; without any they do so at once.
    async fn try_first(&mut self, members: Members) {
        let runners = members.iter().filter_map(|(instance, plan)| {
            let trial = self.running.get(&instance.name)?.asks()?;
            Some((instance.name.clone(), self.disposable(plan), trial))
        });
        let runners: Vec<_> = runners.collect();
        if runners.is_empty() {
            self.replace(members).await;
        } else {
            self.trials.begin(members, runners, &self.parts.clock);
        }
    }

    /// What a plan is tried with: it defines into a catalog of its own.
    fn disposable(&self, plan: &Plan) -> R {
        let settings = Settings {
            isolation: Isolation::Process,
            ..plan.settings.clone()
        };
        let catalog = Catalog::default();
        let Settings {
            name,
            plugin,
            series_max,
            ..
        } = &settings;
        let id = catalog.register(name, plugin, &plan.topic, *series_max);
        let model = (self.make_runner)(settings.clone(), catalog, id, self.outbox.clone());
        // A successor's events are held back until it takes over, which this one never does.
        model.successor(settings)
    }

    /// Waits until collectors that are to take the place of others were tried. Cancel-safe.
    pub(super) async fn tried(&mut self) -> Tried {
        self.trials.next().await
    }

    /// Exchanges what was tried for what runs, or says why not.
    pub(super) async fn take_over(&mut self, tried: Tried) {
        let refusals = tried.members.iter();
        let refusals: Vec<_> = refusals
            .filter_map(|(instance, _)| tried.refusal(&instance.name))
            .collect();
        if refusals.is_empty() {
            self.replace(tried.members).await;
        } else {
            for ((instance, _), reason) in tried.members.into_iter().zip(refusals) {
                if self.running.contains_key(&instance.name) {
                    self.change(&instance.name, Err(reason));
                } else {
                    self.refuse(&instance, &reason);
                }
            }
        }
        self.sweep();
    }

    /// Starts these, after those that run under their names have ended.
    async fn replace(&mut self, members: Members) {
        let (mut old, mut retired) = (Vec::new(), Vec::new());
        for (_, plan) in &members {
            let settings = &plan.settings;
            if let Some(running) = self.running.remove(&settings.name) {
                let is_same = running.id == self.register(settings, &plan.topic)
                    && running.settings.labelled == settings.labelled;
                // What comes back as the same collector keeps its series; its supervisor retires what is missing.
                if !is_same {
                    retired.push(running.id);
                }
                old.push(running);
            }
        }
        let names: Vec<_> = old.iter().map(|old| old.settings.name.clone()).collect();
        self.end(old).await;
        // Before others are defined: the same metrics may have other labels now, or another topic.
        for id in retired {
            self.retire(id);
        }
        for (Instance { name, plugin, .. }, plan) in members {
            self.start_as(plan);
            if names.contains(&name) {
                let outcome = Outcome::Switched;
                tracing::info!(collector = %name, outcome = outcome.name(), "plugin was reloaded");
                let now_ms = self.parts.clock.now_ms();
                self.stats
                    .of(&name, &plugin)
                    .reloaded(now_ms, outcome, None);
            }
        }
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
        let mut plans: Vec<(Instance, Result<Plan, String>)> = planning
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        for (instance, plan) in &mut plans {
            // Another plugin than its section's, in the place of one that runs well, needs no trial to be refused.
            if self.running.contains_key(&instance.name)
                && let Ok(Plan { settings, .. }) = &plan
                && let Err(error) = collect::check_name(settings)
            {
                *plan = Err(error);
            }
        }
        plans
    }

    /// Removes the copies of libraries that nobody runs and nobody will.
    pub(super) fn sweep(&self) {
        let wished = self
            .running
            .values()
            .map(|running| running.settings.sha256.clone());
        let tried = self.trials.plans().map(|plan| plan.settings.sha256.clone());
        let used = self.stats.all();
        let used = used.iter().map(|stats| stats.status().sha256.clone());
        let keep: Vec<_> = wished.chain(tried).chain(used).collect();
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
        let trials = std::mem::take(&mut self.trials);
        let until = self.parts.clock.mono() + STEP_TIMEOUT;
        tokio::join!(trials.end(until), self.end(all));
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
    let topic = collect::topic_of(&resolved.settings);
    Ok(Plan {
        settings: resolved.settings,
        topic,
        warnings: resolved.warnings,
    })
}

#[cfg(test)]
mod tests;
