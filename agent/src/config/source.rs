//! Where the configuration came from: the file, the environment laid over it, and the place of each key.
//!
//! It outlives the reading, because a plugin judges its own keys later, and its complaint has to name the
//! line as well.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::error::ConfigError;
use super::node::{Node, Origin, Value};

/// What every variable that sets a key begins with.
pub const VARIABLE_PREFIX: &str = "BAROGRAPH_";

/// A configuration file is text that people write; anything larger is something else.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The configuration as written, with the place of each key.
#[derive(Clone, Debug)]
pub struct Source {
    file: Option<PathBuf>,
    pub(super) root: Node,
}

impl Source {
    /// Reads the file and lays the variables over it.
    ///
    /// Without a `path` it is `fallback` if that is there, else nothing.
    pub(super) fn load(
        path: Option<&Path>,
        fallback: &Path,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Vec<ConfigError>> {
        let file = path.unwrap_or(fallback);
        let refuse = |message| {
            let (file, origin, key) = (Some(file.to_owned()), Origin::Root, String::new());
            vec![ConfigError {
                file,
                origin,
                key,
                message,
            }]
        };
        let mut source = match read(file).map_err(refuse)? {
            Some(text) => Self::parse(file, &text)?,
            None if path.is_none() => Self {
                file: None,
                root: Node::root(),
            },
            None => {
                let message = "there is no such file; create it or leave out --config";
                return Err(refuse(message.to_owned()));
            }
        };
        let errors = source.overlay(variables);
        if errors.is_empty() {
            Ok(source)
        } else {
            Err(errors)
        }
    }

    /// Reads a document that stands, or might stand, in `file`.
    pub(super) fn parse(file: &Path, text: &str) -> Result<Self, Vec<ConfigError>> {
        let file = Some(file.to_owned());
        match Node::parse(text) {
            Ok(root) => Ok(Self { file, root }),
            Err(errors) => Err(errors
                .into_iter()
                .map(|error| ConfigError {
                    file: file.clone(),
                    origin: Origin::Line(error.line),
                    key: String::new(),
                    message: error.message,
                })
                .collect()),
        }
    }

    /// The file that was read; `None` when there was none.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Line of a key such as `plugins.system.per_cpu`, or of the nearest section around it. `None` when it
    /// does not stand in the file.
    pub fn locate(&self, key: &str) -> Option<usize> {
        match self.origin(&steps(key)) {
            Origin::Line(line) => Some(*line),
            Origin::Variable(_) | Origin::Root => None,
        }
    }

    /// Whether exactly this key was set.
    pub fn contains(&self, key: &str) -> bool {
        steps(key)
            .iter()
            .try_fold(&self.root, |node, step| node.child(step))
            .is_some()
    }

    /// A mistake in the value of `key`, with the best known place.
    pub fn error(&self, key: &str, message: impl Into<String>) -> ConfigError {
        self.error_at(&steps(key), message.into())
    }

    pub(super) fn error_at(&self, path: &[String], message: String) -> ConfigError {
        let origin = self.origin(path).clone();
        let message = match &origin {
            Origin::Variable(name) => in_variables(name, path, message),
            Origin::Line(_) | Origin::Root => message,
        };
        ConfigError {
            file: self.file.clone(),
            origin,
            key: self.shown(path),
            message,
        }
    }

    /// Origin of the node at the path, or of the last one on the way to it.
    fn origin(&self, path: &[String]) -> &Origin {
        let mut node = &self.root;
        for step in path {
            match node.child(step) {
                Some(child) => node = child,
                None => break,
            }
        }
        &node.origin
    }

    /// The path as operators write it: `plugins.database.instances[0].url`.
    fn shown(&self, path: &[String]) -> String {
        let mut text = String::new();
        let mut node = Some(&self.root);
        for step in path {
            let is_array = node.is_some_and(|node| matches!(node.value, Value::Array(_)));
            if is_array {
                text.push('[');
                text.push_str(step);
                text.push(']');
            } else {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(step);
            }
            node = node.and_then(|node| node.child(step));
        }
        text
    }

    fn overlay(
        &mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Vec<ConfigError> {
        let mut ours: Vec<(String, OsString)> = variables
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value)))
            .filter(|(name, _)| name.starts_with(VARIABLE_PREFIX))
            .collect();
        // A fixed order, so that of two variables for the same key always the same one wins.
        ours.sort();
        let set = |(name, value): (String, OsString)| {
            self.set(&name, &value).err().map(|message| ConfigError {
                file: None,
                origin: Origin::Variable(name.as_str().into()),
                key: String::new(),
                message,
            })
        };
        ours.into_iter().filter_map(set).collect()
    }

    fn set(&mut self, name: &str, value: &OsStr) -> Result<(), String> {
        let value = value.to_str().ok_or("the value is not UTF-8 text")?;
        let path = name[VARIABLE_PREFIX.len()..].to_ascii_lowercase();
        let path: Vec<&str> = path.split("__").collect();
        if path.iter().any(|step| step.is_empty()) {
            return Err("this names no key; write BAROGRAPH_SECTION__KEY".to_owned());
        }
        let (last, sections) = path.split_last().expect("a split gives one part at least");
        let origin = Origin::Variable(name.into());
        let mut node = &mut self.root;
        for section in sections {
            node = enter(node, section, &origin)?;
        }
        let new = Node::of_variable(name, value);
        match &mut node.value {
            Value::Table(keys) => {
                let key = written(keys, last);
                keys.insert(key, new);
            }
            Value::Array(_) => {
                *node
                    .child_mut(last)
                    .ok_or_else(|| format!("there is no item {last}"))? = new;
            }
            _ => {
                return Err(format!(
                    "`{last}` would stand in a value that is not a table"
                ));
            }
        }
        Ok(())
    }
}

/// The table or array below `node`; made when it is not there.
fn enter<'a>(node: &'a mut Node, section: &str, origin: &Origin) -> Result<&'a mut Node, String> {
    match &mut node.value {
        Value::Table(keys) => Ok(keys.entry(written(keys, section)).or_insert_with(|| Node {
            origin: origin.clone(),
            ..Node::root()
        })),
        Value::Array(items) => section
            .parse::<usize>()
            .ok()
            .and_then(|at| items.get_mut(at))
            .ok_or_else(|| format!("there is no item {section}")),
        _ => Err(format!(
            "`{section}` would stand in a value that is not a table"
        )),
    }
}

/// The key as the file has it: a plugin's own key may have capitals, a variable's name has no case.
fn written(keys: &IndexMap<String, Node>, name: &str) -> String {
    let known = keys.keys().find(|key| key.eq_ignore_ascii_case(name));
    known.cloned().unwrap_or_else(|| name.to_owned())
}

/// A hint inside of a message, in the way in which a variable would have to be written.
fn in_variables(name: &str, path: &[String], message: String) -> String {
    let Some((before, hint)) = message.split_once("did you mean `") else {
        return message;
    };
    let (Some((near, after)), true) = (hint.split_once('`'), message.starts_with("unknown key"))
    else {
        return message;
    };
    let sections = path.len().saturating_sub(1);
    let mut whole: Vec<String> = path[..sections]
        .iter()
        .map(|step| step.to_uppercase())
        .collect();
    whole.push(near.to_uppercase());
    let whole = format!("{VARIABLE_PREFIX}{}", whole.join("__"));
    // A variable that holds a whole table is right by name; its content is not.
    let named = name.matches("__").count() == sections;
    if named {
        format!("{before}did you mean `{whole}`{after}")
    } else {
        message
    }
}

/// `a.b[0].c` as steps.
pub(super) fn steps(key: &str) -> Vec<String> {
    key.split(['.', '[', ']'])
        .filter(|step| !step.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The file's text; `None` when there is no such file.
fn read(file: &Path) -> Result<Option<String>, String> {
    let metadata = match fs::metadata(file) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot be read: {error}")),
    };
    if !metadata.is_file() {
        return Err("is not a file; give the path of a configuration file".to_owned());
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err("is larger than 1 MiB; give the path of a configuration file".to_owned());
    }
    let bytes = fs::read(file).map_err(|error| format!("cannot be read: {error}"))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..at].split(|byte| *byte == b'\n').count();
            Err(format!(
                "line {line} is not UTF-8 text; save the file as UTF-8"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str, variables: &[(&str, &str)]) -> Result<Source, Vec<ConfigError>> {
        let mut source = Source::parse(Path::new("config.toml"), text)?;
        let variables = variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        let errors = source.overlay(variables);
        if errors.is_empty() {
            Ok(source)
        } else {
            Err(errors)
        }
    }

    #[test]
    fn a_key_is_located_or_its_section_is() {
        let source = source("[a]\nb = 1\n[[c.d]]\ne = 1\n", &[]).unwrap();
        for (key, line) in [
            ("a.b", Some(2)),
            ("a.other", Some(1)),
            ("c.d[0].e", Some(4)),
            ("c.d.0.e", Some(4)),
            ("c.d[0].f", Some(3)),
            ("c.d[5]", Some(3)),
            ("x.y", None),
            ("", None),
        ] {
            assert_eq!(source.locate(key), line, "{key}");
        }
        assert!(source.contains("c.d[0].e") && !source.contains("c.d[0].f"));
    }

    #[test]
    fn variables_lie_over_the_file() {
        let text = "[a]\nb = 1\nCamelCase = 1\nlist = [{x = 1}]\n";
        let variables = [
            ("BAROGRAPH_A__B", "2"),
            ("BAROGRAPH_A__CAMELCASE", "2"),
            ("BAROGRAPH_A__LIST__0__X", "2"),
            ("BAROGRAPH_NEW__SECTION__KEY", "2"),
            ("HOME", "/root"),
        ];
        let source = source(text, &variables).unwrap();
        for key in ["a.b", "a.CamelCase", "a.list[0].x", "new.section.key"] {
            let node = steps(key)
                .iter()
                .try_fold(&source.root, |node, step| node.child(step));
            assert_eq!(node.expect(key).value, Value::Integer(2), "{key}");
            assert_eq!(source.locate(key), None, "{key}");
        }
    }

    #[test]
    fn a_variable_that_fits_nowhere_is_an_error() {
        for (name, message) in [
            ("BAROGRAPH_", "names no key"),
            ("BAROGRAPH_A__", "names no key"),
            ("BAROGRAPH_A____B", "names no key"),
            ("BAROGRAPH_A__B__C", "not a table"),
            ("BAROGRAPH_A__LIST__7__X", "no item 7"),
            ("BAROGRAPH_A__LIST__X", "no item x"),
        ] {
            let errors = source("[a]\nb = 1\nlist = [{}]\n", &[(name, "1")]).unwrap_err();
            let text = errors[0].to_string();
            assert!(
                text.starts_with(&format!("{name}: ")) && text.contains(message),
                "{text}"
            );
        }
    }

    #[test]
    fn an_error_names_its_place() {
        let source = source("[a]\nb = [1]\n", &[("BAROGRAPH_A__CC", "1")]).unwrap();
        assert_eq!(
            source.error("a.b[0]", "wrong").to_string(),
            "config.toml:2: a.b[0]: wrong"
        );
        assert_eq!(
            source.error("x", "wrong").to_string(),
            "config.toml: x: wrong"
        );
        let hint = "unknown key; did you mean `c`?";
        let expected = "BAROGRAPH_A__CC: a.cc: unknown key; did you mean `BAROGRAPH_A__C`?";
        assert_eq!(source.error("a.cc", hint).to_string(), expected);
    }

    #[test]
    fn only_the_unnamed_file_may_be_absent() {
        let absent = Path::new("/nonexistent/config.toml");
        assert_eq!(Source::load(None, absent, []).unwrap().file(), None);
        let errors = Source::load(Some(absent), absent, []).unwrap_err();
        assert!(
            errors[0]
                .to_string()
                .starts_with("/nonexistent/config.toml: there is no such file")
        );
        let errors = Source::load(Some(Path::new("/")), absent, []).unwrap_err();
        assert!(errors[0].to_string().starts_with("/: is not a file"));
    }
}
