//! `barograph plugin bench`: what a tick costs, measured on ticks back to back.
//!
//! The time of a collect is taken twice: by the host around the plugin's function, and here from the question to the
//! answer. The difference is what the boundary costs. CPU and memory are those of the plugin's process; a plugin on a
//! thread shares them with this process, so they are the whole process's then.

use std::path::Path;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::Failure;
use super::subject;
use crate::catalog::Unit;
use crate::cli::runtime::{Runtime, print};
use crate::cli::table::{Align, columns, quantity};
use crate::collect::{Isolation, Settings, Trial, TrialError};
use crate::{proc, words};

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    subject: subject::Named,
    /// How many ticks are measured, after one that is not
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    ticks: u32,
    /// Where the plugin's code runs, instead of where the configuration says
    #[arg(long, value_enum)]
    isolation: Option<Place>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Place {
    /// In a process of its own
    Process,
    /// On a thread of this process, which it can take down
    Thread,
}

/// What was measured.
#[derive(Debug, Default)]
struct Figures {
    samples: Vec<usize>,
    took: Vec<Duration>,
    inside: Vec<Duration>,
    boundary: Vec<Duration>,
    cpu: Option<Duration>,
    rss_bytes: Option<u64>,
    pss_bytes: Option<u64>,
}

/// Of some durations, by nearest rank.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    p50: Duration,
    p99: Duration,
    max: Duration,
}

pub(super) fn run(config: Option<&Path>, arguments: &Arguments) -> Result<(), Failure> {
    let subject = arguments.subject.find(config)?;
    let shelf = subject::shelf()?;
    let isolation = match arguments.isolation {
        None => subject.instance.isolation,
        Some(Place::Process) => Isolation::Process,
        Some(Place::Thread) => Isolation::Thread,
    };
    let settings = subject.settings(&shelf, isolation)?;
    Runtime::new()?.block_on(async {
        let trial = subject.start(&settings).await?;
        // An end by kill -9 leaves no copy behind.
        drop(shelf);
        let measured = measure(trial, arguments.ticks).await;
        let figures = measured.map_err(|error| subject.failed(&error))?;
        print(if arguments.json {
            format!("{}\n", figures.json(&settings))
        } else {
            figures.text(&settings)
        })
        .await
    })?
}

async fn measure(mut trial: Trial, ticks: u32) -> Result<Figures, TrialError> {
    // It declares its series, which later ticks don't.
    trial.collect_now(0).await?;
    let process = trial.pid().map_or("self".to_owned(), |pid| pid.to_string());
    let before = proc::cpu_time(&process);
    let mut figures = Figures::default();
    for number in 1..=u64::from(ticks) {
        let batch = trial.collect_now(number).await?;
        figures.samples.push(batch.samples.len());
        figures.took.push(batch.took);
        if let Some(inside) = batch.inside {
            figures.inside.push(inside);
            figures.boundary.push(batch.took.saturating_sub(inside));
        }
    }
    figures.cpu = proc::cpu_time(&process)
        .zip(before)
        .map(|(now, before)| now.saturating_sub(before));
    figures.rss_bytes = proc::rss_bytes(&process);
    figures.pss_bytes = proc::pss_bytes(&process);
    trial.stop().await;
    Ok(figures)
}

impl Spread {
    fn of(durations: &[Duration]) -> Option<Self> {
        let mut sorted = durations.to_vec();
        sorted.sort_unstable();
        let max = *sorted.last()?;
        let rank = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1];
        Some(Self {
            p50: rank(50),
            p99: rank(99),
            max,
        })
    }

    fn json(self) -> Value {
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        json!({"p50": ms(self.p50), "p99": ms(self.p99), "max": ms(self.max)})
    }
}

impl Figures {
    fn samples_mean(&self) -> f64 {
        self.samples.iter().sum::<usize>() as f64 / self.samples.len().max(1) as f64
    }

    fn cpu_per_tick(&self) -> Option<f64> {
        let ticks = self.took.len().max(1) as f64;
        Some(self.cpu?.as_secs_f64() * 1e3 / ticks)
    }

    fn json(&self, settings: &Settings) -> Value {
        let spread = |durations: &[Duration]| Spread::of(durations).map(Spread::json);
        json!({
            "plugin": settings.plugin,
            "isolation": settings.isolation.name(),
            "ticks": self.took.len(),
            "samplesPerTick": {"mean": self.samples_mean(), "max": self.samples.iter().max()},
            "collectMs": spread(&self.took),
            "insideMs": spread(&self.inside),
            "boundaryMs": spread(&self.boundary),
            "cpuMsPerTick": self.cpu_per_tick(),
            "rssBytes": self.rss_bytes,
            "pssBytes": self.pss_bytes,
        })
    }

    fn text(&self, settings: &Settings) -> String {
        let head = ["TIME OF A TICK", "P50", "P99", "MAX"];
        let aligns = [Align::Left, Align::Right, Align::Right, Align::Right];
        let rows = [
            ("collect, seen by the agent", &self.took),
            ("inside the plugin", &self.inside),
            ("the boundary", &self.boundary),
        ];
        let rows = rows.iter().filter_map(|(what, durations)| {
            let Spread { p50, p99, max } = Spread::of(durations)?;
            let ms = [p50, p99, max].map(|time| format!("{:.3} ms", time.as_secs_f64() * 1e3));
            Some([vec![(*what).to_owned()], ms.to_vec()].concat())
        });
        let head: Vec<_> = head.into_iter().zip(aligns).collect();
        let times = columns(&head, &rows.collect::<Vec<_>>());
        let bytes =
            |bytes: Option<u64>| quantity(bytes.map(|bytes| bytes as f64), Unit::Bytes, false);
        let cpu = match self.cpu_per_tick() {
            None => "-".to_owned(),
            // The kernel counts in steps of ten milliseconds.
            Some(0.0) => "too little to tell; more --ticks would".to_owned(),
            Some(ms) => format!("{ms:.3} ms a tick"),
        };
        let whose = match settings.isolation {
            Isolation::Process => "its process",
            Isolation::Thread => "this whole process",
        };
        format!(
            "{}: {}, isolation {}\n\n{times}\nsamples  {:.1} a tick, at most {}\ncpu      {cpu}, of {whose}\n\
             memory   RSS {}, PSS {}, of {whose}\n",
            settings.plugin,
            words::count(self.took.len(), "tick", "ticks"),
            settings.isolation.name(),
            self.samples_mean(),
            self.samples.iter().max().unwrap_or(&0),
            bytes(self.rss_bytes),
            bytes(self.pss_bytes),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_are_by_nearest_rank() {
        let ms: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        let expected = Spread {
            p50: Duration::from_millis(100),
            p99: Duration::from_millis(198),
            max: Duration::from_millis(200),
        };
        assert_eq!(Spread::of(&ms), Some(expected));
        let one = Duration::from_millis(7);
        let expected = Spread {
            p50: one,
            p99: one,
            max: one,
        };
        assert_eq!(Spread::of(&[one]), Some(expected));
        assert_eq!(Spread::of(&[]), None);
    }
}
