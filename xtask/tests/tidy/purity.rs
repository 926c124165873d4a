//! Clocks and input/output: pure files have neither, and the agent has one clock.

use crate::source::{self, Rust, UsedPath};
use crate::{Finding, assert_none, is_among};

/// Files that take time and bytes as arguments and give values back.
const PURE: [&str; 35] = [
    "agent/src/alerts/defaults.rs",
    "agent/src/alerts/rule.rs",
    "agent/src/alerts/state.rs",
    "agent/src/alerts/watch.rs",
    "agent/src/alerts/window.rs",
    "agent/src/catalog.rs",
    "agent/src/catalog/own.rs",
    "agent/src/cli/plugin/samples.rs",
    "agent/src/collect/backoff.rs",
    "agent/src/collect/codec.rs",
    "agent/src/collect/host/answer.rs",
    "agent/src/collect/host/backlog.rs",
    "agent/src/collect/host/refusal.rs",
    "agent/src/collect/host/registry.rs",
    "agent/src/collect/link",
    "agent/src/collect/schema",
    "agent/src/collect/status.rs",
    "agent/src/config/plugins/section.rs",
    "agent/src/estimate",
    "agent/src/http/exposition",
    "agent/src/http/frame.rs",
    "agent/src/http/query.rs",
    "agent/src/jobs/lifecycle.rs",
    "agent/src/protocol",
    "agent/src/store/chunk",
    "agent/src/store/group",
    "agent/src/store/key.rs",
    "agent/src/store/record",
    "agent/src/store/record.rs",
    "agent/src/store/registry/record.rs",
    "agent/src/store/rollup",
    "agent/src/words.rs",
    "plugins/*/src/parse.rs",
    "sdk/plugin/src/tester/rules.rs",
    "xtask/src/tally.rs",
];

/// The agent's clock, and the child's side of it, which runs without the agent's.
const CLOCKS: [&str; 2] = ["agent/src/clock.rs", "agent/src/collect/host.rs"];

fn reads_clock(path: &UsedPath) -> bool {
    path.ends_with(&["Instant", "now"]) || path.ends_with(&["SystemTime", "now"])
}

/// Pauses and deadlines of the runtime; its `Instant` is a value like any other.
fn waits(path: &UsedPath) -> bool {
    path.starts_with(&["tokio", "time"])
        && !matches!(
            path.names.get(2).map(String::as_str),
            None | Some("Instant" | "Duration")
        )
}

fn impure(rust: &Rust) -> Vec<Finding> {
    const IMPURE: [&[&str]; 12] = [
        &["crate", "clock", "now"],
        &["std", "env"],
        &["std", "fs"],
        &["std", "net"],
        &["std", "os"],
        &["std", "process"],
        &["std", "thread"],
        &["std", "time", "SystemTime"],
        &["tokio", "fs"],
        &["tokio", "net"],
        &["tokio", "process"],
        &["rustix"],
    ];
    if !is_among(&rust.path, &PURE) {
        return Vec::new();
    }
    rust.paths
        .iter()
        .filter(|path| !path.in_test)
        .filter(|path| {
            reads_clock(path) || waits(path) || IMPURE.iter().any(|names| path.starts_with(names))
        })
        .map(|path| Finding {
            path: rust.path.clone(),
            line: path.line,
            message: format!(
                "`{}`: this file is pure; take it as an argument",
                path.text()
            ),
        })
        .collect()
}

fn strange_clocks(rust: &Rust) -> Vec<Finding> {
    if !rust.path.starts_with("agent/src/") || is_among(&rust.path, &CLOCKS) {
        return Vec::new();
    }
    rust.paths
        .iter()
        .filter(|path| !path.in_test && reads_clock(path))
        .map(|path| Finding {
            path: rust.path.clone(),
            line: path.line,
            message: format!(
                "`{}`: time comes from `crate::clock`, which tests can drive",
                path.text()
            ),
        })
        .collect()
}

#[test]
fn pure_files_have_no_clock_and_no_io() {
    let findings: Vec<Finding> = source::rust().iter().flat_map(impure).collect();
    assert_none(&findings);

    let broken = [
        "use std::time::Instant; fn f() { Instant::now(); }",
        "fn f() { std::fs::read(\"/proc/stat\"); }",
        "use tokio::{net::TcpStream, time::Instant};",
        "use tokio::time; async fn f(at: time::Instant) { time::sleep_until(at).await }",
        "use std::net::TcpStream;",
        "use std::env; use std::collections::HashMap;",
    ];
    for text in broken {
        assert_eq!(
            impure(&source::parse("plugins/system/src/parse.rs", text)).len(),
            1,
            "{text}"
        );
        assert_none(&impure(&source::parse("plugins/system/src/disk.rs", text)));
    }
    let fine = "use std::time::Duration; #[cfg(test)] mod tests { use std::fs; }";
    assert_none(&impure(&source::parse("agent/src/http/frame.rs", fine)));
}

#[test]
fn the_agent_has_one_clock() {
    let findings: Vec<Finding> = source::rust().iter().flat_map(strange_clocks).collect();
    assert_none(&findings);

    let broken = [
        "use std::time::{self}; fn f() { time::SystemTime::now(); }",
        "use tokio::time::Instant; fn f() { Instant::now(); }",
        "use std::time::Instant as Moment; fn f() { let g = Moment::now; }",
    ];
    for text in broken {
        assert_eq!(
            strange_clocks(&source::parse("agent/src/bus.rs", text)).len(),
            1,
            "{text}"
        );
        assert_none(&strange_clocks(&source::parse("agent/src/clock.rs", text)));
        assert_none(&strange_clocks(&source::parse(
            "agent/tests/it/ws.rs",
            text,
        )));
    }
}
