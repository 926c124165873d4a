//! `cargo xtask bench allocator`: the agent with each allocator it can be built with.
//!
//! The three run side by side in the same minutes, because a shared machine drifts. The agent's
//! own default is built last, so that the target folder is left with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::bench::agent::{Figures, IDLE_CONNECTIONS, WARM_UP};
use crate::bench::served::Served;
use crate::bench::{build_release, idle};
use crate::needs;
use crate::place::{self, Place};
use crate::shell::{self, Fallible};

/// Names, and the features of the agent that choose them.
const VARIANTS: [(&str, &[&str]); 3] = [
    ("mimalloc", &["--features", "barograph/alloc-mimalloc"]),
    ("jemalloc", &["--features", "barograph/alloc-jemalloc"]),
    ("default", &[]),
];

pub(crate) fn allocator(place: &Place, seconds: u64) -> Fallible {
    needs::ensure(&[&needs::MAKE])?;
    idle::raise_file_limit();
    build_release(place)?;
    let folder = place.target.join("bench");
    let mut agents = Vec::new();
    for (name, features) in VARIANTS {
        shell::run(place.cargo().args(["build", "--release"]).args(features))?;
        let copy = copy_build(place, &folder.join(format!("build-{name}")))?;
        agents.push((name, copy));
    }
    let agents = agents
        .into_iter()
        .map(|(name, program)| Ok((name, Served::start(&program, folder.join(name))?)))
        .collect::<Fallible<Vec<_>>>()?;
    println!(
        "\nwarming up for {} s, measuring for {seconds} s",
        WARM_UP.as_secs()
    );
    sleep(WARM_UP);
    let began = Instant::now();
    let before = agents
        .iter()
        .map(|(_, agent)| agent.cost())
        .collect::<Fallible<Vec<_>>>()?;
    sleep(Duration::from_secs(seconds));
    let elapsed = began.elapsed();
    let mut figures = Vec::new();
    for ((_, agent), before) in agents.iter().zip(&before) {
        let after = agent.cost()?;
        figures.push(Figures::between(before, &after, elapsed, agent.series()?));
    }
    println!(
        "\n{:<10} {:>8} {:>8} {:>10} {:>14} {:>18}",
        "allocator", "CPU %", "PSS MB", "idle kB", "PSS MB after", "binary MB"
    );
    for ((name, agent), figures) in agents.into_iter().zip(figures) {
        let idle = idle::bytes_per_connection(&agent, IDLE_CONNECTIONS)? / 1000.0;
        // What the connections leave behind shows how well freed memory goes back to the system.
        sleep(Duration::from_secs(5));
        let left = agent.cost()?.pss_bytes as f64 / 1e6;
        let binary = folder.join(format!("build-{name}/barograph"));
        let binary_mb = fs::metadata(binary)?.len() as f64 / 1e6;
        println!(
            "{name:<10} {:>8.2} {:>8.2} {idle:>10.2} {left:>14.2} {binary_mb:>18.2}",
            figures.cpu_percent, figures.pss_mb
        );
    }
    Ok(())
}

/// Copies the built agent and its plugins where the next build does not replace them.
fn copy_build(place: &Place, folder: &Path) -> Fallible<PathBuf> {
    fs::create_dir_all(folder)?;
    let release = place.target.join("release");
    fs::copy(place.agent("release"), folder.join("barograph"))?;
    for plugin in place.plugins()? {
        let library = place::library(&plugin);
        fs::copy(release.join(&library), folder.join(&library))?;
    }
    Ok(folder.join("barograph"))
}
