//! Which candidates each side found, how, and which question stayed without an answer.

use pinhole::packet::{PacketId, Transport};
use pinhole::trace::DropReason;
use pinhole::{Endpoint, NodeId, TcpEnd, Time};

use super::drops;
use super::evidence::Evidence;
use super::lives;
use super::message::{Message, Method};
use super::story::{Chapter, Sentence};
use super::words::{self, Terms};
use crate::call::{Milestone, Peer, STUN_PORT, Side, TurnConnection};
use crate::ice::{Candidate, CandidateType};
use crate::turn_client::StreamEnd;

pub(super) fn chapter(evidence: &Evidence<'_>, terms: &mut Terms) -> Chapter {
    let mut sentences = Vec::new();
    for side in Side::BOTH {
        let found = found(evidence, side);
        for (time, host) in of_kind(&found, CandidateType::Host) {
            sentences.push(around(evidence, terms, side, (time, host), &found));
        }
        sentences.extend(unanswered(evidence, side));
        let peer = evidence.call.peers[side.index()];
        let peer: &Peer = evidence.call.net.program(peer);
        for connection in peer.turn_connections() {
            sentences.push(connected(evidence, terms, side, connection));
        }
    }
    Chapter {
        title: "Gathering candidates: addresses at which a side may be reached",
        sentences,
    }
}

/// The candidates of a side, with the times at which it found them.
fn found(evidence: &Evidence<'_>, side: Side) -> Vec<(Time, Candidate)> {
    let call = evidence.call;
    let peer = call.net.program::<Peer>(call.peers[side.index()]);
    let gathered = |(time, milestone): &(Time, Milestone)| match milestone {
        Milestone::Gathered(candidate) => Some((*time, *candidate)),
        _ => None,
    };
    peer.milestones().iter().filter_map(gathered).collect()
}

fn of_kind(
    found: &[(Time, Candidate)],
    kind: CandidateType,
) -> impl Iterator<Item = (Time, Candidate)> + '_ {
    let wanted = move |(_, candidate): &&(Time, Candidate)| candidate.kind == kind;
    found.iter().filter(wanted).copied()
}

/// A side's own address, what the STUN server makes of it, and what the TURN server lends it.
fn around(
    evidence: &Evidence<'_>,
    terms: &mut Terms,
    side: Side,
    (mut time, host): (Time, Candidate),
    found: &[(Time, Candidate)],
) -> Sentence {
    let mut proof = Vec::new();
    let name = side.name();
    let term = terms.say("host candidate", "its own");
    let mut text = format!("{name} has {} ({term}).", host.address);
    let asked = |method| {
        evidence.sent_by(side).find_map(|id| {
            let ours = evidence.recording.packet(id).source == host.base.into();
            (ours && evidence.is_question(id, method)).then_some(())?;
            Some((id, evidence.answer(id)?))
        })
    };
    let seen = of_kind(found, CandidateType::ServerReflexive)
        .find(|(_, candidate)| candidate.base == host.base);
    if let Some((at, seen)) = seen
        && let Some((question, answer)) = asked(Method::Binding)
    {
        proof.extend([question, answer]);
        time = at;
        text += &if seen.address == host.address {
            " The STUN server sees the same one: nothing translates it.".to_owned()
        } else {
            let by = translators(evidence, question);
            let term = terms.say("server-reflexive", "what NATs make of it");
            format!(
                " Through {by} the STUN server sees {} ({term}).",
                seen.address
            )
        };
        text += &untold(evidence, side, seen).unwrap_or_default();
    }
    if let Some((question, answer)) = asked(Method::Allocate)
        && let Message::Stun(granted) = &evidence.life(answer).message
        && let Some((at, relay)) = of_kind(found, CandidateType::Relayed)
            .find(|(_, candidate)| Some(candidate.address) == granted.relayed)
    {
        proof.extend([question, answer]);
        time = at;
        let term = terms.say("relayed", "what comes there is handed on to it");
        text += &format!(" The TURN server lends it {} ({term}).", relay.address);
    }
    Sentence::at(time, text, proof)
}

/// That the other side never learns of a candidate, because it is of another IP version than the
/// socket it belongs to.
fn untold(evidence: &Evidence<'_>, side: Side, seen: Candidate) -> Option<String> {
    let call = evidence.call;
    let other = side.other();
    let mut milestones = call
        .net
        .program::<Peer>(call.peers[other.index()])
        .milestones()
        .iter();
    let is_told = milestones.any(|(_, milestone)| {
        matches!(milestone, Milestone::Learned(candidate) if candidate.address == seen.address)
    });
    (!is_told && seen.address.is_ipv4() != seen.base.is_ipv4()).then(|| {
        format!(
            " {} is never told: the stack `{}` takes no candidate of another IP version than its \
             socket.",
            other.name(),
            call.config.stacks[side.index()]
        )
    })
}

/// The NATs that translated a packet on its way out.
fn translators(evidence: &Evidence<'_>, packet: PacketId) -> String {
    let crossings = evidence.life(packet).crossings.iter();
    let names = crossings
        .filter(|crossing| !crossing.inward && crossing.before.0 != crossing.after.0)
        .map(|crossing| evidence.name(crossing.gateway).to_owned());
    words::list(&names.collect::<Vec<_>>())
}

/// What became of a connection to the TURN server.
fn connected(
    evidence: &Evidence<'_>,
    terms: &mut Terms,
    side: Side,
    connection: &TurnConnection,
) -> Sentence {
    let server = Endpoint::from(connection.server);
    let host = evidence.call.scene.hosts[side.index()];
    // From the first SYN to whatever came last on the same port.
    let opening = evidence.sent_by(side).find(|id| {
        let packet = evidence.recording.packet(*id);
        let opens = matches!(&packet.transport, Transport::Tcp(tcp) if tcp.is_opening());
        opens && packet.destination == server && packet.origin == host
    });
    let mut text = format!(
        "{} opens a TCP connection to the TURN server ({server})",
        side.name()
    );
    match connection.connected {
        Some(at) => text += &format!(", which stands at {}", words::time(at)),
        None => {
            let why = opening
                .and_then(|id| evidence.life(id).dropped())
                .map(|reason| drops::why(evidence, &reason));
            text += &match why {
                Some(why) => format!(" and gets no answer: {why}"),
                None => " and gets no answer".to_owned(),
            };
        }
    }
    if let Some(at) = connection.secured {
        text += &format!("; TLS's handshake is over at {}", words::time(at));
    }
    if let Some(relayed) = connection.relayed {
        let peer = evidence.call.peers[side.index()];
        let peer: &Peer = evidence.call.net.program(peer);
        let when = peer.milestones().iter().find_map(|(time, milestone)| {
            matches!(milestone, Milestone::Gathered(found) if found.address == relayed)
                .then_some(*time)
        });
        let at = when.map_or(String::new(), |at| format!(" at {}", words::time(at)));
        let term = terms.say("relayed", "what comes there is handed on to it");
        text += &format!(". Through it the server lends it {relayed}{at} ({term})");
    }
    match &connection.end {
        None => {}
        Some(StreamEnd::ClosedByServer) => text += ". The server closed it",
        Some(StreamEnd::Tls(why)) => text += &format!(". TLS failed: {why}"),
        Some(StreamEnd::Garbage) => text += ". What came over it was no TURN",
        Some(StreamEnd::Tcp(end)) => {
            text += match end {
                TcpEnd::Refused => ". It was refused",
                TcpEnd::Reset => ". It was reset",
                TcpEnd::TimedOut => ". It timed out",
                TcpEnd::Unreachable(_) => ". The server can't be reached",
                TcpEnd::Finished => ". It ended in order",
            };
        }
    }
    text += ".";
    Sentence::at(connection.began, text, opening)
}

/// What a side asked of servers that never answered.
fn unanswered(evidence: &Evidence<'_>, side: Side) -> Option<Sentence> {
    let mut packets: Vec<PacketId> = Vec::new();
    let mut servers: Vec<String> = Vec::new();
    let mut reasons: Vec<DropReason> = Vec::new();
    for (server, method) in servers_asked(evidence) {
        let questions: Vec<PacketId> = evidence
            .sent_by(side)
            .filter(|id| {
                evidence.is_question(*id, method)
                    && lives::in_ipv4(evidence.recording.packet(*id).destination) == server.1
            })
            .collect();
        let lost = |id: &PacketId| evidence.life(*id).dropped();
        let dropped: Vec<DropReason> = questions.iter().filter_map(lost).collect();
        if questions.is_empty() || dropped.len() < questions.len() {
            continue;
        }
        reasons.extend(dropped);
        packets.extend(questions);
        servers.push(server.0.to_owned());
    }
    let (first, reason) = (*packets.iter().min()?, *reasons.first()?);
    let same = reasons.iter().all(|other| other.code() == reason.code());
    let why = if same {
        drops::why(evidence, &reason)
    } else {
        "dropped on the way".to_owned()
    };
    let text = format!(
        "{} asked {} {} and got no answer: {why}.",
        side.name(),
        words::list(&servers),
        match packets.len() {
            1 => "once".to_owned(),
            times => format!("{times} times"),
        }
    );
    Some(Sentence::at(evidence.sent_at(first), text, packets))
}

/// The servers' names and sockets, and what they are asked.
fn servers_asked(evidence: &Evidence<'_>) -> Vec<((&'static str, Endpoint), Method)> {
    let scene = &evidence.call.scene;
    let sockets = |node: NodeId| {
        let addresses = evidence.topology().addresses(node);
        addresses.map(|address| Endpoint::new(address, STUN_PORT))
    };
    let stun = sockets(scene.stun).map(|at| (("the STUN server", at), Method::Binding));
    let turn = scene.turn.into_iter().flat_map(sockets);
    let turn = turn.map(|at| (("the TURN server", at), Method::Allocate));
    stun.chain(turn).collect()
}
