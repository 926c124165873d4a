//! `cargo xtask soak NAME`: the tests that loop, at full size.
//!
//! The same test runs small with every `cargo xtask test`; both sizes stand beside it in its file.

use crate::place::Place;
use crate::shell::{self, Fallible};

/// Seeds and simulated seconds of `soak simulation`: ten simulated minutes each.
const SIMULATION: [(&str, &str); 2] = [("SIMULATION_SEEDS", "500"), ("SIMULATION_SECONDS", "600")];

pub(crate) fn soak(parser: &mut lexopt::Parser) -> Fallible {
    use lexopt::ValueExt as _;
    let name = match parser.next()? {
        Some(lexopt::Arg::Value(name)) => name.string()?,
        _ => return Err("soak needs a name: simulation".into()),
    };
    if name != "simulation" {
        return Err(format!("no soak is called {name}; there is: simulation").into());
    }
    let place = Place::find()?;
    let test = [
        "test",
        "--release",
        "--package",
        "barograph",
        "--test",
        "it",
        "simulation::",
    ];
    shell::run(place.cargo().envs(SIMULATION).args(test))
}
