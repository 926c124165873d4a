//! `export_collector!` writes the words about the plugin into the file itself.

use std::{env, fs};

use barograph_sdk::{Collector, Error, Manifest, Setup, Sink, export_collector};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, Deserialize, JsonSchema)]
struct Config {}

#[derive(Debug)]
struct Exported {}

impl Collector for Exported {
    type Config = Config;
    const MANIFEST: Manifest = Manifest::new("exported", "tests", "4.5.6-rc.1");

    fn new(_config: Config, _setup: &mut Setup<'_>) -> Result<Self, Error> {
        Ok(Self {})
    }

    async fn collect(&mut self, _out: &mut Sink<'_>) -> Result<(), Error> {
        Ok(())
    }
}

export_collector!(Exported);

#[test]
fn the_note_stands_in_the_file() {
    let file = fs::read(env::current_exe().unwrap()).unwrap();
    // Put together here, so that this test's own text is not what is found.
    let note = [
        "abi=1.0",
        "name=exported",
        "topic=tests",
        "version=4.5.6-rc.1",
        "",
    ]
    .join("\n");
    assert!(
        file.windows(note.len())
            .any(|bytes| bytes == note.as_bytes())
    );
}
