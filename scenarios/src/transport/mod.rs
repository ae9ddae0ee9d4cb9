//! ICE-connected transports: what carries a call's data and a conference's packets between two hosts.
//!
//! - [`IceTransport`] is one end of one: a production ICE agent, and sockets that it gathers on through
//!   STUN and TURN over UDP, TCP and TLS. It finds the way that the networks leave, and keeps it: when
//!   a host's addresses change, or a pair is lost, ICE is restarted; packets use the old pair, while
//!   that works, until there is another.
//! - [`TransportConfig`] says what differs from end to end: role, who offers, trickling, NAT64, when
//!   ICE is restarted ([`RestartPolicy`]).
//! - [`Signal`]s are what two ends have to tell each other. Their holder posts them.
//! - [`TransportEvent`]s tell the holder what happened: every [`Milestone`], and when the pair is lost.
//! - [`Transports`] keeps several for one program: it finds by port and connection which one a
//!   datagram is for, and knows which one wants to be woken next.
//!
//! Below them are the [`Servers`] to ask, `gathering`, which asks them, and `sockets`: those gathered on
//! now, and those of before the last restart.
//!
//! Nothing here knows what is carried. [`call::Peer`](crate::call::Peer) is one transport with data and
//! a memory of its milestones; a conference's stations have several. What it doesn't do: several
//! components or streams.

mod alarms;
mod config;
mod event;
mod gathering;
mod ice;
mod servers;
mod set;
mod signaling;
mod sockets;
#[cfg(test)]
mod tests;

pub(crate) use alarms::Alarms;
pub use config::{RestartPolicy, TransportConfig};
pub use event::{Milestone, TransportEvent};
pub(crate) use gathering::Taken;
pub use gathering::{PATIENCE, Relayed, StreamEnds, TurnConnection};
pub(crate) use ice::Received;
pub use ice::{DEAFNESS, IceTransport};
pub use servers::{Servers, TurnAccess, TurnTransport};
pub use set::{Came, Transports};
pub use signaling::{Description, Signal};
pub(crate) use sockets::{ANY_PORT, Sockets};
