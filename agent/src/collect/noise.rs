//! What plugins say: their log lines and whatever their process prints, tagged with the collector's name.
//!
//! Output is read in bounded pieces, faster than anybody reads a log; a plugin that floods it loses lines,
//! which are counted, and costs neither the agent's time nor its log's space.

use std::os::fd::OwnedFd;
use std::time::Duration;

use barograph_sdk::abi;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::time::timeout;

/// Bytes of printed output that are taken at a time; a line that is longer is split.
const PIECE_BYTES: usize = 64 << 10;
/// Pause after each piece. A plugin that prints more than 640 kB a second waits for its own output.
const PIECE_PAUSE: Duration = Duration::from_millis(100);
/// Lines that reach the log before the plugin has been quiet for a while.
const LINES_MAX: usize = 50;
/// Characters of a line that reach the log.
const LINE_CHARS_MAX: usize = 512;
/// Without output for so long a plugin is quiet.
const QUIET: Duration = Duration::from_secs(1);
/// Pieces after which a plugin that is never quiet is spoken of again.
const PIECES_SILENT_MAX: usize = 100;

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
    let mut budget = Budget::default();
    loop {
        let read = if let Ok(read) = timeout(QUIET, output.read(&mut piece)).await {
            read
        } else {
            budget.quiet(&collector);
            output.read(&mut piece).await
        };
        let Ok(len @ 1..) = read else { break };
        budget.print(&collector, &String::from_utf8_lossy(&piece[..len]));
        tokio::time::sleep(PIECE_PAUSE).await;
    }
    budget.quiet(&collector);
}

/// What a plugin may still print, and what it printed beyond that.
#[derive(Debug, Default)]
struct Budget {
    printed: usize,
    left_out: usize,
    pieces: usize,
}

impl Budget {
    fn print(&mut self, collector: &str, text: &str) {
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            if self.printed == LINES_MAX {
                self.left_out += 1;
                continue;
            }
            self.printed += 1;
            let end = line
                .char_indices()
                .nth(LINE_CHARS_MAX)
                .map_or(line.len(), |(at, _)| at);
            let line = &line[..end];
            tracing::warn!(target: "plugin", collector, "printed: {line}");
        }
        self.pieces += 1;
        if self.pieces == PIECES_SILENT_MAX {
            self.report(collector);
        }
    }

    /// The plugin may print again.
    fn quiet(&mut self, collector: &str) {
        self.report(collector);
        self.printed = 0;
    }

    fn report(&mut self, collector: &str) {
        self.pieces = 0;
        if let more @ 1.. = std::mem::take(&mut self.left_out) {
            tracing::warn!(target: "plugin", collector, "printed {more} lines more, which were left out");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_a_quiet_plugin_is_heard_again() {
        let mut budget = Budget::default();
        budget.print("c", &"x\n \n".repeat(LINES_MAX + 7));
        assert_eq!((budget.printed, budget.left_out), (LINES_MAX, 7));
        for _ in 1..PIECES_SILENT_MAX {
            budget.print("c", "y\n");
        }
        assert_eq!(budget.left_out, 0, "it was told once more");
        assert_eq!(budget.printed, LINES_MAX);
        budget.quiet("c");
        budget.print("c", &"ä".repeat(2 * LINE_CHARS_MAX));
        assert_eq!((budget.printed, budget.left_out), (1, 0));
    }
}
