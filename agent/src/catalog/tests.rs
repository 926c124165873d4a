use super::*;
use crate::clock::Tier;

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
    let first = catalog.define_metric(id, metric("m", &["a"])).unwrap();
    assert_eq!(catalog.define_metric(id, metric("m", &["a"])), Ok(first));
    catalog
        .define_series(id, first, vec!["1".to_owned()])
        .unwrap();
    let other = catalog.define_metric(id, metric("m", &["b"]));
    assert!(
        matches!(other, Err(CatalogError::Conflict { .. })),
        "{other:?}"
    );
}

#[test]
fn a_metric_whose_series_are_retired_may_get_other_labels() {
    let catalog = Catalog::default();
    let id = catalog.register("c", "p", "t", 2);
    let m = catalog.define_metric(id, metric("m", &["a"])).unwrap();
    let define = |values: &[&str]| {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        catalog.define_series(id, m, values)
    };
    let old = define(&["1"]).unwrap();
    catalog.retire(old);
    let of_other = Metric {
        plugin: "other".to_owned(),
        ..metric("m", &["b"])
    };
    let refused = catalog.define_metric(id, of_other);
    assert!(
        matches!(refused, Err(CatalogError::Conflict { .. })),
        "{refused:?}"
    );
    let revision = catalog.read().collector(id).revision;
    assert_eq!(catalog.define_metric(id, metric("m", &["b"])), Ok(m));
    assert!(catalog.read().collector(id).revision > revision);
    let new = define(&["1"]).unwrap();
    assert_ne!(new, old, "the same value of another label");
    assert!(catalog.read().labels(new).eq([("b", "1")]));
    assert_eq!(catalog.read().labels(old).count(), 0);
    // Without labels every series looks like an old one, and is none.
    catalog.retire(new);
    assert_eq!(catalog.define_metric(id, metric("m", &[])), Ok(m));
    let last = define(&[]).unwrap();
    for n in 0..4 {
        let other = catalog.define_metric(id, metric("n", &["a"])).unwrap();
        let churning = catalog.define_series(id, other, vec![n.to_string()]);
        catalog.retire(churning.unwrap());
    }
    assert_eq!(define(&[]), Ok(last));
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
fn what_the_agent_says_takes_none_of_a_collectors_room() {
    let catalog = Catalog::default();
    let id = catalog.register("c", "p", "t", 2);
    let m = catalog.define_metric(id, metric("m", &["a"])).unwrap();
    let own = ["up", "seconds"].map(|value| {
        let defined = catalog.define_own_series(id, m, vec![value.to_owned()]);
        defined.unwrap()
    });
    let define = |value: &str| catalog.define_series(id, m, vec![value.to_owned()]);
    let counts = || {
        let tables = catalog.read();
        let its = tables.collector(id);
        (its.series_live, its.series_capped(), its.series_dropped)
    };
    define("1").unwrap();
    define("2").unwrap();
    assert_eq!(counts(), (4, 2, 0));
    assert!(define("3").is_err());
    catalog.retire(own[0]);
    assert_eq!(counts(), (3, 2, 1));
    assert!(define("3").is_err(), "the room was never its");
    catalog
        .define_own_series(id, m, vec!["up".to_owned()])
        .unwrap();
    assert_eq!(counts(), (4, 2, 2));
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

#[test]
fn what_the_agent_says_of_a_topic_is_no_plugins() {
    let catalog = Catalog::default();
    let other = catalog.register("other", "other", "other", 10);
    let of = |topic: &str, name: &str| Metric {
        topic: topic.to_owned(),
        plugin: topic.to_owned(),
        ..metric(name, &[])
    };
    // Before anybody has said so, it is a name like any other.
    let link = catalog.define_metric(other, of("other", "redis_master_link_up"));
    assert!(link.is_ok(), "{link:?}");
    catalog.reserve("redis");
    for name in ["redis_up", "redis_collect_seconds", "other_up"] {
        let refused = catalog.define_metric(other, of("other", name));
        assert!(
            matches!(refused, Err(CatalogError::OwnOfTopic { .. })),
            "{name}: {refused:?}"
        );
    }
    let refused = catalog.define_metric(other, of("other", "barograph_jobs"));
    assert!(
        matches!(refused, Err(CatalogError::Own { .. })),
        "{refused:?}"
    );
    let redis = catalog.register("redis", "redis", "redis", 10);
    for name in ["redis_up", "redis_collect_seconds"] {
        let own = catalog.define_own_metric(redis, of("redis", name));
        assert!(own.is_ok(), "{own:?}");
    }
}

#[test]
fn a_name_that_was_taken_before_its_topic_came_is_said_with_whom_and_what_to_do() {
    let catalog = Catalog::default();
    let other = catalog.register("other", "other", "other", 10);
    catalog
        .define_metric(other, metric("redis_up", &[]))
        .unwrap();
    let redis = catalog.register("redis", "redis", "redis", 10);
    let own = Metric {
        topic: "redis".to_owned(),
        plugin: "redis".to_owned(),
        ..metric("redis_up", &["instance"])
    };
    let held = catalog
        .define_own_metric(redis, own)
        .unwrap_err()
        .to_string();
    for says in ["`redis_up`", "plugin `system`", "restart the agent"] {
        assert!(held.contains(says), "{held}");
    }
}

#[test]
fn the_cap_on_metrics_leaves_room_for_what_the_agent_says() {
    let catalog = Catalog::default();
    let id = catalog.register("c", "system", "t", 10);
    for number in 0..METRICS_MAX {
        let name = format!("metric_{number}");
        catalog.define_metric(id, metric(&name, &[])).unwrap();
    }
    let more = catalog.define_metric(id, metric("more", &[]));
    assert!(matches!(more, Err(CatalogError::Full { .. })), "{more:?}");
    assert!(catalog.define_own_metric(id, metric("t_up", &[])).is_ok());
}
