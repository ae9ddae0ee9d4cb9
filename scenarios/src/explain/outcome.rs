//! What came of it, and who decided.

use std::collections::BTreeSet;

use pinhole::Time;

use super::evidence::Evidence;
use super::journey::{Journey, What};
use super::story::{Chapter, Sentence};
use super::words;
use crate::call::{
    Call, Connection, DEAFNESS, Milestone, Neighbourhood, PathClass, Peer, Side, TurnTransport,
};

/// The story in one line.
pub(super) fn title(call: &Call<'_>) -> String {
    let [a, b] = &call.config.kinds;
    let who = match &call.config.neighbourhood {
        Neighbourhood::Apart => format!("a ({a}) calls b ({b})"),
        Neighbourhood::SameLan => format!("a calls b, both on one network ({a})"),
        Neighbourhood::IsolatedLan => {
            format!("a calls b, both on one network ({a}) that keeps its hosts apart")
        }
        Neighbourhood::SharedCarrier(carrier) => {
            format!("a ({a}) calls b ({b}), both behind one carrier ({carrier})")
        }
    };
    match &call.outcome.connection {
        Some(connection) => format!(
            "{who}: connected after {}, {}",
            words::time(connection.at),
            connection.path_class.name()
        ),
        None => format!("{who}: no connection"),
    }
}

pub(super) fn chapter(evidence: &Evidence<'_>) -> Chapter {
    let call = evidence.call;
    let mut sentences = Vec::new();
    for finding in &call.outcome.findings {
        sentences.push(Sentence::still(format!(
            "{}'s ICE stack {} broke down (it panicked): {:?}. It did nothing from then on.",
            finding.side.name(),
            finding.stack,
            finding.panic
        )));
    }
    let mut choices: Vec<Sentence> = Side::BOTH
        .into_iter()
        .filter_map(|side| selected(evidence, side))
        .chain(fallen_back(evidence))
        .collect();
    choices.sort_by_key(|sentence| sentence.time);
    sentences.extend(choices);
    sentences.push(match &call.outcome.connection {
        Some(connection) => connected(evidence, connection),
        None => failed(evidence),
    });
    Chapter {
        title: "Outcome",
        sentences,
    }
}

/// The controlling side's pair was deaf, and it restarted ICE. Calls that go on through faults have a
/// chapter for restarts.
fn fallen_back(evidence: &Evidence<'_>) -> Option<Sentence> {
    if !evidence.call.config.faults.is_empty() {
        return None;
    }
    let restarted = |(_, milestone): &&(Time, Milestone)| *milestone == Milestone::Restarted;
    let (time, _) = milestones(evidence, Side::A).iter().find(restarted)?;
    let text = format!(
        "a has heard nothing on its pair for {}: it works for a alone. a restarts ICE, with relayed \
         candidates only.",
        words::time(Time::ZERO + DEAFNESS)
    );
    Some(Sentence::at(*time, text, Vec::new()))
}

fn milestones<'e>(evidence: &'e Evidence<'_>, side: Side) -> &'e [(Time, Milestone)] {
    let call = evidence.call;
    call.net
        .program::<Peer>(call.peers[side.index()])
        .milestones()
}

fn connected(evidence: &Evidence<'_>, connection: &Connection) -> Sentence {
    let meaning = match connection.path_class {
        PathClass::Direct => "no NAT rewrites its addresses, no relay carries it",
        PathClass::Reflexive => "its addresses are rewritten on the way, no relay carries it",
        PathClass::Relayed => "a TURN server carries it",
    };
    let first = |side| {
        evidence.journeys.iter().find(move |journey| {
            journey.sender == side
                && journey.what == What::Data
                && journey.arrival(evidence).is_some()
        })
    };
    let firsts = Side::BOTH.into_iter().filter_map(first);
    let proof = firsts.flat_map(|journey: &Journey| journey.packets.clone());
    let mut text = format!(
        "Data has arrived both ways. Its path is {}: {meaning}.",
        connection.path_class.name()
    );
    for side in Side::BOTH {
        match connection.relay_transports[side.index()] {
            None | Some(TurnTransport::Udp) => {}
            Some(TurnTransport::Tcp) => {
                text += &format!(" {} reaches it over TCP.", side.name());
            }
            Some(TurnTransport::Tls) => {
                text += &format!(
                    " {} reaches it over TLS: what goes that way nobody can read on the wire, and \
                     it isn't told here packet by packet.",
                    side.name()
                );
            }
        }
    }
    Sentence::at(connection.at, text, proof)
}

/// What a side settled on, and what else it could have had.
fn selected(evidence: &Evidence<'_>, side: Side) -> Option<Sentence> {
    let selections = || {
        milestones(evidence, side)
            .iter()
            .filter_map(|(time, milestone)| match milestone {
                Milestone::Selected { local, remote } => Some((*time, *local, *remote)),
                _ => None,
            })
    };
    let (time, local, remote) = selections().next_back()?;
    // Pairs of the side whose check was answered by then.
    let mut answered: Vec<(pinhole::Endpoint, pinhole::Endpoint)> = Vec::new();
    let mut proof = Vec::new();
    for check in evidence
        .journeys
        .iter()
        .filter(|journey| journey.sender == side && journey.is_check())
    {
        let in_time =
            |answer: &&Journey| answer.arrival(evidence).is_some_and(|end| end.time <= time);
        let answer = evidence.answer_to(check).filter(in_time);
        let Some(answer) = answer else { continue };
        let pair = (check.from, check.to);
        if pair == (local.into(), remote.into()) {
            proof.extend([check.first(), answer.last()]);
        }
        if !answered.contains(&pair) {
            answered.push(pair);
        }
    }
    let name = side.name();
    let why = match answered.len() {
        0 => String::new(),
        1 => ", its only pair answered so far".to_owned(),
        many => format!(", one of {many} pairs answered so far"),
    };
    let nomination = evidence.journeys.iter().find(|journey| {
        journey.sender == side
            && journey.what == What::Check { nominates: true }
            && (journey.from, journey.to) == (local.into(), remote.into())
    });
    proof.extend(nomination.map(|check| check.first()));
    let verb = match nomination {
        Some(_) => "nominates",
        None => "settles on",
    };
    let finally = match selections().count() {
        1 => "",
        _ => "In the end ",
    };
    let text = format!("{finally}{name} {verb} {local} to {remote}{why}.");
    Some(Sentence::at(time, text, proof))
}

/// More ports than these from one side are worth a word.
const MANY_PORTS: usize = 8;

fn failed(evidence: &Evidence<'_>) -> Sentence {
    let checks = evidence
        .journeys
        .iter()
        .filter(|journey| journey.is_check());
    let answers = evidence
        .journeys
        .iter()
        .filter(|journey| journey.what == What::Answer && journey.arrival(evidence).is_some());
    let checks = words::count(checks.count(), "check");
    let mut text = match answers.count() {
        0 => format!("None of {checks} got an answer through."),
        some => format!("{some} of {checks} got an answer through."),
    };
    for side in Side::BOTH {
        text += &ports(evidence, side).unwrap_or_default();
    }
    let gave_up = Side::BOTH.map(|side| {
        let mut milestones = milestones(evidence, side).iter();
        let failed = milestones.find(|(_, milestone)| *milestone == Milestone::Failed);
        failed.map(|(time, _)| *time)
    });
    if let [Some(a), Some(b)] = gave_up {
        let (a_at, b_at) = (words::time(a), words::time(b));
        text += &format!(" a gives up at {a_at}, b at {b_at}.");
        return Sentence::at(a.max(b), text, []);
    }
    for side in Side::BOTH {
        let name = side.name();
        if let Some(time) = gave_up[side.index()] {
            text += &format!(" {name} gives up at {}.", words::time(time));
        } else if is_undecided(evidence, side) {
            text += &format!(" {name} settles on no pair.");
        }
    }
    let end = evidence.call.net.now().min(evidence.call.config.until);
    text += &format!(" By {} no data has arrived both ways.", words::time(end));
    Sentence::at(end, text, [])
}

/// Whether a side's checks were answered, and yet it settled on no pair.
pub(super) fn is_undecided(evidence: &Evidence<'_>, side: Side) -> bool {
    let settled = milestones(evidence, side)
        .iter()
        .any(|(_, milestone)| matches!(milestone, Milestone::Selected { .. }));
    let mut answers = evidence
        .journeys
        .iter()
        .filter(|journey| journey.what == What::Answer && journey.sender == side.other());
    !settled && answers.any(|answer| answer.arrival(evidence).is_some())
}

/// Where a side's checks came from, if that is what keeps them from coming to an end: a NAT that
/// takes a new port for each destination, and so makes a new candidate of each check back.
fn ports(evidence: &Evidence<'_>, side: Side) -> Option<String> {
    let arrived = evidence.journeys.iter().filter(|journey| {
        journey.is_check() && journey.sender == side && journey.arrival(evidence).is_some()
    });
    let sources: BTreeSet<_> = arrived.map(|journey| journey.seen_from(evidence)).collect();
    (sources.len() > MANY_PORTS).then(|| {
        format!(
            " {}'s checks arrived from {} different ports, each one a new candidate for {}.",
            side.name(),
            sources.len(),
            side.other().name()
        )
    })
}
