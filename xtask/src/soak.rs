//! `cargo xtask soak NAME`: the tests that loop, at full size.
//!
//! The same test runs small with every `cargo xtask test`; both sizes stand beside it in its file.

use crate::bench;
use crate::place::Place;
use crate::shell::{self, Fallible};

/// Seeds and simulated seconds of `soak simulation`: ten simulated minutes each.
const SIMULATION: [(&str, &str); 2] = [("SIMULATION_SEEDS", "500"), ("SIMULATION_SECONDS", "600")];
/// Kills of `soak kill`.
const KILLS: [(&str, &str); 1] = [("STORE_KILLS", "200")];
/// Kills and reloads of `soak plugins`.
const CYCLES: [(&str, &str); 2] = [("PLUGIN_KILLS", "1000"), ("PLUGIN_RELOADS", "500")];
/// Kills of the agent in `soak events`.
const EVENTS: [(&str, &str); 1] = [("EVENT_KILLS", "100")];
/// Simulated hours after which `soak store` measures: eight days.
const DAYS: &str = "24,48,72,96,120,144,168,192";

pub(crate) fn soak(parser: &mut lexopt::Parser) -> Fallible {
    use lexopt::ValueExt as _;
    const NAMES: &str = "simulation, kill, plugins, events, store";
    let name = match parser.next()? {
        Some(lexopt::Arg::Value(name)) => name.string()?,
        _ => return Err(format!("soak needs a name: {NAMES}").into()),
    };
    let place = Place::find()?;
    match name.as_str() {
        "simulation" => test(&place, &SIMULATION, "simulation::"),
        "kill" => test(&place, &KILLS, "store_kill::"),
        "plugins" => plugins(&place, &CYCLES, "plugin_cycles::"),
        "events" => plugins(&place, &EVENTS, "plugin_events::"),
        "store" => bench::store::days(&place, DAYS),
        _ => Err(format!("no soak is called {name}; there are: {NAMES}").into()),
    }
}

/// The libraries are built first, because cargo builds none for a test.
fn plugins(place: &Place, sizes: &[(&str, &str)], filter: &str) -> Fallible {
    for what in [
        ["--package", "barograph-plugin-system", "--lib"],
        ["--package", "barograph-sdk", "--examples"],
    ] {
        shell::run(place.cargo().args(["build", "--release"]).args(what))?;
    }
    test(place, sizes, filter)
}

fn test(place: &Place, sizes: &[(&str, &str)], filter: &str) -> Fallible {
    let test = [
        "test",
        "--release",
        "--package",
        "barograph",
        "--test",
        "it",
        filter,
    ];
    let shown = ["--", "--nocapture"];
    shell::run(
        place
            .cargo()
            .envs(sizes.iter().copied())
            .args(test)
            .args(shown),
    )
}
