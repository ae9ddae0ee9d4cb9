//! What a transport is told when it is made.

use pinhole::nat64::Prefix64;
use serde::{Deserialize, Serialize};

use super::servers::Servers;
use crate::ice::{Role, Stack};

/// What a transport is told when it is made.
#[derive(Clone, Debug)]
pub struct TransportConfig {
    /// What this end believes that it is when it begins.
    pub role: Role,
    /// Whether it makes an offer when it begins. If both ends do, each takes the other's for the
    /// answer to its own.
    pub offers: bool,
    /// Whether it is this end that restarts ICE, and the other one asks it to.
    pub restarts: bool,
    /// The ICE stack.
    pub stack: Stack,
    /// What the stack's randomness is drawn from.
    pub seed: u64,
    /// The port that its first socket binds, if it is to be a certain one. After a restart it is
    /// another: the first one is still in use.
    pub port: Option<u16>,
    /// The servers to ask; none for a host that everybody reaches.
    pub servers: Servers,
    /// The prefix of its NAT64, if it has no IPv4 and makes up for that: it writes the other side's
    /// IPv4 candidates as IPv6 ones, and tells the other side its own that are IPv4.
    pub synthesize: Option<Prefix64>,
    /// Whether candidates are signaled as they are found, or all at once.
    pub trickle: bool,
    /// Whether the transport is to go on whatever happens to it, and when ICE is restarted then.
    /// `None`: all that counts is whether it connects.
    pub lasting: Option<RestartPolicy>,
}

impl TransportConfig {
    /// An end of a transport that is to last: the controlling one makes the offers, candidates are
    /// trickled, and ICE is restarted at every occasion.
    pub fn new(role: Role, stack: Stack, seed: u64, servers: Servers) -> Self {
        let controls = role == Role::Controlling;
        TransportConfig {
            role,
            offers: controls,
            restarts: controls,
            stack,
            seed,
            port: None,
            servers,
            synthesize: None,
            trickle: true,
            lasting: Some(RestartPolicy::ALWAYS),
        }
    }
}

/// When an endpoint restarts ICE (RFC 8445 §9). The controlling side makes the new offer; the other
/// asks it to. Nothing is restarted before the first pair was selected, but for a change of network.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RestartPolicy {
    /// When its own addresses change.
    pub on_network_change: bool,
    /// When its stack says that it lost the pair.
    pub on_disconnected: bool,
    /// When its stack gives up.
    pub on_failed: bool,
}

impl RestartPolicy {
    /// Whatever happens is left to the stack.
    pub const NEVER: RestartPolicy = RestartPolicy {
        on_network_change: false,
        on_disconnected: false,
        on_failed: false,
    };
    /// At every occasion.
    pub const ALWAYS: RestartPolicy = RestartPolicy {
        on_network_change: true,
        on_disconnected: true,
        on_failed: true,
    };
}

impl Default for RestartPolicy {
    fn default() -> Self {
        RestartPolicy::ALWAYS
    }
}
