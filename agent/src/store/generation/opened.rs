//! An open generation, and what it holds in memory for being open.
//!
//! sled reads pages of about [`PAGE_GROUPS`] neighbouring groups and keeps them. It does not say how much that is,
//! so it is reckoned here from the groups that were asked for.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::super::group::Group;
use super::super::key::{self, KEY_BYTES};
use crate::kv::Kv;

/// sled splits a page of more than 16 values in two; those that were written in order stay halves.
const PAGE_GROUPS: u64 = 8;

#[derive(Debug)]
pub(super) struct Opened {
    pub(super) kv: Kv,
    fetched: AtomicU64,
    written: AtomicU64,
    /// Keys of the groups that were read.
    seen: Mutex<BTreeSet<[u8; KEY_BYTES]>>,
}

impl Opened {
    pub(super) fn new(kv: Kv) -> Self {
        Self {
            kv,
            fetched: AtomicU64::new(0),
            written: AtomicU64::new(0),
            seen: Mutex::default(),
        }
    }

    /// About how many bytes it has in memory because they were read.
    pub(super) fn fetched(&self) -> u64 {
        self.fetched.load(Ordering::Relaxed)
    }

    /// The same of those that were written.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// A group was written.
    pub(super) fn charge_write(&self, bytes: usize) {
        self.written.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A group was read: its page came with it, unless a neighbour's has. The nearer the neighbour, the likelier.
    pub(super) fn charge_read(&self, key: &[u8], bytes: &[u8]) {
        let Ok(key) = <[u8; KEY_BYTES]>::try_from(key) else {
            return;
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.insert(key) {
            return;
        }
        let before = seen.range(..key).next_back();
        let after = seen.range(key..).nth(1);
        let page = page_series(bytes);
        let distance = [before, after]
            .into_iter()
            .flatten()
            .filter_map(|other| distance(&key, other))
            .min()
            .unwrap_or(page)
            .min(page);
        drop(seen);
        let bytes = bytes.len() as u64 * PAGE_GROUPS * distance / page;
        self.fetched.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// The series that a page has room for, going by one of its groups.
fn page_series(bytes: &[u8]) -> u64 {
    let of_group = Group::parse(bytes).map_or(1, |group| {
        let first = group.chunks().next().map_or(0, |(series, _)| series);
        let last = group.chunks().last().map_or(first, |(series, _)| series);
        u64::from(last - first) + 1
    });
    of_group * PAGE_GROUPS
}

/// Series between two groups of one block.
fn distance(a: &[u8; KEY_BYTES], b: &[u8; KEY_BYTES]) -> Option<u64> {
    let (a_ms, a_epoch, a) = key::decode(a)?;
    let (b_ms, b_epoch, b) = key::decode(b)?;
    ((a_ms, a_epoch) == (b_ms, b_epoch)).then(|| u64::from(a.abs_diff(b)))
}
