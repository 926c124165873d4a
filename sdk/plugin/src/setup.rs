//! What a collector declares while it is made: [`Setup`] and its metric builder.
//!
//! A declaration goes to the host at once. The first refusal, by the host or by the SDK itself, is kept and
//! fails the creation as a whole, so that authors need not check each family.

use std::{marker::PhantomData, ptr, sync::Arc};

use crate::{
    Error, Events, Log, abi,
    export::{Link, struct_size},
    family::{Counter, CounterKind, Family, Gauge, GaugeKind, Kind},
    histogram::{Buckets, Histogram, HistogramKind},
    registry::{FamilyDeclaration, Registry},
};

/// How often a metric is sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Tier {
    /// Every second.
    #[default]
    Fast = abi::TIER_FAST,
    /// Every five seconds.
    Medium = abi::TIER_MEDIUM,
    /// Every thirty seconds.
    Slow = abi::TIER_SLOW,
}

impl Tier {
    pub(crate) fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// Base unit of a metric's values. A counter's rate is in that unit per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Unit {
    /// A number of things.
    #[default]
    Count = 0,
    /// Bytes.
    Bytes = 1,
    /// Seconds.
    Seconds = 2,
    /// A share, 0 to 1.
    Ratio = 3,
    /// Hertz.
    Hertz = 4,
    /// Degrees Celsius.
    Celsius = 5,
    /// Network packets.
    Packets = 6,
    /// Reads, writes, calls.
    Operations = 7,
    /// The value is always 1, the labels are the information.
    Info = 8,
}

/// How the page draws a metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum ChartStyle {
    /// One line a series.
    #[default]
    Line = 0,
    /// A filled line.
    Area = 1,
    /// Filled lines on top of each other: the series are parts of a whole.
    Stacked = 2,
    /// Not drawn.
    None = 3,
}

/// Handed to [`Collector::new`](crate::Collector::new) to declare metrics.
#[derive(Debug)]
pub struct Setup<'a> {
    link: &'a Arc<Link>,
    registry: &'a mut Registry,
    /// `FEATURE_…` bits of the manifest.
    features: u64,
    refused: Option<Error>,
}

impl<'a> Setup<'a> {
    pub(crate) fn new(link: &'a Arc<Link>, registry: &'a mut Registry, features: u64) -> Self {
        Self {
            link,
            registry,
            features,
            refused: None,
        }
    }

    /// Begins a metric whose values go up and down. End it with [`Metric::build`].
    pub fn gauge(&mut self, name: &str) -> Metric<'_, 'a, GaugeKind, 0> {
        Metric::new(self, name)
    }

    /// Begins a metric whose totals only grow; its name ends in `_total`.
    pub fn counter(&mut self, name: &str) -> Metric<'_, 'a, CounterKind, 0> {
        Metric::new(self, name)
    }

    /// Begins a metric that tells how its values are distributed; it has to be given its
    /// [`buckets`](Metric::buckets).
    pub fn histogram(&mut self, name: &str) -> Metric<'_, 'a, HistogramKind, 0> {
        Metric::new(self, name)
    }

    /// A handle to the agent's log for tasks that run between ticks.
    pub fn log(&self) -> Log {
        Log::new(Arc::clone(self.link))
    }

    /// A handle for saying that something happened, from `collect` or from tasks between ticks. The
    /// manifest has to announce it with [`Manifest::events`](crate::Manifest::events).
    pub fn events(&mut self) -> Events {
        if self.features & abi::FEATURE_EVENTS == 0 {
            self.refuse("events need `.events()` in the manifest".to_owned());
        }
        Events::new(Arc::clone(self.link))
    }

    /// The [`position`](crate::Event::position) of the last event that the agent has stored, or empty: from
    /// there the source is read on. It outlives the process, the plugin's update and the agent.
    pub fn position(&self) -> &str {
        self.link.position()
    }

    /// Fails the creation; the first reason is the one that is told.
    fn refuse(&mut self, message: String) {
        self.refused.get_or_insert_with(|| Error::fatal(message));
    }

    pub(crate) fn finish(self) -> Result<(), Error> {
        self.refused.map_or(Ok(()), Err)
    }
}

/// A metric being declared.
///
/// Defaults: unit count, tier fast, no labels, drawn as lines in a chart of its own.
#[derive(Debug)]
#[must_use = "a metric is declared by `build`"]
pub struct Metric<'s, 'a, K, const N: usize> {
    setup: &'s mut Setup<'a>,
    name: String,
    help: String,
    otel: String,
    unit: Unit,
    tier: Tier,
    labels: [String; N],
    section: String,
    title: String,
    style: ChartStyle,
    overview: bool,
    retire_after_ticks: u32,
    bounds: Vec<f64>,
    kind: PhantomData<K>,
}

/// A series that had no value for so many ticks of its tier is retired.
const RETIRE_AFTER_TICKS: u32 = 10;

impl<'s, 'a, K: Kind> Metric<'s, 'a, K, 0> {
    fn new(setup: &'s mut Setup<'a>, name: &str) -> Self {
        Self {
            setup,
            name: name.to_owned(),
            help: String::new(),
            otel: String::new(),
            unit: Unit::default(),
            tier: Tier::default(),
            labels: [],
            section: String::new(),
            title: String::new(),
            style: ChartStyle::default(),
            overview: false,
            retire_after_ticks: RETIRE_AFTER_TICKS,
            bounds: Vec::new(),
            kind: PhantomData,
        }
    }

    /// Names the labels; the family's [`with`](Family::with) then takes as many values.
    pub fn labels<const N: usize>(self, names: [&str; N]) -> Metric<'s, 'a, K, N> {
        Metric {
            setup: self.setup,
            name: self.name,
            help: self.help,
            otel: self.otel,
            unit: self.unit,
            tier: self.tier,
            labels: names.map(str::to_owned),
            section: self.section,
            title: self.title,
            style: self.style,
            overview: self.overview,
            retire_after_ticks: self.retire_after_ticks,
            bounds: self.bounds,
            kind: PhantomData,
        }
    }
}

impl<const N: usize> Metric<'_, '_, HistogramKind, N> {
    /// Upper bounds of the buckets, in the metric's unit: finite, ascending, 1 to 64 of them. A value that
    /// is equal to a bound belongs to its bucket; values above the last bound have a bucket of their own.
    pub fn buckets(mut self, bounds: &[f64]) -> Self {
        bounds.clone_into(&mut self.bounds);
        self
    }
}

impl<K: Kind, const N: usize> Metric<'_, '_, K, N> {
    /// Base unit of the values; the metric's name should end in it.
    pub fn unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    /// One sentence for people.
    pub fn help(mut self, help: &str) -> Self {
        help.clone_into(&mut self.help);
        self
    }

    /// How often it is sampled.
    pub fn tier(mut self, tier: Tier) -> Self {
        self.tier = tier;
        self
    }

    /// The OpenTelemetry name, where semantic conventions have one.
    pub fn otel(mut self, name: &str) -> Self {
        name.clone_into(&mut self.otel);
        self
    }

    /// Heading and title of its chart; metrics with the same pair share one.
    pub fn chart(mut self, section: &str, title: &str) -> Self {
        section.clone_into(&mut self.section);
        title.clone_into(&mut self.title);
        self
    }

    /// How it is drawn.
    pub fn style(mut self, style: ChartStyle) -> Self {
        self.style = style;
        self
    }

    /// Puts its chart on the Overview too.
    pub fn overview(mut self) -> Self {
        self.overview = true;
        self
    }

    /// After how many ticks of its tier without a value a series is retired; 10 unless told.
    pub fn retire_after(mut self, ticks: u32) -> Self {
        self.retire_after_ticks = ticks.max(1);
        self
    }

    /// Declares the metric. What the agent or the SDK refuses about it fails the creation of the collector.
    pub fn build(self) -> Family<K, N> {
        let (metric, buckets) = self.declare().unwrap_or_else(|message| {
            let message = format!("metric {} {message}", self.name);
            self.setup.refuse(message);
            (u32::MAX, None)
        });
        Family::new(self.setup.registry.add_family(FamilyDeclaration {
            metric,
            tier: self.tier,
            retire_after_ticks: self.retire_after_ticks,
            buckets,
        }))
    }

    fn declare(&self) -> Result<(u32, Option<Buckets>), String> {
        let buckets = if K::CODE == abi::KIND_HISTOGRAM {
            if self.labels.iter().any(|name| name == "le") {
                return Err("has the label `le`, which is that of its buckets".to_owned());
            }
            Some(Buckets::new(&self.name, self.bounds.clone())?)
        } else {
            None
        };
        let bounds = buckets.as_ref().map(Buckets::bounds);
        let labels: Vec<abi::Str> = self.labels.iter().map(|name| abi::Str::new(name)).collect();
        let metric = abi::Metric {
            struct_size: struct_size::<abi::Metric>(),
            kind: K::CODE,
            unit: self.unit as u32,
            tier: self.tier as u32,
            flags: if self.overview {
                abi::METRIC_OVERVIEW
            } else {
                0
            },
            chart_style: self.style as u32,
            name: abi::Str::new(&self.name),
            help: abi::Str::new(&self.help),
            otel: abi::Str::new(&self.otel),
            chart_section: abi::Str::new(&self.section),
            chart_title: abi::Str::new(&self.title),
            labels: labels.as_ptr(),
            label_count: labels.len(),
            bounds: bounds.map_or(ptr::null(), <[f64]>::as_ptr),
            bound_count: bounds.map_or(0, <[f64]>::len),
        };
        match self.setup.link.define_metric(&metric) {
            Ok(id) => Ok((id, buckets)),
            Err(code) => Err(format!("was refused by the host (code {code})")),
        }
    }
}

const _: () = {
    const fn is_send<T: Send + Copy>() {}
    is_send::<Gauge<3>>();
    is_send::<Counter>();
    is_send::<Histogram<1>>();
};
