use super::*;
use crate::conference::{ConferenceConfig, formula};
use pinhole::link::AccessProfile;
use std::time::Duration;

fn plan(topology: &str, n: usize, access: Option<&str>) -> Plan {
    let access = access.map(|name| AccessProfile::named(name).unwrap());
    let mut config = ConferenceConfig::new(topology.parse().unwrap(), n, access);
    config.warmup = Duration::from_secs(5);
    config.measured = Duration::from_secs(10);
    Plan::new(config).unwrap()
}

#[test]
fn look() {
    for (t, n, access) in [
        ("mesh", 3, None),
        ("sfu", 4, None),
        ("mcu", 3, None),
        ("cascade:2", 4, None),
        ("sfu", 4, Some("adsl")),
        ("mesh", 5, Some("cable")),
    ] {
        let plan = plan(t, n, access);
        let flow = run(&plan).unwrap();
        let form = formula::run(&plan).unwrap();
        println!(
            "== {t} {n} {access:?} seen {:?} findings {:?} packets {:?} gaps {}",
            flow.all_seen,
            flow.findings,
            flow.packets,
            flow.gaps.len()
        );
        for (a, b) in flow.participants.iter().zip(&form.participants).take(2) {
            println!(
                "flow up {:?}\nform up {:?}\nflow down {:?}\nform down {:?}",
                a.up, b.up, a.down, b.down
            );
            println!(
                "loss {} uploss {} delay {:?} {:?} q {:?}",
                a.loss, a.up_loss, a.delay, b.delay, a.queueing
            );
            for (r, s) in a.received.iter().zip(&b.received).take(4) {
                println!("  {r:?}\n  {s:?}");
            }
        }
        for (a, b) in flow.servers.iter().zip(&form.servers) {
            println!("srv {a:?}\nsrv {b:?}");
        }
    }
}
