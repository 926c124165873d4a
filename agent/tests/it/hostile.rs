//! Clients that break the rules: each gets a status or a close code that says so, and nobody else notices.
//!
//! Every case is followed by a look at a witness, a well-behaved client of the same agent, which must go on
//! receiving.

mod frames;
mod raw;
mod requests;

use serde_json::json;

use crate::agent::Agent;
use crate::client::Client;

/// Five ticks a second, so that a look at the witness is short.
const BRISK: &str = "[tiers]\nfast = \"200ms\"\nmedium = \"1s\"\nslow = \"2s\"\n";

/// Waits for the witness's next event of the present, not one that came before.
async fn goes_on(witness: &mut Client) {
    let answer = witness.ask(json!({"type": "ping"})).await;
    let now = answer["at"].as_i64().expect("the agent's time");
    witness
        .event_that(|event| event["at"].as_i64() > Some(now))
        .await;
}

async fn witness(agent: &Agent) -> Client {
    let (mut client, _) = Client::connect(agent).await;
    client.subscribe(json!({"channel": "basic-metrics"})).await;
    client
}
