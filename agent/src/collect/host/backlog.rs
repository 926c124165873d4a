//! Events that were sent and are not known to be stored yet. Pure.
//!
//! The agent says with each tick up to which number it has stored them. Until then they count against a bound,
//! so that a plugin whose events can't be stored keeps them where they came from.

use std::collections::VecDeque;

/// Events that may be on their way.
pub(in crate::collect) const EVENTS_MAX: usize = 4_096;
/// Bytes of them.
const EVENT_BYTES_MAX: usize = 4 << 20;
/// What an event costs besides its strings.
const EVENT_BYTES: usize = 64;

/// Numbers and sizes of the events on their way.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    sent: u64,
    /// Oldest first.
    bytes: VecDeque<usize>,
    bytes_sum: usize,
}

impl Backlog {
    /// The number of the next event, from 1, if there is room for its strings.
    pub(super) fn admit(&mut self, strings_bytes: usize) -> Option<u64> {
        let bytes = strings_bytes.saturating_add(EVENT_BYTES);
        if self.bytes.len() >= EVENTS_MAX || self.bytes_sum.saturating_add(bytes) > EVENT_BYTES_MAX
        {
            return None;
        }
        self.bytes.push_back(bytes);
        self.bytes_sum += bytes;
        self.sent += 1;
        Some(self.sent)
    }

    /// Frees what has a number up to `number`.
    pub(super) fn stored(&mut self, number: u64) {
        while self.bytes.len() as u64 > self.sent.saturating_sub(number) {
            self.bytes_sum -= self.bytes.pop_front().unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_from_one_and_room_comes_with_what_is_stored() {
        let mut backlog = Backlog::default();
        for number in 1..=EVENTS_MAX as u64 {
            assert_eq!(backlog.admit(10), Some(number));
        }
        assert_eq!(backlog.admit(10), None);
        backlog.stored(0);
        assert_eq!(backlog.admit(10), None);
        backlog.stored(1);
        assert_eq!(backlog.admit(10), Some(EVENTS_MAX as u64 + 1));
        assert_eq!(backlog.admit(10), None);
        // An agent that counts further than we sent stores what there is, not more.
        backlog.stored(u64::MAX);
        backlog.stored(3);
        assert_eq!((backlog.bytes.len(), backlog.bytes_sum), (0, 0));
        assert_eq!(backlog.admit(0), Some(EVENTS_MAX as u64 + 2));
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut backlog = Backlog::default();
        let half = EVENT_BYTES_MAX / 2 - EVENT_BYTES;
        assert_eq!(backlog.admit(half), Some(1));
        assert_eq!(backlog.admit(half), Some(2));
        assert_eq!(backlog.admit(0), None);
        assert_eq!(backlog.admit(usize::MAX), None);
        backlog.stored(1);
        assert_eq!(backlog.admit(0), Some(3));
    }
}
