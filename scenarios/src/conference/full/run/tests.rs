use std::num::NonZeroUsize;
use std::time::Duration;

use pinhole::Internet;
use pinhole::link::AccessProfile;

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
    show(&outcome);
    assert_eq!(outcome.findings, Vec::<String>::new());
    outcome
}

fn show(outcome: &ConferenceOutcome) {
    println!(
        "{} {:?} seen {:?} relayed {:?} gaps {:?}",
        outcome.topology, outcome.digest, outcome.all_seen, outcome.turn, outcome.gaps
    );
    for it in &outcome.participants {
        println!(
            "  {} up {:.0} down {:.0} media {:.0}/{:.0} rtx {:.0}/{:.0} rtcp {:.0}/{:.0} loss {:.4} delay {:?} q {:?}",
            it.name,
            it.up.total(),
            it.down.total(),
            it.up.media,
            it.down.media,
            it.up.rtx,
            it.down.rtx,
            it.up.rtcp,
            it.down.rtcp,
            it.loss,
            it.delay,
            it.queueing
        );
        for r in &it.received {
            println!(
                "     {:?} {:.0} kbps {:?} fps {:.1} freezes {} key {} jitter {:?}",
                r.source, r.kbps, r.layers, r.frames_per_second, r.freezes, r.key_frames, r.jitter
            );
        }
    }
    for it in &outcome.servers {
        println!("  {it:?}");
    }
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
