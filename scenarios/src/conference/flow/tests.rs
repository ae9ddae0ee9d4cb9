//! Conferences as a whole, against the formulas and against what must hold.

use std::num::NonZeroUsize;
use std::time::Duration;

use pinhole::Time;
use pinhole::link::AccessProfile;

use super::*;
use crate::conference::{ConferenceConfig, Part, SourceKind, Topology, View, formula};

fn config(topology: &str, participants: usize, access: Option<&str>) -> ConferenceConfig {
    let access = access.map(|name| AccessProfile::named(name).unwrap());
    ConferenceConfig {
        warmup: Duration::from_secs(5),
        measured: Duration::from_secs(10),
        ..ConferenceConfig::new(topology.parse().unwrap(), participants, access)
    }
}

fn outcome(config: ConferenceConfig) -> ConferenceOutcome {
    run(&Plan::new(config).unwrap()).unwrap()
}

fn far(one: f64, other: f64) -> f64 {
    (one / other - 1.0).abs()
}

#[test]
fn where_nothing_is_congested_it_agrees_with_the_formulas() {
    for (topology, participants) in [("mesh", 3), ("sfu", 4), ("mcu", 3), ("cascade:2", 4)] {
        let plan = Plan::new(config(topology, participants, None)).unwrap();
        let [flow, formula] = [run(&plan).unwrap(), formula::run(&plan).unwrap()];
        assert!(flow.all_seen.is_some(), "{topology}");
        assert_eq!((flow.findings, flow.gaps), (vec![], vec![]));
        for (it, expected) in flow.participants.iter().zip(&formula.participants) {
            for (seen, computed) in [(it.up, expected.up), (it.down, expected.down)] {
                assert!(
                    far(seen.media, computed.media) < 0.01,
                    "{topology} {seen:?}"
                );
                assert!(far(seen.rtcp, computed.rtcp) < 0.05, "{topology} {seen:?}");
                assert!(far(seen.total(), computed.total()) < 0.01, "{topology}");
            }
            assert_eq!((it.loss, it.up_loss, it.freezes()), (0.0, 0.0, 0));
            assert_eq!((it.up.rtx, it.up.dtls, it.up.fec), (0.0, 0.0, 0.0));
            if flow.topology != Topology::Mcu {
                // A mixer waits for its own moment; everybody else passes on at once.
                let late = it.delay.p50_ms - expected.delay.p50_ms;
                // Times are kept within 0.8 %.
                let kept_within = 0.008 * expected.delay.p50_ms;
                assert!(late.abs() <= kept_within, "{topology} {late}");
            }
            assert_eq!(it.received.len(), expected.received.len());
            for (got, computed) in it.received.iter().zip(&expected.received) {
                assert!(far(got.kbps, computed.kbps) < 0.01, "{topology} {got:?}");
                assert_eq!(got.layers, computed.layers);
            }
        }
        for (it, expected) in flow.servers.iter().zip(&formula.servers) {
            assert!(far(it.into.total(), expected.into.total()) < 0.01);
            assert!(far(it.out.total(), expected.out.total()) < 0.01);
        }
    }
}

#[test]
fn a_narrow_link_is_found_and_nearly_filled() {
    let plan = Plan::new(ConferenceConfig {
        // Finding the rate takes its time, and so does every step up of it.
        warmup: Duration::from_secs(10),
        measured: Duration::from_secs(30),
        ..config("sfu", 4, Some("adsl"))
    });
    let plan = plan.unwrap();
    let [flow, formula] = [run(&plan).unwrap(), formula::run(&plan).unwrap()];
    for (it, expected) in flow.participants.iter().zip(&formula.participants) {
        assert!(
            far(it.up.total(), expected.up.total()) < 0.15,
            "{:?}",
            it.up
        );
        assert!(it.up.total() < 800.0 && it.down.total() < 8_000.0);
        assert!(it.queueing.p95_ms < 100.0, "{:?}", it.queueing);
        assert!(it.loss < 0.02 && it.up_loss < 0.02);
        let estimates = it.seconds.iter().skip(5);
        let estimates: Vec<f64> = estimates.filter_map(|it| it.estimate_kbps).collect();
        assert!(estimates.len() >= 9 && estimates.iter().all(|kbps| *kbps < 1_000.0));
    }
}

#[test]
fn lost_packets_are_sent_again() {
    let mut config = config("sfu", 3, None);
    config.participants[1].access = Some(AccessProfile {
        up_kbps: 1_000_000,
        down_kbps: 1_000_000,
        loss: 0.02,
        ..AccessProfile::named("fibre").unwrap()
    });
    let outcome = outcome(config);
    let lossy = &outcome.participants[1];
    assert!((0.01..0.04).contains(&lossy.loss), "{}", lossy.loss);
    assert!((0.01..0.04).contains(&lossy.up_loss), "{}", lossy.up_loss);
    assert!(lossy.down.rtx > 0.01 * lossy.down.media);
    for it in &outcome.participants {
        let pictures = it.received.iter().filter(|it| !it.layers.is_empty());
        for picture in pictures {
            // All but those that waited for a packet when measuring ended: up to 200 ms, twice asked
            // for, of ten seconds.
            assert!(picture.frames_per_second >= 29.4, "{picture:?}");
        }
    }
    // What was lost on the way up is seen by all, and sent again only there.
    assert_eq!(outcome.participants[0].up.rtx, 0.0);
}

#[test]
fn what_is_sent_again_comes_in_time_to_be_shown() {
    let mut config = config("mesh", 3, Some("starlink"));
    config.measured = Duration::from_secs(20);
    let outcome = outcome(config);
    // Of six pictures of 260 packets a second 2 % are lost, which is 620 in 20 s; and of 4 % of those
    // the request or the answer is lost as well, which makes 25 freezes, and up to 40 by chance.
    let freezes: u32 = outcome.participants.iter().map(|it| it.freezes()).sum();
    assert!(freezes <= 40, "{freezes}");
    for it in &outcome.participants {
        assert!(it.loss > 0.015, "{}", it.loss);
        for picture in it.received.iter().filter(|it| !it.layers.is_empty()) {
            assert!(picture.frames_per_second > 29.5, "{picture:?}");
            let playout = picture.playout.unwrap().as_secs_f64() * 1_000.0;
            assert!(playout > it.delay.p50_ms + 100.0, "{playout}");
            assert!(playout < it.delay.p50_ms + 200.0, "{playout}");
        }
    }
}

#[test]
fn a_picture_that_needs_more_than_the_first_guess_is_found_to_fit() {
    let mut config = config("sfu", 4, Some("fibre"));
    config.simulcast = false;
    // Probes are five seconds apart.
    config.warmup = Duration::from_secs(10);
    config.participants[1].access = AccessProfile::named("wpt-cable").ok();
    let outcome = outcome(config);
    // One of three pictures of 2.7 Mbit/s fits into 5, and nothing less than one does.
    let bob = &outcome.participants[1];
    let pictures = bob.received.iter().filter(|it| !it.layers.is_empty());
    let frames: f64 = pictures.map(|it| it.frames_per_second).sum();
    assert!((29.0..=31.0).contains(&frames), "{frames}");
    assert!(
        (2_700.0..3_300.0).contains(&bob.down.total()),
        "{:?}",
        bob.down
    );
}

#[test]
fn what_tcp_carries_to_a_relay_is_not_overfilled() {
    let mut config = config("sfu", 3, Some("lte"));
    config.participants[1].network = "udp-blocked".parse().unwrap();
    let outcome = outcome(config);
    assert!(outcome.all_seen.is_some());
    let bob = &outcome.participants[1];
    // TCP bears a part of the link's 8 Mbit/s; what else were sent would wait for ever, and be sent again.
    assert!((400.0..3_000.0).contains(&bob.up.total()), "{:?}", bob.up);
    assert!(bob.up.rtx < 0.05 * bob.up.media, "{:?}", bob.up);
    assert!(bob.down.media > 300.0, "{:?}", bob.down);
    for it in &outcome.participants {
        assert!(it.delay.p95_ms < 500.0, "{:?}", it.delay);
    }
    let estimates = bob.seconds.iter().filter(|it| it.estimate_kbps.is_some());
    assert!(estimates.count() > 10);
}

#[test]
fn with_relays_and_a_roamer_everybody_is_seen_again() {
    let mut config = config("sfu", 4, None);
    for blocked in [1, 2] {
        config.participants[blocked].network = "udp-blocked".parse().unwrap();
    }
    let roams = (Time::from_millis(8_000), "nat:eim/apdf".parse().unwrap());
    config.participants[0].roams = Some(roams);
    let outcome = outcome(config);
    assert!(outcome.all_seen.is_some());
    assert_eq!(outcome.turn.relayed_share, 0.5);
    assert!(outcome.turn.relayed_kbps > 5_000.0);
    assert!(outcome.participants[1].up.turn > 0.0);
    assert!(outcome.participants[1].up.media > 3_000.0);
    // Nobody sees the roamer for a moment, nor the roamer anybody, and then all do.
    assert!(
        outcome.gaps.iter().all(|gap| gap.to.is_some()),
        "{:?}",
        outcome.gaps
    );
    for it in &outcome.participants {
        assert_eq!(it.received.len(), 6);
    }
}

#[test]
fn a_mesh_finds_ways_around_nats() {
    let mut config = config("mesh", 3, None);
    config.participants[0].network = "nat:apdm/apdf".parse().unwrap();
    config.participants[1].network = "nat:apdm/apdf".parse().unwrap();
    // Who filters nothing meets both without a relay.
    config.participants[2].network = "nat:eim/eif".parse().unwrap();
    config.warmup = Duration::from_secs(9);
    let outcome = outcome(config);
    assert!(outcome.all_seen.is_some());
    assert_eq!(outcome.turn.relayed_share, 1.0 / 3.0);
    assert_eq!(outcome.gaps, []);
}

#[test]
fn only_the_last_speakers_are_forwarded() {
    let mut config = config("sfu", 6, None);
    config.last_n = NonZeroUsize::new(2);
    config.measured = Duration::from_secs(20);
    let outcome = outcome(config);
    for it in &outcome.participants {
        let frames: f64 = it.received.iter().map(|it| it.frames_per_second).sum();
        assert!((54.0..=62.0).contains(&frames), "{frames}");
        // Two voices of 32 kbit/s.
        let sound = it.received.iter().filter(|it| it.layers.is_empty());
        let kbps: f64 = sound.map(|it| it.kbps).sum();
        assert!(far(kbps, 64.0) < 0.02, "{kbps}");
    }
    let server = &outcome.servers[0];
    assert!(server.out.media < 6.0 * 2.0 * 2_900.0);
}

#[test]
fn pictures_go_on_when_sequence_numbers_begin_anew() {
    let mut config = config("sfu", 2, None);
    // 32,768 packets of 1,200 bytes at 2.5 Mbit/s are two minutes.
    config.warmup = Duration::from_secs(110);
    config.measured = Duration::from_secs(30);
    let outcome = outcome(config);
    for it in &outcome.participants {
        let pictures = it.received.iter().filter(|it| !it.layers.is_empty());
        let frames: Vec<f64> = pictures.map(|it| it.frames_per_second).collect();
        assert!(frames.len() == 1 && frames[0] > 29.5, "{frames:?}");
    }
    assert_eq!(outcome.gaps, []);
}

#[test]
fn small_tiles_get_small_layers() {
    let mut config = config("sfu", 10, None);
    config.view = View::Grid;
    for viewer in &mut config.participants[1..] {
        viewer.part = Part::Views;
    }
    config.participants[0].shares_screen = true;
    config.participants[1].part = Part::Both;
    let plan = Plan::new(config).unwrap();
    let outcome = run(&plan).unwrap();
    for viewer in &outcome.participants[2..] {
        for got in &viewer.received {
            let source = plan.source(got.source);
            match source.kind {
                SourceKind::Audio => {}
                // Three pictures: tiles of 360 lines.
                SourceKind::Camera => assert_eq!(got.layers, [0.0, 1.0, 0.0]),
                SourceKind::Screen => assert!(got.frames_per_second > 4.9, "{got:?}"),
            }
        }
        assert!(viewer.up.media == 0.0 && viewer.up.rtcp > 0.0);
    }
}

#[test]
fn one_seed_is_one_run() {
    let digest = |topology: &str, seed| {
        let config = ConferenceConfig {
            seed,
            measured: Duration::from_secs(2),
            ..config(topology, 4, Some("adsl"))
        };
        outcome(config).digest
    };
    for topology in ["mesh", "sfu", "mcu", "cascade:2"] {
        assert_eq!(digest(topology, 1), digest(topology, 1));
        assert_ne!(digest(topology, 1), digest(topology, 2));
    }
}
