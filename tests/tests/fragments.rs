//! Packets that are too long for a link: reported to their sender, or cut and put together again.
//!
//! ```text
//!   A 192.0.2.1 ──10 ms, 1500── r1 ──10 ms, 1000── r2 ──10 ms, 576── B 192.0.2.2
//! ```

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use pinhole::link::{Conditions, Jitter, Link};
use pinhole::middlebox::{Middlebox, Surroundings, Verdict};
use pinhole::nat::{NatConfig, TooBig};
use pinhole::packet::{Fragment, IcmpErrorKind, Packet, PacketId};
use pinhole::topology::Device;
use pinhole::trace::{Cause, DropReason, Fate, Observer};
use pinhole::{
    Address, Endpoint, Filtering, Input, Internet, Io, Mapping, NodeId, Program, ProgramId, Time,
    Topology,
};
use proptest::prelude::*;

const A: &str = "192.0.2.1:5000";
const B: &str = "192.0.2.2:9";
const B6: &str = "[2001:db8::2]:9";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ms(millis: u64) -> Time {
    Time::from_millis(millis)
}

fn narrow(mtu: u16) -> Conditions {
    Conditions::new(Duration::from_millis(10)).mtu(mtu)
}

/// Two hosts and a router between any two links, from A to B.
fn chain(links: &[Conditions]) -> Topology {
    let mut plan = Topology::new();
    let [a, b] = ["A", "B"].map(|name| plan.host(name));
    let routers: Vec<NodeId> = (1..links.len())
        .map(|n| plan.router(format!("r{n}")))
        .collect();
    let ends = [
        (a, routers[0], 1, 0),
        (b, routers[routers.len() - 1], 2, links.len() - 1),
    ];
    for (host, router, last, link) in ends {
        let v6 = format!("2001:db8::{last}").parse().unwrap();
        let addresses = [Address::v4(192, 0, 2, last), v6];
        plan.connect(host, router, Link::symmetric(links[link]), &addresses);
    }
    for (place, pair) in routers.windows(2).enumerate() {
        plan.connect(pair[0], pair[1], Link::symmetric(links[place + 1]), &[]);
    }
    plan
}

fn three_links() -> Topology {
    chain(&[narrow(1500), narrow(1000), narrow(576)])
}

/// A and B with a device between them, inside and outside: 20 ms from one to the other.
fn around(make: impl Fn() -> Box<dyn Middlebox> + Send + Sync + 'static) -> Topology {
    let mut plan = Topology::new();
    let [a, b] = ["A", "B"].map(|name| plan.host(name));
    let middle = plan.gateway("middle");
    plan.install(middle, Device::Custom(Arc::new(make)));
    let core = plan.router("core");
    plan.connect(middle, core, Link::with_delay(Duration::ZERO), &[]);
    for (host, node, last) in [(a, middle, 1), (b, core, 2)] {
        let v6 = format!("2001:db8::{last}").parse().unwrap();
        let addresses = [Address::v4(192, 0, 2, last), v6];
        plan.connect(host, node, Link::symmetric(narrow(1500)), &addresses);
    }
    plan
}

/// Does something to packets on their way from A to B.
struct Meddler<F>(F);

impl<F: FnMut(&mut Packet) -> bool> Middlebox for Meddler<F> {
    fn outbound(&mut self, packet: &mut Packet, around: &mut Surroundings<'_>) -> Verdict {
        let node = around.node;
        if (self.0)(packet) {
            return Verdict::PASS;
        }
        Verdict::Drop(DropReason::Custom {
            node,
            why: "meddled",
        })
    }

    fn inbound(&mut self, _: &mut Packet, _: &mut Surroundings<'_>) -> Verdict {
        Verdict::PASS
    }
}

fn meddled<F>(meddle: F) -> Topology
where
    F: FnMut(&mut Packet) -> bool + Clone + Send + Sync + 'static,
{
    around(move || Box::new(Meddler(meddle.clone())) as Box<dyn Middlebox>)
}

/// What a host was told.
#[derive(Default)]
struct Socket {
    got: Vec<(Time, PacketId, Vec<u8>, usize)>,
    told: Vec<(Time, SocketAddr, SocketAddr, IcmpErrorKind, String)>,
}

impl Program for Socket {
    fn handle_input(&mut self, now: Time, input: Input<'_>, io: &mut Io<'_>) {
        match input {
            Input::Start => {
                io.bind(9).unwrap();
                io.bind(5000).unwrap();
            }
            Input::Datagram(d) => {
                let payload = d.payload.to_vec();
                self.got.push((now, d.id, payload, d.length));
            }
            Input::Unreachable {
                local,
                remote,
                kind,
                reporter,
            } => {
                let reporter = reporter.to_string();
                self.told.push((now, local, remote, kind, reporter));
            }
            _ => {}
        }
    }
}

/// The sockets of A and B.
fn start(plan: Topology) -> (Internet, ProgramId, ProgramId) {
    let mut net = plan.build(1).unwrap();
    let [a, b] = ["A", "B"].map(|name| net.topology().find(name).unwrap());
    let (a, b) = (
        net.attach(a, Socket::default()),
        net.attach(b, Socket::default()),
    );
    net.run_until(Time::ZERO).unwrap();
    (net, a, b)
}

/// Sends from A, cut where need be.
fn send(net: &mut Internet, a: ProgramId, to: &str, payload: &[u8]) {
    net.act(a, |_: &mut Socket, io| {
        io.allow_fragmentation(true);
        io.send_from(5000, at(to), payload);
    });
}

fn payload(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 7 + n / 251) as u8).collect()
}

fn reasons(net: &Internet) -> Vec<(&'static str, u64)> {
    let drops = net.trace().drops().iter();
    drops
        .map(|drop| (drop.example.code(), drop.count))
        .collect()
}

fn accounted_for(net: &Internet) {
    let counts = net.trace().counts();
    assert_eq!(net.packets_under_way() as u64, counts.in_flight);
    let sum = counts.delivered + counts.dropped + counts.in_flight;
    assert_eq!(counts.sent + counts.duplicated, sum);
}

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

/// Sends 4,000 bytes through a device that drops the fragment at this offset.
fn without(offset: u16, to: &str) -> (Internet, ProgramId, ProgramId) {
    let drops = move |packet: &mut Packet| packet.fragment.is_none_or(|part| part.offset != offset);
    let (mut net, a, b) = start(meddled(drops));
    send(&mut net, a, to, &payload(4000));
    (net, a, b)
}

#[test]
fn what_stays_incomplete_is_given_up_in_time_and_its_sender_told() {
    // The first fragment came: it can be quoted. It takes 20 ms there, and as long back.
    for (to, offset, patience) in [(B, 1480, 30_000), (B6, 1448, 60_000)] {
        let (mut net, a, b) = without(offset, to);
        net.run_until(Time::from_nanos((20 + patience) * 1_000_000 - 1))
            .unwrap();
        assert_eq!(net.packets_under_way(), 2);
        accounted_for(&net);
        net.run_to_end().unwrap();
        assert_eq!(net.program::<Socket>(b).got, []);
        let told = &net.program::<Socket>(a).told;
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].0, told[0].2), (ms(40 + patience), at(to)));
        assert_eq!(told[0].3, IcmpErrorKind::ReassemblyTimeExceeded);
        assert_eq!(reasons(&net), [("custom", 1), ("fragments_incomplete", 2)]);
    }
    // It didn't.
    let (mut net, a, _) = without(0, B);
    net.run_to_end().unwrap();
    assert_eq!(net.program::<Socket>(a).told, []);
    assert_eq!(net.now(), ms(30_020));
    assert_eq!(reasons(&net), [("custom", 1), ("fragments_incomplete", 2)]);
}

#[test]
fn overlapping_fragments_are_dropped_whole() {
    // The second begins eight bytes early.
    let (mut net, a, b) = start(meddled(|packet| {
        if let Some(part) = &mut packet.fragment
            && part.offset == 1480
        {
            part.offset -= 8;
        }
        true
    }));
    send(&mut net, a, B, &payload(4000));
    net.run_to_end().unwrap();
    assert_eq!(net.program::<Socket>(b).got, []);
    assert_eq!(reasons(&net), [("malformed", 3)]);
    assert_eq!(
        net.now(),
        ms(30_020),
        "what still came was known for so long"
    );
}

#[test]
fn a_datagram_in_fragments_to_a_closed_port_is_answered_once() {
    let (mut net, a, _) = start(three_links());
    send(&mut net, a, "192.0.2.2:10", &payload(4000));
    net.run_to_end().unwrap();
    let told = &net.program::<Socket>(a).told;
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].0, told[0].3),
        (ms(60), IcmpErrorKind::PortUnreachable)
    );
    assert_eq!(reasons(&net), [("port_unreachable", 1)]);
}

#[test]
fn a_flood_of_fragments_takes_no_more_than_its_share_and_is_forgotten() {
    // Only first fragments arrive: 1,500 bytes each, which count as 1,756.
    let firsts = |packet: &mut Packet| packet.fragment.is_none_or(|part| part.is_first());
    let (mut net, a, b) = start(meddled(firsts));
    let room = (4 << 20) / 1756;
    for n in 0..room + 100 {
        // One by one, so that memory and not some queue is the bound.
        net.run_until(ms(n)).unwrap();
        send(&mut net, a, B, &payload(2000));
    }
    net.run_until(ms(room + 200)).unwrap();
    assert_eq!(net.packets_under_way() as u64, room);
    let full = reasons(&net)
        .into_iter()
        .find(|(code, _)| *code == "fragments_full");
    assert_eq!(full, Some(("fragments_full", 100)));
    accounted_for(&net);
    // Half a minute later there is room again.
    net.run_until(ms(40_000)).unwrap();
    assert_eq!(net.packets_under_way(), 0);
    send(&mut net, a, B, b"short enough");
    net.run_to_end().unwrap();
    assert_eq!(net.program::<Socket>(b).got.len(), 1);
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

/// Notes how every packet ended.
#[derive(Clone, Default)]
struct Ends(Rc<RefCell<Vec<(PacketId, Fate)>>>);

impl Observer for Ends {
    fn ended(&mut self, _: Time, packet: &Packet, fate: &Fate) {
        self.0.borrow_mut().push((packet.id, *fate));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_arrives_is_what_was_sent(
        seed: u64,
        lengths in proptest::collection::vec(0usize..9_000, 1..12),
        mtus in proptest::collection::vec(68u16..1600, 2..5),
        (loss, duplication) in (0.0..0.1, 0.0..0.3),
        v6: bool,
    ) {
        // Links that lose, duplicate and reorder.
        let links: Vec<_> = mtus.iter().map(|mtu| {
            Conditions::new(Duration::from_millis(3))
                .jitter(Jitter::Reordering(Duration::from_millis(20)))
                .independent_loss(loss)
                .duplication(duplication)
                .mtu(*mtu)
        }).collect();
        let mut net = chain(&links).build(seed).unwrap();
        let [a, b] = ["A", "B"].map(|name| net.topology().find(name).unwrap());
        let (a, b) = (net.attach(a, Socket::default()), net.attach(b, Socket::default()));
        let ends = Ends::default();
        net.observe(ends.clone());
        net.run_until(Time::ZERO).unwrap();
        let all: Vec<Vec<u8>> = lengths.iter().enumerate().map(|(n, length)| {
            let mut bytes = payload(*length);
            bytes.iter_mut().for_each(|byte| *byte ^= n as u8);
            bytes
        }).collect();
        for bytes in &all {
            send(&mut net, a, if v6 { B6 } else { B }, bytes);
        }
        while net.step().unwrap() {
            prop_assert_eq!(net.packets_under_way() as u64, net.trace().counts().in_flight);
        }
        accounted_for(&net);
        prop_assert_eq!(net.packets_under_way(), 0);
        for (.., got, _) in &net.program::<Socket>(b).got {
            prop_assert!(all.contains(got), "{} bytes that nobody sent", got.len());
        }
        let mut ended: Vec<_> = ends.0.borrow().iter().map(|(id, _)| *id).collect();
        ended.sort();
        ended.dedup();
        let counts = net.trace().counts();
        prop_assert_eq!(ended.len() as u64, counts.sent + counts.duplicated, "one end each");
    }

    #[test]
    fn without_faults_everything_arrives_once_in_whatever_order_the_fragments_take(
        seed: u64,
        lengths in proptest::collection::vec(0usize..9_000, 1..12),
        mtus in proptest::collection::vec(68u16..1600, 2..5),
    ) {
        let links: Vec<_> = mtus.iter().map(|mtu| {
            narrow(*mtu).jitter(Jitter::Reordering(Duration::from_millis(50)))
        }).collect();
        let mut net = chain(&links).build(seed).unwrap();
        let [a, b] = ["A", "B"].map(|name| net.topology().find(name).unwrap());
        let (a, b) = (net.attach(a, Socket::default()), net.attach(b, Socket::default()));
        net.run_until(Time::ZERO).unwrap();
        for length in &lengths {
            send(&mut net, a, B, &payload(*length));
        }
        net.run_to_end().unwrap();
        let mut got: Vec<_> = net.program::<Socket>(b).got.iter().map(|got| got.2.clone()).collect();
        let mut sent: Vec<_> = lengths.iter().map(|length| payload(*length)).collect();
        got.sort();
        sent.sort();
        prop_assert_eq!(got, sent);
        prop_assert_eq!(net.trace().counts().dropped, 0);
    }

    #[test]
    fn nothing_that_fragments_claim_does_harm(
        seed: u64,
        claims in proptest::collection::vec(
            (any::<u16>(), any::<bool>(), 0u32..3, 0u32..3_000, any::<bool>()),
            1..60,
        ),
        endings: bool,
    ) {
        // A device that makes every packet a fragment with whatever numbers.
        let numbers = claims.clone();
        let mut next = 0;
        let meddle = move |packet: &mut Packet| {
            let (offset, more, identification, _, near) = numbers[next % numbers.len()];
            next += 1;
            let offset = if near { offset % 64 * 8 } else { offset };
            packet.fragment = Some(Fragment { identification, offset, more });
            packet.dont_fragment = endings;
            true
        };
        let mut plan = meddled(meddle);
        let (core, extra) = (plan.find("core").unwrap(), plan.host("C"));
        let tight = Link::symmetric(narrow(300));
        plan.connect(extra, core, tight, &["192.0.2.3".parse().unwrap()]);
        let mut net = plan.build(seed).unwrap();
        let a = net.topology().find("A").unwrap();
        for name in ["B", "C"] {
            let node = net.topology().find(name).unwrap();
            net.attach(node, Socket::default());
        }
        let a = net.attach(a, Socket::default());
        net.run_until(Time::ZERO).unwrap();
        for (n, (.., length, _)) in claims.iter().enumerate() {
            let to = Endpoint::new(Address::v4(192, 0, 2, 2 + (n % 2) as u8), 9);
            net.act(a, |_: &mut Socket, io| {
                io.allow_fragmentation(true);
                io.send_sized(at(A), to.into(), *length as usize, 1);
            });
        }
        net.run_to_end().unwrap();
        accounted_for(&net);
        prop_assert_eq!(net.packets_under_way(), 0);
    }
}
