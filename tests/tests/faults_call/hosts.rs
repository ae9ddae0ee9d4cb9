//! Hosts that roam, and hosts that lose a family of addresses.

use pinhole::Family;

use super::*;

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
