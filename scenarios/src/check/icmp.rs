//! RFC 4787 §9 and RFC 5382 §7.4: what ICMP does to mappings, and what becomes of it.

use pinhole::Endpoint;
use pinhole::packet::{IcmpError, IcmpErrorKind, Packet, Payload, Protocol, TcpFlags, Transport};

use super::ground::{Ground, connect};
use super::lab::{Arrival, CLIENT, Host, Lab, SERVER, X1, Y1, Y2, ack};
use super::udp::NOTHING_OUT;
use super::{CheckError, Finding, Found};

/// An error from `reporter` about a packet from `source` to `destination`, as the reporter saw it.
pub(super) fn error(
    lab: &Lab<'_>,
    reporter: Host,
    kind: IcmpErrorKind,
    protocol: Protocol,
    (source, destination): (Endpoint, Endpoint),
) -> Packet {
    let error = IcmpError {
        kind,
        quoted_protocol: protocol,
        quoted_source: source,
        quoted_destination: destination,
    };
    let transport = Transport::IcmpError(Box::new(error));
    let mut packet = lab.packet((reporter, 0), source.without_port(), transport, b"");
    packet.payload = Payload::default();
    packet
}

/// Sends errors about a mapping's packets from everywhere: the peer, somebody on the way, and the
/// host inside.
fn errors_all_round(
    lab: &mut Lab<'_>,
    protocol: Protocol,
    internal: Endpoint,
    external: Endpoint,
    peer: Endpoint,
) -> Result<(), CheckError> {
    let kinds = [
        IcmpErrorKind::PortUnreachable,
        IcmpErrorKind::HostUnreachable,
        IcmpErrorKind::TimeExceeded,
    ];
    for (reporter, kind) in [Y1, Y2, Y2].into_iter().zip(kinds) {
        let packet = error(lab, reporter, kind, protocol, (external, peer));
        lab.try_out(reporter, packet)?;
    }
    let unreachable = IcmpErrorKind::PortUnreachable;
    let packet = error(lab, X1, unreachable, protocol, (peer, internal));
    lab.try_out(X1, packet).map(drop)
}

pub(super) fn ends_nothing(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let to = ground.udp().to(lab, Y1);
    let internal = lab.endpoint(X1, 5000);
    let Some(external) = lab.mapped((X1, 5000), to)? else {
        return Ok(Finding::not_applicable(NOTHING_OUT));
    };
    errors_all_round(lab, Protocol::Udp, internal, external, to)?;
    let inward = lab.reaches((Y1, to.port), external, X1)?;
    let outward = lab.mapped((X1, 5000), to)? == Some(external);
    Ok(ended("mapping", inward && outward))
}

pub(super) fn ends_no_connection(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let to = ground.tcp().to(lab, Y1);
    let internal = lab.endpoint(X1, 5000);
    let Some(external) = connect(lab, (X1, 5000), to)? else {
        return Ok(Finding::not_applicable("no connection can be made"));
    };
    errors_all_round(lab, Protocol::Tcp, internal, external, to)?;
    let data = ack(SERVER + 1, CLIENT + 1, TcpFlags::PSH);
    let inward = lab.tcp((Y1, to.port), external, data, b"data")?;
    let data = ack(CLIENT + 1, SERVER + 1, TcpFlags::PSH);
    let outward = lab.tcp((X1, 5000), to, data, b"data")?;
    let lives = inward.is_some_and(|it| it.at == X1)
        && outward.is_some_and(|it| it.packet.source == external);
    Ok(ended("connection", lives))
}

fn ended(what: &str, lives: bool) -> Finding {
    if lives {
        Finding::new(true, format!("the {what} works after four errors"))
    } else {
        Finding::new(false, format!("an error ends the {what}"))
    }
}

/// Maps X1:5000 towards Y1, and has somebody report an error about it. Returns what came to X1.
fn told(
    lab: &mut Lab<'_>,
    ground: &Ground,
    protocol: Protocol,
    reporter: Host,
) -> Result<Option<Arrival>, CheckError> {
    let (to, external) = match protocol {
        Protocol::Tcp => {
            let to = ground.tcp().to(lab, Y1);
            (to, lab.mapped_tcp((X1, 5000), to)?)
        }
        Protocol::Udp | Protocol::Icmp => {
            let to = ground.udp().to(lab, Y1);
            (to, lab.mapped((X1, 5000), to)?)
        }
    };
    let Some(external) = external else {
        return Ok(None);
    };
    let unreachable = IcmpErrorKind::HostUnreachable;
    let packet = error(lab, reporter, unreachable, protocol, (external, to));
    let arrival = lab.try_out(reporter, packet)?;
    Ok(arrival.filter(|arrival| arrival.at == X1))
}

pub(super) fn any_source(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    if told(lab, ground, Protocol::Udp, Y1)?.is_none() {
        return Ok(Finding::not_applicable(
            "no error gets in, whoever sends it",
        ));
    }
    lab.afresh()?;
    let came = told(lab, ground, Protocol::Udp, Y2)?.is_some();
    let seen = if came {
        "an error from somebody on the way gets in"
    } else {
        "only the peer's own errors get in"
    };
    Ok(Finding::new(came, seen))
}

pub(super) fn translated(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    translation(lab, ground, Protocol::Udp)
}

pub(super) fn translated_tcp(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    translation(lab, ground, Protocol::Tcp)
}

fn translation(lab: &mut Lab<'_>, ground: &Ground, protocol: Protocol) -> Found {
    let internal = lab.endpoint(X1, 5000);
    let Some(arrival) = told(lab, ground, protocol, Y1)? else {
        return Ok(Finding::new(false, "no error gets in"));
    };
    let Transport::IcmpError(error) = &arrival.packet.transport else {
        return Ok(Finding::new(false, "something else came than was sent"));
    };
    let quoted = error.quoted_source;
    let seen = format!("the host inside is told, about {quoted}");
    Ok(Finding::new(quoted == internal, seen))
}
