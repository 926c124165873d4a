//! The series of one collector that a subscription wants, in the order in which frames carry them.
//!
//! It is read from the catalog when that changes, with everything that the encoder would otherwise have to
//! render again at each tick: names and labels are JSON already. Sorted by the metric's tier, then by
//! metric and series in definition order, so that a tier is a range.

use std::ops::Range;
use std::sync::Arc;

use serde_json::json;

use super::frame::TableText;
use crate::catalog::{CollectorId, Kind, MetricId, SeriesId, Tables};
use crate::clock::Tier;
use crate::matching;
use crate::protocol::{Labels, Match, Shape};

/// See the module.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) members: Vec<Member>,
    /// Runs of `members` with the same metric; only for the named shape.
    pub(super) groups: Vec<Group>,
    /// Only for the columns shape.
    pub(super) text: Option<Arc<TableText>>,
    tiers: [Range<usize>; 3],
}

/// A series in its place.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) series: SeriesId,
    pub(super) kind: Kind,
    /// `{"labels":{…},`; empty in the columns shape.
    pub(super) head: Box<str>,
}

/// A metric's run of series.
#[derive(Debug)]
pub(super) struct Group {
    /// `"NAME":[`
    pub(super) head: Box<str>,
    pub(super) tier: Tier,
    pub(super) members: Range<usize>,
}

/// The series, in order, that `matching` wants of the collector.
pub(super) fn select(
    tables: &Tables,
    collector: CollectorId,
    matching: &Match,
) -> Vec<(Tier, MetricId, SeriesId)> {
    let mut selected: Vec<_> = tables
        .all_series()
        .filter(|(_, series)| series.collector == collector && !series.retired)
        .map(|(id, series)| (tables.metric(series.metric), series.metric, id))
        .filter(|(metric, _, id)| {
            let labels: Vec<_> = tables.labels(*id).collect();
            matching::wants(matching, &metric.name, &labels)
        })
        .map(|(metric, metric_id, id)| (metric.tier, metric_id, id))
        .collect();
    selected.sort_unstable();
    selected
}

impl Table {
    /// The table of what was selected; a columns table gets its number.
    pub(super) fn new(
        tables: &Tables,
        selected: &[(Tier, MetricId, SeriesId)],
        shape: Shape,
        number: u64,
    ) -> Self {
        let tiers = Tier::ALL.map(|tier| {
            let start = selected.partition_point(|member| member.0 < tier);
            start..selected.partition_point(|member| member.0 <= tier)
        });
        let member = |&(_, metric, series): &(Tier, MetricId, SeriesId)| Member {
            series,
            kind: tables.metric(metric).kind,
            head: match shape {
                Shape::Named => format!("{{\"labels\":{},", json!(labels(tables, series))).into(),
                Shape::Columns => Box::default(),
            },
        };
        let members = selected.iter().map(member).collect();
        let (groups, text) = match shape {
            Shape::Named => (groups(tables, selected), None),
            Shape::Columns => {
                let json = series_json(tables, selected, &tiers);
                (Vec::new(), Some(Arc::new(TableText { number, json })))
            }
        };
        Self {
            members,
            groups,
            text,
            tiers,
        }
    }

    /// Where the series of a tier stand in `members`.
    pub(super) fn range(&self, tier: Tier) -> Range<usize> {
        self.tiers[tier.index()].clone()
    }

    /// Whether these are its series.
    pub(super) fn holds(&self, selected: &[(Tier, MetricId, SeriesId)]) -> bool {
        self.members
            .iter()
            .map(|member| member.series)
            .eq(selected.iter().map(|chosen| chosen.2))
    }
}

fn labels(tables: &Tables, series: SeriesId) -> Labels {
    tables
        .labels(series)
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn groups(tables: &Tables, selected: &[(Tier, MetricId, SeriesId)]) -> Vec<Group> {
    let mut start = 0;
    let runs = selected.chunk_by(|a, b| a.1 == b.1);
    runs.map(|run| {
        let (tier, metric, _) = run[0];
        let head = format!("{}:[", json!(tables.metric(metric).name)).into();
        let members = start..start + run.len();
        start = members.end;
        Group {
            head,
            tier,
            members,
        }
    })
    .collect()
}

/// `"series":{"fast":[["NAME",{labels}],…],…},`
fn series_json(
    tables: &Tables,
    selected: &[(Tier, MetricId, SeriesId)],
    tiers: &[Range<usize>; 3],
) -> String {
    let arrays = Tier::ALL
        .iter()
        .filter(|tier| !tiers[tier.index()].is_empty())
        .map(|tier| {
            let entries: Vec<_> = selected[tiers[tier.index()].clone()]
                .iter()
                .map(|&(_, metric, series)| {
                    json!([tables.metric(metric).name, labels(tables, series)]).to_string()
                })
                .collect();
            format!("\"{}\":[{}]", tier.name(), entries.join(","))
        });
    format!("\"series\":{{{}}},", arrays.collect::<Vec<_>>().join(","))
}
