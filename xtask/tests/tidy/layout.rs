//! The shape of files: how long they may be, that modules say what they are, that no test is skipped.

use std::path::Path;

use crate::checkout::{self, File};
use crate::source::{self, Rust};
use crate::{Finding, assert_none};

const LINES_MAX: usize = 500;

/// Names that say nothing of what is in a file.
const EMPTY_NAMES: [&str; 5] = ["common", "helpers", "manager", "mod", "utils"];

fn is_generated(text: &str) -> bool {
    text.lines()
        .take(3)
        .any(|line| line.to_lowercase().contains("generated"))
}

fn extension(path: &str) -> &str {
    Path::new(path)
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default()
}

/// Code beyond this length is two files. A file's own tests at its foot don't count.
fn too_long(file: &File) -> Option<Finding> {
    if checkout::is_test(&file.path) || is_generated(&file.text) {
        return None;
    }
    let lines = file.text.lines().count();
    let counted = match extension(&file.path) {
        "rs" => lines.saturating_sub(source::parse(&file.path, &file.text).test_lines),
        "ts" | "tsx" | "mjs" | "css" => lines,
        _ => return None,
    };
    (counted > LINES_MAX).then(|| Finding {
        path: file.path.clone(),
        line: LINES_MAX,
        message: format!("{counted} lines; no file has more than {LINES_MAX}"),
    })
}

fn undocumented(rust: &Rust) -> Option<Finding> {
    let is_source = ["agent/", "plugins/", "sdk/", "xtask/"]
        .iter()
        .any(|folder| rust.path.starts_with(folder))
        && rust.path.contains("/src/")
        && !checkout::is_test(&rust.path);
    let is_documented = rust.text.trim_start().starts_with("//!");
    (is_source && !is_documented).then(|| Finding {
        path: rust.path.clone(),
        line: 1,
        message: "no module documentation: what it owns, who talks to it, what it never does"
            .to_owned(),
    })
}

fn nameless(file: &File) -> Option<Finding> {
    let stem = Path::new(&file.path)
        .file_stem()?
        .to_str()?
        .split('.')
        .next()?;
    let is_code = ["rs", "ts", "tsx", "mjs"].contains(&extension(&file.path));
    (is_code && EMPTY_NAMES.contains(&stem)).then(|| Finding {
        path: file.path.clone(),
        line: 1,
        message: format!("a file is named for the thing it holds, not `{stem}`"),
    })
}

fn ignored(rust: &Rust) -> Vec<Finding> {
    rust.attributes
        .iter()
        .filter(|(_, name)| name == "ignore")
        .map(|(line, _)| Finding {
            path: rust.path.clone(),
            line: *line,
            message: "no test is ignored".to_owned(),
        })
        .collect()
}

fn skipped(file: &File) -> Vec<Finding> {
    if !["ts", "tsx"].contains(&extension(&file.path)) {
        return Vec::new();
    }
    let marks = ["skip", "only", "todo", "fails"];
    let callers = ["test", "it", "describe"];
    file.text
        .lines()
        .enumerate()
        .filter(|(_, line)| {
            callers.iter().any(|caller| {
                marks
                    .iter()
                    .any(|mark| line.trim_start().starts_with(&format!("{caller}.{mark}")))
            }) && !line.contains("../shared")
        })
        .map(|(at, _)| Finding {
            path: file.path.clone(),
            line: at + 1,
            message: "no test is skipped, left to do, or run alone".to_owned(),
        })
        .collect()
}

#[test]
fn files_stay_short() {
    let findings: Vec<Finding> = checkout::files().iter().filter_map(too_long).collect();
    assert_none(&findings);

    let file = |path: &str, text: String| File {
        path: path.to_owned(),
        text,
    };
    let long = "fn f() {}\n".repeat(LINES_MAX + 1);
    assert!(too_long(&file("agent/src/app.rs", long.clone())).is_some());
    assert!(
        too_long(&file(
            "dashboards/src/app.ts",
            "f();\n".repeat(LINES_MAX + 1)
        ))
        .is_some()
    );
    assert!(too_long(&file("agent/tests/it/ws.rs", long.clone())).is_none());
    assert!(
        too_long(&file(
            "dashboards/src/wire.ts",
            format!("// Generated from Rust.\n{long}")
        ))
        .is_none()
    );
    let with_tests = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
    assert!(too_long(&file("agent/src/app.rs", with_tests)).is_none());
}

#[test]
fn every_module_says_what_it_is() {
    let findings: Vec<Finding> = source::rust().iter().filter_map(undocumented).collect();
    assert_none(&findings);

    assert!(undocumented(&source::parse("agent/src/bus.rs", "use std::fs;")).is_some());
    assert!(undocumented(&source::parse("agent/src/bus.rs", "//! Carries batches.\n")).is_none());
}

#[test]
fn files_are_named_for_what_they_hold() {
    let findings: Vec<Finding> = checkout::files().iter().filter_map(nameless).collect();
    assert_none(&findings);

    let file = |path: &str| File {
        path: path.to_owned(),
        text: String::new(),
    };
    assert!(nameless(&file("agent/src/utils.rs")).is_some());
    assert!(nameless(&file("agent/src/http/mod.rs")).is_some());
    assert!(nameless(&file("dashboards/src/helpers.test.ts")).is_some());
    assert!(nameless(&file("agent/src/http/router.rs")).is_none());
}

#[test]
fn no_test_is_skipped() {
    let findings: Vec<Finding> = source::rust()
        .iter()
        .flat_map(ignored)
        .chain(checkout::files().iter().flat_map(skipped))
        .collect();
    assert_none(&findings);

    assert_eq!(
        ignored(&source::parse(
            "x.rs",
            "#[test]\n#[ignore = \"slow\"]\nfn f() {}"
        ))
        .len(),
        1
    );
    assert_eq!(
        ignored(&source::parse("x.rs", "#[test]\nfn ignore() {}")).len(),
        0
    );
    let file = File {
        path: "dashboards/src/clock.test.ts".to_owned(),
        text: "test.skip('a', f);\n  it.only('b', f);\ntest('c', f);\n".to_owned(),
    };
    assert_eq!(skipped(&file).len(), 2);
}
