//! TCP for tests: a program that does as it is told and writes down what happens to it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use pinhole::host::TcpSettings;
use pinhole::link::Link;
use pinhole::topology::Device;
use pinhole::{
    Endpoint, Input, Internet, Io, NodeId, Program, ProgramId, TcpEnd, TcpEvent, TcpId, Time,
    Topology,
};

/// What a program was told of a connection, without the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    Accepted,
    Connected,
    /// Only the first: how the rest is cut means nothing.
    Data,
    PeerClosed,
    Ended(TcpEnd),
}

/// A stream of bytes that a side sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Speech {
    /// How many bytes.
    pub length: u64,
    /// Whether it closes after the last of them.
    pub then_close: bool,
}

/// A connection, as its program knows it.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    pub told: Vec<(Time, Told)>,
    pub received: u64,
    sent: u64,
    speech: Option<Speech>,
}

impl Stream {
    /// What was told, without the times.
    pub fn story(&self) -> Vec<Told> {
        self.told.iter().map(|(_, told)| *told).collect()
    }

    /// When something was told.
    pub fn when(&self, what: Told) -> Time {
        let found = self.told.iter().find(|(_, told)| *told == what);
        found
            .unwrap_or_else(|| panic!("{what:?} is not in {:?}", self.told))
            .0
    }
}

/// Does TCP.
#[derive(Default)]
pub struct Talker {
    pub settings: Option<TcpSettings>,
    pub listens: Option<u16>,
    /// What it says on connections that it accepts.
    pub greeting: Option<Speech>,
    /// Closes when the other side does.
    pub polite: bool,
    pub streams: BTreeMap<TcpId, Stream>,
    /// In the order in which they came to be known.
    pub order: Vec<TcpId>,
}

impl Talker {
    /// Listens, closes when the other side does.
    pub fn server(port: u16) -> Self {
        Talker {
            listens: Some(port),
            polite: true,
            ..Talker::default()
        }
    }

    pub fn speak(&mut self, stream: TcpId, speech: Speech, io: &mut Io<'_>) {
        self.stream(stream).speech = Some(speech);
        self.go_on(stream, io);
    }

    pub fn stream(&mut self, id: TcpId) -> &mut Stream {
        if !self.streams.contains_key(&id) {
            self.order.push(id);
        }
        self.streams.entry(id).or_default()
    }

    /// The how manyth connection.
    pub fn nth(&self, n: usize) -> &Stream {
        &self.streams[&self.order[n]]
    }

    fn go_on(&mut self, id: TcpId, io: &mut Io<'_>) {
        let stream = self.stream(id);
        let Some(speech) = stream.speech else { return };
        let mut piece = [0; 8192];
        while stream.sent < speech.length {
            let length = piece.len().min((speech.length - stream.sent) as usize);
            fill(&mut piece[..length], stream.sent);
            let taken = io.tcp_send(id, &piece[..length]);
            stream.sent += taken as u64;
            if taken < length {
                return;
            }
        }
        if speech.then_close {
            io.tcp_close(id);
        }
        stream.speech = None;
    }
}

/// The bytes of a speech from a place on: no two places near each other look alike.
fn fill(piece: &mut [u8], from: u64) {
    for (byte, place) in piece.iter_mut().zip(from..) {
        *byte = (place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
    }
}

impl Program for Talker {
    fn handle_input(&mut self, now: Time, input: Input<'_>, io: &mut Io<'_>) {
        let (id, event) = match input {
            Input::Start => {
                if let Some(settings) = self.settings {
                    io.tcp_settings(settings);
                }
                if let Some(port) = self.listens {
                    io.tcp_listen(port).unwrap();
                }
                return;
            }
            Input::Tcp { stream, event } => (stream, event),
            _ => return,
        };
        let (greeting, polite) = (self.greeting, self.polite);
        let stream = self.stream(id);
        let told = match event {
            TcpEvent::Accepted { .. } => Some(Told::Accepted),
            TcpEvent::Connected { .. } => Some(Told::Connected),
            TcpEvent::Data(bytes) => {
                assert!(!bytes.is_empty());
                let mut expected = vec![0; bytes.len()];
                fill(&mut expected, stream.received);
                assert!(bytes == expected, "bytes out of order or changed");
                stream.received += bytes.len() as u64;
                let first = stream.received == bytes.len() as u64;
                first.then_some(Told::Data)
            }
            TcpEvent::Writable => None,
            TcpEvent::PeerClosed => Some(Told::PeerClosed),
            TcpEvent::Ended(end) => Some(Told::Ended(end)),
        };
        assert!(
            !matches!(stream.told.last(), Some((_, Told::Ended(_)))),
            "{event:?} after the end"
        );
        stream.told.extend(told.map(|told| (now, told)));
        match event {
            TcpEvent::Accepted { .. } => {
                if let Some(speech) = greeting {
                    self.speak(id, speech, io);
                }
            }
            TcpEvent::Writable | TcpEvent::Connected { .. } => self.go_on(id, io),
            TcpEvent::PeerClosed if polite => io.tcp_close(id),
            _ => {}
        }
    }
}

/// Two hosts with a cable between them: a, whose upstream is the link's, and b.
pub struct Pair {
    pub net: Internet,
    pub hosts: [NodeId; 2],
    pub programs: [ProgramId; 2],
}

/// a's and b's address with a port.
pub fn at(side: usize, port: u16) -> SocketAddr {
    Endpoint::new(pinhole::Address::v4(192, 0, 2, side as u8 + 1), port).into()
}

/// Where b listens.
pub const PORT: u16 = 80;

impl Pair {
    pub fn new(link: Link, seed: u64, talkers: [Talker; 2]) -> Self {
        let mut plan = Topology::new();
        let hosts = [plan.host("a"), plan.host("b")];
        let ends = [0, 1].map(|side| Endpoint::from(at(side, 0)).address);
        plan.cable((hosts[0], ends[0]), (hosts[1], ends[1]), link);
        Pair::start(plan, hosts, seed, talkers)
    }

    /// The same, but with a box between the two that translates nothing: a is inside, 5 ms away
    /// from it, and b outside as far.
    pub fn around(device: Device, talkers: [Talker; 2]) -> Self {
        let mut plan = Topology::new();
        let hosts = [plan.host("a"), plan.host("b")];
        let ends = [0, 1].map(|side| Endpoint::from(at(side, 0)).address);
        let gateway = plan.gateway("box");
        plan.install(gateway, device);
        let link = Link::with_delay(Duration::from_millis(5));
        plan.connect(hosts[0], gateway, link, &[ends[0]]);
        let router = plan.router("router");
        plan.connect(gateway, router, Link::with_delay(Duration::ZERO), &[]);
        plan.connect(hosts[1], router, link, &[ends[1]]);
        Pair::start(plan, hosts, 1, talkers)
    }

    fn start(plan: Topology, hosts: [NodeId; 2], seed: u64, talkers: [Talker; 2]) -> Self {
        let mut net = plan.build(seed).unwrap();
        let [a, b] = talkers;
        let programs = [net.attach(hosts[0], a), net.attach(hosts[1], b)];
        let mut pair = Pair {
            net,
            hosts,
            programs,
        };
        pair.run(Duration::ZERO);
        pair
    }

    /// A client and a server.
    pub fn quiet(link: Link, seed: u64) -> Self {
        Pair::new(link, seed, [Talker::default(), Talker::server(PORT)])
    }

    pub fn run(&mut self, span: Duration) {
        self.net.run_for(span).unwrap();
    }

    pub fn act<R>(&mut self, side: usize, act: impl FnOnce(&mut Talker, &mut Io<'_>) -> R) -> R {
        self.net.act(self.programs[side], act)
    }

    /// a connects to b's server.
    pub fn connect(&mut self) -> TcpId {
        self.connect_from(0, at(0, 0), at(1, PORT))
    }

    pub fn connect_from(&mut self, side: usize, local: SocketAddr, remote: SocketAddr) -> TcpId {
        self.act(side, |talker, io| {
            let id = io.tcp_connect(local, remote).unwrap();
            talker.stream(id);
            id
        })
    }

    /// b connects to a's port.
    pub fn connect_inward(&mut self, port: u16) -> TcpId {
        self.connect_from(1, at(1, 0), at(0, port))
    }

    /// How often packets were dropped for each reason.
    pub fn drops(&self) -> Vec<(&'static str, u64)> {
        let drops = self.net.trace().drops().iter();
        drops
            .map(|drop| (drop.example.code(), drop.count))
            .collect()
    }

    pub fn talker(&self, side: usize) -> &Talker {
        self.net.program(self.programs[side])
    }

    /// a connects, and sends so much to b as soon as it can, then closes.
    pub fn upload(&mut self, length: u64) -> TcpId {
        let id = self.connect();
        let speech = Speech {
            length,
            then_close: true,
        };
        self.act(0, |talker, io| talker.speak(id, speech, io));
        id
    }
}
