//! `cargo xtask bench NAME`: measures the built product and prints target, figure, met or unmet.
//!
//! Each measurement is one file and works on real processes: the release build of the agent with
//! a folder of its own, and, where asked, a rival beside it in the same minutes. Figures go into
//! `docs/benchmarks.md` by hand, with the machine they were taken on.

mod agent;
mod allocator;
mod idle;
mod netdata;
mod peer;
mod plugin;
mod process;
mod request;
mod row;
mod sdk;
mod served;
mod startup;
pub(crate) mod store;

use lexopt::ValueExt as _;

use crate::node::Node;
use crate::place::Place;
use crate::shell::{self, Fallible};
use crate::{needs, web};

pub(crate) fn bench(parser: &mut lexopt::Parser) -> Fallible {
    let name = match parser.next()? {
        Some(lexopt::Arg::Value(name)) => name.string()?,
        _ => return Err("bench takes one of agent, startup, allocator, plugin, sdk, store".into()),
    };
    let mut seconds = 60_u64;
    let mut rounds = 20_usize;
    let mut peers = false;
    let mut parts = Vec::new();
    while let Some(argument) = parser.next()? {
        match (argument, name.as_str()) {
            (lexopt::Arg::Long("seconds"), "agent" | "allocator" | "plugin") => {
                seconds = parser.value()?.parse::<u64>()?.max(1);
            }
            (lexopt::Arg::Long("rounds"), "startup") => {
                rounds = parser.value()?.parse::<usize>()?.max(1);
            }
            (lexopt::Arg::Long("peers"), "agent" | "store") => peers = true,
            (lexopt::Arg::Value(part), "store") => parts.push(part.string()?),
            (other, _) => return Err(other.unexpected().into()),
        }
    }
    let place = Place::find()?;
    match name.as_str() {
        "agent" => agent::agent(&place, seconds, peers),
        "startup" => startup::startup(&place, rounds),
        "allocator" => allocator::allocator(&place, seconds),
        "plugin" => plugin::plugin(&place, seconds),
        "sdk" => sdk::sdk(&place),
        "store" => store::store(&place, &parts, peers),
        other => Err(format!("no measurement is called {other}").into()),
    }
}

/// Builds what a user of `cargo xtask run` gets, page included.
fn build_release(place: &Place) -> Fallible<Node> {
    needs::ensure(&[&needs::C_COMPILER])?;
    let node = Node::ensure(place)?;
    web::build(place, &node)?;
    shell::run(place.cargo().args(["build", "--release"]))?;
    Ok(node)
}
