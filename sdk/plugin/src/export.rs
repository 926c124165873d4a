//! The C side of a collector: [`export_collector!`](crate::export_collector), the functions behind the
//! ABI's table, and the `Link` through which the plugin calls its host.
//!
//! Every function that the host calls catches panics. Raw pointers are turned into references here and
//! nowhere else in the SDK.

use std::{
    ffi::c_void,
    mem::size_of,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError, RwLock},
};

use crate::{
    Collector, Error, Manifest, Tick,
    abi::{self, Host, Plugin, Str, Write},
    runtime::{Answer, Instance, panic_message, parse_config},
};

/// Exports a [`Collector`] as the plugin of this library; once a library.
///
/// The crate has to be a `cdylib`.
#[macro_export]
macro_rules! export_collector {
    ($collector:ty) => {
        const _: () = {
            #[cfg(panic = "abort")]
            compile_error!(
                "a Barograph plugin has to unwind, so that a panic costs one sample and not the \
                 process: remove `panic = \"abort\"` from the profile"
            );

            const MANIFEST: $crate::Manifest = <$collector as $crate::Collector>::MANIFEST;

            #[used]
            #[unsafe(link_section = ".barograph")]
            static NOTE: [u8; $crate::export::note_bytes(&MANIFEST)] =
                $crate::export::note(&MANIFEST);

            #[unsafe(no_mangle)]
            pub static BAROGRAPH_PLUGIN_V1: $crate::abi::Plugin =
                $crate::export::plugin::<$collector>();
        };
    };
}

const NOTE_KEYS: [&str; 4] = ["abi=1.0\nname=", "\ntopic=", "\nversion=", "\n"];
const _: () = assert!(
    abi::ABI_MAJOR == 1 && abi::ABI_MINOR == 0,
    "the note names the ABI"
);

/// Length of [`note`].
#[doc(hidden)]
pub const fn note_bytes(manifest: &Manifest) -> usize {
    let words = manifest.name.len() + manifest.topic.len() + manifest.version.len();
    words + NOTE_KEYS[0].len() + NOTE_KEYS[1].len() + NOTE_KEYS[2].len() + NOTE_KEYS[3].len()
}

/// The lines that `barograph plugin inspect` reads from the library's section.
#[doc(hidden)]
pub const fn note<const BYTES: usize>(manifest: &Manifest) -> [u8; BYTES] {
    let parts = [
        NOTE_KEYS[0],
        manifest.name,
        NOTE_KEYS[1],
        manifest.topic,
        NOTE_KEYS[2],
        manifest.version,
        NOTE_KEYS[3],
    ];
    let mut note = [0; BYTES];
    let mut written = 0;
    let mut part = 0;
    while part < parts.len() {
        let bytes = parts[part].as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            note[written] = bytes[at];
            written += 1;
            at += 1;
        }
        part += 1;
    }
    note
}

/// The table of a collector.
#[doc(hidden)]
pub const fn plugin<C: Collector>() -> Plugin {
    let manifest = C::MANIFEST;
    Plugin {
        magic: abi::MAGIC,
        struct_size: struct_size::<Plugin>(),
        abi_major: abi::ABI_MAJOR,
        abi_minor: abi::ABI_MINOR,
        features: 0,
        name: Str::new(manifest.name),
        topic: Str::new(manifest.topic),
        version: Str::new(manifest.version),
        describe: describe::<C>,
        check_config: check_config::<C>,
        create: create::<C>,
        start,
        collect,
        reconfigure,
        stop,
        destroy,
    }
}

/// Value of a struct's first field.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the ABI's structs are small"
)]
pub(crate) const fn struct_size<T>() -> u32 {
    size_of::<T>() as u32
}

unsafe extern "C" fn describe<C: Collector>(out: *mut c_void, write: Write) -> i32 {
    guarded(None, || {
        let manifest = serde_json::json!({
            "name": C::MANIFEST.name,
            "topic": C::MANIFEST.topic,
            "version": C::MANIFEST.version,
            "needs": C::MANIFEST.needs,
            "config": schemars::schema_for!(C::Config),
        });
        let text = manifest.to_string();
        // SAFETY: `out` is passed back untouched, and `text` lives until the call returns.
        unsafe { write(out, Str::new(&text)) };
        abi::OK
    })
}

unsafe extern "C" fn check_config<C: Collector>(host: *const Host, config: Str) -> i32 {
    // SAFETY: the contract has the host's table valid for the call.
    let Some(link) = (unsafe { Link::open(host) }) else {
        return abi::E_FATAL;
    };
    guarded(Some(&link), || {
        // SAFETY: the contract has the text valid for the call; it is copied.
        let checked = unsafe { text(config) }.and_then(|config| parse_config::<C>(&config));
        code(&link, checked.map(|_| Answer::Done))
    })
}

unsafe extern "C" fn create<C: Collector>(
    host: *const Host,
    config: Str,
    instance: *mut *mut c_void,
) -> i32 {
    // SAFETY: the contract has the host's table valid until `destroy` returns.
    let Some(link) = (unsafe { Link::open(host) }) else {
        return abi::E_FATAL;
    };
    let link = Arc::new(link);
    guarded(Some(&link), || {
        // SAFETY: the contract has the text valid for the call; it is copied.
        let config = unsafe { text(config) };
        let created = config.and_then(|config| Instance::create::<C>(Arc::clone(&link), config));
        match created {
            Ok(made) => {
                // SAFETY: the contract has `instance` point at a place for one pointer.
                unsafe { *instance = Box::into_raw(Box::new(made)).cast() };
                abi::OK
            }
            Err(error) => {
                let code = refuse(&link, &error);
                link.close();
                code
            }
        }
    })
}

unsafe extern "C" fn start(_instance: *mut c_void) -> i32 {
    abi::OK
}

unsafe extern "C" fn collect(instance: *mut c_void, tick: *const abi::Tick) -> i32 {
    // SAFETY: `instance` came from `create`, was not destroyed, and calls for it never overlap.
    let instance = unsafe { &mut *instance.cast::<Instance>() };
    // SAFETY: the contract has the tick valid for the call, and every 1.x host gives these fields.
    let abi::Tick {
        tiers,
        number,
        at_ms,
        deadline_ns,
        ..
    } = unsafe { *tick };
    let link = Arc::clone(&instance.link);
    guarded(Some(&link), || {
        code(
            &link,
            instance.collect(Tick {
                number,
                at_ms,
                tiers,
                deadline_ns,
            }),
        )
    })
}

unsafe extern "C" fn reconfigure(instance: *mut c_void, config: Str) -> i32 {
    // SAFETY: `instance` came from `create`, was not destroyed, and calls for it never overlap.
    let instance = unsafe { &mut *instance.cast::<Instance>() };
    let link = Arc::clone(&instance.link);
    guarded(Some(&link), || {
        // SAFETY: the contract has the text valid for the call; it is copied.
        let config = unsafe { text(config) };
        code(
            &link,
            config.and_then(|config| instance.reconfigure(config)),
        )
    })
}

unsafe extern "C" fn stop(instance: *mut c_void) -> i32 {
    // SAFETY: `instance` came from `create`, was not destroyed, and calls for it never overlap.
    let instance = unsafe { &mut *instance.cast::<Instance>() };
    guarded(None, || {
        instance.stop();
        abi::OK
    })
}

unsafe extern "C" fn destroy(instance: *mut c_void) {
    if instance.is_null() {
        return;
    }
    guarded(None, || {
        // SAFETY: `instance` came from `create` and is destroyed once, as the last call for it.
        drop(unsafe { Box::from_raw(instance.cast::<Instance>()) });
        abi::OK
    });
}

/// Runs the body of an entry; a panic becomes a code and, where there is a host to tell, a message.
fn guarded(link: Option<&Link>, body: impl FnOnce() -> i32) -> i32 {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        if let Some(link) = link {
            link.set_error("", &panic_message(&*panic));
        }
        abi::E_PANIC
    })
}

fn code(link: &Link, answer: Result<Answer, Error>) -> i32 {
    match answer {
        Ok(Answer::Done) => abi::OK,
        Ok(Answer::Restart) => abi::RESTART,
        Ok(Answer::Closed) => abi::E_CLOSED,
        Ok(Answer::Partial(message)) => {
            link.set_error("", &message);
            abi::PARTIAL
        }
        Err(error) => refuse(link, &error),
    }
}

fn refuse(link: &Link, error: &Error) -> i32 {
    link.set_error(error.field(), error.message());
    error.code()
}

/// Copies a text of the host.
///
/// # Safety
/// As for [`Str::as_bytes`].
unsafe fn text(text: Str) -> Result<String, Error> {
    // SAFETY: as promised by the caller.
    let bytes = unsafe { text.as_bytes() };
    String::from_utf8(bytes.to_vec()).map_err(|_| Error::config("", "the text is not UTF-8"))
}

/// The host's functions, as safe methods. After [`Link::close`] they do nothing.
#[derive(Debug)]
pub(crate) struct Link {
    /// Calls hold it shared, `close` exclusively: after `stop` nothing may call the host any more, not
    /// even a thread that an author forgot.
    host: RwLock<Option<Host>>,
}

// SAFETY: the contract allows calls from any thread, and those that it limits to one at a time
// (define and retire) are made only while the host waits for `create` or `collect`.
unsafe impl Send for Link {}
// SAFETY: as above.
unsafe impl Sync for Link {}

impl Link {
    /// Copies the host's table; none when it is of another major version or too short.
    ///
    /// # Safety
    /// `host` points at a table whose first `struct_size` bytes are valid, and whose functions may be
    /// called until [`Link::close`].
    unsafe fn open(host: *const Host) -> Option<Self> {
        if host.is_null() {
            return None;
        }
        // SAFETY: these fields are in every version of the table.
        let (size, major) = unsafe { ((*host).struct_size, (*host).abi_major) };
        if major != abi::ABI_MAJOR || (size as usize) < size_of::<Host>() {
            return None;
        }
        // SAFETY: the table is at least as long as ours.
        let table = unsafe { *host };
        Some(Self {
            host: RwLock::new(Some(table)),
        })
    }

    pub(crate) fn close(&self) {
        *self.host.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn call<T>(&self, closed: T, call: impl FnOnce(&Host) -> T) -> T {
        self.host
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map_or(closed, call)
    }

    pub(crate) fn define_metric(&self, metric: &abi::Metric) -> Result<u32, i32> {
        self.call(Err(abi::E_CLOSED), |host| {
            let mut id = 0;
            // SAFETY: the metric, its strings and `id` are valid for the call.
            let code = unsafe { (host.define_metric)(host.ctx, metric, &raw mut id) };
            if code == abi::OK { Ok(id) } else { Err(code) }
        })
    }

    pub(crate) fn define_series(&self, metric: u32, labels: &[&str]) -> Result<u32, i32> {
        let values: Vec<Str> = labels.iter().map(|value| Str::new(value)).collect();
        self.call(Err(abi::E_CLOSED), |host| {
            let mut id = 0;
            // SAFETY: the values and `id` are valid for the call.
            let code = unsafe {
                (host.define_series)(host.ctx, metric, values.as_ptr(), values.len(), &raw mut id)
            };
            if code == abi::OK { Ok(id) } else { Err(code) }
        })
    }

    pub(crate) fn retire_series(&self, series: u32) {
        self.call((), |host| {
            // SAFETY: the call takes no pointer but the host's own. An id that the host has forgotten
            // by itself is as good as retired, so the code says nothing.
            unsafe { (host.retire_series)(host.ctx, series) };
        });
    }

    pub(crate) fn push(&self, samples: &[abi::Sample]) -> Result<(), i32> {
        if samples.is_empty() {
            return Ok(());
        }
        self.call(Err(abi::E_CLOSED), |host| {
            // SAFETY: the samples are valid for the call.
            let code = unsafe { (host.push)(host.ctx, samples.as_ptr(), samples.len()) };
            if code == abi::OK { Ok(()) } else { Err(code) }
        })
    }

    pub(crate) fn log(&self, level: u32, message: &str) {
        self.call((), |host| {
            // SAFETY: the message is valid for the call.
            unsafe { (host.log)(host.ctx, level, Str::new(message)) };
        });
    }

    pub(crate) fn cancelled(&self) -> bool {
        // SAFETY: the call takes no pointer but the host's own.
        self.call(true, |host| unsafe { (host.cancelled)(host.ctx) } != 0)
    }

    pub(crate) fn set_error(&self, field: &str, message: &str) {
        self.call((), |host| {
            // SAFETY: both texts are valid for the call.
            unsafe { (host.set_error)(host.ctx, Str::new(field), Str::new(message)) };
        });
    }

    pub(crate) fn now_mono_ns(&self) -> u64 {
        // SAFETY: the call takes no pointer but the host's own.
        self.call(u64::MAX, |host| unsafe { (host.now_mono_ns)(host.ctx) })
    }
}
