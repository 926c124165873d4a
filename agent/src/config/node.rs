//! The configuration as written: a tree of values, each with the place that it came from.
//!
//! `source.rs` fills it from the file and the environment, `reader.rs` turns it into types. It knows
//! TOML's syntax but none of the keys.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use indexmap::IndexMap;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// Where a key was set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Line of the configuration file, from 1.
    Line(usize),
    /// Name of an environment variable.
    Variable(Arc<str>),
    /// Nowhere: the root.
    Root,
}

/// A value, where its key stands, and the text it was given as, if that was a variable's.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) origin: Origin,
    pub(super) value: Value,
    /// A variable that looks like a number or a boolean may be meant as text.
    pub(super) text: Option<String>,
}

/// TOML's values; a date is kept as its text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    Array(Vec<Node>),
    Table(IndexMap<String, Node>),
}

/// A mistake in the syntax.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) line: usize,
    pub(super) message: String,
}

impl Node {
    /// A table without keys.
    pub(super) fn root() -> Self {
        Self {
            origin: Origin::Root,
            value: Value::Table(IndexMap::new()),
            text: None,
        }
    }

    /// Reads a whole document. All mistakes in its syntax are reported.
    pub(super) fn parse(document: &str) -> Result<Self, Vec<SyntaxError>> {
        let lines = Lines::new(document);
        let (table, errors) = DeTable::parse_recoverable(document);
        let mut errors: Vec<SyntaxError> = errors
            .iter()
            .map(|error| SyntaxError {
                line: lines.number(&error.span().unwrap_or(0..0)),
                message: error.message().to_owned(),
            })
            .collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        let value = lines.table(table.into_inner(), &mut errors);
        if errors.is_empty() {
            return Ok(Self {
                origin: Origin::Root,
                value,
                text: None,
            });
        }
        Err(errors)
    }

    /// Reads the text of an environment variable: a TOML value where it is one, else a string.
    pub(super) fn of_variable(name: &str, text: &str) -> Self {
        let origin = Origin::Variable(name.into());
        let document = format!("value = {text}");
        let literal = Self::parse(&document)
            .ok()
            .and_then(|parsed| match parsed.value {
                Value::Table(mut keys) if keys.len() == 1 => keys.swap_remove("value"),
                _ => None,
            });
        let value = literal.map_or_else(|| Value::Text(text.to_owned()), |node| node.value);
        let mut node = Self {
            origin,
            value,
            text: None,
        };
        node.stamp();
        node.text = Some(text.to_owned());
        node
    }

    /// Gives everything below the node its own origin.
    fn stamp(&mut self) {
        let origin = &self.origin;
        let mut stamp = |node: &mut Self| {
            node.origin = origin.clone();
            node.stamp();
        };
        match &mut self.value {
            Value::Array(items) => items.iter_mut().for_each(&mut stamp),
            Value::Table(keys) => keys.values_mut().for_each(&mut stamp),
            _ => {}
        }
    }

    /// The node at one step below; arrays are stepped into by position.
    pub(super) fn child(&self, step: &str) -> Option<&Self> {
        match &self.value {
            Value::Array(items) => items.get(step.parse::<usize>().ok()?),
            Value::Table(keys) => keys.get(step),
            _ => None,
        }
    }

    pub(super) fn child_mut(&mut self, step: &str) -> Option<&mut Self> {
        match &mut self.value {
            Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?),
            Value::Table(keys) => keys.get_mut(step),
            _ => None,
        }
    }

    /// Takes out the key at the end of `path`; whether there was one.
    pub(super) fn remove(&mut self, path: &[String]) -> bool {
        let Some((last, parents)) = path.split_last() else {
            return false;
        };
        let parent = parents
            .iter()
            .try_fold(self, |node, step| node.child_mut(step));
        match parent.map(|node| &mut node.value) {
            Some(Value::Table(keys)) => keys.shift_remove(last).is_some(),
            Some(Value::Array(items)) => match last.parse::<usize>() {
                Ok(at) if at < items.len() => {
                    items.remove(at);
                    true
                }
                _ => false,
            },
            _ => false,
        }
    }
}

impl fmt::Display for Value {
    /// What the value is, for the end of "expected …, found …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "the number {value}"),
            Self::Float(value) => write!(f, "the number {value}"),
            Self::Text(value) => write!(f, "{value:?}"),
            Self::Array(_) => f.write_str("an array"),
            Self::Table(_) => f.write_str("a table"),
        }
    }
}

/// Where each line of a document begins.
struct Lines(Vec<usize>);

impl Lines {
    fn new(document: &str) -> Self {
        let breaks = document
            .bytes()
            .enumerate()
            .filter(|(_, byte)| *byte == b'\n');
        Self(
            std::iter::once(0)
                .chain(breaks.map(|(at, _)| at + 1))
                .collect(),
        )
    }

    fn number(&self, span: &Range<usize>) -> usize {
        self.0.partition_point(|start| *start <= span.start)
    }

    fn table(&self, table: DeTable<'_>, errors: &mut Vec<SyntaxError>) -> Value {
        let mut entries: Vec<(Spanned<DeString<'_>>, Spanned<DeValue<'_>>)> =
            table.into_iter().collect();
        // The parser sorts by key; operators expect the order in which they wrote.
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut keys = IndexMap::with_capacity(entries.len());
        for (key, value) in entries {
            let line = self.number(&key.span());
            let node = self.node(value, line, errors);
            keys.insert(key.into_inner().into_owned(), node);
        }
        Value::Table(keys)
    }

    fn node(
        &self,
        value: Spanned<DeValue<'_>>,
        line: usize,
        errors: &mut Vec<SyntaxError>,
    ) -> Node {
        let value = match value.into_inner() {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Boolean(value) => Value::Boolean(value),
            DeValue::Datetime(date) => Value::Text(date.to_string()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(
                    |_| {
                        let message = format!("the number {number} does not fit into 64 bits");
                        errors.push(SyntaxError { line, message });
                        Value::Integer(0)
                    },
                    Value::Integer,
                ),
            DeValue::Float(number) => number.as_str().parse().map_or_else(
                |_| {
                    let message = format!("{number} is not a number");
                    errors.push(SyntaxError { line, message });
                    Value::Float(0.0)
                },
                Value::Float,
            ),
            DeValue::Array(items) => Value::Array(
                items
                    .into_iter()
                    .map(|item| {
                        let line = self.number(&item.span());
                        self.node(item, line, errors)
                    })
                    .collect(),
            ),
            DeValue::Table(table) => self.table(table, errors),
        };
        Node {
            origin: Origin::Line(line),
            value,
            text: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(node: &Node, path: &[&str]) -> Origin {
        path.iter()
            .try_fold(node, |node, step| node.child(step))
            .expect("it is there")
            .origin
            .clone()
    }

    #[test]
    fn every_key_knows_its_line() {
        let node =
            Node::parse("a = 1\n\n[b]\nc.d = [\n  1,\n  2]\n[[e.f]]\ng = 'x'\n[[e.f]]\n").unwrap();
        assert_eq!(line(&node, &["a"]), Origin::Line(1));
        assert_eq!(line(&node, &["b"]), Origin::Line(3));
        assert_eq!(line(&node, &["b", "c", "d"]), Origin::Line(4));
        assert_eq!(line(&node, &["b", "c", "d", "1"]), Origin::Line(6));
        assert_eq!(line(&node, &["e", "f", "0", "g"]), Origin::Line(8));
        assert_eq!(line(&node, &["e", "f", "1"]), Origin::Line(9));
    }

    #[test]
    fn tables_keep_the_order_of_the_file() {
        let node = Node::parse("[z]\n[a]\n[m]\n").unwrap();
        let Value::Table(keys) = node.value else {
            panic!("a document is a table")
        };
        assert_eq!(keys.keys().collect::<Vec<_>>(), ["z", "a", "m"]);
    }

    #[test]
    fn all_syntax_errors_are_reported_with_their_lines() {
        let errors = Node::parse("a = \nb = 1\nb = 2\nc = 99999999999999999999\n").unwrap_err();
        let lines: Vec<usize> = errors.iter().map(|error| error.line).collect();
        assert_eq!(lines, [1, 3]);
        let errors = Node::parse("\nc = 99999999999999999999\n").unwrap_err();
        assert_eq!(errors[0].line, 2);
        assert!(
            errors[0].message.contains("does not fit"),
            "{}",
            errors[0].message
        );
    }

    #[test]
    fn a_variable_is_a_literal_where_it_can_be() {
        let value = |text: &str| Node::of_variable("BAROGRAPH_X", text).value;
        assert_eq!(value("5"), Value::Integer(5));
        assert_eq!(value("true"), Value::Boolean(true));
        assert_eq!(value("1s"), Value::Text("1s".to_owned()));
        assert_eq!(value("\"1s\""), Value::Text("1s".to_owned()));
        assert_eq!(value("127.0.0.1:0"), Value::Text("127.0.0.1:0".to_owned()));
        assert_eq!(value(""), Value::Text(String::new()));
        assert_eq!(
            value("1\nother = 2"),
            Value::Text("1\nother = 2".to_owned())
        );
        let Value::Array(items) = value("['a', 'b']") else {
            panic!("an array was given")
        };
        assert_eq!(items[1].origin, Origin::Variable("BAROGRAPH_X".into()));
    }

    #[test]
    fn removing_takes_out_one_key_or_item() {
        let mut node = Node::parse("a = [1, 2]\n[b]\nc = 1\nd = 2\n").unwrap();
        let path = |steps: &[&str]| steps.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(node.remove(&path(&["b", "c"])));
        assert!(node.remove(&path(&["a", "0"])));
        assert!(!node.remove(&path(&["a", "7"])));
        assert!(!node.remove(&path(&[])));
        assert!(node.child("b").unwrap().child("c").is_none());
        assert_eq!(
            node.child("a").unwrap().child("0").unwrap().value,
            Value::Integer(2)
        );
    }
}
