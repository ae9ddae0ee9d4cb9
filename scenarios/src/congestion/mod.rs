//! Congestion control of media: how fast a sender may send, learned from what arrives and when.
//!
//! Everything here is sans-IO: time comes in, decisions go out.
//!
//! | part | does |
//! |---|---|
//! | [`feedback`] | what the receiver saw, packet by packet, in the wire format of transport-wide feedback |
//! | [`Controller`] | Google Congestion Control (the crate `goog_cc`), told of what was sent and what was seen |
//! | [`Pacer`] | spreads packets over time at the rate that the controller gives, and runs its probes |
//! | [`cases`] | the test cases of RFC 8867, for any controller |

pub mod cases;
mod controller;
pub mod feedback;
mod pacer;

pub use controller::{Bounds, Controller, ProbeCluster, ProbeMark};
pub use pacer::{Class, Pacer, Released, What};
