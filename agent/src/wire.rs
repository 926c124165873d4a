//! Holds `dashboards/src/wire.ts` against the types of [`crate::protocol`], and writes it with `BLESS=1`.

use std::path::Path;

use ts_rs::{Config, TS};

use crate::catalog::{ChartHint, ChartStyle, Kind, Unit};
use crate::clock::Tier;
use crate::protocol;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../dashboards/src/wire.ts");
const HEADER: &str =
    "// Generated from agent/src/protocol.rs by `cargo xtask wire`. Do not edit.\n";

fn render() -> String {
    let config = Config::new().with_large_int("number");
    let mut out = HEADER.to_owned();
    let mut declare = |declaration: String| {
        out.push_str("\nexport ");
        out.push_str(&layout(&declaration));
        out.push('\n');
    };
    macro_rules! types {
        ($($name:ty),* $(,)?) => { $(declare(<$name>::decl(&config));)* };
    }
    types![
        Tier,
        Kind,
        Unit,
        ChartStyle,
        ChartHint,
        protocol::Shape,
        protocol::Match,
        protocol::ClientRequest,
        protocol::ErrorBody,
        protocol::ServerReply,
        protocol::HostInfo,
        protocol::TopicInfo,
        protocol::TierIntervals,
        protocol::Limits,
        protocol::Identity,
        protocol::InitialData,
        protocol::SeriesInfo,
        protocol::MetricDescriptor,
        protocol::CatalogAnswer,
        protocol::TierArrays<f64>,
        protocol::ColumnsData,
        protocol::NamedSample,
        protocol::NamedData,
        protocol::Skipped,
        protocol::Component,
        protocol::BasicMetrics,
        protocol::CurrentCollector,
        protocol::CurrentTopic,
        protocol::CurrentAnswer,
        protocol::HealthAnswer,
        protocol::Aggregation,
        protocol::Resolution,
        protocol::HistorySeries,
        protocol::HistoryAnswer,
        protocol::AlertState,
        protocol::Severity,
        protocol::Comparison,
        protocol::AlertInfo,
        protocol::RuleInfo,
        protocol::AlertsAnswer,
        protocol::PluginPhase,
        protocol::PluginFault,
        protocol::PluginReload,
        protocol::PluginInfo,
        protocol::PluginsAnswer,
        protocol::PluginEventInfo,
        protocol::PluginEventsAnswer,
        protocol::ServerEvent<()>,
    ];
    declare("type Catalog = CatalogAnswer;".to_owned());
    out
}

/// A line for each field and one for its comment.
fn layout(declaration: &str) -> String {
    let spread = declaration
        .replace("\n/**\n * ", "\n  /** ")
        .replace("\n */\n", " */\n  ")
        .replace(", }", ",\n}");
    spread
        .lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_pages_types_are_those_of_the_protocol() {
    let rendered = render();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(FILE, &rendered).unwrap();
    }
    let written = std::fs::read_to_string(Path::new(FILE)).unwrap();
    assert_eq!(written, rendered, "run `cargo xtask wire` to write it anew");
}
