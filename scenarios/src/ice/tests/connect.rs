//! Who gets through, on what pair, and what is told of it.

use std::net::SocketAddr;
use std::time::Duration;

use pinhole::Time;

use super::cable::{Cable, address, cut, host, open, reflexive, relayed};
use super::combinations;
use crate::ice::{Candidate, CandidateType, IceEvent, Role, Stack};

const A: &str = "192.0.2.1:4000";
const B: &str = "198.51.100.2:5000";
/// Side 0 behind a NAT: its socket, and what the world sees.
const INSIDE: &str = "10.0.0.1:4000";
const OUTSIDE: &str = "203.0.113.1:61000";
const RELAY: &str = "203.0.113.50:50000";

/// Side 0's socket is translated to `OUTSIDE`, both ways; nobody reaches `INSIDE`.
fn translated(
    _: usize,
    source: SocketAddr,
    destination: SocketAddr,
) -> Option<(SocketAddr, SocketAddr)> {
    let (inside, outside) = (address(INSIDE), address(OUTSIDE));
    if destination == inside {
        return None;
    }
    let source = if source == inside { outside } else { source };
    let destination = if destination == outside {
        inside
    } else {
        destination
    };
    Some((destination, source))
}

/// Only what leaves from or goes to the relayed address arrives.
fn relay_only(
    _: usize,
    source: SocketAddr,
    destination: SocketAddr,
) -> Option<(SocketAddr, SocketAddr)> {
    let relay = address(RELAY);
    (source == relay || destination == relay).then_some((destination, source))
}

/// Waiting longer than the longest nomination wait and a few round trips would be a fault.
fn connect(cable: &mut Cable, stacks: [Stack; 2]) {
    let done = cable.run(cable.now + Duration::from_secs(4), Cable::both_selected);
    assert!(done, "{stacks:?} did not connect: {:?}", cable.events);
}

#[test]
fn host_candidates_on_an_open_network() {
    for stacks in combinations() {
        let mut cable = Cable::new(stacks, 1, open);
        cable.trickle(0, host(A));
        cable.trickle(1, host(B));
        cable.start();
        connect(&mut cable, stacks);
        assert_eq!(cable.selected(0), Some((address(A), address(B))));
        assert_eq!(cable.selected(1), Some((address(B), address(A))));
        // A check and its answer, a nomination and its answer: 80 ms, and one tick of whoever
        // waits for a tick (200 ms in rtc-ice).
        assert!(
            cable.now <= Time::from_millis(300),
            "{stacks:?} took {}",
            cable.now
        );
    }
}

#[test]
fn server_reflexive_candidates_are_sent_for_from_their_base() {
    for stacks in combinations() {
        let mut cable = Cable::new(stacks, 2, translated);
        cable.trickle(0, host(INSIDE));
        cable.trickle(0, reflexive(OUTSIDE, INSIDE));
        cable.trickle(1, host(B));
        cable.start();
        connect(&mut cable, stacks);
        assert_eq!(cable.selected(0), Some((address(INSIDE), address(B))));
        assert_eq!(cable.selected(1), Some((address(B), address(OUTSIDE))));
        let sources = cable.sent.iter().filter(|sent| sent.side == 0);
        assert!(
            sources
                .clone()
                .all(|sent| sent.transmit.source == address(INSIDE))
        );
    }
}

#[test]
fn an_unsignaled_mapping_becomes_peer_reflexive() {
    for stacks in combinations() {
        let mut cable = Cable::new(stacks, 3, translated);
        cable.trickle(0, host(INSIDE));
        cable.trickle(1, host(B));
        cable.start();
        connect(&mut cable, stacks);
        assert_eq!(cable.selected(0), Some((address(INSIDE), address(B))));
        assert_eq!(cable.selected(1), Some((address(B), address(OUTSIDE))));
    }
}

#[test]
fn relayed_candidates_are_sent_for_from_the_relayed_address() {
    for stacks in combinations() {
        for relay_first in [false, true] {
            let mut cable = Cable::new(stacks, 4, relay_only);
            let mut candidates = [host(INSIDE), relayed(RELAY)];
            if relay_first {
                candidates.reverse();
            }
            for candidate in candidates {
                cable.trickle(0, candidate);
            }
            cable.trickle(1, host(B));
            cable.start();
            connect(&mut cable, stacks);
            assert_eq!(cable.selected(0), Some((address(RELAY), address(B))));
            assert_eq!(cable.selected(1), Some((address(B), address(RELAY))));
        }
    }
}

#[test]
fn relays_on_both_sides() {
    fn between_relays(
        side: usize,
        source: SocketAddr,
        destination: SocketAddr,
    ) -> Option<(SocketAddr, SocketAddr)> {
        let relays = [address(RELAY), address("203.0.113.60:50001")];
        (source == relays[side] && destination == relays[1 - side]).then_some((destination, source))
    }
    for stacks in combinations() {
        let mut cable = Cable::new(stacks, 5, between_relays);
        cable.trickle(0, host(INSIDE));
        cable.trickle(0, relayed(RELAY));
        cable.trickle(1, host("10.9.9.9:1234"));
        cable.trickle(1, relayed("203.0.113.60:50001"));
        cable.start();
        connect(&mut cable, stacks);
        assert_eq!(
            cable.selected(0),
            Some((address(RELAY), address("203.0.113.60:50001")))
        );
    }
}

#[test]
fn ipv6() {
    for stacks in combinations() {
        let mut cable = Cable::new(stacks, 6, open);
        cable.trickle(0, host("[2001:db8::1]:4000"));
        cable.trickle(0, host(A));
        cable.trickle(1, host("[2001:db8::2]:5000"));
        cable.start();
        connect(&mut cable, stacks);
        let pair = (address("[2001:db8::1]:4000"), address("[2001:db8::2]:5000"));
        assert_eq!(cable.selected(0), Some(pair));
    }
}

#[test]
fn nothing_reachable_ends_in_failure() {
    for stacks in combinations() {
        let mut cable = Cable::new(stacks, 7, cut);
        cable.trickle(0, host(A));
        cable.trickle(1, host(B));
        cable.start();
        cable.run(Time::from_millis(45_000), |_| false);
        for side in [0, 1] {
            let [(time, IceEvent::Failed)] = cable.events[side][..] else {
                panic!("{stacks:?}, side {side}: {:?}", cable.events[side]);
            };
            let expected = match stacks[side] {
                Stack::Is => Time::from_millis(15_000)..Time::from_millis(25_000),
                Stack::Rtc => Time::from_millis(30_000)..Time::from_millis(31_000),
            };
            assert!(
                expected.contains(&time),
                "{stacks:?}, side {side} failed at {time}"
            );
        }
    }
}

#[test]
fn without_candidates_nothing_is_selected_and_time_goes_on() {
    for stacks in combinations() {
        let mut cable = Cable::new(stacks, 8, open);
        cable.start();
        cable.run(Time::from_millis(45_000), |_| false);
        assert!(cable.sent.is_empty());
        let events = cable.events.iter().flatten();
        assert!(
            events.clone().all(|(_, event)| *event == IceEvent::Failed),
            "{:?}",
            cable.events
        );
    }
}

#[test]
fn candidates_may_trickle_in_late() {
    for stacks in combinations() {
        let mut cable = Cable::new(stacks, 9, open);
        cable.start();
        cable.run(Time::from_millis(3_000), |_| false);
        cable.trickle(0, host(A));
        cable.run(Time::from_millis(6_000), |_| false);
        cable.trickle(1, host(B));
        connect(&mut cable, stacks);
    }
}

#[test]
fn one_side_may_start_after_the_other_sent_checks() {
    for stacks in combinations() {
        for late in [0, 1] {
            let mut cable = Cable::new(stacks, 10, open);
            cable.trickle(0, host(A));
            cable.trickle(1, host(B));
            cable.start_side(1 - late);
            cable.run(Time::from_millis(600), |_| false);
            assert!(!cable.sent.is_empty());
            cable.start_side(late);
            connect(&mut cable, stacks);
        }
    }
}

#[test]
fn trickle_without_end_is_not_a_loop_without_end() {
    for stacks in combinations() {
        let mut cable = Cable::new(stacks, 11, cut);
        cable.start();
        for n in 0..16u16 {
            let end = cable.now + Duration::from_millis(410);
            cable.run(end, |_| false);
            cable.trickle(0, host(&format!("192.0.2.1:{}", 4000 + n)));
            cable.trickle(1, host(&format!("198.51.100.2:{}", 4000 + n)));
        }
        cable.run(Time::from_millis(45_000), |_| false);
        assert!(!cable.both_selected());
    }
}

#[test]
fn a_duplicate_is_not_worth_signaling() {
    for stack in Stack::ALL {
        let mut agent = stack.agent(Time::ZERO, Role::Controlling, 12);
        assert!(agent.add_local_candidate(Time::ZERO, host(A)).is_some());
        assert_eq!(agent.add_local_candidate(Time::ZERO, host(A)), None);
        let own = Candidate {
            kind: CandidateType::PeerReflexive,
            ..host(OUTSIDE)
        };
        assert_eq!(agent.add_local_candidate(Time::ZERO, own), None);
    }
}

#[test]
fn types_are_preferred_in_the_order_of_the_rfc() {
    for stack in Stack::ALL {
        let mut agent = stack.agent(Time::ZERO, Role::Controlling, 13);
        let candidates = [relayed(RELAY), reflexive(OUTSIDE, INSIDE), host(INSIDE)];
        let priorities = candidates.map(|candidate| {
            agent
                .add_local_candidate(Time::ZERO, candidate)
                .expect("useful")
                .priority
        });
        assert!(priorities.is_sorted(), "{stack}: {priorities:?}");
    }
}

#[test]
fn a_cut_is_reported_and_so_is_its_healing() {
    for stacks in combinations() {
        let mut cable = Cable::new(stacks, 14, open);
        cable.trickle(0, host(A));
        cable.trickle(1, host(B));
        cable.start();
        connect(&mut cable, stacks);

        cable.path = cut;
        let told = |cable: &Cable| {
            [0, 1].iter().all(|&side| {
                cable.events[side]
                    .iter()
                    .any(|(_, event)| *event == IceEvent::Disconnected)
            })
        };
        let done = cable.run(cable.now + Duration::from_secs(40), told);
        assert!(done, "{stacks:?} noticed nothing: {:?}", cable.events);
    }
    // Checks go on while disconnected in rtc-ice alone; `is` has removed the pair.
    let mut cable = Cable::new([Stack::Rtc; 2], 15, open);
    cable.trickle(0, host(A));
    cable.trickle(1, host(B));
    cable.start();
    connect(&mut cable, [Stack::Rtc; 2]);
    cable.path = cut;
    let lost = |cable: &Cable| cable.selected(0).is_none() && cable.selected(1).is_none();
    assert!(cable.run(cable.now + Duration::from_secs(10), lost));
    cable.path = open;
    connect(&mut cable, [Stack::Rtc; 2]);
}

#[test]
fn a_selection_is_reported_once() {
    for stacks in combinations() {
        let mut cable = Cable::new(stacks, 16, open);
        cable.trickle(0, host(A));
        cable.trickle(1, host(B));
        cable.start();
        cable.run(Time::from_millis(60_000), |_| false);
        assert_eq!(
            (cable.events[0].len(), cable.events[1].len()),
            (1, 1),
            "{:?}",
            cable.events
        );
    }
}

#[test]
fn a_role_conflict_is_resolved() {
    for stacks in combinations() {
        for role in [Role::Controlling, Role::Controlled] {
            // Either side may hold the higher tie-breaker.
            for seed in 0..8 {
                let mut cable = Cable::with_roles(stacks, [role; 2], seed, open);
                cable.trickle(0, host(A));
                cable.trickle(1, host(B));
                cable.start();
                connect(&mut cable, stacks);
            }
        }
    }
}
