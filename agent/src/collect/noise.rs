//! What plugins say: their log lines and whatever their process prints, tagged with the collector's name.
//!
//! Output is read in bounded pieces, faster than anybody reads a log; a plugin that floods it loses lines,
//! which are counted, and costs neither the agent's time nor its log's space.

use std::os::fd::OwnedFd;
use std::time::Duration;

use barograph_sdk::abi;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::unix::pipe::Receiver;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::words;

/// Bytes of printed output that are taken at a time; a line that is longer is split.
const PIECE_BYTES: usize = 64 << 10;
/// Pause after each piece. A plugin that prints more than 640 kB a second waits for its own output.
const PIECE_PAUSE: Duration = Duration::from_millis(100);
/// Printed lines that reach the log each second; the rest is counted.
const LINES_MAX: usize = 20;
const SECOND: Duration = Duration::from_secs(1);
/// Characters of a line that reach the log.
const LINE_CHARS_MAX: usize = 512;

/// Lines of each level that a plugin may log for each collect; the rest is counted.
const LOG_LINES_MAX: u32 = 20;

/// What a plugin logged for a collect. Levels are indices into the ABI's.
#[derive(Debug, Default)]
pub(super) struct LogLines {
    written: [u32; abi::LOG_LEVELS.len()],
    left_out: u32,
}

impl LogLines {
    /// Writes a line, unless there were enough of its level. One that the operator does not want to see is nothing:
    /// it takes no room and is not counted.
    pub(super) fn write(&mut self, collector: &str, level: u8, message: &str) {
        let level = usize::from(level).min(abi::LOG_LEVELS.len() - 1);
        let is_wanted = match level {
            0 => tracing::enabled!(target: "plugin", tracing::Level::ERROR),
            1 => tracing::enabled!(target: "plugin", tracing::Level::WARN),
            2 => tracing::enabled!(target: "plugin", tracing::Level::INFO),
            3 => tracing::enabled!(target: "plugin", tracing::Level::DEBUG),
            _ => tracing::enabled!(target: "plugin", tracing::Level::TRACE),
        };
        if !is_wanted {
            return;
        }
        if self.written[level] == LOG_LINES_MAX {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        self.written[level] += 1;
        match level {
            0 => tracing::error!(target: "plugin", collector, "{message}"),
            1 => tracing::warn!(target: "plugin", collector, "{message}"),
            2 => tracing::info!(target: "plugin", collector, "{message}"),
            3 => tracing::debug!(target: "plugin", collector, "{message}"),
            _ => tracing::trace!(target: "plugin", collector, "{message}"),
        }
    }

    /// A collect is over: says how much of its log was left out, and begins anew.
    pub(super) fn end(&mut self, collector: &str) {
        if let more @ 1.. = std::mem::take(self).left_out {
            let more = words::count(more, "line more, which was", "lines more, which were");
            tracing::warn!(target: "plugin", collector, "logged {more} left out");
        }
    }
}

/// Forwards what the process prints until it ends.
pub(super) async fn forward(collector: String, output: OwnedFd) {
    if let Ok(output) = Receiver::from_owned_fd(output) {
        forward_from(&collector, output).await;
    }
}

async fn forward_from(collector: &str, mut output: impl AsyncRead + Unpin) {
    let mut piece = vec![0; PIECE_BYTES];
    let mut budget = Budget::default();
    let mut second = interval(SECOND);
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            // A plugin that prints nothing costs no look at the clock.
            _ = second.tick(), if budget.is_used() => budget.renew(collector),
            read = output.read(&mut piece) => {
                let Ok(len @ 1..) = read else { break };
                if !budget.is_used() {
                    second.reset();
                }
                budget.print(collector, &String::from_utf8_lossy(&piece[..len]));
                sleep(PIECE_PAUSE).await;
            }
        }
    }
    budget.renew(collector);
}

/// What a plugin printed in this second, and what of it was too much.
#[derive(Debug, Default)]
struct Budget {
    printed: usize,
    left_out: usize,
}

impl Budget {
    const fn is_used(&self) -> bool {
        self.printed > 0
    }

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
    }

    /// Another second begins; what was left out is told.
    fn renew(&mut self, collector: &str) {
        if let more @ 1.. = std::mem::take(self).left_out {
            let more = words::count(more, "line more, which was", "lines more, which were");
            tracing::warn!(target: "plugin", collector, "printed {more} left out");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::io::{self, Seek as _};
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncWriteExt as _, duplex};
    use tracing::field::{Field, Visit};
    use tracing::{Event, Subscriber};
    use tracing_subscriber::Layer;
    use tracing_subscriber::filter::LevelFilter;
    use tracing_subscriber::layer::Context;
    use tracing_subscriber::prelude::*;

    use super::*;

    /// What is written of such lines where the operator wants to see this level.
    fn written(level: LevelFilter, lines: &[(u8, usize)]) -> Vec<String> {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let layer = tracing_subscriber::fmt::layer().with_writer(Arc::clone(&file));
        let layer = layer.without_time().with_ansi(false);
        // Not as the layer's own filter: beside subscribers of other tests that one answers only at the event itself.
        let subscriber = tracing_subscriber::registry().with(layer).with(level);
        tracing::subscriber::with_default(subscriber, || {
            let mut log = LogLines::default();
            for &(level, count) in lines {
                (0..count).for_each(|_| log.write("c", level, "said"));
            }
            log.end("c");
            log.end("c");
        });
        (&*file).rewind().unwrap();
        let text = io::read_to_string(&*file).unwrap();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn what_nobody_wants_to_see_keeps_nothing_away() {
        let lines = [(4, 500), (3, 500), (1, 1)];
        let said = "WARN plugin: said collector=\"c\"";
        assert_eq!(written(LevelFilter::INFO, &lines), [said]);
        assert!(written(LevelFilter::OFF, &lines).is_empty());
    }

    #[test]
    fn each_level_has_its_own_room_and_the_rest_is_counted() {
        let all = written(LevelFilter::TRACE, &[(4, 50), (2, 21), (9, 1), (0, 1)]);
        let of = |level: &str| all.iter().filter(|line| line.starts_with(level)).count();
        assert_eq!((of("TRACE"), of("INFO"), of("ERROR")), (20, 20, 1));
        let last = "WARN plugin: logged 32 lines more, which were left out collector=\"c\"";
        assert_eq!(all.last().map(String::as_str), Some(last));
        let one = written(LevelFilter::WARN, &[(1, 21)]);
        let last = "WARN plugin: logged 1 line more, which was left out collector=\"c\"";
        assert_eq!(one.last().map(String::as_str), Some(last));
    }

    /// The messages of the log, for as long as it is the thread's.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Lines {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut line = Line::default();
            event.record(&mut line);
            self.0.lock().unwrap().push(line.0);
        }
    }

    #[derive(Default)]
    struct Line(String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            if field.name() == "message" {
                write!(self.0, "{value:?}").unwrap();
            }
        }
    }

    /// What reaches the log of a plugin that prints so many lines of `x` at once, again and again.
    async fn logged(lines: usize, pause: Duration, times: usize) -> Vec<String> {
        let log = Lines::default();
        let subscriber = tracing_subscriber::registry().with(log.clone());
        let _guard = tracing::subscriber::set_default(subscriber);
        let (mut plugin, output) = duplex(1 << 20);
        let forwarding = tokio::spawn(async move { forward_from("c", output).await });
        for _ in 0..times {
            plugin.write_all(&b"x\n".repeat(lines)).await.unwrap();
            sleep(pause).await;
        }
        drop(plugin);
        forwarding.await.unwrap();
        log.0.lock().unwrap().clone()
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_a_second_is_a_line_a_second_for_ever() {
        let log = logged(1, SECOND, 200).await;
        assert_eq!(log, vec!["printed: x"; 200]);
        let log = logged(LINES_MAX, 2 * SECOND, 200).await;
        assert_eq!(log, vec!["printed: x"; 200 * LINES_MAX]);
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_flood_so_many_lines_a_second_are_logged_and_the_rest_counted() {
        let seconds = 60;
        let log = logged(500, SECOND / 10, 10 * seconds).await;
        let (printed, told): (Vec<_>, Vec<_>) = log.iter().partition(|line| *line == "printed: x");
        let windows = told.len();
        assert!((seconds - 5..=seconds + 1).contains(&windows), "{windows}");
        assert_eq!(printed.len(), windows * LINES_MAX);
        let left_out = told.iter().map(|line| {
            let count = line.split(' ').nth(1).map(str::parse::<usize>);
            count.and_then(Result::ok).expect("a number of lines")
        });
        let left_out: usize = left_out.sum();
        assert_eq!(printed.len() + left_out, 500 * 10 * seconds);
    }

    #[test]
    fn empty_lines_are_nothing_and_long_ones_are_cut() {
        let log = Lines::default();
        let subscriber = tracing_subscriber::registry().with(log.clone());
        tracing::subscriber::with_default(subscriber, || {
            let line = "ä".repeat(2 * LINE_CHARS_MAX);
            Budget::default().print("c", &format!("\n \n{line}\n\n"));
        });
        let cut = format!("printed: {}", "ä".repeat(LINE_CHARS_MAX));
        assert_eq!(*log.0.lock().unwrap(), [cut]);
    }
}
