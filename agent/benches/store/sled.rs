//! `sled`: what the database costs, by size of value, length of generation, cache and readers: the figures that the
//! layout was chosen by. Then, through the store's own code ([`generation`]), what the choice costs.
//!
//! Each case runs in a process of its own (`sled case …`), set up with the agent's allocator or without, so that its
//! memory is its own.
//! A case writes a day of groups of incompressible bytes, of the size that a day of chunks has, or reads all of them
//! back.

mod generation;

use std::collections::VecDeque;
use std::fmt::{Display, Write as _};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::process::disk_bytes;

/// Bytes of the chunk of one series in one hour: 3,600 samples at 0.35 bytes.
const CHUNK_BYTES: usize = 1_260;
const HOURS: u64 = 24;
const SEGMENT_BYTES: usize = 64 * 1_024;
const KIB: u64 = 1_024;

/// How many databases a reader keeps open: all, the one that it reads, or as many as have read so many bytes.
const READERS: [&str; 5] = ["all", "one", "8 MB read", "4 MB read", "2 MB read"];

/// Prints both tables; or, asked by itself, runs one case.
pub(crate) fn run() {
    let arguments: Vec<String> = std::env::args()
        .skip_while(|argument| argument != "case")
        .skip(1)
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if !arguments.is_empty() && std::env::var_os(PLAIN).is_none() {
        barograph::allocator::set_up();
    }
    match arguments.as_slice() {
        [] => {
            table();
            println!();
            generation::table();
        }
        ["generation", rest @ ..] => generation::case(rest),
        rest => case(rest),
    }
}

/// Runs all cases and prints the table.
fn table() {
    println!(
        "| series | value, kB | generation, h | cache, KiB | open databases | malloc | disk × | write, s | write peak, \
         MB | open, ms | scan, ms | peak, MB | after, MB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    for series in ["500", "2000"] {
        for value in ["4000", "8000", "12000"] {
            written(folder.path(), [series, value, "6", "256"], &READERS[..1]);
        }
        for hours in ["3", "12", "24"] {
            written(
                folder.path(),
                [series, "15500", hours, "256"],
                &READERS[1..4],
            );
        }
        for cache in ["1024", "8192"] {
            written(folder.path(), [series, "15500", "6", cache], &READERS[..1]);
        }
        written(folder.path(), [series, "15500", "6", "256"], &READERS);
    }
}

/// Writes once, reads in several ways.
fn written(root: &Path, [series, value, hours, cache]: [&str; 4], readers: &[&str]) {
    let folder = root.join(format!("{series}-{value}-{hours}-{cache}"));
    let path = folder.to_str().expect("a temporary folder's name is text");
    let write = child(&["write", path, series, value, hours, cache], false);
    let kilobytes = value.parse::<f64>().expect("a number") / 1e3;
    for readers in readers {
        let read = ["read", path, series, value, hours, cache, readers];
        for is_plain in [true, false] {
            let malloc = if is_plain { "2 arenas" } else { "as the agent" };
            let read = child(&read, is_plain);
            println!(
                "| {series} | {kilobytes} | {hours} | {cache} | {readers} | {malloc} | {write} | {read} |"
            );
        }
    }
    fs::remove_dir_all(&folder).expect("a temporary folder can be removed");
}

/// One case, in a process of its own: `write|read FOLDER SERIES VALUE HOURS CACHE [READERS]`.
fn case(arguments: &[&str]) {
    let number = |at: usize| arguments[at].parse::<u64>().expect("a number");
    let folder = Path::new(arguments[1]);
    let (series, value, hours, cache) = (number(2), number(3), number(4), number(5) * KIB);
    let mut line = String::new();
    if arguments[0] == "write" {
        let started = Instant::now();
        let payload = write(
            folder,
            series,
            usize::try_from(value).expect("a small number"),
            hours,
            cache,
        );
        let seconds = started.elapsed().as_secs_f64();
        let factor = disk_bytes(folder) as f64 / payload as f64;
        let _ = write!(line, "{factor:.2} | {seconds:.2} | {:.1}", memory("VmHWM"));
    } else {
        let (open, scan) = read(&databases(folder), cache, arguments[6]);
        let _ = write!(
            line,
            "{open:.1} | {scan:.0} | {:.1} | {:.1}",
            memory("VmHWM"),
            memory("VmRSS")
        );
    }
    println!("{line}");
}

fn open(folder: &Path, cache: u64) -> ::sled::Db {
    ::sled::Config::new()
        .path(folder)
        .mode(::sled::Mode::LowSpace)
        .segment_size(SEGMENT_BYTES)
        .cache_capacity(cache)
        .flush_every_ms(None)
        .open()
        .expect("a database opens")
}

/// A day of groups; the bytes of the values.
fn write(folder: &Path, series: u64, value: usize, hours: u64, cache: u64) -> u64 {
    let per_group = value / CHUNK_BYTES;
    let groups = series.div_ceil(per_group as u64);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut payload = 0;
    let mut bytes = vec![0_u8; per_group * CHUNK_BYTES];
    for start in (0..HOURS).step_by(usize::try_from(hours).expect("a small number")) {
        let db = open(&folder.join(format!("{start:02}")), cache);
        for hour in start..start + hours {
            for group in 0..groups {
                for eight in bytes.chunks_mut(8) {
                    eight.copy_from_slice(&random.next().to_le_bytes()[..eight.len()]);
                }
                let mut key = [0; 14];
                key[..8].copy_from_slice(&hour.to_be_bytes());
                key[8..].copy_from_slice(&group.to_be_bytes()[2..]);
                db.insert(key, &bytes[..]).expect("the disk has room");
                payload += bytes.len() as u64;
            }
            db.flush().expect("the disk has room");
        }
    }
    payload
}

fn databases(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the case that writes ran before")
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    all.sort();
    all
}

/// Scans everything; the mean time of an open and the time of all in milliseconds.
fn read(folders: &[PathBuf], cache: u64, readers: &str) -> (f64, f64) {
    let budget = match readers {
        "all" => u64::MAX,
        "one" => 0,
        megabytes => 1_000_000 * u64::from(megabytes.as_bytes()[0] - b'0'),
    };
    let started = Instant::now();
    let mut opening = Vec::new();
    let mut held: VecDeque<(::sled::Db, u64)> = VecDeque::new();
    for folder in folders {
        let mut from = vec![0_u8];
        loop {
            let at = Instant::now();
            let db = open(folder, cache);
            opening.push(at.elapsed().as_secs_f64() * 1e3);
            let before: u64 = held.iter().map(|(_, bytes)| bytes).sum();
            let mut fetched = 0;
            let mut is_done = true;
            for pair in db.range(from.clone()..) {
                let (key, value) = pair.expect("what was written can be read");
                fetched += value.len() as u64;
                // Also the database that is being read has to go when it alone is over the budget.
                if budget > 0 && before + fetched > budget {
                    from = [&key, &[0][..]].concat();
                    is_done = false;
                    break;
                }
            }
            held.push_back((db, fetched));
            if !is_done || budget == 0 {
                held.clear();
            }
            if is_done {
                break;
            }
        }
    }
    let all = started.elapsed().as_secs_f64() * 1e3;
    (opening.iter().sum::<f64>() / opening.len() as f64, all)
}

/// Set for a case that leaves the allocator as it is.
const PLAIN: &str = "BAROGRAPH_BENCH_PLAIN_ALLOCATOR";

/// Runs a case in a process of its own and returns what it printed.
fn child(arguments: &[&str], is_plain: bool) -> String {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.args(["sled", "case"]).args(arguments);
    if is_plain {
        command
            .env(PLAIN, "1")
            .env("GLIBC_TUNABLES", "glibc.malloc.arena_max=2");
    }
    let output = command.output().expect("this program runs again");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .expect("a case prints text")
        .trim()
        .to_owned()
}

/// A row of a table of Markdown.
fn row(cells: &[&dyn Display]) -> String {
    let cells: Vec<String> = cells.iter().map(ToString::to_string).collect();
    format!("| {} |", cells.join(" | "))
}

/// A line of this process's status, in MB.
fn memory(name: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status
        .lines()
        .find(|line| line.starts_with(name))
        .expect("Linux has it");
    let kib: f64 = line
        .split_whitespace()
        .nth(1)
        .and_then(|word| word.parse().ok())
        .expect("a number");
    kib * 1_024.0 / 1e6
}

/// Bytes that cannot be compressed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
