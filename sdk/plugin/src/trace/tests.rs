//! What a plugin traces, as the host hears it.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{Collector, Error, Manifest, Setup, Sink, abi, export::desk::Desk, tokio, tracing};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Config {}

#[derive(Debug)]
struct Tracing;

impl Collector for Tracing {
    type Config = Config;
    const MANIFEST: Manifest = Manifest::new("tracing", "tests", "1.0.0");

    fn new(_config: Config, _setup: &mut Setup<'_>) -> Result<Self, Error> {
        tracing::info!(target: "new", "made");
        Ok(Self)
    }

    async fn collect(&mut self, out: &mut Sink<'_>) -> Result<(), Error> {
        let span = tracing::info_span!("spans are passed over", key = 1);
        let _entered = span.entered();
        let number = out.tick().number;
        tracing::error!(target: "t", number, "code {}", -3);
        tracing::warn!(target: "t", queue = "mail", title = "two words", none = "", "it waits");
        tracing::debug!(target: "t", at = ?Some(1.5), path = %"a/b", done = true);
        tracing::trace!(target: "t", message = "said \"so\"");
        Ok(())
    }
}

fn line(level: u32, text: &str) -> (u32, String) {
    (level, text.to_owned())
}

#[test]
fn each_event_is_a_line_with_its_level_target_and_fields() {
    let mut desk = Desk::with::<Tracing>();
    assert_eq!(desk.collect(), abi::OK);
    let expected = [
        line(2, "new: made"),
        line(0, "t: code -3 number=0"),
        line(1, "t: it waits queue=mail title=\"two words\" none=\"\""),
        line(3, "t: at=Some(1.5) path=a/b done=true"),
        line(4, "t: said \"so\""),
    ];
    assert_eq!(desk.heard().log, expected);
    desk.stop();
    tracing::error!("another thread's event is not the plugin's");
    assert_eq!(desk.heard().log.len(), expected.len());
}

#[test]
fn tasks_and_blocking_work_are_heard_too() {
    #[derive(Debug)]
    struct Spawning;
    impl Collector for Spawning {
        type Config = Config;
        const MANIFEST: Manifest = Manifest::new("spawning", "tests", "1.0.0");
        fn new(_config: Config, _setup: &mut Setup<'_>) -> Result<Self, Error> {
            Ok(Self)
        }
        async fn collect(&mut self, _out: &mut Sink<'_>) -> Result<(), Error> {
            let failed = |error: tokio::task::JoinError| Error::fatal(error.to_string());
            let task = tokio::spawn(async { tracing::info!(target: "task", "runs") });
            task.await.map_err(failed)?;
            let work = tokio::task::spawn_blocking(|| tracing::info!(target: "work", "runs"));
            work.await.map_err(failed)
        }
    }
    // Two of them at a time, as in an agent that has the library's plugin twice on threads.
    let (mut one, mut other) = (Desk::with::<Spawning>(), Desk::with::<Spawning>());
    assert_eq!((one.collect(), other.collect()), (abi::OK, abi::OK));
    let expected = [line(2, "task: runs"), line(2, "work: runs")];
    assert_eq!(one.heard().log, expected);
    assert_eq!(other.heard().log, expected);
}
