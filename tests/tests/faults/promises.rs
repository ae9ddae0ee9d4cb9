//! Many faults at once, and at random: what holds whatever goes wrong.

use pinhole_tests::world::{Bystanders, World};
use proptest::prelude::*;

use super::*;

#[test]
fn a_thousand_faults_at_once_strike_in_their_order() {
    let mut world = world();
    let y = world.ticker("y", None, None);
    world.ticker("x", Some("192.0.2.1:4000"), None);
    let (host, gateway) = (world.node("x"), world.node("home"));
    let (wifi, mobile) = (world.link("x", "home"), world.link("x", "mobile"));
    let between = [host, world.node("y")];
    let external = |n: u8| vec![Address::v4(203, 0, 113, 100 + n)];
    let mut faults: Vec<Fault> = (0..100u8)
        .flat_map(|n| {
            [
                Fault::LinkDown { link: wifi },
                Fault::Roam { host, to: mobile },
                Fault::Partition { between },
                Fault::Reboot {
                    gateway,
                    external: external(n),
                },
                Fault::Restart { host },
                Fault::FamilyLost {
                    host,
                    family: Family::V4,
                },
                Fault::Flush { gateway },
            ]
        })
        .collect();
    for _ in 0..100 {
        faults.extend([
            Fault::LinkUp { link: wifi },
            Fault::Heal { between },
            Fault::FamilyRegained {
                host,
                family: Family::V4,
            },
            Fault::Roam { host, to: wifi },
        ]);
    }
    assert!(faults.len() >= 1000);
    for fault in &faults {
        world.fault(50, fault.clone());
    }
    world.run(120);
    let struck: Vec<&Fault> = world.net.inflicted().iter().map(|one| &one.fault).collect();
    assert_eq!(struck, faults.iter().collect::<Vec<_>>());
    // All is well again but for what was under way: from 50 ms on data comes from the last address.
    let last = Seen::Data(socket("203.0.113.199:4000"));
    assert_eq!(y.borrow().last().unwrap().1, last);
    let after: Vec<u64> = data(&y).into_iter().filter(|time| *time > 71).collect();
    assert_eq!(after, [81, 91, 101, 111]);
}

/// A fault for these four numbers, if such a one makes sense for the nodes that they pick.
fn random_fault(net: &Internet, [kind, one, other, more]: [u64; 4]) -> Fault {
    let nodes: Vec<NodeId> = net.topology().nodes().collect();
    let pick = |n: u64| nodes[n as usize % nodes.len()];
    let (node, far) = (pick(one), pick(other));
    let links = net.topology().links(node);
    let link = links.get(more as usize % links.len().max(1)).copied();
    let link = link.unwrap_or_else(|| net.topology().links(nodes[0])[0]);
    let family = [Family::V4, Family::V6][more as usize % 2];
    let external = match more % 3 {
        0 => vec![],
        n => vec![Address::v4(100, 100, n as u8, more as u8)],
    };
    match kind % 10 {
        0 => Fault::Reboot {
            gateway: node,
            external,
        },
        1 => Fault::Flush { gateway: node },
        2 => Fault::Roam {
            host: node,
            to: link,
        },
        3 => Fault::LinkDown { link },
        4 => Fault::LinkUp { link },
        5 => Fault::Partition {
            between: [node, far],
        },
        6 => Fault::Heal {
            between: [node, far],
        },
        7 => Fault::Restart { host: node },
        8 => Fault::FamilyLost { host: node, family },
        _ => Fault::FamilyRegained { host: node, family },
    }
}

/// Binds a port whenever it starts, and says so to nobody.
#[derive(Default)]
struct Service(bool);

impl Program for Service {
    fn handle_input(&mut self, _: Time, input: Input<'_>, io: &mut Io<'_>) {
        if let Input::Start = input {
            assert!(!std::mem::replace(&mut self.0, true), "it starts once");
            io.bind(5000).expect("its port is free whenever it starts");
            io.wake_after(Duration::from_millis(1));
        } else {
            assert!(self.0, "the start comes first");
        }
    }
}

/// A random world with a service on every host and these faults. Returns how many were accepted.
fn troubled(seed: u64, size: u64, faults: &[(u64, [u64; 4])]) -> (Internet, usize) {
    let mut net = World::new(seed, size, Bystanders::None).start(seed);
    let topology = net.topology();
    let hosts = topology
        .nodes()
        .filter(|node| topology.role(*node) == "host");
    for host in hosts.collect::<Vec<_>>() {
        net.attach_service(host, Service::default);
    }
    let mut accepted = 0;
    for (micros, numbers) in faults {
        let fault = random_fault(&net, *numbers);
        let at = Time::from_nanos(micros * 1000);
        accepted += usize::from(net.schedule_fault(at, fault).is_ok());
    }
    (net, accepted)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever goes wrong: every packet has one fate, and the same seed makes the same run.
    #[test]
    fn no_fault_breaks_a_promise(
        seed: u64,
        size in 1u64..10,
        faults in proptest::collection::vec((0u64..400_000, any::<[u64; 4]>()), 0..60),
    ) {
        let run = || {
            let (mut net, accepted) = troubled(seed, size, &faults);
            while net.step().unwrap() {
                let counts = net.trace().counts();
                assert_eq!(net.packets_under_way() as u64, counts.in_flight);
            }
            assert_eq!(net.inflicted().len(), accepted);
            let counts = net.trace().counts();
            assert_eq!(counts.in_flight, 0, "the run is over");
            assert_eq!(counts.sent + counts.duplicated, counts.delivered + counts.dropped);
            (net.trace().digest(), counts, net.events())
        };
        prop_assert_eq!(run(), run());
    }
}
