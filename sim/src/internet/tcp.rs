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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::Endpoint;
    use crate::host::TcpSettings;
    use crate::link::Link;
    use crate::packet::{IcmpErrorKind, Protocol, TcpOptions};
    use crate::topology::Topology;

    /// Two hosts; b listens, a is connected to it and sends, and each has anything sent to the
    /// other.
    struct Attacked {
        net: Internet,
        hosts: [NodeId; 2],
    }

    const PORT: u16 = 80;
    const BACKLOG: u32 = 8;

    fn end(side: usize, port: u16) -> Endpoint {
        Endpoint::new(crate::Address::v4(192, 0, 2, side as u8 + 1), port)
    }

    impl Attacked {
        fn new() -> Self {
            let mut plan = Topology::new();
            let hosts = [plan.host("a"), plan.host("b")];
            let link = Link::with_delay(Duration::from_millis(1));
            plan.cable(
                (hosts[0], end(0, 0).address),
                (hosts[1], end(1, 0).address),
                link,
            );
            let mut net = plan.build(1).unwrap();
            net.attach_fn(hosts[1], |_, input, io| match input {
                Input::Start => {
                    io.tcp_settings(TcpSettings {
                        backlog: BACKLOG,
                        ..TcpSettings::default()
                    });
                    io.tcp_listen(PORT).unwrap();
                }
                Input::Tcp {
                    stream,
                    event: TcpEvent::Data(bytes),
                } => {
                    io.tcp_send(stream, bytes);
                }
                _ => {}
            });
            net.attach_fn(hosts[0], |_, input, io| match input {
                Input::Start => {
                    io.tcp_connect(end(0, 5000).into(), end(1, PORT).into())
                        .unwrap();
                }
                Input::Tcp {
                    stream,
                    event: TcpEvent::Connected { .. },
                } => {
                    io.tcp_send(stream, &[7; 10_000]);
                }
                _ => {}
            });
            Attacked { net, hosts }
        }

        fn send(&mut self, from: usize, ports: (u16, u16), transport: Transport, payload: Payload) {
            let (source, destination) = (end(from, ports.0), end(1 - from, ports.1));
            let packet = Packet::new(source, destination, transport, payload, self.hosts[from]);
            let slot = self.net.arena.insert(packet);
            self.net.launch(slot, Cause::Sent);
        }

        /// How much room for connections a host has made.
        fn places(&mut self, side: usize) -> usize {
            let tcp = self.net.host(self.hosts[side]).tcp();
            tcp.map_or(0, |tcp| tcp.places())
        }
    }

    fn flags() -> impl Strategy<Value = TcpFlags> {
        let all = [
            TcpFlags::SYN,
            TcpFlags::ACK,
            TcpFlags::FIN,
            TcpFlags::RST,
            TcpFlags::PSH,
        ];
        proptest::collection::vec(proptest::sample::select(all.to_vec()), 0..4).prop_map(|set| {
            set.into_iter()
                .fold(TcpFlags::default(), |sum, flag| sum | flag)
        })
    }

    fn segment() -> impl Strategy<Value = TcpSegment> {
        let near = prop_oneof![any::<u32>(), 0u32..4, (u32::MAX - 4)..=u32::MAX];
        let options = (
            any::<Option<u16>>(),
            any::<Option<u8>>(),
            any::<bool>(),
            any::<[Option<(u32, u32)>; 3]>(),
        )
            .prop_map(|(max_segment_size, window_scale, sack_permitted, sack)| {
                TcpOptions {
                    max_segment_size,
                    window_scale,
                    sack_permitted,
                    sack,
                }
            });
        (near.clone(), near, flags(), any::<u16>(), options).prop_map(
            |(sequence, acknowledgment, flags, window, options)| TcpSegment {
                sequence,
                acknowledgment,
                flags,
                window,
                options,
            },
        )
    }

    fn payload() -> impl Strategy<Value = Payload> {
        prop_oneof![
            Just(Payload::default()),
            proptest::collection::vec(any::<u8>(), 0..2000).prop_map(Payload::Bytes),
            (any::<u32>(), any::<u64>()).prop_map(|(length, tag)| Payload::Sized { length, tag }),
            Just(Payload::Bytes(vec![1; 70_000])),
        ]
    }

    fn error() -> impl Strategy<Value = IcmpErrorKind> {
        prop_oneof![
            Just(IcmpErrorKind::PortUnreachable),
            Just(IcmpErrorKind::HostUnreachable),
            Just(IcmpErrorKind::Prohibited),
            Just(IcmpErrorKind::TimeExceeded),
            any::<u16>().prop_map(|mtu| IcmpErrorKind::TooBig { mtu }),
        ]
    }

    /// Ports that mean something, and others.
    fn port() -> impl Strategy<Value = u16> {
        prop_oneof![Just(PORT), Just(5000u16), Just(0u16), any::<u16>()]
    }

    /// A segment, or an ICMP error about one.
    type Shot = (
        usize,
        (u16, u16),
        Result<(TcpSegment, Payload), IcmpErrorKind>,
        u64,
    );

    fn shot() -> impl Strategy<Value = Shot> {
        let what = prop_oneof![
            6 => (segment(), payload()).prop_map(Ok),
            1 => error().prop_map(Err),
        ];
        (0usize..2, (port(), port()), what, 0u64..500)
    }

    proptest! {
        /// Whatever is thrown at two hosts: no panic, one fate for everything, and no more room
        /// for connections than those that are there and the backlog take.
        #[test]
        fn garbage_ends_and_leaves_nothing_behind(
            shots in proptest::collection::vec(shot(), 1..60),
        ) {
            let mut attacked = Attacked::new();
            for (from, ports, what, pause) in shots {
                attacked.net.run_for(Duration::from_millis(pause)).unwrap();
                match what {
                    Ok((segment, payload)) => {
                        attacked.send(from, ports, Transport::Tcp(segment), payload);
                    }
                    Err(kind) => {
                        let error = IcmpError {
                            kind,
                            quoted_protocol: Protocol::Tcp,
                            quoted_source: end(1 - from, ports.1),
                            quoted_destination: end(from, ports.0),
                        };
                        let transport = Transport::IcmpError(Box::new(error));
                        attacked.send(from, (0, 0), transport, Payload::default());
                    }
                }
            }
            attacked.net.run_for(Duration::from_secs(3600)).unwrap();
            let counts = attacked.net.trace().counts();
            prop_assert_eq!(counts.in_flight, 0);
            prop_assert_eq!(counts.sent, counts.delivered + counts.dropped);
            prop_assert!(attacked.places(0) <= 1);
            prop_assert!(attacked.places(1) <= 2 + BACKLOG as usize);
        }
    }

    /// What a was told after an ICMP error about its SYN, or about a later segment.
    fn told_after(kind: IcmpErrorKind, connected: bool) -> Option<crate::TcpEnd> {
        let mut attacked = Attacked::new();
        let told = std::rc::Rc::new(std::cell::Cell::new(None));
        let tell = std::rc::Rc::clone(&told);
        // Nobody answers on the port that the second connection goes to, if it is to be lost.
        let port = if connected { PORT } else { 9 };
        attacked
            .net
            .attach_fn(attacked.hosts[0], move |_, input, io| match input {
                Input::Start => {
                    io.tcp_connect(end(0, 6000).into(), end(1, port).into())
                        .unwrap();
                }
                Input::Tcp {
                    event: TcpEvent::Ended(end),
                    ..
                } => tell.set(Some(end)),
                _ => {}
            });
        let before_the_answer = Duration::from_micros(if connected { 10_000 } else { 500 });
        attacked.net.run_for(before_the_answer).unwrap();
        let error = IcmpError {
            kind,
            quoted_protocol: Protocol::Tcp,
            quoted_source: end(0, 6000),
            quoted_destination: end(1, port),
        };
        let transport = Transport::IcmpError(Box::new(error));
        attacked.send(1, (0, 0), transport, Payload::default());
        attacked.net.run_for(Duration::from_micros(1_100)).unwrap();
        told.get()
    }

    #[test]
    fn icmp_ends_a_connection_only_while_it_is_being_opened() {
        use crate::TcpEnd::Unreachable;
        let hard = [
            IcmpErrorKind::PortUnreachable,
            IcmpErrorKind::HostUnreachable,
            IcmpErrorKind::Prohibited,
        ];
        for kind in hard {
            assert_eq!(told_after(kind, false), Some(Unreachable(kind)));
            assert_eq!(told_after(kind, true), None, "{kind}");
        }
        assert_eq!(told_after(IcmpErrorKind::TimeExceeded, false), None);
    }

    #[test]
    fn a_flood_of_syns_fills_the_backlog_and_no_more() {
        let mut attacked = Attacked::new();
        attacked.net.run_for(Duration::from_secs(1)).unwrap();
        for port in 10_000..20_000 {
            let syn = TcpSegment {
                flags: TcpFlags::SYN,
                ..TcpSegment::default()
            };
            // From an address whose host is deaf to the answers: it has no TCP on these ports and
            // resets them, so that the flood comes in one burst.
            attacked.send(0, (port, PORT), Transport::Tcp(syn), Payload::default());
        }
        attacked.net.run_for(Duration::from_micros(1_500)).unwrap();
        assert_eq!(attacked.places(1), 1 + BACKLOG as usize);
        let drops = attacked.net.trace().drops().iter();
        let full: u64 = drops
            .filter(|drop| drop.example.code() == "table_full")
            .map(|drop| drop.count)
            .sum();
        assert_eq!(full, 10_000 - u64::from(BACKLOG));
        // The resets make room again.
        attacked.net.run_for(Duration::from_secs(1)).unwrap();
        let syn = TcpSegment {
            flags: TcpFlags::SYN,
            ..TcpSegment::default()
        };
        attacked.send(0, (9_999, PORT), Transport::Tcp(syn), Payload::default());
        attacked.net.run_for(Duration::from_secs(1)).unwrap();
        let drops = attacked.net.trace().drops().iter();
        let full_now: u64 = drops
            .filter(|drop| drop.example.code() == "table_full")
            .map(|drop| drop.count)
            .sum();
        assert_eq!(full_now, full);
    }
}
