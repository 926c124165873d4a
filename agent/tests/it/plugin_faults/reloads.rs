//! Changes of a running plugin's configuration or library: what is good is taken over between two ticks, what is
//! not is refused while the old one goes on. Either way nobody misses a tick, and the series stay the same.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::trial::{self, Watch, unique};
use crate::agent::{self, Agent, PATIENCE, alive, until};

const METRIC: &str = "faulty_clock_seconds_total";

/// An agent with a healthy instance of the fixture from a library of its own, watched from outside.
struct Reloading {
    agent: Agent,
    name: String,
    library: PathBuf,
    _folder: TempDir,
    system: Watch,
    own: Watch,
    series: Value,
    host: u32,
}

/// The keys of an instance with this setting.
fn setting(setting: i32) -> String {
    format!("start_timeout = \"2s\"\nsetting = {setting}\n")
}

impl Reloading {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temp folder");
        let library = folder.path().join("libfaulty.so");
        fs::copy(agent::library("faulty"), &library).expect("a copy");
        let name = unique("faulty");
        let agent = Agent::with(&config(&library, &name, &setting(1))).await;
        let system = Watch::on(&agent, "system").await;
        let own = Watch::on(&agent, "faulty").await;
        own.seen(2).await;
        let series = series(&agent).await;
        let host = agent.host(&name).await;
        Self {
            agent,
            name,
            library,
            _folder: folder,
            system,
            own,
            series,
            host,
        }
    }

    /// Has the agent read other keys, and waits for what became of it.
    async fn change(&self, keys: &str, outcome: &str) -> Value {
        self.agent.reload(&config(&self.library, &self.name, keys));
        self.agent
            .plugin_that(&self.name, |info| info["reload"]["outcome"] == outcome)
            .await
    }

    /// Waits until the instance samples this setting.
    async fn samples(&self, setting: f64) {
        let wait = async {
            loop {
                if self.agent.value("faulty_setting{").await == Some(setting) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        waited.expect("the setting in time");
    }

    /// Sees that nobody missed anything: no tick of both collectors, no second of the history, no identity.
    async fn end(mut self) {
        self.own.seen_more(2).await;
        self.system.end(&self.agent, "system").await;
        let times = self.own.end(&self.agent, &self.name).await;
        assert_eq!(series(&self.agent).await, self.series, "another series");
        let (from, to) = (times[0] + 1_000, times[times.len() - 1] + 1_000);
        let path = format!(
            "/api/dashboard/metrics/history?metric={METRIC}&agg=rate&resolution=raw&from={from}&to={to}"
        );
        let answer = self.agent.json(&path).await;
        let all = answer["series"].as_array().expect("series");
        assert_eq!(all.len(), 1, "{answer}");
        let rates = all[0]["values"].as_array().expect("points");
        // A second of the clock a second: a gap would be null, a jump another number.
        assert!(
            rates.iter().all(|rate| rate.as_f64() == Some(1.0)),
            "{answer}"
        );
        trial::end(&mut self.agent, &self.name).await;
    }

    /// The process is the one that it was started with.
    async fn is_the_same(&self) -> bool {
        self.agent.plugin(&self.name).await["pid"] == self.host
    }

    /// Another process has taken over, and the first one is gone.
    async fn is_another(&self) {
        until("the end of the old one", || {
            (!alive(self.host)).then_some(())
        })
        .await;
        let info = self.agent.plugin(&self.name).await;
        assert!(info["pid"].is_u64() && info["pid"] != self.host, "{info:#}");
    }

    /// The old instance goes on as it was, and the reason for it is told everywhere.
    async fn is_refused(&self, info: &Value, says: &str) {
        let reason = info["reload"]["reason"].as_str().unwrap_or_default();
        assert!(reason.contains(says), "{info:#}");
        assert_eq!(info["phase"], "running", "{info:#}");
        assert!(
            info["error"]
                .as_str()
                .is_some_and(|error| error.contains(says)),
            "{info:#}"
        );
        until("the word in the log", || {
            self.agent.log().contains(says).then_some(())
        })
        .await;
        assert!(self.is_the_same().await, "{info:#}");
        self.samples(1.0).await;
    }
}

fn config(library: &Path, name: &str, keys: &str) -> String {
    let path = library.display().to_string();
    format!(
        "[plugins.faulty]\npath = {path:?}\n{keys}\n[[plugins.faulty.instances]]\nname = {name:?}\n"
    )
}

/// Identity and labels of the metric's series.
async fn series(agent: &Agent) -> Value {
    let catalog = agent.json("/api/catalog").await;
    let metrics = catalog["metrics"].as_array().expect("metrics");
    let metric = metrics.iter().find(|metric| metric["name"] == METRIC);
    metric.expect("the metric")["series"].clone()
}

#[tokio::test]
async fn a_setting_that_the_instance_takes_is_applied_to_it() {
    let it = Reloading::start().await;
    let info = it.change(&setting(7), "applied").await;
    assert!(info["error"].is_null(), "{info:#}");
    it.samples(7.0).await;
    assert!(it.is_the_same().await);
    it.end().await;
}

#[tokio::test]
async fn a_setting_that_needs_a_new_instance_is_switched_to() {
    let it = Reloading::start().await;
    let keys = setting(7) + "restart = true\n";
    let info = it.change(&keys, "switched").await;
    assert!(info["error"].is_null(), "{info:#}");
    it.samples(7.0).await;
    it.is_another().await;
    it.end().await;
}

#[tokio::test]
async fn a_setting_that_the_instance_refuses_leaves_it_as_it_was() {
    let it = Reloading::start().await;
    let info = it.change(&setting(-1), "refused").await;
    it.is_refused(&info, "setting: must not be negative").await;
    it.end().await;
}

#[tokio::test]
async fn a_successor_that_does_not_start_leaves_the_old_one() {
    let it = Reloading::start().await;
    let keys = setting(7) + "restart = true\nfault = \"hang-create\"\n";
    let info = it.change(&keys, "refused").await;
    it.is_refused(&info, "was not ready within 2000 ms").await;
    it.end().await;
}

#[tokio::test]
async fn a_successor_that_fails_its_first_collect_leaves_the_old_one() {
    let it = Reloading::start().await;
    let keys = setting(7) + "restart = true\nfault = \"panic\"\n";
    let info = it.change(&keys, "refused").await;
    it.is_refused(&info, "panicked: as the fixture was told")
        .await;
    it.end().await;
}

#[tokio::test]
async fn another_library_is_switched_to() {
    let it = Reloading::start().await;
    let before = it.agent.plugin(&it.name).await["sha256"].clone();
    // The same code as another file: nobody reads what stands behind an ELF file's sections.
    let mut bytes = fs::read(&it.library).expect("the library");
    bytes.extend(b"another build");
    replace(&it, &bytes);
    let info = it.change(&setting(1), "switched").await;
    assert_ne!(info["sha256"], before, "{info:#}");
    it.is_another().await;
    it.end().await;
}

#[tokio::test]
async fn a_library_that_is_none_any_more_leaves_the_old_one() {
    let it = Reloading::start().await;
    replace(&it, b"this is no library");
    let info = it.change(&setting(1), "refused").await;
    it.is_refused(&info, "can't be loaded").await;
    it.end().await;
}

#[tokio::test]
async fn a_library_that_anybody_may_write_to_leaves_the_old_one() {
    let it = Reloading::start().await;
    let mut bytes = fs::read(&it.library).expect("the library");
    bytes.extend(b"by anybody");
    replace(&it, &bytes);
    fs::set_permissions(&it.library, fs::Permissions::from_mode(0o777)).expect("it is ours");
    let info = it.change(&setting(1), "refused").await;
    it.is_refused(&info, "writ").await;
    it.end().await;
}

#[tokio::test]
async fn a_library_with_another_hash_than_the_pinned_one_leaves_the_old_one() {
    let it = Reloading::start().await;
    let keys = setting(1) + &format!("sha256 = \"{}\"\n", "0".repeat(64));
    let info = it.change(&keys, "refused").await;
    it.is_refused(&info, "sha256").await;
    it.end().await;
}

/// Puts a file in the library's place at once, as a package manager does: the old one may be mapped.
fn replace(it: &Reloading, bytes: &[u8]) {
    let new = it.library.with_extension("new");
    fs::write(&new, bytes).expect("a file");
    fs::rename(new, &it.library).expect("the same folder");
}
