//! The plugin on this very machine, against what `/proc` says before and after.

use std::{collections::HashMap, fmt::Write as _, fs, path::Path};

use barograph_plugin_system::{Config, System};
use barograph_sdk::{
    Tier, abi,
    tester::{Collected, CollectorTester},
};
use serde_json::json;

fn tester() -> CollectorTester {
    CollectorTester::new::<System>(&json!({})).unwrap()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Numbers of `/proc/stat` by the first word of their line.
fn stat() -> HashMap<String, Vec<f64>> {
    let numbers = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let key = words.next().unwrap_or_default().to_owned();
        (key, words.map(|word| word.parse().unwrap()).collect())
    };
    read("/proc/stat").lines().map(numbers).collect()
}

/// A number of a file with lines `key: number` or `key number`.
fn field(text: &str, key: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(key)).unwrap();
    line[key.len()..]
        .split_ascii_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

#[track_caller]
fn assert_between(before: f64, sampled: Option<f64>, after: f64) {
    let sampled = sampled.expect("the series has a sample");
    let slack = after.abs() * 1e-12;
    assert!(
        before - slack <= sampled && sampled <= after + slack,
        "{before} <= {sampled} <= {after}"
    );
}

#[test]
fn cpu_time_and_the_schedulers_counters_are_those_of_proc() {
    let mut tester = tester();
    let before = stat();
    assert_eq!(tester.tick(), Ok(Collected::Whole));
    let after = stat();
    let cpus: Vec<&String> = before
        .keys()
        .filter(|key| key.starts_with("cpu") && key.as_str() != "cpu")
        .collect();
    assert_eq!(
        tester.values("system_cpu_seconds_total").len(),
        cpus.len() * 8
    );
    for cpu in cpus {
        let (number, modes) = (&cpu[3..], ["user", "nice", "system", "idle"]);
        for (index, mode) in modes.into_iter().enumerate() {
            let sampled = tester.value(
                "system_cpu_seconds_total",
                &[("mode", mode), ("cpu", number)],
            );
            // Linux gives these in hundredths of a second on every architecture.
            assert_between(
                before[cpu][index] / 100.0,
                sampled,
                after[cpu][index] / 100.0,
            );
        }
    }
    for (key, metric) in [
        ("ctxt", "system_context_switches_total"),
        ("intr", "system_interrupts_total"),
        ("processes", "system_forks_total"),
    ] {
        assert_between(before[key][0], tester.value(metric, &[]), after[key][0]);
    }
    assert!(
        tester.value("system_processes_running", &[]).unwrap() >= 1.0,
        "this test runs"
    );
}

#[test]
fn a_busy_loop_shows() {
    let own_ticks = || {
        let text = read("/proc/thread-self/stat");
        let fields: Vec<&str> = text
            .rsplit_once(')')
            .unwrap()
            .1
            .split_ascii_whitespace()
            .collect();
        fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()
    };
    let mut tester = tester();
    let before: f64 = stat()["cpu"][..8].iter().sum();
    tester.tick().unwrap();
    let spun = own_ticks();
    while own_ticks() < spun + 30.0 {
        std::hint::spin_loop();
    }
    tester.tick().unwrap();
    let after: f64 = stat()["cpu"][..8].iter().sum();
    // All the time that passed is at most what passed around both ticks, and 30 ticks of it were ours;
    // the kernel may count a few of them late.
    let least = 25.0 / (after - before);
    let modes: f64 = tester
        .values("system_cpu_mode_ratio")
        .iter()
        .map(|(_, share)| share)
        .sum();
    assert!(
        (least..=1.0001).contains(&modes),
        "{modes} of at least {least}"
    );
    let cpus = tester.values("system_cpu_utilization_ratio");
    assert!(
        cpus.iter().all(|(_, busy)| (0.0..=1.0).contains(busy)),
        "{cpus:?}"
    );
    let busy = tester.value("system_cpu_busy_ratio", &[]).unwrap();
    assert!(busy > 0.0 && busy <= 1.0, "{busy}");
}

#[test]
fn memory_is_that_of_proc_and_its_parts_add_up() {
    let mut tester = tester();
    tester.tick().unwrap();
    let meminfo = read("/proc/meminfo");
    let limits = tester.value("system_cgroup_memory_limit_bytes", &[]);
    let total = tester.value("system_memory_total_bytes", &[]).unwrap();
    if limits.is_none() {
        assert_between(total, Some(field(&meminfo, "MemTotal:") * 1024.0), total);
        let parts = ["used", "buffers", "cached", "slab_reclaimable", "free"];
        let sum: f64 = parts
            .iter()
            .map(|part| {
                tester
                    .value(&format!("system_memory_{part}_bytes"), &[])
                    .unwrap()
            })
            .sum();
        assert_between(total, Some(sum), total);
    }
    let available = tester.value("system_memory_available_bytes", &[]).unwrap();
    let ratio = tester
        .value("system_memory_utilization_ratio", &[])
        .unwrap();
    assert!(
        (ratio - (1.0 - available / total)).abs() <= 0.000_05,
        "{ratio}"
    );
    let swap = field(&meminfo, "SwapTotal:") * 1024.0;
    assert_between(swap, tester.value("system_swap_total_bytes", &[]), swap);
}

#[test]
fn paging_and_load_are_those_of_proc() {
    let mut tester = tester();
    let (before, load_before) = (read("/proc/vmstat"), read("/proc/loadavg"));
    tester.tick().unwrap();
    let (after, load_after) = (read("/proc/vmstat"), read("/proc/loadavg"));
    let major = |text: &str| field(text, "pgmajfault ");
    let sampled = tester.value("system_page_faults_total", &[("kind", "major")]);
    assert_between(major(&before), sampled, major(&after));
    let minor = |text: &str| field(text, "pgfault ") - major(text);
    let sampled = tester.value("system_page_faults_total", &[("kind", "minor")]);
    // The two totals are not read at one instant by the kernel either.
    assert_between(minor(&before) - 100.0, sampled, minor(&after) + 100.0);
    let kills = tester.value("system_oom_kills_total", &[]);
    assert_between(
        field(&before, "oom_kill "),
        kills,
        field(&after, "oom_kill "),
    );
    let load = tester.value("system_load1", &[]).unwrap();
    let one = |text: &str| text.split(' ').next().unwrap().parse::<f64>().unwrap();
    assert!(
        [one(&load_before), one(&load_after)].contains(&load),
        "{load}"
    );
}

#[test]
fn pressure_is_that_of_proc_where_the_kernel_has_it() {
    let total = |text: &str, kind: &str| {
        let line = text.lines().find(|line| line.starts_with(kind)).unwrap();
        line.rsplit_once("total=")
            .unwrap()
            .1
            .parse::<f64>()
            .unwrap()
            / 1e6
    };
    let mut tester = tester();
    for resource in ["cpu", "memory", "io"] {
        let path = format!("/proc/pressure/{resource}");
        let Ok(before) = fs::read_to_string(&path) else {
            tester.tick().unwrap();
            assert_eq!(tester.values("system_pressure_stall_seconds_total"), []);
            continue;
        };
        tester.tick().unwrap();
        let after = read(&path);
        let labels = [("resource", resource), ("kind", "some")];
        let sampled = tester.value("system_pressure_stall_seconds_total", &labels);
        assert_between(total(&before, "some"), sampled, total(&after, "some"));
        let ratio = tester
            .value("system_pressure_avg10_ratio", &labels)
            .unwrap();
        assert!((0.0..=1.0).contains(&ratio), "{ratio}");
    }
}

#[test]
fn disks_are_those_of_proc_without_partitions() {
    let sectors = || -> HashMap<String, (f64, f64)> {
        let text = read("/proc/diskstats");
        let device = |line: &str| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let bytes = |index: usize| words[index].parse::<f64>().unwrap() * 512.0;
            (words[2].to_owned(), (bytes(5), bytes(9)))
        };
        text.lines().map(device).collect()
    };
    let config = json!({ "devices_exclude": [] });
    let mut tester = CollectorTester::new::<System>(&config).unwrap();
    let before = sectors();
    tester.tick().unwrap();
    let after = sectors();
    let whole = |name: &&String| {
        Path::new("/sys/block")
            .join(name.replace('/', "!"))
            .exists()
    };
    let devices: Vec<&String> = before.keys().filter(whole).collect();
    assert_eq!(
        tester.values("system_disk_read_bytes_total").len(),
        devices.len()
    );
    for device in devices {
        let labels = [("device", device.as_str())];
        let read = tester.value("system_disk_read_bytes_total", &labels);
        assert_between(before[device].0, read, after[device].0);
        let written = tester.value("system_disk_written_bytes_total", &labels);
        assert_between(before[device].1, written, after[device].1);
    }
    tester.tick().unwrap();
    let ratios = tester.values("system_disk_utilization_ratio");
    assert!(
        ratios.iter().all(|(_, ratio)| (0.0..=1.0).contains(ratio)),
        "{ratios:?}"
    );
}

#[test]
fn slow_values_come_with_slow_ticks_and_are_the_hosts() {
    let mut tester = tester();
    tester.tick().unwrap();
    let info = tester.values("system_info");
    let [(labels, value)] = info.as_slice() else {
        panic!("one host: {info:?}")
    };
    assert!((value - 1.0).abs() < f64::EPSILON);
    assert_eq!(labels[0], read("/proc/sys/kernel/hostname").trim());
    assert_eq!(labels[2], read("/proc/sys/kernel/osrelease").trim());
    assert_eq!(labels[3], std::env::consts::ARCH);
    let boot = stat()["btime"][0];
    assert_between(boot, tester.value("system_boot_time_seconds", &[]), boot);
    let limit = read("/proc/sys/fs/file-max").trim().parse::<f64>().unwrap();
    assert_between(limit, tester.value("system_file_handles_limit", &[]), limit);
    tester.tick_of(&[Tier::Fast]).unwrap();
    assert_eq!(
        tester.values("system_info"),
        [],
        "slow ones are due each thirty seconds"
    );
    tester.tick_of(&[Tier::Slow]).unwrap();
    assert_eq!(tester.values("system_info").len(), 1);
    assert_eq!(tester.value("system_load1", &[]), None);
}

#[test]
fn the_root_file_system_has_its_space_and_inodes() {
    let mut tester = tester();
    let root = |tester: &CollectorTester, metric: &str| {
        let values = tester.values(metric);
        values
            .into_iter()
            .find(|(labels, _)| labels[0] == "/")
            .map(|(_, value)| value)
    };
    // A machine at its limit may keep the mounts waiting; they are said to be missing, and come later.
    let answered = (0..100).any(|_| tester.tick_of(&[Tier::Slow]) == Ok(Collected::Whole));
    assert!(answered, "no tick had all mounts");
    let stat = rustix::fs::statvfs("/").unwrap();
    let size = (stat.f_blocks * stat.f_frsize) as f64;
    assert_between(size, root(&tester, "system_filesystem_size_bytes"), size);
    let used = root(&tester, "system_filesystem_utilization_ratio").unwrap();
    assert!((0.0..=1.0).contains(&used), "{used}");
    if stat.f_files > 0 {
        let inodes = stat.f_files as f64;
        assert_between(inodes, root(&tester, "system_filesystem_inodes"), inodes);
    }
    let config = json!({ "mounts_exclude": ["*"] });
    let mut tester = CollectorTester::new::<System>(&config).unwrap();
    tester.tick().unwrap();
    assert_eq!(tester.values("system_filesystem_size_bytes"), []);
}

#[test]
fn every_series_is_sampled_in_each_tick_that_it_is_due() {
    let mut tester = tester();
    tester.tick().unwrap();
    tester.tick_of(&[Tier::Fast, Tier::Slow]).unwrap();
    let (series, samples) = (tester.series(), tester.samples());
    assert_eq!(series, samples);
    assert!(series > 50, "{series} series");
}

#[test]
fn the_sample_shows_every_key_with_its_default() {
    let sample: toml::Table = include_str!("../sample.toml").parse().unwrap();
    let section = sample["plugins"]["system"].clone();
    let config: Config = section.clone().try_into().unwrap();
    assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
    let manifest = CollectorTester::manifest::<System>();
    let keys = manifest["config"]["properties"].as_object().unwrap();
    for (key, schema) in keys {
        assert!(
            section.get(key).is_some(),
            "{key} is missing in sample.toml"
        );
        assert!(
            schema.get("description").is_some(),
            "{key} is not described"
        );
    }
}

#[test]
fn a_wrong_key_or_value_is_named() {
    let failure =
        CollectorTester::check_config::<System>(&json!({ "per_cpus": true })).unwrap_err();
    assert_eq!(
        (failure.code, failure.field.as_str()),
        (abi::E_CONFIG, "per_cpus")
    );
    let failure =
        CollectorTester::check_config::<System>(&json!({ "limits": "none" })).unwrap_err();
    assert_eq!(failure.field, "limits");
    assert!(failure.message.contains("auto"), "{}", failure.message);
}

#[test]
fn the_readme_lists_every_metric() {
    const BEGIN: &str = "<!-- metrics: held against the code by tests/plugin.rs -->\n";
    let mut table = String::from("| metric | labels | tier | kind, unit | what it is |\n");
    table.push_str("|---|---|---|---|---|\n");
    for metric in tester().metrics() {
        let kind = if metric.counter { "counter" } else { "gauge" };
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        let (labels, tier) = (
            labels.join(", "),
            format!("{:?}", metric.tier).to_lowercase(),
        );
        let (name, unit, help) = (&metric.name, metric.unit, &metric.help);
        writeln!(
            table,
            "| `{name}` | {labels} | {tier} | {kind}, {unit} | {help} |"
        )
        .unwrap();
        assert!(!help.is_empty() && help.ends_with('.'), "{name}");
        assert!(
            !metric.chart.0.is_empty() && !metric.chart.1.is_empty(),
            "{name}"
        );
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (head, rest) = readme.split_once(BEGIN).unwrap();
    let (found, tail) = rest.split_once("<!-- end -->").unwrap();
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, format!("{head}{BEGIN}{table}<!-- end -->{tail}")).unwrap();
    } else {
        assert_eq!(found, table, "BLESS=1 writes the table anew");
    }
}
