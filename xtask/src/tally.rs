//! Adding up what the test runners say: how many tests passed, failed, were left out.
//!
//! Pure: each function takes a runner's output as text. A runner whose summary can't be found
//! counts as nothing run, which `test` treats as a failure of its step.

use serde_json::Value;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// Marked as ignored, skipped or to do, whatever the runner calls it.
    pub(crate) skipped: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// Reads `Summary [ 0.5s] 12 tests run: 10 passed (1 slow), 2 failed, 3 skipped`.
    pub(crate) fn of_nextest(text: &str) -> Self {
        let plain = without_colours(text);
        let Some(summary) = plain
            .lines()
            .rev()
            .find(|line| line.trim_start().starts_with("Summary ["))
        else {
            return Self::default();
        };
        let number = |words: &[&str]| -> u64 {
            let tokens: Vec<&str> = summary
                .split([' ', ',', '(', ')'])
                .filter(|token| !token.is_empty())
                .collect();
            tokens
                .windows(1 + words.len())
                .find(|window| &window[1..] == words)
                .and_then(|window| window[0].split('/').next()?.parse().ok())
                .unwrap_or(0)
        };
        let run = number(&["tests", "run:"]) + number(&["test", "run:"]);
        let passed = number(&["passed"]);
        Self {
            passed,
            failed: run.saturating_sub(passed),
            skipped: number(&["skipped"]),
        }
    }

    /// Adds up every `test result: ok. 3 passed; 0 failed; 1 ignored; …` of cargo's own runner.
    pub(crate) fn of_libtest(text: &str) -> Self {
        let mut tally = Self::default();
        for line in without_colours(text).lines() {
            let Some(result) = line.trim_start().strip_prefix("test result:") else {
                continue;
            };
            let number = |word: &str| -> u64 {
                result
                    .split([';', '.'])
                    .filter_map(|part| part.trim().strip_suffix(word))
                    .find_map(|number| number.trim().parse().ok())
                    .unwrap_or(0)
            };
            tally.add(Self {
                passed: number("passed"),
                failed: number("failed"),
                skipped: number("ignored"),
            });
        }
        tally
    }

    /// Reads the file of vitest's JSON reporter. A test may be skipped for one reason only: its
    /// name says that it needs `../shared`, and that folder is absent.
    pub(crate) fn of_vitest(text: &str, shared_is_absent: bool) -> Option<Self> {
        let report: Value = serde_json::from_str(text).ok()?;
        let mut tally = Self::default();
        for file in report["testResults"].as_array()? {
            let tests = file["assertionResults"].as_array()?;
            // A file that fails before its first test would otherwise count as nothing.
            if tests.is_empty() && file["status"] == "failed" {
                tally.failed += 1;
            }
            for test in tests {
                let name = test["fullName"].as_str().unwrap_or_default();
                match test["status"].as_str()? {
                    "passed" => tally.passed += 1,
                    "failed" => tally.failed += 1,
                    _ if shared_is_absent && name.contains("../shared") => {}
                    _ => tally.skipped += 1,
                }
            }
        }
        Some(tally)
    }
}

/// The lines by which Rust tests say that they did not run, other than for an absent `../shared`.
///
/// Rust has no way to skip a test at run time, so that ours print `skipped: REASON` and return.
pub(crate) fn self_skips(text: &str, shared_is_absent: bool) -> Vec<String> {
    without_colours(text)
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("skipped:"))
        .filter(|line| !(shared_is_absent && line.contains("../shared")))
        .map(str::to_owned)
        .collect()
}

fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("\u{1b}[") {
        plain.push_str(&rest[..start]);
        let tail = &rest[start..];
        rest = tail.find('m').map_or("", |end| &tail[end + 1..]);
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u64, failed: u64, skipped: u64) -> Tally {
        Tally {
            passed,
            failed,
            skipped,
        }
    }

    #[test]
    fn nextest_summaries() {
        let cases = [
            (
                "     Summary [   0.011s] 3 tests run: 3 passed, 0 skipped",
                tally(3, 0, 0),
            ),
            (
                "     Summary [   0.011s] 1 test run: 1 passed, 0 skipped",
                tally(1, 0, 0),
            ),
            (
                "     Summary [  12.500s] 12 tests run: 9 passed (2 slow, 1 flaky), 2 failed, 1 timed out, 4 skipped",
                tally(9, 3, 4),
            ),
            (
                "     Summary [   1.000s] 5/9 tests run: 4 passed, 1 failed, 0 skipped",
                tally(4, 1, 0),
            ),
            (
                "\u{1b}[32;1m     Summary\u{1b}[0m [   0.011s] 3 tests run: 3 passed, 0 skipped",
                tally(3, 0, 0),
            ),
            ("error: could not compile", tally(0, 0, 0)),
        ];
        for (text, expected) in cases {
            assert_eq!(Tally::of_nextest(text), expected, "{text}");
        }
    }

    #[test]
    fn libtest_summaries_are_added_up() {
        let text = "\
test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s
test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s
";
        assert_eq!(Tally::of_libtest(text), tally(5, 4, 1));
    }

    #[test]
    fn vitest_skips_count_unless_the_shared_folder_is_their_reason() {
        let text = r#"{"testResults":[
            {"status":"passed","assertionResults":[
                {"status":"passed","fullName":"a"},
                {"status":"skipped","fullName":"b"},
                {"status":"skipped","fullName":"c (needs ../shared)"},
                {"status":"todo","fullName":"d"}]},
            {"status":"failed","assertionResults":[]}]}"#;
        assert_eq!(Tally::of_vitest(text, true), Some(tally(1, 1, 2)));
        assert_eq!(Tally::of_vitest(text, false), Some(tally(1, 1, 3)));
        assert_eq!(Tally::of_vitest("{", true), None);
    }

    #[test]
    fn a_test_that_skips_itself_is_seen() {
        let text =
            "skipped: no promtool\nskipped: ../shared is absent\nnothing was skipped: fine\n";
        assert_eq!(self_skips(text, true), ["skipped: no promtool"]);
        assert_eq!(self_skips(text, false).len(), 2);
    }
}
