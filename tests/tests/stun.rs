//! STUN across networks: the tests of RFC 5780 §4, against every kind of network there is.

use std::net::SocketAddr;
use std::time::Duration;

use pinhole::link::Link;
use pinhole::server::StunServer;
use pinhole::server::attribute::ChangeRequest;
use pinhole::topology::{AddressPlan, Edge, Kind, SiteOptions};
use pinhole::{Filtering, Input, Internet, Io, Mapping, Program, Stream, Time, Topology};
use pinhole_scenarios::stun_client::{
    BindingOutcome, BindingRequest, BindingResponse, Retransmission, StunTransaction,
};

/// What to ask, from which local port, and where.
#[derive(Clone, Copy)]
struct Question {
    port: u16,
    server: SocketAddr,
    request: BindingRequest,
    /// Where answers are expected, if not at the port that asks.
    answers_at: Option<u16>,
}

impl Question {
    fn new(port: u16, server: SocketAddr) -> Self {
        Question {
            port,
            server,
            request: BindingRequest::default(),
            answers_at: None,
        }
    }

    fn change(port: u16, server: SocketAddr, change: ChangeRequest) -> Self {
        let request = BindingRequest {
            change: Some(change),
            response_port: None,
        };
        Question {
            request,
            ..Question::new(port, server)
        }
    }
}

/// Asks one question at a time.
struct Asker {
    random: Stream,
    asking: Option<(Question, StunTransaction)>,
}

impl Asker {
    fn ask(&mut self, question: Question, io: &mut Io<'_>) {
        // Filters drop what they don't let through; one repetition would do.
        let patience = Retransmission {
            rto: Duration::from_millis(100),
            count: 2,
            last: 5,
        };
        let transaction =
            StunTransaction::new(io.now(), question.request, patience, &mut self.random);
        self.asking = Some((question, transaction));
        for port in [Some(question.port), question.answers_at]
            .into_iter()
            .flatten()
        {
            // Bound already where an earlier question used it.
            let _ = io.bind(port);
        }
        self.go_on(io);
    }

    fn go_on(&mut self, io: &mut Io<'_>) {
        let Some((question, transaction)) = &mut self.asking else {
            return;
        };
        let any = SocketAddr::from(([0, 0, 0, 0], question.port));
        if let Some(bytes) = transaction.poll_transmit() {
            io.send(any, question.server, bytes);
        }
        io.wake_at(transaction.poll_timeout());
    }

    fn outcome(&self) -> Option<BindingOutcome> {
        self.asking
            .as_ref()
            .and_then(|(_, transaction)| transaction.outcome())
    }
}

impl Program for Asker {
    fn handle_input(&mut self, now: Time, input: Input<'_>, io: &mut Io<'_>) {
        let Some((question, transaction)) = &mut self.asking else {
            return;
        };
        match input {
            Input::Datagram(datagram) => {
                let port = question.answers_at.unwrap_or(question.port);
                if datagram.local.port() == port {
                    transaction.handle_datagram(datagram.remote, datagram.payload);
                }
            }
            Input::Wake => transaction.handle_timeout(now),
            _ => {}
        }
        self.go_on(io);
    }
}

struct World {
    net: Internet,
    asker: pinhole::ProgramId,
    host: SocketAddr,
    primary: SocketAddr,
    next_port: u16,
}

impl World {
    fn new(kind: &Kind) -> Self {
        let mut plan = AddressPlan::new();
        let mut topology = Topology::new();
        let core = topology.router("internet");
        let link = Link::with_delay(Duration::from_millis(10));
        let server = topology.server("stun", core, link, 2, false, &mut plan);
        let mut site = topology.site("home", core, kind, &SiteOptions::new(link), &mut plan);
        let host = topology.host_at(&mut site, "alice", &mut plan);
        let mut net = topology.build(7).unwrap();
        net.attach(server, StunServer::with_discovery(3478, 3479));
        let asker = Asker {
            random: Stream::new(7, "asker"),
            asking: None,
        };
        let asker = net.attach(host, asker);
        let primary = SocketAddr::new(net.address(server).into(), 3478);
        let host = SocketAddr::new(net.address(host).into(), 0);
        World {
            net,
            asker,
            host,
            primary,
            next_port: 40_000,
        }
    }

    fn fresh_port(&mut self) -> u16 {
        self.next_port += 1;
        self.next_port
    }

    fn ask(&mut self, question: Question) -> Option<BindingResponse> {
        let now = self.net.now();
        self.net
            .act(self.asker, |asker: &mut Asker, io| asker.ask(question, io));
        let id = self.asker;
        let done = |net: &Internet| net.program::<Asker>(id).outcome().is_some();
        assert!(
            self.net
                .run_while_not(now + Duration::from_secs(60), done)
                .unwrap()
        );
        match self.net.program::<Asker>(id).outcome() {
            Some(BindingOutcome::Success(response)) => Some(response),
            Some(BindingOutcome::TimedOut) => None,
            other => panic!("{other:?}"),
        }
    }

    /// RFC 5780 §4.3: whether and when mappings are reused. `None`: nothing translates.
    fn mapping(&mut self) -> Option<Mapping> {
        let port = self.fresh_port();
        let first = self.ask(Question::new(port, self.primary)).unwrap();
        if first.mapped == SocketAddr::new(self.host.ip(), port) {
            return None;
        }
        let other = first.other.unwrap();
        let second = SocketAddr::new(other.ip(), self.primary.port());
        let second = self.ask(Question::new(port, second)).unwrap();
        if second.mapped == first.mapped {
            return Some(Mapping::EndpointIndependent);
        }
        let third = self.ask(Question::new(port, other)).unwrap();
        if third.mapped == second.mapped {
            Some(Mapping::AddressDependent)
        } else {
            Some(Mapping::AddressAndPortDependent)
        }
    }

    /// RFC 5780 §4.4: who may answer.
    fn filtering(&mut self) -> Filtering {
        let port = self.fresh_port();
        self.ask(Question::new(port, self.primary)).unwrap();
        let both = ChangeRequest {
            address: true,
            port: true,
        };
        if let Some(response) = self.ask(Question::change(port, self.primary, both)) {
            assert_eq!(
                (Some(response.from), response.from),
                (response.origin, response.from)
            );
            return Filtering::EndpointIndependent;
        }
        let only_port = ChangeRequest {
            address: false,
            port: true,
        };
        match self.ask(Question::change(port, self.primary, only_port)) {
            Some(_) => Filtering::AddressDependent,
            None => Filtering::AddressAndPortDependent,
        }
    }

    /// RFC 5780 §4.6: whether a mapping that was made and left alone for so long still stands.
    fn outlives(&mut self, wait: Duration) -> bool {
        let (made, asks) = (self.fresh_port(), self.fresh_port());
        let mapped = self.ask(Question::new(made, self.primary)).unwrap().mapped;
        self.net.run_for(wait).unwrap();
        let request = BindingRequest {
            change: None,
            response_port: Some(mapped.port()),
        };
        let answers_at = Some(made);
        self.ask(Question {
            request,
            answers_at,
            ..Question::new(asks, self.primary)
        })
        .is_some()
    }
}

#[test]
fn discovery_finds_what_each_network_is() {
    for kind in Kind::all() {
        let mut world = World::new(&kind);
        match kind.edges()[0] {
            Edge::Open => {
                assert_eq!(world.mapping(), None);
                assert_eq!(world.filtering(), Filtering::EndpointIndependent);
            }
            Edge::Firewall(filtering) => {
                assert_eq!(world.mapping(), None, "{kind}");
                assert_eq!(world.filtering(), filtering, "{kind}");
            }
            Edge::Nat(mapping, filtering) => {
                assert_eq!(world.mapping(), Some(mapping), "{kind}");
                assert_eq!(world.filtering(), filtering, "{kind}");
            }
            Edge::Nat64(_) | Edge::Clat => unreachable!("no default kind is IPv6-only"),
            Edge::Preset(_) => unreachable!("no preset is among the thirteen"),
            Edge::UdpBlocked => {
                let port = world.fresh_port();
                assert_eq!(world.ask(Question::new(port, world.primary)), None);
            }
        }
    }
}

/// Behind two NATs one sees the stricter of both.
#[test]
fn discovery_sees_the_stricter_of_two_nats() {
    let kind: Kind = "nat:eim/apdf>nat:adm/eif".parse().unwrap();
    let mut world = World::new(&kind);
    assert_eq!(world.mapping(), Some(Mapping::AddressDependent));
    assert_eq!(world.filtering(), Filtering::AddressAndPortDependent);
}

/// The default lifetime of a mapping is 300 s.
#[test]
fn response_port_tells_how_long_a_mapping_lives() {
    let kind: Kind = "nat:eim/eif".parse().unwrap();
    let mut world = World::new(&kind);
    assert!(world.outlives(Duration::from_secs(299)));
    assert!(!world.outlives(Duration::from_secs(301)));
}
