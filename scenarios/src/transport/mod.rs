//! ICE-connected transports: what carries a conference's packets between two hosts, several to a
//! program.
//!
//! Each [`IceTransport`] has a socket and a production ICE agent of its own, gathers through STUN and
//! TURN over UDP, TCP and TLS, and finds the way that the networks leave. What two ends have to tell
//! each other are [`Signal`](crate::call::Signal)s, which their holder posts. When a host's addresses
//! change, or a pair is lost, ICE is restarted; packets use the old pair, while that works, until
//! there is another.
//!
//! [`Transports`] keeps a program's transports: it finds by port and connection which one a datagram
//! is for, and knows which one wants to be woken next.
//!
//! Beside [`call::Peer`](crate::call::Peer), which plays one side of one call and notes everything
//! that happens to it, this knows nothing of what it carries. What it doesn't do: NAT64 synthesis,
//! description without trickling, several components or streams.

mod alarms;
mod config;
mod gathering;
mod ice;
mod servers;
mod set;
mod signaling;
#[cfg(test)]
mod tests;

pub(crate) use alarms::Alarms;
pub use config::RestartPolicy;
pub(crate) use gathering::{Gathering, Taken};
pub use gathering::{PATIENCE, Relayed, StreamEnds, TurnConnection};
pub use ice::{IceTransport, TransportConfig, TransportEvent};
pub use servers::{Servers, TurnAccess, TurnTransport};
pub use set::{Came, Transports};
pub use signaling::{Description, Signal};
