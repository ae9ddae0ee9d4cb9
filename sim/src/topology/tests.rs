//! Plans, routes and errors.

use std::time::Duration;

use super::*;
use crate::link::Link;
use crate::{Filtering, Input, Io, Mapping, Time};

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn link(millis: u64) -> Link {
    Link::with_delay(Duration::from_millis(millis))
}

fn nat() -> NatConfig {
    NatConfig::new(Mapping::EndpointIndependent, Filtering::EndpointIndependent)
}

fn error_of(plan: Topology) -> String {
    match plan.build(1) {
        Ok(_) => panic!("the plan was expected to be refused"),
        Err(error) => error.to_string(),
    }
}

/// Sends one datagram and returns its one-way delay.
fn one_way(plan: Topology, from: NodeId, to: NodeId, to_address: Address) -> Option<Duration> {
    let mut net = plan.build(1).unwrap();
    let source = net.address(from);
    let receiver = net.attach_fn(to, |_, input: Input<'_>, io: &mut Io<'_>| {
        if let Input::Start = input {
            io.bind(9).unwrap();
        }
    });
    net.attach_fn(from, move |_, input: Input<'_>, io: &mut Io<'_>| {
        if let Input::Start = input {
            let local = Endpoint::new(source, 9).into();
            io.send(local, Endpoint::new(to_address, 9).into(), b"hello");
        }
    });
    let _ = receiver;
    net.run_while_not(Time::from_millis(60_000), |net| {
        net.trace().counts().delivered == 1
    })
    .unwrap()
    .then(|| net.now() - Time::ZERO)
}

use crate::Endpoint;

#[test]
fn the_way_of_least_delay_is_taken() {
    let mut plan = Topology::new();
    let [west, north, south, east] =
        ["west", "north", "south", "east"].map(|name| plan.router(name));
    plan.connect(west, north, link(10), &[]);
    plan.connect(north, east, link(10), &[]);
    plan.connect(west, south, link(5), &[]);
    plan.connect(south, east, link(7), &[]);
    plan.connect(west, east, link(30), &[]);
    let a = plan.host("a");
    plan.connect(a, west, link(1), &[address("192.0.2.1")]);
    let b = plan.host("b");
    plan.connect(b, east, link(1), &[address("192.0.2.2")]);
    let delay = one_way(plan.clone(), a, b, address("192.0.2.2"));
    assert_eq!(delay, Some(Duration::from_millis(1 + 5 + 7 + 1)));
    let back = one_way(plan, b, a, address("192.0.2.1"));
    assert_eq!(back, delay);
}

#[test]
fn both_families_are_routed() {
    let mut plan = Topology::new();
    let core = plan.router("core");
    let a = plan.host("a");
    plan.connect(a, core, link(3), &[address("2001:db8::1")]);
    let b = plan.host("b");
    plan.connect(
        b,
        core,
        link(4),
        &[address("192.0.2.2"), address("2001:db8::2")],
    );
    let delay = one_way(plan.clone(), a, b, address("2001:db8::2"));
    assert_eq!(delay, Some(Duration::from_millis(7)));
    // No translation between the families.
    assert_eq!(one_way(plan, a, b, address("192.0.2.2")), None);
}

#[test]
fn homes_may_share_their_private_range() {
    let mut plan = Topology::new();
    let core = plan.router("core");
    let mut hosts = Vec::new();
    for (name, external) in [("a", "203.0.113.1"), ("b", "203.0.113.2")] {
        let edge = plan.nat(format!("{name}.nat"), nat());
        plan.connect(edge, core, link(10), &[address(external)]);
        let host = plan.host(name);
        plan.connect(host, edge, link(1), &[address("192.168.1.2")]);
        hosts.push(host);
    }
    plan.build(1).unwrap();
}

#[test]
fn a_home_behind_a_carrier_reaches_its_carrier_neighbours() {
    let mut plan = Topology::new();
    let core = plan.router("core");
    let carrier = plan.nat("carrier", nat());
    plan.connect(carrier, core, link(10), &[address("203.0.113.1")]);
    let mut hosts = Vec::new();
    for n in 2..4 {
        let home = plan.nat(format!("home{n}"), nat());
        plan.connect(home, carrier, link(5), &[Address::v4(100, 64, 0, n)]);
        let host = plan.host(format!("host{n}"));
        plan.connect(host, home, link(1), &[Address::v4(192, 168, n, 2)]);
        hosts.push((host, home));
    }
    // Through the neighbour's home NAT there is no mapping; but the packet gets there.
    let (from, (_, home)) = (hosts[0].0, hosts[1]);
    let mut net = plan.build(1).unwrap();
    net.attach_fn(from, |_, input: Input<'_>, io: &mut Io<'_>| {
        if let Input::Start = input {
            io.send(
                "0.0.0.0:9".parse().unwrap(),
                "100.64.0.3:9".parse().unwrap(),
                b"hello",
            );
        }
    });
    net.run_to_end().unwrap();
    let drop = net.trace().drops()[0].example;
    assert_eq!(
        (drop.code(), drop.place()),
        ("no_mapping", crate::trace::Place::Node(home))
    );
}

#[test]
fn errors_name_the_nodes() {
    let mut plan = Topology::new();
    let core = plan.router("core");
    let a = plan.host("a");
    plan.connect(a, core, link(1), &[address("192.0.2.1")]);

    let mut twice = plan.clone();
    let b = twice.host("b");
    twice.connect(b, core, link(1), &[address("192.0.2.1")]);
    let error = error_of(twice);
    assert!(
        error.contains("192.0.2.1") && error.contains("\"a\"") && error.contains("\"b\""),
        "{error}"
    );

    let mut lonely = plan.clone();
    lonely.nat("home", nat());
    assert!(error_of(lonely).contains("\"home\" has no outside"));

    let mut nameless = plan.clone();
    let home = nameless.nat("home", nat());
    nameless.connect(home, core, link(1), &[]);
    assert!(error_of(nameless).contains("NAT \"home\" has no external address"));

    let mut torn = plan.clone();
    let far = torn.router("far");
    let b = torn.host("b");
    torn.connect(b, far, link(1), &[address("192.0.2.2")]);
    assert!(error_of(torn).contains("no path leads from \"core\" to \"far\""));

    let mut loose = plan.clone();
    loose.host("b");
    assert!(error_of(loose).contains("host \"b\" is connected to nothing"));

    let mut same = plan.clone();
    same.router("a");
    assert!(error_of(same).contains("two nodes are called \"a\""));

    let mut behind = plan.clone();
    let b = behind.host("b");
    behind.connect(b, a, link(1), &[address("192.0.2.2")]);
    assert!(error_of(behind).contains("\"a\", which is a host"));

    let mut forked = plan.clone();
    let home = forked.nat("home", nat());
    forked.connect(home, core, link(1), &[address("203.0.113.1")]);
    forked.connect(home, core, link(1), &[address("203.0.113.2")]);
    assert!(error_of(forked).contains("more than one outside"));

    let mut addressless = plan;
    let b = addressless.host("b");
    addressless.connect(b, core, link(1), &[]);
    assert!(error_of(addressless).contains("\"b\" has no address on its link to \"core\""));
}

#[test]
fn the_drawing_names_every_node_and_link() {
    let mut plan = Topology::new();
    let core = plan.router("core");
    let edge = plan.nat("a.nat", nat());
    plan.connect(edge, core, link(10), &[address("203.0.113.1")]);
    let dot = plan.to_dot();
    for part in [
        "graph internet",
        "core",
        "a.nat\\neim/eif\\n203.0.113.1",
        "n1 -- n0",
        "10 ms",
    ] {
        assert!(dot.contains(part), "{part} is missing in\n{dot}");
    }
}
