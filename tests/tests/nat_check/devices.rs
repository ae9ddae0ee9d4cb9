//! Devices whose faults no configuration of a NAT has.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pinhole::middlebox::{Middlebox, Surroundings, Verdict};
use pinhole::packet::{Packet, Payload, TcpFlags, TcpSegment, Transport};
use pinhole::trace::DropReason;
use pinhole::{Endpoint, Prefix, Time};

pub(super) fn is_own(endpoint: Endpoint) -> bool {
    let own: Prefix = "203.0.113.0/24".parse().expect("a prefix");
    own.contains(endpoint.address)
}

pub(super) fn is_error(packet: &Packet) -> bool {
    matches!(packet.transport, Transport::IcmpError(_))
}

pub(super) fn flags(packet: &Packet) -> TcpFlags {
    match &packet.transport {
        Transport::Tcp(segment) => segment.flags,
        _ => TcpFlags::default(),
    }
}

/// Shuts the way in five minutes after an endpoint's first packet, however many follow.
#[derive(Default)]
pub(super) struct Mayfly {
    born: BTreeMap<Endpoint, (Time, Time)>,
}

/// Longer than any experiment waits that writes only once.
const LIFE: Duration = Duration::from_secs(302);

impl Middlebox for Mayfly {
    fn outbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        if packet.transport == Transport::Udp {
            let now = around.now;
            let (first, last) = self.born.entry(packet.source).or_insert((now, now));
            if now.saturating_since(*last) > LIFE {
                *first = now;
            }
            *last = now;
        }
        Verdict::PASS
    }

    fn inbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        let born = self.born.get(&packet.destination);
        match born {
            Some((first, _))
                if packet.transport == Transport::Udp
                    && around.now.saturating_since(*first) > LIFE =>
            {
                Verdict::Drop(DropReason::Custom {
                    node: around.node,
                    why: "its day is over",
                })
            }
            _ => Verdict::PASS,
        }
    }
}

/// Looks for addresses in what TCP carries.
pub(super) struct Meddler;

impl Middlebox for Meddler {
    fn outbound(&mut self, packet: &mut Packet, _: &mut Surroundings<'_>) -> Verdict {
        if let (Transport::Tcp(_), Payload::Bytes(bytes)) = (&packet.transport, &mut packet.payload)
        {
            for place in 0..bytes.len().saturating_sub(8) {
                if bytes[place..].starts_with(b"192.168.") {
                    bytes[place..place + 8].copy_from_slice(b"203.0.113"[..8].as_ref());
                }
            }
        }
        Verdict::PASS
    }

    fn inbound(&mut self, _: &mut Packet, _: &mut Surroundings<'_>) -> Verdict {
        Verdict::PASS
    }
}

/// Lets nothing more pass between two endpoints of which one has sent a reset.
#[derive(Default)]
pub(super) struct Undertaker {
    dead: BTreeSet<(Endpoint, Endpoint)>,
}

impl Undertaker {
    fn judge(
        &mut self,
        pair: (Endpoint, Endpoint),
        packet: &Packet,
        around: &Surroundings<'_>,
    ) -> Verdict {
        if self.dead.contains(&pair) {
            return Verdict::Drop(DropReason::Custom {
                node: around.node,
                why: "reset",
            });
        }
        if flags(packet).contains(TcpFlags::RST) {
            self.dead.insert(pair);
        }
        Verdict::PASS
    }
}

impl Middlebox for Undertaker {
    fn outbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        self.judge((packet.source, packet.destination), packet, around)
    }

    fn inbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        self.judge((packet.destination, packet.source), packet, around)
    }
}

/// What a SYN looks like that is passed off as UDP.
const DISGUISE: &[u8] = b"a SYN in disguise";

/// On the outside of a NAT: passes a SYN off as UDP where UDP has gone out.
#[derive(Default)]
pub(super) struct Blind {
    gone: BTreeSet<(Endpoint, Endpoint)>,
}

impl Middlebox for Blind {
    fn outbound(&mut self, packet: &mut Packet, _: &mut Surroundings<'_>) -> Verdict {
        if packet.transport == Transport::Udp {
            self.gone.insert((packet.source, packet.destination));
        }
        Verdict::PASS
    }

    fn inbound(&mut self, packet: &mut Packet, _: &mut Surroundings<'_>) -> Verdict {
        let pair = (packet.destination, packet.source);
        if flags(packet) == TcpFlags::SYN && self.gone.contains(&pair) {
            packet.transport = Transport::Udp;
            packet.payload = Payload::Bytes(DISGUISE.to_vec());
        }
        Verdict::PASS
    }
}

/// On its inside: takes the disguise off.
#[derive(Default)]
pub(super) struct Seeing;

impl Middlebox for Seeing {
    fn outbound(&mut self, _: &mut Packet, _: &mut Surroundings<'_>) -> Verdict {
        Verdict::PASS
    }

    fn inbound(&mut self, packet: &mut Packet, _: &mut Surroundings<'_>) -> Verdict {
        if packet.payload.bytes() == DISGUISE {
            packet.transport = Transport::Tcp(TcpSegment {
                flags: TcpFlags::SYN,
                ..TcpSegment::default()
            });
            packet.payload = Payload::default();
        }
        Verdict::PASS
    }
}

/// Makes of every error from inside a datagram of the socket that the error is about.
pub(super) struct Refresher;

impl Middlebox for Refresher {
    fn outbound(&mut self, packet: &mut Packet, _: &mut Surroundings<'_>) -> Verdict {
        if let Transport::IcmpError(error) = &packet.transport
            && !is_own(packet.destination)
        {
            (packet.source, packet.destination) = (error.quoted_destination, error.quoted_source);
            packet.transport = Transport::Udp;
        }
        Verdict::PASS
    }

    fn inbound(&mut self, _: &mut Packet, _: &mut Surroundings<'_>) -> Verdict {
        Verdict::PASS
    }
}
