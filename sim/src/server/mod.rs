//! STUN and TURN servers: programs that run on a virtual host.
//!
//! [`StunServer`] answers Binding requests (RFC 8489) and the requests of NAT behaviour discovery
//! (RFC 5780). The codec is `stun-types`; what RFC 5780 adds to it is in [`attribute`].
//! [`TurnServer`] relays (RFC 8656), with `turn-server-proto` inside.

pub mod attribute;
mod stun;
mod turn;

#[cfg(test)]
mod lone_host;

pub use stun::{StunCounters, StunServer};
pub use turn::{
    ClientTransport, LostFraming, PeerRules, SecureServer, SecurityFailure, StreamFraming,
    StreamSecurity, Traffic, TurnConfig, TurnConfigError, TurnCounters, TurnServer, TurnTraffic,
};
