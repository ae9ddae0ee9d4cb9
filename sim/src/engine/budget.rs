//! Bounds on a run: a loop in a protocol under test must end with an error, not with a hot machine.

use crate::time::Time;

/// How much a run may spend. What was measured until a bound is hit stays readable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// Events that may be handled.
    pub events: u64,
    /// The last moment that may be reached.
    pub time: Time,
    /// Packets that may be sent, duplicates included.
    pub packets: u64,
}

impl Default for Budget {
    /// A hundred million events or packets, and no bound on virtual time, which costs nothing.
    fn default() -> Self {
        Budget {
            events: 100_000_000,
            time: Time::MAX,
            packets: 100_000_000,
        }
    }
}

/// A run hit one of the bounds of its [`Budget`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BudgetExceeded {
    /// Too many events.
    #[error(
        "the run's budget of {limit} events was spent at {at}; what was measured until then stands"
    )]
    Events {
        /// The bound.
        limit: u64,
        /// When it was hit.
        at: Time,
    },
    /// Too late.
    #[error(
        "the run's budget of virtual time ended at {limit} with events still to come; what was measured until then stands"
    )]
    Time {
        /// The bound.
        limit: Time,
    },
    /// Too many packets.
    #[error(
        "the run's budget of {limit} packets was spent at {at}; what was measured until then stands"
    )]
    Packets {
        /// The bound.
        limit: u64,
        /// When it was hit.
        at: Time,
    },
}
