//! `barograph doctor`: is everything in the data folder whole?
//!
//! It needs the folder for itself, so no agent may run on it. Opening a damaged database changes it, so a checkup is
//! made on a copy within the folder, and with `--repair` in place. What is there goes to stdout as a table, then what
//! is wrong with what to do; findings make the exit code 1.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::Failure;
use super::origin::{folder, note, require_data};
use super::table::{Align, columns, quantity};
use crate::catalog::Unit;
use crate::clock::Clock;
use crate::moment::Shown;
use crate::store::checkup::{self, Checkup, Part};
use crate::store::folder::{Folder, disk_bytes};
use crate::words;

/// The copy; one that a killed doctor left is replaced.
const COPY: &str = "doctor-copy";
/// What a checkup looks at.
const PARTS: [&str; 7] = ["schema", "names", "core", "head", "raw", "m1", "h1"];

pub(super) fn run(
    config: Option<&Path>,
    data_dir: Option<PathBuf>,
    repair: bool,
) -> Result<(), Failure> {
    let (root, config) = folder(config, data_dir)?;
    require_data(&root)?;
    let owned = Folder::take(&root)?;
    let mut notes = owned.notes().to_vec();
    let now_ms = Clock::system().now_ms();
    let checkup = if repair {
        // The engine takes it again.
        drop(owned);
        checkup::run(&root, config.store, now_ms)?
    } else {
        let copy = Copy::make(&root, &owned)?;
        checkup::run(&copy.0, config.store, now_ms)?
    };
    notes.retain(|note| !checkup.findings.iter().any(|finding| finding.what == *note));
    let mut out = io::stdout().lock();
    out.write_all(table(&checkup.parts).as_bytes())?;
    let quarantine = disk_bytes(&root.join("quarantine"));
    let kept = fs::read_dir(root.join("quarantine")).map_or(0, Iterator::count);
    if kept > 0 {
        let bytes = quantity(Some(quarantine as f64), Unit::Bytes, false);
        writeln!(
            out,
            "quarantine: {bytes} in {}, of earlier repairs; remove it when you don't need it",
            words::count(kept, "folder", "folders")
        )?;
    }
    out.write_all(findings(&notes, &checkup, repair).as_bytes())?;
    out.flush()?;
    let count = notes.len() + checkup.findings.len();
    if count > 0 {
        return Err(Failure::Running(format!(
            "{} in {}",
            words::count(count, "finding", "findings"),
            root.display()
        )));
    }
    Ok(())
}

/// A copy of the folder, gone when it is dropped.
struct Copy(PathBuf);

impl Copy {
    fn make(root: &Path, owned: &Folder) -> Result<Self, Failure> {
        let copy = Self(root.join(COPY));
        remove(&copy.0).map_err(|error| Failure::DataFolder(at(&copy.0, &error)))?;
        let needed: u64 = PARTS.iter().map(|part| disk_bytes(&root.join(part))).sum();
        let free = owned.space()?.free_bytes;
        if needed >= free {
            let shown = |bytes: u64| quantity(Some(bytes as f64), Unit::Bytes, false);
            let message = format!(
                "the copy that is checked needs {}, and {} has {} left; make room, or check in place with --repair",
                shown(needed),
                root.display(),
                shown(free)
            );
            return Err(Failure::DataFolder(message));
        }
        note(&format!("checking a copy in {}", copy.0.display()));
        fs::create_dir(&copy.0).map_err(|error| Failure::DataFolder(at(&copy.0, &error)))?;
        for part in PARTS {
            copy_all(&root.join(part), &copy.0.join(part)).map_err(Failure::DataFolder)?;
        }
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.0) {
            note(&format!("{}; remove it yourself", at(&self.0, &error)));
        }
    }
}

fn at(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A file or a folder with everything in it; what is not there is not there in the copy either.
fn copy_all(from: &Path, to: &Path) -> Result<(), String> {
    let fail = |error: io::Error| at(from, &error);
    if from.is_dir() {
        fs::create_dir(to).map_err(fail)?;
        for entry in fs::read_dir(from).map_err(fail)? {
            let name = entry.map_err(fail)?.file_name();
            copy_all(&from.join(&name), &to.join(&name))?;
        }
        Ok(())
    } else if from.exists() {
        fs::copy(from, to).map(drop).map_err(fail)
    } else {
        Ok(())
    }
}

fn table(parts: &[Part]) -> String {
    let head = [
        ("PART", Align::Left),
        ("FROM", Align::Left),
        ("TO", Align::Left),
        ("FOLDERS", Align::Right),
        ("BLOCKS", Align::Right),
        ("SERIES", Align::Right),
        ("SAMPLES", Align::Right),
        ("ON DISK", Align::Right),
        ("A SAMPLE", Align::Right),
    ];
    let rows: Vec<_> = parts.iter().map(row).collect();
    columns(&head, &rows)
}

fn row(part: &Part) -> Vec<String> {
    let none = || "-".to_owned();
    let (from, to) = part.span_ms.map_or_else(
        || (none(), none()),
        |(from, to)| (Shown(from).to_string(), Shown(to).to_string()),
    );
    let each = if part.samples == 0 {
        none()
    } else {
        format!("{:.2} B", part.bytes as f64 / part.samples as f64)
    };
    vec![
        part.name.to_owned(),
        from,
        to,
        part.folders.to_string(),
        part.blocks.to_string(),
        part.series.to_string(),
        part.samples.to_string(),
        quantity(Some(part.bytes as f64), Unit::Bytes, false),
        each,
    ]
}

fn findings(notes: &[String], checkup: &Checkup, is_repair: bool) -> String {
    if notes.is_empty() && checkup.findings.is_empty() {
        return "everything is whole\n".to_owned();
    }
    let mut text = String::new();
    for note in notes {
        let _ = writeln!(text, "found: {note}");
    }
    for finding in &checkup.findings {
        let _ = writeln!(text, "found: {}", finding.what);
    }
    let mut advice: Vec<_> = checkup
        .findings
        .iter()
        .map(|finding| finding.advice)
        .collect();
    advice.dedup();
    if is_repair {
        text +=
            "repaired what could be repaired; run it again without --repair to see what is left\n";
    } else {
        for advice in advice {
            let _ = writeln!(text, "what to do: {advice}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::checkup::Finding;

    #[test]
    fn the_table_says_what_a_sample_takes() {
        let parts = [
            Part {
                name: "core",
                folders: 1,
                series: 120,
                bytes: 524_288,
                ..Part::default()
            },
            Part {
                name: "raw",
                folders: 4,
                span_ms: Some((1_795_219_200_000, 1_795_305_600_000)),
                blocks: 24,
                series: 500,
                samples: 43_200_000,
                bytes: 19_440_000,
            },
        ];
        let expected = "\
PART  FROM                  TO                    FOLDERS  BLOCKS  SERIES   SAMPLES    ON DISK  A SAMPLE
core  -                     -                           1       0     120         0    512 KiB         -
raw   2026-11-21T00:00:00Z  2026-11-22T00:00:00Z        4      24     500  43200000  18.54 MiB    0.45 B
";
        assert_eq!(table(&parts), expected);
    }

    #[test]
    fn findings_say_what_to_do_once() {
        let finding = |what: &str| Finding {
            what: what.to_owned(),
            advice: "do this",
        };
        let checkup = Checkup {
            parts: Vec::new(),
            findings: vec![finding("a"), finding("b")],
        };
        assert_eq!(
            findings(&[], &checkup, false),
            "found: a\nfound: b\nwhat to do: do this\n"
        );
        assert!(findings(&[], &checkup, true).contains("repaired what could be"));
        assert_eq!(
            findings(&[], &Checkup::default(), false),
            "everything is whole\n"
        );
    }

    #[test]
    fn a_copy_has_everything_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for part in ["core", "raw/0", "quarantine"] {
            fs::create_dir_all(root.join(part)).unwrap();
            fs::write(root.join(part).join("db"), part).unwrap();
        }
        let owned = Folder::take(root).unwrap();
        let copy = Copy::make(root, &owned).unwrap();
        assert_eq!(
            fs::read(root.join(COPY).join("raw/0/db")).unwrap(),
            b"raw/0"
        );
        assert!(root.join(COPY).join("schema").is_file());
        assert!(!root.join(COPY).join("quarantine").exists());
        drop(copy);
        assert!(!root.join(COPY).exists());
    }
}
