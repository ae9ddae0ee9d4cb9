//! RFC 4787's vocabulary for what a middlebox does, shared by NATs, firewalls and the trace.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::address::Endpoint;

/// When a NAT reuses a mapping for another destination (RFC 4787 §4.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Mapping {
    /// For every destination. `eim`.
    EndpointIndependent,
    /// For every port of one remote address. `adm`.
    AddressDependent,
    /// For one remote address and port only. `apdm`.
    AddressAndPortDependent,
}

/// Which packets from outside a middlebox lets in (RFC 4787 §5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Filtering {
    /// From anybody. `eif`.
    EndpointIndependent,
    /// From addresses that the internal endpoint has sent to. `adf`.
    AddressDependent,
    /// From addresses and ports that the internal endpoint has sent to. `apdf`.
    AddressAndPortDependent,
}

impl Mapping {
    /// All three, from the most to the least reusable.
    pub const ALL: [Mapping; 3] = [
        Mapping::EndpointIndependent,
        Mapping::AddressDependent,
        Mapping::AddressAndPortDependent,
    ];

    /// The short name: `eim`, `adm`, `apdm`.
    pub const fn name(self) -> &'static str {
        match self {
            Mapping::EndpointIndependent => "eim",
            Mapping::AddressDependent => "adm",
            Mapping::AddressAndPortDependent => "apdm",
        }
    }

    /// `remote`, with the parts that this behaviour doesn't look at blanked out. Two remotes that
    /// look the same afterwards share a mapping.
    pub const fn key(self, remote: Endpoint) -> Endpoint {
        match self {
            Mapping::EndpointIndependent => Endpoint::UNSPECIFIED,
            Mapping::AddressDependent => remote.without_port(),
            Mapping::AddressAndPortDependent => remote,
        }
    }
}

impl Filtering {
    /// All three, from the most to the least open.
    pub const ALL: [Filtering; 3] = [
        Filtering::EndpointIndependent,
        Filtering::AddressDependent,
        Filtering::AddressAndPortDependent,
    ];

    /// The short name: `eif`, `adf`, `apdf`.
    pub const fn name(self) -> &'static str {
        match self {
            Filtering::EndpointIndependent => "eif",
            Filtering::AddressDependent => "adf",
            Filtering::AddressAndPortDependent => "apdf",
        }
    }

    /// `remote`, with the parts that this behaviour doesn't look at blanked out.
    pub const fn key(self, remote: Endpoint) -> Endpoint {
        match self {
            Filtering::EndpointIndependent => Endpoint::UNSPECIFIED,
            Filtering::AddressDependent => remote.without_port(),
            Filtering::AddressAndPortDependent => remote,
        }
    }
}

/// Why a text names no behaviour.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no {what} behaviour is called {text:?}; there are {known}")]
pub struct UnknownBehaviour {
    what: &'static str,
    text: String,
    known: &'static str,
}

impl FromStr for Mapping {
    type Err = UnknownBehaviour;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Mapping::ALL
            .into_iter()
            .find(|mapping| mapping.name() == text)
            .ok_or_else(|| UnknownBehaviour {
                what: "mapping",
                text: text.to_owned(),
                known: "eim, adm, apdm",
            })
    }
}

impl FromStr for Filtering {
    type Err = UnknownBehaviour;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Filtering::ALL
            .into_iter()
            .find(|filtering| filtering.name() == text)
            .ok_or_else(|| UnknownBehaviour {
                what: "filtering",
                text: text.to_owned(),
                known: "eif, adf, apdf",
            })
    }
}

impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Filtering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
/// How long what a NAT or stateful firewall remembers lives without refresh.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Lifetimes {
    /// UDP mappings, and what the filter remembers of UDP (RFC 4787 REQ-5: two minutes at least, five
    /// recommended).
    pub udp: Duration,
    /// UDP mappings of which no answer has come back yet, if they live shorter: Linux gives them
    /// 30 s, against 120 s once both ways have been seen.
    pub udp_unanswered: Option<Duration>,
    /// TCP sessions that are opening or closing (RFC 5382 REQ-5: four minutes at least).
    pub tcp_transitory: Duration,
    /// Established TCP sessions (RFC 5382 REQ-5: two hours and four minutes at least).
    pub tcp_established: Duration,
    /// ICMP query sessions (RFC 5508 REQ-2: a minute at least).
    pub icmp_query: Duration,
}

impl Lifetimes {
    /// What the RFCs recommend, or else the least they ask for.
    pub const STANDARD: Lifetimes = Lifetimes {
        udp: Duration::from_secs(300),
        udp_unanswered: None,
        tcp_transitory: Duration::from_secs(240),
        tcp_established: Duration::from_secs(7440),
        icmp_query: Duration::from_secs(60),
    };
}

impl Default for Lifetimes {
    /// [`STANDARD`](Lifetimes::STANDARD).
    fn default() -> Self {
        Lifetimes::STANDARD
    }
}
