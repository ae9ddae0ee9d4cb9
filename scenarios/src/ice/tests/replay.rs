//! Same seed, same run.

use std::net::SocketAddr;

use pinhole::Time;

use super::cable::{Cable, Sent, address, host, open, reflexive, relayed};
use super::combinations;
use crate::ice::Stack;

/// A run with a bit of everything: several pairs, a trickled candidate, consent checks.
fn run(stacks: [Stack; 2], seed: u64) -> Vec<Sent> {
    let mut cable = Cable::new(stacks, seed, open);
    cable.trickle(0, host("192.0.2.1:4000"));
    cable.trickle(0, reflexive("203.0.113.1:61000", "192.0.2.1:4000"));
    cable.trickle(1, host("198.51.100.2:5000"));
    cable.trickle(1, host("198.51.100.3:5000"));
    cable.start();
    cable.run(Time::from_millis(130), |_| false);
    cable.trickle(0, relayed("203.0.113.50:50000"));
    cable.run(Time::from_millis(20_000), |_| false);
    assert!(cable.both_selected());
    cable.sent
}

/// Everything but the bytes.
fn shape(sent: &[Sent]) -> Vec<(Time, usize, SocketAddr, SocketAddr, usize)> {
    let shape = |sent: &Sent| {
        let Sent {
            time,
            side,
            transmit,
        } = sent;
        (
            *time,
            *side,
            transmit.source,
            transmit.destination,
            transmit.payload.len(),
        )
    };
    sent.iter().map(shape).collect()
}

#[test]
fn the_shape_of_a_run_repeats_with_every_stack() {
    for stacks in combinations() {
        let first = shape(&run(stacks, 1));
        assert!(first.len() > 20);
        for _ in 0..3 {
            assert_eq!(shape(&run(stacks, 1)), first, "{stacks:?}");
        }
    }
}

#[test]
fn the_bytes_of_a_run_repeat_with_is() {
    let first = run([Stack::Is; 2], 1);
    assert_eq!(run([Stack::Is; 2], 1), first);
    assert_ne!(run([Stack::Is; 2], 2), first);

    // Neither another thread nor what else that thread drew makes a difference.
    let elsewhere = std::thread::spawn(|| {
        fastrand::seed(1234);
        run([Stack::Is; 2], 1)
    });
    assert_eq!(elsewhere.join().expect("no panic"), first);
}

#[test]
fn credentials_follow_the_seed_and_have_one_length() {
    for stack in Stack::ALL {
        let credentials = |seed| {
            let role = crate::ice::Role::Controlling;
            stack.agent(Time::ZERO, role, seed).local_credentials()
        };
        assert_eq!(credentials(5), credentials(5));
        assert_ne!(credentials(5), credentials(6));
        for seed in 0..100 {
            let (one, other) = (credentials(0), credentials(seed));
            assert_eq!(one.ufrag.len(), other.ufrag.len());
            assert_eq!(one.password.len(), other.password.len());
        }
    }
}

/// The fraction of a nanosecond at which a process began must not matter either: an agent that is
/// born later does the same, later.
#[test]
fn a_later_start_shifts_the_run_and_changes_nothing_else() {
    for stacks in combinations() {
        let run_from = |start: Time| {
            let mut cable = Cable::starting_at(start, stacks, 3, open);
            cable.trickle(0, host("192.0.2.1:4000"));
            cable.trickle(1, host("198.51.100.2:5000"));
            cable.start();
            cable.run(start + std::time::Duration::from_secs(10), |_| false);
            assert_eq!(
                cable.selected(0).map(|pair| pair.1),
                Some(address("198.51.100.2:5000"))
            );
            let since = |sent: &Sent| (sent.time - start, sent.side, sent.transmit.payload.len());
            cable.sent.iter().map(since).collect::<Vec<_>>()
        };
        assert_eq!(
            run_from(Time::ZERO),
            run_from(Time::from_millis(3_600_007)),
            "{stacks:?}"
        );
    }
}
