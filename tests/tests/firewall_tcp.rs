//! Firewalls and TCP: who may open a connection, how long it is remembered, and what a rule list
//! makes of it. The box stands 5 ms from each side.

use std::time::Duration;

use pinhole::firewall::{
    Action, FirewallConfig, MidStream, Protocol, Rule, RuleError, Rules, States,
};
use pinhole::link::Link;
use pinhole::middlebox::Way;
use pinhole::topology::{BuildError, Device};
use pinhole::{Filtering, Input, Lifetimes, Sketch, TcpEnd, Topology};
use pinhole_tests::tcp::{PORT, Pair, Talker, Told, at};

const SECOND: Duration = Duration::from_secs(1);

fn stateful(filtering: Filtering) -> FirewallConfig {
    FirewallConfig::new(filtering)
}

fn apdf() -> FirewallConfig {
    stateful(Filtering::AddressAndPortDependent)
}

/// Both sides listen.
fn pair(device: Device) -> Pair {
    Pair::around(device, [Talker::server(PORT), Talker::server(PORT)])
}

#[test]
fn the_inside_may_open_and_the_outside_may_not() {
    for filtering in [
        Filtering::AddressDependent,
        Filtering::AddressAndPortDependent,
    ] {
        let mut pair = pair(Device::Firewall(stateful(filtering)));
        pair.connect_inward(PORT);
        pair.run(SECOND);
        assert_eq!(pair.talker(1).nth(0).story(), [], "{filtering}");
        assert_eq!(pair.drops()[0].0, "filtered_by_firewall");
        pair.upload(10_000);
        pair.run(SECOND);
        assert_eq!(pair.talker(1).nth(1).received, 10_000, "{filtering}");
    }
}

#[test]
fn filtering_decides_whether_somebody_spoken_to_may_open_too() {
    for (filtering, opens) in [
        (Filtering::EndpointIndependent, true),
        (Filtering::AddressDependent, true),
        (Filtering::AddressAndPortDependent, false),
    ] {
        let mut pair = pair(Device::Firewall(stateful(filtering)));
        // a speaks to b from the port that it listens on.
        pair.connect_from(0, at(0, PORT), at(1, PORT));
        pair.run(SECOND);
        pair.connect_inward(PORT);
        pair.run(SECOND);
        let accepted = pair.talker(0).order.len() == 2;
        assert_eq!(accepted, opens, "{filtering}");
    }
}

#[test]
fn both_may_open_at_once() {
    let mut pair = pair(Device::Firewall(apdf()));
    pair.connect_from(0, at(0, 5000), at(1, 6000));
    // b's SYN reaches the box after a's has left.
    pair.run(Duration::from_millis(1));
    pair.connect_from(1, at(1, 6000), at(0, 5000));
    pair.run(SECOND);
    for side in [0, 1] {
        assert_eq!(pair.talker(side).nth(0).story(), [Told::Connected]);
    }
}

/// a connects and waits so long; whether a byte from b then still arrives.
fn lives_after(config: FirewallConfig, wait: Duration) -> bool {
    let mut pair = pair(Device::Firewall(config));
    pair.connect();
    pair.run(SECOND);
    let id = pair.talker(1).order[0];
    pair.run(wait - SECOND);
    pair.act(1, |_, io| io.tcp_send(id, b"\0"));
    pair.run(SECOND);
    pair.talker(0).nth(0).received == 1
}

#[test]
fn an_established_connection_is_forgotten_exactly_when_its_lifetime_ends() {
    // a's acknowledgment of b's SYN passes the box at 25 ms, b's byte 5 ms after it is sent.
    let after_last = Duration::from_millis(25 - 5);
    for lifetime in [Duration::from_secs(7440), Duration::from_secs(60)] {
        let config = FirewallConfig {
            lifetimes: Lifetimes {
                tcp_established: lifetime,
                ..Lifetimes::STANDARD
            },
            ..apdf()
        };
        let exactly = lifetime + after_last;
        assert!(lives_after(config, exactly - Duration::from_nanos(1)));
        assert!(!lives_after(config, exactly));
    }
}

#[test]
fn a_firewall_that_has_forgotten_takes_up_what_the_inside_goes_on_with_or_does_not() {
    for (mid_stream, survives) in [(MidStream::Loose, true), (MidStream::Strict, false)] {
        let config = FirewallConfig {
            mid_stream,
            lifetimes: Lifetimes {
                tcp_established: Duration::from_secs(60),
                ..Lifetimes::STANDARD
            },
            ..apdf()
        };
        let mut pair = pair(Device::Firewall(config));
        let id = pair.connect();
        pair.run(Duration::from_secs(120));
        pair.act(0, |_, io| io.tcp_send(id, b"\0"));
        pair.run(SECOND);
        assert_eq!(pair.talker(1).nth(0).received == 1, survives);
        let drops = pair.drops();
        assert_eq!(drops.is_empty(), survives, "{drops:?}");
        if !survives {
            assert_eq!(drops[0].0, "out_of_state");
        }
    }
}

/// Which of these ports outside a host inside gets an answer from, over TCP.
fn reached(rules: Rules, ports: &[u16]) -> Vec<u16> {
    let open = |port: u16| {
        let talkers = [Talker::default(), Talker::server(port)];
        let mut pair = Pair::around(Device::Rules(rules.clone()), talkers);
        pair.connect_from(0, at(0, 0), at(1, port));
        pair.run(SECOND);
        pair.talker(0).nth(0).story() == [Told::Connected]
    };
    ports.iter().copied().filter(|port| open(*port)).collect()
}

/// Which of these ports outside a host inside gets an answer from, over UDP.
fn heard(rules: &Rules, ports: &[u16]) -> Vec<u16> {
    let open = |port: u16| {
        let device = Device::Rules(rules.clone());
        let mut pair = Pair::around(device, [Talker::default(), Talker::default()]);
        let [a, b] = pair.hosts;
        pair.net.attach_fn(b, move |_, input, io| match input {
            Input::Start => {
                io.bind(port).unwrap();
            }
            Input::Datagram(datagram) => io.send(datagram.local, datagram.remote, b"answer"),
            _ => {}
        });
        pair.net.attach_fn(a, move |_, input, io| {
            if let Input::Start = input {
                io.bind(7).unwrap();
                io.send_from(7, at(1, port), b"question");
            }
        });
        pair.run(SECOND);
        let counts = pair.net.trace().counts();
        (counts.delivered, counts.dropped) == (2, 0)
    };
    ports.iter().copied().filter(|port| open(*port)).collect()
}

/// Whether anybody outside can open a connection to the inside, or send it a datagram.
fn enters(rules: &Rules) -> bool {
    let mut pair = pair(Device::Rules(rules.clone()));
    pair.connect_inward(PORT);
    let b = pair.hosts[1];
    pair.net.attach_fn(b, |_, input, io| {
        if let Input::Start = input {
            io.bind(53).unwrap();
            io.send_from(53, at(0, 53), b"hello");
        }
    });
    pair.run(SECOND);
    pair.net.trace().counts().delivered > 0
}

const PORTS: [u16; 9] = [22, 25, 53, 80, 135, 443, 445, 3478, 5349];

#[test]
fn presets_let_pass_what_they_say() {
    let table: [(Rules, &[u16], &[u16]); 4] = [
        (Rules::udp_blocked(), &PORTS, &[]),
        (Rules::tcp_443_only(), &[443], &[]),
        (Rules::corporate(), &[53, 80, 443], &[53]),
        (
            Rules::guest_wifi(),
            &[22, 53, 80, 443, 3478, 5349],
            &[22, 25, 53, 80, 443, 445, 3478, 5349],
        ),
    ];
    for (rules, tcp, udp) in table {
        assert_eq!(reached(rules.clone(), &PORTS), tcp);
        assert_eq!(heard(&rules, &PORTS), udp);
        assert!(!enters(&rules));
        assert_eq!(rules.check(), Ok(()));
    }
}

#[test]
fn edges_that_block_udp_say_so_and_let_tcp_out() {
    for (kind, port, opens) in [
        ("udp-blocked", 80, true),
        ("udp-blocked", 443, true),
        ("tcp-443-only", 443, true),
        ("tcp-443-only", 80, false),
    ] {
        let mut world = Sketch::new();
        let inside = world.host("inside", kind);
        let server = world.server("server");
        let (to, back) = (world.public(server, port), world.public(inside, 7));
        let mut net = world.build(1);
        net.attach(server, Talker::server(port));
        let talker = net.attach(inside, Talker::default());
        net.run_for(Duration::ZERO).unwrap();
        net.act(talker, |talker: &mut Talker, io| {
            io.bind(7).unwrap();
            io.send_from(7, to, b"hello");
            let id = io.tcp_connect(back, to).unwrap();
            talker.stream(id);
        });
        net.run_for(SECOND).unwrap();
        let talker: &Talker = net.program(talker);
        assert_eq!(
            talker.nth(0).story() == [Told::Connected],
            opens,
            "{kind}, {port}"
        );
        let codes: Vec<_> = net
            .trace()
            .drops()
            .iter()
            .map(|drop| drop.example.code())
            .collect();
        assert!(codes.contains(&"udp_blocked"), "{kind}: {codes:?}");
    }
}

#[test]
fn states_tell_answers_from_questions() {
    // The outside may go on, but not begin; nor may the inside, but for port 22.
    let rules = Rules {
        otherwise: Action::Deny,
        ..Rules::new(vec![
            Rule {
                way: Some(Way::In),
                state: Some(States::ESTABLISHED),
                ..Rule::new(Action::Allow)
            },
            Rule {
                outer_port: Some(22..=22),
                way: Some(Way::Out),
                ..Rule::new(Action::Allow)
            },
        ])
    };
    assert_eq!(reached(rules.clone(), &PORTS), [22]);
    assert!(!enters(&rules));
    // The same without a word about states lets nobody's answer in.
    let deaf = Rules::new(vec![
        Rule::allow_out(Protocol::Tcp, 22..=22),
        Rule::new(Action::Deny),
    ]);
    assert_eq!(reached(deaf, &[22]), Vec::<u16>::new());
}

#[test]
fn an_error_about_something_known_is_related() {
    let rules = |related| Rules {
        otherwise: Action::Deny,
        ..Rules::new(vec![
            Rule {
                way: Some(Way::Out),
                ..Rule::new(Action::Allow)
            },
            Rule {
                state: Some(related),
                ..Rule::new(Action::Allow)
            },
        ])
    };
    for (state, told) in [(States::RELATED, true), (States::ESTABLISHED, false)] {
        let device = Device::Rules(rules(state));
        let mut pair = Pair::around(device, [Talker::default(), Talker::default()]);
        let a = pair.hosts[0];
        pair.net.attach_fn(a, move |_, input, io| {
            if let Input::Start = input {
                io.bind(7).unwrap();
                io.send_from(7, at(1, 9), b"anybody there?");
            }
        });
        pair.run(SECOND);
        assert_eq!(pair.net.trace().counts().delivered == 1, told);
    }
}

#[test]
fn inner_ports_match_the_inner_side_whichever_way_a_packet_goes() {
    let rules = Rules::new(vec![Rule {
        inner_port: Some(5000..=5009),
        ..Rule::new(Action::Deny)
    }]);
    for (port, passes) in [(4999, true), (5000, false), (5009, false), (5010, true)] {
        let mut pair = pair(Device::Rules(rules.clone()));
        pair.connect_from(0, at(0, port), at(1, PORT));
        pair.run(SECOND);
        assert_eq!(
            pair.talker(0).nth(0).story() == [Told::Connected],
            passes,
            "{port}"
        );
    }
}

#[test]
fn rules_that_contradict_themselves_are_not_built() {
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
    let empty = 2000..=1000;
    let rule = |rule: Rule| {
        Rules::new(vec![Rule::deny_udp(), rule])
            .check()
            .unwrap_err()
    };
    let error = rule(Rule {
        inner_port: Some(empty),
        ..Rule::new(Action::Deny)
    });
    assert_eq!(
        error.to_string(),
        "rule 1: inner_port is an empty range (2000 to 1000); leave it out to match any port"
    );
    let error = rule(Rule::allow_out(Protocol::Icmp, 1..=2));
    assert_eq!(
        error.to_string(),
        "rule 1: protocol is ICMP, which has no ports, but outer_port names some"
    );
    let error = rule(Rule {
        inner: Some("10.0.0.0/8".parse().unwrap()),
        outer: Some("2001:db8::/32".parse().unwrap()),
        ..Rule::new(Action::Deny)
    });
    assert!(matches!(error, RuleError::FamiliesDiffer { rule: 1, .. }));
    let error = rule(Rule {
        protocol: Some(Protocol::Udp),
        state: Some(States::RELATED),
        ..Rule::new(Action::Deny)
    });
    assert!(matches!(
        error,
        RuleError::RelatedWithoutIcmp { rule: 1, .. }
    ));

    let mut plan = Topology::new();
    let gateway = plan.gateway("guard");
    plan.install(
        gateway,
        Device::Rules(Rules::new(vec![Rule::allow_out(Protocol::Icmp, 1..=2)])),
    );
    let router = plan.router("router");
    plan.connect(gateway, router, Link::lan(), &[]);
    match plan.build(1) {
        Err(BuildError::Rules { firewall, .. }) => assert_eq!(firewall, "guard"),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was built"),
    }
}

#[test]
fn a_reset_from_outside_is_told_and_a_new_connection_may_follow() {
    let mut pair = pair(Device::Firewall(apdf()));
    pair.connect_from(0, at(0, 5000), at(1, PORT));
    pair.run(SECOND);
    let id = pair.talker(1).order[0];
    pair.act(1, |_, io| io.tcp_abort(id));
    pair.run(SECOND);
    assert_eq!(
        pair.talker(0).nth(0).story(),
        [Told::Connected, Told::Ended(TcpEnd::Reset)]
    );
    pair.connect_from(0, at(0, 5000), at(1, PORT));
    pair.run(SECOND);
    assert_eq!(pair.talker(0).nth(1).story(), [Told::Connected]);
}
