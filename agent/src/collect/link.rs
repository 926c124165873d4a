//! The private wire between the agent and its plugin host: framing and messages, pure.
//!
//! A frame is `length: u32 ‖ kind: u8 ‖ body`, little-endian, the length counting kind and body. Strings
//! are `length: u32 ‖ UTF-8`. Both ends are the same binary, so nothing here is versioned; but a plugin
//! shares the host's address space and may scribble on the socket, so the agent's decoder takes any bytes
//! and answers with an error.

use std::time::Duration;

use barograph_sdk::abi;

use super::codec::{Reader, Writer};
use crate::catalog::{ChartHint, ChartStyle, Kind, Unit};
use crate::clock::Tier;

/// Bytes of a frame, length field excluded. A tick of 100,000 samples is 1.2 MB.
pub const FRAME_BYTES_MAX: usize = 4 << 20;
/// Bytes of the length field.
pub const LENGTH_BYTES: usize = 4;

/// What the host is to do with a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Create an instance and collect.
    Collect,
    /// Check the configuration and end.
    Check,
}

/// From the agent to the host.
#[derive(Clone, Debug, PartialEq)]
pub enum ToHost {
    /// The first message.
    Load {
        /// What for.
        purpose: Purpose,
        /// Path of the library.
        library: String,
        /// The plugin's own configuration, JSON.
        config: String,
        /// Series that may live at a time.
        series_max: u32,
    },
    /// Collect now.
    Collect {
        /// Number of the tick.
        number: u64,
        /// Wall time of the tick, Unix milliseconds.
        at_ms: i64,
        /// Tiers that are due, as in [`abi::Tick::tiers`].
        tiers: u32,
        /// How long it may take.
        deadline: Duration,
    },
    /// Give up on the running call.
    Cancel,
    /// Stop the instance and exit.
    Stop,
}

/// A metric as the plugin declared it.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricDefinition {
    /// Name with base unit.
    pub name: String,
    /// For people.
    pub help: String,
    /// OpenTelemetry name; empty if none.
    pub otel: String,
    /// Gauge or counter.
    pub kind: Kind,
    /// Unit.
    pub unit: Unit,
    /// Tier.
    pub tier: Tier,
    /// Label names.
    pub labels: Vec<String>,
    /// How the page shows it.
    pub chart: ChartHint,
}

/// Result of a collect.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Done {
    /// Number of the tick.
    pub number: u64,
    /// One of the ABI's return codes.
    pub code: i32,
    /// Why, where the code is not OK.
    pub error: Option<String>,
    /// Samples that were NaN, infinite or of an unknown series.
    pub refused: u32,
    /// `(host's series id, value)`.
    pub samples: Vec<(u32, f64)>,
}

/// From the host to the agent. Ids are the host's own, counted from 0.
#[derive(Clone, Debug, PartialEq)]
pub enum ToAgent {
    /// The instance was created and started, or the configuration is good.
    Ready {
        /// The plugin's name.
        name: String,
        /// The plugin's topic.
        topic: String,
        /// The plugin's version.
        version: String,
    },
    /// The library or its configuration can't be used; the host exits.
    Failed {
        /// One of the ABI's return codes.
        code: i32,
        /// Dotted path of a configuration key, or empty.
        field: String,
        /// Why.
        message: String,
    },
    /// The next metric id is this metric.
    Metric(Box<MetricDefinition>),
    /// The next series id is this series.
    Series {
        /// The host's metric id.
        metric: u32,
        /// Label values.
        values: Vec<String>,
    },
    /// The series will not come again.
    Retire {
        /// The host's series id.
        series: u32,
    },
    /// A line for the log.
    Log {
        /// Index into [`abi::LOG_LEVELS`].
        level: u8,
        /// The line.
        message: String,
    },
    /// A collect ended.
    Done(Done),
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The frame ends before its message does.
    #[error("message is cut short")]
    Short,
    /// The frame goes on after its message.
    #[error("message has {0} bytes too many")]
    Long(usize),
    /// A kind, code or index that does not exist.
    #[error("message has an unknown {0}")]
    Unknown(&'static str),
    /// A string is not UTF-8.
    #[error("message has a string that is not UTF-8")]
    Utf8,
    /// The length field is above the bound.
    #[error("frame of {0} bytes is above the bound of 4 MiB")]
    TooLarge(usize),
}

/// Takes the next whole frame's kind and body off the front of `bytes`, with its whole length.
pub fn frame(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, LinkError> {
    let Some(length) = bytes.first_chunk::<LENGTH_BYTES>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*length) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(LinkError::TooLarge(length));
    }
    let whole = LENGTH_BYTES + length;
    Ok(bytes.get(LENGTH_BYTES..whole).map(|body| (body, whole)))
}

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
            } => {
                w.u8(0).u8(u8::from(*purpose == Purpose::Check));
                w.str(library).str(config).u32(*series_max);
            }
            Self::Collect {
                number,
                at_ms,
                tiers,
                deadline,
            } => {
                let deadline_ns = u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX);
                w.u8(1)
                    .u64(*number)
                    .u64(at_ms.cast_unsigned())
                    .u32(*tiers)
                    .u64(deadline_ns);
            }
            Self::Cancel => drop(w.u8(2)),
            Self::Stop => drop(w.u8(3)),
        }
    }

    /// Reads kind and body.
    pub fn decode(bytes: &[u8]) -> Result<Self, LinkError> {
        let mut r = Reader::new(bytes);
        let message = match r.u8()? {
            0 => Self::Load {
                purpose: if r.u8()? == 0 {
                    Purpose::Collect
                } else {
                    Purpose::Check
                },
                library: r.str()?,
                config: r.str()?,
                series_max: r.u32()?,
            },
            1 => Self::Collect {
                number: r.u64()?,
                at_ms: r.u64()?.cast_signed(),
                tiers: r.u32()?,
                deadline: Duration::from_nanos(r.u64()?),
            },
            2 => Self::Cancel,
            3 => Self::Stop,
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
                    .u32(done.refused);
                for (series, value) in &done.samples {
                    w.u32(*series).u64(value.to_bits());
                }
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
            _ => return Err(LinkError::Unknown("kind")),
        };
        r.end(message)
    }
}

/// The kind with this number in the ABI.
pub fn kind(number: u32) -> Result<Kind, LinkError> {
    match number {
        abi::KIND_GAUGE => Ok(Kind::Gauge),
        abi::KIND_COUNTER => Ok(Kind::Counter),
        _ => Err(LinkError::Unknown("metric kind")),
    }
}

/// The unit with this number in the ABI.
pub fn unit(number: u32) -> Result<Unit, LinkError> {
    const UNITS: [Unit; abi::UNITS.len()] = [
        Unit::Count,
        Unit::Bytes,
        Unit::Seconds,
        Unit::Ratio,
        Unit::Hertz,
        Unit::Celsius,
        Unit::Packets,
        Unit::Operations,
        Unit::Info,
    ];
    UNITS
        .get(number as usize)
        .copied()
        .ok_or(LinkError::Unknown("unit"))
}

/// The tier with this number in the ABI.
pub fn tier(number: u32) -> Result<Tier, LinkError> {
    Tier::ALL
        .get(number as usize)
        .copied()
        .ok_or(LinkError::Unknown("tier"))
}

/// The chart style with this number in the ABI.
pub fn style(number: u32) -> Result<ChartStyle, LinkError> {
    const STYLES: [ChartStyle; abi::CHART_STYLES.len()] = [
        ChartStyle::Line,
        ChartStyle::Area,
        ChartStyle::Stacked,
        ChartStyle::None,
    ];
    STYLES
        .get(number as usize)
        .copied()
        .ok_or(LinkError::Unknown("chart style"))
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
        let mut samples = Vec::with_capacity(self.left() / 12);
        while self.left() > 0 {
            samples.push((self.u32()?, f64::from_bits(self.u64()?)));
        }
        Ok(Done {
            number,
            code,
            error: failed.then_some(error),
            refused,
            samples,
        })
    }
}

#[cfg(test)]
mod tests;
