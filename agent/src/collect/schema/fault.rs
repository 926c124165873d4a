//! What is wrong with a configuration: the key, and words for it that an operator understands.
//!
//! They are like those for the agent's own keys. That a key is unknown is said as serde says it, because whoever
//! shows it counts the agent's own keys among the known ones.

use std::fmt;

use serde_json::{Number, Value};

use super::{Extent, Range, Types};

/// Values that are listed.
const VALUES_MAX: usize = 12;
/// Known keys that are listed.
const KEYS_MAX: usize = 60;
/// Characters of a value that are shown.
const SHOWN_MAX: usize = 40;
/// Bytes of a whole text.
const TEXT_BYTES_MAX: usize = 4 << 10;

/// A null, in words.
const NOTHING: &str = "nothing";

/// The first fault of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The way to the key, the innermost step first.
    way: Vec<Step>,
    complaint: Complaint,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Item(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Complaint {
    /// Another value, or one of another type.
    Expected {
        wanted: Vec<String>,
        found: String,
        /// Whether it is the word by which the forms of something are told apart.
        is_tag: bool,
    },
    UnknownKey {
        name: String,
        known: Vec<String>,
    },
    Other(String),
}

impl Fault {
    pub(super) fn of_type(wanted: Types, found: &Value) -> Self {
        let mut words: Vec<String> = Vec::new();
        let mut said = Types::default();
        let names = [
            ("number", "a number"),
            ("string", "a string"),
            ("integer", "a whole number"),
            ("boolean", "true or false"),
            ("array", "an array"),
            ("object", "a table"),
            ("null", NOTHING),
        ];
        for (word, name) in names {
            let kind = Types::of_word(word).unwrap_or_default();
            if wanted.has(kind) && !said.has(kind) {
                words.push(name.to_owned());
                said = said.with(kind);
            }
        }
        Self::expected(words, found, false)
    }

    pub(super) fn of_values(wanted: &[Value], found: &Value) -> Self {
        Self::expected(wanted.iter().map(value_wanted).collect(), found, false)
    }

    pub(super) fn of_tag(wanted: &Value, found: &Value) -> Self {
        Self::expected(vec![value_wanted(wanted)], found, true)
    }

    fn expected(wanted: Vec<String>, found: &Value, is_tag: bool) -> Self {
        Self::here(Complaint::Expected {
            wanted,
            found: value_found(found),
            is_tag,
        })
    }

    pub(super) fn of_range(range: &Range, found: &Number) -> Self {
        let bounds = match (&range.least, &range.most) {
            (Some((least, true)), Some((most, true))) => format!("from {least} to {most}"),
            (least, most) => {
                let least = least.as_ref().map(|(bound, is_good)| {
                    let word = if *is_good { "at least" } else { "above" };
                    format!("{word} {bound}")
                });
                let most = most.as_ref().map(|(bound, is_good)| {
                    let word = if *is_good { "at most" } else { "below" };
                    format!("{word} {bound}")
                });
                let both: Vec<String> = least.into_iter().chain(most).collect();
                both.join(" and ")
            }
        };
        Self::other(format!("{found} is out of range; it has to be {bounds}"))
    }

    /// Too many or too few of `what`, in the plural.
    pub(super) fn of_count(allowed: Extent, found: usize, what: &str) -> Self {
        let Extent { least, most } = allowed;
        let bounds = match (least, most) {
            (least, most) if least == most => format!("{least}"),
            (0, most) => format!("at most {most}"),
            (least, u64::MAX) => format!("at least {least}"),
            (least, most) => format!("{least} to {most}"),
        };
        Self::other(format!("has {found} {what}; it has to have {bounds}"))
    }

    pub(super) fn of_unknown_key<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Self {
        let fault = Self::here(Complaint::UnknownKey {
            name: name.to_owned(),
            known: known.cloned().collect(),
        });
        fault.below_key(name)
    }

    pub(super) fn of_missing_key(name: &str) -> Self {
        Self::other("is missing").below_key(name)
    }

    pub(super) fn other(words: impl Into<String>) -> Self {
        Self::here(Complaint::Other(words.into()))
    }

    fn here(complaint: Complaint) -> Self {
        Self {
            way: Vec::new(),
            complaint,
        }
    }

    pub(super) fn below_key(mut self, key: &str) -> Self {
        self.way.push(Step::Key(key.to_owned()));
        self
    }

    pub(super) fn below_item(mut self, position: usize) -> Self {
        self.way.push(Step::Item(position));
        self
    }

    /// The fault of something that has none of its forms: that of the form which it was meant to have, as far as
    /// can be told. Where that is several, what they want is told together.
    pub(super) fn of_none(faults: Vec<Self>) -> Self {
        let forms = faults.len();
        let nearest = faults.iter().map(Self::nearness).max();
        let nearest = faults
            .into_iter()
            .filter(|fault| Some(fault.nearness()) == nearest);
        let merged = nearest.map(Some).reduce(|one, other| one?.and(other?));
        let of_forms = || Self::other(format!("has none of the {forms} forms that it may have"));
        merged.flatten().unwrap_or_else(of_forms)
    }

    /// How far something came in being judged by one of its forms: not even the type was right, another form was
    /// named, another form has that key, or something in it is wrong; and how deep within.
    fn nearness(&self) -> (u8, usize) {
        let rank = match &self.complaint {
            Complaint::Expected { .. } if self.way.is_empty() => 0,
            Complaint::Expected { is_tag: true, .. } => 1,
            Complaint::UnknownKey { .. } => 2,
            Complaint::Expected { .. } | Complaint::Other(_) => 3,
        };
        (rank, self.way.len())
    }

    /// Both in one, if they are about the same key.
    fn and(self, other: Self) -> Option<Self> {
        if self == other {
            return Some(self);
        }
        if self.way != other.way {
            return None;
        }
        let more = |mut words: Vec<String>, more: Vec<String>| {
            for word in more {
                if !words.contains(&word) {
                    words.push(word);
                }
            }
            words
        };
        let complaint = match (self.complaint, other.complaint) {
            (
                Complaint::Expected { wanted, found, .. },
                Complaint::Expected { wanted: others, .. },
            ) => Complaint::Expected {
                wanted: more(wanted, others),
                found,
                is_tag: false,
            },
            (
                Complaint::UnknownKey { name, known },
                Complaint::UnknownKey { known: others, .. },
            ) => Complaint::UnknownKey {
                name,
                known: more(known, others),
            },
            _ => return None,
        };
        let way = self.way;
        Some(Self { way, complaint })
    }

    /// Dotted path of the key; empty where it is the whole.
    pub fn field(&self) -> String {
        let mut path = String::new();
        for step in self.way.iter().rev() {
            match step {
                Step::Key(key) if path.is_empty() => path.push_str(key),
                Step::Key(key) => {
                    path.push('.');
                    path.push_str(key);
                }
                Step::Item(position) => {
                    path.push('[');
                    path.push_str(&position.to_string());
                    path.push(']');
                }
            }
        }
        cut(path)
    }

    /// What is wrong with it.
    pub fn message(&self) -> String {
        cut(match &self.complaint {
            Complaint::Expected { wanted, found, .. } => {
                // TOML has no null: it is what is meant where a key is left out.
                let words = wanted
                    .iter()
                    .filter(|word| *word != NOTHING || wanted.len() == 1);
                let words: Vec<String> = words.cloned().collect();
                format!("expected {}, found {found}", list(&words, VALUES_MAX))
            }
            Complaint::UnknownKey { name, known } => {
                let known: Vec<String> = known.iter().map(|key| format!("`{key}`")).collect();
                if known.is_empty() {
                    format!("unknown field `{name}`, there are no fields")
                } else {
                    format!(
                        "unknown field `{name}`, expected {}",
                        list(&known, KEYS_MAX)
                    )
                }
            }
            Complaint::Other(words) => words.clone(),
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self.field();
        if !field.is_empty() {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.message())
    }
}

/// Words as a list for people; of very many the first ones.
fn list(words: &[String], max: usize) -> String {
    let left = words.len().saturating_sub(max);
    match words {
        [] => NOTHING.to_owned(),
        [one] => one.clone(),
        words if left > 0 => format!("{} or one of {left} more", words[..max].join(", ")),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

fn value_wanted(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{}`", shown(text)),
        Value::Null => NOTHING.to_owned(),
        other => shown(&other.to_string()),
    }
}

fn value_found(value: &Value) -> String {
    match value {
        Value::Null => NOTHING.to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => format!("the number {value}"),
        Value::String(text) => format!("{:?}", shown(text)),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "a table".to_owned(),
    }
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A text that fits into a message of the link, whatever was configured.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    text
}
