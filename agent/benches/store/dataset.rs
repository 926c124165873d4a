//! The trace as the peers take it: OpenMetrics text for Prometheus, JSON lines for VictoriaMetrics.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::fill;
use crate::trace::Trace;

/// Which peer's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Times in seconds, one sample a line, series after series.
    OpenMetrics,
    /// Times in milliseconds, one series a line.
    JsonLines,
}

/// Writes `seconds` of `series` series from `start_ms` on.
pub(crate) fn write(
    file: &Path,
    format: Format,
    trace: &Trace,
    series: usize,
    seconds: usize,
    start_ms: i64,
) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(file)?);
    for at in 0..series {
        let (name, _) = trace.series(at);
        let metric = fill::metric(at);
        let label = format!("{name}_{}", at / trace.len());
        let times =
            (0..seconds).map(|second| start_ms + i64::try_from(second).expect("years") * 1_000);
        match format {
            Format::OpenMetrics => {
                if at % 60 == 0 {
                    writeln!(out, "# TYPE {metric} gauge")?;
                }
                for (second, at_ms) in times.enumerate() {
                    let value = trace.value(at, second);
                    writeln!(
                        out,
                        "{metric}{{name=\"{label}\"}} {value} {}",
                        at_ms / 1_000
                    )?;
                }
            }
            Format::JsonLines => {
                write!(
                    out,
                    "{{\"metric\":{{\"__name__\":\"{metric}\",\"name\":\"{label}\"}},\"values\":["
                )?;
                for second in 0..seconds {
                    let comma = if second == 0 { "" } else { "," };
                    write!(out, "{comma}{}", trace.value(at, second))?;
                }
                write!(out, "],\"timestamps\":[")?;
                for (second, at_ms) in times.enumerate() {
                    let comma = if second == 0 { "" } else { "," };
                    write!(out, "{comma}{at_ms}")?;
                }
                writeln!(out, "]}}")?;
            }
        }
    }
    if format == Format::OpenMetrics {
        writeln!(out, "# EOF")?;
    }
    out.flush()
}
