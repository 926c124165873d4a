//! A fixture for measurements: so many series in one tick, and next to nothing to sample.
//!
//! One of them says how long the collect before this one took inside the plugin, so that a tick's time minus that is
//! what the way to the agent costs.

use std::time::Instant;

use barograph_sdk::{Collector, Error, Gauge, Manifest, Setup, Sink, Unit, export_collector};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Series that are sampled at each tick.
    series: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { series: 500 }
    }
}

#[derive(Debug)]
pub struct Many {
    value: Gauge<1>,
    inside: Gauge,
    numbers: Vec<String>,
    last_seconds: f64,
}

impl Collector for Many {
    type Config = Config;
    const MANIFEST: Manifest = Manifest::new("many", "many", env!("CARGO_PKG_VERSION"));

    fn new(config: Config, setup: &mut Setup<'_>) -> Result<Self, Error> {
        let value = setup.gauge("many_value").help("Number of the tick.");
        let value = value.labels(["number"]).build();
        let inside = setup
            .gauge("many_inside_seconds")
            .help("How long the last collect took inside the plugin.")
            .unit(Unit::Seconds)
            .build();
        Ok(Self {
            value,
            inside,
            numbers: (1..config.series).map(|at| at.to_string()).collect(),
            last_seconds: 0.0,
        })
    }

    async fn collect(&mut self, out: &mut Sink<'_>) -> Result<(), Error> {
        let began = Instant::now();
        let tick = out.tick().number;
        for number in &self.numbers {
            self.value.with(out, [number]).set(tick);
        }
        self.inside.set(out, self.last_seconds);
        self.last_seconds = began.elapsed().as_secs_f64();
        Ok(())
    }
}

export_collector!(Many);
