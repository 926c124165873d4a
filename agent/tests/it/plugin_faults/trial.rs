//! A fault that happens when a test wants it to, watched from outside.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::agent::{Agent, alive, command_line, library, new_folder, until};
use crate::client::Client;
use crate::streaming::assert_on_grid;

/// Ticks of the system plugin that a test sees at least.
const TICKS_MIN: usize = 3;
/// In the agent's folder.
const OWN: &str = "plugin";

/// An agent with one faulty collector, and the watch on what is beside it.
pub(crate) struct Trial {
    pub(crate) agent: Agent,
    config: String,
    plugin: String,
    /// The collector's name, which no other test has: it stands in the command line of all its processes.
    pub(crate) name: String,
    trigger: PathBuf,
    system: Watch,
}

/// When a fault happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Once, after [`Trial::fire`].
    Fired,
    /// Once, as soon as the plugin runs.
    AtOnce,
    /// Each time.
    Always,
}

impl Trial {
    /// Starts an agent with a plugin of the examples whose fault waits to be fired. `more` are further keys of its
    /// section; `FOLDER` in them stands for [`Trial::own`].
    pub(crate) async fn start(plugin: &str, fault: &str, more: &str) -> Self {
        let trial = Self::inside(new_folder(), &[""; 0], (plugin, fault, more), When::Fired).await;
        trial.up().await;
        trial
    }

    /// The same with another moment for the fault, so that nothing is known of the plugin's state.
    pub(crate) async fn at(when: When, plugin: &str, fault: &str, more: &str) -> Self {
        Self::inside(new_folder(), &[""; 0], (plugin, fault, more), when).await
    }

    /// The same in a folder that is there, through a program that becomes the agent.
    pub(crate) async fn inside(
        folder: Arc<TempDir>,
        program: &[impl AsRef<str>],
        (plugin, fault, more): (&str, &str, &str),
        when: When,
    ) -> Self {
        let name = unique(plugin);
        let own = folder.path().join(OWN);
        std::fs::create_dir_all(&own).expect("a folder");
        let trigger = own.join("trigger");
        let waits = if when == When::Always {
            String::new()
        } else {
            format!("trigger = {:?}", trigger.display().to_string())
        };
        let config = format!(
            "[plugins.{plugin}]\npath = {:?}\nfault = {fault:?}\n{waits}\n{}\n[[plugins.{plugin}.instances]]\nname = {name:?}\n",
            library(plugin).display().to_string(),
            more.replace("FOLDER", &own.display().to_string()),
        );
        if when == When::AtOnce {
            std::fs::write(&trigger, "").expect("a file");
        }
        let agent = Agent::through(folder, &config, program).await;
        let system = Watch::on(&agent, "system").await;
        Self {
            agent,
            config,
            plugin: plugin.to_owned(),
            name,
            trigger,
            system,
        }
    }

    /// The folder that the plugin may write to. What lies directly beside the agent's data is closed to it.
    pub(crate) fn own(&self) -> PathBuf {
        self.agent.folder().path().join(OWN)
    }

    /// Lets the fault happen, once.
    pub(crate) fn fire(&self) {
        std::fs::write(&self.trigger, "").expect("a file");
    }

    /// Has the agent read its configuration anew, with further keys for the collector.
    pub(crate) fn reload_with(&self, more: &str) {
        self.agent.reload(&format!("{}{more}\n", self.config));
    }

    /// Waits until the fault has begun: the plugin has taken the trigger away.
    pub(crate) async fn fired(&self) {
        until("the fault", || (!self.trigger.exists()).then_some(())).await;
    }

    /// What `/api/dashboard/plugins` says of it now.
    pub(crate) async fn info(&self) -> Value {
        self.agent.plugin(&self.name).await
    }

    /// Waits until it says what is wanted.
    pub(crate) async fn info_that(&self, is: impl Fn(&Value) -> bool) -> Value {
        self.agent.plugin_that(&self.name, is).await
    }

    /// Waits until a fault of this reason is named in these words, or in some of those that have `|` between them; what
    /// cost no restart may stand as the present error.
    pub(crate) async fn named(&self, reason: &str, says: &str) {
        let says = |text: &Value| {
            let text = text.as_str().unwrap_or_default();
            says.split('|').any(|says| text.contains(says))
        };
        self.info_that(|info| {
            let faults = info["faults"].as_array().into_iter().flatten();
            let mut faults = faults.filter(|fault| fault["reason"] == reason);
            faults.any(|fault| says(&fault["message"]))
                || reason == "refused" && says(&info["error"])
        })
        .await;
    }

    /// How a metric of the agent's own about it begins on `/metrics`.
    pub(crate) fn metric(&self, metric: &str) -> String {
        let (plugin, instance) = (&self.plugin, &self.name);
        format!("{metric}{{plugin=\"{plugin}\",instance=\"{instance}\"}} ")
    }

    /// Sees that the agent's own metrics of one that is down have no value that is of another time.
    pub(crate) async fn has_gaps(&self) {
        let up = self.metric("barograph_plugin_up");
        self.agent.value_that(&up, |up| up == Some(0.0)).await;
        for metric in [
            "barograph_plugin_collect_seconds",
            "barograph_plugin_rss_bytes",
        ] {
            let value = self.agent.value(&self.metric(metric)).await;
            assert_eq!(value, None, "{metric}");
        }
    }

    /// Waits until nothing is wrong with the collector.
    pub(crate) async fn up(&self) -> Value {
        let info = self
            .info_that(|info| info["phase"] == "running" && info["error"].is_null())
            .await;
        self.agent
            .component_that(&self.name, |component| component["up"] == true)
            .await;
        info
    }

    /// Ends the agent: the system plugin missed nothing, and no process of the agent's is left.
    pub(crate) async fn end(mut self) {
        assert!(alive(self.agent.pid()), "the agent was taken down");
        self.system.end(&self.agent, "system").await;
        end(&mut self.agent, &self.name).await;
    }
}

/// Stops an agent as an operator does, and sees that nothing of it stays: no process below it, and none that
/// carries the collector's name.
pub(crate) async fn end(agent: &mut Agent, name: &str) {
    let below = agent.descendants();
    agent.signal("TERM");
    assert_eq!(agent.end().await, Some(0), "{}", agent.log());
    until("the end of all its processes", || {
        let is_left = below.iter().any(|pid| alive(*pid)) || !processes(name).is_empty();
        (!is_left).then_some(())
    })
    .await;
}

/// The one `check` of all faults that end in a recovery: it happens once, is named with this reason in these words,
/// and is got over.
pub(crate) async fn check(plugin: &str, fault: &str, more: &str, named: (&str, &str)) {
    let (trial, _) = got_over(plugin, fault, more, named).await;
    trial.end().await;
}

/// The same for who looks further; also gives what is said of the collector afterwards.
pub(crate) async fn got_over(
    plugin: &str,
    fault: &str,
    more: &str,
    (reason, says): (&str, &str),
) -> (Trial, Value) {
    let trial = Trial::start(plugin, fault, more).await;
    trial.fire();
    trial.named(reason, says).await;
    let info = trial.up().await;
    let restarts: u64 = restarts(&info);
    assert_eq!(restarts, u64::from(reason != "refused"), "{info:#}");
    if reason != "refused" {
        assert_eq!(info["restarts"][reason], 1, "{info:#}");
    }
    (trial, info)
}

/// How often a collector was started again, for any reason.
pub(crate) fn restarts(info: &Value) -> u64 {
    let reasons = info["restarts"].as_object().into_iter().flatten();
    reasons.filter_map(|(_, count)| count.as_u64()).sum()
}

/// A name that no other collector has, in this test run or in one beside it.
pub(crate) fn unique(plugin: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{plugin}_{}_{next}", std::process::id())
}

/// The processes of the machine whose command line ends in this name.
fn processes(name: &str) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").expect("the list of processes");
    all.flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| command_line(*pid).ends_with(name) && alive(*pid))
        .collect()
}

/// Ticks of a collector as a client sees them, from the moment it is up.
pub(crate) struct Watch {
    ticks: Arc<Mutex<Vec<(i64, bool)>>>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Subscribes to a topic that has one collector, and waits for its first tick.
    pub(crate) async fn on(agent: &Agent, topic: &str) -> Self {
        let (mut client, _) = Client::connect(agent).await;
        client
            .subscribe(json!({"channel": format!("metrics:{topic}")}))
            .await;
        let ticks = Arc::new(Mutex::new(Vec::new()));
        let (seen, event) = (Arc::clone(&ticks), format!("{topic}-metrics"));
        let task = tokio::spawn(async move {
            loop {
                let event = client.event(&event).await;
                let at = event["at"].as_i64().expect("a time");
                let up = event["data"]["up"] == true;
                let mut seen = seen.lock().expect("no panic in it");
                // The snapshot repeats a tick, and the first collect is not on the grid.
                if event["snapshot"].is_null() && at % 1_000 == 0 && (up || !seen.is_empty()) {
                    seen.push((at, up));
                }
            }
        });
        let watch = Self { ticks, task };
        watch.seen(1).await;
        watch
    }

    /// Waits until so many ticks were seen.
    pub(crate) async fn seen(&self, count: usize) {
        let is_enough = || self.ticks.lock().expect("no panic in it").len() >= count;
        until("ticks", || {
            (is_enough() || self.task.is_finished()).then_some(())
        })
        .await;
        assert!(is_enough(), "the stream of ticks has ended");
    }

    /// Waits for so many ticks after this moment.
    pub(crate) async fn seen_more(&self, count: usize) {
        let seen = self.ticks.lock().expect("no panic in it").len();
        self.seen(seen + count).await;
    }

    /// Sees that the collector was up in every tick and that the agent missed none of them; gives the times.
    pub(crate) async fn end(&self, agent: &Agent, collector: &str) -> Vec<i64> {
        self.seen(TICKS_MIN).await;
        assert!(!self.task.is_finished(), "the stream of ticks has ended");
        self.task.abort();
        let ticks = self.ticks.lock().expect("no panic in it").clone();
        assert!(ticks.iter().all(|(_, up)| *up), "{collector}: {ticks:?}");
        let times: Vec<_> = ticks.iter().map(|(at, _)| *at).collect();
        // A client may be told of two ticks at once by one frame; what the agent says it missed is exact.
        assert_on_grid(&times, 1_000);
        let info = agent.plugin(collector).await;
        for key in ["ticksMissed", "deadlinesMissed"] {
            assert_eq!(info[key], 0, "{info:#}");
        }
        assert_eq!(restarts(&info), 0, "{info:#}");
        times
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}
