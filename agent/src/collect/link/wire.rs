//! The bytes of the messages: one `encode` and one `decode` for each direction.
//!
//! The first byte says which message it is; the fields follow in the order in which they are written here.
//! Whatever is not exactly one message is an error.

use std::time::Duration;

use super::{Done, LinkError, MetricDefinition, PluginEvent, Purpose, ToAgent, ToHost};
use super::{kind, style, tier, unit};
use crate::catalog::ChartHint;
use crate::collect::codec::{Reader, Writer};

impl ToHost {
    /// Appends the frame to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut w = Writer::begin(out);
        match self {
            Self::Load {
                purpose,
                library,
                config,
                series_max,
                position,
            } => {
                w.u8(0).u8(*purpose as u8);
                w.str(library).str(config).u32(*series_max).str(position);
            }
            Self::Collect {
                number,
                at_ms,
                tiers,
                deadline,
                events_stored,
            } => {
                let deadline_ns = u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX);
                w.u8(1)
                    .u64(*number)
                    .u64(at_ms.cast_unsigned())
                    .u32(*tiers)
                    .u64(deadline_ns)
                    .u64(*events_stored);
            }
            Self::Reconfigure { config } => drop(w.u8(4).str(config)),
            Self::Lookup {
                id,
                name,
                parameter,
            } => drop(w.u8(5).u32(*id).str(name).str(parameter)),
            Self::Cancel => drop(w.u8(2)),
            Self::Stop => drop(w.u8(3)),
        }
    }

    /// Reads kind and body.
    pub fn decode(bytes: &[u8]) -> Result<Self, LinkError> {
        let mut r = Reader::new(bytes);
        let message = match r.u8()? {
            0 => Self::Load {
                purpose: match r.u8()? {
                    0 => Purpose::Collect,
                    1 => Purpose::Check,
                    2 => Purpose::Describe,
                    _ => return Err(LinkError::Unknown("purpose")),
                },
                library: r.str()?,
                config: r.str()?,
                series_max: r.u32()?,
                position: r.str()?,
            },
            1 => Self::Collect {
                number: r.u64()?,
                at_ms: r.u64()?.cast_signed(),
                tiers: r.u32()?,
                deadline: Duration::from_nanos(r.u64()?),
                events_stored: r.u64()?,
            },
            2 => Self::Cancel,
            3 => Self::Stop,
            4 => Self::Reconfigure { config: r.str()? },
            5 => Self::Lookup {
                id: r.u32()?,
                name: r.str()?,
                parameter: r.str()?,
            },
            _ => return Err(LinkError::Unknown("kind")),
        };
        r.end(message)
    }
}

impl ToAgent {
    /// Appends the frame to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut w = Writer::begin(out);
        match self {
            Self::Ready {
                name,
                topic,
                version,
            } => drop(w.u8(0).str(name).str(topic).str(version)),
            Self::Failed {
                code,
                field,
                message,
            } => {
                w.u8(1).u32(code.cast_unsigned()).str(field).str(message);
            }
            Self::Metric(metric) => {
                w.u8(2)
                    .str(&metric.name)
                    .str(&metric.help)
                    .str(&metric.otel);
                w.u8(metric.kind as u8)
                    .u8(metric.unit as u8)
                    .u8(metric.tier as u8);
                w.strs(&metric.labels)
                    .str(&metric.chart.section)
                    .str(&metric.chart.title);
                w.u8(metric.chart.style as u8)
                    .u8(u8::from(metric.chart.overview));
            }
            Self::Series { metric, values } => drop(w.u8(3).u32(*metric).strs(values)),
            Self::Retire { series } => drop(w.u8(4).u32(*series)),
            Self::Log { level, message } => drop(w.u8(5).u8(*level).str(message)),
            Self::Done(done) => {
                w.u8(6).u64(done.number).u32(done.code.cast_unsigned());
                w.u8(u8::from(done.error.is_some()));
                w.str(done.error.as_deref().unwrap_or_default())
                    .u32(done.refused)
                    .str(&done.refusal)
                    .u32(done.dropped)
                    .u64(u64::try_from(done.took.as_nanos()).unwrap_or(u64::MAX));
                for (series, value) in &done.samples {
                    w.u32(*series).u64(value.to_bits());
                }
            }
            Self::Event(event) => {
                w.u8(7).u64(event.sequence).u8(event.level);
                w.u64(event.at_ms.cast_unsigned()).str(&event.name);
                w.str(&event.data).str(&event.position);
            }
            Self::Reconfigured {
                code,
                field,
                message,
            } => {
                w.u8(8).u32(code.cast_unsigned()).str(field).str(message);
            }
            Self::Manifest(manifest) => drop(w.u8(9).str(manifest)),
            Self::LookedUp { id, code, answer } => {
                w.u8(10).u32(*id).u32(code.cast_unsigned()).str(answer);
            }
        }
    }

    /// Reads kind and body.
    pub fn decode(bytes: &[u8]) -> Result<Self, LinkError> {
        let mut r = Reader::new(bytes);
        let message = match r.u8()? {
            0 => Self::Ready {
                name: r.str()?,
                topic: r.str()?,
                version: r.str()?,
            },
            1 => Self::Failed {
                code: r.u32()?.cast_signed(),
                field: r.str()?,
                message: r.str()?,
            },
            2 => Self::Metric(Box::new(r.metric()?)),
            3 => Self::Series {
                metric: r.u32()?,
                values: r.strs()?,
            },
            4 => Self::Retire { series: r.u32()? },
            5 => Self::Log {
                level: r.u8()?,
                message: r.str()?,
            },
            6 => Self::Done(r.done()?),
            7 => Self::Event(Box::new(PluginEvent {
                sequence: r.u64()?,
                level: r.u8()?,
                at_ms: r.u64()?.cast_signed(),
                name: r.str()?,
                data: r.str()?,
                position: r.str()?,
            })),
            8 => Self::Reconfigured {
                code: r.u32()?.cast_signed(),
                field: r.str()?,
                message: r.str()?,
            },
            9 => Self::Manifest(r.str()?),
            10 => Self::LookedUp {
                id: r.u32()?,
                code: r.u32()?.cast_signed(),
                answer: r.str()?,
            },
            _ => return Err(LinkError::Unknown("kind")),
        };
        r.end(message)
    }
}

impl Reader<'_> {
    fn metric(&mut self) -> Result<MetricDefinition, LinkError> {
        Ok(MetricDefinition {
            name: self.str()?,
            help: self.str()?,
            otel: self.str()?,
            kind: kind(self.u8()?.into())?,
            unit: unit(self.u8()?.into())?,
            tier: tier(self.u8()?.into())?,
            labels: self.strs()?,
            chart: ChartHint {
                section: self.str()?,
                title: self.str()?,
                style: style(self.u8()?.into())?,
                overview: self.u8()? != 0,
            },
        })
    }

    fn done(&mut self) -> Result<Done, LinkError> {
        let number = self.u64()?;
        let code = self.u32()?.cast_signed();
        let failed = self.u8()? != 0;
        let error = self.str()?;
        let refused = self.u32()?;
        let refusal = self.str()?;
        let dropped = self.u32()?;
        let took = Duration::from_nanos(self.u64()?);
        let mut samples = Vec::with_capacity(self.left() / 12);
        while self.left() > 0 {
            samples.push((self.u32()?, f64::from_bits(self.u64()?)));
        }
        Ok(Done {
            number,
            code,
            error: failed.then_some(error),
            refused,
            refusal,
            dropped,
            took,
            samples,
        })
    }
}
