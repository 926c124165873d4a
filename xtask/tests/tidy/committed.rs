//! What no committed file may hold: addresses of package mirrors, paths of somebody's machine.

use crate::checkout::{self, File};
use crate::{Finding, assert_none};

/// The one source that `Cargo.lock` names by itself; cargo writes it whatever mirror was used.
const CRATES_SOURCE: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Hosts of package registries. The project works with any mirror that a user has configured.
const HOSTS: [&str; 6] = [
    concat!("registry.", "npmjs.org"),
    concat!("registry.", "yarnpkg.com"),
    concat!("static.", "crates.io"),
    concat!("index.", "crates.io"),
    concat!("pypi", ".org"),
    concat!("files.", "pythonhosted.org"),
];

const HOMES: [&str; 3] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
];

fn findings(file: &File, rule: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    file.text
        .lines()
        .enumerate()
        .filter_map(|(at, line)| {
            Some(Finding {
                path: file.path.clone(),
                line: at + 1,
                message: rule(line)?,
            })
        })
        .collect()
}

fn registries(file: &File) -> Vec<Finding> {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    findings(file, |line| {
        if let Some(host) = HOSTS.iter().find(|host| line.contains(**host)) {
            return Some(format!("names the registry {host}"));
        }
        let is_foreign = match name {
            "Cargo.lock" => line.starts_with("source = ") && !line.contains(CRATES_SOURCE),
            "package-lock.json" => line.trim_start().starts_with("\"resolved\""),
            ".npmrc" => line.contains("registry") && line.contains("://"),
            "config.toml" if file.path.contains(".cargo/") => {
                line.starts_with("[source") || line.starts_with("[registr") || line.contains("://")
            }
            _ => false,
        };
        is_foreign.then(|| "names where a package was downloaded".to_owned())
    })
}

/// A path into a home folder is true on one machine only.
fn homes(file: &File) -> Vec<Finding> {
    findings(file, |line| {
        HOMES
            .iter()
            .find(|home| {
                line.match_indices(**home).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    let after = line[at + home.len()..].chars().next();
                    let starts_path =
                        !before.is_some_and(|c| c.is_alphanumeric() || "._-*/}".contains(c));
                    starts_path && after.is_some_and(char::is_alphanumeric)
                })
            })
            .map(|home| format!("holds a path below {home}"))
    })
}

fn file(path: &str, text: &str) -> File {
    File {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

#[test]
fn no_file_names_a_registry() {
    let all: Vec<Finding> = checkout::files().iter().flat_map(registries).collect();
    assert_none(&all);

    let host = HOSTS[0];
    let broken = [
        file("docs/install.md", &format!("see https://{host}/x")),
        file(
            "Cargo.lock",
            "source = \"registry+https://mirror.example/index\"",
        ),
        file(
            "dashboards/package-lock.json",
            "      \"resolved\": \"https://mirror.example/x.tgz\",",
        ),
        file("dashboards/.npmrc", "registry=https://mirror.example/"),
        file(".cargo/config.toml", "[source.crates-io]"),
    ];
    for broken in broken {
        assert_eq!(registries(&broken).len(), 1, "{}", broken.path);
    }
    assert_none(&registries(&file(
        "Cargo.lock",
        &format!("source = \"{CRATES_SOURCE}\""),
    )));
    assert_none(&registries(&file(
        "dashboards/.npmrc",
        "omit-lockfile-registry-resolved=true",
    )));
}

#[test]
fn no_file_names_a_home_folder() {
    let all: Vec<Finding> = checkout::files().iter().flat_map(homes).collect();
    assert_none(&all);

    for home in HOMES {
        assert_eq!(
            homes(&file("a.md", &format!("cd {home}somebody/project"))).len(),
            1,
            "{home}"
        );
    }
    assert_none(&homes(&file(
        "a.md",
        &format!("https://example.org{}page", HOMES[0]),
    )));
    assert_none(&homes(&file("a.rs", "let mount = \"/home\";")));
}
