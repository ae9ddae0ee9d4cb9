//! RFC 4787 §4 to §9: UDP mappings, filtering, hairpinning.

use std::collections::BTreeSet;
use std::time::Duration;

use pinhole::packet::Transport;
use pinhole::{Address, Endpoint, Filtering, Mapping};

use super::ground::{EARLY, Ground, Life, Out, UDP, Way, filtering_of, rival, udp_lives};
use super::lab::{Host, IN_PRIVATE, Lab, Setting, W, X1, X2, Y1, Y2};
use super::{CheckError, Finding, Found};

/// What is said where a device lets nothing more out.
pub(super) const NOTHING_OUT: &str = "nothing gets out";

pub(super) fn mapping(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let found = mapping_of(lab, ground.udp(), (X1, 5000))?;
    Ok(match found {
        None => Finding::not_applicable(NOTHING_OUT),
        Some(mapping) => Finding::new(mapping == Mapping::EndpointIndependent, mapped_how(mapping)),
    })
}

/// A mapping behaviour in words.
pub(super) fn mapped_how(mapping: Mapping) -> &'static str {
    match mapping {
        Mapping::EndpointIndependent => "one external endpoint for every destination",
        Mapping::AddressDependent => "another external endpoint for each remote address",
        Mapping::AddressAndPortDependent => "another external endpoint for each remote endpoint",
    }
}

/// How a host's endpoint is mapped, from a first packet on. Where there is only one remote port to
/// ask at, a mapping that depends on the remote endpoint is taken to depend on its port too.
fn mapping_of(
    lab: &mut Lab<'_>,
    way: Way,
    from: (Host, u16),
) -> Result<Option<Mapping>, CheckError> {
    let (one, other) = (way.to(lab, Y1), way.to(lab, Y2));
    let first = lab.mapped(from, one)?;
    let second = lab.mapped(from, other)?;
    let (Some(first), Some(second)) = (first, second) else {
        return Ok(None);
    };
    let third = match way.other_port {
        Some(port) => lab.mapped(from, lab.endpoint(Y1, port))?,
        None => None,
    };
    Ok(Some(match third {
        _ if first == second && third.is_none_or(|third| third == first) => {
            Mapping::EndpointIndependent
        }
        Some(third) if third == first => Mapping::AddressDependent,
        _ => Mapping::AddressAndPortDependent,
    }))
}

pub(super) fn pooling(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let way = ground.udp();
    let mut addresses: BTreeSet<Address> = BTreeSet::new();
    let mut mappings = 0;
    for n in 0..12 {
        for host in [X1, X2] {
            let peer = if n % 2 == 0 { Y1 } else { Y2 };
            let to = way.to(lab, peer);
            if let Some(external) = lab.mapped((host, 5000 + n), to)?
                && host == X1
            {
                mappings += 1;
                addresses.insert(external.address);
            }
        }
    }
    let count = addresses.len();
    let word = if count == 1 { "address" } else { "addresses" };
    let seen = format!("{mappings} mappings of one host, {count} external {word}");
    Ok(Finding::new(count == 1, seen))
}

pub(super) fn overloading(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    shared(lab, ground.udp(), UDP)
}

/// Whether two hosts get one external endpoint, toward one destination.
pub(super) fn shared(lab: &mut Lab<'_>, way: Way, out: Out) -> Found {
    let rival = rival(lab, way, out)?;
    let to = way.to(lab, Y1);
    for port in 5000..5004 {
        let one = out(lab, (X1, port), to)?;
        let other = out(lab, (rival, port), to)?;
        if let Some(external) = one
            && one == other
        {
            return Ok(Finding::new(false, format!("two hosts share {external}")));
        }
    }
    Ok(Finding::new(true, "every host has an endpoint of its own"))
}

pub(super) fn port_class(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let to = ground.udp().to(lab, Y1);
    let mut strayed = None;
    for port in [500, 501, 700, 5000, 50_000] {
        if let Some(external) = lab.mapped((X1, port), to)?
            && (external.port < 1024) != (port < 1024)
        {
            strayed = strayed.or(Some((port, external.port)));
        }
    }
    Ok(match strayed {
        Some((port, external)) => Finding::new(false, format!("{port} is mapped to {external}")),
        None => Finding::new(true, "low ports stay low, and high ports high"),
    })
}

pub(super) fn parity(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let rival = rival(lab, ground.udp(), UDP)?;
    let to = ground.udp().to(lab, Y1);
    let (mut kept, mut all) = (0, 0);
    // In no order that counting would keep to.
    for port in [5000, 5002, 5003, 5006, 5001, 5007, 5005, 5004] {
        for host in [X1, rival] {
            if let Some(external) = lab.mapped((host, port), to)? {
                all += 1;
                kept += u32::from(external.port % 2 == port % 2);
            }
        }
    }
    let seen = format!("{kept} of {all} ports keep their parity");
    Ok(Finding::new(kept == all, seen))
}

pub(super) fn two_minutes(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    lives(lab, ground, Duration::from_secs(120))
}

pub(super) fn five_minutes(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    lives(lab, ground, Duration::from_secs(300))
}

/// How long mappings live is known; the packets of one span prove it.
fn lives(lab: &mut Lab<'_>, ground: &Ground, least: Duration) -> Found {
    let way = ground.udp();
    let unanswered = udp_lives(lab, way, false, least)?;
    lab.afresh()?;
    let answered = udp_lives(lab, way, true, least)?;
    let mut seen = alive(ground.udp_life);
    if ground.udp_life != ground.udp_unanswered {
        let span = ground.udp_unanswered.alive.as_secs();
        seen += &format!(", unanswered {span} s");
    }
    Ok(Finding::new(answered && unanswered, seen))
}

/// A lifetime in words.
pub(super) fn alive(life: Life) -> String {
    let alive = life.alive.as_secs();
    match life.gone {
        Some(_) => format!("lives {alive} s"),
        None => format!("lives {alive} s and longer"),
    }
}

pub(super) fn refresh(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let (way, life) = (ground.udp(), ground.udp_unanswered.alive);
    if life.is_zero() {
        return Ok(Finding::not_applicable(
            "a mapping lives too short to be refreshed",
        ));
    }
    let to = way.to(lab, Y1);
    let Some(external) = lab.mapped((X1, 5000), to)? else {
        return Ok(Finding::not_applicable(NOTHING_OUT));
    };
    // Five spans are longer than a mapping lives that nothing refreshes: the next time at which
    // one was found gone is three spans away at most.
    let step = life - EARLY;
    let mut due = lab.now();
    let mut same = true;
    for _ in 0..5 {
        due += step;
        lab.until(due - EARLY)?;
        same &= lab.mapped((X1, 5000), to)? == Some(external);
    }
    lab.until(due + step - EARLY)?;
    let reached = lab.reaches((Y1, way.port), external, X1)?;
    let span = lab.now().as_secs();
    Ok(if same && reached {
        Finding::new(
            true,
            format!("alive after {span} s of writing now and then"),
        )
    } else {
        Finding::new(false, "gone, though the host inside went on writing")
    })
}

pub(super) fn overlap(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    lab.afresh_as(Setting {
        private_outside: true,
        ..Setting::default()
    })?;
    let inside = lab.address(X1);
    let to = ground.udp().to(lab, W);
    let there = lab.udp((X1, 5000), to)?;
    let back = match &there {
        Some(arrival) => {
            let external = arrival.packet.source;
            lab.reaches((W, to.port), external, X1)?
        }
        None => false,
    };
    Ok(if back {
        let seen = format!("{inside} inside and {IN_PRIVATE} outside reach each other");
        Finding::new(true, seen)
    } else {
        let seen = format!("{inside} inside doesn't reach {IN_PRIVATE} outside");
        Finding::new(false, seen)
    })
}

pub(super) fn filtering(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    Ok(match filtering_of(lab, ground.udp(), (X1, 5000))? {
        None => Finding::not_applicable(NOTHING_OUT),
        Some(filtering) => Finding::new(
            filtering != Filtering::AddressAndPortDependent,
            filtered_how(filtering),
        ),
    })
}

/// A filtering behaviour in words.
pub(super) fn filtered_how(filtering: Filtering) -> &'static str {
    match filtering {
        Filtering::EndpointIndependent => "anybody gets in",
        Filtering::AddressDependent => "addresses that were written to get in, from any port",
        Filtering::AddressAndPortDependent => "only endpoints that were written to get in",
    }
}

/// What became of a packet from X2 to X1's external endpoint.
struct Turned {
    /// Where X1 saw it come from, if it did.
    source: Option<Endpoint>,
    sender: Endpoint,
}

/// X1 and X2 each have a mapping, and X1 has written to X2's external endpoint: no filter should
/// mind what X2 then writes to X1's.
fn hairpin(lab: &mut Lab<'_>, ground: &Ground) -> Result<Option<Turned>, CheckError> {
    let to = ground.udp().to(lab, Y1);
    let one = lab.mapped((X1, 5000), to)?;
    let other = lab.mapped((X2, 5001), to)?;
    let (Some(one), Some(other)) = (one, other) else {
        return Ok(None);
    };
    lab.udp((X1, 5000), other)?;
    let arrival = lab.udp((X2, 5001), one)?;
    let source = arrival.and_then(|it| (it.at == X1).then_some(it.packet.source));
    let sender = lab.endpoint(X2, 5001);
    Ok(Some(Turned { source, sender }))
}

pub(super) fn hairpinning(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    Ok(match hairpin(lab, ground)? {
        None => Finding::not_applicable(NOTHING_OUT),
        Some(turned) if turned.source.is_some() => {
            Finding::new(true, "one host reaches the other at its external endpoint")
        }
        Some(_) => Finding::new(false, "no host is reached at its external endpoint"),
    })
}

pub(super) fn hairpin_source(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    Ok(match hairpin(lab, ground)? {
        Some(Turned {
            source: Some(source),
            sender,
        }) => {
            let external = source.address != sender.address;
            let word = if external { "external" } else { "internal" };
            Finding::new(
                external,
                format!("from {source}, the sender's {word} endpoint"),
            )
        }
        _ => Finding::not_applicable("nothing is hairpinned"),
    })
}

/// An address as gateways look for it in payloads: as bytes, as STUN's MAPPED-ADDRESS has it, and
/// as text, as SIP has it.
pub(super) fn telling(address: Address, port: u16) -> Vec<u8> {
    let mut payload = b"\0\x01".to_vec();
    payload.extend(port.to_be_bytes());
    if let std::net::IpAddr::V4(v4) = address.into() {
        payload.extend(v4.octets());
    }
    payload.extend(format!("Contact: <sip:alice@{address}:{port}>").bytes());
    payload
}

pub(super) fn payload(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let to = ground.udp().to(lab, Y1);
    let told = telling(lab.address(X1), 5000);
    let packet = lab.packet((X1, 5000), to, Transport::Udp, &told);
    let Some(out) = lab.try_out(X1, packet)? else {
        return Ok(Finding::not_applicable(NOTHING_OUT));
    };
    let external = out.packet.source;
    let answer = telling(external.address, external.port);
    let packet = lab.packet((Y1, to.port), external, Transport::Udp, &answer);
    let back = lab.try_out(Y1, packet)?;
    let unchanged = out.packet.payload.bytes() == told
        && back.is_none_or(|back| back.packet.payload.bytes() == answer);
    Ok(Finding::new(unchanged, payload_how(unchanged)))
}

pub(super) fn payload_how(unchanged: bool) -> &'static str {
    if unchanged {
        "payloads arrive as they were sent"
    } else {
        "addresses in payloads are rewritten"
    }
}

pub(super) fn determinism(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let way = ground.udp();
    let rival = rival(lab, way, UDP)?;
    let class = |lab: &mut Lab<'_>, host, port| -> Result<_, CheckError> {
        let mapping = mapping_of(lab, way, (host, port))?;
        let filtering = filtering_of(lab, way, (host, port + 100))?;
        Ok((mapping, filtering))
    };
    let first = class(lab, X1, 7000)?;
    let (Some(mapping), Some(filtering)) = first else {
        return Ok(Finding::not_applicable(NOTHING_OUT));
    };
    let seen = format!("{mapping} with {filtering}");
    let changed = |now: (Option<Mapping>, Option<Filtering>), why: &str| match now {
        // Out of ports is not out of character.
        (None, _) | (_, None) => None,
        now if now == first => None,
        (Some(mapping), Some(filtering)) => Some(Finding::new(
            false,
            format!("{seen} at first, {mapping} with {filtering} {why}"),
        )),
    };
    // The same ports again, from another host.
    let conflict = class(lab, rival, 7000)?;
    if let Some(finding) = changed(conflict, "where another host has the port") {
        return Ok(finding);
    }
    // Some load, of which a small quota bears half.
    let to = way.to(lab, Y1);
    lab.in_bulk(|lab| {
        for port in 8000..8020 {
            lab.mapped((X1, port), to)?;
        }
        Ok(())
    })?;
    for (host, port) in [(X1, 7300), (rival, 7400)] {
        if let Some(finding) = changed(class(lab, host, port)?, "under load") {
            return Ok(finding);
        }
    }
    lab.until(Duration::from_secs(86_400))?;
    let later = class(lab, X1, 7000)?;
    if let Some(finding) = changed(later, "a day later") {
        return Ok(finding);
    }
    Ok(Finding::new(true, format!("always {seen}")))
}
