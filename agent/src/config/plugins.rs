//! The sections `[plugins.NAME]` and `[[plugins.NAME.instances]]`.
//!
//! A few keys are the agent's (whether, where from, how often, how much); every other key belongs to the
//! plugin and is handed to it untouched, as JSON. An instance has all keys of its plugin's section unless
//! it sets them itself. Whether the plugin likes its keys is its own to say, later.

mod instance;
mod section;

use std::collections::HashSet;

use indexmap::IndexMap;

use super::reader::Mistake;
use super::unit;
use super::validation::Report;
use crate::clock::Tiers;
pub use instance::{Instance, Resolved, Unusable};
pub use section::HOST_KEYS;
pub(super) use section::Section;

/// The agent's collector of itself.
const OWN_NAME: &str = "agent";

/// All collectors that are configured, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Instances {
    /// Those that are to run.
    pub(super) enabled: Vec<Instance>,
    /// Those of sections that are switched off.
    pub(super) disabled: Vec<Instance>,
}

/// The collectors of all sections; the mistakes go to `found`.
pub(super) fn instances(
    sections: &IndexMap<String, Section>,
    tiers: &Tiers,
    found: &mut Vec<Mistake>,
) -> Instances {
    let mut report = |path: &[&str], message: String| {
        let path = path.iter().map(ToString::to_string).collect();
        found.push(Mistake { path, message });
    };
    let mut all = Instances::default();
    for (plugin, section) in sections {
        if !unit::is_name(plugin, b"") {
            let message = "a plugin's name is lower-case letters, digits and _, at most 64";
            report(&["plugins", plugin], message.to_owned());
        }
        let mut report = |path: &[&str], message| {
            report(&[&["plugins", plugin.as_str()], path].concat(), message);
        };
        let made = section.instances(plugin, tiers, &mut report);
        let among = if section.is_enabled() {
            &mut all.enabled
        } else {
            &mut all.disabled
        };
        among.extend(made);
    }
    check_names(&all.enabled, &mut report);
    all
}

/// The collector of a plugin that no section names, as its empty section would have it.
pub(super) fn unasked(plugin: &str, tiers: &Tiers) -> Instance {
    Section::unasked(plugin, tiers)
}

/// No two collectors that run have the same name.
fn check_names(all: &[Instance], report: &mut Report<'_>) {
    let mut names = HashSet::from([OWN_NAME]);
    for instance in all {
        if names.insert(&instance.name) {
            continue;
        }
        let position = instance.position.map(|position| position.to_string());
        let mut path = vec!["plugins", &instance.plugin];
        path.extend(
            position
                .as_deref()
                .into_iter()
                .flat_map(|at| ["instances", at, "name"]),
        );
        report(
            &path,
            format!("the name `{}` is taken by another collector", instance.name),
        );
    }
}

#[cfg(test)]
mod tests;
