//! Faults of nodes and links: what each does to packets, to programs, and to the promises.

mod gateways;
mod hosts;
mod links;
mod promises;
mod refused;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use pinhole::internet::Fault;
use pinhole::link::Link;
use pinhole::nat::NatConfig;
use pinhole::{
    Address, Family, Filtering, Input, Internet, Io, LinkId, Mapping, NodeId, Program, Time,
    Topology,
};

const PORT: u16 = 4000;

fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// What a program went through.
#[derive(Clone, PartialEq, Debug)]
enum Seen {
    Start,
    Data(SocketAddr),
    Network(Vec<Address>),
}

type Diary = Rc<RefCell<Vec<(Time, Seen)>>>;

/// Sends a datagram to its target every 10 ms, if it has one, and keeps a diary.
struct Ticker {
    diary: Diary,
    target: Option<SocketAddr>,
    /// Sends from this address, whatever the host has.
    from: Option<SocketAddr>,
}

impl Program for Ticker {
    fn handle_input(&mut self, now: Time, input: Input<'_>, io: &mut Io<'_>) {
        let seen = match input {
            Input::Start => {
                io.bind(PORT).expect("its port is free whenever it starts");
                io.wake_at(now);
                Seen::Start
            }
            Input::Datagram(datagram) => Seen::Data(datagram.remote),
            Input::NetworkChanged => Seen::Network(io.addresses().collect()),
            Input::Wake => {
                if let Some(target) = self.target {
                    match self.from {
                        Some(from) => io.send(from, target, b"tick"),
                        None => io.send_from(PORT, target, b"tick"),
                    }
                    io.wake_after(Duration::from_millis(10));
                }
                return;
            }
            _ => return,
        };
        self.diary.borrow_mut().push((now, seen));
    }
}

struct Net {
    net: Internet,
}

impl Net {
    fn node(&self, name: &str) -> NodeId {
        self.net.topology().find(name).expect("a node of that name")
    }

    fn link(&self, one: &str, other: &str) -> LinkId {
        let topology = self.net.topology();
        topology.links_between(self.node(one), self.node(other))[0]
    }

    fn ticker(&mut self, host: &str, target: Option<&str>, from: Option<&str>) -> Diary {
        let diary = Diary::default();
        let (target, from) = (target.map(socket), from.map(socket));
        let kept = Rc::clone(&diary);
        let host = self.node(host);
        self.net.attach_service(host, move || Ticker {
            diary: Rc::clone(&kept),
            target,
            from,
        });
        diary
    }

    /// Sends one datagram, from a program of its own.
    fn send_once(&mut self, host: &str, from: &str, to: &str) {
        let (host, from, to) = (self.node(host), socket(from), socket(to));
        self.net.attach_fn(host, move |_, input, io| {
            if let Input::Start = input {
                io.send(from, to, b"once");
            }
        });
    }

    fn fault(&mut self, millis: u64, fault: Fault) {
        self.net.schedule_fault(at(millis), fault).unwrap();
    }

    fn run(&mut self, millis: u64) {
        self.net.run_until(at(millis)).unwrap();
    }

    fn drops(&self, code: &str) -> u64 {
        let drops = self.net.trace().drops().iter();
        let same = drops.filter(|drop| drop.example.code() == code);
        same.map(|drop| drop.count).sum()
    }
}

fn data(diary: &Diary) -> Vec<u64> {
    let diary = diary.borrow();
    let data = diary
        .iter()
        .filter(|(_, seen)| matches!(seen, Seen::Data(_)));
    data.map(|(time, _)| time.as_nanos() / 1_000_000).collect()
}

/// ```text
///   x 192.168.1.2, fd00::2 ──1 ms── home (NAT, 203.0.113.1) ──10 ms──┐
///    └ standby 10.0.0.2 ──1 ms── mobile (NAT, 203.0.113.2) ──10 ms── core ──10 ms── y 192.0.2.1
///                                                                    └──10 ms── z 192.0.2.2
/// ```
fn world() -> Net {
    let mut plan = Topology::new();
    let core = plan.router("core");
    let ms = |millis| Link::with_delay(Duration::from_millis(millis));
    let config = NatConfig::new(Mapping::EndpointIndependent, Filtering::EndpointIndependent);
    let x = plan.host("x");
    for (name, outside) in [("home", "203.0.113.1"), ("mobile", "203.0.113.2")] {
        let nat = plan.nat(name, config.clone());
        plan.connect(nat, core, ms(10), &[address(outside)]);
        if name == "home" {
            plan.connect(x, nat, ms(1), &[address("192.168.1.2"), address("fd00::2")]);
        } else {
            plan.standby(x, nat, ms(1), &[address("10.0.0.2")]);
        }
    }
    for (name, own) in [("y", "192.0.2.1"), ("z", "192.0.2.2")] {
        let host = plan.host(name);
        plan.connect(host, core, ms(10), &[address(own)]);
    }
    Net {
        net: plan.build(1).unwrap(),
    }
}
