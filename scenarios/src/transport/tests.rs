//! Programs with several transports, on networks that make them work for it.

use std::any::Any;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pinhole::internet::Fault;
use pinhole::link::Link;
use pinhole::server::{StunServer, TurnConfig, TurnServer};
use pinhole::topology::{AddressPlan, Kind, SiteOptions};
use pinhole::{Endpoint, Input, Internet, Io, NodeId, Program, ProgramId, Time, Topology};

use super::{
    Milestone, RestartPolicy, Servers, Signal, TransportConfig, TransportEvent, Transports,
    TurnAccess, TurnTransport,
};
use crate::ice::{Role, Stack};
use crate::tls::{SERVER_NAME, TlsServer};

const SIGNALING: Duration = Duration::from_millis(50);
const TICK: Duration = Duration::from_millis(100);
const LENGTH: usize = 200;

/// A member of a mesh: it sends its number to everybody, ten times a second.
struct Member {
    number: usize,
    /// Those that it has a transport to, in their order.
    others: Vec<Other>,
    transports: Transports,
    next: Time,
    /// When somebody's last packet came, and how many did, by member.
    heard: Vec<(Time, u32)>,
    events: Vec<(Time, usize, TransportEvent)>,
}

/// The other end of a transport.
struct Other {
    number: usize,
    /// Whether this end begins with an offer.
    offers: bool,
    program: Option<ProgramId>,
}

/// What goes over the signaling channel.
struct Letter {
    from: usize,
    signal: Signal,
}

impl Member {
    fn new(
        number: usize,
        count: usize,
        servers: &Servers,
        change: fn(&mut TransportConfig),
    ) -> Self {
        let mut transports = Transports::default();
        let others = (0..count).filter(|other| *other != number);
        let others = others.map(|other| {
            let role = if number < other {
                Role::Controlling
            } else {
                Role::Controlled
            };
            let seed = (number * 100 + other) as u64;
            let mut config = TransportConfig::new(role, Stack::Is, seed, servers.clone());
            change(&mut config);
            let offers = config.offers;
            transports.add(config);
            Other {
                number: other,
                offers,
                program: None,
            }
        });
        Member {
            number,
            others: others.collect(),
            transports,
            next: Time::ZERO,
            heard: vec![(Time::ZERO, 0); count],
            events: Vec::new(),
        }
    }

    fn transport_to(&self, member: usize) -> usize {
        let mut others = self.others.iter();
        others.position(|it| it.number == member).unwrap()
    }

    fn hears(&mut self, now: Time, transport: usize, packet: &[u8]) {
        assert_eq!(packet.len(), LENGTH);
        let from = usize::from(packet[1]);
        assert_eq!(from, self.others[transport].number, "it came the right way");
        self.heard[from].0 = now;
        self.heard[from].1 += 1;
    }
}

impl Program for Member {
    fn handle_input(&mut self, now: Time, input: Input<'_>, io: &mut Io<'_>) {
        if let Input::Message { content, .. } = input {
            let content: &dyn Any = content;
            let letter: &Letter = content.downcast_ref().unwrap();
            let transport = self.transport_to(letter.from);
            self.transports.hear(transport, now, &letter.signal, io);
        } else if let Input::Start = input {
            for transport in 0..self.others.len() {
                if self.others[transport].offers {
                    self.transports.begin(transport, now, io);
                }
            }
        }
        let came = self.transports.handle_input(now, &input, io);
        if let Some((transport, packet)) = came.application() {
            self.hears(now, transport, packet);
        }
        while let Some((transport, packet)) = self.transports.poll_streamed() {
            self.hears(now, transport, &packet);
        }
        if self.next <= now {
            self.next = now + TICK;
            let mut packet = [0; LENGTH];
            packet[..2].copy_from_slice(&[0x80, self.number as u8]);
            for transport in 0..self.others.len() {
                self.transports.send(transport, now, &packet, io);
            }
        }
        while let Some((transport, signal)) = self.transports.poll_signal() {
            let other = self.others[transport].program.unwrap();
            let from = self.number;
            io.post(other, SIGNALING, Letter { from, signal });
        }
        while let Some((transport, event)) = self.transports.poll_event() {
            let number = self.others[transport].number;
            self.events.push((now, number, event));
        }
        let times = [Some(self.next), self.transports.poll_timeout()];
        io.wake_at(times.into_iter().flatten().min());
    }
}

struct Mesh {
    net: Internet,
    members: Vec<ProgramId>,
    hosts: Vec<NodeId>,
    /// What the first member may roam to.
    mobile: pinhole::LinkId,
    turn: IpAddr,
}

fn mesh(kinds: &[&str], seed: u64) -> Mesh {
    mesh_of(kinds, seed, |_| {})
}

/// A mesh whose transports are told something else.
fn mesh_of(kinds: &[&str], seed: u64, change: fn(&mut TransportConfig)) -> Mesh {
    let mut plan = Topology::new();
    let mut addresses = AddressPlan::new();
    let core = plan.router("internet");
    let access = Link::with_delay(Duration::from_millis(10));
    let options = SiteOptions::new(access);
    let mut hosts = Vec::new();
    for (number, kind) in kinds.iter().enumerate() {
        let kind: Kind = kind.parse().unwrap();
        let name = format!("site{number}");
        let mut site = plan.site(&name, core, &kind, &options, &mut addresses);
        hosts.push(plan.host_at(&mut site, format!("member{number}"), &mut addresses));
    }
    let kind: Kind = "nat:eim/apdf".parse().unwrap();
    let mut site = plan.site("mobile", core, &kind, &options, &mut addresses);
    let mobile = plan.standby_at(&mut site, hosts[0], &mut addresses);
    let stun = plan.server("stun", core, access, 1, false, &mut addresses);
    let turn = plan.server("turn", core, access, 1, false, &mut addresses);
    let mut net = Internet::new(plan, seed).unwrap();
    net.attach_service(stun, || StunServer::new(3478));
    net.attach_service(turn, || {
        let config = TurnConfig {
            udp_port: Some(3478),
            tcp_port: Some(3478),
            ..TurnConfig::new("example")
        };
        let server = TurnServer::new(config.with_user("u", "p")).unwrap();
        server.with_tls(443, TlsServer::new())
    });
    let at = |node, port| SocketAddr::from(Endpoint::new(net.address(node), port));
    let ways = TurnTransport::ALL.map(|transport| TurnAccess {
        transport,
        server: at(
            turn,
            if transport == TurnTransport::Tls {
                443
            } else {
                3478
            },
        ),
        name: SERVER_NAME.to_owned(),
        user: "u".to_owned(),
        password: "p".to_owned(),
    });
    let servers = Servers {
        stun: vec![at(stun, 3478)],
        turn: ways.to_vec(),
    };
    let members: Vec<ProgramId> = (0..kinds.len())
        .map(|number| {
            let member = Member::new(number, kinds.len(), &servers, change);
            net.attach(hosts[number], member)
        })
        .collect();
    for member in &members {
        let ids = members.clone();
        net.act(*member, |member: &mut Member, _| {
            for other in &mut member.others {
                other.program = Some(ids[other.number]);
            }
        });
    }
    Mesh {
        net,
        members,
        hosts,
        mobile,
        turn: ways[0].server.ip(),
    }
}

impl Mesh {
    fn member(&self, number: usize) -> &Member {
        self.net.program(self.members[number])
    }

    /// The first member leaves its network for another.
    fn roam(&mut self) {
        let (host, to) = (self.hosts[0], self.mobile);
        self.net.inflict(Fault::Roam { host, to }).unwrap();
    }

    /// How often a member reached a milestone.
    fn reached(&self, number: usize, which: fn(&Milestone) -> bool) -> usize {
        let events = self.member(number).events.iter();
        let is = |event: &TransportEvent| matches!(event, TransportEvent::Reached(it) if which(it));
        events.filter(|(_, _, event)| is(event)).count()
    }

    /// Everybody hears everybody else, now.
    fn all_hear(&self) -> bool {
        let members = 0..self.members.len();
        members.clone().all(|number| {
            let heard = &self.member(number).heard;
            let recent = |other: usize| heard[other].0 + 3 * TICK > self.net.now();
            members
                .clone()
                .all(|other| other == number || recent(other))
        })
    }
}

#[test]
fn a_mesh_behind_nats_of_which_one_lets_no_udp_out() {
    let mut mesh = mesh(&["nat:eim/apdf", "nat:apdm/apdf", "udp-blocked"], 1);
    mesh.net.run_until(Time::from_millis(8_000)).unwrap();
    assert!(mesh.all_hear());
    let relayed = |member: usize, other: usize| {
        let member = mesh.member(member);
        member
            .transports
            .get(member.transport_to(other))
            .is_relayed()
    };
    assert!(relayed(2, 0) && relayed(2, 1), "over TCP or TLS");
    assert!(
        mesh.member(0)
            .transports
            .iter()
            .all(|it| it.panic().is_none())
    );
}

#[test]
fn symmetric_nats_meet_on_relays() {
    let mut mesh = mesh(&["nat:apdm/apdf", "nat:apdm/apdf"], 3);
    // A stack may take the first way for one that works, and is told better after a while.
    mesh.net.run_until(Time::from_millis(12_000)).unwrap();
    assert!(mesh.all_hear());
    for member in [0, 1] {
        // From this side's relay, or to the other's.
        let selected = |(_, _, event): &(Time, usize, TransportEvent)| match event {
            TransportEvent::Reached(Milestone::Selected { local, remote }) => {
                Some((*local, *remote))
            }
            _ => None,
        };
        let mut events = mesh.member(member).events.iter().rev();
        let (local, remote) = events.find_map(selected).unwrap();
        assert!([local.ip(), remote.ip()].contains(&mesh.turn));
    }
}

#[test]
fn who_roams_is_heard_again_by_everybody() {
    let mut mesh = mesh(&["nat:eim/apdf", "nat:eim/apdf", "open"], 1);
    mesh.net.run_until(Time::from_millis(5_000)).unwrap();
    assert!(mesh.all_hear());
    mesh.roam();
    mesh.net.run_until(Time::from_millis(5_400)).unwrap();
    assert!(!mesh.all_hear());
    mesh.net.run_until(Time::from_millis(8_000)).unwrap();
    assert!(mesh.all_hear());
    // Between the two who stayed nothing happened.
    let quiet = |event: &&(Time, usize, TransportEvent)| event.0 > Time::from_millis(5_000);
    let of_two = mesh.member(1).events.iter().filter(quiet);
    assert!(of_two.clone().all(|(_, other, _)| *other == 0));
    assert!(of_two.count() > 0);
}

#[test]
fn who_does_not_restart_is_not_heard_again() {
    let change = |config: &mut TransportConfig| config.lasting = Some(RestartPolicy::NEVER);
    let mut mesh = mesh_of(&["nat:eim/apdf", "nat:eim/apdf"], 1, change);
    mesh.net.run_until(Time::from_millis(5_000)).unwrap();
    assert!(mesh.all_hear());
    mesh.roam();
    mesh.net.run_until(Time::from_millis(60_000)).unwrap();
    assert!(!mesh.all_hear());
    let restarted = |milestone: &Milestone| *milestone == Milestone::Restarted;
    assert_eq!(mesh.reached(0, restarted) + mesh.reached(1, restarted), 0);
    // Who left has lost its pair with the address, and who stayed when its stack gave it up.
    for number in [0, 1] {
        assert!(!mesh.member(number).transports.get(0).is_connected());
    }
    let lost = |(_, _, event): &&(Time, usize, TransportEvent)| *event == TransportEvent::Lost;
    let first = mesh.member(0).events.iter().find(lost).unwrap();
    assert_eq!(first.0, Time::from_millis(5_000));
}

#[test]
fn all_candidates_at_once_come_after_the_servers_have_answered() {
    let change = |config: &mut TransportConfig| config.trickle = false;
    let mut mesh = mesh_of(&["nat:eim/apdf", "nat:eim/apdf"], 1, change);
    mesh.net.run_until(Time::from_millis(5_000)).unwrap();
    assert!(mesh.all_hear());
    for number in [0, 1] {
        // The host's own, a reflexive and a relayed one, and only then the description.
        let of_use = |(_, _, event): &(Time, usize, TransportEvent)| match event {
            TransportEvent::Reached(Milestone::Gathered(_)) => Some("gathered"),
            TransportEvent::Reached(Milestone::Described) => Some("described"),
            _ => None,
        };
        let events = mesh.member(number).events.iter().filter_map(of_use);
        let first: Vec<_> = events.take(4).collect();
        assert_eq!(first, ["gathered", "gathered", "gathered", "described"]);
    }
}

#[test]
fn of_two_offers_each_is_taken_for_the_answer_to_the_other() {
    let change = |config: &mut TransportConfig| {
        config.offers = true;
        config.role = Role::Controlling;
    };
    let mut mesh = mesh_of(&["nat:eim/apdf", "nat:eim/apdf"], 1, change);
    mesh.net.run_until(Time::from_millis(5_000)).unwrap();
    assert!(mesh.all_hear());
    mesh.roam();
    mesh.net.run_until(Time::from_millis(9_000)).unwrap();
    assert!(mesh.all_hear());
    for member in [0, 1] {
        let of = |which| mesh.reached(member, which);
        assert_eq!(of(|it| *it == Milestone::Began), 1);
        assert_eq!(of(|it| *it == Milestone::Restarted), 1);
        assert_eq!(of(|it| *it == Milestone::Started), 2);
    }
}

#[test]
fn one_seed_is_one_run() {
    let digest = |seed| {
        let mut mesh = mesh(&["nat:eim/apdf", "udp-blocked"], seed);
        mesh.net.run_until(Time::from_millis(4_000)).unwrap();
        mesh.net.trace().digest()
    };
    assert_eq!(digest(1), digest(1));
    assert_ne!(digest(1), digest(2));
}
