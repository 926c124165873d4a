//! What the chosen layout costs: a day of generations, written and read by the store's
//! own code.

use std::path::Path;
use std::time::Instant;

use barograph::store::generation::{Block, GROUP_BYTES_MAX, Generations, Marker};
use barograph::store::group::{Builder, Header};
use barograph::store::{HOUR_MS, Level, chunk};

use super::{Random, child, memory, row};
use crate::process::disk_bytes;

/// 2026-11-21 00:00 UTC.
const START_MS: i64 = 1_795_219_200_000;
const HOURS: i64 = 24;
/// Samples of random values that make a chunk of about 1,260 bytes, like 3,600 ordinary ones.
const SAMPLES: i64 = 152;
const QUERIES: usize = 10;

/// Runs all cases and prints the table.
pub(super) fn table() {
    println!(
        "| series | disk × | sealing an hour, ms | write peak, MB | check, ms | 1 series, first, µs a block | again | 60 \
         series, first, ms a day | again | everything, ms a day | peak, MB | after, MB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    for series in ["500", "2000"] {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let path = folder
            .path()
            .to_str()
            .expect("a temporary folder's name is text");
        let write = child(&["generation", "write", path, series], false);
        let read = child(&["generation", "read", path, series], false);
        println!("| {series} | {write} | {read} |");
    }
}

/// One case: `write|read FOLDER SERIES`.
pub(super) fn case(arguments: &[&str]) {
    let folder = Path::new(arguments[1]);
    let series: u32 = arguments[2].parse().expect("a number");
    let line = match arguments[0] {
        "write" => write(folder, series),
        _ => read(folder, series),
    };
    println!("{}", line.trim_matches(['|', ' ']));
}

fn blocks() -> impl Iterator<Item = Block> {
    (0..HOURS).map(|hour| Block {
        start_ms: START_MS + hour * HOUR_MS,
        epoch: 0,
    })
}

fn write(folder: &Path, series: u32) -> String {
    let generations = Generations::open(folder, Level::Raw).expect("a writable folder");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut payload = 0;
    let mut sealing = 0.0;
    for block in blocks() {
        let mut groups = Vec::new();
        let header = Header {
            tag: Level::Raw.tag(),
            block_ms: block.start_ms,
            epoch: block.epoch,
        };
        let mut builder = Builder::new(header, GROUP_BYTES_MAX);
        for series in 0..series {
            let times: Vec<i64> = (0..SAMPLES)
                .map(|at| block.start_ms + at * 20_000)
                .collect();
            let values: Vec<f64> = times
                .iter()
                .map(|_| f64::from_bits(random.next() >> 12 | 0x3ff0_0000_0000_0000))
                .collect();
            let mut bytes = Vec::new();
            chunk::encode(&times, &values, &mut bytes);
            if !builder.push(series, &bytes) {
                groups.push(builder.finish());
                builder.push(series, &bytes);
            }
        }
        groups.push(builder.finish());
        payload += groups
            .iter()
            .map(|(_, bytes)| bytes.len() as u64)
            .sum::<u64>();
        let started = Instant::now();
        for group in groups.chunks(8) {
            generations.insert(block, group).expect("the disk has room");
        }
        let marker = Marker {
            groups: 0,
            series,
            samples: u64::from(series) * SAMPLES.unsigned_abs(),
        };
        generations.seal(block, marker).expect("all was inserted");
        generations.close_idle(false);
        sealing += started.elapsed().as_secs_f64() * 1e3;
    }
    let factor = disk_bytes(folder) as f64 / payload as f64;
    row(&[
        &format_args!("{factor:.2}"),
        &format_args!("{:.0}", sealing / HOURS as f64),
        &format_args!("{:.1}", memory("VmHWM")),
    ])
}

fn read(folder: &Path, series: u32) -> String {
    let generations = Generations::open(folder, Level::Raw).expect("a readable folder");
    let ms = |work: &mut dyn FnMut()| {
        let started = Instant::now();
        work();
        started.elapsed().as_secs_f64() * 1e3
    };
    let day = |wanted: &[u32]| {
        let mut found = 0;
        for block in blocks() {
            let mut visit = |_, chunk: &[u8]| found += usize::from(!chunk.is_empty());
            generations
                .read(block, wanted, &mut visit)
                .expect("what was written can be read");
        }
        assert_eq!(
            found,
            wanted.len() * usize::try_from(HOURS).expect("a day has few")
        );
    };
    let check = ms(&mut || {
        let found = generations.blocks(START_MS, START_MS + HOURS * HOUR_MS);
        assert_eq!(found.expect("a sound level").len(), 24);
    });
    generations.close_idle(true);
    let one = [series / 2];
    let sixty: Vec<u32> = (0..60).map(|number| number * (series / 60)).collect();
    let all: Vec<u32> = (0..series).collect();
    let one_first = ms(&mut || day(&one));
    let one_again = (0..QUERIES)
        .map(|_| ms(&mut || day(&one)))
        .fold(f64::MAX, f64::min);
    generations.close_idle(true);
    let sixty_first = ms(&mut || day(&sixty));
    let sixty_again = (0..QUERIES)
        .map(|_| ms(&mut || day(&sixty)))
        .fold(f64::MAX, f64::min);
    let whole = (0..QUERIES).map(|_| ms(&mut || day(&all))).sum::<f64>() / QUERIES as f64;
    let blocks = HOURS as f64;
    row(&[
        &format_args!("{check:.0}"),
        &format_args!("{:.0}", one_first * 1e3 / blocks),
        &format_args!("{:.1}", one_again * 1e3 / blocks),
        &format_args!("{sixty_first:.1}"),
        &format_args!("{sixty_again:.1}"),
        &format_args!("{whole:.0}"),
        &format_args!("{:.1}", memory("VmHWM")),
        &format_args!("{:.1}", memory("VmRSS")),
    ])
}
