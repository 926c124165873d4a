//! The arguments that `query` and `export` share: which series, and when.

use std::path::PathBuf;

use clap::Args;
use serde::de::DeserializeOwned;

use super::Failure;
use crate::control::request::Scope;
use crate::moment;

/// Which series, and when.
#[derive(Debug, Args)]
pub(super) struct ScopeArguments {
    /// Only series with this label; can be given several times
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Only series of this collector
    #[arg(long, value_name = "NAME")]
    collector: Option<String>,
    /// Up to now, from so long ago, such as 15m, 6h or 2d
    #[arg(long, value_name = "LENGTH", conflicts_with_all = ["from", "to"], value_parser = length)]
    last: Option<i64>,
    /// From here: 2026-11-21T04:00:00Z, Unix seconds or milliseconds, or relative to now such as -2h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// Up to here, without it; now unless given
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// Another data folder than the configured one
    #[arg(long, value_name = "FOLDER")]
    pub(super) data_dir: Option<PathBuf>,
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a label is NAME=VALUE, such as cpu=0".to_owned()),
    }
}

fn length(text: &str) -> Result<i64, String> {
    moment::length(text).map_err(|error| error.to_string())
}

/// Reads one of the words of an enum of the wire.
pub(super) fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|error| error.to_string())
}

impl ScopeArguments {
    /// With the range in Unix milliseconds; `last_ms` is how far it goes back unless something was given.
    pub(super) fn scope(
        self,
        metrics: Vec<String>,
        last_ms: i64,
        now_ms: i64,
    ) -> Result<Scope, Failure> {
        let read = |text: String| {
            moment::parse(&text, now_ms).map_err(|error| Failure::Usage(error.to_string()))
        };
        let to_ms = self.to.map_or(Ok(now_ms), read)?;
        let from_ms = match self.from {
            Some(from) => read(from)?,
            None => to_ms - self.last.unwrap_or(last_ms),
        };
        if from_ms >= to_ms {
            let message = "the range ends before it begins; --from must be before --to";
            return Err(Failure::Usage(message.to_owned()));
        }
        Ok(Scope {
            metrics,
            labels: self.labels.into_iter().collect(),
            collector: self.collector,
            from_ms,
            to_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::protocol::Aggregation;

    #[derive(Debug, Parser)]
    struct Only {
        #[command(flatten)]
        scope: ScopeArguments,
    }

    const NOW: i64 = 1_795_233_600_000;

    fn scope(arguments: &[&str]) -> Result<Scope, String> {
        let arguments = ["x"].iter().chain(arguments);
        let parsed = Only::try_parse_from(arguments).map_err(|error| error.to_string())?;
        parsed
            .scope
            .scope(Vec::new(), 60_000, NOW)
            .map_err(|failure| failure.to_string())
    }

    #[test]
    fn ranges() {
        let range = |arguments| scope(arguments).map(|scope| (scope.from_ms, scope.to_ms));
        assert_eq!(range(&[]), Ok((NOW - 60_000, NOW)));
        assert_eq!(range(&["--last", "1h"]), Ok((NOW - 3_600_000, NOW)));
        assert_eq!(
            range(&["--from", "-2h", "--to", "-1h"]),
            Ok((NOW - 7_200_000, NOW - 3_600_000))
        );
        assert_eq!(
            range(&["--from", "2026-11-21"]),
            Ok((NOW - 14_400_000, NOW))
        );
        assert_eq!(
            range(&["--to", "1795233000"]),
            Ok((NOW - 660_000, NOW - 600_000))
        );
        for bad in [
            &["--last", "x"][..],
            &["--from", "x"],
            &["--from", "now"],
            &["--last", "1h", "--to", "now"],
        ] {
            assert!(range(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn labels_and_words() {
        let labels = scope(&["--label", "cpu=0", "--label", "mode=a=b"])
            .unwrap()
            .labels;
        assert_eq!(labels["cpu"], "0");
        assert_eq!(labels["mode"], "a=b");
        assert!(scope(&["--label", "cpu"]).is_err());
        assert_eq!(word("p95"), Ok(Aggregation::P95));
        let error = word::<Aggregation>("mean").unwrap_err();
        assert!(error.contains("`envelope`"), "{error}");
    }
}
