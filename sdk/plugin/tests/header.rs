//! The C header says what `src/abi.rs` says, and a C plugin is built against it, loaded and driven.
//!
//! `BLESS=1 cargo test -p barograph-sdk --test header` writes the header anew.

use std::{
    collections::HashMap,
    env,
    fmt::Write as _,
    fs,
    mem::offset_of,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use barograph_sdk::{
    abi,
    tester::{Collected, CollectorTester},
};

const TYPES: [&str; 9] = [
    "Str",
    "Metric",
    "Sample",
    "Histogram",
    "Event",
    "Tick",
    "Host",
    "Write",
    "Plugin",
];
macro_rules! constants {
    ($($name:ident)*) => {
        [$((stringify!($name), abi::$name as i128)),*]
    };
}

/// Each constant that has its value in C as it stands, and that value.
const CONSTANTS: [(&str, i128); 22] = constants!(
    ABI_MAJOR ABI_MINOR
    OK PARTIAL RESTART E_CONFIG E_UNAVAILABLE E_TIMEOUT E_PANIC E_FATAL E_CLOSED E_FULL
    KIND_GAUGE KIND_COUNTER KIND_HISTOGRAM
    FEATURE_EVENTS FEATURE_LOOKUP FEATURES_REQUIRED
    TIER_FAST TIER_MEDIUM TIER_SLOW
    METRIC_OVERVIEW
);

macro_rules! layouts {
    ($($name:ident { $($field:ident)* })*) => {
        [$({
            // The pattern names every field, so that none is left out below.
            let _ = |abi::$name { $($field: _),* }: abi::$name| ();
            let fields: &[(&str, usize)] = &[$((stringify!($field), offset_of!(abi::$name, $field))),*];
            (stringify!($name), size_of::<abi::$name>(), fields)
        }),*]
    };
}

/// Name, size, and fields with their offsets, as Rust has them.
type Layout = (&'static str, usize, &'static [(&'static str, usize)]);

fn layouts() -> [Layout; 8] {
    layouts! {
        Str { ptr len }
        Metric {
            struct_size kind unit tier flags chart_style name help otel chart_section chart_title
            labels label_count bounds bound_count
        }
        Sample { series flags value }
        Histogram { series flags sum counts count }
        Event { struct_size level at_ms name data position }
        Tick { struct_size tiers number at_ms deadline_ns }
        Host {
            struct_size abi_major abi_minor ctx define_metric define_series retire_series push log
            cancelled set_error now_mono_ns push_histogram emit_event position
        }
        Plugin {
            magic struct_size abi_major abi_minor features name topic version describe check_config
            create start collect reconfigure stop destroy lookup
        }
    }
}

const INTRODUCTION: &str = "\
/* The contract between Barograph and its plugins, version 1.
 *
 * A plugin is a dynamic library that exports one object:
 *
 *     const barograph_plugin BAROGRAPH_PLUGIN_V1 = { BAROGRAPH_MAGIC, ... };
 *
 * and says who it is without being run:
 *
 *     BAROGRAPH_NOTE(\"name\", \"topic\", \"0.1.0\")
 *
 * Every pointer is borrowed for the call, the callee copies, and no memory is freed across the
 * boundary. A struct begins with its own size; a field is read only where that size covers it.
 * Calls for one instance never overlap. The SDK's examples/c/uptime.c is a whole plugin.
 *
 * Bounds: 500 metrics an instance; 16 labels a metric; names and label values of 256 bytes; help,
 * messages and errors of 4 KiB; 64 bounds a histogram; 1 MiB for a manifest, 64 KiB for a lookup's
 * answer. What is longer is cut and counted, or refused with BAROGRAPH_E_CONFIG or BAROGRAPH_E_FULL.
 *
 * Generated from src/abi.rs; `BLESS=1 cargo test -p barograph-sdk --test header` writes it anew. */
";

#[test]
fn the_header_says_what_the_abi_says() {
    let path = folder().join("include/barograph_plugin.h");
    let generated = header();
    if env::var_os("BLESS").is_some() {
        fs::write(&path, &generated).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "{} is not what src/abi.rs says; BLESS=1 writes it anew",
        path.display()
    );
}

#[test]
fn every_constant_and_type_of_the_abi_is_in_the_header() {
    let (source, header) = (
        fs::read_to_string(folder().join("src/abi.rs")).unwrap(),
        header(),
    );
    let declared = source.lines().filter_map(|line| {
        let rest = line
            .strip_prefix("pub const ")
            .or_else(|| line.strip_prefix("pub struct "))?;
        rest.split([':', ' ']).next()
    });
    for name in declared {
        let expected = match name {
            // The symbol is a name in C, and the lists are enumerations.
            "SYMBOL" => "BAROGRAPH_PLUGIN_V1".to_owned(),
            "UNITS" => "BAROGRAPH_UNIT_COUNT".to_owned(),
            "CHART_STYLES" => "BAROGRAPH_CHART_LINE".to_owned(),
            "LOG_LEVELS" => "BAROGRAPH_LOG_ERROR".to_owned(),
            name if TYPES.contains(&name) => format!("barograph_{}", name.to_lowercase()),
            name => format!("BAROGRAPH_{name}"),
        };
        assert!(
            header.contains(&expected),
            "{name} is missing as {expected}"
        );
    }
}

#[test]
fn c_and_cpp_have_the_sizes_offsets_and_values_of_rust() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("check.c");
    fs::write(&file, checks()).unwrap();
    for standard in ["c99", "c11", "c++11", "c++20"] {
        check(standard, &file);
    }
    // An example that is C has to be C++ as well, for those who start from it.
    check("c++20", &folder().join("examples/c/uptime.c"));
    // The check itself bites.
    let wrong = checks().replacen(" == 16)", " == 17)", 1);
    fs::write(&file, wrong).unwrap();
    assert!(!compiler("c99", &file).status().unwrap().success());
}

#[test]
fn the_header_names_what_c_has() {
    let header = header();
    let (code, comments): (Vec<&str>, Vec<&str>) = header
        .lines()
        .partition(|line| !line.trim_start().starts_with("//"));
    let code = code.join("\n");
    for word in comments
        .iter()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
    {
        assert!(!word.contains("::"), "`{word}` is of Rust");
        let is_name = word.starts_with(|first: char| first.is_ascii_uppercase())
            && word
                .chars()
                .all(|each| each.is_ascii_alphanumeric() || each == '_');
        let is_known = ["BAROGPV1", "CLOCK_MONOTONIC"].contains(&word) || word.starts_with("NAME_");
        assert!(
            !is_name || is_known || code.contains(word),
            "C has no `{word}`"
        );
    }
}

/// A source whose every line holds the header against a number of the Rust side. An array of a negative
/// length is an error in each version of both languages.
fn checks() -> String {
    let mut source = String::from(
        "#include \"barograph_plugin.h\"\n\
         #define CHECK_(line, it) typedef char check_##line[(it) ? 1 : -1]\n\
         #define CHECK_AT(line, it) CHECK_(line, it)\n\
         #define CHECK(it) CHECK_AT(__LINE__, it)\n",
    );
    for (name, size, fields) in layouts() {
        let name = format!("barograph_{}", name.to_lowercase());
        writeln!(source, "CHECK(sizeof({name}) == {size});").unwrap();
        for (field, offset) in fields {
            writeln!(source, "CHECK(offsetof({name}, {field}) == {offset});").unwrap();
        }
    }
    for (name, value) in CONSTANTS {
        let suffix = if value > i128::from(u32::MAX) {
            "u"
        } else {
            ""
        };
        writeln!(source, "CHECK(BAROGRAPH_{name} == {value}{suffix});").unwrap();
    }
    writeln!(source, "CHECK(BAROGRAPH_MAGIC == {}u);", abi::MAGIC).unwrap();
    source
}

/// Compiles without writing anything; every warning is an error.
fn check(standard: &str, file: &Path) {
    run(&mut compiler(standard, file));
}

fn compiler(standard: &str, file: &Path) -> Command {
    let is_cpp = standard.starts_with("c++");
    let mut command = Command::new(if is_cpp { "c++" } else { "cc" });
    command
        .args(["-x", if is_cpp { "c++" } else { "c" }])
        .arg(format!("-std={standard}"))
        .args(["-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I"])
        .arg(folder().join("include"))
        .arg(file);
    // The example's initialisers are of C99; C++11 has none with names, and it uses none.
    if standard != "c++20" {
        command.arg("-pedantic");
    }
    command.stderr(Stdio::piped());
    command
}

#[test]
fn a_c_plugin_is_built_loaded_and_driven() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("libuptime.so");
    build_c_plugin(&file);
    let bytes = fs::read(&file).unwrap();
    let note = b"abi=1.0\nname=uptime\ntopic=uptime\nversion=0.1.0\n";
    assert!(
        bytes.windows(note.len()).any(|window| window == note),
        "the note is in the file"
    );
    // SAFETY: the library was just built from our source and has no initialisers.
    let library = unsafe { libloading::Library::new(&file) }.unwrap();
    // SAFETY: the symbol is the plugin's table, by the ABI.
    let plugin = unsafe { **library.get::<*const abi::Plugin>(abi::SYMBOL).unwrap() };
    assert_eq!(plugin.magic, abi::MAGIC);
    // SAFETY: the table is the C plugin's, and the library is never closed.
    let mut tester =
        unsafe { CollectorTester::from_plugin(plugin, &serde_json::json!({})) }.unwrap();
    std::mem::forget(library);
    for _ in 0..3 {
        assert_eq!(tester.tick(), Ok(Collected::Whole));
    }
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    let now: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    let sampled = tester.value("uptime_seconds", &[]).unwrap();
    assert!(sampled > 0.0 && sampled <= now, "{sampled} of {now}");
    assert_eq!(tester.metrics()[0].unit, "seconds");
    assert_eq!(tester.series(), 1);
}

/// Builds `examples/c/uptime.c` as an author would, with every warning an error.
fn build_c_plugin(file: &Path) {
    run(Command::new("cc")
        .args([
            "-std=c99",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-pedantic",
            "-shared",
            "-fPIC",
        ])
        .arg("-I")
        .arg(folder().join("include"))
        .arg("-o")
        .arg(file)
        .arg(folder().join("examples/c/uptime.c")));
}

fn run(command: &mut Command) {
    let output = command.output().expect("a C compiler is installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn header() -> String {
    let constants = CONSTANTS.map(|(name, _)| (name.to_owned(), format!("BAROGRAPH_{name}")));
    let types = TYPES.map(|name| {
        (
            name.to_owned(),
            format!("barograph_{}", name.to_lowercase()),
        )
    });
    let rename: HashMap<String, String> = constants.into_iter().chain(types).collect();
    let config = cbindgen::Config {
        language: cbindgen::Language::C,
        header: Some(INTRODUCTION.trim_end().to_owned()),
        include_guard: Some("BAROGRAPH_PLUGIN_H".to_owned()),
        no_includes: true,
        sys_includes: vec!["stddef.h".to_owned(), "stdint.h".to_owned()],
        after_includes: Some(definitions()),
        cpp_compat: true,
        usize_is_size_t: true,
        documentation_style: cbindgen::DocumentationStyle::C99,
        line_length: 100,
        export: cbindgen::ExportConfig {
            include: TYPES.map(ToOwned::to_owned).to_vec(),
            rename,
            ..Default::default()
        },
        ..Default::default()
    };
    let bindings = cbindgen::Builder::new()
        .with_src(folder().join("src/abi.rs"))
        .with_config(config)
        .generate()
        .expect("src/abi.rs can be said in C");
    let mut text = Vec::new();
    bindings.write(&mut text);
    let text = String::from_utf8(text).expect("the header is text");
    let text = in_c(&text);
    let (body, guard) = text.rsplit_once("#endif").expect("the header is guarded");
    format!(
        "{body}{DECLARATION}
#endif{guard}"
    )
}

/// The words of the Rust documentation as C has them; links mean nothing there.
fn in_c(text: &str) -> String {
    let mut text = text.replace("[`", "`").replace("`]", "`");
    for (list, prefix) in [
        ("UNITS", "UNIT"),
        ("CHART_STYLES", "CHART"),
        ("LOG_LEVELS", "LOG"),
    ] {
        for index in ["Index into", "an index into"] {
            let list = format!("{index} `{list}`");
            text = text.replace(&list, &format!("`BAROGRAPH_{prefix}_…`"));
        }
    }
    text = text.replace("`SYMBOL`", "`BAROGRAPH_PLUGIN_V1`");
    for name in TYPES {
        let renamed = format!("`barograph_{}", name.to_lowercase());
        text = text.replace(&format!("`{name}::"), &format!("{renamed}."));
        text = text.replace(&format!("`{name}`"), &format!("{renamed}`"));
    }
    for prefix in ["KIND", "FEATURE", "TIER", "METRIC"] {
        text = text.replace(&format!("`{prefix}_…`"), &format!("`BAROGRAPH_{prefix}_…`"));
        text = text.replace(
            &format!("`1 << {prefix}_…`"),
            &format!("`1 << BAROGRAPH_{prefix}_…`"),
        );
    }
    for name in CONSTANTS.map(|(name, _)| name).into_iter().chain(["MAGIC"]) {
        text = text.replace(&format!("`{name}`"), &format!("`BAROGRAPH_{name}`"));
    }
    text
}

const DECLARATION: &str = "\
#ifdef __cplusplus
extern \"C\" {
#endif
// The one object that a plugin defines.
extern __attribute__((visibility(\"default\"))) const barograph_plugin BAROGRAPH_PLUGIN_V1;
#ifdef __cplusplus
}
#endif
";

/// What the generator can't say: computed constants, the lists of words, and macros for authors.
fn definitions() -> String {
    let list = |prefix: &str, words: &[&str]| -> String {
        let lines = words.iter().enumerate().map(|(index, word)| {
            format!(
                "#define BAROGRAPH_{prefix}_{} {index}\n",
                word.to_uppercase()
            )
        });
        lines.collect()
    };
    let (magic, section) = (abi::MAGIC, abi::NOTE_SECTION);
    let (major, minor) = (abi::ABI_MAJOR, abi::ABI_MINOR);
    let units = list("UNIT", &abi::UNITS);
    let styles = list("CHART", &abi::CHART_STYLES);
    let levels = list("LOG", &abi::LOG_LEVELS);
    format!(
        r#"
// `BAROGPV1` read as a little-endian number: the first field of every plugin.
#define BAROGRAPH_MAGIC UINT64_C({magic:#018x})
// The section with the words that can be read without running the plugin.
#define BAROGRAPH_NOTE_SECTION "{section}"

// Units of a metric.
{units}
// Styles of a chart.
{styles}
// Levels of a message.
{levels}
// A text literal as a borrowed text, for initialisers.
#define BAROGRAPH_TEXT(literal) {{ (const uint8_t *)(literal), sizeof(literal) - 1 }}

// The words about the plugin; the section ends with a zero byte.
#define BAROGRAPH_NOTE(name, topic, version) \
  __attribute__((used, section(BAROGRAPH_NOTE_SECTION))) static const char barograph_note[] = \
    "abi={major}.{minor}\nname=" name "\ntopic=" topic "\nversion=" version "\n";
"#
    )
}
