//! Metric families: a declared metric whose series are found by their label values.
//!
//! A family is a typed index into the collector's [`Registry`], so that it can be copied about freely
//! and a counter can't be given a gauge's value. It owns no samples and never speaks to the host.

use std::marker::PhantomData;

use crate::{Sink, abi, histogram::HistogramKind, registry::Registry};

/// Marks a family whose values go up and down.
#[derive(Clone, Copy, Debug)]
pub enum GaugeKind {}

/// Marks a family whose totals only grow.
#[derive(Clone, Copy, Debug)]
pub enum CounterKind {}

/// Kind of a family: [`GaugeKind`], [`CounterKind`] or [`HistogramKind`].
pub trait Kind: sealed::Sealed {
    #[doc(hidden)]
    const CODE: u32;
}

impl Kind for GaugeKind {
    const CODE: u32 = abi::KIND_GAUGE;
}

impl Kind for CounterKind {
    const CODE: u32 = abi::KIND_COUNTER;
}

/// A number that can be a sample. Integers above 2⁵³ are rounded to the nearest `f64`.
pub trait Number: sealed::Sealed {
    #[doc(hidden)]
    fn into_sample(self) -> f64;
}

macro_rules! numbers {
    ($($lossless:ty)*; $($rounded:ty)*) => {
        $(
            impl sealed::Sealed for $lossless {}
            impl Number for $lossless {
                fn into_sample(self) -> f64 {
                    f64::from(self)
                }
            }
        )*
        $(
            impl sealed::Sealed for $rounded {}
            impl Number for $rounded {
                fn into_sample(self) -> f64 {
                    self as f64
                }
            }
        )*
    };
}

numbers!(f64 f32 u32 u16 u8 i32 i16 i8; u64 i64 usize);

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::GaugeKind {}
    impl Sealed for super::CounterKind {}
    impl Sealed for super::HistogramKind {}
}

/// A metric with `N` labels, made by [`Setup::gauge`](crate::Setup::gauge),
/// [`Setup::counter`](crate::Setup::counter) or [`Setup::histogram`](crate::Setup::histogram).
#[derive(Debug)]
pub struct Family<K, const N: usize> {
    index: usize,
    kind: PhantomData<K>,
}

/// A family of values that go up and down.
pub type Gauge<const N: usize = 0> = Family<GaugeKind, N>;

/// A family of totals that only grow, until their source restarts.
pub type Counter<const N: usize = 0> = Family<CounterKind, N>;

impl<K, const N: usize> Clone for Family<K, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, const N: usize> Copy for Family<K, N> {}

impl<K: Kind, const N: usize> Family<K, N> {
    pub(crate) fn new(index: usize) -> Self {
        Self {
            index,
            kind: PhantomData,
        }
    }

    /// The series with these label values, in the order in which the labels were declared.
    ///
    /// It is declared to the host when it is first given a value, and retired when it was not given
    /// one for a number of ticks.
    pub fn with<'a>(&self, out: &'a mut Sink<'_>, labels: [&'a str; N]) -> Series<'a, K, N> {
        Series {
            registry: &mut *out.registry,
            family: self.index,
            labels,
            kind: PhantomData,
        }
    }
}

impl Gauge<0> {
    /// Samples the only series of a family without labels.
    pub fn set(&self, out: &mut Sink<'_>, value: impl Number) {
        self.with(out, []).set(value);
    }
}

impl Counter<0> {
    /// Samples the only series of a family without labels; see [`Series::set_total`].
    pub fn set_total(&self, out: &mut Sink<'_>, total: impl Number) {
        self.with(out, []).set_total(total);
    }

    /// Adds to the only series of a family without labels; see [`Series::add`].
    pub fn add(&self, out: &mut Sink<'_>, more: impl Number) {
        self.with(out, []).add(more);
    }
}

/// One series of a family, about to be given its value.
#[derive(Debug)]
#[must_use = "a series without a value is not sampled"]
pub struct Series<'a, K, const N: usize> {
    registry: &'a mut Registry,
    family: usize,
    labels: [&'a str; N],
    kind: PhantomData<K>,
}

impl<'a, K, const N: usize> Series<'a, K, N> {
    pub(crate) fn into_parts(self) -> (&'a mut Registry, usize, [&'a str; N]) {
        (self.registry, self.family, self.labels)
    }
}

impl<const N: usize> Series<'_, GaugeKind, N> {
    /// Samples the value, in the metric's unit. NaN and infinities are no samples: they leave a gap.
    pub fn set(self, value: impl Number) {
        self.registry
            .sample(self.family, &self.labels, value.into_sample());
    }
}

impl<const N: usize> Series<'_, CounterKind, N> {
    /// Samples a total that the source itself counts. The agent derives the rate and takes a fall for
    /// a restart of the source.
    pub fn set_total(self, total: impl Number) {
        self.registry
            .sample(self.family, &self.labels, total.into_sample());
    }

    /// Adds to a total that the SDK keeps, also in ticks for which the metric is not due.
    ///
    /// Such a series is sampled at every tick of its tier from then on, and never retired.
    pub fn add(self, more: impl Number) {
        self.registry
            .add(self.family, &self.labels, more.into_sample());
    }
}
