//! Tables as libraries could export them, whole and wrong.

use std::ffi::c_void;

use super::*;

unsafe extern "C" fn describe(_: *mut c_void, _: abi::Write) -> i32 {
    11
}
unsafe extern "C" fn check_config(_: *const abi::Host, _: abi::Str) -> i32 {
    0
}
unsafe extern "C" fn create(_: *const abi::Host, _: abi::Str, _: *mut *mut c_void) -> i32 {
    0
}
unsafe extern "C" fn plain(_: *mut c_void) -> i32 {
    0
}
unsafe extern "C" fn collect(_: *mut c_void, _: *const abi::Tick) -> i32 {
    0
}
unsafe extern "C" fn reconfigure(_: *mut c_void, _: abi::Str) -> i32 {
    0
}
unsafe extern "C" fn destroy(_: *mut c_void) {}

/// A whole table of version 1.0, followed by what a later version may have there.
#[repr(C)]
struct Exported {
    plugin: abi::Plugin,
    tail: [u8; 32],
}

fn whole() -> Exported {
    let plugin = abi::Plugin {
        magic: abi::MAGIC,
        struct_size: u32::try_from(PLUGIN_BYTES).unwrap(),
        abi_major: abi::ABI_MAJOR,
        abi_minor: abi::ABI_MINOR,
        features: 0,
        name: abi::Str::new("tiny"),
        topic: abi::Str::new("tiny"),
        version: abi::Str::new("0.1.0"),
        describe,
        check_config,
        create,
        start: plain,
        collect,
        reconfigure,
        stop: plain,
        destroy,
        lookup: None,
    };
    Exported {
        plugin,
        tail: [0xff; 32],
    }
}

/// The bytes of a whole table, each of them at an odd address too, with some changed.
fn read_with(changes: &[(usize, &[u8])]) -> Result<abi::Plugin, String> {
    let whole = whole();
    let len = size_of::<Exported>();
    // SAFETY: a table and its tail have no bytes between their fields.
    let bytes = unsafe { std::slice::from_raw_parts((&raw const whole).cast::<u8>(), len) };
    let mut table = vec![0];
    table.extend_from_slice(bytes);
    for (offset, change) in changes {
        table[1 + offset..][..change.len()].copy_from_slice(change);
    }
    // SAFETY: a whole table stands there, whatever it says.
    unsafe { read("x.so", table[1..].as_ptr()) }
}

fn refused(changes: &[(usize, &[u8])]) -> String {
    read_with(changes).expect_err("it is wrong")
}

#[test]
fn a_whole_table_is_read_wherever_it_stands() {
    let plugin = read_with(&[]).unwrap();
    // SAFETY: the function uses neither of its arguments.
    let code = unsafe { (plugin.describe)(std::ptr::null_mut(), crate::collect::hostcalls::write) };
    assert_eq!(code, 11);
    assert!(plugin.lookup.is_none());
}

#[test]
fn a_later_minor_version_is_longer_and_has_optional_features_that_nobody_knows() {
    let size = u32::try_from(size_of::<Exported>()).unwrap().to_ne_bytes();
    let features = (1_u64 << 31 | abi::FEATURE_EVENTS).to_ne_bytes();
    let changes: [(usize, &[u8]); 3] = [
        (offset_of!(abi::Plugin, struct_size), &size),
        (offset_of!(abi::Plugin, abi_minor), &7_u16.to_ne_bytes()),
        (offset_of!(abi::Plugin, features), &features),
    ];
    assert_eq!(read_with(&changes).unwrap().abi_minor, 7);
}

#[test]
fn what_is_no_plugin_or_not_of_this_version_is_refused() {
    let magic = refused(&[(0, b"BAROGPV2")]);
    assert!(
        magic.starts_with("x.so is not a Barograph plugin: its magic number is wrong"),
        "{magic}"
    );
    let major = |major: u16| refused(&[(offset_of!(abi::Plugin, abi_major), &major.to_ne_bytes())]);
    let newer = "x.so was built for plugin ABI 2.0, and this agent speaks 1; update barograph, or build it with a barograph-sdk for ABI 1";
    assert_eq!(major(2), newer);
    let older = "x.so was built for plugin ABI 0.0, and this agent speaks 1; build it with a barograph-sdk for ABI 1";
    assert_eq!(major(0), older);
    let size = |size: u32| refused(&[(offset_of!(abi::Plugin, struct_size), &size.to_ne_bytes())]);
    let short = "x.so exports a plugin of 143 bytes, which is shorter than ABI 1.0 with its 144; build it anew against barograph_plugin.h";
    assert_eq!(size(143), short);
    assert!(size(0).contains("of 0 bytes"));
}

#[test]
fn the_head_alone_is_enough_to_refuse() {
    let mut head = [0; HEAD_BYTES];
    head[..8].copy_from_slice(&abi::MAGIC.to_ne_bytes());
    head[12..14].copy_from_slice(&abi::ABI_MAJOR.to_ne_bytes());
    // SAFETY: the head is readable, and says that nothing more is.
    let refused = unsafe { read("x.so", head.as_ptr()) };
    assert!(refused.unwrap_err().contains("of 0 bytes"));
}

#[test]
fn abilities_that_a_plugin_needs_have_to_be_known() {
    let features = |bits: u64| {
        let bits = bits.to_ne_bytes();
        read_with(&[(offset_of!(abi::Plugin, features), &bits)]).err()
    };
    let why = "x.so needs abilities that this agent does not have: feature bit 32, feature bit 63; update barograph";
    assert_eq!(features(1 << 32 | 1 << 63 | 1).as_deref(), Some(why));
    assert_eq!(features(u64::from(u32::MAX) & !abi::FEATURE_LOOKUP), None);
}

#[test]
fn a_function_that_is_not_there_is_named() {
    let null = 0_usize.to_ne_bytes();
    for (name, offset) in FUNCTIONS {
        let why = refused(&[(offset, &null)]);
        let says = format!("x.so has no function `{name}`: its pointer is null");
        assert!(why.starts_with(&says), "{why}");
    }
    let features = abi::FEATURE_LOOKUP.to_ne_bytes();
    let why = refused(&[(offset_of!(abi::Plugin, features), &features)]);
    assert!(why.contains("its function `lookup` is null"), "{why}");
}

#[test]
fn what_is_no_library_is_refused_by_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.so");
    std::fs::write(&text, "this is no library").unwrap();
    for path in [&text, &folder.path().join("absent.so")] {
        let path = path.display().to_string();
        let why = open(&path).expect_err("it is no library");
        assert!(
            why.starts_with(&format!("{path} can't be loaded: ")),
            "{why}"
        );
    }
}
