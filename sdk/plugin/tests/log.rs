//! The agent's log through the C table: the macros of `tracing`, from all of the plugin's threads.

use barograph_sdk::{
    Collector, Error, Level, Manifest, Setup, Sink, tester::CollectorTester, tokio, tracing,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Deserialize, JsonSchema)]
struct Config {}

#[derive(Debug)]
struct Talker;

impl Collector for Talker {
    type Config = Config;
    const MANIFEST: Manifest = Manifest::new("talker", "tests", "1.0.0");

    fn new(_config: Config, setup: &mut Setup<'_>) -> Result<Self, Error> {
        tracing::info!("made");
        setup.log().write(Level::Debug, "by hand");
        Ok(Self)
    }

    async fn collect(&mut self, out: &mut Sink<'_>) -> Result<(), Error> {
        match out.tick().number {
            0 => {
                tracing::error!("error");
                tracing::warn!(queue = "mail", waiting = 12, "does not move");
                tracing::debug!(path = ?"/a b", ratio = 0.5);
                tracing::trace!(target: "driver", "trace");
            }
            1 => {
                let task = tokio::spawn(async { tracing::info!("in a task") });
                task.await
                    .map_err(|error| Error::fatal(error.to_string()))?;
            }
            2 => {
                let work = tokio::task::spawn_blocking(|| tracing::info!("in blocking work"));
                work.await
                    .map_err(|error| Error::fatal(error.to_string()))?;
            }
            _ => {
                let span = tracing::info_span!("span", id = 7);
                span.in_scope(|| tracing::info!("in a span"));
            }
        }
        Ok(())
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        tracing::info!("dropped");
    }
}

#[test]
fn tracing_reaches_the_log_with_its_level_and_fields() {
    let mut tester = CollectorTester::new::<Talker>(&json!({})).unwrap();
    for _ in 0..4 {
        tester.tick().unwrap();
    }
    tester.stop();
    let expected = [
        (Level::Info, "log: made"),
        (Level::Debug, "by hand"),
        (Level::Error, "log: error"),
        (Level::Warn, "log: does not move queue=mail waiting=12"),
        (Level::Debug, "log: path=\"/a b\" ratio=0.5"),
        (Level::Trace, "driver: trace"),
        (Level::Info, "log: in a task"),
        (Level::Info, "log: in blocking work"),
        (Level::Info, "log: in a span"),
        (Level::Info, "log: dropped"),
    ];
    let expected: Vec<(Level, String)> = expected
        .into_iter()
        .map(|(level, line)| (level, line.to_owned()))
        .collect();
    assert_eq!(tester.log(), expected);
}

#[test]
fn the_bridge_is_the_plugins_own() {
    let mut tester = CollectorTester::new::<Talker>(&json!({})).unwrap();
    let mut other = CollectorTester::new::<Talker>(&json!({})).unwrap();
    tracing::info!("of the test, which is nobody's plugin");
    tester.tick().unwrap();
    other.tick().unwrap();
    assert_eq!(tester.log(), other.log());
    assert!(tester.log().iter().all(|(_, line)| !line.contains("test")));
}
