//! What plugins say: their log lines and whatever their process prints, tagged with the collector's name.
//!
//! Output is read in bounded pieces; a plugin that floods it loses lines, not the agent's time.

use std::os::fd::OwnedFd;
use std::time::Duration;

use barograph_sdk::abi;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;

/// Bytes of printed output that are taken at a time; what is longer is split.
const PIECE_BYTES: usize = 4 << 10;
/// Lines of a piece that reach the log.
const PIECE_LINES_MAX: usize = 20;
/// Pause after each piece: at most 40 kB of output a second reach the log.
const PIECE_PAUSE: Duration = Duration::from_millis(100);

/// Writes a line that the plugin logged; `level` is an index into the ABI's levels.
pub(super) fn log(collector: &str, level: u8, message: &str) {
    match abi::LOG_LEVELS
        .get(usize::from(level))
        .copied()
        .unwrap_or("info")
    {
        "error" => tracing::error!(target: "plugin", collector, "{message}"),
        "warn" => tracing::warn!(target: "plugin", collector, "{message}"),
        "debug" => tracing::debug!(target: "plugin", collector, "{message}"),
        "trace" => tracing::trace!(target: "plugin", collector, "{message}"),
        _ => tracing::info!(target: "plugin", collector, "{message}"),
    }
}

/// Forwards what the process prints until it ends.
pub(super) async fn forward(collector: String, output: OwnedFd) {
    let Ok(mut output) = Receiver::from_owned_fd(output) else {
        return;
    };
    let mut piece = vec![0; PIECE_BYTES];
    while let Ok(len @ 1..) = output.read(&mut piece).await {
        let text = String::from_utf8_lossy(&piece[..len]);
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        for line in lines.by_ref().take(PIECE_LINES_MAX) {
            tracing::warn!(target: "plugin", collector, "printed: {line}");
        }
        if let more @ 1.. = lines.count() {
            tracing::warn!(target: "plugin", collector, "printed {more} lines more, which were left out");
        }
        tokio::time::sleep(PIECE_PAUSE).await;
    }
}
