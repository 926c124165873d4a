//! The table of a collector called as no agent should: versions, sizes, null pointers, panics.

use std::{ffi::c_void, mem::offset_of, panic::panic_any, ptr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::{
    desk::{Desk, write},
    note, note_bytes, struct_size,
};
use crate::{
    Collector, Error, Manifest, Reload, Setup, Sink,
    abi::{self, Host, Str},
    serde_json,
};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Reading it panics.
    trap: Option<Trap>,
    /// Making the collector panics.
    panic_in_new: bool,
}

#[derive(Debug, JsonSchema)]
struct Trap;

impl<'de> Deserialize<'de> for Trap {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("read")
    }
}

/// What a panic may carry.
struct PanicsAgain;

impl Drop for PanicsAgain {
    fn drop(&mut self) {
        panic!("again")
    }
}

#[derive(Debug)]
struct Plain;

impl Collector for Plain {
    type Config = Config;
    const MANIFEST: Manifest = Manifest::new("plain", "tests", "1.0.0").events().lookup();

    fn new(config: Config, setup: &mut Setup<'_>) -> Result<Self, Error> {
        assert!(!config.panic_in_new, "new");
        assert!(config.trap.is_none());
        let position = setup.position().to_owned();
        setup.log().write(crate::Level::Info, &position);
        Ok(Self)
    }

    async fn collect(&mut self, _out: &mut Sink<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn reconfigure(&mut self, _config: Config) -> Result<Reload, Error> {
        panic!("reconfigure")
    }

    async fn lookup(&mut self, name: &str, parameter: &str) -> Result<serde_json::Value, Error> {
        match name {
            "echo" => Ok(serde_json::json!({ "said": parameter })),
            "panic" => panic!("lookup"),
            "panic twice" => panic_any(PanicsAgain),
            _ => Err(Error::unavailable("the source is away")),
        }
    }
}

/// What `check_config` answers over a table of that many bytes, with `change` made to it. It stands in
/// memory of exactly that size, so that a tool that watches memory sees any read beyond it.
fn check(desk: &Desk, bytes: usize, change: impl FnOnce(&mut Host)) -> i32 {
    let mut host = *desk.host;
    host.struct_size = u32::try_from(bytes).unwrap();
    change(&mut host);
    let mut words = vec![0_u64; bytes / 8].into_boxed_slice();
    let copied = bytes.min(size_of::<Host>());
    // SAFETY: both have that many bytes and are apart; what is not copied lies beyond `struct_size`.
    unsafe {
        let from = (&raw const host).cast::<u8>();
        ptr::copy_nonoverlapping(from, words.as_mut_ptr().cast(), copied);
        (desk.plugin.check_config)(words.as_ptr().cast(), Str::new("{}"))
    }
}

#[test]
fn a_longer_table_of_a_later_minor_version_is_as_good() {
    let desk = Desk::of::<Plain>();
    let whole = size_of::<Host>();
    assert_eq!(check(&desk, whole, |_| ()), abi::OK);
    assert_eq!(check(&desk, whole + 64, |host| host.abi_minor = 7), abi::OK);
    assert_eq!(desk.error(), "");
}

#[test]
fn a_shorter_table_is_refused_in_words_and_never_read_beyond_its_size() {
    let desk = Desk::of::<Plain>();
    assert_eq!(check(&desk, size_of::<Host>() - 8, |_| ()), abi::E_FATAL);
    assert_eq!(
        desk.error(),
        "the agent's table has 104 bytes, plugin ABI 1.0 has 112: the plugin needs a later agent"
    );
    let silent = Desk::of::<Plain>();
    for bytes in [8, 16, offset_of!(Host, set_error)] {
        assert_eq!(check(&silent, bytes, |_| ()), abi::E_FATAL);
    }
    assert_eq!(silent.error(), "", "there is no function to say it with");
    assert_eq!(
        check(&silent, offset_of!(Host, now_mono_ns), |_| ()),
        abi::E_FATAL
    );
    assert!(
        silent.error().contains("has 72 bytes"),
        "{}",
        silent.error()
    );
}

#[test]
fn another_major_version_and_no_table_at_all_are_refused() {
    let mut desk = Desk::of::<Plain>();
    let whole = size_of::<Host>();
    for wrong in [0, 2] {
        assert_eq!(
            check(&desk, whole, |host| host.abi_major = wrong),
            abi::E_FATAL
        );
    }
    // SAFETY: a null table is what is tried here; the place is one for a pointer.
    unsafe {
        let instance = &raw mut desk.instance;
        assert_eq!(
            (desk.plugin.check_config)(ptr::null(), Str::new("")),
            abi::E_FATAL
        );
        assert_eq!(
            (desk.plugin.create)(ptr::null(), Str::new(""), instance),
            abi::E_FATAL
        );
    }
    assert!(desk.instance.is_null());
}

#[test]
fn null_pointers_are_refused_by_every_entry() {
    let mut desk = Desk::with::<Plain>();
    let (plugin, none) = (desk.plugin, ptr::null_mut::<c_void>());
    let tick = abi::Tick {
        struct_size: struct_size::<abi::Tick>(),
        tiers: 1,
        number: 0,
        at_ms: 0,
        deadline_ns: 0,
    };
    let lookup = plugin.lookup.unwrap();
    let text = Str::new("echo");
    // SAFETY: null pointers are what is tried here.
    unsafe {
        assert_eq!((plugin.start)(none), abi::E_CLOSED);
        assert_eq!((plugin.collect)(none, &raw const tick), abi::E_CLOSED);
        assert_eq!((plugin.reconfigure)(none, text), abi::E_CLOSED);
        assert_eq!(lookup(none, text, text, none, write), abi::E_CLOSED);
        assert_eq!((plugin.stop)(none), abi::E_CLOSED);
        (plugin.destroy)(none);
        let host = &raw const *desk.host;
        assert_eq!(
            (plugin.create)(host, Str::new(""), ptr::null_mut()),
            abi::E_FATAL
        );
        assert_eq!(desk.error(), "there is no place for the instance");
        assert_eq!((plugin.collect)(desk.instance, ptr::null()), abi::E_FATAL);
    }
    assert_eq!(
        desk.error(),
        "the tick is shorter than plugin ABI 1.0 has it"
    );
    assert_eq!(desk.collect(), abi::OK, "the instance goes on");
}

#[test]
fn a_tick_may_be_longer_and_not_shorter() {
    let desk = Desk::with::<Plain>();
    let mut tick = [0_u64; 8];
    for (size, code) in [
        (64, abi::OK),
        (32, abi::OK),
        (31, abi::E_FATAL),
        (0, abi::E_FATAL),
    ] {
        tick[0] = size;
        // SAFETY: the tick has at least as many bytes as it says.
        let collected = unsafe { (desk.plugin.collect)(desk.instance, tick.as_ptr().cast()) };
        assert_eq!(collected, code, "{size}");
    }
}

#[test]
fn a_configuration_that_is_no_text_is_refused() {
    let desk = Desk::of::<Plain>();
    let texts = [
        (ptr::null(), "the text is a null pointer"),
        (b"\xff\xfe{}".as_ptr(), "the text is not UTF-8"),
    ];
    for (ptr, message) in texts {
        // SAFETY: the pointer is null, or to four bytes.
        let code =
            unsafe { (desk.plugin.check_config)(&raw const *desk.host, Str { ptr, len: 4 }) };
        assert_eq!((code, desk.error().as_str()), (abi::E_CONFIG, message));
    }
    let nothing = Str {
        ptr: ptr::null(),
        len: 0,
    };
    // SAFETY: an empty text is the empty configuration.
    let code = unsafe { (desk.plugin.check_config)(&raw const *desk.host, nothing) };
    assert_eq!(code, abi::OK);
}

#[test]
fn a_panic_never_leaves_an_entry() {
    let mut desk = Desk::of::<Plain>();
    let config = Str::new("{\"trap\":1}");
    // SAFETY: the table and the text are valid for the call.
    let code = unsafe { (desk.plugin.check_config)(&raw const *desk.host, config) };
    assert_eq!(
        (code, desk.error().as_str()),
        (abi::E_PANIC, "panicked: read")
    );
    assert_eq!(desk.create("{\"panic_in_new\":true}"), abi::E_PANIC);
    assert_eq!(desk.error(), "panicked: new");
    assert!(desk.instance.is_null());

    let mut desk = Desk::with::<Plain>();
    assert_eq!(desk.reconfigure("{}"), abi::E_PANIC);
    assert_eq!(desk.error(), "panicked: reconfigure");
    assert_eq!(desk.collect(), abi::E_PANIC, "the collector is gone");
    assert_eq!(desk.stop(), abi::OK);
    assert_eq!(desk.collect(), abi::E_CLOSED);

    let mut desk = Desk::with::<Plain>();
    assert_eq!(desk.lookup("panic", ""), (abi::E_PANIC, String::new()));
    assert_eq!(desk.error(), "panicked: lookup");
}

#[test]
fn what_a_panic_carries_may_panic_again() {
    let mut desk = Desk::with::<Plain>();
    assert_eq!(desk.lookup("panic twice", "").0, abi::E_PANIC);
    assert_eq!(desk.error(), "the collector panicked");
}

#[test]
fn a_lookup_is_answered_with_json_or_a_reason() {
    let mut desk = Desk::with::<Plain>();
    assert_eq!(
        desk.plugin.features & abi::FEATURE_LOOKUP,
        abi::FEATURE_LOOKUP
    );
    let echo = (abi::OK, "{\"said\":\"\\\"; drop\"}".to_owned());
    assert_eq!(desk.lookup("echo", "\"; drop"), echo);
    assert_eq!(desk.lookup("other", "").0, abi::E_UNAVAILABLE);
    assert_eq!(desk.error(), "the source is away");
    desk.stop();
    assert_eq!(desk.lookup("echo", "").0, abi::E_CLOSED);
}

#[test]
fn the_last_stored_position_is_handed_to_the_next_instance() {
    let mut desk = Desk::of::<Plain>();
    desk.host.position = Str::new("1700-3");
    assert_eq!(desk.create("{}"), abi::OK);
    assert_eq!(desk.heard().log, [(2, "1700-3".to_owned())]);
}

#[test]
fn what_the_manifest_announces_is_in_the_table() {
    #[derive(Debug)]
    struct Bare;
    impl Collector for Bare {
        type Config = Config;
        const MANIFEST: Manifest = Manifest::new("bare", "tests", "1.0.0");
        fn new(_config: Config, _setup: &mut Setup<'_>) -> Result<Self, Error> {
            Ok(Self)
        }
        async fn collect(&mut self, _out: &mut Sink<'_>) -> Result<(), Error> {
            Ok(())
        }
    }
    let bare = Desk::of::<Bare>().plugin;
    assert!(bare.features == 0 && bare.lookup.is_none());
    let plain = Desk::of::<Plain>().plugin;
    assert!(plain.features == 3 && plain.lookup.is_some());
    assert_eq!(plain.features, Plain::MANIFEST.features());
}

#[test]
fn the_note_has_a_line_for_what_runs_unasked() {
    const ASKED: Manifest = Manifest::new("disk", "machine", "1.2.3");
    const UNASKED: Manifest = Manifest::new("disk", "machine", "1.2.3").unasked();
    let asked: [u8; note_bytes(&ASKED)] = note(&ASKED);
    let lines = "abi=1.0\nname=disk\ntopic=machine\nversion=1.2.3\n";
    assert_eq!(str::from_utf8(&asked), Ok(lines));
    let unasked: [u8; note_bytes(&UNASKED)] = note(&UNASKED);
    assert_eq!(
        str::from_utf8(&unasked),
        Ok(format!("{lines}default=on\n").as_str())
    );
}
