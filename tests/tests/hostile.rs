//! Programs that misbehave, and budgets that end what would not end by itself.

use std::cell::Cell;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use pinhole::host::BindError;
use pinhole::link::Link;
use pinhole::trace::{Digest, Event};
use pinhole::{
    Address, Budget, BudgetExceeded, Endpoint, Input, Internet, Io, NodeId, Program, Time, Topology,
};

/// Two hosts, 10 ms apart: 192.0.2.1 and 192.0.2.2, with IPv6 beside them.
fn two_hosts(budget: Budget) -> (Internet, NodeId, NodeId) {
    let mut plan = Topology::new();
    plan.budget(budget);
    let core = plan.router("core");
    let hosts = [1, 2].map(|n| {
        let host = plan.host(format!("host{n}"));
        let v6 = format!("2001:db8::{n}").parse().unwrap();
        let link = Link::with_delay(Duration::from_millis(5));
        plan.connect(host, core, link, &[Address::v4(192, 0, 2, n), v6]);
        host
    });
    (plan.build(1).unwrap(), hosts[0], hosts[1])
}

fn quiet() -> (Internet, NodeId, NodeId) {
    two_hosts(Budget::default())
}

fn host(n: u8, port: u16) -> SocketAddr {
    Endpoint::new(Address::v4(192, 0, 2, n), port).into()
}

fn accounted_for(net: &Internet) {
    let counts = net.trace().counts();
    assert_eq!(net.packets_under_way() as u64, counts.in_flight);
    let sum = counts.delivered + counts.dropped + counts.in_flight;
    assert_eq!(counts.sent + counts.duplicated, sum);
}

/// Does something once, and takes what comes.
fn once(act: impl Fn(&mut Io<'_>) + 'static) -> impl Program {
    move |_: Time, input: Input<'_>, io: &mut Io<'_>| {
        if let Input::Start = input {
            act(io);
        }
    }
}

/// Sends a datagram at its start and answers each that it gets, forever.
fn echo(to: SocketAddr) -> impl Program {
    move |_: Time, input: Input<'_>, io: &mut Io<'_>| match input {
        Input::Start => {
            io.bind(7).unwrap();
            io.send_from(7, to, b"ping");
        }
        Input::Datagram(datagram) => io.send_from(7, datagram.remote, b"pong"),
        _ => {}
    }
}

#[test]
fn a_program_that_wakes_itself_at_the_same_instant_forever_is_ended_by_the_events_budget() {
    let budget = Budget {
        events: 10_000,
        ..Budget::default()
    };
    let (mut net, one, other) = two_hosts(budget);
    net.attach(
        one,
        once(|io| io.send_from(7, host(2, 9), b"before it began")),
    );
    net.attach_fn(other, |_, _, io| io.wake_at(io.now()));
    let spent = net.run_to_end().unwrap_err();
    let (limit, at) = (10_000, Time::ZERO);
    assert_eq!(spent, BudgetExceeded::Events { limit, at });
    assert!(spent.to_string().contains("10000 events"), "{spent}");
    assert_eq!((net.events(), net.now()), (10_000, Time::ZERO));
    // What happened until then stands.
    assert_eq!(net.trace().counts().in_flight, 1);
    accounted_for(&net);
}

#[test]
fn so_is_one_that_posts_to_itself_without_delay() {
    let budget = Budget {
        events: 10_000,
        ..Budget::default()
    };
    let (mut net, one, _) = two_hosts(budget);
    net.attach_fn(one, |_, _, io| io.post(io.program(), Duration::ZERO, ()));
    let spent = net.run_to_end().unwrap_err();
    assert!(matches!(spent, BudgetExceeded::Events { .. }), "{spent}");
}

#[test]
fn two_echoes_are_ended_by_whichever_budget_is_spent_first() {
    let echoes = |budget| {
        let (mut net, one, other) = two_hosts(budget);
        net.attach(other, echo(host(1, 7)));
        net.attach(one, echo(host(2, 7)));
        let spent = net.run_to_end().unwrap_err();
        accounted_for(&net);
        // Whatever is asked next, the answer is the same.
        assert_eq!(net.step(), Err(spent));
        assert_eq!(net.run_until(Time::MAX), Err(spent));
        assert_eq!(net.run_while_not(Time::MAX, |_| false), Err(spent));
        (spent, net)
    };

    let packets = 1000;
    let (spent, net) = echoes(Budget {
        packets,
        ..Budget::default()
    });
    assert!(
        matches!(spent, BudgetExceeded::Packets { limit: 1000, .. }),
        "{spent}"
    );
    // The one that was too many was sent.
    assert_eq!(net.trace().counts().sent, 1001);

    let time = Time::from_millis(1_000);
    let (spent, net) = echoes(Budget {
        time,
        ..Budget::default()
    });
    assert_eq!(spent, BudgetExceeded::Time { limit: time });
    // Two packets every 10 ms: those of 0 to 1,000 ms, the last two under way.
    assert_eq!(net.now(), time);
    assert_eq!(
        (net.trace().counts().sent, net.trace().counts().in_flight),
        (202, 2)
    );

    let events = 1000;
    let (spent, net) = echoes(Budget {
        events,
        ..Budget::default()
    });
    assert!(
        matches!(spent, BudgetExceeded::Events { limit: 1000, .. }),
        "{spent}"
    );
    assert_eq!(net.events(), 1000);
}

#[test]
fn a_spent_budget_leaves_what_an_unlimited_run_had_by_then() {
    let digest_after = |budget, events: Option<u64>| -> Digest {
        let (mut net, one, other) = two_hosts(budget);
        net.attach(other, echo(host(1, 7)));
        net.attach(one, echo(host(2, 7)));
        match events {
            Some(events) => (0..events).for_each(|_| assert!(net.step().unwrap())),
            None => assert!(net.run_to_end().is_err()),
        }
        net.trace().digest()
    };
    let budget = Budget {
        events: 777,
        ..Budget::default()
    };
    assert_eq!(
        digest_after(budget, None),
        digest_after(Budget::default(), Some(777))
    );
    assert_ne!(
        digest_after(budget, None),
        digest_after(Budget::default(), Some(700))
    );
}

#[test]
fn a_budget_spent_between_events_is_reported_by_the_next_call() {
    let budget = Budget {
        packets: 5,
        ..Budget::default()
    };
    let (mut net, one, _) = two_hosts(budget);
    let id = net.attach(one, Idle);
    net.run_to_end().unwrap();
    // Packets that go nowhere leave no event behind that could notice.
    net.act(id, |_: &mut Idle, io| {
        for _ in 0..6 {
            io.send("198.51.100.1:7".parse().unwrap(), host(2, 9), b"");
        }
    });
    assert!(matches!(
        net.run_until(Time::MAX),
        Err(BudgetExceeded::Packets { .. })
    ));
}

struct Idle;

impl Program for Idle {
    fn handle_input(&mut self, _: Time, _: Input<'_>, _: &mut Io<'_>) {}
}

#[test]
fn forged_and_impossible_addresses_never_leave_the_host() {
    let impossible = [
        // Somebody else's address, in both families.
        ("192.0.2.2:7", "192.0.2.2:9"),
        ("[2001:db8::2]:7", "[2001:db8::2]:9"),
        ("255.255.255.255:7", "192.0.2.2:9"),
        // From one family to the other.
        ("192.0.2.1:7", "[2001:db8::2]:9"),
        ("[2001:db8::1]:7", "192.0.2.2:9"),
    ];
    for (local, remote) in impossible {
        let (mut net, one, _) = quiet();
        net.record();
        let (local, remote): (SocketAddr, SocketAddr) =
            (local.parse().unwrap(), remote.parse().unwrap());
        net.attach(one, once(move |io| io.send(local, remote, b"x")));
        net.run_to_end().unwrap();
        let drops = net.trace().drops();
        assert_eq!((drops.len(), drops[0].example.code()), (1, "no_route"));
        let records = net.trace().recording().unwrap().records();
        assert!(
            !records
                .iter()
                .any(|record| matches!(record.event, Event::Departed { .. }))
        );
    }
}

#[test]
fn odd_destinations_are_dropped_with_a_reason() {
    for (to, reason) in [
        ("255.255.255.255:9", "no_route"),
        ("224.0.0.1:9", "no_route"),
        ("0.0.0.0:0", "no_route"),
        ("[::]:0", "no_route"),
        ("127.0.0.1:9", "no_route"),
        ("192.0.2.2:0", "port_unreachable"),
        ("192.0.2.1:9", "port_unreachable"),
    ] {
        let (mut net, one, _) = quiet();
        let remote: SocketAddr = to.parse().unwrap();
        net.attach(one, once(move |io| io.send_from(7, remote, b"x")));
        net.run_to_end().unwrap();
        assert_eq!(net.trace().drops()[0].example.code(), reason, "{to}");
        accounted_for(&net);
    }
}

#[test]
fn errors_are_never_answered_with_errors() {
    // From a socket that isn't open, to one that isn't open: one error, and that is dropped.
    let (mut net, one, _) = quiet();
    net.attach(one, once(|io| io.send_from(7, host(2, 9), b"x")));
    net.run_to_end().unwrap();
    let codes: Vec<_> = (net.trace().drops().iter())
        .map(|drop| (drop.example.code(), drop.count))
        .collect();
    assert_eq!(codes, [("port_unreachable", 1), ("rejected", 1)]);
    assert_eq!(net.trace().counts().sent, 2);
}

#[test]
fn a_host_talks_to_itself_without_a_link() {
    let (mut net, one, _) = quiet();
    let heard = Rc::new(Cell::new(None));
    let ear = Rc::clone(&heard);
    net.attach_fn(one, move |now, input, io| match input {
        Input::Start => {
            io.bind(7).unwrap();
            io.send_from(7, host(1, 7), b"myself");
        }
        Input::Datagram(datagram) => ear.set(Some((now, datagram.remote))),
        _ => {}
    });
    net.run_to_end().unwrap();
    assert_eq!(heard.get(), Some((Time::ZERO, host(1, 7))));
}

#[test]
fn what_no_datagram_can_hold_is_cut_to_what_it_can() {
    let (mut net, one, other) = quiet();
    let lengths = Rc::new(Cell::new([0; 2]));
    let seen = Rc::clone(&lengths);
    net.attach_fn(other, move |_, input, io| match input {
        Input::Start => {
            io.bind(9).unwrap();
        }
        Input::Datagram(datagram) => {
            let mut lengths = seen.get();
            lengths[usize::from(datagram.payload.is_empty())] = datagram.length;
            seen.set(lengths);
        }
        _ => {}
    });
    net.attach(
        one,
        once(|io| {
            io.send_from(7, host(2, 9), &vec![1; 1_000_000]);
            io.send_sized(host(1, 7), host(2, 9), usize::MAX, 1);
            // IPv6's header is longer, and so is the packet: longer than any link carries.
            io.send_from(7, "[2001:db8::2]:9".parse().unwrap(), &vec![1; 1_000_000]);
        }),
    );
    net.run_to_end().unwrap();
    assert_eq!(lengths.get(), [65_507; 2]);
    // The host says so at once, to a socket that nobody has opened.
    let drops = net.trace().drops().iter();
    let codes: Vec<_> = drops.map(|drop| drop.example.code()).collect();
    assert_eq!(codes, ["too_big", "rejected"]);
}

#[test]
fn sockets_are_refused_with_what_is_wrong() {
    let (mut net, one, _) = quiet();
    net.attach(
        one,
        once(|io| {
            assert_eq!(io.bind(7), Ok(7));
            assert_eq!(io.bind(7), Err(BindError::PortTaken { port: 7 }));
            let taken = io.bind_to(host(1, 7)).unwrap_err();
            assert!(taken.to_string().contains("port 7 is taken"), "{taken}");
            let foreign = io.bind_to(host(2, 8)).unwrap_err();
            assert!(
                foreign
                    .to_string()
                    .contains("192.0.2.2 is not an address of this host")
            );
        }),
    );
    // Another program of the same host gets no second chance, and can't close what isn't its own.
    net.attach(
        one,
        once(|io| {
            io.close(host(1, 7));
            assert_eq!(io.bind(7), Err(BindError::PortTaken { port: 7 }));
        }),
    );
    net.run_to_end().unwrap();
    assert_eq!(net.events(), 2, "both programs were started");
}

#[test]
fn alarms_in_the_past_ring_at_once_and_a_later_call_replaces_an_earlier_one() {
    let (mut net, one, _) = quiet();
    let rings = Rc::new(Cell::new(0));
    let bell = Rc::clone(&rings);
    net.attach_fn(one, move |now, input, io| match input {
        Input::Start => {
            io.wake_at(Time::from_millis(50));
            io.wake_at(Time::from_millis(100));
        }
        Input::Wake => {
            bell.set(bell.get() + 1);
            match bell.get() {
                1 => {
                    assert_eq!(now, Time::from_millis(100));
                    io.wake_at(Time::ZERO);
                }
                2 => {
                    assert_eq!(now, Time::from_millis(100));
                    io.wake_at(Time::from_millis(200));
                    io.wake_at(Time::from_millis(150));
                }
                3 => {
                    assert_eq!(now, Time::from_millis(150));
                    io.wake_at(Time::from_millis(160));
                    io.wake_at(None);
                }
                _ => panic!("it was cancelled"),
            }
        }
        _ => {}
    });
    net.run_to_end().unwrap();
    assert_eq!(rings.get(), 3);
}

#[test]
fn an_internet_can_be_used_again_after_a_program_panicked() {
    let digest = |net: &mut Internet| {
        let (plan, ..) = quiet();
        net.rebuild(plan.topology().clone(), 1).unwrap();
        let [one, other] = ["host1", "host2"].map(|name| net.topology().find(name).unwrap());
        net.attach(
            other,
            once(|io| {
                io.bind(9).unwrap();
            }),
        );
        net.attach(one, once(|io| io.send_from(7, host(2, 9), b"all is well")));
        net.run_to_end().unwrap();
        accounted_for(net);
        assert_eq!(net.trace().counts().delivered, 1);
        net.trace().digest()
    };
    let expected = digest(&mut quiet().0);

    let (mut net, one, _) = quiet();
    net.attach(
        one,
        once(|io| {
            io.send_from(7, host(2, 9), b"last words");
            io.post(io.program(), Duration::ZERO, ());
            panic!("on purpose");
        }),
    );
    let panicked = catch_unwind(AssertUnwindSafe(|| net.run_to_end()));
    assert!(panicked.is_err());
    assert_eq!(digest(&mut net), expected);
}

#[test]
#[should_panic(expected = "core is no host")]
fn programs_run_on_hosts_only() {
    let (mut net, ..) = quiet();
    let core = net.topology().find("core").unwrap();
    net.attach(core, Idle);
}
