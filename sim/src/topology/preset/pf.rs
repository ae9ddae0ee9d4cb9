//! OpenBSD's packet filter, and pfSense and OPNsense, which are built on FreeBSD's port of it.
//!
//! Lifetimes are the defaults of pf.conf's `set timeout`. Not modelled: the two minutes of
//! `tcp.first`, the quarter of an hour of `tcp.closing` (all that isn't established has the half
//! minute of `tcp.opening` here), and the minute that UDP has after its very first packet.

use super::{Certainty, Preset, Seen, seconds};
use crate::behaviour::{Filtering, Lifetimes, Mapping};
use crate::nat::{
    FilterMemory, NatConfig, PortAllocation, PortOverloading, Refresh, UnsolicitedSyn,
};
use crate::topology::EdgePlan;

const SOURCES: &[&str] = &[
    "OpenBSD manual pages, pf.conf(5): nat-to, static-port, set timeout",
    "pfSense documentation, Outbound NAT: static port",
];

pub(super) static PRESETS: [Preset; 2] = [
    Preset {
        name: "pf",
        summary: "OpenBSD and pfSense as they come: a random port for every destination",
        modelled_on: "pf.conf: match out … nat-to (egress), block by default",
        sources: SOURCES,
        certainty: Certainty::Documented,
        seen: seen(Mapping::AddressAndPortDependent, false),
        fails: &[
            (4787, "1"),
            (4787, "5"),
            (4787, "9"),
            (5382, "1"),
            (5382, "8"),
            (7857, "12"),
        ],
        falls_short: &[
            (4787, "4"),
            (4787, "5-default"),
            (4787, "8"),
            (5382, "3"),
            (5382, "5-transitory"),
            (7857, "2.2"),
        ],
        gateways: || {
            let config = NatConfig {
                mapping: Mapping::AddressAndPortDependent,
                ports: PortAllocation::Random,
                port_range: 50_001..=65_535,
                ..defaults()
            };
            vec![EdgePlan::nat(config, 1)]
        },
    },
    Preset {
        name: "pf-static-port",
        summary: "the same with static-port, as games and SIP want it: ports are kept",
        modelled_on: "pf.conf: nat-to (egress) static-port; where a port is taken pf makes no state at \
                      all, here it takes the next port",
        sources: SOURCES,
        certainty: Certainty::Documented,
        seen: seen(Mapping::EndpointIndependent, true),
        fails: &[(4787, "5"), (4787, "9"), (5382, "8"), (7857, "12")],
        falls_short: &[
            (4787, "4"),
            (4787, "5-default"),
            (4787, "8"),
            (5382, "3"),
            (5382, "5-transitory"),
            (7857, "2.2"),
            (7857, "9"),
        ],
        gateways: || vec![EdgePlan::nat(defaults(), 1)],
    },
];

const fn seen(mapping: Mapping, port_preservation: bool) -> Seen {
    Seen::Device {
        mapping: Some(mapping),
        filtering: Filtering::AddressAndPortDependent,
        hairpinning: false,
        port_preservation,
        lifetime: seconds(60),
    }
}

/// What both have in common: states as pf keeps them.
fn defaults() -> NatConfig {
    NatConfig {
        filter_memory: FilterMemory::Mapping,
        port_overloading: PortOverloading::DistinctRemotes,
        lifetimes: Lifetimes {
            // udp.multiple and udp.single.
            udp: seconds(60),
            udp_unanswered: Some(seconds(30)),
            tcp_transitory: seconds(30),
            tcp_established: seconds(86_400),
            icmp_query: seconds(20),
        },
        refresh: Refresh::BothWays,
        unsolicited_syn: UnsolicitedSyn::Silence,
        ..NatConfig::new(
            Mapping::EndpointIndependent,
            Filtering::AddressAndPortDependent,
        )
    }
}
