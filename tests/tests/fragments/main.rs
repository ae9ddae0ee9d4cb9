//! Packets that are too long for a link: reported to their sender, or cut and put together again.
//!
//! ```text
//!   A 192.0.2.1 ──10 ms, 1500── r1 ──10 ms, 1000── r2 ──10 ms, 576── B 192.0.2.2
//! ```

mod cut;
mod promises;
mod reassembly;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pinhole::link::{Conditions, Link};
use pinhole::middlebox::{Middlebox, Surroundings, Verdict};
use pinhole::packet::{IcmpErrorKind, Packet, PacketId};
use pinhole::topology::Device;
use pinhole::trace::DropReason;
use pinhole::{Address, Input, Internet, Io, NodeId, Program, ProgramId, Time, Topology};

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
