//! A recorded run as a pcapng file, read with parsers that are not ours: `pcap-parser` for the
//! container, `etherparse` for the packets.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use etherparse::{Icmpv4Type, Icmpv6Type, LaxSlicedPacket, NetSlice, SlicedPacket, TransportSlice};
use pcap_parser::pcapng::{Block, OptionCode, PcapNGSlice};
use pcap_parser::{Linktype, PcapBlockOwned};
use pinhole::link::{Conditions, Link};
use pinhole::nat::NatConfig;
use pinhole::topology::SiteOptions;
use pinhole::{Filtering, Input, Internet, Io, Mapping, Sketch, Topology};

/// A packet of a file.
#[derive(Debug)]
struct Capture {
    interface: String,
    nanos: u64,
    inbound: bool,
    bytes: Vec<u8>,
    original_length: u32,
    comment: Option<String>,
}

/// Names and descriptions of a file's interfaces, and its packets.
struct File {
    interfaces: Vec<(String, String)>,
    captures: Vec<Capture>,
}

fn open(net: &Internet) -> File {
    let mut bytes = Vec::new();
    net.write_pcapng(&mut bytes).unwrap();
    let mut file = File {
        interfaces: Vec::new(),
        captures: Vec::new(),
    };
    let mut read = 0;
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let (after, block) = pcap_parser::parse_block_le(rest).unwrap();
        rest = after;
        read += 1;
        match block {
            Block::SectionHeader(header) => assert_eq!((read, header.major_version), (1, 1)),
            Block::InterfaceDescription(interface) => {
                assert_eq!(interface.linktype, Linktype::RAW);
                assert_eq!(interface.if_tsresol, 9, "timestamps are in nanoseconds");
                let name = interface.if_name().unwrap().unwrap();
                let about = interface.if_description().unwrap().unwrap();
                file.interfaces.push((name.to_owned(), about.to_owned()));
            }
            Block::EnhancedPacket(packet) => {
                let option = |code| packet.options.iter().find(|option| option.code == code);
                let comment = option(OptionCode::Comment);
                let flags = option(OptionCode(2)).expect("every packet has its direction");
                file.captures.push(Capture {
                    interface: file.interfaces[packet.if_id as usize].0.clone(),
                    nanos: u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low),
                    inbound: flags.as_u32_le().unwrap() & 3 == 1,
                    bytes: packet.data[..packet.caplen as usize].to_vec(),
                    original_length: packet.origlen,
                    comment: comment.map(|comment| comment.as_str().unwrap().to_owned()),
                });
            }
            other => panic!("no other blocks are written: {other:?}"),
        }
    }
    // The whole file is one valid section for a stricter reader, too.
    let blocks = PcapNGSlice::from_slice(&bytes).unwrap();
    let count = blocks
        .filter(|block| matches!(block, Ok(PcapBlockOwned::NG(_))))
        .count();
    assert_eq!(count, read);
    file
}

impl File {
    fn at(&self, interface: &str) -> Vec<&Capture> {
        let seen = |capture: &&Capture| capture.interface == interface;
        self.captures.iter().filter(seen).collect()
    }
}

/// What an IP packet says of itself, after its checksums were found right.
struct Read {
    source: SocketAddr,
    destination: SocketAddr,
    hops: u8,
    identification: Option<u16>,
    payload: Vec<u8>,
}

fn read(capture: &Capture) -> Read {
    assert_eq!(capture.bytes.len() as u32, capture.original_length);
    let packet = SlicedPacket::from_ip(&capture.bytes).unwrap();
    let Some(TransportSlice::Udp(udp)) = packet.transport else {
        panic!("expected UDP in {packet:?}");
    };
    let header = udp.to_header();
    let (source, destination, hops, identification, checksum) = match packet.net.as_ref().unwrap() {
        NetSlice::Ipv4(ip) => {
            let ip = ip.header().to_header();
            assert_eq!(ip.header_checksum, ip.calc_header_checksum());
            assert!(ip.dont_fragment);
            let checksum = header.calc_checksum_ipv4(&ip, udp.payload()).unwrap();
            let (source, destination) = (IpAddr::from(ip.source), IpAddr::from(ip.destination));
            (
                source,
                destination,
                ip.time_to_live,
                Some(ip.identification),
                checksum,
            )
        }
        NetSlice::Ipv6(ip) => {
            let ip = ip.header().to_header();
            let checksum = header.calc_checksum_ipv6(&ip, udp.payload()).unwrap();
            let (source, destination) = (IpAddr::from(ip.source), IpAddr::from(ip.destination));
            (source, destination, ip.hop_limit, None, checksum)
        }
        other => panic!("expected IP: {other:?}"),
    };
    assert_eq!(header.checksum, checksum);
    Read {
        source: SocketAddr::new(source, header.source_port),
        destination: SocketAddr::new(destination, header.destination_port),
        hops,
        identification,
        payload: udp.payload().to_vec(),
    }
}

fn sends(
    port: u16,
    to: SocketAddr,
    payload: &'static [u8],
) -> impl FnMut(pinhole::Time, Input<'_>, &mut Io<'_>) {
    move |_, input, io| {
        if let Input::Start = input {
            io.bind(port).unwrap();
            io.send_from(port, to, payload);
        }
    }
}

fn listens(port: u16) -> impl FnMut(pinhole::Time, Input<'_>, &mut Io<'_>) {
    move |_, input, io| {
        if let Input::Start = input {
            io.bind(port).unwrap();
        }
    }
}

#[test]
fn one_packet_is_seen_inside_and_outside_of_its_nat() {
    let mut world = Sketch::new();
    let alice = world.host("a", "nat:eim/apdf");
    let server = world.server("server");
    let to = world.public(server, 3478);
    let mut net = world.build(1);
    net.record();
    net.attach_fn(server, listens(3478));
    net.attach_fn(alice, sends(5000, to, b"hello"));
    net.run_to_end().unwrap();

    let file = open(&net);
    let expected = [
        ("a to a.nat", "host, 192.168.1.2"),
        ("a.nat to a", "inside of NAT eim/apdf"),
        ("a.nat to internet", "outside of NAT eim/apdf, 203.0.113.1"),
        ("internet to a.nat", "router"),
        ("internet to server", "router"),
        ("server to internet", "host, 192.0.2.1"),
    ];
    let interfaces: Vec<(&str, &str)> = (file.interfaces.iter())
        .map(|(name, about)| (name.as_str(), about.as_str()))
        .collect();
    assert_eq!(interfaces, expected);
    for (name, _) in expected {
        assert_eq!(file.at(name).len(), 1, "{name}");
    }

    // 1 ms to the NAT, 10 ms to the core, 10 ms to the server. Hop limits fall where a packet is
    // forwarded, between coming in and going out.
    let inside = "192.168.1.2:5000";
    let outside = "203.0.113.1:5000";
    let ms = 1_000_000;
    let story = [
        (inside, 0, false, 64),
        (inside, ms, true, 64),
        (outside, ms, false, 63),
        (outside, 11 * ms, true, 63),
        (outside, 11 * ms, false, 62),
        (outside, 21 * ms, true, 62),
    ];
    for (capture, (source, nanos, inbound, hops)) in file.captures.iter().zip(story) {
        let packet = read(capture);
        assert_eq!(packet.source.to_string(), source);
        assert_eq!(packet.destination, to);
        assert_eq!((capture.nanos, capture.inbound), (nanos, inbound));
        assert_eq!(packet.hops, hops);
        assert_eq!(packet.payload, b"hello");
        assert_eq!(
            packet.identification,
            Some(0),
            "the first packet of the run"
        );
        assert_eq!(capture.comment, None, "it was delivered");
    }
}

#[test]
fn a_dropped_packet_says_so_where_it_was_seen_last() {
    let mut world = Sketch::new();
    let alice = world.host("a", "nat:eim/apdf");
    let bob = world.host("b", "open");
    let (to_bob, to_alice) = (world.public(bob, 7000), world.public(alice, 5000));
    let mut net = world.build(1);
    net.record();
    net.attach_fn(alice, sends(5000, to_bob, b"hello"));
    net.attach_fn(bob, listens(7000));
    net.run_to_end().unwrap();
    // Bob answers from another port than the one that Alice wrote to.
    net.attach_fn(bob, sends(7001, to_alice, b"hello yourself"));
    net.run_to_end().unwrap();

    let file = open(&net);
    let commented: Vec<_> = (file.captures.iter())
        .filter_map(|capture| Some((capture.interface.as_str(), capture.comment.as_deref()?)))
        .collect();
    let comment = "dropped by a.nat: filtered; 203.0.113.1:5000 is mapped to 192.168.1.2:5000, \
                   which has sent nothing to 203.0.113.2:7001";
    assert_eq!(commented, [("a.nat to internet", comment)]);
    assert_eq!(file.at("a.nat to internet").len(), 2);
    assert_eq!(file.at("a.nat to a").len(), 1, "it never got inside");
}

#[test]
fn loss_is_seen_at_the_near_end_only_and_copies_at_the_far_end_only() {
    let build = |conditions: Conditions| {
        let mut plan = Topology::new();
        let core = plan.router("core");
        let [a, b] = ["a", "b"].map(|name| plan.host(name));
        plan.connect(
            a,
            core,
            Link::symmetric(conditions),
            &["192.0.2.1".parse().unwrap()],
        );
        plan.connect(b, core, Link::lan(), &["192.0.2.2".parse().unwrap()]);
        let mut net = plan.build(1).unwrap();
        net.record();
        net.attach_fn(b, listens(9));
        net.attach_fn(a, sends(9, "192.0.2.2:9".parse().unwrap(), b"x"));
        net.run_to_end().unwrap();
        open(&net)
    };
    let clean = Conditions::new(Duration::from_millis(10));
    let lost = build(clean.independent_loss(1.0));
    assert_eq!(lost.captures.len(), 1);
    assert_eq!(lost.captures[0].interface, "a to core");
    assert_eq!(lost.captures[0].comment.as_deref(), Some("lost on a>core"));

    let twice = build(clean.duplication(1.0));
    assert_eq!(twice.at("a to core").len(), 1);
    for interface in ["core to a", "core to b", "b to core"] {
        let captures = twice.at(interface);
        assert_eq!(captures.len(), 2, "{interface}");
        // As on a real wire nothing tells the copy from the original.
        assert_eq!(captures[0].bytes, captures[1].bytes);
    }
}

#[test]
fn a_packet_with_only_a_size_is_cut_behind_its_headers() {
    let mut world = Sketch::new();
    let alice = world.host("a", "open");
    let server = world.server("server");
    let to = world.public(server, 3478);
    let mut net = world.build(1);
    net.record();
    net.attach_fn(server, listens(3478));
    net.attach_fn(alice, move |_, input, io| {
        if let Input::Start = input {
            io.send_sized("0.0.0.0:5000".parse().unwrap(), to, 1200, 7);
        }
    });
    net.run_to_end().unwrap();
    let file = open(&net);
    assert_eq!(file.captures.len(), 6);
    for capture in &file.captures {
        // 20 bytes of IP header, 8 of UDP header, 1,200 claimed.
        assert_eq!((capture.bytes.len(), capture.original_length), (28, 1228));
        let packet = LaxSlicedPacket::from_ip(&capture.bytes).unwrap();
        let Some(TransportSlice::Udp(udp)) = packet.transport else {
            panic!("expected UDP in {packet:?}");
        };
        assert_eq!(udp.length(), 1208);
        assert_eq!(udp.destination_port(), 3478);
    }
}

/// One site behind a NAT, with IPv6 beside it, and a server with both.
fn both_families() -> (Internet, pinhole::NodeId, SocketAddr, SocketAddr) {
    let access = Link::with_delay(Duration::from_millis(10));
    let mut options = SiteOptions::new(access);
    options.ipv6 = true;
    let (mut plan, mut topology) = (pinhole::topology::AddressPlan::new(), Topology::new());
    let core = topology.router("internet");
    let kind = "nat:eim/apdf".parse().unwrap();
    let mut site = topology.site("a", core, &kind, &options, &mut plan);
    let alice = topology.host_at(&mut site, "a", &mut plan);
    let server = topology.server("server", core, access, 1, true, &mut plan);
    let addresses: Vec<_> = topology.addresses(server).collect();
    let mut net = topology.build(1).unwrap();
    net.record();
    let at = |place: usize| pinhole::Endpoint::new(addresses[place], 3478).into();
    (net, alice, at(0), at(1))
}

#[test]
fn ipv6_packets_are_whole_and_untranslated() {
    let (mut net, alice, _, to) = both_families();
    net.attach_fn(alice, sends(5000, to, b"hello"));
    net.run_until(pinhole::Time::from_millis(15)).unwrap();
    let file = open(&net);
    // The host, both sides of the NAT, both sides of the core: it is on its way to the server.
    assert_eq!(file.captures.len(), 5);
    for (capture, hops) in file.captures.iter().zip([64, 64, 63, 63, 62]) {
        let packet = read(capture);
        assert_eq!(packet.source.to_string(), "[2001:db8:0:1::2]:5000");
        assert_eq!((packet.destination, packet.hops), (to, hops));
    }
}

/// An ICMP error's sender and receiver, and what it quotes.
struct Unreachable {
    source: IpAddr,
    destination: IpAddr,
    quoted: Vec<u8>,
}

fn read_unreachable(capture: &Capture) -> Unreachable {
    let packet = SlicedPacket::from_ip(&capture.bytes).unwrap();
    match (packet.net.unwrap(), packet.transport.unwrap()) {
        (NetSlice::Ipv4(ip), TransportSlice::Icmpv4(icmp)) => {
            let (kind, payload) = (icmp.icmp_type(), icmp.payload());
            assert_eq!(icmp.checksum(), kind.calc_checksum(payload));
            use etherparse::icmpv4::DestUnreachableHeader;
            assert_eq!(
                kind,
                Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::Port)
            );
            Unreachable {
                source: ip.header().source_addr().into(),
                destination: ip.header().destination_addr().into(),
                quoted: payload.to_vec(),
            }
        }
        (NetSlice::Ipv6(ip), TransportSlice::Icmpv6(icmp)) => {
            let header = ip.header();
            assert!(icmp.is_checksum_valid(header.source(), header.destination()));
            use etherparse::icmpv6::DestUnreachableCode;
            let kind = Icmpv6Type::DestinationUnreachable(DestUnreachableCode::Port);
            assert_eq!(icmp.icmp_type(), kind);
            Unreachable {
                source: header.source_addr().into(),
                destination: header.destination_addr().into(),
                quoted: icmp.payload().to_vec(),
            }
        }
        other => panic!("expected ICMP: {other:?}"),
    }
}

#[test]
fn an_icmp_error_quotes_the_packet_as_each_side_of_the_nat_knows_it() {
    let (mut net, alice, to_v4, to_v6) = both_families();
    // Nobody listens at the server.
    net.attach_fn(alice, sends(5000, to_v4, b"hello"));
    net.attach_fn(alice, sends(5001, to_v6, b"hello"));
    net.run_to_end().unwrap();
    let file = open(&net);
    for to in [to_v4, to_v6] {
        let mine = |capture: &&Capture| {
            let version = capture.bytes[0] >> 4;
            version == if to.is_ipv4() { 4 } else { 6 }
        };
        let captures: Vec<_> = file.captures.iter().filter(mine).collect();
        // Six ways to see each, out and back.
        assert_eq!(captures.len(), 12);
        let (out, back) = captures.split_at(6);
        for back in back {
            // What the error quotes is what went out on the same interface, but for the hop limit
            // (and the header checksum over it): the packet had lost some hops by then.
            let error = read_unreachable(back);
            assert_eq!(error.source, to.ip(), "the server reports it");
            let twin = out
                .iter()
                .find(|out| out.interface == back.interface)
                .unwrap();
            assert_eq!(error.destination, read(twin).source.ip());
            let header = if to.is_ipv4() { 20 } else { 40 };
            assert_eq!(error.quoted.len(), header + 8);
            let strip = |bytes: &[u8]| {
                let mut bytes = bytes[..header + 8].to_vec();
                let changing: &[usize] = if to.is_ipv4() { &[8, 10, 11] } else { &[7] };
                changing.iter().for_each(|place| bytes[*place] = 0);
                bytes
            };
            assert_eq!(
                strip(&error.quoted),
                strip(&twin.bytes),
                "at {}",
                back.interface
            );
            let hops = error.quoted[if to.is_ipv4() { 8 } else { 7 }];
            assert_eq!(hops, 62, "two routers were on the way");
        }
        let refused = out.last().unwrap().comment.as_deref().unwrap();
        assert_eq!(
            refused,
            format!("dropped by server: nobody listens at {to}")
        );
    }
}

#[test]
fn the_longest_datagrams_are_written_too() {
    let mut plan = Topology::new();
    let nat = NatConfig::new(Mapping::EndpointIndependent, Filtering::EndpointIndependent);
    let core = plan.router("core");
    let home = plan.nat("home", nat);
    let far = Link::with_delay(Duration::from_millis(1));
    plan.connect(home, core, far, &["203.0.113.1".parse().unwrap()]);
    let [a, b] = ["a", "b"].map(|name| plan.host(name));
    plan.connect(a, home, far, &["192.168.1.2".parse().unwrap()]);
    plan.connect(b, core, far, &["192.0.2.2".parse().unwrap()]);
    let mut net = plan.build(1).unwrap();
    net.record();
    net.attach_fn(b, listens(9));
    net.attach_fn(a, |_, input, io| {
        if let Input::Start = input {
            let (local, to) = ("0.0.0.0:9".parse().unwrap(), "192.0.2.2:9".parse().unwrap());
            io.send(local, to, &[0xa5; 70_000]);
            io.send(local, to, b"");
            io.send_sized(local, to, usize::MAX, 0);
        }
    });
    net.run_to_end().unwrap();
    assert_eq!(net.trace().counts().delivered, 3);
    let file = open(&net);
    let lengths: Vec<u32> = (file.at("b to core").iter())
        .map(|capture| capture.original_length)
        .collect();
    // IPv4's length field ends at 65,535; an empty datagram is its two headers.
    assert_eq!(lengths, [65_535, 28, 65_535]);
    assert_eq!(read(file.at("b to core")[0]).payload.len(), 65_507);
    assert_eq!(read(file.at("b to core")[1]).payload, b"");
}

#[test]
fn fragments_are_written_as_such_and_make_the_datagram_again() {
    for (to, header) in [("192.0.2.2:9", 20), ("[2001:db8::2]:9", 48)] {
        let mut plan = Topology::new();
        let core = plan.router("core");
        let narrow = |mtu| Link::symmetric(Conditions::new(Duration::from_millis(1)).mtu(mtu));
        for (name, last, mtu) in [
            ("a", 1, 600),
            ("b", 2, if header == 20 { 300 } else { 600 }),
        ] {
            let host = plan.host(name);
            let v6 = format!("2001:db8::{last}").parse().unwrap();
            let addresses = [pinhole::Address::v4(192, 0, 2, last), v6];
            plan.connect(host, core, narrow(mtu), &addresses);
        }
        let [a, b] = ["a", "b"].map(|name| plan.find(name).unwrap());
        let mut net = plan.build(1).unwrap();
        net.record();
        let sent: Vec<u8> = (0..1500u32).map(|n| ((n * n) >> 4) as u8).collect();
        let bytes = sent.clone();
        net.attach_fn(b, listens(9));
        net.attach_fn(a, move |_, input, io| {
            if let Input::Start = input {
                io.bind(5000).unwrap();
                io.allow_fragmentation(true);
                // Another first, so that the number is not 0.
                io.send_from(5000, to.parse().unwrap(), b"short");
                io.send_from(5000, to.parse().unwrap(), &bytes);
            }
        });
        net.run_to_end().unwrap();
        let file = open(&net);
        for (interface, count) in [
            ("a to core", 3),
            ("b to core", if header == 20 { 8 } else { 3 }),
        ] {
            let mut whole = vec![0; 8 + sent.len()];
            let mut lasts = 0;
            let captures = file.at(interface);
            assert_eq!(captures.len(), 1 + count, "{interface}");
            for capture in &captures[1..] {
                let packet = SlicedPacket::from_ip(&capture.bytes).unwrap();
                let net = packet.net.as_ref().unwrap();
                assert!(net.ip_payload_ref().unwrap().fragmented);
                let (identification, offset, more) = match net {
                    NetSlice::Ipv4(ip) => {
                        let ip = ip.header().to_header();
                        assert_eq!(ip.header_checksum, ip.calc_header_checksum());
                        assert!(!ip.dont_fragment);
                        let offset = ip.fragment_offset.byte_offset();
                        (u32::from(ip.identification), offset, ip.more_fragments)
                    }
                    NetSlice::Ipv6(ip) => {
                        let part = etherparse::Ipv6FragmentHeader::from_slice(&capture.bytes[40..]);
                        let (part, _) = part.unwrap();
                        assert_eq!(ip.header().next_header().0, 44);
                        let offset = part.fragment_offset.byte_offset();
                        (part.identification, offset, part.more_fragments)
                    }
                    other => panic!("expected IP: {other:?}"),
                };
                assert_eq!(identification, 1);
                lasts += u32::from(!more);
                let bytes = &capture.bytes[header..];
                let offset = usize::from(offset);
                whole[offset..offset + bytes.len()].copy_from_slice(bytes);
            }
            assert_eq!(lasts, 1);
            let (udp, payload) = etherparse::UdpHeader::from_slice(&whole).unwrap();
            assert_eq!((udp.source_port, udp.destination_port), (5000, 9));
            assert_eq!(usize::from(udp.length), whole.len());
            assert_eq!(payload, sent);
            // The checksum is over the whole, too.
            let first = SlicedPacket::from_ip(&captures[1].bytes).unwrap();
            let checksum = match first.net.unwrap() {
                NetSlice::Ipv4(ip) => udp.calc_checksum_ipv4(&ip.header().to_header(), payload),
                NetSlice::Ipv6(ip) => udp.calc_checksum_ipv6(&ip.header().to_header(), payload),
                other => panic!("expected IP: {other:?}"),
            };
            assert_eq!(udp.checksum, checksum.unwrap());
        }
    }
}
