//! Garbage from the server.

use pinhole::trace::{Event, Fate};
use proptest::prelude::*;

use super::*;

#[test]
fn what_is_not_turn_is_ignored() {
    let mut world = World::new(config(), 1);
    let alice = world.net.attach(world.alice, Caller::new(SERVER));
    world.run(1000);
    world.act(alice, |client, now| {
        for bytes in [&b""[..], b"x", &[0x40, 0, 0, 0], &[0x80; 200]] {
            assert!(matches!(
                client.handle_datagram(now, bytes),
                Received::Ignored
            ));
        }
    });
}

/// What a server sent, to be damaged: recorded from a whole session.
fn answers() -> Vec<Vec<u8>> {
    let mut world = World::new(config(), 1);
    world.net.record();
    let permits = vec![address(BOB).ip()];
    let alice = world.net.attach(
        world.alice,
        Caller {
            permits,
            ..Caller::new(SERVER)
        },
    );
    world.run(500);
    world.act(alice, |client, now| {
        client.send_to(address(BOB), b"ping", now)
    });
    world.run(600);
    world.act(alice, |client, now| client.bind_channel(address(BOB), now));
    world.run(700);
    world.act(alice, |client, now| {
        client.send_to(address(BOB), b"ping", now)
    });
    world.run(800);
    let recording = world.net.trace().recording().unwrap();
    let arrivals = recording.records().iter().filter(|record| {
        let delivered = matches!(record.event, Event::Ended(Fate::Delivered { .. }));
        delivered && record.source == address(SERVER).into()
    });
    arrivals
        .map(|record| recording.payload(record.packet).to_vec())
        .collect()
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8u8), 0..4),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
        random in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut inputs = answers();
        prop_assert!(inputs.len() >= 6);
        for bytes in &mut inputs {
            for (at, bit) in &flips {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            if cuts {
                bytes.truncate(bytes.len() - cut.index(bytes.len()) / 4 * 4);
                if bytes.len() >= 20 {
                    let length = (bytes.len() as u16 - 20).to_be_bytes();
                    bytes[2..4].copy_from_slice(&length);
                }
            }
        }
        inputs.push(random);
        let mut world = World::new(config(), 1);
        let permits = vec![address(BOB).ip()];
        let alice = world.net.attach(world.alice, Caller { permits, ..Caller::new(SERVER) });
        for step in [1, 60, 1000] {
            world.run(step);
            world.act(alice, |client, now| {
                for bytes in &inputs {
                    client.handle_datagram(now, bytes);
                }
            });
        }
        world.run(100_000);
    }
}
