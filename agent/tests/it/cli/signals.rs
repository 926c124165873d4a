//! Signals to a running agent, and what its log says of them.

use std::fs;

use serde_json::Value;

use crate::agent::{Agent, until};

#[tokio::test]
async fn sigterm_and_sigint_stop_cleanly() {
    for name in ["TERM", "INT"] {
        let mut agent = Agent::start().await;
        agent.signal(name);
        assert_eq!(agent.end().await, Some(0), "SIG{name}: {}", agent.log());
        assert!(
            agent
                .log()
                .contains(&format!("stopping signal=\"SIG{name}\"")),
            "{}",
            agent.log()
        );
    }
}

#[tokio::test]
async fn a_second_signal_ends_the_agent_at_once() {
    let mut agent = Agent::start().await;
    // Both arrive together when it goes on, so the second is there before anything could stop.
    agent.signal("STOP");
    agent.signal("TERM");
    agent.signal("INT");
    agent.signal("CONT");
    assert_eq!(agent.end().await, Some(1), "{}", agent.log());
    assert!(
        agent.log().contains("a second signal, SIG"),
        "{}",
        agent.log()
    );
}

#[tokio::test]
async fn a_broken_file_is_not_reloaded() {
    let mut agent = Agent::start().await;
    fs::write(agent.config_file(), "[tiers]\nfastt = '1s'\n").expect("a written file");
    agent.signal("HUP");
    let log = until("the refusal", || {
        Some(agent.log()).filter(|log| log.contains("the old one stays"))
    })
    .await;
    assert!(
        log.contains("config.toml:2: tiers.fastt: unknown key; did you mean `fast`?"),
        "{log}"
    );
    agent.signal("TERM");
    assert_eq!(agent.end().await, Some(0), "{}", agent.log());
}

#[tokio::test]
async fn a_reload_says_what_it_took_over_and_what_not() {
    let mut agent = Agent::start().await;
    let config =
        "[log]\nlevel = 'debug'\n[limits]\nconnections = 5\n[plugins.system]\nper_cpu = false\n";
    fs::write(agent.config_file(), config).expect("a written file");
    agent.signal("HUP");
    let log = until("the reload", || {
        Some(agent.log()).filter(|log| log.contains("was reloaded"))
    })
    .await;
    assert!(
        log.contains("limits was changed; it takes effect with a restart"),
        "{log}"
    );
    assert!(log.contains("applied=\"log, plugins\""), "{log}");
    agent.signal("TERM");
    assert_eq!(agent.end().await, Some(0), "{}", agent.log());
}

#[tokio::test]
async fn a_log_for_programs_is_one_object_a_line() {
    let mut agent = Agent::with("[log]\nformat = 'json'\n").await;
    agent.signal("TERM");
    assert_eq!(agent.end().await, Some(0), "{}", agent.log());
    let log = agent.log();
    assert!(log.lines().count() >= 3, "{log}");
    for line in log.lines() {
        let value: Value = serde_json::from_str(line).expect(line);
        assert!(
            value["level"].is_string() && value["message"].is_string(),
            "{line}"
        );
    }
}
