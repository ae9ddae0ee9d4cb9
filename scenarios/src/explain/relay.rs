//! How a relay saved a call: who held it, who was let in, which leg is wrapped, what it costs.

use std::time::Duration;

use pinhole::packet::PacketId;
use pinhole::{Endpoint, Time};

use super::checks::describe;
use super::drops::filtered;
use super::evidence::Evidence;
use super::journey::{Journey, What};
use super::message::{Class, Message, Method};
use super::story::{Chapter, Sentence};
use super::words;
use crate::call::{PathClass, Side};

pub(super) fn chapter(evidence: &Evidence<'_>) -> Chapter {
    let mut sentences = Vec::new();
    if evidence.call.outcome.path_class() == Some(PathClass::Relayed) {
        let ways: Vec<Relayed<'_>> = Side::BOTH
            .into_iter()
            .filter_map(|side| Relayed::of(evidence, side))
            .collect();
        for way in &ways {
            sentences.extend(way.way_in(evidence));
        }
        sentences.sort_by_key(|sentence| sentence.time);
        sentences.extend(costs(evidence, &ways));
    }
    Chapter {
        title: "The relay: what is sent to a borrowed address reaches its borrower",
        sentences,
    }
}

/// One direction's use of a relay.
struct Relayed<'e> {
    /// Who borrowed the address.
    owner: Side,
    /// The borrowed address.
    address: Endpoint,
    /// The first datum that took the way on which the data ended up.
    data: &'e Journey,
}

/// What one datum's detour cost.
struct Cost {
    took: Duration,
    /// Bytes that wrapping adds.
    extra: u32,
}

impl<'e> Relayed<'e> {
    fn of(evidence: &'e Evidence<'_>, side: Side) -> Option<Self> {
        let arrived = || {
            evidence.journeys.iter().filter(move |journey| {
                journey.sender == side
                    && journey.what == What::Data
                    && journey.arrival(evidence).is_some()
            })
        };
        let last = arrived().next_back()?;
        let data = arrived().find(|journey| (journey.from, journey.to) == (last.from, last.to))?;
        let (owner, address) = if data.relayed {
            (side, data.from)
        } else if evidence.is_relay(data.to) {
            (side.other(), data.to)
        } else {
            return None;
        };
        Some(Relayed {
            owner,
            address,
            data,
        })
    }

    /// How the first check got through on this pair: leave from the owner, and the way that the
    /// owner's own requests keep open.
    fn way_in(&self, evidence: &Evidence<'_>) -> Option<Sentence> {
        let (data, owner) = (self.data, self.owner.name());
        let check = evidence.journeys.iter().find(|journey| {
            journey.is_check()
                && journey.sender == data.sender
                && (journey.relayed, journey.to) == (data.relayed, data.to)
                && journey.arrival(evidence).is_some()
        })?;
        let mut proof = check.packets.clone();
        let (address, sender) = (self.address, data.sender.name());
        let mut text = if data.relayed {
            format!(
                "{sender}'s check to {} gets through over its relay {address}.",
                data.to
            )
        } else {
            format!("{sender}'s check to {address}, lent to {owner}, gets through.")
        };
        let outside = if data.relayed {
            data.to
        } else {
            check.seen_from(evidence)
        };
        if let Some((asked, granted)) = self.permission(evidence, outside) {
            proof.extend([asked, granted]);
            text += &format!(
                " {owner} had permitted {} there at {}.",
                outside.address,
                words::time(evidence.sent_at(asked))
            );
        }
        for (crossing, opening) in evidence.let_in_by(check.last()) {
            proof.push(opening.packet);
            text += &format!(
                " {} lets it in thanks to {}.",
                evidence.name(crossing.gateway),
                describe(evidence, opening.packet)
            );
        }
        Some(Sentence::at(check.began(evidence), text, proof))
    }

    /// The first permission for this address that the owner asked for and got.
    fn permission(
        &self,
        evidence: &Evidence<'_>,
        outside: Endpoint,
    ) -> Option<(PacketId, PacketId)> {
        evidence.sent_by(self.owner).find_map(|id| {
            let Message::Stun(stun) = &evidence.life(id).message else {
                return None;
            };
            let asks = stun.method == Method::CreatePermission && stun.class == Class::Request;
            let peer = stun.peer.map(|peer| Endpoint::from(peer).address);
            (asks && peer == Some(outside.address)).then_some(())?;
            Some((id, evidence.answer(id)?))
        })
    }

    fn cost(&self, evidence: &Evidence<'_>) -> Option<Cost> {
        let packets = self.data.packets.iter();
        let lengths = packets.map(|id| evidence.recording.packet(*id).wire_length);
        let (shortest, longest) = (lengths.clone().min()?, lengths.max()?);
        Some(Cost {
            took: self.data.arrival(evidence)?.time - self.data.began(evidence),
            extra: longest - shortest,
        })
    }
}

/// What the detour costs, in both directions at once where it takes as long.
fn costs(evidence: &Evidence<'_>, ways: &[Relayed<'_>]) -> Vec<Sentence> {
    let all: Vec<(&Relayed<'_>, Cost)> = ways
        .iter()
        .filter_map(|way| Some((way, way.cost(evidence)?)))
        .collect();
    let told = |who: &str, way: &Relayed<'_>, took: Duration, extra: String| {
        let took = words::time(Time::ZERO + took);
        let mut proof = way.data.packets.clone();
        let mut text = format!("{who} data takes {took} by this detour");
        if let Some((straight, gateway, took)) = straight(evidence, way.data.sender) {
            let took = words::time(Time::ZERO + took);
            proof.push(straight.last());
            text += &format!(" (straight to {gateway} it was {took})");
        }
        text += &format!(", and {extra} more a packet between the TURN server and its client.");
        Sentence::at(way.data.began(evidence), text, proof)
    };
    if let [(a, one), (b, other)] = all.as_slice()
        && one.took == other.took
    {
        let extra = if one.extra == other.extra {
            format!("{} bytes", one.extra)
        } else {
            format!("{} (a) or {} (b) bytes", one.extra, other.extra)
        };
        let both = told("Each side's", a, one.took, extra);
        return vec![both.with(b.data.packets.clone())];
    }
    let each = all.iter().map(|(way, cost)| {
        let who = format!("{}'s", way.data.sender.name());
        told(&who, way, cost.took, format!("{} bytes", cost.extra))
    });
    each.collect()
}

/// How long a check of this side took to the gateway whose filter dropped it.
fn straight<'e>(
    evidence: &'e Evidence<'_>,
    side: Side,
) -> Option<(&'e Journey, &'e str, Duration)> {
    evidence.journeys.iter().find_map(|journey| {
        let ours = journey.sender == side && !journey.is_over_relay(evidence);
        let filtered = filtered(&journey.dropped(evidence).filter(|_| ours)?)?;
        let end = evidence.life(journey.last()).end?;
        let took = end.time - journey.began(evidence);
        Some((journey, evidence.name(filtered.by), took))
    })
}
