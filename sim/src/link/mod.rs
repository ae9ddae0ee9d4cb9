//! Links: delay, jitter, rate and queue, loss, duplication and MTU, each direction its own.
//!
//! What they don't do: fair queueing, active queue management, or anything that looks into a
//! packet.

mod access;
mod conditions;
mod lane;

pub use access::{AccessProfile, UnknownProfile};
pub use conditions::{Bottleneck, Conditions, ETHERNET_MTU, GilbertElliott, Jitter, Link, Loss};
pub(crate) use lane::{Admission, Lane};
