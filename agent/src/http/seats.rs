//! How many connections there are, in all and by address.
//!
//! The listener asks for a [`Seat`] before it serves a connection; dropping the seat gives it back. The
//! tables stay as small as the number of addresses that are connected.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Limits;

/// The room that there is.
#[derive(Clone, Debug)]
pub(super) struct Seats {
    limits: Limits,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The right to one connection.
#[derive(Debug)]
pub(super) struct Seat {
    address: IpAddr,
    taken: Arc<Mutex<Taken>>,
}

impl Seats {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            taken: Arc::default(),
        }
    }

    /// Seats that are taken.
    pub(super) fn taken(&self) -> usize {
        lock(&self.taken).total
    }

    /// A seat for a connection from `address`, or none if a cap is reached. Only addresses of other
    /// machines are capped one by one: loopback is shared by every program here, the agent's own page and
    /// its many viewers behind a tunnel included.
    pub(super) fn take(&self, address: IpAddr) -> Option<Seat> {
        let address = address.to_canonical();
        let mut taken = lock(&self.taken);
        if taken.total >= self.limits.connections {
            return None;
        }
        if !address.is_loopback() {
            let here = taken.by_address.get(&address).copied().unwrap_or(0);
            if here >= self.limits.connections_per_address {
                return None;
            }
            taken.by_address.insert(address, here + 1);
        }
        taken.total += 1;
        Some(Seat {
            address,
            taken: Arc::clone(&self.taken),
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.total -= 1;
        if let Some(here) = taken.by_address.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats(connections: usize, connections_per_address: usize) -> Seats {
        Seats::new(Limits {
            connections,
            connections_per_address,
            ..Limits::default()
        })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_seat_that_is_given_back_can_be_taken_again() {
        let seats = seats(2, 100);
        let first = seats.take(ip("127.0.0.1"));
        let second = seats.take(ip("::1"));
        assert!(first.is_some() && second.is_some());
        assert!(seats.take(ip("127.0.0.1")).is_none());
        drop(first);
        assert!(seats.take(ip("127.0.0.1")).is_some());
    }

    #[test]
    fn other_machines_are_capped_one_by_one_and_loopback_is_not() {
        let seats = seats(100, 2);
        let kept: Vec<_> = (0..2).map(|_| seats.take(ip("10.0.0.1"))).collect();
        assert!(kept.iter().all(Option::is_some));
        assert!(seats.take(ip("10.0.0.1")).is_none());
        assert!(
            seats.take(ip("::ffff:10.0.0.1")).is_none(),
            "the same address in other words"
        );
        assert!(seats.take(ip("10.0.0.2")).is_some());
        let local: Vec<_> = (0..10).map(|_| seats.take(ip("127.0.0.1"))).collect();
        assert!(local.iter().all(Option::is_some));
        drop(kept);
        assert!(lock(&seats.taken).by_address.is_empty());
    }
}
