//! The C side of a collector: [`export_collector!`](crate::export_collector) and the functions behind the
//! ABI's table; `link` is the way back to the host.
//!
//! Every function that the host calls catches panics and refuses null pointers. Raw pointers are turned
//! into references in these two files and nowhere else in the SDK.

#[cfg(test)]
pub(crate) mod desk;
mod link;
#[cfg(test)]
mod tests;

use std::{
    ffi::c_void,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

pub(crate) use link::Link;

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

/// The line of a plugin that runs without being configured; nothing for the others.
const fn unasked(manifest: &Manifest) -> &'static str {
    if manifest.runs_unasked {
        "default=on\n"
    } else {
        ""
    }
}

/// Length of [`note`].
#[doc(hidden)]
pub const fn note_bytes(manifest: &Manifest) -> usize {
    let words = manifest.name.len() + manifest.topic.len() + manifest.version.len();
    let words = words + unasked(manifest).len();
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
        unasked(manifest),
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
        features: manifest.features,
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
        lookup: if manifest.features & abi::FEATURE_LOOKUP == 0 {
            None
        } else {
            Some(lookup)
        },
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
        if instance.is_null() {
            return refuse(&link, &Error::fatal("there is no place for the instance"));
        }
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

unsafe extern "C" fn start(instance: *mut c_void) -> i32 {
    // SAFETY: the contract has `instance` come from `create`.
    unsafe { call(instance, |_, _| abi::OK) }
}

unsafe extern "C" fn collect(instance: *mut c_void, tick: *const abi::Tick) -> i32 {
    let collect = |instance: &mut Instance, link: &Link| {
        // SAFETY: the contract has the tick valid for the call.
        let asked = unsafe { tick_of(tick) };
        code(link, asked.and_then(|tick| instance.collect(tick)))
    };
    // SAFETY: the contract has `instance` come from `create`.
    unsafe { call(instance, collect) }
}

unsafe extern "C" fn reconfigure(instance: *mut c_void, config: Str) -> i32 {
    let reconfigure = |instance: &mut Instance, link: &Link| {
        // SAFETY: the contract has the text valid for the call; it is copied.
        let config = unsafe { text(config) };
        code(link, config.and_then(|config| instance.reconfigure(config)))
    };
    // SAFETY: the contract has `instance` come from `create`.
    unsafe { call(instance, reconfigure) }
}

unsafe extern "C" fn lookup(
    instance: *mut c_void,
    name: Str,
    parameter: Str,
    out: *mut c_void,
    write: Write,
) -> i32 {
    let lookup = |instance: &mut Instance, link: &Link| {
        // SAFETY: the contract has both texts valid for the call; they are copied.
        let asked = unsafe { text(name).and_then(|name| Ok((name, text(parameter)?))) };
        match asked.and_then(|(name, parameter)| instance.lookup(name, parameter)) {
            Ok(Answer::LookedUp(json)) => {
                // SAFETY: `out` is passed back untouched, and the text lives until the call returns.
                unsafe { write(out, Str::new(&json)) };
                abi::OK
            }
            answer => code(link, answer),
        }
    };
    // SAFETY: the contract has `instance` come from `create`.
    unsafe { call(instance, lookup) }
}

unsafe extern "C" fn stop(instance: *mut c_void) -> i32 {
    let stop = |instance: &mut Instance, _: &Link| {
        instance.stop();
        abi::OK
    };
    // SAFETY: the contract has `instance` come from `create`.
    unsafe { call(instance, stop) }
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

/// Runs the body of an entry for an instance.
///
/// # Safety
/// `instance` is null, or came from `create` and was not destroyed, and calls for it never overlap.
unsafe fn call(instance: *mut c_void, body: impl FnOnce(&mut Instance, &Link) -> i32) -> i32 {
    // SAFETY: as promised by the caller.
    let Some(instance) = (unsafe { instance.cast::<Instance>().as_mut() }) else {
        return abi::E_CLOSED;
    };
    let link = Arc::clone(&instance.link);
    guarded(Some(&link), || body(instance, &link))
}

/// Runs the body of an entry; a panic becomes a code and, where there is a host to tell, a message.
fn guarded(link: Option<&Link>, body: impl FnOnce() -> i32) -> i32 {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let message = panic_message(panic);
        if let Some(link) = link {
            link.set_error("", &message);
        }
        abi::E_PANIC
    })
}

fn code(link: &Link, answer: Result<Answer, Error>) -> i32 {
    match answer {
        Ok(Answer::Done | Answer::LookedUp(_)) => abi::OK,
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
    if text.ptr.is_null() && text.len > 0 {
        return Err(Error::config("", "the text is a null pointer"));
    }
    // SAFETY: as promised by the caller.
    let bytes = unsafe { text.as_bytes() };
    String::from_utf8(bytes.to_vec()).map_err(|_| Error::config("", "the text is not UTF-8"))
}

/// Copies a tick; it may be longer than ours, and what is beyond is not read.
///
/// # Safety
/// `tick` is null or points at a tick whose first `struct_size` bytes are valid.
unsafe fn tick_of(tick: *const abi::Tick) -> Result<Tick, Error> {
    // SAFETY: the size stands first in every version, and as promised by the caller.
    let size = unsafe { tick.cast::<u32>().as_ref() };
    if size.is_none_or(|size| *size < struct_size::<abi::Tick>()) {
        return Err(Error::fatal(
            "the tick is shorter than plugin ABI 1.0 has it",
        ));
    }
    // SAFETY: the tick is at least as long as ours.
    let tick = unsafe { *tick };
    Ok(Tick {
        number: tick.number,
        at_ms: tick.at_ms,
        tiers: tick.tiers,
        deadline_ns: tick.deadline_ns,
    })
}
