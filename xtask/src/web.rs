//! Building the page into `dashboards/dist`, only when something it is made of has changed.
//!
//! What decides is the content of the files, never their times: a checkout or a restored cache
//! gives old times to new files. The stamps lie in `node_modules`, so that they go with it. The
//! stamp of a build also holds the content of its output, so that a damaged one is built again.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use crate::node::Node;
use crate::place::Place;
use crate::shell::{self, Fallible};

pub(crate) fn web() -> Fallible {
    let place = Place::find()?;
    let node = Node::ensure(&place)?;
    build(&place, &node)
}

/// Installs the page's packages and builds it, each only if needed.
pub(crate) fn build(place: &Place, node: &Node) -> Fallible {
    install(place, node)?;
    let page = place.dashboards();
    let stamp = page.join("node_modules/.xtask-build");
    let dist = page.join("dist");
    if read(&stamp) == Some(build_stamp(&page, &dist)?) && dist.join("index.html").is_file() {
        println!("the page is up to date");
        return Ok(());
    }
    shell::run(&mut node.npm(&["run", "build"]))?;
    if !dist.join("index.html").is_file() {
        return Err(format!(
            "the build of the page left no {}/index.html",
            dist.display()
        )
        .into());
    }
    write(&stamp, &build_stamp(&page, &dist)?)
}

/// Installs the page's packages if the list of them changed since the last time.
pub(crate) fn install(place: &Place, node: &Node) -> Fallible {
    let page = place.dashboards();
    let stamp = page.join("node_modules/.xtask-install");
    let mut lists = Vec::new();
    for name in ["package.json", "package-lock.json"] {
        lists.push(page.join(name));
    }
    let wanted = format!("{:016x}\n", digest(&page, &lists)?);
    if read(&stamp).as_ref() == Some(&wanted) {
        return Ok(());
    }
    shell::run(&mut node.npm(&["ci", "--no-audit", "--no-fund"]))?;
    write(&stamp, &wanted)
}

fn build_stamp(page: &Path, dist: &Path) -> Fallible<String> {
    let inputs = files(page, &["node_modules", "dist", "e2e"])?;
    let outputs = files(dist, &[])?;
    Ok(format!(
        "inputs {:016x}\noutputs {:016x}\n",
        digest(page, &inputs)?,
        digest(dist, &outputs)?
    ))
}

/// Every file below a folder, in order, without the named entries at its top. No folder, no files.
fn files(folder: &Path, without: &[&str]) -> Fallible<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(current) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&current) else {
            continue;
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            if current == folder && without.iter().any(|other| name == **other) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// A hash of names and contents. It need only differ when they do; another version of Rust may
/// compute another one, which costs one build too many.
fn digest(folder: &Path, files: &[PathBuf]) -> Fallible<u64> {
    let mut hasher = DefaultHasher::new();
    for file in files {
        let content = std::fs::read(file)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        file.strip_prefix(folder).unwrap_or(file).hash(&mut hasher);
        content.hash(&mut hasher);
    }
    Ok(hasher.finish())
}

fn read(stamp: &Path) -> Option<String> {
    std::fs::read_to_string(stamp).ok()
}

fn write(stamp: &Path, text: &str) -> Fallible {
    std::fs::write(stamp, text)
        .map_err(|error| format!("cannot write {}: {error}", stamp.display()).into())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, SystemTime};

    use super::*;

    fn page(name: &str) -> PathBuf {
        let page = std::env::temp_dir().join(format!("xtask-web-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&page);
        fs::create_dir_all(page.join("src")).unwrap();
        fs::create_dir_all(page.join("dist/assets")).unwrap();
        fs::write(page.join("src/main.ts"), "one").unwrap();
        fs::write(page.join("dist/assets/main.js"), "uno").unwrap();
        page
    }

    fn stamp(page: &Path) -> String {
        build_stamp(page, &page.join("dist")).unwrap()
    }

    #[test]
    fn a_new_content_with_an_old_time_changes_the_stamp() {
        let page = page("old-time");
        let before = stamp(&page);
        let source = page.join("src/main.ts");
        fs::write(&source, "two").unwrap();
        let past = SystemTime::now() - Duration::from_hours(24);
        fs::File::options()
            .append(true)
            .open(&source)
            .unwrap()
            .set_modified(past)
            .unwrap();
        assert_ne!(before, stamp(&page));
        fs::remove_dir_all(page).unwrap();
    }

    #[test]
    fn the_same_content_with_a_new_time_keeps_the_stamp() {
        let page = page("new-time");
        let before = stamp(&page);
        fs::write(page.join("src/main.ts"), "one").unwrap();
        assert_eq!(before, stamp(&page));
        fs::remove_dir_all(page).unwrap();
    }

    #[test]
    fn a_damaged_or_missing_output_changes_the_stamp() {
        let page = page("damage");
        let before = stamp(&page);
        fs::write(page.join("dist/assets/main.js"), "u").unwrap();
        assert_ne!(before, stamp(&page));
        fs::remove_dir_all(page.join("dist")).unwrap();
        assert_ne!(before, stamp(&page));
        fs::remove_dir_all(page).unwrap();
    }

    #[test]
    fn a_moved_file_changes_the_stamp() {
        let page = page("move");
        let before = stamp(&page);
        fs::rename(page.join("src/main.ts"), page.join("src/start.ts")).unwrap();
        assert_ne!(before, stamp(&page));
        fs::remove_dir_all(page).unwrap();
    }
}
