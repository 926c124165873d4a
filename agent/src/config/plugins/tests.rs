use std::time::Duration;

use serde_json::json;

use super::*;
use crate::collect::Isolation;
use crate::collect::library::{Policy, Shelf};
use crate::config::node::Node;
use crate::config::reader::read;

fn parse(text: &str) -> (Vec<Instance>, Vec<String>) {
    let tree = Node::parse(text).unwrap();
    let (sections, mut found) = read::<IndexMap<String, Section>>(tree);
    let made = instances(&sections, &Tiers::default(), &mut found).enabled;
    let found = found
        .iter()
        .map(|m| format!("{}: {}", m.path.join("."), m.message))
        .collect();
    (made, found)
}

#[test]
fn an_empty_section_has_the_defaults() {
    let (made, found) = parse("[system]\n");
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(made, [Instance::of("system")]);
    assert_eq!(made[0].timeout, Duration::from_millis(800));
    assert_eq!(parse(""), (Vec::new(), Vec::new()));
}

#[test]
fn own_keys_reach_the_plugin_untouched() {
    let (made, _) = parse("[system]\ninterval = '5s'\nper_cpu = false\nlimits = {x = [1, 'a']}\n");
    assert_eq!(
        made[0].config,
        json!({"per_cpu": false, "limits": {"x": [1, "a"]}})
    );
    assert_eq!(made[0].interval, Duration::from_secs(5));
    assert_eq!(made[0].timeout, Duration::from_secs(4));
}

#[test]
fn instances_inherit_and_override() {
    let text = "[database]\nkind = 'postgresql'\nseries_max = 50\ntimeout = '100ms'\n\
        [[database.instances]]\nname = 'main'\nurl = 'a'\n\
        [[database.instances]]\nname = 'other'\nkind = 'mysql'\ninterval = '2s'\nseries_max = 7\n";
    let (made, found) = parse(text);
    assert!(found.is_empty(), "{found:?}");
    let [main, other] = made.as_slice() else {
        panic!("{made:?}")
    };
    assert_eq!(main.config, json!({"kind": "postgresql", "url": "a"}));
    assert_eq!((main.name.as_str(), main.series_max), ("main", 50));
    assert_eq!(other.config, json!({"kind": "mysql"}));
    assert_eq!(
        (other.interval, other.series_max),
        (Duration::from_secs(2), 7)
    );
    assert_eq!(other.timeout, Duration::from_millis(100));
    assert_eq!(
        other.sections(),
        ["plugins.database.instances[1]", "plugins.database"]
    );
}

#[test]
fn the_agents_keys_never_reach_the_plugin() {
    let sha256 = "AB".repeat(32);
    let text = format!(
        "[database]\nenabled = true\npath = '/opt/x.so'\nsha256 = '{sha256}'\nstrict = true\n\
         isolation = 'thread'\ninterval = '2s'\ntimeout = '1s'\nstart_timeout = '3s'\nseries_max = 9\n\
         rss_max = 'off'\naddress_space_max = '2GiB'\nown = 1\n\
         [[database.instances]]\nname = 'main'\n\
         [[database.instances]]\nname = 'other'\ninterval = '4s'\ntimeout = '2s'\nstart_timeout = '100ms'\n\
         series_max = 8\nrss_max = '16MiB'\naddress_space_max = 'off'\n"
    );
    let (made, found) = parse(&text);
    assert!(found.is_empty(), "{found:?}");
    let [main, other] = made.as_slice() else {
        panic!("{made:?}")
    };
    let expected = Instance {
        name: "main".to_owned(),
        path: Some("/opt/x.so".into()),
        policy: Policy {
            sha256: Some(sha256.to_lowercase()),
            strict: true,
        },
        isolation: Isolation::Thread,
        interval: Duration::from_secs(2),
        timeout: Duration::from_secs(1),
        start_timeout: Duration::from_secs(3),
        series_max: 9,
        rss_max_bytes: None,
        address_space_max_bytes: Some(2 << 30),
        config: json!({"own": 1}),
        position: Some(0),
        ..Instance::of("database")
    };
    assert_eq!(*main, expected);
    let expected = Instance {
        name: "other".to_owned(),
        interval: Duration::from_secs(4),
        timeout: Duration::from_secs(2),
        start_timeout: Duration::from_millis(100),
        series_max: 8,
        rss_max_bytes: Some(16 << 20),
        address_space_max_bytes: None,
        position: Some(1),
        ..expected
    };
    assert_eq!(*other, expected);
}

#[test]
fn every_key_of_the_agent_is_listed() {
    let keys = |text: &str| {
        let tree = Node::parse(text).unwrap();
        let (sections, _) = read::<IndexMap<String, Section>>(tree);
        let made = instances(&sections, &Tiers::default(), &mut Vec::new());
        let all: Vec<_> = made.enabled.into_iter().chain(made.disabled).collect();
        all.last().unwrap().config.as_object().unwrap().len()
    };
    for key in HOST_KEYS {
        // Of a wrong type, but taken from the plugin all the same.
        assert_eq!(keys(&format!("[x]\n{key} = 1.5\n")), 0, "{key}");
    }
    assert_eq!(keys("[x]\nother = 1.5\n"), 1);
}

#[test]
fn what_is_switched_off_is_kept_apart() {
    let tree = Node::parse("[system]\nenabled = false\n[b]\n[a]\nenabled = false\n").unwrap();
    let (sections, mut found) = read::<IndexMap<String, Section>>(tree);
    let made = instances(&sections, &Tiers::default(), &mut found);
    let names = |all: &[Instance]| all.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&made.enabled), ["b"]);
    assert_eq!(names(&made.disabled), ["system", "a"]);
}

#[test]
fn a_library_is_judged_by_what_its_section_asks() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = Shelf::open(folder.path().join("plugins")).unwrap();
    let library = folder.path().join("x.so");
    std::fs::write(&library, "x").unwrap();
    let resolve = |keys: &str| {
        let text = format!("[x]\npath = {:?}\n{keys}", library.display().to_string());
        let (made, found) = parse(&text);
        assert!(found.is_empty(), "{found:?}");
        made[0].resolve(&shelf)
    };
    let good = resolve("").unwrap();
    let settings = &good.settings;
    assert!(good.warnings.is_empty(), "{good:?}");
    assert_eq!(settings.library, library);
    assert_eq!(
        settings.loaded,
        shelf.folder().join(format!("{}.so", settings.sha256))
    );
    assert_eq!(std::fs::read(&settings.loaded).unwrap(), b"x");
    let sha256 = &settings.sha256;
    let pinned = resolve(&format!("sha256 = {sha256:?}\nisolation = 'thread'\n")).unwrap();
    assert_eq!(pinned.settings.sha256, *sha256);
    assert!(
        pinned.warnings[0].starts_with("runs on a thread of the agent"),
        "{pinned:?}"
    );
    let wrong = resolve(&format!("sha256 = '{}'\n", "0".repeat(64))).unwrap_err();
    assert_eq!(wrong.key, Some("sha256"));
    assert!(wrong.message.contains(sha256), "{wrong}");
    std::fs::remove_file(&library).unwrap();
    let absent = resolve("").unwrap_err();
    assert_eq!(absent.key, None);
    assert!(
        absent.message.starts_with("there is no library /"),
        "{absent}"
    );
}

#[test]
fn mistakes_name_their_key() {
    for (text, expected) in [
        (
            "[system]\ninterval = '1500ms'",
            "plugins.system.interval: 1500ms is not a whole multiple of tiers.fast, 1s",
        ),
        (
            "[system]\ninterval = '24h'",
            "plugins.system.interval: 1d is too long",
        ),
        (
            "[system]\nseries_max = 0",
            "plugins.system.series_max: 0 is out of range",
        ),
        (
            "[system]\nsha256 = 'abc'",
            "system.sha256: expected the 64 hexadecimal digits that `sha256sum FILE` prints, found \"abc\"",
        ),
        (
            "[system]\nisolation = 'proces'",
            "system.isolation: expected one of `process` or `thread`, found \"proces\"; did you mean `process`?",
        ),
        (
            "[system]\nstrict = 1",
            "system.strict: expected true or false, found the number 1",
        ),
        (
            "[system]\nstart_timeout = '99ms'",
            "plugins.system.start_timeout: 99ms is out of range; it has to be from 100ms to 5m",
        ),
        (
            "[system]\nrss_max = 'none'",
            "system.rss_max: expected a size such as \"512MiB\" or \"1GiB\", or \"off\", found \"none\"",
        ),
        (
            "[system]\nrss_max = '15MiB'",
            "plugins.system.rss_max: 15MiB is too little; it has to be at least 16MiB, or \"off\"",
        ),
        (
            "[system]\naddress_space_max = '32MiB'",
            "plugins.system.address_space_max: 32MiB is too little; it has to be at least 64MiB",
        ),
        (
            "[[db.instances]]\nname = 'x'\nrss_max = '1MiB'",
            "plugins.db.instances.0.rss_max: 1MiB is too little",
        ),
        (
            "[[db.instances]]\nname = 'x'\nsha256 = 'abc'",
            "plugins.db.instances.0.sha256: all instances share this key; set it in [plugins.db]",
        ),
        ("[agent]", "plugins.agent: the name `agent` is taken"),
        ("[Bad]", "plugins.Bad: a plugin's name is"),
        (
            "[[db.instances]]\n",
            "plugins.db.instances.0: each instance needs a name",
        ),
        (
            "[[db.instances]]\nname = 'x y'",
            "plugins.db.instances.0.name: a name is",
        ),
        (
            "[x]\n[[db.instances]]\nname = 'x'",
            "plugins.db.instances.0.name: the name `x` is taken",
        ),
        (
            "[[db.instances]]\nname = 'x'\ninterval = '10ms'",
            "plugins.db.instances.0.interval: 10ms is not",
        ),
    ] {
        let (_, found) = parse(text);
        assert!(
            found.len() == 1 && found[0].starts_with(expected),
            "{text}: {found:?}"
        );
    }
}
