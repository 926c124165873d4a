//! What a plugin's calls into the host act on, in safe code.
//!
//! One for each instance, made when its link opens and never freed: a thread that the plugin forgot may call
//! with its address at any time, and then finds it closed. What it holds is given back when it is closed, so
//! that in the agent's own process a start costs a few hundred bytes for good. Definitions and events are sent
//! under the same lock that numbers them, because their order on the link is their number.

use std::io::Write as _;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use barograph_sdk::abi;

use super::answer::Answer;
use super::backlog::Backlog;
use super::refusal::{Refusal, Refusals};
use super::registry::Registry;
use super::{Place, exit_now};
use crate::collect::keeps_samples;
use crate::collect::link::{Done, FRAME_BYTES_MAX, PluginEvent, ToAgent};

/// Samples that one tick may push for each series that it may have.
const SAMPLES_PER_SERIES_MAX: usize = 2;
/// Samples that fit into a frame, with room for what else a result says.
const SAMPLES_MAX: usize = (FRAME_BYTES_MAX - (64 << 10)) / 12;
/// Lines of a tick and level that are sent. The agent writes far fewer and only counts the rest; which levels it
/// writes at all is not known here, so that none may take the room of another.
const LOG_LINES_MAX: u32 = 400;
/// No call runs.
const NO_CALL: u64 = u64::MAX;

/// See the module.
#[derive(Debug)]
#[repr(C)]
pub(in crate::collect) struct Context {
    /// First, and always [`Context::MARK`]: what a plugin hands over in its place is told by it.
    mark: u64,
    place: Place,
    /// None once it is closed.
    link: Mutex<Option<Link>>,
    closed: AtomicBool,
    /// Numbers of the agent's requests: the one that runs, and up to which it has given up.
    running: AtomicU64,
    given_up: AtomicU64,
    /// Lines of this tick, by level.
    log_lines: [AtomicU32; abi::LOG_LEVELS.len()],
    state: Mutex<State>,
    /// What `describe` or `lookup` writes, while it runs.
    answer: Mutex<Option<Answer>>,
}

/// What was declared, pushed and refused so far.
#[derive(Debug, Default)]
pub(in crate::collect) struct State {
    pub(in crate::collect) registry: Registry,
    samples: Vec<(u32, f64)>,
    backlog: Backlog,
    pub(super) refusals: Refusals,
    /// Key and words of the running call's error.
    error: Option<(String, String)>,
}

/// The agent's socket.
#[derive(Debug)]
struct Link {
    stream: UnixStream,
    /// Which socket it is, in a process where the plugin may put something else under its number.
    identity: Option<Identity>,
}

/// Device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity(u64, u64);

impl Context {
    /// `BAROGCTX`.
    pub(in crate::collect) const MARK: u64 = u64::from_le_bytes(*b"BAROGCTX");

    pub(super) fn leaked(place: Place, stream: UnixStream) -> &'static Self {
        let identity = match place {
            Place::Process => identity(&stream),
            Place::Thread => None,
        };
        Box::leak(Box::new(Self {
            mark: Self::MARK,
            place,
            link: Mutex::new(Some(Link { stream, identity })),
            closed: AtomicBool::new(false),
            running: AtomicU64::new(NO_CALL),
            given_up: AtomicU64::new(0),
            log_lines: Default::default(),
            state: Mutex::new(State::default()),
            answer: Mutex::new(None),
        }))
    }

    /// The state, unless the instance has ended.
    fn open(&self) -> Result<MutexGuard<'_, State>, Refusal> {
        let state = self.state();
        // Looked at under the lock, or something could be added to what `close` has given back.
        if self.closed.load(Ordering::Acquire) {
            return Err(Refusal::ended());
        }
        Ok(state)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on every call answers that it is closed.
    pub(super) fn finish(&self) {
        self.closed.store(true, Ordering::Release);
        drop(std::mem::take(&mut *self.state()));
    }

    /// The same, and the agent sees the link end.
    pub(in crate::collect) fn close(&self) {
        self.finish();
        let link = self.link().take();
        if let Some(link) = link {
            // The thread that reads has a descriptor of its own, which only this wakes.
            let _ = link.stream.shutdown(Shutdown::Both);
        }
    }

    fn link(&self) -> MutexGuard<'_, Option<Link>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends messages in one piece. Without an agent there is nothing left to do: a process ends here.
    pub(super) fn send(&self, messages: &[ToAgent]) -> Result<(), Refusal> {
        if messages.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        for message in messages {
            message.encode(&mut bytes);
        }
        let mut link = self.link();
        let Some(Link { stream, identity }) = link.as_mut() else {
            return Err(Refusal::ended());
        };
        if identity.is_some_and(|known| self::identity(stream) != Some(known)) {
            let words =
                "the plugin closed or replaced descriptor 3, which is the host's link to the agent";
            let _ = writeln!(std::io::stderr(), "{words}");
            exit_now(1);
        }
        match (stream.write_all(&bytes), self.place) {
            (Ok(()), _) => Ok(()),
            (Err(_), Place::Process) => exit_now(0),
            (Err(_), Place::Thread) => Err(Refusal::ended()),
        }
    }

    /// Declares or retires.
    pub(in crate::collect) fn declare<T>(
        &self,
        act: impl FnOnce(&mut Registry, &mut Vec<ToAgent>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut state = self.open()?;
        let mut messages = Vec::new();
        let made = act(&mut state.registry, &mut messages)?;
        self.send(&messages)?;
        Ok(made)
    }

    /// Takes samples, each for itself. Those that are not taken are counted, and the call is still good: what
    /// one series got wrong must not cost the others.
    pub(in crate::collect) fn push(
        &self,
        samples: impl ExactSizeIterator<Item = (u32, f64)>,
    ) -> Result<(), Refusal> {
        let mut state = self.open()?;
        let State {
            registry,
            samples: taken,
            refusals,
            ..
        } = &mut *state;
        room(registry, taken.len(), samples.len())?;
        for (series, value) in samples {
            match registry.sample(series, value) {
                Ok(sample) => taken.push(sample),
                Err(why) => refusals.add(|| registry.words(series, why)),
            }
        }
        Ok(())
    }

    /// Takes a histogram, as [`Context::push`] does samples.
    pub(in crate::collect) fn push_histogram(
        &self,
        series: u32,
        sum: f64,
        counts: &[u64],
    ) -> Result<(), Refusal> {
        let mut state = self.open()?;
        let State {
            registry,
            samples: taken,
            refusals,
            ..
        } = &mut *state;
        match registry.histogram(series, sum, counts) {
            Ok(samples) => {
                room(registry, taken.len(), counts.len() + 2)?;
                taken.extend(samples);
            }
            Err(why) => refusals.add(|| registry.words(series, why)),
        }
        Ok(())
    }

    /// Numbers and sends an event that was found good.
    pub(in crate::collect) fn emit(&self, mut event: PluginEvent) -> Result<(), Refusal> {
        let mut state = self.open()?;
        let strings_bytes = event.name.len() + event.data.len() + event.position.len();
        let number = state.backlog.admit(strings_bytes);
        event.sequence = number.ok_or_else(Refusal::behind)?;
        self.send(&[ToAgent::Event(Box::new(event))])
    }

    /// Sends a line for the log, unless this tick has had enough of its level.
    pub(in crate::collect) fn log(&self, level: u8, message: String) -> Result<(), Refusal> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Refusal::ended());
        }
        let lines = &self.log_lines[usize::from(level)];
        if lines.fetch_add(1, Ordering::Relaxed) >= LOG_LINES_MAX {
            // Back, or a plugin that logs without end would come round to zero.
            lines.fetch_sub(1, Ordering::Relaxed);
            return Ok(());
        }
        self.send(&[ToAgent::Log { level, message }])
    }

    /// Why the running call is about to fail.
    pub(in crate::collect) fn set_error(
        &self,
        field: String,
        message: String,
    ) -> Result<(), Refusal> {
        self.open()?.error = Some((field, message));
        Ok(())
    }

    /// Notes something that was not taken as it came.
    pub(in crate::collect) fn note(&self, why: impl FnOnce(&Registry) -> String) {
        if let Ok(mut state) = self.open() {
            let State {
                registry, refusals, ..
            } = &mut *state;
            refusals.add(|| why(registry));
        }
    }

    /// Whether the agent has given up on the running call, or the instance has ended.
    pub(in crate::collect) fn cancelled(&self) -> bool {
        self.closed.load(Ordering::Acquire)
            || self.running.load(Ordering::Acquire) <= self.given_up.load(Ordering::Acquire)
    }

    /// Gives up on every request up to this one. The agent sends a cancel after the request that it means, and
    /// it may arrive when that has been answered: the next one is not meant.
    pub(super) fn give_up(&self, request: u64) {
        self.given_up.store(request, Ordering::Release);
    }

    /// A request begins: what the last one said of its error is forgotten.
    pub(super) fn begin(&self, request: u64) {
        self.state().error = None;
        for lines in &self.log_lines {
            lines.store(0, Ordering::Relaxed);
        }
        self.running.store(request, Ordering::Release);
    }

    /// It has ended: key and words of its error, if it gave some.
    pub(in crate::collect) fn end(&self) -> (String, String) {
        self.running.store(NO_CALL, Ordering::Release);
        self.state().error.take().unwrap_or_default()
    }

    /// How many series may live.
    pub(super) fn limit(&self, series_max: usize) {
        self.state().registry.series_max = series_max;
    }

    /// Under which topic the plugin streams.
    pub(super) fn streams(&self, topic: String) {
        self.state().registry.topic = topic;
    }

    /// Why the first thing was refused since the last result, if one was.
    pub(super) fn first_refusal(&self) -> Option<String> {
        self.state().refusals.first().map(str::to_owned)
    }

    /// Events up to this number are stored.
    pub(super) fn stored(&self, number: u64) {
        self.state().backlog.stored(number);
    }

    /// What a collect gave. Samples of a failed one are dropped whole.
    pub(in crate::collect) fn done(&self, number: u64, code: i32, error: Option<String>) -> Done {
        let mut state = self.state();
        let mut samples = std::mem::take(&mut state.samples);
        state.samples.reserve(samples.len());
        if !keeps_samples(code) {
            samples.clear();
        }
        let (refused, refusal) = state.refusals.take();
        let dropped = state.registry.take_dropped();
        Done {
            number,
            code,
            error,
            refused,
            refusal,
            dropped,
            took: Duration::ZERO,
            samples,
        }
    }

    /// Runs a call whose pieces of text come through [`Context::write`]; gives its code and the whole.
    pub(super) fn written(&self, bytes_max: usize, call: impl FnOnce() -> i32) -> (i32, Answer) {
        *self.answer() = Some(Answer::new(bytes_max));
        let code = call();
        let answer = self.answer().take();
        (
            code,
            answer.expect("calls don't overlap, and only they take it"),
        )
    }

    /// A piece of what is being written; nothing where nobody asked, or asks no more.
    pub(in crate::collect) fn write(&self, piece: &[u8]) {
        if let Some(answer) = self.answer().as_mut() {
            answer.write(piece);
        }
    }

    fn answer(&self) -> MutexGuard<'_, Option<Answer>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a tick can take so many samples more.
fn room(registry: &Registry, taken: usize, more: usize) -> Result<(), Refusal> {
    let per_series = registry.series_max.saturating_mul(SAMPLES_PER_SERIES_MAX);
    let max = per_series.min(SAMPLES_MAX);
    if taken.saturating_add(more) > max {
        return Err(Refusal::full(format!(
            "a tick with more than {max} samples"
        )));
    }
    Ok(())
}

fn identity(stream: &UnixStream) -> Option<Identity> {
    let stat = rustix::fs::fstat(stream).ok()?;
    Some(Identity(stat.st_dev, stat.st_ino))
}

/// What a code means where the plugin gave no words for it.
pub(super) fn words_of(code: i32) -> String {
    match code {
        abi::PARTIAL => "some of it could not be read",
        abi::E_CONFIG => "the configuration can't be used",
        abi::E_UNAVAILABLE => "the source does not answer",
        abi::E_TIMEOUT => "the source did not answer in time",
        abi::E_PANIC => "the plugin panicked",
        abi::E_FATAL => "the instance can't go on",
        abi::E_CLOSED => "the instance is closed",
        abi::E_FULL => "a bound was reached",
        _ => return format!("the plugin returned the unknown code {code}"),
    }
    .to_owned()
}
