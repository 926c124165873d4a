//! Who may import whom: the layers of `docs/ARCHITECTURE.md`.

use crate::checkout::{self, File};
use crate::source::{self, Rust, UsedPath};
use crate::{Finding, assert_none, is_among};

/// Parts of the agent that don't know each other; only `app.rs` ties them.
const PARTS: [&str; 6] = ["alerts", "estimate", "events", "hub", "jobs", "store"];

/// Crates that may stand in these places of the product alone.
const DOORS: [(&[&str], &[&str]); 4] = [
    (
        &["hyper", "hyper_util", "http_body_util"],
        &["agent/src/http", "agent/src/notify"],
    ),
    (&["fastwebsockets"], &["agent/src/http"]),
    (
        &["libloading"],
        &["agent/src/collect/host", "sdk/plugin/src/tester"],
    ),
    (&["sled"], &["agent/src/kv"]),
];

/// Where the agent starts processes: what it did not start itself it takes for what a plugin left, and ends it. The
/// command line may, as long as it is no agent.
const STARTERS: [&str; 2] = ["agent/src/cli", "agent/src/collect/spawner.rs"];

/// The crates that the product is built on, and where each does its work.
const FIXED: [(&str, &str); 6] = [
    ("libloading", "agent/src/collect/host"),
    ("sysinfo", "plugins/system/src"),
    ("hyper", "agent/src/http"),
    ("sled", "agent/src/kv"),
    ("fastwebsockets", "agent/src/http"),
    ("toml", "agent/src/config"),
];

fn finding(rust: &Rust, path: &UsedPath, why: &str) -> Finding {
    Finding {
        path: rust.path.clone(),
        line: path.line,
        message: format!("`{}`: {why}", path.text()),
    }
}

fn is_ours(name: &str) -> bool {
    name == "barograph" || name.starts_with("barograph_") || name == "xtask"
}

/// The SDK imports nothing of ours, a plugin only the SDK, the agent no plugin.
fn layers(rust: &Rust) -> Vec<Finding> {
    let own = rust.path.strip_prefix("plugins/").map(|rest| {
        let name = rest.split('/').next().unwrap_or_default();
        format!("barograph_plugin_{}", name.replace('-', "_"))
    });
    let is_agent = rust.path.starts_with("agent/src/") || rust.path == "agent/build.rs";
    rust.paths
        .iter()
        .filter_map(|path| {
            let first = path.names.first().map(String::as_str)?;
            let why = if rust.path.starts_with("sdk/plugin/") {
                (is_ours(first) && first != "barograph_sdk")
                    .then_some("the SDK imports nothing of ours")
            } else if let Some(own) = &own {
                (is_ours(first) && first != "barograph_sdk" && first != own)
                    .then_some("a plugin imports nothing of ours but the SDK")
            } else {
                (is_agent && !path.in_test && first.starts_with("barograph_plugin_"))
                    .then_some("the agent names no plugin outside tests")
            };
            why.map(|why| finding(rust, path, why))
        })
        .collect()
}

/// The same for the manifests, where a dependency would be declared.
fn manifests(file: &File) -> Vec<Finding> {
    let (allowed, why): (&[&str], _) = if file.path == "sdk/plugin/Cargo.toml" {
        (&[], "the SDK depends on nothing of ours")
    } else if file.path.starts_with("plugins/") && file.path.ends_with("/Cargo.toml") {
        (
            &["barograph-sdk"],
            "a plugin depends on nothing of ours but the SDK",
        )
    } else {
        return Vec::new();
    };
    let mut is_dependencies = false;
    let mut findings = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        if line.starts_with('[') {
            is_dependencies = line.contains("dependencies");
        }
        let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
        if is_dependencies && is_ours(&name.replace('-', "_")) && !allowed.contains(&name) {
            findings.push(Finding {
                path: file.path.clone(),
                line: at + 1,
                message: format!("{name}: {why}"),
            });
        }
    }
    findings
}

fn parts(rust: &Rust) -> Vec<Finding> {
    let Some(part) = PARTS
        .iter()
        .find(|part| is_among(&rust.path, &[&format!("agent/src/{part}")]))
    else {
        return Vec::new();
    };
    rust.paths
        .iter()
        .filter(|path| {
            path.starts_with(&["crate"])
                && path
                    .names
                    .get(1)
                    .is_some_and(|name| name != part && PARTS.contains(&name.as_str()))
        })
        .map(|path| {
            finding(
                rust,
                path,
                &format!("{part} does not know the other parts; tie them in app.rs"),
            )
        })
        .collect()
}

/// Crates behind one door each. Tests outside the sources may open them.
fn doors(rust: &Rust) -> Vec<Finding> {
    let is_product = rust.path.starts_with("agent/src/")
        || rust.path.starts_with("plugins/")
        || rust.path.starts_with("sdk/plugin/src/");
    if !is_product {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (crates, places) in DOORS {
        if is_among(&rust.path, places) {
            continue;
        }
        findings.extend(
            rust.paths
                .iter()
                .filter(|path| {
                    path.names
                        .first()
                        .is_some_and(|first| crates.contains(&first.as_str()))
                })
                .map(|path| finding(rust, path, &format!("only in {}", places.join(", ")))),
        );
    }
    findings
}

/// A process of the agent that its spawner does not know would be ended as a plugin's orphan.
fn starters(rust: &Rust) -> Vec<Finding> {
    if !rust.path.starts_with("agent/src/") || is_among(&rust.path, &STARTERS) {
        return Vec::new();
    }
    let is_start = |path: &&UsedPath| {
        !path.in_test
            && (path.starts_with(&["std", "process", "Command"])
                || path.starts_with(&["tokio", "process", "Command"]))
    };
    rust.paths
        .iter()
        .filter(is_start)
        .map(|path| finding(rust, path, "only the spawner starts processes"))
        .collect()
}

/// The fixed crates are used in earnest where they belong.
fn fixed(all: &[Rust]) -> Vec<Finding> {
    FIXED
        .iter()
        .filter(|(name, place)| {
            !all.iter()
                .filter(|rust| is_among(&rust.path, &[place]))
                .any(|rust| {
                    rust.paths
                        .iter()
                        .any(|path| !path.in_test && path.starts_with(&[name]))
                })
        })
        .map(|(name, place)| Finding {
            path: (*place).to_owned(),
            line: 1,
            message: format!("{name} does no work here"),
        })
        .collect()
}

/// A queue without a bound grows until the machine has no memory left.
fn bounded(rust: &Rust) -> Vec<Finding> {
    rust.paths
        .iter()
        .filter(|path| {
            path.names.iter().any(|name| {
                ["unbounded_channel", "UnboundedSender", "UnboundedReceiver"]
                    .contains(&name.as_str())
            }) || (!path.in_test && path.starts_with(&["std", "sync", "mpsc", "channel"]))
        })
        .map(|path| finding(rust, path, "every channel is bounded"))
        .collect()
}

#[test]
fn each_layer_imports_only_what_lies_below() {
    let findings: Vec<Finding> = source::rust().iter().flat_map(layers).collect();
    assert_none(&findings);
    let findings: Vec<Finding> = checkout::files().iter().flat_map(manifests).collect();
    assert_none(&findings);

    let broken = [
        ("sdk/plugin/src/sink.rs", "use barograph::bus::Batch;"),
        (
            "sdk/plugin/src/sink.rs",
            "fn f() { barograph_plugin_system::g(); }",
        ),
        ("plugins/system/src/cpu.rs", "use barograph::clock;"),
        (
            "plugins/system/src/cpu.rs",
            "use {barograph_plugin_network as other};",
        ),
        ("agent/src/app.rs", "use barograph_plugin_system::System;"),
        (
            "agent/build.rs",
            "fn f() { vec![barograph_plugin_system::g()]; }",
        ),
    ];
    for (path, text) in broken {
        assert_eq!(
            layers(&source::parse(path, text)).len(),
            1,
            "{path}: {text}"
        );
    }
    let fine = [
        (
            "plugins/system/src/cpu.rs",
            "use barograph_sdk::Sink; use crate::barograph;",
        ),
        (
            "plugins/system/tests/golden.rs",
            "use barograph_plugin_system::System;",
        ),
        (
            "sdk/plugin/examples/template.rs",
            "use barograph_sdk::Sink;",
        ),
        (
            "agent/tests/it/system.rs",
            "use barograph_plugin_system::System;",
        ),
        (
            "agent/src/app.rs",
            "#[cfg(test)] mod tests { use barograph_plugin_system::System; }",
        ),
    ];
    for (path, text) in fine {
        assert_none(&layers(&source::parse(path, text)));
    }
    let manifest = |path: &str| {
        File {
        path: path.to_owned(),
        text: "[package]\nname = \"barograph-plugin-x\"\n[dependencies]\nbarograph-sdk.workspace = true\n\
               [dev-dependencies]\nbarograph = { path = \"../../agent\" }\n"
            .to_owned(),
    }
    };
    assert_eq!(manifests(&manifest("plugins/x/Cargo.toml")).len(), 1);
    assert_eq!(manifests(&manifest("sdk/plugin/Cargo.toml")).len(), 2);
}

#[test]
fn the_parts_of_the_agent_do_not_know_each_other() {
    let findings: Vec<Finding> = source::rust().iter().flat_map(parts).collect();
    assert_none(&findings);

    let broken = [
        (
            "agent/src/store/head.rs",
            "use crate::{catalog::Id, jobs::Job};",
        ),
        ("agent/src/hub.rs", "fn f() { crate::store::query(); }"),
        ("agent/src/hub/lanes.rs", "use super::super::events::Event;"),
    ];
    for (path, text) in broken {
        assert_eq!(parts(&source::parse(path, text)).len(), 1, "{path}: {text}");
    }
    assert_none(&parts(&source::parse(
        "agent/src/app.rs",
        "use crate::{store, hub};",
    )));
    assert_none(&parts(&source::parse(
        "agent/src/hub/tiers.rs",
        "use crate::hub::lanes;",
    )));
}

#[test]
fn each_crate_stays_behind_its_door() {
    let findings: Vec<Finding> = source::rust().iter().flat_map(doors).collect();
    assert_none(&findings);

    let broken = [
        ("agent/src/app.rs", "use hyper::Request;"),
        (
            "agent/src/hub.rs",
            "fn f() { fastwebsockets::upgrade::upgrade(r); }",
        ),
        ("agent/src/notify/webhook.rs", "use fastwebsockets;"),
        ("agent/src/catalog.rs", "use sled::Db;"),
        ("agent/src/collect/note.rs", "use libloading::Library;"),
        ("plugins/system/src/lib.rs", "use hyper_util::rt::TokioIo;"),
    ];
    for (path, text) in broken {
        assert_eq!(doors(&source::parse(path, text)).len(), 1, "{path}: {text}");
    }
    assert_none(&doors(&source::parse(
        "agent/src/http/ws.rs",
        "use fastwebsockets::Frame; use hyper::body;",
    )));
    assert_none(&doors(&source::parse(
        "agent/tests/it/ws.rs",
        "use fastwebsockets::Frame;",
    )));
}

#[test]
fn only_the_spawner_starts_processes() {
    let findings: Vec<Finding> = source::rust().iter().flat_map(starters).collect();
    assert_none(&findings);

    let broken = [
        "use std::process::Command;",
        "use tokio::process::{Child, Command};",
        "fn f() { std::process::Command::new(\"df\"); }",
    ];
    for text in broken {
        assert_eq!(
            starters(&source::parse("agent/src/machine.rs", text)).len(),
            1,
            "{text}"
        );
        assert_none(&starters(&source::parse(
            "agent/src/cli/plugin/builder.rs",
            text,
        )));
    }
    let fine = "use std::process::ExitCode; #[cfg(test)] mod tests { use std::process::Command; }";
    assert_none(&starters(&source::parse("agent/src/machine.rs", fine)));
}

#[test]
fn the_fixed_crates_do_real_work() {
    assert_none(&fixed(&source::rust()));

    let only_in_test = source::parse(
        "agent/src/config.rs",
        "#[cfg(test)] mod tests { use toml::Value; }",
    );
    let used = source::parse("plugins/system/src/cpu.rs", "use sysinfo::System;");
    let missing: Vec<String> = fixed(&[only_in_test, used])
        .into_iter()
        .map(|finding| finding.message)
        .collect();
    assert_eq!(missing.len(), 5, "{missing:?}");
    assert!(
        missing
            .iter()
            .all(|message| !message.starts_with("sysinfo"))
    );
}

#[test]
fn every_channel_is_bounded() {
    let findings: Vec<Finding> = source::rust().iter().flat_map(bounded).collect();
    assert_none(&findings);

    let broken = [
        "use tokio::sync::mpsc::unbounded_channel;",
        "fn f() { tokio::sync::mpsc::unbounded_channel::<u8>(); }",
        "use std::sync::mpsc; fn f() { mpsc::channel::<u8>(); }",
    ];
    for text in broken {
        assert_eq!(
            bounded(&source::parse("agent/src/bus.rs", text)).len(),
            1,
            "{text}"
        );
    }
    let fine = [
        "use tokio::sync::mpsc; fn f() { mpsc::channel::<u8>(1); }",
        "#[cfg(test)] mod tests { use std::sync::mpsc; fn f() { mpsc::channel::<u8>(); } }",
    ];
    for text in fine {
        assert_none(&bounded(&source::parse("agent/src/bus.rs", text)));
    }
}
