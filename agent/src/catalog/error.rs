//! Why the catalog refuses.

/// Why a definition was refused. The message goes to the log with the plugin's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// A name or label name breaks the naming rule.
    #[error(
        "{what} `{name}` is not of the form [a-z][a-z0-9_]*, at most 256 bytes long; rename it"
    )]
    BadName {
        /// `metric` or `label`.
        what: &'static str,
        /// The name as given, shortened.
        name: String,
    },
    /// A label name stands twice, perhaps because `instance` was added to a configured instance's series.
    #[error(
        "metric `{name}` has the label `{label}` twice; a plugin with instances must not have `instance`"
    )]
    DoubleLabel {
        /// The metric.
        name: String,
        /// The label.
        label: String,
    },
    /// The same name was defined with another topic, kind, unit or other labels.
    #[error(
        "metric `{name}` is already defined by plugin `{plugin}` with another topic, kind, unit or other labels"
    )]
    Conflict {
        /// The metric.
        name: String,
        /// Who has it.
        plugin: String,
    },
    /// A plugin's metric has a name of those that the agent keeps for what it says of itself.
    #[error(
        "metric `{name}` can't be a plugin's: names that begin with `barograph_` are the agent's own; rename it"
    )]
    Own {
        /// The metric.
        name: String,
    },
    /// A plugin's metric has the name of what the agent says of a topic's collectors.
    #[error(
        "metric `{name}` can't be a plugin's: the agent itself says it of the collectors of topic `{topic}`; rename it"
    )]
    OwnOfTopic {
        /// The metric.
        name: String,
        /// The topic.
        topic: String,
    },
    /// A name of the agent's own was taken before there was a reason to keep it.
    #[error(
        "the agent can't say `{name}`, because plugin `{plugin}` declared a metric of that name before there was a \
         collector that it belongs to; rename it in plugin `{plugin}` and restart the agent, which then keeps the name"
    )]
    Held {
        /// The metric.
        name: String,
        /// Who has it.
        plugin: String,
    },
    /// The number of label values is not that of the label names, or a value is too long.
    #[error("a series of metric `{name}` needs {expected} label values of at most 256 bytes")]
    BadLabels {
        /// The metric.
        name: String,
        /// How many label names it has.
        expected: usize,
    },
    /// An id that was never given to this collector.
    #[error("unknown {what} id {id}")]
    UnknownId {
        /// `metric` or `series`.
        what: &'static str,
        /// The id.
        id: u32,
    },
    /// The cap on series or metrics is reached; counted in `series_dropped`.
    #[error("collector `{collector}` reached its cap of {max} {what}; the rest is dropped")]
    Full {
        /// The collector.
        collector: String,
        /// `series` or `metrics`.
        what: &'static str,
        /// The cap.
        max: usize,
    },
}
