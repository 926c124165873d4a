//! What a process' definitions become: metrics and series of the catalog, under its collector's name.

use super::claims::Claims;
use crate::catalog::{Catalog, CatalogError, CollectorId, Metric, MetricId, SeriesId};
use crate::collect::Settings;
use crate::collect::link::MetricDefinition;

/// What a running plugin is driven with.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) settings: &'a Settings,
    pub(super) catalog: &'a Catalog,
    pub(super) collector: CollectorId,
    pub(super) claims: &'a Claims,
}

impl Scope<'_> {
    pub(super) fn define(&self, definition: MetricDefinition) -> Result<MetricId, CatalogError> {
        let (plugin, topic) = {
            let tables = self.catalog.read();
            let collector = tables.collector(self.collector);
            (collector.plugin.clone(), collector.topic.clone())
        };
        let mut labels = definition.labels;
        if self.settings.labelled {
            labels.insert(0, "instance".to_owned());
        }
        let metric = Metric {
            name: definition.name,
            help: definition.help,
            topic,
            plugin,
            kind: definition.kind,
            unit: definition.unit,
            tier: definition.tier,
            labels,
            otel: Some(definition.otel).filter(|otel| !otel.is_empty()),
            chart: definition.chart,
        };
        self.catalog
            .define_metric(self.collector, metric)
            .inspect_err(|error| tracing::warn!(plugin = %self.settings.name, "{error}"))
    }

    pub(super) fn define_series(
        &self,
        metric: MetricId,
        mut values: Vec<String>,
    ) -> Result<SeriesId, CatalogError> {
        if self.settings.labelled {
            values.insert(0, self.settings.name.clone());
        }
        self.claims
            .define(|| self.catalog.define_series(self.collector, metric, values))
    }
}
