//! What can be asked on `agent.sock`, and by the command line of a folder that no agent runs on: the same requests,
//! the same work.
//!
//! A request is one line of JSON. The answer to `query` is one JSON object a line: first how it was answered, then
//! each series, last why it is not all that was asked for, if it is not; that to `export` the text; that to `backup` the file.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::frame::{Code, Refusal};
use crate::matching;
use crate::protocol::{Aggregation, HistorySeries, Match, Resolution};
use crate::store::backup::{self, BackupError};
use crate::store::engine::Engine;
use crate::store::export::{self, Export, ExportError, Format};
use crate::store::query::{Query, QueryError, Row};
use crate::store::registry::{Selector, StoredSeries};
use crate::words;

/// A request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub enum Request {
    /// Points of some series.
    Query(Question),
    /// Samples as text.
    Export(Extract),
    /// Everything, in one file.
    Backup(Nothing),
}

/// A request without parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Which series, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Names of metrics, `*` for any run of characters; none means all.
    pub metrics: Vec<String>,
    /// Labels that must have these values.
    pub labels: BTreeMap<String, String>,
    /// Name of the collector.
    pub collector: Option<String>,
    /// From here, Unix milliseconds.
    pub from_ms: i64,
    /// Up to here, without it.
    pub to_ms: i64,
}

/// Parameters of `query`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Which series, and when.
    pub scope: Scope,
    /// How many points at most.
    pub points: u32,
    /// What a point says.
    pub aggregation: Aggregation,
    /// What is read; `None` lets the width of a point decide.
    pub resolution: Option<Resolution>,
}

/// Parameters of `export`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extract {
    /// Which series, and when.
    pub scope: Scope,
    /// Samples, or points.
    pub resolution: Resolution,
    /// How it is written.
    pub format: Format,
}

/// The first line of the answer to a query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// Start of the first point.
    pub from: i64,
    /// End of the last point.
    pub to: i64,
    /// Width of a point.
    pub step: i64,
    /// What the points were made from.
    pub resolution: Resolution,
    /// What they say.
    pub agg: Aggregation,
}

/// The last line of an answer to a query that is not all that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stopped {
    /// A limit, or what is damaged.
    pub stopped: String,
}

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum Undone {
    /// It makes no sense, or the store failed.
    #[error(transparent)]
    Refused(Refusal),
    /// The answer could not be written: whoever asked has gone.
    #[error(transparent)]
    Write(#[from] io::Error),
}

impl Undone {
    fn bad(message: impl Into<String>) -> Self {
        Self::Refused(Refusal::new(Code::BadRequest, message))
    }

    fn failed(error: &dyn std::error::Error) -> Self {
        Self::Refused(Refusal::new(Code::Failed, error.to_string()))
    }
}

impl From<QueryError> for Undone {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Bad(..) => Self::bad(error.to_string()),
            QueryError::Store(_) => Self::failed(&error),
        }
    }
}

impl From<ExportError> for Undone {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Write(error) => Self::Write(error),
            ExportError::Query(error) => error.into(),
        }
    }
}

impl From<BackupError> for Undone {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Write(error) => Self::Write(error),
            BackupError::Store(error) => Self::failed(&error),
        }
    }
}

impl Scope {
    fn selector(&self) -> Result<Selector, Undone> {
        let matching = Match {
            metrics: self.metrics.clone(),
            labels: self.labels.clone(),
        };
        matching::check(&matching).map_err(|error| Undone::bad(error.message))?;
        if self.from_ms >= self.to_ms {
            return Err(Undone::bad(
                "the range ends before it begins; `from` must be before `to`",
            ));
        }
        let collector = self.collector.clone();
        Ok(Selector {
            matching,
            collector,
        })
    }
}

impl Request {
    /// Does it. Blocks on the disk and on `out`. What the person who asked should know besides the answer is
    /// given back.
    pub fn perform(
        &self,
        engine: &Engine,
        root: &Path,
        now_ms: i64,
        out: &mut dyn Write,
    ) -> Result<Vec<String>, Undone> {
        match self {
            Self::Query(question) => question.perform(engine, now_ms, out),
            Self::Export(extract) => extract.perform(engine, out),
            Self::Backup(_) => {
                let contents = backup::write(engine, root, now_ms, out)?;
                Ok(left_out(
                    contents.damaged,
                    "damaged group",
                    "damaged groups",
                ))
            }
        }
    }
}

fn left_out(count: u64, one: &str, several: &str) -> Vec<String> {
    let what = words::count(count, one, several);
    let note = format!(
        "left out {what} that could not be read; stop the agent and run `barograph doctor`"
    );
    (count > 0).then_some(note).into_iter().collect()
}

impl Question {
    fn perform(
        &self,
        engine: &Engine,
        now_ms: i64,
        out: &mut dyn Write,
    ) -> Result<Vec<String>, Undone> {
        let query = Query {
            selector: self.scope.selector()?,
            from_ms: self.scope.from_ms,
            to_ms: self.scope.to_ms,
            points: self.points,
            aggregation: self.aggregation,
            resolution: self.resolution,
        };
        let plan = engine.plan(&query, now_ms)?;
        let head = Head {
            from: plan.from_ms,
            to: plan.to_ms,
            step: plan.step_ms,
            resolution: plan.resolution,
            agg: self.aggregation,
        };
        line(out, &head)?;
        let mut written = Ok(());
        let answered = engine.answer(&plan, self.aggregation, &mut |series, row| {
            written = line(out, &in_words(series, row));
            written.is_ok()
        })?;
        written?;
        if let Some(stopped) = answered.stopped {
            line(out, &Stopped { stopped })?;
        }
        Ok(Vec::new())
    }
}

fn line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

fn in_words(series: &StoredSeries, row: &Row) -> HistorySeries {
    let points = |values: &[f64]| -> Option<Vec<Option<f64>>> {
        let finite = |value: &f64| value.is_finite().then_some(*value);
        (!values.is_empty()).then(|| values.iter().map(finite).collect())
    };
    let is_envelope = !row.min.is_empty();
    HistorySeries {
        metric: series.metric.clone(),
        kind: series.kind,
        unit: series.unit,
        collector: series.collector.clone(),
        labels: series.labels.clone(),
        min: points(&row.min),
        avg: is_envelope.then(|| points(&row.value)).flatten(),
        max: points(&row.max),
        values: (!is_envelope).then(|| points(&row.value)).flatten(),
    }
}

impl Extract {
    fn perform(&self, engine: &Engine, out: &mut dyn Write) -> Result<Vec<String>, Undone> {
        let export = Export {
            selector: self.scope.selector()?,
            from_ms: self.scope.from_ms,
            to_ms: self.scope.to_ms,
            resolution: self.resolution,
            format: self.format,
        };
        let exported = export::write(engine, &export, out)?;
        let mut notes = left_out(exported.damaged, "damaged chunk", "damaged chunks");
        notes.extend(exported.stopped);
        Ok(notes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_one_line_each() {
        let requests = [
            Request::Query(Question {
                scope: Scope {
                    metrics: vec!["system_*".to_owned()],
                    labels: [("cpu".to_owned(), "0".to_owned())].into(),
                    collector: None,
                    from_ms: 1,
                    to_ms: 2,
                },
                points: 60,
                aggregation: Aggregation::Avg,
                resolution: Some(Resolution::Minute),
            }),
            Request::Export(Extract {
                scope: Scope::default(),
                resolution: Resolution::Raw,
                format: Format::JsonLines,
            }),
            Request::Backup(Nothing {}),
        ];
        for request in requests {
            let text = serde_json::to_string(&request).unwrap();
            assert!(!text.contains('\n'));
            assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), request);
        }
        assert_eq!(
            serde_json::to_string(&Request::Backup(Nothing {})).unwrap(),
            r#"{"do":"backup"}"#
        );
        for text in [
            "{}",
            r#"{"do":"format"}"#,
            r#"{"do":"backup","x":1}"#,
            r#"{"do":"query","points":1}"#,
            "[]",
        ] {
            assert!(serde_json::from_str::<Request>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_scope_has_a_beginning_before_its_end() {
        let scope = |from_ms, to_ms| Scope {
            from_ms,
            to_ms,
            ..Scope::default()
        };
        assert!(scope(1, 2).selector().is_ok());
        assert!(matches!(
            scope(2, 2).selector(),
            Err(Undone::Refused(Refusal {
                code: Code::BadRequest,
                ..
            }))
        ));
    }
}
