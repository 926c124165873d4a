use std::os::unix::net::UnixStream;

use rustix::process::Pid;

use super::*;
use crate::collect::child::Started;
use crate::config::Instance;

/// A process that closes its link and stays, as if it were a host.
fn deserter(process: &Process) -> Running {
    let sleeping = tokio::process::Command::new("sleep")
        .arg("60")
        .process_group(0)
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(sleeping.id().unwrap().cast_signed()).unwrap();
    let (link, theirs) = UnixStream::pair().unwrap();
    drop(theirs);
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
    Running::new(started, &process.settings, &process.claims, events).unwrap()
}

#[tokio::test]
async fn an_end_that_nobody_waited_out_is_heard_by_the_next_who_listens() {
    let settings = Instance::of("deserter").unloaded();
    let catalog = Catalog::default();
    let collector = catalog.register("deserter", "deserter", "deserter", 1);
    let spawner = Spawner::start().unwrap();
    let mut process = Process::new(settings, spawner, catalog, collector);
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
