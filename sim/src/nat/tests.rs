//! A NAT by itself: what hosts don't send yet, and what nobody should.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

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
    fn is_alive_after(mut self, seconds: u64) -> bool {
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
fn rfc_5382_req_5_connections_live_by_their_state() {
    let opened = |segments: &[(Way, TcpFlags)]| {
        let mut bench = bench(NatConfig::new(Eim, Apdf));
        for (way, flags) in segments {
            match way {
                Way::Out => assert_eq!(bench.out(tcp(X1, Y1, *flags)), Ok(end(E1))),
                Way::In => assert_eq!(bench.enter(tcp(Y1, E1, *flags)), Ok(end(X1))),
            }
        }
        bench
    };
    let syn = [(Way::Out, SYN)];
    let half = [(Way::Out, SYN), (Way::In, SYN | ACK)];
    let whole = [(Way::Out, SYN), (Way::In, SYN | ACK), (Way::Out, ACK)];
    let and = |more: &[(Way, TcpFlags)]| [&whole[..], more].concat();
    let simultaneous = [
        (Way::Out, SYN),
        (Way::In, SYN),
        (Way::Out, SYN | ACK),
        (Way::In, SYN | ACK),
        (Way::Out, ACK),
    ];
    let finished = and(&[(Way::In, FIN | ACK), (Way::Out, FIN | ACK), (Way::In, ACK)]);
    let half_closed = and(&[(Way::In, FIN | ACK), (Way::Out, ACK)]);
    let spoke_on = and(&[(Way::In, RST), (Way::Out, ACK)]);
    let cases: [(&str, &[(Way, TcpFlags)], u64); 9] = [
        ("a SYN", &syn, 240),
        ("SYN and SYN+ACK", &half, 240),
        ("a handshake", &whole, 7440),
        ("a simultaneous open", &simultaneous, 7440),
        ("half closed", &half_closed, 7440),
        ("closed", &finished, 240),
        ("reset from outside", &and(&[(Way::In, RST)]), 240),
        ("reset from inside", &and(&[(Way::Out, RST)]), 240),
        ("reset, but it goes on", &spoke_on, 7440),
    ];
    for (name, segments, lifetime) in cases {
        assert!(opened(segments).is_alive_after(lifetime - 1), "{name}");
        assert!(!opened(segments).is_alive_after(lifetime), "{name}");
        let mut alive = opened(segments);
        alive.wait(lifetime - 1);
        assert_eq!(alive.nat.mappings(alive.now).count(), 1, "{name}");
        alive.wait(1);
        assert_eq!(alive.nat.mappings(alive.now).count(), 0, "{name}");
    }
}

#[test]
fn a_mapping_lives_as_long_as_the_longest_of_its_connections() {
    let mut bench = bench(NatConfig::new(Eim, Apdf));
    bench.connect();
    // Another connection from the same endpoint opens and ends.
    assert_eq!(bench.out(tcp(X1, Y2, SYN)), Ok(end(E1)));
    assert_eq!(bench.enter(tcp(Y2, E1, SYN | ACK)), Ok(end(X1)));
    assert_eq!(bench.out(tcp(X1, Y2, ACK)), Ok(end(E1)));
    assert_eq!(bench.enter(tcp(Y2, E1, RST)), Ok(end(X1)));
    bench.wait(241);
    assert_eq!(bench.enter(tcp(Y2, E1, ACK)), Err("out_of_state"));
    assert_eq!(bench.enter(tcp(Y1, E1, ACK)), Ok(end(X1)));
    // When that one ends too, so does the mapping.
    assert_eq!(bench.out(tcp(X1, Y1, RST)), Ok(end(E1)));
    bench.wait(240);
    assert_eq!(bench.enter(tcp(Y1, E1, ACK)), Err("no_mapping"));
}

#[test]
fn rfc_7857_7_1_a_reset_from_inside_refreshes_nothing() {
    let mut bench = bench(NatConfig::new(Eim, Apdf));
    bench.out(tcp(X1, Y1, SYN)).unwrap();
    bench.wait(200);
    bench.out(tcp(X1, Y1, RST)).unwrap();
    assert!(!bench.is_alive_after(41));
}

#[test]
fn segments_out_of_nowhere_are_dropped_and_make_nothing() {
    for (mapping, filtering) in [(Eim, Eif), (Apdm, Apdf)] {
        let mut bench = bench(NatConfig {
            ports: PortAllocation::PRESERVING,
            ..NatConfig::new(mapping, filtering)
        });
        for flags in [ACK, FIN | ACK, RST, SYN | ACK, TcpFlags::default()] {
            assert_eq!(
                bench.out(tcp(X1, Y1, flags)),
                Err("out_of_state"),
                "{flags}"
            );
        }
        for flags in [SYN | FIN, SYN | RST] {
            assert_eq!(bench.out(tcp(X1, Y1, flags)), Err("malformed"), "{flags}");
        }
        assert_eq!(bench.nat.mappings(bench.now).count(), 0);
        bench.connect();
        assert_eq!(bench.enter(tcp(Y1, E1, SYN | FIN)), Err("malformed"));
        let refused = bench.enter(tcp(Y2, E1, ACK)).unwrap_err();
        assert!(["out_of_state", "filtered_by_nat"].contains(&refused));
    }
}

#[test]
fn connection_tracking_takes_up_what_is_in_its_middle() {
    let mut bench = bench(NatConfig {
        filter_memory: FilterMemory::Mapping,
        port_overloading: PortOverloading::DistinctRemotes,
        ..NatConfig::new(Eim, Apdf)
    });
    assert_eq!(bench.out(tcp(X1, Y1, RST)), Err("out_of_state"));
    assert_eq!(bench.out(tcp(X1, Y1, ACK)), Ok(end(E1)));
    assert!(bench.is_alive_after(7439));
}

#[test]
fn rfc_5382_req_3_a_syn_from_outside_comes_in_by_the_filters_rules() {
    for filtering in Filtering::ALL {
        let mut bench = bench(NatConfig::new(Eim, filtering));
        bench.connect();
        let open = bench.enter(tcp(Y2, E1, SYN));
        assert_eq!(open.is_ok(), filtering == Eif);
        let same_address = bench.enter(tcp("192.0.2.1:81", E1, SYN));
        assert_eq!(same_address.is_ok(), filtering != Apdf);
    }
}

/// The packets that a NAT sent of its own.
fn sent(requests: Vec<Request>) -> Vec<(Packet, Cause)> {
    let sent = |request| match request {
        Request::Send(packet, cause) => Some((packet, cause)),
        _ => None,
    };
    requests.into_iter().filter_map(sent).collect()
}

#[test]
fn rfc_5382_req_4_an_unsolicited_syn_is_answered_after_six_seconds_and_not_before() {
    for filtered in [false, true] {
        let mut bench = bench(NatConfig::new(Eim, Apdf));
        let expected = if filtered {
            bench.out(tcp(X1, Y1, SYN)).unwrap();
            "filtered_by_nat"
        } else {
            "no_mapping"
        };
        let mut syn = tcp(Y2, E1, SYN);
        assert_eq!(why(bench.pass(Way::In, &mut syn)), expected);
        bench.wait(5);
        // The sender tries again; that changes nothing.
        assert_eq!(bench.enter(tcp(Y2, E1, SYN)), Err(expected));
        assert!(bench.requests().is_empty());
        bench.wait(1);
        let answers = sent(bench.requests());
        let [(answer, cause)] = &answers[..] else {
            panic!("{answers:?}")
        };
        assert_eq!(*cause, Cause::ErrorAbout(syn.id));
        assert_eq!(answer.destination, end("192.0.2.2:0"));
        let Transport::IcmpError(error) = &answer.transport else {
            panic!("{answer:?}")
        };
        let told = (error.kind, error.quoted_source, error.quoted_destination);
        assert_eq!(told, (IcmpErrorKind::PortUnreachable, end(Y2), end(E1)));
        bench.wait(10);
        assert!(bench.requests().is_empty());
    }
}

#[test]
fn rfc_5382_req_4_a_syn_from_inside_makes_it_a_simultaneous_open() {
    let mut bench = bench(NatConfig::new(Eim, Apdf));
    bench.enter(tcp(Y1, E1, SYN)).unwrap_err();
    bench.wait(3);
    assert_eq!(bench.out(tcp(X1, Y1, SYN)), Ok(end(E1)));
    bench.wait(10);
    assert!(bench.requests().is_empty());
    assert_eq!(bench.enter(tcp(Y1, E1, SYN)), Ok(end(X1)));
}

#[test]
fn unsolicited_syns_are_met_with_silence_or_a_reset_if_so_configured() {
    let answers = |unsolicited_syn| {
        let mut bench = bench(NatConfig {
            unsolicited_syn,
            ..NatConfig::new(Eim, Apdf)
        });
        bench.enter(tcp(Y1, E1, SYN)).unwrap_err();
        bench.enter(tcp(Y1, E1, ACK)).unwrap_err();
        bench.wait(60);
        sent(bench.requests())
    };
    assert!(answers(UnsolicitedSyn::Silence).is_empty());
    let [(reset, _)] = &answers(UnsolicitedSyn::Reset)[..] else {
        panic!("one reset")
    };
    assert_eq!((reset.source, reset.destination), (end(E1), end(Y1)));
    let Transport::Tcp(segment) = reset.transport else {
        panic!("{reset:?}")
    };
    assert!(segment.flags.contains(RST | ACK) && segment.acknowledgment == 8);
}

#[test]
fn a_flood_of_syns_is_not_remembered_without_end() {
    let mut bench = bench(NatConfig::new(Eim, Apdf));
    for n in 0..100_000u32 {
        let [_, a, b, c] = n.to_be_bytes();
        let from = format!("10.{a}.{b}.{c}:80");
        bench.enter(tcp(&from, E1, SYN)).unwrap_err();
    }
    bench.wait(6);
    assert_eq!(sent(bench.requests()).len(), 1024);
}

#[test]
fn rfc_4787_req_12_errors_are_translated_both_ways_for_every_protocol() {
    for (icmp_errors, passes, lives) in [
        (IcmpErrors::Translated, true, true),
        (IcmpErrors::Dropped, false, true),
        (IcmpErrors::EndMapping, true, false),
    ] {
        for mapping in Mapping::ALL {
            let mut bench = bench(NatConfig {
                icmp_errors,
                ports: PortAllocation::PRESERVING,
                ..NatConfig::new(mapping, Apdf)
            });
            bench.connect();
            bench.out(udp(X1, Y1)).unwrap();
            let pinged = "192.0.2.1:0";
            bench.out(echo(X1, pinged, false)).unwrap();
            for (protocol, remote) in [
                (Protocol::Tcp, Y1),
                (Protocol::Udp, Y1),
                (Protocol::Icmp, pinged),
            ] {
                let external = match mapping {
                    Eim => E1.to_owned(),
                    _ => bench
                        .nat
                        .mappings(bench.now)
                        .find(|mapping| mapping.protocol == protocol)
                        .unwrap()
                        .external
                        .to_string(),
                };
                // From a router on the way, about what went out.
                let mut inward = error("198.51.100.7:0", (protocol, &external, remote));
                let verdict = bench.pass(Way::In, &mut inward);
                assert_eq!(verdict == Verdict::PASS, passes, "{protocol:?} {verdict:?}");
                let Transport::IcmpError(told) = &inward.transport else {
                    panic!("it is still an error")
                };
                if passes {
                    assert_eq!(told.quoted_source, end(X1));
                    assert_eq!(inward.destination, end(X1).without_port());
                }
                let alive = |bench: &Bench| {
                    let mut alive = bench.nat.mappings(bench.now);
                    alive.any(|mapping| mapping.protocol == protocol)
                };
                assert_eq!(alive(&bench), lives, "{icmp_errors:?}");
                if !lives {
                    continue;
                }
                // From X1, about what came in.
                let mut outward = error("192.168.1.2:0", (protocol, remote, X1));
                let verdict = bench.pass(Way::Out, &mut outward);
                assert_eq!(verdict == Verdict::PASS, passes);
                if let Transport::IcmpError(told) = &outward.transport
                    && passes
                {
                    assert_eq!(told.quoted_destination, end(&external));
                    assert_eq!(outward.source, end(&external).without_port());
                }
            }
        }
    }
}

#[test]
fn an_error_about_a_strangers_packet_goes_out_by_the_mapping_it_came_in_through() {
    for mapping in [Adm, Apdm] {
        let mut bench = bench(NatConfig::new(mapping, Eif));
        let externals = [Y1, Y2].map(|remote| bench.out(udp(X1, remote)).unwrap());
        assert_ne!(externals[0], externals[1]);
        // Two strangers, through a mapping each.
        let strangers = ["198.51.100.1:9", "198.51.100.2:9"];
        for (stranger, external) in strangers.into_iter().zip(externals) {
            assert_eq!(
                bench.enter(udp(stranger, &external.to_string())),
                Ok(end(X1))
            );
        }
        for (stranger, external) in strangers.into_iter().zip(externals) {
            let mut error = error("192.168.1.2:0", (Protocol::Udp, stranger, X1));
            assert_eq!(bench.pass(Way::Out, &mut error), Verdict::PASS);
            let Transport::IcmpError(told) = &error.transport else {
                panic!("it is still an error")
            };
            assert_eq!(told.quoted_destination, external);
        }
        // Of whom nothing came, nothing can be said.
        let error = error("192.168.1.2:0", (Protocol::Udp, "198.51.100.3:9", X1));
        assert_eq!(bench.out(error), Err("no_mapping"));
    }
}

#[test]
fn rfc_5508_req_7_errors_about_hairpinned_packets_are_hairpinned() {
    let mut bench = bench(NatConfig {
        hairpinning: Hairpinning::ExternalSource,
        ..NatConfig::new(Eim, Eif)
    });
    let x2 = "192.168.1.3:6000";
    let external = bench.out(udp(x2, Y1)).unwrap();
    let mut sent = udp(X1, &external.to_string());
    assert!(matches!(
        bench.pass(Way::Out, &mut sent),
        Verdict::Hairpin(_)
    ));
    let about = (Protocol::Udp, &*sent.source.to_string(), x2);
    let mut error = error("192.168.1.3:0", about);
    assert!(matches!(
        bench.pass(Way::Out, &mut error),
        Verdict::Hairpin(_)
    ));
    let Transport::IcmpError(told) = &error.transport else {
        panic!("it is still an error")
    };
    assert_eq!(
        (told.quoted_source, told.quoted_destination),
        (end(X1), external)
    );
    assert_eq!(error.destination, end(X1).without_port());
}

#[test]
fn a_hairpinned_packet_that_is_filtered_has_made_its_mapping() {
    let mut bench = bench(NatConfig {
        hairpinning: Hairpinning::ExternalSource,
        ..NatConfig::new(Eim, Apdf)
    });
    let external = bench.out(udp("192.168.1.3:6000", Y1)).unwrap();
    let verdict = bench.pass(Way::Out, &mut udp(X1, &external.to_string()));
    let Verdict::Refuse {
        passage,
        external,
        reason,
    } = verdict
    else {
        panic!("{verdict:?}")
    };
    assert!(passage.mapped && passage.opened);
    assert_eq!((external, reason.code()), (end(E1), "filtered_by_nat"));
}

#[test]
fn rfc_4787_req_14_fragments_pass_in_any_order() {
    let mut bench = bench(NatConfig::new(Eim, Apdf));
    bench.out(udp(X1, Y1)).unwrap();
    for way in [Way::Out, Way::In] {
        let (from, to) = if way == Way::Out { (X1, Y1) } else { (Y1, E1) };
        // The last, the middle, the first.
        let mut held = [(208, false), (104, true)].map(|(at, more)| piece(from, to, at, more));
        for piece in &mut held {
            assert_eq!(bench.pass(way, piece), Verdict::Hold);
        }
        let mut first = piece(from, to, 0, true);
        assert!(matches!(bench.pass(way, &mut first), Verdict::Forward(_)));
        let released = bench.requests();
        for (mut piece, request) in held.into_iter().zip(&released) {
            assert!(matches!(request, Request::Release(id) if *id == piece.id));
            assert!(matches!(bench.pass(way, &mut piece), Verdict::Forward(_)));
            assert_eq!(piece.source, first.source.without_port());
            assert_eq!(piece.destination, first.destination.without_port());
        }
        assert_eq!(released.len(), 2);
        // One that comes late finds the way too.
        let mut late = piece(from, to, 312, false);
        assert!(matches!(bench.pass(way, &mut late), Verdict::Forward(_)));
        assert_eq!(late.source, first.source.without_port());
    }
}

#[test]
fn fragments_wait_thirty_seconds_and_only_so_many_bytes() {
    // Each takes 120 bytes; the first one of a packet has eight more.
    let mut bench = bench(NatConfig {
        fragments: Fragments::AnyOrder { limit: 250 },
        ..NatConfig::new(Eim, Apdf)
    });
    for (at, expected) in [(104, "held"), (208, "held"), (312, "fragments_full")] {
        assert_eq!(bench.out(piece(X1, Y1, at, true)), Err(expected));
    }
    bench.wait(29);
    assert!(bench.requests().is_empty());
    bench.wait(1);
    let given_up = bench.requests();
    assert_eq!(given_up.len(), 2);
    for request in given_up {
        let Request::Discard(_, reason) = request else {
            panic!("{request:?}")
        };
        assert_eq!(reason.code(), "fragments_incomplete");
    }
    // There is room again.
    assert_eq!(bench.out(piece(X1, Y1, 104, true)), Err("held"));
}

#[test]
fn fragments_of_a_refused_packet_are_refused() {
    let mut bench = bench(NatConfig::new(Eim, Apdf));
    assert_eq!(bench.enter(piece(Y1, E1, 104, false)), Err("held"));
    assert_eq!(bench.enter(piece(Y1, E1, 0, true)), Err("no_mapping"));
    assert!(matches!(bench.requests()[..], [Request::Discard(..)]));
    assert_eq!(
        bench.enter(piece(Y1, E1, 208, false)),
        Err("fragments_incomplete")
    );
}

#[test]
fn fragments_in_order_only_or_none_if_so_configured() {
    for (fragments, first, second) in [
        (Fragments::InOrder, Ok(end(E1)), Ok(end(E1).without_port())),
        (
            Fragments::Dropped,
            Err("fragments_full"),
            Err("fragments_full"),
        ),
    ] {
        let mut bench = bench(NatConfig {
            fragments,
            ..NatConfig::new(Eim, Apdf)
        });
        assert_eq!(bench.out(piece(X1, Y1, 104, false)), Err("fragments_full"));
        assert_eq!(bench.out(piece(X1, Y1, 0, true)), first);
        assert_eq!(bench.out(piece(X1, Y1, 104, false)), second);
    }
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

/// Configurations of all kinds, each of which makes sense.
fn configs() -> impl Strategy<Value = NatConfig> {
    let ports = prop_oneof![
        Just(PortAllocation::PRESERVING),
        Just(PortAllocation::Preserving {
            on_conflict: PortConflict::Random
        }),
        Just(PortAllocation::Preserving {
            on_conflict: PortConflict::Sequential
        }),
        Just(PortAllocation::Preserving {
            on_conflict: PortConflict::Takeover
        }),
        Just(PortAllocation::Sequential { step: 3 }),
        Just(PortAllocation::Random),
    ];
    let flags = any::<[bool; 8]>();
    let choices = (0..3usize, 0..3usize, 0..3u8, 0..4u8);
    (ports, flags, choices).prop_map(|(ports, flags, (mapping, filtering, overloading, extra))| {
        let [
            parity,
            contiguity,
            memory,
            evicts,
            arbitrary,
            meddles,
            both_ways,
            ends,
        ] = flags;
        let mut config = NatConfig {
            ports,
            port_parity: parity,
            port_contiguity: contiguity,
            port_range: 2000..=2031,
            rewrites_payloads: meddles,
            reports_exhaustion: true,
            hairpinning: Hairpinning::ExternalSource,
            fragments: Fragments::AnyOrder { limit: 2_000 },
            capacity: Some(Capacity {
                mappings: 20,
                when_full: if evicts {
                    WhenFull::EvictOldest
                } else {
                    WhenFull::Drop
                },
            }),
            ..NatConfig::new(Mapping::ALL[mapping], Filtering::ALL[filtering])
        };
        if memory {
            config.filter_memory = FilterMemory::Mapping;
        }
        if arbitrary {
            config.pooling = Pooling::Arbitrary;
        }
        if both_ways {
            config.refresh = Refresh::RefusedToo;
        }
        if ends {
            config.icmp_errors = IcmpErrors::EndMapping;
        }
        match extra {
            1 => config.port_rest = Duration::from_secs(60),
            2 => config.port_blocks = Some(PortBlocks { size: 6, most: 2 }),
            3 => config.subscriber_limit = Some(4),
            _ => {}
        }
        match overloading {
            1 => {
                config.port_overloading = PortOverloading::Always;
                config.ports = PortAllocation::PRESERVING;
                config.mapping = Eim;
            }
            2 => {
                config.port_overloading = PortOverloading::DistinctRemotes;
                config.mapping = Eim;
                config.filtering = Apdf;
                config.filter_memory = FilterMemory::Mapping;
                config.port_contiguity = false;
                if memory {
                    config.router_input = RouterInput::Accept;
                }
            }
            _ => {}
        }
        // What remains of contradictions is put right by what was drawn last.
        let takeover = PortAllocation::Preserving {
            on_conflict: PortConflict::Takeover,
        };
        if config.port_overloading != PortOverloading::Never {
            config.port_rest = Duration::ZERO;
            config.port_blocks = None;
        }
        if config.ports == takeover && (overloading > 0 || extra == 2) {
            config.ports = PortAllocation::PRESERVING;
        }
        config
    })
}

/// A packet of any kind between a few endpoints on each side.
fn packets() -> impl Strategy<Value = (bool, Packet)> {
    let transport = prop_oneof![
        4 => Just(0u8), 3 => Just(1), 1 => Just(2), 1 => Just(3)
    ];
    let ends = (0..4u8, 0..6u16, 0..3u8, 0..3u16, 0..40u16);
    let fragment = proptest::option::weighted(0.3, (0..4u32, 0..4u16, any::<bool>()));
    (any::<bool>(), transport, ends, 0..32u8, fragment).prop_map(
        |(outward, transport, (host, port, server, remote, external), bits, fragment)| {
            let inside = Endpoint::new(Address::v4(192, 168, 1, 2 + host), 2010 + port);
            let outside = match server {
                // The NAT itself.
                2 => Endpoint::new(Address::v4(203, 0, 113, 1), 2000 + external),
                server => Endpoint::new(Address::v4(192, 0, 2, 1 + server), 80 + remote),
            };
            let shown = Endpoint::new(Address::v4(203, 0, 113, 1 + host % 2), 2000 + external);
            let (source, destination) = if outward {
                (inside, outside)
            } else {
                (outside, shown)
            };
            let all = [FIN, SYN, RST, ACK];
            let flags = all
                .into_iter()
                .enumerate()
                .filter(|(bit, _)| bits >> bit & 1 != 0)
                .fold(TcpFlags::default(), |flags, (_, flag)| flags | flag);
            let transport = match transport {
                0 => Transport::Udp,
                1 => Transport::Tcp(TcpSegment {
                    flags,
                    ..TcpSegment::default()
                }),
                2 => Transport::IcmpEcho(IcmpEcho {
                    is_reply: bits & 1 != 0,
                    sequence: 0,
                }),
                _ => Transport::IcmpError(Box::new(IcmpError {
                    kind: IcmpErrorKind::TimeExceeded,
                    quoted_protocol: [Protocol::Udp, Protocol::Tcp, Protocol::Icmp]
                        [usize::from(bits % 3)],
                    quoted_source: destination,
                    quoted_destination: source,
                })),
            };
            let payload = Payload::Bytes(vec![bits; 60]);
            let mut packet = Packet::new(source, destination, transport, payload, NodeId(0));
            packet.fragment = fragment.map(|(identification, at, more)| Fragment {
                identification,
                offset: at * 8,
                more,
            });
            if packet.fragment.is_some_and(|fragment| !fragment.is_first()) {
                packet.source.port = 0;
                packet.destination.port = 0;
            }
            (outward, packet)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever comes, nothing grows beyond its bounds, every packet that waits is let go once, and
    /// no external endpoint is two mappings' unless that is allowed.
    #[test]
    fn garbage_leaves_a_nat_in_order(
        config in configs(),
        steps in proptest::collection::vec((packets(), 0..20u64), 1..150),
    ) {
        config.check().unwrap();
        let mut bench = bench_of(config.clone(), &["203.0.113.1", "203.0.113.2"]);
        let mut held = BTreeSet::new();
        let mut bytes = BTreeMap::new();
        for ((outward, mut packet), pause) in steps {
            bench.wait(pause);
            let way = if outward { Way::Out } else { Way::In };
            let translations = packet.translations;
            let verdict = bench.pass(way, &mut packet);
            prop_assert!(packet.translations <= translations + 2);
            if verdict == Verdict::Hold {
                prop_assert!(held.insert(packet.id));
                bytes.insert(packet.id, packet.wire_length());
            }
            for request in bench.requests() {
                if let Request::Release(id) | Request::Discard(id, _) = request {
                    prop_assert!(held.remove(&id), "{id} is let go once");
                    bytes.remove(&id);
                }
            }
            prop_assert!(bytes.values().sum::<usize>() <= 2_000);
            in_order(&config, &bench)?;
        }
        // In the end nobody waits.
        bench.wait(100_000);
        for request in bench.requests() {
            if let Request::Release(id) | Request::Discard(id, _) = request {
                held.remove(&id);
            }
        }
        prop_assert!(held.is_empty());
        prop_assert_eq!(bench.nat.mappings(bench.now).count(), 0);
        // And every port is free again.
        bench.nat.forget(bench.now);
        prop_assert_eq!((bench.nat.table.len(), bench.nat.memory.len()), (0, 0));
        for protocol in [Protocol::Udp, Protocol::Tcp, Protocol::Icmp] {
            for (place, port) in (0..2).flat_map(|place| (1_990..2_040).map(move |n| (place, n))) {
                let at = super::table::Outside { protocol, place, port };
                prop_assert!(bench.nat.pool.is_free(at), "{at:?}");
            }
        }
    }
}

/// What always holds of a NAT's mappings.
fn in_order(config: &NatConfig, bench: &Bench) -> Result<(), TestCaseError> {
    let alive: Vec<_> = bench.nat.mappings(bench.now).collect();
    prop_assert!(alive.len() <= 20);
    let mut taken = BTreeSet::new();
    let mut blocks = BTreeMap::new();
    for mapping in &alive {
        let (external, internal) = (mapping.external, mapping.internal);
        let is_new = match config.port_overloading {
            PortOverloading::Never => {
                taken.insert((mapping.protocol, external, Endpoint::UNSPECIFIED))
            }
            PortOverloading::DistinctRemotes => {
                taken.insert((mapping.protocol, external, mapping.remote_key))
            }
            PortOverloading::Always => true,
        };
        prop_assert!(is_new, "{external} is given twice: {alive:?}");
        let contiguous = config.port_contiguity;
        if config.port_parity && !contiguous {
            prop_assert_eq!(external.port % 2, internal.port % 2);
        }
        if let Some(size) = config.port_blocks.map(|blocks| blocks.size) {
            let block = (external.address, (external.port - 2000) / size);
            let owner = blocks.entry(block).or_insert(internal.address);
            prop_assert_eq!(*owner, internal.address, "a block is one subscriber's");
        }
    }
    Ok(())
}
