//! The population files of the book's exercises: what their chapter says of them is so, by closed
//! form and by survey.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use pinhole_scenarios::call::{CallError, PathClass, TurnTransport};
use pinhole_scenarios::survey::{self, Collected, Population, Shard, Survey, SurveyConfig};

const CALLS: u64 = 1_000;

fn surveyed(name: &str) -> Survey {
    let populations =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../book/exercises/rates/populations");
    let file = populations.join(format!("{name}.toml"));
    let population = Population::load(&file.display().to_string()).unwrap();
    let config = SurveyConfig {
        population,
        calls: CALLS,
        seed: 1,
        shard: Shard::WHOLE,
    };
    let nothing = Collected::nothing(&config);
    let never = AtomicBool::new(false);
    survey::run(&config, nothing, 0, &never, |_| Ok::<(), CallError>(())).unwrap()
}

/// Whether the interval of a class's share holds this share.
fn comes_to(survey: &Survey, class: Option<PathClass>, share: f64) -> bool {
    let interval = survey.tally.share(class).unwrap();
    (interval.low..=interval.high).contains(&share)
}

#[test]
fn one_in_five_needs_a_relay_in_27_of_100_calls_and_with_more_ipv6_in_fewer_than_10() {
    let relayed = Some(PathClass::Relayed);
    assert!(comes_to(&surveyed("one-in-five"), relayed, 0.36 * 0.75));
    let solved = surveyed("one-in-five-solved");
    assert!(comes_to(&solved, relayed, 0.36 * (1.0 - 0.81)));
    assert!(solved.tally.share(relayed).unwrap().high < 0.1);
}

#[test]
fn an_office_without_udp_is_served_by_tls_and_by_nothing_less() {
    assert!(comes_to(&surveyed("office"), None, 1.0 - 0.81));
    let solved = surveyed("office-solved");
    assert_eq!(solved.tally.share(None).unwrap().count, 0);
    let tls = solved.tally.relayed_by(TurnTransport::Tls).unwrap();
    assert!((tls.low..=tls.high).contains(&0.19));
}
