//! IPv6 beside a NAT, behind the filters of RFC 6092: what passes, and what it saves.

use std::net::SocketAddr;
use std::time::Duration;

use pinhole::firewall::FirewallConfig;
use pinhole::link::Link;
use pinhole::server::StunServer;
use pinhole::topology::{AddressPlan, Device, Kind, SiteOptions};
use pinhole::{Address, Endpoint, Family, Filtering, Input, Internet, NodeId, Topology};
use pinhole_scenarios::call::{CallConfig, Caller, PathClass, TurnOffer};
use pinhole_scenarios::discover::{LONGEST, discover_from};
use pinhole_scenarios::ice::Stack;
use pinhole_tests::binary::{document, is_refused, pinhole};

/// A host behind an IPv6 filter, and two strangers outside.
struct World {
    net: Internet,
    host: SocketAddr,
    strangers: [(NodeId, SocketAddr); 2],
}

const PORT: u16 = 5000;

impl World {
    /// `talks` is whether the host sends to the first stranger before anything else.
    fn new(filtering: Filtering, talks: bool) -> World {
        let mut plan = Topology::new();
        let core = plan.router("internet");
        let link = Link::with_delay(Duration::from_millis(10));
        let router = plan.gateway("router");
        let filter = FirewallConfig {
            family: Some(Family::V6),
            ..FirewallConfig::new(filtering)
        };
        plan.install(router, Device::Firewall(filter));
        plan.connect(router, core, link, &[]);
        let mut host = |name: &str, outer, address: &str| {
            let node = plan.host(name);
            let address: Address = address.parse().unwrap();
            plan.connect(node, outer, link, &[address]);
            (node, SocketAddr::from(Endpoint::new(address, PORT)))
        };
        let (inside, at) = host("host", router, "2001:db8:1::2");
        let strangers = [
            host("first", core, "2001:db8:2::1"),
            host("second", core, "2001:db8:2::2"),
        ];
        let mut net = plan.build(1).unwrap();
        let first = strangers[0].1;
        net.attach_fn(inside, move |_, input, io| {
            if let Input::Start = input {
                io.bind(PORT).unwrap();
                if talks {
                    io.send_from(PORT, first, b"hello");
                }
            }
        });
        net.run_for(Duration::from_secs(1)).unwrap();
        World {
            net,
            host: at,
            strangers,
        }
    }

    /// Whether what a stranger sends to the host, from a port of its own, arrives.
    fn lets_in(&mut self, stranger: usize, port: u16) -> bool {
        let (before, to) = (self.net.trace().counts().delivered, self.host);
        self.net
            .attach_fn(self.strangers[stranger].0, move |_, input, io| {
                if let Input::Start = input {
                    io.bind(port).unwrap();
                    io.send_from(port, to, b"may I?");
                }
            });
        self.net.run_for(Duration::from_secs(1)).unwrap();
        self.net.trace().counts().delivered > before
    }
}

/// RFC 6092 §3.2.1 leaves the choice between transparency (endpoint-independent) and a stringent
/// filter; what routers ship looks at addresses and ports.
#[test]
fn each_filter_lets_in_whom_it_should() {
    for (filtering, port, stranger) in [
        (Filtering::EndpointIndependent, true, true),
        (Filtering::AddressDependent, true, false),
        (Filtering::AddressAndPortDependent, false, false),
    ] {
        let mut world = World::new(filtering, true);
        assert!(world.lets_in(0, PORT), "{filtering}");
        assert_eq!(world.lets_in(0, PORT + 1), port, "{filtering}");
        assert_eq!(world.lets_in(1, PORT), stranger, "{filtering}");
    }
    let mut silent = World::new(Filtering::AddressAndPortDependent, false);
    assert!(!silent.lets_in(0, PORT));
    let drops = silent.net.trace().drops();
    assert_eq!(drops[0].example.code(), "filtered_by_firewall");
}

/// RFC 6092 REC-14 asks for two minutes at least; the project's firewalls hold five.
#[test]
fn a_pinhole_closes_five_minutes_after_the_last_packet_out() {
    for (wait, open) in [(297, true), (301, false)] {
        let mut world = World::new(Filtering::AddressAndPortDependent, true);
        world.net.run_for(Duration::from_secs(wait)).unwrap();
        assert_eq!(world.lets_in(0, PORT), open, "{wait} s");
    }
}

/// RFC 6092 REC-10 and RFC 4890 §4.3.1: errors about packets that went out come in.
#[test]
fn errors_about_what_went_out_pass_the_filter() {
    // Nobody listens at the first stranger: its host says so.
    let world = World::new(Filtering::AddressAndPortDependent, true);
    let counts = world.net.trace().counts();
    assert_eq!((counts.sent, counts.delivered, counts.dropped), (2, 1, 1));
    let drops = world.net.trace().drops();
    assert_eq!(drops[0].example.code(), "port_unreachable");
}

#[test]
fn discovery_over_ipv6_finds_the_filter_and_no_nat() {
    let (mut plan, mut addresses) = (Topology::new(), AddressPlan::new());
    let core = plan.router("internet");
    let access = Link::with_delay(Duration::from_millis(10));
    let options = SiteOptions {
        ipv6: true,
        ..SiteOptions::new(access)
    };
    let kind: Kind = "nat:apdm/eif".parse().unwrap();
    let mut home = plan.site("home", core, &kind, &options, &mut addresses);
    let host = plan.host_at(&mut home, "client", &mut addresses);
    let server = plan.server("stun", core, access, 2, true, &mut addresses);
    let v6 = plan.addresses(server).find(|address| !address.is_ipv4());
    let mut net = plan.build(1).unwrap();
    net.attach(server, StunServer::with_discovery(3478, 3479));
    let primary = SocketAddr::from(Endpoint::new(v6.unwrap(), 3478));
    let found = discover_from(&mut net, host, primary, LONGEST).unwrap();
    let device = found.device.unwrap();
    assert_eq!(device.mapping, None);
    assert_eq!(device.filtering, Filtering::AddressAndPortDependent);
    assert_eq!(device.lifetime.as_millis(), Some(300_000));
}

/// Two NATs that map by destination never meet; beside them both have an address that nobody
/// rewrites.
#[test]
fn ipv6_rescues_what_nats_keep_apart() {
    for stack in [Stack::Is, Stack::Rtc] {
        for (ipv6, expected) in [
            ([false, false], None),
            ([true, false], None),
            ([false, true], None),
            ([true, true], Some(PathClass::Direct)),
        ] {
            let symmetric: Kind = "nat:apdm/apdf".parse().unwrap();
            let config = CallConfig {
                stacks: [stack; 2],
                ipv6,
                turn: TurnOffer::OFF,
                ..CallConfig::new(symmetric.clone(), symmetric)
            };
            let found = Caller::new().call(&config).unwrap().outcome.path_class();
            assert_eq!(found, expected, "{stack}, {ipv6:?}");
        }
    }
}

#[test]
fn the_options_give_ipv6_to_whom_they_name() {
    let class = |options: &str| {
        let call = "call --a nat:apdm/apdf --b nat:apdm/apdf --turn off --format json";
        let output = pinhole(format!("{call} {options}").split_whitespace());
        document(&output)["path_class"].clone()
    };
    assert_eq!(class(""), class("--ipv6-a"));
    for both in ["--ipv6", "--ipv6-a --ipv6-b", "--ipv6 --ipv6-b"] {
        assert_eq!(class(both), "direct", "{both}");
    }
    assert_ne!(class("--ipv6-b"), "direct");
    let output = pinhole("call --a nat:eim/apdf --same-lan --ipv6-b".split_whitespace());
    is_refused(&output, "IPv6 for B alone", &["use --ipv6"]);
}
