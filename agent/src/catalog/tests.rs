use super::*;

fn metric(name: &str, labels: &[&str]) -> Metric {
    Metric::for_test(name, Kind::Gauge, Tier::Fast, labels)
}

#[test]
fn names_are_checked_and_no_label_stands_twice() {
    let catalog = Catalog::default();
    let id = catalog.register("c", "p", "t", 10);
    for bad in [
        "",
        "Upper",
        "1digit",
        "with-dash",
        "umläut",
        &"x".repeat(257),
    ] {
        let refused = catalog.define_metric(id, metric(bad, &[]));
        assert!(
            matches!(refused, Err(CatalogError::BadName { .. })),
            "{bad:?}: {refused:?}"
        );
    }
    let twice = catalog.define_metric(id, metric("m", &["a", "b", "a"]));
    assert!(
        matches!(twice, Err(CatalogError::DoubleLabel { .. })),
        "{twice:?}"
    );
}

#[test]
fn one_name_has_one_definition() {
    let catalog = Catalog::default();
    let id = catalog.register("c", "p", "t", 10);
    let first = catalog.define_metric(id, metric("m", &["a"]));
    assert_eq!(catalog.define_metric(id, metric("m", &["a"])), first);
    let other = catalog.define_metric(id, metric("m", &["b"]));
    assert!(
        matches!(other, Err(CatalogError::Conflict { .. })),
        "{other:?}"
    );
}

#[test]
fn the_cap_holds_counts_and_leaves_room_for_what_the_agent_says() {
    let catalog = Catalog::default();
    let id = catalog.register("c", "p", "t", 2);
    let m = catalog.define_metric(id, metric("m", &["a"])).unwrap();
    let define = |value: &str| catalog.define_series(id, m, vec![value.to_owned()]);
    let first = define("1").unwrap();
    define("2").unwrap();
    assert!(matches!(define("3"), Err(CatalogError::Full { .. })));
    assert_eq!(catalog.read().collector(id).series_dropped, 1);
    assert!(
        catalog
            .define_own_series(id, m, vec!["own".to_owned()])
            .is_ok()
    );
    assert_eq!(catalog.register("c", "p", "t", 4), id, "the same collector");
    assert!(define("3").is_ok(), "a reload raised its cap");
    assert_ne!(catalog.register("c", "p", "other", 4), id);
    assert_eq!(define("1"), Ok(first));
}

#[test]
fn a_retired_series_keeps_its_id_and_churn_is_forgotten() {
    let catalog = Catalog::default();
    let id = catalog.register("c", "p", "t", 100);
    let m = catalog.define_metric(id, metric("m", &["a"])).unwrap();
    let define = |n: usize| {
        catalog
            .define_series(id, m, vec![format!("container-{n}")])
            .unwrap()
    };
    let first = define(0);
    catalog.retire(first);
    assert_eq!(define(0), first, "identity is kept");
    for n in 1..1_000 {
        catalog.retire(define(n));
    }
    let tables = catalog.read();
    let remembered = tables
        .all_series()
        .filter(|(_, series)| !series.values.is_empty())
        .count();
    assert_eq!(remembered, 101, "one lives and a hundred are remembered");
    assert_eq!(tables.series_ids.len(), 101);
    assert_eq!(tables.collector(id).series_live, 1);
}

#[test]
fn labels_that_churn_for_ever_reach_a_bound() {
    let catalog = Catalog::default();
    let id = catalog.register("c", "p", "t", 2);
    let m = catalog.define_metric(id, metric("m", &["a"])).unwrap();
    let define = |n: usize| catalog.define_series(id, m, vec![format!("job-{n}")]);
    for n in 0..2 * SERIES_EVER_FACTOR {
        catalog.retire(define(n).unwrap());
    }
    assert!(matches!(define(1_000_000), Err(CatalogError::Full { .. })));
    let last = 2 * SERIES_EVER_FACTOR - 1;
    assert!(
        define(last).is_ok(),
        "one that is remembered still comes back"
    );
}
