//! What is in a head file after a start: its runs, and in memory what no run has.
//!
//! Only frames are read, and the bodies of runs for their checksums; of the W records those are unpacked that have
//! samples which no sound run covers, which after a kill are those behind the last run. After damage the next frame
//! is searched for by its magic. A record that was being written when the agent died is cut off; it was not
//! acknowledged, so that is no loss. Everything else that does not read is reported, with its hour.

use std::io;
use std::sync::Arc;

use super::Hour;
use super::file::HeadFile;
use super::run::Run;
use super::table::Table;
use crate::store::chunk::DecodeError;
use crate::store::record::{self, HEADER_BYTES, Header, Kind, MAGIC};
use crate::store::{HOUR_MS, period};
use crate::words;

/// What a search after damage reads at a time.
const WINDOW_BYTES: usize = 1 << 16;

/// What was in a file.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) runs: Vec<Arc<Run>>,
    pub(super) tables: Vec<Table>,
    /// Milliseconds from the hour's start to the last sample.
    pub(super) last: Option<u32>,
    pub(super) losses: Vec<String>,
}

struct Scan {
    records: Vec<(u64, Header)>,
    /// Bytes between records that are none, and the time of the records around them.
    gaps: Vec<(u64, u64)>,
    /// The end of the last record.
    end: u64,
    /// Whether a record was begun at the end and never finished.
    is_torn: bool,
}

/// Reads a file, and cuts off what is behind its last whole record. Of what cannot be read, nothing is changed.
pub(super) fn replay(file: &HeadFile, hour: Hour) -> Contents {
    let mut contents = Contents::default();
    let scan = match scan(file, hour) {
        Ok(scan) => scan,
        Err(error) => {
            let what = format!("the file cannot be read: {error}");
            contents.lose(hour, file, None, &what);
            return contents;
        }
    };
    for &(from, to) in &scan.gaps {
        let what = format!("{} bytes at byte {from} are damaged", to - from);
        let around = (
            scan.records.iter().rfind(|(at, _)| *at < from),
            scan.records.iter().find(|(at, _)| *at >= to),
        );
        let from = around.0.map_or(0, |(_, header)| header.last);
        let to = around.1.map_or(from, |(_, header)| header.first.max(from));
        contents.lose(hour, file, Some((from, to)), &what);
    }
    let tail = file.len() - scan.end;
    if tail > 0 {
        if !scan.is_torn {
            let from = scan.records.last().map_or(0, |(_, header)| header.last);
            let what = format!("the last {tail} bytes are damaged");
            contents.lose(hour, file, Some((from, from)), &what);
        }
        file.cut_off(scan.end);
    }
    let runs = runs(file, hour, &scan, &mut contents);
    for (position, header) in &scan.records {
        contents.last = contents.last.max(Some(header.last));
        if header.kind == Kind::Write {
            let spans = uncovered(*position, header, &runs);
            if !spans.is_empty() {
                contents.read(file, hour, (*position, header), &spans);
            }
        }
    }
    contents
}

/// Finds the records.
fn scan(file: &HeadFile, hour: Hour) -> io::Result<Scan> {
    let len = file.len();
    let mut scan = Scan {
        records: Vec::new(),
        gaps: Vec::new(),
        end: 0,
        is_torn: false,
    };
    let mut position = 0;
    while position < len {
        let Some((at, header)) = next(file, hour, position)? else {
            scan.is_torn = begins_like_one(file, position)?;
            break;
        };
        let end = at + HEADER_BYTES as u64 + u64::from(header.body_bytes);
        if at > position {
            scan.gaps.push((position, at));
        }
        if end > len {
            scan.end = scan.end.max(at);
            scan.is_torn = true;
            break;
        }
        scan.records.push((at, header));
        scan.end = end;
        position = end;
    }
    Ok(scan)
}

/// Whether what is left is shorter than a frame and begins like one: it was cut off while it was written.
fn begins_like_one(file: &HeadFile, position: u64) -> io::Result<bool> {
    let left = usize::try_from(file.len() - position).unwrap_or(usize::MAX);
    if left >= HEADER_BYTES {
        return Ok(false);
    }
    let mut bytes = vec![0; left.min(MAGIC.len())];
    file.read(position, &mut bytes)?;
    Ok(MAGIC.starts_with(&bytes))
}

/// The first sound frame of this file at or after a position.
fn next(file: &HeadFile, hour: Hour, from: u64) -> io::Result<Option<(u64, Header)>> {
    let mut frame = [0; HEADER_BYTES];
    let mut window = Vec::new();
    let mut position = from;
    while position + HEADER_BYTES as u64 <= file.len() {
        let left = usize::try_from(file.len() - position).unwrap_or(usize::MAX);
        if position == from {
            // Nearly always there is one right here.
            file.read(position, &mut frame)?;
            if let Some(header) = frame_of(&frame, hour) {
                return Ok(Some((position, header)));
            }
        }
        window.resize(left.min(WINDOW_BYTES), 0);
        file.read(position, &mut window)?;
        for at in 0..=window.len() - HEADER_BYTES {
            if let Some(header) = frame_of(&window[at..], hour) {
                return Ok(Some((position + at as u64, header)));
            }
        }
        position += (window.len() - HEADER_BYTES + 1) as u64;
    }
    Ok(None)
}

fn frame_of(bytes: &[u8], hour: Hour) -> Option<Header> {
    if !bytes.starts_with(&MAGIC) {
        return None;
    }
    let header = Header::decode(bytes).ok()?;
    (header.hour_ms == hour.start_ms && header.epoch == hour.epoch).then_some(header)
}

/// The sound runs, with their frames.
fn runs(file: &HeadFile, hour: Hour, scan: &Scan, contents: &mut Contents) -> Vec<(u64, Header)> {
    let mut sound = Vec::new();
    for (position, header) in scan.records.iter().filter(|(_, h)| h.kind == Kind::Run) {
        let run = body(file, *position, header)
            .and_then(|body| Ok(Run::parse(*position, header, &body, &contents.runs)?));
        match run {
            Ok(run) => {
                contents.runs.push(Arc::new(run));
                sound.push((*position, *header));
            }
            Err(error) => {
                // Unless their W records are damaged as well, which is told by itself, its samples are all there.
                let what = format!(
                    "the run at byte {position} with {} is damaged ({error}); its minutes are read again from the \
                     records before it",
                    words::count(header.samples, "sample", "samples")
                );
                contents.lose(hour, file, Some((header.first, header.last)), &what);
            }
        }
    }
    sound
}

/// Which times of a record no run has, as half-open spans.
fn uncovered(position: u64, header: &Header, runs: &[(u64, Header)]) -> Vec<(u32, u32)> {
    let mut spans = vec![(header.first, header.last.saturating_add(1))];
    for (_, run) in runs.iter().filter(|(at, _)| *at > position) {
        let (from, to) = (run.covered_from(position), run.before);
        spans = spans
            .iter()
            .flat_map(|&(first, end)| [(first, end.min(from)), (first.max(to), end)])
            .filter(|(first, end)| first < end)
            .collect();
    }
    spans
}

/// Why a body is not there.
#[derive(Debug, thiserror::Error)]
enum BodyError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

fn body(file: &HeadFile, position: u64, header: &Header) -> Result<Vec<u8>, BodyError> {
    let mut body = vec![0; header.body_bytes as usize];
    file.read(position + HEADER_BYTES as u64, &mut body)?;
    header.check(&body)?;
    Ok(body)
}

impl Contents {
    fn read(
        &mut self,
        file: &HeadFile,
        hour: Hour,
        (position, header): (u64, &Header),
        spans: &[(u32, u32)],
    ) {
        let sections = body(file, position, header).and_then(|body| Ok(record::decode(&body)?));
        match sections {
            Ok(sections) => {
                for section in &sections {
                    self.take(section, spans);
                }
            }
            Err(error) => {
                let what = format!(
                    "the record at byte {position} with {} is damaged: {error}",
                    words::count(header.samples, "sample", "samples")
                );
                self.lose(hour, file, Some((header.first, header.last)), &what);
            }
        }
    }

    /// Collectors may have had other numbers in the agent that wrote an earlier record, so a section goes to
    /// whatever table it fits behind, its own number's first.
    fn take(&mut self, section: &record::Section, spans: &[(u32, u32)]) {
        let collector = Some(section.collector);
        let mut tables = self.tables.iter_mut();
        let known = tables.find(|table| table.collector == collector);
        if known.is_some_and(|table| table.extend(section, spans)) {
            return;
        }
        // What came before it stays where it is, and nothing more is put behind that.
        for table in &mut self.tables {
            if table.collector == collector {
                table.collector = None;
            }
        }
        let mut table = Table::new(collector);
        if table.extend(section, spans) && !table.is_empty() {
            self.tables.push(table);
        }
    }

    fn lose(&mut self, hour: Hour, file: &HeadFile, span: Option<(u32, u32)>, what: &str) {
        let (from, to) = span.unwrap_or((0, u32::try_from(HOUR_MS).unwrap_or(u32::MAX)));
        let at = |offset: u32| hour.start_ms + i64::from(offset);
        self.losses.push(format!(
            "{}: {what} (samples of {})",
            file.path().display(),
            period::between(at(from), at(to))
        ));
    }
}
