//! Golden files: text that a test expects, kept beside it and written by the test itself.
//!
//! `BLESS=1 cargo test` writes the files anew; what changed is then seen in the diff of the commit. A
//! relative path begins at the package's folder, which cargo names to the tests that it runs and which
//! is also their working folder.

use std::{
    collections::HashMap,
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// More lines of a difference than these are only counted.
const LINES_MAX: usize = 40;

/// Compares a text with a file of the package, such as `tests/golden/load.txt`.
///
/// # Panics
/// With the lines that differ, when they do.
#[track_caller]
pub fn assert_golden(file: impl AsRef<Path>, text: &str) {
    let is_blessed = env::var_os("BLESS").is_some_and(|bless| bless == "1");
    if let Err(why) = compare(&of_package(file.as_ref()), text, is_blessed) {
        panic!("{why}");
    }
}

fn compare(path: &Path, text: &str, is_blessed: bool) -> Result<(), String> {
    let failed = |error| format!("{}: {error}", path.display());
    if is_blessed {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(failed)?;
        return fs::write(path, text).map_err(failed);
    }
    let expected = fs::read_to_string(path)
        .map_err(|error| format!("{}; BLESS=1 writes it", failed(error)))?;
    if expected == text {
        return Ok(());
    }
    Err(format!(
        "{} differs (- the file, + this run; BLESS=1 writes it anew):\n{}",
        path.display(),
        difference(&expected, text)
    ))
}

fn of_package(file: &Path) -> PathBuf {
    env::var_os("CARGO_MANIFEST_DIR").map_or_else(
        || file.to_path_buf(),
        |package| Path::new(&package).join(file),
    )
}

/// The lines of one text that the other has not, each with its number in its own text. A line that
/// moved is in both lists.
fn difference(expected: &str, actual: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), actual.lines().collect());
    // How often each line is still to come.
    let (mut old_left, mut new_left) = (counts(&old), counts(&new));
    let mut out = Difference::default();
    let (mut o, mut n) = (0, 0);
    while o < old.len() || n < new.len() {
        if let (Some(was), Some(is)) = (old.get(o), new.get(n))
            && was == is
        {
            take(&mut old_left, was);
            take(&mut new_left, is);
            (o, n) = (o + 1, n + 1);
            continue;
        }
        // What is new here is told first only where the file's line comes later in this run.
        match (old.get(o), new.get(n)) {
            (Some(was), Some(is)) if left(&new_left, was) && !left(&old_left, is) => {
                out.line('+', n, is);
                take(&mut new_left, is);
                n += 1;
            }
            (Some(was), _) => {
                out.line('-', o, was);
                take(&mut old_left, was);
                o += 1;
            }
            (None, Some(is)) => {
                out.line('+', n, is);
                take(&mut new_left, is);
                n += 1;
            }
            (None, None) => unreachable!("one of them has a line left"),
        }
    }
    out.finish(expected, actual)
}

fn counts<'a>(lines: &[&'a str]) -> HashMap<&'a str, usize> {
    lines.iter().fold(HashMap::new(), |mut counts, line| {
        *counts.entry(*line).or_default() += 1;
        counts
    })
}

fn take(counts: &mut HashMap<&str, usize>, line: &str) {
    if let Some(count) = counts.get_mut(line) {
        *count -= 1;
    }
}

fn left(counts: &HashMap<&str, usize>, line: &str) -> bool {
    counts.get(line).is_some_and(|count| *count > 0)
}

#[derive(Debug, Default)]
struct Difference {
    text: String,
    lines: usize,
}

impl Difference {
    fn line(&mut self, mark: char, index: usize, line: &str) {
        self.lines += 1;
        if self.lines <= LINES_MAX {
            writeln!(self.text, "{mark} {:>4} {line}", index + 1).expect("a String takes all");
        }
    }

    fn finish(mut self, expected: &str, actual: &str) -> String {
        if self.lines > LINES_MAX {
            let more = self.lines - LINES_MAX;
            writeln!(self.text, "and {more} lines more").expect("a String takes all");
        }
        if self.lines == 0 && expected != actual {
            self.text += "only in how lines end\n";
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_differ_are_shown_with_their_numbers() {
        let cases = [
            (
                "a 1\nb 2\nc 3\n",
                "a 1\nb 5\nc 3\n",
                "-    2 b 2\n+    2 b 5\n",
            ),
            ("a 1\nc 3\n", "a 1\nb 2\nc 3\n", "+    2 b 2\n"),
            ("a 1\nb 2\nc 3\n", "a 1\nc 3\n", "-    2 b 2\n"),
            ("a 1\nb 2\n", "b 2\na 1\n", "-    1 a 1\n+    2 a 1\n"),
            ("", "a 1\n", "+    1 a 1\n"),
            ("a 1\na 1\n", "a 1\n", "-    2 a 1\n"),
            ("a 1\n", "a 1", "only in how lines end\n"),
            ("a 1\n", "a 1\n", ""),
        ];
        for (expected, actual, shown) in cases {
            assert_eq!(
                difference(expected, actual),
                shown,
                "{expected:?} {actual:?}"
            );
        }
    }

    #[test]
    fn a_long_difference_is_cut() {
        let many = "a line\n".repeat(LINES_MAX + 3);
        let shown = difference(&many, "");
        assert_eq!(shown.lines().count(), LINES_MAX + 1);
        assert!(shown.ends_with("and 3 lines more\n"), "{shown}");
    }

    #[test]
    fn a_file_is_written_on_request_and_compared_without() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/load.txt");
        let missing = compare(&path, "load 1\n", false).unwrap_err();
        assert!(missing.ends_with("BLESS=1 writes it"), "{missing}");
        assert_eq!(compare(&path, "load 1\n", true), Ok(()));
        assert_eq!(compare(&path, "load 1\n", false), Ok(()));
        let differs = compare(&path, "load 2\n", false).unwrap_err();
        assert!(
            differs.ends_with("\n-    1 load 1\n+    1 load 2\n"),
            "{differs}"
        );
    }
}
