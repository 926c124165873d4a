//! `cargo xtask test`: sets up what is missing, then runs every test there is.
//!
//! Rust's through nextest where it is installed, the doctests, the page's checks and unit tests,
//! and the end-to-end tests in a real browser. A skipped test fails the run, except one that says
//! it needs `../shared` where that folder is absent. A failed step does not stop later ones, but
//! those that can't work without it.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use lexopt::ValueExt as _;

use crate::needs;
use crate::node::Node;
use crate::place::Place;
use crate::shell::{self, Fallible};
use crate::tally::{self, Tally};
use crate::web;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Rust,
    Page,
    EndToEnd,
}

#[derive(Debug, Default)]
pub(crate) struct Options {
    filter: Option<String>,
    only: Option<Part>,
}

impl Options {
    pub(crate) fn parse(parser: &mut lexopt::Parser) -> Fallible<Self> {
        let mut options = Self::default();
        while let Some(argument) = parser.next()? {
            match argument {
                lexopt::Arg::Long("only") => {
                    options.only = Some(match parser.value()?.string()?.as_str() {
                        "rust" => Part::Rust,
                        "page" => Part::Page,
                        "e2e" => Part::EndToEnd,
                        other => {
                            return Err(
                                format!("--only takes rust, page or e2e, not {other}").into()
                            );
                        }
                    });
                }
                lexopt::Arg::Value(filter) if options.filter.is_none() => {
                    options.filter = Some(filter.string()?);
                }
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(options)
    }

    fn wants(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }
}

/// Returns whether everything passed; the table and the totals have then been printed.
pub(crate) fn test(options: &Options) -> Fallible<bool> {
    let place = Place::find()?;
    let mut report = Report::default();
    let node = report.step("set-up", || {
        needs::ensure(&[
            &needs::C_COMPILER,
            &needs::CXX_COMPILER,
            &needs::MAKE,
            &needs::CURL,
            &needs::CHROMIUM,
            &needs::PROMTOOL,
            &needs::NODE_EXPORTER,
        ])?;
        Node::ensure(&place)
    });
    if let Some(node) = node {
        let suite = Suite {
            shared_is_absent: !place.root.join("../shared").is_dir(),
            place: &place,
            node: &node,
            options,
        };
        suite.run(&mut report);
    }
    Ok(report.close())
}

struct Suite<'a> {
    place: &'a Place,
    node: &'a Node,
    options: &'a Options,
    shared_is_absent: bool,
}

impl Suite<'_> {
    fn run(&self, report: &mut Report) {
        let page = report.step("page build", || web::build(self.place, self.node));
        if self.options.wants(Part::Page) && page.is_some() {
            self.page(report);
        }
        if !self.options.wants(Part::Rust) && !self.options.wants(Part::EndToEnd) {
            return;
        }
        // Test runners build neither a plugin's library nor the SDK's examples of their own accord.
        let built = report.step("build", || {
            shell::run(self.place.cargo().args(["build", "--workspace"]))?;
            shell::run(self.place.cargo().args([
                "build",
                "--package",
                "barograph-sdk",
                "--examples",
            ]))
        });
        if built.is_none() {
            return;
        }
        if self.options.wants(Part::Rust) {
            report.tests("Rust tests", || self.rust());
            report.tests("doctests", || self.doctests());
        }
        if self.options.wants(Part::EndToEnd) && page.is_some() {
            report.tests("end to end", || self.vitest("e2e"));
        }
    }

    fn page(&self, report: &mut Report) {
        for (name, script) in [("page types", "typecheck"), ("page lint", "lint")] {
            report.step(name, || shell::run(&mut self.node.npm(&["run", script])));
        }
        report.tests("page tests", || self.vitest("test"));
    }

    fn rust(&self) -> Fallible<Tally> {
        let has_nextest = self
            .place
            .cargo()
            .args(["nextest", "--version"])
            .output()
            .is_ok_and(|output| output.status.success());
        let (success, mut tally, said) = if has_nextest {
            self.nextest()?
        } else {
            self.libtest()?
        };
        for line in tally::self_skips(&said, self.shared_is_absent) {
            println!("a test left itself out, {line}");
            tally.passed = tally.passed.saturating_sub(1);
            tally.skipped += 1;
        }
        self.judge(success, tally)
    }

    fn nextest(&self) -> Fallible<(bool, Tally, String)> {
        // nextest's own folder lies at the root, wherever the target folder is.
        let junit = self.place.root.join("target/nextest/default/junit.xml");
        let _ = std::fs::remove_file(&junit);
        let config = self.place.root.join("xtask/nextest.toml");
        let mut command = self.place.cargo();
        command
            .args([
                "nextest",
                "run",
                "--workspace",
                "--no-fail-fast",
                "--no-tests=pass",
            ])
            .arg("--tool-config-file")
            .arg(format!("xtask:{}", config.display()))
            .args(&self.options.filter);
        let told = shell::tell(self.with_fixtures(&mut command))?;
        let mut tally = Tally::of_nextest(&told.text);
        let said = if tally.passed > 0 {
            read(&junit)?
        } else {
            String::new()
        };
        if self.options.filter.is_some() {
            // nextest counts what the filter left out as skipped.
            tally.skipped = 0;
        }
        Ok((told.success, tally, said))
    }

    fn libtest(&self) -> Fallible<(bool, Tally, String)> {
        let mut command = self.place.cargo();
        command
            .args([
                "test",
                "--workspace",
                "--lib",
                "--bins",
                "--tests",
                "--no-fail-fast",
            ])
            .args(&self.options.filter)
            .args(["--", "--show-output"]);
        let told = shell::tell(self.with_fixtures(&mut command))?;
        Ok((told.success, Tally::of_libtest(&told.text), told.text))
    }

    fn doctests(&self) -> Fallible<Tally> {
        let mut command = self.place.cargo();
        command
            .args(["test", "--workspace", "--doc", "--no-fail-fast"])
            .args(&self.options.filter);
        let told = shell::tell(self.with_fixtures(&mut command))?;
        self.judge(told.success, Tally::of_libtest(&told.text))
    }

    fn vitest(&self, script: &str) -> Fallible<Tally> {
        let file = self.place.target.join(format!("vitest-{script}.json"));
        let _ = std::fs::remove_file(&file);
        let mut command = self.node.npm(&["run", script, "--", "--reporter=default"]);
        command
            .arg("--reporter=json")
            .arg(format!("--outputFile.json={}", file.display()));
        if let Some(filter) = &self.options.filter {
            command.args(["-t", filter]);
        }
        let told = shell::tell(self.with_fixtures(&mut command))?;
        let text = read(&file)?;
        let mut tally = Tally::of_vitest(&text, self.shared_is_absent)
            .ok_or_else(|| format!("{} is no report of vitest", file.display()))?;
        if self.options.filter.is_some() {
            tally.skipped = 0;
        }
        self.judge(told.success, tally)
    }

    /// Tells the tests where the built agent, the plugins' libraries and the fixtures are.
    fn with_fixtures<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .env("TEST_PLUGIN_DIR", self.place.target.join("debug"))
            .env("TEST_AGENT", self.place.agent("debug"))
    }

    fn judge(&self, success: bool, mut tally: Tally) -> Fallible<Tally> {
        if !success && tally.failed == 0 {
            return Err("the runner failed; see its output above".into());
        }
        if tally == Tally::default() && self.options.filter.is_none() {
            return Err("the runner named no test".into());
        }
        if tally.skipped > 0 {
            println!(
                "{} tests were skipped; each counts as failed",
                tally.skipped
            );
            tally.failed += tally.skipped;
        }
        Ok(tally)
    }
}

fn read(file: &Path) -> Fallible<String> {
    std::fs::read_to_string(file)
        .map_err(|error| format!("cannot read {}: {error}", file.display()).into())
}

/// What has been done so far, for the closing table.
#[derive(Debug, Default)]
struct Report {
    rows: Vec<Row>,
    total: Tally,
}

#[derive(Debug)]
struct Row {
    step: &'static str,
    seconds: f64,
    result: String,
    is_good: bool,
}

impl Report {
    /// Runs a step; `None` means that it failed.
    fn step<T>(&mut self, step: &'static str, work: impl FnOnce() -> Fallible<T>) -> Option<T> {
        println!("\n== {step}");
        let began = Instant::now();
        let outcome = work();
        self.rows.push(Row {
            step,
            seconds: began.elapsed().as_secs_f64(),
            result: match &outcome {
                Ok(_) => "ok".to_owned(),
                Err(error) => error.to_string(),
            },
            is_good: outcome.is_ok(),
        });
        outcome
            .inspect_err(|error| {
                eprintln!("{step}: {error}");
                self.total.failed += 1;
            })
            .ok()
    }

    /// Runs a step that counts tests.
    fn tests(&mut self, step: &'static str, work: impl FnOnce() -> Fallible<Tally>) {
        if let Some(tally) = self.step(step, work) {
            let row = self.rows.last_mut().expect("the step has just been added");
            row.result = format!("{} passed, {} failed", tally.passed, tally.failed);
            row.is_good = tally.failed == 0;
            self.total.add(tally);
        }
    }

    /// Prints the table and the totals. A step that failed as a whole counts as one failure.
    fn close(self) -> bool {
        println!("\n{:<12} {:>8}  result", "step", "seconds");
        for row in &self.rows {
            println!("{:<12} {:>8.1}  {}", row.step, row.seconds, row.result);
        }
        println!(
            "\n{} passed, {} failed",
            self.total.passed, self.total.failed
        );
        self.rows.iter().all(|row| row.is_good)
    }
}
