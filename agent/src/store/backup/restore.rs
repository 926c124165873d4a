//! A data folder out of a backup.
//!
//! Everything is written into `restoring/` within the folder, and moved into place when the backup was read to its
//! good end: a backup that turns out to be damaged leaves nothing behind. (Within it and not beside it, because the
//! data folder may well be a mount point.)

use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use super::record::{ReadError, Reader, Record};
use super::{Contents, EMPTY, check, is_head_file};
use crate::kv::Kv;
use crate::store::folder::{self, Folder};
use crate::store::generation::{Block, Generations};
use crate::store::group::Group;
use crate::store::{Level, StoreError};

/// Where it is written first.
const STAGE: &str = "restoring";
/// What an empty data folder may hold: what an agent or a file system leaves there, and a restore that was killed.
const IGNORED: [&str; 6] = [
    "lock",
    "schema",
    "agent.sock",
    "plugins",
    "lost+found",
    STAGE,
];
/// In this order they are moved into place.
const PARTS: [&str; 5] = ["core", "raw", "m1", "h1", "head"];
/// Groups that wait until they are inserted together: a megabyte.
const GROUPS_MAX: usize = 64;

/// Why a backup was not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The folder has data.
    #[error(
        "{path} is not empty (there is `{entry}`); restore into a new folder, or move what is there away first"
    )]
    NotEmpty {
        /// The data folder.
        path: PathBuf,
        /// What was found.
        entry: String,
    },
    /// The backup was written by a later agent.
    #[error(
        "the backup has the schema {found}, this agent knows {known}; use the version that wrote it"
    )]
    NewerSchema {
        /// The backup's.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The backup can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Its checksums match, but it makes no sense.
    #[error("it is damaged: {0}")]
    Nonsense(&'static str),
    /// The new folder can't be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads all of a backup and checks it down to every chunk; writes nothing.
pub fn verify(from: impl Read) -> Result<Contents, RestoreError> {
    read(from, &mut |_| Ok(()))
}

/// Makes `root` the data folder that the backup was taken of. It must be empty, and no agent may run on it.
pub fn restore(from: impl Read, root: &Path) -> Result<Contents, RestoreError> {
    refuse_data(root)?;
    let _owned = Folder::take(root)?;
    // Again, because only now nobody else can put something there.
    refuse_data(root)?;
    let stage = root.join(STAGE);
    remove(&stage)?;
    let restored = fill(from, &stage);
    if restored.is_err() {
        remove(&stage)?;
        return restored;
    }
    for part in PARTS {
        let (from, to) = (stage.join(part), root.join(part));
        if from.exists() {
            fs::rename(&from, &to).map_err(folder::at(&to))?;
        }
    }
    remove(&stage)?;
    folder::sync(root)?;
    restored
}

fn refuse_data(root: &Path) -> Result<(), RestoreError> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(folder::at(root)(error).into()),
    };
    for entry in entries {
        let entry = entry.map_err(folder::at(root))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !IGNORED.contains(&name.as_str()) {
            return Err(RestoreError::NotEmpty {
                path: root.to_owned(),
                entry: name,
            });
        }
    }
    Ok(())
}

fn remove(stage: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(stage) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(folder::at(stage)(error)),
        _ => Ok(()),
    }
}

fn fill(from: impl Read, stage: &Path) -> Result<Contents, RestoreError> {
    let mut filling = Filling::new(stage)?;
    let contents = read(from, &mut |record| filling.take(record))?;
    filling.end()?;
    Ok(contents)
}

/// What is being written.
struct Filling {
    stage: PathBuf,
    core: Kv,
    levels: [Generations; 3],
    /// Groups of the current block that are not inserted yet.
    groups: Vec<(u32, Vec<u8>)>,
    head: Option<(PathBuf, File)>,
}

impl Filling {
    fn new(stage: &Path) -> Result<Self, StoreError> {
        for part in PARTS {
            let path = stage.join(part);
            fs::create_dir_all(&path).map_err(folder::at(&path))?;
        }
        let [raw, minute, hour] = Level::ALL.map(|level| Generations::open(stage, level));
        Ok(Self {
            stage: stage.to_owned(),
            core: Kv::open(&stage.join("core"))?,
            levels: [raw?, minute?, hour?],
            groups: Vec::new(),
            head: None,
        })
    }

    fn take(&mut self, record: Record) -> Result<(), StoreError> {
        match record {
            Record::About(_) => Ok(()),
            Record::Core(pairs) => {
                let changes: Vec<_> = pairs
                    .iter()
                    .map(|(key, value)| (key.as_slice(), Some(value.as_slice())))
                    .collect();
                Ok(self.core.apply(&changes)?)
            }
            Record::HeadFile(name) => {
                self.end_head_file()?;
                let path = self.stage.join("head").join(name);
                let file = File::create(&path).map_err(folder::at(&path))?;
                self.head = Some((path, file));
                Ok(())
            }
            Record::HeadBytes(bytes) => match &mut self.head {
                Some((path, file)) => file.write_all(&bytes).map_err(folder::at(path)),
                None => Ok(()),
            },
            Record::Group(level, block, bytes) => {
                let first = first_series(&bytes);
                self.groups.push((first, bytes));
                if self.groups.len() >= GROUPS_MAX {
                    self.insert(level, block)?;
                }
                Ok(())
            }
            Record::Marker(level, block, marker) => {
                self.insert(level, block)?;
                self.levels[level as usize].seal(block, marker)
            }
        }
    }

    fn insert(&mut self, level: Level, block: Block) -> Result<(), StoreError> {
        let groups = std::mem::take(&mut self.groups);
        self.levels[level as usize].insert(block, &groups)
    }

    fn end_head_file(&mut self) -> Result<(), StoreError> {
        match self.head.take() {
            Some((path, file)) => file.sync_all().map_err(folder::at(&path)),
            None => Ok(()),
        }
    }

    fn end(mut self) -> Result<(), StoreError> {
        self.end_head_file()?;
        self.core.flush()?;
        for level in &self.levels {
            level.close_idle(true);
        }
        for part in PARTS {
            folder::sync(&self.stage.join(part))?;
        }
        Ok(())
    }
}

/// Groups were checked when they were read, so they have a chunk.
fn first_series(bytes: &[u8]) -> u32 {
    let group = Group::parse(bytes).ok();
    group
        .and_then(|group| group.chunks().next().map(|(series, _)| series))
        .unwrap_or(0)
}

/// Reads and checks every record on its way to `take`.
fn read(
    from: impl Read,
    take: &mut dyn FnMut(Record) -> Result<(), StoreError>,
) -> Result<Contents, RestoreError> {
    let mut reader = Reader::new(from)?;
    let mut contents = Contents::default();
    let mut open: Option<(Level, Block)> = None;
    let mut found = EMPTY;
    while let Some(record) = reader.next()? {
        if contents.about.is_none() && !matches!(record, Record::About(_)) {
            return Err(RestoreError::Nonsense("it does not begin with what it is"));
        }
        match &record {
            Record::About(about) => {
                if about.schema > folder::SCHEMA {
                    return Err(RestoreError::NewerSchema {
                        found: about.schema,
                        known: folder::SCHEMA,
                    });
                }
                contents.about = Some(about.clone());
            }
            Record::Core(pairs) => contents.pairs += pairs.len() as u64,
            Record::HeadFile(name) => {
                // It becomes a path.
                if !is_head_file(name) {
                    return Err(RestoreError::Nonsense("a head file has a strange name"));
                }
                contents.head_files += 1;
            }
            Record::HeadBytes(_) => {
                if contents.head_files == 0 {
                    return Err(RestoreError::Nonsense("a head file has no name"));
                }
            }
            Record::Group(level, block, bytes) => {
                if open.is_some_and(|open| open != (*level, *block)) {
                    return Err(RestoreError::Nonsense("a block has no end"));
                }
                open = Some((*level, *block));
                let (series, samples) = check(*level, bytes, &mut |_| {})
                    .map_err(|_| RestoreError::Nonsense("a group can't be decoded"))?;
                found.groups += 1;
                found.series += series;
                found.samples += samples;
            }
            Record::Marker(level, block, marker) => {
                if open.take().is_some_and(|open| open != (*level, *block)) || *marker != found {
                    return Err(RestoreError::Nonsense("a block is not what its end says"));
                }
                contents.blocks[*level as usize] += 1;
                contents.samples += found.samples;
                found = EMPTY;
            }
        }
        take(record)?;
    }
    if open.is_some() {
        return Err(RestoreError::Nonsense("a block has no end"));
    }
    contents.bytes = reader.at();
    Ok(contents)
}
