//! Events through the C table: order, positions, a full queue and its end, what is no event.

use barograph_sdk::{
    Collector, Counter, EmitError, Error, Event, Events, Level, Manifest, Setup, Sink, abi,
    tester::{Collected, CollectorTester},
    tokio,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Lines of the source, numbered from 1.
    lines: u64,
    /// Whether a task reads them between ticks, from the first on, instead of `collect`.
    in_task: bool,
}

/// Reads a source line by line; each is an event, and its number the position after it.
#[derive(Debug)]
struct Reader {
    events: Events,
    lines: u64,
    /// Line that is read next.
    next: u64,
    in_task: bool,
    read: Counter,
}

impl Collector for Reader {
    type Config = Config;
    const MANIFEST: Manifest = Manifest::new("reader", "tests", "1.0.0").events();

    fn new(config: Config, setup: &mut Setup<'_>) -> Result<Self, Error> {
        let next = match setup.position() {
            "" => 1,
            position => position.parse::<u64>().map_or(1, |last| last + 1),
        };
        Ok(Self {
            events: setup.events(),
            lines: config.lines,
            next,
            in_task: config.in_task,
            read: setup.counter("reader_lines_total").build(),
        })
    }

    async fn collect(&mut self, out: &mut Sink<'_>) -> Result<(), Error> {
        if self.in_task {
            let lines = self.next..=self.lines;
            tokio::spawn(read(self.events.clone(), lines));
            self.next = self.lines + 1;
        }
        while self.next <= self.lines {
            match self.events.emit(line(self.next)) {
                Ok(()) => self.next += 1,
                Err(EmitError::Full(_)) => {
                    out.warn("the agent is behind");
                    break;
                }
                Err(error) => return Err(Error::fatal(error.to_string())),
            }
        }
        self.read.set_total(out, self.next - 1);
        Ok(())
    }
}

fn line(number: u64) -> Event {
    Event::new("line-read")
        .level(Level::Warn)
        .at_ms(1_000)
        .data(&json!({ "line": number }))
        .position(&number.to_string())
}

async fn read(events: Events, lines: std::ops::RangeInclusive<u64>) {
    for number in lines {
        if events.emit_when_room(line(number)).await.is_err() {
            break;
        }
    }
}

fn reader(lines: u64) -> CollectorTester {
    CollectorTester::new::<Reader>(&json!({ "lines": lines })).unwrap()
}

fn positions(tester: &CollectorTester) -> Vec<String> {
    let taken = tester.take_events();
    taken.into_iter().map(|event| event.position).collect()
}

#[test]
fn an_event_arrives_as_it_was_emitted() {
    let mut tester = reader(1);
    assert_eq!(tester.tick(), Ok(Collected::Whole));
    let events = tester.events();
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!((event.level, event.at_ms), (Level::Warn, 1_000));
    assert_eq!(
        (event.name.as_str(), event.position.as_str()),
        ("line-read", "1")
    );
    assert_eq!(event.data, json!({ "line": 1 }));
    assert_eq!(tester.take_events(), events);
    assert_eq!(tester.events(), []);
}

#[test]
fn a_source_is_not_read_on_while_the_agent_is_behind_and_nothing_is_lost() {
    let mut tester = reader(5);
    tester.limit_events(2);
    let behind = Ok(Collected::Partial("the agent is behind".into()));
    assert_eq!(tester.tick(), behind);
    assert_eq!(tester.value("reader_lines_total", &[]), Some(2.0));
    assert_eq!(tester.tick(), behind, "still no room");
    assert_eq!(positions(&tester), ["1", "2"]);
    assert_eq!(tester.tick(), behind);
    assert_eq!(positions(&tester), ["3", "4"]);
    assert_eq!(tester.tick(), Ok(Collected::Whole));
    assert_eq!(positions(&tester), ["5"]);
}

#[test]
fn a_task_waits_for_room_and_keeps_the_order() {
    let config = json!({ "lines": 7, "in_task": true });
    let mut tester = CollectorTester::new::<Reader>(&config).unwrap();
    tester.limit_events(3);
    tester.tick().unwrap();
    let mut read = Vec::new();
    for many in [3, 3, 1] {
        while tester.events().len() < many {
            std::thread::yield_now();
        }
        read.extend(positions(&tester));
    }
    assert_eq!(read, ["1", "2", "3", "4", "5", "6", "7"]);
}

#[test]
fn the_next_instance_reads_on_from_the_last_stored_position() {
    let config = json!({ "lines": 4 });
    let mut tester = CollectorTester::at::<Reader>("", &config).unwrap();
    tester.limit_events(3);
    tester.tick().unwrap();
    assert_eq!(tester.position(), "", "nothing is stored");
    tester.take_events();
    tester.tick().unwrap();
    assert_eq!(tester.events().len(), 1);
    let stored = tester.position();
    assert_eq!(stored, "3", "the fourth was emitted, but not stored");
    drop(tester);
    let mut next = CollectorTester::at::<Reader>(&stored, &config).unwrap();
    next.tick().unwrap();
    assert_eq!(positions(&next), ["4"], "so it is read again");
}

/// Emits one event of the test's choice in each tick.
#[derive(Debug)]
struct Odd(Events);

#[derive(Debug, Deserialize, JsonSchema)]
struct Nothing {}

impl Collector for Odd {
    type Config = Nothing;
    const MANIFEST: Manifest = Manifest::new("odd", "tests", "1.0.0").events();

    fn new(_config: Nothing, setup: &mut Setup<'_>) -> Result<Self, Error> {
        Ok(Self(setup.events()))
    }

    async fn collect(&mut self, out: &mut Sink<'_>) -> Result<(), Error> {
        let event = match out.tick().number {
            0 => Event::new("Not a name"),
            1 => Event::new("listed").data(&[1, 2, 3]),
            2 => Event::new("far").position(&"x".repeat(257)),
            3 => Event::new("full").data(&json!({ "text": "x".repeat(16 << 10) })),
            _ => Event::new("plain"),
        };
        let emitted = self.0.emit(event);
        emitted.map_err(|error| Error::unavailable(error.to_string()))
    }
}

#[test]
fn what_is_no_event_is_refused_before_the_host_sees_it() {
    let mut tester = CollectorTester::new::<Odd>(&json!({})).unwrap();
    for word in ["\"Not a name\"", "no JSON object", "257 bytes", "bytes"] {
        let failure = tester.tick().unwrap_err();
        assert_eq!(failure.code, abi::E_UNAVAILABLE);
        assert!(failure.message.contains(word), "{}", failure.message);
    }
    assert_eq!(tester.tick(), Ok(Collected::Whole));
    let events = tester.events();
    assert_eq!(events.len(), 1);
    assert!(events[0].data.is_null() && events[0].position.is_empty());
    assert_eq!((events[0].level, events[0].at_ms), (Level::Info, 0));
}

/// Uses events without saying so.
#[derive(Debug)]
struct Silent;

impl Collector for Silent {
    type Config = Nothing;
    const MANIFEST: Manifest = Manifest::new("silent", "tests", "1.0.0");

    fn new(_config: Nothing, setup: &mut Setup<'_>) -> Result<Self, Error> {
        let _ = setup.events();
        Ok(Self)
    }

    async fn collect(&mut self, _out: &mut Sink<'_>) -> Result<(), Error> {
        Ok(())
    }
}

#[test]
fn a_manifest_has_to_say_that_there_are_events() {
    let failure = CollectorTester::new::<Silent>(&json!({})).unwrap_err();
    assert_eq!(failure.code, abi::E_FATAL);
    assert!(failure.message.contains(".events()"), "{}", failure.message);
}

/// Leaves its handle to the test, which emits after the end.
#[test]
fn events_of_a_stopped_collector_are_closed() {
    static HANDLE: std::sync::Mutex<Option<Events>> = std::sync::Mutex::new(None);

    #[derive(Debug)]
    struct Leaky;

    impl Collector for Leaky {
        type Config = Nothing;
        const MANIFEST: Manifest = Manifest::new("leaky", "tests", "1.0.0").events();

        fn new(_config: Nothing, setup: &mut Setup<'_>) -> Result<Self, Error> {
            *HANDLE.lock().unwrap() = Some(setup.events());
            Ok(Self)
        }

        async fn collect(&mut self, _out: &mut Sink<'_>) -> Result<(), Error> {
            Ok(())
        }
    }

    let mut tester = CollectorTester::new::<Leaky>(&json!({})).unwrap();
    let events = HANDLE.lock().unwrap().take().unwrap();
    assert_eq!(events.emit(Event::new("early")), Ok(()));
    tester.stop();
    assert_eq!(events.emit(Event::new("late")), Err(EmitError::Closed));
    assert_eq!(tester.events().len(), 1);
    drop(tester);
    assert_eq!(events.emit(Event::new("later")), Err(EmitError::Closed));
}
