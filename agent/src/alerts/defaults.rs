//! The rules that come with the agent.
//!
//! Five that a platform for processing documents wants watched: a long queue, slow processing, failures,
//! memory, and nobody working. Four of them watch metrics of the jobs plugin and wait until it is there;
//! those metrics are means over five minutes with at least ten finished jobs, and only there once a job or
//! a worker was seen, so that an idle platform is quiet.

use std::collections::BTreeMap;
use std::time::Duration;

use super::rule::{Function, Limits, Rule};
use crate::protocol::Comparison;

const MINUTE: Duration = Duration::from_mins(1);

/// All of them.
pub fn rules() -> Vec<Rule> {
    let above = |warning, critical, clear| Limits {
        comparison: Comparison::Above,
        warning: Some(warning),
        critical,
        clear,
        hold: MINUTE,
    };
    vec![
        rule(
            "queue-length",
            "jobs_waiting",
            above(50.0, Some(200.0), 40.0),
            "{value} jobs wait in {labels}",
        ),
        rule(
            "processing-time",
            "jobs_process_mean_seconds",
            above(120.0, Some(300.0), 100.0),
            "a job takes {value} on average ({labels})",
        ),
        rule(
            "error-rate",
            "jobs_failure_ratio",
            above(0.10, Some(0.25), 0.08),
            "{value} of the jobs fail ({labels})",
        ),
        rule(
            "memory",
            "system_memory_utilization_ratio",
            above(0.85, Some(0.95), 0.80),
            "memory of {collector} is at {value}",
        ),
        rule(
            "no-active-workers",
            "jobs_workers_active",
            Limits {
                comparison: Comparison::Below,
                warning: None,
                critical: Some(1.0),
                clear: 1.0,
                hold: MINUTE,
            },
            "no worker is active ({labels})",
        ),
    ]
}

fn rule(name: &str, metric: &str, limits: Limits, message: &str) -> Rule {
    Rule {
        name: name.to_owned(),
        metric: metric.to_owned(),
        labels: BTreeMap::new(),
        function: Function::Last,
        window: Duration::ZERO,
        limits,
        message: message.to_owned(),
    }
}
