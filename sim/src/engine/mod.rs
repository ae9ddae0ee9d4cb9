//! What makes a run go, and go the same way twice: the event queue, budgets and random streams.
//!
//! The loop itself stands in [`internet`](crate::internet), which knows what the events mean.

mod budget;
mod queue;
pub(crate) mod random;

pub use budget::{Budget, BudgetExceeded};
pub(crate) use queue::{Entity, EventQueue, Rank};
pub use random::Stream;
