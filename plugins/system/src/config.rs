//! The plugin's section of `config.toml`, and what its values mean.

use schemars::JsonSchema;
use serde::Deserialize;
use wildmatch::WildMatch;

/// `[plugins.system]`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether each CPU has series of its own beside the totals.
    pub per_cpu: bool,
    /// Block devices that are left out, as patterns with `*` and `?`.
    pub devices_exclude: Vec<String>,
    /// Mount points that are left out, as patterns with `*` and `?`.
    pub mounts_exclude: Vec<String>,
    /// What CPU use and memory are measured against.
    pub limits: Limits,
}

/// What counts as the whole of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Limits {
    /// The container's limits inside of one, else the machine.
    #[default]
    Auto,
    /// The machine, also inside of a container.
    Machine,
    /// The limits of the agent's own cgroup, also where that is a service and not a container.
    Cgroup,
}

impl Default for Config {
    fn default() -> Self {
        let owned = |patterns: &[&str]| patterns.iter().map(ToString::to_string).collect();
        Self {
            per_cpu: true,
            devices_exclude: owned(&["loop*", "ram*", "zram*", "sr*", "fd*"]),
            mounts_exclude: owned(&[
                "/dev/*",
                "/snap/*",
                "/var/lib/containers/*",
                "/var/lib/docker/*",
                "/var/lib/kubelet/*",
            ]),
            limits: Limits::Auto,
        }
    }
}

/// Patterns of which any may match.
#[derive(Clone, Debug)]
pub(crate) struct Patterns(Vec<WildMatch>);

impl Patterns {
    pub(crate) fn new(patterns: &[String]) -> Self {
        Self(
            patterns
                .iter()
                .map(|pattern| WildMatch::new(pattern))
                .collect(),
        )
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_the_whole_name() {
        let patterns = Patterns::new(&Config::default().devices_exclude);
        for excluded in ["loop0", "loop12", "zram0", "ram1"] {
            assert!(patterns.matches(excluded), "{excluded}");
        }
        for kept in ["sda", "nvme0n1", "vda", "dm-0", "xloop"] {
            assert!(!patterns.matches(kept), "{kept}");
        }
    }

    #[test]
    fn no_pattern_matches_nothing() {
        assert!(!Patterns::new(&[]).matches(""));
    }
}
