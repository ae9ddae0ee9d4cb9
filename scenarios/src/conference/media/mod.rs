//! What both simulators say about media, said once: how large frames are and when they come, which
//! layer a receiver is given, when a viewer sees what arrives, who speaks.
//!
//! Nothing here sends, receives or knows a connection.

pub mod allocator;
pub mod jitter_buffer;
pub mod playout;
pub mod profile;
pub mod source;
pub mod speech;

pub use allocator::{Allocator, Offer, Switch};
pub use jitter_buffer::{ASSUMED_ROUND_TRIP, Arrival, JitterBuffer, RoundTrip};
pub use playout::{Freezes, Jitter};
pub use profile::{AudioProfile, Layer, UnknownProfile, VideoProfile};
pub use source::{Encoder, Frame, VideoSource};
pub use speech::Speech;
