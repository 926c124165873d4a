use proptest::prelude::*;

use super::*;

fn series(metric: &str, label: &str) -> StoredSeries {
    StoredSeries {
        id: 77,
        metric: metric.to_owned(),
        kind: Kind::Gauge,
        unit: Unit::Bytes,
        tier: Tier::Medium,
        topic: "system".to_owned(),
        collector: "system".to_owned(),
        labels: [("at".to_owned(), label.to_owned())].into_iter().collect(),
        last_day: 0,
    }
}

fn open(folder: &Path, floor: u32) -> Registry {
    let core = Kv::open(folder).expect("it opens");
    Registry::open(Arc::new(core), floor).expect("it reads")
}

#[test]
fn numbers_last_and_are_never_given_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = open(folder.path(), 5);
    let a = registry.resolve(series("a", "1")).expect("room");
    let b = registry.resolve(series("a", "2")).expect("room");
    assert_eq!((a, b), (5, 6));
    assert_eq!(registry.resolve(series("a", "1")), Some(5));
    let counter = StoredSeries {
        kind: Kind::Counter,
        ..series("a", "1")
    };
    assert_eq!(registry.resolve(counter), Some(7));
    registry.persist(&[a], 20_000).expect("room");
    drop(registry);

    let registry = open(folder.path(), 0);
    let known = registry.get(a).expect("it was written");
    assert_eq!(known.last_day, 20_000);
    assert_eq!(
        *known,
        StoredSeries {
            id: a,
            last_day: 20_000,
            ..series("a", "1")
        }
    );
    assert_eq!(registry.resolve(series("a", "2")), Some(b));
    assert_eq!(registry.resolve(series("b", "1")), Some(8));
    drop(registry);
    assert_eq!(open(folder.path(), 40).resolve(series("b", "1")), Some(40));
}

#[test]
fn a_full_table_forgets_what_was_not_seen_for_the_longest() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = open(folder.path(), 0);
    let count = u32::try_from(SERIES_MAX).expect("few");
    for at in 0..count {
        assert_eq!(registry.resolve(series("a", &at.to_string())), Some(at));
    }
    registry.persist(&[], 0).expect("room");
    assert_eq!(
        registry.resolve(series("new", "")),
        None,
        "all are of today"
    );
    // All but the last two hundred are seen on the next day.
    let seen: Vec<u32> = (0..count - 200).collect();
    registry.persist(&seen, 1).expect("room");
    assert_eq!(registry.resolve(series("new", "")), Some(count));
    assert_eq!(registry.forgotten(), 200);
    assert!(registry.get(count - 200).is_none());
    assert!(registry.get(count - 201).is_some());
    // One that comes back is another one.
    let back = series("a", &(count - 1).to_string());
    assert_eq!(registry.resolve(back), Some(count + 1));
    registry.persist(&[count + 1], 1).expect("room");
    drop(registry);

    let registry = open(folder.path(), 0);
    assert!(registry.get(count - 1).is_none());
    assert_eq!(
        registry.select(&Selector::default()).len(),
        SERIES_MAX - 198
    );
    assert_eq!(registry.resolve(series("newer", "")), Some(count + 2));
}

#[test]
fn the_number_of_a_forgotten_series_stays_used_when_it_was_the_last() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = open(folder.path(), 0);
    let id = registry.resolve(series("a", "")).expect("room");
    let names = folder.path().join(spare::FILE);
    registry.keep_spare(&names);
    registry.persist(&[], 0).expect("room");
    assert_eq!(spare::read(&names).expect("it reads").series.len(), 1);
    registry.write().day = 1;
    assert!(registry.write().forget());
    registry.persist(&[], 1).expect("room");
    assert_eq!(spare::read(&names).expect("it reads").series.len(), 0);
    drop(registry);
    assert_eq!(
        open(folder.path(), 0).resolve(series("b", "")),
        Some(id + 1)
    );
}

#[test]
fn selects_by_name_label_and_collector() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = open(folder.path(), 0);
    for (metric, label) in [
        ("cpu_b", "1"),
        ("cpu_a", "1"),
        ("cpu_a", "2"),
        ("disk", "1"),
    ] {
        registry.resolve(series(metric, label)).expect("room");
    }
    let other = StoredSeries {
        collector: "other".to_owned(),
        ..series("cpu_a", "1")
    };
    registry.resolve(other).expect("room");
    let select = |metrics: &[&str], label: Option<&str>, collector: Option<&str>| -> Vec<u32> {
        let labels = label.map(|value| ("at".to_owned(), value.to_owned()));
        let selector = Selector {
            matching: Match {
                metrics: metrics.iter().map(|&name| name.to_owned()).collect(),
                labels: labels.into_iter().collect(),
            },
            collector: collector.map(ToOwned::to_owned),
        };
        registry
            .select(&selector)
            .iter()
            .map(|series| series.id)
            .collect()
    };
    assert_eq!(select(&[], None, None), [1, 2, 4, 0, 3]);
    assert_eq!(select(&["cpu_a"], None, None), [1, 2, 4]);
    assert_eq!(select(&["cpu_a", "cpu_*"], None, None), [1, 2, 4, 0]);
    assert_eq!(select(&["*_a", "d*k"], Some("1"), None), [1, 4, 3]);
    assert_eq!(select(&["cpu_*"], Some("1"), Some("system")), [1, 0]);
    assert_eq!(select(&["cpu"], None, None), [0; 0]);
}

#[test]
fn records_are_found_in_the_remains_of_a_database() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = open(folder.path(), 100);
    for at in 0..50 {
        registry
            .resolve(series("a", &at.to_string()))
            .expect("room");
    }
    registry.persist(&[], 3).expect("room");
    registry.persist(&[100], 4).expect("room");
    drop(registry);
    let bytes = std::fs::read(folder.path().join("db")).expect("it is there");
    let mut carved = Carved::default();
    carve(&bytes, &mut carved);
    assert_eq!(carved.next, 150);
    assert_eq!(carved.series.len(), 50);
    assert_eq!(carved.series[&100].last_day, 4);

    let fresh = tempfile::tempdir().expect("a folder");
    let registry = open(fresh.path(), 0);
    registry.adopt(carved);
    registry.persist(&[], 4).expect("room");
    drop(registry);
    let registry = open(fresh.path(), 0);
    assert_eq!(registry.resolve(series("a", "49")), Some(149));
    assert_eq!(registry.resolve(series("b", "")), Some(150));
}

proptest! {
    #[test]
    fn a_damaged_record_is_none(noise in prop::collection::vec(any::<u8>(), 0..100), bit in any::<prop::sample::Index>()) {
        prop_assert_eq!(record::decode(&noise), None);
        let mut bytes = record::encode_series(&series("metric", "value"));
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(record::decode(&bytes), None);
        prop_assert_eq!(record::decode(&bytes[..bit / 8]), None);
    }
}
