//! Firewalls and local networks from outside: what passes, what doesn't, and what says so.

use std::time::Duration;

use pinhole::firewall::{Action, FirewallConfig, Protocol, Rule, Rules};
use pinhole::link::Link;
use pinhole::middlebox::{PacketFilter, Way};
use pinhole::nat::{Hairpinning, NatConfig};
use pinhole::packet::Packet;
use pinhole::topology::{AddressPlan, Device, SiteOptions};
use pinhole::trace::{DropReason, Place};
use pinhole::{Address, Endpoint, Filtering, Lifetimes, Mapping, Time, Topology};
use pinhole_tests::lab::{FROM_SERVER_TO_BOX, Lab, TO_BOX, around, y};

use std::net::SocketAddr;
use std::sync::Arc;

const FIVE_MINUTES: Duration = Duration::from_secs(300);

fn x(host: u8, port: u16) -> SocketAddr {
    Endpoint::new(Address::v4(192, 168, 1, host + 1), port).into()
}

/// The laboratory with a box that translates nothing.
fn lab(device: Device) -> Lab {
    let make = |plan: &mut Topology| {
        let gateway = plan.gateway("box");
        plan.install(gateway, device);
        gateway
    };
    Lab::new(around(0, make), 1)
}

fn firewall(filtering: Filtering) -> Lab {
    lab(Device::Firewall(FirewallConfig::new(filtering)))
}

#[test]
fn a_stateful_firewall_lets_in_whom_the_behaviour_says_and_translates_nothing() {
    for filtering in Filtering::ALL {
        let mut lab = firewall(filtering);
        let open = filtering == Filtering::EndpointIndependent;
        assert_eq!(
            lab.probe("Y1", 1000, x(1, 5000)).is_ok(),
            open,
            "unsolicited"
        );
        assert_eq!(lab.seen("X1", 5000, y(1, 1000)), x(1, 5000));
        let table = [
            ("Y1", 1000, true),
            ("Y1", 1001, filtering != Filtering::AddressAndPortDependent),
            ("Y2", 1000, open),
        ];
        for (server, port, passes) in table {
            let answer = lab.probe(server, port, x(1, 5000));
            assert_eq!(answer.is_ok(), passes, "{filtering}, from {server}:{port}");
            if let Err(drop) = answer {
                assert_eq!(drop.code(), "filtered_by_firewall");
            }
            // Neither another port nor another host inside gains by it.
            assert_eq!(lab.probe(server, port, x(1, 5001)).is_ok(), open);
            assert_eq!(lab.probe(server, port, x(2, 5000)).is_ok(), open);
        }
    }
}

#[test]
fn a_pinhole_closes_exactly_when_its_lifetime_ends() {
    for lifetime in [FIVE_MINUTES, Duration::from_secs(30)] {
        let config = FirewallConfig {
            lifetimes: Lifetimes {
                udp: lifetime,
                ..Lifetimes::STANDARD
            },
            ..FirewallConfig::new(Filtering::AddressAndPortDependent)
        };
        for (early, passes) in [(1, true), (0, false)] {
            let mut lab = lab(Device::Firewall(config));
            lab.seen("X1", 5000, y(1, 1000));
            let at_box = TO_BOX + lifetime - Duration::from_nanos(early);
            lab.until(at_box - FROM_SERVER_TO_BOX);
            assert_eq!(lab.probe("Y1", 1000, x(1, 5000)).is_ok(), passes);
        }
    }
}

#[test]
fn what_leaves_keeps_a_pinhole_open_and_what_comes_in_does_not() {
    let mut lab = firewall(Filtering::AddressAndPortDependent);
    lab.seen("X1", 5000, y(1, 1000));
    lab.seen("X1", 5001, y(1, 1000));
    lab.until(Duration::from_secs(200));
    lab.seen("X1", 5000, y(1, 1000));
    assert!(lab.probe("Y1", 1000, x(1, 5001)).is_ok());
    lab.until(Duration::from_secs(400));
    assert!(lab.probe("Y1", 1000, x(1, 5000)).is_ok());
    assert_eq!(lab.refused("Y1", 1000, x(1, 5001)), "filtered_by_firewall");
}

#[test]
fn an_error_passes_a_stateful_firewall_where_the_packet_that_it_quotes_went_out() {
    let mut lab = firewall(Filtering::AddressAndPortDependent);
    lab.knock("X1", 5000, y(1, 9)).unwrap_err();
    assert_eq!(lab.errors("X1"), [(x(1, 5000), y(1, 9))]);
}

#[test]
fn the_first_rule_that_matches_decides() {
    let dns = Rule {
        outer_port: Some(53..=53),
        ..Rule::new(Action::Allow)
    };
    let from_first = Rule {
        inner: Some("192.168.1.2/32".parse().unwrap()),
        outer: Some("192.0.2.2/32".parse().unwrap()),
        way: Some(Way::Out),
        ..Rule::new(Action::Deny)
    };
    let denied = |lab: &mut Lab, host, to| match lab.probe(host, 5000, to) {
        Ok(_) => None,
        Err(DropReason::DeniedByRule { rule, .. } | DropReason::UdpBlocked { rule, .. }) => {
            Some(rule)
        }
        Err(other) => panic!("{other:?}"),
    };

    let rules = vec![dns.clone(), from_first.clone(), Rule::deny_udp()];
    let mut net = lab(Device::Rules(Rules::new(rules)));
    assert_eq!(
        denied(&mut net, "X1", y(2, 53)),
        None,
        "allowed before it is denied"
    );
    assert_eq!(denied(&mut net, "X1", y(2, 54)), Some(1));
    assert_eq!(denied(&mut net, "X1", y(1, 54)), Some(2));
    assert_eq!(denied(&mut net, "X2", y(2, 54)), Some(2));

    // The other way round the exception never gets its turn.
    let mut net = lab(Device::Rules(Rules::new(vec![from_first.clone(), dns])));
    assert_eq!(denied(&mut net, "X1", y(2, 53)), Some(0));
    assert_eq!(denied(&mut net, "X2", y(2, 53)), None);

    // What no rule matches passes, and a rule for one way says nothing about the other.
    let mut net = lab(Device::Rules(Rules::new(vec![from_first])));
    assert_eq!(denied(&mut net, "X1", y(1, 54)), None);
    assert!(net.probe("Y2", 1000, x(1, 5000)).is_ok());
}

#[test]
fn blocked_udp_crosses_neither_way_and_says_so() {
    let mut lab = lab(Device::Rules(Rules::new(vec![Rule::deny_udp()])));
    assert_eq!(lab.refused("X1", 5000, y(1, 1000)), "udp_blocked");
    assert_eq!(lab.refused("Y1", 1000, x(1, 5000)), "udp_blocked");
    // Inside nothing is in the way.
    assert!(lab.probe("X1", 5000, x(2, 5000)).is_ok());
}

#[test]
fn rules_tell_protocols_apart() {
    let no_icmp = Rule {
        protocol: Some(Protocol::Icmp),
        ..Rule::new(Action::Deny)
    };
    let mut lab = lab(Device::Rules(Rules::new(vec![no_icmp])));
    assert_eq!(lab.seen("X1", 5000, y(1, 1000)), x(1, 5000));
    lab.knock("X1", 5000, y(1, 9)).unwrap_err();
    assert_eq!(lab.errors("X1"), [], "the error was denied");
}

#[test]
fn a_closure_is_a_middlebox_and_its_words_are_the_reason() {
    let make = || {
        let judge = |way: Way, packet: &Packet| match way {
            Way::Out if packet.destination.port == 6881 => Err("not on my network"),
            _ => Ok(()),
        };
        Box::new(PacketFilter(judge)) as Box<dyn pinhole::middlebox::Middlebox>
    };
    let mut lab = lab(Device::Custom(Arc::new(make)));
    let node = lab.node("box");
    let why = "not on my network";
    let refused = lab.probe("X1", 5000, y(1, 6881));
    assert_eq!(refused, Err(DropReason::Custom { node, why }));
    assert!(lab.probe("X1", 5000, y(1, 6882)).is_ok());
}

#[test]
fn ipv6_passes_a_nat_site_untranslated_and_filtered() {
    // RFC 6092: beside a NAT for IPv4 a home router filters IPv6.
    for kind in ["nat:eim/eif", "nat:eim/eif>nat:apdm/eif"] {
        let access = Link::with_delay(Duration::from_millis(10));
        let mut options = SiteOptions::new(access);
        options.ipv6 = true;
        let (mut plan, mut topology) = (AddressPlan::new(), Topology::new());
        let core = topology.router("core");
        let kind = kind.parse().unwrap();
        let mut site = topology.site("home", core, &kind, &options, &mut plan);
        let host = topology.host_at(&mut site, "X", &mut plan);
        let addresses: Vec<_> = topology.addresses(host).collect();
        let mut servers = Vec::new();
        for name in ["Y1", "Y2"] {
            let server = topology.server(name, core, access, 1, true, &mut plan);
            let v6 = topology.addresses(server).last().unwrap();
            servers.push(SocketAddr::from(Endpoint::new(v6, 1000)));
        }
        let mut lab = Lab::new(topology, 1);
        let own = SocketAddr::from(Endpoint::new(addresses[1], 5000));
        assert!(own.is_ipv6());
        assert_eq!(lab.refused("Y1", 1000, own), "filtered_by_firewall");
        assert_eq!(lab.seen("X", 5000, servers[0]), own, "untranslated");
        assert!(lab.probe("Y1", 1000, own).is_ok());
        assert_eq!(lab.refused("Y2", 1000, own), "filtered_by_firewall");
        assert_eq!(lab.refused("Y1", 1001, own), "filtered_by_firewall");
    }
}

#[test]
fn udp_blocked_is_blocked_for_ipv6_too() {
    let access = Link::with_delay(Duration::from_millis(10));
    let mut options = SiteOptions::new(access);
    options.ipv6 = true;
    let (mut plan, mut topology) = (AddressPlan::new(), Topology::new());
    let core = topology.router("core");
    let kind = "udp-blocked".parse().unwrap();
    let mut site = topology.site("office", core, &kind, &options, &mut plan);
    topology.host_at(&mut site, "X", &mut plan);
    let server = topology.server("Y", core, access, 1, true, &mut plan);
    let addresses: Vec<_> = topology.addresses(server).collect();
    let mut lab = Lab::new(topology, 1);
    for address in addresses {
        let to = Endpoint::new(address, 1000).into();
        assert_eq!(lab.refused("X", 5000, to), "udp_blocked");
    }
}

#[test]
fn an_isolated_network_keeps_its_hosts_apart_and_lets_them_out() {
    for hairpinning in [Hairpinning::Off, Hairpinning::ExternalSource] {
        let config = NatConfig {
            hairpinning,
            ..NatConfig::new(Mapping::EndpointIndependent, Filtering::EndpointIndependent)
        };
        let mut plan = around(1, |plan| plan.nat("box", config));
        plan.isolate(plan.find("box").unwrap());
        let mut lab = Lab::new(plan, 1);
        assert_eq!(lab.refused("X1", 5000, x(2, 5000)), "lan_isolated");
        let second = lab.seen("X2", 5000, y(1, 1000));
        assert!(lab.probe("Y1", 1000, second).is_ok());
        // The way round by hairpinning is no way between stations: it is the NAT's.
        let hairpinned = lab.probe("X1", 5000, second).is_ok();
        assert_eq!(hairpinned, hairpinning == Hairpinning::ExternalSource);
    }
}

#[test]
fn a_router_keeps_apart_what_lies_in_its_subnet_only() {
    let mut plan = Topology::new();
    let core = plan.router("core");
    let wlan = plan.router("wlan");
    plan.subnet(wlan, "192.0.2.0/28".parse().unwrap());
    plan.isolate(wlan);
    let link = Link::with_delay(TO_BOX);
    plan.connect(wlan, core, link, &[]);
    for (name, last, at) in [("A", 1, wlan), ("B", 2, wlan), ("C", 100, core)] {
        let host = plan.host(name);
        plan.connect(host, at, link, &[Address::v4(192, 0, 2, last)]);
    }
    let mut lab = Lab::new(plan, 1);
    assert_eq!(lab.refused("A", 5000, y(2, 1000)), "lan_isolated");
    assert!(lab.probe("A", 5000, y(100, 1000)).is_ok());
    assert!(lab.probe("C", 5000, y(1, 1000)).is_ok());
}

#[test]
fn homes_with_the_same_private_block_never_mix() {
    let mut plan = around(1, |plan| {
        plan.nat(
            "box",
            NatConfig::new(Mapping::EndpointIndependent, Filtering::EndpointIndependent),
        )
    });
    let core = plan.find("core").unwrap();
    let twin = plan.nat(
        "twin",
        NatConfig::new(Mapping::EndpointIndependent, Filtering::EndpointIndependent),
    );
    plan.subnet(twin, "192.168.1.0/24".parse().unwrap());
    let far = Link::with_delay(Duration::from_millis(10));
    plan.connect(twin, core, far, &[Address::v4(203, 0, 113, 2)]);
    let host = plan.host("Z");
    plan.connect(
        host,
        twin,
        Link::with_delay(TO_BOX),
        &[Address::v4(192, 168, 1, 2)],
    );
    let mut lab = Lab::new(plan, 1);
    // X1 and Z have the same address, in two realms.
    let first = lab.seen("X1", 5000, y(1, 1000));
    let other = lab.seen("Z", 5000, y(1, 1000));
    assert_eq!(first.ip().to_string(), "203.0.113.1");
    assert_eq!(other.ip().to_string(), "203.0.113.2");
    assert_eq!(lab.probe("Y1", 1000, first).unwrap().host, lab.node("X1"));
    assert_eq!(lab.probe("Y1", 1000, other).unwrap().host, lab.node("Z"));
    // X2's address is nobody's in Z's home, though the first home has it.
    assert_eq!(lab.refused("Z", 5000, x(2, 5000)), "no_route");
    // And from the internet private addresses lead nowhere.
    assert_eq!(lab.refused("Y1", 1000, x(2, 5000)), "no_route");
}

#[test]
fn a_loop_ends_when_the_hops_are_used_up() {
    // Two gateways, each of which believes that the way out is through the other.
    let mut plan = Topology::new();
    let link = Link::with_delay(TO_BOX);
    let [one, other] = ["one", "other"].map(|name| plan.gateway(name));
    plan.connect(one, other, link, &[]);
    plan.connect(other, one, link, &[]);
    let host = plan.host("X");
    plan.connect(host, one, link, &[Address::v4(192, 168, 1, 2)]);
    let mut lab = Lab::new(plan, 1);
    let expired = lab.probe("X", 5000, y(1, 1000)).unwrap_err();
    assert_eq!(expired.code(), "ttl_expired");
    // 64 hops of 1 ms: the first reaches `one`, and so the 64th reaches `other`.
    assert_eq!(expired.place(), Place::Node(lab.node("other")));
    assert_eq!(lab.net.trace().counts().in_flight, 0);
    assert_eq!(lab.last_end(), Time::from_millis(64));
}
