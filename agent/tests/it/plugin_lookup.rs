//! Lookups in a whole agent: nobody but who waits for one has to do with it.
//!
//! None comes over HTTP yet, so the agent runs in this process, and its plugin on a thread of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use barograph::app::App;
use barograph::catalog::Catalog;
use barograph::clock::Clock;
use barograph::collect::process::Process;
use barograph::collect::spawner::Spawner;
use barograph::config::Config;
use barograph::protocol::PluginInfo;

use crate::compiler::{beside, compile};

/// Lookups that are given up: three ticks and more.
const SLOW: usize = 7;

/// An agent with the oracle, and its catalog.
fn start(folder: &std::path::Path) -> (App<Process>, Catalog) {
    let library = folder.join("oracle.so");
    compile(&beside("plugin_lookup/oracle.c"), &[], &library);
    let file = folder.join("config.toml");
    let text = format!(
        "listen = '127.0.0.1:0'\ndata_dir = '{}/data'\n\
         [plugins.oracle]\npath = '{}'\nisolation = 'thread'\n",
        folder.display(),
        library.display()
    );
    std::fs::write(&file, text).expect("a config file");
    let (config, _) = Config::load(Some(&file), []).expect("a good configuration");
    let clock = Clock::system();
    let prepared = barograph::app::prepare(&config, &clock).expect("a data folder");
    let spawner = Spawner::start().expect("a thread");
    let known = Arc::new(Mutex::new(None));
    let its = Arc::clone(&known);
    let make = move |settings, catalog: Catalog, id, events| {
        *its.lock().expect("no panic in it") = Some(catalog.clone());
        Process::new(settings, spawner.clone(), catalog, id).with_events(events)
    };
    let app = App::start_with(config, clock, prepared, Box::new(make)).expect("an agent");
    let catalog = known.lock().expect("no panic in it").take();
    (app, catalog.expect("it has a collector"))
}

async fn look_up(app: &App<Process>, name: &str) -> Result<String, String> {
    let answer = app
        .lookups()
        .look_up("oracle", name.to_owned(), "x".to_owned());
    answer.await.map_err(|error| error.to_string())
}

/// How often it has collected, once that is at least so often.
async fn ticks(app: &App<Process>, at_least: u32) -> u32 {
    loop {
        if let Ok(answer) = look_up(app, "ticks").await {
            let ticks = answer.parse().expect("a number");
            if ticks >= at_least {
                return ticks;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lookups_without_end_cost_no_tick() {
    let folder = tempfile::tempdir().expect("a temp folder");
    let (app, catalog) = start(folder.path());
    let before = ticks(&app, 1).await;
    let mut late = 0;
    while late < SLOW {
        match look_up(&app, "slow").await {
            Err(error) if error == "oracle: did not answer within 500 ms" => late += 1,
            // The one before it was cancelled this very moment.
            Err(error) => assert!(error.contains("another lookup"), "{error}"),
            Ok(answer) => panic!("{answer}"),
        }
    }
    let after = ticks(&app, before + 2).await;
    assert!(after > before, "the instance is the same");
    let refused = look_up(&app, "nothing").await;
    let expected = "oracle: the configuration can't be used";
    assert_eq!(refused, Err(expected.to_owned()));
    let infos = app.stats().infos(&catalog);
    let [
        PluginInfo {
            restarts,
            faults,
            deadlines_missed: 0,
            error: None,
            ..
        },
    ] = infos.as_slice()
    else {
        panic!("{infos:?}")
    };
    assert!(
        faults.is_empty() && restarts.values().all(|count| *count == 0),
        "{infos:?}"
    );
    app.stop().await;
}

/// A lookup that nobody waits for any more makes room for the next at once.
#[tokio::test(flavor = "multi_thread")]
async fn who_goes_away_is_not_waited_for() {
    let folder = tempfile::tempdir().expect("a temp folder");
    let (app, _) = start(folder.path());
    ticks(&app, 1).await;
    let mut left = 0;
    while left < 3 {
        let gone = tokio::time::timeout(Duration::from_millis(50), look_up(&app, "slow")).await;
        // The first may still be on its way out.
        left += u32::from(gone.is_err());
    }
    ticks(&app, 2).await;
    app.stop().await;
}
