//! Keyword by keyword as the standard has it, the words for what is wrong, and properties over schemas that nobody
//! thought of.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::*;

fn schema(json: &Value) -> Schema {
    Schema::read(json).unwrap_or_else(|flaws| panic!("{json}: {flaws:?}"))
}

/// What is wrong with a value, empty if nothing is.
fn fault(json: &Value, value: &Value) -> String {
    let judged = schema(json).judge(value);
    judged.map_or_else(|fault| fault.to_string(), |()| String::new())
}

#[track_caller]
fn judges(json: &Value, good: &[Value], bad: &[Value]) {
    for value in good {
        assert_eq!(fault(json, value), "", "{json}: {value}");
    }
    for value in bad {
        assert_ne!(fault(json, value), "", "{json}: {value}");
    }
}

/// The same with the schema as that of a key, as a whole is an object.
#[track_caller]
fn judges_key(of_key: &Value, good: &[Value], bad: &[Value]) {
    let json = json!({"properties": {"k": of_key}});
    let wrapped = |values: &[Value]| {
        values
            .iter()
            .map(|value| json!({"k": value}))
            .collect::<Vec<_>>()
    };
    judges(&json, &wrapped(good), &wrapped(bad));
}

#[test]
fn types() {
    let all = [
        ("string", json!("")),
        ("integer", json!(1)),
        ("number", json!(1.5)),
        ("boolean", json!(true)),
        ("array", json!([])),
        ("object", json!({})),
        ("null", json!(null)),
    ];
    for (word, good) in &all {
        for (other, value) in &all {
            let is_good = word == other || *word == "number" && *other == "integer";
            let found = fault(
                &json!({"properties": {"k": {"type": word}}}),
                &json!({"k": value}),
            );
            assert_eq!(found.is_empty(), is_good, "{word}: {value}: {found}");
        }
        judges_key(&json!({"type": [word]}), std::slice::from_ref(good), &[]);
    }
    let whole = [
        json!(1),
        json!(1.0),
        json!(-3e5),
        json!(u64::MAX),
        json!(i64::MIN),
    ];
    judges_key(
        &json!({"type": "integer"}),
        &whole,
        &[json!(1.5), json!("1")],
    );
    judges_key(
        &json!({"type": ["string", "null"]}),
        &[json!("x"), json!(null)],
        &[json!(1)],
    );
}

#[test]
fn values() {
    judges_key(
        &json!({"enum": ["a", 1, null, {"x": [1.0]}]}),
        &[json!("a"), json!(1.0), json!(null), json!({"x": [1]})],
        &[
            json!("b"),
            json!(2),
            json!({}),
            json!({"x": [1, 1]}),
            json!({"x": [1], "y": 1}),
        ],
    );
    judges_key(
        &json!({"const": 0}),
        &[json!(0), json!(0.0)],
        &[json!(false), json!("0")],
    );
    judges_key(&json!({"enum": []}), &[], &[json!(1), json!(null)]);
}

#[test]
fn numbers() {
    judges_key(
        &json!({"minimum": 1, "maximum": 3}),
        &[json!(1), json!(3.0), json!("x")],
        &[json!(0.999), json!(3.001)],
    );
    judges_key(
        &json!({"exclusiveMinimum": 1}),
        &[json!(1.1)],
        &[json!(1), json!(-1)],
    );
    judges_key(
        &json!({"exclusiveMaximum": 3.5}),
        &[json!(3)],
        &[json!(3.5), json!(4)],
    );
    let both = json!({"minimum": 1, "exclusiveMinimum": 1, "maximum": 9, "exclusiveMaximum": 5});
    judges_key(&both, &[json!(2)], &[json!(1), json!(5), json!(9)]);
    // Beyond what a float can tell apart.
    judges_key(
        &json!({"maximum": i64::MAX - 1}),
        &[json!(i64::MAX - 1)],
        &[json!(i64::MAX), json!(u64::MAX)],
    );
}

#[test]
fn texts_are_measured_in_characters() {
    judges_key(
        &json!({"minLength": 2, "maxLength": 3.0}),
        &[json!("äö"), json!("äöü"), json!(1)],
        &[json!("ä"), json!("äöüß")],
    );
}

#[test]
fn tables() {
    let closed =
        json!({"properties": {"a": {"type": "string"}, "b": false}, "additionalProperties": false});
    judges(
        &closed,
        &[json!({}), json!({"a": "x"})],
        &[json!({"a": 1}), json!({"b": 1}), json!({"c": 1})],
    );
    let typed = json!({"properties": {"a": {}}, "additionalProperties": {"type": "integer"}});
    judges(&typed, &[json!({"a": "x", "c": 1})], &[json!({"c": "x"})]);
    judges(
        &json!({"additionalProperties": true}),
        &[json!({"x": 1})],
        &[],
    );
    judges(
        &json!({"required": ["a", "b"]}),
        &[json!({"a": null, "b": 1})],
        &[json!({"a": 1}), json!({})],
    );
    let counted = json!({"minProperties": 1, "maxProperties": 2});
    judges(
        &counted,
        &[json!({"a": 1})],
        &[json!({}), json!({"a": 1, "b": 1, "c": 1})],
    );
    // Other types are no tables, which only `type` can refuse.
    judges_key(
        &json!({"required": ["a"]}),
        &[json!(1), json!([])],
        &[json!({})],
    );
}

#[test]
fn arrays() {
    judges_key(
        &json!({"items": {"type": "string"}}),
        &[json!([]), json!(["x"])],
        &[json!(["x", 1])],
    );
    let pair = json!({"prefixItems": [{"type": "string"}, {"type": "integer"}], "items": false});
    judges_key(
        &pair,
        &[json!([]), json!(["x", 1])],
        &[json!([1]), json!(["x", 1, 2])],
    );
    judges_key(
        &json!({"minItems": 1, "maxItems": 2}),
        &[json!([1])],
        &[json!([]), json!([1, 2, 3])],
    );
    judges_key(
        &json!({"uniqueItems": true}),
        &[json!([1, "1", [1]]), json!({})],
        &[json!([1, 2, 1.0]), json!([{}, {}])],
    );
    judges_key(&json!({"uniqueItems": false}), &[json!([1, 1])], &[]);
}

#[test]
fn combinations() {
    let (text, short) = (json!({"type": "string"}), json!({"maxLength": 2}));
    judges_key(
        &json!({"allOf": [text, short]}),
        &[json!("ab")],
        &[json!("abc"), json!(1)],
    );
    judges_key(
        &json!({"anyOf": [text, {"minimum": 5}]}),
        &[json!("abc"), json!(5)],
        &[json!(4)],
    );
    judges_key(
        &json!({"oneOf": [text, short]}),
        &[json!("abc"), json!(1)],
        &[json!("ab")],
    );
    judges_key(&json!({"not": text}), &[json!(1)], &[json!("x")]);
    judges_key(&json!({"not": {}}), &[], &[json!(1), json!(null)]);
}

#[test]
fn references() {
    let json = json!({
        "$defs": {"tree": {
            "type": "object",
            "properties": {"left": {"$ref": "#/$defs/tree"}, "value": {"type": "integer"}},
            "additionalProperties": false
        }, "a/b ~c%": {"type": "string"}},
        "properties": {
            "tree": {"$ref": "#/$defs/tree", "required": ["value"]},
            "same": {"$ref": "#"},
            "odd": {"$ref": "#/$defs/a~1b%20~0c%25"},
            "borrowed": {"$ref": "#/$defs/tree/properties/value"},
        },
        "additionalProperties": false,
    });
    judges(
        &json,
        &[
            json!({"tree": {"value": 1, "left": {"left": {"value": 2}}}}),
            json!({"same": {"same": {"odd": "x"}}, "borrowed": 1}),
        ],
        &[
            json!({"tree": {"left": {}}}),
            json!({"tree": {"value": 1, "left": {"left": {"value": "x"}}}}),
            json!({"same": {"same": {"other": 1}}}),
            json!({"odd": 1}),
            json!({"borrowed": "x"}),
        ],
    );
    // As it is where the configuration's type refers to itself.
    let json = json!({"$ref": "#/$defs/c", "$defs": {"c": {"type": "object", "required": ["x"]}}});
    judges(&json, &[json!({"x": 1})], &[json!({})]);
}

#[test]
fn what_is_not_judged_refuses_nothing() {
    for unjudged in [
        json!({"pattern": "^a"}),
        json!({"patternProperties": {"^a": {"type": "string"}}, "additionalProperties": false}),
        json!({"not": {"pattern": "^a"}}),
        json!({"not": {"not": {"pattern": "^a"}}}),
        json!({"oneOf": [{"pattern": "^a"}, {"pattern": "^b"}]}),
        json!({"oneOf": [{"pattern": "^a"}, {"type": ["string", "object"]}]}),
        json!({"allOf": [{"if": {"const": 1}, "then": false}]}),
        json!({"unevaluatedProperties": false}),
        json!({"propertyNames": false}),
        json!({"$ref": "https://example.org/schema"}),
        json!({"$ref": "#anchor"}),
        json!({"properties": {"x": {"$id": "other", "$ref": "#/nowhere", "type": "array"}}}),
    ] {
        let json = json!({"properties": {"k": unjudged}});
        for value in [json!("x"), json!({"x": 1})] {
            assert_eq!(fault(&json, &json!({"k": value})), "", "{json}: {value}");
        }
        assert!(schema(&json).unjudged().count() > 0, "{json}");
    }
    // What is wrong besides is wrong whatever they say.
    let json = json!({"type": "string", "pattern": "^a"});
    judges_key(&json, &[json!("x")], &[json!(1)]);
    judges_key(
        &json!({"anyOf": [json, {"type": "null"}]}),
        &[json!("x")],
        &[json!(1)],
    );
    judges_key(
        &json!({"oneOf": [{}, {}, {"pattern": "x"}]}),
        &[],
        &[json!("x")],
    );
}

#[test]
fn keywords_that_are_not_judged_are_named() {
    let json = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "x", "description": "x",
        "x-unit": "s", "format": "uint8", "propertys": {},
        "properties": {"a": {"pattern": "x", "examples": [], "$ref": "other.json"}},
    });
    let schema = schema(&json);
    let unjudged: Vec<_> = schema.unjudged().collect();
    assert_eq!(unjudged, ["$ref to other.json", "pattern", "propertys"]);
}

#[test]
fn a_flaw_is_told_with_its_place() {
    for (json, expected) in [
        (json!(null), "the manifest has no JSON Schema"),
        (json!(true), "the manifest has no JSON Schema"),
        (
            json!({"type": "array"}),
            "its `type` is \"array\", a section",
        ),
        (
            json!({"type": ["null", "string"]}),
            "a section of config.toml is an \"object\"",
        ),
        (
            json!({"type": []}),
            "`type` has to be one of the seven types or a list of them, and is []",
        ),
        (
            json!({"properties": []}),
            "`properties` has to be an object, and is []",
        ),
        (
            json!({"properties": {"a": 1}}),
            "/properties/a: is no schema",
        ),
        (
            json!({"properties": {"a": {"type": "int"}}}),
            "/properties/a: `type` has to be",
        ),
        (
            json!({"required": "a"}),
            "`required` has to be an array of strings, and is \"a\"",
        ),
        (
            json!({"required": [1]}),
            "`required` has to be an array of strings",
        ),
        (
            json!({"additionalProperties": 0}),
            "/additionalProperties: is no schema",
        ),
        (json!({"items": []}), "`prefixItems`"),
        (json!({"prefixItems": []}), "one schema at least"),
        (json!({"anyOf": {}}), "`anyOf` has to be an array"),
        (json!({"oneOf": [{}, 1]}), "/oneOf/1: is no schema"),
        (json!({"not": "x"}), "/not: is no schema"),
        (json!({"enum": "x"}), "`enum` has to be an array"),
        (json!({"minimum": "1"}), "`minimum` has to be a number"),
        (
            json!({"exclusiveMinimum": true}),
            "`exclusiveMinimum` has to be a number",
        ),
        (
            json!({"maxLength": -1}),
            "`maxLength` has to be a whole number from 0 up",
        ),
        (
            json!({"minItems": 1.5}),
            "`minItems` has to be a whole number",
        ),
        (
            json!({"uniqueItems": 1}),
            "`uniqueItems` has to be true or false",
        ),
        (json!({"$ref": 1}), "`$ref` has to be a string"),
        (
            json!({"$ref": "#/x"}),
            "`$ref` points at `#/x`, where nothing is",
        ),
        (json!({"$ref": "#/%"}), "where nothing is"),
        (
            json!({"$defs": {"a": {"items": {"type": 1}}}}),
            "/$defs/a/items: `type`",
        ),
        (
            json!({"definitions": 1}),
            "`definitions` has to be an object",
        ),
        (json!({"$ref": "#/z", "z": {"type": 1}}), "#/z: `type`"),
    ] {
        let flaws = Schema::read(&json).expect_err("a flaw");
        assert!(
            flaws.iter().any(|flaw| flaw.contains(expected)),
            "{json}: {flaws:?}"
        );
    }
    let many: Map<String, Value> = (0..100).map(|at| (format!("k{at}"), json!(at))).collect();
    let flaws = Schema::read(&json!({"properties": many})).expect_err("flaws");
    assert_eq!(flaws.len(), FLAWS_MAX);
}

#[test]
fn a_default_that_is_not_allowed_is_told() {
    let json = json!({
        "default": {"a": 1},
        "properties": {
            "a": {"$ref": "#/$defs/a", "default": "x"},
            "b": {"type": "integer", "default": "x"},
            "c": {"type": ["object", "null"], "default": null},
        },
        "$defs": {"a": {"type": "string"}},
    });
    let wrong: Vec<_> = schema(&json).wrong_defaults().collect();
    let [whole, key] = wrong.as_slice() else {
        panic!("{wrong:?}")
    };
    assert_eq!(
        whole,
        "its `default` is not allowed: a: expected a string, found the number 1"
    );
    assert_eq!(
        key,
        "/properties/b: its `default` is not allowed: expected a whole number, found \"x\""
    );
}

/// A schema with a key for each sort of fault.
fn faulty_keys() -> Value {
    json!({
        "additionalProperties": false,
        "required": ["folder"],
        "properties": {
            "folder": {"type": "string"},
            "size": {"type": "integer", "minimum": 1, "maximum": 9},
            "ratio": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1.5},
            "word": {"type": ["string", "null"], "enum": ["a", "b", "c", null]},
            "either": {"type": ["boolean", "number", "string"]},
            "list": {"items": {"type": "object", "properties": {"host": {"minLength": 1}}}, "maxItems": 2},
            "set": {"uniqueItems": true},
            "empty": {"type": "object", "additionalProperties": false},
            "one": {"additionalProperties": false, "properties": {"only": {}}},
            "option": {"anyOf": [{"$ref": "#/properties/one"}, {"type": "null"}]},
            "none": {"type": "null"},
        },
    })
}

#[test]
fn a_fault_has_a_place_and_plain_words() {
    let json = faulty_keys();
    for (key, value, expected) in [
        (
            "foldr",
            json!(1),
            "foldr: unknown field `foldr`, expected `either`, `empty`, `folder`, `list`,",
        ),
        (
            "folder",
            json!(3),
            "folder: expected a string, found the number 3",
        ),
        (
            "folder",
            json!({}),
            "folder: expected a string, found a table",
        ),
        (
            "folder",
            json!(["x"]),
            "folder: expected a string, found an array",
        ),
        (
            "folder",
            json!(true),
            "folder: expected a string, found true",
        ),
        (
            "size",
            json!("x\"y"),
            "size: expected a whole number, found \"x\\\"y\"",
        ),
        (
            "size",
            json!(10),
            "size: 10 is out of range; it has to be from 1 to 9",
        ),
        (
            "ratio",
            json!(0),
            "ratio: 0 is out of range; it has to be above 0 and below 1.5",
        ),
        (
            "word",
            json!("d"),
            "word: expected `a`, `b` or `c`, found \"d\"",
        ),
        (
            "word",
            json!(1),
            "word: expected a string, found the number 1",
        ),
        (
            "either",
            json!([]),
            "either: expected a number, a string or true or false, found an array",
        ),
        (
            "list",
            json!([{}, {"host": ""}]),
            "list[1].host: has 0 characters; it has to have at least 1",
        ),
        (
            "list",
            json!([{}, {}, {}]),
            "list: has 3 items; it has to have at most 2",
        ),
        ("set", json!([1, 2, 1]), "set[2]: is there twice"),
        (
            "empty",
            json!({"x": 1}),
            "empty.x: unknown field `x`, there are no fields",
        ),
        (
            "one",
            json!({"x": 1}),
            "one.x: unknown field `x`, expected `only`",
        ),
        (
            "option",
            json!({"x": 1}),
            "option.x: unknown field `x`, expected `only`",
        ),
        (
            "none",
            json!(1),
            "none: expected nothing, found the number 1",
        ),
    ] {
        let mut config = json!({"folder": "/tmp"});
        config[key] = value;
        let found = fault(&json, &config);
        assert!(found.starts_with(expected), "{config}: {found}");
    }
    assert_eq!(fault(&json, &json!({})), "folder: is missing");
}

/// Of the forms that something may have, the words are about the one that was meant.
#[test]
fn the_nearest_form_has_the_words() {
    let by_tag = json!({"oneOf": [
        {
            "type": "object", "additionalProperties": false, "required": ["kind", "path"],
            "properties": {"kind": {"const": "file"}, "path": {"type": "string"}},
        },
        {
            "type": "object", "additionalProperties": false, "required": ["kind", "port"],
            "properties": {"kind": {"const": "socket"}, "port": {"type": "integer"}},
        },
    ]});
    let by_key = json!({"oneOf": [
        {"type": "string", "enum": ["none"]},
        {"type": "object", "additionalProperties": false, "required": ["a"], "properties": {"a": {"enum": ["x"]}}},
        {"type": "object", "additionalProperties": false, "required": ["b"], "properties": {"b": {"type": "string"}}},
    ]});
    let words =
        json!({"oneOf": [{"const": "a", "description": "A."}, {"const": "b"}, {"type": "null"}]});
    let schema = json!({"properties": {"tag": by_tag, "key": by_key, "word": words}});
    for (key, value, expected) in [
        (
            "tag",
            json!({"kind": "fil", "path": "x"}),
            "tag.kind: expected `file` or `socket`, found \"fil\"",
        ),
        (
            "tag",
            json!({"kind": "file", "path": 1}),
            "tag.path: expected a string, found the number 1",
        ),
        ("tag", json!({"kind": "file"}), "tag.path: is missing"),
        ("tag", json!({"path": "x"}), "tag.kind: is missing"),
        (
            "tag",
            json!({"kind": "socket", "port": 1, "prt": 1}),
            "tag.prt: unknown field `prt`, expected `kind` or `port`",
        ),
        (
            "tag",
            json!("file"),
            "tag: expected a table, found \"file\"",
        ),
        (
            "key",
            json!("x"),
            "key: expected `none` or a table, found \"x\"",
        ),
        (
            "key",
            json!({"c": 1}),
            "key.c: unknown field `c`, expected `a` or `b`",
        ),
        ("key", json!({"a": "y"}), "key.a: expected `x`, found \"y\""),
        (
            "key",
            json!({"a": "x", "b": "y"}),
            "key: has none of the 3 forms that it may have",
        ),
        ("word", json!("c"), "word: expected `a` or `b`, found \"c\""),
    ] {
        assert_eq!(fault(&schema, &json!({ key: value })), expected);
    }
}

#[test]
fn words_are_of_a_bounded_length() {
    let long = "ä".repeat(10_000);
    let all: Vec<String> = (0..100).map(|at| format!("word{at}")).collect();
    let keys: Map<String, Value> = all.iter().map(|key| (key.clone(), json!({}))).collect();
    let json = json!({"properties": {
        "k": {"enum": all}, "one": {"enum": [long]},
        "table": {"properties": keys, "additionalProperties": false},
        "long": {"properties": {long.clone(): {}}, "additionalProperties": false},
    }});
    let found = fault(&json, &json!({ "k": long }));
    assert!(
        found.contains("`word11` or one of 88 more, found \"ä"),
        "{found}"
    );
    assert!(found.len() < 400, "{found}");
    assert!(fault(&json, &json!({"one": 1})).len() < 200);
    let found = fault(&json, &json!({"table": {"x": 1}}));
    assert!(found.ends_with("or one of 40 more"), "{found}");
    let found = schema(&json)
        .judge(&json!({"long": {format!("{long}x"): 1}}))
        .expect_err("a fault");
    assert!(found.field().len() <= 4 << 10 && found.message().len() <= 4 << 10);
}

/// A schema that refers to itself without end, one that doubles at each of forty steps, and one that nests deeply.
#[test]
fn work_and_depth_are_bounded() {
    let endless = json!({"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}});
    judges(&endless, &[json!({"x": 1})], &[]);
    let mut defs = Map::new();
    for at in 0..40 {
        let next = json!({"$ref": format!("#/$defs/d{}", at + 1)});
        defs.insert(
            format!("d{at}"),
            json!({"anyOf": [{"allOf": [next, next]}, {"allOf": [next, next]}]}),
        );
    }
    defs.insert("d40".to_owned(), json!(false));
    let doubling = json!({"$ref": "#/$defs/d0", "$defs": defs});
    judges(&doubling, &[json!({})], &[]);
    let text = "{\"not\":".repeat(120) + "{}" + &"}".repeat(120);
    let deep: Value = serde_json::from_str(&text).expect("JSON");
    judges(&deep, &[json!({})], &[]);
    let items: Vec<u32> = (0..3_000).collect();
    let unique = json!({"uniqueItems": true});
    judges_key(&unique, &[json!(items)], &[]);
}

/// A place of 120 keys of a thousand characters, each with a flaw, is told in short.
#[test]
fn a_deep_place_is_cut() {
    let key = "k".repeat(1_000);
    let mut json = json!({"type": 1});
    for _ in 0..120 {
        json = json!({"properties": {key.clone(): json}});
    }
    let flaws = Schema::read(&json).expect_err("a flaw");
    assert!(
        flaws[0].len() < 500 && flaws[0].starts_with('…'),
        "{}",
        flaws[0]
    );
}

/// A configuration as authors write them, with most of what serde and schemars offer.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Config {
    folder: PathBuf,
    timeout: Duration,
    optional: Option<u16>,
    nested: Option<Box<Nested>>,
    ratio: f32,
    bytes: Vec<u8>,
    key: [u8; 4],
    pair: (String, i64),
    letter: char,
    addresses: Vec<IpAddr>,
    ports: HashSet<u16>,
    names: BTreeMap<String, Nested>,
    numbers: BTreeMap<u32, String>,
    mode: Mode,
    source: Source,
    tagged: Tagged,
    untagged: Untagged,
    anything: Value,
    nonzero: Option<NonZeroU16>,
    unit: (),
    wide: u128,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Nested {
    two_words: i8,
    again: Option<Box<Nested>>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Mode {
    /// With a description each, which makes another form of schema.
    #[default]
    Auto,
    /// By hand.
    Hand,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
enum Source {
    #[default]
    Nothing,
    File(PathBuf),
    Socket {
        host: String,
        port: Option<u16>,
    },
    Both(String, i8),
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Tagged {
    #[default]
    Nothing,
    OfNumber {
        number: i32,
    },
    Nested(Nested),
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Untagged {
    Number(f64),
    Text(String),
    List(Vec<String>),
}

impl Default for Untagged {
    fn default() -> Self {
        Self::Number(0.0)
    }
}

fn nested() -> impl Strategy<Value = Nested> {
    let leaf = any::<i8>().prop_map(|two_words| Nested {
        two_words,
        again: None,
    });
    leaf.prop_recursive(3, 3, 1, |inner| {
        (any::<i8>(), proptest::option::of(inner)).prop_map(|(two_words, again)| Nested {
            two_words,
            again: again.map(Box::new),
        })
    })
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![
        Just(Source::Nothing),
        ".*".prop_map(|path| Source::File(path.into())),
        (".*", any::<Option<u16>>()).prop_map(|(host, port)| Source::Socket { host, port }),
        (".*", any::<i8>()).prop_map(|(text, number)| Source::Both(text, number)),
    ]
}

fn tagged() -> impl Strategy<Value = Tagged> {
    prop_oneof![
        Just(Tagged::Nothing),
        any::<i32>().prop_map(|number| Tagged::OfNumber { number }),
        nested().prop_map(Tagged::Nested),
    ]
}

fn untagged() -> impl Strategy<Value = Untagged> {
    prop_oneof![
        any::<i32>().prop_map(|number| Untagged::Number(number.into())),
        ".*".prop_map(Untagged::Text),
        vec(".*", 0..3).prop_map(Untagged::List),
    ]
}

fn config() -> impl Strategy<Value = Config> {
    let plain = (
        ".*",
        any::<(u32, Option<u16>, i16, [u8; 4], i64, char)>(),
        vec(any::<u8>(), 0..4),
        vec(any::<IpAddr>(), 0..3),
        any::<Option<NonZeroU16>>(),
    );
    let deep = (
        proptest::option::of(nested()),
        btree_map(".*", nested(), 0..3),
        btree_map(any::<u32>(), ".*", 0..3),
        proptest::collection::hash_set(any::<u16>(), 0..3),
        source(),
        tagged(),
        untagged(),
        json_value(),
        any::<bool>(),
    );
    (plain, deep).prop_map(|(plain, deep)| {
        let (folder, (millis, optional, ratio, key, number, letter), bytes, addresses, nonzero) =
            plain;
        let (nested, names, numbers, ports, source, tagged, untagged, anything, is_auto) = deep;
        Config {
            pair: (folder.clone(), number),
            folder: folder.into(),
            timeout: Duration::from_millis(millis.into()),
            optional,
            nested: nested.map(Box::new),
            ratio: ratio.into(),
            bytes,
            key,
            letter,
            addresses,
            ports,
            names,
            numbers,
            mode: if is_auto { Mode::Auto } else { Mode::Hand },
            source,
            tagged,
            untagged,
            anything,
            nonzero,
            unit: (),
            wide: 7,
        }
    })
}

/// Any JSON of a moderate size, with few keys, so that schemas and values meet.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..4).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-3.0_f64..4.0).prop_map(Value::from),
        "[ab]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map("[ab]", inner, 0..3)
                .prop_map(|table| Value::Object(table.into_iter().collect())),
        ]
    })
}

/// Schemas without flaws, of judged keywords only.
fn any_schema() -> impl Strategy<Value = Value> {
    let types = prop_oneof![
        Just("string"),
        Just("integer"),
        Just("number"),
        Just("boolean"),
        Just("array"),
        Just("object"),
        Just("null"),
    ];
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        types.clone().prop_map(|word| json!({"type": word})),
        vec(types, 1..3).prop_map(|words| json!({"type": words})),
        vec(json_value(), 0..3).prop_map(|values| json!({"enum": values})),
        json_value().prop_map(|value| json!({"const": value})),
        (-2..3, -2..3)
            .prop_map(|(least, most)| json!({"minimum": least, "exclusiveMaximum": most})),
        (0..3, 0..3).prop_map(|(least, most)| json!({"minLength": least, "maxItems": most})),
        any::<bool>().prop_map(|are_unique| json!({"uniqueItems": are_unique})),
        vec("[ab]", 0..2).prop_map(|keys| json!({"required": keys, "maxProperties": 2})),
    ];
    leaf.prop_recursive(3, 24, 3, |inner| {
        let some = vec(inner.clone(), 1..3);
        prop_oneof![
            (btree_map("[ab]", inner.clone(), 0..3), inner.clone()).prop_map(
                |(known, others)| json!({"properties": known, "additionalProperties": others})
            ),
            (some.clone(), inner.clone())
                .prop_map(|(first, others)| json!({"prefixItems": first, "items": others})),
            some.clone().prop_map(|some| json!({"anyOf": some})),
            some.clone().prop_map(|some| json!({"oneOf": some})),
            some.prop_map(|some| json!({"allOf": some})),
            inner.prop_map(|schema| json!({"not": schema})),
        ]
    })
}

fn is_good(of_key: &Value, value: &Value) -> bool {
    fault(&json!({"properties": {"k": of_key}}), &json!({"k": value})).is_empty()
}

/// A JSON that was meant as a schema, by somebody.
fn would_be_schema() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "type",
        "enum",
        "const",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "prefixItems",
        "anyOf",
        "oneOf",
        "allOf",
        "not",
        "$ref",
        "$defs",
        "minimum",
        "maxLength",
        "uniqueItems",
        "pattern",
        "default",
        "$id",
    ]);
    let leaf = prop_oneof![
        json_value(),
        Just(json!("#")),
        Just(json!("#/$defs/a")),
        Just(json!("object"))
    ];
    leaf.prop_recursive(5, 64, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map(words.clone(), inner.clone(), 0..4).prop_map(|table| Value::Object(
                table
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect()
            )),
            btree_map("[ab]", inner, 0..3)
                .prop_map(|table| Value::Object(table.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever serde writes and reads, the schema of the same type allows: durations, bytes, options and all.
    #[test]
    fn what_serde_accepts_its_schema_allows(config in config()) {
        let json = serde_json::to_value(schemars::schema_for!(Config)).unwrap();
        let schema = schema(&json);
        let mut value = serde_json::to_value(&config).unwrap();
        prop_assert_eq!(schema.judge(&value), Ok(()));
        prop_assert_eq!(schema.wrong_defaults().next(), None);
        // Keys have defaults, so none is missed; and TOML has no null.
        let table = value.as_object_mut().unwrap();
        table.retain(|_, value| !value.is_null());
        while let Some(key) = table.keys().next().cloned() {
            let judged = schema.judge(&Value::Object(table.clone()));
            prop_assert_eq!(judged, Ok(()));
            table.remove(&key);
        }
    }

    #[test]
    fn what_serde_refuses_for_an_unknown_key_its_schema_refuses(config in config(), key in "[a-z]{1,3}") {
        let schema = schema(&serde_json::to_value(schemars::schema_for!(Config)).unwrap());
        let mut value = serde_json::to_value(&config).unwrap();
        value[&key] = json!(1);
        if serde_json::from_value::<Config>(value.clone()).is_err() {
            let fault = schema.judge(&value).expect_err("a fault");
            prop_assert_eq!(fault.field(), key);
        }
    }

    #[test]
    fn combinations_agree_with_each_other(schema in any_schema(), other in any_schema(), value in json_value()) {
        let (one, two) = (is_good(&schema, &value), is_good(&other, &value));
        prop_assert_eq!(is_good(&json!({"not": schema}), &value), !one);
        prop_assert_eq!(is_good(&json!({"allOf": [schema, other]}), &value), one && two);
        prop_assert_eq!(is_good(&json!({"anyOf": [schema, other]}), &value), one || two);
        prop_assert_eq!(is_good(&json!({"oneOf": [schema, other]}), &value), one != two);
        let by_reference = json!({"properties": {"k": {"$ref": "#/$defs/s"}}, "$defs": {"s": schema}});
        prop_assert_eq!(fault(&by_reference, &json!({"k": value})).is_empty(), one);
    }

    /// A keyword that is not judged turns no refusal into one more: with it, what was good stays so.
    #[test]
    fn what_is_not_judged_only_makes_unsure(
        schema in any_schema(), other in any_schema(), value in json_value(), wrap in 0..4,
    ) {
        let unsure = json!({"allOf": [schema, {"pattern": "x"}]});
        let wrapped = |schema: &Value| match wrap {
            0 => schema.clone(),
            1 => json!({"not": schema}),
            2 => json!({"oneOf": [schema, other]}),
            _ => json!({"anyOf": [other, {"not": schema}]}),
        };
        // The pattern may hold or not: then the whole is as if it were the schema, or false.
        let (holds, fails) = (wrapped(&schema), wrapped(&json!(false)));
        if is_good(&holds, &value) || is_good(&fails, &value) {
            prop_assert!(is_good(&wrapped(&unsure), &value));
        }
    }

    #[test]
    fn nothing_that_is_written_makes_it_panic(json in would_be_schema(), value in would_be_schema()) {
        if let Ok(schema) = Schema::read(&json) {
            if let Err(fault) = schema.judge(&value) {
                prop_assert!(!fault.message().is_empty());
            }
            let _ = schema.wrong_defaults().count();
            let _ = schema.keys().count();
        }
    }

    /// The place of a fault is in the value, or one key below.
    #[test]
    fn a_fault_is_where_it_says(schema in any_schema(), value in json_value()) {
        let whole = json!({"properties": {"k": schema}});
        if let Err(fault) = Schema::read(&whole).unwrap().judge(&json!({"k": value})) {
            let field = fault.field();
            let mut steps: Vec<&str> = field.split(['.', '[', ']']).filter(|step| !step.is_empty()).collect();
            prop_assert_eq!(steps.remove(0), "k");
            let last = steps.pop();
            let mut at = &value;
            for step in steps {
                at = step.parse::<usize>().map_or_else(|_| &at[step], |item| &at[item]);
                prop_assert!(!at.is_null());
            }
            prop_assert!(last.is_none() || at.is_object() || at.is_array());
        }
    }
}
