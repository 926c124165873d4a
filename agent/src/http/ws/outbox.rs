//! What is on its way to one WebSocket client: whole frames, and how much of the first one has left.
//!
//! The session fills it from the hub's lane and writes it out when the socket takes more. Frames that wait
//! together leave in one system call, uncopied. It is bounded by who fills it: the lane is asked again only
//! when everything is out, and pings to answer are limited by the minute.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf as _, Bytes};
use fastwebsockets::{Frame, OpCode, Payload};

/// Slices of one system call; a longer queue takes another.
const SLICES_MAX: usize = 64;
/// What a reason may have beside the code in a control frame.
const REASON_BYTES_MAX: usize = 123;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    frames: VecDeque<Bytes>,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Adds whole frames.
    pub(super) fn extend(&mut self, frames: impl IntoIterator<Item = Bytes>) {
        self.frames
            .extend(frames.into_iter().filter(|frame| !frame.is_empty()));
    }

    pub(super) fn ping(&mut self) {
        self.control(Frame::new(true, OpCode::Ping, None, Payload::Borrowed(&[])));
    }

    pub(super) fn pong(&mut self, payload: &[u8]) {
        self.control(Frame::pong(Payload::Borrowed(payload)));
    }

    /// Adds the closing frame; without a code it is empty. Too long a reason is cut.
    pub(super) fn close(&mut self, code: Option<u16>, reason: &str) {
        let reason = &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)];
        match code {
            Some(code) => self.control(Frame::close(code, reason.as_bytes())),
            None => self.control(Frame::close_raw(Payload::Borrowed(&[]))),
        }
    }

    fn control(&mut self, mut frame: Frame<'_>) {
        let mut bytes = Vec::new();
        let length = frame.write(&mut bytes).len();
        bytes.truncate(length);
        self.frames.push_back(bytes.into());
    }

    /// Writes until everything is out or `write` would block; says how many bytes left.
    pub(super) fn write(
        &mut self,
        mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut total = 0;
        while !self.frames.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let waiting = self.frames.len().min(SLICES_MAX);
            for (slice, frame) in slices.iter_mut().zip(&self.frames) {
                *slice = IoSlice::new(frame);
            }
            match write(&slices[..waiting]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    total += written;
                    self.advance(written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(total)
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(front) = self.frames.front_mut() {
            if written < front.len() {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.frames.pop_front();
        }
        // A burst's room is not kept for the many idle hours after it.
        self.frames.shrink_to(4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_writes_lose_and_repeat_nothing() {
        let mut outbox = Outbox::default();
        let frames: Vec<Bytes> = (0..200_u8)
            .map(|n| vec![n; usize::from(n)].into())
            .collect();
        let expected = frames.concat();
        outbox.extend(frames);
        let (mut written, mut calls) = (Vec::new(), 0);
        while !outbox.is_empty() {
            let mut room: usize = 777;
            outbox
                .write(|slices| {
                    calls += 1;
                    assert!(slices.len() <= SLICES_MAX);
                    if room == 0 {
                        return Err(io::ErrorKind::WouldBlock.into());
                    }
                    let before = written.len();
                    for slice in slices {
                        let part = &slice[..slice.len().min(room)];
                        written.extend_from_slice(part);
                        room -= part.len();
                    }
                    Ok(written.len() - before)
                })
                .unwrap();
        }
        assert_eq!(written, expected);
        assert!(calls < 100, "{calls} calls for 200 frames");
        assert!(outbox.frames.capacity() < 64);
    }

    #[test]
    fn control_frames() {
        let mut outbox = Outbox::default();
        outbox.ping();
        outbox.pong(b"abc");
        outbox.close(Some(1002), "no");
        outbox.close(None, "");
        let mut written = Vec::new();
        outbox
            .write(|slices| {
                let before = written.len();
                for slice in slices {
                    written.extend_from_slice(slice);
                }
                Ok(written.len() - before)
            })
            .unwrap();
        assert_eq!(written, b"\x89\x00\x8a\x03abc\x88\x04\x03\xeano\x88\x00");
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let mut outbox = Outbox::default();
        outbox.close(Some(1001), &"\u{e9}".repeat(100));
        assert_eq!(outbox.frames[0].len(), 2 + 2 + 122);
    }

    #[test]
    fn a_socket_that_fails_is_an_error() {
        let mut outbox = Outbox::default();
        outbox.ping();
        assert!(outbox.write(|_| Ok(0)).is_err());
        assert!(
            outbox
                .write(|_| Err(io::ErrorKind::ConnectionReset.into()))
                .is_err()
        );
        assert_eq!(
            outbox
                .write(|_| Err(io::ErrorKind::WouldBlock.into()))
                .unwrap(),
            0
        );
    }
}
