//! Carriers: NATs that thousands of subscribers share.
//!
//! What a good one does is in RFC 6888 and RFC 7422. What real ones do was measured by Richter and
//! others ("A Multi-perspective Analysis of Carrier-Grade NAT Deployment", IMC 2016): lifetimes of
//! UDP mappings around a minute, ports in blocks at a part of the carriers, arbitrary pooling at
//! about a fifth, symmetric behaviour most often in cellular networks; and before them by Wang and
//! others ("An Untold Story of Middleboxes in Cellular Networks", SIGCOMM 2011).

use super::{Certainty, Preset, Seen, seconds};
use crate::address::{Address, Prefix};
use crate::behaviour::{Filtering, Lifetimes, Mapping};
use crate::nat::{
    Capacity, Hairpinning, NatConfig, Pooling, PortAllocation, PortBlocks, UnsolicitedSyn, WhenFull,
};
use crate::topology::EdgePlan;

const MEASURED: &str =
    "Richter et al., A Multi-perspective Analysis of Carrier-Grade NAT Deployment, IMC 2016";
const CELLULAR: &str =
    "Wang et al., An Untold Story of Middleboxes in Cellular Networks, SIGCOMM 2011";

pub(super) static PRESETS: [Preset; 3] = [
    Preset {
        name: "carrier-grade",
        summary: "a carrier's NAT as RFC 6888 asks for it: blocks of ports, a quota, anybody may answer",
        modelled_on: "RFC 6888 with the port blocks of RFC 7422: four external addresses, blocks of \
                      512 ports, four at most for a subscriber",
        sources: &["RFC 6888", "RFC 7422", MEASURED],
        certainty: Certainty::Documented,
        seen: Seen::Device {
            mapping: Some(Mapping::EndpointIndependent),
            filtering: Filtering::EndpointIndependent,
            hairpinning: true,
            port_preservation: false,
            lifetime: seconds(300),
        },
        fails: &[],
        falls_short: &[(4787, "3a"), (4787, "4")],
        gateways: || vec![EdgePlan::nat(by_the_book(), 4)],
    },
    Preset {
        name: "carrier-grade-strict",
        summary: "a carrier's NAT that spares its ports: symmetric, any address of the pool, a minute",
        modelled_on: "the thrifty end of what was measured at carriers",
        sources: &[MEASURED],
        certainty: Certainty::Observed,
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
            (6888, "2"),
            (6888, "6"),
            (7857, "12"),
        ],
        falls_short: &[
            (4787, "2"),
            (4787, "4"),
            (4787, "5-default"),
            (4787, "8"),
            (5382, "3"),
            (5382, "5-transitory"),
            (6888, "7"),
            (6888, "8"),
            (6888, "11b"),
            (7857, "2.2"),
            (7857, "4"),
        ],
        gateways: || vec![EdgePlan::nat(thrifty(), 4)],
    },
    Preset {
        name: "mobile-carrier",
        summary: "a mobile carrier's NAT: symmetric, forgets UDP after a minute, no hairpinning",
        modelled_on: "cellular networks as they were measured: another mapping for every destination, \
                      half an hour for idle TCP",
        sources: &[CELLULAR, MEASURED],
        certainty: Certainty::Observed,
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
        gateways: || vec![EdgePlan::nat(mobile(), 2)],
    },
];

fn by_the_book() -> NatConfig {
    NatConfig {
        ports: PortAllocation::Random,
        port_blocks: Some(PortBlocks { size: 512, most: 4 }),
        port_rest: seconds(120),
        subscriber_limit: Some(2000),
        // The carrier's own servers, which see subscribers' own addresses.
        not_translated: vec![Prefix::new(Address::v4(192, 0, 2, 192), 26)],
        capacity: Some(Capacity {
            mappings: 16_384,
            when_full: WhenFull::Drop,
        }),
        reports_exhaustion: true,
        hairpinning: Hairpinning::ExternalSource,
        ..NatConfig::new(Mapping::EndpointIndependent, Filtering::EndpointIndependent)
    }
}

fn thrifty() -> NatConfig {
    NatConfig {
        ports: PortAllocation::Random,
        pooling: Pooling::Arbitrary,
        subscriber_limit: Some(1000),
        capacity: Some(Capacity {
            mappings: 16_384,
            when_full: WhenFull::Drop,
        }),
        ..mobile()
    }
}

pub(super) fn mobile() -> NatConfig {
    NatConfig {
        lifetimes: Lifetimes {
            udp: seconds(65),
            tcp_transitory: seconds(120),
            tcp_established: seconds(1800),
            ..Lifetimes::STANDARD
        },
        unsolicited_syn: UnsolicitedSyn::Silence,
        ..NatConfig::new(
            Mapping::AddressAndPortDependent,
            Filtering::AddressAndPortDependent,
        )
    }
}
