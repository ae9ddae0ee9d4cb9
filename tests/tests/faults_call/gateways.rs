//! NATs that reboot or lose their mappings: unnoticed, healed by the stack, or needing a restart.

use super::*;

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
