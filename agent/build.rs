//! Embeds the built page: lists the files of `dashboards/dist` for `src/http/assets.rs`, each with its
//! compressed siblings and a tag of its content. It never runs npm; without a built page the list is empty
//! and the agent says what to run.
//!
//! Cargo only compares times, and a `dist` that is restored from a cache has old ones. So each file is
//! named to Cargo by itself, the empty `.stamp` among them, whose name is a hash of the whole page: another
//! page means that a named file is missing, which always counts as a change. As long as there is no page, a path that never
//! exists is named, so that the next build looks again whatever the times say.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

fn main() {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("../dashboards/dist");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    if root.join("index.html").is_file() {
        list(&root, &mut files)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", root.display()));
    } else {
        println!("cargo::rerun-if-changed={}", root.join(".none").display());
    }
    files.sort();
    let target = PathBuf::from(variable("OUT_DIR")).join("dashboard.rs");
    let text = render(&root, &files);
    if fs::read_to_string(&target).is_ok_and(|known| known == text) {
        return;
    }
    fs::write(&target, text)
        .unwrap_or_else(|error| panic!("cannot write {}: {error}", target.display()));
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("Cargo sets {name}"))
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        println!("cargo::rerun-if-changed={}", path.display());
        if path.is_dir() {
            list(&path, files)?;
        } else if path
            .extension()
            .is_none_or(|extension| extension != "stamp")
        {
            files.push(path);
        }
    }
    Ok(())
}

fn render(root: &Path, files: &[PathBuf]) -> String {
    let mut text = String::from("static FILES: &[File] = &[\n");
    for path in files {
        let compressed = path
            .extension()
            .is_some_and(|extension| extension == "br" || extension == "gz");
        if compressed && files.contains(&path.with_extension("")) {
            continue;
        }
        let name = text_of(
            path.strip_prefix(root)
                .expect("every file was found below the root"),
        );
        let body = fs::read(path)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
        let sibling = |suffix: &str| {
            let sibling = PathBuf::from(format!("{}.{suffix}", path.display()));
            if files.contains(&sibling) {
                format!("Some(include_bytes!({:?}))", text_of(&sibling))
            } else {
                "None".to_owned()
            }
        };
        let (brotli, gzip) = (sibling("br"), sibling("gz"));
        writeln!(
            text,
            "    File {{ path: {name:?}, tag: \"{:016x}\", body: include_bytes!({:?}), brotli: {brotli}, gzip: {gzip} }},",
            fnv1a(&body),
            text_of(path)
        )
        .expect("writing into a string does not fail");
    }
    text.push_str("];\n");
    text
}

fn text_of(path: &Path) -> &str {
    path.to_str()
        .unwrap_or_else(|| panic!("{} is not UTF-8; move the repository", path.display()))
}

/// FNV-1a, 64 bits. It tells one build's file from the next one's; nobody gains by forging it.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
