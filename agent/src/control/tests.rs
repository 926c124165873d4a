//! The socket over a real store: who is answered, with what, and what is refused.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener as StdListener;

use super::frame::ReadError;
use super::request::{Nothing, Question, Scope};
use super::*;
use crate::protocol::Aggregation;
use crate::store::Config;

/// Kept until the test ends.
struct Served {
    root: PathBuf,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Served {
    fn start(root: &Path) -> Self {
        let clock = Clock::simulated(1_795_233_600_000);
        let engine = Arc::new(Engine::open(root, Config::default(), clock.now_ms()).unwrap());
        let (stop, stops) = watch::channel(false);
        let parts = Parts {
            clock,
            engine,
            root: root.to_owned(),
        };
        let socket = Socket::bind(root).unwrap();
        Self {
            root: root.to_owned(),
            stop,
            task: tokio::spawn(serve(socket, parts, stops)),
        }
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }

    /// Writes this and reads the answer, on a thread as the command line does.
    async fn say(&self, bytes: Vec<u8>) -> Result<Vec<u8>, ReadError> {
        let root = self.root.clone();
        let said = move || {
            let mut stream = client::connect(&root).unwrap().expect("an agent");
            // It may be refused before it is read.
            let _ = stream.write_all(&bytes);
            let mut out = Vec::new();
            frame::read(&stream, &mut out, &mut |_| {}).map(|()| out)
        };
        spawn_blocking(said).await.unwrap()
    }

    async fn ask(&self, request: &Request) -> Result<Vec<u8>, ReadError> {
        let mut line = serde_json::to_vec(request).unwrap();
        line.push(b'\n');
        self.say(line).await
    }
}

fn question(points: u32) -> Request {
    Request::Query(Question {
        scope: Scope {
            metrics: vec!["*".to_owned()],
            from_ms: 1_795_230_000_000,
            to_ms: 1_795_233_600_000,
            ..Scope::default()
        },
        points,
        aggregation: Aggregation::Avg,
        resolution: None,
    })
}

fn refused(result: Result<Vec<u8>, ReadError>) -> (Code, String) {
    match result {
        Err(ReadError::Refused(refusal)) => (refusal.code, refusal.message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_the_agents_user_and_root_may_ask() {
    assert!(may_ask(1_000, 1_000));
    assert!(may_ask(0, 1_000));
    assert!(may_ask(0, 0));
    assert!(!may_ask(1_001, 1_000));
    assert!(!may_ask(1_000, 0));
    assert!(!may_ask(u32::MAX, 0));
}

#[tokio::test]
async fn requests_are_answered_until_the_stop() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path());
    let answer = served.ask(&question(60)).await.unwrap();
    let text = String::from_utf8(answer).unwrap();
    assert!(
        text.starts_with(r#"{"from":1795230000000,"to":1795233600000,"step":60000,"#),
        "{text}"
    );
    let backup = served.ask(&Request::Backup(Nothing {})).await.unwrap();
    assert!(crate::store::backup::restore::verify(&backup[..]).is_ok());
    served.stop().await;
    assert!(!folder.path().join(SOCKET).exists());
    assert!(client::connect(folder.path()).unwrap().is_none());
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path());
    let (code, message) = refused(served.ask(&question(0)).await);
    assert_eq!(code, Code::BadRequest);
    assert!(message.starts_with("points: "), "{message}");
    let (code, message) = refused(served.say(b"GET / HTTP/1.1\n".to_vec()).await);
    assert_eq!(code, Code::BadRequest);
    assert!(message.contains("does not know the request"), "{message}");
    let (code, message) = refused(served.say(vec![b' '; 70_000]).await);
    assert_eq!(code, Code::BadRequest);
    assert!(message.contains("64 KiB"), "{message}");
    served.stop().await;
}

#[tokio::test]
async fn the_socket_is_the_users_alone_and_replaces_a_dead_agents() {
    let folder = tempfile::tempdir().unwrap();
    // Longer than the system takes as a socket's path.
    let root = folder.path().join("x".repeat(120));
    fs::create_dir(&root).unwrap();
    // As after kill -9: the file stays, nobody listens.
    let path = root.join(SOCKET);
    drop(reachable(&path, |path| StdListener::bind(path)).unwrap());
    assert!(path.exists());
    assert!(client::connect(&root).unwrap().is_none());
    let served = Served::start(&root);
    assert!(served.ask(&question(60)).await.is_ok());
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    served.stop().await;
    assert!(!path.exists());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_asks_nothing_is_sent_away() {
    let folder = tempfile::tempdir().unwrap();
    let socket = Socket::bind(folder.path()).unwrap();
    let mut client = UnixStream::connect(folder.path().join(SOCKET))
        .await
        .unwrap();
    let (mut served, _) = socket.listener.accept().await.unwrap();
    let refusal = read_request(&mut served).await.unwrap_err();
    assert_eq!(refusal.code, Code::BadRequest);
    assert!(refusal.message.contains("5 s"), "{}", refusal.message);
    client.write_all(b"late\n").await.unwrap();
}
