//! RFC 4787 from outside the box, second half: who gets in, hairpinning, ICMP, and NATs behind
//! NATs (REQ-8, REQ-9, REQ-12).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pinhole::link::Link;
use pinhole::middlebox::{Middlebox, Surroundings, Verdict};
use pinhole::nat::{FilterMemory, Hairpinning, NatConfig, PortAllocation, Refresh};
use pinhole::packet::{Packet, Transport};
use pinhole::topology::Device;
use pinhole::{Address, Endpoint, Filtering, Mapping, Topology};
use pinhole_tests::lab::{FROM_SERVER_TO_BOX, Lab, TO_BOX, around, y};

use Filtering::AddressAndPortDependent as Apdf;
use Filtering::AddressDependent as Adf;
use Filtering::EndpointIndependent as Eif;
use Mapping::AddressAndPortDependent as Apdm;
use Mapping::EndpointIndependent as Eim;

fn lab(mapping: Mapping, filtering: Filtering) -> Lab {
    Lab::with_nat(NatConfig::new(mapping, filtering), 1, 1)
}

fn hairpinning(mapping: Mapping, filtering: Filtering) -> NatConfig {
    NatConfig {
        hairpinning: Hairpinning::ExternalSource,
        ..NatConfig::new(mapping, filtering)
    }
}

fn inside(host: u8, port: u16) -> SocketAddr {
    Endpoint::new(Address::v4(192, 168, 1, host + 1), port).into()
}

#[test]
fn req_8_the_filter_lets_in_as_the_behaviour_says() {
    for mapping in Mapping::ALL {
        for filtering in Filtering::ALL {
            let mut lab = lab(mapping, filtering);
            let external = lab.seen("X1", 5000, y(1, 1000));
            // Whom X1 wrote to, the same address from another port, another address.
            let table = [
                ("Y1", 1000, true),
                ("Y1", 1001, filtering != Apdf),
                ("Y2", 1000, filtering == Eif),
            ];
            for (server, port, passes) in table {
                let answer = lab.probe(server, port, external);
                match answer {
                    Ok(arrival) => assert_eq!(arrival.local, inside(1, 5000)),
                    Err(drop) => assert_eq!(drop.code(), "filtered_by_nat"),
                }
                let case = format!("{mapping}/{filtering}, from {server}:{port}");
                assert_eq!(answer.is_ok(), passes, "{case}");
            }
            // Trying changed nothing.
            assert_eq!(lab.probe("Y2", 1000, external).is_ok(), filtering == Eif);
        }
    }
}

#[test]
fn where_there_is_no_mapping_there_is_no_way_in() {
    for filtering in Filtering::ALL {
        let mut lab = lab(Eim, filtering);
        let external = lab.seen("X1", 5000, y(1, 1000));
        let beside = SocketAddr::new(external.ip(), external.port() + 1);
        assert_eq!(lab.refused("Y1", 1000, beside), "no_mapping");
    }
}

#[test]
fn a_filter_per_internal_endpoint_remembers_across_mappings_and_one_per_mapping_does_not() {
    for (filter_memory, passes) in [
        (FilterMemory::InternalEndpoint, true),
        (FilterMemory::Mapping, false),
    ] {
        let config = NatConfig {
            filter_memory,
            ..NatConfig::new(Apdm, Apdf)
        };
        let mut lab = Lab::with_nat(config, 1, 1);
        let towards_y1 = lab.seen("X1", 5000, y(1, 1000));
        let towards_y2 = lab.seen("X1", 5000, y(2, 1000));
        assert_ne!(towards_y1, towards_y2);
        // Each through the mapping that was made for it: always.
        assert!(lab.probe("Y1", 1000, towards_y1).is_ok());
        assert!(lab.probe("Y2", 1000, towards_y2).is_ok());
        // Through the mapping that was made for the other.
        let crossed = lab.probe("Y2", 1000, towards_y1);
        assert_eq!(crossed.is_ok(), passes, "{filter_memory:?}");
        // Another internal endpoint's past never counts.
        let other = lab.seen("X1", 5001, y(1, 1000));
        assert_eq!(lab.refused("Y2", 1000, other), "filtered_by_nat");
    }
}

#[test]
fn with_endpoint_independent_mapping_both_filter_memories_are_the_same() {
    for filter_memory in [FilterMemory::InternalEndpoint, FilterMemory::Mapping] {
        let config = NatConfig {
            filter_memory,
            ..NatConfig::new(Eim, Apdf)
        };
        let mut lab = Lab::with_nat(config, 1, 1);
        let external = lab.seen("X1", 5000, y(1, 1000));
        assert_eq!(lab.seen("X1", 5000, y(2, 1000)), external);
        assert!(lab.probe("Y1", 1000, external).is_ok());
        assert!(lab.probe("Y2", 1000, external).is_ok());
    }
}

#[test]
fn the_filter_forgets_each_remote_endpoint_in_its_own_time() {
    let mut lab = lab(Eim, Apdf);
    let external = lab.seen("X1", 5000, y(1, 1000));
    lab.until(Duration::from_secs(200));
    lab.seen("X1", 5000, y(2, 1000));
    // Y1 was written to at 0 s, Y2 at 200 s; the mapping lives until 500 s.
    let end = TO_BOX + Duration::from_secs(300);
    lab.until(end - Duration::from_nanos(1) - FROM_SERVER_TO_BOX);
    assert!(lab.probe("Y1", 1000, external).is_ok());
    assert_eq!(lab.refused("Y1", 1000, external), "filtered_by_nat");
    assert!(lab.probe("Y2", 1000, external).is_ok());
}

#[test]
fn req_9_a_hairpinned_packet_comes_from_the_senders_external_endpoint() {
    for mapping in Mapping::ALL {
        let mut lab = Lab::with_nat(hairpinning(mapping, Eif), 1, 1);
        let second = lab.seen("X2", 6000, y(1, 1000));
        let arrival = lab.probe("X1", 5000, second).unwrap();
        assert_eq!(arrival.local, inside(2, 6000));
        // REQ-9a: external address and port, by which X2's answer comes back.
        assert_eq!(arrival.remote.ip().to_string(), "203.0.113.1");
        let back = lab.probe("X2", 6000, arrival.remote).unwrap();
        assert_eq!(back.local, inside(1, 5000));
        if mapping == Eim {
            assert_eq!(back.remote, second);
            assert_eq!(lab.seen("X1", 5000, y(1, 1000)), arrival.remote);
        }
        // 1 ms to the box and 1 ms back: it never left the house.
        let sent = lab.net.now();
        let arrival = lab.probe("X1", 5000, second).unwrap();
        assert_eq!(arrival.time - sent, 2 * TO_BOX);
    }
}

#[test]
fn req_9_hairpinning_works_between_all_addresses_of_a_pool_and_to_oneself() {
    let mut lab = Lab::with_nat(hairpinning(Eim, Eif), 2, 1);
    let first = lab.seen("X1", 5000, y(1, 1000));
    let second = lab.seen("X2", 6000, y(1, 1000));
    assert_ne!(first.ip(), second.ip());
    assert_eq!(lab.probe("X1", 5000, second).unwrap().remote, first);
    assert_eq!(lab.probe("X2", 6000, first).unwrap().remote, second);
    let own = lab.probe("X1", 5000, first).unwrap();
    assert_eq!((own.local, own.remote), (inside(1, 5000), first));
}

#[test]
fn hairpinned_packets_are_filtered_like_any_other() {
    for filtering in [Adf, Apdf] {
        let mut lab = Lab::with_nat(hairpinning(Eim, filtering), 1, 1);
        let first = lab.seen("X1", 5000, y(1, 1000));
        let second = lab.seen("X2", 6000, y(1, 1000));
        assert_eq!(lab.refused("X1", 5000, second), "filtered_by_nat");
        // X2 answers; X1's attempt has left a pinhole.
        assert!(lab.probe("X2", 6000, first).is_ok());
        // And now X2 has written to X1's external endpoint.
        assert!(lab.probe("X1", 5000, second).is_ok());
    }
}

#[test]
fn without_hairpinning_such_packets_are_dropped() {
    let mut lab = lab(Eim, Eif);
    let second = lab.seen("X2", 6000, y(1, 1000));
    assert_eq!(lab.refused("X1", 5000, second), "hairpinning_off");
    // Inside, the internal endpoint is reached as before.
    assert!(lab.probe("X1", 5000, inside(2, 6000)).is_ok());
}

#[test]
fn req_12_a_port_unreachable_finds_its_way_back() {
    for mapping in Mapping::ALL {
        for filtering in Filtering::ALL {
            let mut lab = lab(mapping, filtering);
            let refused = lab.knock("X1", 5000, y(1, 9)).unwrap_err();
            assert_eq!(refused.code(), "port_unreachable");
            // In X1's own terms: its socket, and whom it wrote to.
            assert_eq!(lab.errors("X1"), [(inside(1, 5000), y(1, 9))]);
            assert_eq!(lab.errors("X2"), []);
        }
    }
}

#[test]
fn req_12_an_error_ends_no_mapping() {
    let mut lab = lab(Eim, Apdf);
    let external = lab.seen("X1", 5000, y(1, 1000));
    lab.knock("X1", 5000, y(1, 9)).unwrap_err();
    assert_eq!(lab.errors("X1").len(), 1);
    assert!(lab.probe("Y1", 1000, external).is_ok());
    assert_eq!(lab.seen("X1", 5000, y(1, 1000)), external);
}

#[test]
fn an_error_from_outside_refreshes_no_mapping() {
    // RFC 7857 §7 for the mapping; the packet that the error is about does refresh it.
    let config = NatConfig {
        refresh: Refresh::BothWays,
        ..NatConfig::new(Eim, Eif)
    };
    for (early, alive) in [(1, true), (0, false)] {
        let mut lab = Lab::with_nat(config.clone(), 1, 1);
        lab.knock("X1", 5000, y(1, 9)).unwrap_err();
        assert_eq!(lab.errors("X1").len(), 1);
        let external = SocketAddr::new([203, 0, 113, 1].into(), 5000);
        // The error came back to the box 40 ms after the packet had left it.
        let end = TO_BOX + Duration::from_secs(300);
        lab.until(end - Duration::from_nanos(early) - FROM_SERVER_TO_BOX);
        assert_eq!(lab.probe("Y1", 1000, external).is_ok(), alive);
    }
}

#[test]
fn an_error_from_inside_refreshes_no_mapping() {
    let mut lab = lab(Eim, Eif);
    let external = lab.seen("X1", 5000, y(1, 1000));
    lab.close("X1", 5000);
    lab.until(Duration::from_secs(200));
    lab.knock("Y1", 1000, external).unwrap_err();
    assert_eq!(lab.errors("Y1"), [(y(1, 1000), external)]);
    lab.until(Duration::from_secs(301));
    assert_eq!(lab.refused("Y1", 1000, external), "no_mapping");
}

/// A router that reports errors from its own address instead of the host's behind it.
struct Reporter(Address);

impl Middlebox for Reporter {
    fn outbound(&mut self, packet: &mut Packet, _: &mut Surroundings<'_>) -> Verdict {
        if let Transport::IcmpError(_) = packet.transport {
            packet.source.address = self.0;
        }
        Verdict::PASS
    }

    fn inbound(&mut self, _: &mut Packet, _: &mut Surroundings<'_>) -> Verdict {
        Verdict::PASS
    }
}

#[test]
fn req_12_errors_are_let_in_whoever_reports_them() {
    let mut plan = around(1, |plan| plan.nat("box", NatConfig::new(Eim, Apdf)));
    let core = plan.find("core").unwrap();
    let border = plan.gateway("border");
    let stranger = Address::v4(198, 51, 100, 77);
    plan.install(
        border,
        Device::Custom(Arc::new(move || Box::new(Reporter(stranger)))),
    );
    let far = Link::with_delay(Duration::from_millis(5));
    plan.connect(border, core, far, &[]);
    let y3 = plan.host("Y3");
    plan.connect(y3, border, far, &[Address::v4(192, 0, 2, 3)]);
    let mut lab = Lab::new(plan, 1);
    lab.net.record();
    lab.knock("X1", 5000, y(3, 9)).unwrap_err();
    assert_eq!(lab.errors("X1"), [(inside(1, 5000), y(3, 9))]);
    // It did come from somebody whom X1 never wrote to.
    let last = lab
        .net
        .trace()
        .recording()
        .unwrap()
        .records()
        .last()
        .unwrap();
    assert_eq!(last.source.address, stranger);
}

#[test]
fn req_12_an_error_from_inside_tells_the_outside_in_its_own_terms() {
    let mut lab = lab(Eim, Eif);
    let external = lab.seen("X1", 5000, y(1, 1000));
    // X1 closes its socket; Y2 writes to the mapping that is still there.
    lab.close("X1", 5000);
    let refused = lab.knock("Y2", 2000, external).unwrap_err();
    assert_eq!(refused.code(), "port_unreachable");
    assert_eq!(lab.errors("Y2"), [(y(2, 2000), external)]);
}

#[test]
fn an_error_about_a_hairpinned_packet_is_hairpinned() {
    // RFC 5508 REQ-7, RFC 7857 REQ-12.
    let mut lab = Lab::with_nat(hairpinning(Eim, Eif), 1, 1);
    let second = lab.seen("X2", 6000, y(1, 1000));
    lab.close("X2", 6000);
    let sent = lab.net.now();
    lab.knock("X1", 5000, second).unwrap_err();
    assert_eq!(lab.errors("X1"), [(inside(1, 5000), second)]);
    // Nothing of it goes outside: 1 ms each to the box and from it, there and back.
    assert_eq!(lab.last_error("X1") - sent, 4 * TO_BOX);
}

/// Two homes behind one carrier's NAT. Both homes use the same private block.
fn homes_behind_carrier(home: NatConfig, carrier: NatConfig) -> Topology {
    let mut plan = around(1, |plan| plan.nat("box", carrier));
    let middle = plan.find("box").unwrap();
    for n in 1..=2 {
        let gateway = plan.nat(format!("home{n}"), home.clone());
        let external = Address::v4(100, 64, 0, n + 1);
        plan.connect(gateway, middle, Link::with_delay(TO_BOX), &[external]);
        let host = plan.host(format!("H{n}"));
        let address = Address::v4(192, 168, 1, 2);
        plan.connect(host, gateway, Link::with_delay(TO_BOX), &[address]);
    }
    plan
}

#[test]
fn behind_two_nats_the_outer_one_is_seen_and_both_filter() {
    let home = NatConfig::new(Eim, Apdf);
    let carrier = NatConfig {
        ports: PortAllocation::Random,
        ..NatConfig::new(Eim, Eif)
    };
    let mut lab = Lab::new(homes_behind_carrier(home, carrier), 1);
    let one = lab.seen("H1", 5000, y(1, 1000));
    let other = lab.seen("H2", 5000, y(1, 1000));
    assert_eq!(one.ip().to_string(), "203.0.113.1");
    assert_eq!(one.ip(), other.ip());
    assert_ne!(one, other);
    // The same private address, the same port: yet each answer reaches its own host.
    for (external, host) in [(one, "H1"), (other, "H2")] {
        assert_eq!(lab.seen(host, 5000, y(2, 1000)), external);
        let arrival = lab.probe("Y1", 1000, external).unwrap();
        assert_eq!(arrival.host, lab.node(host));
        assert_eq!(arrival.local.to_string(), "192.168.1.2:5000");
    }
    // The carrier lets strangers in, the home doesn't.
    let refused = lab.probe("Y1", 1001, one).unwrap_err();
    let home = lab.node("home1");
    assert_eq!(refused.code(), "filtered_by_nat");
    assert_eq!(refused.place(), pinhole::trace::Place::Node(home));
}

#[test]
fn neighbours_behind_a_carrier_meet_by_hairpinning_there() {
    let mut lab = Lab::new(
        homes_behind_carrier(NatConfig::new(Eim, Eif), hairpinning(Eim, Eif)),
        1,
    );
    let one = lab.seen("H1", 5000, y(1, 1000));
    let other = lab.seen("H2", 5000, y(1, 1000));
    let arrival = lab.probe("H1", 5000, other).unwrap();
    assert_eq!((arrival.host, arrival.remote), (lab.node("H2"), one));

    let mut lab = Lab::new(
        homes_behind_carrier(NatConfig::new(Eim, Eif), NatConfig::new(Eim, Eif)),
        1,
    );
    let other = lab.seen("H2", 5000, y(1, 1000));
    assert_eq!(lab.refused("H1", 5000, other), "hairpinning_off");
}

#[test]
fn req_12_an_error_comes_back_through_two_nats() {
    for mapping in Mapping::ALL {
        let config = NatConfig::new(mapping, Apdf);
        let mut lab = Lab::new(homes_behind_carrier(config.clone(), config), 1);
        lab.knock("H2", 5000, y(1, 9)).unwrap_err();
        let local = "192.168.1.2:5000".parse().unwrap();
        assert_eq!(lab.errors("H2"), [(local, y(1, 9))]);
        assert_eq!(lab.errors("H1"), []);
    }
}
