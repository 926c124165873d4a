//! `/api/catalog`: every metric with its series, and the topics.

use super::error::{Answer, json};
use super::{State, VERSION};
use crate::catalog::{SeriesId, Tables};
use crate::protocol::{CatalogAnswer, MetricDescriptor, SeriesInfo, TopicInfo};

/// GET `/api/catalog`.
pub(super) fn catalog(state: &State) -> Answer {
    json(&answer(state))
}

/// The topics of all collectors, in the order in which they were registered.
pub(super) fn topics(tables: &Tables) -> Vec<TopicInfo> {
    let mut topics: Vec<TopicInfo> = Vec::new();
    for (_, collector) in tables.collectors() {
        let topic = &collector.topic;
        if topics.iter().all(|known| known.topic != *topic) {
            topics.push(TopicInfo {
                topic: topic.clone(),
                channel: format!("metrics:{topic}"),
                event: format!("{topic}-metrics"),
            });
        }
    }
    topics
}

fn answer(state: &State) -> CatalogAnswer {
    let (topics, mut metrics) = {
        let tables = state.catalog.read();
        (topics(&tables), descriptors(&tables))
    };
    // The catalog is free again by now: the current values have a lock of their own, and whoever writes
    // them reads the catalog.
    for series in metrics.iter_mut().flat_map(|metric| &mut metric.series) {
        series.stale = state.current.stale(SeriesId(series.id));
    }
    CatalogAnswer {
        version: VERSION.to_owned(),
        started_at: state.started_at,
        tiers: state.intervals(),
        topics,
        metrics,
    }
}

fn descriptors(tables: &Tables) -> Vec<MetricDescriptor> {
    let mut descriptors: Vec<_> = tables
        .metrics()
        .map(|(_, metric)| MetricDescriptor {
            name: metric.name.clone(),
            topic: metric.topic.clone(),
            plugin: metric.plugin.clone(),
            kind: metric.kind,
            unit: metric.unit,
            help: metric.help.clone(),
            tier: metric.tier,
            labels: metric.labels.clone(),
            otel: metric.otel.clone(),
            chart: metric.chart.clone(),
            series: Vec::new(),
        })
        .collect();
    for (id, series) in tables.all_series().filter(|(_, series)| !series.retired) {
        let labels = tables.labels(id);
        descriptors[series.metric.0 as usize]
            .series
            .push(SeriesInfo {
                id: id.0,
                collector: tables.collector(series.collector).name.clone(),
                labels: labels
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
                stale: false,
            });
    }
    descriptors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, ChartHint, ChartStyle, Kind, Metric, SERIES_MAX, Unit};
    use crate::clock::Tier;

    fn metric(name: &str, labels: &[&str]) -> Metric {
        Metric {
            name: name.to_owned(),
            help: "Help.".to_owned(),
            topic: "system".to_owned(),
            plugin: "system".to_owned(),
            kind: Kind::Gauge,
            unit: Unit::Ratio,
            tier: Tier::Fast,
            labels: labels.iter().map(|&label| label.to_owned()).collect(),
            otel: None,
            chart: ChartHint {
                section: "CPU".to_owned(),
                title: "CPU use".to_owned(),
                style: ChartStyle::Line,
                overview: true,
            },
        }
    }

    #[test]
    fn metrics_keep_their_order_and_retired_series_are_left_out() {
        let catalog = Catalog::default();
        let collector = catalog.register("system", "system", "system", SERIES_MAX);
        catalog.register("other", "system", "system", SERIES_MAX);
        let uptime = catalog
            .define_metric(collector, metric("uptime", &[]))
            .unwrap();
        let cpu = catalog
            .define_metric(collector, metric("cpu", &["cpu"]))
            .unwrap();
        let zero = catalog
            .define_series(collector, cpu, vec!["0".to_owned()])
            .unwrap();
        let one = catalog
            .define_series(collector, cpu, vec!["1".to_owned()])
            .unwrap();
        catalog.define_series(collector, uptime, vec![]).unwrap();
        catalog.retire(zero);

        let tables = catalog.read();
        let found = descriptors(&tables);
        let names: Vec<_> = found.iter().map(|metric| metric.name.as_str()).collect();
        assert_eq!(names, ["uptime", "cpu"]);
        assert_eq!(found[0].series.len(), 1);
        let [series] = &found[1].series[..] else {
            panic!("one series is left, not {:?}", found[1].series);
        };
        assert_eq!((series.id, series.collector.as_str()), (one.0, "system"));
        assert_eq!(series.labels["cpu"], "1");
        let topics: Vec<_> = topics(&tables)
            .into_iter()
            .map(|topic| topic.channel)
            .collect();
        assert_eq!(topics, ["metrics:system"]);
    }
}
