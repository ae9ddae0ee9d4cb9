//! What faults do to a call, with both stacks: when the stack notices, when data flows again, and
//! what cannot recover, with the reason. Times are exact: they follow from the stacks' constants and
//! from the way, which is 42 ms between two homes (1 + 10 + 10 … 20 + 1 ms each way) and 22 ms from a
//! home to a public host. Data is sent every 100 ms.
//!
//! Constants that show: `is` repeats a check that stays unanswered 3, 0.5, 1, 2, 3, 3, 3 and 3 s after
//! the one before, and removes the pair 3 s after the ninth: 21.5 s after the first. In peace it
//! checks every 3 s. `rtc-ice` looks every 200 ms whether it has heard STUN from the peer in the last
//! 5 s (else it is disconnected) and 30 s (else it has failed); in peace it checks every 2 s. A start
//! is given up after 18.75 s by `is`, after 30 s by `rtc-ice`.

use pinhole::{Family, Time};
use pinhole_scenarios::call::{
    CallConfig, CallError, CallFault, CallOutcome, Caller, Course, Milestone, PathClass,
    RestartPolicy, Side,
};
use pinhole_scenarios::ice::Stack;
use proptest::prelude::*;

use PathClass::{Direct, Reflexive, Relayed};
use Side::{A, B};
use Stack::{Is, Rtc};

const NEVER: RestartPolicy = RestartPolicy::NEVER;
const ALWAYS: RestartPolicy = RestartPolicy::ALWAYS;

/// When the fault of most tests strikes.
const STRIKES: u64 = 10_000;

fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

fn name(text: &str) -> String {
    text.to_owned()
}

fn reboot(node: &str, external: Option<&str>) -> CallFault {
    CallFault::Reboot {
        node: name(node),
        external: external
            .map(|new| new.parse().unwrap())
            .into_iter()
            .collect(),
    }
}

fn ends(one: &str, other: &str) -> [String; 2] {
    [name(one), name(other)]
}

fn config(kinds: [&str; 2], stack: Stack, faults: &[(u64, CallFault)]) -> CallConfig {
    let [a, b] = kinds.map(|kind| kind.parse().unwrap());
    CallConfig {
        stacks: [stack; 2],
        turn: "off".parse().unwrap(),
        faults: faults
            .iter()
            .map(|(time, fault)| (at(*time), fault.clone()))
            .collect(),
        until: at(120_000),
        ..CallConfig::new(a, b)
    }
}

fn outcome(config: &CallConfig) -> CallOutcome {
    let mut caller = Caller::new();
    let outcome = caller.call(config).expect("the call can be made").outcome;
    assert_eq!(outcome.findings, []);
    assert_eq!(outcome.packets.in_flight, 0);
    outcome
}

fn course(config: CallConfig, restart: RestartPolicy) -> Course {
    let config = CallConfig { restart, ..config };
    outcome(&config).course.expect("a call with faults has one")
}

fn millis(time: Time) -> u64 {
    assert_eq!(
        time.as_nanos() % 1_000_000,
        0,
        "{time} is a whole number of ms"
    );
    time.as_nanos() / 1_000_000
}

/// When one side's data stopped to arrive, and when it did again.
fn gaps(course: &Course, sender: Side) -> Vec<(u64, Option<u64>)> {
    let gaps = course.interruptions_of(sender).into_iter();
    gaps.map(|gap| (millis(gap.from), gap.to.map(millis)))
        .collect()
}

/// What befell a side from the first fault on: times and words.
fn events(course: &Course, side: Side, from: u64) -> Vec<(u64, &'static str)> {
    let mine = course.events.iter();
    let mine = mine.filter(|(time, whose, _)| *whose == side && *time >= at(from));
    let word = |event: &Milestone| match event {
        Milestone::Selected { .. } => "selected",
        Milestone::Disconnected => "disconnected",
        Milestone::Failed => "failed",
        Milestone::NetworkChanged => "network changed",
        Milestone::AskedForRestart => "asked",
        Milestone::Restarted => "restarted",
        _ => "something of the beginning",
    };
    mine.map(|(time, _, event)| (millis(*time), word(event)))
        .collect()
}

const HOMES: [&str; 2] = ["nat:eim/apdf", "nat:eim/apdf"];

/// The next packet from inside makes the mapping anew, on the same port, for it is preserved, and
/// opens the filter: what is lost is what comes in before that.
#[test]
fn a_nat_that_comes_back_as_it_was_is_not_noticed() {
    for stack in Stack::ALL {
        for node in ["a.nat", "b.nat"] {
            for fault in [reboot(node, None), CallFault::Flush { node: name(node) }] {
                let course = course(config(HOMES, stack, &[(STRIKES, fault.clone())]), ALWAYS);
                assert_eq!(course.interruptions, [], "{stack} {fault:?}");
                for side in Side::BOTH {
                    assert_eq!(events(&course, side, 5_000), [], "{stack} {fault:?}");
                }
                assert_eq!(
                    (course.before, course.after),
                    (Some(Reflexive), Some(Reflexive))
                );
            }
        }
    }
}

/// Behind filters that look at the port neither can be reached at an address that the other has
/// never sent to: nothing short of new candidates over the signaling channel helps.
#[test]
fn a_new_address_behind_two_filters_needs_a_restart() {
    let faults = [(STRIKES, reboot("a.nat", Some("203.0.113.77")))];
    // The first check that stays unanswered is sent at 12,744 and 12,850 ms; 21.5 s more, and for b
    // one step of its pacing (50 ms).
    let lost = course(config(HOMES, Is, &faults), NEVER);
    assert_eq!(gaps(&lost, A), [(9_966, None)]);
    assert_eq!(gaps(&lost, B), [(9_966, None)]);
    assert_eq!(events(&lost, A, STRIKES), [(34_244, "disconnected")]);
    assert_eq!(events(&lost, B, STRIKES), [(34_400, "disconnected")]);
    assert_eq!((lost.before, lost.after), (Some(Reflexive), None));
    // A's offer takes 50 ms; then as at a call's start: 244 ms until a's check is answered, and b's
    // next try 200 ms later.
    let healed = course(config(HOMES, Is, &faults), ALWAYS);
    assert_eq!(
        events(&healed, A, STRIKES),
        [
            (34_244, "disconnected"),
            (34_244, "restarted"),
            (34_488, "selected")
        ]
    );
    assert_eq!(
        events(&healed, B, STRIKES),
        [(34_294, "restarted"), (34_688, "selected")]
    );
    assert_eq!(gaps(&healed, A), [(9_966, Some(34_510))]);
    assert_eq!(gaps(&healed, B), [(9_966, Some(34_710))]);
    assert_eq!(healed.after, Some(Reflexive));

    let lost = course(config(HOMES, Rtc, &faults), NEVER);
    assert_eq!(gaps(&lost, A), [(10_008, None)]);
    assert_eq!(gaps(&lost, B), [(9_986, None)]);
    assert_eq!(
        events(&lost, A, STRIKES),
        [(13_342, "disconnected"), (38_342, "failed")]
    );
    assert_eq!(
        events(&lost, B, STRIKES),
        [(13_292, "disconnected"), (38_292, "failed")]
    );
    let healed = course(config(HOMES, Rtc, &faults), ALWAYS);
    assert_eq!(
        events(&healed, A, STRIKES),
        [
            (13_342, "disconnected"),
            (13_342, "restarted"),
            (14_128, "selected")
        ]
    );
    assert_eq!(
        events(&healed, B, STRIKES),
        [
            (13_292, "disconnected"),
            (13_292, "asked"),
            (13_392, "restarted"),
            (14_106, "selected")
        ]
    );
    assert_eq!(gaps(&healed, A), [(10_008, Some(14_150))]);
    assert_eq!(gaps(&healed, B), [(9_986, Some(14_128))]);
}

/// Where the peer can hear a check from the new address, it learns a peer-reflexive candidate
/// (RFC 8445 §7.3.1.3). `is` goes over to it without a restart: with the next check where the new
/// pair has the higher priority, and where it is only as good, once the old pair has been removed.
#[test]
fn is_heals_by_a_peer_reflexive_candidate() {
    for restart in [NEVER, ALWAYS] {
        let faults = [(STRIKES, reboot("a.nat", Some("203.0.113.77")))];
        let healed = course(config(["nat:eim/apdf", "open"], Is, &faults), restart);
        // a checks every 3 s, the next time at 12,716; 22 ms there and 22 back, b's own check.
        assert_eq!(events(&healed, B, STRIKES), [(12_760, "selected")]);
        assert_eq!(events(&healed, A, STRIKES), []);
        assert_eq!(
            gaps(&healed, A),
            [],
            "a's data comes from a new address, and comes"
        );
        assert_eq!(gaps(&healed, B), [(9_938, Some(12_782))]);

        let faults = [(STRIKES, reboot("b.nat", Some("203.0.113.77")))];
        let healed = course(config(["open", "nat:eim/apdf"], Is, &faults), restart);
        // a's first unanswered check is that of 12,716; 21.5 s later the old pair is gone.
        assert_eq!(events(&healed, A, STRIKES), [(34_216, "selected")]);
        assert_eq!(events(&healed, B, STRIKES), []);
        assert_eq!(gaps(&healed, A), [(9_938, Some(34_238))]);
        assert_eq!(gaps(&healed, B), []);
    }
}

/// A NAT that takes another port after a flush looks to the peer as one with another address.
#[test]
fn a_flush_of_random_ports_is_a_new_address_to_the_peer() {
    let faults = [(
        STRIKES,
        CallFault::Flush {
            node: name("a.nat"),
        },
    )];
    let kinds = ["nat:apdm/apdf", "open"];
    let healed = course(config(kinds, Is, &faults), NEVER);
    // The old candidate was peer-reflexive too, so the new pair is as good, and waits for its end.
    assert_eq!(events(&healed, B, STRIKES), [(34_216, "selected")]);
    assert_eq!(gaps(&healed, A), []);
    assert_eq!(gaps(&healed, B), [(9_938, Some(34_238))]);
    let lost = course(config(kinds, Rtc, &faults), NEVER);
    assert_eq!(lost.after, None);
    let restarted = course(config(kinds, Rtc, &faults), ALWAYS);
    assert_eq!(gaps(&restarted, B), [(9_988, Some(13_602))]);
}

/// A finding: `rtc-ice` selects once. It answers the checks from the new address and learns the
/// candidate, but never leaves the pair that it has: its own data goes to the old address until it
/// has heard nothing from there for 30 s. Its peer is content meanwhile, for its checks are answered,
/// and fails 30 s after those answers stop.
#[test]
fn rtc_ice_does_not_heal_without_a_restart() {
    let faults = [(STRIKES, reboot("a.nat", Some("203.0.113.77")))];
    let kinds = ["nat:eim/apdf", "open"];
    let lost = course(config(kinds, Rtc, &faults), NEVER);
    assert_eq!(
        events(&lost, B, STRIKES),
        [(13_364, "disconnected"), (38_364, "failed")]
    );
    assert_eq!(
        events(&lost, A, STRIKES),
        [(43_342, "disconnected"), (68_342, "failed")]
    );
    assert_eq!(gaps(&lost, B), [(9_988, None)]);
    assert_eq!(
        gaps(&lost, A),
        [(68_310, None)],
        "one way it works that long"
    );
    let healed = course(config(kinds, Rtc, &faults), ALWAYS);
    // b notices, and asks a, who makes the offer.
    assert_eq!(
        events(&healed, B, STRIKES),
        [
            (13_364, "disconnected"),
            (13_364, "asked"),
            (13_464, "restarted"),
            (13_580, "selected")
        ]
    );
    assert_eq!(gaps(&healed, B), [(9_988, Some(13_602))]);
    assert_eq!(gaps(&healed, A), [], "its data flows on over the old pair");
}

/// The host knows at once, and so no time-out is waited for: an offer, an answer, the checks.
#[test]
fn a_host_that_roams_restarts_at_once() {
    for host in ["a", "b"] {
        let to = format!("{host}.mobile.nat");
        let host = name(host);
        let faults = [(STRIKES, CallFault::Roam { host, to })];
        let roaming = |stack| CallConfig {
            roams_to: [A, B].map(|_| Some("nat:eim/apdf".parse().unwrap())),
            ..config(HOMES, stack, &faults)
        };
        for stack in Stack::ALL {
            let lost = course(roaming(stack), NEVER);
            assert_eq!(
                lost.after, None,
                "no stack finds the new addresses by itself"
            );
            for side in Side::BOTH {
                assert_eq!(gaps(&lost, side).len(), 1);
            }
        }
        let healed = [Is, Rtc].map(|stack| course(roaming(stack), ALWAYS));
        for course in &healed {
            assert_eq!(
                (course.before, course.after),
                (Some(Reflexive), Some(Reflexive))
            );
        }
        let [is, rtc] = &healed;
        if faults[0].1
            == (CallFault::Roam {
                host: name("a"),
                to: name("a.mobile.nat"),
            })
        {
            assert_eq!(
                events(is, A, STRIKES),
                [
                    (10_000, "network changed"),
                    (10_000, "restarted"),
                    (10_244, "selected")
                ]
            );
            assert_eq!(gaps(is, A), [], "300 ms: not yet an interruption");
            assert_eq!(gaps(is, B), [(9_966, Some(10_466))]);
            // It waits 0.5 s from the start of checks before it nominates a reflexive pair.
            assert_eq!(gaps(rtc, A), [(10_008, Some(10_808))]);
            assert_eq!(gaps(rtc, B), [(9_986, Some(10_786))]);
        } else {
            // b asks, which takes 50 ms more.
            assert_eq!(
                events(is, B, STRIKES)[..3],
                [
                    (10_000, "network changed"),
                    (10_000, "asked"),
                    (10_100, "restarted")
                ]
            );
            assert_eq!(events(is, A, STRIKES)[0], (10_050, "restarted"));
            assert_eq!(gaps(is, B), [(9_966, Some(10_516))]);
            assert_eq!(gaps(rtc, B), [(9_986, Some(10_836))]);
        }
    }
}

fn outage(from: u64, to: u64) -> [(u64, CallFault); 2] {
    let link = ends("a.nat", "internet");
    let down = CallFault::LinkDown { link: link.clone() };
    [(from, down), (to, CallFault::LinkUp { link })]
}

/// Three seconds are less than either stack needs to lose a pair for good. Data is there again with
/// the first datagram that is sent after the link is up: at most 100 ms and a way of 42 ms later.
#[test]
fn a_link_that_is_down_for_three_seconds_costs_three_seconds() {
    for (stack, expected) in [
        (Is, [(9_966, 13_066); 2]),
        (Rtc, [(10_008, 13_108), (9_986, 13_086)]),
    ] {
        let course = course(config(HOMES, stack, &outage(STRIKES, 13_000)), NEVER);
        for side in Side::BOTH {
            let (from, to) = expected[side.index()];
            assert_eq!(gaps(&course, side), [(from, Some(to))], "{stack}");
            assert!((13_000..=13_142).contains(&to));
        }
        assert_eq!(course.after, Some(Reflexive));
        if stack == Rtc {
            // Its 5 s count from the last STUN it heard, 1.7 s before the cut, and it is still
            // "disconnected" until its next check is answered, while data flows.
            assert_eq!(
                events(&course, A, STRIKES),
                [(13_342, "disconnected"), (14_142, "selected")]
            );
            assert_eq!(
                events(&course, B, STRIKES),
                [(13_292, "disconnected"), (14_292, "selected")]
            );
        } else {
            assert_eq!(events(&course, A, STRIKES), []);
            assert_eq!(events(&course, B, STRIKES), []);
        }
    }
}

/// After a minute neither stack has a pair left to try: they are back only by a restart, and the
/// signaling channel must have held. Each try that fails is given up after 18.85 s (`is`: 18.75 s
/// and its pacing) or 30.1 s (`rtc-ice`); the first one after the link is back succeeds.
#[test]
fn a_link_that_is_down_for_a_minute_needs_a_restart() {
    for stack in Stack::ALL {
        let lost = course(config(HOMES, stack, &outage(STRIKES, 70_000)), NEVER);
        assert_eq!(lost.after, None, "{stack}");
        assert!(gaps(&lost, A)[0].1.is_none() && gaps(&lost, B)[0].1.is_none());
    }
    let is = course(config(HOMES, Is, &outage(STRIKES, 70_000)), ALWAYS);
    let restarts = |course: &Course, side| -> Vec<u64> {
        let events = events(course, side, STRIKES).into_iter();
        let restarts = events.filter(|(_, what)| *what == "restarted");
        restarts.map(|(time, _)| time).collect()
    };
    assert_eq!(restarts(&is, A), [34_244, 53_144, 72_044]);
    assert_eq!(gaps(&is, A), [(9_966, Some(72_310))]);
    assert_eq!(gaps(&is, B), [(9_966, Some(72_510))]);
    let rtc = course(config(HOMES, Rtc, &outage(STRIKES, 70_000)), ALWAYS);
    assert_eq!(restarts(&rtc, A), [13_342, 43_484, 73_626]);
    assert_eq!(gaps(&rtc, A), [(10_008, Some(74_434))]);
    assert_eq!(gaps(&rtc, B), [(9_986, Some(74_412))]);
    assert_eq!((is.after, rtc.after), (Some(Reflexive), Some(Reflexive)));
}

/// Both still reach the TURN server. `is` has kept its relayed pairs alive and changes over when the
/// better one is removed; `rtc-ice` keeps none, and needs a restart.
#[test]
fn parted_peers_meet_at_the_relay() {
    let between = ends("a", "b");
    let faults = [
        (
            STRIKES,
            CallFault::Partition {
                between: between.clone(),
            },
        ),
        (60_000, CallFault::Heal { between }),
    ];
    let with_turn = |stack| CallConfig {
        turn: "udp".parse().unwrap(),
        ..config(HOMES, stack, &faults)
    };
    let is = course(with_turn(Is), NEVER);
    assert_eq!((is.before, is.after), (Some(Reflexive), Some(Relayed)));
    assert_eq!(
        events(&is, A, STRIKES)[0],
        (34_266, "selected"),
        "21.5 s after its first unanswered check"
    );
    assert_eq!(
        events(&is, B, STRIKES)[..2],
        [(34_440, "disconnected"), (37_174, "selected")],
        "it waits for a's next check to nominate the pair"
    );
    assert_eq!(gaps(&is, A), [(9_966, Some(34_308))]);
    assert_eq!(gaps(&is, B), [(10_006, Some(37_216))]);
    let lost = course(with_turn(Rtc), NEVER);
    assert_eq!(
        lost.after, None,
        "one pair was ever nominated, and it is gone"
    );
    let rtc = course(with_turn(Rtc), ALWAYS);
    // 2 s more: so long it waits before it nominates a relayed pair.
    assert_eq!(gaps(&rtc, A), [(9_958, Some(15_710))]);
    assert_eq!(gaps(&rtc, B), [(9_936, Some(15_668))]);
    assert_eq!(
        rtc.after,
        Some(Relayed),
        "a healed partition makes nobody go back"
    );
}

/// The server has forgotten the allocations, and its clients don't know: RFC 8656 has it answer
/// nothing to data for an allocation that it doesn't have. The stacks notice by their checks; only a
/// restart makes new allocations.
#[test]
fn a_turn_server_that_restarts_ends_a_relayed_call_until_ice_is_restarted() {
    let faults = [(STRIKES, CallFault::Restart { node: name("turn") })];
    let relayed = |stack| CallConfig {
        turn: "udp".parse().unwrap(),
        ..config(["nat:apdm/apdf", "nat:apdm/apdf"], stack, &faults)
    };
    for stack in Stack::ALL {
        let lost = course(relayed(stack), NEVER);
        assert_eq!((lost.before, lost.after), (Some(Relayed), None), "{stack}");
    }
    let is = course(relayed(Is), ALWAYS);
    assert_eq!(
        events(&is, B, STRIKES)[..3],
        [
            (31_584, "disconnected"),
            (31_584, "asked"),
            (31_684, "restarted")
        ]
    );
    assert_eq!(gaps(&is, A), [(9_968, Some(32_052))]);
    assert_eq!(gaps(&is, B), [(9_960, Some(32_094))]);
    let rtc = course(relayed(Rtc), ALWAYS);
    assert_eq!(
        events(&rtc, A, STRIKES)[..2],
        [(13_676, "disconnected"), (13_676, "restarted")]
    );
    assert_eq!(gaps(&rtc, A), [(10_002, Some(16_078))]);
    assert_eq!(gaps(&rtc, B), [(9_960, Some(16_036))]);
    assert_eq!((is.after, rtc.after), (Some(Relayed), Some(Relayed)));
}

/// A dual-stack call runs over IPv6. When a loses it, `is` falls back to the IPv4 pair that it kept,
/// once the IPv6 pair is removed; `rtc-ice` doesn't. With a restart both are there in under a second.
#[test]
fn a_call_that_loses_ipv6_falls_back_to_ipv4() {
    let family = Family::V6;
    let host = name("a");
    let faults = [(STRIKES, CallFault::FamilyLost { host, family })];
    let dual = |stack| CallConfig {
        ipv6: [true; 2],
        ..config(HOMES, stack, &faults)
    };
    let is = course(dual(Is), NEVER);
    assert_eq!((is.before, is.after), (Some(Direct), Some(Reflexive)));
    assert_eq!(
        events(&is, A, STRIKES),
        [(10_000, "network changed"), (34_194, "selected")]
    );
    assert_eq!(gaps(&is, A), [(10_016, Some(34_216))]);
    assert_eq!(gaps(&is, B), [(9_926, Some(37_126))]);
    let lost = course(dual(Rtc), NEVER);
    assert_eq!((lost.before, lost.after), (Some(Direct), None));
    for (stack, [a, b]) in [
        (Is, [vec![], vec![(9_926, Some(10_466))]]),
        (
            Rtc,
            [vec![(10_008, Some(10_808))], vec![(9_986, Some(10_786))]],
        ),
    ] {
        let healed = course(dual(stack), ALWAYS);
        assert_eq!(
            (healed.before, healed.after),
            (Some(Direct), Some(Reflexive))
        );
        assert_eq!(gaps(&healed, A), a);
        assert_eq!(gaps(&healed, B), b);
    }
}

/// The family comes back: nobody is harmed, and with a restart the call is direct again.
#[test]
fn a_family_that_is_regained_is_used_again_after_a_restart() {
    let family = Family::V6;
    let host = || name("a");
    let faults = [
        (
            STRIKES,
            CallFault::FamilyLost {
                host: host(),
                family,
            },
        ),
        (
            20_000,
            CallFault::FamilyRegained {
                host: host(),
                family,
            },
        ),
    ];
    for stack in Stack::ALL {
        let dual = CallConfig {
            ipv6: [true; 2],
            ..config(HOMES, stack, &faults)
        };
        let course = course(dual, ALWAYS);
        assert_eq!(
            (course.before, course.after),
            (Some(Direct), Some(Direct)),
            "{stack}"
        );
    }
}

#[test]
fn the_same_seed_makes_the_same_call_whatever_goes_wrong() {
    for stack in Stack::ALL {
        let config = config(HOMES, stack, &outage(STRIKES, 70_000));
        let (one, other) = (outcome(&config), outcome(&config));
        assert_eq!(one.digest, other.digest, "{stack}");
        assert_eq!(one, other);
    }
}

/// A fault that comes too late to do anything changes nothing but how long the call lasts.
#[test]
fn a_call_is_connected_in_the_same_way_with_faults_to_come() {
    for stack in Stack::ALL {
        let faults = [(
            110_000,
            CallFault::Flush {
                node: name("a.nat"),
            },
        )];
        let lasting = outcome(&config(HOMES, stack, &faults));
        let short = outcome(&config(HOMES, stack, &[]));
        assert_eq!(lasting.connection, short.connection);
        assert_eq!(short.course, None);
    }
}

#[test]
fn what_cannot_go_wrong_is_refused_with_its_time() {
    for (fault, told) in [
        (
            reboot("a.nta", None),
            "a fault at 10000.000 ms: no node is called \"a.nta\"; there are internet, a.nat, a, b.nat, b, stun",
        ),
        (
            CallFault::Flush { node: name("b") },
            "a fault at 10000.000 ms: \"b\" is a host; only a NAT can lose its mappings",
        ),
        (
            CallFault::LinkDown {
                link: ends("a", "b"),
            },
            "a fault at 10000.000 ms: no link joins \"a\" and \"b\"",
        ),
        (
            CallFault::Roam {
                host: name("a"),
                to: name("b.nat"),
            },
            "a fault at 10000.000 ms: no link joins \"a\" and \"b.nat\"",
        ),
        (
            CallFault::Restart { node: name("a") },
            "a fault at 10000.000 ms: \"a\" runs nothing that can be restarted; attach its program as a service",
        ),
        (
            reboot("a.nat", Some("203.0.113.2")),
            "a fault at 10000.000 ms: 203.0.113.2 is used twice in one network: by \"a.nat\" and by \"b.nat\"",
        ),
    ] {
        let mut caller = Caller::new();
        let call = caller.call(&config(HOMES, Is, &[(STRIKES, fault)]));
        let Err(error @ CallError::Fault { .. }) = call else {
            panic!("refused: {told}")
        };
        assert_eq!(error.to_string(), told);
    }
}

fn any_fault() -> impl Strategy<Value = CallFault> {
    let node = prop::sample::select(vec![
        "a",
        "b",
        "a.nat",
        "b.nat",
        "a.mobile.nat",
        "internet",
        "stun",
        "turn",
    ]);
    let nat = prop::sample::select(vec!["a.nat", "b.nat", "a.mobile.nat"]);
    let link = prop::sample::select(vec![
        ["a", "a.nat"],
        ["a", "a.mobile.nat"],
        ["a.nat", "internet"],
        ["b.nat", "internet"],
        ["turn", "internet"],
    ]);
    let server = prop::sample::select(vec!["stun", "turn"]);
    let host = prop::sample::select(vec!["a", "b"]);
    let family = prop::sample::select(vec![Family::V4, Family::V6]);
    let pair = |[one, other]: [&str; 2]| ends(one, other);
    prop_oneof![
        (nat.clone(), 0u8..4).prop_map(|(node, n)| {
            let new = format!("198.51.100.{}", 100 + n);
            // Each NAT's own addresses, so that two never want one.
            let new = match node {
                "a.nat" => new,
                "b.nat" => new.replace("198.51", "198.18"),
                _ => new.replace("198.51", "198.19"),
            };
            reboot(node, (n > 0).then_some(&new))
        }),
        nat.prop_map(|node| CallFault::Flush { node: name(node) }),
        prop::sample::select(vec!["a.nat", "a.mobile.nat"]).prop_map(|to| CallFault::Roam {
            host: name("a"),
            to: name(to),
        }),
        link.clone()
            .prop_map(move |link| CallFault::LinkDown { link: pair(link) }),
        link.prop_map(move |link| CallFault::LinkUp { link: pair(link) }),
        (node.clone(), node.clone())
            .prop_filter("two nodes", |(one, other)| one != other)
            .prop_map(|(one, other)| CallFault::Partition {
                between: ends(one, other)
            }),
        (node.clone(), node)
            .prop_filter("two nodes", |(one, other)| one != other)
            .prop_map(|(one, other)| CallFault::Heal {
                between: ends(one, other)
            }),
        server.prop_map(|node| CallFault::Restart { node: name(node) }),
        (host.clone(), family.clone()).prop_map(|(host, family)| CallFault::FamilyLost {
            host: name(host),
            family
        }),
        (host, family).prop_map(|(host, family)| CallFault::FamilyRegained {
            host: name(host),
            family
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Whatever goes wrong and whenever: no stack panics, every packet has its fate, and the same
    /// call goes the same way again. Its story can be told.
    #[test]
    fn no_fault_breaks_a_call(
        seed: u64,
        stacks in prop::sample::select(vec![[Is, Is], [Rtc, Rtc], [Is, Rtc], [Rtc, Is]]),
        always: bool,
        faults in prop::collection::vec((0u64..50_000, any_fault()), 1..12),
    ) {
        let config = CallConfig {
            seed,
            stacks,
            turn: "udp".parse().unwrap(),
            ipv6: [true; 2],
            roams_to: [Some("nat:eim/adf".parse().unwrap()), None],
            restart: if always { ALWAYS } else { NEVER },
            until: at(60_000),
            ..config(HOMES, Is, &faults)
        };
        let one = outcome(&config);
        let counts = one.packets;
        prop_assert_eq!(counts.sent + counts.duplicated, counts.delivered + counts.dropped);
        let mut caller = Caller::recording();
        let again = caller.call(&config).unwrap();
        prop_assert_eq!(&again.outcome, &one);
        let story = pinhole_scenarios::explain::explain(&again);
        let told = story.chapters.iter().find(|chapter| chapter.title.starts_with("What went wrong"));
        prop_assert!(told.unwrap().sentences.len() >= faults.len());
    }
}
