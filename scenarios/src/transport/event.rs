//! What happens to a transport.

use std::net::SocketAddr;

use crate::ice::{Candidate, SignaledCandidate};

/// Something worth telling, in a transport's life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Milestone {
    /// It began to gather candidates.
    Began,
    /// It found a candidate of its own.
    Gathered(Candidate),
    /// It sent its offer or answer, with every candidate that it had found by then.
    Described,
    /// It learned a candidate of the other side.
    Learned(SignaledCandidate),
    /// It knows the other side's credentials: checks begin.
    Started,
    /// Its stack selected a pair: packets can be sent, or go another way than before.
    Selected {
        /// The address to send from.
        local: SocketAddr,
        /// The address to send to.
        remote: SocketAddr,
    },
    /// Its stack lost the pair.
    Disconnected,
    /// Its stack gave up.
    Failed,
    /// Its host's addresses changed.
    NetworkChanged,
    /// It asked the other side, which controls, to restart ICE.
    AskedForRestart,
    /// It restarted ICE: new credentials, new candidates.
    Restarted,
}

impl Milestone {
    /// Whether it belongs to how a transport goes on, and not only to how it begins.
    pub(crate) const fn is_of_the_course(&self) -> bool {
        match self {
            Milestone::Selected { .. }
            | Milestone::Disconnected
            | Milestone::Failed
            | Milestone::NetworkChanged
            | Milestone::AskedForRestart
            | Milestone::Restarted => true,
            Milestone::Began
            | Milestone::Gathered(_)
            | Milestone::Described
            | Milestone::Learned(_)
            | Milestone::Started => false,
        }
    }
}

/// What a transport tells its holder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransportEvent {
    /// It got that far.
    Reached(Milestone),
    /// No packet can be sent until there is another pair. It comes when the stack has lost the pair
    /// for good, when its address is gone, and when consent to it has expired.
    Lost,
}
