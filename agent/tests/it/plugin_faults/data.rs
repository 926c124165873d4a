//! What a plugin can't write to: the agent's data.

use std::fs;

use super::trial::{Trial, Watch, restarts};
use crate::agent::until;
use crate::cli::{barograph, stdout};

/// Each attempt of the fixture.
const ATTEMPTS: usize = 11;

#[tokio::test]
async fn a_plugin_cannot_write_to_the_agents_data() {
    let more = "folder = \"FOLDER/../data\"\noutcomes = \"FOLDER/outcomes\"";
    let trial = Trial::start("faulty", "change-folder", more).await;
    let log = trial.agent.log();
    if log.contains("this kernel has no Landlock") {
        eprintln!("skipped: this kernel has no Landlock");
        return trial.end().await;
    }
    assert!(log.contains("plugin processes can't write to"), "{log}");
    let own = Watch::on(&trial.agent, "faulty").await;
    let before = listing(&trial);
    trial.fire();
    let file = trial.own().join("outcomes");
    let outcomes = until("what came of it", || fs::read_to_string(&file).ok()).await;
    assert_eq!(outcomes.lines().count(), ATTEMPTS, "{outcomes}");
    for line in outcomes.lines() {
        // The second is what the kernel answers where a file would move to where more is allowed.
        let words = ["Permission denied", "Invalid cross-device link"];
        assert!(words.iter().any(|words| line.contains(words)), "{outcomes}");
    }
    // The store may have made folders of its own meanwhile.
    let after = listing(&trial);
    assert!(
        before.iter().all(|name| after.contains(name)),
        "{before:?} {after:?}"
    );
    assert!(!after.contains(&"new".to_owned()), "{after:?}");
    own.seen_more(2).await;
    own.end(&trial.agent, &trial.name).await;
    assert_eq!(restarts(&trial.info().await), 0);
    let folder = trial.agent.folder();
    trial.end().await;
    let doctor = barograph(folder.path(), &[], &["doctor", "--data-dir", "data"]);
    let said = stdout(&doctor);
    assert!(said.ends_with("everything is whole\n"), "{said}");
}

/// What lies directly in the data folder.
fn listing(trial: &Trial) -> Vec<String> {
    let entries = fs::read_dir(trial.agent.data()).expect("the data folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}
