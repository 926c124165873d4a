//! The plugin host: what runs in a plugin's own process.
//!
//! The agent starts its own binary as `barograph plugin-host` with a socket on descriptor 3, sends one
//! `Load` and then a `Collect` for each tick. Here is the only dlopen of the agent. One thread reads the
//! socket and ends the process when the agent goes away; the main thread calls the plugin, whose functions
//! call back into [`Context`]. Nothing here knows the catalog or the clock of the agent, and a library is
//! never unloaded.

use std::ffi::c_void;
use std::io::{Read, Write};
use std::mem::{offset_of, size_of};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use barograph_sdk::abi;
use rustix::time::{ClockId, clock_gettime};

use super::hostcalls;
use super::link::{self, Done, LinkError, Purpose, ToAgent, ToHost};

/// The descriptor that the agent's socket stands on.
pub const LINK_FD: i32 = 3;
/// Stack of the thread that reads the link; it decodes and forwards.
const READER_STACK_BYTES: usize = 128 << 10;

/// What the plugin's calls into the host act on; one for the life of the process.
#[derive(Debug)]
pub(super) struct Context {
    link: Mutex<UnixStream>,
    pub(super) cancelled: AtomicBool,
    state: Mutex<State>,
}

/// What was declared and pushed so far.
#[derive(Debug, Default)]
pub(super) struct State {
    /// For each metric its name and number of labels.
    pub(super) metrics: Vec<(String, usize)>,
    /// Whether each series is alive, by id.
    pub(super) series: Vec<bool>,
    pub(super) series_live: usize,
    pub(super) series_max: usize,
    pub(super) samples: Vec<(u32, f64)>,
    pub(super) refused: u32,
    pub(super) error: Option<(String, String)>,
}

impl Context {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message; without an agent there is nothing left to do, so a failure ends the process.
    pub(super) fn send(&self, message: &ToAgent) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        if link.write_all(&bytes).is_err() {
            exit_now();
        }
    }

    fn error(&self) -> (String, String) {
        self.state().error.take().unwrap_or_default()
    }
}

/// An opened library and, once created, its instance.
struct Loaded {
    plugin: abi::Plugin,
    host: abi::Host,
    instance: *mut c_void,
}

/// Runs the host until the agent says stop or goes away.
pub fn run() -> ExitCode {
    if rustix::io::fcntl_getfd(
        // SAFETY: only borrowed for this call; a closed descriptor gives an error, not undefined behaviour.
        unsafe { std::os::fd::BorrowedFd::borrow_raw(LINK_FD) },
    )
    .is_err()
    {
        eprintln!(
            "plugin-host is started by the agent itself; use `barograph plugin run-once` instead"
        );
        return ExitCode::from(2);
    }
    // SAFETY: the descriptor is open and, by the agreement with the agent's spawner, ours alone.
    let stream = UnixStream::from(unsafe { OwnedFd::from_raw_fd(LINK_FD) });
    let Ok(reader) = stream.try_clone() else {
        return ExitCode::FAILURE;
    };
    let context: &'static Context = Box::leak(Box::new(Context {
        link: Mutex::new(stream),
        cancelled: AtomicBool::new(false),
        state: Mutex::new(State::default()),
    }));
    // One message waits at most: the agent sends the next Collect after the last one's Done.
    let (sender, messages) = sync_channel(2);
    let started = std::thread::Builder::new()
        .name("link".into())
        .stack_size(READER_STACK_BYTES)
        .spawn(move || read_link(reader, context, &sender));
    if started.is_err() {
        return ExitCode::FAILURE;
    }
    serve(context, &messages)
}

fn serve(context: &'static Context, messages: &Receiver<ToHost>) -> ExitCode {
    let Ok(ToHost::Load {
        purpose,
        library,
        config,
        series_max,
    }) = messages.recv()
    else {
        return ExitCode::FAILURE;
    };
    context.state().series_max = series_max as usize;
    let mut loaded = match load(context, &library) {
        Ok(loaded) => loaded,
        Err(message) => {
            context.send(&ToAgent::Failed {
                code: abi::E_CONFIG,
                field: String::new(),
                message,
            });
            return ExitCode::FAILURE;
        }
    };
    let code = match purpose {
        Purpose::Check => loaded.check(&config),
        Purpose::Collect => loaded.create(&config),
    };
    if code != abi::OK {
        let (field, message) = context.error();
        let message = if message.is_empty() {
            describe(code).to_owned()
        } else {
            message
        };
        context.send(&ToAgent::Failed {
            code,
            field,
            message,
        });
        return ExitCode::FAILURE;
    }
    context.send(&loaded.ready());
    if purpose == Purpose::Check {
        return ExitCode::SUCCESS;
    }
    while let Ok(message) = messages.recv() {
        match message {
            ToHost::Collect {
                number,
                at_ms,
                tiers,
                deadline,
            } => {
                let done = loaded.collect(context, number, at_ms, tiers, deadline);
                context.send(&ToAgent::Done(done));
            }
            ToHost::Stop => {
                loaded.stop();
                break;
            }
            ToHost::Load { .. } | ToHost::Cancel => {}
        }
    }
    ExitCode::SUCCESS
}

fn load(context: &'static Context, path: &str) -> Result<Loaded, String> {
    // SAFETY: loading runs the library's initialisers; that is what this process is for.
    let library = unsafe { libloading::Library::new(path) }
        .map_err(|error| format!("{path} can't be loaded: {}", cause(&error)))?;
    // Never unloaded: its threads, its thread-locals and its constants outlive any point we could choose.
    let library = Box::leak(Box::new(library));
    // SAFETY: the symbol is only used as an address until magic and sizes were checked.
    let symbol = unsafe { library.get::<*const u8>(abi::SYMBOL) }.map_err(|_| {
        format!("{path} is not a Barograph plugin: it does not export BAROGRAPH_PLUGIN_V1; was it built with export_collector! or against barograph_plugin.h?")
    })?;
    let plugin = read_plugin(path, *symbol)?;
    let host = hostcalls::table(context);
    Ok(Loaded {
        plugin,
        host,
        instance: std::ptr::null_mut(),
    })
}

/// What the dynamic linker said.
fn cause(error: &libloading::Error) -> String {
    use std::error::Error as _;
    error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

/// Copies the exported struct after its first fields were found good.
fn read_plugin(path: &str, address: *const u8) -> Result<abi::Plugin, String> {
    let field = |offset: usize| address.wrapping_add(offset);
    // SAFETY: an exported symbol of this name has at least the head of the struct; its bytes are readable.
    let (magic, size, major) = unsafe {
        (
            field(offset_of!(abi::Plugin, magic))
                .cast::<u64>()
                .read_unaligned(),
            field(offset_of!(abi::Plugin, struct_size))
                .cast::<u32>()
                .read_unaligned(),
            field(offset_of!(abi::Plugin, abi_major))
                .cast::<u16>()
                .read_unaligned(),
        )
    };
    if magic != abi::MAGIC {
        return Err(format!(
            "{path} is not a Barograph plugin: its magic number is wrong"
        ));
    }
    if major != abi::ABI_MAJOR {
        let ours = abi::ABI_MAJOR;
        return Err(format!(
            "{path} was built for plugin ABI {major}, this agent speaks {ours}; rebuild it with a matching barograph-sdk"
        ));
    }
    if (size as usize) < size_of::<abi::Plugin>() {
        return Err(format!(
            "{path} exports a plugin of {size} bytes, shorter than ABI 1.0; rebuild it with barograph-sdk"
        ));
    }
    // SAFETY: magic, major version and size say that a whole `Plugin` of version 1.0 stands here.
    Ok(unsafe { address.cast::<abi::Plugin>().read_unaligned() })
}

impl Loaded {
    fn check(&self, config: &str) -> i32 {
        // SAFETY: a function of a plugin whose head was checked; all pointers live for the call.
        unsafe { (self.plugin.check_config)(&raw const self.host, abi::Str::new(config)) }
    }

    fn create(&mut self, config: &str) -> i32 {
        let instance = &raw mut self.instance;
        // SAFETY: as above; `instance` is written before OK is returned.
        let code =
            unsafe { (self.plugin.create)(&raw const self.host, abi::Str::new(config), instance) };
        if code != abi::OK {
            return code;
        }
        // SAFETY: the instance was created just now.
        unsafe { (self.plugin.start)(self.instance) }
    }

    fn ready(&self) -> ToAgent {
        let text = |text: abi::Str| {
            // SAFETY: the plugin's constants live as long as its library, which is for ever.
            String::from_utf8_lossy(unsafe { text.as_bytes() }).into_owned()
        };
        ToAgent::Ready {
            name: text(self.plugin.name),
            topic: text(self.plugin.topic),
            version: text(self.plugin.version),
        }
    }

    fn collect(
        &mut self,
        context: &Context,
        number: u64,
        at_ms: i64,
        tiers: u32,
        deadline: Duration,
    ) -> Done {
        let deadline_ns =
            now_mono_ns() + u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX / 2);
        let struct_size = u32::try_from(size_of::<abi::Tick>()).expect("a struct of a few bytes");
        let tick = abi::Tick {
            struct_size,
            tiers,
            number,
            at_ms,
            deadline_ns,
        };
        // SAFETY: the instance was created and calls never overlap: this is the only thread that makes them.
        let code = unsafe { (self.plugin.collect)(self.instance, &raw const tick) };
        context.cancelled.store(false, Ordering::Relaxed);
        let (_, message) = context.error();
        let mut state = context.state();
        let refused = std::mem::take(&mut state.refused);
        let mut samples = std::mem::take(&mut state.samples);
        state.samples.reserve(samples.len());
        if code < 0 {
            samples.clear();
        }
        let message = if message.is_empty() {
            describe(code).to_owned()
        } else {
            message
        };
        let error = (code != abi::OK).then_some(message);
        Done {
            number,
            code,
            error,
            refused,
            samples,
        }
    }

    fn stop(&self) {
        // SAFETY: as above; nothing uses the instance after `destroy`.
        unsafe {
            (self.plugin.stop)(self.instance);
            (self.plugin.destroy)(self.instance);
        }
    }
}

/// What a code means where the plugin gave no words for it.
fn describe(code: i32) -> &'static str {
    match code {
        abi::PARTIAL => "some of it could not be read",
        abi::E_CONFIG => "the configuration can't be used",
        abi::E_UNAVAILABLE => "the source does not answer",
        abi::E_TIMEOUT => "the source did not answer in time",
        abi::E_PANIC => "the plugin panicked",
        abi::E_FATAL => "the instance can't go on",
        abi::E_CLOSED => "the instance is closed",
        abi::E_FULL => "a bound was reached",
        _ => "the plugin returned an unknown code",
    }
}

fn read_link(mut stream: UnixStream, context: &Context, sender: &SyncSender<ToHost>) {
    let mut bytes = Vec::new();
    loop {
        match next(&mut stream, &mut bytes) {
            Ok(ToHost::Cancel) => context.cancelled.store(true, Ordering::Relaxed),
            Ok(message) => {
                if sender.send(message).is_err() {
                    return;
                }
            }
            // The agent has gone, or speaks nonsense: in both cases this process has no purpose any more.
            Err(_) => exit_now(),
        }
    }
}

fn next(stream: &mut UnixStream, bytes: &mut Vec<u8>) -> Result<ToHost, LinkError> {
    let mut length = [0; link::LENGTH_BYTES];
    stream
        .read_exact(&mut length)
        .map_err(|_| LinkError::Short)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > link::FRAME_BYTES_MAX {
        return Err(LinkError::TooLarge(length));
    }
    bytes.resize(length, 0);
    stream.read_exact(bytes).map_err(|_| LinkError::Short)?;
    ToHost::decode(bytes)
}

pub(super) fn now_mono_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

/// Ends the process without running destructors of a plugin that may hang in them.
fn exit_now() -> ! {
    // SAFETY: `_exit` has no preconditions.
    unsafe { libc::_exit(0) }
}
