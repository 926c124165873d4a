use super::*;
use crate::catalog::SERIES_MAX;

/// A source whose first start declares two series, whose second fails, and whose third declares one.
struct Shrinking {
    catalog: Catalog,
    collector: CollectorId,
    starts: usize,
    collects: usize,
    series: Vec<SeriesId>,
}

impl Shrinking {
    fn declare(&self, name: &str) -> SeriesId {
        let metric = Metric::for_test(name, Kind::Gauge, Tier::Fast, &[]);
        let metric = self.catalog.define_metric(self.collector, metric).unwrap();
        self.catalog
            .define_series(self.collector, metric, Vec::new())
            .unwrap()
    }
}

fn lost(reason: LostReason) -> Failure {
    let message = "as the script says".to_owned();
    Failure::Lost { reason, message }
}

impl Runner for Shrinking {
    async fn start(&mut self) -> Result<(), Failure> {
        self.starts += 1;
        self.series = match self.starts {
            1 => vec![self.declare("stays"), self.declare("goes")],
            2 => Vec::new(),
            _ => vec![self.declare("stays")],
        };
        if self.starts == 2 {
            return Err(lost(LostReason::Start));
        }
        Ok(())
    }

    async fn collect(&mut self, _: &Tick, _: TierSet) -> Result<Collected, Failure> {
        self.collects += 1;
        if self.collects == 2 {
            return Err(lost(LostReason::Exited));
        }
        Ok(Collected::default())
    }

    async fn died(&mut self) -> Failure {
        std::future::pending().await
    }

    async fn stop(&mut self) {}

    fn rss_bytes(&self) -> Option<u64> {
        None
    }

    fn series(&self) -> Vec<SeriesId> {
        self.series.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_declared_again_is_retired_also_after_a_start_that_failed() {
    let (bus, mut queues) = Bus::new(&[("test", 64)]);
    let catalog = Catalog::default();
    let collector = catalog.register("c", "p", "t", SERIES_MAX);
    let parts = Parts {
        clock: Clock::simulated(1_700_000_000_000),
        tiers: Tiers::default(),
        catalog: catalog.clone(),
        bus,
        board: Board::default(),
    };
    let settings = Settings {
        name: "c".to_owned(),
        plugin: "p".to_owned(),
        library: "/nowhere".into(),
        config: serde_json::Value::Null,
        interval: Duration::from_secs(1),
        timeout: Duration::from_millis(800),
        series_max: SERIES_MAX,
        labelled: false,
    };
    let runner = Shrinking {
        catalog: catalog.clone(),
        collector,
        starts: 0,
        collects: 0,
        series: Vec::new(),
    };
    let supervisor = Supervisor::new(settings, collector, parts, Arc::default(), runner);
    let (stop, stops) = watch::channel(false);
    let running = tokio::spawn(supervisor.run(stops));
    let mut ups = Vec::new();
    while ups.len() < 2 || ups.ends_with(&[false]) || !ups.contains(&false) {
        ups.push(queues[0].next().await.expect("a batch every tick").up);
    }
    stop.send_replace(true);
    running.await.unwrap();
    let tables = catalog.read();
    let retired: Vec<_> = tables
        .all_series()
        .filter(|(_, series)| series.retired)
        .map(|(_, series)| tables.metric(series.metric).name.as_str())
        .collect();
    assert_eq!(retired, ["goes"]);
}
