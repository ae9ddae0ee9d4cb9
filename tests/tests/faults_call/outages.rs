//! Links that are down for a while, peers that are parted, a TURN server that restarts.

use super::*;

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
