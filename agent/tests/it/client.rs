//! A WebSocket client for tests, on a library that shares no code with the server.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::agent::{Agent, PATIENCE};

/// One connection.
pub(crate) struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    next_id: u32,
}

impl Client {
    /// Connects and takes `initialData`.
    pub(crate) async fn connect(agent: &Agent) -> (Self, Value) {
        let (socket, _) = connect_async(format!("ws://{}/ws", agent.addr))
            .await
            .expect("an upgraded connection");
        let mut client = Self { socket, next_id: 1 };
        let first = client.message().await;
        (client, first)
    }

    /// The next message, which must be JSON.
    pub(crate) async fn message(&mut self) -> Value {
        loop {
            let message = timeout(PATIENCE, self.socket.next())
                .await
                .expect("a message in time");
            match message.expect("an open connection").expect("a good frame") {
                Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    /// The next event of this name.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        self.event_that(|event| event["event"] == name).await
    }

    /// The next event that is as wanted.
    pub(crate) async fn event_that(&mut self, is: impl Fn(&Value) -> bool) -> Value {
        let wait = async {
            loop {
                let message = self.message().await;
                if message.get("event").is_some() && is(&message) {
                    return message;
                }
            }
        };
        timeout(PATIENCE, wait)
            .await
            .expect("such an event in time")
    }

    /// Sends text as it is.
    pub(crate) async fn send(&mut self, text: &str) {
        self.socket
            .send(Message::text(text))
            .await
            .expect("a sent message");
    }

    /// Sends a request and gives its answer; events in between are passed over.
    pub(crate) async fn ask(&mut self, mut request: Value) -> Value {
        let id = self.next_id;
        self.next_id += 1;
        request["id"] = json!(id);
        self.send(&request.to_string()).await;
        loop {
            let message = self.message().await;
            if message["id"] == id {
                return message;
            }
        }
    }

    /// Subscribes, which must succeed.
    pub(crate) async fn subscribe(&mut self, request: Value) {
        let mut request = request;
        request["type"] = json!("subscribe");
        let answer = self.ask(request).await;
        assert_eq!(answer["type"], "ok", "{answer}");
    }
}

impl Client {
    /// Reads until the server closes; gives the code and the reason.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        let wait = async {
            loop {
                match self.socket.next().await.expect("a close frame") {
                    Ok(Message::Close(Some(frame))) => {
                        return (frame.code.into(), frame.reason.as_str().to_owned());
                    }
                    Ok(_) => {}
                    Err(error) => panic!("ended without a close frame: {error}"),
                }
            }
        };
        timeout(PATIENCE, wait).await.expect("a close in time")
    }
}
