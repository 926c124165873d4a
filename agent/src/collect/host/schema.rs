//! A configuration judged before the instance sees it: by the schema of the plugin's manifest, and by the plugin.
//!
//! The manifest is read once a host. A plugin in C mostly leaves it to the schema which keys there are; one in Rust
//! judges by itself, and knows better words: where both refuse, the plugin's count if they name a key. A manifest
//! without a usable schema refuses nothing.

use barograph_sdk::abi;
use serde_json::Value;

use super::Context;
use super::instance::Instance;
use super::serve::{Ended, end};
use crate::collect::schema::{Fault, Schema};

/// Number of the log's level `warn`.
const WARN: u8 = 1;

/// The schema of a manifest, or why it judges nothing.
pub(super) fn of(manifest: Result<String, Ended>) -> Result<Schema, String> {
    let manifest = manifest.map_err(|ended| ended.message)?;
    let manifest: Value = serde_json::from_str(&manifest).map_err(|error| error.to_string())?;
    Schema::read(&manifest["config"]).map_err(|flaws| {
        let flaws = flaws.join("; ");
        format!("the schema of its manifest is flawed: {flaws}")
    })
}

/// Tells the author through the log.
pub(super) fn warn(context: &Context, why: &str) {
    let words = format!("its configuration is not judged by a schema: {why}");
    let _ = context.log(WARN, words);
}

/// What plugin and schema say of a configuration without an instance of it.
pub(super) fn check(
    context: &Context,
    instance: &Instance,
    schema: Option<&Schema>,
    config: &str,
) -> Result<(), Ended> {
    let own = end(context, instance.check(config));
    let is_good = own.code == abi::OK;
    match judge(schema, config) {
        Ok(()) if is_good => Ok(()),
        Ok(()) => Err(own),
        Err(fault) if is_good || own.field.is_empty() => Err(Ended {
            code: abi::E_CONFIG,
            field: fault.field(),
            message: fault.message(),
        }),
        Err(_) => Err(Ended {
            code: abi::E_CONFIG,
            ..own
        }),
    }
}

/// Whether an instance may be made of a configuration, or be given it. The plugin is asked only for its words, since
/// it judges what it is given in any case.
pub(super) fn allow(
    context: &Context,
    instance: &Instance,
    schema: Option<&Schema>,
    config: &str,
) -> Result<(), Ended> {
    if judge(schema, config).is_ok() {
        return Ok(());
    }
    check(context, instance, schema, config)
}

fn judge(schema: Option<&Schema>, config: &str) -> Result<(), Fault> {
    // The agent writes an object, always; a text that is none is the plugin's to refuse.
    match (schema, serde_json::from_str(config)) {
        (Some(schema), Ok(config)) => schema.judge(&config),
        _ => Ok(()),
    }
}
