//! Offices, hotels, and other people's phones: networks with a firewall in front of the NAT, or with
//! another NAT behind it.
//!
//! What such networks let pass is their administrators' choice; these are common ones. A firewall
//! stands on the inside of the NAT, so its rules see the hosts' own addresses.

use std::ops::RangeInclusive;

use super::{Certainty, Preset, Seen, carrier, seconds};
use crate::behaviour::{Filtering, Lifetimes, Mapping};
use crate::firewall::{Action, Protocol, Rule, Rules};
use crate::nat::{
    Fragments, NatConfig, PortAllocation, PortConflict, Refresh, TooBig, UnsolicitedSyn,
};
use crate::topology::{Device, EdgePlan};

pub(super) static PRESETS: [Preset; 4] = [
    Preset {
        name: "enterprise",
        summary: "an office: web and DNS only, a symmetric NAT behind the firewall",
        modelled_on: "the egress policy that guides to office firewalls begin with: TCP to 80 and 443, \
                      names, nothing else",
        sources: &[],
        certainty: Certainty::Assumed,
        seen: Seen::Blocked,
        fails: &[
            (4787, "1"),
            (4787, "5"),
            (4787, "9"),
            (4787, "13"),
            // A rule that asks for a port has no answer for fragments that hold none.
            (4787, "14"),
            (5382, "1"),
            (5382, "5"),
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
                lifetimes: Lifetimes {
                    udp: seconds(60),
                    tcp_transitory: seconds(60),
                    tcp_established: seconds(3600),
                    ..Lifetimes::STANDARD
                },
                too_big: TooBig::Silent,
                unsolicited_syn: UnsolicitedSyn::Silence,
                ..NatConfig::new(
                    Mapping::AddressAndPortDependent,
                    Filtering::AddressAndPortDependent,
                )
            };
            vec![guarded(config, 2, Rules::corporate())]
        },
    },
    Preset {
        name: "hotel",
        summary: "a hotel's guest network: guests kept apart, UDP for DNS and QUIC only",
        modelled_on: "a captive portal after login: all of TCP, UDP to 53, 123 and 443, half a minute",
        sources: &[],
        certainty: Certainty::Assumed,
        seen: Seen::Blocked,
        fails: &[
            (4787, "5"),
            (4787, "9"),
            (4787, "14"),
            (5382, "5"),
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
                ports: PortAllocation::Preserving {
                    on_conflict: PortConflict::Random,
                },
                lifetimes: Lifetimes {
                    udp: seconds(30),
                    tcp_transitory: seconds(30),
                    tcp_established: seconds(900),
                    ..Lifetimes::STANDARD
                },
                fragments: Fragments::Dropped,
                unsolicited_syn: UnsolicitedSyn::Silence,
                ..NatConfig::new(
                    Mapping::EndpointIndependent,
                    Filtering::AddressAndPortDependent,
                )
            };
            let mut allowed = vec![(Protocol::Tcp, 0..=u16::MAX)];
            allowed.extend([53, 123, 443].map(|port| (Protocol::Udp, port..=port)));
            let mut edge = guarded(config, 1, allow_only(&allowed));
            edge.isolated = true;
            vec![edge]
        },
    },
    Preset {
        name: "tcp-443-only",
        summary: "nothing but TCP to port 443",
        modelled_on: "networks that let nothing out but the secure web, the reason for TURN over TLS",
        sources: &[],
        certainty: Certainty::Assumed,
        seen: Seen::Blocked,
        fails: &[],
        falls_short: &[],
        gateways: || {
            let rules = Device::Rules(Rules::tcp_443_only());
            vec![EdgePlan::transparent("firewall", vec![rules])]
        },
    },
    Preset {
        name: "hotspot",
        summary: "a phone's hotspot: its own NAT behind its carrier's",
        modelled_on: "tethering on a phone, which masquerades as Linux does, in a mobile network",
        sources: &["Android Open Source Project, tethering"],
        certainty: Certainty::Assumed,
        seen: Seen::Device {
            mapping: Some(Mapping::AddressAndPortDependent),
            filtering: Filtering::AddressAndPortDependent,
            hairpinning: false,
            port_preservation: false,
            lifetime: seconds(65),
        },
        fails: &[
            (4787, "1"),
            (4787, "5"),
            (4787, "9"),
            (5382, "1"),
            (5382, "5"),
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
            let phone = NatConfig {
                lifetimes: Lifetimes {
                    udp: seconds(120),
                    udp_unanswered: Some(seconds(30)),
                    tcp_transitory: seconds(120),
                    tcp_established: seconds(432_000),
                    icmp_query: seconds(30),
                },
                refresh: Refresh::BothWays,
                unsolicited_syn: UnsolicitedSyn::Silence,
                ..NatConfig::new(
                    Mapping::EndpointIndependent,
                    Filtering::AddressAndPortDependent,
                )
            };
            vec![EdgePlan::nat(phone, 1), EdgePlan::nat(carrier::mobile(), 2)]
        },
    },
];

/// Lets the inside begin conversations with these ports, lets in what answers, and nothing else.
fn allow_only(ports: &[(Protocol, RangeInclusive<u16>)]) -> Rules {
    let out = ports
        .iter()
        .map(|(protocol, ports)| Rule::allow_out(*protocol, ports.clone()));
    Rules {
        otherwise: Action::Deny,
        ..Rules::new([Rule::allow_answers()].into_iter().chain(out).collect())
    }
}

/// A NAT with a firewall on its inside.
fn guarded(config: NatConfig, addresses: usize, rules: Rules) -> EdgePlan {
    let mut edge = EdgePlan::nat(config, addresses);
    edge.devices.insert(0, Device::Rules(rules));
    edge
}
