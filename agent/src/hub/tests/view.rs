//! A property: whatever was pushed and whenever the client took it, its picture of the collector is that of
//! the last batch.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What happens, in any order.
#[derive(Clone, Debug)]
enum Step {
    /// The slower tiers that are due beside fast, and which series are sampled, as bits.
    Batch {
        medium: bool,
        slow: bool,
        sampled: u16,
    },
    Failure,
    Define(Tier),
    Retire(usize),
    Take,
    Resubscribe,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let tier = prop::sample::select(Tier::ALL.to_vec());
    let step = prop_oneof![
        6 => (any::<bool>(), any::<bool>(), any::<u16>())
            .prop_map(|(medium, slow, sampled)| Step::Batch { medium, slow, sampled }),
        1 => Just(Step::Failure),
        2 => tier.prop_map(Step::Define),
        1 => (0..8_usize).prop_map(Step::Retire),
        4 => Just(Step::Take),
        1 => Just(Step::Resubscribe),
    ];
    prop::collection::vec(step, 1..40)
}

/// A series of the model: where it is, and its present value.
struct Known {
    id: SeriesId,
    name: String,
    tier: Tier,
    value: Option<f64>,
}

/// The client's picture.
#[derive(Default)]
struct Picture {
    tables: BTreeMap<u64, Value>,
    values: BTreeMap<String, Option<f64>>,
}

impl Picture {
    fn take(&mut self, client: &Client) {
        for event in client.events() {
            let data = &event["data"];
            if event["event"] == "skipped" {
                continue;
            }
            match data["metrics"].as_object() {
                Some(metrics) => self.values.extend(
                    metrics
                        .iter()
                        .map(|(name, series)| (name.clone(), series[0]["value"].as_f64())),
                ),
                None => self.columns(data),
            }
        }
    }

    fn columns(&mut self, data: &Value) {
        let number = data["table"].as_u64().unwrap();
        if data["series"].is_object() {
            self.tables.insert(number, data["series"].clone());
        }
        let table = &self.tables[&number];
        for (tier, values) in data["values"].as_object().unwrap() {
            let (members, values) = (table[tier].as_array().unwrap(), values.as_array().unwrap());
            assert_eq!(members.len(), values.len());
            for (member, value) in members.iter().zip(values) {
                self.values
                    .insert(member[0].as_str().unwrap().to_owned(), value.as_f64());
            }
        }
    }
}

struct Model {
    rig: Rig,
    series: Vec<Known>,
    defined: usize,
    /// Those that were there at the last batch.
    shown: BTreeMap<String, Option<f64>>,
}

impl Model {
    async fn step(&mut self, step: &Step) {
        match *step {
            Step::Batch {
                medium,
                slow,
                sampled,
            } => {
                let mut due = FAST;
                due = if medium { due.with(Tier::Medium) } else { due };
                due = if slow { due.with(Tier::Slow) } else { due };
                self.batch(due, sampled).await;
            }
            Step::Failure => {
                self.series.iter_mut().for_each(|known| known.value = None);
                self.rig.failure(TierSet::EMPTY).await;
                self.show();
            }
            Step::Define(tier) => {
                self.defined += 1;
                let name = format!("m{}", self.defined);
                let id = self.rig.gauge(&name, tier);
                self.series.push(Known {
                    id,
                    name,
                    tier,
                    value: None,
                });
            }
            Step::Retire(index) if index < self.series.len() => {
                let retired = self.series.remove(index);
                self.shown.remove(&retired.name);
                self.rig.catalog.retire(retired.id);
            }
            Step::Retire(_) | Step::Take | Step::Resubscribe => {}
        }
    }

    async fn batch(&mut self, due: TierSet, sampled: u16) {
        let mut brought = Vec::new();
        let at = (self.rig.at_ms - START_MS) as f64;
        for (index, known) in self.series.iter_mut().enumerate() {
            if due.contains(known.tier) {
                known.value =
                    (sampled >> (index % 16) & 1 == 1).then_some(at + index as f64 / 100.0);
                brought.extend(known.value.map(|value| (known.id, value)));
            }
        }
        self.rig.batch(due, &brought).await;
        self.show();
    }

    fn show(&mut self) {
        self.shown = self
            .series
            .iter()
            .map(|known| (known.name.clone(), known.value))
            .collect();
    }
}

async fn run(shape: Shape, steps: &[Step]) {
    let mut model = Model {
        rig: Rig::start(),
        series: Vec::new(),
        defined: 0,
        shown: BTreeMap::new(),
    };
    let client = model.rig.client().await;
    client.subscribe(Tier::Fast, shape).await;
    let mut picture = Picture::default();
    for step in steps {
        model.step(step).await;
        match step {
            Step::Take => picture.take(&client),
            Step::Resubscribe => client.subscribe(Tier::Fast, shape).await,
            _ => {}
        }
    }
    picture.take(&client);
    // A series that was retired is no longer spoken of, and one that never had a sample is not named.
    for (name, value) in &model.shown {
        let pictured = picture.values.get(name).copied().flatten();
        assert_eq!(pictured, *value, "{name} after {steps:?}");
    }
}

fn check(shape: Shape, steps: &[Step]) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(run(shape, steps));
}

proptest! {
    #[test]
    fn columns_show_the_last_batch(steps in steps()) {
        check(Shape::Columns, &steps);
    }

    #[test]
    fn named_shows_the_last_batch(steps in steps()) {
        check(Shape::Named, &steps);
    }
}
