//! Tests over real processes and real sockets: one file a promise.

mod agent;
mod alerts;
mod cli;
mod client;
mod commands;
mod compiler;
mod exposition;
mod history;
mod hostile;
mod plugin_cli;
mod plugin_cycles;
mod plugin_events;
mod plugin_faults;
mod plugin_guide;
mod plugin_keys;
mod plugin_library;
mod plugin_lookup;
mod plugin_schema;
mod simulation;
mod stopping;
mod store_faults;
mod store_kill;
mod streaming;
