//! A fixture: ends its process in the first collect.

use std::process;

use barograph_sdk::{Collector, Error, Manifest, Setup, Sink, export_collector};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {}

#[derive(Debug)]
pub struct FaultyExit {}

impl Collector for FaultyExit {
    type Config = Config;
    const MANIFEST: Manifest = Manifest::new("faulty_exit", "faulty", env!("CARGO_PKG_VERSION"));

    fn new(_config: Config, _setup: &mut Setup<'_>) -> Result<Self, Error> {
        Ok(Self {})
    }

    async fn collect(&mut self, _out: &mut Sink<'_>) -> Result<(), Error> {
        process::exit(7);
    }
}

export_collector!(FaultyExit);
