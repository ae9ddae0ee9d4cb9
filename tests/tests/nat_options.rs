//! Every option of a NAT from outside the box: each experiment fails if the option is ignored.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use pinhole::link::Link;
use pinhole::nat::{
    Capacity, ChangeOfMind, Conflict, FilterMemory, Hairpinning, NatConfig, Pooling,
    PortAllocation, PortBlocks, PortConflict, PortOverloading, Refresh, RouterInput, WhenFull,
};
use pinhole::{Address, Filtering, Mapping, Topology};
use pinhole_tests::lab::{Lab, around, y};

use Filtering::AddressAndPortDependent as Apdf;
use Filtering::EndpointIndependent as Eif;
use Mapping::AddressAndPortDependent as Apdm;
use Mapping::EndpointIndependent as Eim;

fn open() -> NatConfig {
    NatConfig::new(Eim, Eif)
}

fn lab(config: NatConfig) -> Lab {
    Lab::with_nat(config, 1, 1)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn preserving(on_conflict: PortConflict) -> PortAllocation {
    PortAllocation::Preserving { on_conflict }
}

#[test]
fn each_conflict_over_a_port_is_settled_as_told() {
    for (on_conflict, second) in [
        (PortConflict::NextFree, Some(5001)),
        (PortConflict::Sequential, Some(4000)),
        (PortConflict::Takeover, Some(5000)),
        (PortConflict::Random, None),
    ] {
        let mut lab = lab(NatConfig {
            ports: preserving(on_conflict),
            port_range: 4000..=5999,
            ..open()
        });
        let first = lab.seen("X1", 5000, y(1, 1000));
        let seen = lab.seen("X2", 5000, y(1, 1000));
        assert_eq!(first.port(), 5000);
        match second {
            Some(port) => assert_eq!(seen.port(), port, "{on_conflict:?}"),
            None => assert!((4000..6000).contains(&seen.port()) && seen.port() != 5001),
        }
        // Who has the port now?
        let owner = lab.probe("Y1", 1000, first).unwrap().host;
        let robbed = on_conflict == PortConflict::Takeover;
        assert_eq!(owner, lab.node(if robbed { "X2" } else { "X1" }));
    }
}

#[test]
fn sequential_ports_go_up_by_their_step() {
    let mut lab = lab(NatConfig {
        ports: PortAllocation::Sequential { step: 4 },
        port_range: 2000..=2009,
        ..NatConfig::new(Apdm, Eif)
    });
    let ports = [1, 2, 3, 4].map(|port| lab.seen("X1", 5000, y(1, port)).port());
    assert_eq!(ports, [2000, 2004, 2008, 2002]);
}

#[test]
fn req_4_parity_is_kept_if_so_configured() {
    for ports in [
        PortAllocation::PRESERVING,
        preserving(PortConflict::Sequential),
        preserving(PortConflict::Random),
        PortAllocation::SEQUENTIAL,
        PortAllocation::Sequential { step: 3 },
        PortAllocation::Random,
    ] {
        let mut lab = lab(NatConfig {
            ports,
            port_parity: true,
            port_range: 2000..=2043,
            ..open()
        });
        for port in 5000..5021 {
            for host in ["X1", "X2"] {
                let seen = lab.seen(host, port, y(1, 1000)).port();
                assert_eq!(seen % 2, port % 2, "{ports:?}: {port} became {seen}");
            }
        }
    }
}

#[test]
fn contiguous_ports_stay_contiguous_if_so_configured() {
    for port_contiguity in [true, false] {
        let mut lab = lab(NatConfig {
            ports: PortAllocation::Random,
            port_contiguity,
            ..open()
        });
        let pairs = (0..8).filter(|n| {
            let rtp = lab.seen("X1", 5000 + 2 * n, y(1, 1000)).port();
            let rtcp = lab.seen("X1", 5001 + 2 * n, y(1, 1000)).port();
            rtcp == rtp + 1
        });
        assert_eq!(pairs.count() == 8, port_contiguity);
    }
}

#[test]
fn overloaded_ports_answer_whoever_sent_last() {
    let mut lab = lab(NatConfig {
        port_overloading: PortOverloading::Always,
        ..open()
    });
    let external = lab.seen("X1", 5000, y(1, 1000));
    assert_eq!(lab.seen("X2", 5000, y(1, 1000)), external);
    for host in ["X1", "X2", "X1"] {
        lab.seen(host, 5000, y(1, 1000));
        assert_eq!(
            lab.probe("Y1", 1000, external).unwrap().host,
            lab.node(host)
        );
    }
}

#[test]
fn a_freed_port_rests() {
    for rest in [Duration::ZERO, seconds(120)] {
        let mut lab = lab(NatConfig {
            port_range: 2000..=2000,
            port_rest: rest,
            ..open()
        });
        lab.seen("X1", 5000, y(1, 1000));
        lab.until(seconds(301));
        let rests = !rest.is_zero();
        assert_eq!(lab.probe("X2", 5000, y(1, 1000)).is_err(), rests);
        if rests {
            assert_eq!(lab.refused("X1", 5000, y(1, 1000)), "no_free_port");
            lab.until(seconds(419));
            assert_eq!(lab.refused("X2", 5000, y(1, 1000)), "no_free_port");
            lab.until(seconds(421));
            assert_eq!(lab.seen("X2", 5000, y(1, 1000)).port(), 2000);
        }
    }
}

#[test]
fn a_subscriber_has_its_blocks_and_no_more() {
    for ports in [
        PortAllocation::PRESERVING,
        PortAllocation::SEQUENTIAL,
        PortAllocation::Random,
    ] {
        let mut lab = lab(NatConfig {
            ports,
            port_blocks: Some(PortBlocks { size: 4, most: 2 }),
            port_range: 2000..=2014,
            ..open()
        });
        let mut blocks = [BTreeSet::new(), BTreeSet::new()];
        for n in 0..4 {
            for (host, blocks) in ["X1", "X2"].into_iter().zip(&mut blocks) {
                blocks.insert((lab.seen(host, 5000 + n, y(1, 1000)).port() - 2000) / 4);
            }
        }
        // One block each, full.
        assert_eq!(
            blocks,
            [BTreeSet::from([0]), BTreeSet::from([1])],
            "{ports:?}"
        );
        for n in 4..8 {
            let port = lab.seen("X1", 5000 + n, y(1, 1000)).port();
            assert!((2008..2012).contains(&port), "{ports:?}: {port}");
        }
        assert_eq!(lab.refused("X1", 5008, y(1, 1000)), "subscriber_limit");
        // Three ports are left, which make no block.
        assert_eq!(lab.refused("X2", 5008, y(1, 1000)), "no_free_port");
        // X2's mappings live on, X1's die, and X1's blocks go back.
        lab.until(seconds(299));
        for n in 0..4 {
            lab.seen("X2", 5000 + n, y(1, 1000));
        }
        lab.until(seconds(305));
        let port = lab.seen("X2", 5008, y(1, 1000)).port();
        assert!((2000..2004).contains(&port), "{ports:?}: {port}");
    }
}

#[test]
fn a_subscriber_has_so_many_mappings_and_no_more() {
    let mut lab = lab(NatConfig {
        subscriber_limit: Some(2),
        ..NatConfig::new(Apdm, Eif)
    });
    lab.seen("X1", 5000, y(1, 1000));
    lab.seen("X1", 5000, y(1, 1001));
    assert_eq!(lab.refused("X1", 5000, y(1, 1002)), "subscriber_limit");
    // What it has works on, others have their own, and what has died counts no longer.
    lab.seen("X1", 5000, y(1, 1001));
    lab.seen("X2", 5000, y(1, 1002));
    lab.until(seconds(302));
    lab.seen("X1", 5000, y(1, 1002));
}

#[test]
fn exhaustion_is_reported_if_so_configured() {
    for reports_exhaustion in [true, false] {
        let mut lab = lab(NatConfig {
            port_range: 2000..=2000,
            reports_exhaustion,
            ..open()
        });
        let external = lab.seen("X1", 5000, y(1, 1000));
        assert_eq!(lab.refused("X2", 5000, y(1, 1000)), "no_free_port");
        let inside: SocketAddr = "192.168.1.3:5000".parse().unwrap();
        let expected = if reports_exhaustion {
            vec![(inside, y(1, 1000))]
        } else {
            vec![]
        };
        assert_eq!(lab.errors("X2"), expected);
        assert!(lab.probe("Y1", 1000, external).is_ok());
    }
}

#[test]
fn a_full_table_refuses_or_forgets_the_oldest() {
    for when_full in [WhenFull::Drop, WhenFull::EvictOldest] {
        let mappings = 3;
        let mut lab = lab(NatConfig {
            capacity: Some(Capacity {
                mappings,
                when_full,
            }),
            ..open()
        });
        let externals = [5000, 5001, 5002].map(|port| lab.seen("X1", port, y(1, 1000)));
        // The first is refreshed: the second is the oldest now.
        lab.until(seconds(10));
        lab.seen("X1", 5000, y(1, 1000));
        match when_full {
            WhenFull::Drop => assert_eq!(lab.refused("X2", 7000, y(1, 1000)), "table_full"),
            WhenFull::EvictOldest => drop(lab.seen("X2", 7000, y(1, 1000))),
        }
        let alive = externals.map(|external| lab.probe("Y1", 1000, external).is_ok());
        assert_eq!(alive, [true, when_full == WhenFull::Drop, true]);
    }
}

#[test]
fn arbitrary_pooling_uses_any_address_and_every_port() {
    let config = NatConfig {
        pooling: Pooling::Arbitrary,
        port_range: 2000..=2009,
        ..open()
    };
    let mut lab = Lab::with_nat(config, 3, 1);
    let seen: BTreeSet<_> = (0..30)
        .map(|n| lab.seen("X1", 5000 + n, y(1, 1000)))
        .collect();
    assert_eq!(seen.len(), 30, "every port of every address");
    assert_eq!(lab.refused("X1", 5030, y(1, 1000)), "no_free_port");
}

#[test]
fn a_static_address_is_one_hosts_alone_and_its_ports_are_kept() {
    for filtering in [Eif, Apdf] {
        let own = Address::v4(203, 0, 113, 2);
        let config = NatConfig {
            static_addresses: vec![(Address::v4(192, 168, 1, 2), own)],
            hairpinning: Hairpinning::ExternalSource,
            ..NatConfig::new(Apdm, filtering)
        };
        let mut lab = Lab::with_nat(config, 2, 1);
        let to = |port| SocketAddr::new(own.into(), port);
        // From outside, first: as the filter says.
        let unasked = lab.probe("Y1", 1000, to(4444));
        assert_eq!(unasked.is_ok(), filtering == Eif);
        for port in [80, 5000] {
            assert_eq!(lab.seen("X1", port, y(1, 1000)), to(port));
            assert_eq!(lab.seen("X1", port, y(2, 1000)), to(port));
            assert_eq!(
                lab.probe("Y2", 1000, to(port)).unwrap().host,
                lab.node("X1")
            );
        }
        // All others share the other address.
        assert_eq!(
            lab.seen("X2", 5000, y(1, 1000)).ip().to_string(),
            "203.0.113.1"
        );
        let hairpinned = lab.probe("X2", 5001, to(4444));
        assert_eq!(hairpinned.is_ok(), filtering == Eif);
    }
}

#[test]
fn some_destinations_are_not_translated() {
    let config = NatConfig {
        not_translated: vec!["192.0.2.2/32".parse().unwrap()],
        ..open()
    };
    let mut lab = lab(config);
    assert_eq!(
        lab.seen("X1", 5000, y(2, 1000)).to_string(),
        "192.168.1.2:5000"
    );
    assert_eq!(
        lab.seen("X1", 5000, y(1, 1000)).ip().to_string(),
        "203.0.113.1"
    );
}

#[test]
fn req_7_a_peer_outside_may_have_an_address_from_the_inside() {
    // The box's outside is numbered as its inside is; a server there has an address beside X1's.
    let mut plan = Topology::new();
    let core = plan.router("core");
    let middle = plan.nat("box", open());
    let link = Link::with_delay(Duration::from_millis(1));
    plan.connect(middle, core, link, &[Address::v4(192, 168, 1, 100)]);
    for (name, last) in [("X1", 2), ("X2", 3)] {
        let host = plan.host(name);
        plan.connect(host, middle, link, &[Address::v4(192, 168, 1, last)]);
    }
    for (name, last) in [("Y1", 50), ("Y2", 3)] {
        let server = plan.host(name);
        plan.connect(server, core, link, &[Address::v4(192, 168, 1, last)]);
    }
    let mut lab = Lab::new(plan, 1);
    let peer = |last| SocketAddr::new(Address::v4(192, 168, 1, last).into(), 1000);
    let external = lab.seen("X1", 5000, peer(50));
    assert_eq!(external.to_string(), "192.168.1.100:5000");
    let answer = lab.probe("Y1", 1000, external).unwrap();
    assert_eq!((answer.host, answer.remote), (lab.node("X1"), peer(50)));
    // Even from the very address that a neighbour of X1's has; what X1 sends there stays inside.
    assert_eq!(lab.probe("Y2", 1000, external).unwrap().remote, peer(3));
    assert_eq!(lab.probe("X1", 5000, peer(3)).unwrap().host, lab.node("X2"));
}

#[test]
fn mappings_without_an_answer_live_shorter_if_so_configured() {
    let mut config = open();
    config.lifetimes.udp = seconds(120);
    config.lifetimes.udp_unanswered = Some(seconds(30));
    for (answered, silence, alive) in [
        (false, 29, true),
        (false, 31, false),
        (true, 119, true),
        (true, 122, false),
    ] {
        let mut lab = lab(config.clone());
        let external = lab.seen("X1", 5000, y(1, 1000));
        if answered {
            assert!(lab.probe("Y1", 1000, external).is_ok());
        }
        lab.until(seconds(silence));
        assert_eq!(
            lab.probe("Y1", 1000, external).is_ok(),
            alive,
            "{answered} {silence}"
        );
    }
}

#[test]
fn refused_packets_refresh_a_mapping_if_so_configured() {
    for refresh in [Refresh::BothWays, Refresh::RefusedToo] {
        let mut lab = lab(NatConfig {
            refresh,
            ..NatConfig::new(Eim, Apdf)
        });
        let external = lab.seen("X1", 5000, y(1, 1000));
        lab.until(seconds(200));
        assert_eq!(lab.refused("Y2", 1000, external), "filtered_by_nat");
        lab.until(seconds(400));
        // Filtered still says that there is a mapping.
        let expected = match refresh {
            Refresh::RefusedToo => "filtered_by_nat",
            _ => "no_mapping",
        };
        assert_eq!(lab.refused("Y1", 1000, external), expected);
    }
}

#[test]
fn a_hairpinned_packet_shows_the_source_that_was_configured() {
    for hairpinning in [Hairpinning::ExternalSource, Hairpinning::InternalSource] {
        let mut lab = lab(NatConfig {
            hairpinning,
            ..open()
        });
        let external = lab.seen("X2", 6000, y(1, 1000));
        let arrival = lab.probe("X1", 5000, external).unwrap();
        assert_eq!(arrival.host, lab.node("X2"));
        let expected = match hairpinning {
            Hairpinning::InternalSource => "192.168.1.2:5000",
            _ => "203.0.113.1:5000",
        };
        assert_eq!(arrival.remote.to_string(), expected);
    }
}

#[test]
fn a_nat_may_change_its_mind_for_whom_a_port_is_taken() {
    let mut lab = lab(NatConfig {
        change_of_mind: Some(ChangeOfMind {
            when: Conflict::PortTaken,
            mapping: Apdm,
            filtering: Apdf,
        }),
        ..open()
    });
    assert_eq!(lab.discover("X1", 5000), (Eim, Eif));
    assert_eq!(lab.discover("X2", 5000), (Apdm, Apdf));
    assert_eq!(lab.discover("X2", 6000), (Eim, Eif));
    assert_eq!(lab.seen("X1", 5000, y(2, 1001)).port(), 5000);
}

#[test]
fn a_nat_may_change_its_mind_after_so_many_mappings() {
    let mut lab = lab(NatConfig {
        change_of_mind: Some(ChangeOfMind {
            when: Conflict::Mappings(4),
            mapping: Apdm,
            filtering: Apdf,
        }),
        ..open()
    });
    assert_eq!(lab.discover("X1", 5000), (Eim, Eif));
    assert_eq!(lab.discover("X2", 6000), (Eim, Eif));
    assert_eq!(lab.discover("X1", 7000), (Apdm, Apdf));
    // Mappings that were made before are what they were.
    let first = lab.seen("X1", 5000, y(1, 1000));
    assert_eq!(lab.seen("X1", 5000, y(2, 1002)), first);
    // When they have died it is as at first.
    lab.until(seconds(400));
    assert_eq!(lab.discover("X1", 7000), (Eim, Eif));
}

fn tracking(router_input: RouterInput) -> NatConfig {
    NatConfig {
        filter_memory: FilterMemory::Mapping,
        port_overloading: PortOverloading::DistinctRemotes,
        router_input,
        refresh: Refresh::BothWays,
        ..NatConfig::new(Eim, Apdf)
    }
}

#[test]
fn connection_tracking_reads_as_endpoint_independent_mapping() {
    for router_input in [RouterInput::Drop, RouterInput::Accept] {
        let mut lab = lab(tracking(router_input));
        assert_eq!(lab.discover("X1", 5000), (Eim, Apdf));
        // A second host with the same ports gets another, and keeps it towards all.
        let second = lab.seen("X2", 5000, y(1, 1000));
        assert_ne!(second.port(), 5000);
        for server in [y(1, 1001), y(2, 1000), y(2, 7)] {
            assert_eq!(lab.seen("X2", 5000, server), second);
        }
        assert_eq!(lab.discover("X2", 6000), (Eim, Apdf));
    }
}

#[test]
fn connection_tracking_shares_a_port_between_distinct_remotes() {
    let mut lab = lab(tracking(RouterInput::Drop));
    let one = lab.seen("X1", 5000, y(1, 1000));
    let other = lab.seen("X2", 5000, y(2, 1000));
    assert_eq!(one, other);
    assert_eq!(lab.probe("Y1", 1000, one).unwrap().host, lab.node("X1"));
    assert_eq!(lab.probe("Y2", 1000, one).unwrap().host, lab.node("X2"));
    // Where both want the same remote, the second gets another port for it.
    assert_ne!(lab.seen("X2", 5000, y(1, 1000)), one);
    assert_eq!(lab.seen("X2", 5000, y(2, 1000)), one);
}

#[test]
fn every_shared_port_is_used_for_one_remote_before_there_is_none() {
    let mut lab = lab(NatConfig {
        port_range: 2000..=2002,
        ..tracking(RouterInput::Drop)
    });
    let seen: BTreeSet<_> = (0..3)
        .map(|n| lab.seen("X1", 5000 + n, y(1, 1000)))
        .collect();
    assert_eq!(seen.len(), 3);
    assert_eq!(lab.refused("X2", 5000, y(1, 1000)), "no_free_port");
    assert!(seen.contains(&lab.seen("X2", 5000, y(1, 1001))));
}

#[test]
fn a_router_that_takes_what_nobody_asked_for_moves_its_host_to_another_port() {
    for (router_input, moved, fate) in [
        (RouterInput::Drop, false, "filtered_by_nat"),
        (RouterInput::Accept, true, "claimed_by_router"),
    ] {
        let mut config = tracking(router_input);
        config.lifetimes.udp_unanswered = Some(seconds(30));
        let mut lab = lab(config);
        let external = lab.seen("X1", 5000, y(1, 1000));
        assert_eq!(lab.refused("Y2", 1000, external), fate);
        // Now X1 sends there itself.
        let towards = lab.seen("X1", 5000, y(2, 1000));
        assert_eq!(towards != external, moved, "{router_input:?}");
        let answer = lab.probe("Y2", 1000, external);
        assert_eq!(answer.is_ok(), !moved);
        // To all others it is as it was.
        assert_eq!(lab.seen("X1", 5000, y(2, 1001)).port() == 5000, !moved);
        assert_eq!(lab.seen("X1", 5000, y(1, 1000)), external);
    }
}

/// Two homes that both read as EIM+APDF; X1 and Z1 know each other's external endpoints and both
/// send, one a moment before the other.
fn meet(router_input: RouterInput) -> bool {
    let mut plan = around(1, |plan| plan.nat("box", tracking(router_input)));
    let core = plan.find("core").unwrap();
    let other = plan.nat("other", tracking(router_input));
    let link = Link::with_delay(Duration::from_millis(10));
    plan.connect(other, core, link, &[Address::v4(198, 51, 100, 1)]);
    let host = plan.host("Z1");
    plan.connect(host, other, link, &[Address::v4(192, 168, 1, 2)]);
    let mut lab = Lab::new(plan, 1);
    assert_eq!(lab.discover("X1", 7000), (Eim, Apdf));
    assert_eq!(lab.discover("Z1", 7000), (Eim, Apdf));
    let x = lab.seen("X1", 5000, y(1, 1000));
    let z = lab.seen("Z1", 5000, y(1, 1000));
    // X1's packet is at Z1's router before Z1 sends.
    assert!(lab.knock("X1", 5000, z).is_err());
    (0..5).any(|_| lab.knock("Z1", 5000, x).is_ok() && lab.knock("X1", 5000, z).is_ok())
}

#[test]
fn two_linux_homes_meet_if_their_routers_drop_what_nobody_asked_for() {
    assert!(meet(RouterInput::Drop));
    assert!(!meet(RouterInput::Accept));
}

#[test]
fn a_claim_ends_in_its_time() {
    let mut config = tracking(RouterInput::Accept);
    config.lifetimes.udp_unanswered = Some(seconds(30));
    let mut lab = lab(config);
    let external = lab.seen("X1", 5000, y(1, 1000));
    assert!(lab.probe("Y1", 1000, external).is_ok());
    assert_eq!(lab.refused("Y2", 1000, external), "claimed_by_router");
    lab.until(seconds(31));
    assert_eq!(lab.seen("X1", 5000, y(2, 1000)), external);
}

#[test]
fn a_plan_with_a_contradictory_nat_is_refused_with_its_name_and_both_fields() {
    let config = NatConfig {
        port_blocks: Some(PortBlocks { size: 64, most: 1 }),
        port_range: 2000..=2003,
        ..open()
    };
    let plan = around(1, |plan| plan.nat("box", config));
    let error = plan.build(1).err().unwrap().to_string();
    for part in ["\"box\"", "port_blocks", "port_range", "64"] {
        assert!(error.contains(part), "{error}");
    }
    let config = NatConfig {
        static_addresses: vec![(Address::v4(192, 168, 1, 2), Address::v4(8, 8, 8, 8))],
        ..open()
    };
    let plan = around(1, |plan| plan.nat("box", config));
    let error = plan.build(1).err().unwrap().to_string();
    assert!(
        error.contains("static_addresses") && error.contains("8.8.8.8"),
        "{error}"
    );
}
