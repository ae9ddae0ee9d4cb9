//! What two ends of a connection tell each other out of band, and the channel it travels on.
//!
//! Session descriptions and candidates are text, as str0m writes and reads it (RFC 8866, RFC 8839): whatever
//! carries text from one party to the other can take this channel's place.

use std::time::Duration;

use pinhole::{Input, Io, ProgramId};

/// What one end tells the other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Signal {
    /// An offer (RFC 3264), with the candidates known by then.
    Offer(String),
    /// The answer to it.
    Answer(String),
    /// A candidate that was found later (RFC 8838), as its attribute's value.
    Candidate(String),
    /// The end that answers has reason to restart ICE, and asks the other for an offer.
    RestartWanted,
}

/// A signal on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// The party that says it.
    pub from: usize,
    /// The connection that it is about: both ends know it by the same number.
    pub connection: u32,
    /// What it says.
    pub signal: Signal,
}

/// A party's end of the signaling channel.
pub trait Channel {
    /// Sends a message to the party with this number.
    fn send(&mut self, to: usize, message: Message, io: &mut Io<'_>);

    /// Takes an input that is the channel's, and returns the message that came with it.
    fn receive(&mut self, input: &Input<'_>) -> Option<Message>;
}

/// The simulator's own post: what is sent arrives after a delay, in order, outside the network.
#[derive(Clone, Debug)]
pub struct Posts {
    parties: Vec<ProgramId>,
    delay: Duration,
}

impl Posts {
    /// A channel among these parties.
    pub fn new(parties: Vec<ProgramId>, delay: Duration) -> Self {
        Posts { parties, delay }
    }
}

impl Channel for Posts {
    fn send(&mut self, to: usize, message: Message, io: &mut Io<'_>) {
        io.post(self.parties[to], self.delay, message);
    }

    fn receive(&mut self, input: &Input<'_>) -> Option<Message> {
        match input {
            Input::Message { content, .. } => content.downcast_ref().cloned(),
            _ => None,
        }
    }
}
