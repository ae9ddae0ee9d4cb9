//! Habits of single stacks that shape results, pinned so that an upgrade which changes one is
//! noticed here and not in a table of outcomes. None of these are wishes.

use std::time::Duration;

use pinhole::Time;

use super::cable::{Cable, address, cut, host, open, relayed};
use crate::ice::{IceEvent, Role, Stack};

const A: &str = "192.0.2.1:4000";
const B: &str = "198.51.100.2:5000";

/// When side 0 of two equal stacks sent checks, in milliseconds, if none is ever answered.
fn checks(stack: Stack) -> Vec<u64> {
    let mut cable = Cable::new([stack; 2], 1, cut);
    cable.trickle(0, host(A));
    cable.trickle(1, host(B));
    cable.start();
    cable.run(Time::from_millis(60_000), |_| false);
    let of_side_0 = cable.sent.iter().filter(|sent| sent.side == 0);
    of_side_0
        .map(|sent| sent.time.as_nanos() / 1_000_000)
        .collect()
}

#[test]
fn is_doubles_its_timeout_up_to_three_seconds() {
    assert_eq!(
        checks(Stack::Is),
        [0, 250, 750, 1750, 3750, 6750, 9750, 12750, 15750]
    );
}

#[test]
fn rtc_ice_gives_up_on_a_pair_after_eight_checks_in_1400_ms() {
    assert_eq!(
        checks(Stack::Rtc),
        [0, 200, 400, 600, 800, 1000, 1200, 1400]
    );
}

/// Its pairs have failed by then, and as the controlling side it answers checks without checking
/// back (RFC 8445 §7.3.1.4 wants a triggered check). As the controlled side it does check back.
#[test]
fn rtc_ice_never_connects_to_itself_if_the_controlled_side_starts_late() {
    let connects = |late: usize, delay: u64| {
        let mut cable = Cable::new([Stack::Rtc; 2], 2, open);
        cable.trickle(0, host(A));
        cable.trickle(1, host(B));
        cable.start_side(1 - late);
        cable.run(Time::from_millis(delay), |_| false);
        cable.start_side(late);
        cable.run(Time::from_millis(60_000), Cable::both_selected)
    };
    assert!(connects(1, 1_300));
    assert!(!connects(1, 1_500));
    assert!(connects(0, 10_000));
}

/// Every new candidate sets off a round of checks on all pairs, and rounds are counted.
#[test]
fn rtc_ice_uses_up_its_checks_sooner_when_candidates_trickle() {
    let mut cable = Cable::new([Stack::Rtc; 2], 3, cut);
    cable.trickle(0, host(A));
    cable.trickle(1, host(B));
    cable.start();
    for n in 1..=7 {
        cable.run(Time::from_millis(20 * n), |_| false);
        cable.trickle(0, relayed(&format!("203.0.113.50:{}", 50_000 + n)));
    }
    cable.run(Time::from_millis(10_000), |_| false);
    let of_first_pair = cable
        .sent
        .iter()
        .rfind(|sent| sent.transmit.source == address(A));
    assert_eq!(
        of_first_pair.map(|sent| sent.time),
        Some(Time::from_millis(140))
    );
}

#[test]
fn rtc_ice_waits_two_seconds_before_it_nominates_a_relay_and_is_does_not() {
    let selected_at = |stack| {
        let mut cable = Cable::new([stack; 2], 4, |_, source, destination| {
            let relay = address("203.0.113.50:50000");
            (source == relay || destination == relay).then_some((destination, source))
        });
        cable.trickle(0, relayed("203.0.113.50:50000"));
        cable.trickle(1, host(B));
        cable.start();
        assert!(cable.run(Time::from_millis(10_000), Cable::both_selected));
        cable.now
    };
    assert!(selected_at(Stack::Is) < Time::from_millis(150));
    assert!(selected_at(Stack::Rtc) > Time::from_millis(2_000));
}

/// With multicast DNS disabled it still takes everything from port 5353 for multicast DNS.
#[test]
fn rtc_ice_is_deaf_to_a_peer_on_port_5353() {
    for (stack, connects) in [(Stack::Is, true), (Stack::Rtc, false)] {
        let mut cable = Cable::new([stack; 2], 5, open);
        cable.trickle(0, host(A));
        cable.trickle(1, host("198.51.100.2:5353"));
        cable.start();
        assert_eq!(
            cable.run(Time::from_millis(45_000), Cable::both_selected),
            connects
        );
    }
}

/// `is` waits for candidates as long as it takes; `rtc-ice` counts from the start of checks.
#[test]
fn only_rtc_ice_fails_for_want_of_candidates() {
    for (stack, expected) in [(Stack::Is, None), (Stack::Rtc, Some(IceEvent::Failed))] {
        let mut cable = Cable::new([stack; 2], 6, open);
        cable.start();
        cable.run(Time::from_millis(120_000), |_| false);
        assert_eq!(cable.events[0].last().map(|event| event.1), expected);
    }
}

/// Both lose interest in a silent peer at their own pace.
#[test]
fn silence_is_noticed_after_5_and_after_22_seconds() {
    for (stack, seconds) in [(Stack::Is, 21..23), (Stack::Rtc, 4..6)] {
        let mut cable = Cable::new([stack; 2], 7, open);
        cable.trickle(0, host(A));
        cable.trickle(1, host(B));
        cable.start();
        assert!(cable.run(Time::from_millis(30_000), Cable::both_selected));
        cable.run(Time::from_millis(30_000), |_| false);
        cable.path = cut;
        assert!(cable.run(Time::from_millis(90_000), |cable| {
            cable.selected(0).is_none()
        }));
        let after: Duration = cable.now - Time::from_millis(30_000);
        assert!(
            seconds.contains(&after.as_secs()),
            "{stack} after {after:?}"
        );
    }
}

/// The role of the trait is the role on the wire: ICE-CONTROLLING (0x802a), ICE-CONTROLLED (0x8029).
#[test]
fn checks_carry_the_role() {
    for stack in Stack::ALL {
        let mut cable =
            Cable::with_roles([stack; 2], [Role::Controlling, Role::Controlled], 8, cut);
        cable.trickle(0, host(A));
        cable.trickle(1, host(B));
        cable.start();
        cable.run(Time::from_millis(1), |_| false);
        for (side, attribute) in [(0, [0x80, 0x2a, 0, 8]), (1, [0x80, 0x29, 0, 8])] {
            let check = cable
                .sent
                .iter()
                .find(|sent| sent.side == side)
                .expect("a check");
            assert!(
                check
                    .transmit
                    .payload
                    .windows(4)
                    .any(|window| window == attribute)
            );
        }
    }
}
