//! The promises of ARCHITECTURE.md that hold for every internet, tried on random ones: every packet
//! is accounted for, the same seed makes the same run, and nobody disturbs anybody else.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;
use std::rc::Rc;

use pinhole::packet::{Packet, PacketId};
use pinhole::trace::{Cause, Counts, Digest, Fate, Observer, Place};
use pinhole::{Internet, Time, Topology};
use pinhole_tests::world::{BYSTANDERS, Bystanders, World};
use proptest::prelude::*;

fn world(seed: u64, size: u64) -> World {
    World::new(seed, size, Bystanders::None)
}

/// Counts on its own, and holds every packet to one life.
#[derive(Default)]
struct Ledger {
    alive: BTreeSet<PacketId>,
    counts: Counts,
}

#[derive(Clone, Default)]
struct Auditor(Rc<RefCell<Ledger>>);

impl Observer for Auditor {
    fn sent(&mut self, _: Time, packet: &Packet, cause: Cause) {
        let mut ledger = self.0.borrow_mut();
        for id in packet.ids() {
            assert!(ledger.alive.insert(id), "{id} was sent twice");
            match cause {
                Cause::DuplicateOf(_) => ledger.counts.duplicated += 1,
                Cause::Sent | Cause::ErrorAbout(_) | Cause::FragmentOf(_) => {
                    ledger.counts.sent += 1;
                }
            }
            ledger.counts.in_flight += 1;
        }
    }

    fn ended(&mut self, _: Time, packet: &Packet, fate: &Fate) {
        let mut ledger = self.0.borrow_mut();
        for id in packet.ids() {
            assert!(ledger.alive.remove(&id), "{id} ended twice");
            match fate {
                Fate::Delivered { .. } | Fate::Fragmented { .. } => ledger.counts.delivered += 1,
                Fate::Dropped(_) => ledger.counts.dropped += 1,
            }
            ledger.counts.in_flight -= 1;
        }
    }
}

/// The promise, checked three ways: the trace's sums, an observer's, and the packets themselves.
fn accounted_for(net: &Internet, auditor: &Auditor) -> Counts {
    let counts = net.trace().counts();
    let sum = counts.delivered + counts.dropped + counts.in_flight;
    assert_eq!(counts.sent + counts.duplicated, sum);
    assert_eq!(counts, auditor.0.borrow().counts);
    assert_eq!(net.packets_under_way() as u64, counts.in_flight);
    let dropped: u64 = net.trace().drops().iter().map(|drop| drop.count).sum();
    assert_eq!(counts.dropped, dropped, "every drop has its reason");
    counts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_packet_is_accounted_for_at_any_moment(
        seed: u64,
        size in 1u64..12,
        strides in proptest::collection::vec(1u32..200, 1..20),
    ) {
        let mut net = world(seed, size).start(seed);
        let auditor = Auditor::default();
        net.observe(auditor.clone());
        let mut strides = strides.into_iter().cycle();
        'run: loop {
            for _ in 0..strides.next().unwrap() {
                if !net.step().unwrap() {
                    break 'run;
                }
            }
            accounted_for(&net, &auditor);
        }
        let counts = accounted_for(&net, &auditor);
        prop_assert_eq!(counts.in_flight, 0, "the run is over");
        prop_assert!(counts.sent > 0);
    }

    #[test]
    fn the_same_seed_makes_the_same_run(seed: u64, size in 1u64..12, other: u64) {
        let mut fresh = world(seed, size).start(seed);
        fresh.run_to_end().unwrap();
        let expected = (fresh.trace().digest(), fresh.trace().counts(), fresh.events());

        // Recorded and observed.
        let mut watched = world(seed, size).start(seed);
        watched.record();
        watched.observe(Auditor::default());
        watched.run_to_end().unwrap();
        let got = (watched.trace().digest(), watched.trace().counts(), watched.events());
        prop_assert_eq!(got, expected, "watching changes nothing");

        // In an internet that was left in the middle of something else.
        let mut reused = world(other, 12).start(other);
        reused.record();
        for _ in 0..500 {
            reused.step().unwrap();
        }
        let again = world(seed, size);
        reused.rebuild(again.plan.clone(), seed).unwrap();
        again.attach(&mut reused);
        // In small steps, by time.
        while reused.packets_under_way() > 0 || reused.now() < Time::from_millis(2_000) {
            reused.run_for(std::time::Duration::from_micros(1_700)).unwrap();
        }
        // Hosts may still have waited for fragments that had come by then.
        reused.run_to_end().unwrap();
        let got = (reused.trace().digest(), reused.trace().counts(), reused.events());
        prop_assert_eq!(got, expected, "neither does the past");
    }

    #[test]
    fn bystanders_change_nobody_elses_packets(seed: u64, size in 1u64..10) {
        let [without, first, last] = [Bystanders::None, Bystanders::First, Bystanders::Last]
            .map(|bystanders| lives(World::new(seed, size, bystanders), seed));
        prop_assert!(without.1 == 0 && first.1 > 500 && last.1 > 500, "they did talk");
        prop_assert_eq!(&first.0, &without.0);
        prop_assert_eq!(&last.0, &without.0);
    }
}

/// What a packet's life looked like from outside: when and how it ended, and where.
type Life = (Time, SocketAddr, SocketAddr, usize, &'static str, String);

/// Notes every packet but for the bystanders', whose it counts.
#[derive(Clone, Default)]
struct Biographer(Rc<RefCell<Vec<(Time, Packet, Fate)>>>);

impl Observer for Biographer {
    fn ended(&mut self, time: Time, packet: &Packet, fate: &Fate) {
        self.0.borrow_mut().push((time, packet.clone(), *fate));
    }
}

/// The lives of all packets of a run but the bystanders' own, and how many those are.
fn lives(world: World, seed: u64) -> (Vec<Life>, usize) {
    let mut net = world.start(seed);
    let biographer = Biographer::default();
    net.observe(biographer.clone());
    net.run_to_end().unwrap();
    let mut lives = Vec::new();
    let mut bystanders = 0;
    for (time, packet, fate) in biographer.0.borrow().iter() {
        if BYSTANDERS.contains(&net.name(packet.origin)) {
            bystanders += 1;
            continue;
        }
        let (code, place) = match fate {
            Fate::Delivered { host } => ("delivered", Place::Node(*host)),
            Fate::Fragmented { node } => ("fragmented", Place::Node(*node)),
            Fate::Dropped(drop) => (drop.code(), drop.place()),
        };
        let (source, destination) = (packet.source.into(), packet.destination.into());
        let place = net.place_name(place);
        lives.push((
            *time,
            source,
            destination,
            packet.wire_length(),
            code,
            place,
        ));
    }
    (lives, bystanders)
}

/// The digest of many worlds.
fn digest_of_worlds() -> Digest {
    let mut digest = Digest::default();
    for seed in 0..30 {
        let mut net = world(seed, 8).start(seed);
        net.run_to_end().unwrap();
        digest.fold(net.trace().digest());
    }
    digest
}

/// Not a test of its own: the next one runs it in processes of its own.
#[test]
#[ignore = "a child process of the next test"]
fn child_that_prints_the_digest_of_worlds() {
    println!("digest: {}", digest_of_worlds());
}

#[test]
fn the_same_seeds_make_the_same_runs_in_other_processes() {
    let expected = format!("digest: {}", digest_of_worlds());
    for _ in 0..2 {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture"])
            .arg("child_that_prints_the_digest_of_worlds")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(&expected), "{expected} is not in\n{text}");
    }
}

#[test]
fn other_seeds_make_other_runs_of_the_same_world() {
    let mut digests = BTreeSet::new();
    for seed in 0..50 {
        let mut net = world(7, 8).start(seed);
        net.run_to_end().unwrap();
        digests.insert(net.trace().digest());
    }
    assert_eq!(digests.len(), 50);
}

#[test]
fn random_worlds_are_as_odd_as_they_should_be() {
    // What the properties above are worth depends on what happens in the worlds.
    let mut seen = BTreeSet::new();
    let mut counts = Counts::default();
    for seed in 0..150 {
        let mut net = world(seed, 10).start(seed);
        net.run_to_end().unwrap();
        seen.extend(net.trace().drops().iter().map(|drop| drop.example.code()));
        let run = net.trace().counts();
        counts.duplicated += run.duplicated;
        counts.delivered += run.delivered;
    }
    let every_reason = [
        "custom",
        "denied_by_rule",
        "filtered_by_firewall",
        "filtered_by_nat",
        "fragments_incomplete",
        "hairpinning_off",
        "lan_isolated",
        "lost",
        "no_free_port",
        "no_mapping",
        "no_route",
        "port_unreachable",
        "queue_full",
        "rejected",
        "too_big",
        "ttl_expired",
        "udp_blocked",
    ];
    for reason in every_reason {
        assert!(seen.contains(reason), "no packet was dropped as {reason}");
    }
    assert!(
        counts.duplicated > 100 && counts.delivered > 1000,
        "{counts:?}"
    );
}

#[test]
fn an_empty_plan_runs_to_its_end_at_once() {
    let mut net = Topology::new().build(1).unwrap();
    net.run_to_end().unwrap();
    assert_eq!(net.trace().counts(), Counts::default());
    assert_eq!(net.events(), 0);
}
