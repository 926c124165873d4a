//! The same calls to the agent's host and to the one of the SDK, with which authors test: both answer alike, so that
//! what passes there passes here.

use barograph_sdk::tester::Table;
use serde_json::Value;

use super::*;
use crate::catalog::NAME_BYTES_MAX;
use crate::collect::codec::LABELS_MAX;
use crate::collect::host::registry::BOUNDS_MAX;

/// More than either host takes in a tick.
const SAMPLES: usize = 20_001;

impl Fake {
    /// Writes down an answer that is another one.
    fn expect(&self, what: &str, code: i32, expected: i32) {
        if code != expected {
            self.see(&format!("{what}: {code}, and not {expected}"));
        }
    }

    fn declares(&self, metric: abi::Metric, labels: &[&str], bounds: &[f64], expected: i32) -> u32 {
        let labels: Vec<_> = labels.iter().map(|label| abi::Str::new(label)).collect();
        let metric = abi::Metric {
            labels: labels.as_ptr(),
            label_count: labels.len(),
            bounds: bounds.as_ptr(),
            bound_count: bounds.len(),
            ..metric
        };
        let mut id = u32::MAX;
        // SAFETY: the metric, what it points at and the place of the id live for the call.
        let code =
            unsafe { (self.host.define_metric)(self.host.ctx, &raw const metric, &raw mut id) };
        let what = format!("{} {} {bounds:?}", text(metric.name), labels.len());
        self.expect(&what, code, expected);
        id
    }

    fn series(&self, metric: u32, values: &[&str], expected: i32) -> u32 {
        let values: Vec<_> = values.iter().map(|value| abi::Str::new(value)).collect();
        let (first, count, mut id) = (values.as_ptr(), values.len(), u32::MAX);
        // SAFETY: the values and the place of the id live for the call.
        let code =
            unsafe { (self.host.define_series)(self.host.ctx, metric, first, count, &raw mut id) };
        self.expect(&format!("{count} values of {metric}"), code, expected);
        id
    }

    fn retires(&self, series: u32, expected: i32) {
        // SAFETY: the call takes no pointer but the table's own.
        let code = unsafe { (self.host.retire_series)(self.host.ctx, series) };
        self.expect(&format!("retire {series}"), code, expected);
    }

    fn pushes(&self, samples: &[(u32, f64)], expected: i32) {
        let sample = |&(series, value)| abi::Sample {
            series,
            flags: 0,
            value,
        };
        let samples: Vec<_> = samples.iter().map(sample).collect();
        // SAFETY: the samples live for the call.
        let code = unsafe { (self.host.push)(self.host.ctx, samples.as_ptr(), samples.len()) };
        self.expect(&format!("push {:?}", samples.first()), code, expected);
    }

    fn counts(&self, series: u32, sum: f64, counts: &[u64], expected: i32) {
        let histogram = abi::Histogram {
            series,
            flags: 0,
            sum,
            counts: counts.as_ptr(),
            count: counts.len(),
        };
        // SAFETY: the histogram lives for the call.
        let code = unsafe { (self.host.push_histogram)(self.host.ctx, &raw const histogram, 1) };
        self.expect(&format!("counts {series} {counts:?}"), code, expected);
    }
}

fn histogram(name: &str) -> abi::Metric {
    abi::Metric {
        kind: abi::KIND_HISTOGRAM,
        ..gauge(name)
    }
}

fn declarations(fake: &Fake) {
    let (ok, config) = (abi::OK, abi::E_CONFIG);
    let long = |letter: &str, bytes: usize| letter.repeat(bytes);
    let label = |number: usize| format!("label_{number}");
    let labels: Vec<String> = (0..=LABELS_MAX).map(label).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let bounds: Vec<f64> = (0..=BOUNDS_MAX).map(|bound| bound as f64).collect();
    for name in ["", "Depth", "1st", "with-dash", "tiefe_ü", "a b"] {
        fake.declares(gauge(name), &[], &[], config);
        fake.declares(gauge("labelled"), &[name], &[], config);
    }
    for name in ["barograph_jobs", "fakes_up", "fakes_collect_seconds"] {
        fake.declares(gauge(name), &[], &[], config);
        fake.declares(histogram(name), &[], &[1.0], config);
    }
    for name in ["barograph", "up", "web_up", "fakes_web_up", "fakes_upload"] {
        fake.declares(gauge(name), &[], &[], ok);
    }
    fake.declares(gauge(&long("a", NAME_BYTES_MAX)), &[], &[], ok);
    // It is cut, and that is told.
    fake.declares(gauge(&long("b", NAME_BYTES_MAX + 1)), &[], &[], ok);
    fake.declares(gauge("twice_labelled"), &["a", "b", "a"], &[], config);
    fake.declares(gauge("le_of_a_gauge"), &["le"], &[], ok);
    fake.declares(gauge("full"), &labels[..LABELS_MAX], &[], ok);
    fake.declares(gauge("crowded"), &labels, &[], abi::E_FULL);
    for wrong in [
        abi::Metric {
            kind: 3,
            ..gauge("kind")
        },
        abi::Metric {
            unit: 9,
            ..gauge("unit")
        },
        abi::Metric {
            tier: 3,
            ..gauge("tier")
        },
        abi::Metric {
            chart_style: 4,
            ..gauge("style")
        },
    ] {
        fake.declares(wrong, &[], &[], config);
    }

    let most = NAME_BYTES_MAX - "_bucket".len();
    fake.declares(histogram(&long("c", most)), &[], &[1.0], ok);
    fake.declares(histogram(&long("d", most + 1)), &[], &[1.0], config);
    let (all, fewer) = (&labels[..LABELS_MAX], &labels[..LABELS_MAX - 1]);
    fake.declares(histogram("full_buckets"), fewer, &[1.0], ok);
    fake.declares(histogram("crowded_buckets"), all, &[1.0], config);
    fake.declares(histogram("le_of_its_own"), &["le"], &[1.0], config);
    fake.declares(histogram("bounds"), &[], &bounds[..BOUNDS_MAX], ok);
    for wrong in [
        &bounds[..],
        &[],
        &[1.0, 1.0],
        &[2.0, 1.0],
        &[f64::NAN],
        &[1.0, f64::INFINITY],
    ] {
        fake.declares(histogram("bounds_that_are_none"), &[], wrong, config);
    }
    fake.declares(gauge("bounds_sum"), &[], &[], config);

    let again = fake.declares(gauge("up"), &[], &[], ok);
    fake.expect("the same id", again.cast_signed(), 1);
    fake.declares(gauge("up"), &["new"], &[], config);
}

fn values(fake: &Fake) {
    let (ok, config, closed) = (abi::OK, abi::E_CONFIG, abi::E_CLOSED);
    let depth = fake.declares(gauge("depth"), &["queue"], &[], ok);
    let wait = fake.declares(histogram("wait_seconds"), &[], &[0.5, 2.0], ok);
    let mail = fake.series(depth, &["mail"], ok);
    let waits = fake.series(wait, &[], ok);
    let gone = fake.series(depth, &["gone"], ok);
    fake.series(77, &[], closed);
    fake.series(depth, &[], config);
    fake.series(depth, &["a", "b"], config);
    fake.series(depth, &["a"; LABELS_MAX + 1], abi::E_FULL);
    fake.retires(gone, ok);
    fake.retires(gone, closed);
    fake.retires(77, closed);

    // Whatever is wrong with one, the others are taken and the call is good.
    for bad in [(77, 1.0), (gone, 1.0), (waits, 1.0), (mail, f64::NAN)] {
        fake.pushes(&[(mail, 1.0), bad, (mail, 2.0)], ok);
    }
    fake.counts(waits, 1.5, &[1, 0, 2], ok);
    fake.counts(77, 1.5, &[1, 0, 2], ok);
    fake.counts(mail, 1.5, &[1, 0, 2], ok);
    for counts in [&[][..], &[1, 2], &[1; 4], &[1; 500]] {
        fake.counts(waits, 1.5, counts, ok);
    }
    fake.counts(waits, f64::INFINITY, &[1, 0, 2], ok);
    fake.pushes(&vec![(mail, 1.0); SAMPLES], abi::E_FULL);
    let (host, null) = (fake.host, std::ptr::null());
    let mut id = 0;
    let counts = abi::Histogram {
        series: waits,
        flags: 0,
        sum: 0.0,
        counts: std::ptr::null(),
        count: 3,
    };
    // SAFETY: what is not null lives for the calls; that null is looked for is what is tested.
    let codes = unsafe {
        [
            (host.push)(host.ctx, std::ptr::null(), 3),
            (host.push_histogram)(host.ctx, std::ptr::null(), 3),
            (host.push_histogram)(host.ctx, &raw const counts, 1),
            (host.define_series)(host.ctx, depth, null, 1, &raw mut id),
            (host.define_series)(host.ctx, wait, null, 0, std::ptr::null_mut()),
            (host.define_metric)(host.ctx, std::ptr::null(), &raw mut id),
            (host.emit_event)(host.ctx, std::ptr::null()),
        ]
    };
    for (at, code) in codes.into_iter().enumerate() {
        fake.expect(&format!("null {at}"), code, config);
    }
}

/// Has both hosts run the plugin; gives how much each has refused.
fn refused(create: fn(&Fake) -> i32) -> (usize, usize) {
    let script = || Script {
        create,
        ..Script::new()
    };
    let ours = script().leaked();
    let (mut agent, _thread) = host(Purpose::Collect, &ours.config(), plugin());
    while agent.next() != Some(ready()) {}
    agent.collect(1, 0);
    assert_eq!(ours.seen(), [""; 0], "the agent's host");
    let told = agent.done().refused as usize;

    let theirs = script().leaked();
    // SAFETY: its functions keep the contract as far as memory goes.
    let table = unsafe { Table::from_raw(plugin()) }.expect("a table");
    let address: Value = theirs.config().parse().expect("a number");
    let tester = table.create("", &address).expect("an instance");
    tester.expect_refusals();
    assert_eq!(theirs.seen(), [""; 0], "the tester's host");
    (told, tester.take_refusals().len())
}

#[test]
fn declarations_are_answered_alike() {
    let (ours, theirs) = refused(|fake| {
        declarations(fake);
        abi::OK
    });
    assert_eq!(ours, theirs, "refusals that are told");
}

#[test]
fn values_are_answered_alike() {
    let (ours, theirs) = refused(|fake| {
        values(fake);
        abi::OK
    });
    assert_eq!(ours, theirs, "refusals that are told");
}
