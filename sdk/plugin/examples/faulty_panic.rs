//! A fixture: panics in every second tick (those with an odd number).

use barograph_sdk::{Collector, Error, Gauge, Manifest, Setup, Sink, export_collector};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {}

#[derive(Debug)]
pub struct FaultyPanic {
    number: Gauge,
}

impl Collector for FaultyPanic {
    type Config = Config;
    const MANIFEST: Manifest = Manifest::new("faulty_panic", "faulty", env!("CARGO_PKG_VERSION"));

    fn new(_config: Config, setup: &mut Setup<'_>) -> Result<Self, Error> {
        let number = setup
            .gauge("faulty_panic_tick")
            .help("Number of the tick.")
            .build();
        Ok(Self { number })
    }

    async fn collect(&mut self, out: &mut Sink<'_>) -> Result<(), Error> {
        let number = out.tick().number;
        assert!(
            number.is_multiple_of(2),
            "tick {number} is odd, as the fixture wants it"
        );
        self.number.set(out, number);
        Ok(())
    }
}

export_collector!(FaultyPanic);
