//! What is too long for a link: cut where that is allowed, else reported to who sent it.

use pinhole::nat::{NatConfig, TooBig};
use pinhole::packet::Fragment;
use pinhole::trace::Cause;
use pinhole::{Filtering, Mapping};

use super::*;

#[test]
fn who_forbids_fragments_is_told_by_the_node_before_the_link() {
    let (mut net, a, b) = start(three_links());
    let too_big = |mtu| IcmpErrorKind::TooBig { mtu };
    for length in [1473, 1472, 973, 972, 549, 548] {
        net.act(a, |_: &mut Socket, io| {
            io.send_from(5000, at(B), &payload(length));
        });
    }
    net.run_to_end().unwrap();
    let told = &net.program::<Socket>(a).told;
    let expected = [
        // Its own link: at once, by its own host. Then r1, 10 ms away, and r2, 20 ms away.
        (ms(0), at(A), at(B), too_big(1500), "192.0.2.1".to_owned()),
        (ms(20), at(A), at(B), too_big(1000), "192.0.0.8".to_owned()),
        (ms(20), at(A), at(B), too_big(1000), "192.0.0.8".to_owned()),
        (ms(40), at(A), at(B), too_big(576), "192.0.0.8".to_owned()),
        (ms(40), at(A), at(B), too_big(576), "192.0.0.8".to_owned()),
    ];
    assert_eq!(told, &expected);
    let got: Vec<_> = net
        .program::<Socket>(b)
        .got
        .iter()
        .map(|got| (got.0, got.3))
        .collect();
    assert_eq!(got, [(ms(30), 548)]);
    assert_eq!(
        reasons(&net),
        [("too_big", 1), ("too_big", 2), ("too_big", 2)]
    );
}

/// Finds out how long its datagrams may be, as RFC 1191 has it.
struct Prober {
    length: usize,
    tries: Vec<(Time, usize)>,
}

impl Program for Prober {
    fn handle_input(&mut self, now: Time, input: Input<'_>, io: &mut Io<'_>) {
        match input {
            Input::Start => {
                io.bind(5000).unwrap();
            }
            Input::Unreachable {
                kind: IcmpErrorKind::TooBig { mtu },
                ..
            } => self.length = usize::from(mtu) - 28,
            _ => return,
        }
        self.tries.push((now, self.length));
        io.send_from(5000, at(B), &payload(self.length));
    }
}

#[test]
fn a_program_discovers_the_way_s_mtu_one_link_at_a_time() {
    let mut net = three_links().build(1).unwrap();
    let [a, b] = ["A", "B"].map(|name| net.topology().find(name).unwrap());
    let b = net.attach(b, Socket::default());
    let prober = Prober {
        length: 4000,
        tries: Vec::new(),
    };
    let a = net.attach(a, prober);
    net.run_to_end().unwrap();
    let tries = [(ms(0), 4000), (ms(0), 1472), (ms(20), 972), (ms(60), 548)];
    assert_eq!(net.program::<Prober>(a).tries, tries);
    let (time, _, got, _) = &net.program::<Socket>(b).got[0];
    assert_eq!((*time, got), (ms(90), &payload(548)));
}

#[test]
fn fragments_are_cut_again_where_a_later_link_is_narrower() {
    let (mut net, a, b) = start(three_links());
    net.record();
    send(&mut net, a, B, &payload(4000));
    net.run_to_end().unwrap();

    let (time, id, got, _) = &net.program::<Socket>(b).got[0];
    assert_eq!((*time, got), (ms(30), &payload(4000)));
    let recording = net.trace().recording().unwrap();
    let cut: Vec<(u16, u32, bool)> = recording
        .packets()
        .iter()
        .filter_map(|packet| {
            let Fragment { offset, more, .. } = packet.fragment?;
            Some((offset, packet.wire_length - 20, more))
        })
        .collect();
    let expected = [
        // By A, for 1,500 bytes: 1,480 behind the header.
        (0, 1480, true),
        (1480, 1480, true),
        (2960, 1048, false),
        // By r1, for 1,000: 976.
        (0, 976, true),
        (976, 504, true),
        (1480, 976, true),
        (2456, 504, true),
        (2960, 976, true),
        (3936, 72, false),
        // By r2, for 576: 552.
        (0, 552, true),
        (552, 424, true),
        (1480, 552, true),
        (2032, 424, true),
        (2960, 552, true),
        (3512, 424, true),
    ];
    assert_eq!(cut, expected);
    for id in recording.ids() {
        let packet = recording.packet(id);
        let Some(part) = packet.fragment else {
            continue;
        };
        assert_eq!(part.identification, 0, "the packet's own number");
        assert!(matches!(packet.cause, Cause::FragmentOf(_)));
        let ports = (packet.source.port, packet.destination.port);
        assert_eq!(ports, if part.is_first() { (5000, 9) } else { (0, 0) });
        assert!(!packet.dont_fragment);
    }
    // The program's datagram is the first fragment.
    let first = recording.packet(*id);
    assert_eq!(
        (first.fragment.unwrap().offset, first.wire_length),
        (0, 572)
    );
    // 1 + 3 + 6 + 6 sent. Seven were cut, nine were put together.
    let counts = net.trace().counts();
    assert_eq!((counts.sent, counts.delivered, counts.dropped), (16, 16, 0));
}

#[test]
fn a_size_alone_is_cut_and_put_together_too() {
    let (mut net, a, b) = start(three_links());
    net.act(a, |_: &mut Socket, io| {
        io.allow_fragmentation(true);
        io.send_sized(at(A), at(B), 65_507, 42);
    });
    net.run_to_end().unwrap();
    let (time, _, got, length) = &net.program::<Socket>(b).got[0];
    assert_eq!((*time, got.len(), *length), (ms(30), 0, 65_507));
    assert_eq!(reasons(&net), []);
}

#[test]
fn only_the_sender_cuts_ipv6_and_learns_how_long_pieces_may_be() {
    let (mut net, a, b) = start(chain(&[narrow(1500), narrow(1400), narrow(1300)]));
    let sent = payload(4000);
    // Its pieces are too long for r1, and then for r2.
    for (time, expected) in [(0, 0), (100, 0), (200, 1)] {
        net.run_until(ms(time)).unwrap();
        send(&mut net, a, B6, &sent);
        net.run_until(ms(time + 90)).unwrap();
        assert_eq!(net.program::<Socket>(b).got.len(), expected);
    }
    assert_eq!(net.program::<Socket>(b).got[0].2, sent);
    let told = &net.program::<Socket>(a).told;
    let mtus: Vec<_> = told.iter().map(|told| (told.0, told.3)).collect();
    let too_big = |mtu| IcmpErrorKind::TooBig { mtu };
    // Of each try the first fragment only is reported: the others have no ports to go by.
    assert_eq!(mtus, [(ms(20), too_big(1400)), (ms(140), too_big(1300))]);
    assert_eq!(told[0].4, "100::c000:8");
    // The last fragments of both lost tries were short enough: B gives up after a minute.
    net.run_to_end().unwrap();
    accounted_for(&net);
    assert_eq!(net.trace().counts().in_flight, 0);
    assert!(
        reasons(&net)
            .iter()
            .any(|(code, _)| *code == "fragments_incomplete")
    );
}

#[test]
fn a_gateway_tells_in_the_words_of_the_side_it_tells_unless_it_is_a_black_hole() {
    for (too_big, is_told) in [(TooBig::Reported, true), (TooBig::Silent, false)] {
        let config = NatConfig {
            too_big,
            ..NatConfig::new(Mapping::EndpointIndependent, Filtering::EndpointIndependent)
        };
        let mut plan = Topology::new();
        let [a, b] = ["A", "B"].map(|name| plan.host(name));
        let home = plan.nat("home", config);
        plan.subnet(home, "192.168.1.0/24".parse().unwrap());
        let core = plan.router("core");
        let wide = Link::symmetric(narrow(1500));
        // 1,000 bytes up and 800 down.
        let lan = Link {
            up: narrow(1500),
            down: narrow(800),
        };
        let access = Link {
            up: narrow(1000),
            down: narrow(1500),
        };
        plan.connect(a, home, lan, &["192.168.1.2".parse().unwrap()]);
        plan.connect(home, core, access, &["203.0.113.1".parse().unwrap()]);
        plan.connect(b, core, wide, &["192.0.2.2".parse().unwrap()]);
        let (mut net, a, b) = start(plan);
        let long = payload(1200);
        net.act(a, |_: &mut Socket, io| {
            io.send_from(5000, at(B), b"hello");
            io.send_from(5000, at(B), &long);
        });
        net.run_until(ms(100)).unwrap();
        let outside = "203.0.113.1:5000";
        net.act(b, |_: &mut Socket, io| io.send_from(9, at(outside), &long));
        net.run_to_end().unwrap();
        let inside = at("192.168.1.2:5000");
        let told = |mtu, to: &str, by: &str, local, time| {
            let kind = IcmpErrorKind::TooBig { mtu };
            (ms(time), local, at(to), kind, by.to_owned())
        };
        let expected = [
            told(1000, B, "192.168.1.1", inside, 20),
            told(800, outside, "203.0.113.1", at(B), 140),
        ];
        let got: Vec<_> = [a, b]
            .iter()
            .flat_map(|id| net.program::<Socket>(*id).told.clone())
            .collect();
        assert_eq!(got, if is_told { &expected[..] } else { &[] });
    }
}

#[test]
fn a_translator_between_families_cuts_what_ipv4_allows_and_tells_the_rest_in_ipv4_s_terms() {
    // As NAT64's other way round: 192.0.2.9 is B's IPv6 address.
    let translate = |packet: &mut Packet| {
        packet.source.address = "2001:db8::1".parse().unwrap();
        packet.destination.address = "2001:db8::2".parse().unwrap();
        true
    };
    let mut plan = Topology::new();
    let [a, b] = ["A", "B"].map(|name| plan.host(name));
    let middle = plan.gateway("middle");
    let make = move || Box::new(Meddler(translate)) as Box<dyn Middlebox>;
    plan.install(middle, Device::Custom(Arc::new(make)));
    let core = plan.router("core");
    plan.connect(middle, core, Link::symmetric(narrow(1300)), &[]);
    for (host, node, address) in [(a, middle, "192.0.2.1"), (b, core, "2001:db8::2")] {
        let wide = Link::symmetric(narrow(1500));
        plan.connect(host, node, wide, &[address.parse().unwrap()]);
    }
    let (mut net, a, b) = start(plan);
    let to = "192.0.2.9:9";
    net.act(a, |_: &mut Socket, io| {
        io.send_from(5000, at(to), &payload(1400));
    });
    send(&mut net, a, to, &payload(1400));
    net.run_to_end().unwrap();
    let told = &net.program::<Socket>(a).told;
    let kind = IcmpErrorKind::TooBig { mtu: 1280 };
    assert_eq!(
        told,
        &[(ms(20), at(A), at(to), kind, "192.0.0.8".to_owned())]
    );
    let got: Vec<_> = net
        .program::<Socket>(b)
        .got
        .iter()
        .map(|got| &got.2)
        .collect();
    assert_eq!(got, [&payload(1400)]);
}

#[test]
fn a_link_too_narrow_for_any_fragment_drops_and_says_so() {
    for mtu in [0, 20, 27] {
        let (mut net, a, _) = start(chain(&[narrow(1500), narrow(mtu)]));
        send(&mut net, a, B, &payload(100));
        net.run_to_end().unwrap();
        assert_eq!(reasons(&net), [("too_big", 1)]);
        let told = &net.program::<Socket>(a).told;
        assert_eq!(told[0].3, IcmpErrorKind::TooBig { mtu });
    }
    // Eight bytes at a time are enough.
    let (mut net, a, b) = start(chain(&[narrow(1500), narrow(28)]));
    send(&mut net, a, B, &payload(100));
    net.run_to_end().unwrap();
    assert_eq!(net.program::<Socket>(b).got[0].2, payload(100));
}
