//! The plugin's own thread: a current-thread tokio runtime that keeps turning between ticks.
//!
//! `export.rs` makes an [`Instance`] and turns each call of the host into one command and one answer.
//! The collector lives and dies on this thread; a panic in it is caught here and ends the instance,
//! never the process. What awaits beyond its deadline is dropped here, so that a source that hangs costs
//! one tick; only code that blocks the thread itself has to be ended from outside.

use std::{
    any::Any,
    fmt,
    future::{Future, poll_fn},
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, mpsc as blocking},
    task::Poll,
    thread,
    time::Duration,
};

use tokio::{sync::mpsc, time};
use tracing::{Dispatch, dispatcher};

use crate::{
    Collector, Error, ErrorKind, Reload, Setup, Sink, export::Link, registry::Registry, sink::Tick,
    trace::Bridge,
};

/// Only pages that are touched cost memory, so this leaves room for deep drivers at no price.
const STACK_BYTES: usize = 1 << 20;
/// Threads for blocking work such as looking up a name. One that hangs keeps its thread, so a server
/// that never answers must not collect hundreds of them; what finds none waits for its deadline.
const BLOCKING_THREADS_MAX: usize = 16;
/// How often a running call looks whether the host has given up on it.
const CANCEL_POLL: Duration = Duration::from_millis(20);
/// For blocking work to end after `stop`; the host waits longer than that before it kills.
const STOP_GRACE: Duration = Duration::from_millis(500);

/// One collector and its thread.
pub(crate) struct Instance {
    /// Holds one command, as calls of one instance never overlap. None once stopped.
    commands: Option<mpsc::Sender<Command>>,
    answers: blocking::Receiver<Result<Answer, Error>>,
    thread: Option<thread::JoinHandle<()>>,
    pub(crate) link: Arc<Link>,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("stopped", &self.commands.is_none())
            .finish_non_exhaustive()
    }
}

enum Command {
    Collect(Tick),
    Reconfigure(String),
    Lookup { name: String, parameter: String },
}

/// What a call came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Partial(String),
    /// A lookup's value as JSON.
    LookedUp(String),
    Restart,
    Closed,
}

impl Instance {
    /// Starts the thread and makes the collector on it.
    pub(crate) fn create<C: Collector>(link: Arc<Link>, config: String) -> Result<Self, Error> {
        let (commands, inbox) = mpsc::channel(1);
        let (outbox, answers) = blocking::sync_channel(1);
        let link_of_thread = Arc::clone(&link);
        let thread = thread::Builder::new()
            .name(C::MANIFEST.name.to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || run::<C>(&link_of_thread, &config, inbox, &outbox))
            .map_err(|error| Error::fatal(format!("no thread for the collector: {error}")))?;
        match answer(&answers) {
            Ok(_) => Ok(Self {
                commands: Some(commands),
                answers,
                thread: Some(thread),
                link,
            }),
            Err(error) => {
                // It has answered and is about to end; what it leaves behind is gone after this.
                let _ = thread.join();
                Err(error)
            }
        }
    }

    pub(crate) fn collect(&mut self, tick: Tick) -> Result<Answer, Error> {
        self.call(Command::Collect(tick))
    }

    pub(crate) fn reconfigure(&mut self, config: String) -> Result<Answer, Error> {
        self.call(Command::Reconfigure(config))
    }

    pub(crate) fn lookup(&mut self, name: String, parameter: String) -> Result<Answer, Error> {
        self.call(Command::Lookup { name, parameter })
    }

    /// Drops the collector, ends its thread and closes the way to the host.
    pub(crate) fn stop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // The thread catches the collector's panics; one in a destructor has been printed by then.
            let _ = thread.join();
        }
        self.link.close();
    }

    fn call(&mut self, command: Command) -> Result<Answer, Error> {
        let Some(commands) = &self.commands else {
            return Ok(Answer::Closed);
        };
        // There is room, since calls never overlap; and a test may call from a runtime of its own, which must not wait.
        if commands.try_send(command).is_err() {
            return Err(Error::panic("the collector's thread has ended"));
        }
        answer(&self.answers)
    }
}

fn answer(answers: &blocking::Receiver<Result<Answer, Error>>) -> Result<Answer, Error> {
    answers
        .recv()
        .unwrap_or_else(|_| Err(Error::panic("the collector's thread has ended")))
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Body of the thread: what the collector traces goes to the host while it lives.
fn run<C: Collector>(
    link: &Arc<Link>,
    config: &str,
    inbox: mpsc::Receiver<Command>,
    answers: &blocking::SyncSender<Result<Answer, Error>>,
) {
    let dispatch = Dispatch::new(Bridge::new(Arc::clone(link)));
    let runtime = match runtime(dispatch.clone()) {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = answers.send(Err(Error::fatal(format!("no runtime: {error}"))));
            return;
        }
    };
    dispatcher::with_default(&dispatch, || {
        runtime.block_on(serve::<C>(link, config, inbox, answers));
        runtime.shutdown_timeout(STOP_GRACE);
    });
}

fn runtime(dispatch: Dispatch) -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_stack_size(STACK_BYTES)
        // The guard would take the dispatcher away again; it is the thread's for as long as it runs.
        .on_thread_start(move || mem::forget(dispatcher::set_default(&dispatch)))
        .build()
}

/// Makes the collector, answers whether that worked, then serves commands until the instance is stopped
/// or the collector has panicked.
async fn serve<C: Collector>(
    link: &Arc<Link>,
    config: &str,
    mut inbox: mpsc::Receiver<Command>,
    answers: &blocking::SyncSender<Result<Answer, Error>>,
) {
    let mut registry = Registry::new(Arc::clone(link));
    let made = caught(async { make::<C>(link, &mut registry, config) }).await;
    let mut collector = match made {
        Ok(collector) => collector,
        Err(error) => {
            let _ = answers.send(Err(error));
            return;
        }
    };
    // A send fails only when the instance is gone, and then `recv` ends the loop.
    let _ = answers.send(Ok(Answer::Done));
    while let Some(command) = inbox.recv().await {
        let answer = match command {
            Command::Collect(tick) => collect(&mut collector, &mut registry, tick).await,
            Command::Reconfigure(config) => {
                caught(async { reconfigure(&mut collector, &config) }).await
            }
            Command::Lookup { name, parameter } => {
                lookup(&mut collector, link, &name, &parameter).await
            }
        };
        let panicked = answer
            .as_ref()
            .is_err_and(|error| error.kind() == ErrorKind::Panic);
        let _ = answers.send(answer);
        if panicked {
            return;
        }
    }
}

fn make<C: Collector>(link: &Arc<Link>, registry: &mut Registry, config: &str) -> Result<C, Error> {
    let config = parse_config::<C>(config)?;
    let mut setup = Setup::new(link, registry, C::MANIFEST.features);
    let collector = C::new(config, &mut setup)?;
    setup.finish()?;
    Ok(collector)
}

async fn collect<C: Collector>(
    collector: &mut C,
    registry: &mut Registry,
    tick: Tick,
) -> Result<Answer, Error> {
    registry.begin(tick);
    let link = Arc::clone(registry.link());
    let mut sink = Sink { registry };
    let left = sink.time_left();
    let collected = caught(in_time(collector.collect(&mut sink), &link, left)).await;
    if let Err(error) = collected {
        registry.clear();
        return Err(error);
    }
    match registry.commit() {
        Ok(None) => Ok(Answer::Done),
        Ok(Some(message)) => Ok(Answer::Partial(message)),
        Err(code) => Err(Error::unavailable(format!(
            "the host refused the samples (code {code})"
        ))),
    }
}

fn reconfigure<C: Collector>(collector: &mut C, config: &str) -> Result<Answer, Error> {
    let config = parse_config::<C>(config)?;
    collector.reconfigure(config).map(|reload| match reload {
        Reload::Applied => Answer::Done,
        Reload::Restart => Answer::Restart,
    })
}

async fn lookup<C: Collector>(
    collector: &mut C,
    link: &Link,
    name: &str,
    parameter: &str,
) -> Result<Answer, Error> {
    // The host has the deadline of a lookup and says by its flag that it has given up.
    let answered = in_time(collector.lookup(name, parameter), link, Duration::MAX);
    caught(answered)
        .await
        .map(|value| Answer::LookedUp(value.to_string()))
}

/// Reads the plugin's section, given as JSON; a mistake names the key by its dotted path.
pub(crate) fn parse_config<C: Collector>(json: &str) -> Result<C::Config, Error> {
    let json = if json.is_empty() { "{}" } else { json };
    let mut reader = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { String::new() } else { path };
        Error::config(field, message_of(&error.into_inner()))
    })
}

/// `serde_json` ends its messages in a position inside our own JSON, which is not what the operator wrote.
fn message_of(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&position).unwrap_or(&text).to_owned()
}

/// Runs `work` for as long as the host waits for it. Work that is done when it is looked at counts,
/// however late that is.
async fn in_time<T>(
    work: impl Future<Output = Result<T, Error>>,
    link: &Link,
    left: Duration,
) -> Result<T, Error> {
    let mut work = pin!(work);
    let mut given_up = pin!(time::timeout(left, cancelled(link)));
    poll_fn(|context| {
        if let Poll::Ready(answer) = work.as_mut().poll(context) {
            return Poll::Ready(answer);
        }
        given_up.as_mut().poll(context).map(|ended| {
            Err(Error::timeout(match ended {
                Ok(()) => "was given up by the agent",
                Err(_) => "was not done by its deadline",
            }))
        })
    })
    .await
}

/// Ends when the host has given up on the running call.
async fn cancelled(link: &Link) {
    loop {
        time::sleep(CANCEL_POLL).await;
        if link.cancelled() {
            return;
        }
    }
}

/// Runs a future whose panic becomes an error.
async fn caught<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let mut future = pin!(future);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        polled.unwrap_or_else(|panic| Poll::Ready(Err(Error::panic(panic_message(panic)))))
    })
    .await
}

/// What a panic said.
pub(crate) fn panic_message(panic: Box<dyn Any + Send>) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    // What it carried may panic again as it is dropped; what that carries is left behind, unless it is text.
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic)))
        && !again.is::<&str>()
        && !again.is::<String>()
    {
        mem::forget(again);
    }
    text.map_or_else(
        || "the collector panicked".to_owned(),
        |text| format!("panicked: {text}"),
    )
}

#[cfg(test)]
mod tests;
