//! One host's life: load, then what the agent asks for, one request after the other.
//!
//! The plugin's functions are called from here only, so that calls for one instance never overlap.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use barograph_sdk::abi;
use serde_json::{Map, Value};

use super::context::words_of;
use super::instance::Instance;
use super::schema;
use super::{Context, now_mono_ns};
use crate::collect::keeps_samples;
use crate::collect::link::{Purpose, ToAgent, ToHost};

/// Bytes of a manifest.
const MANIFEST_BYTES_MAX: usize = 1 << 20;
/// Bytes of a lookup's answer.
const LOOKUP_BYTES_MAX: usize = 64 << 10;

/// A message of the agent, counted from 1, so that a cancel can say up to where it goes.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) number: u64,
    pub(super) message: ToHost,
}

/// What a call into the plugin came to.
pub(super) struct Ended {
    pub(super) code: i32,
    /// Dotted path of a configuration key, or empty.
    pub(super) field: String,
    /// The plugin's words, or ours for the code; empty only where it is OK.
    pub(super) message: String,
}

/// Serves until the agent says stop or goes away; whether all went well. `open` loads a library.
pub(super) fn serve(
    context: &'static Context,
    requests: &Receiver<Request>,
    open: impl FnOnce(&str) -> Result<abi::Plugin, String>,
) -> bool {
    let Ok(Request { number, message }) = requests.recv() else {
        return false;
    };
    let ToHost::Load {
        purpose,
        library,
        config,
        series_max,
        position,
    } = message
    else {
        return false;
    };
    context.limit(series_max as usize);
    context.begin(number);
    let plugin = match open(&library) {
        Ok(plugin) => plugin,
        Err(message) => return fail(context, Ended::config(message)),
    };
    let instance = Instance::new(context, plugin, position);
    match purpose {
        Purpose::Check => {
            let schema = schema::of(manifest(context, &instance)).ok();
            match schema::check(context, &instance, schema.as_ref(), &config) {
                Ok(()) => context.send(&[instance.ready()]).is_ok(),
                Err(ended) => fail(context, ended),
            }
        }
        Purpose::Describe => match manifest(context, &instance) {
            Ok(manifest) => {
                let messages = [instance.ready(), ToAgent::Manifest(manifest)];
                context.send(&messages).is_ok()
            }
            Err(ended) => fail(context, ended),
        },
        Purpose::Collect => collect(context, instance, &config, requests),
    }
}

/// The life of an instance.
fn collect(
    context: &Context,
    mut instance: Instance,
    config: &str,
    requests: &Receiver<Request>,
) -> bool {
    let schema = schema::of(manifest(context, &instance));
    // A flaw of the manifest is the author's, and no reason not to run.
    let schema = schema.map_err(|why| schema::warn(context, &why)).ok();
    if let Err(ended) = schema::allow(context, &instance, schema.as_ref(), config) {
        return fail(context, ended);
    }
    let created = end(context, instance.create(config));
    if created.code != abi::OK {
        return fail(context, created.because_of(context.first_refusal()));
    }
    let started = end(context, instance.start());
    if started.code != abi::OK {
        fail(context, started.because_of(context.first_refusal()));
        instance.stop();
        return false;
    }
    let _ = context.send(&[instance.ready()]);
    while let Ok(Request { number, message }) = requests.recv() {
        context.begin(number);
        let answer = match message {
            ToHost::Collect {
                number,
                at_ms,
                tiers,
                deadline,
                events_stored,
            } => {
                context.stored(events_stored);
                let began_ns = now_mono_ns();
                let code = instance.collect(number, at_ms, tiers, deadline);
                let took = Duration::from_nanos(now_mono_ns().saturating_sub(began_ns));
                let mut ended = end(context, code);
                if !keeps_samples(ended.code) {
                    ended = ended.because_of(context.first_refusal());
                }
                let error = (ended.code != abi::OK).then_some(ended.message);
                let mut done = context.done(number, ended.code, error);
                done.took = took;
                ToAgent::Done(done)
            }
            ToHost::Reconfigure { config } => {
                let Ended {
                    code,
                    field,
                    message,
                } = schema::allow(context, &instance, schema.as_ref(), &config).map_or_else(
                    |refused| refused,
                    |()| end(context, instance.reconfigure(&config)),
                );
                ToAgent::Reconfigured {
                    code,
                    field,
                    message,
                }
            }
            ToHost::Lookup {
                id,
                name,
                parameter,
            } => {
                let (code, answer) = match look_up(context, &instance, &name, &parameter) {
                    Ok(answer) => (abi::OK, answer),
                    Err(ended) => (ended.code, ended.message),
                };
                ToAgent::LookedUp { id, code, answer }
            }
            ToHost::Stop => break,
            // A cancel is the reading thread's, and nothing is loaded twice.
            ToHost::Load { .. } | ToHost::Cancel => continue,
        };
        if context.send(&[answer]).is_err() {
            break;
        }
    }
    instance.stop();
    true
}

fn manifest(context: &Context, instance: &Instance) -> Result<String, Ended> {
    let (code, written) = context.written(MANIFEST_BYTES_MAX, || instance.describe());
    let ended = end(context, code);
    if ended.code != abi::OK {
        return Err(ended);
    }
    written.json::<Map<String, Value>>().map_err(|wrong| {
        let name = instance.name();
        Ended::config(format!("the manifest of plugin {name} {wrong}"))
    })
}

fn look_up(
    context: &Context,
    instance: &Instance,
    name: &str,
    parameter: &str,
) -> Result<String, Ended> {
    let Some(lookup) = instance.lookup() else {
        let plugin = instance.name();
        return Err(Ended::config(format!("plugin {plugin} has no lookups")));
    };
    let call = || instance.look_up(lookup, name, parameter);
    let (code, written) = context.written(LOOKUP_BYTES_MAX, call);
    let ended = end(context, code);
    if ended.code != abi::OK {
        return Err(ended);
    }
    written.json::<Value>().map_err(|wrong| Ended {
        // The instance is sound: it only has no answer.
        code: abi::E_UNAVAILABLE,
        field: String::new(),
        message: format!("the answer of lookup {name} {wrong}"),
    })
}

pub(super) fn end(context: &Context, code: i32) -> Ended {
    let (field, mut message) = context.end();
    if message.is_empty() && code != abi::OK && code != abi::RESTART {
        message = words_of(code);
    }
    Ended {
        code,
        field,
        message,
    }
}

/// Says why nothing comes of it.
fn fail(context: &Context, ended: Ended) -> bool {
    let Ended {
        code,
        field,
        message,
    } = ended;
    let failed = ToAgent::Failed {
        code,
        field,
        message,
    };
    // An agent that has gone needs no reason.
    let _ = context.send(&[failed]);
    false
}

impl Ended {
    /// What was refused on the way is the reason more often than not, and the plugin has only its code.
    fn because_of(mut self, refusal: Option<String>) -> Self {
        if let Some(refusal) = refusal {
            self.message = format!("{}: {refusal}", self.message);
        }
        self
    }

    const fn config(message: String) -> Self {
        Self {
            code: abi::E_CONFIG,
            field: String::new(),
            message,
        }
    }
}
