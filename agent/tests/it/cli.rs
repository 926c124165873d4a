//! The command line as an operator meets it: what is said, where, and with which exit code.

mod signals;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::agent::library;

/// A working directory with this `config.toml`.
fn folder(config: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a temp folder");
    fs::write(folder.path().join("config.toml"), config).expect("a config file");
    folder
}

/// The binary in that directory; it listens on any free port unless the variables say otherwise.
pub(crate) fn barograph(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_barograph"))
        .args(arguments)
        .current_dir(folder)
        .envs(variables.iter().copied())
        .output()
        .expect("the agent's binary")
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Both `check` and `run` refuse the configuration with exactly these lines.
fn refused(config: &str, variables: &[(&str, &str)], expected: &[&str]) {
    refused_by(&["check", "run"], config, variables, expected);
}

/// What a plugin has against its keys costs a running agent one collector only, see `plugin_keys.rs`.
fn refused_by(commands: &[&str], config: &str, variables: &[(&str, &str)], expected: &[&str]) {
    for command in commands {
        let folder = folder(config);
        let output = barograph(folder.path(), variables, &[command]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{command}: {said}");
        assert_eq!(stdout(&output), "", "{command}");
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines.len(), expected.len(), "{command}: {said}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(
                line.starts_with(expected),
                "{command}: {line}\nexpected: {expected}"
            );
        }
    }
}

#[test]
fn a_typo_names_its_line_and_the_nearest_key() {
    let config = "lisen = '127.0.0.1:0'\n[tiers]\nfastt = '1s'\n[shop]\n";
    let expected = [
        "config.toml:1: lisen: unknown key; did you mean `listen`?",
        "config.toml:3: tiers.fastt: unknown key; did you mean `fast`?",
        "config.toml:4: shop: unknown key; there are `listen`, `data_dir`,",
    ];
    refused(config, &[], &expected);
}

#[test]
fn a_typo_in_a_plugins_section_is_found_by_the_plugin() {
    let config = "[plugins.system]\nintervall = '1s'\nper_cpuu = true\n";
    let expected = [
        "config.toml:2: plugins.system.intervall: unknown key; did you mean `interval`?",
        "config.toml:3: plugins.system.per_cpuu: unknown key; did you mean `per_cpu`?",
    ];
    refused_by(&["check"], config, &[], &expected);
}

#[test]
fn a_wrong_value_names_what_was_expected_and_found() {
    let config = "listen = 10132\n[tiers]\nfast = 1\n[limits]\nconnections = 'many'\n";
    let expected = [
        "config.toml:1: listen: expected an IP address with a port such as \"127.0.0.1:10132\", found the number 10132",
        "config.toml:3: tiers.fast: expected a duration such as",
        "config.toml:5: limits.connections: expected a whole number from 0 up, found \"many\"",
    ];
    refused(config, &[], &expected);
    let config = "[plugins.system]\nper_cpu = 'yes'\n";
    let expected = "config.toml:2: plugins.system.per_cpu: ";
    refused_by(&["check"], config, &[], &[expected]);
    refused("[tiers\n", &[], &["config.toml:1: "]);
}

#[test]
fn a_listen_address_beyond_this_machine_is_refused() {
    let expected =
        "config.toml:1: listen: 0.0.0.0:10132 is reachable from other machines; authentication";
    refused("listen = '0.0.0.0:10132'\n", &[], &[expected]);
}

#[test]
fn a_wrong_variable_is_named() {
    let expected = "BAROGRAPH_LISTN: listn: unknown key; did you mean `BAROGRAPH_LISTEN`?";
    refused("", &[("BAROGRAPH_LISTN", "127.0.0.1:0")], &[expected]);
    let expected = "BAROGRAPH_TIERS__FAST: tiers.fast: expected a duration";
    refused("", &[("BAROGRAPH_TIERS__FAST", "soon")], &[expected]);
    let variable = "BAROGRAPH_PLUGINS__SYSTEM__PERCPU";
    let expected = "BAROGRAPH_PLUGINS__SYSTEM__PERCPU: plugins.system.percpu: unknown key; did you mean `BAROGRAPH_PLUGINS__SYSTEM__PER_CPU`?";
    refused_by(&["check"], "", &[(variable, "true")], &[expected]);
}

#[test]
fn only_a_named_file_has_to_exist() {
    let folder = tempfile::tempdir().expect("a temp folder");
    let output = barograph(folder.path(), &[], &["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let output = barograph(folder.path(), &[], &["check", "--config", "other.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).starts_with("other.toml: there is no such file"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_good_configuration_is_summed_up() {
    let folder = folder("listen = '127.0.0.1:7'\ndata_dir = 'from-file'\n");
    let variables = [("BAROGRAPH_DATA_DIR", "from-variable")];
    let output = barograph(folder.path(), &variables, &["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = stdout(&output);
    assert!(said.starts_with("config.toml: ok\n"), "{said}");
    for part in [
        "127.0.0.1:7",
        "from-variable",
        "system",
        "libbarograph_plugin_system.so",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(
        !folder.path().join("from-variable").exists(),
        "a check leaves nothing behind"
    );
}

#[test]
fn a_plugin_without_a_library_is_named() {
    let folder = folder("[plugins.no_such]\n[plugins.system]\npath = 'absent.so'\n");
    let output = barograph(folder.path(), &[], &["check"]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(
        said.contains("config.toml:1: plugins.no_such: no library libbarograph_plugin_no_such.so"),
        "{said}"
    );
    assert!(
        said.contains("config.toml:2: plugins.system: there is no library absent.so"),
        "{said}"
    );
}

/// The sample shows the plugins' keys as well, and the plugin itself has nothing against them.
#[test]
fn the_sample_is_good_with_every_line_taken_in() {
    let sample = include_str!("../../../config.toml");
    let is_key = |key: &str| {
        key.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let sets = |line: &&str| {
        line.starts_with("[[") || line.split_once(" = ").is_some_and(|(key, _)| is_key(key))
    };
    let lines = sample
        .lines()
        .map(|line| line.strip_prefix("# ").filter(sets).unwrap_or(line));
    let folder = folder(&lines.collect::<Vec<_>>().join("\n"));
    let output = barograph(folder.path(), &[], &["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn a_port_in_use_is_said_so() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let folder = folder("");
    let output = barograph(folder.path(), &[("BAROGRAPH_LISTEN", &address)], &["run"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains(&format!(
        "address {address} is in use; stop what listens there"
    )));
    assert_eq!(stdout(&output), "");
}

#[test]
fn an_unusable_data_folder_is_named() {
    let folder = folder("");
    let file = folder.path().join("file");
    fs::write(&file, b"").expect("a file");
    let below = file.join("below");
    for path in [file.as_path(), below.as_path(), Path::new("/proc")] {
        let path = path.display().to_string();
        let variables = [
            ("BAROGRAPH_LISTEN", "127.0.0.1:0"),
            ("BAROGRAPH_DATA_DIR", path.as_str()),
        ];
        let output = barograph(folder.path(), &variables, &["run"]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(4), "{path}: {said}");
        assert!(
            said.contains(&format!("data folder {path} can't be used: ")),
            "{said}"
        );
    }
}

#[test]
fn usage_errors_end_with_2() {
    let folder = folder("");
    for arguments in [
        &["fly"][..],
        &["run", "--fast"],
        &["plugin"],
        &["plugin", "run-once"],
        &["plugin", "run-once", "system", "--ticks", "0"],
        &["plugin", "run-once", "no_such"],
        &["plugin", "inspect"],
        &["plugin-host"],
    ] {
        let output = barograph(folder.path(), &[], arguments);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
    let output = barograph(folder.path(), &[], &["plugin", "inspct"]);
    assert!(stderr(&output).contains("'inspect'"), "{}", stderr(&output));
}

#[test]
fn version_says_what_this_is() {
    let folder = folder("nonsense");
    let output = barograph(folder.path(), &[], &["version"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = stdout(&output);
    assert!(
        said.starts_with(&format!("barograph {}\n", env!("CARGO_PKG_VERSION"))),
        "{said}"
    );
    let output = barograph(folder.path(), &[], &["version", "--json"]);
    let value: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!(value["version"], env!("CARGO_PKG_VERSION"));
    assert!(
        value["target"]
            .as_str()
            .is_some_and(|target| target.contains("linux")),
        "{value}"
    );
}

#[test]
fn inspect_reads_a_plugin_without_running_it() {
    let folder = folder("");
    let system = library("barograph_plugin_system").display().to_string();
    let output = barograph(
        folder.path(),
        &[],
        &["plugin", "inspect", &system, "--json"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let value: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!(
        (&value["name"], &value["topic"], &value["abi"]),
        (&"system".into(), &"system".into(), &"1.0".into())
    );
    assert_eq!(
        value["sizeBytes"],
        fs::metadata(&system).expect("a library").len()
    );
    let output = barograph(folder.path(), &[], &["plugin", "inspect", &system]);
    assert!(
        stdout(&output).contains("name     system\n"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn inspect_refuses_what_is_no_plugin() {
    let folder = folder("");
    let maps = fs::read_to_string("/proc/self/maps").expect("the own mappings");
    let libc = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5))
        .find(|path| path.contains("libc.so"));
    for (file, expected) in [
        ("config.toml", "is not a library"),
        (libc.expect("the C library"), "is not a Barograph plugin"),
        ("absent.so", "absent.so can't be read"),
        ("/dev/zero", "/dev/zero is not a file"),
        (".", "is not a file"),
    ] {
        for arguments in [
            &["plugin", "inspect", file][..],
            &["plugin", "run-once", &format!("./{file}")],
        ] {
            if arguments[1] == "run-once" && file.starts_with('/') {
                continue;
            }
            let output = barograph(folder.path(), &[], arguments);
            assert_eq!(
                output.status.code(),
                Some(2),
                "{arguments:?}: {}",
                stderr(&output)
            );
            assert!(
                stderr(&output).contains(expected),
                "{arguments:?}: {}",
                stderr(&output)
            );
        }
    }
}

#[test]
fn run_once_prints_the_samples_of_a_plugin() {
    let folder = folder("[plugins.system]\nper_cpu = false\n");
    let system = library("barograph_plugin_system").display().to_string();
    for plugin in ["system", system.as_str()] {
        let output = barograph(
            folder.path(),
            &[],
            &["plugin", "run-once", plugin, "--ticks", "2", "--json"],
        );
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let said = stdout(&output);
        let ticks: Vec<Value> = said
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(ticks.len(), 2);
        let samples = ticks[1]["samples"].as_array().expect("samples");
        let memory = |sample: &&Value| {
            sample["metric"]
                .as_str()
                .is_some_and(|name| name.starts_with("system_memory"))
        };
        let sample = samples.iter().find(memory).expect("a sample of memory");
        assert!(
            sample["value"].as_f64().is_some_and(|value| value >= 0.0),
            "{sample}"
        );
        assert!(
            sample["unit"].is_string() && sample["labels"].is_object(),
            "{sample}"
        );
    }
    let output = barograph(folder.path(), &[], &["plugin", "run-once", "system"]);
    let said = stdout(&output);
    assert!(
        said.starts_with("tick 0: ") && said.contains("\nMETRIC "),
        "{said}"
    );
    fs::write(
        folder.path().join("config.toml"),
        "[plugins.system]\nper_cpuu = 1\n",
    )
    .expect("a file");
    let output = barograph(folder.path(), &[], &["plugin", "run-once", "system"]);
    assert_eq!(output.status.code(), Some(2));
    let expected = "config.toml:2: plugins.system.per_cpuu: unknown key; did you mean `per_cpu`?";
    assert!(stderr(&output).starts_with(expected), "{}", stderr(&output));
}
