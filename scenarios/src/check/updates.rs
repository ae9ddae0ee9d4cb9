//! RFC 7857: what it adds to RFC 4787 and RFC 5382.

use std::time::Duration;

use pinhole::packet::{IcmpErrorKind, Packet, Protocol, TcpFlags, Transport};
use pinhole::{Endpoint, Filtering};

use super::ground::{EARLY, Ground, UDP, connect, rival};
use super::lab::{CLIENT, Host, Lab, SERVER, X1, X2, Y1, Y2, ack, syn};
use super::udp::NOTHING_OUT;
use super::{CheckError, Finding, Found, carrier, icmp};

const NO_CONNECTION: &str = "no connection can be made";

/// How far a session has got.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Opening,
    Open,
    Closed,
}

/// Whether a session that has got so far is alive so long after its last segment; `None` if it
/// can't be had.
fn lives(
    lab: &mut Lab<'_>,
    ground: &Ground,
    stage: Stage,
    span: Duration,
) -> Result<Option<bool>, CheckError> {
    lab.afresh()?;
    let to = ground.tcp().to(lab, Y1);
    let from = (X1, 5000);
    let external = match stage {
        Stage::Opening => lab.mapped_tcp(from, to)?,
        Stage::Open | Stage::Closed => connect(lab, from, to)?,
    };
    let Some(external) = external else {
        return Ok(None);
    };
    let (c, s) = (CLIENT + 1, SERVER + 1);
    let none = TcpFlags::default();
    if stage == Stage::Closed {
        lab.tcp(from, to, ack(c, s, TcpFlags::FIN), b"")?;
        let answer = ack(s, c + 1, TcpFlags::FIN);
        lab.tcp((Y1, to.port), external, answer, b"")?;
        lab.tcp(from, to, ack(c + 1, s + 1, none), b"")?;
    }
    let due = lab.now() + span;
    lab.until(due.saturating_sub(EARLY))?;
    let last = match stage {
        Stage::Opening => ack(SERVER, c, TcpFlags::SYN),
        Stage::Open => ack(s, c, TcpFlags::PSH),
        Stage::Closed => ack(s + 1, c + 1, none),
    };
    let arrival = lab.tcp((Y1, to.port), external, last, b"")?;
    Ok(Some(arrival.is_some_and(|it| it.at == X1)))
}

pub(super) fn tracking(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let span = ground.tcp_established.alive;
    let opening = lives(lab, ground, Stage::Opening, span)?;
    let closed = lives(lab, ground, Stage::Closed, span)?;
    let open = lives(lab, ground, Stage::Open, span)?;
    let (Some(opening), Some(closed), Some(open)) = (opening, closed, open) else {
        return Ok(Finding::not_applicable(NO_CONNECTION));
    };
    let word = |lives| if lives { "alive" } else { "gone" };
    let seen = format!(
        "after {} s: opening {}, closed {}, open {}",
        span.as_secs(),
        word(opening),
        word(closed),
        word(open)
    );
    Ok(Finding::new(open && !opening && !closed, seen))
}

/// How long a session that was reset lives on (RFC 7857 §2.2).
const AFTER_RESET: Duration = Duration::from_secs(240);

pub(super) fn reset(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let to = ground.tcp().to(lab, Y1);
    let (c, s) = (CLIENT + 1, SERVER + 1);
    let mut forgotten = Vec::new();
    for (from_inside, who) in [(true, "inside"), (false, "outside")] {
        lab.afresh()?;
        let Some(external) = connect(lab, (X1, 5000), to)? else {
            return Ok(Finding::not_applicable(NO_CONNECTION));
        };
        if from_inside {
            lab.tcp((X1, 5000), to, ack(c, s, TcpFlags::RST), b"")?;
        } else {
            lab.tcp((Y1, to.port), external, ack(s, c, TcpFlags::RST), b"")?;
        }
        let due = lab.now() + AFTER_RESET - 2 * EARLY;
        lab.until(due)?;
        let data = ack(s, c, TcpFlags::PSH);
        let arrival = lab.tcp((Y1, to.port), external, data, b"late")?;
        if arrival.is_none_or(|it| it.at != X1) {
            forgotten.push(who);
        }
    }
    Ok(if forgotten.is_empty() {
        Finding::new(true, "what follows a reset passes for 240 s")
    } else {
        let who = forgotten.join(" and from ");
        Finding::new(false, format!("gone within 240 s of a reset from {who}"))
    })
}

pub(super) fn pool_spent(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    Ok(match carrier::addresses_when_spent(lab, ground)? {
        None => Finding::not_applicable("no port was refused"),
        Some(1) => Finding::new(true, "refused, with all mappings at one address"),
        Some(more) => Finding::new(false, format!("mapped to {more} addresses before")),
    })
}

/// A SYN to the external endpoint of a UDP mapping: whether it comes in.
fn syn_through(
    lab: &mut Lab<'_>,
    from: (Host, u16),
    external: Endpoint,
) -> Result<bool, CheckError> {
    let arrival = lab.tcp(from, external, syn(SERVER), b"")?;
    Ok(arrival.is_some_and(|it| it.at == X1))
}

pub(super) fn mapping_per_protocol(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let to = ground.udp().to(lab, Y1);
    let Some(external) = lab.mapped((X1, 5000), to)? else {
        return Ok(Finding::not_applicable(NOTHING_OUT));
    };
    let came = syn_through(lab, (Y1, to.port), external)?;
    Ok(Finding::new(!came, protocols(came)))
}

fn protocols(mixed: bool) -> &'static str {
    if mixed {
        "a SYN comes in because of UDP"
    } else {
        "no SYN comes in because of UDP"
    }
}

pub(super) fn filter_per_protocol(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    if ground.filtering == Filtering::EndpointIndependent {
        return Ok(Finding::not_applicable("anybody gets in"));
    }
    let udp = ground.udp().to(lab, Y1);
    let tcp = ground.tcp().to(lab, Y2);
    let Some(external) = connect(lab, (X1, 5000), tcp)? else {
        return Ok(Finding::not_applicable(NO_CONNECTION));
    };
    lab.udp((X1, 5000), udp)?;
    let came = syn_through(lab, (Y1, udp.port), external)?;
    Ok(Finding::new(!came, protocols(came)))
}

/// Maps X1:5000, sends `disturb` now and then until the mapping's time is over, and looks whether
/// it is. Returns `None` if nothing gets out or no mapping ends.
fn outlives(
    lab: &mut Lab<'_>,
    ground: &Ground,
    disturb: impl Fn(&Lab<'_>, Endpoint, Endpoint) -> (Host, Packet),
) -> Result<Option<bool>, CheckError> {
    let Some(gone) = ground.udp_unanswered.gone else {
        return Ok(None);
    };
    let rival = rival(lab, ground.udp(), UDP)?;
    let to = ground.udp().to(lab, Y1);
    // Somebody else has the port that X1's mapping might get again if it were made anew.
    lab.mapped((rival, 5000), to)?;
    let Some(external) = lab.mapped((X1, 5000), to)? else {
        return Ok(None);
    };
    let begun = lab.now();
    for part in [3, 6, 9] {
        lab.until(begun + gone * part / 10)?;
        let (from, packet) = disturb(lab, external, to);
        lab.try_out(from, packet)?;
    }
    lab.until(begun + gone + EARLY)?;
    if lab.reaches((Y1, to.port), external, X1)? {
        return Ok(Some(true));
    }
    // The mapping may outlive what its filter remembers: then it is used again.
    let again = lab.mapped((X1, 5000), to)?;
    Ok(Some(external.port != 5000 && again == Some(external)))
}

fn on_time(outlives: Option<bool>) -> Finding {
    match outlives {
        None => Finding::not_applicable("no mapping ends"),
        Some(false) => Finding::new(true, "the mapping ends on time"),
        Some(true) => Finding::new(false, "the mapping lives longer than it should"),
    }
}

pub(super) fn refused_refreshes_nothing(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    if ground.filtering == Filtering::EndpointIndependent {
        return Ok(Finding::not_applicable("nothing is refused"));
    }
    let port = ground.udp().port;
    let outlives = outlives(lab, ground, |lab, external, _| {
        let packet = lab.packet((Y2, port), external, Transport::Udp, b"may I?");
        (Y2, packet)
    })?;
    Ok(on_time(outlives))
}

pub(super) fn errors_refresh_nothing(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let outlives = outlives(lab, ground, |lab, _, peer| {
        let internal = lab.endpoint(X1, 5000);
        let kind = IcmpErrorKind::PortUnreachable;
        let packet = icmp::error(lab, X1, kind, Protocol::Udp, (peer, internal));
        (X1, packet)
    })?;
    Ok(on_time(outlives))
}

/// Eight ports at random are never all so close to the one before.
const COUNTING: i32 = 8;

pub(super) fn randomisation(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let rival = rival(lab, ground.udp(), UDP)?;
    let to = ground.udp().to(lab, Y1);
    let mut ports: Vec<(i32, i32)> = Vec::new();
    for n in 0..8u16 {
        let port = 20_000 + 10 * n + n * n % 7;
        lab.mapped((X1, port), to)?;
        if let Some(external) = lab.mapped((rival, port), to)? {
            ports.push((i32::from(port), i32::from(external.port)));
        }
    }
    let Some(((first_port, first_external), others)) = ports.split_first() else {
        return Ok(Finding::not_applicable(NOTHING_OUT));
    };
    let offset = first_external - first_port;
    if others
        .iter()
        .all(|(port, external)| external - port == offset)
    {
        let seen = format!("a port that is taken becomes the one {offset} above");
        return Ok(Finding::new(false, seen));
    }
    let mut steps = ports.windows(2).map(|pair| pair[1].1 - pair[0].1);
    if steps.all(|step| step.abs() <= COUNTING) {
        let last = ports
            .last()
            .map_or(*first_external, |(_, external)| *external);
        let seen = format!("ports count: {first_external} to {last} for eight mappings");
        return Ok(Finding::new(false, seen));
    }
    Ok(Finding::new(
        true,
        "ports that were taken become any others",
    ))
}

pub(super) fn icmp_hairpin(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let to = ground.udp().to(lab, Y1);
    let one = lab.mapped((X1, 5000), to)?;
    let other = lab.mapped((X2, 5001), to)?;
    let (Some(one), Some(other)) = (one, other) else {
        return Ok(Finding::not_applicable(NOTHING_OUT));
    };
    lab.udp((X1, 5000), other)?;
    let arrival = lab.udp((X2, 5001), one)?.filter(|it| it.at == X1);
    let Some(arrival) = arrival else {
        return Ok(Finding::new(false, "nothing is hairpinned"));
    };
    let about = (arrival.packet.source, lab.endpoint(X1, 5000));
    let unreachable = IcmpErrorKind::PortUnreachable;
    let packet = icmp::error(lab, X1, unreachable, Protocol::Udp, about);
    let came = lab.try_out(X1, packet)?.is_some_and(|it| it.at == X2);
    let seen = if came {
        "an error about a hairpinned packet reaches its sender"
    } else {
        "an error about a hairpinned packet is lost"
    };
    Ok(Finding::new(came, seen))
}
