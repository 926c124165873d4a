//! The plugin's own thread: a current-thread tokio runtime that keeps turning between ticks.
//!
//! `export.rs` makes an [`Instance`] and turns each call of the host into one command and one answer.
//! The collector lives and dies on this thread; a panic in it is caught here and ends the instance,
//! never the process.

use std::{
    any::Any,
    fmt,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, mpsc as blocking},
    task::Poll,
    thread,
};

use tokio::sync::mpsc;

use crate::{
    Collector, Error, Reload, Setup, Sink,
    export::Link,
    sink::{Registry, Tick},
};

/// Only pages that are touched cost memory, so this leaves room for deep drivers at no price.
const STACK_BYTES: usize = 1 << 20;

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
}

/// What a call came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Partial(String),
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
        if commands.blocking_send(command).is_err() {
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

/// Body of the thread: makes the collector, answers whether that worked, then serves commands until
/// the instance is stopped or the collector has panicked.
fn run<C: Collector>(
    link: &Arc<Link>,
    config: &str,
    mut inbox: mpsc::Receiver<Command>,
    answers: &blocking::SyncSender<Result<Answer, Error>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = answers.send(Err(Error::fatal(format!("no runtime: {error}"))));
            return;
        }
    };
    runtime.block_on(async {
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
            };
            let panicked = answer
                .as_ref()
                .is_err_and(|error| error.kind() == crate::ErrorKind::Panic);
            let _ = answers.send(answer);
            if panicked {
                return;
            }
        }
    });
}

fn make<C: Collector>(link: &Arc<Link>, registry: &mut Registry, config: &str) -> Result<C, Error> {
    let config = parse_config::<C>(config)?;
    let mut setup = Setup::new(link, registry);
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
    let mut sink = Sink { registry };
    let collected = caught(collector.collect(&mut sink)).await;
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

/// Runs a future whose panic becomes an error.
async fn caught<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let mut future = pin!(future);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        polled.unwrap_or_else(|panic| Poll::Ready(Err(Error::panic(panic_message(&*panic)))))
    })
    .await
}

pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.map_or_else(
        || "the collector panicked".to_owned(),
        |text| format!("panicked: {text}"),
    )
}
