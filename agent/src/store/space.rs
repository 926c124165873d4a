//! How the disk does: room, little room, or none. Pure.
//!
//! With little room the head goes on, but nothing is sealed or derived, because that takes more than it gives back at
//! first. With none, history waits in memory, as much as the head holds. Both end by themselves.

use super::folder::Space;

/// Room that is left to others: a file system that is filled to the brim fails more than this agent.
const RESERVE_BYTES_MAX: u64 = 32 << 20;
/// A small file system has a smaller reserve: one part in so many.
const RESERVE_PART: u64 = 20;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Disk {
    /// There is room.
    #[default]
    Ok,
    /// Less than the reserve is free: sealing and rollups wait.
    Short {
        /// How much is free.
        free_bytes: u64,
        /// How much should be.
        reserve_bytes: u64,
    },
    /// Writing failed: new samples stay in memory, as many as fit.
    Paused(String),
}

/// What should stay free on a file system of this size.
pub(super) fn reserve_bytes(total_bytes: u64) -> u64 {
    RESERVE_BYTES_MAX.min(total_bytes / RESERVE_PART)
}

/// What the room on the file system comes to.
pub(super) fn judge(space: Space) -> Disk {
    let reserve_bytes = reserve_bytes(space.total_bytes);
    if space.free_bytes >= reserve_bytes {
        return Disk::Ok;
    }
    Disk::Short {
        free_bytes: space.free_bytes,
        reserve_bytes,
    }
}

impl Disk {
    /// For the log and `/healthz`; `None` when all is well.
    pub fn problem(&self) -> Option<String> {
        const MIB: u64 = 1 << 20;
        match self {
            Self::Ok => None,
            Self::Short {
                free_bytes,
                reserve_bytes,
            } => Some(format!(
                "the disk is nearly full: {} MiB of space free, {} MiB wanted; sealing waits until there is room",
                free_bytes / MIB,
                reserve_bytes.div_ceil(MIB)
            )),
            Self::Paused(error) => Some(format!(
                "history is paused and the last minutes are kept in memory only: {error}; it resumes by itself as \
                 soon as the disk of `data_dir` takes it: make room there if it is full"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_a_twentieth_of_a_small_disk() {
        const MIB: u64 = 1 << 20;
        for (total, free, is_ok) in [
            (100_000 * MIB, 32 * MIB, true),
            (100_000 * MIB, 31 * MIB, false),
            (100 * MIB, 5 * MIB, true),
            (100 * MIB, 4 * MIB, false),
            (0, 0, true),
        ] {
            let disk = judge(Space {
                free_bytes: free,
                total_bytes: total,
            });
            assert_eq!(disk == Disk::Ok, is_ok, "{free} of {total}");
            assert_eq!(disk.problem().is_none(), is_ok);
        }
    }
}
