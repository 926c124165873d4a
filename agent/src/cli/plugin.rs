//! `barograph plugin`: a plugin tried without an agent, its samples as a table or as JSON; and what a library
//! says of itself, without running any of its code.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use serde_json::json;

use super::check::check_keys;
use super::{Failure, load, short_runtime};
use crate::collect::note::{self, Note};
use crate::collect::{self, TrialBatch, TrialSample};
use crate::config::{Config, ConfigErrors, Instance};

pub(super) fn run_once(
    config: Option<&Path>,
    plugin: &str,
    ticks: u32,
    json: bool,
) -> Result<(), Failure> {
    let (config, source) = load(config)?;
    let instance = chosen(&config, plugin).map_err(Failure::Usage)?;
    let settings = instance.settings().map_err(Failure::Usage)?;
    let runtime = short_runtime()?;
    let wrong = runtime.block_on(check_keys(&instance, settings.clone(), &source));
    if let Some(errors) = ConfigErrors::new(wrong) {
        return Err(errors.into());
    }
    let batches = runtime
        .block_on(collect::run_once(&settings, ticks))
        .map_err(|error| Failure::Running(format!("plugin {}: {error}", settings.plugin)))?;
    let mut out = io::stdout().lock();
    for batch in &batches {
        if json {
            writeln!(out, "{}", as_json(batch))?;
        } else {
            out.write_all(table(batch).as_bytes())?;
        }
    }
    Ok(())
}

pub(super) fn inspect(file: &Path, json: bool) -> Result<(), Failure> {
    let (bytes, [name, topic, version, abi]) = read_note(file).map_err(Failure::Usage)?;
    let mut out = io::stdout().lock();
    if json {
        let note = json!({
            "name": name, "topic": topic, "version": version, "abi": abi, "sizeBytes": bytes,
        });
        writeln!(out, "{note}")?;
    } else {
        writeln!(out, "name     {name}\ntopic    {topic}\nversion  {version}")?;
        writeln!(out, "abi      {abi}\nsize     {bytes} bytes")?;
    }
    Ok(())
}

/// Size of a library; name, topic, version and ABI of the plugin in it.
fn read_note(file: &Path) -> Result<(u64, [String; 4]), String> {
    // A device or a pipe might never end.
    if file.exists() && !file.is_file() {
        return Err(format!(
            "{} is not a file; give the path of a plugin's library",
            file.display()
        ));
    }
    let Note {
        name,
        topic,
        version,
        abi,
        file_bytes,
    } = note::read(file).map_err(|error| error.to_string())?;
    let given = |key: &str, value: Option<String>| {
        let shown = file.display();
        value.ok_or_else(|| {
            format!("{shown} is a broken plugin: its section .barograph has no {key}")
        })
    };
    let words = [
        given("name", name)?,
        given("topic", topic)?,
        given("version", version)?,
        given("abi", abi)?,
    ];
    Ok((file_bytes, words))
}

/// A library by its path, with the section of the plugin that it is; else a collector by its name.
fn chosen(config: &Config, plugin: &str) -> Result<Instance, String> {
    let names_file =
        plugin.contains('/') || Path::new(plugin).extension().is_some_and(|e| e == "so");
    let named = |name: &str| {
        configured(config, name)
            .cloned()
            .unwrap_or_else(|| Instance::of(name))
    };
    if !names_file {
        return Ok(named(plugin));
    }
    let (_, [name, ..]) = read_note(Path::new(plugin))?;
    Ok(Instance {
        path: Some(plugin.into()),
        ..named(&name)
    })
}

/// The collector of that name, else the first of the plugin of that name.
fn configured<'a>(config: &'a Config, name: &str) -> Option<&'a Instance> {
    let all = &config.collectors;
    all.iter()
        .find(|instance| instance.name == name)
        .or_else(|| all.iter().find(|instance| instance.plugin == name))
}

fn unit(sample: &TrialSample) -> serde_json::Value {
    serde_json::to_value(sample.unit).expect("a unit is a word")
}

fn as_json(batch: &TrialBatch) -> serde_json::Value {
    let sample = |sample: &TrialSample| {
        json!({
            "metric": sample.metric,
            "labels": sample.labels,
            "value": sample.value,
            "unit": unit(sample),
        })
    };
    json!({
        "tick": batch.tick,
        "at": batch.at_ms,
        "tookMs": batch.took.as_secs_f64() * 1e3,
        "partial": batch.partial,
        "samples": batch.samples.iter().map(sample).collect::<Vec<_>>(),
    })
}

/// Columns as wide as their widest cell; the values stand right.
fn table(batch: &TrialBatch) -> String {
    let mut rows = vec![["METRIC", "LABELS", "VALUE", "UNIT"].map(str::to_owned)];
    for sample in &batch.samples {
        let labels: Vec<String> = sample
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        let unit = unit(sample).as_str().unwrap_or_default().to_owned();
        rows.push([
            sample.metric.clone(),
            labels.join(" "),
            sample.value.to_string(),
            unit,
        ]);
    }
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let (metrics, labels, values) = (width(0), width(1), width(2));
    let mut text = format!(
        "tick {}: {} samples in {:.1} ms\n",
        batch.tick,
        batch.samples.len(),
        batch.took.as_secs_f64() * 1e3
    );
    for [metric, label, value, unit] in &rows {
        // A write to a string can't fail.
        let _ = writeln!(
            text,
            "{metric:metrics$}  {label:labels$}  {value:>values$}  {unit}"
        );
    }
    if let Some(partial) = &batch.partial {
        let _ = writeln!(text, "could not be read: {partial}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::catalog::Unit;

    fn batch() -> TrialBatch {
        let sample = |metric: &str, cpu: &str, value, unit| TrialSample {
            metric: metric.to_owned(),
            labels: BTreeMap::from([("cpu".to_owned(), cpu.to_owned())]),
            value,
            unit,
        };
        TrialBatch {
            tick: 0,
            at_ms: 1_000,
            took: Duration::from_micros(1_500),
            partial: Some("no sensors".to_owned()),
            samples: vec![
                sample("a_ratio", "0", 0.25, Unit::Ratio),
                sample("a_long_total", "10", 1e9, Unit::Count),
            ],
        }
    }

    #[test]
    fn the_table_is_aligned() {
        let expected = "tick 0: 2 samples in 1.5 ms\n\
            METRIC        LABELS         VALUE  UNIT\n\
            a_ratio       cpu=\"0\"         0.25  ratio\n\
            a_long_total  cpu=\"10\"  1000000000  count\n\
            could not be read: no sensors\n";
        assert_eq!(table(&batch()), expected);
    }

    #[test]
    fn json_has_a_tick_in_one_object() {
        let value = as_json(&batch());
        assert_eq!(value["tick"], 0);
        assert_eq!(value["partial"], "no sensors");
        assert_eq!(
            value["samples"][0],
            json!({"metric": "a_ratio", "labels": {"cpu": "0"}, "value": 0.25, "unit": "ratio"})
        );
    }

    #[test]
    fn a_plugin_is_named_or_given_as_a_file() {
        let config = Config::default();
        let error = chosen(&config, "/proc/self/status").unwrap_err();
        assert!(error.starts_with("/proc/self/status"), "{error}");
        let error = chosen(&config, "no_such").unwrap().settings().unwrap_err();
        assert!(
            error.contains("no library libbarograph_plugin_no_such.so"),
            "{error}"
        );
        assert_eq!(
            configured(&config, "system").map(|instance| instance.name.as_str()),
            Some("system")
        );
    }
}
