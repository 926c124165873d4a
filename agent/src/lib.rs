//! Barograph's agent.
//!
//! Where to look: [`clock`] schedules and stamps; [`collect`] runs each plugin in a process of its own;
//! [`catalog`] knows metrics and series; [`bus`] carries batches; [`current`] keeps the latest values;
//! [`store`] keeps the past, on [`kv`]; [`alerts`] compares values with rules; [`hub`] fans them out in tiers;
//! [`http`] speaks REST and WebSocket, [`control`] with the command line; [`health`] holds every component's
//! state; [`introspect`] watches the agent itself; [`protocol`] has every type of the wire; [`config`],
//! [`log`], [`moment`] and [`cli`] face the operator; [`app`] alone knows all of them. `docs/ARCHITECTURE.md`
//! tells the same at length.

pub mod alerts;
pub mod allocator;
pub mod app;
pub mod bus;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod collect;
pub mod config;
pub mod control;
pub mod current;
pub mod health;
pub mod http;
pub mod hub;
pub mod introspect;
pub mod kv;
pub mod log;
mod machine;
mod matching;
pub mod moment;
mod proc;
pub mod protocol;
pub mod store;
#[cfg(test)]
mod wire;
mod words;
