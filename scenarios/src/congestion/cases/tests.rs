//! The cases as a whole, with the contender that lives here and with one that controls nothing.

use std::time::Duration;

use pinhole::{Input, Internet, Io};

use super::*;

fn goog_cc(section: &str, seed: u64) -> CaseOutcome {
    run(&Case::of(section).unwrap(), &GoogCc, seed).unwrap()
}

#[test]
fn every_case_runs_to_its_end_and_shows_what_its_wire_carried() {
    for case in Case::all() {
        let outcome = run(&case, &GoogCc, 1).unwrap();
        assert_eq!(outcome.findings, []);
        assert_eq!(outcome.flows.len(), case.flows.len());
        for (flow, series) in case.flows.iter().zip(&outcome.flows) {
            let samples = case.duration.as_millis() / LOG_INTERVAL.as_millis();
            assert_eq!(series.samples.len() as u128, samples, "{}", case.section);
            let (from, until) = flow.active[0];
            // What is sent at the very end of an interval is counted in it.
            let begins = Time::ZERO + (from - Time::ZERO).saturating_sub(LOG_INTERVAL);
            let before = series.within(Time::ZERO, begins);
            assert!(before.into_iter().all(|sample| sample.sent_kbps == 0.0));
            let mean = series.mean_kbps(from, until);
            assert!(mean > 150.0, "{} {}: {mean}", case.section, series.name);
            for sample in series.within(from, until) {
                // Nothing arrives before it could have.
                let least = flow.delay.as_secs_f64() * 1_000.0;
                assert!(sample.delay_ms.is_none_or(|delay| delay >= least));
                assert!(sample.queueing_ms.is_none_or(|delay| delay <= 340.0));
            }
        }
        let capacity = |at| case.capacity(false, at) as f64 / 1_000.0;
        for place in 0..outcome.flows[0].samples.len() {
            let forward = case.flows.iter().zip(&outcome.flows);
            let forward = forward.filter(|(flow, _)| !flow.backward);
            let together: f64 = forward
                .map(|(_, series)| series.samples[place].received_kbps)
                .sum();
            // What the queue held when the rate fell still arrives, and jitter bunches packets.
            let at = outcome.flows[0].samples[place].from;
            let most = capacity(at).max(capacity(Time::ZERO + (at - Time::from_millis(400))));
            assert!(together <= most * 1.15 + 20.0, "{} at {at}", case.section);
        }
    }
}

#[test]
fn goog_cc_meets_what_is_asked_of_one_flow() {
    let verdict = goog_cc("5.1", 1).verdict();
    assert!(verdict.is_met(), "{verdict:?}");
    let names: Vec<&str> = verdict.criteria.iter().map(|it| it.name).collect();
    assert_eq!(names, ["uses", "queue", "loss", "steady"]);
    let pause = goog_cc("5.8", 1).verdict();
    let names: Vec<&str> = pause.criteria.iter().map(|it| it.name).collect();
    assert_eq!(
        names,
        ["uses", "queue", "loss", "steady", "fair", "resumes"]
    );
}

#[test]
fn one_seed_is_one_run() {
    let digests = [1, 1, 2].map(|seed| goog_cc("5.3", seed).digest);
    assert_eq!(digests[0], digests[1]);
    assert_ne!(digests[0], digests[2]);
}

/// Sends at one rate whatever comes of it.
struct Stubborn;

impl Contender for Stubborn {
    fn name(&self) -> &'static str {
        "stubborn"
    }

    fn attach(&self, net: &mut Internet, flow: &FlowSpec) -> Box<dyn Attached> {
        for (host, own) in [
            (flow.sender, flow.sender_at),
            (flow.receiver, flow.receiver_at),
        ] {
            let flow = flow.clone();
            net.attach_fn(host, move |now, input, io: &mut Io<'_>| {
                if let Input::Start = input {
                    io.bind_to(own).unwrap();
                }
                if own == flow.sender_at && flow.is_active(now) {
                    io.send(own, flow.receiver_at, &[0x80; 1_172]);
                }
                io.wake_at((own == flow.sender_at).then(|| now + Duration::from_micros(6_400)));
            });
        }
        Box::new(Stubborn)
    }
}

impl Attached for Stubborn {
    fn told(&self, _: &Internet) -> Told {
        Told::default()
    }

    fn finding(&self, _: &Internet) -> Option<String> {
        None
    }
}

#[test]
fn who_controls_nothing_fills_the_queue_and_loses() {
    let case = Case::of("5.1").unwrap();
    let outcome = run(&case, &Stubborn, 1).unwrap();
    let verdict = outcome.verdict();
    let failed = verdict.criteria.iter().filter(|it| !it.met);
    let failed: Vec<&str> = failed.map(|it| it.name).collect();
    assert_eq!(failed, ["queue", "loss"]);
    let samples = &outcome.flows[0].samples;
    assert!(samples.iter().all(|sample| sample.target_kbps.is_none()));
}

/// The first twenty seconds of a case.
fn begun(section: &str) -> Case {
    let mut case = Case::of(section).unwrap();
    case.duration = Duration::from_secs(20);
    case.forward
        .retain(|step| step.at < Time::from_millis(20_000));
    let end = Time::from_millis(19_000);
    for flow in &mut case.flows {
        for (_, until) in &mut flow.active {
            *until = end.min(*until);
        }
    }
    case
}

#[test]
fn a_whole_stack_finds_the_capacity_and_lets_a_queue_stand() {
    let case = begun("5.1");
    let outcome = run(&case, &Str0m, 1).unwrap();
    assert_eq!(outcome.findings, []);
    assert_eq!(outcome.flows[0].samples.len(), 100);
    let verdict = outcome.verdict();
    let failed = verdict.criteria.iter().filter(|it| !it.met);
    let failed: Vec<&str> = failed.map(|it| it.name).collect();
    assert_eq!(failed, ["queue"], "{verdict:?}");
    let told = outcome.flows[0].samples.last().unwrap().target_kbps;
    assert!(told.is_some_and(|kbps| (700.0..1_500.0).contains(&kbps)));
    let again = std::thread::spawn(move || run(&case, &Str0m, 1).unwrap());
    assert_eq!(again.join().unwrap().digest, outcome.digest);
}
