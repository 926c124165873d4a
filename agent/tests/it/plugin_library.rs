//! Which library runs: the one that was checked and copied, whatever becomes of the file that it was copied from.
//!
//! The plugin is a small one in C whose only sample is the number of its build, so that each test sees from outside
//! which library a host has loaded.

mod exchange;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use tokio::time::timeout;

use crate::agent::{Agent, PATIENCE, alive, signal, until};
use crate::cli::barograph;
use crate::compiler::{beside, compile};

/// A folder with the library, apart from the agent's own.
struct Place(TempDir);

impl Place {
    /// With build 1 in it.
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a temp folder"));
        place.put(1);
        place
    }

    fn library(&self) -> PathBuf {
        self.0.path().join("probe.so")
    }

    /// Puts a build in the library's place.
    fn put(&self, build: u32) {
        self.compile(&[&format!("-DBUILD={build}")], &self.library());
    }

    /// Compiles the plugin and puts it in a place.
    fn compile(&self, definitions: &[&str], to: &Path) {
        let new = self.0.path().join("new.so");
        compile(&beside("plugin_library/probe.c"), definitions, &new);
        chmod(&new, 0o755);
        fs::rename(new, to).expect("the same folder");
    }

    /// As `sha256sum` prints it.
    fn sha256(&self) -> String {
        let output = Command::new("sha256sum").arg(self.library()).output();
        let said = output.expect("sha256sum").stdout;
        String::from_utf8_lossy(&said[..64]).into_owned()
    }

    fn config(&self, keys: &str) -> String {
        let path = self.library().display().to_string();
        format!("[plugins.probe]\npath = {path:?}\n{keys}")
    }

    /// `barograph check` on such a configuration.
    fn check(&self, keys: &str) -> Output {
        let file = self.0.path().join("config.toml");
        fs::write(&file, self.config(keys)).expect("a config file");
        barograph(self.0.path(), &[], &["check", "--config", "config.toml"])
    }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

/// Waits until the samples come from this build.
async fn runs(agent: &Agent, build: u32) {
    let wait = async {
        loop {
            if agent.value("probe_build").await == Some(f64::from(build)) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let waited = timeout(PATIENCE, wait).await;
    waited.unwrap_or_else(|_| panic!("build {build} does not run\n{}", agent.log()));
}

/// Kills the plugin's process and waits for the one after it.
async fn respawned(agent: &Agent) {
    let before = agent.host("probe").await;
    signal(before, "KILL");
    until("the next host", || {
        let next = agent.hosts("probe").into_iter().find(|pid| *pid != before);
        next.filter(|pid| alive(*pid))
    })
    .await;
}

/// Waits until a reload has been dealt with and gives what was said about it.
async fn refused(agent: &Agent, says: &str) {
    agent
        .plugin_that("probe", |info| {
            let error = info["error"].as_str().unwrap_or_default();
            error.contains(says)
        })
        .await;
    // A thread of its own writes the log.
    until("the word in the log", || {
        agent.log().contains(says).then_some(())
    })
    .await;
}

#[tokio::test]
async fn only_the_pinned_content_runs() {
    let place = Place::new();
    let other = "0".repeat(64);
    let agent = Agent::with(&place.config(&format!("sha256 = {other:?}\n"))).await;
    let down = agent
        .component_that("probe", |component| !component["error"].is_null())
        .await;
    let error = down["error"].as_str().unwrap_or_default();
    assert_eq!(down["up"], false, "{down}");
    assert!(
        error.contains("is not the configured library")
            && error.contains(&other)
            && error.contains(&place.sha256()),
        "{error}"
    );
    let info = agent.plugin("probe").await;
    assert_eq!(info["phase"], "refused", "{info:#}");
    assert_eq!(info["error"], error, "{info:#}");
    assert_eq!(agent.hosts("probe"), [0; 0]);
    // Set right, it runs without a restart of the agent.
    let sha256 = place.sha256().to_uppercase();
    agent.reload(&place.config(&format!("sha256 = {sha256:?}\n")));
    runs(&agent, 1).await;
    let info = agent
        .plugin_that("probe", |info| info["phase"] == "running")
        .await;
    assert_eq!(info["sha256"], place.sha256(), "{info:#}");
    assert_eq!(info["library"], place.library().display().to_string());
    // Another build is another content, and the right one goes on.
    place.put(2);
    agent.signal("HUP");
    refused(&agent, "is not the configured library").await;
    respawned(&agent).await;
    runs(&agent, 1).await;
}

#[tokio::test]
async fn what_anybody_may_write_to_does_not_run() {
    let place = Place::new();
    chmod(&place.library(), 0o757);
    let agent = Agent::with(&place.config("")).await;
    let says = format!("anybody may write to {}", place.library().display());
    refused(&agent, &says).await;
    chmod(&place.library(), 0o755);
    agent.signal("HUP");
    runs(&agent, 1).await;
}

#[tokio::test]
async fn what_its_group_may_write_to_is_warned_of_and_refused_if_strict() {
    let place = Place::new();
    chmod(&place.library(), 0o775);
    let agent = Agent::with(&place.config("")).await;
    runs(&agent, 1).await;
    let warning = format!("the group of {} may write to it", place.library().display());
    let count = || agent.log().matches(&warning).count();
    until("the warning", || (count() > 0).then_some(())).await;
    assert_eq!(count(), 1, "{}", agent.log());
    agent.reload(&place.config("strict = true\n"));
    refused(&agent, "which `strict` refuses").await;
    runs(&agent, 1).await;
}

#[tokio::test]
async fn a_new_library_runs_from_the_next_reload_on() {
    let place = Place::new();
    let config = place.config("");
    let agent = Agent::with(&config).await;
    runs(&agent, 1).await;
    place.put(2);
    respawned(&agent).await;
    runs(&agent, 1).await;
    // The configuration is the same, byte for byte.
    agent.signal("HUP");
    runs(&agent, 2).await;
    respawned(&agent).await;
    runs(&agent, 2).await;
    // Written into the very file, as `cp` does; nothing has it mapped.
    let second = fs::read(place.library()).expect("the library");
    place.put(3);
    let third = fs::read(place.library()).expect("the library");
    fs::write(place.library(), second).expect("it is ours");
    fs::write(place.library(), third).expect("it is ours");
    agent.signal("HUP");
    runs(&agent, 3).await;
}

#[tokio::test]
async fn what_is_no_library_any_more_leaves_the_old_one() {
    let place = Place::new();
    let agent = Agent::with(&place.config("")).await;
    runs(&agent, 1).await;
    let host = agent.host("probe").await;
    fs::write(place.library(), "no library at all").expect("it is ours");
    agent.signal("HUP");
    refused(&agent, "can't be loaded").await;
    assert_eq!(agent.host("probe").await, host);
    respawned(&agent).await;
    runs(&agent, 1).await;
    // Mended, it runs.
    place.put(2);
    agent.signal("HUP");
    runs(&agent, 2).await;
    agent
        .plugin_that("probe", |info| info["error"].is_null())
        .await;
}

#[tokio::test]
async fn another_plugins_library_leaves_the_old_one() {
    let place = Place::new();
    let agent = Agent::with(&place.config("")).await;
    runs(&agent, 1).await;
    let host = agent.host("probe").await;
    place.compile(&["-DBUILD=2", "-DNAME=\"other\""], &place.library());
    let checked = place.check("");
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(said.contains("is plugin `other`, not `probe`"), "{said}");
    agent.signal("HUP");
    refused(&agent, "is plugin `other`, not `probe`").await;
    assert_eq!(agent.host("probe").await, host);
    // Brought back, nothing is wrong any more.
    place.put(1);
    agent.signal("HUP");
    agent
        .plugin_that("probe", |info| info["error"].is_null())
        .await;
}

#[tokio::test]
async fn a_metric_that_another_plugin_has_is_named() {
    let place = Place::new();
    let other = place.0.path().join("other.so");
    place.compile(&["-DBUILD=2", "-DNAME=\"other\""], &other);
    let first = format!(
        "[plugins.other]\npath = {:?}\n",
        other.display().to_string()
    );
    let agent = Agent::with(&first).await;
    agent
        .plugin_that("other", |info| !info["collectMs"].is_null())
        .await;
    agent.reload(&format!("{first}{}", place.config("")));
    refused(
        &agent,
        "metric `probe_build` is already defined by plugin `other`",
    )
    .await;
}

#[tokio::test]
async fn what_a_check_leaves_behind_is_ended() {
    let place = Place::new();
    let file = place.0.path().join("left");
    let left = format!("-DLEFT=\"{}\"", file.display());
    place.compile(&["-DBUILD=1", &left], &place.library());
    let _agent = Agent::with(&place.config("")).await;
    let pids = until("the process' id", || {
        let text = fs::read_to_string(&file).ok()?;
        let whole = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        let pids = whole.map(|line| line.trim().parse().expect("an id"));
        Some(pids.collect::<Vec<u32>>()).filter(|pids| !pids.is_empty())
    })
    .await;
    until("its end", || {
        pids.iter().all(|pid| !alive(*pid)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_library_that_was_removed_goes_on() {
    let place = Place::new();
    let agent = Agent::with(&place.config("")).await;
    runs(&agent, 1).await;
    fs::remove_file(place.library()).expect("it is ours");
    respawned(&agent).await;
    runs(&agent, 1).await;
    agent.signal("HUP");
    refused(&agent, "there is no library").await;
    respawned(&agent).await;
    runs(&agent, 1).await;
}

#[tokio::test]
async fn a_copy_that_somebody_exchanged_is_not_started() {
    let place = Place::new();
    let agent = Agent::with(&place.config("")).await;
    runs(&agent, 1).await;
    let shelf = agent.data().join("plugins");
    let copy = shelf.join(format!("{}.so", place.sha256()));
    let other = place.0.path().join("other.so");
    place.compile(&["-DBUILD=666"], &other);
    fs::remove_file(&copy).expect("it is ours");
    fs::copy(&other, &copy).expect("another library in its place");
    signal(agent.host("probe").await, "KILL");
    refused(&agent, "is not what was checked").await;
    assert_ne!(agent.value("probe_build").await, Some(666.0));
    agent.signal("HUP");
    runs(&agent, 1).await;
}

#[tokio::test]
async fn copies_that_nobody_needs_are_removed() {
    let place = Place::new();
    let mut agent = Agent::with(&place.config("")).await;
    let shelf = agent.data().join("plugins");
    let holds = |sha256: &str| shelf.join(format!("{sha256}.so")).is_file();
    let first = place.sha256();
    runs(&agent, 1).await;
    assert!(holds(&first));
    assert_eq!(
        fs::metadata(&shelf)
            .expect("the shelf")
            .permissions()
            .mode()
            & 0o777,
        0o700
    );
    place.put(2);
    agent.signal("HUP");
    runs(&agent, 2).await;
    let second = place.sha256();
    assert!(holds(&second));
    agent.signal("TERM");
    assert_eq!(agent.end().await, Some(0), "{}", agent.log());
    fs::write(shelf.join(".partial-1-1"), "half").expect("it is ours");
    // Only what is configured counts at the next start: no plugin here.
    let agent = Agent::inside(agent.folder(), "").await;
    assert!(!holds(&first) && !holds(&second));
    assert!(!shelf.join(".partial-1-1").exists());
    drop(agent);
}

#[test]
fn a_check_names_the_line_and_leaves_nothing_behind() {
    let place = Place::new();
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let other = "0".repeat(64);
    let output = place.check(&format!("sha256 = {other:?}\n"));
    assert_eq!(output.status.code(), Some(2));
    let expected = "config.toml:3: plugins.probe.sha256: ";
    assert!(said(&output).starts_with(expected), "{}", said(&output));
    chmod(&place.library(), 0o775);
    let output = place.check("isolation = \"thread\"\n");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let lines: Vec<_> = said(&output).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let expected = "config.toml:1: plugins.probe: warning: the group of ";
    assert!(lines[0].starts_with(expected), "{lines:?}");
    let expected = "config.toml:1: plugins.probe: warning: runs on a thread of the agent";
    assert!(lines[1].starts_with(expected), "{lines:?}");
    let output = place.check("strict = true\n");
    assert_eq!(output.status.code(), Some(2));
    let expected = "config.toml:3: plugins.probe.strict: the group of ";
    assert!(said(&output).starts_with(expected), "{}", said(&output));
    assert!(!place.0.path().join("barograph-data").exists());
}

/// A binary runs the plugins beside it that say so in their own file, and knows none by name.
#[test]
fn a_plugin_beside_the_binary_may_run_unasked() {
    let place = Place::new();
    let folder = place.0.path();
    let binary = folder.join("barograph");
    let built = env!("CARGO_BIN_EXE_barograph");
    if fs::hard_link(built, &binary).is_err() {
        fs::copy(built, &binary).expect("a copy of the binary");
    }
    let check = |config: &str| {
        fs::write(folder.join("config.toml"), config).expect("a config file");
        let output = Command::new(&binary)
            .arg("check")
            .current_dir(folder)
            .output();
        let output = output.expect("the agent's binary");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let beside = folder.join("libbarograph_plugin_probe.so");
    place.compile(&["-DBUILD=1"], &beside);
    assert!(check("").contains("plugin    none"));
    assert!(check("[plugins.probe]\n").contains("plugin    probe"));
    place.compile(&["-DBUILD=1", "-DUNASKED"], &beside);
    let said = check("");
    assert!(
        said.contains("plugin    probe") && !said.contains("none"),
        "{said}"
    );
    assert!(check("[plugins.probe]\nenabled = false\n").contains("plugin    none"));
    let said = check("[[plugins.probe.instances]]\nname = 'main'\n");
    assert!(
        said.contains("plugin    main") && !said.contains("plugin    probe"),
        "{said}"
    );
}
