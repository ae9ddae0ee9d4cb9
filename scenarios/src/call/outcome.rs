//! What came of a call, as the wire shows it.

use std::net::{IpAddr, SocketAddr};

use pinhole::Time;
use pinhole::nat64::Prefix64;
use pinhole::trace::{Counts, Digest};

use super::config::TurnTransport;
use super::data::{Framing, Side};
use super::wire::{Flow, Leg, Route, Wire};
use crate::ice::{Candidate, CandidateType, Stack};

/// The route that a call's data took.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PathClass {
    /// Untranslated from end to end.
    Direct,
    /// Translated by at least one NAT, not relayed.
    Reflexive,
    /// Through a TURN server.
    Relayed,
}

impl PathClass {
    /// All three, from the best to the worst.
    pub const ALL: [PathClass; 3] = [PathClass::Direct, PathClass::Reflexive, PathClass::Relayed];

    /// The name in results.
    pub const fn name(self) -> &'static str {
        match self {
            PathClass::Direct => "direct",
            PathClass::Reflexive => "reflexive",
            PathClass::Relayed => "relayed",
        }
    }

    fn of(route: &Route) -> Self {
        if route.is_relayed() {
            PathClass::Relayed
        } else if route.is_translated() {
            PathClass::Reflexive
        } else {
            PathClass::Direct
        }
    }
}

/// The pair of candidates that one side's data used.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PairTypes {
    /// What the sender's own address was.
    pub local: CandidateType,
    /// What the address was that it sent to.
    pub remote: CandidateType,
}

/// A connection, as the wire shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Connection {
    /// When both sides had got data from each other.
    pub at: Time,
    /// The worse of the two directions.
    pub path_class: PathClass,
    /// How the TURN client on the path reaches its server, if the path is relayed.
    pub relay_transport: Option<TurnTransport>,
    /// The candidates that A's and B's data used.
    pub types: [PairTypes; 2],
}

/// A stack did something that a stack must not do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Whose stack.
    pub side: Side,
    /// Which.
    pub stack: Stack,
    /// What it said when it panicked.
    pub panic: String,
}

/// Packets that were dropped for one reason at one place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dropped {
    /// The reason's [code](pinhole::trace::DropReason::code).
    pub reason: &'static str,
    /// The name of the node or of the link's direction.
    pub place: String,
    /// How many.
    pub count: u64,
}

/// What came of a call.
#[derive(Clone, PartialEq, Debug)]
pub struct CallOutcome {
    /// The connection, if there was one.
    pub connection: Option<Connection>,
    /// When both stacks had given up, if they did.
    pub failed_at: Option<Time>,
    /// Stacks that panicked.
    pub findings: Vec<Finding>,
    /// What became of the packets.
    pub packets: Counts,
    /// Why packets were dropped, and where, in the order of first occurrence.
    pub drops: Vec<Dropped>,
    /// The run in one number.
    pub digest: Digest,
}

impl CallOutcome {
    /// Whether data flowed both ways.
    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// The path's class, if there was a path.
    pub fn path_class(&self) -> Option<PathClass> {
        self.connection.map(|connection| connection.path_class)
    }
}

/// Reads a connection off the wire, given the candidates that each side had gathered.
pub(super) fn connection(wire: &Wire, gathered: [&[Candidate]; 2]) -> Option<Connection> {
    let at = wire.connected_at()?;
    let [from_a, from_b] = &wire.flows;
    let path_class = PathClass::of(&from_a.route).max(PathClass::of(&from_b.route));
    let [a, b] = gathered;
    Some(Connection {
        at,
        path_class,
        relay_transport: (path_class == PathClass::Relayed).then_some(TurnTransport::Udp),
        types: [types(from_a, a, b)?, types(from_b, b, a)?],
    })
}

/// The candidate types of a flow's sender and receiver.
///
/// A leg to one's own TURN server says that the local candidate is relayed. Any other first leg
/// shows at its far end which address the sender has there, and names the one it sends to.
fn types(flow: &Flow, sender: &[Candidate], receiver: &[Candidate]) -> Option<PairTypes> {
    let legs = &flow.route.legs;
    let first = legs.first()?;
    let local = match first.framing {
        Framing::Turn => CandidateType::Relayed,
        Framing::Bare => kind_of(first.seen_from, sender),
    };
    // The leg that isn't between a client and its server is the one ICE knows of.
    let between: &Leg = legs.iter().find(|leg| leg.framing == Framing::Bare)?;
    Some(PairTypes {
        local,
        remote: kind_of(between.addressed_to, receiver),
    })
}

/// What kind of candidate this address of a side's is: one that it gathered, or one that only its
/// peer has seen.
fn kind_of(address: SocketAddr, gathered: &[Candidate]) -> CandidateType {
    // A host behind a NAT64 knows an IPv4 address by the IPv6 one that stands for it.
    let stands_for = Prefix64::well_known().extract(address.ip().into());
    let address = SocketAddr::new(
        stands_for.map_or(address.ip(), IpAddr::from),
        address.port(),
    );
    let mut same = gathered
        .iter()
        .filter(|candidate| candidate.address == address);
    // A public host's server-reflexive address is its host address.
    same.next()
        .map_or(CandidateType::PeerReflexive, |candidate| candidate.kind)
}
