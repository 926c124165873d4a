//! Backups: everything that the store holds, copied into one file while the agent runs.
//!
//! It is consistent without stopping anything: first the head files as they are (a copy of an append-only file up to
//! some byte is what a crash at that moment would have left), then the sealed blocks, which never change, then the
//! core, which by then names every series of both. An hour that is sealed meanwhile is in both parts, and the engine
//! that opens the restored folder sees that, as after a crash between sealing and removing.
//!
//! What is damaged in the store is left out and counted; [`restore`] makes a folder of the file, and
//! [`restore::verify`] reads all of it, down to every chunk.

mod record;
pub mod restore;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write};
use std::path::Path;

use super::chunk::{self, DecodeError, Samples};
use super::engine::Engine;
use super::folder;
use super::generation::{Block, Marker};
use super::group::Group;
use super::{Level, StoreError, rollup};
use record::Writer;
pub use record::{About, ReadError};

/// Bytes of a head file that are copied at a time.
const COPY_BYTES: usize = 256 * 1024;
/// Settings that are read at a time.
const PAIRS_MAX: usize = 1_024;

/// What a backup holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// What wrote it.
    pub about: Option<About>,
    /// Settings and series.
    pub pairs: u64,
    /// Head files.
    pub head_files: u64,
    /// Sealed blocks, by level.
    pub blocks: [u64; 3],
    /// Samples and points in them.
    pub samples: u64,
    /// Groups that were damaged in the store and left out, by level.
    pub damaged: u64,
    /// Length of the file.
    pub bytes: u64,
}

/// Why a backup was not finished.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file can't be written, or whoever reads it has gone.
    #[error(transparent)]
    Write(#[from] io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes a backup of the store whose folder is `root` to `out`.
pub fn write(
    engine: &Engine,
    root: &Path,
    now_ms: i64,
    out: &mut dyn Write,
) -> Result<Contents, BackupError> {
    let about = About {
        agent: env!("CARGO_PKG_VERSION").to_owned(),
        schema: folder::SCHEMA,
        at_ms: now_ms,
    };
    let mut writing = Writing {
        out: Writer::new(out)?,
        contents: Contents::default(),
    };
    writing.out.about(&about)?;
    writing.contents.about = Some(about);
    writing.head(root)?;
    for level in Level::ALL {
        writing.level(engine, level)?;
    }
    writing.core(engine)?;
    let Writing { out, mut contents } = writing;
    contents.bytes = out.end()?;
    Ok(contents)
}

struct Writing<W: Write> {
    out: Writer<W>,
    contents: Contents,
}

impl<W: Write> Writing<W> {
    /// The head files, each up to where it ends when it is read.
    fn head(&mut self, root: &Path) -> Result<(), BackupError> {
        let folder = root.join("head");
        let mut names: Vec<String> = match fs::read_dir(&folder) {
            Ok(entries) => entries
                .flatten()
                .filter_map(|entry| entry.file_name().into_string().ok())
                .filter(|name| is_head_file(name))
                .collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(folder::at(&folder)(error).into()),
        };
        names.sort_unstable();
        for name in names {
            let path = folder.join(&name);
            let mut file = match File::open(&path) {
                Ok(file) => file,
                // It was sealed meanwhile: its hour is among the blocks, which are read later.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(folder::at(&path)(error).into()),
            };
            self.out.head_file(&name)?;
            self.contents.head_files += 1;
            let mut bytes = vec![0; COPY_BYTES];
            loop {
                let len = file.read(&mut bytes).map_err(folder::at(&path))?;
                if len == 0 {
                    break;
                }
                self.out.head_bytes(&bytes[..len])?;
            }
        }
        Ok(())
    }

    fn level(&mut self, engine: &Engine, level: Level) -> Result<(), BackupError> {
        let generations = engine.level(level);
        for start_ms in generations.starts() {
            // Only whole blocks: what is being sealed is in the head files.
            let end_ms = start_ms + level.generation_ms();
            let mut blocks = BTreeMap::new();
            for block in generations.blocks(start_ms, end_ms)? {
                if generations.marker(block)?.is_some() {
                    blocks.insert(block, EMPTY);
                }
            }
            let mut open: Option<Block> = None;
            let mut written = Ok(());
            generations.scan(start_ms, &mut |block, bytes| {
                let Some(whole) = blocks.get_mut(&block) else {
                    return true;
                };
                // What the block once held counts for nothing here: the copy is whole if it has all that could be
                // read.
                let Ok((series, samples)) = check(level, bytes, &mut |_| {}) else {
                    self.contents.damaged += 1;
                    return true;
                };
                whole.groups += 1;
                whole.series += series;
                whole.samples += samples;
                let before = open.replace(block).filter(|before| *before != block);
                let ended = before.and_then(|before| Some((before, blocks.remove(&before)?)));
                written = ended
                    .map_or(Ok(()), |(block, marker)| {
                        self.end_block(level, block, marker)
                    })
                    .and_then(|()| self.out.group(level, block, bytes));
                written.is_ok()
            })?;
            written?;
            if let Some((block, marker)) = open.and_then(|open| Some((open, blocks.remove(&open)?)))
            {
                self.end_block(level, block, marker)?;
            }
        }
        Ok(())
    }

    fn end_block(&mut self, level: Level, block: Block, marker: Marker) -> io::Result<()> {
        self.contents.blocks[level as usize] += 1;
        self.contents.samples += marker.samples;
        self.out.marker(level, block, marker)
    }

    /// Everything in the core.
    fn core(&mut self, engine: &Engine) -> Result<(), BackupError> {
        let mut from = Vec::new();
        loop {
            let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
            let read = |key: &[u8], value: &[u8], pairs: &mut Vec<(Vec<u8>, Vec<u8>)>| {
                pairs.push((key.to_vec(), value.to_vec()));
                pairs.len() < PAIRS_MAX
            };
            engine
                .core
                .scan(&from, CORE_END, &mut |key, value| {
                    read(key, value, &mut pairs)
                })
                .map_err(StoreError::from)?;
            let Some((last, _)) = pairs.last() else {
                return Ok(());
            };
            from.clone_from(last);
            from.push(0);
            self.contents.pairs += pairs.len() as u64;
            self.out.core(&pairs)?;
        }
    }
}

const EMPTY: Marker = Marker {
    groups: 0,
    series: 0,
    samples: 0,
};

/// Every key of the core begins with a letter.
const CORE_END: &[u8] = &[0xff];

/// A name that a head file can have: `START-EPOCH`, both decimal.
fn is_head_file(name: &str) -> bool {
    let digits = |text: &str| {
        (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    name.split_once('-')
        .is_some_and(|(start, epoch)| digits(start) && digits(epoch))
}

/// Reads everything in a group; `(series, samples)`. `visit` is told each series.
pub(super) fn check(
    level: Level,
    bytes: &[u8],
    visit: &mut dyn FnMut(u32),
) -> Result<(u32, u64), DecodeError> {
    let group = Group::parse(bytes)?;
    let (mut series, mut count) = (0, 0);
    let mut samples = Samples::default();
    for (id, bytes) in group.chunks() {
        visit(id);
        count += match level {
            Level::Raw => {
                samples.times_ms.clear();
                samples.values.clear();
                chunk::decode(bytes, &mut samples)?;
                samples.times_ms.len()
            }
            Level::Minute | Level::Hour => rollup::decode(bytes)?.len(),
        } as u64;
        series += 1;
    }
    Ok((series, count))
}
