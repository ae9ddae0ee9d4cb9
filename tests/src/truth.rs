//! Who can connect to whom: derived from the RFCs. The derivation shares nothing with the simulator but the kinds' names.
//!
//! **Assumptions.** One socket a side, gathered for by one STUN server whose address is neither
//! side's. Each NAT has one external address. Two mappings of one NAT have different external
//! ports, and nobody guesses a port: a socket's external port towards a new destination is known
//! to the other side only if the mapping is endpoint-independent. (Two random ports are the same by
//! chance once in 64,512 draws; NATs with dependent mapping that preserve or count ports would
//! make guessing possible. No default kind does.) Checks are repeated until all that can be open is
//! open: what counts is what stays possible, not who is first.
//!
//! **Notation.** X's mapping behaviour m(X) is eim for a host without a NAT, whose external endpoint
//! is its own; f(X) is the filtering behaviour, eif for `open`. *X1* is what the STUN server saw of
//! X, the server-reflexive candidate; *X(d)* is X's external endpoint towards d. By RFC 4787 §4.1
//! X(d) = X1 if m(X) = eim; depends on d's address if adm; on address and port if apdm.

use pinhole_scenarios::call::PathClass;

/// RFC 4787 §4.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mapping {
    Eim,
    Adm,
    Apdm,
}

/// RFC 4787 §5.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Filtering {
    Eif,
    Adf,
    Apdf,
}

/// Whose past a filter remembers: all that the internal endpoint sent, or what was sent through
/// the mapping that the packet comes in at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Memory {
    Endpoint,
    Mapping,
}

/// Both.
pub const MEMORIES: [Memory; 2] = [Memory::Endpoint, Memory::Mapping];

/// The kinds that the derivation is of.
pub const KINDS: [&str; 13] = [
    "open",
    "firewall:adf",
    "firewall:apdf",
    "nat:eim/eif",
    "nat:eim/adf",
    "nat:eim/apdf",
    "nat:adm/eif",
    "nat:adm/adf",
    "nat:adm/apdf",
    "nat:apdm/eif",
    "nat:apdm/adf",
    "nat:apdm/apdf",
    "udp-blocked",
];

/// What a kind comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    pub passes_udp: bool,
    pub translates: bool,
    pub mapping: Mapping,
    pub filtering: Filtering,
}

impl Network {
    /// The network of that kind.
    pub fn named(kind: &str) -> Network {
        let filtering = |name| match name {
            "adf" => Filtering::Adf,
            "apdf" => Filtering::Apdf,
            _ => Filtering::Eif,
        };
        let (word, rest) = kind.split_once(':').unwrap_or((kind, ""));
        let (mapping, filter) = rest.split_once('/').unwrap_or(("eim", rest));
        Network {
            passes_udp: !matches!(word, "udp-blocked" | "tcp-443-only"),
            translates: word == "nat",
            mapping: match mapping {
                "adm" => Mapping::Adm,
                "apdm" => Mapping::Apdm,
                _ => Mapping::Eim,
            },
            filtering: filtering(filter),
        }
    }
}

/// Whether A's check to B1 gets to B. It comes from A(B1). B has sent to A1, from B(A1).
///
/// - f(B) = eif: whoever sends to a mapping that exists gets in.
/// - f(B) = adf: B must have sent to A's address, and it has. With a memory per mapping it must
///   have done so through the mapping B1, so B(A1) = B1 must hold: m(B) = eim.
/// - f(B) = apdf: B must have sent to A(B1) exactly. It knows A1 only, so A(B1) = A1: m(A) = eim;
///   and with a memory per mapping again m(B) = eim.
///
/// To know more of A, B would have to be reached by A first.
pub fn first_contact(a: Network, b: Network, memory: Memory) -> bool {
    let remembers = b.mapping == Mapping::Eim || memory == Memory::Endpoint;
    match b.filtering {
        Filtering::Eif => true,
        Filtering::Adf => remembers,
        Filtering::Apdf => remembers && a.mapping == Mapping::Eim,
    }
}

/// Whether B's packets get back to A after A's check got to B: to A(B1), a peer-reflexive candidate
/// of A's (RFC 8445 §7.3.1.3), from B(A(B1)).
///
/// - m(B) = eim: they come from B1, where A has sent to, through that very mapping. Any filter lets
///   them in.
/// - Otherwise they come from another port of B's address. eif and adf let them in, for A's check
///   went to B's address through the mapping A(B1). apdf doesn't.
///
/// The response from there is void: it isn't from where A's request went (RFC 8445 §7.2.5.2.1).
/// What helps is B's own, triggered check (§7.3.1.4). It shows A the endpoint B2 = B(A(B1)), and A
/// answers to B2 and checks it.
pub fn way_back(a: Network, b: Network) -> bool {
    b.mapping == Mapping::Eim || a.filtering != Filtering::Apdf
}

/// Whether a response can ever come from where its request went.
///
/// B's check goes from B2 to A2 = A(B1), and A's response comes from A(B2). With m(A) ≠ apdm that
/// is A2: a mapping made for B's address serves B2 as well as B1. Then B's check has worked, and
/// A's to B2 will: B(A2) = B2 by definition. With m(A) = apdm and m(B) ≠ apdm the same argument
/// holds one step later: A's check to B2 comes from A3 = A(B2), and B's response to A3 from B(A3),
/// which is B2, for B's mapping looks at A's address only. (The filter at B2 lets A3 in: had it been
/// apdf, it would not have let A's first check in.)
///
/// With apdm on both sides every response leaves from a mapping made for the request's source, and
/// the request was sent to a mapping made for an older one: each check makes a new endpoint, none
/// is ever answered from where it was sent. Only two equal random ports could end the chase.
pub fn symmetric(a: Network, b: Network) -> bool {
    a.mapping != Mapping::Apdm || b.mapping != Mapping::Apdm
}

/// Whether data can flow both ways without a relay, whoever makes the first contact.
pub fn passes(a: Network, b: Network, memory: Memory) -> bool {
    let begins = |a, b| first_contact(a, b, memory) && way_back(a, b);
    a.passes_udp && b.passes_udp && (begins(a, b) || begins(b, a))
}

/// Whether ICE (RFC 8445) connects the two without a relay.
pub fn connects(a: Network, b: Network, memory: Memory) -> bool {
    passes(a, b, memory) && symmetric(a, b)
}

/// What becomes of a call by the RFCs: directly if nobody translates; over the relay only if there
/// is no other way.
pub fn class(a: Network, b: Network, memory: Memory, turn: bool) -> Option<PathClass> {
    if connects(a, b, memory) {
        return Some(match a.translates || b.translates {
            false => PathClass::Direct,
            true => PathClass::Reflexive,
        });
    }
    (turn && a.passes_udp && b.passes_udp).then_some(PathClass::Relayed)
}
