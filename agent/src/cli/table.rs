//! Numbers and lines for people: values with their unit, small charts of block characters, aligned columns. Pure.

use std::fmt::Write as _;

use crate::catalog::Unit;

/// Characters of a chart; more would not fit beside the rest into a terminal.
const CHART_WIDTH: usize = 40;
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A value with its unit, to four digits: `1.25 GiB`, `12.3 %`, `0.0042 s`; `-` where there is none.
pub(super) fn quantity(value: Option<f64>, unit: Unit, is_rate: bool) -> String {
    let Some(value) = value.filter(|value| value.is_finite()) else {
        return "-".to_owned();
    };
    let per = if is_rate { "/s" } else { "" };
    match unit {
        Unit::Bytes => {
            let (scaled, prefix) = scale(value, 1_024.0, &["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]);
            format!("{} {prefix}B{per}", digits(scaled))
        }
        Unit::Ratio => format!("{} %{per}", digits(value * 100.0)),
        Unit::Seconds => format!("{} s{per}", digits(value)),
        Unit::Hertz => {
            let (scaled, prefix) = scale(value, 1_000.0, &["", "k", "M", "G", "T"]);
            format!("{} {prefix}Hz{per}", digits(scaled))
        }
        Unit::Celsius => format!("{} °C", digits(value)),
        Unit::Count | Unit::Packets | Unit::Operations | Unit::Info => {
            let (scaled, prefix) = scale(value, 1_000.0, &["", "k", "M", "G", "T", "P"]);
            format!("{}{prefix}{per}", digits(scaled))
        }
    }
}

fn scale<'a>(value: f64, base: f64, prefixes: &[&'a str]) -> (f64, &'a str) {
    let mut scaled = value;
    for prefix in &prefixes[..prefixes.len() - 1] {
        if scaled.abs() < base * 0.99995 {
            return (scaled, prefix);
        }
        scaled /= base;
    }
    (scaled, prefixes[prefixes.len() - 1])
}

/// Four digits that count, without zeros at the end.
fn digits(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e6).contains(&size) {
        return format!("{value:.3e}");
    }
    let decimals = match size {
        size if size >= 999.95 => 0,
        size if size >= 99.995 => 1,
        size if size >= 9.9995 => 2,
        size if size >= 0.99995 => 3,
        size if size >= 0.1 => 4,
        size if size >= 0.01 => 5,
        size if size >= 0.001 => 6,
        _ => 7,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// The means as a small chart from the least to the greatest; a gap is a space.
pub(super) fn chart(values: &[Option<f64>]) -> String {
    let width = values.len().min(CHART_WIDTH);
    let cells: Vec<Option<f64>> = (0..width)
        .map(|cell| {
            let part = &values[cell * values.len() / width..(cell + 1) * values.len() / width];
            let known: Vec<f64> = part.iter().flatten().copied().collect();
            (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
        })
        .collect();
    let known = || cells.iter().flatten().copied();
    let (low, high) = (
        known().fold(f64::INFINITY, f64::min),
        known().fold(f64::NEG_INFINITY, f64::max),
    );
    cells
        .iter()
        .map(|cell| match cell {
            None => ' ',
            Some(_) if high <= low => BLOCKS[0],
            Some(value) => {
                let share = (value - low) / (high - low) * (BLOCKS.len() - 1) as f64;
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 7.
                let at = share.round() as usize;
                BLOCKS[at.min(BLOCKS.len() - 1)]
            }
        })
        .collect()
}

/// How a column's cells stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// Aligned columns with a head; no space at the end of a line.
pub(super) fn columns(head: &[(&str, Align)], rows: &[Vec<String>]) -> String {
    let width = |text: &str| text.chars().count();
    let widths: Vec<usize> = head
        .iter()
        .enumerate()
        .map(|(at, (title, _))| {
            let cells = rows.iter().map(|row| width(&row[at]));
            cells.chain([width(title)]).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    let titles: Vec<String> = head.iter().map(|(title, _)| (*title).to_owned()).collect();
    for row in std::iter::once(&titles).chain(rows) {
        let mut line = String::new();
        for ((cell, (_, align)), &wanted) in row.iter().zip(head).zip(&widths) {
            let pad = " ".repeat(wanted - width(cell));
            let _ = match align {
                Align::Left => write!(line, "{cell}{pad}  "),
                Align::Right => write!(line, "{pad}{cell}  "),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A length of time in its greatest units: `1 s`, `5 min`, `1 h 30 min`.
pub(super) fn length(ms: i64) -> String {
    if ms < 1_000 {
        return format!("{ms} ms");
    }
    let units = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("min", 60_000),
        ("s", 1_000),
    ];
    let mut rest = ms;
    let mut parts = Vec::new();
    for (unit, unit_ms) in units {
        if rest >= unit_ms {
            parts.push(format!("{} {unit}", rest / unit_ms));
            rest %= unit_ms;
        }
    }
    parts.truncate(2);
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities() {
        let cases = [
            (0.0, Unit::Bytes, false, "0 B"),
            (1_342_177_280.0, Unit::Bytes, false, "1.25 GiB"),
            (1_048_575.9, Unit::Bytes, true, "1 MiB/s"),
            (0.1234, Unit::Ratio, false, "12.34 %"),
            (0.0042, Unit::Seconds, false, "0.0042 s"),
            (0.25, Unit::Seconds, true, "0.25 s/s"),
            (2_500_000_000.0, Unit::Hertz, false, "2.5 GHz"),
            (48.0, Unit::Celsius, false, "48 °C"),
            (999.96, Unit::Count, false, "1k"),
            (123_456.0, Unit::Packets, true, "123.5k/s"),
            (-1.5, Unit::Count, false, "-1.5"),
            (1e-9, Unit::Count, false, "1.000e-9"),
            (1e300, Unit::Seconds, false, "1.000e300 s"),
        ];
        for (value, unit, is_rate, expected) in cases {
            assert_eq!(quantity(Some(value), unit, is_rate), expected);
        }
        assert_eq!(quantity(None, Unit::Bytes, false), "-");
        assert_eq!(quantity(Some(f64::NAN), Unit::Bytes, false), "-");
    }

    #[test]
    fn charts() {
        assert_eq!(chart(&[]), "");
        assert_eq!(chart(&[Some(1.0), None, Some(2.0), Some(8.0)]), "▁ ▂█");
        assert_eq!(chart(&[Some(3.0); 3]), "▁▁▁");
        assert_eq!(chart(&[None, None]), "  ");
        let many: Vec<_> = (0..400).map(|at| Some(f64::from(at))).collect();
        assert_eq!(chart(&many).chars().count(), CHART_WIDTH);
        assert!(chart(&many).starts_with('▁') && chart(&many).ends_with('█'));
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [
            vec!["a".to_owned(), "1".to_owned()],
            vec!["°b".to_owned(), "100".to_owned()],
        ];
        let text = columns(&[("NAME", Align::Left), ("N", Align::Right)], &rows);
        assert_eq!(text, "NAME    N\na       1\n°b    100\n");
    }

    #[test]
    fn lengths() {
        for (ms, expected) in [
            (250, "250 ms"),
            (1_000, "1 s"),
            (90_000, "1 min 30 s"),
            (90_061_000, "1 d 1 h"),
        ] {
            assert_eq!(length(ms), expected);
        }
    }
}
