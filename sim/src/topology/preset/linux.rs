//! Linux: nftables or iptables with connection tracking.
//!
//! Connection tracking knows connections, not mappings: a pair of endpoints, and the pair that its
//! answers come with. That reads from outside as endpoint-independent mapping, because the source
//! port is kept wherever the resulting pair is free, with address- and port-dependent filtering,
//! because only answers belong to a connection. Lifetimes are the kernel's defaults
//! (`nf_conntrack_*_timeout`).
//!
//! Not modelled: the kernel's thirteen timers of TCP are two here, and a router whose input accepts
//! takes a SYN in silence, where a real one on which nobody listens answers with a reset.

use super::{Certainty, Preset, Requirement, Seen, seconds};
use crate::behaviour::{Filtering, Lifetimes, Mapping};
use crate::nat::{
    FilterMemory, NatConfig, PortAllocation, PortConflict, PortOverloading, Refresh, RouterInput,
    UnsolicitedSyn,
};
use crate::topology::EdgePlan;

const SOURCES: &[&str] = &[
    "Linux, net/netfilter/nf_nat_core.c and nf_conntrack_proto_{udp,tcp,icmp}.c",
    "Linux, Documentation/networking/nf_conntrack-sysctl.rst",
];

/// What masquerading misses, whatever its variant: nothing is hairpinned, UDP that nobody answers
/// is forgotten after half a minute.
const MISSES: &[Requirement] = &[(4787, "5"), (4787, "9"), (5382, "8"), (7857, "12")];
const FALLS_SHORT: &[Requirement] = &[
    (4787, "4"),
    (4787, "5-default"),
    (4787, "8"),
    (5382, "3"),
    (5382, "5-transitory"),
    (7857, "2.2"),
];

pub(super) static PRESETS: [Preset; 4] = [
    Preset {
        name: "linux-masquerade",
        summary: "Linux masquerading, on a router whose own input drops what nobody asked for",
        modelled_on: "nftables: masquerade in postrouting, input policy drop with established \
                      accepted; snat to one address does the same",
        sources: SOURCES,
        certainty: Certainty::Documented,
        seen: seen(
            Mapping::EndpointIndependent,
            Filtering::AddressAndPortDependent,
            true,
        ),
        fails: MISSES,
        falls_short: FALLS_SHORT,
        gateways: || vec![EdgePlan::nat(masquerade(), 1)],
    },
    Preset {
        name: "linux-masquerade-open",
        summary: "the same, on a router whose own input accepts: an early packet takes the port away",
        modelled_on: "nftables: masquerade with no input chain; a packet that comes first is taken by \
                      the router, and the connection that it tracks keeps the host's port from being \
                      used toward that peer",
        sources: SOURCES,
        certainty: Certainty::Documented,
        seen: seen(
            Mapping::EndpointIndependent,
            Filtering::AddressAndPortDependent,
            true,
        ),
        fails: MISSES,
        falls_short: FALLS_SHORT,
        gateways: || {
            let config = NatConfig {
                router_input: RouterInput::Accept,
                ..masquerade()
            };
            vec![EdgePlan::nat(config, 1)]
        },
    },
    Preset {
        name: "linux-masquerade-random",
        summary: "Linux masquerading with random ports: another one for every destination",
        modelled_on: "nftables: masquerade random or fully-random",
        sources: SOURCES,
        certainty: Certainty::Documented,
        seen: seen(
            Mapping::AddressAndPortDependent,
            Filtering::AddressAndPortDependent,
            false,
        ),
        fails: &[
            (4787, "1"),
            (4787, "5"),
            (4787, "9"),
            (5382, "1"),
            (5382, "8"),
            (7857, "12"),
        ],
        falls_short: FALLS_SHORT,
        gateways: || {
            let config = NatConfig {
                mapping: Mapping::AddressAndPortDependent,
                ports: PortAllocation::Random,
                ..masquerade()
            };
            vec![EdgePlan::nat(config, 1)]
        },
    },
    Preset {
        name: "linux-full-cone",
        summary: "Linux masquerading with every port forwarded to the one host inside",
        modelled_on: "nftables: masquerade, and dnat of the whole port range in prerouting",
        sources: SOURCES,
        certainty: Certainty::Documented,
        seen: seen(
            Mapping::EndpointIndependent,
            Filtering::EndpointIndependent,
            true,
        ),
        fails: MISSES,
        falls_short: &[
            (4787, "4"),
            (4787, "5-default"),
            (5382, "5-transitory"),
            (7857, "2.2"),
        ],
        gateways: || {
            let config = NatConfig {
                filtering: Filtering::EndpointIndependent,
                // Whoever comes in is sent to the one host inside.
                port_overloading: PortOverloading::Never,
                ..masquerade()
            };
            vec![EdgePlan::nat(config, 1)]
        },
    },
];

const fn seen(mapping: Mapping, filtering: Filtering, port_preservation: bool) -> Seen {
    Seen::Device {
        mapping: Some(mapping),
        filtering,
        hairpinning: false,
        port_preservation,
        lifetime: seconds(120),
    }
}

fn masquerade() -> NatConfig {
    NatConfig {
        filter_memory: FilterMemory::Mapping,
        ports: PortAllocation::Preserving {
            on_conflict: PortConflict::Random,
        },
        // A pair of endpoints has to be unlike all others, not a port.
        port_overloading: PortOverloading::DistinctRemotes,
        lifetimes: Lifetimes {
            // nf_conntrack_udp_timeout_stream and nf_conntrack_udp_timeout.
            udp: seconds(120),
            udp_unanswered: Some(seconds(30)),
            // syn_sent, fin_wait and time_wait; others are shorter.
            tcp_transitory: seconds(120),
            // Five days.
            tcp_established: seconds(432_000),
            icmp_query: seconds(30),
        },
        refresh: Refresh::BothWays,
        unsolicited_syn: UnsolicitedSyn::Silence,
        ..NatConfig::new(
            Mapping::EndpointIndependent,
            Filtering::AddressAndPortDependent,
        )
    }
}
