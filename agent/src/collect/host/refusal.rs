//! What the host does not take from a plugin, and the words for it.
//!
//! A call that is refused answers with a code; the operator reads the words of the first refusal since the last
//! tick, and how many there were. Nothing is refused silently.

use barograph_sdk::abi;

/// A call that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::collect) struct Refusal {
    /// What the plugin gets.
    pub(in crate::collect) code: i32,
    pub(in crate::collect) why: Why,
}

/// The reason, of which the words are made only where somebody will read them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::collect) enum Why {
    /// No fault: the instance has ended, or the agent is behind.
    Fine,
    Words(String),
    /// One series more of this metric than may live. A plugin without measure has a hundred thousand of these a
    /// tick.
    Limit(u32),
}

impl Refusal {
    pub(in crate::collect) fn config(why: impl Into<String>) -> Self {
        let why = Why::Words(why.into());
        Self {
            code: abi::E_CONFIG,
            why,
        }
    }

    pub(in crate::collect) fn full(why: impl Into<String>) -> Self {
        let why = Why::Words(why.into());
        Self {
            code: abi::E_FULL,
            why,
        }
    }

    pub(in crate::collect) fn closed(why: impl Into<String>) -> Self {
        let why = Why::Words(why.into());
        Self {
            code: abi::E_CLOSED,
            why,
        }
    }

    pub(super) fn never_given(what: &str, id: u32) -> Self {
        Self::closed(format!("{what} id {id} was never given"))
    }

    pub(super) const fn limit(metric: u32) -> Self {
        Self {
            code: abi::E_FULL,
            why: Why::Limit(metric),
        }
    }

    /// The agent is behind: the plugin comes again with the same.
    pub(super) const fn behind() -> Self {
        Self {
            code: abi::E_FULL,
            why: Why::Fine,
        }
    }

    /// The instance was stopped, or the agent has gone.
    pub(in crate::collect) const fn ended() -> Self {
        Self {
            code: abi::E_CLOSED,
            why: Why::Fine,
        }
    }
}

/// What was refused since the last tick.
#[derive(Debug, Default)]
pub(in crate::collect) struct Refusals {
    count: u32,
    first: String,
}

impl Refusals {
    /// Counts one; the words are made for the first only.
    pub(super) fn add(&mut self, why: impl FnOnce() -> String) {
        if self.count == 0 {
            self.first = why();
        }
        self.count = self.count.saturating_add(1);
    }

    /// The words of the first.
    pub(super) fn first(&self) -> Option<&str> {
        (self.count > 0).then_some(self.first.as_str())
    }

    /// Number and words, which begins anew.
    pub(super) fn take(&mut self) -> (u32, String) {
        let Self { count, first } = std::mem::take(self);
        (count, first)
    }
}
