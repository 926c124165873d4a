//! Metrics that get another definition while the agent runs.
//!
//! A plugin that was exchanged may have the same metric with other labels or another topic: its library says so, or
//! it has instances now and each series is labelled with its own. Ids stay, what was known of old series goes.

use super::{CatalogError, Metric, MetricId, Tables};

impl Metric {
    /// Whether series of both belong to the same metric. Help, tier and chart may differ.
    fn is_like(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.unit == other.unit
            && self.labels == other.labels
            && self.topic == other.topic
    }
}

impl Tables {
    /// Takes another definition of a name that is known: a like one changes nothing, one that differs takes the
    /// place of the old one if that is of the same plugin and all of its series are retired. Whether it did.
    pub(super) fn define_again(
        &mut self,
        id: MetricId,
        metric: Metric,
    ) -> Result<bool, CatalogError> {
        let known = self.metric(id);
        if known.is_like(&metric) {
            return Ok(false);
        }
        let mut series = self.series.iter().filter(|series| series.metric == id);
        if known.plugin != metric.plugin || series.any(|series| !series.retired) {
            let plugin = known.plugin.clone();
            let name = metric.name;
            return Err(CatalogError::Conflict { name, plugin });
        }
        self.metrics[id.0 as usize] = metric;
        // Their values belong to the old labels, so none of them may come back.
        self.series_ids.retain(|(metric, ..), _| *metric != id);
        for series in self.series.iter_mut().filter(|series| series.metric == id) {
            series.values = Vec::new();
        }
        let series = &self.series;
        for retired in self.retired.values_mut() {
            retired.retain(|retired| series[retired.0 as usize].metric != id);
        }
        Ok(true)
    }
}
