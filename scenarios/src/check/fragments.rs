//! RFC 4787 §10 and §11: packets that are too long, and fragments.

use pinhole::packet::{IcmpErrorKind, Packet, Transport};

use super::ground::Ground;
use super::lab::{Arrival, Host, Lab, Setting, X1, Y1, fragments};
use super::udp::NOTHING_OUT;
use super::{CheckError, Finding, Found};

/// What the link outside the device carries in the experiments with long packets.
const NARROW: u16 = 1280;
/// Bytes of payload that fit the link inside, and not that one.
const LONG: usize = 1400;
/// Bytes of payload of what is sent in fragments, and of IP payload in each.
const WHOLE: usize = 2400;
const PART: usize = 1000;

const NARROWED: Setting = Setting {
    mtu: Some(NARROW),
    more_inside: 0,
    private_outside: false,
};

pub(super) fn too_long(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    lab.afresh_as(NARROWED)?;
    let to = ground.udp().to(lab, Y1);
    if lab.mapped((X1, 5000), to)?.is_none() {
        return Ok(Finding::not_applicable(NOTHING_OUT));
    }
    let packet = lab.packet((X1, 5000), to, Transport::Udp, &[7; LONG]);
    lab.send(X1, packet);
    let told = lab
        .settle()?
        .into_iter()
        .find_map(|it| match &it.packet.transport {
            Transport::IcmpError(error) if it.at == X1 => match error.kind {
                IcmpErrorKind::TooBig { mtu } => Some(mtu),
                _ => None,
            },
            _ => None,
        });
    Ok(match told {
        Some(mtu) => Finding::new(
            mtu == NARROW,
            format!("the host is told that {mtu} bytes would pass"),
        ),
        None => Finding::new(false, "the packet vanishes, and nobody is told"),
    })
}

pub(super) fn cut(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    lab.afresh_as(NARROWED)?;
    let to = ground.udp().to(lab, Y1);
    if lab.mapped((X1, 5000), to)?.is_none() {
        return Ok(Finding::not_applicable(NOTHING_OUT));
    }
    let mut packet = lab.packet((X1, 5000), to, Transport::Udp, &[7; LONG]);
    packet.dont_fragment = false;
    lab.send(X1, packet);
    let heard = lab.settle()?;
    let came = bytes_at(&heard, Y1);
    let pieces = heard.iter().filter(|it| it.at == Y1).count();
    let seen = format!("{came} of {LONG} bytes arrive, in {pieces} pieces");
    Ok(Finding::new(came == LONG, seen))
}

/// Bytes of payload that came to a host.
fn bytes_at(heard: &[Arrival], host: Host) -> usize {
    let packets = heard.iter().filter(|arrival| arrival.at == host);
    packets.map(|arrival| arrival.packet.payload.len()).sum()
}

/// Sends packets one right after the other; returns the bytes of payload that reach `to`.
fn send_all(
    lab: &mut Lab<'_>,
    from: Host,
    packets: Vec<Packet>,
    to: Host,
) -> Result<usize, CheckError> {
    for packet in packets {
        lab.send(from, packet);
    }
    Ok(bytes_at(&lab.settle()?, to))
}

pub(super) fn any_order(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let way = ground.udp();
    let to = way.to(lab, Y1);
    let Some(external) = lab.mapped((X1, 5000), to)? else {
        return Ok(Finding::not_applicable(NOTHING_OUT));
    };
    let payload = [7; WHOLE];
    let inward = lab.packet((Y1, way.port), external, Transport::Udp, &payload);
    let outward = lab.packet((X1, 5000), to, Transport::Udp, &payload);
    let mut lost = Vec::new();
    for (n, order) in (0..).zip(["in order", "the last one first"]) {
        for (whole, from, at, way) in [(&inward, Y1, X1, "in"), (&outward, X1, Y1, "out")] {
            let identification = 10 * (n + 1) + u32::from(from == X1);
            let mut parts = fragments(whole, identification, PART);
            if n == 1 {
                parts.reverse();
            }
            if send_all(lab, from, parts, at)? < WHOLE {
                lost.push(format!("{way}ward, {order}"));
            }
        }
    }
    Ok(if lost.is_empty() {
        Finding::new(true, "three fragments arrive both ways, in either order")
    } else {
        Finding::new(false, format!("fragments are lost: {}", lost.join("; ")))
    })
}

/// Fragments of a flood: with a thousand bytes each, some megabytes.
const FLOOD: u32 = 3000;

pub(super) fn flood(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let way = ground.udp();
    let to = way.to(lab, Y1);
    let Some(external) = lab.mapped((X1, 5000), to)? else {
        return Ok(Finding::not_applicable(NOTHING_OUT));
    };
    let whole = lab.packet((Y1, way.port), external, Transport::Udp, &[7; WHOLE]);
    let in_order = |lab: &mut Lab<'_>, identification| {
        let parts = fragments(&whole, identification, PART);
        send_all(lab, Y1, parts, X1)
    };
    if in_order(lab, 1)? < WHOLE {
        return Ok(Finding::not_applicable("fragments don't pass anyway"));
    }
    lab.in_bulk(|lab| {
        for n in 0..FLOOD {
            // The middle of a packet of which there is no more.
            let part = fragments(&whole, 1000 + n, PART).swap_remove(1);
            lab.send(Y1, part);
        }
        lab.settle().map(drop)
    })?;
    let plain = lab.reaches((Y1, way.port), external, X1)?;
    let pieces = in_order(lab, 2)? >= WHOLE;
    Ok(match (plain, pieces) {
        (true, true) => Finding::new(true, format!("all passes after {FLOOD} stray fragments")),
        (true, false) => Finding::new(false, "after a flood no fragments pass"),
        (false, _) => Finding::new(false, "after a flood nothing passes"),
    })
}
