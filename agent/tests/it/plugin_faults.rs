//! Whatever a plugin does costs its own samples and nothing else: one test a fault, each against a real agent with
//! the real system plugin beside it.
//!
//! The faults are those of `sdk/plugin/examples/faulty.rs` (what a plugin may do by mistake), `raw.rs` (calls that the
//! SDK prevents) and `c/faulty` (libraries that are not what they say). `trial` is what all tests share: in each the
//! fault is named on `/api/dashboard/plugins`, the plugin recovers or waits for its next start, the system plugin
//! misses no tick, and no process is left once the agent has ended. Two faults are not named there: a panic on a thread
//! of the plugin's own costs that thread and stands in the log, as only the plugin can tell what it was worth; and who
//! pushes after its stop is told `E_CLOSED`, when the collector that could be named is gone.

mod contract;
mod crashes;
mod data;
mod hangs;
mod libraries;
mod limits;
mod names;
mod outside;
mod reloads;
mod threads;
pub(crate) mod trial;
