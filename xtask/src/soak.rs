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
/// Simulated hours after which `soak store` measures: eight days.
const DAYS: &str = "24,48,72,96,120,144,168,192";

pub(crate) fn soak(parser: &mut lexopt::Parser) -> Fallible {
    use lexopt::ValueExt as _;
    const NAMES: &str = "simulation, kill, store";
    let name = match parser.next()? {
        Some(lexopt::Arg::Value(name)) => name.string()?,
        _ => return Err(format!("soak needs a name: {NAMES}").into()),
    };
    let place = Place::find()?;
    match name.as_str() {
        "simulation" => test(&place, &SIMULATION, "simulation::"),
        "kill" => test(&place, &KILLS, "store_kill::"),
        "store" => bench::store::days(&place, DAYS),
        _ => Err(format!("no soak is called {name}; there are: {NAMES}").into()),
    }
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
