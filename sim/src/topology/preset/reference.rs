//! Devices that do what the RFCs ask, all of it: to compare others with.

use super::{Certainty, Preset, Seen, seconds};
use crate::address::{Address, Prefix};
use crate::behaviour::{Filtering, Mapping};
use crate::nat::{Capacity, Hairpinning, NatConfig, PortAllocation, PortConflict, WhenFull};
use crate::topology::EdgePlan;

const SEEN: Seen = Seen::Device {
    mapping: Some(Mapping::EndpointIndependent),
    filtering: Filtering::AddressDependent,
    hairpinning: true,
    port_preservation: true,
    lifetime: seconds(300),
};

pub(super) static PRESETS: [Preset; 2] = [
    Preset {
        name: "rfc-compliant",
        summary: "does everything that RFC 4787, RFC 5382 and RFC 7857 require and recommend",
        modelled_on: "the RFCs; no device",
        sources: &["RFC 4787", "RFC 5382", "RFC 7857"],
        certainty: Certainty::Documented,
        seen: SEEN,
        fails: &[],
        falls_short: &[],
        gateways: || vec![EdgePlan::nat(compliant(), 2)],
    },
    Preset {
        name: "rfc-compliant-carrier",
        summary: "the same for a carrier: everything that RFC 6888 requires and recommends too",
        modelled_on: "the RFCs; no device",
        sources: &["RFC 4787", "RFC 5382", "RFC 6888", "RFC 7857"],
        certainty: Certainty::Documented,
        seen: Seen::Device {
            mapping: Some(Mapping::EndpointIndependent),
            filtering: Filtering::EndpointIndependent,
            hairpinning: true,
            port_preservation: true,
            lifetime: seconds(300),
        },
        fails: &[],
        falls_short: &[],
        gateways: || vec![EdgePlan::nat(compliant_carrier(), 2)],
    },
];

fn compliant() -> NatConfig {
    NatConfig {
        // RFC 7857 §9: kept, and random where it can't be.
        ports: PortAllocation::Preserving {
            on_conflict: PortConflict::Random,
        },
        port_parity: true,
        port_rest: seconds(120),
        reports_exhaustion: true,
        hairpinning: Hairpinning::ExternalSource,
        ..NatConfig::new(Mapping::EndpointIndependent, Filtering::AddressDependent)
    }
}

fn compliant_carrier() -> NatConfig {
    NatConfig {
        filtering: Filtering::EndpointIndependent,
        subscriber_limit: Some(1000),
        not_translated: vec![Prefix::new(Address::v4(192, 0, 2, 192), 26)],
        capacity: Some(Capacity {
            mappings: 4096,
            when_full: WhenFull::Drop,
        }),
        ..compliant()
    }
}
