//! What has to be known before a requirement can be asked about: which remote ports a device lets
//! packets out to, whether it translates them, and how long what it remembers lives.

use std::time::Duration;

use pinhole::packet::TcpFlags;
use pinhole::{Endpoint, Filtering};

use super::lab::{CLIENT, Host, Lab, SERVER, Setting, X1, X2, Y1, Y2, ack, syn};
use super::{CheckError, Subject};

/// Remote ports to try, the most harmless first: what a firewall lets out is among the others.
const PORTS: [u16; 6] = [1000, 1001, 443, 80, 53, 123];

/// How a device treats one protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Way {
    /// A remote port that packets get out to.
    pub(super) port: u16,
    /// Another one, if there is one.
    pub(super) other_port: Option<u16>,
    /// Whether the source is translated.
    pub(super) translated: bool,
}

/// How long something lives: it was alive after the one time, and gone after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Life {
    pub(super) alive: Duration,
    pub(super) gone: Option<Duration>,
}

/// What is known of a device.
pub(super) struct Ground {
    /// Whether the hosts inside have IPv4 addresses, of which all this is about.
    pub(super) ipv4: bool,
    pub(super) udp: Option<Way>,
    pub(super) tcp: Option<Way>,
    pub(super) subscribers: bool,
    pub(super) not_translated: bool,
    /// UDP mappings that were answered, and those that weren't.
    pub(super) udp_life: Life,
    pub(super) udp_unanswered: Life,
    /// TCP connections of which only the first SYN was seen, and open ones.
    pub(super) tcp_opening: Life,
    pub(super) tcp_established: Life,
    /// How UDP is filtered at first sight.
    pub(super) filtering: Filtering,
}

impl Ground {
    /// Y1's and Y2's endpoints for UDP, and Y1's second one.
    pub(super) fn udp(&self) -> Way {
        self.udp.unwrap_or(NOWHERE)
    }

    pub(super) fn tcp(&self) -> Way {
        self.tcp.unwrap_or(NOWHERE)
    }
}

/// What no experiment is done with.
const NOWHERE: Way = Way {
    port: PORTS[0],
    other_port: None,
    translated: false,
};

impl Way {
    /// Where packets from inside are sent.
    pub(super) fn to(&self, lab: &Lab<'_>, host: Host) -> Endpoint {
        lab.endpoint(host, self.port)
    }

    /// A port of a host outside that nothing was sent to, from which a stranger may write.
    pub(super) fn strange_port(&self) -> u16 {
        self.other_port.unwrap_or(self.port + 1)
    }
}

/// Times after which it is looked whether something still lives.
const UDP_STEPS: [u64; 5] = [10, 60, 300, 900, 3_600];
const TCP_STEPS: [u64; 5] = [10, 60, 300, 1_800, 7_440];

/// It is looked this much earlier, for packets take their time.
pub(super) const EARLY: Duration = Duration::from_millis(500);

pub(super) fn explore(lab: &mut Lab<'_>, subject: &Subject) -> Result<Ground, CheckError> {
    let udp = way(lab, UDP)?;
    lab.afresh()?;
    let tcp = way(lab, TCP)?;
    let mut ground = Ground {
        ipv4: lab.address(X1).is_ipv4(),
        udp,
        tcp,
        subscribers: subject.has_subscribers(),
        not_translated: subject.not_translated().is_some(),
        udp_life: NEVER,
        udp_unanswered: NEVER,
        tcp_opening: NEVER,
        tcp_established: NEVER,
        filtering: Filtering::EndpointIndependent,
    };
    if let Some(way) = udp {
        ground.udp_unanswered = life(lab, &UDP_STEPS, |lab, span| {
            udp_lives(lab, way, false, span)
        })?;
        ground.udp_life = life(lab, &UDP_STEPS, |lab, span| udp_lives(lab, way, true, span))?;
        lab.afresh()?;
        ground.filtering = udp_filtering(lab, way, 5000)?.unwrap_or(ground.filtering);
    }
    if let Some(way) = tcp {
        ground.tcp_opening = life(lab, &TCP_STEPS, |lab, span| {
            tcp_lives(lab, way, false, span)
        })?;
        ground.tcp_established =
            life(lab, &TCP_STEPS, |lab, span| tcp_lives(lab, way, true, span))?;
    }
    Ok(ground)
}

const NEVER: Life = Life {
    alive: Duration::ZERO,
    gone: None,
};

fn way(lab: &mut Lab<'_>, out: Out) -> Result<Option<Way>, CheckError> {
    let mut open = Vec::new();
    for (n, port) in (0..).zip(PORTS) {
        let to = lab.endpoint(Y1, port);
        if let Some(source) = out(lab, (X1, 5000 + n), to)? {
            open.push((port, source.address != lab.address(X1)));
        }
    }
    Ok(open.first().map(|(port, translated)| Way {
        port: *port,
        other_port: open.get(1).map(|(port, _)| *port),
        translated: *translated,
    }))
}

/// Finds out how long something lives, to the second: by the steps first, and then by halves.
fn life(
    lab: &mut Lab<'_>,
    steps: &[u64],
    lives: impl Fn(&mut Lab<'_>, Duration) -> Result<bool, CheckError>,
) -> Result<Life, CheckError> {
    let second = Duration::from_secs(1);
    let mut life = NEVER;
    for step in steps {
        let step = Duration::from_secs(*step);
        lab.afresh()?;
        if !lives(lab, step)? {
            life.gone = Some(step);
            break;
        }
        life.alive = step;
    }
    while let Some(gone) = life.gone
        && gone - life.alive > second
    {
        let middle = Duration::from_secs((gone + life.alive).as_secs() / 2);
        lab.afresh()?;
        if lives(lab, middle)? {
            life.alive = middle;
        } else {
            life.gone = Some(middle);
        }
    }
    Ok(life)
}

/// Whether a UDP mapping is alive so long after its last packet.
pub(super) fn udp_lives(
    lab: &mut Lab<'_>,
    way: Way,
    answered: bool,
    span: Duration,
) -> Result<bool, CheckError> {
    let to = way.to(lab, Y1);
    let Some(external) = lab.mapped((X1, 5000), to)? else {
        return Ok(false);
    };
    if answered {
        lab.udp((Y1, way.port), external)?;
        // An answer need not refresh it; this does.
        lab.udp((X1, 5000), to)?;
    }
    let due = lab.now() + span;
    lab.until(due.saturating_sub(EARLY))?;
    lab.reaches((Y1, way.port), external, X1)
}

/// Whether a TCP session is alive so long after its last segment.
pub(super) fn tcp_lives(
    lab: &mut Lab<'_>,
    way: Way,
    established: bool,
    span: Duration,
) -> Result<bool, CheckError> {
    let to = way.to(lab, Y1);
    let external = if established {
        connect(lab, (X1, 5000), to)?
    } else {
        lab.mapped_tcp((X1, 5000), to)?
    };
    let Some(external) = external else {
        return Ok(false);
    };
    let due = lab.now() + span;
    lab.until(due.saturating_sub(EARLY))?;
    let (segment, payload): (_, &[u8]) = if established {
        (ack(SERVER + 1, CLIENT + 1, TcpFlags::PSH), b"data")
    } else {
        (ack(SERVER, CLIENT + 1, TcpFlags::SYN), b"")
    };
    let came = lab.tcp((Y1, way.port), external, segment, payload)?;
    Ok(came.is_some_and(|came| came.at == X1))
}

/// The first packet of a protocol: returns the external endpoint that it comes from, if it gets out.
pub(super) type Out =
    fn(&mut Lab<'_>, (Host, u16), Endpoint) -> Result<Option<Endpoint>, CheckError>;

/// A UDP datagram out.
pub(super) const UDP: Out = |lab, from, to| lab.mapped(from, to);
/// A SYN out.
pub(super) const TCP: Out = |lab, from, to| lab.mapped_tcp(from, to);

/// Hosts among which one with X1's external address is looked for.
const RIVALS: usize = 7;

/// Begins anew with more hosts inside, and returns one that has the same external address as X1: of
/// all others none can take a port away from it. X2 if there is none.
pub(super) fn rival(lab: &mut Lab<'_>, way: Way, out: Out) -> Result<Host, CheckError> {
    lab.afresh_as(Setting {
        more_inside: RIVALS - 2,
        ..Setting::default()
    })?;
    let to = way.to(lab, Y1);
    let mine = out(lab, (X1, 4000), to)?;
    for (n, host) in lab.hosts_inside().enumerate().skip(1) {
        let its = out(lab, (host, 4000 + n as u16), to)?;
        if mine.map(|it| it.address) == its.map(|it| it.address) {
            return Ok(host);
        }
    }
    Ok(X2)
}

/// Opens a TCP connection; returns its external endpoint, or `None` if a segment didn't get through.
pub(super) fn connect(
    lab: &mut Lab<'_>,
    from: (Host, u16),
    to: Endpoint,
) -> Result<Option<Endpoint>, CheckError> {
    let Some(first) = lab.tcp(from, to, syn(CLIENT), b"")? else {
        return Ok(None);
    };
    let (peer, external) = (first.at, first.packet.source);
    let answer = ack(SERVER, CLIENT + 1, TcpFlags::SYN);
    if lab.tcp((peer, to.port), external, answer, b"")?.is_none() {
        return Ok(None);
    }
    let last = ack(CLIENT + 1, SERVER + 1, TcpFlags::default());
    Ok(lab.tcp(from, to, last, b"")?.map(|_| external))
}

/// How a device filters what comes to a socket of X1's that has written to Y1 only; `None` if
/// nothing gets out.
pub(super) fn udp_filtering(
    lab: &mut Lab<'_>,
    way: Way,
    port: u16,
) -> Result<Option<Filtering>, CheckError> {
    filtering_of(lab, way, (X1, port))
}

pub(super) fn filtering_of(
    lab: &mut Lab<'_>,
    way: Way,
    from: (Host, u16),
) -> Result<Option<Filtering>, CheckError> {
    let to = way.to(lab, Y1);
    let Some(external) = lab.mapped(from, to)? else {
        return Ok(None);
    };
    Ok(Some(if lab.reaches((Y2, way.port), external, from.0)? {
        Filtering::EndpointIndependent
    } else if lab.reaches((Y1, way.strange_port()), external, from.0)? {
        Filtering::AddressDependent
    } else {
        Filtering::AddressAndPortDependent
    }))
}
