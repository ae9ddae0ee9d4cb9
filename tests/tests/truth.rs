//! Who can connect to whom, by the [derivation](pinhole_tests::truth), held against real stacks on
//! the simulator.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pinhole::Time;
use pinhole::nat::FilterMemory;
use pinhole_scenarios::call::{CallConfig, Caller, PathClass, TurnOffer, TurnTransport};
use pinhole_scenarios::ice::Stack;
use pinhole_tests::truth::{
    Filtering, KINDS, MEMORIES, Mapping, Memory, Network, class, connects, passes, symmetric,
};

/// Over what a host on a network of this kind reaches a TURN server that offers these transports on
/// UDP 3478, TCP 3478 and TLS 443, tried in this order.
fn way_to_turn(kind: &str, offer: &TurnOffer) -> Option<TurnTransport> {
    let passes = |transport: &&TurnTransport| match transport {
        TurnTransport::Udp => Network::named(kind).passes_udp,
        TurnTransport::Tcp => kind != "tcp-443-only",
        TurnTransport::Tls => true,
    };
    offer.transports().iter().find(passes).copied()
}

/// Between two networks of which one at least lets no UDP pass, nothing but a relay connects. A side
/// that passes no UDP needs a relayed address of its own, got over something else; the other side
/// can send to that one, from itself or from a relayed address.
fn is_relayed_past_blocks(kinds: [&str; 2], offer: &TurnOffer) -> bool {
    kinds
        .into_iter()
        .filter(|kind| !Network::named(kind).passes_udp)
        .all(|kind| way_to_turn(kind, offer).is_some())
}

/// The same question answered by trying: endpoints as symbols, and all that can happen happening
/// until nothing new does.
mod by_trying {
    use super::*;

    /// Whose address, and the how manyth port there.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    struct Endpoint {
        address: usize,
        port: usize,
    }

    const SERVER: Endpoint = Endpoint {
        address: 2,
        port: 0,
    };

    /// The destination's address and port, as far as the mapping looks at them.
    type Key = (Option<usize>, Option<usize>);

    struct Side {
        network: Network,
        memory: Memory,
        address: usize,
        mappings: Vec<(Key, Endpoint)>,
        /// From which external endpoint to whom.
        sent: Vec<(Endpoint, Endpoint)>,
        /// The other side's candidates.
        candidates: Vec<Endpoint>,
        /// Whether a check was answered.
        succeeded: bool,
    }

    impl Side {
        fn send(&mut self, to: Endpoint) -> Endpoint {
            let key = match self.network.mapping {
                Mapping::Eim => (None, None),
                Mapping::Adm => (Some(to.address), None),
                Mapping::Apdm => (Some(to.address), Some(to.port)),
            };
            let known = self.mappings.iter().find(|(made_for, _)| *made_for == key);
            let from = known.map(|(_, external)| *external);
            let from = from.unwrap_or(Endpoint {
                address: self.address,
                port: self.mappings.len(),
            });
            if from.port == self.mappings.len() {
                self.mappings.push((key, from));
            }
            if !self.sent.contains(&(from, to)) {
                self.sent.push((from, to));
            }
            from
        }

        fn admits(&self, from: Endpoint, to: Endpoint) -> bool {
            let mut remembered = self
                .sent
                .iter()
                .filter(|(through, _)| self.memory == Memory::Endpoint || *through == to);
            let is_mapped = self.mappings.iter().any(|(_, external)| *external == to);
            is_mapped
                && match self.network.filtering {
                    Filtering::Eif => true,
                    Filtering::Adf => remembered.any(|(_, to)| to.address == from.address),
                    Filtering::Apdf => remembered.any(|(_, to)| *to == from),
                }
        }
    }

    /// Whether a check of each side is answered in the end; `strict` if responses count only from
    /// where the request went (RFC 8445 §7.2.5.2.1).
    pub(super) fn connects(networks: [Network; 2], memory: Memory, strict: bool) -> bool {
        if !networks.iter().all(|network| network.passes_udp) {
            return false;
        }
        let mut sides = [0, 1].map(|address| Side {
            network: networks[address],
            memory,
            address,
            mappings: Vec::new(),
            sent: Vec::new(),
            candidates: Vec::new(),
            succeeded: false,
        });
        let [a, b] = &mut sides;
        a.candidates.push(b.send(SERVER));
        b.candidates.push(a.send(SERVER));
        // Mappings, open pinholes, known candidates only ever become more, so order doesn't matter.
        // Between two apdm networks they become more forever; what isn't possible after so many
        // rounds differs from the round before only in its port numbers.
        for _ in 0..8 {
            for me in 0..2 {
                for to in sides[me].candidates.clone() {
                    let from = sides[me].send(to);
                    let peer = &mut sides[1 - me];
                    if !peer.admits(from, to) {
                        continue;
                    }
                    if !peer.candidates.contains(&from) {
                        peer.candidates.push(from);
                    }
                    let answered_from = peer.send(from);
                    let counts = answered_from == to || !strict;
                    if counts && sides[me].admits(answered_from, from) {
                        sides[me].succeeded = true;
                    }
                }
            }
        }
        sides.iter().all(|side| side.succeeded)
    }
}

#[test]
fn the_formula_says_what_trying_says() {
    let mut connected = BTreeMap::new();
    for a in KINDS {
        for b in KINDS {
            for memory in MEMORIES {
                let networks = [a, b].map(Network::named);
                let [one, other] = networks;
                let strictly = by_trying::connects(networks, memory, true);
                let loosely = by_trying::connects(networks, memory, false);
                assert_eq!(
                    connects(one, other, memory),
                    strictly,
                    "{a} {b} {memory:?}, strictly"
                );
                assert_eq!(
                    passes(one, other, memory),
                    loosely,
                    "{a} {b} {memory:?}, loosely"
                );
                *connected.entry(memory).or_insert(0) += u32::from(strictly);
            }
        }
    }
    // So that neither form can be weakened unseen: of 144 ordered pairs that pass UDP so many
    // connect.
    assert_eq!(connected[&Memory::Endpoint], 96);
    assert_eq!(connected[&Memory::Mapping], 93);
}

#[test]
fn the_best_known_pairs_come_out_as_everybody_knows() {
    for (a, b, expected) in [
        ("nat:eim/apdf", "nat:eim/apdf", Some(PathClass::Reflexive)),
        ("nat:eim/apdf", "nat:apdm/apdf", None),
        ("nat:eim/adf", "nat:apdm/apdf", Some(PathClass::Reflexive)),
        ("nat:apdm/apdf", "nat:apdm/apdf", None),
        ("open", "nat:apdm/apdf", Some(PathClass::Reflexive)),
        ("firewall:apdf", "firewall:apdf", Some(PathClass::Direct)),
        ("open", "udp-blocked", None),
    ] {
        let [one, other] = [a, b].map(Network::named);
        assert_eq!(
            class(one, other, Memory::Endpoint, false),
            expected,
            "{a} {b}"
        );
    }
}

/// A call that was made, or will be.
#[derive(Clone, Debug)]
struct Case {
    kinds: [&'static str; 2],
    stacks: [Stack; 2],
    memory: Memory,
    turn: bool,
    config: CallConfig,
}

impl Case {
    fn networks(&self) -> [Network; 2] {
        self.kinds.map(Network::named)
    }

    /// What the RFCs say.
    fn truth(&self) -> Option<PathClass> {
        let [a, b] = self.networks();
        class(a, b, self.memory, self.turn)
    }

    /// What a stack does instead, where one has its own way. Nothing here is a wish; each was
    /// followed through recordings packet by packet.
    fn habit(&self) -> Option<Habit> {
        use Stack::{Is, Rtc};
        let [a, b] = self.networks();
        let asymmetric = passes(a, b, self.memory) && !symmetric(a, b);
        match self.stacks {
            [Is, Is] if asymmetric => Some(Habit::AsymmetricAnswers),
            [Is, Rtc] if self.turn && self.split() => Some(Habit::SecondNomination),
            _ => None,
        }
    }

    /// The pairs of [`Habit::SecondNomination`].
    fn split(&self) -> bool {
        let [_, b] = self.networks();
        self.memory == Memory::Mapping
            && self.kinds[0] == "firewall:adf"
            && b.mapping != Mapping::Eim
            && b.filtering != Filtering::Eif
    }

    fn expected(&self) -> Option<PathClass> {
        match self.habit() {
            None => self.truth(),
            Some(Habit::AsymmetricAnswers) => Some(PathClass::Reflexive),
            Some(Habit::SecondNomination) => Some(PathClass::Relayed),
        }
    }
}

/// Where the stacks leave the RFCs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Habit {
    /// `is` takes a response from wherever it comes, by its transaction id alone. RFC 8445
    /// §7.2.5.2.1 wants it from where the request went, and `rtc-ice` sees to that. So `is` and `is`
    /// connect between two apdm networks with open filters, where the RFC has no way: each sends to
    /// a mapping that the other never sends from, and the filters let it.
    ///
    /// When `is` calls `rtc-ice` there, it nominates a pair that works for it alone, and hears
    /// nothing. What connects the two in the end is no stack's doing: the endpoint falls back on
    /// relays ([`DEAFNESS`](pinhole_scenarios::call::DEAFNESS)).
    AsymmetricAnswers,
    /// `is` nominates what works first, and again what works better later. RFC 8445 §8.1.1 allows
    /// one nomination, and `rtc-ice` as the controlled side stays with the first: it sends over the
    /// relay, `is` over the better way. Here the better way is late: only B's check can open it
    /// (A's are refused by B's filter), A's filter refuses that until A has sent to B's address,
    /// at 200 ms, and `rtc-ice` has spent a burst of checks before and repeats them at 342 ms.
    /// The relay answers at 368 ms, the better way at 408 ms.
    SecondNomination,
}

const STACKS: [[Stack; 2]; 4] = [
    [Stack::Is, Stack::Is],
    [Stack::Rtc, Stack::Rtc],
    [Stack::Is, Stack::Rtc],
    [Stack::Rtc, Stack::Is],
];

/// Every ordered pair of kinds, both memories, all stacks, with and without TURN.
fn cases(adjust: impl Fn(usize, &mut CallConfig)) -> Vec<Case> {
    let mut cases = Vec::new();
    for stacks in STACKS {
        for memory in MEMORIES {
            for turn in [false, true] {
                for a in KINDS {
                    for b in KINDS {
                        let [one, other] = [a, b].map(|kind| kind.parse().unwrap());
                        let mut config = CallConfig {
                            stacks,
                            turn: if turn {
                                "udp".parse().unwrap()
                            } else {
                                TurnOffer::OFF
                            },
                            filter_memory: match memory {
                                Memory::Endpoint => FilterMemory::InternalEndpoint,
                                Memory::Mapping => FilterMemory::Mapping,
                            },
                            ..CallConfig::new(one, other)
                        };
                        adjust(cases.len(), &mut config);
                        cases.push(Case {
                            kinds: [a, b],
                            stacks,
                            memory,
                            turn,
                            config,
                        });
                    }
                }
            }
        }
    }
    cases
}

/// Makes the calls, on two threads, and returns those whose outcome isn't right.
fn differing(
    cases: &[Case],
    is_right: impl Fn(&Case, Option<PathClass>) -> bool + Sync,
) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let differing = Mutex::new(BTreeMap::new());
    let work = || {
        let mut caller = Caller::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = cases.get(place) else { return };
            let outcome = caller.call(&case.config).unwrap().outcome;
            let seen = outcome.path_class();
            if !is_right(case, seen) || !outcome.findings.is_empty() {
                let Case {
                    kinds: [a, b],
                    stacks: [one, other],
                    memory,
                    turn,
                    config,
                } = case;
                let line = format!(
                    "{one}: {a} to {other}: {b}, memory per {memory:?}, TURN {turn}, seed {}, delay {:?}, signaling {:?}, trickle {}: {seen:?}, by the RFCs {:?} {:?}",
                    config.seed,
                    config.delay,
                    config.signaling_delay,
                    config.trickle,
                    case.truth(),
                    outcome.findings,
                );
                differing.lock().unwrap().insert(place, line);
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    differing.into_inner().unwrap().into_values().collect()
}

fn assert_none(differing: &[String]) {
    assert!(
        differing.is_empty(),
        "{} calls differ:\n{}",
        differing.len(),
        differing.join("\n")
    );
}

/// The whole matrix, each call with a seed of its own. Calls that don't connect are given up after
/// 10 s: the slowest connection comes after 2.5 s, and the endless chase between apdm networks costs
/// more the longer it is watched.
#[test]
fn every_cell_is_as_the_rfcs_say() {
    let cases = cases(|place, config| {
        config.seed = place as u64;
        config.until = Time::from_millis(10_000);
    });
    assert_none(&differing(&cases, |case, seen| seen == case.expected()));
}

/// Where one side at least lets no UDP pass, over each offer that a service can make.
#[test]
fn blocked_networks_are_relayed_over_what_gets_through() {
    let kinds = [
        "open",
        "firewall:apdf",
        "nat:eim/apdf",
        "nat:apdm/apdf",
        "udp-blocked",
        "tcp-443-only",
    ];
    let offers = ["off", "udp", "tcp", "tls", "udp,tcp", "tcp,tls", "all"];
    let (mut caller, mut connected) = (Caller::new(), 0);
    for stacks in STACKS {
        for offer in offers.map(|offer| offer.parse::<TurnOffer>().unwrap()) {
            for a in kinds {
                for b in kinds {
                    if [a, b].map(Network::named).iter().all(|one| one.passes_udp) {
                        continue;
                    }
                    let config = CallConfig {
                        stacks,
                        turn: offer.clone(),
                        until: Time::from_millis(10_000),
                        ..CallConfig::new(a.parse().unwrap(), b.parse().unwrap())
                    };
                    let outcome = caller.call(&config).unwrap().outcome;
                    let what = format!("{stacks:?}: {a} to {b}, TURN {offer}");
                    let relayed = is_relayed_past_blocks([a, b], &offer);
                    let expected = relayed.then_some(PathClass::Relayed);
                    assert_eq!(outcome.path_class(), expected, "{what}");
                    let Some(connection) = outcome.connection else {
                        continue;
                    };
                    connected += 1;
                    let seen = connection.relay_transports;
                    for (kind, seen) in [a, b].into_iter().zip(seen) {
                        if !Network::named(kind).passes_udp {
                            assert_eq!(seen, way_to_turn(kind, &offer), "{what}");
                        }
                    }
                    assert_eq!(connection.relay_transport, seen[0].max(seen[1]), "{what}");
                }
            }
        }
    }
    // 20 pairs, 9 without tcp-443-only: all over TLS, those 9 over TCP, none over UDP.
    assert_eq!(connected, 4 * (3 * 20 + 2 * 9));
}

/// With TURN and slow signaling, a call between networks that could do without may stay relayed.
///
/// B's checks begin when the offer is there, A's a round of signaling later. Meanwhile B's check from
/// its relayed address gets in at A, whose filter is address-dependent: A has written to the TURN
/// server's address to get a relay of its own. A knows nothing of that candidate yet, so to A it is
/// peer-reflexive, with the priority that the check names, and that one is made with the preference
/// of peer-reflexive candidates, 110, above the 100 of server-reflexive ones (RFC 8445 §7.1.1,
/// §5.1.2.2). The candidate is signaled later, but the pair keeps its rank in both stacks: a way over
/// the relay outranks the server-reflexive one. `is` has an answer on that one 94 ms after it
/// nominated, and changes nothing; `rtc-ice` nominates the relay after the 1 s that it waits for a
/// peer-reflexive candidate, not after the 2 s for a relayed one.
#[test]
fn a_relay_that_is_known_by_its_check_first_outranks_a_better_way() {
    let class = |stack, signaling| {
        let kind = || "nat:eim/adf".parse().unwrap();
        let config = CallConfig {
            stacks: [stack; 2],
            signaling_delay: Duration::from_millis(signaling),
            ..CallConfig::new(kind(), kind())
        };
        let mut caller = Caller::new();
        caller.call(&config).unwrap().outcome.path_class()
    };
    for stack in Stack::ALL {
        assert_eq!(class(stack, 50), Some(PathClass::Reflexive), "{stack}");
        assert_eq!(class(stack, 300), Some(PathClass::Relayed), "{stack}");
    }
}

/// The same with other delays and seeds, with and without trickling; and once to the bitter end.
/// Run it with `cargo test --release -p pinhole-tests --test truth -- --ignored --nocapture`.
///
/// Without TURN, timing must change nothing. With TURN it may: a relay that is nominated early or
/// outranks the better way keeps the call (see above, and [`Habit::SecondNomination`]). How often
/// that happens is printed; that the call connects, and over nothing better than there is, is
/// asserted.
#[test]
#[ignore = "takes ten minutes"]
fn a_sweep() {
    let mut all = cases(|place, config| config.seed = place as u64);
    for delay in [5, 20, 100] {
        for signaling in [10, 50, 300] {
            for trickle in [true, false] {
                for seed in 1..=2 {
                    all.extend(cases(|place, config| {
                        config.seed = 1_000_000 * seed + place as u64;
                        config.delay = Duration::from_millis(delay);
                        config.signaling_delay = Duration::from_millis(signaling);
                        config.trickle = trickle.into();
                        config.until = Time::from_millis(10_000);
                    }));
                }
            }
        }
    }
    println!("{} calls", all.len());
    let stayed: Mutex<BTreeMap<_, u32>> = Mutex::default();
    let may_be = |case: &Case, seen: Option<PathClass>| {
        let best = match case.habit() {
            Some(Habit::AsymmetricAnswers) => Some(PathClass::Reflexive),
            _ => case.truth(),
        };
        if seen == best {
            return true;
        }
        let Case {
            stacks: [a, b],
            config,
            ..
        } = case;
        let setting = (config.delay, config.signaling_delay, config.trickle);
        let what = (a.to_string(), b.to_string(), setting);
        *stayed.lock().unwrap().entry(what).or_insert(0) += 1;
        case.turn && best.is_some() && seen == Some(PathClass::Relayed)
    };
    assert_none(&differing(&all, may_be));
    for ((a, b, (delay, signaling, trickle)), count) in stayed.into_inner().unwrap() {
        println!(
            "{a} to {b}, delay {delay:?}, signaling {signaling:?}, trickle {trickle}: {count} calls \
             stayed with a relay that they could do without"
        );
    }
}
