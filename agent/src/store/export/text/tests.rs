//! The three formats, word for word.

use super::*;
use crate::clock::Tier;

fn series(metric: &str, kind: Kind, unit: Unit, labels: &[(&str, &str)]) -> StoredSeries {
    StoredSeries {
        id: 1,
        metric: metric.to_owned(),
        kind,
        unit,
        tier: Tier::Fast,
        topic: "system".to_owned(),
        collector: "system".to_owned(),
        labels: labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        last_day: 0,
    }
}

fn written(format: Format) -> String {
    let mut out = Vec::new();
    let mut text = Text::new(format, Shape::Samples, &mut out).unwrap();
    let read = series(
        "disk_read_bytes_total",
        Kind::Counter,
        Unit::Bytes,
        &[("path", "C:\\a\n\"b\""), ("dev", "a,b;c")],
    );
    text.series(&read).unwrap();
    text.part(Part {
        times_ms: &[1_795_233_600_000, 1_795_233_601_250],
        values: &[1e18, 1_000_000.0],
        ..Part::default()
    })
    .unwrap();
    text.part(Part::default()).unwrap();
    let more = series(
        "disk_read_bytes_total",
        Kind::Counter,
        Unit::Bytes,
        &[("path", "")],
    );
    text.series(&more).unwrap();
    text.part(Part {
        times_ms: &[1_795_233_602_000],
        values: &[3.0],
        ..Part::default()
    })
    .unwrap();
    let mut other = series("load", Kind::Gauge, Unit::Count, &[]);
    other.collector = "second".to_owned();
    text.series(&other).unwrap();
    text.part(Part {
        times_ms: &[0, 1, 2, 3, 4],
        values: &[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.1 + 0.2],
        ..Part::default()
    })
    .unwrap();
    let bucket = series(
        "wait_seconds_bucket",
        Kind::Counter,
        Unit::Count,
        &[("le", "0.5")],
    );
    text.series(&bucket).unwrap();
    text.part(Part {
        times_ms: &[5_000],
        values: &[2e-9],
        ..Part::default()
    })
    .unwrap();
    text.end().unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn open_metrics() {
    let expected = r#"# TYPE disk_read_bytes counter
# UNIT disk_read_bytes bytes
disk_read_bytes_total{path="C:\\a\n\"b\"",dev="a,b;c"} 1e18 1795233600
disk_read_bytes_total{path="C:\\a\n\"b\"",dev="a,b;c"} 1000000 1795233601.250
disk_read_bytes_total{path=""} 3 1795233602
# TYPE load gauge
load{instance="second"} NaN 0
load{instance="second"} +Inf 0.001
load{instance="second"} -Inf 0.002
load{instance="second"} -0 0.003
load{instance="second"} 0.30000000000000004 0.004
# TYPE wait_seconds_bucket unknown
wait_seconds_bucket{le="0.5"} 2e-9 5
# EOF
"#;
    assert_eq!(written(Format::OpenMetrics), expected);
}

#[test]
fn json_lines() {
    let expected = r#"{"metric":{"__name__":"disk_read_bytes_total","path":"C:\\a\n\"b\"","dev":"a,b;c"},"collector":"system","kind":"counter","unit":"bytes","timestamps":[1795233600000,1795233601250],"values":[1e18,1000000]}
{"metric":{"__name__":"disk_read_bytes_total","path":""},"collector":"system","kind":"counter","unit":"bytes","timestamps":[1795233602000],"values":[3]}
{"metric":{"__name__":"load","instance":"second"},"collector":"second","kind":"gauge","unit":"count","timestamps":[0,1,2,3,4],"values":[null,"Infinity","-Infinity",-0,0.30000000000000004]}
{"metric":{"__name__":"wait_seconds_bucket","le":"0.5"},"collector":"system","kind":"counter","unit":"count","timestamps":[5000],"values":[2e-9]}
"#;
    let text = written(Format::JsonLines);
    assert_eq!(text, expected);
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(value["metric"]["__name__"].is_string());
    }
}

#[test]
fn csv() {
    let expected = r#"time,metric,collector,labels,value
2026-11-21T04:00:00Z,disk_read_bytes_total,system,"path=C:\\a
""b"";dev=a,b\;c",1e18
2026-11-21T04:00:01.250Z,disk_read_bytes_total,system,"path=C:\\a
""b"";dev=a,b\;c",1000000
2026-11-21T04:00:02Z,disk_read_bytes_total,system,path=,3
1970-01-01T00:00:00Z,load,second,,NaN
1970-01-01T00:00:00.001Z,load,second,,Infinity
1970-01-01T00:00:00.002Z,load,second,,-Infinity
1970-01-01T00:00:00.003Z,load,second,,-0
1970-01-01T00:00:00.004Z,load,second,,0.30000000000000004
1970-01-01T00:00:05Z,wait_seconds_bucket,system,le=0.5,2e-9
"#;
    assert_eq!(written(Format::Csv), expected);
}

#[test]
fn points_have_an_envelope() {
    let part = Part {
        times_ms: &[60_000],
        values: &[2.5],
        min: &[1.0],
        max: &[4.0],
    };
    let load = series("load", Kind::Gauge, Unit::Count, &[]);
    let write = |format| {
        let mut out = Vec::new();
        let mut text = Text::new(format, Shape::Points, &mut out).unwrap();
        text.series(&load).unwrap();
        text.part(part).unwrap();
        text.end().unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        write(Format::Csv),
        "time,metric,collector,labels,min,avg,max\n1970-01-01T00:01:00Z,load,system,,1,2.5,4\n"
    );
    assert!(
        write(Format::JsonLines)
            .ends_with("\"timestamps\":[60000],\"values\":[2.5],\"min\":[1],\"max\":[4]}\n")
    );
}

#[test]
fn every_number_is_read_back() {
    for value in [
        0.0,
        1.0,
        -1.5,
        1e-5,
        9.9e-6,
        1e17,
        99_999_999_999_999_980.0,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        0.1,
    ] {
        let mut text = String::new();
        number(&mut text, value, "", "");
        assert_eq!(
            text.parse::<f64>().unwrap().to_bits(),
            value.to_bits(),
            "{text}"
        );
        assert!(text.len() < 26, "{text}");
    }
}
