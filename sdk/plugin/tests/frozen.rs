//! ABI 1.0 is kept: a plugin built with its header runs for ever, and nothing in it moves.
//!
//! `frozen/v1.0/README.md` says why. The numbers here are as frozen as the files.

use std::{
    fmt::Write as _,
    fs,
    mem::{offset_of, size_of},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use barograph_sdk::{
    Level, Tier, abi,
    tester::{Collected, Failure, Table},
};
use serde_json::json;

/// FNV-1a of the header and of the sample.
const CHECKSUMS: [(&str, u64); 2] = [
    ("barograph_plugin.h", 0x44da_7689_583f_ace8),
    ("sample.c", 0x4a93_8e3a_16b2_66f2),
];

/// A struct of 1.0, in C's name, with its size then and now, and its fields' offsets then and now.
struct Layout {
    name: &'static str,
    size: (usize, usize),
    fields: Vec<(&'static str, usize, usize)>,
}

macro_rules! layouts {
    ($($struct:ident $name:literal $size:literal { $($field:ident $offset:literal,)* })*) => {
        vec![$(Layout {
            name: $name,
            size: ($size, size_of::<abi::$struct>()),
            fields: vec![$((stringify!($field), $offset, offset_of!(abi::$struct, $field)),)*],
        },)*]
    };
}

fn layouts() -> Vec<Layout> {
    layouts! {
        Str "barograph_str" 16 { ptr 0, len 8, }
        Metric "barograph_metric" 136 {
            struct_size 0, kind 4, unit 8, tier 12, flags 16, chart_style 20, name 24, help 40, otel 56,
            chart_section 72, chart_title 88, labels 104, label_count 112, bounds 120, bound_count 128,
        }
        Sample "barograph_sample" 16 { series 0, flags 4, value 8, }
        Histogram "barograph_histogram" 32 { series 0, flags 4, sum 8, counts 16, count 24, }
        Event "barograph_event" 64 { struct_size 0, level 4, at_ms 8, name 16, data 32, position 48, }
        Tick "barograph_tick" 32 { struct_size 0, tiers 4, number 8, at_ms 16, deadline_ns 24, }
        Host "barograph_host" 112 {
            struct_size 0, abi_major 4, abi_minor 6, ctx 8, define_metric 16, define_series 24,
            retire_series 32, push 40, log 48, cancelled 56, set_error 64, now_mono_ns 72,
            push_histogram 80, emit_event 88, position 96,
        }
        Plugin "barograph_plugin" 144 {
            magic 0, struct_size 8, abi_major 12, abi_minor 14, features 16, name 24, topic 40, version 56,
            describe 72, check_config 80, create 88, start 96, collect 104, reconfigure 112, stop 120,
            destroy 128, lookup 136,
        }
    }
}

/// Structs of which a caller makes arrays: they can't grow.
const ELEMENTS: [&str; 3] = ["barograph_str", "barograph_sample", "barograph_histogram"];

/// Today's values of what 1.0 defined.
const CONSTANTS: [(&str, i64); 21] = [
    ("ABI_MAJOR", abi::ABI_MAJOR as i64),
    ("OK", abi::OK as i64),
    ("PARTIAL", abi::PARTIAL as i64),
    ("RESTART", abi::RESTART as i64),
    ("E_CONFIG", abi::E_CONFIG as i64),
    ("E_UNAVAILABLE", abi::E_UNAVAILABLE as i64),
    ("E_TIMEOUT", abi::E_TIMEOUT as i64),
    ("E_PANIC", abi::E_PANIC as i64),
    ("E_FATAL", abi::E_FATAL as i64),
    ("E_CLOSED", abi::E_CLOSED as i64),
    ("E_FULL", abi::E_FULL as i64),
    ("KIND_GAUGE", abi::KIND_GAUGE as i64),
    ("KIND_COUNTER", abi::KIND_COUNTER as i64),
    ("KIND_HISTOGRAM", abi::KIND_HISTOGRAM as i64),
    ("FEATURE_EVENTS", abi::FEATURE_EVENTS.cast_signed()),
    ("FEATURE_LOOKUP", abi::FEATURE_LOOKUP.cast_signed()),
    ("TIER_FAST", abi::TIER_FAST as i64),
    ("TIER_MEDIUM", abi::TIER_MEDIUM as i64),
    ("TIER_SLOW", abi::TIER_SLOW as i64),
    ("METRIC_OVERVIEW", abi::METRIC_OVERVIEW as i64),
    ("MAGIC", abi::MAGIC.cast_signed()),
];

#[test]
fn the_frozen_files_are_the_ones_that_were_frozen() {
    for (file, checksum) in CHECKSUMS {
        let bytes = fs::read(frozen().join(file)).unwrap();
        let found = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        assert_eq!(
            found, checksum,
            "{file} was changed ({found:#018x}); it never is, a new version gets a folder of its own"
        );
    }
}

#[test]
fn every_struct_begins_as_it_did() {
    for layout in layouts() {
        let (then, now) = layout.size;
        assert!(now >= then, "{} shrank from {then} to {now}", layout.name);
        assert!(
            now == then || !ELEMENTS.contains(&layout.name),
            "{} grew, but it stands in arrays",
            layout.name
        );
        for (field, then, now) in layout.fields {
            assert_eq!(now, then, "{}.{field} moved", layout.name);
        }
    }
}

/// The numbers above are the header's, and its constants are today's: the compiler says so.
#[test]
fn the_frozen_header_has_these_numbers() {
    let mut source = "#include \"barograph_plugin.h\"\n".to_owned();
    let mut check = |condition: String| {
        let line = source.lines().count();
        writeln!(source, "typedef char check_{line}[({condition}) ? 1 : -1];").unwrap();
    };
    for layout in layouts() {
        let name = layout.name;
        check(format!("sizeof({name}) == {}", layout.size.0));
        for (field, offset, _) in layout.fields {
            check(format!("offsetof({name}, {field}) == {offset}"));
        }
    }
    for (name, value) in CONSTANTS {
        check(format!("BAROGRAPH_{name} == {value}"));
    }
    check(format!(
        "BAROGRAPH_FEATURES_REQUIRED == {}u",
        abi::FEATURES_REQUIRED
    ));
    for (prefix, words) in [
        ("UNIT", &abi::UNITS[..9]),
        ("CHART", &abi::CHART_STYLES[..4]),
        ("LOG", &abi::LOG_LEVELS[..5]),
    ] {
        for (index, word) in words.iter().enumerate() {
            check(format!(
                "BAROGRAPH_{prefix}_{} == {index}",
                word.to_uppercase()
            ));
        }
    }
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("check.c");
    fs::write(&file, source).unwrap();
    run(cc().arg("-fsyntax-only").arg(&file));
}

#[test]
fn a_plugin_of_1_0_is_described_and_checked() {
    let out = tempfile::tempdir().unwrap();
    let table = sample(out.path());
    assert_eq!(table.name(), "frozen");
    let manifest = table.manifest().unwrap();
    assert_eq!(manifest["name"], "frozen");
    assert_eq!(manifest["config"]["properties"]["depth"]["minimum"], 1);
    assert_eq!(table.check_config(&json!({})), Ok(()));
    assert_eq!(table.check_config(&json!({ "depth": 7 })), Ok(()));
    for config in [json!({ "depth": 0 }), json!({ "depht": 7 })] {
        let refused = table.check_config(&config).unwrap_err();
        assert_eq!(refused.code, abi::E_CONFIG);
        assert_eq!(table.create("", &config).unwrap_err(), refused);
    }
    let refused = table.check_config(&json!({ "depth": 0 })).unwrap_err();
    assert_eq!(
        (refused.field.as_str(), refused.message.as_str()),
        ("depth", "is below 1")
    );
}

#[test]
fn a_plugin_of_1_0_collects() {
    let out = tempfile::tempdir().unwrap();
    let mut tester = sample(out.path())
        .create("", &json!({ "depth": 7 }))
        .unwrap();
    let log = (Level::Info, "reads on from \"\"".to_owned());
    assert_eq!(tester.log(), [log]);
    assert_eq!(tester.tick(), Ok(Collected::Whole));
    assert_eq!(
        tester.text(),
        "frozen_depth{queue=\"mail\"} 7\n\
         frozen_ticks_total 1\n\
         frozen_wait_seconds_bucket{le=\"0.1\"} 0\n\
         frozen_wait_seconds_bucket{le=\"1\"} 1\n\
         frozen_wait_seconds_bucket{le=\"+Inf\"} 1\n\
         frozen_wait_seconds_sum 0.5\n\
         frozen_wait_seconds_count 1\n\
         frozen_depth{queue=\"passing\"} 1\n"
    );
    assert_eq!(tester.tick(), Ok(Collected::Whole));
    assert_eq!(tester.value("frozen_ticks_total", &[]), None, "is not due");
    let passing = tester.value("frozen_depth", &[("queue", "passing")]);
    assert_eq!(passing, Some(1.0), "retired, and declared anew");
    assert_eq!(tester.series(), 4);
    assert_eq!(tester.tick_of(&[Tier::Medium]), Ok(Collected::Whole));
    assert_eq!(tester.value("frozen_ticks_total", &[]), Some(3.0));
    assert_eq!(
        tester.histogram("frozen_wait_seconds", &[]),
        Some((vec![1, 1, 1], 1.5))
    );
    let metrics = tester.metrics();
    assert_eq!(metrics[2].bounds, [0.1, 1.0]);
    assert!(metrics[0].overview && metrics[1].counter);
}

#[test]
fn a_plugin_of_1_0_emits_events_and_reads_on_from_its_position() {
    let out = tempfile::tempdir().unwrap();
    let table = sample(out.path());
    let mut tester = table.create("", &json!({})).unwrap();
    tester.limit_events(1);
    tester.tick().unwrap();
    let behind = Collected::Partial("the event waits".into());
    assert_eq!(tester.tick(), Ok(behind), "the agent takes no more");
    let events = tester.take_events();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].level, events[0].at_ms), (Level::Warn, 0));
    assert_eq!(events[0].name, "line-read");
    assert_eq!(events[0].data, json!({ "collects": 1 }));
    assert_eq!(tester.position(), "line 1");
    assert_eq!(tester.tick(), Ok(Collected::Whole), "there is room again");
    assert_eq!(tester.take_events()[0].position, "line 3");
    let next = table.create(&tester.position(), &json!({})).unwrap();
    assert_eq!(next.log()[0].1, "reads on from \"line 3\"");
}

#[test]
fn a_plugin_of_1_0_is_cancelled_and_minds_its_deadline() {
    let out = tempfile::tempdir().unwrap();
    let mut tester = sample(out.path()).create("", &json!({})).unwrap();
    let timeout = Failure {
        code: abi::E_TIMEOUT,
        field: String::new(),
        message: "no time is left".into(),
    };
    tester.cancel();
    assert_eq!(tester.tick(), Err(timeout.clone()));
    assert_eq!(tester.tick(), Ok(Collected::Whole));
    tester.limit_tick(Duration::ZERO);
    assert_eq!(tester.tick(), Err(timeout));
}

#[test]
fn a_plugin_of_1_0_is_reconfigured_and_asked() {
    let out = tempfile::tempdir().unwrap();
    let mut tester = sample(out.path()).create("", &json!({})).unwrap();
    assert_eq!(tester.reconfigure(&json!({ "depth": 9 })), Ok(false));
    assert_eq!(tester.reconfigure(&json!({ "depth": 9000 })), Ok(true));
    let refused = tester.reconfigure(&json!({ "depth": 0 })).unwrap_err();
    assert_eq!(
        (refused.code, refused.field.as_str()),
        (abi::E_CONFIG, "depth")
    );
    tester.tick().unwrap();
    assert_eq!(
        tester.value("frozen_depth", &[("queue", "mail")]),
        Some(9.0)
    );
    let answer = |mail: bool| json!({ "mail": mail, "depth": 9 });
    assert_eq!(tester.lookup("depth", "mail"), Ok(answer(true)));
    assert_eq!(tester.lookup("depth", "post"), Ok(answer(false)));
    let refused = tester.lookup("width", "mail").unwrap_err();
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (abi::E_CONFIG, "no such question")
    );
}

#[test]
fn a_plugin_of_1_0_is_stopped_and_its_host_is_closed_then() {
    let out = tempfile::tempdir().unwrap();
    let mut tester = sample(out.path()).create("", &json!({})).unwrap();
    tester.tick().unwrap();
    tester.expect_refusals();
    tester.stop();
    let closed = json!([abi::E_CLOSED, abi::E_CLOSED, abi::E_CLOSED]);
    assert_eq!(tester.lookup("late", ""), Ok(closed));
    assert_eq!(
        tester.take_refusals(),
        [
            "push after stop",
            "push_histogram after stop",
            "emit_event after stop"
        ]
    );
    assert_eq!(tester.events().len(), 1, "the one of the tick");
    assert_eq!(
        tester.tick().unwrap_err().code,
        abi::E_TIMEOUT,
        "a stopped plugin is told to give up"
    );
}

/// Builds `sample.c` as its author did, with every warning an error, and loads it.
fn sample(out: &Path) -> Table {
    let library = out.join("libfrozen.so");
    run(cc()
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(frozen().join("sample.c")));
    // SAFETY: the library was just built from our source, which keeps the contract and has no
    // initialisers.
    unsafe { Table::open(&library) }.unwrap()
}

fn cc() -> Command {
    let mut command = Command::new("cc");
    command
        .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .arg(frozen());
    command
}

fn run(command: &mut Command) {
    let output = command.output().expect("a C compiler is installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn frozen() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("frozen/v1.0")
}
