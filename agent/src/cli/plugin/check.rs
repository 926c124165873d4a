//! `barograph plugin check`: everything that can be wrong with a plugin before it runs, one line each.
//!
//! The library is looked at first; its manifest is then written, and its configuration judged, in processes of their
//! own. A check that needs what an earlier one did not find is not tried.

use std::io::{self, Write};
use std::path::Path;

use barograph_sdk::abi;
use serde_json::{Value, json};

use super::Failure;
use super::inspect::{Permissions, Verdict};
use super::subject::{self, Named, Subject, Words};
use crate::cli::check::check_plugin;
use crate::cli::runtime::Runtime;
use crate::cli::table::{Align, columns};
use crate::collect::schema::Schema;
use crate::collect::{self, Settings};

/// One thing that was looked at.
#[derive(Debug)]
struct Finding {
    what: &'static str,
    result: Outcome,
    /// What was found, or why it is wrong.
    words: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Good,
    Failed,
    Untried,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Failed => "failed",
            Self::Untried => "not tried",
        }
    }
}

pub(super) fn run(config: Option<&Path>, named: &Named, json: bool) -> Result<(), Failure> {
    let subject = named.find(config)?;
    let findings = findings(&subject)?;
    let failed = findings
        .iter()
        .filter(|finding| finding.result == Outcome::Failed)
        .count();
    let mut out = io::stdout().lock();
    if json {
        let lines = findings.iter().map(
            |Finding {
                 what,
                 result,
                 words,
             }| { json!({"check": what, "result": result.word(), "reason": words}) },
        );
        let lines: Vec<Value> = lines.collect();
        let plugin = &subject.instance.plugin;
        writeln!(
            out,
            "{}",
            json!({"plugin": plugin, "ok": failed == 0, "checks": lines})
        )?;
    } else {
        let head = ["CHECK", "RESULT", "WHAT WAS FOUND"].map(|title| (title, Align::Left));
        let rows: Vec<Vec<String>> = findings
            .iter()
            .map(|finding| {
                let (what, result) = (finding.what.to_owned(), finding.result.word().to_owned());
                vec![what, result, finding.words.clone()]
            })
            .collect();
        out.write_all(columns(&head, &rows).as_bytes())?;
    }
    match failed {
        0 => Ok(()),
        1 => Err(Failure::Running("1 check failed".to_owned())),
        more => Err(Failure::Running(format!("{more} checks failed"))),
    }
}

fn findings(subject: &Subject) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    let mut report = |what, result: Result<String, String>| {
        let (result, words) = match result {
            Ok(words) => (Outcome::Good, words),
            Err(why) => (Outcome::Failed, why),
        };
        findings.push(Finding {
            what,
            result,
            words,
        });
        result == Outcome::Good
    };
    let library = subject::library(&subject.instance);
    report(
        "library",
        library
            .as_ref()
            .map(|path| path.display().to_string())
            .map_err(Clone::clone),
    );
    let Ok(library) = library else {
        return Ok(with_untried(findings));
    };
    let words = subject::words(&library);
    report("note", words.as_ref().map(note).map_err(Clone::clone));
    let Ok(words) = words else {
        return Ok(with_untried(findings));
    };
    report("name", name(subject, &words));
    let speaks = report("abi", version(&words.abi));
    let permissions = Permissions::of(&library, subject.instance.policy.strict)?;
    let loadable = report("access", access(&permissions));
    if !(speaks && loadable) {
        return Ok(with_untried(findings));
    }
    let shelf = subject::shelf()?;
    let settings = match subject.instance.settings(&shelf) {
        Ok(settings) => settings,
        // A pinned hash that is another one.
        Err(why) => {
            report("sha256", Err(why));
            return Ok(with_untried(findings));
        }
    };
    report("sha256", Ok(settings.sha256.clone()));
    let mut runtime = Runtime::new()?;
    let manifest = runtime.block_on(collect::describe(&settings))?;
    let manifest = manifest.map_err(|error| error.to_string());
    report(
        "manifest",
        manifest
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|it| agrees(it, &words)),
    );
    if let Ok(manifest) = &manifest {
        report("schema", schema(&manifest["config"]));
    }
    let judged = runtime.block_on(configuration(subject, settings))?;
    report("config", judged);
    Ok(with_untried(findings))
}

/// All checks there are, those that were not reached too.
fn with_untried(mut findings: Vec<Finding>) -> Vec<Finding> {
    let all = [
        "library", "note", "name", "abi", "access", "sha256", "manifest", "schema", "config",
    ];
    for what in all {
        if !findings.iter().any(|finding| finding.what == what) {
            findings.push(Finding {
                what,
                result: Outcome::Untried,
                words: String::new(),
            });
        }
    }
    findings.sort_by_key(|finding| all.iter().position(|what| *what == finding.what));
    findings
}

fn note(words: &Words) -> String {
    let Words {
        name,
        topic,
        version,
        ..
    } = words;
    format!("{name} {version}, topic {topic}")
}

/// The section that it runs with is its own.
fn name(subject: &Subject, words: &Words) -> Result<String, String> {
    let expected = &subject.instance.plugin;
    if words.name == *expected {
        Ok(format!("[plugins.{expected}]"))
    } else {
        let name = &words.name;
        Err(format!(
            "the library is the plugin `{name}`, its section is [plugins.{expected}]"
        ))
    }
}

fn version(abi: &str) -> Result<String, String> {
    let ours = format!("{}.{}", abi::ABI_MAJOR, abi::ABI_MINOR);
    let major = abi
        .split_once('.')
        .and_then(|(major, _)| major.parse::<u16>().ok());
    if major == Some(abi::ABI_MAJOR) {
        Ok(format!("{abi}, this agent speaks {ours}"))
    } else {
        Err(format!(
            "built for ABI {abi}, this agent speaks {ours}; rebuild it with a matching barograph-sdk or header"
        ))
    }
}

fn access(permissions: &Permissions) -> Result<String, String> {
    match &permissions.verdict {
        Verdict::Good => Ok("owner and mode are good".to_owned()),
        Verdict::Doubtful(why) => Ok(format!("a warning, refused with strict = true: {why}")),
        Verdict::Refused(why) => Err(why.clone()),
    }
}

/// The manifest says the same as the note.
fn agrees(manifest: &Value, words: &Words) -> Result<String, String> {
    if !manifest.is_object() {
        return Err("is no JSON object".to_owned());
    }
    let expected = [
        ("name", &words.name),
        ("topic", &words.topic),
        ("version", &words.version),
    ];
    for (key, expected) in expected {
        if manifest[key] != **expected {
            let found = &manifest[key];
            return Err(format!("its {key} is {found}, the note has \"{expected}\""));
        }
    }
    let needs = manifest["needs"].as_array().map_or(&[][..], Vec::as_slice);
    let needs: Vec<&str> = needs.iter().filter_map(Value::as_str).collect();
    Ok(if needs.is_empty() {
        "agrees with the note".to_owned()
    } else {
        format!("agrees with the note; needs {}", needs.join(", "))
    })
}

/// The schema as the host reads it, with what an author should know of it: what it does not judge, and whether a typo
/// would pass.
fn schema(schema: &Value) -> Result<String, String> {
    let schema = Schema::read(schema).map_err(|flaws| flaws.join("; "))?;
    let wrong: Vec<String> = schema.wrong_defaults().collect();
    if !wrong.is_empty() {
        return Err(wrong.join("; "));
    }
    let keys: Vec<&str> = schema.keys().collect();
    let mut words = match (keys.as_slice(), schema.is_open()) {
        ([], false) => "there are no keys".to_owned(),
        ([], true) => "it names no keys, and allows any".to_owned(),
        (keys, false) => format!("keys {}", keys.join(", ")),
        (keys, true) => format!("keys {}, and any other", keys.join(", ")),
    };
    let unjudged: Vec<String> = schema.unjudged().map(|word| format!("`{word}`")).collect();
    if !unjudged.is_empty() {
        words += "; not judged: ";
        words += &unjudged.join(", ");
    }
    Ok(words)
}

async fn configuration(subject: &Subject, settings: Settings) -> Result<String, String> {
    let shown = settings.config.to_string();
    let wrong = check_plugin(&subject.instance, settings, &subject.source).await;
    if wrong.is_empty() {
        return Ok(shown);
    }
    let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    Err(wrong.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Words {
        Words {
            name: "queue".to_owned(),
            topic: "jobs".to_owned(),
            version: "0.1.0".to_owned(),
            abi: "1.0".to_owned(),
            file_bytes: 1,
        }
    }

    #[test]
    fn a_manifest_agrees_with_its_note_or_not() {
        let good = json!({"name": "queue", "topic": "jobs", "version": "0.1.0", "needs": ["a"]});
        assert_eq!(
            agrees(&good, &words()).unwrap(),
            "agrees with the note; needs a"
        );
        for (key, value) in [
            ("name", json!("other")),
            ("topic", json!(1)),
            ("version", json!(null)),
        ] {
            let mut wrong = good.clone();
            wrong[key] = value;
            let why = agrees(&wrong, &words()).unwrap_err();
            assert!(why.contains(&format!("its {key} is")), "{why}");
        }
        assert!(agrees(&json!([]), &words()).is_err());
    }

    #[test]
    fn a_schema_is_good_or_named_by_its_flaws() {
        for (value, expected) in [
            (
                json!({"type": "object", "additionalProperties": false}),
                Ok("there are no keys"),
            ),
            (
                json!({"type": "object"}),
                Ok("it names no keys, and allows any"),
            ),
            (
                json!({"properties": {"a": {}, "b": true}, "additionalProperties": false}),
                Ok("keys a, b"),
            ),
            (
                json!({"properties": {"a": {"pattern": "^x"}}, "propertys": {}}),
                Ok("keys a, and any other; not judged: `pattern`, `propertys`"),
            ),
            (json!(null), Err("no JSON Schema")),
            (json!({"type": "string"}), Err("\"string\"")),
            (json!({"properties": 1}), Err("`properties` has to be")),
            (
                json!({"properties": {"a": 1}}),
                Err("/properties/a: is no schema"),
            ),
            (
                json!({"properties": {"a": {"type": "string", "default": 1}}}),
                Err("/properties/a: its `default` is not allowed: expected a string"),
            ),
        ] {
            match (schema(&value), expected) {
                (Ok(words), Ok(expected)) => assert_eq!(words, expected),
                (Err(why), Err(expected)) => assert!(why.contains(expected), "{value}: {why}"),
                (found, _) => panic!("{value}: {found:?}"),
            }
        }
    }

    #[test]
    fn abi_versions_are_compared_by_their_major() {
        for (abi, good) in [
            ("1.0", true),
            ("1.9", true),
            ("2.0", false),
            ("x", false),
            ("", false),
        ] {
            assert_eq!(version(abi).is_ok(), good, "{abi}");
        }
    }

    #[test]
    fn what_was_not_reached_is_told() {
        let first = Finding {
            what: "abi",
            result: Outcome::Failed,
            words: "x".to_owned(),
        };
        let all = with_untried(vec![first]);
        assert_eq!(all.len(), 9);
        assert_eq!((all[3].what, all[3].result), ("abi", Outcome::Failed));
        assert_eq!(all[8].result, Outcome::Untried);
    }
}
