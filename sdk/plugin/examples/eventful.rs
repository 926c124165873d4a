//! A fixture: counts up to the number that stands in a file, with an event for each number, as fast as the agent
//! takes them. It goes on after the number of the last event that was stored.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use barograph_sdk::{
    Collector, EmitError, Error, Event, Events, Gauge, Manifest, Setup, Sink, export_collector,
    tokio,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

/// Events that are emitted in a row.
const BURST: u64 = 64;
/// How often the file is looked at, and how long room for an event is waited for.
const PAUSE: Duration = Duration::from_millis(10);

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// File with the number to count to; it may grow at any time.
    upto: PathBuf,
    /// Characters that each event carries besides its number.
    padding: u32,
}

#[derive(Debug)]
pub struct Eventful {
    counted: Arc<AtomicU64>,
    number: Gauge,
    refused: Arc<AtomicU64>,
    full: Gauge,
}

impl Collector for Eventful {
    type Config = Config;
    const MANIFEST: Manifest =
        Manifest::new("eventful", "eventful", env!("CARGO_PKG_VERSION")).events();

    fn new(config: Config, setup: &mut Setup<'_>) -> Result<Self, Error> {
        let last = match setup.position() {
            "" => 0,
            position => position
                .parse()
                .map_err(|_| Error::fatal(format!("position {position} is no number")))?,
        };
        let number = setup.gauge("eventful_number").help("The last number.");
        let number = number.build();
        let full = setup
            .gauge("eventful_full")
            .help("How often an event was not taken.")
            .build();
        let (counted, refused) = (Arc::new(AtomicU64::new(last)), Arc::default());
        let counting = Counting {
            events: setup.events(),
            config,
            counted: Arc::clone(&counted),
            refused: Arc::clone(&refused),
        };
        tokio::spawn(counting.run(last));
        Ok(Self {
            counted,
            number,
            refused,
            full,
        })
    }

    async fn collect(&mut self, out: &mut Sink<'_>) -> Result<(), Error> {
        self.number.set(out, self.counted.load(Ordering::Relaxed));
        self.full.set(out, self.refused.load(Ordering::Relaxed));
        Ok(())
    }
}

struct Counting {
    events: Events,
    config: Config,
    counted: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
}

impl Counting {
    async fn run(self, mut last: u64) {
        loop {
            let upto = number_in(&self.config.upto);
            while last < upto {
                let number = last + 1;
                let padding = "x".repeat(self.config.padding as usize);
                let event = Event::new("counted")
                    .data(&json!({"number": number, "padding": padding}))
                    .position(&number.to_string());
                match self.events.emit(event) {
                    Ok(()) => last = number,
                    Err(EmitError::Full(_)) => {
                        self.refused.fetch_add(1, Ordering::Relaxed);
                        break;
                    }
                    Err(_) => return,
                }
                self.counted.store(last, Ordering::Relaxed);
                if last.is_multiple_of(BURST) {
                    // The collector shares the thread.
                    tokio::task::yield_now().await;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn number_in(path: &Path) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

export_collector!(Eventful);
