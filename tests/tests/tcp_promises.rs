//! What TCP promises whatever the links do: every byte arrives once and in order, and every segment
//! is accounted for.

use std::time::Duration;

use pinhole::host::{CongestionControl, TcpSettings};
use pinhole::link::{Conditions, Jitter, Link};
use pinhole_tests::tcp::{PORT, Pair, Speech, Talker, Told};
use proptest::prelude::*;

fn conditions() -> impl Strategy<Value = Conditions> {
    let delay = 0u64..80;
    let rate = proptest::option::of((50_000u64..20_000_000, 3_000u32..60_000));
    let jitter = prop_oneof![
        Just(0).prop_map(|_| Jitter::None),
        (1u64..30).prop_map(|ms| Jitter::Reordering(Duration::from_millis(ms))),
        (1u64..30).prop_map(|ms| Jitter::InOrder(Duration::from_millis(ms))),
    ];
    (delay, rate, jitter, 0.0..0.1, 0.0..0.2, 100u16..1600).prop_map(
        |(delay, rate, jitter, loss, duplication, mtu)| {
            let conditions = Conditions::new(Duration::from_millis(delay))
                .jitter(jitter)
                .independent_loss(loss)
                .duplication(duplication)
                .mtu(mtu);
            match rate {
                Some((rate, queue)) => conditions.bottleneck(rate, queue),
                None => conditions,
            }
        },
    )
}

fn settings() -> impl Strategy<Value = TcpSettings> {
    let control = prop_oneof![
        Just(CongestionControl::Reno),
        Just(CongestionControl::Cubic),
        Just(CongestionControl::None),
    ];
    let buffer = 0usize..300_000;
    (
        control,
        buffer.clone(),
        buffer,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(congestion_control, send_buffer, receive_buffer, nagle, delays)| TcpSettings {
                congestion_control,
                send_buffer,
                receive_buffer,
                nagle,
                delayed_ack: delays.then_some(Duration::from_millis(200)),
                // However bad it is, nobody gives up.
                user_timeout: Duration::from_secs(100_000),
                handshake_timeout: Duration::from_secs(100_000),
                ..TcpSettings::default()
            },
        )
}

fn accounted_for(pair: &Pair) {
    let counts = pair.net.trace().counts();
    let sum = counts.delivered + counts.dropped + counts.in_flight;
    assert_eq!(counts.sent + counts.duplicated, sum);
    assert_eq!(pair.net.packets_under_way() as u64, counts.in_flight);
}

/// Two hosts that send so much to each other and close.
fn exchange(link: Link, settings: [TcpSettings; 2], lengths: [u64; 2], seed: u64) -> Pair {
    let speech = lengths.map(|length| Speech {
        length,
        then_close: true,
    });
    let [a, b] = settings.map(|settings| Talker {
        settings: Some(settings),
        ..Talker::default()
    });
    let b = Talker {
        listens: Some(PORT),
        greeting: Some(speech[1]),
        ..b
    };
    let mut pair = Pair::new(link, seed, [a, b]);
    let id = pair.connect();
    pair.act(0, |talker, io| talker.speak(id, speech[0], io));
    pair
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_arrives_once_and_in_order(
        (up, down) in (conditions(), conditions()),
        settings in [settings(), settings()],
        lengths in [1u64..100_000, 0u64..100_000],
        seed: u64,
    ) {
        // Both ways carry as much: there is no path MTU discovery between two cables.
        let link = Link { up, down: down.mtu(up.mtu) };
        let mut pair = exchange(link, settings, lengths, seed);
        // The order is checked by the programs.
        for _ in 0..40 {
            pair.run(Duration::from_secs(1));
            accounted_for(&pair);
        }
        pair.run(Duration::from_secs(100_000));
        accounted_for(&pair);
        for side in [0, 1] {
            let stream = pair.talker(side).nth(0);
            prop_assert_eq!(stream.received, lengths[1 - side], "{:?}", stream.told);
            prop_assert!(matches!(stream.told.last(), Some((_, Told::Ended(_)))), "{:?}", stream.told);
        }
        prop_assert_eq!(pair.net.trace().counts().in_flight, 0);
    }

    #[test]
    fn the_same_seed_makes_the_same_run(
        (up, down) in (conditions(), conditions()),
        settings in [settings(), settings()],
        seed: u64,
    ) {
        let link = Link { up, down };
        let run = |strides: u64| {
            let mut pair = exchange(link, settings, [30_000, 10_000], seed);
            for _ in 0..strides {
                pair.run(Duration::from_millis(20_000 / strides));
            }
            let trace = pair.net.trace();
            (trace.digest(), trace.counts(), pair.net.events())
        };
        prop_assert_eq!(run(1), run(100));
    }
}

/// Each is found by its endpoints: none is looked at for another's sake.
#[test]
fn ten_thousand_connections_to_one_server() {
    let mut pair = Pair::quiet(Link::with_delay(Duration::from_millis(10)), 1);
    for _ in 0..1000 {
        for _ in 0..10 {
            pair.upload(100);
        }
        pair.run(Duration::from_millis(1));
    }
    pair.run(Duration::from_secs(60));
    let server = pair.talker(1);
    assert_eq!(server.streams.len(), 10_000);
    assert!(server.streams.values().all(|stream| stream.received == 100));
}
