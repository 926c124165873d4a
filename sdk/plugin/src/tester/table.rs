//! The table of a plugin, from a collector of the test's own crate or from a built library.

use std::{
    ffi::c_void,
    fmt,
    mem::{self, size_of},
    path::Path,
    sync::{Arc, Mutex},
};

use super::{
    CollectorTester, Failure,
    hostcalls::{host_of, lock},
    recorder::Recorder,
};
use crate::{
    Collector,
    abi::{self, Plugin, Str, Write},
    export,
};

/// The bits of [`Plugin::features`] that this version knows.
const FEATURES_KNOWN: u64 = abi::FEATURE_EVENTS | abi::FEATURE_LOOKUP;

/// A plugin's table that was found to be one, as the agent does before it calls anything in it.
#[derive(Clone, Copy)]
pub struct Table {
    plugin: Plugin,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

impl Table {
    /// The table of a collector.
    pub fn of<C: Collector>() -> Self {
        Self {
            plugin: export::plugin::<C>(),
        }
    }

    /// The table of a library that was loaded by other means, or why it can't be run.
    ///
    /// # Safety
    /// Its functions keep the contract of the ABI, and the library stays loaded.
    pub unsafe fn from_raw(plugin: Plugin) -> Result<Self, String> {
        let Plugin {
            abi_major,
            abi_minor,
            struct_size,
            features,
            ..
        } = plugin;
        if plugin.magic != abi::MAGIC {
            return Err("the table is no plugin's: its magic is wrong".to_owned());
        }
        if abi_major != abi::ABI_MAJOR {
            let (major, minor) = (abi::ABI_MAJOR, abi::ABI_MINOR);
            return Err(format!(
                "the plugin is built for ABI {abi_major}.{abi_minor}, and this is {major}.{minor}"
            ));
        }
        if (struct_size as usize) < size_of::<Plugin>() {
            return Err(format!(
                "the table's struct_size is {struct_size}, too small"
            ));
        }
        let unknown = features & abi::FEATURES_REQUIRED & !FEATURES_KNOWN;
        if unknown != 0 {
            return Err(format!(
                "the plugin requires unknown features: {unknown:#x}"
            ));
        }
        Ok(Self { plugin })
    }

    /// Loads a library and finds its table, or says why there is none. It is never unloaded.
    ///
    /// # Safety
    /// Loading runs the library's initialisers, which have to be sound; and as for
    /// [`from_raw`](Self::from_raw).
    pub unsafe fn open(path: &Path) -> Result<Self, String> {
        let failed = |error| format!("{}: {error}", path.display());
        // SAFETY: as promised by the caller.
        let library = unsafe { libloading::Library::new(path) }.map_err(failed)?;
        // SAFETY: the symbol is a plugin's table by its name, which is what the contract says.
        let plugin = unsafe {
            library
                .get::<*const Plugin>(abi::SYMBOL)
                .map(|found| **found)
        };
        let plugin = plugin.map_err(failed)?;
        mem::forget(library);
        // SAFETY: as promised by the caller.
        unsafe { Self::from_raw(plugin) }.map_err(|why| format!("{}: {why}", path.display()))
    }

    /// The plugin's name, as in `[plugins.NAME]`.
    pub fn name(&self) -> String {
        // SAFETY: the text is a constant of the plugin's library, which stays loaded.
        let bytes = unsafe { self.plugin.name.as_bytes() };
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// The topic under which its metrics are streamed.
    pub(super) fn topic(&self) -> String {
        // SAFETY: as for the name.
        let bytes = unsafe { self.plugin.topic.as_bytes() };
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// The manifest that `describe` writes.
    pub fn manifest(&self) -> Result<serde_json::Value, Failure> {
        let (code, manifest) = written(|out, write| {
            // SAFETY: what `out` points at is valid for the call.
            unsafe { (self.plugin.describe)(out, write) }
        });
        let failure = |code, message| Failure {
            code,
            field: String::new(),
            message,
        };
        if code != abi::OK {
            return Err(failure(code, "describe failed".to_owned()));
        }
        serde_json::from_slice(&manifest)
            .map_err(|error| failure(abi::OK, format!("describe wrote no JSON: {error}")))
    }

    /// Checks a configuration without making an instance.
    pub fn check_config(&self, config: &serde_json::Value) -> Result<(), Failure> {
        let recorder = Arc::new(Mutex::new(Recorder::new(&self.topic())));
        let host = host_of(&recorder, "");
        let config = config.to_string();
        // SAFETY: the host's table, the recorder behind it and the text are valid for the call.
        let code = unsafe { (self.plugin.check_config)(&raw const host, Str::new(&config)) };
        lock(&recorder).outcome(code).map(|_| ())
    }

    /// Makes and starts an instance. `position` is that of the last event that was stored before, or
    /// empty.
    pub fn create(
        self,
        position: &str,
        config: &serde_json::Value,
    ) -> Result<CollectorTester, Failure> {
        CollectorTester::start(self, position, config)
    }

    pub(super) fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// The function, where the plugin has one and says so.
    pub(super) fn lookup(&self) -> Option<abi::Lookup> {
        let says_so = self.plugin.features & abi::FEATURE_LOOKUP != 0;
        self.plugin.lookup.filter(|_| says_so)
    }
}

/// Calls a function that writes, and gives back its code and what it wrote.
pub(super) fn written(call: impl FnOnce(*mut c_void, Write) -> i32) -> (i32, Vec<u8>) {
    unsafe extern "C" fn write(out: *mut c_void, piece: Str) {
        // SAFETY: `out` is the vector below, and the piece is valid for the call.
        let (out, piece) = unsafe { (&mut *out.cast::<Vec<u8>>(), piece.as_bytes()) };
        out.extend_from_slice(piece);
    }
    let mut out: Vec<u8> = Vec::new();
    let code = call((&raw mut out).cast(), write);
    (code, out)
}
