//! Real samples for the measurements: the recorded trace of /proc, continued for as long as is asked.
//!
//! The file has one line of names (`c:` counter, `g:` gauge), then rows of a little-endian u64 of Unix
//! milliseconds and one f64 a series. It is continued by going through it again, each time from another
//! row, with counters going on from where they were, so that no hour is the copy of another.

use std::path::Path;

/// How far each round through the trace begins from the one before: no divisor of the trace's length.
const ROTATION: usize = 377;

/// See the module.
#[derive(Debug)]
pub(crate) struct Trace {
    series: Vec<Recorded>,
    rows: usize,
}

#[derive(Debug)]
struct Recorded {
    name: String,
    is_counter: bool,
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
                is_counter: name.starts_with("c:"),
                values: Vec::new(),
            })
            .collect();
        let width = 8 * (1 + series.len());
        let rows = bytes[end + 1..].chunks_exact(width);
        let count = rows.len();
        for row in rows {
            for (recorded, value) in series.iter_mut().zip(row[8..].chunks_exact(8)) {
                recorded
                    .values
                    .push(f64::from_le_bytes(value.try_into().expect("8 bytes")));
            }
        }
        Some(Self {
            series,
            rows: count,
        })
    }

    /// Series in it.
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    /// Seconds in it.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Name and kind of a series; beyond the last the trace's series come again.
    pub(crate) fn series(&self, at: usize) -> (&str, bool) {
        let recorded = &self.series[at % self.series.len()];
        (&recorded.name, recorded.is_counter)
    }

    /// The value of a series at a second. Series beyond the last are out of step with those they repeat.
    pub(crate) fn value(&self, at: usize, second: usize) -> f64 {
        let recorded = &self.series[at % self.series.len()];
        let second = second + 97 * (at / self.series.len());
        let (round, row) = (second / self.rows, second % self.rows);
        let start = round * ROTATION % self.rows;
        let index = (start + row) % self.rows;
        let values = &recorded.values;
        if !recorded.is_counter {
            return values[index];
        }
        let (first, last) = (values[0], values[self.rows - 1]);
        let wrapped = if index < start { last - first } else { 0.0 };
        first + round as f64 * (last - first) + wrapped + values[index] - values[start]
    }
}
