//! A fixture: samples twice, then blocks its thread for ever.

use std::thread;

use barograph_sdk::{Collector, Counter, Error, Manifest, Setup, Sink, export_collector};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {}

#[derive(Debug)]
pub struct FaultyHang {
    collects: Counter,
    done: u32,
}

impl Collector for FaultyHang {
    type Config = Config;
    const MANIFEST: Manifest = Manifest::new("faulty_hang", "faulty", env!("CARGO_PKG_VERSION"));

    fn new(_config: Config, setup: &mut Setup<'_>) -> Result<Self, Error> {
        let collects = setup
            .counter("faulty_hang_collects_total")
            .help("Collects that ended.");
        Ok(Self {
            collects: collects.build(),
            done: 0,
        })
    }

    async fn collect(&mut self, out: &mut Sink<'_>) -> Result<(), Error> {
        if self.done == 2 {
            loop {
                thread::park();
            }
        }
        self.done += 1;
        self.collects.set_total(out, self.done);
        Ok(())
    }
}

export_collector!(FaultyHang);
