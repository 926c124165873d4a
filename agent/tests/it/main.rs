//! Tests over real processes and real sockets: one file a promise.

mod agent;
mod cli;
mod client;
mod exposition;
mod hostile;
mod plugin_faults;
mod simulation;
mod stopping;
mod streaming;
