//! What would have made it work: proposed from what the trace shows, then tried.
//!
//! Each proposal changes one thing, the one that a drop was decided by. Then the call is made again
//! with it, with the same seed, and what came of that is told.

use pinhole::packet::PacketId;
use pinhole::topology::Edge;
use pinhole::topology::preset::Seen;
use pinhole::trace::DropReason;
use pinhole::{Filtering, Mapping, NodeId, Time};

use super::drops::{self, Filtered, Group};
use super::evidence::Evidence;
use super::outcome;
use super::story::{Chapter, Sentence};
use super::words;
use crate::call::{CallConfig, Caller, Neighbourhood, PathClass, Side, TurnOffer, TurnTransport};
use crate::ice::Stack;

/// As many as are told of what would have made a call work.
const MOST_TOLD: usize = 4;

/// How long a call that is made again may take to connect: far longer than any stack does.
const PATIENCE: Time = Time::from_millis(10_000);

/// One thing that could have been otherwise.
#[derive(Clone, PartialEq)]
struct Proposal {
    /// What is changed.
    change: Change,
    /// Why that should help, from the trace; may be empty.
    because: String,
    /// The packets that say so.
    packets: Vec<PacketId>,
}

#[derive(Clone, PartialEq)]
enum Change {
    Filter(NodeId, Filtering),
    Mapping(NodeId, Mapping),
    LetUdpPass(NodeId),
    Synthesize(Side),
    Hairpin(NodeId),
    Join(NodeId),
    OfferTurn(TurnOffer),
    Run(Side, Stack),
}

pub(super) fn chapter(evidence: &Evidence<'_>) -> Chapter {
    let reached = evidence.call.outcome.path_class();
    let mut sentences = Vec::new();
    if reached.is_none() || reached == Some(PathClass::Relayed) {
        let (helpful, in_vain): (Vec<_>, Vec<_>) = proposals(evidence)
            .into_iter()
            .map(|proposal| {
                let result = tried(evidence, &[&proposal], reached);
                (proposal, result)
            })
            .partition(|(_, result)| result.is_some());
        let in_vain: Vec<Proposal> = in_vain.into_iter().map(|(proposal, _)| proposal).collect();
        sentences.extend(vain(evidence, &in_vain, reached));
        // A call that works by its relay is told one way to do without.
        let most = reached.map_or(MOST_TOLD, |_| 1);
        for (proposal, result) in helpful.into_iter().take(most) {
            let change = proposal.change.words(evidence);
            let (because, result) = (&proposal.because, result.unwrap_or_default());
            let text = format!("{change}{because}. Tried: {result}.");
            sentences.push(Sentence::still(text).with(proposal.packets));
        }
        sentences.extend(only_tcp(evidence));
        sentences.extend(without_relay(evidence));
    }
    let title = match reached {
        None => "What would have made it work? The same call again, with one thing changed",
        Some(_) => "What if? The same call again, with one thing changed",
    };
    Chapter { title, sentences }
}

/// What doesn't help alone, and which two of it do together.
fn vain(
    evidence: &Evidence<'_>,
    in_vain: &[Proposal],
    reached: Option<PathClass>,
) -> Option<Sentence> {
    if in_vain.is_empty() {
        return None;
    }
    // By what is changed, with the places at which it is.
    let mut sorts: Vec<(String, Vec<&str>)> = Vec::new();
    for proposal in in_vain {
        let (what, place) = proposal.change.noun(evidence);
        match sorts.iter_mut().find(|(known, _)| *known == what) {
            Some((_, places)) => places.extend(place),
            None => sorts.push((what, place.into_iter().collect())),
        }
    }
    let sorts = sorts
        .into_iter()
        .map(|(what, places)| match places.as_slice() {
            [] => what,
            places => format!("{what} at {}", places.join(" or ")),
        });
    let sorts: Vec<String> = sorts.collect();
    let mut text = format!("Not enough alone (tried): {}.", sorts.join(", "));
    let name = |proposal: &Proposal| match &proposal.change {
        Change::Filter(node, filtering) => format!("{filtering} at {}", evidence.name(*node)),
        Change::Mapping(node, mapping) => format!("{mapping} at {}", evidence.name(*node)),
        other => match other.noun(evidence) {
            (what, Some(place)) => format!("{what} at {place}"),
            (what, None) => what,
        },
    };
    let pairs = in_vain.iter().enumerate().flat_map(|(place, one)| {
        let others = in_vain[place + 1..].iter();
        others.map(move |other| [one, other])
    });
    for pair in pairs {
        if let Some(result) = tried(evidence, &pair, reached) {
            text += &format!(" But {} with {}: {result}.", name(pair[0]), name(pair[1]));
            break;
        }
    }
    Some(Sentence::still(text))
}

/// What comes of a call that is made with these changes; `None` if it is no better.
fn tried(
    evidence: &Evidence<'_>,
    proposals: &[&Proposal],
    reached: Option<PathClass>,
) -> Option<String> {
    let mut config = evidence.call.config.clone();
    for proposal in proposals {
        proposal.change.apply(evidence, &mut config)?;
    }
    config.until = config.until.min(PATIENCE);
    let connection = Caller::new().call(&config).ok()?.outcome.connection?;
    let better = reached.is_none_or(|reached| connection.path_class < reached);
    better.then(|| {
        format!(
            "connected after {}, {}",
            words::time(connection.at),
            connection.path_class.name()
        )
    })
}

impl Change {
    /// As the beginning of a sentence.
    fn words(&self, evidence: &Evidence<'_>) -> String {
        let name = |node: &NodeId| evidence.name(*node);
        match self {
            Change::Filter(node, Filtering::AddressDependent) => {
                format!("If {}'s filter looked at addresses only (adf)", name(node))
            }
            Change::Filter(node, filtering) => {
                format!("If {}'s filter let anybody in ({filtering})", name(node))
            }
            Change::Mapping(node, mapping) => {
                format!(
                    "If {} kept one external port for all ({mapping})",
                    name(node)
                )
            }
            Change::LetUdpPass(node) => format!("If {} let UDP pass", name(node)),
            Change::Synthesize(side) => format!(
                "If {} wrote {}'s IPv4 addresses as the IPv6 ones that stand for them behind its NAT64",
                side.name(),
                side.other().name()
            ),
            Change::Hairpin(node) => format!(
                "If {} sent back in what is sent from inside to its outside (hairpinning)",
                name(node)
            ),
            Change::Join(node) => format!("If {} let its hosts reach each other", name(node)),
            Change::OfferTurn(turn) => format!("With a TURN server (over {turn})"),
            Change::Run(side, stack) => format!("If {} ran the ICE stack `{stack}`", side.name()),
        }
    }

    /// As an item of a list, and the place at which it is.
    fn noun<'e>(&self, evidence: &Evidence<'e>) -> (String, Option<&'e str>) {
        let at = |node: &NodeId| Some(evidence.name(*node));
        match self {
            Change::Filter(node, Filtering::AddressDependent) => {
                ("filtering by addresses only (adf)".to_owned(), at(node))
            }
            Change::Filter(node, filtering) => (format!("no filtering ({filtering})"), at(node)),
            Change::Mapping(node, mapping) => {
                (format!("one external port for all ({mapping})"), at(node))
            }
            Change::LetUdpPass(node) => ("UDP let pass".to_owned(), at(node)),
            Change::Synthesize(side) => ("synthesized addresses".to_owned(), Some(side.name())),
            Change::Hairpin(node) => ("hairpinning".to_owned(), at(node)),
            Change::Join(node) => ("no isolation".to_owned(), at(node)),
            Change::OfferTurn(turn) => (format!("TURN over {turn}"), None),
            Change::Run(side, stack) => (format!("the ICE stack `{stack}`"), Some(side.name())),
        }
    }

    /// Makes the change, where it makes sense.
    fn apply(&self, evidence: &Evidence<'_>, config: &mut CallConfig) -> Option<()> {
        match self {
            Change::Filter(node, filtering) => {
                change_edge(evidence, config, *node, |edge| match edge {
                    Edge::Nat(mapping, _) => Some(Edge::Nat(mapping, *filtering)),
                    Edge::Firewall(_) if *filtering == Filtering::EndpointIndependent => {
                        Some(Edge::Open)
                    }
                    Edge::Firewall(_) => Some(Edge::Firewall(*filtering)),
                    Edge::Nat64(_) => Some(Edge::Nat64(*filtering)),
                    Edge::Open | Edge::UdpBlocked | Edge::Clat => None,
                    // A clean NAT in its place, with this filter.
                    Edge::Preset(preset) => match preset.seen {
                        Seen::Device {
                            mapping: Some(mapping),
                            ..
                        } => Some(Edge::Nat(mapping, *filtering)),
                        _ => None,
                    },
                })
            }
            Change::Mapping(node, mapping) => {
                change_edge(evidence, config, *node, |edge| match edge {
                    Edge::Nat(_, filtering) => Some(Edge::Nat(*mapping, filtering)),
                    Edge::Preset(preset) => match preset.seen {
                        Seen::Device { filtering, .. } => Some(Edge::Nat(*mapping, filtering)),
                        Seen::Blocked => None,
                    },
                    _ => None,
                })
            }
            Change::LetUdpPass(node) => change_edge(evidence, config, *node, |_| Some(Edge::Open)),
            Change::Synthesize(side) => {
                config.synthesize[side.index()] = true;
                Some(())
            }
            Change::Hairpin(_) => {
                config.hairpinning = true;
                Some(())
            }
            // Neighbours behind one carrier stay in their own homes.
            Change::Join(_) if !config.neighbourhood.is_one_lan() => None,
            Change::Join(_) => {
                config.neighbourhood = Neighbourhood::SameLan;
                Some(())
            }
            Change::OfferTurn(turn) => {
                config.turn = turn.clone();
                Some(())
            }
            Change::Run(side, stack) => {
                config.stacks[side.index()] = *stack;
                Some(())
            }
        }
    }
}

/// Changes the edge that a gateway was made of.
fn change_edge(
    evidence: &Evidence<'_>,
    config: &mut CallConfig,
    gateway: NodeId,
    change: impl Fn(Edge) -> Option<Edge>,
) -> Option<()> {
    let edges = &evidence.call.scene.edges;
    let (side, place) = Side::BOTH.into_iter().find_map(|side| {
        let mut gateways = edges[side.index()].iter();
        Some((side, gateways.position(|node| *node == gateway)?))
    })?;
    let own = evidence.call.scene.own_edges(side).len();
    let (kind, place) = match &mut config.neighbourhood {
        Neighbourhood::SharedCarrier(kind) if place >= own => (kind, place - own),
        _ => (&mut config.kinds[side.index()], place),
    };
    let place = kind.edge_of(place);
    *kind = kind.with_edge(place, change(kind.edges()[place])?);
    Some(())
}

fn proposals(evidence: &Evidence<'_>) -> Vec<Proposal> {
    let call = evidence.call;
    let mut proposals: Vec<Proposal> = Vec::new();
    let mut propose = |proposal: Proposal| {
        if proposals
            .iter()
            .all(|known| known.change != proposal.change)
        {
            proposals.push(proposal);
        }
    };
    for finding in &call.outcome.findings {
        let other = Stack::ALL.into_iter().find(|stack| *stack != finding.stack);
        if let Some(other) = other {
            propose(Proposal::plain(Change::Run(finding.side, other)));
        }
    }
    for side in Side::BOTH {
        if outcome::is_undecided(evidence, side) {
            let mine = call.config.stacks[side.index()];
            let other = Stack::ALL.into_iter().find(|stack| *stack != mine);
            if let Some(other) = other {
                propose(Proposal::plain(Change::Run(side, other)));
            }
        }
    }
    for side in Side::BOTH {
        if could_synthesize(evidence, side) {
            propose(Proposal::plain(Change::Synthesize(side)));
        }
    }
    for group in drops::groups(evidence) {
        if !group.is_relayed(evidence) {
            against(evidence, &group).into_iter().for_each(&mut propose);
        }
    }
    let offer = &call.config.turn;
    if offer.transports().is_empty() {
        propose(Proposal::plain(Change::OfferTurn(TurnOffer::all())));
    } else if call.outcome.path_class().is_none() {
        for transport in [TurnTransport::Tcp, TurnTransport::Tls] {
            if !offer.transports().contains(&transport) {
                let more = offer.clone().with(transport);
                propose(Proposal::plain(Change::OfferTurn(more)));
            }
        }
    }
    proposals
}

/// Whether a side has only IPv6, and leaves the other side's IPv4 candidates to that.
fn could_synthesize(evidence: &Evidence<'_>, side: Side) -> bool {
    let call = evidence.call;
    let mut own = evidence
        .topology()
        .addresses(call.scene.hosts[side.index()]);
    call.scene.prefix64[side.index()].is_some()
        && !call.config.synthesize[side.index()]
        && !own.any(|address| address.is_ipv4())
}

impl Proposal {
    fn plain(change: Change) -> Self {
        Proposal {
            change,
            because: String::new(),
            packets: Vec::new(),
        }
    }
}

/// What would have spared a group of packets their fate.
fn against(evidence: &Evidence<'_>, group: &Group<'_>) -> Vec<Proposal> {
    if let Some(filtered) = drops::filtered(&group.reason) {
        let filter = weaker_filter(evidence, group, filtered);
        let mapping = steadier_mapping(evidence, group, filtered);
        // What a filter lets pass later it need not let pass sooner.
        if group.opens_later(evidence, filtered) {
            return Vec::new();
        }
        return std::iter::once(filter).chain(mapping).collect();
    }
    let change = match group.reason {
        DropReason::HairpinningOff { nat, .. } => Change::Hairpin(nat),
        DropReason::LanIsolated { node } => Change::Join(node),
        DropReason::UdpBlocked { firewall, .. } => Change::LetUdpPass(firewall),
        _ => return Vec::new(),
    };
    vec![Proposal::plain(change)]
}

/// A filter that would have let the group in, as far as what was sent before goes.
fn weaker_filter(evidence: &Evidence<'_>, group: &Group<'_>, filtered: Filtered) -> Proposal {
    let remote = filtered.remote;
    match group.near_misses(evidence, filtered).first() {
        Some(near) if filtered.filtering == Filtering::AddressAndPortDependent => Proposal {
            change: Change::Filter(filtered.by, Filtering::AddressDependent),
            because: format!(
                ": {remote} would pass, for {} had sent to {} (at {})",
                group.sender().other().name(),
                near.remote,
                words::time(evidence.sent_at(near.packet))
            ),
            packets: vec![near.packet],
        },
        _ => Proposal {
            because: format!(": {remote} would pass"),
            ..Proposal::plain(Change::Filter(filtered.by, Filtering::EndpointIndependent))
        },
    }
}

/// A mapping that would have kept the external port which the other side sent to.
fn steadier_mapping(
    evidence: &Evidence<'_>,
    group: &Group<'_>,
    filtered: Filtered,
) -> Option<Proposal> {
    let journey = group.journeys.iter().find(|journey| !journey.relayed)?;
    let shift = evidence.shift(journey.first())?;
    let near = group.near_misses(evidence, filtered);
    let awaited = near
        .iter()
        .find(|opening| opening.remote == shift.advertised)?;
    Some(Proposal {
        change: Change::Mapping(shift.nat, Mapping::EndpointIndependent),
        because: format!(
            ": {} had sent to the one it was told, {} (at {})",
            group.sender().other().name(),
            awaited.remote.port,
            words::time(evidence.sent_at(awaited.packet))
        ),
        packets: vec![awaited.packet],
    })
}

/// Where no UDP passes, only a relay over something else helps, and there is none here.
fn only_tcp(evidence: &Evidence<'_>) -> Option<Sentence> {
    let transports = evidence.call.config.turn.transports();
    if transports.iter().any(|over| *over != TurnTransport::Udp) {
        return None;
    }
    let blocked = |packet: PacketId| match evidence.life(packet).dropped()? {
        DropReason::UdpBlocked { firewall, .. } => Some((packet, firewall)),
        _ => None,
    };
    let (packet, firewall) = evidence.recording.ids().find_map(blocked)?;
    let name = evidence.name(firewall);
    let text = format!(
        "With {name} as it is, only TURN over TCP or TLS could help, and this call has none."
    );
    Some(Sentence::still(text).with([packet]))
}

/// What a relayed call would have been without the relay.
fn without_relay(evidence: &Evidence<'_>) -> Option<Sentence> {
    let call = evidence.call;
    (call.outcome.path_class()? == PathClass::Relayed).then_some(())?;
    let config = CallConfig {
        turn: TurnOffer::OFF,
        until: call.config.until.min(PATIENCE),
        ..call.config.clone()
    };
    let outcome = Caller::new().call(&config).ok()?.outcome;
    let result = match outcome.connection {
        None => "no connection".to_owned(),
        Some(connection) => format!("connected after {}", words::time(connection.at)),
    };
    Some(Sentence::still(format!(
        "Without the TURN server. Tried: {result}."
    )))
}
