//! How much one client may send: a number of messages in each minute.
//!
//! Pings count like texts, because each of them makes work. A pong that answers a ping of ours does not
//! count, one that nobody asked for does. Pure; the caller brings the time.

use std::time::Duration;

use tokio::time::Instant;

const WINDOW: Duration = Duration::from_mins(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Allowance {
    most: u32,
    from: Instant,
    spent: u32,
    pongs_due: u32,
}

impl Allowance {
    /// An allowance of `most` messages for each minute from `now` on.
    pub(super) fn new(most: u32, now: Instant) -> Self {
        Self {
            most,
            from: now,
            spent: 0,
            pongs_due: 0,
        }
    }

    /// Counts a message; false if it is one too many.
    pub(super) fn spend(&mut self, now: Instant) -> bool {
        if now >= self.from + WINDOW {
            self.from = now;
            self.spent = 0;
        }
        self.spent = self.spent.saturating_add(1);
        self.spent <= self.most
    }

    /// A ping was sent.
    pub(super) fn expect_pong(&mut self) {
        self.pongs_due += 1;
    }

    /// Whether a pong that came was asked for.
    pub(super) fn take_pong(&mut self) -> bool {
        let is_due = self.pongs_due > 0;
        self.pongs_due = self.pongs_due.saturating_sub(1);
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_its_number_and_the_next_one_begins_anew() {
        let start = Instant::now();
        let mut allowance = Allowance::new(3, start);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(allowance.spend(at(0)) && allowance.spend(at(1)) && allowance.spend(at(59)));
        assert!(!allowance.spend(at(59)));
        assert!(allowance.spend(at(60)) && allowance.spend(at(61)) && allowance.spend(at(119)));
        assert!(!allowance.spend(at(119)), "the window began at 60 s");
    }

    #[test]
    fn only_pongs_that_were_asked_for_are_free() {
        let mut allowance = Allowance::new(1, Instant::now());
        assert!(!allowance.take_pong());
        allowance.expect_pong();
        assert!(allowance.take_pong());
        assert!(!allowance.take_pong());
    }
}
