//! What the network itself says: errors about packets that go no further, and answers to pings.
//!
//! ```text
//!   A 192.168.1.2 ──1 ms── home ──10 ms── core ──5 ms── far ──5 ms── B 192.0.2.2
//!                          203.0.113.1
//! ```

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pinhole::link::Link;
use pinhole::middlebox::{Middlebox, Surroundings, Verdict};
use pinhole::nat::NatConfig;
use pinhole::packet::{IcmpErrorKind, Packet, Protocol, Transport};
use pinhole::topology::Device;
use pinhole::{
    Address, Filtering, Input, Internet, Io, Mapping, Program, ProgramId, Time, Topology,
};
use proptest::prelude::*;

fn ms(millis: u64) -> Time {
    Time::from_millis(millis)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn link(millis: u64) -> Link {
    Link::with_delay(Duration::from_millis(millis))
}

fn addresses(texts: &[&str]) -> Vec<Address> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// The plan drawn above, with this device in the home. Without a NAT A is 192.0.2.1.
fn home(device: Device) -> Topology {
    let is_nat = matches!(device, Device::Nat(_));
    let mut plan = Topology::new();
    let [a, b] = ["A", "B"].map(|name| plan.host(name));
    let home = plan.gateway("home");
    plan.install(home, device);
    let [core, far] = ["core", "far"].map(|name| plan.router(name));
    let (inside, outside) = if is_nat {
        plan.subnet(home, "192.168.1.0/24".parse().unwrap());
        (addresses(&["192.168.1.2"]), addresses(&["203.0.113.1"]))
    } else {
        (addresses(&["192.0.2.1", "2001:db8::1"]), vec![])
    };
    plan.connect(a, home, link(1), &inside);
    plan.connect(home, core, link(10), &outside);
    plan.connect(far, core, link(5), &[]);
    plan.connect(b, far, link(5), &addresses(&["192.0.2.2", "2001:db8::2"]));
    plan
}

fn nat() -> NatConfig {
    NatConfig::new(Mapping::EndpointIndependent, Filtering::EndpointIndependent)
}

/// Does something to packets either way.
#[derive(Clone)]
struct Meddler<F>(F);

impl<F: FnMut(&mut Packet)> Middlebox for Meddler<F> {
    fn outbound(&mut self, packet: &mut Packet, _: &mut Surroundings<'_>) -> Verdict {
        (self.0)(packet);
        Verdict::PASS
    }

    fn inbound(&mut self, packet: &mut Packet, _: &mut Surroundings<'_>) -> Verdict {
        (self.0)(packet);
        Verdict::PASS
    }
}

fn meddled<F: FnMut(&mut Packet) + Clone + Send + Sync + 'static>(meddle: F) -> Topology {
    let make = move || Box::new(Meddler(meddle.clone())) as Box<dyn Middlebox>;
    home(Device::Custom(Arc::new(make)))
}

fn plain() -> Topology {
    meddled(|_| {})
}

/// Notes what it is told.
#[derive(Default)]
struct Ears {
    told: Vec<(Time, SocketAddr, SocketAddr, IcmpErrorKind, IpAddr)>,
    replies: Vec<(Time, IpAddr, u16, u16, Vec<u8>)>,
    datagrams: usize,
}

impl Program for Ears {
    fn handle_input(&mut self, now: Time, input: Input<'_>, io: &mut Io<'_>) {
        match input {
            Input::Start => {
                // A second program on a host doesn't get it.
                io.bind(5000).ok();
            }
            Input::Unreachable {
                local,
                remote,
                kind,
                reporter,
            } => self.told.push((now, local, remote, kind, reporter)),
            Input::EchoReply(reply) => {
                let payload = reply.payload.to_vec();
                let (remote, identifier) = (reply.remote, reply.identifier);
                (self.replies).push((now, remote, identifier, reply.sequence, payload));
            }
            Input::Datagram(_) => self.datagrams += 1,
            _ => {}
        }
    }
}

fn start(plan: Topology) -> (Internet, ProgramId, ProgramId) {
    let mut net = plan.build(1).unwrap();
    let [a, b] = ["A", "B"].map(|name| {
        let host = net.topology().find(name).unwrap();
        net.attach(host, Ears::default())
    });
    net.run_until(Time::ZERO).unwrap();
    (net, a, b)
}

fn act(net: &mut Internet, id: ProgramId, act: impl FnOnce(&mut Io<'_>)) {
    net.act(id, |_: &mut Ears, io| act(io));
}

const ANY: &str = "0.0.0.0";

fn ping(io: &mut Io<'_>, to: &str, identifier: u16, sequence: u16) {
    io.ping(ip(ANY), ip(to), identifier, sequence, b"are you there?");
}

fn reasons(net: &Internet) -> Vec<(&'static str, u64)> {
    let drops = net.trace().drops().iter();
    drops
        .map(|drop| (drop.example.code(), drop.count))
        .collect()
}

#[test]
fn a_ping_takes_a_round_trip_and_no_program_to_answer_it() {
    let mut net = plain().build(1).unwrap();
    let host = net.topology().find("A").unwrap();
    let a = net.attach(host, Ears::default());
    net.run_until(ms(7)).unwrap();
    act(&mut net, a, |io| {
        ping(io, "192.0.2.2", 77, 1);
        ping(io, "2001:db8::2", 77, 2);
        // Itself.
        ping(io, "192.0.2.1", 78, 3);
    });
    net.run_to_end().unwrap();
    let payload = b"are you there?".to_vec();
    let expected = [
        (ms(7), ip("192.0.2.1"), 78, 3, payload.clone()),
        // 21 ms there, 21 ms back.
        (ms(49), ip("192.0.2.2"), 77, 1, payload.clone()),
        (ms(49), ip("2001:db8::2"), 77, 2, payload),
    ];
    assert_eq!(net.program::<Ears>(a).replies, expected);
    assert_eq!(net.trace().counts().sent, 6);
    assert_eq!(reasons(&net), []);
}

#[test]
fn a_long_ping_is_cut_both_ways() {
    let mut plan = Topology::new();
    let [a, b] = ["A", "B"].map(|name| plan.host(name));
    let core = plan.router("core");
    let narrow = Link::lan();
    for (host, last) in [(a, 1), (b, 2)] {
        plan.connect(host, core, narrow, &[Address::v4(192, 0, 2, last)]);
    }
    let (mut net, a, _) = start(plan);
    let long: Vec<u8> = (0..60_000u32).map(|n| ((n * n) >> 3) as u8).collect();
    let sent = long.clone();
    act(&mut net, a, move |io| {
        // Once as it is, once cut.
        io.ping(ip(ANY), ip("192.0.2.2"), 1, 1, &sent);
        io.allow_fragmentation(true);
        io.ping(ip(ANY), ip("192.0.2.2"), 1, 2, &sent);
    });
    net.run_to_end().unwrap();
    let ears: &Ears = net.program(a);
    assert_eq!(ears.replies, [(ms(4), ip("192.0.2.2"), 1, 2, long)]);
    assert_eq!(ears.told.len(), 1);
    assert_eq!(ears.told[0].3, IcmpErrorKind::TooBig { mtu: 1500 });
}

#[test]
fn replies_belong_to_the_identifier_s_last_user_and_nobody_else() {
    let (mut net, a, _) = start(plain());
    let host = net.host_of(a);
    let other = net.attach(host, Ears::default());
    act(&mut net, a, |io| ping(io, "192.0.2.2", 1, 1));
    act(&mut net, a, |io| ping(io, "192.0.2.2", 2, 2));
    act(&mut net, other, |io| ping(io, "192.0.2.2", 2, 3));
    net.run_to_end().unwrap();
    let sequences = |id| -> Vec<u16> {
        let ears: &Ears = net.program(id);
        ears.replies.iter().map(|reply| reply.3).collect()
    };
    assert_eq!((sequences(a), sequences(other)), (vec![1], vec![2, 3]));

    // A reply that was never asked for.
    let (mut net, a, _) = start(meddled(|packet| {
        if let Transport::IcmpEcho(echo) = &packet.transport
            && echo.is_reply
        {
            packet.destination.port = 99;
        }
    }));
    act(&mut net, a, |io| ping(io, "192.0.2.2", 1, 1));
    net.run_to_end().unwrap();
    assert_eq!(net.program::<Ears>(a).replies, []);
    assert_eq!(reasons(&net), [("rejected", 1)]);
}

#[test]
fn a_traceroute_shows_the_way() {
    // By pings, and as far as A sees it.
    let (mut net, a, _) = start(plain());
    for hops in 1..=4 {
        act(&mut net, a, |io| {
            io.set_hop_limit(hops);
            ping(io, "192.0.2.2", 7, u16::from(hops));
            ping(io, "2001:db8::2", 8, u16::from(hops));
        });
    }
    net.run_to_end().unwrap();
    let ears: &Ears = net.program(a);
    let of = |v4: bool| ears.told.iter().filter(move |told| told.4.is_ipv4() == v4);
    let times = [2, 22, 32].map(ms);
    for (v4, reporter) in [(true, "192.0.0.8"), (false, "100::c000:8")] {
        assert_eq!(of(v4).map(|told| told.0).collect::<Vec<_>>(), times);
        for told in of(v4) {
            assert_eq!(
                (told.3, told.4),
                (IcmpErrorKind::TimeExceeded, ip(reporter))
            );
            assert_eq!(
                told.1.port(),
                if v4 { 7 } else { 8 },
                "the ping's identifier"
            );
        }
    }
    let replies: Vec<_> = ears
        .replies
        .iter()
        .map(|reply| (reply.0, reply.3))
        .collect();
    assert_eq!(replies, [(ms(42), 4), (ms(42), 4)]);
}

#[test]
fn a_traceroute_through_a_nat_names_the_router_that_everybody_knows() {
    let (mut net, a, _) = start(home(Device::Nat(nat())));
    net.record();
    for hops in 1..=4 {
        act(&mut net, a, |io| {
            io.set_hop_limit(hops);
            io.send_from(5000, at("192.0.2.2:33434"), b"");
        });
        net.run_for(Duration::from_secs(1)).unwrap();
    }
    let ears: &Ears = net.program(a);
    let told: Vec<_> = ears
        .told
        .iter()
        .map(|told| (told.3, told.4.to_string()))
        .collect();
    let exceeded = |by: &str| (IcmpErrorKind::TimeExceeded, by.to_owned());
    let expected = [
        exceeded("192.168.1.1"),
        exceeded("192.0.0.8"),
        exceeded("192.0.0.8"),
        (IcmpErrorKind::PortUnreachable, "192.0.2.2".to_owned()),
    ];
    assert_eq!(told, expected);
    for told in &ears.told {
        assert_eq!(
            (told.1, told.2),
            (at("192.168.1.2:5000"), at("192.0.2.2:33434"))
        );
    }
    // The trace knows the two routers apart.
    let recording = net.trace().recording().unwrap();
    let origins: Vec<_> = (recording.packets().iter())
        .filter(|packet| matches!(packet.transport, Transport::IcmpError(_)))
        .map(|packet| net.name(packet.origin))
        .collect();
    assert_eq!(origins, ["home", "core", "far", "B"]);
}

#[test]
fn from_outside_a_gateway_is_known_by_its_external_address() {
    let (mut net, a, b) = start(home(Device::Nat(nat())));
    act(&mut net, a, |io| {
        io.send_from(5000, at("192.0.2.2:5000"), b"a way back")
    });
    net.run_for(Duration::from_secs(1)).unwrap();
    act(&mut net, b, |io| {
        // far, core, home: there it ends.
        io.set_hop_limit(3);
        io.send_from(5000, at("203.0.113.1:5000"), b"");
    });
    net.run_to_end().unwrap();
    let ears: &Ears = net.program(b);
    let expected = (
        ms(1040),
        at("192.0.2.2:5000"),
        at("203.0.113.1:5000"),
        IcmpErrorKind::TimeExceeded,
        ip("203.0.113.1"),
    );
    assert_eq!(ears.told, [expected]);
}

#[test]
fn nobody_s_public_address_is_reported_and_a_private_one_is_not() {
    let (mut net, a, _) = start(plain());
    act(&mut net, a, |io| {
        for to in ["198.51.100.7:9", "[2001:db8:7::7]:9"] {
            io.send_from(5000, at(to), b"");
        }
        for to in [
            "10.1.2.3:9",
            "192.168.1.3:9",
            "100.64.0.9:9",
            "[fd00::9]:9",
            "240.0.0.1:9",
        ] {
            io.send_from(5000, at(to), b"");
        }
    });
    net.run_to_end().unwrap();
    let ears: &Ears = net.program(a);
    let told: Vec<_> = ears
        .told
        .iter()
        .map(|told| (told.0, told.2, told.3))
        .collect();
    // 11 ms to the core, which knows every way, and back.
    let unreachable = |to| (ms(22), at(to), IcmpErrorKind::HostUnreachable);
    let expected = [
        unreachable("198.51.100.7:9"),
        unreachable("[2001:db8:7::7]:9"),
    ];
    assert_eq!(told, expected);
    assert_eq!(reasons(&net), [("no_route", 7)]);
}

#[test]
fn errors_are_never_about_errors_or_about_nobody_s_packets() {
    // C's error loses its hops at its gateway, and ends at the core. C is not told.
    let mut plan = plain();
    let (core, wild) = (plan.find("core").unwrap(), plan.gateway("wild"));
    let lose_hops = |packet: &mut Packet| {
        if let Transport::IcmpError(_) = packet.transport {
            packet.hop_limit = 1;
        }
    };
    let make = move || Box::new(Meddler(lose_hops)) as Box<dyn Middlebox>;
    plan.install(wild, Device::Custom(Arc::new(make)));
    plan.connect(wild, core, link(1), &[]);
    let host = plan.host("C");
    plan.connect(host, wild, link(1), &addresses(&["192.0.2.3"]));
    let (mut net, a, _) = start(plan);
    act(&mut net, a, |io| io.send_from(5000, at("192.0.2.3:9"), b""));
    net.run_to_end().unwrap();
    assert_eq!(net.trace().counts().sent, 2);
    assert_eq!(reasons(&net), [("port_unreachable", 1), ("ttl_expired", 1)]);

    for nobody in ["0.0.0.0", "224.0.0.1", "255.255.255.255", "127.0.0.1"] {
        let source: Address = nobody.parse().unwrap();
        let (mut net, a, _) = start(meddled(move |packet| packet.source.address = source));
        act(&mut net, a, |io| {
            io.send_from(5000, at("192.0.2.2:9"), b"");
            io.send_from(5000, at("198.51.100.7:9"), b"");
        });
        net.run_to_end().unwrap();
        assert_eq!(net.trace().counts().sent, 2, "{nobody}");
    }
}

#[test]
fn a_storm_of_errors_is_bounded_at_each_node() {
    let (mut net, a, _) = start(plain());
    act(&mut net, a, |io| {
        io.set_hop_limit(1);
        (0..1000).for_each(|_| io.send_from(5000, at("192.0.2.2:9"), b""));
        io.set_hop_limit(2);
        (0..1000).for_each(|_| io.send_from(5000, at("192.0.2.2:9"), b""));
    });
    net.run_to_end().unwrap();
    assert_eq!(net.program::<Ears>(a).told.len(), 100, "fifty each");
    assert_eq!(
        reasons(&net),
        [("ttl_expired", 1000), ("ttl_expired", 1000)]
    );
}

#[test]
fn a_nat_without_ports_says_so_where_it_is_told_to() {
    for reports in [false, true] {
        let config = NatConfig {
            reports_exhaustion: reports,
            port_range: 2000..=2000,
            ..nat()
        };
        let (mut net, a, _) = start(home(Device::Nat(config)));
        act(&mut net, a, |io| {
            io.bind(5001).unwrap();
            for port in [5000, 5001] {
                io.send_from(port, at("192.0.2.2:5000"), b"");
            }
        });
        net.run_to_end().unwrap();
        assert_eq!(reasons(&net), [("no_free_port", 1)]);
        let told = &net.program::<Ears>(a).told;
        let expected = (
            ms(2),
            at("192.168.1.2:5001"),
            at("192.0.2.2:5000"),
            IcmpErrorKind::HostUnreachable,
            ip("192.168.1.1"),
        );
        assert_eq!(
            told,
            if reports {
                std::slice::from_ref(&expected)
            } else {
                &[]
            }
        );
    }
}

#[test]
fn an_error_about_tcp_is_no_business_of_the_udp_socket_with_that_port() {
    let (mut net, a, _) = start(meddled(|packet| {
        if let Transport::IcmpError(error) = &mut packet.transport {
            error.quoted_protocol = Protocol::Tcp;
        }
    }));
    act(&mut net, a, |io| io.send_from(5000, at("192.0.2.2:9"), b""));
    net.run_to_end().unwrap();
    assert_eq!(net.program::<Ears>(a).told, []);
}

proptest! {
    #[test]
    fn whatever_icmp_says_nothing_breaks(
        claims in proptest::collection::vec(
            (0u8..4, any::<u32>(), any::<u32>(), any::<u16>(), 0u8..4, any::<u8>()),
            1..40,
        ),
        with_nat: bool,
    ) {
        // A device between the routers that turns answers into whatever.
        let numbers = claims.clone();
        let mut next = 0;
        let meddle = move |packet: &mut Packet| {
            let (what, source, destination, port, protocol, hops) = numbers[next % numbers.len()];
            next += 1;
            let address = |bits: u32| Address::from(std::net::Ipv4Addr::from_bits(bits));
            packet.hop_limit = hops;
            match (&mut packet.transport, what) {
                (_, 0) => packet.source.port = port,
                (_, 1) => packet.destination.port = port,
                (Transport::IcmpError(error), _) => {
                    error.quoted_source.address = address(source);
                    error.quoted_destination.address = address(destination);
                    error.quoted_source.port = port;
                    error.quoted_protocol =
                        [Protocol::Udp, Protocol::Tcp, Protocol::Icmp][usize::from(protocol % 3)];
                    error.kind = IcmpErrorKind::TooBig { mtu: port };
                }
                (Transport::IcmpEcho(echo), _) => echo.is_reply ^= protocol == 0,
                (_, 2) => packet.source.address = address(source),
                _ => packet.destination.address = address(destination),
            }
        };
        let mut plan = if with_nat { home(Device::Nat(nat())) } else { plain() };
        let (core, wild) = (plan.find("core").unwrap(), plan.gateway("wild"));
        let make = move || Box::new(Meddler(meddle.clone())) as Box<dyn Middlebox>;
        plan.install(wild, Device::Custom(Arc::new(make)));
        plan.connect(wild, core, link(1), &[]);
        let host = plan.host("C");
        plan.connect(host, wild, link(1), &addresses(&["192.0.2.3"]));
        let (mut net, a, b) = start(plan);
        let c = net.attach(host, Ears::default());
        net.run_until(Time::ZERO).unwrap();
        for n in 0..claims.len() as u16 {
            for id in [a, b, c] {
                act(&mut net, id, |io| {
                    io.set_hop_limit(1 + (n % 8) as u8);
                    io.allow_fragmentation(n % 2 == 0);
                    for to in ["192.0.2.3", "192.0.2.2", "203.0.113.1", "198.51.100.7"] {
                        ping(io, to, n, n);
                        io.send_from(5000, SocketAddr::new(ip(to), 5000 + n % 2), b"");
                    }
                });
            }
        }
        net.run_to_end().unwrap();
        let counts = net.trace().counts();
        prop_assert_eq!(counts.sent, counts.delivered + counts.dropped);
        prop_assert_eq!(net.packets_under_way(), 0);
    }
}
