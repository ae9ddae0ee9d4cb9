//! What a NAT is told to do, in RFC 4787's words.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::behaviour::{Filtering, Mapping};

/// Whose past decides which remote endpoints may come in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum FilterMemory {
    /// The internal endpoint's: what it sent through any of its mappings counts for all of them.
    /// RFC 4787 §5 words it so.
    #[default]
    InternalEndpoint,
    /// The mapping's: only what was sent through this mapping counts for it, as connection tracking
    /// does it.
    Mapping,
}

/// How a NAT picks the external port of a new mapping (RFC 4787 §4.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PortAllocation {
    /// The internal port, where it is free; else the next free port above it.
    Preserving,
    /// The port after the last one given out, where it is free; else the next free one.
    Sequential,
    /// Any free port, each as likely.
    Random,
}

/// What a NAT does with a packet from inside that is sent to its own external address (RFC 4787 §6).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Hairpinning {
    /// Drops it.
    #[default]
    Off,
    /// Sends it back in, from the sender's external endpoint: what REQ-9a asks for.
    ExternalSource,
}

/// What refreshes a mapping's lifetime (RFC 4787 §4.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Refresh {
    /// Packets from inside only.
    #[default]
    Outbound,
    /// Packets either way, as long as the filter lets them pass.
    BothWays,
}

/// What a NAT is told to do.
///
/// ```
/// use pinhole::nat::{Hairpinning, NatConfig};
/// use pinhole::{Filtering, Mapping};
///
/// let mut symmetric = NatConfig::new(
///     Mapping::AddressAndPortDependent,
///     Filtering::AddressAndPortDependent,
/// );
/// symmetric.hairpinning = Hairpinning::ExternalSource;
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NatConfig {
    /// When a mapping is used again for another destination.
    pub mapping: Mapping,
    /// Which packets from outside are let in.
    pub filtering: Filtering,
    /// Whose past the filter remembers.
    pub filter_memory: FilterMemory,
    /// How external ports are picked.
    pub ports: PortAllocation,
    /// The external ports that may be picked. Internal ports below 1024 are mapped below 1024
    /// whatever this says (REQ-3a).
    pub port_range: RangeInclusive<u16>,
    /// How long a UDP mapping, and what its filter remembers, live without refresh (REQ-5).
    pub udp_lifetime: Duration,
    /// What refreshes them (REQ-6).
    pub refresh: Refresh,
    /// What happens to packets from inside to the NAT's own address.
    pub hairpinning: Hairpinning,
}

impl NatConfig {
    /// A NAT with these behaviours and this project's defaults for the rest: ports preserved by
    /// endpoint-independent mapping and random otherwise, drawn from 1024 to 65535; filter memory
    /// per internal endpoint; mappings that live for five minutes (what REQ-5 recommends) and are
    /// refreshed by outbound packets; no hairpinning.
    pub fn new(mapping: Mapping, filtering: Filtering) -> Self {
        NatConfig {
            mapping,
            filtering,
            filter_memory: FilterMemory::default(),
            ports: match mapping {
                Mapping::EndpointIndependent => PortAllocation::Preserving,
                Mapping::AddressDependent | Mapping::AddressAndPortDependent => {
                    PortAllocation::Random
                }
            },
            port_range: 1024..=u16::MAX,
            udp_lifetime: Duration::from_secs(300),
            refresh: Refresh::default(),
            hairpinning: Hairpinning::default(),
        }
    }
}
