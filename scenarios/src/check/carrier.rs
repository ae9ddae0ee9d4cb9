//! RFC 6888: NATs that serve subscribers.

use std::collections::BTreeSet;
use std::time::Duration;

use pinhole::packet::{IcmpErrorKind, Transport};
use pinhole::{Endpoint, Filtering};

use super::ground::{Ground, Way, filtering_of};
use super::lab::{Host, Lab, Setting, W, X1, X2, Y1};
use super::udp::{NOTHING_OUT, filtered_how};
use super::{CheckError, Finding, Found};

/// The most mappings that a subscriber asks for before he believes that there is no quota.
const MOST: usize = 4200;
/// Asked for at a time.
const CHUNK: usize = 100;
/// The port of the first of them.
const FIRST: u16 = 2000;

/// What came of a host's asking for more and more mappings.
pub(super) struct Spent {
    /// The external endpoints that it got, by its own ports.
    pub(super) got: Vec<(u16, Endpoint)>,
    /// The first port of its own that got none.
    pub(super) refused: Option<u16>,
    /// Whether it was told, as RFC 6888 REQ-11 has it.
    pub(super) told: bool,
}

/// Has a host send to Y1 from port after port, until it is refused or has asked so often.
pub(super) fn spend(
    lab: &mut Lab<'_>,
    way: Way,
    host: Host,
    most: usize,
) -> Result<Spent, CheckError> {
    lab.in_bulk(|lab| {
        let to = way.to(lab, Y1);
        let mut spent = Spent {
            got: Vec::new(),
            refused: None,
            told: false,
        };
        let mut asked = 0;
        while asked < most && spent.refused.is_none() {
            let chunk = CHUNK.min(most - asked);
            let ports = (FIRST + asked as u16)..(FIRST + (asked + chunk) as u16);
            asked += chunk;
            let mut sent = Vec::new();
            for port in ports {
                let packet = lab.packet((host, port), to, Transport::Udp, b"one more");
                sent.push((lab.send(host, packet), port));
            }
            let heard = lab.settle()?;
            for (place, port) in sent {
                let mine = heard.iter().find(|it| it.packet.id.index() == place);
                match mine {
                    Some(arrival) => spent.got.push((port, arrival.packet.source)),
                    None => spent.refused = spent.refused.or(Some(port)),
                }
            }
            spent.told |= heard.iter().any(|it| {
                let Transport::IcmpError(error) = &it.packet.transport else {
                    return false;
                };
                it.at == host && error.kind == IcmpErrorKind::HostUnreachable
            });
        }
        Ok(spent)
    })
}

const NO_QUOTA: &str = "nothing was refused";

pub(super) fn quota(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let way = ground.udp();
    let spent = spend(lab, way, X1, MOST)?;
    let got = spent.got.len();
    if spent.refused.is_none() {
        let seen = format!("one host gets {got} mappings and more");
        return Ok(Finding::new(false, seen));
    }
    let to = way.to(lab, Y1);
    let other = lab.mapped((X2, 5000), to)?.is_some();
    let seen = if other {
        format!("one host gets {got} mappings, and the next is served")
    } else {
        format!("after {got} mappings of one host nobody gets any")
    };
    Ok(Finding::new(other, seen))
}

/// Subscribers that together ask for more than a limited table holds.
const SUBSCRIBERS: usize = 20;

pub(super) fn state(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    lab.afresh_as(Setting {
        more_inside: SUBSCRIBERS - 2,
        ..Setting::default()
    })?;
    let way = ground.udp();
    let quota = spend(lab, way, X1, MOST)?.got.len();
    let mut total = quota;
    let subscribers: Vec<Host> = lab.hosts_inside().collect();
    for host in subscribers.iter().skip(1).copied() {
        let got = spend(lab, way, host, quota)?.got.len();
        total += got;
        if got < quota {
            let seen = format!("refused after {total} mappings of all, {got} of the last host");
            return Ok(Finding::new(true, seen));
        }
    }
    let seen = format!(
        "{} hosts get {total} mappings, each its quota",
        subscribers.len()
    );
    Ok(Finding::new(false, seen))
}

pub(super) fn exempt(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    if !ground.not_translated {
        return Ok(Finding::new(false, "no destination is exempt"));
    }
    let internal = lab.endpoint(X1, 5000);
    let to = ground.udp().to(lab, W);
    Ok(match lab.mapped((X1, 5000), to)? {
        None => Finding::new(false, "an exempt destination isn't reached"),
        Some(source) if source == internal => {
            Finding::new(true, format!("{} sees {source}", to.address))
        }
        Some(source) => Finding::new(false, format!("{} sees {source} all the same", to.address)),
    })
}

pub(super) fn transparent(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    Ok(match filtering_of(lab, ground.udp(), (X1, 5000))? {
        None => Finding::not_applicable(NOTHING_OUT),
        Some(filtering) => Finding::new(
            filtering == Filtering::EndpointIndependent,
            filtered_how(filtering),
        ),
    })
}

pub(super) fn rest(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let Some(gone) = ground.udp_unanswered.gone else {
        return Ok(Finding::not_applicable("no port is ever freed"));
    };
    let way = ground.udp();
    let spent = spend(lab, way, X1, MOST)?;
    let used: BTreeSet<Endpoint> = spent.got.iter().map(|(_, external)| *external).collect();
    if used.is_empty() {
        return Ok(Finding::not_applicable(NOTHING_OUT));
    }
    // All are gone by then, and the first rests for not yet half of its time.
    lab.wait(gone + Duration::from_secs(10))?;
    // The same ports, and then others: whoever keeps ports and whoever picks any is found out.
    let again = spend(lab, way, X1, spent.got.len().min(MOST / 2))?;
    let earlier = again.got.iter().filter(|(_, it)| used.contains(it)).count();
    Ok(if earlier > 0 {
        Finding::new(false, format!("{earlier} ports are used again after 10 s"))
    } else {
        Finding::new(true, "no freed port is used again after 10 s")
    })
}

pub(super) fn exhaustion(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let way = ground.udp();
    let spent = spend(lab, way, X1, MOST)?;
    if spent.refused.is_none() {
        return Ok(Finding::not_applicable(NO_QUOTA));
    }
    // Somebody else's wishes are no reason either.
    let to = way.to(lab, Y1);
    for port in 5000..5005 {
        lab.mapped((X2, port), to)?;
    }
    let (mut alive, mut asked) = (0, 0);
    let ends = [spent.got.first(), spent.got.last()];
    for (port, external) in ends.into_iter().flatten() {
        asked += 1;
        let arrival = lab.udp((Y1, way.port), *external)?;
        let there = lab.endpoint(X1, *port);
        alive += u32::from(arrival.is_some_and(|it| it.packet.destination == there));
    }
    Ok(if alive == asked {
        Finding::new(true, "refused, and the first and the last mapping work")
    } else {
        Finding::new(false, "a mapping ends to make room for another")
    })
}

pub(super) fn exhaustion_told(lab: &mut Lab<'_>, ground: &Ground) -> Found {
    let spent = spend(lab, ground.udp(), X1, MOST)?;
    Ok(match (spent.refused, spent.told) {
        (None, _) => Finding::not_applicable(NO_QUOTA),
        (Some(_), true) => Finding::new(true, "the host is told by ICMP"),
        (Some(_), false) => Finding::new(false, "refused in silence"),
    })
}

/// The external addresses of all the mappings that a host got before it was refused; `None` if it
/// never was.
pub(super) fn addresses_when_spent(
    lab: &mut Lab<'_>,
    ground: &Ground,
) -> Result<Option<usize>, CheckError> {
    let spent = spend(lab, ground.udp(), X1, MOST)?;
    let addresses: BTreeSet<_> = spent.got.iter().map(|(_, it)| it.address).collect();
    Ok(spent.refused.map(|_| addresses.len()))
}
