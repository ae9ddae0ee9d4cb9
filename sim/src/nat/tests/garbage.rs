//! Anything, in any order, through any NAT.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// Configurations of all kinds, each of which makes sense.
fn configs() -> impl Strategy<Value = NatConfig> {
    let ports = prop_oneof![
        Just(PortAllocation::PRESERVING),
        Just(PortAllocation::Preserving {
            on_conflict: PortConflict::Random
        }),
        Just(PortAllocation::Preserving {
            on_conflict: PortConflict::Sequential
        }),
        Just(PortAllocation::Preserving {
            on_conflict: PortConflict::Takeover
        }),
        Just(PortAllocation::Sequential { step: 3 }),
        Just(PortAllocation::Random),
    ];
    let flags = any::<[bool; 8]>();
    let choices = (0..3usize, 0..3usize, 0..3u8, 0..4u8);
    (ports, flags, choices).prop_map(|(ports, flags, (mapping, filtering, overloading, extra))| {
        let [
            parity,
            contiguity,
            memory,
            evicts,
            arbitrary,
            meddles,
            both_ways,
            ends,
        ] = flags;
        let mut config = NatConfig {
            ports,
            port_parity: parity,
            port_contiguity: contiguity,
            port_range: 2000..=2031,
            rewrites_payloads: meddles,
            reports_exhaustion: true,
            hairpinning: Hairpinning::ExternalSource,
            fragments: Fragments::AnyOrder { limit: 2_000 },
            capacity: Some(Capacity {
                mappings: 20,
                when_full: if evicts {
                    WhenFull::EvictOldest
                } else {
                    WhenFull::Drop
                },
            }),
            ..NatConfig::new(Mapping::ALL[mapping], Filtering::ALL[filtering])
        };
        if memory {
            config.filter_memory = FilterMemory::Mapping;
        }
        if arbitrary {
            config.pooling = Pooling::Arbitrary;
        }
        if both_ways {
            config.refresh = Refresh::RefusedToo;
        }
        if ends {
            config.icmp_errors = IcmpErrors::EndMapping;
        }
        match extra {
            1 => config.port_rest = Duration::from_secs(60),
            2 => config.port_blocks = Some(PortBlocks { size: 6, most: 2 }),
            3 => config.subscriber_limit = Some(4),
            _ => {}
        }
        match overloading {
            1 => {
                config.port_overloading = PortOverloading::Always;
                config.ports = PortAllocation::PRESERVING;
                config.mapping = Eim;
            }
            2 => {
                config.port_overloading = PortOverloading::DistinctRemotes;
                config.mapping = Eim;
                config.filtering = Apdf;
                config.filter_memory = FilterMemory::Mapping;
                config.port_contiguity = false;
                if memory {
                    config.router_input = RouterInput::Accept;
                }
            }
            _ => {}
        }
        // What remains of contradictions is put right by what was drawn last.
        let takeover = PortAllocation::Preserving {
            on_conflict: PortConflict::Takeover,
        };
        if config.port_overloading != PortOverloading::Never {
            config.port_rest = Duration::ZERO;
            config.port_blocks = None;
        }
        if config.ports == takeover && (overloading > 0 || extra == 2) {
            config.ports = PortAllocation::PRESERVING;
        }
        config
    })
}

/// A packet of any kind between a few endpoints on each side.
fn packets() -> impl Strategy<Value = (bool, Packet)> {
    let transport = prop_oneof![
        4 => Just(0u8), 3 => Just(1), 1 => Just(2), 1 => Just(3)
    ];
    let ends = (0..4u8, 0..6u16, 0..3u8, 0..3u16, 0..40u16);
    let fragment = proptest::option::weighted(0.3, (0..4u32, 0..4u16, any::<bool>()));
    (any::<bool>(), transport, ends, 0..32u8, fragment).prop_map(
        |(outward, transport, (host, port, server, remote, external), bits, fragment)| {
            let inside = Endpoint::new(Address::v4(192, 168, 1, 2 + host), 2010 + port);
            let outside = match server {
                // The NAT itself.
                2 => Endpoint::new(Address::v4(203, 0, 113, 1), 2000 + external),
                server => Endpoint::new(Address::v4(192, 0, 2, 1 + server), 80 + remote),
            };
            let shown = Endpoint::new(Address::v4(203, 0, 113, 1 + host % 2), 2000 + external);
            let (source, destination) = if outward {
                (inside, outside)
            } else {
                (outside, shown)
            };
            let all = [FIN, SYN, RST, ACK];
            let flags = all
                .into_iter()
                .enumerate()
                .filter(|(bit, _)| bits >> bit & 1 != 0)
                .fold(TcpFlags::default(), |flags, (_, flag)| flags | flag);
            let transport = match transport {
                0 => Transport::Udp,
                1 => Transport::Tcp(TcpSegment {
                    flags,
                    ..TcpSegment::default()
                }),
                2 => Transport::IcmpEcho(IcmpEcho {
                    is_reply: bits & 1 != 0,
                    sequence: 0,
                }),
                _ => Transport::IcmpError(Box::new(IcmpError {
                    kind: IcmpErrorKind::TimeExceeded,
                    quoted_protocol: [Protocol::Udp, Protocol::Tcp, Protocol::Icmp]
                        [usize::from(bits % 3)],
                    quoted_source: destination,
                    quoted_destination: source,
                })),
            };
            let payload = Payload::Bytes(vec![bits; 60]);
            let mut packet = Packet::new(source, destination, transport, payload, NodeId(0));
            packet.fragment = fragment.map(|(identification, at, more)| Fragment {
                identification,
                offset: at * 8,
                more,
            });
            if packet.fragment.is_some_and(|fragment| !fragment.is_first()) {
                packet.source.port = 0;
                packet.destination.port = 0;
            }
            (outward, packet)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever comes, nothing grows beyond its bounds, every packet that waits is let go once, and
    /// no external endpoint is two mappings' unless that is allowed.
    #[test]
    fn garbage_leaves_a_nat_in_order(
        config in configs(),
        steps in proptest::collection::vec((packets(), 0..20u64), 1..150),
    ) {
        config.check().unwrap();
        let mut bench = bench_of(config.clone(), &["203.0.113.1", "203.0.113.2"]);
        let mut held = BTreeSet::new();
        let mut bytes = BTreeMap::new();
        for ((outward, mut packet), pause) in steps {
            bench.wait(pause);
            let way = if outward { Way::Out } else { Way::In };
            let translations = packet.translations;
            let verdict = bench.pass(way, &mut packet);
            prop_assert!(packet.translations <= translations + 2);
            if verdict == Verdict::Hold {
                prop_assert!(held.insert(packet.id));
                bytes.insert(packet.id, packet.wire_length());
            }
            for request in bench.requests() {
                if let Request::Release(id) | Request::Discard(id, _) = request {
                    prop_assert!(held.remove(&id), "{id} is let go once");
                    bytes.remove(&id);
                }
            }
            prop_assert!(bytes.values().sum::<usize>() <= 2_000);
            in_order(&config, &bench)?;
        }
        // In the end nobody waits.
        bench.wait(100_000);
        for request in bench.requests() {
            if let Request::Release(id) | Request::Discard(id, _) = request {
                held.remove(&id);
            }
        }
        prop_assert!(held.is_empty());
        prop_assert_eq!(bench.nat.mappings(bench.now).count(), 0);
        // And every port is free again.
        bench.nat.forget(bench.now);
        prop_assert_eq!((bench.nat.table.len(), bench.nat.memory.len()), (0, 0));
        for protocol in [Protocol::Udp, Protocol::Tcp, Protocol::Icmp] {
            for (place, port) in (0..2).flat_map(|place| (1_990..2_040).map(move |n| (place, n))) {
                let at = super::table::Outside { protocol, place, port };
                prop_assert!(bench.nat.pool.is_free(at), "{at:?}");
            }
        }
    }
}

/// What always holds of a NAT's mappings.
fn in_order(config: &NatConfig, bench: &Bench) -> Result<(), TestCaseError> {
    let alive: Vec<_> = bench.nat.mappings(bench.now).collect();
    prop_assert!(alive.len() <= 20);
    let mut taken = BTreeSet::new();
    let mut blocks = BTreeMap::new();
    for mapping in &alive {
        let (external, internal) = (mapping.external, mapping.internal);
        let is_new = match config.port_overloading {
            PortOverloading::Never => {
                taken.insert((mapping.protocol, external, Endpoint::UNSPECIFIED))
            }
            PortOverloading::DistinctRemotes => {
                taken.insert((mapping.protocol, external, mapping.remote_key))
            }
            PortOverloading::Always => true,
        };
        prop_assert!(is_new, "{external} is given twice: {alive:?}");
        let contiguous = config.port_contiguity;
        if config.port_parity && !contiguous {
            prop_assert_eq!(external.port % 2, internal.port % 2);
        }
        if let Some(size) = config.port_blocks.map(|blocks| blocks.size) {
            let block = (external.address, (external.port - 2000) / size);
            let owner = blocks.entry(block).or_insert(internal.address);
            prop_assert_eq!(*owner, internal.address, "a block is one subscriber's");
        }
    }
    Ok(())
}
