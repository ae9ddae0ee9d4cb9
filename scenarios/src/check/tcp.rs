//! RFC 5382: TCP.

use std::time::Duration;

use pinhole::packet::{IcmpErrorKind, TcpFlags, Transport};
use pinhole::{Endpoint, Filtering};

use super::ground::{EARLY, Ground, TCP, connect, tcp_lives};
use super::lab::{CLIENT, Lab, PATIENCE, SERVER, X1, X2, Y1, Y2, ack, syn};
use super::udp::{alive, filtered_how, payload_how, shared, telling};
use super::{CheckError, Finding, Found};

const NO_CONNECTION: &str = "no connection can be made";
const NOTHING_OUT: &str = "no SYN gets out";

pub(super) fn mapping(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let way = ground.tcp();
    let mut peers = vec![way.to(lab, Y1), way.to(lab, Y2)];
    peers.extend(way.other_port.map(|port| lab.endpoint(Y1, port)));
    let mut externals = Vec::new();
    for peer in peers {
        externals.extend(lab.mapped_tcp((X1, 5000), peer)?);
    }
    let Some(first) = externals.first() else {
        return Ok(Finding::not_applicable(NOTHING_OUT));
    };
    let same = externals.iter().all(|external| external == first);
    let seen = if same {
        "one external endpoint for every destination"
    } else {
        "other external endpoints for other destinations"
    };
    Ok(Finding::new(same, seen))
}

pub(super) fn sequences(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let to = ground.tcp().to(lab, Y1);
    let (inside, outside) = ((X1, 5000), (Y1, to.port));
    let Some(external) = connect(lab, inside, to)? else {
        return Ok(Finding::new(false, "a connection doesn't open"));
    };
    let (push, fin) = (TcpFlags::PSH, TcpFlags::FIN);
    let none = TcpFlags::default();
    let (c, s) = (CLIENT + 1, SERVER + 1);
    // Four bytes each way; the host inside closes first.
    let story = [
        (true, ack(c, s, push), 4),
        (false, ack(s, c + 4, push), 4),
        (true, ack(c + 4, s + 4, fin), 0),
        (false, ack(s + 4, c + 5, none), 0),
        // Half closed: the other side may go on for as long as it likes.
        (false, ack(s + 4, c + 5, push), 4),
        (true, ack(c + 5, s + 8, none), 0),
        (false, ack(s + 8, c + 5, fin), 0),
        (true, ack(c + 5, s + 9, none), 0),
    ];
    let mut lost = 0;
    for (from_inside, segment, bytes) in story {
        let payload = &b"data"[..bytes];
        let arrival = if from_inside {
            lab.tcp(inside, to, segment, payload)?
        } else {
            lab.tcp(outside, external, segment, payload)?
        };
        lost += u32::from(arrival.is_none());
    }
    Ok(if lost == 0 {
        Finding::new(true, "opened, used, half closed and closed: all arrives")
    } else {
        Finding::new(false, format!("{lost} of {} segments are lost", 8))
    })
}

pub(super) fn simultaneous_open(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let to = ground.tcp().to(lab, Y1);
    let (inside, outside) = ((X1, 5000), (Y1, to.port));
    let Some(external) = lab.mapped_tcp(inside, to)? else {
        return Ok(Finding::not_applicable(NOTHING_OUT));
    };
    let (c, s) = (CLIENT + 1, SERVER + 1);
    let crossing = lab.tcp(outside, external, syn(SERVER), b"")?;
    let mut all = crossing.is_some_and(|it| it.at == X1);
    let answer = ack(CLIENT, s, TcpFlags::SYN);
    all &= lab.tcp(inside, to, answer, b"")?.is_some();
    let answer = ack(SERVER, c, TcpFlags::SYN);
    all &= lab.tcp(outside, external, answer, b"")?.is_some();
    let data = ack(c, s, TcpFlags::PSH);
    all &= lab.tcp(inside, to, data, b"data")?.is_some();
    let data = ack(s, c + 4, TcpFlags::PSH);
    all &= lab.tcp(outside, external, data, b"data")?.is_some();
    let seen = if all {
        "two SYNs that cross make a connection"
    } else {
        "two SYNs that cross make no connection"
    };
    Ok(Finding::new(all, seen))
}

/// How connections from outside are filtered, to an endpoint that has connected to Y1; and the
/// external endpoint.
pub(super) fn filtering_of(
    lab: &mut Lab<'_>,
    ground: &Ground,
) -> Result<Option<(Filtering, Endpoint)>, CheckError> {
    let way = ground.tcp();
    let to = way.to(lab, Y1);
    let Some(external) = connect(lab, (X1, 5000), to)? else {
        return Ok(None);
    };
    let mut gets_in = |host, port| -> Result<bool, CheckError> {
        let arrival = lab.tcp((host, port), external, syn(SERVER), b"")?;
        Ok(arrival.is_some_and(|it| it.at == X1))
    };
    let filtering = if gets_in(Y2, way.port)? {
        Filtering::EndpointIndependent
    } else if gets_in(Y1, way.strange_port())? {
        Filtering::AddressDependent
    } else {
        Filtering::AddressAndPortDependent
    };
    Ok(Some((filtering, external)))
}

pub(super) fn filtering(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    Ok(match filtering_of(lab, ground)? {
        None => Finding::not_applicable(NO_CONNECTION),
        Some((filtering, _)) => Finding::new(
            filtering != Filtering::AddressAndPortDependent,
            filtered_how(filtering),
        ),
    })
}

/// How long REQ-4 has a NAT keep silent.
const SILENCE: Duration = Duration::from_secs(6);

pub(super) fn unsolicited(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let way = ground.tcp();
    let Some(mapped) = lab.mapped_tcp((X1, 5000), way.to(lab, Y2))? else {
        return Ok(Finding::not_applicable(NOTHING_OUT));
    };
    // Nobody has a mapping there: it is next to nothing that was ever given out.
    let stranger = Endpoint::new(
        mapped.address,
        if mapped.port < 40_000 { 61_234 } else { 21_234 },
    );
    let packet = lab.packet((Y1, way.port), stranger, Transport::Tcp(syn(SERVER)), b"");
    lab.send(Y1, packet);
    let early = lab.wait(SILENCE - EARLY)?;
    if let Some(answer) = early.iter().find(|it| it.at == Y1) {
        let what = named(&answer.packet.transport);
        return Ok(Finding::new(false, format!("answered at once, by {what}")));
    }
    let late = lab.wait(2 * SILENCE)?;
    let then = match late.iter().find(|it| it.at == Y1) {
        Some(answer) => format!("then {}", named(&answer.packet.transport)),
        None => "and after".to_owned(),
    };
    let silence = SILENCE.as_secs();
    let seen = format!("silence for {silence} s, {then}");

    // A SYN that comes too early, of two that cross.
    lab.afresh()?;
    let Some(mapped) = lab.mapped_tcp((X1, 5000), way.to(lab, Y2))? else {
        return Ok(Finding::not_applicable(NOTHING_OUT));
    };
    let to = way.to(lab, Y1);
    let packet = lab.packet((Y1, way.port), mapped, Transport::Tcp(syn(SERVER)), b"");
    lab.send(Y1, packet);
    lab.wait(Duration::from_secs(2))?;
    // Of the same connection only if it leaves from where the first one was sent to.
    if lab.mapped_tcp((X1, 5000), to)? != Some(mapped) {
        return Ok(Finding::new(true, seen));
    }
    let answers = lab.wait(3 * SILENCE)?;
    if let Some(answer) = answers.iter().find(|it| it.at == Y1) {
        let what = named(&answer.packet.transport);
        let seen = format!("{seen}; but {what} after a SYN went out");
        return Ok(Finding::new(false, seen));
    }
    Ok(Finding::new(true, seen))
}

fn named(transport: &Transport) -> String {
    match transport {
        Transport::IcmpError(error) if error.kind == IcmpErrorKind::PortUnreachable => {
            "ICMP port unreachable".to_owned()
        }
        Transport::IcmpError(error) => format!("ICMP {}", error.kind),
        Transport::Tcp(segment) => format!("TCP {}", segment.flags),
        Transport::Udp | Transport::IcmpEcho(_) => "something strange".to_owned(),
    }
}

pub(super) fn established(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let least = Duration::from_secs(7440);
    let lives = tcp_lives(lab, ground.tcp(), true, least)?;
    Ok(Finding::new(lives, alive(ground.tcp_established)))
}

pub(super) fn transitory(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let least = Duration::from_secs(240);
    let lives = tcp_lives(lab, ground.tcp(), false, least)?;
    Ok(Finding::new(lives, alive(ground.tcp_opening)))
}

pub(super) fn payload(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let to = ground.tcp().to(lab, Y1);
    if connect(lab, (X1, 5000), to)?.is_none() {
        return Ok(Finding::not_applicable(NO_CONNECTION));
    }
    let told = telling(lab.address(X1), 5000);
    let data = ack(CLIENT + 1, SERVER + 1, TcpFlags::PSH);
    let unchanged = match lab.tcp((X1, 5000), to, data, &told)? {
        Some(arrival) => arrival.packet.payload.bytes() == told,
        None => false,
    };
    Ok(Finding::new(unchanged, payload_how(unchanged)))
}

pub(super) fn overloading(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    shared(lab, ground.tcp(), TCP)
}

/// X2 connects to X1's external endpoint. Returns where X1 saw the SYN come from.
fn hairpin(lab: &mut Lab<'_>, ground: &Ground) -> Result<Option<Endpoint>, CheckError> {
    let to = ground.tcp().to(lab, Y1);
    let one = connect(lab, (X1, 5000), to)?;
    let other = connect(lab, (X2, 5001), to)?;
    let (Some(one), Some(other)) = (one, other) else {
        return Ok(None);
    };
    lab.tcp((X1, 5000), other, syn(CLIENT), b"")?;
    lab.wait(PATIENCE)?;
    let arrival = lab.tcp((X2, 5001), one, syn(CLIENT), b"")?;
    Ok(arrival.and_then(|it| (it.at == X1).then_some(it.packet.source)))
}

pub(super) fn hairpinning(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    Ok(match hairpin(lab, ground)? {
        Some(_) => Finding::new(true, "one host connects to the other's external endpoint"),
        None => Finding::new(false, "no SYN reaches a host at its external endpoint"),
    })
}

pub(super) fn hairpin_source(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let sender = lab.address(X2);
    Ok(match hairpin(lab, ground)? {
        None => Finding::not_applicable("nothing is hairpinned"),
        Some(source) => {
            let external = source.address != sender;
            let word = if external { "external" } else { "internal" };
            Finding::new(
                external,
                format!("from {source}, the sender's {word} endpoint"),
            )
        }
    })
}
