//! The way from the plugin to its host: the functions of the host's table, as safe methods.
//!
//! Everything of the SDK that speaks to the host holds a [`Link`]. It copies the table once, after it was
//! found to be of our major version and long enough, and never reads a field that the host did not vouch
//! for. Once closed, every call is inert.

use std::{
    mem::offset_of,
    ptr,
    sync::{PoisonError, RwLock},
};

use crate::abi::{self, Host, Str};

/// The host's functions. After [`Link::close`] they do nothing.
#[derive(Debug)]
pub(crate) struct Link {
    /// Calls hold it shared, `close` exclusively: after `stop` nothing may call the host any more, not
    /// even a thread that an author forgot.
    host: RwLock<Option<Host>>,
    /// Copied, as its text is only borrowed.
    position: String,
}

// SAFETY: the contract allows calls from any thread, and those that it limits to one at a time
// (define and retire) are made only while the host waits for `create` or `collect`.
unsafe impl Send for Link {}
// SAFETY: as above.
unsafe impl Sync for Link {}

impl Link {
    /// Copies the host's table; none when it is of another major version or too short. A longer table, of
    /// a later minor version, is as good as ours: its further fields are not looked at.
    ///
    /// # Safety
    /// `host` is null or points at a table whose first `struct_size` bytes are valid, and whose functions
    /// may be called until [`Link::close`].
    pub(super) unsafe fn open(host: *const Host) -> Option<Self> {
        if host.is_null() {
            return None;
        }
        // SAFETY: these two fields stand at the same place in every version of the table.
        let (size, major) = unsafe { ((*host).struct_size as usize, (*host).abi_major) };
        if major != abi::ABI_MAJOR {
            // Nothing else of this table has a known place, so there is no way to say it but the code.
            return None;
        }
        if size < size_of::<Host>() {
            // SAFETY: as promised by the caller.
            unsafe { refuse_short(host, size) };
            return None;
        }
        // SAFETY: the table is at least as long as ours.
        let table = unsafe { *host };
        // SAFETY: the contract has the text valid for the call; it is copied.
        let position = unsafe { table.position.as_bytes() };
        Some(Self {
            position: String::from_utf8_lossy(position).into_owned(),
            host: RwLock::new(Some(table)),
        })
    }

    pub(crate) fn close(&self) {
        *self.host.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Where the source stood after the last event that was stored, or empty.
    pub(crate) fn position(&self) -> &str {
        &self.position
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
            checked(code).map(|()| id)
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
            checked(code).map(|()| id)
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
            checked(unsafe { (host.push)(host.ctx, samples.as_ptr(), samples.len()) })
        })
    }

    /// Each is a series' id with its counts and their sum.
    pub(crate) fn push_histograms(&self, all: &[(u32, &[u64], f64)]) -> Result<(), i32> {
        if all.is_empty() {
            return Ok(());
        }
        let histograms: Vec<abi::Histogram> = (all.iter())
            .map(|&(series, counts, sum)| abi::Histogram {
                series,
                flags: 0,
                sum,
                counts: counts.as_ptr(),
                count: counts.len(),
            })
            .collect();
        self.call(Err(abi::E_CLOSED), |host| {
            // SAFETY: the histograms, and the counts that they point at, are valid for the call.
            checked(unsafe {
                (host.push_histogram)(host.ctx, histograms.as_ptr(), histograms.len())
            })
        })
    }

    pub(crate) fn emit_event(&self, event: &abi::Event) -> Result<(), i32> {
        self.call(Err(abi::E_CLOSED), |host| {
            // SAFETY: the event and its strings are valid for the call.
            checked(unsafe { (host.emit_event)(host.ctx, event) })
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

fn checked(code: i32) -> Result<(), i32> {
    if code == abi::OK { Ok(()) } else { Err(code) }
}

/// Says why a table is refused, where it is long enough to hold the function for saying so.
///
/// # Safety
/// `host` points at a table of our major version whose first `size` bytes are valid.
unsafe fn refuse_short(host: *const Host, size: usize) {
    // `now_mono_ns` is the field after it.
    if size < offset_of!(Host, now_mono_ns) {
        return;
    }
    // SAFETY: both fields lie within `size`; the rest of the table is not touched.
    let (ctx, set_error) = unsafe {
        (
            ptr::read(&raw const (*host).ctx),
            ptr::read(&raw const (*host).set_error),
        )
    };
    let message = format!(
        "the agent's table has {size} bytes, plugin ABI {}.{} has {}: the plugin needs a later agent",
        abi::ABI_MAJOR,
        abi::ABI_MINOR,
        size_of::<Host>()
    );
    // SAFETY: both texts are valid for the call.
    unsafe { set_error(ctx, Str::new(""), Str::new(&message)) };
}
