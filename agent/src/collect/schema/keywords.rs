//! The keywords of JSON Schema, by what they are to this agent. Pure.

/// What a keyword is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    /// It becomes a rule, or holds schemas that others refer to.
    Judged,
    /// It says something to readers and asks for nothing; whoever begins one with `x-` means that too.
    Remark,
    /// It is the standard's, asks for something and is not judged.
    LeftOut,
    /// Nobody knows it, so it asks for nothing; mostly a slip.
    Unknown,
}

impl Keyword {
    pub(super) fn of(word: &str) -> Self {
        if JUDGED.contains(&word) {
            Self::Judged
        } else if REMARKS.contains(&word) || word.starts_with("x-") {
            Self::Remark
        } else if LEFT_OUT.contains(&word) {
            Self::LeftOut
        } else {
            Self::Unknown
        }
    }
}

const JUDGED: [&str; 26] = [
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "not",
    "oneOf",
    "prefixItems",
    "properties",
    "required",
    "type",
    "uniqueItems",
    "$defs",
    "definitions",
];
const REMARKS: [&str; 17] = [
    "$anchor",
    "$comment",
    "$dynamicAnchor",
    "$id",
    "$schema",
    "$vocabulary",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "default",
    "deprecated",
    "description",
    "examples",
    "format",
    "readOnly",
    "title",
    "writeOnly",
];
const LEFT_OUT: [&str; 18] = [
    "$dynamicRef",
    "$recursiveRef",
    "additionalItems",
    "contains",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "maxContains",
    "minContains",
    "multipleOf",
    "pattern",
    "patternProperties",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
