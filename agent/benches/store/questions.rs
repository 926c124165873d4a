//! How long questions take, in process.

use std::time::Instant;

use barograph::protocol::{Aggregation, Match, Resolution};
use barograph::store::HOUR_MS;
use barograph::store::engine::Engine;
use barograph::store::query::Query;
use barograph::store::registry::Selector;

/// Rounds of each question; the median is told, and the first as the cold one.
const ROUNDS: usize = 21;

/// Prints the times of questions for one series and for sixty, over the 24 hours before `now_ms`.
pub(crate) fn run(engine: &Engine, now_ms: i64) {
    println!(
        "{:<44} {:>9} {:>9} {:>9}",
        "24 h at 1 s to 500 points", "first ms", "median ms", "max ms"
    );
    for (what, metric, labels, resolution) in [
        (
            "1 series, raw",
            0,
            Some("cpu_user_0"),
            Some(Resolution::Raw),
        ),
        ("1 series, as it chooses", 0, Some("cpu_user_0"), None),
        ("60 series, raw", 1, None, Some(Resolution::Raw)),
        ("60 series, as it chooses", 1, None, None),
    ] {
        for level in barograph::store::Level::ALL {
            engine.level(level).close_idle(true);
        }
        let query = Query {
            selector: Selector {
                matching: Match {
                    metrics: vec![format!("trace_{metric}")],
                    labels: labels
                        .map(|name| ("name".to_owned(), name.to_owned()))
                        .into_iter()
                        .collect(),
                },
                collector: None,
            },
            from_ms: now_ms - 24 * HOUR_MS,
            to_ms: now_ms,
            points: 500,
            aggregation: Aggregation::Envelope,
            resolution,
        };
        let mut times: Vec<f64> = (0..ROUNDS).map(|_| ask(engine, &query, now_ms)).collect();
        let first = times[0];
        times[1..].sort_by(f64::total_cmp);
        println!(
            "{what:<44} {first:>9.2} {:>9.2} {:>9.2}",
            times[1 + ROUNDS / 2],
            times[ROUNDS - 1]
        );
    }
}

fn ask(engine: &Engine, query: &Query, now_ms: i64) -> f64 {
    let began = Instant::now();
    let plan = engine.plan(query, now_ms).expect("a good question");
    let mut points = 0;
    engine
        .answer(&plan, query.aggregation, &mut |_, row| {
            points += row.value.iter().filter(|value| !value.is_nan()).count();
            true
        })
        .expect("it reads");
    assert!(
        points > 400 * plan.series.len(),
        "{points} points of {} series",
        plan.series.len()
    );
    began.elapsed().as_secs_f64() * 1e3
}
