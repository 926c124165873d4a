//! The host's whole life over a real socket, with a plugin whose functions the tests write.

use std::ffi::c_void;
use std::io::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::collect::link::{Done, PluginEvent, Purpose, ToAgent};

mod both;

/// The agent's end of a link.
pub(in crate::collect) struct Agent {
    stream: UnixStream,
}

impl Agent {
    pub(in crate::collect) fn pair() -> (Self, UnixStream) {
        let (stream, theirs) = UnixStream::pair().expect("a pair of sockets");
        // Only a test that fails waits for so long.
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).expect("a socket");
        (Self { stream }, theirs)
    }

    fn send(&mut self, message: &ToHost) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        self.stream.write_all(&bytes).expect("a host that reads");
    }

    /// The next message; none at the end of the link.
    pub(in crate::collect) fn next(&mut self) -> Option<ToAgent> {
        let mut length = [0; link::LENGTH_BYTES];
        if let Err(error) = self.stream.read_exact(&mut length) {
            let end = [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset];
            assert!(end.contains(&error.kind()), "{error}");
            return None;
        }
        let length = u32::from_le_bytes(length) as usize;
        assert!(length <= link::FRAME_BYTES_MAX, "a frame of {length} bytes");
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).expect("a whole frame");
        Some(ToAgent::decode(&bytes).expect("a message"))
    }

    fn collect(&mut self, number: u64, events_stored: u64) {
        self.send(&ToHost::Collect {
            number,
            at_ms: 1_000,
            tiers: 7,
            deadline: Duration::from_millis(800),
            events_stored,
        });
    }

    fn done(&mut self) -> Done {
        match self.next() {
            Some(ToAgent::Done(done)) => done,
            other => panic!("{other:?}"),
        }
    }
}

/// A context with the agent's end of its link.
pub(in crate::collect) fn context(series_max: usize) -> (&'static Context, Agent) {
    let (agent, stream) = Agent::pair();
    let context = Context::leaked(Place::Thread, stream);
    context.limit(series_max);
    (context, agent)
}

/// What a plugin of the tests does; the address of one is its configuration.
struct Script {
    create: fn(&Fake) -> i32,
    start: fn(&Fake) -> i32,
    collect: fn(&Fake, &abi::Tick) -> i32,
    reconfigure: fn(&Fake, &str) -> i32,
    stop: fn(&Fake),
    destroy: fn(&Fake),
    lookup: fn(&Fake, &str, &str) -> Result<String, i32>,
    /// What it has seen, for the test.
    seen: Mutex<Vec<String>>,
}

impl Script {
    fn new() -> Self {
        Self {
            create: |_| abi::OK,
            start: |_| abi::OK,
            collect: |_, _| abi::OK,
            reconfigure: |_, _| abi::OK,
            stop: |fake| fake.see("stop"),
            destroy: |fake| fake.see("destroy"),
            lookup: |_, _, _| Err(abi::E_CONFIG),
            seen: Mutex::default(),
        }
    }

    fn leaked(self) -> &'static Self {
        Box::leak(Box::new(self))
    }

    fn config(&'static self) -> String {
        std::ptr::from_ref(self).expose_provenance().to_string()
    }

    fn of(config: &str) -> &'static Self {
        let address: usize = config.parse().expect("an address");
        // SAFETY: it is the address that `config` gave.
        unsafe { &*std::ptr::with_exposed_provenance::<Self>(address) }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// An instance of the plugin.
struct Fake {
    script: &'static Script,
    host: &'static abi::Host,
}

impl Fake {
    fn see(&self, what: &str) {
        self.script.seen.lock().unwrap().push(what.to_owned());
    }

    fn log(&self, message: &str) {
        // SAFETY: the text lives for the call.
        unsafe { (self.host.log)(self.host.ctx, 2, abi::Str::new(message)) };
    }

    fn set_error(&self, field: &str, message: &str) {
        let (field, message) = (abi::Str::new(field), abi::Str::new(message));
        // SAFETY: the texts live for the call.
        unsafe { (self.host.set_error)(self.host.ctx, field, message) };
    }

    fn gauge(&self, name: &str) -> Result<u32, i32> {
        let mut id = 0;
        let metric = gauge(name);
        // SAFETY: metric and place live for the calls.
        let code = unsafe {
            let code = (self.host.define_metric)(self.host.ctx, &raw const metric, &raw mut id);
            if code != abi::OK {
                return Err(code);
            }
            (self.host.define_series)(self.host.ctx, id, std::ptr::null(), 0, &raw mut id)
        };
        if code == abi::OK { Ok(id) } else { Err(code) }
    }

    fn push(&self, series: u32, value: f64) -> i32 {
        let sample = abi::Sample {
            series,
            flags: 0,
            value,
        };
        // SAFETY: the sample lives for the call.
        unsafe { (self.host.push)(self.host.ctx, &raw const sample, 1) }
    }

    fn emit(&self, name: &str) -> i32 {
        let event = abi::Event {
            struct_size: crate::collect::hostcalls::struct_size::<abi::Event>(),
            level: 2,
            at_ms: 5,
            name: abi::Str::new(name),
            data: abi::Str::new("{\"n\":1}"),
            position: abi::Str::new("p"),
        };
        // SAFETY: the event lives for the call.
        unsafe { (self.host.emit_event)(self.host.ctx, &raw const event) }
    }

    fn cancelled(&self) -> bool {
        // SAFETY: the call takes the context only.
        unsafe { (self.host.cancelled)(self.host.ctx) == 1 }
    }
}

/// A gauge without labels.
pub(in crate::collect) fn gauge(name: &str) -> abi::Metric {
    abi::Metric {
        struct_size: crate::collect::hostcalls::struct_size::<abi::Metric>(),
        kind: abi::KIND_GAUGE,
        unit: 0,
        tier: abi::TIER_FAST,
        flags: 0,
        chart_style: 0,
        name: abi::Str::new(name),
        help: abi::Str::new("Help."),
        otel: abi::Str::new(""),
        chart_section: abi::Str::new(""),
        chart_title: abi::Str::new(""),
        labels: std::ptr::null(),
        label_count: 0,
        bounds: std::ptr::null(),
        bound_count: 0,
    }
}

fn text<'a>(text: abi::Str) -> &'a str {
    // SAFETY: the host's texts are whole.
    std::str::from_utf8(unsafe { text.as_bytes() }).expect("UTF-8")
}

/// # Safety
/// It came from `create`.
unsafe fn fake<'a>(instance: *mut c_void) -> &'a Fake {
    // SAFETY: the caller vouches for it.
    unsafe { &*instance.cast::<Fake>() }
}

unsafe extern "C" fn describe(out: *mut c_void, write: abi::Write) -> i32 {
    for piece in ["{\"name\"", ":", "\"fake\",\"config\":{}}"] {
        // SAFETY: the piece lives for the call.
        unsafe { write(out, abi::Str::new(piece)) };
    }
    abi::OK
}

unsafe extern "C" fn check_config(host: *const abi::Host, config: abi::Str) -> i32 {
    if text(config) == "good" {
        return abi::OK;
    }
    let (field, message) = (abi::Str::new("a.b"), abi::Str::new("expected a duration"));
    // SAFETY: the host's table and the texts live for the call.
    unsafe { ((*host).set_error)((*host).ctx, field, message) };
    abi::E_CONFIG
}

unsafe extern "C" fn create(
    host: *const abi::Host,
    config: abi::Str,
    instance: *mut *mut c_void,
) -> i32 {
    let script = Script::of(text(config));
    // SAFETY: the table is never freed, and `instance` is a place for one pointer.
    unsafe {
        let made = Box::new(Fake {
            script,
            host: &*host,
        });
        let code = (script.create)(&made);
        *instance = Box::into_raw(made).cast();
        code
    }
}

unsafe extern "C" fn start(instance: *mut c_void) -> i32 {
    // SAFETY: the host hands over what `create` made, here and below.
    let fake = unsafe { fake(instance) };
    (fake.script.start)(fake)
}

unsafe extern "C" fn collect(instance: *mut c_void, tick: *const abi::Tick) -> i32 {
    // SAFETY: as above, and the tick lives for the call.
    let (fake, tick) = unsafe { (fake(instance), &*tick) };
    (fake.script.collect)(fake, tick)
}

unsafe extern "C" fn reconfigure(instance: *mut c_void, config: abi::Str) -> i32 {
    // SAFETY: as above.
    let fake = unsafe { fake(instance) };
    (fake.script.reconfigure)(fake, text(config))
}

unsafe extern "C" fn stop(instance: *mut c_void) -> i32 {
    // SAFETY: as above.
    let fake = unsafe { fake(instance) };
    (fake.script.stop)(fake);
    abi::OK
}

unsafe extern "C" fn destroy(instance: *mut c_void) {
    // SAFETY: as above, and this is the last call for it.
    let fake = unsafe { Box::from_raw(instance.cast::<Fake>()) };
    (fake.script.destroy)(&fake);
}

unsafe extern "C" fn lookup(
    instance: *mut c_void,
    name: abi::Str,
    parameter: abi::Str,
    out: *mut c_void,
    write: abi::Write,
) -> i32 {
    // SAFETY: as above, and the answer lives for the call.
    unsafe {
        let fake = fake(instance);
        match (fake.script.lookup)(fake, text(name), text(parameter)) {
            Ok(answer) => {
                write(out, abi::Str::new(&answer));
                abi::OK
            }
            Err(code) => code,
        }
    }
}

fn plugin() -> abi::Plugin {
    abi::Plugin {
        magic: abi::MAGIC,
        struct_size: crate::collect::hostcalls::struct_size::<abi::Plugin>(),
        abi_major: abi::ABI_MAJOR,
        abi_minor: abi::ABI_MINOR,
        features: abi::FEATURE_LOOKUP,
        name: abi::Str::new("fake"),
        topic: abi::Str::new("fakes"),
        version: abi::Str::new("0.1.0"),
        describe,
        check_config,
        create,
        start,
        collect,
        reconfigure,
        stop,
        destroy,
        lookup: Some(lookup),
    }
}

fn load(purpose: Purpose, config: &str) -> ToHost {
    ToHost::Load {
        purpose,
        library: "fake.so".into(),
        config: config.to_owned(),
        series_max: 10_000,
        position: "p-7".into(),
    }
}

/// A host that was told to load; the handle is its thread.
fn host(purpose: Purpose, config: &str, plugin: abi::Plugin) -> (Agent, JoinHandle<()>) {
    let (mut agent, stream) = Agent::pair();
    let plugin: &'static abi::Plugin = Box::leak(Box::new(plugin));
    let opened = move |path: &str| {
        assert_eq!(path, "fake.so");
        Ok(*plugin)
    };
    let thread = start_thread(stream, "fake", opened).expect("a thread");
    agent.send(&load(purpose, config));
    (agent, thread)
}

fn ready() -> ToAgent {
    ToAgent::Ready {
        name: "fake".into(),
        topic: "fakes".into(),
        version: "0.1.0".into(),
    }
}

fn running(script: &'static Script) -> (Agent, JoinHandle<()>) {
    let (mut agent, thread) = host(Purpose::Collect, &script.config(), plugin());
    assert_eq!(agent.next(), Some(ready()));
    (agent, thread)
}

#[test]
fn an_instance_lives_from_load_to_stop_and_is_closed_after_it() {
    let script = Script {
        create: |fake| {
            fake.log(text(fake.host.position));
            fake.gauge("fake_value")
                .map_or_else(|code| code, |_| abi::OK)
        },
        collect: |fake, tick| fake.push(0, tick.number as f64),
        stop: |fake| fake.log("still heard"),
        destroy: |fake| {
            let codes = [
                fake.push(0, 1.0),
                fake.emit("late"),
                fake.gauge("more").unwrap_err(),
            ];
            fake.see(&format!("{codes:?} {}", fake.cancelled()));
            fake.log("not heard");
        },
        ..Script::new()
    };
    let script = script.leaked();
    let (mut agent, thread) = host(Purpose::Collect, &script.config(), plugin());
    let log = |message: &str| {
        let message = message.to_owned();
        Some(ToAgent::Log { level: 2, message })
    };
    assert_eq!(agent.next(), log("p-7"));
    assert!(matches!(agent.next(), Some(ToAgent::Metric(metric)) if metric.name == "fake_value"));
    assert!(matches!(
        agent.next(),
        Some(ToAgent::Series { metric: 0, .. })
    ));
    assert_eq!(agent.next(), Some(ready()));
    for number in [5, 6] {
        agent.collect(number, 0);
        let done = agent.done();
        assert_eq!(
            (done.number, done.code, done.error),
            (number, abi::OK, None)
        );
        assert_eq!(done.samples, [(0, number as f64)]);
    }
    agent.send(&ToHost::Stop);
    assert_eq!(agent.next(), log("still heard"));
    assert_eq!(agent.next(), None);
    thread.join().expect("no panic");
    assert_eq!(script.seen(), ["[-6, -6, -6] true"]);
}

#[test]
fn losing_the_link_stops_and_frees_the_instance() {
    let script = Script::new().leaked();
    let (agent, thread) = running(script);
    drop(agent);
    thread.join().expect("no panic");
    assert_eq!(script.seen(), ["stop", "destroy"]);
}

#[test]
fn losing_the_link_in_a_collect_is_seen_by_it() {
    let script = Script {
        collect: |fake, _| {
            fake.log("begun");
            while !fake.cancelled() {
                thread::yield_now();
            }
            fake.see(&fake.push(0, 1.0).to_string());
            abi::OK
        },
        ..Script::new()
    };
    let script = script.leaked();
    let (mut agent, thread) = running(script);
    agent.collect(1, 0);
    assert!(matches!(agent.next(), Some(ToAgent::Log { .. })));
    drop(agent);
    thread.join().expect("no panic");
    assert_eq!(script.seen(), ["-6", "stop", "destroy"]);
}

#[test]
fn a_cancel_is_for_what_was_asked_before_it() {
    let script = Script {
        collect: |fake, tick| {
            if tick.number == 1 {
                fake.log("begun");
                while !fake.cancelled() {
                    thread::yield_now();
                }
                return abi::E_TIMEOUT;
            }
            i32::from(fake.cancelled())
        },
        ..Script::new()
    };
    let (mut agent, _thread) = running(script.leaked());
    agent.collect(1, 0);
    assert!(matches!(agent.next(), Some(ToAgent::Log { .. })));
    agent.send(&ToHost::Cancel);
    let done = agent.done();
    let words = "the source did not answer in time".to_owned();
    assert_eq!((done.code, done.error), (abi::E_TIMEOUT, Some(words)));
    // One that comes late says nothing about what is asked after it.
    agent.send(&ToHost::Cancel);
    agent.collect(2, 0);
    assert_eq!(agent.done().code, abi::OK);
}

#[test]
fn samples_of_a_failed_collect_are_dropped_and_its_words_kept() {
    let script = Script {
        create: |fake| {
            fake.gauge("fake_value")
                .map_or_else(|code| code, |_| abi::OK)
        },
        collect: |fake, tick| {
            fake.push(0, 1.0);
            match tick.number {
                1 => fake.set_error("", "half of it"),
                2 => fake.set_error("", "it is away"),
                _ => return i32::try_from(tick.number).unwrap(),
            }
            [abi::PARTIAL, abi::E_UNAVAILABLE][usize::from(tick.number == 2)]
        },
        ..Script::new()
    };
    let (mut agent, _thread) = host(Purpose::Collect, &script.leaked().config(), plugin());
    while agent.next() != Some(ready()) {}
    let mut collect = |number| {
        agent.collect(number, 0);
        let done = agent.done();
        (
            done.code,
            done.error.unwrap_or_default(),
            done.samples.len(),
        )
    };
    assert_eq!(collect(1), (abi::PARTIAL, "half of it".to_owned(), 1));
    assert_eq!(collect(2), (abi::E_UNAVAILABLE, "it is away".to_owned(), 0));
    let unknown = "the plugin returned the unknown code 42".to_owned();
    assert_eq!(collect(42), (42, unknown, 0));
    assert_eq!(
        collect(0),
        (abi::OK, String::new(), 1),
        "old words are gone"
    );
}

#[test]
fn refusals_stand_in_the_next_result_and_do_not_fail_it() {
    let script = Script {
        create: |fake| {
            let _ = fake.gauge("No name");
            fake.gauge("fake_value")
                .map_or_else(|code| code, |_| abi::OK)
        },
        collect: |fake, tick| {
            if tick.number == 2 {
                assert_eq!(fake.push(7, 1.0), abi::OK);
                assert_eq!(fake.push(0, f64::NAN), abi::OK);
            }
            fake.push(0, 1.0)
        },
        ..Script::new()
    };
    let (mut agent, _thread) = host(Purpose::Collect, &script.leaked().config(), plugin());
    while agent.next() != Some(ready()) {}
    let mut collect = |number| {
        agent.collect(number, 0);
        let done = agent.done();
        assert_eq!(
            (done.code, done.error, done.samples.len()),
            (abi::OK, None, 1)
        );
        (done.refused, done.refusal)
    };
    let name = "the metric name `No name` is not of the form [a-z][a-z0-9_]*";
    assert_eq!(collect(1), (1, name.to_owned()));
    assert_eq!(collect(2), (2, "series id 7 was never given".to_owned()));
    assert_eq!(collect(3), (0, String::new()));
}

#[test]
fn what_fails_for_a_refusal_says_so() {
    let words = "the configuration can't be used: the metric name `Depth` is not of the form [a-z][a-z0-9_]*";
    let declare = |fake: &Fake| fake.gauge("Depth").map_or_else(|code| code, |_| abi::OK);
    let created = Script {
        create: declare,
        ..Script::new()
    };
    let (mut agent, _thread) = host(Purpose::Collect, &created.leaked().config(), plugin());
    let failed = ToAgent::Failed {
        code: abi::E_CONFIG,
        field: String::new(),
        message: words.to_owned(),
    };
    assert_eq!(agent.next(), Some(failed));
    let collecting = Script {
        collect: |fake, tick| match tick.number {
            1 => fake.gauge("Depth").map_or_else(|code| code, |_| abi::OK),
            _ => abi::E_CONFIG,
        },
        ..Script::new()
    };
    let (mut agent, _thread) = running(collecting.leaked());
    agent.collect(1, 0);
    let done = agent.done();
    assert_eq!((done.error.as_deref(), done.refused), (Some(words), 1));
    agent.collect(2, 0);
    let plain = "the configuration can't be used";
    assert_eq!(agent.done().error.as_deref(), Some(plain));
}

#[test]
fn events_are_numbered_and_wait_for_room() {
    let script = Script {
        collect: |fake, tick| {
            let mut sent = 0;
            while fake.emit("job-moved") == abi::OK {
                sent += 1;
            }
            fake.see(&format!("{} {sent}", tick.number));
            abi::OK
        },
        ..Script::new()
    };
    let script = script.leaked();
    let (mut agent, _thread) = running(script);
    let mut sequence = 0;
    let mut collect = |number, stored| {
        agent.collect(number, stored);
        loop {
            match agent.next() {
                Some(ToAgent::Event(event)) => {
                    sequence += 1;
                    let whole = PluginEvent {
                        sequence,
                        level: 2,
                        at_ms: 5,
                        name: "job-moved".into(),
                        data: "{\"n\":1}".into(),
                        position: "p".into(),
                    };
                    assert_eq!(*event, whole);
                }
                // To be asked to come later is no refusal.
                Some(ToAgent::Done(done)) => return assert_eq!(done.refused, 0),
                other => panic!("{other:?}"),
            }
        }
    };
    collect(1, 0);
    collect(2, 0);
    collect(3, 10);
    assert_eq!(script.seen(), ["1 4096", "2 0", "3 10"]);
}

#[test]
fn a_configuration_is_taken_refused_or_asks_for_a_new_instance() {
    let script = Script {
        reconfigure: |fake, config| match config {
            "{\"a\":1}" => abi::OK,
            "{\"a\":2}" => abi::RESTART,
            _ => {
                fake.set_error("a", "is too large");
                abi::E_CONFIG
            }
        },
        ..Script::new()
    };
    let (mut agent, _thread) = running(script.leaked());
    for (config, expected) in [
        ("{\"a\":1}", (abi::OK, "", "")),
        ("{\"a\":2}", (abi::RESTART, "", "")),
        ("{\"a\":3}", (abi::E_CONFIG, "a", "is too large")),
    ] {
        let config = config.to_owned();
        agent.send(&ToHost::Reconfigure { config });
        let (code, field, message) = expected;
        let (field, message) = (field.to_owned(), message.to_owned());
        let expected = ToAgent::Reconfigured {
            code,
            field,
            message,
        };
        assert_eq!(agent.next(), Some(expected));
    }
}

#[test]
fn lookups_are_answered_in_json_or_not_at_all() {
    let script = Script {
        lookup: |_, name, parameter| match name {
            "is-admin" => Ok(format!("[{parameter:?}, true]")),
            "garbage" => Ok("{".to_owned()),
            "long" => Ok(" ".repeat(64 << 10) + "1"),
            "fullest" => Ok(" ".repeat((64 << 10) - 1) + "1"),
            "away" => Err(abi::E_UNAVAILABLE),
            _ => Err(abi::E_CONFIG),
        },
        ..Script::new()
    };
    let (mut agent, _thread) = running(script.leaked());
    let mut id = 0;
    let mut look_up = |name: &str| {
        id += 1;
        agent.send(&ToHost::Lookup {
            id,
            name: name.to_owned(),
            parameter: "a\"b".into(),
        });
        match agent.next() {
            Some(ToAgent::LookedUp {
                id: found,
                code,
                answer,
            }) if found == id => (code, answer),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        look_up("is-admin"),
        (abi::OK, "[\"a\\\"b\", true]".to_owned())
    );
    let (code, why) = look_up("garbage");
    assert_eq!(code, abi::E_UNAVAILABLE);
    assert!(
        why.starts_with("the answer of lookup garbage is not the JSON"),
        "{why}"
    );
    let long = "the answer of lookup long is larger than 64 KiB".to_owned();
    assert_eq!(look_up("long"), (abi::E_UNAVAILABLE, long));
    assert_eq!(look_up("fullest").0, abi::OK);
    let away = "the source does not answer".to_owned();
    assert_eq!(look_up("away"), (abi::E_UNAVAILABLE, away));
    assert_eq!(look_up("unknown").0, abi::E_CONFIG);
}

#[test]
fn a_lookup_that_is_cancelled_costs_no_collect() {
    let script = Script {
        collect: |fake, _| i32::from(fake.cancelled()),
        lookup: |fake, _, _| {
            fake.log("begun");
            while !fake.cancelled() {
                thread::yield_now();
            }
            Err(abi::E_TIMEOUT)
        },
        ..Script::new()
    };
    let (mut agent, _thread) = running(script.leaked());
    agent.send(&ToHost::Lookup {
        id: 1,
        name: "slow".into(),
        parameter: String::new(),
    });
    assert!(matches!(agent.next(), Some(ToAgent::Log { .. })));
    agent.send(&ToHost::Cancel);
    agent.collect(1, 0);
    let ended = ToAgent::LookedUp {
        id: 1,
        code: abi::E_TIMEOUT,
        answer: "the source did not answer in time".into(),
    };
    assert_eq!(agent.next(), Some(ended));
    assert_eq!(agent.done().code, abi::OK);
}

#[test]
fn a_plugin_without_the_feature_has_no_lookups() {
    let plugin = abi::Plugin {
        features: abi::FEATURE_EVENTS,
        ..plugin()
    };
    let script = Script::new().leaked();
    let (mut agent, _thread) = host(Purpose::Collect, &script.config(), plugin);
    assert_eq!(agent.next(), Some(ready()));
    agent.send(&ToHost::Lookup {
        id: 9,
        name: "is-admin".into(),
        parameter: String::new(),
    });
    let found = ToAgent::LookedUp {
        id: 9,
        code: abi::E_CONFIG,
        answer: "plugin fake has no lookups".into(),
    };
    assert_eq!(agent.next(), Some(found));
}

#[test]
fn a_configuration_is_checked_without_an_instance() {
    let (mut agent, thread) = host(Purpose::Check, "good", plugin());
    assert_eq!(agent.next(), Some(ready()));
    assert_eq!(agent.next(), None);
    thread.join().expect("no panic");
    let (mut agent, _thread) = host(Purpose::Check, "bad", plugin());
    let failed = ToAgent::Failed {
        code: abi::E_CONFIG,
        field: "a.b".into(),
        message: "expected a duration".into(),
    };
    assert_eq!(agent.next(), Some(failed));
    assert_eq!(agent.next(), None);
}

#[test]
fn a_manifest_is_one_object_or_refused() {
    unsafe extern "C" fn endless(out: *mut c_void, write: abi::Write) -> i32 {
        for _ in 0..=1 << 10 {
            // SAFETY: the piece lives for the call.
            unsafe { write(out, abi::Str::new(&" ".repeat(1 << 10))) };
        }
        abi::OK
    }
    unsafe extern "C" fn garbage(out: *mut c_void, write: abi::Write) -> i32 {
        // SAFETY: the piece lives for the call; of null nothing is read.
        unsafe {
            write(out, abi::Str::new("[{}]"));
            write(std::ptr::null_mut(), abi::Str::new("{}"));
        }
        abi::OK
    }
    unsafe extern "C" fn failing(_: *mut c_void, _: abi::Write) -> i32 {
        abi::E_PANIC
    }
    let (mut agent, _thread) = host(Purpose::Describe, "", plugin());
    assert_eq!(agent.next(), Some(ready()));
    let manifest = ToAgent::Manifest("{\"name\":\"fake\",\"config\":{}}".into());
    assert_eq!(agent.next(), Some(manifest));
    assert_eq!(agent.next(), None);
    let cases: [(
        unsafe extern "C" fn(*mut c_void, abi::Write) -> i32,
        i32,
        &str,
    ); 3] = [
        (
            endless,
            abi::E_CONFIG,
            "the manifest of plugin fake is larger than 1024 KiB",
        ),
        (
            garbage,
            abi::E_CONFIG,
            "the manifest of plugin fake is not the JSON",
        ),
        (failing, abi::E_PANIC, "the plugin panicked"),
    ];
    for (describe, expected, says) in cases {
        let plugin = abi::Plugin {
            describe,
            ..plugin()
        };
        let (mut agent, _thread) = host(Purpose::Describe, "", plugin);
        match agent.next() {
            Some(ToAgent::Failed { code, message, .. }) => {
                assert_eq!(code, expected);
                assert!(message.starts_with(says), "{message}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_instance_that_does_not_start_is_freed() {
    let failing = Script {
        start: |fake| {
            fake.set_error("", "no room");
            abi::E_FATAL
        },
        ..Script::new()
    };
    let failing = failing.leaked();
    let unmade = Script {
        create: |_| abi::E_UNAVAILABLE,
        ..Script::new()
    };
    let unmade = unmade.leaked();
    for (script, code, message, seen) in [
        (failing, abi::E_FATAL, "no room", &["stop", "destroy"][..]),
        // What was never made is not destroyed.
        (
            unmade,
            abi::E_UNAVAILABLE,
            "the source does not answer",
            &[],
        ),
    ] {
        let (mut agent, thread) = host(Purpose::Collect, &script.config(), plugin());
        let failed = ToAgent::Failed {
            code,
            field: String::new(),
            message: message.to_owned(),
        };
        assert_eq!(agent.next(), Some(failed));
        assert_eq!(agent.next(), None);
        thread.join().expect("no panic");
        assert_eq!(script.seen(), seen);
    }
}

#[test]
fn a_library_that_can_not_be_loaded_is_said() {
    let (mut agent, stream) = Agent::pair();
    let thread = run_thread(stream, "fake\0name").expect("a thread");
    agent.send(&load(Purpose::Collect, "{}"));
    match agent.next() {
        Some(ToAgent::Failed { code, message, .. }) => {
            assert_eq!(code, abi::E_CONFIG);
            assert!(message.starts_with("fake.so can't be loaded"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(agent.next(), None);
    thread.join().expect("no panic");
}

#[test]
fn a_panic_of_the_host_ends_its_link_and_nothing_else() {
    let (mut agent, stream) = Agent::pair();
    let broken = |_: &str| panic!("as the test wants it");
    let thread = start_thread(stream, "fake", broken).expect("a thread");
    agent.send(&load(Purpose::Collect, "{}"));
    assert_eq!(agent.next(), None);
    thread.join().expect("it was caught");
}

#[test]
fn an_agent_that_speaks_nonsense_has_gone() {
    let nonsense: [&[u8]; 4] = [
        &[0xff; 4],
        &[1, 0, 0, 0, 99],
        &[2, 0, 0, 0, 3, 3],
        // A stop where a load has to be.
        &[1, 0, 0, 0, 3],
    ];
    for bytes in nonsense {
        let (mut agent, stream) = Agent::pair();
        let thread = run_thread(stream, "fake").expect("a thread");
        agent.stream.write_all(bytes).expect("a socket");
        assert_eq!(agent.next(), None);
        thread.join().expect("no panic");
    }
    let script = Script::new().leaked();
    let (mut agent, thread) = running(script);
    agent.stream.write_all(&[1, 0, 0, 0, 99]).expect("a socket");
    assert_eq!(agent.next(), None);
    thread.join().expect("no panic");
    assert_eq!(script.seen(), ["stop", "destroy"]);
}

/// Writes a manifest with this schema.
macro_rules! described {
    ($schema:expr) => {{
        unsafe extern "C" fn describe(out: *mut c_void, write: abi::Write) -> i32 {
            // SAFETY: the text lives for the call.
            unsafe { write(out, abi::Str::new(concat!("{\"config\":", $schema, "}"))) };
            abi::OK
        }
        describe
    }};
}

unsafe extern "C" fn check_nothing(_: *const abi::Host, _: abi::Str) -> i32 {
    abi::OK
}

fn failed(field: &str, message: &str) -> ToAgent {
    ToAgent::Failed {
        code: abi::E_CONFIG,
        field: field.to_owned(),
        message: message.to_owned(),
    }
}

#[test]
fn a_configuration_is_judged_by_plugin_and_schema() {
    let describe = described!(r#"{"required":["a"],"properties":{"a":{"type":"string"}}}"#);
    let judging = abi::Plugin {
        describe,
        ..plugin()
    };
    let lenient = abi::Plugin {
        check_config: check_nothing,
        ..judging
    };
    let unwritten = abi::Plugin {
        describe: described!("\""),
        ..lenient
    };
    let own = || failed("a.b", "expected a duration");
    for (plugin, config, expected) in [
        (lenient, "{\"a\":\"x\"}", ready()),
        (
            lenient,
            "{\"a\":7}",
            failed("a", "expected a string, found the number 7"),
        ),
        (lenient, "{}", failed("a", "is missing")),
        // The plugin's words count, as they name a key.
        (judging, "{\"a\":7}", own()),
        (judging, "{\"a\":\"x\"}", own()),
        // Nobody can read what judges, and the plugin does not.
        (unwritten, "{\"a\":7}", ready()),
    ] {
        let (mut agent, thread) = host(Purpose::Check, config, plugin);
        assert_eq!(agent.next(), Some(expected), "{config}");
        assert_eq!(agent.next(), None);
        thread.join().expect("no panic");
    }
}

#[test]
fn an_instance_is_not_made_of_what_the_schema_refuses() {
    let script = Script {
        create: |fake| {
            fake.see("create");
            abi::OK
        },
        ..Script::new()
    };
    let script = script.leaked();
    let plugin = abi::Plugin {
        describe: described!(r#"{"not":{"minimum":0}}"#),
        check_config: check_nothing,
        ..plugin()
    };
    let (mut agent, thread) = host(Purpose::Collect, &script.config(), plugin);
    assert_eq!(agent.next(), Some(failed("", "is what it must not be")));
    assert_eq!(agent.next(), None);
    thread.join().expect("no panic");
    assert!(script.seen().is_empty());
}

#[test]
fn a_manifest_that_judges_nothing_is_warned_of_once() {
    unsafe extern "C" fn failing(_: *mut c_void, _: abi::Write) -> i32 {
        abi::E_PANIC
    }
    let cases: [(unsafe extern "C" fn(*mut c_void, abi::Write) -> i32, &str); 4] = [
        (failing, "the plugin panicked"),
        (
            described!("\""),
            "the manifest of plugin fake is not the JSON",
        ),
        (described!("1"), "has no JSON Schema"),
        (
            described!(r#"{"type":"text"}"#),
            "the schema of its manifest is flawed: `type` has to be",
        ),
    ];
    for (describe, says) in cases {
        let plugin = abi::Plugin {
            describe,
            ..plugin()
        };
        let script = Script::new().leaked();
        let (mut agent, _thread) = host(Purpose::Collect, &script.config(), plugin);
        match agent.next() {
            Some(ToAgent::Log { level: 1, message }) => {
                assert!(message.contains(says), "{message}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(agent.next(), Some(ready()));
    }
}

#[test]
fn a_new_configuration_is_judged_before_the_instance_sees_it() {
    static DESCRIBED: Mutex<u32> = Mutex::new(0);
    unsafe extern "C" fn describe(out: *mut c_void, write: abi::Write) -> i32 {
        *DESCRIBED.lock().unwrap() += 1;
        let schema = r#"{"type":["object","integer"],"properties":{"a":{"maximum":2}}}"#;
        let manifest = format!("{{\"config\":{schema}}}");
        // SAFETY: the text lives for the call.
        unsafe { write(out, abi::Str::new(&manifest)) };
        abi::OK
    }
    let script = Script {
        reconfigure: |fake, config| {
            fake.see(config);
            abi::OK
        },
        ..Script::new()
    };
    let script = script.leaked();
    let plugin = abi::Plugin {
        describe,
        check_config: check_nothing,
        ..plugin()
    };
    let (mut agent, _thread) = host(Purpose::Collect, &script.config(), plugin);
    assert_eq!(agent.next(), Some(ready()));
    for (config, code, field, message) in [
        (
            "{\"a\":3}",
            abi::E_CONFIG,
            "a",
            "3 is out of range; it has to be at most 2",
        ),
        ("{\"a\":2}", abi::OK, "", ""),
    ] {
        let config = config.to_owned();
        agent.send(&ToHost::Reconfigure { config });
        let (field, message) = (field.to_owned(), message.to_owned());
        let expected = ToAgent::Reconfigured {
            code,
            field,
            message,
        };
        assert_eq!(agent.next(), Some(expected));
    }
    assert_eq!(script.seen(), ["{\"a\":2}"]);
    agent.collect(1, 0);
    assert_eq!(agent.done().code, abi::OK);
    assert_eq!(*DESCRIBED.lock().unwrap(), 1);
}
