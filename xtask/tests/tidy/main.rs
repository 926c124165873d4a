//! The rules of the source tree that no compiler holds: who may import whom, where `unsafe`, clocks
//! and the fixed crates may stand, how long a file may be, what a committed file must not contain.
//!
//! Each rule is a function from sources to findings. The test of a rule runs it on the checkout and
//! on a bad snippet, so that it is known to bite. Rust is read as tokens (see `source`): comments
//! and strings can't fool a rule, code in macros counts, and tests' own code can be told apart.

mod checkout;
mod committed;
mod imports;
mod layout;
mod purity;
mod source;
mod unsafety;

use std::fmt;

/// A place where a rule is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Fails with every finding, one a line.
#[track_caller]
fn assert_none(findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

/// Whether a path is one of the patterns, in which `*` stands for any text. A pattern without a dot
/// stands for a module or a folder: `agent/src/http` is `http.rs` and all of `http/`.
fn is_among(path: &str, patterns: &[&str]) -> bool {
    patterns.iter().any(|pattern| {
        if pattern.contains(['.', '*']) {
            matches(path, pattern)
        } else {
            path.strip_prefix(pattern)
                .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        }
    })
}

fn matches(text: &str, pattern: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return text == pattern;
    };
    text.strip_prefix(head).is_some_and(|rest| {
        (0..=rest.len()).any(|at| rest.is_char_boundary(at) && matches(&rest[at..], tail))
    })
}

#[test]
fn patterns() {
    assert!(is_among("agent/src/http.rs", &["agent/src/http"]));
    assert!(is_among("agent/src/http/ws.rs", &["agent/src/http"]));
    assert!(!is_among("agent/src/httpd.rs", &["agent/src/http"]));
    assert!(is_among(
        "plugins/system/src/parse.rs",
        &["plugins/*/src/parse.rs"]
    ));
    assert!(!is_among(
        "plugins/system/src/parser.rs",
        &["plugins/*/src/parse.rs"]
    ));
}
