//! The rules of a schema, read from its JSON, and the flaws that it has itself.
//!
//! Each schema within the whole is read once, however often it is referred to, and also where nothing refers to it:
//! an author wants to hear of its flaws. There is no recursion, so that no nesting is too deep.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use serde_json::{Map, Number, Value};

use super::keywords::Keyword;
use super::{Extent, FLAWS_MAX, Id, Items, Keys, Others, Preset, Range, Rule, Schema, Types};

/// Bytes of a place or a value in the text of a flaw.
const SHOWN_BYTES_MAX: usize = 200;

pub(super) struct Reading<'a> {
    whole: &'a Value,
    /// By the address of their JSON, which stays where it is.
    ids: HashMap<*const Value, Id>,
    places: Vec<Place<'a>>,
    unread: VecDeque<(Id, &'a Value)>,
    nodes: Vec<Vec<Rule>>,
    unjudged: BTreeSet<String>,
    presets: Vec<(Id, &'a Value)>,
    flaws: Vec<String>,
}

/// Where a schema stands: below a keyword of another one, or wherever a reference says.
#[derive(Clone, Copy)]
enum Place<'a> {
    Whole,
    Below(Id, &'static str, Step<'a>),
    Reference(&'a str),
}

#[derive(Clone, Copy)]
enum Step<'a> {
    None,
    Key(&'a str),
    Item(usize),
}

impl<'a> Reading<'a> {
    pub(super) fn of(whole: &'a Value) -> Self {
        Self {
            whole,
            ids: HashMap::new(),
            places: Vec::new(),
            unread: VecDeque::new(),
            nodes: Vec::new(),
            unjudged: BTreeSet::new(),
            presets: Vec::new(),
            flaws: Vec::new(),
        }
    }

    pub(super) fn finish(mut self) -> Result<Schema, Vec<String>> {
        let Some(table) = self.whole.as_object() else {
            let words = "the manifest has no JSON Schema of the configuration under `config`";
            return Err(vec![words.to_owned()]);
        };
        self.id(self.whole, Place::Whole);
        while let Some((id, schema)) = self.unread.pop_front() {
            let rules = self.rules(id, schema);
            self.nodes.push(rules);
        }
        let is_of_tables = self.nodes[0].iter().all(|rule| match rule {
            Rule::Type(types) => types.has(Types::OBJECT),
            _ => true,
        });
        if !is_of_tables {
            let found = &table["type"];
            self.flaw(
                0,
                format!("its `type` is {found}, a section of config.toml is an \"object\""),
            );
        }
        if !self.flaws.is_empty() {
            return Err(self.flaws);
        }
        let presets = self.presets.iter().map(|(id, value)| Preset {
            place: self.place(*id),
            id: *id,
            value: (*value).clone(),
        });
        Ok(Schema {
            presets: presets.collect(),
            nodes: self.nodes,
            unjudged: self.unjudged,
        })
    }

    /// The number of a schema, which is read later if it was not met before.
    fn id(&mut self, schema: &'a Value, place: Place<'a>) -> Id {
        let next = self.places.len();
        let id = *self.ids.entry(std::ptr::from_ref(schema)).or_insert(next);
        if id == next {
            self.places.push(place);
            self.unread.push_back((id, schema));
        }
        id
    }

    fn flaw(&mut self, at: Id, words: impl std::fmt::Display) {
        if self.flaws.len() == FLAWS_MAX {
            return;
        }
        let place = self.place(at);
        self.flaws.push(if place.is_empty() {
            words.to_string()
        } else {
            format!("{place}: {words}")
        });
    }

    /// A keyword's value that is not as it has to be.
    fn misused(&mut self, at: Id, word: &str, wanted: &str, found: &Value) {
        let found = shown(found);
        self.flaw(at, format!("`{word}` has to be {wanted}, and is {found}"));
    }

    /// JSON pointer of a schema, for people; the way begins where it becomes too long.
    fn place(&self, id: Id) -> String {
        let (mut place, mut at) = (String::new(), id);
        while place.len() <= SHOWN_BYTES_MAX {
            match self.places[at] {
                Place::Whole => return place,
                Place::Reference(text) => return format!("{text}{place}"),
                Place::Below(parent, word, step) => {
                    let step = match step {
                        Step::None => String::new(),
                        Step::Key(key) => format!("/{key}"),
                        Step::Item(position) => format!("/{position}"),
                    };
                    place = format!("/{word}{step}{place}");
                    at = parent;
                }
            }
        }
        format!(
            "…{}",
            &place[place.ceil_char_boundary(place.len() - SHOWN_BYTES_MAX)..]
        )
    }

    fn rules(&mut self, at: Id, schema: &'a Value) -> Vec<Rule> {
        let table = match schema {
            Value::Object(table) => table,
            Value::Bool(true) => return Vec::new(),
            Value::Bool(false) => return vec![Rule::Never],
            other => {
                let found = shown(other);
                self.flaw(
                    at,
                    format!("is no schema, which is an object, true or false, but {found}"),
                );
                return Vec::new();
            }
        };
        if at > 0 && table.contains_key("$id") {
            // A document of its own, with references of its own.
            self.unjudged.insert("$id".to_owned());
            return vec![Rule::Unjudged];
        }
        let mut rules = Vec::new();
        if let Some(default) = table.get("default") {
            self.presets.push((at, default));
        }
        self.look_for_others(table, &mut rules);
        // Before what refers to them, so that their flaws are told where they stand.
        for word in ["$defs", "definitions"] {
            self.keyed(at, table, word);
        }
        self.of_values(at, table, &mut rules);
        self.of_tables(at, table, &mut rules);
        self.of_arrays(at, table, &mut rules);
        self.of_combinations(at, table, &mut rules);
        rules
    }

    /// The keywords that are no rules here.
    fn look_for_others(&mut self, table: &Map<String, Value>, rules: &mut Vec<Rule>) {
        for word in table.keys().map(String::as_str) {
            match Keyword::of(word) {
                Keyword::Judged | Keyword::Remark => continue,
                Keyword::LeftOut => rules.push(Rule::Unjudged),
                Keyword::Unknown => {}
            }
            self.unjudged.insert(word.to_owned());
        }
    }

    fn of_values(&mut self, at: Id, table: &'a Map<String, Value>, rules: &mut Vec<Rule>) {
        if let Some(types) = table.get("type") {
            match types_of(types) {
                Some(types) => rules.push(Rule::Type(types)),
                None => self.misused(
                    at,
                    "type",
                    "one of the seven types or a list of them",
                    types,
                ),
            }
        }
        rules.extend(table.get("const").cloned().map(Rule::Tag));
        match table.get("enum") {
            None => {}
            Some(Value::Array(values)) => rules.push(Rule::Values(values.clone())),
            Some(other) => self.misused(at, "enum", "an array", other),
        }
        let mut bound = |word| {
            let found = table.get(word)?;
            let number = found.as_number();
            if number.is_none() {
                self.misused(at, word, "a number", found);
            }
            number
        };
        let least = [(bound("minimum"), true), (bound("exclusiveMinimum"), false)];
        let most = [(bound("maximum"), true), (bound("exclusiveMaximum"), false)];
        // Where both are given, each is a rule.
        for (least, most) in least.into_iter().zip(most) {
            let [least, most] = [least, most]
                .map(|(bound, is_good)| bound.map(|number: &Number| (number.clone(), is_good)));
            if least.is_some() || most.is_some() {
                rules.push(Rule::Range(Range { least, most }));
            }
        }
        let length = self.extent(at, table, "minLength", "maxLength");
        rules.extend(length.map(Rule::Length));
    }

    fn of_tables(&mut self, at: Id, table: &'a Map<String, Value>, rules: &mut Vec<Rule>) {
        let count = self.extent(at, table, "minProperties", "maxProperties");
        let known = self.keyed(at, table, "properties");
        let others = match table.get("additionalProperties") {
            None | Some(Value::Bool(true)) => None,
            Some(Value::Bool(false)) => Some(Others::Refused),
            Some(schema) => {
                let place = Place::Below(at, "additionalProperties", Step::None);
                Some(Others::Each(self.id(schema, place)))
            }
        };
        // A key may be one of the patterns, which are not judged.
        let others = others.filter(|_| !table.contains_key("patternProperties"));
        let required = table.get("required").map(|found| {
            let words = found
                .as_array()
                .and_then(|words| words.iter().map(Value::as_str).collect());
            words.unwrap_or_else(|| {
                self.misused(at, "required", "an array of strings", found);
                Vec::new()
            })
        });
        if count.is_none() && known.is_none() && others.is_none() && required.is_none() {
            return;
        }
        rules.push(Rule::Keys(Keys {
            known: known.unwrap_or_default(),
            others,
            required: required.into_iter().flatten().map(str::to_owned).collect(),
            count: count.unwrap_or(Extent::ANY),
        }));
    }

    fn of_arrays(&mut self, at: Id, table: &'a Map<String, Value>, rules: &mut Vec<Rule>) {
        let count = self.extent(at, table, "minItems", "maxItems");
        let first = self.listed(at, table, "prefixItems");
        let others = match table.get("items") {
            Some(found @ Value::Array(_)) => {
                self.misused(
                    at,
                    "items",
                    "one schema (a schema for each item is `prefixItems`)",
                    found,
                );
                None
            }
            Some(schema) => Some(self.id(schema, Place::Below(at, "items", Step::None))),
            None => None,
        };
        let are_unique = match table.get("uniqueItems") {
            None => false,
            Some(Value::Bool(are_unique)) => *are_unique,
            Some(other) => {
                self.misused(at, "uniqueItems", "true or false", other);
                false
            }
        };
        if count.is_some() || first.is_some() || others.is_some() || are_unique {
            rules.push(Rule::Items(Items {
                first: first.unwrap_or_default(),
                others,
                count: count.unwrap_or(Extent::ANY),
                are_unique,
            }));
        }
    }

    fn of_combinations(&mut self, at: Id, table: &'a Map<String, Value>, rules: &mut Vec<Rule>) {
        match table.get("$ref") {
            None => {}
            Some(Value::String(reference)) => rules.push(self.reference(at, reference)),
            Some(other) => self.misused(at, "$ref", "a string", other),
        }
        rules.extend(self.listed(at, table, "allOf").map(Rule::All));
        rules.extend(self.listed(at, table, "anyOf").map(Rule::Any));
        rules.extend(self.listed(at, table, "oneOf").map(Rule::One));
        if let Some(schema) = table.get("not") {
            let id = self.id(schema, Place::Below(at, "not", Step::None));
            rules.push(Rule::Not(id));
        }
    }

    fn reference(&mut self, at: Id, reference: &'a str) -> Rule {
        let pointer = reference
            .strip_prefix('#')
            .filter(|it| it.is_empty() || it.starts_with('/'));
        let Some(pointer) = pointer else {
            self.unjudged.insert(format!("$ref to {}", cut(reference)));
            return Rule::Unjudged;
        };
        let target = unescaped(pointer).and_then(|pointer| self.whole.pointer(&pointer));
        let Some(target) = target else {
            let shown = cut(reference);
            self.flaw(at, format!("`$ref` points at `{shown}`, where nothing is"));
            return Rule::Unjudged;
        };
        Rule::All(vec![self.id(target, Place::Reference(reference))])
    }

    /// The bounds of a number of things, if any is given.
    fn extent(
        &mut self,
        at: Id,
        table: &Map<String, Value>,
        least: &str,
        most: &str,
    ) -> Option<Extent> {
        let mut bound = |word| {
            let found = table.get(word)?;
            let count = whole_count(found);
            if count.is_none() {
                self.misused(at, word, "a whole number from 0 up", found);
            }
            count
        };
        let (least, most) = (bound(least), bound(most));
        if least.is_none() && most.is_none() {
            return None;
        }
        Some(Extent {
            least: least.unwrap_or(Extent::ANY.least),
            most: most.unwrap_or(Extent::ANY.most),
        })
    }

    /// The schemas of a keyword that has one for each key.
    fn keyed(
        &mut self,
        at: Id,
        table: &'a Map<String, Value>,
        word: &'static str,
    ) -> Option<BTreeMap<String, Id>> {
        let found = table.get(word)?;
        let Value::Object(schemas) = found else {
            self.misused(at, word, "an object", found);
            return None;
        };
        let ids = schemas.iter().map(|(key, schema)| {
            let id = self.id(schema, Place::Below(at, word, Step::Key(key)));
            (key.clone(), id)
        });
        Some(ids.collect())
    }

    /// The schemas of a keyword that has a list of them.
    fn listed(
        &mut self,
        at: Id,
        table: &'a Map<String, Value>,
        word: &'static str,
    ) -> Option<Vec<Id>> {
        let found = table.get(word)?;
        let Some(schemas) = found.as_array().filter(|schemas| !schemas.is_empty()) else {
            self.misused(at, word, "an array with one schema at least", found);
            return None;
        };
        let ids = schemas.iter().enumerate().map(|(position, schema)| {
            self.id(schema, Place::Below(at, word, Step::Item(position)))
        });
        Some(ids.collect())
    }
}

fn types_of(types: &Value) -> Option<Types> {
    let of_word = |word: &Value| Types::of_word(word.as_str()?);
    match types {
        Value::Array(words) if !words.is_empty() => {
            let mut all = words.iter().map(of_word);
            all.try_fold(Types::default(), |all, one| Some(all.with(one?)))
        }
        word => of_word(word),
    }
}

/// 2.0 is a count too, as the standard has it.
fn whole_count(value: &Value) -> Option<u64> {
    let number = value.as_number()?;
    let of_float = || {
        let float = number.as_f64()?;
        let is_whole = float.fract() == 0.0 && (0.0..=9e15).contains(&float);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is whole, and in the range in which floats count"
        )]
        is_whole.then_some(float as u64)
    };
    number.as_u64().or_else(of_float)
}

/// A pointer as it is escaped in a reference: `%20` for a space. `~0` and `~1` stay for those who follow it.
fn unescaped(pointer: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(pointer.len());
    let mut parts = pointer.split('%');
    bytes.extend(parts.next()?.bytes());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(rest.bytes());
    }
    String::from_utf8(bytes).ok()
}

fn shown(value: &Value) -> String {
    cut(&value.to_string())
}

fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(SHOWN_BYTES_MAX);
    let mark = if end < text.len() { "…" } else { "" };
    format!("{}{mark}", &text[..end])
}
