//! What is wrong with the configuration, each mistake with its place.
//!
//! A mistake reads `config.toml:14: tiers.fast: …` or, when a variable set the key,
//! `BAROGRAPH_TIERS__FAST: …`. All that were found are reported together.

use std::fmt;
use std::path::PathBuf;

use super::node::Origin;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The configuration file; none when there is none and the mistake is a variable's or a default's.
    pub file: Option<PathBuf>,
    /// Where in it, or which variable.
    pub origin: Origin,
    /// The key with its sections, such as `tiers.fast`; empty when it is about the whole file.
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Everything that is wrong, in the order of the file, variables last. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// Sorts the mistakes; `None` when there is none.
    pub fn new(mut errors: Vec<ConfigError>) -> Option<Self> {
        errors.sort_by(|a, b| a.origin.cmp(&b.origin));
        errors.dedup();
        (!errors.is_empty()).then_some(Self(errors))
    }

    /// The mistakes.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.origin, &self.file) {
            (Origin::Variable(name), _) => write!(f, "{name}: ")?,
            (Origin::Line(line), Some(file)) => write!(f, "{}:{line}: ", file.display())?,
            (_, Some(file)) => write!(f, "{}: ", file.display())?,
            (_, None) => {}
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
impl std::error::Error for ConfigErrors {}

/// The message for a key that does not exist: the nearest that does, or all of them.
pub(crate) fn unknown_key<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(name, &known) {
        Some(near) => format!("unknown key; did you mean `{near}`?"),
        None if known.is_empty() => "unknown key; there is none here".to_owned(),
        None if known.len() == 1 => format!("unknown key; there is only `{}`", known[0]),
        None => format!("unknown key; there are {}", list(&known, "and")),
    }
}

/// The word that `name` was probably meant to be.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let bound = (name.chars().count() / 3).clamp(1, 3);
    known
        .iter()
        .map(|word| (strsim::damerau_levenshtein(name, word), *word))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Words as a list for people, the last two joined by `joint`.
pub(crate) fn list(words: &[&str], joint: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} {joint} {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_names_the_nearest_key() {
        let known = ["interval", "timeout", "series_max"];
        for (typo, meant) in [
            ("intervall", Some("interval")),
            ("tiemout", Some("timeout")),
            ("seriesmax", Some("series_max")),
            ("colour", None),
            ("x", None),
        ] {
            assert_eq!(nearest(typo, &known), meant, "{typo}");
        }
        assert_eq!(
            unknown_key("intervall", known),
            "unknown key; did you mean `interval`?"
        );
        let none = unknown_key("colour", known);
        assert_eq!(
            none,
            "unknown key; there are `interval`, `timeout` and `series_max`"
        );
    }

    #[test]
    fn mistakes_come_in_the_order_of_the_file() {
        let error = |origin: Origin| ConfigError {
            file: Some("config.toml".into()),
            origin,
            key: "a.b".to_owned(),
            message: "wrong".to_owned(),
        };
        let errors = ConfigErrors::new(vec![
            error(Origin::Variable("BAROGRAPH_A__B".into())),
            error(Origin::Line(12)),
            error(Origin::Line(3)),
            error(Origin::Line(3)),
        ]);
        let text = errors.expect("there are mistakes").to_string();
        let expected =
            "config.toml:3: a.b: wrong\nconfig.toml:12: a.b: wrong\nBAROGRAPH_A__B: a.b: wrong";
        assert_eq!(text, expected);
        assert_eq!(ConfigErrors::new(Vec::new()), None);
    }
}
