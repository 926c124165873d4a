//! `barograph check`: is the configuration good, down to the plugins' own keys?
//!
//! Each plugin judges its keys in a process of its own, as it would when the agent runs. Everything that is
//! wrong or unwise goes to stderr, each with its file and line; what the configuration comes to goes to stdout.

use std::io::{self, Write};
use std::path::Path;

use super::runtime::{Runtime, print};
use super::{Failure, load};
use crate::collect::library::Shelf;
use crate::collect::{self, PluginConfigError, Settings};
use crate::config::{
    Config, ConfigError, ConfigErrors, HOST_KEYS, Instance, Source, Unusable, unknown_key,
};

/// A plugin names one mistake at a time; this many are asked for.
const MISTAKES_MAX: usize = 20;

pub(super) fn run(path: Option<&Path>) -> Result<(), Failure> {
    let (config, source) = load(path)?;
    let mut found = Vec::new();
    let mut errors = Vec::new();
    let mut warnings = Vec::new();
    let mut runtime = Runtime::new()?;
    // Not the agent's own: a check leaves nothing behind.
    let shelf = Shelf::temporary()
        .map_err(|error| Failure::Running(format!("no folder for copies of libraries: {error}")))?;
    for instance in &config.collectors {
        match instance.resolve(&shelf) {
            Ok(resolved) => {
                let settings = resolved.settings;
                if let Err(message) = collect::check_name(&settings) {
                    let unusable = Unusable {
                        key: Some("path"),
                        message,
                    };
                    errors.push(of_library(unusable, instance, &source));
                    continue;
                }
                let checking = check_plugin(instance, settings.clone(), &source);
                errors.extend(runtime.block_on(checking)?);
                found.push(settings);
                let place = &instance.sections()[0];
                warnings.extend(resolved.warnings.iter().map(|warning| {
                    let warning = source.error(place, format!("warning: {warning}"));
                    warning.to_string()
                }));
            }
            Err(unusable) => errors.push(of_library(unusable, instance, &source)),
        }
    }
    for warning in warnings {
        // Whoever closed stderr does not want to know.
        let _ = writeln!(io::stderr(), "{warning}");
    }
    if let Some(errors) = ConfigErrors::new(errors) {
        return Err(errors.into());
    }
    runtime.block_on(print(summary(&config, &source, &found)))?
}

/// A library that can't be used, with the line of the key that asks too much of it, else of the section.
fn of_library(unusable: Unusable, instance: &Instance, source: &Source) -> ConfigError {
    let sections = instance.sections();
    let key = unusable.key.and_then(|key| {
        let plugin = sections.last()?;
        Some(format!("{plugin}.{key}")).filter(|key| source.contains(key))
    });
    source.error(key.as_ref().unwrap_or(&sections[0]), unusable.message)
}

/// What the plugin and its schema have against its keys.
pub(super) async fn check_plugin(
    instance: &Instance,
    mut settings: Settings,
    source: &Source,
) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    let mut removed: Vec<String> = Vec::new();
    while errors.len() < MISTAKES_MAX {
        let Err(error) = collect::check(&settings).await else {
            break;
        };
        let field = field(&error);
        let key = field.split(['.', '[']).next().unwrap_or_default();
        if removed.iter().any(|removed| removed == key) {
            // It is missed now, and only now.
            break;
        }
        errors.push(placed(&error, &field, instance, source));
        // Without the key that is at fault the plugin gets to the next one.
        let keys = settings.config.as_object_mut();
        if keys.and_then(|keys| keys.remove(key)).is_none() {
            break;
        }
        removed.push(key.to_owned());
    }
    errors
}

/// Only what the plugin has against single keys: a plugin that can't even be asked is no mistake of the
/// configuration.
pub(super) async fn check_keys(
    instance: &Instance,
    settings: Settings,
    source: &Source,
) -> Vec<ConfigError> {
    let mut errors = check_plugin(instance, settings, source).await;
    let sections = instance.sections();
    errors.retain(|error| !sections.contains(&error.key));
    errors
}

/// The error with the line of the nearest section that has the key.
fn placed(
    error: &PluginConfigError,
    field: &str,
    instance: &Instance,
    source: &Source,
) -> ConfigError {
    let sections = instance.sections();
    let message = message(error);
    if field.is_empty() {
        return source.error(&sections[0], message);
    }
    let keys: Vec<String> = sections
        .iter()
        .map(|section| format!("{section}.{field}"))
        .collect();
    let key = keys
        .iter()
        .find(|key| source.contains(key))
        .unwrap_or(&keys[0]);
    source.error(key, message)
}

/// Path of the key at fault. A plugin may name an unknown key in its message only.
fn field(error: &PluginConfigError) -> String {
    match unknown_field(&error.message) {
        Some((name, _)) if !error.field.ends_with(name) && error.field.is_empty() => {
            name.to_owned()
        }
        Some((name, _)) if !error.field.ends_with(name) => format!("{}.{name}", error.field),
        _ => error.field.clone(),
    }
}

/// The plugin's message; that of an unknown key counts the agent's own keys as known.
fn message(error: &PluginConfigError) -> String {
    let Some((name, known)) = unknown_field(&error.message) else {
        return error.message.clone();
    };
    let is_nested = error.field.contains(['.', '[']);
    let ours = if is_nested { &[][..] } else { &HOST_KEYS[..] };
    unknown_key(name, known.into_iter().chain(ours.iter().copied()))
}

/// Takes serde's message apart: "unknown field `a`, expected one of `b`, `c`".
fn unknown_field(message: &str) -> Option<(&str, Vec<&str>)> {
    let mut words = message.strip_prefix("unknown field `")?.split('`');
    let name = words.next()?;
    Some((name, words.skip(1).step_by(2).collect()))
}

fn summary(config: &Config, source: &Source, plugins: &[Settings]) -> String {
    let mut lines = vec![match source.file() {
        Some(file) => format!("{}: ok", file.display()),
        None => "no config.toml here, every key has its default: ok".to_owned(),
    }];
    lines.push(format!("  listen    {}", config.listen));
    lines.push(format!("  data_dir  {}", config.data_dir.display()));
    for Settings { name, library, .. } in plugins {
        lines.push(format!("  plugin    {name}  {}", library.display()));
    }
    if plugins.is_empty() {
        lines.push("  plugin    none".to_owned());
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(field: &str, message: &str) -> PluginConfigError {
        PluginConfigError {
            field: field.to_owned(),
            message: message.to_owned(),
        }
    }

    #[test]
    fn an_unknown_key_is_compared_with_the_agents_too() {
        let near_ours = error(
            "intervall",
            "unknown field `intervall`, expected `per_cpu` or `limits`",
        );
        assert_eq!(message(&near_ours), "unknown key; did you mean `interval`?");
        let near_its = error(
            "",
            "unknown field `percpu`, expected one of `per_cpu`, `limits`, `x`",
        );
        assert_eq!(message(&near_its), "unknown key; did you mean `per_cpu`?");
        assert_eq!(field(&near_its), "percpu");
        let nested = error("tls.pth", "unknown field `pth`, expected `cert`");
        assert_eq!(message(&nested), "unknown key; there is only `cert`");
        assert_eq!(field(&nested), "tls.pth");
        assert_eq!(
            field(&error("tls", "unknown field `pth`, there are no fields")),
            "tls.pth"
        );
    }

    #[test]
    fn other_complaints_stay_as_they_are() {
        let wrong = error("per_cpu", "invalid type: integer `1`, expected a boolean");
        assert_eq!(message(&wrong), wrong.message);
        assert_eq!(field(&wrong), "per_cpu");
    }
}
