//! RFC 4787 from outside the box, first half: which mapping a packet gets, and how long it lives
//! (REQ-1 to REQ-6, REQ-11).

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use pinhole::nat::{NatConfig, PortAllocation, Refresh};
use pinhole::{Filtering, Mapping};
use pinhole_tests::lab::{FROM_SERVER_TO_BOX, Lab, TO_BOX, around, y};

use Filtering::EndpointIndependent as Eif;
use Mapping::AddressAndPortDependent as Apdm;
use Mapping::AddressDependent as Adm;
use Mapping::EndpointIndependent as Eim;

const ALLOCATIONS: [PortAllocation; 3] = [
    PortAllocation::PRESERVING,
    PortAllocation::SEQUENTIAL,
    PortAllocation::Random,
];

fn nat(mapping: Mapping, filtering: Filtering, ports: PortAllocation) -> NatConfig {
    NatConfig {
        ports,
        ..NatConfig::new(mapping, filtering)
    }
}

fn lab(mapping: Mapping, ports: PortAllocation) -> Lab {
    Lab::with_nat(nat(mapping, Eif, ports), 1, 1)
}

#[test]
fn req_1_a_mapping_is_used_again_as_the_behaviour_says() {
    for ports in ALLOCATIONS {
        for mapping in Mapping::ALL {
            let mut lab = lab(mapping, ports);
            let first = lab.seen("X1", 5000, y(1, 1000));
            assert_eq!(first.ip().to_string(), "203.0.113.1");
            // The very same destination: always the same mapping.
            assert_eq!(lab.seen("X1", 5000, y(1, 1000)), first);
            let same_address = lab.seen("X1", 5000, y(1, 1001)) == first;
            assert_eq!(same_address, mapping != Apdm, "{mapping} {ports:?}");
            let other_address = lab.seen("X1", 5000, y(2, 1000)) == first;
            assert_eq!(other_address, mapping == Eim, "{mapping} {ports:?}");
            // Another internal port is another internal endpoint.
            assert_ne!(lab.seen("X1", 5001, y(1, 1000)), first);
        }
    }
}

#[test]
fn req_2_one_internal_address_always_shows_the_same_external_address() {
    for mapping in Mapping::ALL {
        let mut lab = Lab::with_nat(NatConfig::new(mapping, Eif), 3, 1);
        let mut addresses = [BTreeSet::new(), BTreeSet::new()];
        for port in 5000..5010 {
            for server in [y(1, 1000), y(1, 1001), y(2, 1000)] {
                // Mixed, so that taking the pool's addresses in turn would show.
                addresses[0].insert(lab.seen("X1", port, server).ip());
                addresses[1].insert(lab.seen("X2", port, server).ip());
            }
        }
        assert_eq!(addresses[0].len(), 1, "{mapping}: {addresses:?}");
        assert_eq!(addresses[1].len(), 1, "{mapping}: {addresses:?}");
        assert_ne!(addresses[0], addresses[1], "the pool is used");
    }
}

#[test]
fn req_3_no_two_mappings_share_an_external_endpoint() {
    for ports in ALLOCATIONS {
        for mapping in Mapping::ALL {
            let mut lab = lab(mapping, ports);
            let mut seen: BTreeSet<SocketAddr> = BTreeSet::new();
            for port in 5000..5005 {
                // Both hosts use the same source ports towards the same destinations.
                for host in ["X1", "X2"] {
                    let servers = [y(1, 1000), y(1, 1001), y(2, 1000)];
                    seen.extend(servers.map(|server| lab.seen(host, port, server)));
                }
            }
            // Ten internal endpoints, three destinations on two addresses.
            let expected = match mapping {
                Eim => 10,
                Adm => 20,
                Apdm => 30,
            };
            assert_eq!(seen.len(), expected, "{mapping} {ports:?}");
        }
    }
}

#[test]
fn req_3a_well_known_ports_stay_well_known_and_others_stay_others() {
    for ports in ALLOCATIONS {
        for mapping in Mapping::ALL {
            let mut lab = lab(mapping, ports);
            for port in [1, 500, 1023] {
                for host in ["X1", "X2"] {
                    let seen = lab.seen(host, port, y(1, 1000)).port();
                    assert!((1..1024).contains(&seen), "{port} became {seen}");
                }
            }
            for port in [1024, 5000, 65_535] {
                for host in ["X1", "X2"] {
                    let seen = lab.seen(host, port, y(1, 1000)).port();
                    assert!(seen >= 1024, "{port} became {seen}");
                }
            }
        }
    }
}

#[test]
fn ports_are_preserved_where_they_are_free() {
    let mut lab = lab(Eim, PortAllocation::PRESERVING);
    assert_eq!(lab.seen("X1", 5000, y(1, 1000)).port(), 5000);
    assert_eq!(lab.seen("X2", 5000, y(1, 1000)).port(), 5001);
    // X1's own next port is taken by X2's mapping now.
    assert_eq!(lab.seen("X1", 5001, y(1, 1000)).port(), 5002);
    assert_eq!(lab.seen("X1", 5000, y(1, 1000)).port(), 5000);
}

#[test]
fn sequential_ports_count_up() {
    let config = NatConfig {
        port_range: 2000..=2003,
        ..nat(Apdm, Eif, PortAllocation::SEQUENTIAL)
    };
    let mut lab = Lab::with_nat(config, 1, 1);
    let ports = [1000, 1001, 1002, 1003].map(|port| lab.seen("X1", 5000, y(1, port)).port());
    assert_eq!(ports, [2000, 2001, 2002, 2003]);
}

#[test]
fn random_ports_follow_no_pattern_but_the_seed() {
    let ports = |seed| {
        let config = NatConfig {
            port_range: 20_000..=29_999,
            ..nat(Apdm, Eif, PortAllocation::Random)
        };
        let mut lab = Lab::with_nat(config, 1, seed);
        (0..100)
            .map(|n| lab.seen("X1", 5000, y(1, 1000 + n)).port())
            .collect::<Vec<u16>>()
    };
    let drawn = ports(1);
    assert_eq!(drawn, ports(1));
    assert_ne!(drawn, ports(2));
    assert!(drawn.iter().all(|port| (20_000..30_000).contains(port)));
    // A hundred numbers out of ten thousand: both halves of the range get some, with probability
    // 1 - 2^-99; the next port after the last one comes up 0.01 times on average.
    assert!(drawn.iter().any(|port| *port < 25_000) && drawn.iter().any(|port| *port >= 25_000));
    let in_sequence = drawn.windows(2).filter(|pair| pair[1] == pair[0] + 1);
    assert!(in_sequence.count() <= 2);
}

/// When a mapping reaches its end that a packet from X1 refreshed last, since the start of the run.
fn death(sent: Duration, lifetime: Duration) -> Duration {
    sent + TO_BOX + lifetime
}

const NANOSECOND: Duration = Duration::from_nanos(1);
const FIVE_MINUTES: Duration = Duration::from_secs(300);

#[test]
fn req_5_a_mapping_lives_exactly_as_long_as_it_is_told() {
    // Five minutes by default; RFC 4787 allows two.
    for lifetime in [None, Some(Duration::from_secs(120))] {
        for mapping in Mapping::ALL {
            let mut config = NatConfig::new(mapping, Eif);
            config.lifetimes.udp = lifetime.unwrap_or(config.lifetimes.udp);
            let death = death(Duration::ZERO, lifetime.unwrap_or(FIVE_MINUTES));

            // A packet that reaches the NAT one nanosecond before, or just at the end.
            let before = death - NANOSECOND;
            for (at_box, expected) in [(before, None), (death, Some("no_mapping"))] {
                let mut lab = Lab::with_nat(config.clone(), 1, 1);
                let external = lab.seen("X1", 5000, y(1, 1000));
                lab.until(at_box - FROM_SERVER_TO_BOX);
                let answer = lab.probe("Y1", 1000, external);
                assert_eq!(answer.err().map(|drop| drop.code()), expected, "{mapping}");
            }
        }
    }
}

#[test]
fn after_its_end_a_mapping_is_made_anew() {
    // Counting up never gives the same port twice in a row.
    let mut lab = lab(Eim, PortAllocation::SEQUENTIAL);
    let first = lab.seen("X1", 5000, y(1, 1000));
    lab.until(death(Duration::ZERO, FIVE_MINUTES));
    let second = lab.seen("X1", 5000, y(1, 1000));
    assert_ne!(first, second);
    assert_eq!(lab.refused("Y1", 1000, first), "no_mapping");
    assert!(lab.probe("Y1", 1000, second).is_ok());
}

#[test]
fn req_6_packets_from_inside_refresh_a_mapping() {
    let mut lab = lab(Eim, PortAllocation::PRESERVING);
    let external = lab.seen("X1", 5000, y(1, 1000));
    // To anybody: with endpoint-independent mapping there is one mapping to refresh.
    let refreshed = Duration::from_secs(200);
    lab.until(refreshed);
    lab.seen("X1", 5000, y(2, 1000));
    lab.until(death(refreshed, FIVE_MINUTES) - NANOSECOND - FROM_SERVER_TO_BOX);
    assert!(lab.probe("Y1", 1000, external).is_ok());
    assert_eq!(lab.refused("Y1", 1000, external), "no_mapping");
}

#[test]
fn req_6_packets_from_outside_refresh_it_only_if_so_configured() {
    for refresh in [Refresh::Outbound, Refresh::BothWays] {
        for filtering in Filtering::ALL {
            let config = NatConfig {
                refresh,
                ..NatConfig::new(Eim, filtering)
            };
            let mut lab = Lab::with_nat(config, 1, 1);
            let external = lab.seen("X1", 5000, y(1, 1000));
            lab.until(Duration::from_secs(200));
            assert!(lab.probe("Y1", 1000, external).is_ok());
            lab.until(Duration::from_secs(400));
            let alive = lab.probe("Y1", 1000, external).is_ok();
            assert_eq!(alive, refresh == Refresh::BothWays, "{filtering}");
            // And so on, as long as it goes on.
            if alive {
                lab.until(Duration::from_secs(600));
                assert!(lab.probe("Y1", 1000, external).is_ok());
            }
        }
    }
}

#[test]
fn what_the_filter_refuses_refreshes_nothing() {
    // RFC 7857 §7.
    let config = NatConfig {
        refresh: Refresh::BothWays,
        ..NatConfig::new(Eim, Filtering::AddressAndPortDependent)
    };
    let mut lab = Lab::with_nat(config, 1, 1);
    let external = lab.seen("X1", 5000, y(1, 1000));
    lab.until(Duration::from_secs(200));
    assert_eq!(lab.refused("Y2", 1000, external), "filtered_by_nat");
    lab.until(Duration::from_secs(400));
    assert_eq!(lab.refused("Y1", 1000, external), "no_mapping");
}

#[test]
fn every_behaviour_reads_from_outside_as_it_was_configured() {
    for mapping in Mapping::ALL {
        for filtering in Filtering::ALL {
            let mut lab = Lab::with_nat(NatConfig::new(mapping, filtering), 1, 1);
            assert_eq!(lab.discover("X1", 5000), (mapping, filtering));
        }
    }
}

#[test]
fn req_11_conflicts_and_time_change_no_behaviour() {
    for ports in ALLOCATIONS {
        for mapping in Mapping::ALL {
            for filtering in Filtering::ALL {
                let mut lab = Lab::with_nat(nat(mapping, filtering, ports), 1, 1);
                let expected = (mapping, filtering);
                assert_eq!(lab.discover("X1", 5000), expected);
                // The second host wants the ports that the first one has.
                assert_eq!(lab.discover("X2", 5000), expected, "conflict, {ports:?}");
                // Both again, after everything has expired.
                lab.until(Duration::from_secs(1_000));
                assert_eq!(lab.discover("X2", 5000), expected, "later, {ports:?}");
                assert_eq!(lab.discover("X1", 5000), expected, "later, {ports:?}");
            }
        }
    }
}

#[test]
fn a_nat_out_of_ports_refuses_new_mappings_and_keeps_the_old() {
    for ports in ALLOCATIONS {
        let config = NatConfig {
            port_range: 2000..=2002,
            ..nat(Eim, Eif, ports)
        };
        let mut lab = Lab::with_nat(config, 1, 1);
        let externals = [5000, 5001, 5002].map(|port| lab.seen("X1", port, y(1, 1000)));
        assert_eq!(lab.refused("X1", 5003, y(1, 1000)), "no_free_port");
        assert_eq!(lab.refused("X2", 5000, y(1, 1000)), "no_free_port");
        for (port, external) in [5000, 5001, 5002].into_iter().zip(externals) {
            assert_eq!(lab.seen("X1", port, y(2, 1000)), external);
            let answer = lab.probe("Y1", 1000, external).unwrap();
            assert_eq!(answer.local.port(), port);
        }
        // Well-known ports have a range of their own.
        assert!(lab.probe("X2", 500, y(1, 1000)).is_ok());
        // Once a mapping has died its port is given out again.
        lab.until(Duration::from_secs(299));
        lab.seen("X1", 5000, y(1, 1000));
        lab.until(Duration::from_secs(302));
        assert!(externals.contains(&lab.seen("X2", 5000, y(1, 1000))));
        assert!(lab.probe("Y1", 1000, externals[0]).is_ok());
    }
}

#[test]
fn a_pool_gives_out_every_port_of_every_address_before_it_is_empty() {
    let config = NatConfig {
        port_range: 2000..=2001,
        ..NatConfig::new(Eim, Eif)
    };
    let mut lab = Lab::new(around(2, |plan| plan.nat("box", config)), 1);
    for host in ["X1", "X2"] {
        for port in [5000, 5001] {
            assert!(lab.probe(host, port, y(1, 1000)).is_ok());
        }
        // Paired pooling: the other address' ports are not for this host (RFC 7857 §4).
        assert_eq!(lab.refused(host, 5002, y(1, 1000)), "no_free_port");
    }
}
