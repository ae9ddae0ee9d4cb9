//! Home routers, of several temperaments.
//!
//! Numbers where they could be had: Hätönen and others bought 34 home gateways and measured them
//! ("An Experimental Study of Home Gateway Characteristics", IMC 2010). Most kept ports, lifetimes
//! of UDP mappings lay between half a minute and ten minutes with a median of 90 s before the first
//! answer and about 180 s after it, and half of the devices forgot idle TCP sessions within an hour.

use super::{Certainty, Preset, Seen, seconds};
use crate::behaviour::{Filtering, Lifetimes, Mapping};
use crate::nat::{
    ChangeOfMind, Conflict, Fragments, Hairpinning, IcmpErrors, NatConfig, PortAllocation,
    PortConflict, Refresh, UnsolicitedSyn,
};
use crate::topology::EdgePlan;

const STUDY: &str =
    "Hätönen et al., An Experimental Study of Home Gateway Characteristics, IMC 2010";

pub(super) static PRESETS: [Preset; 4] = [
    Preset {
        name: "home-router",
        summary: "the usual home router: keeps ports, filters by address and port, hairpins",
        modelled_on: "the middle of the field of measured home gateways; hairpinning as recent ones \
                      do it",
        sources: &[STUDY],
        certainty: Certainty::Observed,
        seen: Seen::Device {
            mapping: Some(Mapping::EndpointIndependent),
            filtering: Filtering::AddressAndPortDependent,
            hairpinning: true,
            port_preservation: true,
            lifetime: seconds(180),
        },
        fails: &[(4787, "5"), (5382, "5")],
        falls_short: &[(4787, "4"), (4787, "5-default"), (4787, "8"), (5382, "3")],
        gateways: || vec![EdgePlan::nat(usual(), 1)],
    },
    Preset {
        name: "home-router-open",
        summary: "a home router set to \"open NAT\": anybody may answer",
        modelled_on: "routers with a full-cone switch for games consoles",
        sources: &[],
        certainty: Certainty::Assumed,
        seen: Seen::Device {
            mapping: Some(Mapping::EndpointIndependent),
            filtering: Filtering::EndpointIndependent,
            hairpinning: true,
            port_preservation: true,
            lifetime: seconds(300),
        },
        fails: &[(5382, "5")],
        falls_short: &[(4787, "4")],
        gateways: || vec![EdgePlan::nat(open(), 1)],
    },
    Preset {
        name: "home-router-strict",
        summary: "a home router of the \"strict\" kind: another port for every destination",
        modelled_on: "the symmetric minority of measured home gateways, with ports that count up and \
                      a minute of patience",
        sources: &[STUDY],
        certainty: Certainty::Observed,
        seen: Seen::Device {
            mapping: Some(Mapping::AddressAndPortDependent),
            filtering: Filtering::AddressAndPortDependent,
            hairpinning: false,
            port_preservation: false,
            lifetime: seconds(60),
        },
        fails: &[
            (4787, "1"),
            (4787, "5"),
            (4787, "9"),
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
            (7857, "9"),
        ],
        gateways: || vec![EdgePlan::nat(strict(), 1)],
    },
    Preset {
        name: "home-router-old",
        summary: "an old home router with most faults at once: changes its mind, hairpins wrongly, \
                  rewrites payloads",
        modelled_on: "faults that RFC 4787, RFC 5382 and RFC 5508 were written against, put into one \
                      box; no single product had them all",
        sources: &["RFC 4787 §4 to §11", "RFC 5382 §4.3", STUDY],
        certainty: Certainty::Assumed,
        seen: Seen::Device {
            mapping: Some(Mapping::EndpointIndependent),
            filtering: Filtering::AddressDependent,
            hairpinning: true,
            port_preservation: true,
            lifetime: seconds(60),
        },
        fails: &[
            (4787, "5"),
            (4787, "9a"),
            (4787, "11"),
            (4787, "12"),
            (4787, "14"),
            (5382, "4"),
            (5382, "5"),
            (5382, "8a"),
            (5382, "10"),
            (7857, "7"),
        ],
        falls_short: &[
            (4787, "4"),
            (4787, "5-default"),
            (4787, "10"),
            (5382, "5-transitory"),
            (7857, "2.2"),
            (7857, "9"),
        ],
        gateways: || vec![EdgePlan::nat(old(), 1)],
    },
];

fn usual() -> NatConfig {
    NatConfig {
        ports: PortAllocation::Preserving {
            on_conflict: PortConflict::Random,
        },
        lifetimes: Lifetimes {
            udp: seconds(180),
            udp_unanswered: Some(seconds(90)),
            tcp_established: seconds(3600),
            ..Lifetimes::STANDARD
        },
        refresh: Refresh::BothWays,
        hairpinning: Hairpinning::ExternalSource,
        unsolicited_syn: UnsolicitedSyn::Silence,
        ..NatConfig::new(
            Mapping::EndpointIndependent,
            Filtering::AddressAndPortDependent,
        )
    }
}

fn open() -> NatConfig {
    NatConfig {
        filtering: Filtering::EndpointIndependent,
        lifetimes: Lifetimes {
            tcp_established: seconds(3600),
            ..Lifetimes::STANDARD
        },
        ..usual()
    }
}

fn strict() -> NatConfig {
    NatConfig {
        ports: PortAllocation::SEQUENTIAL,
        lifetimes: Lifetimes {
            udp: seconds(60),
            udp_unanswered: Some(seconds(30)),
            tcp_established: seconds(3600),
            ..Lifetimes::STANDARD
        },
        fragments: Fragments::InOrder,
        unsolicited_syn: UnsolicitedSyn::Silence,
        ..NatConfig::new(
            Mapping::AddressAndPortDependent,
            Filtering::AddressAndPortDependent,
        )
    }
}

fn old() -> NatConfig {
    NatConfig {
        ports: PortAllocation::Preserving {
            on_conflict: PortConflict::Sequential,
        },
        lifetimes: Lifetimes {
            udp: seconds(60),
            tcp_transitory: seconds(60),
            tcp_established: seconds(900),
            ..Lifetimes::STANDARD
        },
        refresh: Refresh::RefusedToo,
        hairpinning: Hairpinning::InternalSource,
        icmp_errors: IcmpErrors::EndMapping,
        fragments: Fragments::Dropped,
        unsolicited_syn: UnsolicitedSyn::Reset,
        change_of_mind: Some(ChangeOfMind {
            when: Conflict::PortTaken,
            mapping: Mapping::AddressAndPortDependent,
            filtering: Filtering::AddressAndPortDependent,
        }),
        rewrites_payloads: true,
        ..NatConfig::new(Mapping::EndpointIndependent, Filtering::AddressDependent)
    }
}
