//! A fixture: ends its process while it is made.

use std::process;

use barograph_sdk::{Collector, Error, Manifest, Setup, Sink, export_collector};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {}

#[derive(Debug)]
pub struct FaultyExitCreate {}

impl Collector for FaultyExitCreate {
    type Config = Config;
    const MANIFEST: Manifest =
        Manifest::new("faulty_exit_create", "faulty", env!("CARGO_PKG_VERSION"));

    fn new(_config: Config, _setup: &mut Setup<'_>) -> Result<Self, Error> {
        process::exit(7);
    }

    async fn collect(&mut self, _out: &mut Sink<'_>) -> Result<(), Error> {
        Ok(())
    }
}

export_collector!(FaultyExitCreate);
