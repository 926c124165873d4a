//! `cargo xtask bench agent`: what the whole agent costs while nobody watches.
//!
//! The target speaks of all five plugins with a PostgreSQL and a Redis; what is measured is what
//! this checkout has, and the result says which plugins and how many series that were.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::bench::netdata::Netdata;
use crate::bench::process::Cost;
use crate::bench::row::{self, Row};
use crate::bench::served::Served;
use crate::bench::{build_release, idle};
use crate::dist;
use crate::place::Place;
use crate::shell::Fallible;

pub(crate) const WARM_UP: Duration = Duration::from_secs(10);
pub(crate) const IDLE_CONNECTIONS: usize = 1000;

const CPU_PERCENT_MAX: f64 = 0.6;
const PSS_MB_MAX: f64 = 40.0;
const IDLE_KB_MAX: f64 = 4.0;

pub(crate) fn agent(place: &Place, seconds: u64, peers: bool) -> Fallible {
    build_release(place)?;
    idle::raise_file_limit();
    let folder = place.target.join("bench");
    let agent = Served::start(&place.agent("release"), folder.join("agent"))?;
    let netdata = if peers {
        Some(Netdata::start(folder.join("netdata"))?)
    } else {
        None
    };
    println!(
        "\nwarming up for {} s, measuring for {seconds} s",
        WARM_UP.as_secs()
    );
    sleep(WARM_UP);
    let began = Instant::now();
    let before = (
        agent.cost()?,
        netdata.as_ref().map(Netdata::cost).transpose()?,
    );
    sleep(Duration::from_secs(seconds));
    let after = (
        agent.cost()?,
        netdata.as_ref().map(Netdata::cost).transpose()?,
    );
    let elapsed = began.elapsed();
    let ours = Figures::between(&before.0, &after.0, elapsed, agent.series()?);
    let theirs = match (netdata, before.1, after.1) {
        (Some(netdata), Some(before), Some(after)) => Some(Figures::between(
            &before,
            &after,
            elapsed,
            netdata.dimensions()?,
        )),
        _ => None,
    };
    let idle_bytes = idle::bytes_per_connection(&agent, IDLE_CONNECTIONS);
    drop(agent);

    let idle_row = match idle_bytes {
        Ok(bytes) => Row::at_most(
            "memory of an idle connection",
            IDLE_KB_MAX,
            bytes / 1000.0,
            "kB",
        ),
        Err(error) => Row::told("memory of an idle connection", error),
    };
    let mut rows = vec![
        Row::at_most(
            "processor, of one core",
            CPU_PERCENT_MAX,
            ours.cpu_percent,
            "%",
        ),
        Row::at_most("memory (PSS), all processes", PSS_MB_MAX, ours.pss_mb, "MB"),
        idle_row,
        Row::told("processes", ours.processes),
        Row::told("series", ours.series),
    ];
    rows.extend(binary_sizes(place));
    if let Some(theirs) = theirs {
        rows.extend([
            Row::told(
                "Netdata: processor, of one core",
                format!("{:.2} %", theirs.cpu_percent),
            ),
            Row::told("Netdata: memory (PSS)", format!("{:.2} MB", theirs.pss_mb)),
            Row::told("Netdata: processes", theirs.processes),
            Row::told("Netdata: series", theirs.series),
            Row::told(
                "ours / Netdata: processor",
                ratio(ours.cpu_percent, theirs.cpu_percent),
            ),
            Row::told("ours / Netdata: memory", ratio(ours.pss_mb, theirs.pss_mb)),
            Row::told(
                "ours / Netdata: processor a series",
                ratio(ours.cpu_a_series(), theirs.cpu_a_series()),
            ),
        ]);
    }
    row::print(&rows);
    println!(
        "\nmeasured with the plugins that exist today: {}. The target's row asks for database, cache, \
         network, system and jobs, and at least 1,200 series.",
        place.plugins()?.join(", ")
    );
    Ok(())
}

/// What a tree of processes cost over a stretch of time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) cpu_percent: f64,
    pub(crate) pss_mb: f64,
    pub(crate) processes: usize,
    pub(crate) series: usize,
}

impl Figures {
    pub(crate) fn between(before: &Cost, after: &Cost, elapsed: Duration, series: usize) -> Self {
        Self {
            cpu_percent: 100.0 * (after.cpu_seconds - before.cpu_seconds) / elapsed.as_secs_f64(),
            pss_mb: after.pss_bytes as f64 / 1e6,
            processes: after.processes,
            series,
        }
    }

    fn cpu_a_series(&self) -> f64 {
        self.cpu_percent / self.series as f64
    }
}

fn ratio(ours: f64, theirs: f64) -> String {
    format!("{:.2}", ours / theirs)
}

fn binary_sizes(place: &Place) -> Vec<Row> {
    let sized = |profile: &str, file: &Path| {
        let bytes = dist::size(file)?;
        let name = format!("binary, {profile}");
        Some(Row::told(name, format!("{:.2} MB", bytes as f64 / 1e6)))
    };
    ["release", "dist"]
        .into_iter()
        .filter_map(|profile| sized(profile, &place.agent(profile)))
        .collect()
}
