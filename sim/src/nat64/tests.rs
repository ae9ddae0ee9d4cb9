//! A NAT64 and a CLAT, packet by packet.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::behaviour::Filtering;
use crate::engine::Stream;
use crate::id::NodeId;
use crate::packet::{IcmpEcho, IcmpError, IcmpErrorKind, Payload, TcpFlags, TcpSegment};

const NODE: NodeId = NodeId(1);

fn endpoint(text: &str) -> Endpoint {
    text.parse().unwrap()
}

fn udp(source: &str, destination: &str) -> Packet {
    let payload = Payload::Bytes(vec![7; 100]);
    let (source, destination) = (endpoint(source), endpoint(destination));
    Packet::new(source, destination, Transport::Udp, payload, NodeId(0))
}

fn segment(flags: TcpFlags) -> Transport {
    Transport::Tcp(TcpSegment {
        flags,
        ..TcpSegment::default()
    })
}

/// A device between an inside and an outside, with a clock.
struct Bench<M> {
    device: M,
    now: Time,
    random: Stream,
}

impl<M: Middlebox> Bench<M> {
    fn new(device: M) -> Self {
        Bench {
            device,
            now: Time::ZERO,
            random: Stream::new(1, "nat64"),
        }
    }

    fn pass(&mut self, way: Way, mut packet: Packet) -> Result<Packet, DropReason> {
        let mut around = Surroundings {
            now: self.now,
            node: NODE,
            random: &mut self.random,
        };
        let verdict = match way {
            Way::Out => self.device.outbound(&mut packet, &mut around),
            Way::In => self.device.inbound(&mut packet, &mut around),
        };
        match verdict {
            Verdict::Forward(_) | Verdict::Hairpin(_) => Ok(packet),
            Verdict::Drop(reason) | Verdict::Refuse { reason, .. } => Err(reason),
            Verdict::Hold => unreachable!("a translator holds nothing"),
        }
    }

    fn out(&mut self, packet: Packet) -> Result<Packet, DropReason> {
        self.pass(Way::Out, packet)
    }

    fn back(&mut self, packet: Packet) -> Result<Packet, DropReason> {
        self.pass(Way::In, packet)
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
    }
}

fn nat64(filtering: Filtering) -> Bench<Nat64> {
    let external = ["203.0.113.1"].map(|text| text.parse().unwrap());
    Bench::new(Nat64::new(Nat64Config::new(filtering), external))
}

const HOST: &str = "[2001:db8:1::2]:5000";
const SERVER: &str = "[64:ff9b::c000:201]:3478";

#[test]
fn a_packet_goes_out_in_ipv4_and_its_answer_comes_back_in_ipv6() {
    let mut bench = nat64(Filtering::AddressAndPortDependent);
    let sent = udp(HOST, SERVER);
    let left = bench.out(sent.clone()).unwrap();
    assert_eq!(left.source, endpoint("203.0.113.1:5000"));
    assert_eq!(left.destination, endpoint("192.0.2.1:3478"));
    assert_eq!((left.translations, left.wire_length()), (1, 128));
    let came = bench
        .back(udp("192.0.2.1:3478", "203.0.113.1:5000"))
        .unwrap();
    assert_eq!(
        (came.source, came.destination),
        (sent.destination, sent.source)
    );
    assert_eq!((came.translations, came.wire_length()), (1, 148));
    // The same external endpoint for everybody.
    let other = bench.out(udp(HOST, "[64:ff9b::c000:202]:9")).unwrap();
    assert_eq!(other.source, left.source);
}

#[test]
fn ipv6_to_ipv6_is_none_of_its_business() {
    let mut bench = nat64(Filtering::AddressAndPortDependent);
    for (way, source, destination) in [
        (Way::Out, HOST, "[2001:db8:2::2]:5000"),
        (Way::In, "[2001:db8:2::2]:5000", HOST),
        (Way::Out, "192.0.2.9:1", "192.0.2.1:2"),
    ] {
        let packet = udp(source, destination);
        let passed = bench.pass(way, packet.clone()).unwrap();
        assert_eq!(
            (passed.source, passed.destination),
            (packet.source, packet.destination)
        );
        assert_eq!(passed.translations, 0);
    }
}

#[test]
fn what_stands_for_no_address_is_dropped() {
    let mut bench = nat64(Filtering::EndpointIndependent);
    for (source, destination) in [
        // Private under the Well-Known Prefix (RFC 6052 §3.1).
        (HOST, "[64:ff9b::c0a8:102]:5000"),
        (HOST, "[64:ff9b::c000:2]:5000"),
        // From where nobody can be (RFC 6146 §3.5).
        ("[64:ff9b::c000:205]:1", SERVER),
    ] {
        let dropped = bench.out(udp(source, destination)).unwrap_err();
        assert_eq!(dropped.code(), "not_translatable", "{source} {destination}");
    }
}

#[test]
fn each_filtering_lets_in_whom_it_should() {
    for (filtering, same_address, stranger) in [
        (Filtering::EndpointIndependent, true, true),
        (Filtering::AddressDependent, true, false),
        (Filtering::AddressAndPortDependent, false, false),
    ] {
        let mut bench = nat64(filtering);
        bench.out(udp(HOST, SERVER)).unwrap();
        let mut comes_in = |from| bench.back(udp(from, "203.0.113.1:5000"));
        assert!(comes_in("192.0.2.1:3478").is_ok());
        assert_eq!(
            comes_in("192.0.2.1:3479").is_ok(),
            same_address,
            "{filtering}"
        );
        assert_eq!(comes_in("192.0.2.2:3478").is_ok(), stranger, "{filtering}");
        if let Err(dropped) = comes_in("192.0.2.2:3478") {
            assert_eq!(dropped.code(), "filtered_by_nat");
        }
        let dropped = bench.back(udp("192.0.2.1:3478", "203.0.113.1:5001"));
        assert_eq!(dropped.unwrap_err().code(), "no_mapping");
    }
}

#[test]
fn a_binding_lives_as_long_as_its_last_session() {
    let mut bench = nat64(Filtering::AddressAndPortDependent);
    bench.out(udp(HOST, SERVER)).unwrap();
    bench.wait(Duration::from_secs(200));
    bench.out(udp(HOST, "[64:ff9b::c000:202]:9")).unwrap();
    bench.wait(Duration::from_millis(99_999));
    assert!(
        bench
            .back(udp("192.0.2.1:3478", "203.0.113.1:5000"))
            .is_ok()
    );
    // That was an answer, and RFC 6146 §3.5.1.2 lets answers prolong the session; the other one runs out first.
    bench.wait(Duration::from_millis(200_001));
    let other = bench.back(udp("192.0.2.2:9", "203.0.113.1:5000"));
    assert_eq!(other.unwrap_err().code(), "filtered_by_nat");
    assert_eq!(bench.device.bindings(bench.now).count(), 1);
    bench.wait(Duration::from_millis(99_999));
    assert_eq!(bench.device.bindings(bench.now).count(), 0);
    let late = bench.back(udp("192.0.2.1:3478", "203.0.113.1:5000"));
    assert_eq!(late.unwrap_err().code(), "no_mapping");
}

#[test]
fn ports_keep_parity_and_range_and_run_out_with_a_reason() {
    let mut bench = nat64(Filtering::EndpointIndependent);
    // 32,256 even ports from 1024 up: as many hosts that all want one.
    for n in 0..32_256u32 {
        let host = format!("[2001:db8:1::{n:x}]:6000");
        let left = bench.out(udp(&host, SERVER)).unwrap();
        assert!(left.source.port.is_multiple_of(2) && left.source.port >= 1024);
    }
    let late = udp("[2001:db8:2::1]:6000", SERVER);
    assert_eq!(bench.out(late).unwrap_err().code(), "no_free_port");
    // Odd ports, and those below 1024, are others; whoever has one keeps it.
    for (host, odd, low) in [
        ("[2001:db8:2::1]:6001", true, false),
        ("[2001:db8:2::1]:53", true, true),
    ] {
        let port = bench.out(udp(host, SERVER)).unwrap().source.port;
        assert_eq!((port % 2 == 1, port < 1024), (odd, low));
    }
    assert!(bench.out(udp("[2001:db8:1::0]:6000", SERVER)).is_ok());
}

#[test]
fn sessions_have_an_end_to_their_number() {
    let config = Nat64Config {
        most_sessions: 10,
        ..Nat64Config::new(Filtering::EndpointIndependent)
    };
    let mut bench = Bench::new(Nat64::new(config, ["203.0.113.1".parse().unwrap()]));
    bench.out(udp(HOST, SERVER)).unwrap();
    // An attacker with many ports.
    let attack = |bench: &mut Bench<_>, port| {
        let from = format!("192.0.2.66:{port}");
        bench.back(udp(&from, "203.0.113.1:5000"))
    };
    for port in 1..10 {
        assert!(attack(&mut bench, port).is_ok());
    }
    assert_eq!(attack(&mut bench, 10).unwrap_err().code(), "table_full");
    // Those who are known go on.
    assert!(attack(&mut bench, 9).is_ok() && bench.out(udp(HOST, SERVER)).is_ok());
    bench.wait(Duration::from_secs(301));
    assert!(bench.out(udp(HOST, SERVER)).is_ok());
}

#[test]
fn tables_hold_no_more_than_what_is_alive() {
    let mut bench = nat64(Filtering::AddressDependent);
    for n in 0..20_000u64 {
        let host = format!("[2001:db8:1::{:x}]:{}", n % 500, 1024 + n);
        bench.out(udp(&host, SERVER)).unwrap();
        bench.wait(Duration::from_secs(3));
    }
    // A hundred are alive, in six tables.
    let entries = bench.device.tables.entries();
    assert!(entries <= 620, "{entries}");
}

#[test]
fn tcp_sessions_end_sooner_once_both_sides_have_said_so() {
    let mut bench = nat64(Filtering::AddressAndPortDependent);
    let tcp = |flags, source, destination| Packet {
        transport: segment(flags),
        ..udp(source, destination)
    };
    let (syn, ack, fin) = (TcpFlags::SYN, TcpFlags::ACK, TcpFlags::FIN);
    let outside = ("192.0.2.1:3478", "203.0.113.1:5000");
    let stray = bench.out(tcp(ack, HOST, SERVER)).unwrap_err();
    assert_eq!(stray.code(), "out_of_state");
    bench.out(tcp(syn, HOST, SERVER)).unwrap();
    bench.back(tcp(syn | ack, outside.0, outside.1)).unwrap();
    // Established: two hours and four minutes.
    bench.wait(Duration::from_secs(7_439));
    bench.out(tcp(ack, HOST, SERVER)).unwrap();
    bench.out(tcp(fin | ack, HOST, SERVER)).unwrap();
    bench.back(tcp(fin | ack, outside.0, outside.1)).unwrap();
    bench.wait(Duration::from_secs(239));
    bench.out(tcp(ack, HOST, SERVER)).unwrap();
    // That prolonged nothing.
    bench.wait(Duration::from_secs(1));
    let late = bench.back(tcp(ack, outside.0, outside.1)).unwrap_err();
    assert_eq!(late.code(), "no_mapping");
    // UDP of the same endpoint is another table's.
    bench.out(tcp(syn, HOST, SERVER)).unwrap();
    let udp = bench.back(udp(outside.0, outside.1)).unwrap_err();
    assert_eq!(udp.code(), "no_mapping");
}

#[test]
fn pings_go_out_and_come_back_by_their_identifier() {
    let mut bench = nat64(Filtering::AddressAndPortDependent);
    let echo = |is_reply, source, destination| Packet {
        transport: Transport::IcmpEcho(IcmpEcho {
            is_reply,
            sequence: 1,
        }),
        ..udp(source, destination)
    };
    let left = bench
        .out(echo(false, "[2001:db8:1::2]:77", "[64:ff9b::c000:201]:0"))
        .unwrap();
    assert_eq!(left.source.address.to_string(), "203.0.113.1");
    let reply = Packet {
        source: left.destination,
        destination: left.source,
        ..echo(true, "0.0.0.0:0", "0.0.0.0:0")
    };
    let came = bench.back(reply.clone()).unwrap();
    assert_eq!(came.destination, endpoint("[2001:db8:1::2]:77"));
    bench.wait(Duration::from_secs(60));
    assert_eq!(bench.back(reply).unwrap_err().code(), "no_mapping");
    let unasked = echo(true, "[2001:db8:1::2]:0", "[64:ff9b::c000:201]:9");
    assert_eq!(bench.out(unasked).unwrap_err().code(), "malformed");
}

#[test]
fn two_hosts_inside_meet_by_their_external_endpoints() {
    let mut bench = nat64(Filtering::AddressAndPortDependent);
    bench.out(udp(HOST, SERVER)).unwrap();
    bench.out(udp("[2001:db8:1::3]:6000", SERVER)).unwrap();
    // 203.0.113.1 under the prefix.
    let first = bench.out(udp(HOST, "[64:ff9b::cb00:7101]:6000"));
    assert_eq!(first.unwrap_err().code(), "filtered_by_nat");
    let met = bench
        .out(udp("[2001:db8:1::3]:6000", "[64:ff9b::cb00:7101]:5000"))
        .unwrap();
    assert_eq!(met.source, endpoint("[64:ff9b::cb00:7101]:6000"));
    assert_eq!(met.destination, endpoint(HOST));
    assert_eq!(met.translations, 2);
    let config = Nat64Config {
        hairpinning: false,
        ..Nat64Config::new(Filtering::EndpointIndependent)
    };
    let mut bench = Bench::new(Nat64::new(config, ["203.0.113.1".parse().unwrap()]));
    let refused = bench.out(udp(HOST, "[64:ff9b::cb00:7101]:6000"));
    assert_eq!(refused.unwrap_err().code(), "hairpinning_off");
}

fn error(kind: IcmpErrorKind, from: &str, to: &str, quoted: (&str, &str)) -> Packet {
    Packet {
        transport: Transport::IcmpError(Box::new(IcmpError {
            kind,
            quoted_protocol: Protocol::Udp,
            quoted_source: endpoint(quoted.0),
            quoted_destination: endpoint(quoted.1),
        })),
        payload: Payload::default(),
        ..udp(from, to)
    }
}

fn told(packet: &Packet) -> IcmpError {
    match &packet.transport {
        Transport::IcmpError(error) => **error,
        other => panic!("{other:?} is no error"),
    }
}

#[test]
fn errors_are_translated_both_ways_and_end_nothing() {
    let mut bench = nat64(Filtering::AddressAndPortDependent);
    bench.out(udp(HOST, SERVER)).unwrap();
    // From a router that the filter has never heard of.
    let too_big = IcmpErrorKind::TooBig { mtu: 1400 };
    let quoted = ("203.0.113.1:5000", "192.0.2.1:3478");
    let report = error(too_big, "198.51.100.9:0", "203.0.113.1:0", quoted);
    let came = bench.back(report).unwrap();
    assert_eq!(came.source, endpoint("[64:ff9b::c633:6409]:0"));
    assert_eq!(came.destination, endpoint("[2001:db8:1::2]:0"));
    let IcmpError {
        kind,
        quoted_source,
        quoted_destination,
        ..
    } = told(&came);
    assert_eq!(kind, IcmpErrorKind::TooBig { mtu: 1420 });
    assert_eq!(
        (quoted_source, quoted_destination),
        (endpoint(HOST), endpoint(SERVER))
    );
    // IPv6 links carry 1280 at least; less would be no news to the sender.
    let tiny = IcmpErrorKind::TooBig { mtu: 576 };
    let came = bench
        .back(error(tiny, "198.51.100.9:0", "203.0.113.1:0", quoted))
        .unwrap();
    assert_eq!(told(&came).kind, IcmpErrorKind::TooBig { mtu: 1280 });

    let inside = (SERVER, HOST);
    let report = error(
        too_big,
        "[2001:db8:1::ff]:0",
        "[64:ff9b::c000:201]:0",
        inside,
    );
    let left = bench.out(report).unwrap();
    assert_eq!(left.source, endpoint("203.0.113.1:0"));
    assert_eq!(left.destination, endpoint("192.0.2.1:0"));
    let IcmpError {
        kind,
        quoted_source,
        quoted_destination,
        ..
    } = told(&left);
    assert_eq!(kind, IcmpErrorKind::TooBig { mtu: 1380 });
    assert_eq!(quoted_source, endpoint("192.0.2.1:3478"));
    assert_eq!(quoted_destination, endpoint("203.0.113.1:5000"));
    assert!(
        bench
            .back(udp("192.0.2.1:3478", "203.0.113.1:5000"))
            .is_ok()
    );

    let stray = ("203.0.113.1:5001", "192.0.2.1:3478");
    let report = error(too_big, "198.51.100.9:0", "203.0.113.1:0", stray);
    assert_eq!(bench.back(report).unwrap_err().code(), "no_mapping");
}

#[test]
fn short_packets_may_be_cut_in_ipv4_and_long_ones_not() {
    let mut bench = nat64(Filtering::EndpointIndependent);
    for (length, dont_fragment) in [(1232, false), (1233, true)] {
        let mut packet = udp(HOST, SERVER);
        packet.payload = Payload::Sized { length, tag: 0 };
        let left = bench.out(packet).unwrap();
        // 1232 and 28 are 1260: 1280 in IPv6, which every link carries.
        assert_eq!(left.dont_fragment, dont_fragment, "{length}");
        let came = bench
            .back(udp("192.0.2.1:3478", "203.0.113.1:5000"))
            .unwrap();
        assert!(came.dont_fragment);
    }
}

#[test]
fn later_fragments_follow_the_first_for_two_seconds() {
    let mut bench = nat64(Filtering::EndpointIndependent);
    let part = |offset, identification| Packet {
        fragment: Some(Fragment {
            identification,
            offset,
            more: offset == 0,
        }),
        ..match offset {
            0 => udp(HOST, SERVER),
            _ => udp("[2001:db8:1::2]:0", "[64:ff9b::c000:201]:0"),
        }
    };
    let early = bench.out(part(1000, 0x70007)).unwrap_err();
    assert_eq!(early.code(), "fragments_incomplete");
    bench.out(part(0, 0x70007)).unwrap();
    bench.wait(Duration::from_secs(2));
    let second = bench.out(part(1000, 0x70007)).unwrap();
    assert_eq!(second.source, endpoint("203.0.113.1:0"));
    assert_eq!(second.destination, endpoint("192.0.2.1:0"));
    assert_eq!(second.fragment.unwrap().identification, 7);
    assert!(bench.out(part(1000, 8)).is_err());
    bench.wait(Duration::from_millis(1));
    assert!(bench.out(part(1000, 0x70007)).is_err());
}

fn clat() -> Bench<Clat> {
    Bench::new(Clat::new(ClatConfig {
        source: "2001:db8:c1a7::/96".parse().unwrap(),
        destination: Prefix64::well_known(),
    }))
}

#[test]
fn a_clat_translates_ipv4_there_and_back_and_leaves_ipv6_alone() {
    let mut bench = clat();
    let sent = udp("192.0.0.2:5000", "192.0.2.1:3478");
    let left = bench.out(sent.clone()).unwrap();
    assert_eq!(left.source, endpoint("[2001:db8:c1a7::c000:2]:5000"));
    assert_eq!(left.destination, endpoint(SERVER));
    let answer = Packet {
        source: left.destination,
        destination: left.source,
        ..sent.clone()
    };
    let came = bench.back(answer).unwrap();
    assert_eq!(
        (came.source, came.destination),
        (sent.destination, sent.source)
    );
    assert_eq!((left.translations, came.translations), (1, 1));

    let native = udp(HOST, "[2001:db8:2::2]:9");
    assert_eq!(bench.out(native).unwrap().translations, 0);
    let private = bench.out(udp("192.0.0.2:5000", "192.168.1.2:5000"));
    assert_eq!(private.unwrap_err().code(), "not_translatable");
    let stranger = bench.back(udp("[2001:db8:2::2]:9", "[2001:db8:c1a7::c000:2]:5000"));
    assert_eq!(stranger.unwrap_err().code(), "not_translatable");

    let quoted = ("[2001:db8:c1a7::c000:2]:5000", SERVER);
    let kind = IcmpErrorKind::PortUnreachable;
    let report = error(
        kind,
        "[64:ff9b::c000:201]:0",
        "[2001:db8:c1a7::c000:2]:0",
        quoted,
    );
    let told = told(&bench.back(report).unwrap());
    assert_eq!(told.quoted_source, sent.source);
    assert_eq!(told.quoted_destination, sent.destination);
}

fn any_address() -> impl Strategy<Value = Address> {
    let v4 = any::<[u8; 4]>().prop_map(|[a, b, c, d]| Address::v4(a, b, c, d));
    let v6 = any::<u128>().prop_map(|bits| std::net::Ipv6Addr::from_bits(bits).into());
    let synthesized = any::<[u8; 4]>()
        .prop_map(|[a, b, c, d]| Prefix64::well_known().embed(Address::v4(a, b, c, d)));
    let known = proptest::sample::select(vec![
        "203.0.113.1",
        "2001:db8:1::2",
        "2001:db8:c1a7::c000:2",
    ]);
    let known = known.prop_map(|text| text.parse().unwrap());
    prop_oneof![v4, v6, synthesized, known]
}

fn any_endpoint() -> impl Strategy<Value = Endpoint> {
    let port = prop_oneof![any::<u16>(), Just(5000), Just(0)];
    (any_address(), port).prop_map(|(address, port)| Endpoint::new(address, port))
}

fn any_transport() -> impl Strategy<Value = Transport> {
    let flags = proptest::sample::select(vec![
        TcpFlags::SYN,
        TcpFlags::SYN | TcpFlags::ACK,
        TcpFlags::ACK,
        TcpFlags::FIN,
        TcpFlags::RST,
    ]);
    let echo = any::<(bool, u16)>()
        .prop_map(|(is_reply, sequence)| Transport::IcmpEcho(IcmpEcho { is_reply, sequence }));
    let protocol = proptest::sample::select(vec![Protocol::Udp, Protocol::Tcp, Protocol::Icmp]);
    let error = (any::<u16>(), protocol, any_endpoint(), any_endpoint()).prop_map(
        |(mtu, quoted_protocol, quoted_source, quoted_destination)| {
            Transport::IcmpError(Box::new(IcmpError {
                kind: IcmpErrorKind::TooBig { mtu },
                quoted_protocol,
                quoted_source,
                quoted_destination,
            }))
        },
    );
    prop_oneof![Just(Transport::Udp), flags.prop_map(segment), echo, error]
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let fragment = proptest::option::of((any::<u32>(), any::<u16>(), any::<bool>()));
    (any_endpoint(), any_endpoint(), any_transport(), fragment).prop_map(
        |(source, destination, transport, fragment)| {
            let payload = Payload::Sized {
                length: 1300,
                tag: 0,
            };
            let mut packet = Packet::new(source, destination, transport, payload, NodeId(0));
            packet.fragment = fragment.map(|(identification, offset, more)| Fragment {
                identification,
                offset,
                more,
            });
            packet
        },
    )
}

proptest! {
    #[test]
    fn no_packet_makes_a_translator_panic_or_mixes_families(
        packets in proptest::collection::vec((any_packet(), any::<bool>(), 0..400u64), 0..60),
        filtering in proptest::sample::select(Filtering::ALL.to_vec()),
    ) {
        let (mut plat, mut clat) = (nat64(filtering), clat());
        for (packet, out, seconds) in packets {
            let way = if out { Way::Out } else { Way::In };
            // Hosts and links see to it that a packet's two addresses are of one family.
            if packet.source.address.family() != packet.destination.address.family() {
                continue;
            }
            plat.wait(Duration::from_secs(seconds));
            for passed in [plat.pass(way, packet.clone()), clat.pass(way, packet)].into_iter().flatten() {
                let families = [passed.source, passed.destination].map(|end| end.address.family());
                prop_assert_eq!(families[0], families[1]);
            }
        }
    }

    #[test]
    fn out_and_back_is_where_it_came_from(
        internal: (u64, u16),
        remote: ([u8; 4], u16),
        filtering in proptest::sample::select(Filtering::ALL.to_vec()),
    ) {
        let mut bench = nat64(filtering);
        let internal = Endpoint::new(
            std::net::Ipv6Addr::from_bits(0x2001_0db8_u128 << 96 | u128::from(internal.0)).into(),
            internal.1,
        );
        let ([a, b, c, d], port) = remote;
        let v4 = Address::v4(a, b, c, d);
        prop_assume!(Prefix64::well_known().may_hold(v4) && v4 != Address::v4(203, 0, 113, 1));
        let remote = Endpoint::new(Prefix64::well_known().embed(v4), port);
        let sent = Packet { source: internal, destination: remote, ..udp(HOST, SERVER) };
        let left = bench.out(sent.clone()).unwrap();
        prop_assert_eq!(left.destination, Endpoint::new(v4, port));
        prop_assert_eq!(left.source.port % 2, internal.port % 2);
        let answer = Packet { source: left.destination, destination: left.source, ..sent };
        let came = bench.back(answer).unwrap();
        prop_assert_eq!((came.source, came.destination), (remote, internal));
    }
}
