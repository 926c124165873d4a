//! The tester itself: which tables it runs, and how it fails a test for what the agent would refuse.

use std::{ffi::c_void, panic, ptr};

use barograph_sdk::{
    Collector, Error, Gauge, Manifest, Setup, Sink,
    abi::{self, Host, Plugin, Str, Tick, Write},
    tester::{Collected, CollectorTester, Failure, Table},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A plugin without any care, as one in another language may be: `collect` pushes to a series that it never
/// declared, and says that all is well.
const CARELESS: Plugin = Plugin {
    magic: abi::MAGIC,
    struct_size: 144,
    abi_major: abi::ABI_MAJOR,
    abi_minor: abi::ABI_MINOR,
    features: 0,
    name: Str::new("careless"),
    topic: Str::new("tests"),
    version: Str::new("1.0.0"),
    describe,
    check_config,
    create,
    start,
    collect,
    reconfigure,
    stop,
    destroy,
    lookup: None,
};

unsafe extern "C" fn describe(out: *mut c_void, write: Write) -> i32 {
    // SAFETY: `out` goes back as it came, and the text is a constant.
    unsafe { write(out, Str::new("{ this is no JSON")) };
    abi::OK
}

unsafe extern "C" fn check_config(_host: *const Host, _config: Str) -> i32 {
    abi::OK
}

/// The instance is the host's table.
unsafe extern "C" fn create(host: *const Host, _config: Str, instance: *mut *mut c_void) -> i32 {
    // SAFETY: the tester gives a place for the instance.
    unsafe { *instance = host.cast_mut().cast() };
    abi::OK
}

unsafe extern "C" fn start(_instance: *mut c_void) -> i32 {
    abi::OK
}

unsafe extern "C" fn collect(instance: *mut c_void, _tick: *const Tick) -> i32 {
    let sample = abi::Sample {
        series: 7,
        flags: 0,
        value: 1.0,
    };
    // SAFETY: the host's table and what is behind it live until the instance is destroyed.
    unsafe {
        let host = &*instance.cast::<Host>();
        (host.push)(host.ctx, &raw const sample, 1);
    }
    abi::OK
}

unsafe extern "C" fn reconfigure(instance: *mut c_void, _config: Str) -> i32 {
    // SAFETY: the tick is not looked at.
    unsafe { collect(instance, ptr::null()) }
}

unsafe extern "C" fn stop(_instance: *mut c_void) -> i32 {
    abi::OK
}

unsafe extern "C" fn destroy(_instance: *mut c_void) {}

fn table(plugin: Plugin) -> Result<Table, String> {
    // SAFETY: the functions above keep the contract as far as memory goes.
    unsafe { Table::from_raw(plugin) }
}

fn careless() -> CollectorTester {
    table(CARELESS).unwrap().create("", &json!({})).unwrap()
}

fn message_of(run: impl FnOnce() + panic::UnwindSafe) -> String {
    let panic = panic::catch_unwind(run).unwrap_err();
    panic.downcast_ref::<String>().unwrap().clone()
}

const REFUSED: &str = "the agent would refuse: a sample of series 7, which is not alive";

#[test]
fn what_the_agent_would_refuse_fails_the_test() {
    let message = message_of(|| {
        let _ = careless().tick();
    });
    assert_eq!(message, REFUSED);
}

#[test]
fn a_refusal_outside_of_a_tick_fails_the_test_at_its_end() {
    let message = message_of(|| {
        let mut tester = careless();
        tester.reconfigure(&json!({})).unwrap();
        drop(tester);
    });
    assert_eq!(message, REFUSED);
}

#[test]
fn refusals_that_are_expected_are_given_to_the_test() {
    let mut tester = careless();
    tester.expect_refusals();
    assert_eq!(tester.tick(), Ok(Collected::Whole));
    assert_eq!(
        tester.take_refusals(),
        ["a sample of series 7, which is not alive"]
    );
    assert_eq!(tester.samples(), 0);
}

#[test]
fn a_table_is_run_only_if_the_agent_would_run_it() {
    let cases = [
        (
            Plugin {
                magic: 1,
                ..CARELESS
            },
            "the table is no plugin's: its magic is wrong",
        ),
        (
            Plugin {
                abi_major: 2,
                abi_minor: 5,
                ..CARELESS
            },
            "the plugin is built for ABI 2.5, and this is 1.0",
        ),
        (
            Plugin {
                struct_size: 136,
                ..CARELESS
            },
            "the table's struct_size is 136, too small",
        ),
        (
            Plugin {
                features: 1 << 40,
                ..CARELESS
            },
            "the plugin requires unknown features: 0x10000000000",
        ),
    ];
    for (plugin, why) in cases {
        assert_eq!(table(plugin).unwrap_err(), why);
    }
    let newer = Plugin {
        abi_minor: 9,
        struct_size: 200,
        features: 1 << 20,
        ..CARELESS
    };
    assert_eq!(table(newer).unwrap().name(), "careless");
}

#[test]
fn a_library_that_is_none_says_so() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    // SAFETY: the file is no library, so nothing of it is run.
    let why = unsafe { Table::open(&file) }.unwrap_err();
    assert!(why.contains("Cargo.toml: "), "{why}");
}

#[test]
fn a_manifest_has_to_be_json() {
    let failure = table(CARELESS).unwrap().manifest().unwrap_err();
    assert!(
        failure.message.starts_with("describe wrote no JSON"),
        "{failure}"
    );
}

#[test]
fn a_plugin_without_lookup_says_so() {
    let failure = careless().lookup("any", "").unwrap_err();
    assert_eq!(failure.code, abi::E_CONFIG);
    assert_eq!(failure.to_string(), "the plugin has no lookups (code -1)");
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Named {
    name: String,
}

#[derive(Debug)]
struct Misnamed(Gauge<1>);

impl Collector for Misnamed {
    type Config = Named;
    const MANIFEST: Manifest = Manifest::new("misnamed", "tests", "1.0.0");

    fn new(config: Named, setup: &mut Setup<'_>) -> Result<Self, Error> {
        Ok(Self(setup.gauge(&config.name).labels(["kind"]).build()))
    }

    async fn collect(&mut self, out: &mut Sink<'_>) -> Result<(), Error> {
        self.0.with(out, ["\"quoted\"\n"]).set(0.1);
        Ok(())
    }
}

#[test]
fn a_declaration_that_is_refused_fails_the_creation_with_the_reason() {
    for (name, why) in [
        ("Depth", "metric \"Depth\" has an invalid name"),
        ("depth_total", "only counters end in _total: depth_total"),
    ] {
        let config = json!({ "name": name });
        let Failure { code, message, .. } = CollectorTester::new::<Misnamed>(&config).unwrap_err();
        assert_eq!(code, abi::E_FATAL);
        assert!(message.starts_with(&format!("metric {name} ")), "{message}");
        assert!(message.ends_with(why), "{message}");
    }
}

#[test]
fn a_tick_is_shown_with_its_values_or_without() {
    let config = json!({ "name": "depth" });
    let mut tester = CollectorTester::new::<Misnamed>(&config).unwrap();
    assert_eq!(tester.text(), "");
    tester.tick().unwrap();
    assert_eq!(tester.text(), "depth{kind=\"\\\"quoted\\\"\\n\"} 0.1\n");
    assert_eq!(tester.names(), "depth{kind=\"\\\"quoted\\\"\\n\"} *\n");
    assert_eq!(tester.histogram("depth", &[("kind", "\"quoted\"\n")]), None);
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Served {
    address: String,
}

/// Asks a server that speaks first, as many do.
#[derive(Debug)]
struct Asking(String, Gauge<0>);

impl Collector for Asking {
    type Config = Served;
    const MANIFEST: Manifest = Manifest::new("asking", "tests", "1.0.0");

    fn new(config: Served, setup: &mut Setup<'_>) -> Result<Self, Error> {
        Ok(Self(config.address, setup.gauge("depth").build()))
    }

    async fn collect(&mut self, out: &mut Sink<'_>) -> Result<(), Error> {
        let mut server = tokio::net::TcpStream::connect(&self.0).await?;
        self.1.with(out, []).set(f64::from(server.read_u8().await?));
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_may_serve_its_collector_from_a_runtime_of_its_own() {
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap().to_string();
    let serving = tokio::spawn(async move {
        for depth in [7, 8] {
            let (mut client, _) = server.accept().await.unwrap();
            client.write_u8(depth).await.unwrap();
        }
    });
    let mut tester = CollectorTester::new::<Asking>(&json!({ "address": address })).unwrap();
    for depth in [7.0, 8.0] {
        assert_eq!(tester.tick(), Ok(Collected::Whole));
        assert_eq!(tester.value("depth", &[]), Some(depth));
    }
    serving.await.unwrap();
}
