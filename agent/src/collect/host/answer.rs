//! A text that a plugin writes in pieces: its manifest, or the answer of a lookup. Pure.

/// The pieces so far, bounded.
#[derive(Debug)]
pub(super) struct Answer {
    bytes: Vec<u8>,
    bytes_max: usize,
    too_long: bool,
}

impl Answer {
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self {
            bytes: Vec::new(),
            bytes_max,
            too_long: false,
        }
    }

    /// Adds a piece. One that leads above the bound is dropped, and so is the whole.
    pub(super) fn write(&mut self, piece: &[u8]) {
        if self.bytes.len().saturating_add(piece.len()) > self.bytes_max {
            self.too_long = true;
            self.bytes = Vec::new();
        }
        if !self.too_long {
            self.bytes.extend_from_slice(piece);
        }
    }

    /// The whole as JSON of the form `T`, or what is wrong with it.
    pub(super) fn json<T: serde::de::DeserializeOwned>(self) -> Result<String, String> {
        if self.too_long {
            let kib = self.bytes_max >> 10;
            return Err(format!("is larger than {kib} KiB"));
        }
        let text = String::from_utf8(self.bytes).map_err(|_| "is not UTF-8".to_owned())?;
        match serde_json::from_str::<T>(&text) {
            Ok(_) => Ok(text),
            Err(error) => Err(format!("is not the JSON that it has to be: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;

    fn written(pieces: &[&[u8]]) -> Result<String, String> {
        let mut answer = Answer::new(1 << 10);
        for piece in pieces {
            answer.write(piece);
        }
        answer.json::<Map<String, Value>>()
    }

    #[test]
    fn pieces_make_one_object_within_the_bound() {
        assert_eq!(
            written(&[b"{\"a\"", b"", b":1}"]).as_deref(),
            Ok("{\"a\":1}")
        );
        let spaces = [b' '; 1 << 10];
        let fullest = written(&[b"{}", &spaces[2..]]).unwrap();
        assert_eq!((fullest.trim_end(), fullest.len()), ("{}", 1 << 10));
        let wrong = |pieces: &[&[u8]]| written(pieces).unwrap_err();
        assert_eq!(wrong(&[b"{}", &spaces[1..], b""]), "is larger than 1 KiB");
        // What comes after the piece that was too long does not make it good again.
        assert_eq!(wrong(&[b" ", &spaces, b"{}"]), "is larger than 1 KiB");
        assert_eq!(wrong(&[b"{\"\xff\":1}"]), "is not UTF-8");
        assert!(wrong(&[b"[1]"]).starts_with("is not the JSON"));
        assert!(wrong(&[b""]).starts_with("is not the JSON"));
        assert!(wrong(&[b"{} {}"]).starts_with("is not the JSON"));
    }
}
