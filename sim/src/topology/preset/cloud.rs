//! NAT gateways that clouds rent out, as their documentation describes them.
//!
//! All are made for servers that open connections, and for nothing that is called from outside. A
//! port is used again for another destination, so that what runs out are ports toward one
//! destination (RFC 7857 §3).

use super::{Certainty, Preset, Requirement, Seen, seconds};
use crate::behaviour::{Filtering, Lifetimes, Mapping};
use crate::nat::{
    FilterMemory, NatConfig, PortAllocation, PortBlocks, PortOverloading, Refresh, UnsolicitedSyn,
};
use crate::topology::EdgePlan;

/// What a gateway for outgoing connections misses.
const SYMMETRIC: &[Requirement] = &[
    (4787, "1"),
    (4787, "9"),
    (5382, "1"),
    (5382, "5"),
    (5382, "8"),
    (7857, "12"),
];

pub(super) static PRESETS: [Preset; 4] = [
    Preset {
        name: "cloud-nat-aws",
        summary: "a NAT gateway as Amazon's: symmetric, 350 s for everything that is idle",
        modelled_on: "AWS NAT gateway: idle timeout of 350 s, 55,000 connections to one destination",
        sources: &["AWS documentation, NAT gateways: basics, troubleshooting"],
        certainty: Certainty::Documented,
        seen: seen(Mapping::AddressAndPortDependent, 350),
        fails: SYMMETRIC,
        falls_short: &[(4787, "4"), (4787, "8"), (5382, "3"), (7857, "2")],
        gateways: || {
            let config = NatConfig {
                lifetimes: Lifetimes {
                    udp: seconds(350),
                    udp_unanswered: None,
                    tcp_transitory: seconds(350),
                    tcp_established: seconds(350),
                    icmp_query: seconds(350),
                },
                ..outgoing()
            };
            vec![EdgePlan::nat(config, 1)]
        },
    },
    Preset {
        name: "cloud-nat-azure",
        summary: "a NAT gateway as Microsoft's: symmetric, four minutes, ports cool down",
        modelled_on: "Azure NAT Gateway: 64,512 random ports for each address, four minutes of idle \
                      time unless configured, a port rests 65 s; how it filters UDP is assumed",
        sources: &["Azure documentation, NAT gateway resource: SNAT, timers"],
        certainty: Certainty::Documented,
        seen: seen(Mapping::AddressAndPortDependent, 240),
        fails: SYMMETRIC,
        falls_short: &[
            (4787, "4"),
            (4787, "5-default"),
            (4787, "8"),
            (5382, "3"),
            (7857, "2"),
        ],
        gateways: || {
            let config = NatConfig {
                lifetimes: Lifetimes {
                    udp: seconds(240),
                    udp_unanswered: None,
                    tcp_transitory: seconds(240),
                    tcp_established: seconds(240),
                    icmp_query: seconds(240),
                },
                port_rest: seconds(65),
                // Ports are shared when there are no others: here, never.
                port_overloading: PortOverloading::Never,
                ..outgoing()
            };
            vec![EdgePlan::nat(config, 1)]
        },
    },
    Preset {
        name: "cloud-nat-gcp",
        summary: "a NAT gateway as Google's: 64 ports for a machine, half a minute for UDP",
        modelled_on: "Cloud NAT with its defaults: a block of 64 ports for each machine, UDP 30 s, TCP \
                      20 minutes, endpoint-independent mapping off",
        sources: &["Google Cloud documentation, Cloud NAT: ports and addresses, timeouts"],
        certainty: Certainty::Documented,
        seen: seen(Mapping::AddressAndPortDependent, 30),
        fails: &[
            (4787, "1"),
            (4787, "5"),
            (4787, "9"),
            (5382, "1"),
            (5382, "5"),
            (5382, "8"),
            (6888, "6"),
            (7857, "12"),
        ],
        falls_short: GOOGLE_FALLS_SHORT,
        gateways: || vec![EdgePlan::nat(google(Mapping::AddressAndPortDependent), 1)],
    },
    Preset {
        name: "cloud-nat-gcp-eim",
        summary: "the same with endpoint-independent mapping switched on",
        modelled_on: "Cloud NAT with endpoint-independent mapping enabled; what comes in must still be \
                      an answer",
        sources: &["Google Cloud documentation, Cloud NAT: endpoint-independent mapping"],
        certainty: Certainty::Documented,
        seen: seen(Mapping::EndpointIndependent, 30),
        fails: &[
            (4787, "5"),
            (4787, "9"),
            (5382, "5"),
            (5382, "8"),
            (6888, "6"),
            (7857, "12"),
        ],
        falls_short: GOOGLE_FALLS_SHORT,
        gateways: || vec![EdgePlan::nat(google(Mapping::EndpointIndependent), 1)],
    },
];

const GOOGLE_FALLS_SHORT: &[Requirement] = &[
    (4787, "3a"),
    (4787, "4"),
    (4787, "5-default"),
    (4787, "8"),
    (5382, "3"),
    (5382, "5-transitory"),
    (6888, "5"),
    (6888, "7"),
    (6888, "11b"),
    (7857, "2.2"),
];

const fn seen(mapping: Mapping, lifetime: u64) -> Seen {
    Seen::Device {
        mapping: Some(mapping),
        filtering: Filtering::AddressAndPortDependent,
        hairpinning: false,
        port_preservation: false,
        lifetime: seconds(lifetime),
    }
}

/// A gateway for outgoing connections.
fn outgoing() -> NatConfig {
    NatConfig {
        filter_memory: FilterMemory::Mapping,
        ports: PortAllocation::Random,
        port_overloading: PortOverloading::DistinctRemotes,
        refresh: Refresh::BothWays,
        unsolicited_syn: UnsolicitedSyn::Silence,
        ..NatConfig::new(
            Mapping::AddressAndPortDependent,
            Filtering::AddressAndPortDependent,
        )
    }
}

fn google(mapping: Mapping) -> NatConfig {
    NatConfig {
        mapping,
        port_overloading: PortOverloading::Never,
        port_blocks: Some(PortBlocks { size: 64, most: 1 }),
        // A port rests as long as TIME_WAIT lasts.
        port_rest: seconds(120),
        lifetimes: Lifetimes {
            udp: seconds(30),
            udp_unanswered: None,
            tcp_transitory: seconds(30),
            tcp_established: seconds(1200),
            icmp_query: seconds(30),
        },
        ..outgoing()
    }
}
