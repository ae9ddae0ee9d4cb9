//! Faults of nodes and links: what each does to packets, to programs, and to the promises.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use pinhole::firewall::FirewallConfig;
use pinhole::internet::{Fault, FaultError};
use pinhole::link::{Conditions, Link};
use pinhole::nat::NatConfig;
use pinhole::topology::Device;
use pinhole::trace::DropReason;
use pinhole::{
    Address, Endpoint, Family, Filtering, Input, Internet, Io, LinkId, Mapping, NodeId, Program,
    Time, Topology,
};
use pinhole_tests::world::{Bystanders, World};
use proptest::prelude::*;

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

#[test]
fn a_link_that_is_down_takes_nothing_and_what_it_took_before_arrives() {
    let mut world = world();
    let diary = world.ticker("y", None, None);
    world.ticker("x", Some("192.0.2.1:4000"), None);
    let link = world.link("home", "core");
    world.fault(50, Fault::LinkDown { link });
    world.fault(80, Fault::LinkUp { link });
    world.run(125);
    // Sent at 0, 10, …; 1 ms to home, 20 ms from there. Those that reach home at 51, 61 and 71 find
    // the link down. What left home at 41 was under way at 50, and arrives.
    assert_eq!(data(&diary), [21, 31, 41, 51, 61, 101, 111, 121]);
    assert_eq!(world.drops("link_down"), 3);
    let drop = world.net.trace().drops()[0].example;
    assert_eq!(drop, DropReason::LinkDown { on: link.forward() });
    assert_eq!(
        drop.sentence(world.net.topology()),
        "dropped before home>core: the link is down"
    );
}

/// Whatever else happens at that time comes first.
#[test]
fn a_fault_comes_last_of_its_moment() {
    for (millis, arrives) in [(0, true), (1, false)] {
        let mut world = world();
        let diary = world.ticker("y", None, None);
        let link = world.link("x", "home");
        // Scheduled first: the order of scheduling doesn't count against other things.
        world.fault(0, Fault::LinkDown { link });
        let x = world.node("x");
        world.net.attach_fn(x, move |now, input, io| match input {
            Input::Start => io.wake_at(now + Duration::from_millis(millis)),
            Input::Wake => io.send_from(9, socket("192.0.2.1:4000"), b"once"),
            _ => {}
        });
        world.run(100);
        assert_eq!(!data(&diary).is_empty(), arrives, "sent at {millis} ms");
    }
}

#[test]
fn a_partition_parts_two_nodes_and_nobody_else() {
    let mut world = world();
    let (y, z) = (world.ticker("y", None, None), world.ticker("z", None, None));
    world.ticker("x", Some("192.0.2.1:4000"), None);
    let x = world.node("x");
    world.net.attach_fn(x, move |_, input, io| {
        if let Input::Start | Input::Wake = input {
            io.send_from(9, socket("192.0.2.2:4000"), b"tick");
            io.wake_after(Duration::from_millis(10));
        }
    });
    let between = [world.node("y"), x];
    world.fault(50, Fault::Partition { between });
    world.fault(80, Fault::Heal { between });
    world.run(125);
    // Those sent at 60, 70 and 80 end at y's door; what was sent until 50 was on its way already.
    assert_eq!(data(&y), [21, 31, 41, 51, 61, 71, 111, 121]);
    assert_eq!(data(&z), [21, 31, 41, 51, 61, 71, 81, 91, 101, 111, 121]);
    assert_eq!(world.drops("partitioned"), 3);
    let drop = world.net.trace().drops()[0].example;
    let told = "dropped by y: it came by way of x, and the two are parted";
    assert_eq!(drop.sentence(world.net.topology()), told);
}

/// A node in the middle counts as much as one at the end, and a copy that a link makes is stopped as
/// its original is.
#[test]
fn a_partition_holds_for_what_passes_through_and_for_copies() {
    for pair in [["home", "y"], ["x", "core"], ["home", "core"]] {
        let mut plan = world().net.topology().clone();
        let doubling = Conditions {
            duplication: 1.0,
            ..Conditions::new(Duration::from_millis(10))
        };
        let far = plan.host("far");
        let core = plan.find("core").unwrap();
        let link = Link {
            up: doubling,
            down: doubling,
        };
        plan.connect(far, core, link, &[address("192.0.2.9")]);
        let mut world = Net {
            net: plan.build(1).unwrap(),
        };
        let y = world.ticker("y", None, None);
        let far = world.ticker("far", Some("192.0.2.1:4000"), None);
        world.ticker("x", Some("192.0.2.9:4000"), None);
        let x = world.node("x");
        world.net.attach_fn(x, |_, input, io| {
            if let Input::Start = input {
                io.send_from(9, socket("192.0.2.1:4000"), b"one");
            }
        });
        let between = pair.map(|name| world.node(name));
        world.net.inflict(Fault::Partition { between }).unwrap();
        world.run(100);
        let from_x = |diary: &Diary| {
            let diary = diary.borrow();
            let nat = Seen::Data(socket("203.0.113.1:9"));
            diary.iter().filter(|(_, seen)| *seen == nat).count()
        };
        assert_eq!(from_x(&y), 0, "{pair:?}");
        assert_eq!(data(&far).is_empty(), pair[1] == "core", "{pair:?}");
        let between = [pair[1], pair[0]].map(|name| world.node(name));
        world.net.inflict(Fault::Heal { between }).unwrap();
        world.run(200);
        assert!(!data(&far).is_empty(), "{pair:?} are healed");
    }
}

#[test]
fn a_rebooted_nat_has_no_mappings_and_maybe_another_address() {
    for external in [vec![], vec![address("203.0.113.77")]] {
        let mut world = world();
        let y = world.ticker("y", Some("203.0.113.1:4000"), None);
        let x = world.ticker("x", None, None);
        // One packet opens the mapping that y's come in by.
        let host = world.node("x");
        world.net.attach_fn(host, |_, input, io| {
            if let Input::Start = input {
                io.send(
                    socket("192.168.1.2:4000"),
                    socket("192.0.2.1:4000"),
                    b"open",
                );
            }
        });
        let gateway = world.node("home");
        let moves = !external.is_empty();
        world.fault(55, Fault::Reboot { gateway, external });
        world.run(125);
        assert_eq!(y.borrow()[1].1, Seen::Data(socket("203.0.113.1:4000")));
        // y's of 0 and 10 ms come before the mapping is there at 1 ms… but take 20 ms to get here.
        assert_eq!(data(&x), [21, 31, 41, 51], "moves: {moves}");
        // At 60 ms the first finds nothing: neither mapping nor, where it moved, the address.
        let lost = if moves { "no_route" } else { "no_mapping" };
        assert!(world.drops(lost) > 0, "{:?}", world.net.trace().drops());
        let now = if moves { "203.0.113.77" } else { "203.0.113.1" };
        assert_eq!(world.net.address(gateway), address(now));
        // The network finds it at its new address.
        let back = socket(&format!("{now}:4000"));
        world.net.attach_fn(host, |_, input, io| {
            if let Input::Start = input {
                io.send(
                    socket("192.168.1.2:4000"),
                    socket("192.0.2.1:4000"),
                    b"again",
                );
            }
        });
        world.run(200);
        assert_eq!(y.borrow().last().unwrap().1, Seen::Data(back));
        let seen = &world.net.inflicted()[0];
        assert_eq!(
            (seen.time, &seen.before[..]),
            (at(55), &[address("203.0.113.1")][..])
        );
    }
}

/// A firewall beside the NAT keeps its pinholes when the NAT is flushed, and loses them when the
/// gateway reboots.
#[test]
fn a_flush_is_the_nats_a_reboot_is_everybodys() {
    for (reboots, comes_in) in [(false, true), (true, false)] {
        let mut plan = world().net.topology().clone();
        let gateway = plan.find("home").unwrap();
        let filter = FirewallConfig {
            family: Some(Family::V6),
            ..FirewallConfig::new(Filtering::AddressAndPortDependent)
        };
        plan.install(gateway, Device::Firewall(filter));
        let far = plan.host("far");
        let core = plan.find("core").unwrap();
        plan.connect(far, core, Link::lan(), &[address("2001:db8::9")]);
        let mut world = Net {
            net: plan.build(1).unwrap(),
        };
        let x = world.ticker("x", None, None);
        let host = world.node("x");
        world.net.attach_fn(host, |_, input, io| {
            if let Input::Start = input {
                io.send(
                    socket("[fd00::2]:4000"),
                    socket("[2001:db8::9]:4000"),
                    b"open",
                );
                io.send(
                    socket("192.168.1.2:4000"),
                    socket("192.0.2.1:4000"),
                    b"open",
                );
            }
        });
        world.run(50);
        let external = Vec::new();
        let fault = if reboots {
            Fault::Reboot { gateway, external }
        } else {
            Fault::Flush { gateway }
        };
        assert_eq!(world.net.nat(gateway).unwrap().mappings(at(50)).count(), 1);
        world.net.inflict(fault).unwrap();
        assert_eq!(world.net.nat(gateway).unwrap().mappings(at(50)).count(), 0);
        world.ticker("far", Some("[fd00::2]:4000"), None);
        world.run(100);
        assert_eq!(!data(&x).is_empty(), comes_in, "reboots: {reboots}");
    }
}

#[test]
fn a_host_that_roams_has_the_other_addresses_and_its_programs_know() {
    let mut world = world();
    let y = world.ticker("y", None, None);
    let bound = world.ticker("x", Some("192.0.2.1:4000"), None);
    let host = world.node("x");
    let old = Diary::default();
    let kept = Rc::clone(&old);
    world.net.attach(
        host,
        Stubborn {
            from: socket("192.168.1.2:4001"),
            to: socket("192.0.2.1:4000"),
            diary: kept,
        },
    );
    let (home, mobile) = (world.link("x", "home"), world.link("x", "mobile"));
    assert_eq!(
        world.net.host_addresses(host),
        [address("192.168.1.2"), address("fd00::2")],
        "a standby link gives no address"
    );
    world.fault(45, Fault::Roam { host, to: mobile });
    world.fault(75, Fault::Roam { host, to: home });
    world.run(120);
    let networks = |diary: &Diary| -> Vec<(Time, Seen)> {
        let diary = diary.borrow();
        let mut told = diary.clone();
        told.retain(|(_, seen)| matches!(seen, Seen::Network(_)));
        told
    };
    let expected = [
        (at(45), Seen::Network(vec![address("10.0.0.2")])),
        (
            at(75),
            Seen::Network(vec![address("192.168.1.2"), address("fd00::2")]),
        ),
    ];
    assert_eq!(networks(&bound), expected);
    assert_eq!(networks(&old), expected);
    assert_eq!(networks(&y), []);
    // The socket that is bound to every address goes on from the new one, behind the other NAT.
    let came = |port: u16, nat: &str| -> Vec<u64> {
        let from = Seen::Data(SocketAddr::from(Endpoint::new(address(nat), port)));
        let diary = y.borrow();
        let from_there = diary.iter().filter(|(_, seen)| *seen == from);
        from_there
            .map(|(time, _)| time.as_nanos() / 1_000_000)
            .collect()
    };
    assert_eq!(came(4000, "203.0.113.2"), [71, 81, 91]);
    assert_eq!(came(4000, "203.0.113.1"), [21, 31, 41, 51, 61, 101, 111]);
    // The one that is bound to the old address is dead in between, and alive again after.
    assert_eq!(came(4001, "203.0.113.1"), [21, 31, 41, 51, 61, 101, 111]);
    assert_eq!(world.drops("no_route"), 3);
}

/// Sends from one address only, every 10 ms.
struct Stubborn {
    from: SocketAddr,
    to: SocketAddr,
    diary: Diary,
}

impl Program for Stubborn {
    fn handle_input(&mut self, now: Time, input: Input<'_>, io: &mut Io<'_>) {
        match input {
            Input::Start | Input::Wake => {
                if let Input::Start = input {
                    io.bind_to(self.from).unwrap();
                }
                io.send(self.from, self.to, b"tick");
                io.wake_after(Duration::from_millis(10));
            }
            Input::NetworkChanged => {
                let addresses = io.addresses().collect();
                self.diary
                    .borrow_mut()
                    .push((now, Seen::Network(addresses)));
            }
            _ => {}
        }
    }
}

#[test]
fn a_packet_for_a_host_that_has_left_is_dropped() {
    let mut world = world();
    let x = world.ticker("x", Some("192.0.2.1:4000"), None);
    world.ticker("y", Some("203.0.113.1:4000"), None);
    let (host, to) = (world.node("x"), world.link("x", "mobile"));
    // y's of 30 ms is on the last link then, and finds nobody; those after it don't get onto it.
    world.net.run_until(at(50)).unwrap();
    world.net.run_until(Time::from_nanos(50_500_000)).unwrap();
    world.net.inflict(Fault::Roam { host, to }).unwrap();
    world.run(95);
    assert_eq!(data(&x), [21, 31, 41]);
    assert_eq!(world.drops("wrong_host"), 1);
    let reason = DropReason::LinkDown {
        on: world.link("x", "home").backward(),
    };
    let dropped = world.net.trace().drops().iter();
    let at_link = dropped.filter(|drop| drop.example == reason);
    assert_eq!(at_link.map(|drop| drop.count).sum::<u64>(), 4);
}

#[test]
fn a_lost_family_is_gone_from_the_host_until_it_is_regained() {
    let mut world = world();
    let diary = world.ticker("x", None, None);
    let host = world.node("x");
    let v4 = address("192.168.1.2");
    let v6 = address("fd00::2");
    for (millis, fault) in [
        (
            10,
            Fault::FamilyLost {
                host,
                family: Family::V6,
            },
        ),
        // Lost is lost: nothing changes, and nobody is told.
        (
            20,
            Fault::FamilyLost {
                host,
                family: Family::V6,
            },
        ),
        (
            30,
            Fault::FamilyLost {
                host,
                family: Family::V4,
            },
        ),
        (
            40,
            Fault::FamilyRegained {
                host,
                family: Family::V6,
            },
        ),
        (
            50,
            Fault::FamilyRegained {
                host,
                family: Family::V4,
            },
        ),
    ] {
        world.fault(millis, fault);
    }
    world.run(100);
    let expected = [
        (at(0), Seen::Start),
        (at(10), Seen::Network(vec![v4])),
        (at(30), Seen::Network(vec![])),
        (at(40), Seen::Network(vec![v6])),
        (at(50), Seen::Network(vec![v4, v6])),
    ];
    assert_eq!(*diary.borrow(), expected);
}

#[test]
fn a_restarted_service_begins_anew() {
    let mut world = world();
    let diary = world.ticker("y", Some("192.0.2.2:4000"), None);
    let z = world.ticker("z", None, None);
    let host = world.node("y");
    // Before its first input: it starts once, not twice.
    world.net.inflict(Fault::Restart { host }).unwrap();
    world.fault(25, Fault::Restart { host });
    world.run(70);
    let starts: Vec<Time> = diary.borrow().iter().map(|(time, _)| *time).collect();
    assert_eq!(starts, [at(0), at(25)]);
    // At 0, 10, 20, and from the restart on at 25, 35, 45: the old alarm at 30 is void.
    assert_eq!(data(&z), [20, 30, 40, 45, 55, 65]);
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let mut world = world();
    world.ticker("y", None, None);
    let (x, home, core) = (world.node("x"), world.node("home"), world.node("core"));
    let wifi = world.link("x", "home");
    let uplink = world.link("home", "core");
    let new = |text: &str| vec![address(text)];
    let reboot = |gateway, external| Fault::Reboot { gateway, external };
    let other = {
        let mut plan = Topology::new();
        let nodes: Vec<NodeId> = (0..40).map(|n| plan.host(n.to_string())).collect();
        let links: Vec<LinkId> = nodes
            .windows(2)
            .map(|pair| plan.connect(pair[0], pair[1], Link::lan(), &[]))
            .collect();
        (nodes[39], links[38])
    };
    for (fault, told) in [
        (
            Fault::Flush { gateway: x },
            "\"x\" is a host; only a NAT can lose its mappings",
        ),
        (
            reboot(core, vec![]),
            "\"core\" is a router; only a gateway can reboot",
        ),
        (
            Fault::Roam {
                host: home,
                to: wifi,
            },
            "\"home\" is a NAT; only a host can roam",
        ),
        (
            Fault::Roam {
                host: x,
                to: uplink,
            },
            "\"x\" has no attachment over the link between \"home\" and \"core\"",
        ),
        (
            Fault::Restart { host: x },
            "\"x\" runs nothing that can be restarted; attach its program as a service",
        ),
        (
            Fault::Restart { host: core },
            "\"core\" is a router; only a host can restart its programs",
        ),
        (
            Fault::Partition { between: [x, x] },
            "\"x\" can't be parted from itself; name two nodes",
        ),
        (
            Fault::FamilyLost {
                host: world.node("y"),
                family: Family::V6,
            },
            "\"y\" has no V6 address to lose or to get back",
        ),
        (
            reboot(home, new("192.0.2.1")),
            "192.0.2.1 is used twice in one network: by \"home\" and by \"y\"",
        ),
        (
            reboot(home, vec![address("203.0.113.9"); 2]),
            "203.0.113.9 is used twice in one network: by \"home\" and by \"home\"",
        ),
        (
            reboot(home, new("2001:db8::1")),
            "\"home\" needs external addresses of the families it has now: 203.0.113.1",
        ),
        (
            Fault::Flush { gateway: other.0 },
            "node 39 is none of this internet's, which has 6",
        ),
        (
            Fault::LinkUp { link: other.1 },
            "link 38 is none of this internet's, which has 6",
        ),
    ] {
        let scheduled = world.net.schedule_fault(at(10), fault.clone()).unwrap_err();
        assert_eq!(scheduled.to_string(), told);
        assert_eq!(world.net.inflict(fault).unwrap_err(), scheduled);
    }
    // An address is promised to one NAT only, and another may have it only once it is given up.
    world.fault(50, reboot(home, new("203.0.113.77")));
    let mobile = world.node("mobile");
    for taken in ["203.0.113.77", "203.0.113.1"] {
        let error = world.net.schedule_fault(at(60), reboot(mobile, new(taken)));
        assert!(matches!(error, Err(FaultError::Addresses(_))), "{error:?}");
    }
    world.run(50);
    world.fault(60, reboot(mobile, new("203.0.113.1")));
    world.run(60);
    assert_eq!(world.net.address(mobile), address("203.0.113.1"));
    assert_eq!(
        world.net.inflicted().len(),
        2,
        "what was refused never struck"
    );
}

#[test]
fn the_past_is_over() {
    let mut world = world();
    let link = world.link("home", "core");
    world.run(100);
    let late = world.net.schedule_fault(at(99), Fault::LinkDown { link });
    let (at, now) = (at(99), at(100));
    assert_eq!(late, Err(FaultError::InThePast { at, now }));
    assert_eq!(
        late.unwrap_err().to_string(),
        "a fault at 99.000 ms comes too late: it is 100.000 ms already"
    );
    assert_eq!(
        world.net.schedule_fault(now, Fault::LinkDown { link }),
        Ok(())
    );
}

#[test]
fn a_thousand_faults_at_once_strike_in_their_order() {
    let mut world = world();
    let y = world.ticker("y", None, None);
    world.ticker("x", Some("192.0.2.1:4000"), None);
    let (host, gateway) = (world.node("x"), world.node("home"));
    let (wifi, mobile) = (world.link("x", "home"), world.link("x", "mobile"));
    let between = [host, world.node("y")];
    let external = |n: u8| vec![Address::v4(203, 0, 113, 100 + n)];
    let mut faults: Vec<Fault> = (0..100u8)
        .flat_map(|n| {
            [
                Fault::LinkDown { link: wifi },
                Fault::Roam { host, to: mobile },
                Fault::Partition { between },
                Fault::Reboot {
                    gateway,
                    external: external(n),
                },
                Fault::Restart { host },
                Fault::FamilyLost {
                    host,
                    family: Family::V4,
                },
                Fault::Flush { gateway },
            ]
        })
        .collect();
    for _ in 0..100 {
        faults.extend([
            Fault::LinkUp { link: wifi },
            Fault::Heal { between },
            Fault::FamilyRegained {
                host,
                family: Family::V4,
            },
            Fault::Roam { host, to: wifi },
        ]);
    }
    assert!(faults.len() >= 1000);
    for fault in &faults {
        world.fault(50, fault.clone());
    }
    world.run(120);
    let struck: Vec<&Fault> = world.net.inflicted().iter().map(|one| &one.fault).collect();
    assert_eq!(struck, faults.iter().collect::<Vec<_>>());
    // All is well again but for what was under way: from 50 ms on data comes from the last address.
    let last = Seen::Data(socket("203.0.113.199:4000"));
    assert_eq!(y.borrow().last().unwrap().1, last);
    let after: Vec<u64> = data(&y).into_iter().filter(|time| *time > 71).collect();
    assert_eq!(after, [81, 91, 101, 111]);
}

/// A fault for these four numbers, if such a one makes sense for the nodes that they pick.
fn random_fault(net: &Internet, [kind, one, other, more]: [u64; 4]) -> Fault {
    let nodes: Vec<NodeId> = net.topology().nodes().collect();
    let pick = |n: u64| nodes[n as usize % nodes.len()];
    let (node, far) = (pick(one), pick(other));
    let links = net.topology().links(node);
    let link = links.get(more as usize % links.len().max(1)).copied();
    let link = link.unwrap_or_else(|| net.topology().links(nodes[0])[0]);
    let family = [Family::V4, Family::V6][more as usize % 2];
    let external = match more % 3 {
        0 => vec![],
        n => vec![Address::v4(100, 100, n as u8, more as u8)],
    };
    match kind % 10 {
        0 => Fault::Reboot {
            gateway: node,
            external,
        },
        1 => Fault::Flush { gateway: node },
        2 => Fault::Roam {
            host: node,
            to: link,
        },
        3 => Fault::LinkDown { link },
        4 => Fault::LinkUp { link },
        5 => Fault::Partition {
            between: [node, far],
        },
        6 => Fault::Heal {
            between: [node, far],
        },
        7 => Fault::Restart { host: node },
        8 => Fault::FamilyLost { host: node, family },
        _ => Fault::FamilyRegained { host: node, family },
    }
}

/// Binds a port whenever it starts, and says so to nobody.
#[derive(Default)]
struct Service(bool);

impl Program for Service {
    fn handle_input(&mut self, _: Time, input: Input<'_>, io: &mut Io<'_>) {
        if let Input::Start = input {
            assert!(!std::mem::replace(&mut self.0, true), "it starts once");
            io.bind(5000).expect("its port is free whenever it starts");
            io.wake_after(Duration::from_millis(1));
        } else {
            assert!(self.0, "the start comes first");
        }
    }
}

/// A random world with a service on every host and these faults. Returns how many were accepted.
fn troubled(seed: u64, size: u64, faults: &[(u64, [u64; 4])]) -> (Internet, usize) {
    let mut net = World::new(seed, size, Bystanders::None).start(seed);
    let topology = net.topology();
    let hosts = topology
        .nodes()
        .filter(|node| topology.role(*node) == "host");
    for host in hosts.collect::<Vec<_>>() {
        net.attach_service(host, Service::default);
    }
    let mut accepted = 0;
    for (micros, numbers) in faults {
        let fault = random_fault(&net, *numbers);
        let at = Time::from_nanos(micros * 1000);
        accepted += usize::from(net.schedule_fault(at, fault).is_ok());
    }
    (net, accepted)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever goes wrong: every packet has one fate, and the same seed makes the same run.
    #[test]
    fn no_fault_breaks_a_promise(
        seed: u64,
        size in 1u64..10,
        faults in proptest::collection::vec((0u64..400_000, any::<[u64; 4]>()), 0..60),
    ) {
        let run = || {
            let (mut net, accepted) = troubled(seed, size, &faults);
            while net.step().unwrap() {
                let counts = net.trace().counts();
                assert_eq!(net.packets_under_way() as u64, counts.in_flight);
            }
            assert_eq!(net.inflicted().len(), accepted);
            let counts = net.trace().counts();
            assert_eq!(counts.in_flight, 0, "the run is over");
            assert_eq!(counts.sent + counts.duplicated, counts.delivered + counts.dropped);
            (net.trace().digest(), counts, net.events())
        };
        prop_assert_eq!(run(), run());
    }
}
