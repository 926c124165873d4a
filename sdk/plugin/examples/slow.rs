//! A fixture: takes `delay_ms` for each collect, and stops early when the agent has given up.

use std::time::Duration;

use barograph_sdk::{Collector, Error, Gauge, Manifest, Setup, Sink, export_collector, tokio};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long a collect takes, in milliseconds.
    delay_ms: u32,
}

#[derive(Debug)]
pub struct Slow {
    delay_ms: u32,
    delay: Gauge,
}

const STEP_MS: u32 = 10;

impl Collector for Slow {
    type Config = Config;
    const MANIFEST: Manifest = Manifest::new("slow", "slow", env!("CARGO_PKG_VERSION"));

    fn new(config: Config, setup: &mut Setup<'_>) -> Result<Self, Error> {
        let delay = setup
            .gauge("slow_delay_ms")
            .help("How long the collect took.")
            .build();
        Ok(Self {
            delay_ms: config.delay_ms,
            delay,
        })
    }

    async fn collect(&mut self, out: &mut Sink<'_>) -> Result<(), Error> {
        let mut left_ms = self.delay_ms;
        while left_ms > 0 {
            if out.cancelled() {
                return Err(Error::timeout("cancelled by the agent"));
            }
            let step_ms = left_ms.min(STEP_MS);
            tokio::time::sleep(Duration::from_millis(step_ms.into())).await;
            left_ms -= step_ms;
        }
        self.delay.set(out, self.delay_ms);
        Ok(())
    }
}

export_collector!(Slow);
