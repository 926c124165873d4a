//! What a plugin takes too much of: memory, output, series, room on a disk.

use super::trial::{Trial, When, check, restarts};
use crate::agent::{new_folder, on_tmpfs, until};

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

#[tokio::test]
async fn a_flood_on_its_output_costs_lines_and_not_the_log() {
    let trial = Trial::start("faulty", "flood-stdout", "").await;
    trial.fire();
    trial.fired().await;
    trial.named("deadline", "did not answer").await;
    trial.up().await;
    until("the word on it", || {
        let log = trial.agent.log();
        let is_told = log.contains("lines more, which were left out");
        (log.contains("printed: xxx") && is_told).then_some(())
    })
    .await;
    let log = trial.agent.log();
    // It printed 8 MiB.
    assert!(log.len() < 1 << 20, "{} bytes of log", log.len());
    trial.end().await;
}

#[tokio::test]
async fn a_hundred_thousand_series_are_as_many_as_it_may_have() {
    // To refuse a hundred thousand takes a build for tests half a second.
    let more = "series_max = 1000\ninterval = \"2s\"";
    let trial = Trial::start("faulty", "series-100000", more).await;
    trial.fire();
    trial.named("refused", "series").await;
    let info = trial
        .info_that(|info| info["seriesDropped"].as_u64() > Some(0))
        .await;
    let series = info["series"].as_u64().expect("a number");
    assert!(series <= 1_000, "{info:#}");
    assert_eq!(restarts(&info), 0, "{info:#}");
    trial.up().await;
    trial.end().await;
}

/// The small file system is one of the agent's own mount namespace, where its plugins see it too.
#[tokio::test]
async fn a_full_file_system_is_the_plugins_own_trouble() {
    let folder = new_folder();
    let small = folder.path().join("small");
    let program = on_tmpfs(&small, "4m");
    let what = ("faulty", "fill-tmpfs", "folder = \"FOLDER/small\"");
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
