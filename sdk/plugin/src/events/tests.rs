//! What an event may be, and how events go to an agent that is behind.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{DATA_BYTES_MAX, EmitError, Event, Events};
use crate::{
    Collector, Error, Level, Manifest, Setup, Sink, abi,
    export::desk::{Desk, HeardEvent},
};

fn refused(event: &Event) -> String {
    event.checked_data().unwrap_err()
}

#[test]
fn an_event_carries_what_it_was_given() {
    let event = Event::new("job_moved")
        .level(Level::Warn)
        .at_ms(5)
        .data(&json!({ "id": 7 }))
        .position("5-0");
    assert_eq!(event.checked_data(), Ok("{\"id\":7}"));
    assert_eq!((event.level, event.at_ms), (Level::Warn, 5));
    assert_eq!(event.position, "5-0");
    assert_eq!(Event::new("a-b_c9").checked_data(), Ok(""));
}

#[test]
fn what_is_no_event_is_named() {
    for name in ["", "Job", "9a", "a b", "ü", &"a".repeat(65)] {
        assert!(refused(&Event::new(name)).contains("has a name"), "{name}");
    }
    assert!(Event::new(&"a".repeat(64)).checked_data().is_ok());
    let list = Event::new("a").data(&[1, 2]);
    assert_eq!(refused(&list), "event a has data that is no JSON object");
    let keys = Event::new("a").data(&BTreeMap::from([((1, 2), 3)]));
    assert!(refused(&keys).starts_with("event a has data that is no JSON: "));
    let long = Event::new("a").data(&json!({ "text": "x".repeat(DATA_BYTES_MAX) }));
    assert_eq!(
        refused(&long),
        "event a has data of 16395 bytes, 16384 is the most that there may be"
    );
    let far = Event::new("a").position(&"1".repeat(257));
    assert_eq!(
        refused(&far),
        "event a has a position of 257 bytes, 256 is the most that there may be"
    );
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Config {
    wait_for_room: bool,
    no_event: bool,
}

#[derive(Debug)]
struct Emitting {
    config: Config,
    events: Events,
    /// What was not taken.
    kept: Option<Event>,
}

impl Collector for Emitting {
    type Config = Config;
    const MANIFEST: Manifest = Manifest::new("emitting", "tests", "1.0.0").events();

    fn new(config: Config, setup: &mut Setup<'_>) -> Result<Self, Error> {
        Ok(Self {
            config,
            events: setup.events(),
            kept: None,
        })
    }

    async fn collect(&mut self, out: &mut Sink<'_>) -> Result<(), Error> {
        let event = self.kept.take().unwrap_or_else(|| {
            let number = out.tick().number.to_string();
            Event::new(if self.config.no_event { "No" } else { "ticked" })
                .level(Level::Error)
                .at_ms(77)
                .data(&json!({ "number": number }))
                .position(&number)
        });
        let emitted = if self.config.wait_for_room {
            self.events.emit_when_room(event).await
        } else {
            self.events.emit(event)
        };
        match emitted {
            Err(EmitError::Full(event)) => {
                out.warn(EmitError::Full(event.clone()).to_string());
                self.kept = Some(event);
                Ok(())
            }
            emitted => emitted.map_err(|error| Error::unavailable(error.to_string())),
        }
    }
}

fn ticked(number: &str) -> HeardEvent {
    HeardEvent {
        level: 0,
        at_ms: 77,
        name: "ticked".to_owned(),
        data: json!({ "number": number }).to_string(),
        position: number.to_owned(),
    }
}

#[test]
fn an_event_that_the_agent_has_no_room_for_comes_back() {
    let mut desk = Desk::with::<Emitting>();
    desk.heard().event_codes = vec![abi::OK, abi::E_FULL];
    assert_eq!(desk.collect(), abi::OK);
    assert_eq!(desk.collect(), abi::PARTIAL);
    assert_eq!(desk.error(), "the agent has no room for event ticked");
    assert_eq!(desk.collect(), abi::OK);
    assert_eq!(desk.heard().events, [ticked("0"), ticked("1")]);
}

#[test]
fn who_waits_for_room_loses_nothing() {
    let mut desk = Desk::of::<Emitting>();
    assert_eq!(desk.create("{\"wait_for_room\":true}"), abi::OK);
    desk.heard().event_codes = vec![abi::E_FULL, abi::E_FULL];
    assert_eq!(desk.collect(), abi::OK);
    assert_eq!(
        desk.heard().event_codes,
        [0; 0],
        "it has tried twice in vain"
    );
    assert_eq!(desk.heard().events, [ticked("0")]);
}

#[test]
fn waiting_for_room_ends_when_it_can_only_be_in_vain() {
    let mut desk = Desk::of::<Emitting>();
    assert_eq!(desk.create("{\"wait_for_room\":true}"), abi::OK);
    desk.heard().event_codes = vec![abi::E_FULL, abi::E_CLOSED];
    assert_eq!(desk.collect(), abi::E_UNAVAILABLE);
    assert_eq!(desk.error(), "the collector was stopped");
}

#[test]
fn what_is_no_event_does_not_reach_the_host() {
    let mut desk = Desk::of::<Emitting>();
    assert_eq!(desk.create("{\"no_event\":true}"), abi::OK);
    assert_eq!(desk.collect(), abi::E_UNAVAILABLE);
    assert!(desk.error().starts_with("event \"No\" has a name that"));
    assert_eq!(desk.heard().events, []);
    desk.heard().event_codes = vec![abi::E_CONFIG];
    let mut desk = Desk::with::<Emitting>();
    desk.heard().event_codes = vec![abi::E_CONFIG];
    assert_eq!(desk.collect(), abi::E_UNAVAILABLE);
    assert_eq!(
        desk.error(),
        "event ticked was refused by the host (code -1)"
    );
}

#[test]
fn events_have_to_be_announced() {
    #[derive(Debug)]
    struct Silent;
    impl Collector for Silent {
        type Config = Config;
        const MANIFEST: Manifest = Manifest::new("silent", "tests", "1.0.0");
        fn new(_config: Config, setup: &mut Setup<'_>) -> Result<Self, Error> {
            setup.events();
            Ok(Self)
        }
        async fn collect(&mut self, _out: &mut Sink<'_>) -> Result<(), Error> {
            Ok(())
        }
    }
    let mut desk = Desk::of::<Silent>();
    assert_eq!(desk.create("{}"), abi::E_FATAL);
    assert_eq!(desk.error(), "events need `.events()` in the manifest");
}
