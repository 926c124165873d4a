//! A value judged by the rules of a schema.
//!
//! What a rule can't tell makes the verdict unsure, through every combination: only what is wrong whatever the rest
//! says is bad. Beyond the bounds of depth and work everything is unsure.

use serde_json::{Map, Number, Value};

use super::{Extent, Fault, Id, Items, Keys, Others, Range, Rule, Schema, Types};

/// Schemas within schemas; a configuration nests far less, and a schema that refers to itself without end ends here.
const DEPTH_MAX: usize = 200;
/// Values that are judged or compared: a schema may refer to the same part again and again.
const STEPS_MAX: u32 = 1 << 20;

#[derive(Debug)]
pub(super) enum Verdict {
    Good,
    Unsure,
    Bad(Box<Fault>),
}

pub(super) struct Judging<'a> {
    schema: &'a Schema,
    steps: u32,
    depth: usize,
}

impl<'a> Judging<'a> {
    pub(super) const fn by(schema: &'a Schema) -> Self {
        Self {
            schema,
            steps: STEPS_MAX,
            depth: 0,
        }
    }

    pub(super) fn judge(&mut self, id: Id, value: &Value) -> Verdict {
        if self.depth == DEPTH_MAX || !self.step() {
            return Verdict::Unsure;
        }
        self.depth += 1;
        let rules = self.schema.nodes[id].iter();
        let verdict = all(rules.map(|rule| self.apply(rule, value)));
        self.depth -= 1;
        verdict
    }

    /// Takes a step, if there is one left.
    fn step(&mut self) -> bool {
        let left = self.steps.checked_sub(1);
        self.steps = left.unwrap_or(0);
        left.is_some()
    }

    fn apply(&mut self, rule: &Rule, value: &Value) -> Verdict {
        match (rule, value) {
            (Rule::Never, _) => bad(Fault::other("is not allowed here")),
            (Rule::Unjudged, _) => Verdict::Unsure,
            (Rule::Type(types), _) => good_if(types.has(Types::of(value)), || {
                Fault::of_type(*types, value)
            }),
            (Rule::Values(values), _) => self.values(values, value),
            (Rule::Tag(tag), _) => good_if(same(tag, value), || Fault::of_tag(tag, value)),
            (Rule::Range(range), Value::Number(number)) => {
                good_if(range.holds(number), || Fault::of_range(range, number))
            }
            (Rule::Length(allowed), Value::String(text)) => {
                count(*allowed, text.chars().count(), "characters")
            }
            (Rule::Keys(rule), Value::Object(table)) => self.keys(rule, table),
            (Rule::Items(rule), Value::Array(items)) => self.items(rule, items),
            (Rule::All(ids), _) => all(ids.iter().map(|id| self.judge(*id, value))),
            (Rule::Any(ids), _) => self.some(ids, value, usize::MAX),
            (Rule::One(ids), _) => self.some(ids, value, 1),
            (Rule::Not(id), _) => match self.judge(*id, value) {
                Verdict::Good => bad(Fault::other("is what it must not be")),
                Verdict::Unsure => Verdict::Unsure,
                Verdict::Bad(_) => Verdict::Good,
            },
            // A rule about values of another type.
            (Rule::Range(_) | Rule::Length(_) | Rule::Keys(_) | Rule::Items(_), _) => Verdict::Good,
        }
    }

    fn values(&mut self, values: &[Value], value: &Value) -> Verdict {
        for known in values {
            if !self.step() {
                return Verdict::Unsure;
            }
            if same(known, value) {
                return Verdict::Good;
            }
        }
        bad(Fault::of_values(values, value))
    }

    fn keys(&mut self, rule: &Keys, table: &Map<String, Value>) -> Verdict {
        let each = table.iter().map(|(key, value)| {
            let judged = match (rule.known.get(key), &rule.others) {
                (Some(id), _) | (None, Some(Others::Each(id))) => self.judge(*id, value),
                (None, Some(Others::Refused)) => {
                    return bad(Fault::of_unknown_key(key, rule.known.keys()));
                }
                (None, None) => Verdict::Good,
            };
            below(judged, |fault| fault.below_key(key))
        });
        let missing = rule.required.iter().map(|key| {
            let is_there = table.contains_key(key);
            good_if(is_there, || Fault::of_missing_key(key))
        });
        let of_count = || count(rule.count, table.len(), "keys");
        all(each.chain(missing).chain(std::iter::once_with(of_count)))
    }

    fn items(&mut self, rule: &Items, items: &[Value]) -> Verdict {
        let of_count = count(rule.count, items.len(), "items");
        let ids = rule.first.iter().copied().map(Some);
        let ids = ids.chain(std::iter::repeat(rule.others));
        let each = items.iter().zip(ids).enumerate();
        let each = each.map(|(position, (item, id))| {
            let judged = id.map_or(Verdict::Good, |id| self.judge(id, item));
            below(judged, |fault| fault.below_item(position))
        });
        let verdict = all(std::iter::once(of_count).chain(each));
        if !rule.are_unique || matches!(verdict, Verdict::Bad(_)) {
            return verdict;
        }
        all([verdict, self.unique(items)].into_iter())
    }

    fn unique(&mut self, items: &[Value]) -> Verdict {
        for (position, item) in items.iter().enumerate() {
            for earlier in &items[..position] {
                if !self.step() {
                    return Verdict::Unsure;
                }
                if same(earlier, item) {
                    return bad(Fault::other("is there twice").below_item(position));
                }
            }
        }
        Verdict::Good
    }

    /// At least one of the forms, and at most so many.
    fn some(&mut self, ids: &[Id], value: &Value, most: usize) -> Verdict {
        let (mut good, mut unsure, mut faults) = (0, 0, Vec::new());
        for id in ids {
            match self.judge(*id, value) {
                Verdict::Good => good += 1,
                Verdict::Unsure => unsure += 1,
                Verdict::Bad(fault) => faults.push(*fault),
            }
        }
        if good > most {
            let words = format!("has {good} of the forms of which it has to have one");
            return bad(Fault::other(words));
        }
        match (good, unsure) {
            (0, 0) => bad(Fault::of_none(faults)),
            (0, _) => Verdict::Unsure,
            // One that is unsure may be one too many.
            (_, 1..) if good + unsure > most => Verdict::Unsure,
            _ => Verdict::Good,
        }
    }
}

/// The first that is bad, else unsure if any is. Nothing is looked at after what is bad.
fn all(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let mut together = Verdict::Good;
    for verdict in verdicts {
        match verdict {
            Verdict::Good => {}
            Verdict::Unsure => together = Verdict::Unsure,
            Verdict::Bad(_) => return verdict,
        }
    }
    together
}

fn bad(fault: Fault) -> Verdict {
    Verdict::Bad(Box::new(fault))
}

fn good_if(is_good: bool, fault: impl FnOnce() -> Fault) -> Verdict {
    if is_good { Verdict::Good } else { bad(fault()) }
}

fn below(verdict: Verdict, step: impl FnOnce(Fault) -> Fault) -> Verdict {
    match verdict {
        Verdict::Bad(fault) => bad(step(*fault)),
        other => other,
    }
}

fn count(allowed: Extent, found: usize, what: &str) -> Verdict {
    good_if(allowed.holds(found), || {
        Fault::of_count(allowed, found, what)
    })
}

impl Range {
    fn holds(&self, number: &Number) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};
        let within = |bound: &Option<(Number, bool)>, side| {
            bound.as_ref().is_none_or(|(bound, is_good)| {
                let found = compare(number, bound);
                found == Some(side) || *is_good && found == Some(Equal)
            })
        };
        within(&self.least, Greater) && within(&self.most, Less)
    }
}

/// Whole numbers are compared as such, since 64 bits of one don't fit into a float.
fn compare(one: &Number, other: &Number) -> Option<std::cmp::Ordering> {
    let whole = |number: &Number| {
        let signed = number.as_i64().map(i128::from);
        signed.or_else(|| number.as_u64().map(i128::from))
    };
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

/// Equality as the standard has it: 1 and 1.0 are the same.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            compare(one, other) == Some(std::cmp::Ordering::Equal)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let is_in_other =
                |(key, value): (&String, &Value)| other.get(key).is_some_and(|it| same(value, it));
            one.len() == other.len() && one.iter().all(is_in_other)
        }
        _ => one == other,
    }
}
