//! The README's examples of one's own protocol, as a stranger would write them.

use std::net::SocketAddr;
use std::time::Duration;

use pinhole::{Input, Io, Program, Sketch, Time, check};

#[test]
fn two_hosts_greet_each_other() {
    check(|seed| {
        let mut world = Sketch::new();
        let alice = world.host("alice", "nat:eim/apdf");
        let bob = world.host("bob", "nat:eim/apdf");
        let peers = [
            (alice, world.public(bob, 5000)),
            (bob, world.public(alice, 5000)),
        ];
        let mut net = world.build(seed);
        for (host, peer) in peers {
            net.attach_fn(host, move |_now, input, io| match input {
                Input::Start => {
                    io.bind(5000).unwrap();
                    io.send_from(5000, peer, b"hello");
                }
                Input::Datagram(hello) => assert_eq!(hello.remote, peer),
                _ => {}
            });
        }
        net.run_for(Duration::from_secs(1)).unwrap();
        assert_eq!(net.trace().counts().delivered, 2);
    });
}

/// Introduces the hosts that write to it to each other, two by two: it knows where they come from.
fn matchmaker() -> impl Program {
    let mut waiting: Option<SocketAddr> = None;
    move |_: Time, input: Input<'_>, io: &mut Io<'_>| match input {
        Input::Start => {
            io.bind(7000).unwrap();
        }
        Input::Datagram(request) => match waiting.take() {
            None => waiting = Some(request.remote),
            Some(other) => {
                io.send_from(7000, other, request.remote.to_string().as_bytes());
                io.send_from(7000, request.remote, other.to_string().as_bytes());
            }
        },
        _ => {}
    }
}

/// Asks to be introduced, greets whom it is introduced to every 100 ms, and notes who greets it.
struct Peer {
    matchmaker: SocketAddr,
    other: Option<SocketAddr>,
    greeted_by: Option<SocketAddr>,
}

impl Program for Peer {
    fn handle_input(&mut self, _: Time, input: Input<'_>, io: &mut Io<'_>) {
        match input {
            Input::Start => {
                io.bind(5000).unwrap();
                io.send_from(5000, self.matchmaker, b"whom may I meet?");
            }
            Input::Datagram(answer) if answer.remote == self.matchmaker => {
                let text = std::str::from_utf8(answer.payload).unwrap();
                self.other = Some(text.parse().unwrap());
                io.wake_at(io.now());
            }
            Input::Datagram(greeting) => self.greeted_by = Some(greeting.remote),
            Input::Wake => {
                io.send_from(5000, self.other.unwrap(), b"hello");
                io.wake_after(Duration::from_millis(100));
            }
            _ => {}
        }
    }
}

/// Who greeted each of two peers in networks of these kinds within five seconds.
fn introduce(kinds: [&str; 2], seed: u64) -> [Option<SocketAddr>; 2] {
    let mut world = Sketch::new();
    let hosts = [world.host("alice", kinds[0]), world.host("bob", kinds[1])];
    let server = world.server("matchmaker");
    let address = world.public(server, 7000);
    let mut net = world.build(seed);
    net.attach(server, matchmaker());
    let peers = hosts.map(|host| {
        net.attach(
            host,
            Peer {
                matchmaker: address,
                other: None,
                greeted_by: None,
            },
        )
    });
    net.run_for(Duration::from_secs(5)).unwrap();
    peers.map(|peer| net.program::<Peer>(peer).greeted_by)
}

#[test]
fn introduced_peers_meet_where_one_mapping_serves_every_destination() {
    check(|seed| {
        let greeted = introduce(["nat:eim/apdf", "nat:eim/adf"], seed);
        // Both NATs keep port 5000, so each sees the other's NAT.
        let seen = greeted.map(|by| by.unwrap().to_string());
        assert_eq!(seen, ["203.0.113.2:5000", "203.0.113.1:5000"]);
    });
}

#[test]
fn introduced_peers_miss_each_other_where_every_destination_has_its_own_mapping() {
    check(|seed| {
        // Each greets the other's mapping towards the matchmaker, through a mapping that the other
        // has never sent to.
        assert_eq!(introduce(["nat:apdm/apdf"; 2], seed), [None, None]);
    });
}
