//! Where `unsafe` may stand, and that each one says why it is sound.

use crate::source::{self, Rust};
use crate::{Finding, assert_none, is_among};

/// The only places, each with its reason.
const PLACES: [(&str, &str); 10] = [
    ("sdk/plugin/src/abi.rs", "the C contract itself"),
    (
        "sdk/plugin/src/export",
        "the functions that a plugin exports over it",
    ),
    (
        "sdk/plugin/src/tester",
        "drives a collector through the real C table",
    ),
    ("sdk/plugin/tests", "do the same with a built library"),
    (
        "sdk/plugin/examples",
        "fixtures that crash in the ways a plugin can",
    ),
    (
        "agent/src/allocator.rs",
        "tells the C library how many arenas to have",
    ),
    (
        "agent/src/collect/fence",
        "the system calls of Landlock, which no crate makes as they have to be made",
    ),
    ("agent/src/collect/host", "opens a library and calls it"),
    (
        "agent/src/collect/hostcalls",
        "the functions that a library calls back",
    ),
    (
        "agent/src/collect/spawner.rs",
        "sets up a child between fork and exec",
    ),
];

fn misplaced(rust: &Rust) -> Vec<Finding> {
    let places: Vec<&str> = PLACES.iter().map(|(place, _)| *place).collect();
    if is_among(&rust.path, &places) {
        return Vec::new();
    }
    rust.unsafes
        .iter()
        .map(|mark| Finding {
            path: rust.path.clone(),
            line: mark.line,
            message: "`unsafe` has no business here; the places that may are in xtask/tests/tidy/unsafety.rs"
                .to_owned(),
        })
        .collect()
}

/// Each `unsafe` follows a comment that gives the reason, or the section of its documentation that
/// says what a caller must see to, above itself or above the statement that it stands in.
/// A private function with C's calling convention is an entry of the contract's table: the header says
/// what its caller promises, and each block in it says what follows.
fn unexplained(rust: &Rust) -> Vec<Finding> {
    let lines: Vec<&str> = rust.text.lines().map(str::trim).collect();
    rust.unsafes
        .iter()
        .filter(|mark| !lines[mark.line - 1].starts_with("unsafe extern \"C\" fn "))
        .filter(|mark| !is_explained(&lines, mark.line) && !is_explained(&lines, mark.statement))
        .map(|mark| Finding {
            path: rust.path.clone(),
            line: mark.line,
            message: "`unsafe` without a `// SAFETY:` comment before it".to_owned(),
        })
        .collect()
}

/// Whether the comments and attributes right above a line give a reason.
fn is_explained(lines: &[&str], line: usize) -> bool {
    lines[..line - 1]
        .iter()
        .rev()
        .take_while(|text| text.starts_with("//") || text.starts_with("#[") || text.ends_with(")]"))
        .any(|text| text.contains("SAFETY:") || text.contains("# Safety"))
}

#[test]
fn unsafe_stands_only_where_it_must_and_says_why() {
    let all = source::rust();
    let findings: Vec<Finding> = all
        .iter()
        .flat_map(|rust| misplaced(rust).into_iter().chain(unexplained(rust)))
        .collect();
    assert_none(&findings);

    for text in [
        "fn f() { unsafe { g() } }",
        "unsafe impl Send for T {}",
        "pub unsafe extern \"C\" fn f() {}",
    ] {
        let rust = source::parse("agent/src/bus.rs", text);
        assert_eq!(
            (misplaced(&rust).len(), unexplained(&rust).len()),
            (1, 1),
            "{text}"
        );
        let rust = source::parse("agent/src/collect/host.rs", text);
        assert_eq!(
            (misplaced(&rust).len(), unexplained(&rust).len()),
            (0, 1),
            "{text}"
        );
    }
    let apart = "// SAFETY: this speaks of another line\nlet a = 1;\n\nlet b = unsafe { g() };";
    assert_eq!(unexplained(&source::parse("x.rs", apart)).len(), 1);

    let fine = [
        "// SAFETY: the pointer came from a box.\nunsafe { g() }",
        "// SAFETY: the pointer came\n// from a box.\nlet very_long =\n    unsafe { g() };",
        "// SAFETY: it was checked.\nlet A {\n    b,\n    ..\n} = unsafe { *c };",
        "// SAFETY: it was checked.\nlet a = f(\n    b,\n    unsafe { *c },\n);",
        "/// Frees it.\n///\n/// # Safety\n/// Once only.\n#[inline]\npub unsafe fn f() {}",
        "#[unsafe(no_mangle)]\npub static A: u8 = 0;",
        "unsafe extern \"C\" fn start(instance: *mut u8) -> i32 { 0 }",
        "type F = unsafe extern \"C\" fn(u8) -> u8;",
    ];
    for text in fine {
        assert_none(&unexplained(&source::parse("x.rs", text)));
    }
}
