//! The names of what the agent itself says, of itself and of each collector. Pure.
//!
//! No plugin may have them, or the first to declare one would take the agent's word away. A plugin's own topic is
//! known to its host, which refuses at once; the topics of the others are known to the catalog.

use super::CatalogError;

/// All that the agent says of itself begins so.
pub const PREFIX: &str = "barograph_";
/// What it says of each collector, after the topic and `_`: whether its last collect succeeded.
pub const UP: &str = "up";
/// How long that took.
pub const COLLECT_SECONDS: &str = "collect_seconds";

/// Refuses a plugin's metric that has such a name; `is_topic` says whether a collector has a topic.
pub fn check(metric: &str, is_topic: impl Fn(&str) -> bool) -> Result<(), CatalogError> {
    let name = metric.to_owned();
    if name.starts_with(PREFIX) {
        return Err(CatalogError::Own { name });
    }
    match topic_of(metric).filter(|topic| is_topic(topic)) {
        Some(topic) => {
            let topic = topic.to_owned();
            Err(CatalogError::OwnOfTopic { name, topic })
        }
        None => Ok(()),
    }
}

/// The topic of whose collectors the agent says this, if there are any.
fn topic_of(metric: &str) -> Option<&str> {
    let of = |what| metric.strip_suffix(what)?.strip_suffix('_');
    of(UP).or_else(|| of(COLLECT_SECONDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topic_is_all_that_stands_before() {
        for (metric, topic) in [
            ("redis_up", Some("redis")),
            ("redis_master_link_up", Some("redis_master_link")),
            ("web_collect_seconds", Some("web")),
            ("web_collect_seconds_total", None),
            ("web_setup", None),
            ("up", None),
            ("_up", Some("")),
        ] {
            assert_eq!(topic_of(metric), topic, "{metric}");
        }
    }
}
