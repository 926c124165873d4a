//! Real samples for the measurements: the recorded trace of /proc, continued for as long as is asked.
//!
//! The file has one line of names (`c:` counter, `g:` gauge), then rows of a little-endian u64 of Unix
//! milliseconds and one f64 a series. It is continued by going through it again, each time from another
//! row, with counters going on from where they were, so that no hour is the copy of another.

use std::path::Path;

use barograph::catalog::Kind;

/// How far each round through the trace begins from the one before: no divisor of the trace's length.
const ROTATION: usize = 377;

/// See the module.
#[derive(Debug)]
pub(crate) struct Trace {
    series: Vec<Recorded>,
    times_ms: Vec<i64>,
}

#[derive(Debug)]
struct Recorded {
    name: String,
    kind: Kind,
    values: Vec<f64>,
}

impl Trace {
    /// Reads the compressed file; `None` where it is not there.
    pub(crate) fn load(path: &Path) -> Option<Self> {
        let bytes = zstd::decode_all(std::fs::File::open(path).ok()?).expect("the trace is whole");
        let end = bytes
            .iter()
            .position(|&byte| byte == b'\n')
            .expect("a line of names");
        let names = std::str::from_utf8(&bytes[..end]).expect("names are text");
        let mut series: Vec<_> = names
            .split(',')
            .map(|name| Recorded {
                name: name[2..].to_owned(),
                kind: if name.starts_with("c:") {
                    Kind::Counter
                } else {
                    Kind::Gauge
                },
                values: Vec::new(),
            })
            .collect();
        let width = 8 * (1 + series.len());
        let mut times_ms = Vec::new();
        for row in bytes[end + 1..].chunks_exact(width) {
            let (words, _) = row.as_chunks::<8>();
            times_ms.push(i64::from_le_bytes(words[0]));
            for (recorded, value) in series.iter_mut().zip(&words[1..]) {
                recorded.values.push(f64::from_le_bytes(*value));
            }
        }
        Some(Self { series, times_ms })
    }

    /// Series in it.
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    /// When its samples were taken, about a second apart.
    pub(crate) fn times_ms(&self) -> &[i64] {
        &self.times_ms
    }

    /// Name and kind of a series; beyond the last the trace's series come again.
    pub(crate) fn series(&self, at: usize) -> (&str, Kind) {
        let recorded = &self.series[at % self.series.len()];
        (&recorded.name, recorded.kind)
    }

    /// The value of a series at a second. Series beyond the last are out of step with those they repeat.
    pub(crate) fn value(&self, at: usize, second: usize) -> f64 {
        let recorded = &self.series[at % self.series.len()];
        let second = second + 97 * (at / self.series.len());
        let rows = self.times_ms.len();
        let (round, row) = (second / rows, second % rows);
        let start = round * ROTATION % rows;
        let index = (start + row) % rows;
        let values = &recorded.values;
        if recorded.kind == Kind::Gauge {
            return values[index];
        }
        let (first, last) = (values[0], values[rows - 1]);
        let wrapped = if index < start { last - first } else { 0.0 };
        first + round as f64 * (last - first) + wrapped + values[index] - values[start]
    }
}
