mod refused;

use std::os::unix::net::UnixStream;

use rustix::process::Pid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;

use super::*;
use crate::clock::Clock;
use crate::collect::child::Started;
use crate::collect::link::ToAgent;
use crate::config::Instance;

fn process() -> Process {
    let settings = Instance::of("p").unloaded();
    let catalog = Catalog::default();
    let collector = catalog.register("p", "p", "p", 1);
    Process::new(settings, Spawner::start().unwrap(), catalog, collector)
}

/// A process that closes its link and stays, as if it were a host.
fn deserter(process: &Process) -> Running {
    sleeper(process).0
}

/// A process that does nothing, and the host's end of its link.
fn sleeper(process: &Process) -> (Running, UnixStream) {
    let sleeping = tokio::process::Command::new("sleep")
        .arg("60")
        .process_group(0)
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(sleeping.id().unwrap().cast_signed()).unwrap();
    let (link, theirs) = UnixStream::pair().unwrap();
    let started = Started {
        child: Child::Process {
            pid,
            process: sleeping,
            known: None,
        },
        link,
        output: None,
    };
    let events = Events::new(None, &process.settings.name, Flow::Open);
    let running = Running::new(started, &process.settings, &process.claims, events);
    (running.unwrap(), theirs)
}

#[tokio::test]
async fn an_end_that_nobody_waited_out_is_heard_by_the_next_who_listens() {
    let mut process = process();
    process.running = Some(deserter(&process));
    // Ticks come meanwhile; to find out how it ended takes longer than each of these.
    for _ in 0..20 {
        let listening = timeout(Duration::from_millis(1), process.died()).await;
        assert!(listening.is_err(), "{listening:?}");
    }
    let ended = lost(LostReason::Protocol, "closed its link and was ended");
    assert_eq!(process.died().await, ended);
    assert!(process.running.is_none());
}

#[tokio::test]
async fn whoever_listens_while_it_is_ended_hears_why() {
    let mut process = process();
    process.settings.rss_max_bytes = Some(1);
    let (running, _link) = sleeper(&process);
    process.running = Some(running);
    // A tick comes between the kill and the end, when the link says only that it is closed.
    let listening = timeout(Duration::ZERO, process.died()).await;
    let heard = match listening {
        Ok(failure) => failure,
        Err(_) => process.died().await,
    };
    let Failure::Lost { reason, .. } = &heard else {
        panic!("{heard:?}");
    };
    assert_eq!(*reason, LostReason::Memory, "{heard:?}");
}

/// The other end of a plugin's link, on a thread that is none.
struct Host(tokio::net::UnixStream);

impl Host {
    fn of(process: &mut Process) -> Self {
        let (link, theirs) = UnixStream::pair().unwrap();
        let started = Started {
            child: Child::Thread {
                handle: None,
                abandoned: process.abandoned.clone(),
            },
            link,
            output: None,
        };
        let events = Events::new(process.outbox.as_ref(), "p", Flow::Open);
        let running = Running::new(started, &process.settings, &process.claims, events);
        process.running = Some(running.unwrap());
        theirs.set_nonblocking(true).unwrap();
        Self(tokio::net::UnixStream::from_std(theirs).unwrap())
    }

    /// The next message; none at the end of the link.
    async fn next(&mut self) -> Option<ToHost> {
        let bytes = self.0.read_u32_le().await.ok()?;
        let mut body = vec![0; bytes as usize];
        self.0.read_exact(&mut body).await.unwrap();
        Some(ToHost::decode(&body).unwrap())
    }

    async fn say(&mut self, message: ToAgent) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        self.0.write_all(&bytes).await.unwrap();
    }

    async fn is_handed_one(&mut self) -> u32 {
        match self.next().await {
            Some(ToHost::Lookup { id, .. }) => id,
            other => panic!("{other:?}"),
        }
    }

    async fn answers(&mut self, id: u32) {
        let answer = "true".to_owned();
        let code = abi::OK;
        self.say(ToAgent::LookedUp { id, code, answer }).await;
    }

    async fn collects(&mut self) {
        let Some(ToHost::Collect { number, .. }) = self.next().await else {
            panic!("no collect")
        };
        let done = Done {
            number,
            ..Done::default()
        };
        self.say(ToAgent::Done(done)).await;
    }
}

type Answer = oneshot::Receiver<Result<String, Failure>>;

async fn look_up(process: &mut Process) -> Answer {
    let (reply, answer) = oneshot::channel();
    let lookup = Lookup {
        name: "is_admin".to_owned(),
        parameter: "x".to_owned(),
        reply,
    };
    process.look_up(lookup).await;
    answer
}

fn refused(answer: &mut Answer) -> String {
    match answer.try_recv() {
        Ok(Err(Failure::Refused(why))) => why,
        other => panic!("{other:?}"),
    }
}

async fn collect(process: &mut Process) -> Result<Collected, Failure> {
    let clock = Clock::simulated(0);
    let tick = Tick {
        number: 7,
        at_ms: clock.now_ms(),
        at: clock.mono(),
        due: TierSet::ALL,
        missed: 0,
        stepped_ms: 0,
    };
    process.collect(&tick, TierSet::ALL).await
}

#[tokio::test(start_paused = true)]
async fn a_lookup_is_waited_for_by_a_collect_and_has_its_own_time() {
    let mut process = process();
    let mut host = Host::of(&mut process);
    let mut quick = look_up(&mut process).await;
    let life = async {
        let id = host.is_handed_one().await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        host.answers(id).await;
        // The collect has its whole time after it.
        tokio::time::sleep(Duration::from_millis(700)).await;
        host.collects().await;
        host
    };
    let (collected, mut host) = tokio::join!(collect(&mut process), life);
    collected.unwrap();
    assert_eq!(quick.try_recv().unwrap().unwrap(), "true");

    let mut slow = look_up(&mut process).await;
    let mut second = look_up(&mut process).await;
    assert_eq!(refused(&mut second), "is still answering another lookup");
    let life = async {
        let id = host.is_handed_one().await;
        assert_eq!(host.next().await, Some(ToHost::Cancel));
        // It ends, with an answer even, and only then the collect comes.
        host.answers(id).await;
        host.collects().await;
        host
    };
    let (collected, mut host) = tokio::join!(collect(&mut process), life);
    collected.unwrap();
    assert_eq!(refused(&mut slow), "did not answer within 500 ms");

    let mut third = look_up(&mut process).await;
    let life = async {
        let id = host.is_handed_one().await;
        host.answers(id).await;
        host.collects().await;
    };
    let (collected, ()) = tokio::join!(collect(&mut process), life);
    collected.unwrap();
    assert_eq!(third.try_recv().unwrap().unwrap(), "true");
}

#[tokio::test(start_paused = true)]
async fn a_lookup_whose_asker_has_gone_is_cancelled_and_may_take_its_time() {
    let mut process = process();
    let mut host = Host::of(&mut process);
    drop(look_up(&mut process).await);
    let life = async {
        let id = host.is_handed_one().await;
        assert_eq!(host.next().await, Some(ToHost::Cancel));
        tokio::time::sleep(Duration::from_millis(450)).await;
        host.answers(id).await;
        host.collects().await;
    };
    let (collected, ()) = tokio::join!(collect(&mut process), life);
    collected.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_does_not_even_end_costs_the_process() {
    let ended = lost(
        LostReason::Deadline,
        "did not end a lookup within 500 ms and was ended",
    );
    for collects in [false, true] {
        let mut process = process();
        let mut host = Host::of(&mut process);
        let mut answer = look_up(&mut process).await;
        let failure = if collects {
            collect(&mut process).await.unwrap_err()
        } else {
            process.died().await
        };
        assert_eq!(failure, ended);
        assert_eq!(refused(&mut answer), "did not answer within 500 ms");
        host.is_handed_one().await;
        assert_eq!(host.next().await, Some(ToHost::Cancel));
        assert_eq!(host.next().await, None, "no collect was asked for");
    }
}
