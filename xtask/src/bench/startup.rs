//! `cargo xtask bench startup`: from the start of the process to the first live sample that a
//! client sees, and to a page with a drawn chart in a real Chromium.
//!
//! The browser itself is already running; its own start is not the agent's.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use crate::bench::build_release;
use crate::bench::row::{self, Row};
use crate::bench::served::{self, Served};
use crate::needs;
use crate::node::Node;
use crate::place::Place;
use crate::shell::{self, Fallible};

const SAMPLE_MS_MAX: f64 = 300.0;
const PAGE_MS_MAX: f64 = 1000.0;
const SAMPLE_LIMIT: Duration = Duration::from_secs(10);

pub(crate) fn startup(place: &Place, rounds: usize) -> Fallible {
    let node = build_release(place)?;
    needs::ensure(&[&needs::CHROMIUM])?;
    let program = place.agent("release");
    let folder = place.target.join("bench/startup");

    let mut listening = Vec::new();
    let mut sampled = Vec::new();
    for _ in 0..rounds {
        let agent = Served::start(&program, folder.clone())?;
        listening.push(agent.began.elapsed());
        sampled.push(first_sample(&agent)?);
    }
    let mut browser = Browser::start(&node)?;
    // The first page also pays for what the browser loads once in its life.
    browser.prepare()?;
    let agent = Served::start(&program, folder.clone())?;
    browser.open(agent.port)?;
    drop(agent);
    let mut navigated = Vec::new();
    let mut usable = Vec::new();
    for _ in 0..rounds {
        browser.prepare()?;
        let agent = Served::start(&program, folder.clone())?;
        navigated.push(browser.open(agent.port)?);
        usable.push(agent.began.elapsed());
    }

    let mut rows = Vec::new();
    for (what, limit_ms, times) in [
        ("start to first live sample", Some(SAMPLE_MS_MAX), sampled),
        ("start to a usable page", Some(PAGE_MS_MAX), usable),
        ("navigation to a usable page", Some(PAGE_MS_MAX), navigated),
        ("start to listening", None, listening),
    ] {
        let (median_ms, max_ms) = spread_ms(times);
        for (kind, figure) in [("p50", median_ms), ("max", max_ms)] {
            let what = format!("{what}, {kind}");
            rows.push(match limit_ms {
                Some(limit) => Row::at_most(what, limit, figure, "ms"),
                None => Row::told(what, format!("{figure:.2} ms")),
            });
        }
    }
    row::print(&rows);
    println!("\n{rounds} rounds, each with a new agent and an empty data folder");
    Ok(())
}

/// Time from the start of the process to the first answer that holds a sample of the system.
fn first_sample(agent: &Served) -> Fallible<Duration> {
    let mut connection = agent.connect()?;
    while agent.began.elapsed() < SAMPLE_LIMIT {
        let answer = connection.get("/api/dashboard/metrics?topic=system")?;
        if has_sample(&serde_json::from_str(&answer)?) {
            return Ok(agent.began.elapsed());
        }
        sleep(Duration::from_millis(1));
    }
    Err(format!("no sample came within {} s", SAMPLE_LIMIT.as_secs()).into())
}

fn has_sample(answer: &Value) -> bool {
    let children = |value: &Value| -> Vec<Value> {
        match value {
            Value::Object(map) => map.values().cloned().collect(),
            Value::Array(list) => list.clone(),
            _ => Vec::new(),
        }
    };
    children(&answer["topics"]["system"]["collectors"])
        .iter()
        .flat_map(|collector| children(&collector["metrics"]))
        .flat_map(|series| children(&series))
        .any(|sample| sample["value"].is_number() || sample["total"].is_number())
}

/// Median and maximum in milliseconds.
fn spread_ms(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort();
    let ms = |at: usize| {
        times
            .get(at)
            .map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    };
    (ms(times.len() / 2), ms(times.len().saturating_sub(1)))
}

/// A small script that holds a browser open. Each round it says when it is ready, takes an address,
/// and answers with the milliseconds from the beginning of the navigation until a chart showed a value.
#[derive(Debug)]
struct Browser {
    child: Child,
    addresses: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Browser {
    fn start(node: &Node) -> Fallible<Self> {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/bench/usable.mjs");
        let chromium = shell::find("chromium").ok_or("chromium is not on the PATH")?;
        let mut child = node
            .command("node")
            .arg(script)
            .arg(chromium)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start node: {error}"))?;
        let addresses = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("the output was asked for"));
        Ok(Self {
            child,
            addresses,
            answers,
        })
    }

    /// Waits until the browser has an empty page open, which is no part of any measurement.
    fn prepare(&mut self) -> Fallible {
        self.answer().map(drop)
    }

    fn open(&mut self, port: u16) -> Fallible<Duration> {
        let addresses = self
            .addresses
            .as_mut()
            .expect("it is taken only at the end");
        writeln!(addresses, "http://127.0.0.1:{port}/dashboard/")?;
        let ms: f64 = self.answer()?.trim().parse()?;
        Ok(Duration::from_secs_f64(ms / 1e3))
    }

    fn answer(&mut self) -> Fallible<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err("the browser's script ended; see its complaint above".into());
        }
        Ok(line)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The script closes the browser at the end of its input.
        self.addresses.take();
        let _ = std::io::copy(&mut self.answers, &mut std::io::sink());
        served::stop(&mut self.child);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_is_a_sample() {
        let answer = |sample: &str| -> Value {
            let text = format!(
                r#"{{"topics":{{"system":{{"collectors":{{"system":{{"up":true,"metrics":{{"m":[{sample}]}}}}}}}}}}}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        assert!(has_sample(&answer(r#"{"labels":{},"value":0}"#)));
        assert!(has_sample(&answer(
            r#"{"labels":{},"total":7,"rate":null}"#
        )));
        assert!(!has_sample(&answer(r#"{"labels":{},"value":null}"#)));
        assert!(!has_sample(&serde_json::json!({"topics":{}})));
    }

    #[test]
    fn the_spread_is_median_and_maximum() {
        let times = [3, 1, 2].map(Duration::from_millis).to_vec();
        let (median_ms, max_ms) = spread_ms(times);
        assert!((median_ms - 2.0).abs() < 1e-9 && (max_ms - 3.0).abs() < 1e-9);
    }
}
