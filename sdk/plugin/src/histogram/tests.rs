//! Buckets, counts, and histograms on their way through the C table.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Buckets, Histogram};
use crate::{Collector, Error, Manifest, Setup, Sink, Tier, Unit, abi, export::desk::Desk};

#[test]
fn a_value_falls_into_the_bucket_whose_bound_is_not_below_it() {
    let buckets = Buckets::new("x", vec![-1.0, 0.5, 2.0]).unwrap();
    let mut counts = buckets.empty();
    for value in [-5.0, -1.0, 0.0, 0.5, 0.6, 2.0, 2.1, 1e300] {
        counts.observe(&buckets, value);
    }
    assert_eq!(counts.of_buckets(), [2, 2, 2, 2]);
    let mut counts = buckets.empty();
    counts.observe(&buckets, 0.25);
    counts.observe(&buckets, 4.0);
    assert_eq!((counts.sum(), counts.is_observed()), (4.25, true));
}

#[test]
fn bounds_are_checked_and_the_mistake_is_named() {
    let refused = |bounds: &[f64]| Buckets::new("x", bounds.to_vec()).unwrap_err();
    assert_eq!(
        refused(&[]),
        "has no buckets: give their upper bounds with `buckets`"
    );
    assert_eq!(
        refused(&[1.0, 0.5]),
        "has the bound 0.5 after 1: bounds ascend"
    );
    assert_eq!(
        refused(&[1.0, 1.0]),
        "has the bound 1 after 1: bounds ascend"
    );
    for bound in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(refused(&[0.0, bound]).contains("bounds are finite"));
    }
    let many: Vec<f64> = (0..=64_u8).map(f64::from).collect();
    assert_eq!(
        refused(&many),
        "has 65 buckets, 64 is the most that there may be"
    );
    assert!(Buckets::new("x", many[1..].to_vec()).is_ok());
}

#[test]
fn a_wrong_number_of_counts_is_named() {
    let buckets = Buckets::new("x_seconds", vec![1.0, 2.0]).unwrap();
    assert_eq!(buckets.mismatch(&[1, 2, 3]), None);
    assert_eq!(
        buckets.mismatch(&[1, 2]).unwrap(),
        "x_seconds needs 3 counts, one a bucket, and was given 2"
    );
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Config {
    bounds: Option<Vec<f64>>,
    label: Option<String>,
}

/// Waits are observed, sizes are counted by the source, and rest is not due at once.
#[derive(Debug)]
struct Measuring {
    wait: Histogram,
    size: Histogram<1>,
    rest: Histogram,
    tick: u64,
}

impl Collector for Measuring {
    type Config = Config;
    const MANIFEST: Manifest = Manifest::new("measuring", "tests", "1.0.0");

    fn new(config: Config, setup: &mut Setup<'_>) -> Result<Self, Error> {
        let bounds = config.bounds.unwrap_or_else(|| vec![0.5, 1.0]);
        let label = config.label.unwrap_or_else(|| "kind".to_owned());
        let wait = setup.histogram("wait_seconds").unit(Unit::Seconds);
        let wait = wait.buckets(&bounds).build();
        let size = setup.histogram("size_bytes").unit(Unit::Bytes);
        let size = size.buckets(&[1024.0]).retire_after(2);
        let size = size.labels([label.as_str()]).build();
        let rest = setup.histogram("rest_seconds").tier(Tier::Slow);
        let rest = rest.buckets(&[1.0]).build();
        Ok(Self {
            wait,
            size,
            rest,
            tick: 0,
        })
    }

    async fn collect(&mut self, out: &mut Sink<'_>) -> Result<(), Error> {
        self.tick += 1;
        match self.tick {
            1 => {
                for wait in [0.25, 0.5, 0.75, 8.0, f64::NAN, f64::INFINITY] {
                    self.wait.observe(out, wait);
                }
                self.rest.observe(out, 5);
                self.size.with(out, ["mail"]).set(&[7, 1], 9000);
            }
            2 => {
                self.wait.observe(out, 1);
                self.size.with(out, ["mail"]).set(&[9, 9], 1e5);
                return Err(Error::unavailable("the source has gone"));
            }
            3 => {
                self.size.with(out, ["mail"]).set(&[1, 2, 3], 1);
                self.size.with(out, ["mail"]).set(&[8, 1], f64::NAN);
            }
            _ => {}
        }
        Ok(())
    }
}

#[test]
fn histograms_are_pushed_with_their_counts() {
    let mut desk = Desk::with::<Measuring>();
    let declared = [
        (
            "wait_seconds".to_owned(),
            abi::KIND_HISTOGRAM,
            vec![0.5, 1.0],
        ),
        ("size_bytes".to_owned(), abi::KIND_HISTOGRAM, vec![1024.0]),
        ("rest_seconds".to_owned(), abi::KIND_HISTOGRAM, vec![1.0]),
    ];
    assert_eq!(desk.heard().metrics, declared);

    assert_eq!(desk.collect(), abi::OK);
    let wait = (0, vec![2, 1, 1], 9.5);
    // The series of `rest` is 1; it is not due.
    assert_eq!(desk.heard().histograms, [wait, (2, vec![7, 1], 9000.0)]);
    assert_eq!(desk.heard().samples, []);

    assert_eq!(desk.collect(), abi::E_UNAVAILABLE);
    assert_eq!(desk.heard().histograms, [], "a failed collect pushes none");

    assert_eq!(desk.collect(), abi::PARTIAL);
    assert_eq!(
        desk.error(),
        "size_bytes needs 2 counts, one a bucket, and was given 3"
    );
    let wait = (0, vec![2, 2, 1], 10.5);
    let observed = "what was observed in the failed collect counts, what was set does not";
    assert_eq!(desk.heard().histograms, [wait], "{observed}");

    assert_eq!((desk.collect(), desk.collect()), (abi::OK, abi::OK));
    assert_eq!(desk.heard().retired, [2], "unseen for two ticks");
    for _ in 0..20 {
        assert_eq!(desk.collect(), abi::OK);
        assert_eq!(desk.heard().histograms.len(), 1);
    }
    assert_eq!(desk.heard().retired, [2], "observed ones stay");
}

#[test]
fn histograms_that_the_host_refuses_are_told() {
    let mut desk = Desk::with::<Measuring>();
    desk.heard().series_code = abi::E_FULL;
    assert_eq!(desk.collect(), abi::PARTIAL);
    let refused = |desk: &Desk, why: &str| {
        // Four values are observed without a series, one for `rest`, and one is set.
        assert_eq!(desk.error(), format!("6 series were refused{why}"));
        assert_eq!(desk.heard().histograms, []);
    };
    refused(&desk, ": the limit of series is reached");
    let mut desk = Desk::with::<Measuring>();
    desk.heard().series_code = abi::E_CONFIG;
    assert_eq!(desk.collect(), abi::PARTIAL);
    refused(&desk, " by the host (code -1)");
}

#[test]
fn wrong_buckets_fail_the_creation() {
    let refused = |config: &str| {
        let mut desk = Desk::of::<Measuring>();
        assert_eq!(desk.create(config), abi::E_FATAL);
        desk.error()
    };
    assert_eq!(
        refused("{\"bounds\":[2.0,1.0]}"),
        "metric wait_seconds has the bound 1 after 2: bounds ascend"
    );
    assert_eq!(
        refused("{\"bounds\":[]}"),
        "metric wait_seconds has no buckets: give their upper bounds with `buckets`"
    );
    assert_eq!(
        refused("{\"label\":\"le\"}"),
        "metric size_bytes has the label `le`, which is that of its buckets"
    );
}
