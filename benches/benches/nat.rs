//! What a NAT costs: CPU time for each packet, and memory for each mapping.
//!
//! The NAT stands alone here, without links and hosts: what is ten nanoseconds more here is ten of
//! the hundreds that a packet's whole way costs.

use std::alloc::System;
use std::time::Duration;

use cpu_time::ThreadTime;
use pinhole::middlebox::{Middlebox, Surroundings, Verdict};
use pinhole::nat::{
    Capacity, FilterMemory, Nat, NatConfig, PortAllocation, PortBlocks, PortConflict,
    PortOverloading, Refresh, WhenFull,
};
use pinhole::packet::{Packet, Payload, Transport};
use pinhole::{Address, Endpoint, Filtering, Mapping, NodeId, Stream, Time, Topology};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What is measured: a name, a configuration, and how many external addresses.
type Case = (&'static str, NatConfig, u8);

fn cases() -> Vec<Case> {
    use Filtering::AddressAndPortDependent as Apdf;
    use Mapping::{AddressAndPortDependent as Apdm, EndpointIndependent as Eim};
    let clean = NatConfig::new(Eim, Apdf);
    let mut unanswered = clean.lifetimes;
    unanswered.udp_unanswered = Some(Duration::from_secs(30));
    vec![
        ("clean eim/apdf", clean.clone(), 1),
        ("clean apdm/apdf", NatConfig::new(Apdm, Apdf), 1),
        (
            "home router",
            NatConfig {
                port_parity: true,
                refresh: Refresh::BothWays,
                capacity: Some(Capacity {
                    mappings: 65_536,
                    when_full: WhenFull::EvictOldest,
                }),
                ..clean.clone()
            },
            1,
        ),
        (
            "connection tracking",
            NatConfig {
                filter_memory: FilterMemory::Mapping,
                ports: PortAllocation::Preserving {
                    on_conflict: PortConflict::Random,
                },
                port_overloading: PortOverloading::DistinctRemotes,
                refresh: Refresh::BothWays,
                lifetimes: unanswered,
                ..clean.clone()
            },
            1,
        ),
        ("carrier with port blocks", carrier(), 16),
    ]
}

fn carrier() -> NatConfig {
    let filtering = Filtering::EndpointIndependent;
    NatConfig {
        ports: PortAllocation::Random,
        port_blocks: Some(PortBlocks { size: 64, most: 8 }),
        port_rest: Duration::from_secs(120),
        subscriber_limit: Some(512),
        reports_exhaustion: true,
        ..NatConfig::new(Mapping::EndpointIndependent, filtering)
    }
}

fn packet(source: Endpoint, destination: Endpoint, origin: NodeId) -> Packet {
    let payload = Payload::Sized {
        length: 1200,
        tag: 0,
    };
    Packet::new(source, destination, Transport::Udp, payload, origin)
}

fn externals(count: u8) -> impl Iterator<Item = Address> {
    (1..=count).map(|n| Address::v4(203, 0, 113, n))
}

fn subscriber(n: u32) -> Address {
    let [_, a, b, c] = n.to_be_bytes();
    Address::v4(100, 64 + a, b, c)
}

/// Nanoseconds for a packet out and its answer in, through a NAT with so many flows, each of a
/// subscriber's own where there are many.
fn cost(config: &NatConfig, addresses: u8, flows: u32) -> f64 {
    let node = Topology::new().router("nat");
    let mut random = Stream::new(1, "nat");
    let mut nat = Nat::new(config.clone(), externals(addresses));
    let remote: Endpoint = "192.0.2.1:9".parse().expect("an endpoint");
    let mut now = Time::ZERO;
    let mut best = f64::MAX;
    // The first round makes the mappings.
    for round in 0..8 {
        let rounds = (2_000_000 / flows).max(1);
        let begun = ThreadTime::now();
        for _ in 0..if round == 0 { 1 } else { rounds } {
            for flow in 0..flows {
                let mut around = Surroundings {
                    now,
                    node,
                    random: &mut random,
                };
                let internal = Endpoint::new(subscriber(flow / 8), 5000 + (flow % 8) as u16);
                let mut out = packet(internal, remote, node);
                let verdict = nat.outbound(&mut out, &mut around);
                assert!(matches!(verdict, Verdict::Forward(_)), "{verdict:?}");
                let mut answer = packet(remote, out.source, node);
                let verdict = nat.inbound(&mut answer, &mut around);
                assert!(matches!(verdict, Verdict::Forward(_)), "{verdict:?}");
                assert!(answer.destination == internal && nat.poll_request().is_none());
            }
            now += Duration::from_micros(10);
        }
        if round > 0 {
            let packets = f64::from(2 * rounds * flows);
            best = best.min(begun.elapsed().as_nanos() as f64 / packets);
        }
    }
    best
}

/// Bytes that a carrier's NAT holds for each mapping of so many subscribers.
fn memory(config: &NatConfig, addresses: u8, subscribers: u32, each: u16) -> usize {
    let node = Topology::new().router("nat");
    let mut random = Stream::new(1, "nat");
    let region = Region::new(ALLOCATOR);
    let mut nat = Nat::new(config.clone(), externals(addresses));
    let remote: Endpoint = "192.0.2.1:9".parse().expect("an endpoint");
    for port in 0..each {
        for n in 0..subscribers {
            let mut around = Surroundings {
                now: Time::ZERO,
                node,
                random: &mut random,
            };
            let internal = Endpoint::new(subscriber(n), 5000 + port);
            let mut out = packet(internal, remote, node);
            let verdict = nat.outbound(&mut out, &mut around);
            assert!(matches!(verdict, Verdict::Forward(_)), "{verdict:?}");
        }
    }
    let change = region.change();
    let mappings = nat.mappings(Time::ZERO).count();
    assert_eq!(mappings, subscribers as usize * usize::from(each));
    (change.bytes_allocated - change.bytes_deallocated) / mappings
}

fn main() {
    let mut clean = [0.0; 2];
    for (place, (name, config, addresses)) in cases().into_iter().enumerate() {
        let costs = [8, 8_000].map(|flows| cost(&config, addresses, flows));
        if place == 0 {
            clean = costs;
        }
        let times = [costs[0] / clean[0], costs[1] / clean[1]];
        println!(
            "{name}: {:.1} ns a packet with 8 flows ({:.2} times the clean NAT), {:.1} with 8000 \
             ({:.2} times)",
            costs[0], times[0], costs[1], times[1]
        );
    }
    // A carrier: 10,000 subscribers on 200 addresses, with few mappings and with many.
    for each in [1, 4, 10, 16, 20, 33] {
        let bytes = memory(&carrier(), 200, 10_000, each);
        println!("carrier, 10000 subscribers with {each} mappings each: {bytes} bytes a mapping");
    }
}
