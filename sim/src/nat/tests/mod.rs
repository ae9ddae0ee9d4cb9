//! A NAT by itself: what hosts don't send yet, and what nobody should.

mod connections;
mod errors;
mod fragments;
mod garbage;

use std::time::Duration;

use super::*;
use crate::engine::Stream;
use crate::id::NodeId;
use crate::packet::{Fragment, IcmpEcho, IcmpError, IcmpErrorKind, PacketId, Payload, TcpSegment};
use crate::trace::Cause;
use crate::{Family, Filtering, Mapping};

use Filtering::{AddressAndPortDependent as Apdf, EndpointIndependent as Eif};
use Mapping::{
    AddressAndPortDependent as Apdm, AddressDependent as Adm, EndpointIndependent as Eim,
};

const SYN: TcpFlags = TcpFlags::SYN;
const ACK: TcpFlags = TcpFlags::ACK;
const FIN: TcpFlags = TcpFlags::FIN;
const RST: TcpFlags = TcpFlags::RST;

/// X1, its external endpoint where ports are preserved, and servers.
const X1: &str = "192.168.1.2:5000";
const E1: &str = "203.0.113.1:5000";
const Y1: &str = "192.0.2.1:80";
const Y2: &str = "192.0.2.2:80";

/// A NAT, and a clock.
struct Bench {
    nat: Nat,
    now: Time,
    random: Stream,
    packets: u64,
}

fn end(text: &str) -> Endpoint {
    text.parse().unwrap()
}

fn bench(config: NatConfig) -> Bench {
    bench_of(config, &["203.0.113.1"])
}

fn bench_of(config: NatConfig, external: &[&str]) -> Bench {
    config.check().unwrap();
    Bench {
        nat: Nat::new(config, external.iter().map(|text| text.parse().unwrap())),
        now: Time::ZERO,
        random: Stream::new(1, "nat"),
        packets: 0,
    }
}

fn packet(source: &str, destination: &str, transport: Transport) -> Packet {
    let payload = Payload::Sized {
        length: 100,
        tag: 0,
    };
    Packet::new(end(source), end(destination), transport, payload, NodeId(0))
}

fn udp(source: &str, destination: &str) -> Packet {
    packet(source, destination, Transport::Udp)
}

fn tcp(source: &str, destination: &str, flags: TcpFlags) -> Packet {
    let segment = TcpSegment {
        flags,
        sequence: 7,
        ..TcpSegment::default()
    };
    packet(source, destination, Transport::Tcp(segment))
}

fn echo(source: &str, destination: &str, is_reply: bool) -> Packet {
    let sequence = 1;
    packet(
        source,
        destination,
        Transport::IcmpEcho(IcmpEcho { is_reply, sequence }),
    )
}

/// An error by `reporter` about a packet of these endpoints.
fn error(reporter: &str, about: (Protocol, &str, &str)) -> Packet {
    let (quoted_protocol, source, destination) = about;
    let (quoted_source, quoted_destination) = (end(source), end(destination));
    let error = IcmpError {
        kind: IcmpErrorKind::PortUnreachable,
        quoted_protocol,
        quoted_source,
        quoted_destination,
    };
    let mut packet = udp(reporter, source);
    packet.destination = quoted_source.without_port();
    packet.source = end(reporter).without_port();
    packet.transport = Transport::IcmpError(Box::new(error));
    packet.payload = Payload::default();
    packet
}

fn piece(source: &str, destination: &str, offset: u16, more: bool) -> Packet {
    let mut piece = udp(source, destination);
    if offset > 0 {
        piece.source.port = 0;
        piece.destination.port = 0;
    }
    piece.fragment = Some(Fragment {
        identification: 77,
        offset,
        more,
    });
    piece
}

impl Bench {
    fn pass(&mut self, way: Way, packet: &mut Packet) -> Verdict {
        if packet.id == PacketId(u64::MAX) {
            packet.id = PacketId(self.packets);
            self.packets += 1;
        }
        let mut around = Surroundings {
            now: self.now,
            node: NodeId(1),
            random: &mut self.random,
        };
        match way {
            Way::Out => self.nat.outbound(packet, &mut around),
            Way::In => self.nat.inbound(packet, &mut around),
        }
    }

    /// Out, and by which source it goes on; or why not.
    fn out(&mut self, mut packet: Packet) -> Result<Endpoint, &'static str> {
        match self.pass(Way::Out, &mut packet) {
            Verdict::Forward(_) => Ok(packet.source),
            verdict => Err(why(verdict)),
        }
    }

    /// In, and to which destination it goes on; or why not.
    fn enter(&mut self, mut packet: Packet) -> Result<Endpoint, &'static str> {
        match self.pass(Way::In, &mut packet) {
            Verdict::Forward(_) => Ok(packet.destination),
            verdict => Err(why(verdict)),
        }
    }

    /// Time passes, and the NAT is woken whenever it asked for it.
    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        let mut around = Surroundings {
            now: self.now,
            node: NodeId(1),
            random: &mut self.random,
        };
        self.nat.wake(&mut around);
    }

    /// What the NAT asked for, but for being woken.
    fn requests(&mut self) -> Vec<Request> {
        let all = std::iter::from_fn(|| self.nat.poll_request());
        all.filter(|request| !matches!(request, Request::WakeAt(_)))
            .collect()
    }

    /// A connection from X1 to Y1 through the whole handshake.
    fn connect(&mut self) {
        assert_eq!(self.out(tcp(X1, Y1, SYN)), Ok(end(E1)));
        assert_eq!(self.enter(tcp(Y1, E1, SYN | ACK)), Ok(end(X1)));
        assert_eq!(self.out(tcp(X1, Y1, ACK)), Ok(end(E1)));
    }

    /// Whether a segment from Y1 gets in after so many seconds.
    fn lives_for(mut self, seconds: u64) -> bool {
        self.wait(seconds);
        self.enter(tcp(Y1, E1, ACK)).is_ok()
    }
}

fn why(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Drop(reason) | Verdict::Refuse { reason, .. } => reason.code(),
        Verdict::Hairpin(_) => "hairpinned",
        Verdict::Hold => "held",
        Verdict::Forward(_) => "forwarded",
    }
}

#[test]
fn a_pool_of_both_families_never_mixes_them() {
    let external = ["203.0.113.1", "2001:db8::1", "203.0.113.2"];
    let mut bench = bench_of(NatConfig::new(Eim, Eif), &external);
    let mut seen = Vec::new();
    for n in 2..6 {
        let v4 = udp(&format!("192.168.1.{n}:5000"), "192.0.2.1:9");
        seen.push(bench.out(v4).unwrap().to_string());
        let v6 = udp(&format!("[fd00::{n}]:5000"), "[2001:db8:1::1]:9");
        let source = bench.out(v6).unwrap();
        assert_eq!(source.address.family(), Family::V6);
    }
    let (one, two) = ("203.0.113.1", "203.0.113.2");
    let expected = [
        format!("{one}:5000"),
        format!("{two}:5000"),
        format!("{one}:5001"),
        format!("{two}:5001"),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn the_family_that_the_nat_has_no_address_of_passes_untranslated() {
    let mut bench = bench(NatConfig::new(Eim, Eif));
    let mut v6 = udp("[2001:db8:1::2]:5000", "[2001:db8:2::1]:9");
    assert_eq!(bench.pass(Way::Out, &mut v6), Verdict::PASS);
    assert_eq!(v6.source.to_string(), "[2001:db8:1::2]:5000");
    assert_eq!(v6.translations, 0);
    assert_eq!(bench.nat.mappings(Time::ZERO).count(), 0);
}

#[test]
fn translation_is_counted_and_nothing_but_the_source_changes() {
    let mut bench = bench(NatConfig::new(Eim, Eif));
    let sent = udp(X1, Y1);
    let mut left = sent.clone();
    assert!(matches!(
        bench.pass(Way::Out, &mut left),
        Verdict::Forward(_)
    ));
    assert_eq!(left.source, end(E1));
    assert_eq!((left.destination, left.translations), (sent.destination, 1));
    assert_eq!(left.hop_limit, sent.hop_limit, "that is the router's part");
}

#[test]
fn each_protocol_has_mappings_of_its_own() {
    let mut bench = bench(NatConfig::new(Eim, Apdf));
    assert_eq!(bench.out(udp(X1, Y1)), Ok(end(E1)));
    assert_eq!(bench.enter(tcp(Y1, E1, SYN)), Err("no_mapping"));
    assert_eq!(bench.out(tcp("192.168.1.3:5000", Y1, SYN)), Ok(end(E1)));
    let host = "192.0.2.1:0";
    assert_eq!(
        bench.out(echo("192.168.1.4:5000", host, false)),
        Ok(end(E1))
    );
    assert_eq!(bench.enter(udp(Y1, E1)), Ok(end(X1)));
    assert_eq!(
        bench.enter(tcp(Y1, E1, SYN | ACK)),
        Ok(end("192.168.1.3:5000"))
    );
    assert_eq!(
        bench.enter(echo(host, E1, true)),
        Ok(end("192.168.1.4:5000"))
    );
    assert_eq!(bench.nat.mappings(bench.now).count(), 3);
}

#[test]
fn pings_go_out_by_identifier_and_none_come_in() {
    let mut bench = bench(NatConfig::new(Eim, Eif));
    let (host, other) = ("192.0.2.1:0", "192.0.2.2:0");
    // Two hosts, the same identifier: also one that would be a well-known port, and none.
    for identifier in [7, 0, 500, 60_000] {
        let [one, two] = [2, 3].map(|last| format!("192.168.1.{last}:{identifier}"));
        let first = bench.out(echo(&one, host, false)).unwrap();
        let second = bench.out(echo(&two, host, false)).unwrap();
        assert_eq!(first.port, identifier);
        assert_ne!(first, second);
        assert_eq!(
            bench.enter(echo(host, &second.to_string(), true)),
            Ok(end(&two))
        );
        assert_eq!(bench.out(echo(&one, other, false)), Ok(first));
    }
    assert_eq!(
        bench.enter(echo("192.0.2.1:7", "203.0.113.1:0", false)),
        Err("no_mapping")
    );
    assert_eq!(
        bench.out(echo("192.168.1.2:0", "192.0.2.1:7", true)),
        Err("out_of_state")
    );
    bench.wait(61);
    assert_eq!(
        bench.enter(echo(host, "203.0.113.1:7", true)),
        Err("no_mapping")
    );
}

#[test]
fn a_restart_forgets_everything_and_gives_up_what_waits() {
    let mut bench = bench(NatConfig::new(Eim, Eif));
    bench.out(udp(X1, Y1)).unwrap();
    bench.out(piece(X1, Y1, 104, true)).unwrap_err();
    bench.nat.restart(NodeId(1));
    assert!(matches!(bench.requests()[..], [Request::Discard(..)]));
    assert_eq!(bench.enter(udp(Y1, E1)), Err("no_mapping"));
    assert_eq!(bench.out(udp("192.168.1.3:5000", Y1)), Ok(end(E1)));
}
