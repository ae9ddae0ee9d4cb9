//! TURN over TCP and TLS, end to end: the server, the client, and what lies between them.
//!
//! Clients, the server and the peer hang on one router, 10 ms from it each: a round trip between
//! any two takes 40 ms.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pinhole::link::{Conditions, Link};
use pinhole::server::{ClientTransport, TurnConfig, TurnServer};
use pinhole::trace::Digest;
use pinhole::{
    Address, Input, Internet, Io, NodeId, Program, ProgramId, TcpEvent, TcpId, Time, Topology,
};
use pinhole_scenarios::tls::{SERVER_NAME, TlsServer};
use pinhole_scenarios::turn_client::{StreamEnd, TurnEvent, TurnStream};
use proptest::prelude::*;

const TURN: &str = "192.0.2.1";
const PEER: &str = "198.51.100.1:5000";

fn server(port: u16) -> SocketAddr {
    SocketAddr::new(TURN.parse().unwrap(), port)
}

fn plain() -> TurnStream {
    TurnStream::tcp(server(3478), "alice", "secret")
}

fn secure() -> TurnStream {
    TurnStream::tls(server(443), SERVER_NAME, "alice", "secret")
}

/// A host with a TURN client. Permits the peer as soon as it may, and sends it a ping.
struct Client {
    turn: TurnStream,
    id: Option<TcpId>,
    events: Vec<(Time, TurnEvent)>,
    data: Vec<(Time, Vec<u8>)>,
    gone: Option<Time>,
}

impl Client {
    fn new(turn: TurnStream) -> Self {
        Client {
            turn,
            id: None,
            events: Vec::new(),
            data: Vec::new(),
            gone: None,
        }
    }

    fn pump(&mut self, now: Time, io: &mut Io<'_>) {
        while let Some(event) = self.turn.poll_event() {
            if let TurnEvent::Allocated { .. } = event {
                self.turn.send_to(PEER.parse().unwrap(), b"ping", now);
            }
            self.events.push((now, event));
        }
        while let Some((from, bytes)) = self.turn.poll_data() {
            assert_eq!(from, PEER.parse().unwrap());
            self.data.push((now, bytes));
        }
        let id = self.id.unwrap();
        let taken = io.tcp_send(id, self.turn.outgoing());
        self.turn.written(taken);
        if self.turn.end().is_some() && self.gone.is_none() {
            self.gone = Some(now);
            io.tcp_close(id);
        }
        io.wake_at(self.turn.poll_timeout());
    }

    fn when(&self, wanted: impl Fn(&TurnEvent) -> bool) -> Option<f64> {
        let found = self.events.iter().find(|(_, event)| wanted(event))?;
        Some(found.0.as_millis_f64())
    }

    fn allocated(&self) -> Option<f64> {
        self.when(|event| matches!(event, TurnEvent::Allocated { .. }))
    }
}

impl Program for Client {
    fn handle_input(&mut self, now: Time, input: Input<'_>, io: &mut Io<'_>) {
        match input {
            Input::Start => {
                let any = "0.0.0.0:0".parse().unwrap();
                self.id = Some(io.tcp_connect(any, self.turn.server()).unwrap());
            }
            Input::Tcp { event, .. } => self.turn.handle_event(now, event),
            Input::Wake => self.turn.handle_timeout(now),
            _ => {}
        }
        self.pump(now, io);
    }
}

/// Writes bytes to the server, piece by piece, and sees what becomes of the connection.
struct Raw {
    port: u16,
    pieces: Vec<Vec<u8>>,
    gap: Duration,
    heard: usize,
    closed: Option<Time>,
    id: Option<TcpId>,
}

impl Raw {
    fn new(port: u16, pieces: Vec<Vec<u8>>) -> Self {
        let gap = Duration::from_millis(20);
        Raw {
            port,
            pieces,
            gap,
            heard: 0,
            closed: None,
            id: None,
        }
    }
}

impl Program for Raw {
    fn handle_input(&mut self, now: Time, input: Input<'_>, io: &mut Io<'_>) {
        match input {
            Input::Start => {
                let any = "0.0.0.0:0".parse().unwrap();
                self.id = Some(io.tcp_connect(any, server(self.port)).unwrap());
            }
            Input::Tcp { stream, event } => match event {
                TcpEvent::Connected { .. } => io.wake_at(now),
                TcpEvent::Data(bytes) => self.heard += bytes.len(),
                TcpEvent::PeerClosed | TcpEvent::Ended(_) => {
                    self.closed.get_or_insert(now);
                    self.pieces.clear();
                    io.tcp_close(stream);
                }
                _ => {}
            },
            Input::Wake if !self.pieces.is_empty() => {
                io.tcp_send(self.id.unwrap(), &self.pieces.remove(0));
                io.wake_after(self.gap);
            }
            _ => {}
        }
    }
}

struct World {
    net: Internet,
    clients: [NodeId; 2],
    turn: ProgramId,
}

/// 10 ms, and something about both ways.
fn line(adjust: impl Fn(Conditions) -> Conditions) -> Link {
    let Link { up, down } = Link::with_delay(Duration::from_millis(10));
    Link {
        up: adjust(up),
        down: adjust(down),
    }
}

impl World {
    fn with(
        adjust: impl FnOnce(&mut TurnConfig),
        tls: TlsServer,
        access: Link,
        seed: u64,
    ) -> World {
        let mut plan = Topology::new();
        let router = plan.router("router");
        let link = Link::with_delay(Duration::from_millis(10));
        let mut host = |name: &str, address: &str, link| {
            let host = plan.host(name);
            let address: Address = address.parse().unwrap();
            plan.connect(host, router, link, &[address]);
            host
        };
        let clients = [
            host("one", "203.0.113.1", access),
            host("two", "203.0.113.2", link),
        ];
        let turn = host("turn", TURN, link);
        let peer = host("peer", "198.51.100.1", link);
        let mut net = Internet::new(plan, seed).unwrap();
        net.record();
        let mut config = TurnConfig::new("realm").with_user("alice", "secret");
        adjust(&mut config);
        let turn = net.attach(turn, TurnServer::new(config).unwrap().with_tls(443, tls));
        net.attach_fn(peer, |_, input, io| match input {
            Input::Start => {
                io.bind(5000).unwrap();
            }
            // Answers twice.
            Input::Datagram(datagram) => {
                io.send(datagram.local, datagram.remote, b"pong");
                io.send(datagram.local, datagram.remote, datagram.payload);
            }
            _ => {}
        });
        World { net, clients, turn }
    }

    fn new() -> World {
        let link = Link::with_delay(Duration::from_millis(10));
        World::with(|_| {}, TlsServer::new(), link, 1)
    }

    fn client(&mut self, place: usize, turn: TurnStream) -> ProgramId {
        self.net.attach(self.clients[place], Client::new(turn))
    }

    fn run(&mut self, until: u64) {
        self.net.run_until(Time::from_millis(until)).unwrap();
    }

    fn server(&self) -> &TurnServer {
        self.net.program(self.turn)
    }
}

/// RFC 8656 §7: a first request learns realm and nonce, a second allocates. Before that TCP takes a
/// round trip (RFC 9293 §3.5) and TLS 1.3 another (RFC 8446 §2). A permission takes one more, and
/// the ping's way to the server, to the peer and back one of each. This client is 30 ms from the
/// router: its round trip of 80 ms hides the 50 ms that lie between requests (RFC 8445 §14.2).
#[test]
fn every_transport_allocates_after_its_round_trips_and_echoes() {
    for (turn, transport, handshakes) in [
        (plain(), ClientTransport::Tcp, 1),
        (secure(), ClientTransport::Tls, 2),
    ] {
        let far = Link::with_delay(Duration::from_millis(30));
        let mut world = World::with(|_| {}, TlsServer::new(), far, 1);
        let id = world.client(0, turn);
        world.run(2_000);
        let client: &Client = world.net.program(id);
        let round_trips = |count: u32| f64::from(count * 80);
        assert_eq!(client.turn.connected_at(), Some(Time::from_millis(80)));
        let secured = (handshakes == 2).then_some(Time::from_millis(160));
        assert_eq!(client.turn.secured_at(), secured);
        assert_eq!(client.allocated(), Some(round_trips(handshakes + 2)));
        let permitted = |event: &TurnEvent| matches!(event, TurnEvent::PermissionCreated { .. });
        let permission = client.when(permitted).unwrap();
        assert_eq!(permission, round_trips(handshakes + 3));
        let data: Vec<_> = client
            .data
            .iter()
            .map(|(time, bytes)| (time.as_millis_f64(), &bytes[..]))
            .collect();
        let echoed = permission + round_trips(1) + 40.0;
        assert_eq!(data, [(echoed, &b"pong"[..]), (echoed, b"ping")]);

        let counters = world.server().counters();
        assert_eq!((counters.active, counters.connections), (1, 1));
        let traffic = counters.traffic(transport);
        assert_eq!((traffic.peer_out.packets, traffic.peer_out.bytes), (1, 4));
        assert_eq!((traffic.peer_in.packets, traffic.peer_in.bytes), (2, 8));
        // Two Allocates, a permission, an indication; their answers, two indications.
        assert_eq!(
            (traffic.client_in.packets, traffic.client_out.packets),
            (4, 5)
        );
        for other in ClientTransport::ALL {
            if other != transport {
                assert_eq!(counters.traffic(other), Default::default());
            }
        }
    }
}

#[test]
fn the_end_of_the_connection_is_the_end_of_the_allocation() {
    for turn in [plain(), secure()] {
        for resets in [false, true] {
            let mut world = World::new();
            let id = world.client(0, turn_again(&turn));
            world.run(1_000);
            assert_eq!(world.server().counters().active, 1);
            world.net.act(id, |client: &mut Client, io| {
                let stream = client.id.unwrap();
                if resets {
                    io.tcp_abort(stream);
                } else {
                    io.tcp_close(stream);
                }
            });
            world.run(1_019);
            assert_eq!(world.server().counters().active, 1, "resets: {resets}");
            // One way: 20 ms.
            world.run(1_021);
            assert_eq!(world.server().counters().active, 0, "resets: {resets}");
            // Nobody is at the relayed address any more, and the next client is served.
            let other = world.client(1, turn_again(&turn));
            world.run(2_000);
            assert!(world.net.program::<Client>(other).allocated().is_some());
        }
    }
}

/// The same kind of client, new.
fn turn_again(turn: &TurnStream) -> TurnStream {
    match turn.server().port() {
        443 => secure(),
        _ => plain(),
    }
}

#[test]
fn a_server_without_the_right_name_is_not_trusted() {
    let link = Link::with_delay(Duration::from_millis(10));
    let tls = TlsServer::named("turn.elsewhere.example");
    let mut world = World::with(|_| {}, tls, link, 1);
    let id = world.client(0, secure());
    world.run(1_000);
    let client: &Client = world.net.program(id);
    let failed = TurnEvent::AllocationFailed { code: None };
    assert_eq!(client.events, [(Time::from_millis(80), failed)]);
    match client.turn.end() {
        Some(StreamEnd::Tls(why)) => assert!(why.contains("not valid for name"), "{why}"),
        other => panic!("{other:?}"),
    }
    let counters = world.server().counters();
    assert_eq!((counters.allocations, counters.rejected), (0, 1));
}

/// The server speaks TLS where TURN alone is expected, and the other way round.
#[test]
fn the_wrong_port_fails_both_ways() {
    let mut world = World::new();
    let plain_to_tls = world.client(0, TurnStream::tcp(server(443), "alice", "secret"));
    let tls = TurnStream::tls(server(3478), SERVER_NAME, "alice", "secret");
    let tls_to_plain = world.client(1, tls);
    world.run(60_000);
    for id in [plain_to_tls, tls_to_plain] {
        let client: &Client = world.net.program(id);
        assert_eq!(client.allocated(), None);
        assert!(client.turn.end().is_some());
    }
}

#[test]
fn quotas_hold_over_streams() {
    let link = Link::with_delay(Duration::from_millis(10));
    let one = |config: &mut TurnConfig| config.allocations_per_user = Some(1);
    let mut world = World::with(one, TlsServer::new(), link, 1);
    let first = world.client(0, plain());
    world.run(500);
    let second = world.client(1, secure());
    world.run(1_000);
    assert!(world.net.program::<Client>(first).allocated().is_some());
    let refused = TurnEvent::AllocationFailed { code: Some(486) };
    let events = &world.net.program::<Client>(second).events;
    assert_eq!(
        events.iter().map(|(_, event)| *event).collect::<Vec<_>>(),
        [refused]
    );
}

/// Half a message holds a connection for 30 s and no longer, whatever drips in.
#[test]
fn who_never_finishes_a_message_is_cut_off() {
    for port in [3478, 443] {
        let mut world = World::new();
        // A header that promises 1000 bytes, and then one byte each five seconds.
        let header = b"\x00\x03\x03\xe8\x21\x12\xa4\x42".to_vec();
        let record = b"\x16\x03\x01\x03\xe8\x01".to_vec();
        let first = if port == 443 { record } else { header };
        let drips = std::iter::repeat_n(vec![0], 100);
        let raw = Raw {
            gap: Duration::from_secs(5),
            ..Raw::new(port, std::iter::once(first).chain(drips).collect())
        };
        let raw = world.net.attach(world.clients[0], raw);
        let mut good = world.client(1, plain());
        world.run(60_000);
        // Accepted with the third segment of the handshake, after 60 ms; told 20 ms later.
        let closed = world.net.program::<Raw>(raw).closed;
        assert_eq!(closed, Some(Time::from_millis(30_080)), "{port}");
        assert!(world.net.program::<Client>(good).allocated().is_some());
        good = world.client(0, secure());
        world.run(61_000);
        assert!(world.net.program::<Client>(good).allocated().is_some());
    }
}

/// A peer sends ten times what the client's line carries. What the server can't get rid of it drops
/// and counts; nothing grows without end, and what does arrive is whole.
#[test]
fn a_slow_reader_loses_data_and_nothing_else() {
    for turn in [plain(), secure()] {
        let slow = line(|way| way.bottleneck(500_000, 20_000));
        let mut world = World::with(|_| {}, TlsServer::new(), slow, 1);
        let id = world.client(0, turn);
        world.run(1_000);
        let relayed = world.net.program::<Client>(id).turn.relayed().unwrap();
        let flood = Arc::new(AtomicU64::new(0));
        let sent = Arc::clone(&flood);
        let host = world.net.topology().find("peer").unwrap();
        world
            .net
            .attach_fn(host, move |_, input, io: &mut Io<'_>| match input {
                Input::Start => io.wake_after(Duration::ZERO),
                Input::Wake if sent.load(Ordering::Relaxed) < 10_000 => {
                    sent.fetch_add(1, Ordering::Relaxed);
                    io.send("198.51.100.1:5000".parse().unwrap(), relayed, &[7; 1000]);
                    io.wake_after(Duration::from_micros(1_600));
                }
                _ => {}
            });
        world.run(60_000);
        let counters = world.server().counters().clone();
        let transport = match world.net.program::<Client>(id).turn.server().port() {
            443 => ClientTransport::Tls,
            _ => ClientTransport::Tcp,
        };
        let traffic = counters.traffic(transport);
        assert_eq!(traffic.peer_in.packets, 10_002);
        // 16 s of 500 kbit/s carry a tenth of it.
        assert!(traffic.overflow.packets > 7_000, "{traffic:?}");
        let client: &Client = world.net.program(id);
        let arrived = client
            .data
            .iter()
            .filter(|(_, bytes)| bytes[..] == [7; 1000]);
        assert_eq!(
            arrived.count() as u64 + 2 + traffic.overflow.packets,
            10_002
        );
        assert!(client.turn.end().is_none() && counters.active == 1);
    }
}

/// Bytes of TLS differ in every run, their lengths don't, on any thread.
#[test]
fn runs_repeat_on_every_thread() {
    let digest = || -> Digest {
        let lossy = line(|way| way.independent_loss(0.05));
        let mut world = World::with(|_| {}, TlsServer::new(), lossy, 7);
        world.client(0, secure());
        world.client(1, secure());
        world.run(30_000);
        world.net.trace().digest()
    };
    let first = digest();
    let others: Vec<_> = (0..4).map(|_| std::thread::spawn(digest)).collect();
    for other in others {
        assert_eq!(other.join().unwrap(), first);
    }
    // With another certificate and another key, too.
    let other = || {
        let lossy = line(|way| way.independent_loss(0.05));
        let mut world = World::with(|_| {}, TlsServer::named(SERVER_NAME), lossy, 7);
        world.client(0, secure());
        world.client(1, secure());
        world.run(30_000);
        world.net.trace().digest()
    };
    assert_eq!(other(), first);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever bytes come on either port, however they are cut: the server closes that connection
    /// within its patience, and serves the next client.
    #[test]
    fn garbage_on_a_stream_harms_nobody(
        tls in any::<bool>(),
        honest_start in any::<bool>(),
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..400), 1..8),
    ) {
        let mut world = World::new();
        let mut pieces = pieces;
        if honest_start {
            pieces.insert(0, match tls {
                true => b"\x16\x03\x01\x00\x40\x01\x00\x00\x3c\x03\x03".to_vec(),
                false => b"\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl".to_vec(),
            });
        }
        let raw = world.net.attach(world.clients[0], Raw::new(if tls { 443 } else { 3478 }, pieces));
        let good = world.client(1, if tls { secure() } else { plain() });
        world.run(31_000);
        prop_assert!(world.net.program::<Raw>(raw).closed.is_some());
        prop_assert!(world.net.program::<Client>(good).allocated().is_some());
        prop_assert_eq!(world.server().counters().active, 1);
    }
}

/// The bytes of a handshake do differ: nothing is fixed that shouldn't be.
#[test]
fn no_two_handshakes_are_alike() {
    let hello = || {
        let mut world = World::new();
        world.client(0, secure());
        world.run(100);
        let recording = world.net.trace().recording().unwrap();
        let payloads: Vec<Vec<u8>> = recording
            .ids()
            .map(|id| recording.payload(id).to_vec())
            .collect();
        payloads
            .into_iter()
            .find(|payload| payload.len() > 100)
            .unwrap()
    };
    let hellos: BTreeSet<_> = (0..5).map(|_| hello()).collect();
    assert_eq!(hellos.len(), 5);
    assert_eq!(
        hellos.iter().map(Vec::len).collect::<BTreeSet<_>>().len(),
        1
    );
}
