//! What the two ends of a transport tell each other out of band, before a path exists.
//!
//! The channel is the simulator's own [`post`](pinhole::Io::post), with a delay. Nothing here
//! depends on that: these are values, and a signaling server can carry them as well.

use crate::ice::{Credentials, SignaledCandidate};

/// What goes over the signaling channel: the parts of an offer, an answer and of trickled
/// candidates (RFC 8838) that ICE looks at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Signal {
    /// The description of the end that makes an offer.
    Offer(Description),
    /// The description of the end that answers it.
    Answer(Description),
    /// The end that doesn't restart ICE has reason to, and asks the other for an offer.
    RestartWanted,
    /// A candidate that was found after the description had left.
    Candidate(SignaledCandidate),
}

/// One side's credentials, and the candidates it knew when it sent them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Description {
    /// Username fragment and password.
    pub credentials: Credentials,
    /// The candidates so far; all of them where nothing is trickled.
    pub candidates: Vec<SignaledCandidate>,
}
