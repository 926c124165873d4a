//! The JSON Schema of a plugin's configuration: read once from its manifest, then asked about each configuration.
//!
//! It is draft 2020-12, of which those keywords are judged that say what may stand in a section of `config.toml`:
//! types, values, ranges, lengths, tables, arrays, combinations, and references within the schema. Whatever else
//! stands there ([`Schema::unjudged`]) makes an answer unsure and never a refusal, so that nothing is refused that the
//! standard allows. `reading` turns the JSON into rules and finds what is wrong with the schema itself, `keywords` are
//! those there are, `judging` applies the rules, `fault` has the words. Work and depth are bounded, whatever the plugin
//! has written. Pure.

mod fault;
mod judging;
mod keywords;
mod reading;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Number, Value};

pub use fault::Fault;
use judging::{Judging, Verdict};
use reading::Reading;

/// Flaws of a schema that are named.
const FLAWS_MAX: usize = 20;

/// A schema that was found good.
#[derive(Debug)]
pub struct Schema {
    /// The first is that of the whole configuration.
    nodes: Vec<Vec<Rule>>,
    unjudged: BTreeSet<String>,
    presets: Vec<Preset>,
}

/// Number of a schema within the whole.
type Id = usize;

/// What one keyword, or a few that belong together, ask for.
#[derive(Debug)]
enum Rule {
    /// Nothing is good enough: the schema `false`.
    Never,
    /// A keyword that is not judged.
    Unjudged,
    Type(Types),
    Values(Vec<Value>),
    /// The one value of `const`, which mostly tells the forms of something apart.
    Tag(Value),
    Range(Range),
    /// Characters of a text.
    Length(Extent),
    Keys(Keys),
    Items(Items),
    /// `$ref` too, which asks for one.
    All(Vec<Id>),
    Any(Vec<Id>),
    One(Vec<Id>),
    Not(Id),
}

/// Values of the seven types, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Types(u8);

/// Bounds of a number; each with whether the bound itself is good.
#[derive(Debug)]
struct Range {
    least: Option<(Number, bool)>,
    most: Option<(Number, bool)>,
}

/// How many there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    least: u64,
    most: u64,
}

#[derive(Debug)]
struct Keys {
    known: BTreeMap<String, Id>,
    /// Of all other keys; none where they may be anything.
    others: Option<Others>,
    required: Vec<String>,
    count: Extent,
}

#[derive(Clone, Copy, Debug)]
enum Others {
    Refused,
    Each(Id),
}

#[derive(Debug)]
struct Items {
    first: Vec<Id>,
    /// Of those after the first.
    others: Option<Id>,
    count: Extent,
    are_unique: bool,
}

/// The default that a schema gives for its value.
#[derive(Debug)]
struct Preset {
    place: String,
    id: Id,
    value: Value,
}

impl Schema {
    /// Reads the schema of a configuration, or says what is wrong with it: one text a flaw, at most 20.
    pub fn read(schema: &Value) -> Result<Self, Vec<String>> {
        Reading::of(schema).finish()
    }

    /// Whether a configuration is as the schema has it; the first fault that was found, if not.
    pub fn judge(&self, config: &Value) -> Result<(), Fault> {
        self.judge_by(0, config)
    }

    fn judge_by(&self, id: Id, value: &Value) -> Result<(), Fault> {
        match Judging::by(self).judge(id, value) {
            Verdict::Bad(fault) => Err(*fault),
            Verdict::Good | Verdict::Unsure => Ok(()),
        }
    }

    /// The keys of a configuration that have a schema of their own, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let root = self.root().into_iter();
        root.flat_map(|keys| keys.known.keys().map(String::as_str))
    }

    /// Whether a key that it does not name may be anything.
    pub fn is_open(&self) -> bool {
        self.root().is_none_or(|keys| keys.others.is_none())
    }

    fn root(&self) -> Option<&Keys> {
        self.nodes[0].iter().find_map(|rule| match rule {
            Rule::Keys(keys) => Some(keys),
            _ => None,
        })
    }

    /// The keywords in it that are not judged, in order: those that this agent leaves out, and those that nobody
    /// knows.
    pub fn unjudged(&self) -> impl Iterator<Item = &str> {
        self.unjudged.iter().map(String::as_str)
    }

    /// Where a default is none that the schema allows, and why. The standard lets that pass, an operator is misled.
    pub fn wrong_defaults(&self) -> impl Iterator<Item = String> {
        self.presets.iter().filter_map(|preset| {
            let fault = self.judge_by(preset.id, &preset.value).err()?;
            let words = format!("its `default` is not allowed: {fault}");
            Some(match preset.place.as_str() {
                "" => words,
                place => format!("{place}: {words}"),
            })
        })
    }
}

impl Extent {
    const ANY: Self = Self {
        least: 0,
        most: u64::MAX,
    };

    fn holds(self, count: usize) -> bool {
        (self.least..=self.most).contains(&(count as u64))
    }
}

impl Types {
    /// In the order in which they are listed for people. A whole number is a number too.
    const ALL: [(&str, Self); 7] = [
        ("string", Self(1)),
        ("integer", Self(2)),
        ("number", Self(4 | 2)),
        ("boolean", Self(8)),
        ("array", Self(16)),
        ("object", Self(32)),
        ("null", Self(64)),
    ];
    const OBJECT: Self = Self(32);

    fn of_word(word: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|(known, _)| *known == word).map(|(_, bit)| *bit)
    }

    /// The narrowest type of a value: 1.0 is a whole number, as the standard has it.
    fn of(value: &Value) -> Self {
        match value {
            Value::String(_) => Self(1),
            Value::Number(number) if number.as_f64().is_some_and(|it| it.fract() == 0.0) => Self(2),
            Value::Number(_) => Self(4),
            Value::Bool(_) => Self(8),
            Value::Array(_) => Self(16),
            Value::Object(_) => Self::OBJECT,
            Value::Null => Self(64),
        }
    }

    const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
