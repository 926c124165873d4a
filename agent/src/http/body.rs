//! Bodies of answers: bytes that are there, or pieces that come as they are made.
//!
//! A stream is fed through a bounded channel, so that who makes it waits for a client that reads slowly, and
//! learns that the client is gone. A stream whose maker goes away before it said that it is finished ends as
//! an error: hyper then closes the connection, and the client sees that the answer is cut short.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Frame, SizeHint};
use tokio::sync::mpsc;

/// Pieces that may wait for the client.
const WAITING_MAX: usize = 4;

/// What every answer carries.
#[derive(Debug)]
pub(super) enum Body {
    /// All of it.
    Whole(Full<Bytes>),
    /// What comes; `None` when it has ended.
    Stream(Option<mpsc::Receiver<Piece>>),
}

/// What goes through a stream.
#[derive(Debug)]
pub(super) enum Piece {
    /// More of it.
    Bytes(Bytes),
    /// That was all.
    End,
}

/// The maker of a stream went away in the middle.
#[derive(Debug)]
pub(super) struct CutShort;

impl Body {
    /// A body that is fed by the sender.
    pub(super) fn stream() -> (mpsc::Sender<Piece>, Self) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        (sender, Self::Stream(Some(receiver)))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Full::new(bytes))
    }
}

impl fmt::Display for CutShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer was cut short")
    }
}

impl std::error::Error for CutShort {}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = CutShort;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        match self.get_mut() {
            Self::Whole(full) => Pin::new(full)
                .poll_frame(context)
                .map_err(|never: Infallible| match never {}),
            Self::Stream(stream) => {
                let Some(receiver) = stream else {
                    return Poll::Ready(None);
                };
                let frame = match ready!(receiver.poll_recv(context)) {
                    Some(Piece::Bytes(bytes)) => Some(Ok(Frame::data(bytes))),
                    Some(Piece::End) => None,
                    None => Some(Err(CutShort)),
                };
                if !matches!(frame, Some(Ok(_))) {
                    *stream = None;
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(full) => full.is_end_stream(),
            Self::Stream(stream) => stream.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(full) => full.size_hint(),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_stream_ends_whole_or_is_an_error() {
        for whole in [true, false] {
            let (sender, body) = Body::stream();
            let feed = async move {
                for text in ["a", "b"] {
                    let piece = Piece::Bytes(Bytes::from_static(text.as_bytes()));
                    sender.send(piece).await.unwrap();
                }
                if whole {
                    sender.send(Piece::End).await.unwrap();
                }
            };
            let (read, ()) = tokio::join!(body.collect(), feed);
            assert_eq!(read.is_ok(), whole);
            if let Ok(read) = read {
                assert_eq!(read.to_bytes(), "ab");
            }
        }
    }

    #[tokio::test]
    async fn who_feeds_a_stream_learns_that_nobody_reads_it() {
        let (sender, body) = Body::stream();
        for _ in 0..WAITING_MAX {
            sender.try_send(Piece::Bytes(Bytes::new())).unwrap();
        }
        assert!(
            sender.try_send(Piece::End).is_err(),
            "more waits than may wait"
        );
        drop(body);
        assert!(sender.is_closed());
    }
}
