//! Tests over real processes and real sockets: one file a promise.

mod agent;
mod alerts;
mod cli;
mod client;
mod commands;
mod exposition;
mod history;
mod hostile;
mod plugin_faults;
mod simulation;
mod stopping;
mod store_faults;
mod store_kill;
mod streaming;
