//! The reading half of a WebSocket: bytes in, messages out, as RFC 6455 has it for a server.
//!
//! The `ws` module feeds it whatever the socket gave, in any pieces. It owns no socket and no clock, and
//! holds memory only while a message is under way: as much as has arrived, never as much as was claimed.
//! A [`Violation`] names the close code; nothing may be fed after one. The library's own reader is not
//! used, because it takes unmasked frames, adds fragments up without bound, reserves what a header claims
//! and cannot be dropped between two reads. Frames to the client are not made here.

/// Bytes of a message, all of its fragments together.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// Frames that a message may come in.
pub const FRAGMENTS_MAX: u32 = 64;

const CONTROL_BYTES_MAX: u64 = 125;
/// Two bytes, eight of length, four of mask.
const HEAD_BYTES_MAX: usize = 14;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;

/// What the client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A whole text message.
    Text(String),
    /// A ping, whose payload goes back in a pong.
    Ping(Vec<u8>),
    /// A pong.
    Pong,
    /// The closing frame, with the code to send back if it had one. Nothing may follow.
    Close(Option<u16>),
}

/// Why the connection has to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// 1002, 1003, 1007 or 1009.
    pub code: u16,
    /// For the closing frame.
    pub reason: &'static str,
}

impl Violation {
    const fn protocol(reason: &'static str) -> Self {
        Self { code: 1002, reason }
    }

    const fn too_big(reason: &'static str) -> Self {
        Self { code: 1009, reason }
    }

    const fn encoding() -> Self {
        Self {
            code: 1007,
            reason: "text is not valid UTF-8",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opcode {
    Continuation,
    Text,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The frame whose payload is being read.
#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: Opcode,
    last: bool,
    mask: [u8; 4],
    left: usize,
}

/// State between two pieces of input. Idle, it owns no heap.
#[derive(Debug, Default)]
pub struct Reader {
    head: [u8; HEAD_BYTES_MAX],
    head_len: usize,
    frame: Option<Frame>,
    /// Text of the message so far, unmasked.
    message: Vec<u8>,
    /// How much of `message` is known to be valid.
    valid_len: usize,
    /// Frames of the message so far; 0 between messages.
    fragments: u32,
    control: Vec<u8>,
}

impl Reader {
    /// Reads from the front of `input` until an item is complete or the input is used up.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Item>, Violation> {
        loop {
            let Some(mut frame) = self.frame else {
                let Some((&byte, rest)) = input.split_first() else {
                    return Ok(None);
                };
                *input = rest;
                self.frame = self.head_byte(byte)?;
                continue;
            };
            let (payload, rest) = input.split_at(frame.left.min(input.len()));
            *input = rest;
            self.payload(&mut frame, payload)?;
            if frame.left > 0 {
                self.frame = Some(frame);
                return Ok(None);
            }
            self.frame = None;
            if let Some(item) = self.end(frame)? {
                return Ok(Some(item));
            }
        }
    }

    /// Takes one byte of a frame's head; refuses as soon as what is there cannot become a good one.
    fn head_byte(&mut self, byte: u8) -> Result<Option<Frame>, Violation> {
        self.head[self.head_len] = byte;
        self.head_len += 1;
        match self.head_len {
            1 => {
                self.opcode()?;
                Ok(None)
            }
            2 => {
                self.check_second_byte()?;
                self.finish_head()
            }
            _ => self.finish_head(),
        }
    }

    fn opcode(&self) -> Result<Opcode, Violation> {
        let first = self.head[0];
        if first & RESERVED != 0 {
            return Err(Violation::protocol(
                "a reserved bit is set without an extension",
            ));
        }
        let opcode = match first & 0x0f {
            0x0 if self.fragments == 0 => {
                return Err(Violation::protocol("a continuation without a beginning"));
            }
            0x1 | 0x2 if self.fragments > 0 => {
                return Err(Violation::protocol("a new message inside a fragmented one"));
            }
            0x2 => {
                return Err(Violation {
                    code: 1003,
                    reason: "binary messages are not taken",
                });
            }
            0x0 => Opcode::Continuation,
            0x1 => Opcode::Text,
            0x8 => Opcode::Close,
            0x9 => Opcode::Ping,
            0xa => Opcode::Pong,
            _ => return Err(Violation::protocol("a reserved opcode")),
        };
        if opcode.is_control() && first & FIN == 0 {
            return Err(Violation::protocol("a fragmented control frame"));
        }
        Ok(opcode)
    }

    fn check_second_byte(&self) -> Result<(), Violation> {
        if self.head[1] & MASKED == 0 {
            return Err(Violation::protocol("a frame that is not masked"));
        }
        let length = u64::from(self.head[1] & LENGTH);
        if self.opcode()?.is_control() && length > CONTROL_BYTES_MAX {
            return Err(Violation::protocol(
                "a control frame of more than 125 bytes",
            ));
        }
        Ok(())
    }

    /// Once the length is there it is judged; once the mask is there the head is complete.
    fn finish_head(&mut self) -> Result<Option<Frame>, Violation> {
        let (extra, least) = match self.head[1] & LENGTH {
            126 => (2, 126),
            127 => (8, 0x1_0000),
            _ => (0, 0),
        };
        let length = match extra {
            0 => u64::from(self.head[1] & LENGTH),
            _ if self.head_len < 2 + extra => return Ok(None),
            _ => self.head[2..2 + extra]
                .iter()
                .fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        if length < least || length > i64::MAX.unsigned_abs() {
            return Err(Violation::protocol(
                "a length that is not in its shortest form",
            ));
        }
        let opcode = self.opcode()?;
        let left = usize::try_from(length).unwrap_or(usize::MAX);
        if !opcode.is_control() && left > MESSAGE_BYTES_MAX - self.message.len() {
            return Err(Violation::too_big("a message of more than 16384 bytes"));
        }
        if !opcode.is_control() && self.fragments == FRAGMENTS_MAX {
            return Err(Violation::too_big("a message of more than 64 fragments"));
        }
        let Some(mask) = self.head[2 + extra..self.head_len].first_chunk::<4>() else {
            return Ok(None);
        };
        let frame = Frame {
            opcode,
            last: self.head[0] & FIN != 0,
            mask: *mask,
            left,
        };
        self.head_len = 0;
        if !opcode.is_control() {
            self.fragments += 1;
        }
        Ok(Some(frame))
    }

    fn payload(&mut self, frame: &mut Frame, payload: &[u8]) -> Result<(), Violation> {
        let target = if frame.opcode.is_control() {
            &mut self.control
        } else {
            &mut self.message
        };
        let plain = payload.iter().zip(frame.mask.iter().cycle());
        target.extend(plain.map(|(byte, mask)| byte ^ mask));
        frame.mask.rotate_left(payload.len() % 4);
        frame.left -= payload.len();
        if frame.opcode.is_control() {
            return Ok(());
        }
        self.check_text()
    }

    /// Checks what came since the last time; a character that is cut off may go on in the next piece.
    fn check_text(&mut self) -> Result<(), Violation> {
        match std::str::from_utf8(&self.message[self.valid_len..]) {
            Ok(text) => self.valid_len += text.len(),
            Err(error) if error.error_len().is_none() => self.valid_len += error.valid_up_to(),
            Err(_) => return Err(Violation::encoding()),
        }
        Ok(())
    }

    /// A frame is complete.
    fn end(&mut self, frame: Frame) -> Result<Option<Item>, Violation> {
        match frame.opcode {
            Opcode::Text | Opcode::Continuation if !frame.last => Ok(None),
            Opcode::Text | Opcode::Continuation => {
                self.fragments = 0;
                self.valid_len = 0;
                String::from_utf8(std::mem::take(&mut self.message))
                    .map(|text| Some(Item::Text(text)))
                    .map_err(|_| Violation::encoding())
            }
            Opcode::Ping => Ok(Some(Item::Ping(std::mem::take(&mut self.control)))),
            Opcode::Pong => {
                self.control = Vec::new();
                Ok(Some(Item::Pong))
            }
            Opcode::Close => close(&std::mem::take(&mut self.control)).map(Some),
        }
    }
}

fn close(payload: &[u8]) -> Result<Item, Violation> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return match payload {
            [] => Ok(Item::Close(None)),
            _ => Err(Violation::protocol("a closing frame with half a code")),
        };
    };
    let code = u16::from_be_bytes(*code);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Violation::protocol(
            "a closing code that must not be on the wire",
        ));
    }
    match std::str::from_utf8(reason) {
        Ok(_) => Ok(Item::Close(Some(code))),
        Err(_) => Err(Violation::encoding()),
    }
}

#[cfg(test)]
mod tests;
