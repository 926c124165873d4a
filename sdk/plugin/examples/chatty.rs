//! A fixture: logs twenty lines of 4 kB in each collect.

use barograph_sdk::{
    Collector, Counter, Error, Level, Manifest, Setup, Sink, Unit, export_collector,
};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {}

#[derive(Debug)]
pub struct Chatty {
    lines: Counter,
}

const LINES: u32 = 20;

impl Collector for Chatty {
    type Config = Config;
    const MANIFEST: Manifest = Manifest::new("chatty", "chatty", env!("CARGO_PKG_VERSION"));

    fn new(_config: Config, setup: &mut Setup<'_>) -> Result<Self, Error> {
        let lines = setup
            .counter("chatty_lines_total")
            .help("Lines that were logged.")
            .unit(Unit::Count)
            .build();
        Ok(Self { lines })
    }

    async fn collect(&mut self, out: &mut Sink<'_>) -> Result<(), Error> {
        let line = "so much to say ".repeat(270);
        for _ in 0..LINES {
            out.log(Level::Warn, &line);
        }
        self.lines.add(out, LINES);
        Ok(())
    }
}

export_collector!(Chatty);
