//! The checks: which were dropped where and why, which opened what, which one got through first and
//! thanks to whom.

use pinhole::packet::PacketId;

use super::drops::{self, Group};
use super::evidence::Evidence;
use super::journey::{Journey, What};
use super::lives::{self, Crossing, Opening};
use super::message::Method;
use super::story::{Chapter, Sentence};
use super::words::{self, Terms};
use crate::call::{Peer, Roles, Side};

/// More kinds of drops than these are told in one sentence.
const MOST_GROUPS: usize = 4;

pub(super) fn chapter(evidence: &Evidence<'_>, terms: &mut Terms) -> Chapter {
    let through: Vec<&Journey> = Side::BOTH
        .into_iter()
        .filter_map(|side| first_through(evidence, side))
        .collect();
    let useful: Vec<(Crossing, Opening)> = through
        .iter()
        .flat_map(|journey| evidence.let_in_by(journey.last()))
        .collect();

    let mut groups = drops::groups(evidence);
    // What relays tried in vain, and the rarest, are the least part of the story.
    let by_weight = |group: &Group<'_>| {
        let opened = group.opened(evidence, &useful).is_some();
        (
            group.is_relayed(evidence),
            !opened,
            std::cmp::Reverse(group.count()),
        )
    };
    groups.sort_by_key(by_weight);
    let direct = groups
        .iter()
        .filter(|group| !group.is_relayed(evidence))
        .count();
    let rest = groups.split_off(direct.min(MOST_GROUPS));
    groups.sort_by_key(|group| group.journeys[0].began(evidence));
    let mut sentences: Vec<Sentence> = groups
        .iter()
        .map(|group| group.sentence(evidence, terms, &useful))
        .collect();
    for journey in through {
        sentences.push(got_through(evidence, terms, journey));
    }
    sentences.extend(role_conflict(evidence));
    sentences.sort_by_key(|sentence| sentence.time);
    sentences.extend(the_rest(evidence, &rest));
    Chapter {
        title: "Checks: STUN requests from each side to each candidate of the other",
        sentences,
    }
}

/// Both sides, or neither, believed that they control.
fn role_conflict(evidence: &Evidence<'_>) -> Option<Sentence> {
    let conflict = evidence.call.outcome.role_conflict?;
    let began = conflict.began?;
    let mut text = match evidence.call.config.roles {
        Roles::BothControlled => "Both sides' checks say that they are controlled",
        _ => "Both sides' checks say that they control",
    }
    .to_owned();
    text += ": a role conflict, which their random tie-breakers decide.";
    text += &match conflict.controlling() {
        Some(side) => {
            let (winner, loser) = (side.name(), side.other().name());
            format!(" {winner} has the higher one and controls; {loser} gives way")
        }
        None => " It is never settled".to_owned(),
    };
    text += &match conflict.refusals {
        0 => ".".to_owned(),
        1 => ", and 1 check is refused with 487 (Role Conflict).".to_owned(),
        many => format!(", and {many} checks are refused with 487 (Role Conflict)."),
    };
    let checks = evidence
        .journeys
        .iter()
        .filter(|journey| journey.is_check());
    let proof = checks.filter(|journey| journey.began(evidence) == began);
    let packets: Vec<PacketId> = proof.flat_map(|journey| journey.packets.clone()).collect();
    Some(Sentence::at(began, text, packets))
}

/// What is left, in one sentence.
fn the_rest(evidence: &Evidence<'_>, rest: &[Group<'_>]) -> Option<Sentence> {
    if rest.is_empty() {
        return None;
    }
    let mut places: Vec<String> = Vec::new();
    for group in rest {
        let place = evidence.call.net.place_name(group.reason.place());
        if !places.contains(&place) {
            places.push(place);
        }
    }
    let packets: Vec<PacketId> = rest.iter().flat_map(Group::packets).collect();
    let over = if rest.iter().all(|group| group.is_relayed(evidence)) {
        " over relays"
    } else {
        ""
    };
    let (number, is) = match packets.len() {
        1 => ("1 more packet".to_owned(), "is"),
        many => (format!("{many} more packets"), "are"),
    };
    let places = words::list(&places);
    let text = format!("{number}{over} {is} dropped at {places}.");
    Some(Sentence::still(text).with(packets))
}

/// The first check of a side that got to the other without a relay: on the pair that carried its
/// data, if one did.
pub(super) fn first_through<'e>(evidence: &'e Evidence<'_>, side: Side) -> Option<&'e Journey> {
    let arrived = |journey: &&Journey| {
        journey.sender == side
            && journey.arrival(evidence).is_some()
            && !journey.is_over_relay(evidence)
    };
    let all = || evidence.journeys.iter().filter(arrived);
    let data = all().find(|journey| journey.what == What::Data);
    let mut checks = all().filter(|journey| journey.is_check());
    let same = |journey: &&Journey| {
        data.is_some_and(|data| (data.from, data.to) == (journey.from, journey.to))
    };
    checks.clone().find(same).or_else(|| checks.next())
}

/// How a check got through.
fn got_through(evidence: &Evidence<'_>, terms: &mut Terms, journey: &Journey) -> Sentence {
    let (sender, other) = (journey.sender.name(), journey.sender.other().name());
    let mut proof = journey.packets.clone();
    let mut text = format!("{sender}'s check to {} gets through.", journey.to);
    let turned = |crossing: &&Crossing| !crossing.inward && crossing.comes_in();
    let crossings = &evidence.life(journey.last()).crossings;
    if let Some(turned) = crossings.iter().find(turned) {
        let nat = evidence.name(turned.gateway);
        text += &format!(" {nat} turns it around (hairpinning).");
    }
    let pinholes = evidence.let_in_by(journey.last());
    for (crossing, opening) in &pinholes {
        proof.push(opening.packet);
        text += &format!(
            " {} lets it in thanks to {}.",
            evidence.name(crossing.gateway),
            describe(evidence, opening.packet)
        );
    }
    if pinholes.is_empty() {
        text += &unfiltered(evidence, journey);
    }
    let seen = journey.seen_from(evidence);
    if !is_known(evidence, journey.sender, seen) {
        text += &format!(" It comes from {seen}, which nobody told {other}");
        if let Some(shift) = evidence.shift(journey.first()) {
            text += &format!(
                ": {} uses another external port here than toward the STUN server ({})",
                evidence.name(shift.nat),
                shift.advertised.port
            );
        }
        let term = terms.say("peer-reflexive candidate", "learned from a check");
        text += &format!(". {other} now knows it ({term}).");
    }
    if let Some(answer) = evidence.answer_to(journey) {
        proof.push(answer.last());
        text += &answered(evidence, journey, answer);
    }
    Sentence::at(journey.began(evidence), text, proof)
}

/// Why nothing had to be opened for a check.
fn unfiltered(evidence: &Evidence<'_>, journey: &Journey) -> String {
    let crossings = &evidence.life(journey.last()).crossings;
    let gateways = crossings.iter().filter(|crossing| crossing.comes_in());
    let names: Vec<String> = gateways
        .map(|crossing| evidence.name(crossing.gateway).to_owned())
        .collect();
    match names.as_slice() {
        [] => " Nothing on the way filters it.".to_owned(),
        [one] => format!(" {one} lets anybody in."),
        _ => format!(" {} let anybody in.", words::list(&names)),
    }
}

fn answered(evidence: &Evidence<'_>, check: &Journey, answer: &Journey) -> String {
    let Some(arrival) = answer.arrival(evidence) else {
        return match answer.dropped(evidence) {
            Some(_) => " But the answer is dropped on its way back.".to_owned(),
            None => String::new(),
        };
    };
    let back = words::time(arrival.time);
    let own: Vec<String> = evidence
        .let_in_by(answer.last())
        .iter()
        .filter(|(_, opening)| opening.packet == check.first())
        .map(|(crossing, _)| evidence.name(crossing.gateway).to_owned())
        .collect();
    match own.as_slice() {
        [] => format!(" The answer is back at {back}."),
        _ => format!(
            " Going out, it opened {} too: the answer may come in, and is back at {back}.",
            words::list(&own)
        ),
    }
}

/// Whether a side had gathered this address: whatever it gathered it told.
fn is_known(evidence: &Evidence<'_>, side: Side, address: pinhole::Endpoint) -> bool {
    let call = evidence.call;
    let peer = call.net.program::<Peer>(call.peers[side.index()]);
    let address = lives::in_ipv4(address);
    peer.candidates()
        .any(|candidate| candidate.address == address.into())
}

/// A packet of a side's, as something that one can refer to: `b's check at 150 ms`.
pub(super) fn describe(evidence: &Evidence<'_>, packet: PacketId) -> String {
    let time = words::time(evidence.sent_at(packet));
    let origin = evidence.recording.packet(packet).origin;
    let who = evidence.name(origin);
    let journey = evidence
        .journeys
        .iter()
        .find(|journey| journey.first() == packet);
    let what = match journey {
        Some(journey) if !journey.relayed => drops::noun(journey.what),
        _ if evidence.is_question(packet, Method::Binding) => "question to the STUN server",
        _ => "request to the TURN server",
    };
    format!("{who}'s {what} at {time}")
}
