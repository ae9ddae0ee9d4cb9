//! Hosts that roam or lose a family of addresses, and services that begin anew.

use pinhole::Endpoint;
use pinhole::trace::DropReason;

use super::*;

#[test]
fn a_host_that_roams_has_the_other_addresses_and_its_programs_know() {
    let mut world = world();
    let y = world.ticker("y", None, None);
    let bound = world.ticker("x", Some("192.0.2.1:4000"), None);
    let host = world.node("x");
    let old = Diary::default();
    let kept = Rc::clone(&old);
    world.net.attach(
        host,
        Stubborn {
            from: socket("192.168.1.2:4001"),
            to: socket("192.0.2.1:4000"),
            diary: kept,
        },
    );
    let (home, mobile) = (world.link("x", "home"), world.link("x", "mobile"));
    assert_eq!(
        world.net.host_addresses(host),
        [address("192.168.1.2"), address("fd00::2")],
        "a standby link gives no address"
    );
    world.fault(45, Fault::Roam { host, to: mobile });
    world.fault(75, Fault::Roam { host, to: home });
    world.run(120);
    let networks = |diary: &Diary| -> Vec<(Time, Seen)> {
        let diary = diary.borrow();
        let mut told = diary.clone();
        told.retain(|(_, seen)| matches!(seen, Seen::Network(_)));
        told
    };
    let expected = [
        (at(45), Seen::Network(vec![address("10.0.0.2")])),
        (
            at(75),
            Seen::Network(vec![address("192.168.1.2"), address("fd00::2")]),
        ),
    ];
    assert_eq!(networks(&bound), expected);
    assert_eq!(networks(&old), expected);
    assert_eq!(networks(&y), []);
    // The socket that is bound to every address goes on from the new one, behind the other NAT.
    let came = |port: u16, nat: &str| -> Vec<u64> {
        let from = Seen::Data(SocketAddr::from(Endpoint::new(address(nat), port)));
        let diary = y.borrow();
        let from_there = diary.iter().filter(|(_, seen)| *seen == from);
        from_there
            .map(|(time, _)| time.as_nanos() / 1_000_000)
            .collect()
    };
    assert_eq!(came(4000, "203.0.113.2"), [71, 81, 91]);
    assert_eq!(came(4000, "203.0.113.1"), [21, 31, 41, 51, 61, 101, 111]);
    // The one that is bound to the old address is dead in between, and alive again after.
    assert_eq!(came(4001, "203.0.113.1"), [21, 31, 41, 51, 61, 101, 111]);
    assert_eq!(world.drops("no_route"), 3);
}

/// Sends from one address only, every 10 ms.
struct Stubborn {
    from: SocketAddr,
    to: SocketAddr,
    diary: Diary,
}

impl Program for Stubborn {
    fn handle_input(&mut self, now: Time, input: Input<'_>, io: &mut Io<'_>) {
        match input {
            Input::Start | Input::Wake => {
                if let Input::Start = input {
                    io.bind_to(self.from).unwrap();
                }
                io.send(self.from, self.to, b"tick");
                io.wake_after(Duration::from_millis(10));
            }
            Input::NetworkChanged => {
                let addresses = io.addresses().collect();
                self.diary
                    .borrow_mut()
                    .push((now, Seen::Network(addresses)));
            }
            _ => {}
        }
    }
}

#[test]
fn a_packet_for_a_host_that_has_left_is_dropped() {
    let mut world = world();
    let x = world.ticker("x", Some("192.0.2.1:4000"), None);
    world.ticker("y", Some("203.0.113.1:4000"), None);
    let (host, to) = (world.node("x"), world.link("x", "mobile"));
    // y's of 30 ms is on the last link then, and finds nobody; those after it don't get onto it.
    world.net.run_until(at(50)).unwrap();
    world.net.run_until(Time::from_nanos(50_500_000)).unwrap();
    world.net.inflict(Fault::Roam { host, to }).unwrap();
    world.run(95);
    assert_eq!(data(&x), [21, 31, 41]);
    assert_eq!(world.drops("wrong_host"), 1);
    let reason = DropReason::LinkDown {
        on: world.link("x", "home").backward(),
    };
    let dropped = world.net.trace().drops().iter();
    let at_link = dropped.filter(|drop| drop.example == reason);
    assert_eq!(at_link.map(|drop| drop.count).sum::<u64>(), 4);
}

#[test]
fn a_lost_family_is_gone_from_the_host_until_it_is_regained() {
    let mut world = world();
    let diary = world.ticker("x", None, None);
    let host = world.node("x");
    let v4 = address("192.168.1.2");
    let v6 = address("fd00::2");
    for (millis, fault) in [
        (
            10,
            Fault::FamilyLost {
                host,
                family: Family::V6,
            },
        ),
        // Lost is lost: nothing changes, and nobody is told.
        (
            20,
            Fault::FamilyLost {
                host,
                family: Family::V6,
            },
        ),
        (
            30,
            Fault::FamilyLost {
                host,
                family: Family::V4,
            },
        ),
        (
            40,
            Fault::FamilyRegained {
                host,
                family: Family::V6,
            },
        ),
        (
            50,
            Fault::FamilyRegained {
                host,
                family: Family::V4,
            },
        ),
    ] {
        world.fault(millis, fault);
    }
    world.run(100);
    let expected = [
        (at(0), Seen::Start),
        (at(10), Seen::Network(vec![v4])),
        (at(30), Seen::Network(vec![])),
        (at(40), Seen::Network(vec![v6])),
        (at(50), Seen::Network(vec![v4, v6])),
    ];
    assert_eq!(*diary.borrow(), expected);
}

#[test]
fn a_restarted_service_begins_anew() {
    let mut world = world();
    let diary = world.ticker("y", Some("192.0.2.2:4000"), None);
    let z = world.ticker("z", None, None);
    let host = world.node("y");
    // Before its first input: it starts once, not twice.
    world.net.inflict(Fault::Restart { host }).unwrap();
    world.fault(25, Fault::Restart { host });
    world.run(70);
    let starts: Vec<Time> = diary.borrow().iter().map(|(time, _)| *time).collect();
    assert_eq!(starts, [at(0), at(25)]);
    // At 0, 10, 20, and from the restart on at 25, 35, 45: the old alarm at 30 is void.
    assert_eq!(data(&z), [20, 30, 40, 45, 55, 65]);
}
