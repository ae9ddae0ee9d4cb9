//! What was dropped on its way from one side to the other: where, by what rule, and how often.

use pinhole::packet::PacketId;
use pinhole::trace::DropReason;
use pinhole::{Endpoint, Filtering, NodeId};

use super::evidence::Evidence;
use super::journey::{Journey, What};
use super::lives::{Crossing, Opening};
use super::story::Sentence;
use super::words::{self, Terms};
use crate::call::Side;

/// Journeys that ended for one reason at one place.
pub(super) struct Group<'e> {
    /// The first one's reason.
    pub(super) reason: DropReason,
    /// In the order in which they began. Never empty.
    pub(super) journeys: Vec<&'e Journey>,
}

/// What a NAT's or firewall's filter compared.
#[derive(Clone, Copy)]
pub(super) struct Filtered {
    pub(super) by: NodeId,
    pub(super) internal: Endpoint,
    pub(super) external: Endpoint,
    pub(super) remote: Endpoint,
    pub(super) filtering: Filtering,
}

/// Every dropped journey, by reason and place; what a filter dropped also by who sent it, from
/// where, to where.
pub(super) fn groups<'e>(evidence: &'e Evidence<'_>) -> Vec<Group<'e>> {
    let mut groups: Vec<Group<'e>> = Vec::new();
    for journey in &evidence.journeys {
        let Some(reason) = journey.dropped(evidence) else {
            continue;
        };
        let same = |group: &&mut Group<'_>| {
            let first = group.journeys[0];
            group.reason.code() == reason.code()
                && group.reason.place() == reason.place()
                && (!tells_senders_apart(reason)
                    || (first.sender == journey.sender
                        && compared(evidence, &group.reason) == compared(evidence, &reason)))
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.journeys.push(journey),
            None => groups.push(Group {
                reason,
                journeys: vec![journey],
            }),
        }
    }
    groups
}

/// Whether it matters who sent what was dropped for this reason.
fn tells_senders_apart(reason: DropReason) -> bool {
    !matches!(
        reason,
        DropReason::NoRoute { .. }
            | DropReason::LanIsolated { .. }
            | DropReason::HairpinningOff { .. }
            | DropReason::UdpBlocked { .. }
            | DropReason::DeniedByRule { .. }
    )
}

/// What decides, where a filter does: who it was for, who it is from, and through which mapping, if
/// the filter remembers mappings.
fn compared(
    evidence: &Evidence<'_>,
    reason: &DropReason,
) -> Option<(Endpoint, Endpoint, Option<Endpoint>)> {
    let filtered = filtered(reason)?;
    let external = evidence
        .remembers_mappings(filtered.by)
        .then_some(filtered.external);
    Some((filtered.internal, filtered.remote, external))
}

/// What the filter compared, if a filter dropped it.
pub(super) fn filtered(reason: &DropReason) -> Option<Filtered> {
    match *reason {
        DropReason::FilteredByNat {
            nat,
            internal,
            external,
            remote,
            filtering,
        } => Some(Filtered {
            by: nat,
            internal,
            external,
            remote,
            filtering,
        }),
        DropReason::FilteredByFirewall {
            firewall,
            internal,
            remote,
            filtering,
        } => Some(Filtered {
            by: firewall,
            internal,
            external: internal,
            remote,
            filtering,
        }),
        _ => None,
    }
}

impl Group<'_> {
    pub(super) fn sender(&self) -> Side {
        self.journeys[0].sender
    }

    /// The packets in which the journeys ended.
    pub(super) fn packets(&self) -> Vec<PacketId> {
        self.journeys.iter().map(|journey| journey.last()).collect()
    }

    /// Tells it. `useful` are pinholes that later let something in.
    pub(super) fn sentence(
        &self,
        evidence: &Evidence<'_>,
        terms: &mut Terms,
        useful: &[(Crossing, Opening)],
    ) -> Sentence {
        let mut text = match filtered(&self.reason) {
            Some(filtered) => self.filter_sentence(evidence, terms, filtered),
            None => self.other_sentence(evidence),
        };
        if let Some(opened) = self.opened(evidence, useful) {
            text += &opened;
        }
        let began = self.journeys[0].began(evidence);
        Sentence::at(began, text, self.packets())
    }

    fn filter_sentence(
        &self,
        evidence: &Evidence<'_>,
        terms: &mut Terms,
        filtered: Filtered,
    ) -> String {
        let (gateway, what) = (evidence.name(filtered.by), self.what());
        let other = self.sender().other().name();
        let (remote, filtering) = (filtered.remote, filtered.filtering);
        let key = looked_at(filtering, remote);
        if self.opens_later(evidence, filtered) {
            return format!("{gateway} drops {what}: {other} has sent nothing to {key} yet.");
        }
        let come = match self.count() {
            1 => "it comes",
            _ => "they come",
        };
        let near = self.near_misses(evidence, filtered);
        let near = near.iter().map(|opening| opening.remote);
        let unwrapped = self.journeys.iter().find(|journey| !journey.relayed);
        let shift = unwrapped
            .and_then(|journey| evidence.shift(journey.first()))
            .filter(|shift| shift.used == remote);
        let why = match (shift, near.clone().next()) {
            (Some(shift), Some(_)) if near.clone().any(|sent_to| sent_to == shift.advertised) => {
                let nat = evidence.name(shift.nat);
                let (used, told) = (remote.port, shift.advertised.port);
                let mut why = format!(
                    "{come} from port {used} of {}, which {nat} took for this destination. {other} \
                     was told {told}",
                    remote.address
                );
                // Once is enough.
                why += &if terms.is_new("advertised port") {
                    format!(
                        ", which the STUN server saw, and has sent there: the filter ({filtering}) \
                         looks at ports too"
                    )
                } else {
                    " and has sent there".to_owned()
                };
                why
            }
            (_, Some(sent_to)) => format!(
                "{come} from {remote}, and {other} has sent to {} there: the filter ({filtering}) \
                 looks at ports too",
                sent_to.port
            ),
            (Some(shift), None) => format!(
                "{come} from {remote}, a port that {} took for this destination, and {other} has \
                 sent nothing to {key}",
                evidence.name(shift.nat)
            ),
            (None, None) if filtering == Filtering::AddressAndPortDependent => {
                format!("{come} from {remote}, where {other} has sent nothing")
            }
            (None, None) => format!("{come} from {remote}, and {other} has sent nothing to {key}"),
        };
        format!("{gateway} drops {what}: {why}.")
    }

    fn other_sentence(&self, evidence: &Evidence<'_>) -> String {
        let what = self.what();
        let at = |node| evidence.name(node);
        match self.reason {
            DropReason::NoRoute { node, destination } if evidence.side(node).is_some() => {
                let version = if destination.is_ipv4() {
                    "IPv4"
                } else {
                    "IPv6"
                };
                let (first, rest) = what.split_at(1);
                let first = first.to_uppercase();
                let name = at(node);
                format!(
                    "{first}{rest} never leave {name}: it has no {version} address to send from."
                )
            }
            DropReason::NoRoute { node, .. } => {
                let private = self
                    .journeys
                    .iter()
                    .all(|journey| journey.to.address.is_private());
                let to = if private {
                    "private addresses"
                } else {
                    "these addresses"
                };
                format!(
                    "The router {} has no route to {to} and drops {what}.",
                    at(node)
                )
            }
            DropReason::LanIsolated { node } => {
                format!(
                    "{} keeps the hosts on its inside apart and drops {what}.",
                    at(node)
                )
            }
            DropReason::HairpinningOff { nat, .. } => format!(
                "{0} drops {what}: that is its own external address, and it sends nothing back in \
                 that came from inside (no hairpinning).",
                at(nat)
            ),
            reason @ DropReason::UdpBlocked { .. } => {
                format!("{} and drops {what}.", why(evidence, &reason))
            }
            reason => {
                let why = why(evidence, &reason);
                let (first, rest) = what.split_at(1);
                format!("{}{rest}: {why}.", first.to_uppercase())
            }
        }
    }

    pub(super) fn count(&self) -> usize {
        self.journeys.len()
    }

    /// `b's 9 checks to 203.0.113.1:53602`.
    fn what(&self) -> String {
        // By sender, then by where to; told in the order of the first. Where that is two ports of an
        // address or more, which ones is no part of the story.
        let mut parts: Vec<(Side, Endpoint, bool, Vec<&'static str>)> = Vec::new();
        for journey in &self.journeys {
            let (noun, to) = (noun(journey.what), journey.to);
            let same = |(sender, known, ..): &&mut (Side, Endpoint, _, _)| {
                (*sender, known.address) == (journey.sender, to.address)
            };
            match parts.iter_mut().find(same) {
                Some((_, known, several, nouns)) => {
                    *several |= known.port != to.port;
                    nouns.push(noun);
                }
                None => parts.push((journey.sender, to, false, vec![noun])),
            }
        }
        let total = |nouns: &[&'static str]| {
            if let [one] = nouns {
                return (*one).to_owned();
            }
            let mut kinds = nouns.to_vec();
            kinds.sort_unstable();
            kinds.dedup();
            let count = |kind: &&str| nouns.iter().filter(|noun| noun == &kind).count();
            let counts = kinds.iter().map(|kind| words::count(count(kind), kind));
            words::list(&counts.collect::<Vec<_>>())
        };
        let told = parts.iter().map(|(sender, to, several, nouns)| {
            let (sender, what) = (sender.name(), total(nouns));
            if *several {
                format!("{sender}'s {what} to several ports of {}", to.address)
            } else {
                format!("{sender}'s {what} to {to}")
            }
        });
        words::list(&told.collect::<Vec<_>>())
    }

    /// Whether all of it was to be carried by a relay.
    pub(super) fn is_relayed(&self, evidence: &Evidence<'_>) -> bool {
        self.journeys
            .iter()
            .all(|journey| journey.is_over_relay(evidence))
    }

    /// What the other side had sent to the same address, but to other ports.
    pub(super) fn near_misses<'e>(
        &self,
        evidence: &'e Evidence<'_>,
        filtered: Filtered,
    ) -> Vec<&'e Opening> {
        let last = self.journeys[self.journeys.len() - 1];
        let until = evidence.life(last.last()).end.map(|end| end.time);
        evidence
            .pinholes(filtered.by, filtered.internal, filtered.external)
            .filter(|opening| {
                opening.remote.address == filtered.remote.address
                    && opening.remote != filtered.remote
                    && until.is_some_and(|until| opening.time <= until)
            })
            .collect()
    }

    /// Whether the filter opened for that remote endpoint after all, later.
    pub(super) fn opens_later(&self, evidence: &Evidence<'_>, filtered: Filtered) -> bool {
        let key = |endpoint| filtered.filtering.key(endpoint);
        evidence
            .pinholes(filtered.by, filtered.internal, filtered.external)
            .any(|opening| key(opening.remote) == key(filtered.remote))
    }

    /// The good that it did before it was dropped.
    pub(super) fn opened(
        &self,
        evidence: &Evidence<'_>,
        useful: &[(Crossing, Opening)],
    ) -> Option<String> {
        let is_ours = |(_, opening): &&(Crossing, Opening)| {
            self.journeys
                .iter()
                .any(|journey| journey.packets.contains(&opening.packet))
        };
        let (crossing, opening) = useful.iter().find(is_ours)?;
        let filtering = evidence.filter_at(crossing)?;
        let it = match self.count() {
            1 => "it",
            _ => "the first",
        };
        Some(format!(
            " But on its way out {it} opened a pinhole in {}: from now on, what comes from {} may \
             come in to {}.",
            evidence.name(opening.by),
            looked_at(filtering, opening.remote),
            self.sender().name()
        ))
    }
}

/// Why something was dropped, as a clause that names who did it.
pub(super) fn why(evidence: &Evidence<'_>, reason: &DropReason) -> String {
    match *reason {
        DropReason::UdpBlocked { firewall, rule } => {
            let firewall = evidence.name(firewall);
            format!("{firewall} lets no UDP pass (its rule {rule})")
        }
        reason => reason.sentence(evidence.topology()),
    }
}

/// The part of a remote endpoint that a filtering behaviour looks at.
pub(super) fn looked_at(filtering: Filtering, remote: Endpoint) -> String {
    match filtering {
        Filtering::EndpointIndependent => "anybody".to_owned(),
        Filtering::AddressDependent => remote.address.to_string(),
        Filtering::AddressAndPortDependent => remote.to_string(),
    }
}

pub(super) const fn noun(what: What) -> &'static str {
    match what {
        What::Check { .. } => "check",
        What::Answer => "answer",
        What::Data => "data packet",
    }
}
