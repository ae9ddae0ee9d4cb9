//! ICE restarts (RFC 8445 §9), on the smallest network.

use pinhole::Time;

use super::cable::{Cable, cut, host, open};
use crate::ice::{Guarded, IceAgent, IceEvent, Role, Stack};

const A: &str = "192.0.2.1:4000";
const B: &str = "198.51.100.2:5000";

/// Two agents that have a pair.
fn connected(stack: Stack) -> Cable {
    let mut cable = Cable::new([stack; 2], 1, open);
    cable.trickle(0, host(A));
    cable.trickle(1, host(B));
    cable.start();
    assert!(cable.run(Time::from_millis(5_000), Cable::both_selected));
    cable
}

/// Restarts both, with candidates at these addresses.
fn restart(cable: &mut Cable, [a, b]: [&str; 2]) {
    for side in [0, 1] {
        let now = cable.now;
        cable.agents[side].restart(now);
        assert_eq!(cable.agents[side].selected_pair(), None);
        cable.events[side].clear();
    }
    cable.trickle(0, host(a));
    cable.trickle(1, host(b));
    cable.start();
}

#[test]
fn a_restart_makes_new_credentials_and_finds_a_pair_at_new_addresses() {
    for stack in Stack::ALL {
        let mut cable = connected(stack);
        let before = [0, 1].map(|side| cable.agents[side].local_credentials());
        assert_eq!(
            cable.agents[0].selected_pair(),
            Some((A.parse().unwrap(), B.parse().unwrap()))
        );
        let [a, b] = ["192.0.2.77:4001", "198.51.100.77:5001"];
        restart(&mut cable, [a, b]);
        for side in [0, 1] {
            let after = cable.agents[side].local_credentials();
            assert_ne!(after.ufrag, before[side].ufrag, "{stack}");
            assert_ne!(after.password, before[side].password, "{stack}");
        }
        let sent = cable.sent.len();
        let end = Time::from_millis(10_000);
        assert!(cable.run(end, Cable::both_selected), "{stack}");
        let pair = (a.parse().unwrap(), b.parse().unwrap());
        assert_eq!(cable.selected(0), Some(pair), "{stack}");
        assert_eq!(cable.agents[0].selected_pair(), Some(pair), "{stack}");
        // No check goes to or from where the old candidates were, or names who they were.
        for sent in &cable.sent[sent..] {
            assert!(
                ![sent.transmit.source, sent.transmit.destination].contains(&A.parse().unwrap())
            );
            let payload = &sent.transmit.payload;
            let old = before[0].ufrag.as_bytes();
            assert!(
                !payload.windows(old.len()).any(|part| part == old),
                "{stack}"
            );
        }
    }
}

/// The same sockets may serve again.
#[test]
fn a_restart_finds_the_same_pair_again() {
    for stack in Stack::ALL {
        let mut cable = connected(stack);
        restart(&mut cable, [A, B]);
        let end = Time::from_millis(10_000);
        assert!(cable.run(end, Cable::both_selected), "{stack}");
    }
}

/// What fails again is told again, as for a new agent: 18.75 s and 30.2 s after the start.
#[test]
fn a_restart_that_finds_nobody_fails() {
    for (stack, seconds) in [(Stack::Is, 18..20), (Stack::Rtc, 30..31)] {
        let mut cable = connected(stack);
        cable.path = cut;
        let restarted = cable.now;
        restart(&mut cable, [A, B]);
        let failed = |cable: &Cable| {
            let last = cable.events[0].last();
            last.is_some_and(|(_, event)| *event == IceEvent::Failed)
        };
        assert!(cable.run(Time::from_millis(60_000), failed), "{stack}");
        let after = (cable.now - restarted).as_secs();
        assert!(seconds.contains(&after), "{stack} after {after} s");
        assert!(
            !cable.events[0]
                .iter()
                .any(|(_, event)| *event == IceEvent::Disconnected)
        );
        // And a restart after both have failed finds somebody.
        let now = cable.now.as_nanos() / 1_000_000;
        cable.run(Time::from_millis(now + 1_000), |_| false);
        cable.path = open;
        restart(&mut cable, [A, B]);
        let end = Time::from_millis(120_000);
        assert!(cable.run(end, Cable::both_selected), "{stack}");
    }
}

/// A finding: `rtc-ice` notes the start of its 30 s where it begins to check, and a restart in the
/// midst of checking is no beginning to it. So the second of two restarts gets what the first has
/// left of the time. `is` counts anew.
#[test]
fn rtc_ice_counts_a_restart_while_it_checks_from_the_one_before() {
    for (stack, seconds) in [(Stack::Is, 28..30), (Stack::Rtc, 30..31)] {
        let mut cable = connected(stack);
        cable.path = cut;
        let restarted = cable.now;
        restart(&mut cable, [A, B]);
        let now = cable.now.as_nanos() / 1_000_000;
        cable.run(Time::from_millis(now + 10_000), |_| false);
        restart(&mut cable, [A, B]);
        let failed = |cable: &Cable| {
            let last = cable.events[0].last();
            last.is_some_and(|(_, event)| *event == IceEvent::Failed)
        };
        assert!(cable.run(Time::from_millis(90_000), failed), "{stack}");
        let after = (cable.now - restarted).as_secs();
        assert!(seconds.contains(&after), "{stack} after {after} s");
    }
}

/// Before it was ever started, twice, and without candidates: nothing breaks.
#[test]
fn clumsy_restarts_do_no_harm() {
    for stack in Stack::ALL {
        let mut agent = Guarded::new(stack.agent(Time::ZERO, Role::Controlling, 1));
        let first = agent.local_credentials();
        agent.restart(Time::ZERO);
        agent.restart(Time::ZERO);
        assert_ne!(
            agent.local_credentials(),
            first,
            "{stack}: the guard knows the new ones"
        );
        assert_eq!(agent.selected_pair(), None);
        agent.start(Time::from_millis(1), &first);
        agent.restart(Time::from_millis(2));
        agent.handle_timeout(Time::from_millis(3));
        while agent.poll_transmit().is_some() {}
        while agent.poll_event().is_some() {}
        assert_eq!(agent.panic(), None);
    }
}
