//! The smallest real collector: the machine's load, from `/proc/loadavg`.

use std::fs;

use barograph_sdk::{Collector, Error, Gauge, Manifest, Setup, Sink, export_collector};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {}

#[derive(Debug)]
pub struct Template {
    load: Gauge,
}

impl Collector for Template {
    type Config = Config;
    const MANIFEST: Manifest = Manifest::new("template", "template", env!("CARGO_PKG_VERSION"));

    fn new(_config: Config, setup: &mut Setup<'_>) -> Result<Self, Error> {
        let load = setup
            .gauge("template_load1")
            .help("Load over the last minute.");
        Ok(Self {
            load: load.chart("Template", "Load").build(),
        })
    }

    async fn collect(&mut self, out: &mut Sink<'_>) -> Result<(), Error> {
        let text = fs::read_to_string("/proc/loadavg")?;
        let load = text
            .split(' ')
            .next()
            .and_then(|first| first.parse::<f64>().ok());
        self.load.set(
            out,
            load.ok_or_else(|| Error::unavailable("/proc/loadavg is not as expected"))?,
        );
        Ok(())
    }
}

export_collector!(Template);

#[cfg(test)]
mod tests {
    use barograph_sdk::tester::{Collected, CollectorTester};
    use serde_json::json;

    use super::Template;

    #[test]
    fn the_load_is_sampled() {
        let mut tester = CollectorTester::new::<Template>(&json!({})).unwrap();
        assert_eq!(tester.tick(), Ok(Collected::Whole));
        // The load is another one each time; only names and labels can be compared.
        tester.assert_names("tests/golden/template.txt");
        assert!(tester.value("template_load1", &[]).unwrap() >= 0.0);
    }
}
