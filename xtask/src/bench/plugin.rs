//! `cargo xtask bench plugin`: what keeping a plugin in a process of its own costs, and how soon a killed one is back.
//!
//! A tick is that of the SDK's example `many`, 500 series that cost next to nothing to sample. In an agent at 1 Hz its
//! overhead is the time that the agent waits for it minus the time in the plugin's own `collect`, which the example
//! samples; back to back it is what `barograph plugin bench` calls the boundary. Each of the killed collectors is
//! killed once, so that none of them waits for its turn.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde_json::Value;

use crate::bench::agent::WARM_UP;
use crate::bench::process;
use crate::bench::row::{self, Row};
use crate::bench::served::Served;
use crate::place::Place;
use crate::shell::{self, Fallible};

const OVERHEAD_US_MAX: f64 = 100.0;
/// An interval and 50 ms.
const BACK_MS_MAX: f64 = 1_050.0;
const PSS_MB_MAX: f64 = 3.0;
/// Collectors that are killed, one after another.
const KILLS: usize = 20;
/// From one kill to the next: no multiple of a tick, so that all moments of one are met.
const BETWEEN_KILLS: Duration = Duration::from_millis(370);
const BACK_LIMIT: Duration = Duration::from_secs(10);
const TICKS_BACK_TO_BACK: &str = "20000";

pub(crate) fn plugin(place: &Place, seconds: u64) -> Fallible {
    super::build_release(place)?;
    let example = [
        "build",
        "--release",
        "--package",
        "barograph-sdk",
        "--example",
        "many",
    ];
    shell::run(place.cargo().args(example))?;
    let folder = place.target.join("bench/plugin");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let mut rows = Vec::new();
    for isolation in ["process", "thread"] {
        overhead(place, &folder, isolation, seconds, &mut rows)?;
    }
    let agent = configured(place, &folder.join("killed"), &victims())?;
    sleep(WARM_UP);
    rows.push(Row::at_most(
        "memory (PSS) of the system plugin's process",
        PSS_MB_MAX,
        process::cost(pid(&plugins(&agent)?, "system")?)?.pss_bytes as f64 / 1e6,
        "MB",
    ));
    back(&agent, &mut rows)?;
    drop(agent);
    row::print(&rows);
    println!("\nticks at 1 Hz: {seconds}; back to back: {TICKS_BACK_TO_BACK}; kills: {KILLS}");
    Ok(())
}

/// What comes on top of the plugin's own time: in an agent at its usual pace, and back to back.
fn overhead(
    place: &Place,
    folder: &Path,
    isolation: &str,
    seconds: u64,
    rows: &mut Vec<Row>,
) -> Fallible {
    let own = folder.join(isolation);
    let agent = configured(place, &own, &format!("isolation = {isolation:?}\n"))?;
    sleep(WARM_UP + Duration::from_secs(seconds));
    let slow = overheads(
        &told(&agent, "many_collect_seconds", seconds)?,
        &told(&agent, "many_inside_seconds", seconds)?,
    )?;
    drop(agent);
    let library = place.target.join("release/examples/libmany.so");
    let mut command = Command::new(place.agent("release"));
    let bench = ["plugin", "bench", "--json", "--ticks", TICKS_BACK_TO_BACK];
    command.current_dir(folder).args(bench);
    let text = shell::capture(command.args(["--isolation", isolation]).arg(library))?;
    let fast: Value = serde_json::from_str(&text)?;
    let fast_us = |rank: &str| fast["boundaryMs"][rank].as_f64().map(|ms| ms * 1e3);
    let what =
        |pace: &str, rank: &str| format!("a tick of 500 samples, {isolation}: {pace}, {rank}");
    for (rank, figure) in [("p50", slow.0), ("p99", slow.1)] {
        let what = what("overhead at 1 Hz", rank);
        rows.push(if (isolation, rank) == ("process", "p50") {
            Row::at_most(what, OVERHEAD_US_MAX, figure, "µs")
        } else {
            Row::told(what, format!("{figure:.2} µs"))
        });
    }
    for rank in ["p50", "p99"] {
        let figure = fast_us(rank).ok_or("`plugin bench` tells no boundaryMs")?;
        let what = what("boundary back to back", rank);
        rows.push(Row::told(what, format!("{figure:.2} µs")));
    }
    Ok(())
}

/// The last values of a metric that has one series, one a second.
fn told(agent: &Served, metric: &str, seconds: u64) -> Fallible<Vec<Option<f64>>> {
    let to = now_ms()? / 1_000 * 1_000 - 1_000;
    let from = to - i64::try_from(seconds)? * 1_000;
    let path = format!(
        "/api/dashboard/metrics/history?metric={metric}&agg=last&resolution=raw&from={from}&to={to}"
    );
    let answer: Value = serde_json::from_str(&agent.connect()?.get(&path)?)?;
    let values = answer["series"][0]["values"].as_array();
    let values = values.ok_or_else(|| format!("the history has no {metric}"))?;
    Ok(values.iter().map(Value::as_f64).collect())
}

/// Median and 99th of a hundred in µs of what the agent waited beyond the time inside the plugin, which comes with the
/// tick after.
fn overheads(waited: &[Option<f64>], inside: &[Option<f64>]) -> Fallible<(f64, f64)> {
    let pairs = waited.iter().zip(inside.iter().skip(1));
    let mut overheads: Vec<f64> = pairs
        .filter_map(|(waited, inside)| Some(((*waited)? - (*inside)?) * 1e6))
        .collect();
    overheads.sort_by(f64::total_cmp);
    let last = overheads.len().checked_sub(1).ok_or("no tick was told")?;
    let rank = |percent: usize| overheads[(overheads.len() * percent / 100).min(last)];
    Ok((rank(50), rank(99)))
}

/// An agent with the example and these keys in its section.
fn configured(place: &Place, folder: &Path, keys: &str) -> Fallible<Served> {
    fs::create_dir_all(folder)?;
    let library = place.target.join("release/examples/libmany.so");
    let section = format!("[plugins.many]\npath = \"{}\"\n{keys}", library.display());
    fs::write(folder.join("config.toml"), section)?;
    Served::resume(&place.agent("release"), folder.to_owned())
}

/// Small collectors to be killed.
fn victims() -> String {
    let instances: Vec<String> = (0..KILLS)
        .map(|at| format!("[[plugins.many.instances]]\nname = \"many{at}\"\n"))
        .collect();
    format!("series = 10\n{}", instances.concat())
}

/// From each kill to the first answer with a sample that was taken after it.
fn back(agent: &Served, rows: &mut Vec<Row>) -> Fallible {
    let mut times = Vec::new();
    for at in 0..KILLS {
        sleep(BETWEEN_KILLS);
        let name = format!("many{at}");
        let pid = pid(&plugins(agent)?, &name)?;
        let mut connection = agent.connect()?;
        let sampled_at = |answer: &Value| {
            let collector = &answer["topics"]["many"]["collectors"][&name];
            collector["at"].as_i64().filter(|_| collector["up"] == true)
        };
        let began = Instant::now();
        let killed = Pid::from_raw(pid.cast_signed()).ok_or("0 is no process")?;
        rustix::process::kill_process(killed, Signal::KILL)?;
        let killed_ms = now_ms()?;
        loop {
            let answer = connection.get("/api/dashboard/metrics?topic=many")?;
            if sampled_at(&serde_json::from_str(&answer)?) >= Some(killed_ms) {
                break;
            }
            if began.elapsed() > BACK_LIMIT {
                return Err(format!("{name} did not come back").into());
            }
            sleep(Duration::from_millis(1));
        }
        times.push(began.elapsed());
    }
    times.sort();
    let ms = |at: usize| times[at].as_secs_f64() * 1e3;
    let what = "killed once to its next sample";
    rows.push(Row::told(
        format!("{what}, p50"),
        format!("{:.2} ms", ms(KILLS / 2)),
    ));
    rows.push(Row::at_most(
        format!("{what}, max"),
        BACK_MS_MAX,
        ms(KILLS - 1),
        "ms",
    ));
    Ok(())
}

fn plugins(agent: &Served) -> Fallible<Value> {
    let answer = agent.connect()?.get("/api/dashboard/plugins")?;
    Ok(serde_json::from_str(&answer)?)
}

/// The process of a collector.
fn pid(answer: &Value, name: &str) -> Fallible<u32> {
    let plugins = answer["plugins"].as_array().into_iter().flatten();
    let mut pids = plugins
        .filter(|info| info["name"] == name)
        .filter_map(|info| info["pid"].as_u64());
    let pid = pids
        .next()
        .ok_or_else(|| format!("{name} has no process"))?;
    Ok(u32::try_from(pid)?)
}

fn now_ms() -> Fallible<i64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(i64::try_from(now.as_millis())?)
}

#[cfg(test)]
mod tests {
    use super::overheads;

    #[test]
    fn a_ticks_own_time_comes_with_the_next_one() {
        let waited = [Some(0.001), Some(0.0003), None, Some(0.9)];
        let inside = [Some(0.0), Some(0.0009), Some(0.0001), Some(0.2)];
        let (median, last) = overheads(&waited, &inside).unwrap();
        assert!((median - 200.0).abs() < 1e-6, "{median}");
        assert!((last - 200.0).abs() < 1e-6, "{last}");
        assert!(overheads(&[], &[]).is_err());
    }
}
