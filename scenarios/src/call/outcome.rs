//! What came of a call, as the wire shows it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pinhole::Time;
use pinhole::nat64::Prefix64;
use pinhole::trace::{Counts, Digest};

use super::data::{Framing, Side};
use super::roles::RoleConflict;
use super::wire::{Flow, INTERRUPTION, Leg, Route, Wire};
use crate::ice::{Candidate, CandidateType, Stack};
use crate::transport::{Milestone, TurnTransport};

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

    pub(super) fn of(route: &Route) -> Self {
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
    /// How the TURN client on the path reaches its server, if the path is relayed. Of several,
    /// the one with the longest detour.
    pub relay_transport: Option<TurnTransport>,
    /// How A and B reach the TURN server that lent them an address, where their data goes through
    /// one.
    pub relay_transports: [Option<TurnTransport>; 2],
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

/// A time in which no data of one side's arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interruption {
    /// Whose data.
    pub sender: Side,
    /// When the last of it had arrived.
    pub from: Time,
    /// When it arrived again, if it did.
    pub to: Option<Time>,
}

impl Interruption {
    /// How long it was, if it ended.
    pub fn length(&self) -> Option<Duration> {
        self.to.map(|to| to - self.from)
    }
}

/// How a call with faults went on once it was connected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Course {
    /// Times without data longer than [`INTERRUPTION`], in the order in which they began.
    pub interruptions: Vec<Interruption>,
    /// The class of the path when the first fault struck, if there was a path.
    pub before: Option<PathClass>,
    /// The class of the path at the end, if data still flowed both ways.
    pub after: Option<PathClass>,
    /// What befell the endpoints: changes of network, pairs selected and lost, restarts.
    pub events: Vec<(Time, Side, Milestone)>,
}

impl Course {
    /// When something first befell a side.
    pub fn when(&self, side: Side, what: impl Fn(&Milestone) -> bool) -> Option<Time> {
        let mut events = self.events.iter();
        let found = events.find(|(_, whose, event)| *whose == side && what(event));
        found.map(|(time, ..)| *time)
    }

    /// The interruptions of one side's data.
    pub fn interruptions_of(&self, sender: Side) -> Vec<Interruption> {
        let all = self.interruptions.iter().copied();
        all.filter(|one| one.sender == sender).collect()
    }
}

/// Reads off the wire how the call went until `end`.
pub(super) fn course(
    wire: &Wire,
    milestones: [&[(Time, Milestone)]; 2],
    first_fault: Time,
    end: Time,
) -> Course {
    let mut interruptions = Vec::new();
    for sender in Side::BOTH {
        let flow = &wire.flows[sender.index()];
        interruptions.extend(flow.gaps.iter().map(|(from, to)| Interruption {
            sender,
            from: *from,
            to: Some(*to),
        }));
        let silent = flow.last_arrival.filter(|last| end - *last > INTERRUPTION);
        interruptions.extend(silent.map(|from| Interruption {
            sender,
            from,
            to: None,
        }));
    }
    interruptions.sort_by_key(|interruption| (interruption.from, interruption.sender));
    let worse = |time| {
        let [a, b] = &wire.flows;
        Some(a.class_at(time)?.max(b.class_at(time)?))
    };
    let goes_on = interruptions.iter().all(|one| one.to.is_some());
    let mut events: Vec<(Time, Side, Milestone)> = Vec::new();
    for side in Side::BOTH {
        let mine = milestones[side.index()].iter();
        let told = mine.filter(|(_, milestone)| milestone.is_of_the_course());
        events.extend(told.map(|(time, milestone)| (*time, side, *milestone)));
    }
    events.sort_by_key(|(time, side, _)| (*time, *side));
    Course {
        interruptions,
        before: worse(first_fault),
        after: worse(end).filter(|_| goes_on),
        events,
    }
}

/// What came of a call.
#[derive(Clone, PartialEq, Debug)]
pub struct CallOutcome {
    /// The connection, if there was one; in a call with faults, its last route.
    pub connection: Option<Connection>,
    /// When both stacks had given up, if they did.
    pub failed_at: Option<Time>,
    /// How it went on, if it was a call with faults.
    pub course: Option<Course>,
    /// What became of roles, in a call that began with other ones than it should have.
    pub role_conflict: Option<RoleConflict>,
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
    // A's own relay is on the first leg of what A sends, and on the last of what B sends.
    let transport = |leg: Option<&Leg>| leg.and_then(|leg| leg.framing.transport());
    let used = |out: &Flow, back: &Flow| {
        let (first, last) = (out.route.legs.first(), back.route.legs.last());
        transport(first).max(transport(last))
    };
    let relay_transports = [used(from_a, from_b), used(from_b, from_a)];
    Some(Connection {
        at,
        path_class,
        relay_transport: relay_transports[0].max(relay_transports[1]),
        relay_transports,
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
        Framing::Turn | Framing::Stream(_) => CandidateType::Relayed,
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
