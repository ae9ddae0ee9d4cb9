//! The TURN client against the TURN server, across networks.

mod cost;
mod garbage;

use pinhole::link::{Conditions, Link};
use pinhole::nat::NatConfig;
use pinhole::server::{ClientTransport, TurnConfig, TurnServer};
use pinhole::{Filtering, Input, Internet, Io, Mapping, NodeId, Program, ProgramId, Topology};

use super::*;

const PORT: u16 = 40_000;
const PEER_PORT: u16 = 5000;

/// A host with a TURN client.
struct Caller {
    server: SocketAddr,
    credentials: (&'static str, &'static str),
    permits: Vec<IpAddr>,
    client: Option<TurnClient>,
    events: Vec<(u64, TurnEvent)>,
    data: Vec<(u64, SocketAddr, Vec<u8>)>,
    unreachable: Vec<SocketAddr>,
    sent: Vec<(u64, usize)>,
}

impl Caller {
    fn new(server: &str) -> Self {
        Caller {
            server: address(server),
            credentials: ("alice", "secret"),
            permits: Vec::new(),
            client: None,
            events: Vec::new(),
            data: Vec::new(),
            unreachable: Vec::new(),
            sent: Vec::new(),
        }
    }

    fn with(&mut self, io: &mut Io<'_>, act: impl FnOnce(&mut TurnClient, Time)) {
        let now = io.now();
        let Some(client) = &mut self.client else {
            return;
        };
        act(client, now);
        let local = core!(&client.core, core => core.local_addr());
        while let Some(bytes) = client.poll_transmit() {
            self.sent.push((now.as_nanos() / 1_000_000, bytes.len()));
            io.send(local, self.server, &bytes);
        }
        while let Some(event) = client.poll_event() {
            self.events.push((now.as_nanos() / 1_000_000, event));
        }
        let timeout = client.poll_timeout();
        assert!(timeout.is_none_or(|timeout| timeout > now));
        io.wake_at(timeout);
    }
}

impl Program for Caller {
    fn handle_input(&mut self, now: Time, input: Input<'_>, io: &mut Io<'_>) {
        match input {
            Input::Start => {
                io.bind(PORT).unwrap();
                let family = pinhole::Address::from(self.server.ip()).family();
                let local = SocketAddr::new(io.address(family).unwrap().into(), PORT);
                let (user, password) = self.credentials;
                self.client = Some(TurnClient::new(local, self.server, user, password, now));
                let permits = self.permits.clone();
                self.with(io, |client, now| {
                    permits
                        .into_iter()
                        .for_each(|peer| client.permit(peer, now));
                });
            }
            Input::Datagram(datagram) => {
                let client = self.client.as_mut().unwrap();
                match client.handle_datagram(now, datagram.payload) {
                    Received::Handled => {}
                    Received::Peer(data) => {
                        let at = now.as_nanos() / 1_000_000;
                        self.data.push((at, data.peer(), data.bytes().to_vec()));
                    }
                    Received::PeerUnreachable(peer) => self.unreachable.push(peer),
                    Received::Ignored => io.reject("not for the TURN client"),
                }
                self.with(io, |_, _| ());
            }
            Input::Wake => self.with(io, |client, now| client.handle_timeout(now)),
            Input::Unreachable { .. } => self.with(io, |client, _| client.handle_unreachable()),
            Input::Tcp { .. }
            | Input::Message { .. }
            | Input::EchoReply(_)
            | Input::NetworkChanged => {}
        }
    }
}

struct World {
    net: Internet,
    alice: NodeId,
    bob: NodeId,
    turn: ProgramId,
}

impl World {
    /// Alice behind a NAT; a TURN server; Bob, who answers every datagram with its own bytes. 20 ms
    /// one way between any two.
    fn new(config: TurnConfig, seed: u64) -> Self {
        World::over(config, seed, Link::with_delay(Duration::from_millis(10)))
    }

    fn over(config: TurnConfig, seed: u64, access: Link) -> Self {
        let quick = Link::with_delay(Duration::from_millis(10));
        let mut plan = Topology::new();
        let core = plan.router("internet");
        let nat = NatConfig::new(
            Mapping::AddressAndPortDependent,
            Filtering::AddressAndPortDependent,
        );
        let home = plan.nat("home", nat);
        let parse = |text: &str| text.parse::<pinhole::Address>().unwrap();
        plan.connect(home, core, access, &[parse("203.0.113.1")]);
        let alice = plan.host("alice");
        plan.connect(
            alice,
            home,
            Link::with_delay(Duration::ZERO),
            &[parse("192.168.1.2")],
        );
        let bob = plan.host("bob");
        plan.connect(
            bob,
            core,
            quick,
            &[parse("198.51.100.9"), parse("2001:db8:b::9")],
        );
        let server = plan.host("turn");
        plan.connect(
            server,
            core,
            quick,
            &[parse("192.0.2.1"), parse("2001:db8:7::1")],
        );
        let mut net = plan.build(seed).unwrap();
        net.attach_fn(bob, |_, input, io| match input {
            Input::Start => {
                io.bind(PEER_PORT).unwrap();
            }
            Input::Datagram(datagram) => {
                io.send(datagram.local, datagram.remote, datagram.payload);
            }
            _ => {}
        });
        let turn = net.attach(server, TurnServer::new(config).unwrap());
        World {
            net,
            alice,
            bob,
            turn,
        }
    }

    fn run(&mut self, until_ms: u64) {
        self.net.run_until(Time::from_millis(until_ms)).unwrap();
    }

    fn act(&mut self, id: ProgramId, act: impl FnOnce(&mut TurnClient, Time)) {
        self.net
            .act(id, |caller: &mut Caller, io| caller.with(io, act));
    }

    fn caller(&self, id: ProgramId) -> &Caller {
        self.net.program(id)
    }

    fn turn(&self) -> &TurnServer {
        self.net.program(self.turn)
    }
}

fn config() -> TurnConfig {
    TurnConfig::new("realm")
        .with_user("alice", "secret")
        .with_user("bob", "hidden")
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn relayed(caller: &Caller) -> SocketAddr {
    match caller.events.first() {
        Some((_, TurnEvent::Allocated { relayed, .. })) => *relayed,
        other => panic!("{other:?}"),
    }
}

const SERVER: &str = "192.0.2.1:3478";
const BOB: &str = "198.51.100.9:5000";

#[test]
fn a_datagram_goes_through_the_relay_and_back() {
    let mut world = World::new(config(), 1);
    let caller = Caller {
        permits: vec![address(BOB).ip()],
        ..Caller::new(SERVER)
    };
    let alice = world.net.attach(world.alice, caller);
    world.run(1000);
    let caller = world.caller(alice);
    let relayed = relayed(caller);
    // Allocate at 0, 401 at 40 ms, Allocate again no sooner than 50 ms after the first, and so on.
    let mapped = match caller.events[0] {
        (
            90,
            TurnEvent::Allocated {
                mapped: Some(mapped),
                ..
            },
        ) => mapped,
        other => panic!("{other:?}"),
    };
    assert_eq!(mapped.ip(), address("203.0.113.1:1").ip());
    let peer = address(BOB).ip();
    assert_eq!(
        caller.events[1..],
        [(140, TurnEvent::PermissionCreated { peer })]
    );

    world.act(alice, |client, now| {
        client.send_to(address(BOB), b"ping", now)
    });
    world.run(1100);
    assert_eq!(
        world.caller(alice).data,
        [(1080, address(BOB), b"ping".to_vec())]
    );
    assert_eq!(world.caller(alice).sent.last(), Some(&(1000, 4 + 36)));

    world.act(alice, |client, now| client.bind_channel(address(BOB), now));
    world.act(alice, |client, now| client.bind_channel(address(BOB), now));
    world.run(1200);
    let bound = TurnEvent::ChannelBound { peer: address(BOB) };
    assert_eq!(world.caller(alice).events[2..], [(1140, bound)]);
    world.act(alice, |client, now| {
        client.send_to(address(BOB), b"ping", now)
    });
    world.run(1300);
    assert_eq!(
        world.caller(alice).data[1],
        (1280, address(BOB), b"ping".to_vec())
    );
    assert_eq!(world.caller(alice).sent.last(), Some(&(1200, 4 + 4)));

    let traffic = world.turn().counters().traffic(ClientTransport::Udp);
    assert_eq!((traffic.peer_in.packets, traffic.peer_out.packets), (2, 2));
    assert_eq!(
        world.caller(alice).client.as_ref().unwrap().relayed(),
        Some(relayed)
    );
}

#[test]
fn what_is_sent_too_early_waits() {
    let mut world = World::new(config(), 1);
    let alice = world.net.attach(world.alice, Caller::new(SERVER));
    world.run(1);
    for n in 0..20 {
        world.act(alice, |client, now| client.send_to(address(BOB), &[n], now));
    }
    world.run(1000);
    let arrived: Vec<u8> = world
        .caller(alice)
        .data
        .iter()
        .map(|(_, _, data)| data[0])
        .collect();
    assert_eq!(arrived, (4..20).collect::<Vec<_>>());
}

#[test]
fn wrong_credentials_fail_in_two_round_trips() {
    for credentials in [("alice", "wrong"), ("carol", "secret")] {
        let mut world = World::new(config(), 1);
        let alice = world.net.attach(
            world.alice,
            Caller {
                credentials,
                ..Caller::new(SERVER)
            },
        );
        world.run(60_000);
        let failed = TurnEvent::AllocationFailed { code: Some(401) };
        assert_eq!(world.caller(alice).events, [(90, failed)]);
        assert_eq!(
            world.caller(alice).client.as_ref().unwrap().poll_timeout(),
            None
        );
    }
}

#[test]
fn the_servers_refusals_are_told_with_their_code() {
    let full = TurnConfig {
        allocations: Some(0),
        ..config()
    };
    let quota = TurnConfig {
        allocations_per_user: Some(0),
        ..config()
    };
    for (config, code) in [(full, 508), (quota, 486)] {
        let mut world = World::new(config, 1);
        let alice = world.net.attach(world.alice, Caller::new(SERVER));
        world.run(60_000);
        let failed = TurnEvent::AllocationFailed { code: Some(code) };
        assert_eq!(world.caller(alice).events, [(90, failed)]);
    }
}

#[test]
fn a_silent_server_is_given_up() {
    // Private addresses are filtered at the core, without a word.
    let mut world = World::new(config(), 1);
    let silent = TurnConfig {
        udp_port: Some(3479),
        ..config()
    };
    world
        .net
        .attach(world.bob, TurnServer::new(silent).unwrap());
    let alice = world.net.attach(world.alice, Caller::new("10.9.8.7:3478"));
    world.run(60_000);
    let failed = TurnEvent::AllocationFailed { code: None };
    assert_eq!(world.caller(alice).events, [(39_500, failed)]);
    let sent: Vec<u64> = world.caller(alice).sent.iter().map(|(at, _)| *at).collect();
    assert_eq!(sent, [0, 500, 1500, 3500, 7500, 15_500, 31_500]);

    // Where the host is there, but nobody on the port, ICMP tells at once.
    let alice = world.net.attach(world.bob, Caller::new("192.0.2.1:9"));
    world.run(120_000);
    assert_eq!(world.caller(alice).events, [(60_040, failed)]);

    // And where a public address is nobody's, so does the core, at half the distance.
    let mut world = World::new(config(), 1);
    let alice = (world.net).attach(world.bob, Caller::new("198.51.100.77:3478"));
    world.run(60_000);
    assert_eq!(world.caller(alice).events, [(20, failed)]);
}

#[test]
fn a_denied_peer_fails_and_an_unreachable_one_is_told() {
    let mut config = config();
    config.peers.deny("10.0.0.0/8".parse().unwrap());
    let mut world = World::new(config, 1);
    let denied = address("10.0.0.1:1").ip();
    let other_family = address("[2001:db8:b::9]:1").ip();
    let permits = vec![denied, other_family, address(BOB).ip()];
    let alice = world.net.attach(
        world.alice,
        Caller {
            permits,
            ..Caller::new(SERVER)
        },
    );
    world.run(1000);
    let events: Vec<TurnEvent> = world.caller(alice).events[1..]
        .iter()
        .map(|(_, event)| *event)
        .collect();
    let mut expected = vec![
        TurnEvent::PermissionFailed { peer: denied },
        TurnEvent::PermissionFailed { peer: other_family },
        TurnEvent::PermissionCreated {
            peer: address(BOB).ip(),
        },
    ];
    for event in events {
        expected.retain(|expected| *expected != event);
    }
    assert_eq!(expected, []);
    world.act(alice, |client, now| {
        client.send_to(address("10.0.0.1:7"), b"x", now)
    });
    let nobody = address("198.51.100.9:9");
    world.act(alice, |client, now| client.send_to(nobody, b"x", now));
    world.run(2000);
    assert_eq!(world.caller(alice).unreachable, [nobody]);
    assert_eq!(
        world
            .turn()
            .counters()
            .traffic(ClientTransport::Udp)
            .peer_out
            .packets,
        1
    );
}

/// RFC 8656 §3.2: nonces go stale, permissions, channels and the allocation are refreshed, and the
/// NAT's mapping with them.
#[test]
fn an_allocation_lives_for_hours_and_ends_when_told() {
    let config = TurnConfig {
        nonce_lifetime: Duration::from_secs(600),
        ..config()
    };
    let mut world = World::new(config, 1);
    let permits = vec![address(BOB).ip(), address("198.51.100.10:1").ip()];
    let alice = world.net.attach(
        world.alice,
        Caller {
            permits,
            ..Caller::new(SERVER)
        },
    );
    world.run(500);
    world.act(alice, |client, now| client.bind_channel(address(BOB), now));
    for hour in 1..=3 {
        world.run(hour * 3_600_000);
        world.act(alice, |client, now| {
            client.send_to(address(BOB), b"still here", now)
        });
        world.run(hour * 3_600_000 + 1000);
        assert_eq!(world.caller(alice).data.len() as u64, hour);
    }
    assert!(world.turn().counters().errors[&438] > 5);
    assert_eq!(world.caller(alice).events.len(), 4);
    world.act(alice, |client, now| client.delete(now));
    world.run(4 * 3_600_000);
    assert_eq!(world.turn().counters().active, 0);
    assert_eq!(
        world.caller(alice).events.last().unwrap().1,
        TurnEvent::Closed
    );
    let sent = world.caller(alice).sent.len();
    world.run(5 * 3_600_000);
    assert_eq!(world.caller(alice).sent.len(), sent);
}

#[test]
fn two_clients_of_one_server_meet_between_their_relayed_addresses() {
    let mut world = World::new(config(), 1);
    let permits = vec![address(SERVER).ip()];
    let bobs = ("bob", "hidden");
    let alice = world.net.attach(
        world.alice,
        Caller {
            permits: permits.clone(),
            ..Caller::new(SERVER)
        },
    );
    let caller = Caller {
        permits,
        credentials: bobs,
        ..Caller::new(SERVER)
    };
    let bob = world.net.attach(world.bob, caller);
    world.run(1000);
    let (a, b) = (relayed(world.caller(alice)), relayed(world.caller(bob)));
    world.act(alice, |client, now| client.send_to(b, b"hello", now));
    world.run(2000);
    assert_eq!(world.caller(bob).data, [(1040, a, b"hello".to_vec())]);
}

#[test]
fn an_ipv6_server_relays_from_ipv6() {
    let mut world = World::new(config(), 1);
    let server = "[2001:db8:7::1]:3478";
    let bob = world.net.attach(world.bob, Caller::new(server));
    world.run(1000);
    let relayed = relayed(world.caller(bob));
    assert_eq!(relayed.ip(), address(server).ip());
    let peer = address("[2001:db8:b::9]:5000");
    world.act(bob, |client, now| client.send_to(peer, b"ping", now));
    world.run(2000);
    assert_eq!(world.caller(bob).data[0].1, peer);
}

/// Lost and repeated requests come to the same end, and one seed means one run: the crate's ids are
/// drawn from the operating system's randomness, and must not show.
#[test]
fn loss_delays_but_changes_nothing_and_runs_repeat() {
    let run = |seed| {
        let link = Link::symmetric(
            Conditions::new(Duration::from_millis(10))
                .independent_loss(0.2)
                .duplication(0.1),
        );
        let mut world = World::over(config(), seed, link);
        let mut permits = vec![address(BOB).ip()];
        permits.extend((10..22).map(|n| IpAddr::from([198, 51, 100, n])));
        let alice = world.net.attach(
            world.alice,
            Caller {
                permits,
                ..Caller::new(SERVER)
            },
        );
        world.run(39_000);
        assert_eq!(world.turn().counters().active, 1, "seed {seed}");
        relayed(world.caller(alice));
        for n in 0..8 {
            let peer = address(&format!("198.51.100.9:{}", 5000 + n));
            world.act(alice, |client, now| client.bind_channel(peer, now));
        }
        world.run(1_500_000);
        let caller = world.caller(alice);
        (
            world.net.trace().digest(),
            caller.events.clone(),
            caller.sent.clone(),
        )
    };
    for seed in 0..20 {
        let (first, second) = (run(seed), run(seed));
        let differ = first
            .1
            .iter()
            .zip(&second.1)
            .find(|(one, other)| one != other);
        let shifted = first
            .2
            .iter()
            .zip(&second.2)
            .find(|(one, other)| one != other);
        assert!(first == second, "seed {seed}: {differ:?}, {shifted:?}");
        // What isn't answered goes on being repeated: a wait of more than 16 s is one for a refresh.
        let sent = first.2.iter().map(|(at, _)| *at);
        let early: Vec<u64> = sent.filter(|at| (39_000..230_000).contains(at)).collect();
        assert!(
            early.windows(2).all(|pair| pair[1] - pair[0] <= 16_000),
            "{early:?}"
        );
    }
}
