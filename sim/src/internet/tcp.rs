//! TCP's part of the way of a packet: from a segment that reaches a host to what programs are told,
//! and from what they ask to segments that set out. The protocol itself is in
//! [`host`](crate::host).

use super::{Internet, Node, What};
use crate::engine::{BudgetExceeded, Entity, Rank};
use crate::host::tcp::{Happening, Incoming, Place, Wire};
use crate::host::{Input, TcpEvent};
use crate::id::NodeId;
use crate::packet::{IcmpError, Packet, Payload, Slot, TcpFlags, TcpSegment, Transport};
use crate::trace::{Cause, DropReason, Fate};

/// How many bytes a program is given at a time.
const PIECE: usize = 64 * 1024;

impl Internet {
    /// A segment has reached a host.
    pub(super) fn deliver_segment(&mut self, node: NodeId, slot: Slot, segment: TcpSegment) {
        let packet = self.arena.get(slot);
        let (remote, local) = (packet.source, packet.destination);
        if let Some(why) = contradiction(packet, &segment) {
            return self.drop(slot, DropReason::Malformed { node, why });
        }
        let now = self.now;
        let host = self.host(node);
        let mtu = host.tcp_mtu(local.address);
        let incoming = match host.tcp() {
            Some(tcp) => tcp.find(local, remote, &segment, mtu, now),
            None if segment.is_opening() => Incoming::Refused,
            None => Incoming::Stray,
        };
        match incoming {
            Incoming::Connection(place) => self.take_in(node, place, slot, &segment),
            Incoming::BacklogFull { limit } => {
                let reason = DropReason::TableFull {
                    node,
                    internal: local,
                    limit,
                };
                self.drop(slot, reason);
            }
            Incoming::Refused => {
                let reason = DropReason::ConnectionRefused {
                    host: node,
                    endpoint: local,
                };
                self.reset(node, slot, &segment, reason);
            }
            Incoming::Stray => {
                let reason = DropReason::OutOfState {
                    node,
                    internal: local,
                    remote,
                };
                if segment.flags.contains(TcpFlags::RST) {
                    self.drop(slot, reason);
                } else {
                    self.reset(node, slot, &segment, reason);
                }
            }
        }
    }

    /// A connection takes a segment.
    fn take_in(&mut self, node: NodeId, place: Place, slot: Slot, segment: &TcpSegment) {
        let now = self.now;
        let packet = self.arena.get_mut(slot);
        let ends = (packet.destination, packet.source);
        let data = packet.payload.bytes();
        let length = data.len();
        if !self.tcp_buffers.receive(segment, data) {
            let why = "a TCP segment longer than an IPv4 packet can be";
            return self.drop(slot, DropReason::Malformed { node, why });
        }
        let Node::Host(host) = &mut self.nodes[node.index()] else {
            unreachable!("only hosts have connections")
        };
        let tcp = host.tcp().expect("it has this connection");
        let mut wire = Wire {
            buffers: &mut self.tcp_buffers,
            arena: &mut self.arena,
            outbox: &mut self.outbox,
            node,
            ends,
            arrived: true,
        };
        tcp.receive(place, now, segment, length, &mut wire);
        if tcp.mark(place) {
            self.tcp_busy.push((node, place));
        }
        self.end(slot, Fate::Delivered { host: node });
        self.launch_outbox();
        self.settle_tcp();
    }

    /// ICMP reports something about a segment that this host has sent.
    pub(super) fn deliver_tcp_error(&mut self, node: NodeId, slot: Slot, error: IcmpError) {
        let now = self.now;
        let (local, remote) = (error.quoted_source, error.quoted_destination);
        let tcp = self.host(node).tcp();
        let known = tcp.and_then(|tcp| {
            let place = tcp.report(local, remote, error.kind, now)?;
            Some((place, tcp.mark(place)))
        });
        let Some((place, marked)) = known else {
            let why = "an ICMP error about a connection that isn't there";
            return self.drop(slot, DropReason::Rejected { host: node, why });
        };
        if marked {
            self.tcp_busy.push((node, place));
        }
        self.end(slot, Fate::Delivered { host: node });
        self.settle_tcp();
    }

    /// A segment ends here, and its sender is told by a reset (RFC 9293 §3.10.7.1).
    fn reset(&mut self, node: NodeId, slot: Slot, segment: &TcpSegment, reason: DropReason) {
        let packet = self.arena.get(slot);
        let (source, destination) = (packet.source, packet.destination);
        let length = packet.payload.len() as u32
            + u32::from(segment.flags.contains(TcpFlags::SYN))
            + u32::from(segment.flags.contains(TcpFlags::FIN));
        self.drop(slot, reason);
        let answer = if segment.flags.contains(TcpFlags::ACK) {
            TcpSegment {
                sequence: segment.acknowledgment,
                flags: TcpFlags::RST,
                ..TcpSegment::default()
            }
        } else {
            TcpSegment {
                acknowledgment: segment.sequence.wrapping_add(length),
                flags: TcpFlags::RST | TcpFlags::ACK,
                ..TcpSegment::default()
            }
        };
        let transport = Transport::Tcp(answer);
        let packet = Packet::new(destination, source, transport, Payload::default(), node);
        let answer = self.arena.insert(packet);
        self.launch(answer, Cause::Sent);
    }

    /// The moment has come for which a connection waited.
    pub(super) fn wake_tcp(&mut self, node: NodeId, place: Place) {
        let now = self.now;
        let tcp = self.host(node).tcp().expect("it has set an alarm");
        if tcp.rings(place, now) && tcp.mark(place) {
            self.tcp_busy.push((node, place));
            self.settle_tcp();
        }
    }

    /// Everything that connections have to do is done: programs are told, and what they answer
    /// leaves with the acknowledgments.
    pub(super) fn settle_tcp(&mut self) {
        if self.tcp_busy.is_empty() {
            return;
        }
        let mut data = std::mem::take(&mut self.tcp_data);
        data.resize(PIECE, 0);
        let mut done = 0;
        while let Some((node, place)) = self.tcp_busy.get(done).copied() {
            done += 1;
            self.tell_stream(node, place, &mut data);
            self.transmit_tcp(node, place);
            self.tell_stream(node, place, &mut data);
            self.set_tcp_alarm(node, place);
            // A program that opens and closes without end must not go on at one moment forever.
            if done > 1 {
                self.events += 1;
            }
            if self.events > self.budget.events {
                let (limit, at) = (self.budget.events, self.now);
                self.exceeded
                    .get_or_insert(BudgetExceeded::Events { limit, at });
                break;
            }
        }
        self.tcp_busy.clear();
        self.tcp_data = data;
    }

    /// Tells a program what has happened to a connection.
    fn tell_stream(&mut self, node: NodeId, place: Place, data: &mut [u8]) {
        let now = self.now;
        loop {
            let tcp = self.host(node).tcp().expect("it has connections");
            let Some((owner, stream, happening)) = tcp.happening(place, data) else {
                return;
            };
            let ends = tcp.ends(place);
            let ends = ends.map(|(local, remote)| (local.into(), remote.into()));
            let (local, remote) = ends.expect("something happened to it, so it is there");
            let event = match happening {
                Happening::Accepted => TcpEvent::Accepted { local, remote },
                Happening::Connected => TcpEvent::Connected { local, remote },
                Happening::Data(length) => TcpEvent::Data(&data[..length]),
                Happening::Writable => TcpEvent::Writable,
                Happening::PeerClosed => TcpEvent::PeerClosed,
                Happening::Ended(end) => TcpEvent::Ended(end),
            };
            let input = Input::Tcp { stream, event };
            self.with_program(owner, |program, io| program.handle_input(now, input, io));
            self.do_what_was_asked(owner);
        }
    }

    fn transmit_tcp(&mut self, node: NodeId, place: Place) {
        let Node::Host(host) = &mut self.nodes[node.index()] else {
            unreachable!("only hosts have connections")
        };
        let tcp = host.tcp().expect("it has connections");
        let ends = tcp.ends(place).expect("only its alarm clears it away");
        let mut wire = Wire {
            buffers: &mut self.tcp_buffers,
            arena: &mut self.arena,
            outbox: &mut self.outbox,
            node,
            ends,
            arrived: false,
        };
        tcp.transmit(place, self.now, &mut wire);
        self.launch_outbox();
    }

    fn set_tcp_alarm(&mut self, node: NodeId, place: Place) {
        let now = self.now;
        let tcp = self.host(node).tcp().expect("it has connections");
        if let Some(time) = tcp.alarm(place, now) {
            tcp.counter += 1;
            let rank = Rank::new(time, Entity::tcp(node.index()), tcp.counter);
            self.queue.push(rank, What::WakeTcp(node, place));
        }
    }
}

/// What is wrong with a segment that no TCP sends.
fn contradiction(packet: &Packet, segment: &TcpSegment) -> Option<&'static str> {
    let has = |flag| segment.flags.contains(flag);
    if packet.source.port == 0 || packet.destination.port == 0 {
        Some("TCP has no port 0")
    } else if has(TcpFlags::SYN) && has(TcpFlags::FIN) {
        Some("SYN and FIN in one segment")
    } else if has(TcpFlags::SYN) && has(TcpFlags::RST) {
        Some("SYN and RST in one segment")
    } else if has(TcpFlags::FIN) && has(TcpFlags::RST) {
        Some("FIN and RST in one segment")
    } else if !has(TcpFlags::SYN) && !has(TcpFlags::RST) && !has(TcpFlags::ACK) {
        Some("a TCP segment without SYN, RST or ACK")
    } else {
        None
    }
}
