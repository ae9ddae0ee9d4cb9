use std::num::NonZeroUsize;
use std::time::Duration;

use pinhole::link::AccessProfile;
use pinhole::{Internet, Time};

use super::*;
use crate::conference::config::ConferenceConfig;

fn conference(topology: &str, participants: usize) -> ConferenceConfig {
    let access = AccessProfile::named("fibre").unwrap();
    let mut config = ConferenceConfig::new(topology.parse().unwrap(), participants, Some(access));
    config.warmup = Duration::from_secs(6);
    config.measured = Duration::from_secs(4);
    config
}

fn held(config: ConferenceConfig) -> ConferenceOutcome {
    let plan = Plan::new(config).unwrap();
    let outcome = run(&plan, &mut Internet::default()).unwrap();
    assert_eq!(outcome.findings, Vec::<String>::new());
    outcome
}

#[test]
fn everybody_sees_everybody() {
    for topology in ["mesh", "sfu", "mcu", "cascade:2"] {
        let outcome = held(conference(topology, 3));
        assert!(outcome.all_seen.is_some(), "{topology}");
        assert_eq!(outcome.gaps, [], "{topology}");
    }
}

#[test]
fn only_the_latest_speakers_are_forwarded() {
    let mut config = conference("sfu", 6);
    config.last_n = NonZeroUsize::new(2);
    let outcome = held(config);
    assert!(outcome.all_seen.is_some());
}

/// Everybody has two sources, sound and picture.
fn plan_owner(source: crate::conference::SourceId) -> usize {
    source.0 / 2
}

/// Two who need TURN, of whom one's network lets nothing out but the web, and one who changes networks.
#[test]
fn everybody_sees_everybody_again_after_one_roamed() {
    for topology in ["sfu", "mesh"] {
        let mut config = conference(topology, 4);
        config.participants[1].network = "udp-blocked".parse().unwrap();
        config.participants[2].network = "tcp-443-only".parse().unwrap();
        let roams = Time::from_secs(6);
        config.participants[3].roams = Some((roams, "nat:apdm/apdf".parse().unwrap()));
        let outcome = held(config);
        assert!(
            outcome.all_seen.is_some_and(|seen| seen < roams),
            "{topology}"
        );
        assert!(outcome.turn.relayed_share > 0.0, "{topology}");
        // Who watched the one who roamed saw it stand still.
        for viewer in &outcome.participants[..3] {
            let own = |it: &&crate::conference::Received| plan_owner(it.source) == 3;
            let frozen = viewer.received.iter().filter(own).map(|it| it.freezes);
            assert!(frozen.sum::<u32>() > 0, "{topology}: {}", viewer.name);
        }
        for gap in &outcome.gaps {
            assert!(gap.to.is_some(), "{topology}: {gap:?}");
        }
        let [roam] = outcome.roams[..] else {
            panic!("{topology}: {:?}", outcome.roams);
        };
        assert_eq!((roam.participant, roam.at), (3, roams));
        // The other ends must hear of the new network, and check it.
        assert!(
            roam.lost().unwrap() > Duration::from_millis(200),
            "{roam:?}"
        );
    }
}

fn short(mut config: ConferenceConfig) -> ConferenceConfig {
    config.warmup = Duration::from_secs(3);
    config.measured = Duration::from_secs(1);
    config
}

/// Each thread's maps have keys of their own.
fn repeats(config: impl Fn() -> ConferenceConfig + Copy + Send + 'static) {
    let digest = move || held(config()).digest;
    let here = digest();
    for _ in 0..3 {
        let there = std::thread::spawn(digest).join().unwrap();
        assert_eq!(there, here, "{}", config().topology);
    }
}

#[test]
fn a_conference_repeats_on_another_thread() {
    for topology in ["mesh", "sfu", "cascade:2", "mcu"] {
        repeats(move || short(conference(topology, 4)));
    }
}

#[test]
fn a_screen_beside_a_camera_repeats_over_turn() {
    repeats(|| {
        let mut config = short(conference("mesh", 3));
        config.participants[0].shares_screen = true;
        config.participants[1].network = "udp-blocked".parse().unwrap();
        config.participants[2].network = "nat:apdm/apdf".parse().unwrap();
        config
    });
}

#[test]
fn a_choice_of_speakers_repeats() {
    repeats(|| {
        let mut config = short(conference("sfu", 5));
        config.last_n = NonZeroUsize::new(2);
        config.participants[0].shares_screen = true;
        config
    });
}
