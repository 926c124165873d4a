//! What the store says of itself: for `/healthz`, the agent's own metrics and benches. Plain numbers.

use super::space::Disk;

/// As of the last time that it was looked at; sizes are looked at every some seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// How the disk does.
    pub disk: Disk,
    /// What failed last in sealing, rollups or retention, as long as it goes on.
    pub error: Option<String>,
    /// Stored series.
    pub series: usize,
    /// Samples that were taken since the start.
    pub samples: u64,
    /// Samples that were not: late ones, and those that there was no room for.
    pub dropped: u64,
    /// Real bytes on disk of each level, finest first.
    pub level_bytes: [u64; 3],
    /// Real bytes on disk of the head's files.
    pub head_bytes: u64,
    /// Real bytes on disk of everything in the data folder.
    pub total_bytes: u64,
    /// Bytes in memory of samples that are not in a run yet.
    pub memory_bytes: usize,
    /// Samples in sealed raw blocks.
    pub sealed_samples: u64,
    /// Hours that are over and not sealed yet.
    pub backlog: usize,
    /// Times that something was found lost or had to be repaired.
    pub losses: u64,
}

impl Status {
    /// Real bytes on disk for each sealed sample; `None` before the first.
    pub fn bytes_per_sample(&self) -> Option<f64> {
        (self.sealed_samples > 0).then(|| self.level_bytes[0] as f64 / self.sealed_samples as f64)
    }

    /// Whether history is being written.
    pub fn is_up(&self) -> bool {
        !matches!(self.disk, Disk::Paused(_))
    }

    /// What is wrong, for people.
    pub fn problem(&self) -> Option<String> {
        self.disk.problem().or_else(|| self.error.clone())
    }
}
