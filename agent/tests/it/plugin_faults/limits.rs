//! What a plugin takes too much of: memory, output, series, room on a disk.

use super::trial::{Trial, When, check, restarts};
use crate::agent::{alive, new_folder, on_tmpfs, until};

#[tokio::test]
async fn one_that_grows_without_end_is_started_anew_at_its_limit() {
    check(
        "faulty",
        "allocate",
        "rss_max = \"150MiB\"",
        ("memory", "150"),
    )
    .await;
}

/// What it started is in a session of its own, and beyond its process group.
#[tokio::test]
async fn what_it_starts_counts_for_its_limit() {
    let trial = Trial::start("faulty", "fork-allocate", "rss_max = \"48MiB\"").await;
    let before = trial.agent.descendants();
    trial.fire();
    let forked = until("the process that it starts", || {
        let mut forked = trial.agent.descendants();
        forked.retain(|pid| !before.contains(pid));
        Some(forked).filter(|forked| !forked.is_empty())
    })
    .await;
    let says = "in processes that it started, more than rss_max = 48 MiB";
    trial.named("memory", says).await;
    until("the end of what it started", || {
        forked.iter().all(|pid| !alive(*pid)).then_some(())
    })
    .await;
    let info = trial.up().await;
    assert_eq!(restarts(&info), 1, "{info:#}");
    trial.end().await;
}

#[tokio::test]
async fn a_flood_on_its_output_costs_lines_and_not_the_log() {
    let trial = Trial::start("faulty", "flood-stdout", "").await;
    trial.fire();
    trial.fired().await;
    trial.named("deadline", "did not answer").await;
    trial.up().await;
    until("the word on it", || {
        let log = trial.agent.log();
        let tag = format!("collector=\"{}\"", trial.name);
        let tagged = |words: &str| {
            let mut lines = log.lines();
            lines.any(|line| line.contains(words) && line.contains(&tag))
        };
        (tagged("printed: xxx") && tagged("lines more, which were left out")).then_some(())
    })
    .await;
    let log = trial.agent.log();
    // It printed 8 MiB.
    assert!(log.len() < 1 << 20, "{} bytes of log", log.len());
    trial.end().await;
}

#[tokio::test]
async fn a_hundred_thousand_series_are_as_many_as_it_may_have() {
    // To refuse a hundred thousand takes a build for tests half a second, where nothing else runs.
    let more = "series_max = 1000\ninterval = \"5s\"";
    let trial = Trial::start("faulty", "series-100000", more).await;
    trial.fire();
    trial.named("refused", "series").await;
    let info = trial
        .info_that(|info| info["seriesDropped"].as_u64() > Some(0))
        .await;
    // It has two more, of metrics without labels.
    let dropped = 100_000 + 2 - 1_000;
    assert_eq!(info["series"], 1_000, "{info:#}");
    assert_eq!(info["seriesDropped"], dropped, "{info:#}");
    assert_eq!(info["refused"], dropped, "{info:#}");
    assert_eq!(restarts(&info), 0, "{info:#}");
    let metric = trial.metric("barograph_series_dropped_total");
    let is_all = |count| count == Some(f64::from(dropped));
    trial.agent.value_that(&metric, is_all).await;
    trial.up().await;
    trial.end().await;
}

/// By the kernel's own word: nothing else shows what is only needed in an attack or a crash.
#[tokio::test]
async fn its_process_has_its_limits_gains_no_privileges_and_gets_no_environment() {
    let trial = Trial::start("faulty", "none", "address_space_max = \"2GiB\"").await;
    let host = trial.agent.host(&trial.name).await;
    let read = |file: &str| {
        let text = std::fs::read_to_string(format!("/proc/{host}/{file}"));
        text.unwrap_or_else(|error| panic!("{file}: {error}"))
    };
    let limits = read("limits");
    for (name, value) in [
        ("Max core file size", "0"),
        ("Max open files", "1024"),
        ("Max address space", "2147483648"),
    ] {
        let line = limits.lines().find_map(|line| line.strip_prefix(name));
        let words = line.expect("a limit").split_whitespace();
        // What holds, and how far the process may raise it.
        let both: Vec<_> = words.take(2).collect();
        assert_eq!(both, [value, value], "{name}");
    }
    let status = read("status");
    assert!(status.contains("NoNewPrivs:\t1\n"), "{status}");
    // The agent itself has `BAROGRAPH_DATA_DIR` at least.
    for variable in read("environ").split_terminator('\0') {
        let name = variable.split('=').next().unwrap_or_default();
        let kept = ["PATH", "LANG", "TZ", "LD_LIBRARY_PATH"];
        assert!(kept.contains(&name), "{name}");
    }
    trial.end().await;
}

/// The small file system is one of the agent's own mount namespace, where its plugins see it too.
#[tokio::test]
async fn a_full_file_system_is_the_plugins_own_trouble() {
    let folder = new_folder();
    let small = folder.path().join("small");
    let program = on_tmpfs(&small, "4m");
    let more = format!("folder = {:?}", small.display().to_string());
    let what = ("faulty", "fill-tmpfs", more.as_str());
    let trial = Trial::inside(folder, &program, what, When::Fired).await;
    trial.up().await;
    trial.fire();
    trial.named("refused", "No space left on device").await;
    let info = trial.up().await;
    assert_eq!(restarts(&info), 0, "{info:#}");
    let inner = trial.agent.inner(&small);
    let left: Vec<_> = std::fs::read_dir(inner).expect("the folder").collect();
    assert!(left.is_empty(), "{left:?}");
    trial.end().await;
}
