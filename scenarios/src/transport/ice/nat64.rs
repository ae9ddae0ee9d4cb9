//! Candidates of an end that has no IPv4 and knows the prefix of its NAT64.

use std::net::SocketAddr;

use pinhole::Address;
use pinhole::nat64::Prefix64;

use crate::ice::{Candidate, CandidateType, SignaledCandidate};

/// The priority of a server-reflexive candidate of a host with one address (RFC 8445 §5.1.2.1).
const REFLEXIVE_PRIORITY: u32 = (100 << 24) | (65_535 << 8) | 255;

/// What a candidate of the other side is on this side's network, where that has only IPv6. The
/// candidate itself stays: a relayed address of this side's is of IPv4 and reaches it.
pub(super) fn synthesized(
    prefix: Prefix64,
    candidate: SignaledCandidate,
) -> Option<SignaledCandidate> {
    let address = Address::from(candidate.address.ip());
    (address.is_ipv4() && prefix.may_hold(address)).then(|| SignaledCandidate {
        address: SocketAddr::new(prefix.embed(address).into(), candidate.address.port()),
        ..candidate
    })
}

/// What an end that knows of its NAT64 tells the other side although its agent has no use for it:
/// where a NAT64 sends what comes to that address. No agent sends from a reflexive candidate
/// (RFC 8445 §6.1.2.4), so it need not know one to be reached there.
pub(super) fn told_for_the_agent(candidate: Candidate) -> Option<SignaledCandidate> {
    let Candidate {
        kind,
        address,
        base,
    } = candidate;
    let behind_nat64 = address.is_ipv4() && base.is_ipv6();
    (behind_nat64 && kind == CandidateType::ServerReflexive).then_some(SignaledCandidate {
        kind,
        address,
        priority: REFLEXIVE_PRIORITY,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> SocketAddr {
        address.parse().unwrap()
    }

    #[test]
    fn what_ipv4_is_under_the_prefix() {
        let prefix = Prefix64::well_known();
        let candidate = |address| SignaledCandidate {
            kind: CandidateType::Host,
            address: at(address),
            priority: 7,
        };
        assert_eq!(
            synthesized(prefix, candidate("198.51.100.4:9")),
            Some(candidate("[64:ff9b::c633:6404]:9"))
        );
        // RFC 6052 §3.1: the well-known prefix is not for private addresses.
        assert_eq!(synthesized(prefix, candidate("192.168.1.2:9")), None);
        assert_eq!(synthesized(prefix, candidate("[2001:db8::1]:9")), None);
    }

    #[test]
    fn only_what_a_nat64_made_is_told_for_the_agent() {
        let candidate = |kind, address, base| Candidate {
            kind,
            address: at(address),
            base: at(base),
        };
        use CandidateType::{Host, Relayed, ServerReflexive};
        let made = candidate(ServerReflexive, "198.51.100.4:9", "[2001:db8::1]:8");
        let told = told_for_the_agent(made).unwrap();
        assert_eq!(
            (told.kind, told.address),
            (ServerReflexive, at("198.51.100.4:9"))
        );
        for other in [
            candidate(ServerReflexive, "198.51.100.4:9", "192.168.1.2:8"),
            candidate(ServerReflexive, "[2001:db8::2]:9", "[2001:db8::1]:8"),
            candidate(Relayed, "198.51.100.4:9", "198.51.100.4:9"),
            candidate(Host, "[2001:db8::1]:8", "[2001:db8::1]:8"),
        ] {
            assert_eq!(told_for_the_agent(other), None, "{other:?}");
        }
    }
}
