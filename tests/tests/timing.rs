//! When things happen in a call, from first principles: one-way delays, round trips and what the
//! stacks wait for. Virtual time is exact, so the bounds are.
//!
//! ```text
//!   A ──1 ms── edge ──d/2── core ──d/2── edge ──1 ms── B
//!                            └──d/2── STUN and TURN server
//! ```
//!
//! With `d` for `--delay-ms` and `s` for the signaling delay, in milliseconds:
//! - *h* = d + 2: from one host to the other. NATs and firewalls take no time.
//! - *G* = 2 (d + 1): a round trip to a server, which has no local network.

use std::time::Duration;

use pinhole::trace::{Event, Fate, Recording};
use pinhole::{NodeId, Time};
use pinhole_scenarios::call::{
    CallConfig, Caller, Data, Milestone, PathClass, Peer, Side, TurnOffer,
};
use pinhole_scenarios::ice::{CandidateType, Stack};

/// Ta, the time between two checks of `is` (RFC 8445 §14.2): also before its first.
const TA: u64 = 50;

/// The least time between two requests of the TURN client.
const TURN_PACE: u64 = 50;

const DELAYS: [u64; 4] = [5, 20, 40, 100];
const SIGNALING: [u64; 8] = [0, 10, 20, 50, 60, 100, 200, 300];

fn millis(time: Time) -> u64 {
    assert_eq!(time.as_nanos() % 1_000_000, 0, "{time} is a whole number");
    time.as_nanos() / 1_000_000
}

/// From host to host.
fn h(delay: u64) -> u64 {
    delay + 2
}

/// To a server and back.
fn g(delay: u64) -> u64 {
    2 * (delay + 1)
}

fn config(kinds: [&str; 2], stack: Stack, delay: u64, signaling: u64) -> CallConfig {
    let [a, b] = kinds.map(|kind| kind.parse().unwrap());
    CallConfig {
        stacks: [stack; 2],
        turn: TurnOffer::OFF,
        delay: Duration::from_millis(delay),
        signaling_delay: Duration::from_millis(signaling),
        ..CallConfig::new(a, b)
    }
}

/// When both sides had data.
fn connected(config: &CallConfig) -> u64 {
    let mut caller = Caller::new();
    let outcome = caller.call(config).unwrap().outcome;
    millis(outcome.connection.expect("it connects").at)
}

/// The time of the first milestone of a side's that fits.
fn reached(config: &CallConfig, side: Side, fits: impl Fn(&Milestone) -> bool) -> u64 {
    let mut caller = Caller::new();
    let call = caller.call(config).unwrap();
    let peer: &Peer = call.net.program(call.peers[side.index()]);
    let mut milestones = peer.milestones().iter();
    let (time, _) = milestones
        .find(|(_, milestone)| fits(milestone))
        .expect("it is reached");
    millis(*time)
}

fn gathered(kind: CandidateType) -> impl Fn(&Milestone) -> bool {
    move |milestone| matches!(milestone, Milestone::Gathered(found) if found.kind == kind)
}

/// One round trip, and one local network more for each further edge.
#[test]
fn a_reflexive_candidate_takes_one_round_trip() {
    for delay in DELAYS {
        for (kind, edges) in [
            ("open", 1),
            ("firewall:apdf", 1),
            ("nat:apdm/apdf", 1),
            ("nat:eim/apdf>nat:eim/eif", 2),
            ("nat:eim/apdf>nat:eim/eif>firewall:adf", 3),
        ] {
            let config = config([kind, "open"], Stack::Is, delay, 50);
            let at = reached(&config, Side::A, gathered(CandidateType::ServerReflexive));
            assert_eq!(at, 2 * (delay + edges), "{kind}, {delay} ms");
        }
    }
}

/// Two round trips: the first request has no credentials, and its answer brings realm and nonce
/// (RFC 8489 §9.2). The second is sent when the first is answered, but not before its turn.
#[test]
fn a_relayed_candidate_takes_two_round_trips_and_its_turn() {
    for delay in DELAYS {
        let config = CallConfig {
            turn: "udp".parse().unwrap(),
            ..config(["nat:eim/apdf", "open"], Stack::Is, delay, 50)
        };
        let at = reached(&config, Side::A, gathered(CandidateType::Relayed));
        assert_eq!(at, g(delay).max(TURN_PACE) + g(delay), "{delay} ms");
    }
}

/// B hears of the call after one signal, A of B after two. Without trickling each signal waits for
/// its sender's gathering: one round trip to the STUN server; with TURN, for the allocation.
#[test]
fn signals_arrive_when_they_were_sent_and_travelled() {
    for delay in DELAYS {
        for signaling in SIGNALING {
            for (trickle, turn, wait) in [
                (true, "off", 0),
                (true, "udp", 0),
                (false, "off", g(delay)),
                (false, "udp", g(delay).max(TURN_PACE) + g(delay)),
            ] {
                let config = CallConfig {
                    trickle: trickle.into(),
                    turn: turn.parse().unwrap(),
                    ..config(["open", "open"], Stack::Is, delay, signaling)
                };
                let began = reached(&config, Side::B, |what| *what == Milestone::Began);
                assert_eq!(began, wait + signaling);
                let started = reached(&config, Side::A, |what| *what == Milestone::Started);
                assert_eq!(started, 2 * (wait + signaling));
            }
        }
    }
}

/// `rtc-ice` checks at once when it starts. Five ways after A has started both have data:
///
/// 1. A's check gets to B, 2. its answer to A, who nominates; 3. the nomination to B, who has
///    checked A meanwhile, selects the pair and sends data; 4. the nomination's answer to A, who
///    selects the pair too and sends data; 5. that data to B.
#[test]
fn rtc_ice_connects_directly_five_ways_after_the_answer() {
    for delay in DELAYS {
        for signaling in SIGNALING {
            let config = config(["open", "open"], Stack::Rtc, delay, signaling);
            assert_eq!(
                connected(&config),
                2 * signaling + 5 * h(delay),
                "{delay} ms, signaling {signaling} ms"
            );
        }
    }
}

/// `is` sends its first check Ta after it started, and then one each Ta; a datagram that comes in
/// starts the count anew and lets a check go at once. So A's first check leaves at the earlier of
///
/// - Ta after A's start,
/// - the arrival of B's first check, which was sent Ta after B's start; if A hasn't started by
///   then, a whole number of Ta later.
///
/// Four ways later both have data: 1. the check gets to B, 2. its answer to A, who nominates and
/// sends data at once; 3. both to B, whose own check was answered before, and who sends data; 4.
/// that to A.
#[test]
fn is_connects_directly_four_ways_after_its_first_check() {
    for delay in DELAYS {
        for signaling in SIGNALING {
            for trickle in [true, false] {
                let wait = if trickle { 0 } else { g(delay) };
                let (b_starts, a_starts) = (wait + signaling, 2 * (wait + signaling));
                let heard = b_starts + TA + h(delay);
                let late = a_starts.saturating_sub(heard);
                if late > 0 && late % TA == 0 {
                    // A turn at the very moment of the start may come before it or after.
                    continue;
                }
                let ticks = late.div_ceil(TA);
                let first_check = (a_starts + TA).min(heard + ticks * TA);
                let config = CallConfig {
                    trickle: trickle.into(),
                    ..config(["open", "open"], Stack::Is, delay, signaling)
                };
                assert_eq!(
                    connected(&config),
                    first_check + 4 * h(delay),
                    "{delay} ms, signaling {signaling} ms, trickle {trickle}"
                );
            }
        }
    }
}

/// Between two NATs the pair of private addresses has the highest priority and is checked first, in
/// vain. The pair that works is checked one Ta later, and all else follows one Ta later. (While
/// B's check reaches an A that has started, and A's reflexive candidate B before its second check.)
#[test]
fn private_addresses_cost_is_one_turn() {
    for delay in [10, 20, 30, 40] {
        let open = connected(&config(["open", "open"], Stack::Is, delay, 50));
        let kind = "nat:eim/eif";
        let nats = connected(&config([kind, kind], Stack::Is, delay, 50));
        assert_eq!(nats, open + TA, "{delay} ms");
    }
}

/// `rtc-ice` waits for something better before it nominates a relay: more than 2 s from the start,
/// and then until the next round of checks, which come 200 ms apart. The pair is selected when the
/// nominating check is answered: to the other side over the relay and back.
#[test]
fn rtc_ice_gives_better_ways_two_seconds() {
    for delay in DELAYS {
        let kind = "nat:apdm/apdf";
        let config = CallConfig {
            turn: "udp".parse().unwrap(),
            ..config([kind, kind], Stack::Rtc, delay, 50)
        };
        let started = reached(&config, Side::A, |what| *what == Milestone::Started);
        let selected = reached(&config, Side::A, |what| {
            matches!(what, Milestone::Selected { .. })
        });
        let answered = 2 * g(delay);
        let waited = selected - started - answered;
        assert!((2_000..=2_200).contains(&waited), "{delay} ms: {waited} ms");
    }
}

/// What each datagram of data took from one host to the other, whatever relays it passed.
fn journeys(recording: &Recording, from: NodeId, to: NodeId) -> Vec<u64> {
    // Data is found in its TURN framing as it is without.
    let data = |payload: &[u8]| (0..payload.len()).find_map(|at| data_at(payload, at));
    let mut sent = Vec::new();
    let mut journeys = Vec::new();
    for record in recording.records() {
        let packet = recording.packet(record.packet);
        let Some(data) = data(recording.payload(record.packet)) else {
            continue;
        };
        if packet.origin == from {
            sent.push((data, packet.time));
        }
        if record.event == Event::Ended(Fate::Delivered { host: to }) {
            let (_, begun) = sent.iter().find(|(known, _)| *known == data).unwrap();
            journeys.push((record.time - *begun).as_millis() as u64);
        }
    }
    journeys
}

fn data_at(payload: &[u8], at: usize) -> Option<Data> {
    let some = Data {
        sender: Side::A,
        sequence: 0,
    };
    Data::from_bytes(payload.get(at..at + some.to_bytes().len())?)
}

/// A way over a relay is two ways to a server; the relay itself takes no time. A direct way is h.
#[test]
fn a_relayed_way_is_two_ways_to_the_server() {
    for delay in DELAYS {
        for (kind, class, journey) in [
            ("open", PathClass::Direct, h(delay)),
            ("nat:eim/apdf", PathClass::Reflexive, h(delay)),
            ("nat:apdm/apdf", PathClass::Relayed, g(delay)),
        ] {
            for stack in Stack::ALL {
                let config = CallConfig {
                    turn: "udp".parse().unwrap(),
                    ..config([kind, kind], stack, delay, 50)
                };
                let mut caller = Caller::recording();
                let call = caller.call(&config).unwrap();
                assert_eq!(call.outcome.path_class(), Some(class));
                let recording = call.net.trace().recording().unwrap();
                for side in Side::BOTH {
                    let [from, to] =
                        [side, side.other()].map(|side| call.scene.hosts[side.index()]);
                    let journeys = journeys(recording, from, to);
                    // Data of the path that the call ended with: it may have begun with another.
                    assert_eq!(
                        journeys.last(),
                        Some(&journey),
                        "{kind}, {stack}, {delay} ms"
                    );
                }
            }
        }
    }
}

/// With no local network in the way nothing would be left but multiples of `d`. With it, whatever
/// has no timer in it grows by as many ways as it has, to the nanosecond.
#[test]
fn a_longer_delay_scales_what_has_no_timer() {
    let at = |delay| connected(&config(["open", "open"], Stack::Rtc, delay, 0));
    for delay in DELAYS {
        assert_eq!(at(2 * delay) - at(delay), 5 * delay);
    }
}
