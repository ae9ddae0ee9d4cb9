//! The three fidelities of a conference agree where they claim to.

use std::time::Duration;

use pinhole::Internet;
use pinhole::link::AccessProfile;
use pinhole_scenarios::conference::{
    ConferenceConfig, ConferenceOutcome, Plan, flow, formula, full,
};

fn plan(topology: &str, participants: usize, access: Option<&str>) -> Plan {
    let access = access.map(|name| AccessProfile::named(name).expect("a profile"));
    let topology = topology.parse().expect("a topology");
    let config = ConferenceConfig {
        warmup: Duration::from_secs(8),
        measured: Duration::from_secs(8),
        ..ConferenceConfig::new(topology, participants, access)
    };
    Plan::new(config).expect("a plan")
}

fn show(name: &str, outcome: &ConferenceOutcome) {
    for it in outcome.participants.iter().take(2) {
        println!("{name:8} {:8} up {:?}", it.name, it.up);
        println!("{:8} {:8} down {:?}", "", "", it.down);
        println!(
            "{:17} delay {:?} queueing {:?} loss {:.4}",
            "", it.delay, it.queueing, it.loss
        );
        for r in it.received.iter().take(2) {
            println!("{:17} {:?}", "", r);
        }
    }
    for it in &outcome.servers {
        println!(
            "{name:8} {} in {:?}\n    out {:?} {} {} {} {}",
            it.name,
            it.into,
            it.out,
            it.packets_in_per_s,
            it.packets_out_per_s,
            it.forwarded_per_s,
            it.crypto_per_s
        );
    }
    println!(
        "  all seen {:?} gaps {:?} findings {:?} packets {:?} digest {}",
        outcome.all_seen,
        outcome.gaps.len(),
        outcome.findings,
        outcome.packets,
        outcome.digest
    );
}

#[test]
fn look() {
    for (topology, n, access) in [
        ("sfu", 3, None),
        ("mesh", 3, None),
        ("sfu", 4, Some("adsl")),
    ] {
        let plan = plan(topology, n, access);
        println!("=== {topology} {n} {access:?}");
        show("formula", &formula::run(&plan).unwrap());
        let t = std::time::Instant::now();
        show("flow", &flow::run(&plan).unwrap());
        println!("{:?}", t.elapsed());
        let t = std::time::Instant::now();
        show("full", &full::run(&plan, &mut Internet::default()).unwrap());
        println!("{:?}", t.elapsed());
    }
}
