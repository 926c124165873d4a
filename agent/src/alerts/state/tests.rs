//! The cases of `cases/`, and what holds for any sequence of values.
//!
//! A case's lines: `load above|below [warning=N] [critical=N] clear=N for=SECONDS`; `eval AT VALUE|- STATE
//! [SEVERITY] [+TRANSITION]` with AT in seconds; `clock SECONDS` steps the wall clock; `restart` writes the
//! state out and reads it back; `end` says that the series is gone.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::protocol::Comparison;

struct Case {
    limits: Option<Limits>,
    state: State,
    stepped_ms: i64,
    last_s: i64,
}

fn limits(words: &[&str]) -> Limits {
    let comparison = match words[0] {
        "above" => Comparison::Above,
        "below" => Comparison::Below,
        other => panic!("`{other}` is no comparison"),
    };
    let number = |key: &str| {
        let word = words.iter().find_map(|word| word.strip_prefix(key));
        word.map(|text| text.parse::<f64>().expect("a number"))
    };
    Limits {
        comparison,
        warning: number("warning="),
        critical: number("critical="),
        clear: number("clear=").expect("a clear threshold"),
        hold: Duration::from_secs_f64(number("for=").expect("a time")),
    }
}

fn word(state: &State) -> String {
    let (name, severity) = match state {
        State::Inactive => return "inactive".to_owned(),
        State::Pending { severity, .. } => ("pending", severity),
        State::Firing { severity, .. } => ("firing", severity),
        State::Resolved { severity, .. } => ("resolved", severity),
    };
    format!("{name} {severity:?}").to_lowercase()
}

fn told(state: &State, transition: Option<Transition>) -> String {
    let transition = transition.map(|what| format!(" +{what:?}").to_lowercase());
    word(state) + &transition.unwrap_or_default()
}

impl Case {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<_> = line.split_whitespace().collect();
        let transition = match words[0] {
            "load" => {
                self.limits = Some(limits(&words[1..]));
                return Ok(());
            }
            "clock" => {
                self.stepped_ms += words[1].parse::<i64>().expect("seconds") * 1_000;
                return Ok(());
            }
            "restart" => {
                let written = serde_json::to_string(&self.state).expect("it is plain");
                self.state = serde_json::from_str(&written).expect("it was written so");
                return Ok(());
            }
            "eval" => {
                self.last_s = words[1].parse().expect("seconds");
                let value = (words[2] != "-").then(|| words[2].parse().expect("a value"));
                let limits = self.limits.as_ref().expect("a `load` first");
                let (state, transition) = step(limits, &self.state, value, self.now());
                self.state = state;
                transition
            }
            "end" => {
                let (state, transition) = end(&self.state, self.now());
                self.state = state;
                transition
            }
            other => panic!("`{other}` is no word of a case"),
        };
        let expected = match words[0] {
            "eval" => words[3..].join(" "),
            _ => words[1..].join(" "),
        };
        let found = told(&self.state, transition);
        if found == expected {
            return Ok(());
        }
        Err(format!("expected `{expected}`, found `{found}`"))
    }

    fn now(&self) -> Moment {
        Moment {
            wall_ms: 1_700_000_000_000 + self.last_s * 1_000 + self.stepped_ms,
            mono_ms: self.last_s * 1_000,
        }
    }
}

#[test]
fn every_case_goes_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/alerts/cases");
    let mut evaluated = 0;
    for file in std::fs::read_dir(&folder).expect("the cases") {
        let path = file.expect("a file").path();
        let text = std::fs::read_to_string(&path).expect("readable text");
        let mut case = Case {
            limits: None,
            state: State::Inactive,
            stepped_ms: 0,
            last_s: 0,
        };
        let lines = text.lines().map(str::trim).zip(1..);
        for (line, number) in lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#')) {
            if let Err(message) = case.line(line) {
                panic!("{}:{number}: {message}", path.display());
            }
            evaluated += 1;
        }
    }
    assert!(evaluated > 60, "only {evaluated} lines of cases were found");
}

#[derive(Clone, Copy, Debug)]
enum Move {
    Value(f64),
    Nothing,
    Restart,
    End,
}

fn moves() -> impl Strategy<Value = Vec<(Move, i64)>> {
    let one = prop_oneof![
        8 => (0.0..12.0f64).prop_map(Move::Value),
        2 => Just(Move::Nothing),
        1 => Just(Move::Restart),
        1 => Just(Move::End),
    ];
    // A tick is a second; now and then an hour passes, or the wall clock goes back.
    let passed = prop_oneof![8 => Just(1_000i64), 1 => Just(3_700_000), 1 => Just(-5_000)];
    prop::collection::vec((one, passed), 1..200)
}

fn is_legal(before: &State, after: &State, transition: Option<Transition>) -> bool {
    use State::{Firing, Inactive, Pending, Resolved};
    match transition {
        None => std::mem::discriminant(before) == std::mem::discriminant(after),
        Some(Transition::Pending) => {
            matches!(
                (before, after),
                (Inactive | Resolved { .. }, Pending { .. })
            )
        }
        Some(Transition::Dropped) => matches!((before, after), (Pending { .. }, Inactive)),
        Some(Transition::Fired) => {
            !matches!(before, Firing { .. }) && matches!(after, Firing { .. })
        }
        Some(Transition::Worsened) => matches!((before, after), (Firing { .. }, Firing { .. })),
        Some(Transition::Resolved) => matches!((before, after), (Firing { .. }, Resolved { .. })),
        Some(Transition::Forgotten) => matches!((before, after), (Resolved { .. }, Inactive)),
    }
}

proptest! {
    #[test]
    fn states_alternate_and_nothing_is_told_twice(moves in moves(), hold_s in 0u64..5, clear in 3.0..5.0f64) {
        let limits = Limits {
            comparison: Comparison::Above,
            warning: Some(5.0),
            critical: Some(9.0),
            clear,
            hold: Duration::from_secs(hold_s),
        };
        let (mut state, mut wall_ms, mut mono_ms) = (State::Inactive, 0, 0);
        let mut firing: Option<Severity> = None;
        for (what, passed_ms) in moves {
            wall_ms += passed_ms;
            mono_ms += passed_ms.max(1);
            let now = Moment { wall_ms, mono_ms };
            let (after, transition) = match what {
                Move::Value(value) => step(&limits, &state, Some(value), now),
                Move::Nothing => step(&limits, &state, None, now),
                Move::End => end(&state, now),
                Move::Restart => {
                    let text = serde_json::to_string(&state).unwrap();
                    (serde_json::from_str(&text).unwrap(), None)
                }
            };
            prop_assert!(is_legal(&state, &after, transition), "{state:?} {transition:?} {after:?}");
            if let (Move::Value(value), State::Pending { .. }) = (what, after) {
                prop_assert!(value > 5.0);
            }
            if let State::Firing { fired_ms, severity, held, .. } = after {
                match transition {
                    Some(Transition::Fired) => {
                        prop_assert_eq!(firing, None);
                        prop_assert!(held.any_ms >= i64::try_from(hold_s * 1_000).unwrap());
                        prop_assert_eq!(fired_ms, wall_ms);
                        firing = Some(severity);
                    }
                    Some(Transition::Worsened) => {
                        prop_assert!(firing.is_some_and(|before| before < severity));
                        firing = Some(severity);
                    }
                    _ => prop_assert_eq!(firing, Some(severity)),
                }
            } else if firing.is_some() {
                prop_assert_eq!(transition, Some(Transition::Resolved));
                firing = None;
            }
            state = after;
        }
    }
}
