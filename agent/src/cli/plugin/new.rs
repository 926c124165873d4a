//! `barograph plugin new`: a plugin that builds at once, as a crate or as a C file with its header.
//!
//! Everything is written from the templates beside this file into a folder that must not exist yet. Nothing is built
//! and nothing downloaded here.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::Failure;
use crate::config::is_name;

/// The contract for other languages than Rust, as this agent was built with it.
const HEADER: &str = include_str!("../../../../sdk/plugin/include/barograph_plugin.h");

/// The files of a new crate and their templates.
const RUST: [(&str, &str); 5] = [
    ("Cargo.toml", include_str!("templates/rust/Cargo.toml.in")),
    ("src/lib.rs", include_str!("templates/rust/lib.rs.in")),
    ("README.md", include_str!("templates/rust/README.md.in")),
    ("config.toml", include_str!("templates/rust/config.toml.in")),
    (".gitignore", include_str!("templates/rust/gitignore.in")),
];
/// The files of a new plugin in C and their templates.
const C: [(&str, &str); 6] = [
    ("{{name}}.c", include_str!("templates/c/plugin.c.in")),
    ("barograph_plugin.h", HEADER),
    ("Makefile", include_str!("templates/c/Makefile.in")),
    ("README.md", include_str!("templates/c/README.md.in")),
    ("config.toml", include_str!("templates/c/config.toml.in")),
    (".gitignore", include_str!("templates/c/gitignore.in")),
];

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Name of the plugin, as in [plugins.NAME]: lower-case letters, digits and _
    name: String,
    /// Language that it is written in
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    lang: Language,
    /// Folder to make, instead of NAME in the working directory
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Folder of barograph-sdk, for building against a checkout instead of the published crate
    #[arg(long, value_name = "PATH")]
    sdk: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Language {
    Rust,
    C,
}

impl Language {
    fn files(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Rust => &RUST,
            Self::C => &C,
        }
    }

    /// The library that a build makes, from the plugin's folder.
    fn library(self, name: &str) -> String {
        match self {
            Self::Rust => format!("target/debug/libbarograph_plugin_{name}.so"),
            Self::C => format!("libbarograph_plugin_{name}.so"),
        }
    }

    fn build(self) -> &'static str {
        match self {
            Self::Rust => "cargo build",
            Self::C => "make",
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { name, lang, .. } = arguments;
    if !is_name(name, b"") {
        let message = format!(
            "`{name}` can't be a plugin's name: a name is lower-case letters, digits and _, begins with a letter and has at most 64 characters"
        );
        return Err(Failure::Usage(message));
    }
    if name == "agent" {
        let message = "the name `agent` is taken by the agent itself; choose another one";
        return Err(Failure::Usage(message.to_owned()));
    }
    let sdk = dependency(*lang, arguments.sdk.as_deref())?;
    let folder = arguments
        .folder
        .clone()
        .unwrap_or_else(|| PathBuf::from(name));
    if fs::symlink_metadata(&folder).is_ok() {
        let message = format!(
            "{} exists already and stays as it is; choose another folder with --folder",
            folder.display()
        );
        return Err(Failure::Usage(message));
    }
    for (path, template) in lang.files() {
        let path = folder.join(filled(path, name, *lang, &sdk));
        write(&path, &filled(template, name, *lang, &sdk))
            .map_err(|error| Failure::Running(format!("{}: {error}", path.display())))?;
    }
    let mut out = io::stdout().lock();
    out.write_all(next_steps(name, *lang, &folder).as_bytes())?;
    Ok(())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

/// What stands behind `barograph-sdk = ` in the crate's manifest.
fn dependency(lang: Language, sdk: Option<&Path>) -> Result<String, Failure> {
    let Some(sdk) = sdk else {
        let [major, minor] = [
            env!("CARGO_PKG_VERSION_MAJOR"),
            env!("CARGO_PKG_VERSION_MINOR"),
        ];
        return Ok(format!("\"{major}.{minor}\""));
    };
    if lang == Language::C {
        let message = "--sdk is for plugins in Rust; one in C needs nothing but its own folder";
        return Err(Failure::Usage(message.to_owned()));
    }
    let manifest = sdk.join("Cargo.toml");
    let is_sdk =
        fs::read_to_string(&manifest).is_ok_and(|text| text.contains("name = \"barograph-sdk\""));
    let path = sdk.canonicalize().ok().filter(|_| is_sdk);
    let Some(path) = path.as_deref().and_then(Path::to_str) else {
        let message = format!(
            "{} is not the crate barograph-sdk; in a checkout of Barograph it is the folder sdk/plugin",
            sdk.display()
        );
        return Err(Failure::Usage(message));
    };
    Ok(format!("{{ path = {} }}", quoted(path)))
}

/// A string of TOML, which knows all escapes of JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn filled(template: &str, name: &str, lang: Language, sdk: &str) -> String {
    let package = format!("barograph-plugin-{}", name.replace('_', "-"));
    template
        .replace("{{library}}", &lang.library(name))
        .replace("{{crate}}", &package)
        .replace("{{name}}", name)
        .replace("{{sdk}}", sdk)
}

fn next_steps(name: &str, lang: Language, folder: &Path) -> String {
    let build = lang.build();
    let library = lang.library(name);
    let shown = folder.display();
    // For a configuration that stands elsewhere.
    let full = std::path::absolute(folder.join(&library)).unwrap_or_else(|_| folder.join(&library));
    let full = quoted(&full.display().to_string());
    let tests = match lang {
        Language::Rust => "    cargo test\n",
        Language::C => "",
    };
    format!(
        "made the plugin {name} in {shown}; next:\n\n    cd {shown}\n{tests}    {build}\n    barograph plugin run-once {name}\n\n\
         config.toml in that folder is enough to try it with `barograph run`. Another agent needs these lines:\n\n    \
         [plugins.{name}]\n    path = {full}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(name: &str, lang: Language, folder: &Path) -> Arguments {
        Arguments {
            name: name.to_owned(),
            lang,
            folder: Some(folder.to_owned()),
            sdk: None,
        }
    }

    #[test]
    fn every_placeholder_is_filled() {
        for lang in [Language::Rust, Language::C] {
            for (path, template) in lang.files() {
                for text in [path, template] {
                    let text = filled(text, "queue_two", lang, "\"0.1\"");
                    assert!(!text.contains("{{"), "{path}: {text}");
                }
            }
        }
        let manifest = filled(RUST[0].1, "queue_two", Language::Rust, "\"0.1\"");
        let manifest: toml::Table = manifest.parse().unwrap();
        assert_eq!(
            manifest["package"]["name"].as_str(),
            Some("barograph-plugin-queue-two")
        );
        assert_eq!(
            manifest["dependencies"]["barograph-sdk"].as_str(),
            Some("0.1")
        );
    }

    #[test]
    fn a_folder_that_exists_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let failure = run(&arguments("queue", Language::C, folder.path())).unwrap_err();
        assert!(matches!(failure, Failure::Usage(_)));
        assert!(failure.to_string().contains("exists already"), "{failure}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn names_are_those_of_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "Queue",
            "my-queue",
            "2nd",
            "",
            "agent",
            "a/b",
            &"x".repeat(65),
        ] {
            let made = folder.path().join("made");
            let failure = run(&arguments(name, Language::Rust, &made)).unwrap_err();
            assert!(matches!(failure, Failure::Usage(_)), "{name}");
            assert!(!made.exists(), "{name}");
        }
    }

    #[test]
    fn the_sdk_is_the_published_one_or_that_of_a_checkout() {
        assert_eq!(dependency(Language::Rust, None).unwrap(), "\"0.1\"");
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/plugin");
        let path = sdk.canonicalize().unwrap();
        assert_eq!(
            dependency(Language::Rust, Some(&sdk)).unwrap(),
            format!("{{ path = \"{}\" }}", path.display())
        );
        for (lang, sdk) in [
            (Language::C, sdk.as_path()),
            (Language::Rust, Path::new(".")),
        ] {
            assert!(dependency(lang, Some(sdk)).is_err(), "{lang:?}");
        }
    }
}
