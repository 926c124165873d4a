//! `/metrics` is read by Prometheus' own tools, and agrees with Prometheus' own exporter on this machine.

use std::collections::HashMap;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::agent::{Agent, PATIENCE};

#[tokio::test]
async fn promtool_finds_nothing_to_mend() {
    let agent = Agent::start().await;
    agent
        .component_that("system", |component| component["up"] == true)
        .await;
    let answer = agent.get("/metrics").await;
    assert!(
        answer
            .head
            .to_lowercase()
            .contains("content-type: text/plain; version=0.0.4"),
        "{}",
        answer.head
    );
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("promtool, of Debian's package prometheus");
    let mut stdin = promtool.stdin.take().expect("a pipe");
    stdin
        .write_all(answer.body.as_bytes())
        .await
        .expect("read by promtool");
    drop(stdin);
    let output = promtool.wait_with_output().await.expect("an end");
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
    assert!(
        answer
            .body
            .lines()
            .filter(|line| !line.starts_with('#'))
            .count()
            > 80,
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn values_agree_with_node_exporter() {
    let agent = Agent::start().await;
    agent
        .component_that("system", |component| component["up"] == true)
        .await;
    let exporter = Exporter::start().await;
    // Counters only grow, so what ours say of a moment between two readings of theirs lies between these.
    let pairs = [
        ("system_memory_total_bytes", "node_memory_MemTotal_bytes"),
        (
            "system_context_switches_total",
            "node_context_switches_total",
        ),
        ("system_interrupts_total", "node_intr_total"),
        ("system_forks_total", "node_forks_total"),
    ];
    let before = exporter.read().await;
    agent.sampled_after_now().await;
    let ours = samples(&agent.get("/metrics").await.body);
    let after = exporter.read().await;
    for (name, theirs) in pairs {
        let (low, value, high) = (before[theirs], ours[name], after[theirs]);
        assert!(
            low <= value && value <= high,
            "{name}: {low} <= {value} <= {high}"
        );
    }
    between_sums(&before, &ours, &after);
    // What moves both ways agrees within what two seconds can change on a machine that runs tests.
    let total = ours["system_memory_total_bytes"];
    let available = after["node_memory_MemAvailable_bytes"];
    assert!((ours["system_memory_available_bytes"] - available).abs() < 0.1 * total);
}

/// Sums over labels that are spelled differently on the two sides.
fn between_sums(before: &Samples, ours: &Samples, after: &Samples) {
    let sum = |samples: &Samples, family: &str, part: &str| -> f64 {
        let of_family = samples.iter().filter(|(name, _)| name.starts_with(family));
        of_family
            .filter(|(name, _)| name.contains(part))
            .map(|(_, value)| value)
            .sum()
    };
    for mode in ["user", "system", "idle", "iowait"] {
        let part = format!("mode=\"{mode}\"");
        let theirs = |samples| sum(samples, "node_cpu_seconds_total{", &part);
        let value = sum(ours, "system_cpu_seconds_total{", &part);
        let (low, high) = (theirs(before), theirs(after));
        // The kernel's idle counters may go back by a tick or two between readings.
        assert!(
            low - 0.1 <= value && value <= high + 0.1,
            "{mode}: {low} <= {value} <= {high}"
        );
    }
    for (name, theirs) in [
        (
            "system_disk_read_bytes_total{",
            "node_disk_read_bytes_total{",
        ),
        (
            "system_disk_written_bytes_total{",
            "node_disk_written_bytes_total{",
        ),
    ] {
        let devices = ours.keys().filter_map(|key| key.strip_prefix(name));
        let mut seen = 0;
        for device in devices {
            let (low, high) = (
                before[&format!("{theirs}{device}")],
                after[&format!("{theirs}{device}")],
            );
            let value = ours[&format!("{name}{device}")];
            assert!(
                low <= value && value <= high,
                "{name}{device}: {low} <= {value} <= {high}"
            );
            seen += 1;
        }
        assert!(seen > 0, "no disk was seen");
    }
}

type Samples = HashMap<String, f64>;

/// The samples of a text exposition, by name with labels.
fn samples(text: &str) -> Samples {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        })
        .collect()
}

struct Exporter {
    _process: tokio::process::Child,
    address: String,
}

impl Exporter {
    async fn start() -> Self {
        // A port that was free a moment ago: node_exporter takes no port 0.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|l| l.local_addr())
            .expect("a port")
            .port();
        let address = format!("127.0.0.1:{port}");
        let process = Command::new("prometheus-node-exporter")
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("Debian's prometheus-node-exporter");
        let exporter = Self {
            _process: process,
            address,
        };
        let up = async {
            while tokio::net::TcpStream::connect(&exporter.address)
                .await
                .is_err()
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, up)
            .await
            .expect("node_exporter listens");
        exporter
    }

    async fn read(&self) -> Samples {
        use tokio::io::AsyncReadExt as _;
        let mut stream = tokio::net::TcpStream::connect(&self.address)
            .await
            .expect("a connection");
        let request = format!("GET /metrics HTTP/1.0\r\nHost: {}\r\n\r\n", self.address);
        stream
            .write_all(request.as_bytes())
            .await
            .expect("a request");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("an answer");
        samples(&text)
    }
}
