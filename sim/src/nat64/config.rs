//! What translators between IPv6 and IPv4 are told to do.

use super::Prefix64;
use crate::behaviour::{Filtering, Lifetimes};

/// What a stateful NAT64 (RFC 6146) is told to do. How it maps is no choice: a NAT64 maps
/// endpoint-independently (RFC 6146 §1.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Nat64Config {
    /// Where in IPv6 the IPv4 internet lies.
    pub prefix: Prefix64,
    /// Which packets from IPv4 are let in. The RFC has endpoint-independent filtering, and
    /// address-dependent as a choice (§3.5); firewalls at carriers look at ports too.
    pub filtering: Filtering,
    /// How long sessions live. A mapping lives as long as one of its sessions does.
    pub lifetimes: Lifetimes,
    /// Whether what is sent from inside to an external address of its own goes back in; §3.8 asks
    /// for it.
    pub hairpinning: bool,
    /// The most sessions it remembers (RFC 6146 §5.3: state is what attackers use up).
    pub most_sessions: u32,
}

impl Nat64Config {
    /// A NAT64 behind the Well-Known Prefix that filters like this and does the rest as RFC 6146
    /// has it.
    pub fn new(filtering: Filtering) -> Self {
        Nat64Config {
            prefix: Prefix64::well_known(),
            filtering,
            lifetimes: Lifetimes::STANDARD,
            hairpinning: true,
            most_sessions: 1 << 20,
        }
    }
}

/// What the stateless translator on a subscriber's side, the CLAT of 464XLAT (RFC 6877), is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClatConfig {
    /// Where its hosts' IPv4 addresses lie in IPv6: a prefix of the subscriber's own, of which each
    /// address in use must be given to the gateway on its outside link, so that it has a route.
    pub source: Prefix64,
    /// Where the IPv4 internet lies in IPv6: the prefix of the carrier's NAT64, the PLAT.
    pub destination: Prefix64,
}
