//! How many surveyed calls a second of CPU time is worth, and whether a second thread costs more of
//! it than the first. STUN and TURN over UDP on both sides, the default population.
//!
//! `cargo bench -p pinhole-benches --bench survey [-- CALLS]`. CPU time is what is measured, and the
//! rounds of one and two threads take turns, so that the machine's other work changes little.

use std::sync::atomic::AtomicBool;

use cpu_time::ProcessTime;
use pinhole_scenarios::call::CallError;
use pinhole_scenarios::survey::{Collected, Shard, SurveyConfig, presets, run};

const ROUNDS: u64 = 3;

fn main() {
    let mut asked = std::env::args().filter_map(|argument| argument.parse().ok());
    let calls: u64 = asked.next_back().unwrap_or(10_000);
    let mut config = SurveyConfig {
        population: presets::named(presets::DEFAULT).expect("the default is a preset"),
        calls,
        seed: 0,
        shard: Shard::WHOLE,
    };
    let go = AtomicBool::new(false);
    let mut seconds = [0.0; 2];
    for round in 0..ROUNDS {
        config.seed = round;
        let digests = [1, 2].map(|jobs| {
            let begun = ProcessTime::now();
            let nothing = Collected::nothing(&config);
            let survey = run(&config, nothing, jobs, &go, |_| Ok::<(), CallError>(()));
            seconds[jobs - 1] += begun.elapsed().as_secs_f64();
            survey.expect("a survey").digest
        });
        assert_eq!(digests[0], digests[1], "threads change nothing");
    }
    let made = (ROUNDS * calls) as f64;
    let [one, two] = seconds;
    println!("one thread:  {:>6.0} calls per CPU-second", made / one);
    println!("two threads: {:>6.0} calls per CPU-second", made / two);
    println!("efficiency of two threads: {:.3} (at least 0.9)", one / two);
}
