//! From the tree of values to typed configuration, with every mistake on the way.
//!
//! serde stops at the first mistake. So that an operator sees all of them at once, the key at fault is
//! taken out of a copy of the tree, its default stands in, and reading begins again.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{self, DeserializeOwned, Expected, IntoDeserializer, Unexpected, Visitor};
use serde_path_to_error::Segment;

use super::error::{list, nearest, unknown_key};
use super::node::{Node, Value};

/// More mistakes than anybody reads in one go; the rest shows after these are mended.
const MISTAKES_MAX: usize = 100;

/// A mistake at a path of keys and positions.
#[derive(Debug)]
pub(super) struct Mistake {
    pub(super) path: Vec<String>,
    pub(super) message: String,
}

/// Reads the tree. What is wrong in it is as if it were absent.
pub(super) fn read<T: DeserializeOwned + Default>(mut tree: Node) -> (T, Vec<Mistake>) {
    let mut mistakes = Vec::new();
    while mistakes.len() < MISTAKES_MAX {
        let error = match serde_path_to_error::deserialize(&tree) {
            Ok(value) => return (value, mistakes),
            Err(error) => error,
        };
        let mut path: Vec<String> = error
            .path()
            .iter()
            .filter_map(|segment| match segment {
                Segment::Seq { index } => Some(index.to_string()),
                Segment::Map { key } => Some(key.clone()),
                Segment::Enum { .. } | Segment::Unknown => None,
            })
            .collect();
        let fault = error.into_inner();
        if let Fault::UnknownKey { name, .. } = &fault
            && path.last() != Some(name)
        {
            path.push(name.clone());
        }
        let removed = tree.remove(&path);
        mistakes.push(Mistake {
            path,
            message: fault.to_string(),
        });
        if !removed {
            break;
        }
    }
    (T::default(), mistakes)
}

/// serde's error, kept in parts until it is known where it happened.
#[derive(Debug)]
pub(super) enum Fault {
    UnknownKey {
        name: String,
        known: &'static [&'static str],
    },
    Mismatch {
        expected: String,
        found: String,
    },
    Other(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey { name, known } => {
                f.write_str(&unknown_key(name, known.iter().copied()))
            }
            Self::Mismatch { expected, found } => write!(f, "expected {expected}, found {found}"),
            Self::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Other(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Mismatch {
            expected: plain(&expected.to_string()),
            found: shown(&found),
        }
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        let hint = nearest(found, known).map(|near| format!("; did you mean `{near}`?"));
        let found = format!("{found:?}{}", hint.unwrap_or_default());
        Self::Mismatch {
            expected: format!("one of {}", list(known, "or")),
            found,
        }
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Self::UnknownKey {
            name: name.to_owned(),
            known,
        }
    }
}

/// serde's words for what it wanted, in the operator's.
fn plain(expected: &str) -> String {
    match expected {
        "usize" | "u8" | "u16" | "u32" | "u64" => "a whole number from 0 up".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "path string" => "a path".to_owned(),
        "a sequence" => "an array".to_owned(),
        "a map" => "a table".to_owned(),
        other if other.starts_with("struct ") => "a table".to_owned(),
        other => other.to_owned(),
    }
}

fn shown(found: &Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Signed(value) => format!("the number {value}"),
        Unexpected::Unsigned(value) => format!("the number {value}"),
        Unexpected::Float(value) => format!("the number {value}"),
        Unexpected::Str(text) => format!("{text:?}"),
        Unexpected::Map | Unexpected::StructVariant => "a table".to_owned(),
        Unexpected::Seq => "an array".to_owned(),
        other => other.to_string(),
    }
}

impl Node {
    fn mismatch<'de, V: Visitor<'de>>(&self, visitor: &V) -> Fault {
        let expected: &dyn Expected = visitor;
        Fault::Mismatch {
            expected: plain(&expected.to_string()),
            found: self.value.to_string(),
        }
    }
}

impl<'de> IntoDeserializer<'de, Fault> for &'de Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> de::Deserializer<'de> for &'de Node {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.value {
            Value::Boolean(value) => visitor.visit_bool(*value),
            Value::Integer(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.iter())),
            Value::Table(keys) => {
                let keys = keys.iter().map(|(key, node)| (key.as_str(), node));
                visitor.visit_map(MapDeserializer::new(keys))
            }
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.text {
            Some(text) if !matches!(self.value, Value::Text(_)) => visitor.visit_borrowed_str(text),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    /// A derived struct would also take an array of its fields, which no operator means.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.value {
            Value::Table(_) => self.deserialize_any(visitor),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let Value::Text(word) = &self.value else {
            let (expected, found) = (
                format!("one of {}", list(variants, "or")),
                self.value.to_string(),
            );
            return Err(Fault::Mismatch { expected, found });
        };
        visitor.visit_enum(StrDeserializer::<Fault>::new(word))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        seq tuple tuple_struct map identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Sample {
        count: u16,
        flag: bool,
        name: String,
        word: Option<Word>,
        inner: Inner,
        list: Vec<Inner>,
        free: BTreeMap<String, Free>,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Inner {
        depth: u8,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Free {
        depth: u8,
        #[serde(flatten)]
        rest: serde_json::Map<String, serde_json::Value>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        Human,
        Json,
    }

    fn mistakes(text: &str) -> Vec<String> {
        let (_, mistakes) = read::<Sample>(Node::parse(text).unwrap());
        mistakes
            .iter()
            .map(|mistake| format!("{}: {}", mistake.path.join("."), mistake.message))
            .collect()
    }

    #[test]
    fn what_is_right_is_read() {
        let text = "count = 7\nflag = true\nword = 'json'\nlist = [{depth = 1}]\n[free.x]\ndepth = 2\nown = [1.5]\n";
        let (sample, mistakes) = read::<Sample>(Node::parse(text).unwrap());
        assert!(mistakes.is_empty(), "{mistakes:?}");
        assert_eq!(
            (sample.count, sample.flag, sample.word),
            (7, true, Some(Word::Json))
        );
        assert_eq!(sample.list, [Inner { depth: 1 }]);
        assert_eq!(sample.free["x"].rest["own"], serde_json::json!([1.5]));
    }

    #[test]
    fn every_mistake_is_found_and_the_rest_is_read() {
        let text = "cuont = 1\ncount = 'x'\nname = 'kept'\nextra = 1\n[inner]\ndepht = 2\n";
        let (sample, mistakes) = read::<Sample>(Node::parse(text).unwrap());
        assert_eq!(mistakes.len(), 4, "{mistakes:?}");
        assert_eq!(sample.name, "kept");
    }

    #[test]
    fn a_mistake_has_its_path_and_says_what_was_expected() {
        for (text, expected) in [
            ("cuont = 1", "cuont: unknown key; did you mean `count`?"),
            (
                "inner = {depht = 1}",
                "inner.depht: unknown key; did you mean `depth`?",
            ),
            (
                "count = 'x'",
                "count: expected a whole number from 0 up, found \"x\"",
            ),
            (
                "count = -1",
                "count: expected a whole number from 0 up, found the number -1",
            ),
            (
                "count = 99999",
                "count: expected a whole number from 0 up, found the number 99999",
            ),
            (
                "flag = 1",
                "flag: expected true or false, found the number 1",
            ),
            ("name = 1", "name: expected a string, found the number 1"),
            ("inner = [1]", "inner: expected a table, found an array"),
            ("list = 'x'", "list: expected an array, found \"x\""),
            (
                "list = [{depth = 1}, {depth = 'x'}]",
                "list.1.depth: expected a whole number from 0 up, found \"x\"",
            ),
            (
                "free = {a = {depth = []}}",
                "free.a.depth: expected a whole number from 0 up, found an array",
            ),
            (
                "word = 'jsn'",
                "word: expected one of `human` or `json`, found \"jsn\"; did you mean `json`?",
            ),
            (
                "word = 1",
                "word: expected one of `human` or `json`, found the number 1",
            ),
        ] {
            assert_eq!(mistakes(text), [expected]);
        }
    }

    #[test]
    fn a_variable_that_looks_like_a_number_may_be_text() {
        let mut tree = Node::root();
        if let Value::Table(keys) = &mut tree.value {
            keys.insert(
                "name".to_owned(),
                Node::of_variable("BAROGRAPH_NAME", "007"),
            );
        }
        let (sample, mistakes) = read::<Sample>(tree);
        assert!(mistakes.is_empty(), "{mistakes:?}");
        assert_eq!(sample.name, "007");
    }
}
