//! Plugins that end and come back, and configurations that change, over and over under load: nothing is left of it.
//!
//! 20 kills and 10 reloads here, 1,000 and 500 in `cargo xtask soak plugins`.
//!
//! The first failure of a collector in a minute costs it nothing, each further one a longer pause; so the kills go
//! to many collectors at once, each is killed once a round, and a round begins when the last one is forgotten. That
//! leaves the agent as it is shipped, and takes some 12 minutes for 1,000 kills. One more collector is reloaded all
//! the while, in turn by what its instance takes, by a switch to a new instance, and by a change that is refused.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::agent::{Agent, PATIENCE, library, new_folder, signal};
use crate::plugin_faults::trial::{self, Watch, unique};

const KILLS: u32 = 20;
const RELOADS: u32 = 10;
/// Collectors that are killed at once: what is left of the kills, but no more than this.
const VICTIMS_MAX: u32 = 100;
/// From one kill of a collector to the next, so that the first is forgotten.
const ROUND: Duration = Duration::from_secs(62);
/// Clients in CI and in a soak.
const CLIENTS: (usize, usize) = (40, 200);
/// What the agent's memory may grow by: its heap settles within this, however many cycles there are.
const GROWTH_BYTES_MAX: i64 = 8 << 20;

fn number(variable: &str, otherwise: u32) -> u32 {
    let set = std::env::var(variable).ok();
    set.map_or(otherwise, |text| text.parse().expect("a number"))
}

/// What an agent holds at a moment.
#[derive(Clone, Debug)]
struct Held {
    processes: usize,
    /// How many there are of each kind.
    descriptors: BTreeMap<String, usize>,
    rss_bytes: i64,
}

impl Held {
    fn of(agent: &Agent) -> Self {
        let proc = format!("/proc/{}", agent.pid());
        let status = fs::read_to_string(format!("{proc}/status")).expect("it runs");
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let rss_kb =
            rss.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<i64>().ok());
        Self {
            processes: agent.descendants().len(),
            descriptors: descriptors(&proc, &agent.data()),
            rss_bytes: rss_kb.expect("a line VmRSS") << 10,
        }
    }

    /// Whether processes and descriptors are the same.
    fn holds_as(&self, other: &Self) -> bool {
        self.processes == other.processes && self.descriptors == other.descriptors
    }

    fn descriptors(&self) -> usize {
        self.descriptors.values().sum()
    }
}

/// The open descriptors of a process by kind: the name of a file, or what else it is. The store's own files come and
/// go with the hours and its flushes.
fn descriptors(proc: &str, data: &Path) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    let all = fs::read_dir(format!("{proc}/fd"));
    for entry in all.expect("the owner of its namespace may look").flatten() {
        // One that was closed meanwhile.
        let Ok(target) = fs::read_link(entry.path()) else {
            continue;
        };
        if target.starts_with(data) && !target.starts_with(data.join("plugins")) {
            continue;
        }
        let name = target.to_string_lossy();
        let kind = name.split_once(":[").map_or(&*name, |(kind, _)| kind);
        *kinds.entry(kind.to_owned()).or_default() += 1;
    }
    kinds
}

/// One of the victims by name, with its process and how often it was started again.
type Plugins = HashMap<String, (u64, u64)>;

struct Cycles {
    agent: Agent,
    /// Ends the name of every collector but the system's.
    suffix: String,
    victims: u32,
    reloads: u32,
}

impl Cycles {
    async fn start(victims: u32) -> Self {
        let suffix = unique("cycle");
        let folder = new_folder();
        // Who may look into a process that hides its memory: root, or the owner of its namespace.
        let is_root = rustix::process::getuid().is_root();
        let program: &[&str] = if is_root { &[] } else { &["unshare", "-r"] };
        let agent = Agent::through(folder, &config(victims, &suffix, ""), program).await;
        Self {
            agent,
            suffix,
            victims,
            reloads: 0,
        }
    }

    async fn plugins(&self) -> Plugins {
        let answer = self.agent.json("/api/dashboard/plugins").await;
        let plugins = answer["plugins"].as_array().expect("plugins");
        plugins
            .iter()
            .filter(|info| info["phase"] == "running" && info["error"].is_null())
            .filter_map(|info| {
                let name = info["name"].as_str()?.to_owned();
                let restarts = trial::restarts(info);
                Some((name, (info["pid"].as_u64()?, restarts)))
            })
            .filter(|(name, _)| name.starts_with("victim"))
            .collect()
    }

    /// Waits until all victims run, each started again so often.
    async fn all_run(&self, restarts: u64) -> Plugins {
        let began = Instant::now();
        loop {
            let plugins = self.plugins().await;
            let good = plugins.values().filter(|(_, count)| *count == restarts);
            if good.count() == self.victims as usize {
                return plugins;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "not all of {} victims came back: {plugins:?}",
                self.victims
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Changes the one collector that is reloaded, and waits for what became of it.
    async fn reload(&mut self) {
        self.reloads += 1;
        let number = self.reloads;
        let (keys, outcome) = match number % 3 {
            0 => ("setting = -1".to_owned(), "refused"),
            1 => (format!("setting = {number}\nrestart = true"), "switched"),
            _ => (format!("setting = {number}"), "applied"),
        };
        let name = format!("changed_{}", self.suffix);
        let before = self.agent.plugin(&name).await["reload"]["at"].as_i64();
        self.agent
            .reload(&config(self.victims, &self.suffix, &keys));
        let is_done = |info: &Value| {
            info["reload"]["at"].as_i64() > before && info["reload"]["outcome"] == outcome
        };
        self.agent.plugin_that(&name, is_done).await;
    }
}

fn config(victims: u32, suffix: &str, keys: &str) -> String {
    let path = library("faulty").display().to_string();
    let mut config = format!("[plugins.faulty]\npath = {path:?}\n");
    let mut instance = |name: &str, keys: &str| {
        let section = "[[plugins.faulty.instances]]";
        writeln!(config, "{section}\nname = \"{name}_{suffix}\"\n{keys}").expect("a String");
    };
    for number in 0..victims {
        instance(&format!("victim{number}"), "");
    }
    instance("changed", keys);
    config
}

/// A client that takes what it is sent and looks at nothing.
async fn client(agent: &Agent) -> JoinHandle<()> {
    let url = format!("ws://{}/ws", agent.addr);
    let (mut socket, _) = connect_async(url).await.expect("an upgraded connection");
    let request = json!({"type": "subscribe", "id": 1, "channel": "metrics:faulty"});
    let sent = socket.send(Message::text(request.to_string())).await;
    sent.expect("a subscription");
    tokio::spawn(async move { while let Some(Ok(_)) = socket.next().await {} })
}

#[tokio::test]
async fn kills_and_reloads_under_load_leave_nothing_behind() {
    let (kills, reloads) = (
        number("PLUGIN_KILLS", KILLS),
        number("PLUGIN_RELOADS", RELOADS),
    );
    let victims = kills.min(VICTIMS_MAX);
    let rounds = kills.div_ceil(victims);
    let mut cycles = Cycles::start(victims).await;
    cycles.all_run(0).await;
    let is_soak = rounds > 1;
    let clients = if is_soak { CLIENTS.1 } else { CLIENTS.0 };
    let mut load = Vec::new();
    for _ in 0..clients {
        load.push(client(&cycles.agent).await);
    }
    let system = Watch::on(&cycles.agent, "system").await;
    // The first of each kind pays for code and pools that all later ones share.
    for _ in 0..3 {
        cycles.reload().await;
    }
    let before = at_rest(&cycles.agent).await;
    let mut done = 0;
    for round in 0..rounds {
        let began = Instant::now();
        let plugins = cycles.all_run(round.into()).await;
        for (pid, _) in plugins.values() {
            signal(u32::try_from(*pid).expect("a process id"), "KILL");
        }
        let due = reloads * (round + 1) / rounds;
        while done < due {
            cycles.reload().await;
            done += 1;
        }
        cycles.all_run(u64::from(round) + 1).await;
        if round + 1 < rounds {
            tokio::time::sleep_until(began + ROUND).await;
        }
    }
    assert!(
        load.iter().all(|client| !client.is_finished()),
        "a client was lost"
    );
    let after = settled(&cycles.agent, &before).await;
    system.end(&cycles.agent, "system").await;
    println!(
        "{} kills and {done} reloads under {clients} clients: processes {} to {}, descriptors {} to {}, memory {} to {} kB",
        victims * rounds,
        before.processes,
        after.processes,
        before.descriptors(),
        after.descriptors(),
        before.rss_bytes >> 10,
        after.rss_bytes >> 10
    );
    assert_eq!(after.processes, before.processes, "a process was left");
    assert_eq!(
        after.descriptors, before.descriptors,
        "a descriptor was left"
    );
    assert!(
        after.rss_bytes - before.rss_bytes <= GROWTH_BYTES_MAX,
        "the memory grew: {before:?} {after:?}"
    );
    drop(load);
    trial::end(&mut cycles.agent, &cycles.suffix).await;
}

/// What the agent holds once it is the same for a while: a connection that was answered takes a moment to go.
async fn at_rest(agent: &Agent) -> Held {
    let mut held = Held::of(agent);
    let mut same = 0;
    while same < 10 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = Held::of(agent);
        same = if now.holds_as(&held) { same + 1 } else { 0 };
        held = now;
    }
    held
}

/// What the agent holds once all that was on its way out is gone, or the patience is.
async fn settled(agent: &Agent, before: &Held) -> Held {
    let began = Instant::now();
    loop {
        let held = Held::of(agent);
        if held.holds_as(before) || began.elapsed() > PATIENCE {
            return held;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
