//! A line of a measurement's result: what, target, figure, and whether it is met.

use std::fmt;

#[derive(Debug)]
pub(crate) struct Row {
    what: String,
    target: String,
    figure: String,
    verdict: &'static str,
}

impl Row {
    /// A figure that must not exceed a limit; `unit` is written after both.
    pub(crate) fn at_most(what: impl Into<String>, limit: f64, figure: f64, unit: &str) -> Self {
        Self {
            what: what.into(),
            target: format!("<= {limit} {unit}"),
            figure: format!("{figure:.2} {unit}"),
            verdict: if figure <= limit { "met" } else { "unmet" },
        }
    }

    /// A figure that is told without a target.
    pub(crate) fn told(what: impl Into<String>, figure: impl fmt::Display) -> Self {
        Self {
            what: what.into(),
            target: "-".to_owned(),
            figure: figure.to_string(),
            verdict: "-",
        }
    }
}

pub(crate) fn print(rows: &[Row]) {
    let width = rows
        .iter()
        .map(|row| row.what.chars().count())
        .max()
        .unwrap_or(0);
    println!(
        "\n{:<width$}  {:>16}  {:>16}  result",
        "what", "target", "figure"
    );
    for row in rows {
        println!(
            "{:<width$}  {:>16}  {:>16}  {}",
            row.what, row.target, row.figure, row.verdict
        );
    }
}

#[cfg(test)]
mod tests {
    use super::Row;

    #[test]
    fn a_limit_is_met_up_to_itself() {
        assert_eq!(Row::at_most("", 0.6, 0.6, "%").verdict, "met");
        assert_eq!(Row::at_most("", 0.6, 0.61, "%").verdict, "unmet");
        assert_eq!(Row::at_most("", 0.6, f64::NAN, "%").verdict, "unmet");
    }
}
