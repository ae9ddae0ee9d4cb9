//! What a NAT does that hosts can't ask it for: fragments, SYNs, meddling with STUN. A device of
//! the test's own stands beside the hosts and makes other packets of their datagrams.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use pinhole::link::Link;
use pinhole::middlebox::{Middlebox, Surroundings, Verdict};
use pinhole::nat::NatConfig;
use pinhole::packet::{Fragment, IcmpErrorKind, Packet, TcpFlags, TcpSegment, Transport};
use pinhole::server::StunServer;
use pinhole::topology::Device;
use pinhole::trace::{Cause, Fate, Observer};
use pinhole::{Address, Endpoint, Filtering, Input, Internet, Io, Mapping, NodeId, Time, Topology};

const LINK: Duration = Duration::from_millis(10);

/// Rewrites what leaves.
struct Outward(fn(&mut Packet));

impl Middlebox for Outward {
    fn outbound(&mut self, packet: &mut Packet, _: &mut Surroundings<'_>) -> Verdict {
        self.0(packet);
        Verdict::PASS
    }

    fn inbound(&mut self, _: &mut Packet, _: &mut Surroundings<'_>) -> Verdict {
        Verdict::PASS
    }
}

fn outward(rewrite: fn(&mut Packet)) -> Device {
    Device::Custom(Arc::new(move || Box::new(Outward(rewrite))))
}

/// X behind a NAT, Y behind a gateway, each with a device of the test's own.
fn two_sides(nat: NatConfig, of_x: fn(&mut Packet), of_y: fn(&mut Packet)) -> Internet {
    let mut plan = Topology::new();
    let core = plan.router("core");
    let middle = plan.gateway("box");
    plan.install(middle, outward(of_x));
    plan.install(middle, Device::Nat(nat));
    plan.connect(
        middle,
        core,
        Link::with_delay(LINK),
        &[Address::v4(203, 0, 113, 1)],
    );
    let x = plan.host("X");
    plan.connect(
        x,
        middle,
        Link::with_delay(LINK),
        &[Address::v4(192, 168, 1, 2)],
    );
    let far = plan.gateway("far");
    plan.install(far, outward(of_y));
    plan.connect(
        far,
        core,
        Link::with_delay(LINK),
        &[Address::v4(198, 51, 100, 1)],
    );
    let y = plan.host("Y");
    let addresses = [1, 2].map(|last| Address::v4(192, 0, 2, last));
    plan.connect(y, far, Link::with_delay(LINK), &addresses);
    plan.build(1).unwrap()
}

fn leave_alone(_: &mut Packet) {}

fn send(net: &mut Internet, host: &str, port: u16, to: &str, payload: &'static [u8]) {
    let host = net.topology().find(host).unwrap();
    let to: Endpoint = to.parse().unwrap();
    net.attach_fn(host, move |_, input: Input<'_>, io: &mut Io<'_>| {
        if let Input::Start = input {
            io.bind(port).ok();
            io.send_from(port, to.into(), payload);
        }
    });
}

/// Notes what the gateways sent, and what was dropped there.
#[derive(Default)]
struct Notes {
    errors: Vec<(Time, IcmpErrorKind, NodeId)>,
    drops: Vec<(Time, &'static str)>,
}

struct Watcher(Rc<RefCell<Notes>>);

impl Observer for Watcher {
    fn sent(&mut self, time: Time, packet: &Packet, cause: Cause) {
        if let (Transport::IcmpError(error), Cause::ErrorAbout(_)) = (&packet.transport, cause) {
            let mut notes = self.0.borrow_mut();
            notes.errors.push((time, error.kind, packet.origin));
        }
    }

    fn ended(&mut self, time: Time, _: &Packet, fate: &Fate) {
        if let Fate::Dropped(reason) = fate {
            self.0.borrow_mut().drops.push((time, reason.code()));
        }
    }
}

fn watched(net: &mut Internet) -> Rc<RefCell<Notes>> {
    let notes = Rc::default();
    net.observe(Watcher(Rc::clone(&notes)));
    notes
}

fn nat() -> NatConfig {
    NatConfig::new(
        Mapping::EndpointIndependent,
        Filtering::AddressAndPortDependent,
    )
}

/// The datagram says which part it is, in units of eight bytes.
fn cut(packet: &mut Packet) {
    let offset = u16::from(packet.payload.bytes()[0]) * 8;
    packet.fragment = Some(Fragment {
        identification: 9,
        offset,
        more: offset == 0,
    });
    if offset > 0 {
        packet.source.port = 0;
        packet.destination.port = 0;
    }
}

#[test]
fn a_fragment_waits_at_the_nat_for_the_first() {
    let mut net = two_sides(nat(), cut, leave_alone);
    let notes = watched(&mut net);
    send(&mut net, "X", 5000, "192.0.2.1:9", &[1]);
    net.run_for(Duration::from_secs(1)).unwrap();
    assert_eq!(net.packets_under_way(), 1, "it waits");
    assert!(notes.borrow().drops.is_empty());
    send(&mut net, "X", 5000, "192.0.2.1:9", &[0]);
    net.run_for(Duration::from_secs(60)).unwrap();
    // Both have reached Y, whatever became of them there.
    let drops = &notes.borrow().drops;
    let at_the_nat = |(time, code): &&(Time, &str)| {
        *code == "fragments_incomplete" && *time < Time::from_millis(30_500)
    };
    assert_eq!(drops.iter().find(at_the_nat), None);
    assert_eq!(net.packets_under_way(), 0);
}

#[test]
fn a_fragment_that_waits_in_vain_is_dropped_after_thirty_seconds() {
    let mut net = two_sides(nat(), cut, leave_alone);
    let notes = watched(&mut net);
    send(&mut net, "X", 5000, "192.0.2.1:9", &[1]);
    net.run_for(Duration::from_secs(60)).unwrap();
    let expected = (Time::from_millis(30_010), "fragments_incomplete");
    assert_eq!(notes.borrow().drops, [expected]);
    assert_eq!(net.packets_under_way(), 0);
}

/// A SYN in place of a datagram.
fn knock(packet: &mut Packet) {
    packet.transport = Transport::Tcp(TcpSegment {
        flags: TcpFlags::SYN,
        ..TcpSegment::default()
    });
}

#[test]
fn rfc_5382_req_4_the_sender_of_an_unsolicited_syn_is_told_after_six_seconds() {
    for answered in [false, true] {
        let mut net = two_sides(nat(), knock, knock);
        let notes = watched(&mut net);
        send(&mut net, "Y", 80, "203.0.113.1:5000", b"");
        net.run_for(Duration::from_secs(3)).unwrap();
        if answered {
            send(&mut net, "X", 5000, "192.0.2.1:80", b"");
        }
        net.run_for(Duration::from_secs(10)).unwrap();
        let middle = net.topology().find("box").unwrap();
        let notes = notes.borrow();
        let mut told = notes.errors.iter().filter(|(_, _, by)| *by == middle);
        let port_unreachable = IcmpErrorKind::PortUnreachable;
        let expected = (Time::from_millis(6_030), port_unreachable, middle);
        assert_eq!(told.next(), (!answered).then_some(&expected));
        assert_eq!(told.next(), None);
    }
}

/// The addresses in a STUN answer: MAPPED-ADDRESS as it stands there, XOR-MAPPED-ADDRESS decoded.
fn mapped(answer: &[u8]) -> [Option<Endpoint>; 2] {
    let mut found = [None; 2];
    let mut rest = &answer[20..];
    while let [a, b, c, d, ..] = rest {
        let kind = u16::from_be_bytes([*a, *b]);
        let length = usize::from(u16::from_be_bytes([*c, *d]));
        let value = &rest[4..4 + length];
        let read = |mask: [u8; 6]| {
            let byte = |n: usize| value[2 + n] ^ mask[n];
            let address = Address::v4(byte(2), byte(3), byte(4), byte(5));
            Endpoint::new(address, u16::from_be_bytes([byte(0), byte(1)]))
        };
        match kind {
            0x0001 => found[0] = Some(read([0; 6])),
            0x0020 => found[1] = Some(read([0x21, 0x12, 0x21, 0x12, 0xa4, 0x42])),
            _ => {}
        }
        rest = &rest[4 + length.next_multiple_of(4)..];
    }
    found
}

#[test]
fn rfc_4787_req_10_a_meddling_nat_spoils_mapped_address_and_not_xor_mapped_address() {
    for rewrites_payloads in [false, true] {
        let config = NatConfig {
            rewrites_payloads,
            ..nat()
        };
        let mut net = two_sides(config, leave_alone, leave_alone);
        let [x, y] = ["X", "Y"].map(|name| net.topology().find(name).unwrap());
        net.attach(y, StunServer::with_discovery(3478, 3479));
        let answers = Rc::new(RefCell::new(Vec::new()));
        let heard = Rc::clone(&answers);
        let server: Endpoint = "192.0.2.1:3478".parse().unwrap();
        net.attach_fn(x, move |_, input: Input<'_>, io: &mut Io<'_>| match input {
            Input::Start => {
                // A binding request without attributes.
                let mut request = [7; 20];
                request[..8].copy_from_slice(&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42]);
                io.bind(5000).unwrap();
                io.send_from(5000, server.into(), &request);
            }
            Input::Datagram(datagram) => heard.borrow_mut().push(mapped(datagram.payload)),
            _ => {}
        });
        net.run_for(Duration::from_secs(1)).unwrap();
        let external = "203.0.113.1:5000".parse().unwrap();
        let inside = "192.168.1.2:5000".parse().unwrap();
        let plain = if rewrites_payloads { inside } else { external };
        assert_eq!(*answers.borrow(), [[Some(plain), Some(external)]]);
    }
}
