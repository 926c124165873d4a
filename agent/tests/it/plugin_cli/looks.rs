//! What is said of a library before it runs, and when it does not: by its own file and by the agent's rules.

use std::process::Output;

use super::*;
use crate::agent::{new_folder, on_tmpfs};

/// A configuration with the fixture and these keys.
fn configured(folder: &Path, keys: &str) {
    let config = format!("[plugins.shop]\npath = 'shop.so'\n{keys}\n");
    fs::write(folder.join("config.toml"), config).expect("a configuration");
}

#[test]
fn a_library_that_is_only_looked_at_is_not_loaded() {
    let folder = folder();
    let loud = folder.path().join("loud");
    shop(folder.path(), &[&format!("-DLOUD=\"{}\"", loud.display())]);
    configured(folder.path(), "");
    plugin(folder.path(), 0, &["inspect", "shop.so"]);
    let listed = plugin_json(folder.path(), 0, &["list"]);
    let all = listed["plugins"].as_array().expect("plugins");
    assert!(
        all.iter()
            .any(|line| line["plugin"] == "shop" && line["version"] == "0.1.0"),
        "{listed}"
    );
    assert!(!loud.exists(), "its code ran");
    plugin(folder.path(), 0, &["run-once", "shop"]);
    assert!(loud.exists(), "the fixture is not loud");
}

/// Where the temp folder is mounted `noexec`, that is no fault of the library.
#[test]
fn a_library_is_judged_and_not_the_temp_folder() {
    let place = new_folder();
    let (folder, temp) = (place.path(), place.path().join("temp"));
    shop(folder, &[]);
    configured(folder, "");
    let through = on_tmpfs(&temp, "16m,noexec");
    let run = |arguments: &[&str]| -> Output {
        Command::new(&through[0])
            .args(&through[1..])
            .arg(env!("CARGO_BIN_EXE_barograph"))
            .args(arguments)
            .current_dir(folder)
            .env("TMPDIR", &temp)
            .output()
            .expect("unshare")
    };
    for arguments in [
        &["plugin", "inspect", "shop.so"][..],
        &["plugin", "check", "shop.so"],
        &["plugin", "run-once", "./shop.so"],
        &["plugin", "run-once", "shop"],
        &["check"],
    ] {
        let output = run(arguments);
        let said = format!("{}{}", stdout(&output), stderr(&output));
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        assert!(!said.contains("noexec"), "{arguments:?}: {said}");
    }
    let inspected = stdout(&run(&["plugin", "inspect", "shop.so"]));
    assert!(inspected.contains(", good\n"), "{inspected}");
}

#[test]
fn what_strict_refuses_is_a_matter_of_access() {
    let folder = folder();
    let library = shop(folder.path(), &[]);
    fs::set_permissions(&library, fs::Permissions::from_mode(0o775)).expect("a mode");
    configured(folder.path(), "");
    let answer = plugin_json(folder.path(), 0, &["check", "shop"]);
    assert!(results(&answer).contains(&("access", "ok")), "{answer}");
    configured(folder.path(), "strict = true");
    let answer = plugin_json(folder.path(), 1, &["check", "shop"]);
    let results = results(&answer);
    for expected in [("access", "failed"), ("sha256", "not tried")] {
        assert!(results.contains(&expected), "{answer}");
    }
}

#[test]
fn one_that_is_switched_off_is_found_by_its_name() {
    let folder = folder();
    shop(folder.path(), &[]);
    configured(folder.path(), "enabled = false");
    plugin(folder.path(), 0, &["check", "shop"]);
    let said = plugin(folder.path(), 0, &["run-once", "shop"]);
    assert!(said.contains("shop_orders_total"), "{said}");
}

/// A plugin in C knows a code only; its author wants to know why.
#[tokio::test]
async fn the_reason_of_a_refused_declaration_is_told() {
    let folder = folder();
    let library = shop(folder.path(), &["-DMISNAMED"]);
    let why = "the configuration can't be used: the metric name `Shop_orders` is not of the form [a-z][a-z0-9_]*";
    let output = barograph(folder.path(), &[], &["plugin", "run-once", "./shop.so"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert_eq!(said, format!("barograph: plugin shop: {why}\n"));
    let agent = Agent::with(&format!("[plugins.shop]\npath = {:?}\n", shown(&library))).await;
    agent
        .plugin_that("shop", |info| {
            info["error"]
                .as_str()
                .is_some_and(|error| error.starts_with(why))
        })
        .await;
}
