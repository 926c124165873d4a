//! A plugin that was loaded and, once created, its instance: the calls into it.
//!
//! It hands pointers over and nothing else; what a code means and who is told is `serve`'s.

use std::ffi::c_void;
use std::time::Duration;

use barograph_sdk::abi;

use super::{Context, now_mono_ns};
use crate::collect::hostcalls;
use crate::collect::link::ToAgent;

/// See the module.
pub(super) struct Instance {
    plugin: abi::Plugin,
    /// Never freed, as its context: a forgotten thread of the plugin may still read a function from it.
    host: &'static abi::Host,
    context: &'static Context,
    /// What `create` gave; null before.
    made: *mut c_void,
}

impl Instance {
    /// `position` is what `create` finds in the table.
    pub(super) fn new(context: &'static Context, plugin: abi::Plugin, position: String) -> Self {
        context.streams(constant(plugin.topic));
        let position = String::leak(position);
        let host = Box::leak(Box::new(hostcalls::table(context, position)));
        Self {
            plugin,
            host,
            context,
            made: std::ptr::null_mut(),
        }
    }

    /// The plugin's name, as it says itself.
    pub(super) fn name(&self) -> String {
        constant(self.plugin.name)
    }

    pub(super) fn ready(&self) -> ToAgent {
        ToAgent::Ready {
            name: self.name(),
            topic: constant(self.plugin.topic),
            version: constant(self.plugin.version),
        }
    }

    pub(super) fn check(&self, config: &str) -> i32 {
        let config = abi::Str::new(config);
        // SAFETY: a function of a plugin whose table was checked; the pointers live for the call.
        unsafe { (self.plugin.check_config)(self.host, config) }
    }

    pub(super) fn describe(&self) -> i32 {
        let out = std::ptr::from_ref(self.context).cast_mut().cast();
        // SAFETY: as above; `write` takes what is handed through as `out`.
        unsafe { (self.plugin.describe)(out, hostcalls::write) }
    }

    pub(super) fn create(&mut self, config: &str) -> i32 {
        let (config, instance) = (abi::Str::new(config), &raw mut self.made);
        // SAFETY: as above; `instance` is a place for one pointer, which only this plugin reads.
        unsafe { (self.plugin.create)(self.host, config, instance) }
    }

    pub(super) fn start(&self) -> i32 {
        // SAFETY: the instance was created, and calls never overlap: one thread makes them all.
        unsafe { (self.plugin.start)(self.made) }
    }

    pub(super) fn collect(&self, number: u64, at_ms: i64, tiers: u32, deadline: Duration) -> i32 {
        let deadline_ns = u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX);
        let tick = abi::Tick {
            struct_size: hostcalls::struct_size::<abi::Tick>(),
            tiers,
            number,
            at_ms,
            deadline_ns: now_mono_ns().saturating_add(deadline_ns),
        };
        // SAFETY: as for `start`; the tick lives for the call.
        unsafe { (self.plugin.collect)(self.made, &raw const tick) }
    }

    pub(super) fn reconfigure(&self, config: &str) -> i32 {
        // SAFETY: as for `start`; the text lives for the call.
        unsafe { (self.plugin.reconfigure)(self.made, abi::Str::new(config)) }
    }

    /// The function that answers lookups, if the plugin says that it has one.
    pub(super) fn lookup(&self) -> Option<abi::Lookup> {
        let has = self.plugin.features & abi::FEATURE_LOOKUP != 0;
        self.plugin.lookup.filter(|_| has)
    }

    pub(super) fn look_up(&self, lookup: abi::Lookup, name: &str, parameter: &str) -> i32 {
        let (name, parameter) = (abi::Str::new(name), abi::Str::new(parameter));
        let out = std::ptr::from_ref(self.context).cast_mut().cast();
        // SAFETY: as for `start`; the texts live for the call, and `write` takes what is handed through.
        unsafe { lookup(self.made, name, parameter, out, hostcalls::write) }
    }

    /// Stops and frees it. It may call the host until `stop` has returned, and is refused from then on.
    pub(super) fn stop(self) {
        // SAFETY: as for `start`.
        unsafe { (self.plugin.stop)(self.made) };
        self.context.finish();
        // SAFETY: as for `start`; nothing uses the instance after this.
        unsafe { (self.plugin.destroy)(self.made) };
    }
}

/// A name, topic or version.
fn constant(text: abi::Str) -> String {
    // SAFETY: the plugin's constants live as long as its library, which is for ever.
    unsafe { hostcalls::constant(text) }
}
