//! The whole collector on golden files, in place of this machine's `/proc`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use barograph_sdk::{
    Collector, Error, Manifest, Setup, Tier,
    tester::{Collected, CollectorTester},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::System;

/// The plugin with another root.
#[derive(Debug)]
struct Rooted(System);

#[derive(Debug, Deserialize, JsonSchema)]
struct RootedConfig {
    root: PathBuf,
    #[serde(flatten)]
    config: Config,
}

impl Collector for Rooted {
    type Config = RootedConfig;
    const MANIFEST: Manifest = System::MANIFEST;

    fn new(config: RootedConfig, setup: &mut Setup<'_>) -> Result<Self, Error> {
        System::of(&config.config, &config.root, setup).map(Self)
    }

    async fn collect(&mut self, out: &mut Sink<'_>) -> Result<(), Error> {
        self.0.collect(out).await
    }
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(name)
}

/// A copy of a golden root that a test may change.
fn copy(name: &str) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let to = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &to);
            } else {
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    copy(&testdata(name), folder.path());
    folder
}

fn tester(root: &Path) -> CollectorTester {
    CollectorTester::new::<Rooted>(&json!({ "root": root })).unwrap()
}

#[test]
fn golden() {
    let mut tester = tester(&testdata("linux-6.1"));
    assert_eq!(tester.tick_of(&[Tier::Fast]), Ok(Collected::Whole));
    let path = testdata("linux-6.1.txt");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, tester.text()).unwrap();
    }
    assert_eq!(
        tester.text(),
        fs::read_to_string(&path).unwrap(),
        "BLESS=1 writes it anew"
    );
}

#[test]
fn shares_are_of_the_time_since_the_previous_tick() {
    let root = copy("linux-6.1");
    let mut tester = tester(root.path());
    tester.tick().unwrap();
    assert_eq!(
        tester.value("system_cpu_busy_ratio", &[]),
        None,
        "nothing to compare with yet"
    );
    let stat = "cpu  10050 200 3010 80030 510 0 100 50 0 0\ncpu0 6050 100 2000 39000 300 0 60 20 0 0\n\
                cpu1 4000 100 1010 41030 210 0 40 30 0 0\n";
    fs::write(root.path().join("proc/stat"), stat).unwrap();
    tester.tick().unwrap();
    assert_eq!(tester.value("system_cpu_busy_ratio", &[]), Some(0.6));
    assert_eq!(
        tester.value("system_cpu_utilization_ratio", &[("cpu", "0")]),
        Some(1.0)
    );
    assert_eq!(
        tester.value("system_cpu_utilization_ratio", &[("cpu", "1")]),
        Some(0.2)
    );
    assert_eq!(
        tester.value("system_cpu_mode_ratio", &[("mode", "user")]),
        Some(0.5)
    );
    assert_eq!(
        tester.value("system_cpu_mode_ratio", &[("mode", "iowait")]),
        Some(0.1)
    );
    assert_eq!(
        tester.value("system_cpu_mode_ratio", &[("mode", "idle")]),
        None
    );
    assert_eq!(
        tester.value("system_forks_total", &[]),
        None,
        "the line is gone, and so is the value"
    );
}

#[test]
fn without_series_per_cpu_the_seconds_are_of_all() {
    let config = json!({ "root": testdata("linux-6.1"), "per_cpu": false });
    let mut tester = CollectorTester::new::<Rooted>(&config).unwrap();
    tester.tick().unwrap();
    let seconds = tester.values("system_cpu_seconds_total");
    assert_eq!(seconds.len(), 8);
    assert!(seconds.iter().all(|(labels, _)| labels[0] == "all"));
    assert_eq!(tester.values("system_cpu_utilization_ratio"), []);
}

#[test]
fn a_cpu_taken_offline_leaves_a_gap_and_its_series_are_retired() {
    let root = copy("linux-6.1");
    let mut tester = tester(root.path());
    tester.tick().unwrap();
    let before = tester.series();
    fs::write(
        root.path().join("proc/stat"),
        "cpu  1 1 1 1 0 0 0 0\ncpu1 4001 100 1000 41000 200 0 40 30\n",
    )
    .unwrap();
    for _ in 0..12 {
        tester.tick().unwrap();
    }
    assert_eq!(
        tester.value(
            "system_cpu_seconds_total",
            &[("cpu", "0"), ("mode", "user")]
        ),
        None
    );
    assert!(
        tester
            .value(
                "system_cpu_seconds_total",
                &[("cpu", "1"), ("mode", "user")]
            )
            .is_some()
    );
    assert!(tester.series() < before, "{} of {before}", tester.series());
}

#[test]
fn a_kernel_without_some_files_is_sampled_without_a_warning() {
    let mut tester = tester(&testdata("linux-3.10"));
    assert_eq!(tester.tick(), Ok(Collected::Whole));
    assert_eq!(
        tester.value("system_memory_used_bytes", &[]),
        Some(400.0 * 1024.0)
    );
    assert_eq!(tester.value("system_memory_utilization_ratio", &[]), None);
    assert_eq!(tester.values("system_pressure_avg10_ratio"), []);
}

#[test]
fn a_damaged_file_costs_its_own_values_only() {
    let root = copy("linux-6.1");
    let mut tester = tester(root.path());
    tester.tick().unwrap();
    fs::write(root.path().join("proc/vmstat"), b"\xff\xfe\n").unwrap();
    let Ok(Collected::Partial(message)) = tester.tick() else {
        panic!("the damage is reported")
    };
    assert!(message.contains("proc/vmstat is not text"), "{message}");
    assert_eq!(tester.value("system_oom_kills_total", &[]), None);
    assert_eq!(tester.value("system_load1", &[]), Some(0.52));
}

#[test]
fn in_a_container_cpu_and_memory_are_measured_against_its_limits() {
    let root = copy("linux-6.1");
    let (own, mount) = (root.path().join("proc/self"), root.path().join("cgroup"));
    fs::create_dir_all(&own).unwrap();
    fs::create_dir_all(&mount).unwrap();
    fs::write(own.join("cgroup"), "0::/\n").unwrap();
    let point = mount.display();
    fs::write(
        own.join("mountinfo"),
        format!("30 22 0:26 / {point} rw - cgroup2 cgroup2 rw\n"),
    )
    .unwrap();
    for (file, text) in [
        ("cgroup.type", "domain\n"),
        ("memory.max", "1000000\n"),
        ("memory.current", "600000\n"),
        (
            "memory.stat",
            "anon 300000\nfile 250000\ninactive_file 100000\n",
        ),
        ("cpu.max", "50000 100000\n"),
        (
            "cpu.stat",
            "usage_usec 3000000\nuser_usec 2000000\nsystem_usec 1000000\nnr_periods 7\n\
                      nr_throttled 2\nthrottled_usec 1500000\n",
        ),
    ] {
        fs::write(mount.join(file), text).unwrap();
    }
    let mut tester = tester(root.path());
    tester.tick().unwrap();
    let value = |metric: &str| tester.value(metric, &[]);
    assert_eq!(value("system_memory_total_bytes"), Some(1_000_000.0));
    assert_eq!(value("system_memory_available_bytes"), Some(500_000.0));
    assert_eq!(value("system_memory_utilization_ratio"), Some(0.5));
    assert_eq!(value("system_memory_used_bytes"), Some(350_000.0));
    assert_eq!(
        value("system_memory_buffers_bytes"),
        None,
        "a container has no such part"
    );
    assert_eq!(value("system_cpus"), Some(0.5));
    assert_eq!(value("system_cgroup_cpu_limit"), Some(0.5));
    assert_eq!(
        value("system_cgroup_cpu_throttled_seconds_total"),
        Some(1.5)
    );
    assert_eq!(
        value("system_cgroup_memory_working_set_bytes"),
        Some(500_000.0)
    );
    // No CPU time was used between the ticks, whatever the machine did.
    tester.tick().unwrap();
    assert_eq!(tester.value("system_cpu_busy_ratio", &[]), Some(0.0));
}
