//! Two endpoints, one call, one outcome.
//!
//! Both endpoints run production ICE stacks on the virtual internet. What came of the call is read
//! from the packets that carried its data, never from what a stack says of itself.

mod config;
mod data;
mod fault;
mod outcome;
mod peer;
mod roles;
mod scene;
mod wire;

pub use crate::transport::{
    DEAFNESS, Milestone, PATIENCE, RestartPolicy, TurnConnection, TurnTransport,
};
pub use config::{
    CallConfig, Neighbourhood, ParseTrickleError, ParseTurnError, Trickle, TurnOffer, TurnTerms,
};
pub use data::{Data, Framing, Side};
pub use fault::{CallFault, CallFaultError};
pub use outcome::{
    CallOutcome, Connection, Course, Dropped, Finding, Interruption, PairTypes, PathClass,
};
pub use peer::{Peer, PeerConfig};
pub use roles::{Conflict, RoleConflict, Roles, UnknownRoles};
pub use scene::Scene;
pub use wire::{Flow, INTERRUPTION, Leg, Route, SharedWire, Wire};

use std::net::SocketAddr;
use std::time::Duration;

use pinhole::link::Link;
use pinhole::nat::NatConfig;
use pinhole::nat64::{Prefix64, Resolver, Zone};
use pinhole::server::{StunServer, TurnConfig, TurnServer};
use pinhole::topology::{BuildError, Kind, SiteOptions};
use pinhole::{Address, BudgetExceeded, Endpoint, Internet, NodeId, ProgramId, Stream, Time};

use crate::ice::Candidate;
use crate::tls::{SERVER_NAME, TlsServer};
use crate::transport::{Servers, TransportConfig, TurnAccess};

/// Where STUN and TURN servers listen (RFC 8489 §18.5).
pub const STUN_PORT: u16 = 3478;

/// Where the TURN server listens for TLS: the web's port, which every network lets out. RFC 8656 §6
/// has 5349.
pub const TLS_PORT: u16 = 443;
/// What the service's servers are called in the DNS.
const STUN_NAME: &str = "stun.pinhole.example";
const TURN_NAME: &str = "turn.pinhole.example";

/// The long-term credentials of the service's TURN server (RFC 8489 §9.2).
const REALM: &str = "pinhole.example";
const USER: &str = "caller";
const PASSWORD: &str = "open sesame";
/// The password that came after it, where it has expired.
const LATER_PASSWORD: &str = "close sesame";

/// How long a call that could still find a better path is given to find it: the longest that
/// either stack waits before it settles on a relayed pair (`rtc-ice`, 2 s), and one check more.
pub const SETTLING: Duration = Duration::from_millis(2_500);

/// Why a call could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The network makes no sense.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// What is to go wrong can't.
    #[error("a fault at {at}: {error}")]
    Fault {
        /// When.
        at: Time,
        /// Why not.
        error: CallFaultError,
    },
    /// The call never came to an end.
    #[error(transparent)]
    Budget(#[from] BudgetExceeded),
}

/// Makes calls, one after the other, and keeps the memory between them.
#[derive(Default)]
pub struct Caller {
    net: Internet,
    recording: bool,
}

/// A call that was made, with everything that can be asked about it.
pub struct Call<'a> {
    /// What was asked for.
    pub config: CallConfig,
    /// What came of it.
    pub outcome: CallOutcome,
    /// The internet it happened on.
    pub net: &'a Internet,
    /// Who is where.
    pub scene: Scene,
    /// The two endpoints.
    pub peers: [ProgramId; 2],
    /// What the wire showed.
    pub wire: SharedWire,
}

impl Caller {
    /// A caller that makes calls as fast as it can.
    pub fn new() -> Self {
        Caller::default()
    }

    /// A caller that keeps a full recording of every call, until the next.
    pub fn recording() -> Self {
        Caller {
            recording: true,
            ..Caller::default()
        }
    }

    /// The internet of the last call, even of one that ended with an error: what was measured
    /// until then stands.
    pub fn internet(&self) -> &Internet {
        &self.net
    }

    /// Makes a call.
    ///
    /// # Errors
    ///
    /// The network makes no sense, or the call never came to an end.
    pub fn call(&mut self, config: &CallConfig) -> Result<Call<'_>, CallError> {
        let net = &mut self.net;
        let scene = scene::set(net, config)?;
        if self.recording {
            net.record();
        }
        let [a, b] = scene.hosts;
        let is_lasting = !config.faults.is_empty();
        let wire = if is_lasting {
            SharedWire::lasting(a, b)
        } else {
            SharedWire::between(a, b)
        };
        if config.roles != Roles::Caller {
            wire.watch_roles();
        }
        net.observe(wire.clone());
        let zone = serve(
            net,
            scene.stun,
            scene.turn,
            &config.turn,
            &config.turn_terms,
        );
        let peers = Side::BOTH.map(|side| {
            let host = scene.hosts[side.index()];
            let resolver = Resolver {
                zone: &zone,
                dns64: scene.prefix64[side.index()],
            };
            let has_ipv4 = net.topology().addresses(host).any(|own| own.is_ipv4());
            // As the host finds it out (RFC 7050).
            let synthesize = resolver
                .discover_prefix()
                .filter(|_| config.synthesize[side.index()] && !has_ipv4);
            let peer = Peer::new(PeerConfig {
                side,
                transport: TransportConfig {
                    role: config.roles.of(side),
                    offers: config.roles.offers(side),
                    restarts: side == Side::A,
                    stack: config.stacks[side.index()],
                    seed: Stream::new(config.seed, side.name()).next_u64(),
                    port: config.ports[side.index()],
                    servers: resolve(&resolver, synthesize, &config.turn),
                    synthesize,
                    trickle: config.trickle.is_done_by(side),
                    lasting: is_lasting.then_some(config.restart),
                },
                signaling_delay: config.signaling_delay,
                wire: wire.clone(),
            });
            net.attach(host, peer)
        });
        for side in Side::BOTH {
            let other = peers[side.other().index()];
            net.act(peers[side.index()], |peer: &mut Peer, _| {
                peer.introduce(other)
            });
        }
        let ended = if is_lasting {
            schedule(net, config)?;
            last(net, config, &wire, peers)?
        } else {
            run(net, config, &wire, peers)?
        };
        let outcome = outcome(net, config, &wire, peers, ended);
        Ok(Call {
            config: config.clone(),
            outcome,
            net,
            scene,
            peers,
            wire,
        })
    }
}

/// The internet of a call that isn't made: to ask what it consists of, and what can happen to it.
///
/// # Errors
///
/// The network makes no sense.
pub fn lay_out(config: &CallConfig) -> Result<Internet, BuildError> {
    let mut net = Internet::default();
    let scene = scene::set(&mut net, config)?;
    serve(
        &mut net,
        scene.stun,
        scene.turn,
        &config.turn,
        &config.turn_terms,
    );
    Ok(net)
}

/// What the innermost NAT of a kind does, as a call has it; `None` where nothing translates.
pub fn innermost_nat(kind: &Kind) -> Option<NatConfig> {
    let options = SiteOptions::new(Link::with_delay(Duration::ZERO));
    scene::innermost_nat(&mut kind.plans(&options)).cloned()
}

/// Starts the service's servers, and returns what the DNS says of them.
pub(crate) fn serve(
    net: &mut Internet,
    stun: NodeId,
    turn: Option<NodeId>,
    offer: &TurnOffer,
    terms: &TurnTerms,
) -> Zone {
    let mut zone = Zone::default();
    let mut name = |net: &Internet, name, node: NodeId| {
        for address in net.topology().addresses(node) {
            zone.add(name, address);
        }
    };
    net.attach_service(stun, || StunServer::new(STUN_PORT));
    name(net, STUN_NAME, stun);
    let Some(node) = turn else {
        return zone;
    };
    let password = if terms.expired {
        LATER_PASSWORD
    } else {
        PASSWORD
    };
    let mut config = TurnConfig::new(REALM).with_user(USER, password);
    config.allocations_per_user = terms.quota.or(config.allocations_per_user);
    let offers = |transport| offer.transports().contains(&transport);
    config.udp_port = offers(TurnTransport::Udp).then_some(STUN_PORT);
    config.tcp_port = offers(TurnTransport::Tcp).then_some(STUN_PORT);
    let offers_tls = offers(TurnTransport::Tls);
    net.attach_service(node, move || {
        let server = TurnServer::new(config.clone());
        let server = server.expect("a configuration of ours is fit to serve");
        if offers_tls {
            server.with_tls(TLS_PORT, TlsServer::new())
        } else {
            server
        }
    });
    name(net, TURN_NAME, node);
    zone
}

/// How a client reaches the service's servers, as its own network's DNS tells it. One that makes up
/// for having no IPv4 asks servers of both families in both: what IPv6 servers tell and lend is
/// IPv6, and of no use to peers without it.
pub(crate) fn resolve(
    resolver: &Resolver<'_>,
    synthesize: Option<Prefix64>,
    offer: &TurnOffer,
) -> Servers {
    let at = |name, port| {
        let (v4, mut v6) = (resolver.a(name), resolver.aaaa(name));
        if let Some(prefix) = synthesize {
            let mut synthesized: Vec<Address> = v4.iter().map(|a| prefix.embed(*a)).collect();
            synthesized.retain(|address| !v6.contains(address));
            v6.extend(synthesized);
        }
        let addresses = v4.into_iter().chain(v6);
        addresses.map(move |address| SocketAddr::from(Endpoint::new(address, port)))
    };
    let ways = |transport: TurnTransport| {
        let port = match transport {
            TurnTransport::Udp | TurnTransport::Tcp => STUN_PORT,
            TurnTransport::Tls => TLS_PORT,
        };
        at(TURN_NAME, port).map(move |server| TurnAccess {
            transport,
            server,
            name: SERVER_NAME.to_owned(),
            user: USER.to_owned(),
            password: PASSWORD.to_owned(),
        })
    };
    Servers {
        stun: at(STUN_NAME, STUN_PORT).collect(),
        turn: offer.transports().iter().copied().flat_map(ways).collect(),
    }
}

/// Lets the call happen.
fn run(
    net: &mut Internet,
    config: &CallConfig,
    wire: &SharedWire,
    peers: [ProgramId; 2],
) -> Result<Ended, BudgetExceeded> {
    let given_up = |net: &Internet| {
        peers
            .iter()
            .all(|peer| net.program::<Peer>(*peer).has_failed())
    };
    let connected = |_: &Internet| wire.read(|wire| wire.connected_at().is_some());
    net.run_while_not(config.until, |net| connected(net) || given_up(net))?;
    let mut failed_at = None;
    if connected(net) {
        if could_improve(config, wire) {
            let settled = (net.now() + SETTLING).min(config.until);
            net.run_until(settled)?;
        }
    } else if given_up(net) {
        failed_at = Some(net.now());
    }
    hang_up(net, peers)?;
    Ok(Ended {
        failed_at,
        course: None,
    })
}

fn hang_up(net: &mut Internet, peers: [ProgramId; 2]) -> Result<(), BudgetExceeded> {
    for peer in peers {
        net.act(peer, |peer: &mut Peer, io| peer.hang_up(io));
    }
    // What is still under way arrives or is dropped.
    net.run_while_not(Time::MAX, |net| net.packets_under_way() == 0)?;
    Ok(())
}

/// Puts the call's faults where they belong.
fn schedule(net: &mut Internet, config: &CallConfig) -> Result<(), CallError> {
    for (at, fault) in &config.faults {
        let refused = |error| CallError::Fault { at: *at, error };
        for fault in fault.resolve(net.topology()).map_err(refused)? {
            let scheduled = net.schedule_fault(*at, fault);
            scheduled.map_err(|error| refused(error.into()))?;
        }
    }
    Ok(())
}

/// Lets a call with faults happen, until its end.
fn last(
    net: &mut Internet,
    config: &CallConfig,
    wire: &SharedWire,
    peers: [ProgramId; 2],
) -> Result<Ended, BudgetExceeded> {
    net.run_until(config.until)?;
    let first_fault = config.faults.iter().map(|(at, _)| *at).min();
    let milestones = peers.map(|peer| net.program::<Peer>(peer).milestones());
    let course = wire.read(|wire| {
        let first_fault = first_fault.unwrap_or(config.until);
        outcome::course(wire, milestones, first_fault, config.until)
    });
    hang_up(net, peers)?;
    Ok(Ended {
        failed_at: None,
        course: Some(course),
    })
}

/// How a call ended.
struct Ended {
    failed_at: Option<Time>,
    course: Option<Course>,
}

/// Whether a path of a better class may exist than the one the call connected over.
fn could_improve(config: &CallConfig, wire: &SharedWire) -> bool {
    let untranslated = config.neighbourhood.is_one_lan() || config.share_ipv6();
    wire.read(|wire| {
        wire.flows
            .iter()
            .any(|flow| flow.route.is_relayed() || (untranslated && flow.route.is_translated()))
    })
}

fn outcome(
    net: &Internet,
    config: &CallConfig,
    wire: &SharedWire,
    peers: [ProgramId; 2],
    ended: Ended,
) -> CallOutcome {
    let gathered: [Vec<Candidate>; 2] =
        peers.map(|peer| net.program::<Peer>(peer).candidates().collect());
    let connection = wire.read(|wire| outcome::connection(wire, [&gathered[0], &gathered[1]]));
    let findings = Side::BOTH
        .into_iter()
        .filter_map(|side| {
            let panic = net.program::<Peer>(peers[side.index()]).panic()?.to_owned();
            Some(Finding {
                side,
                stack: config.stacks[side.index()],
                panic,
            })
        })
        .collect();
    let trace = net.trace();
    let drops = trace.drops().iter().map(|drop| Dropped {
        reason: drop.example.code(),
        place: net.place_name(drop.example.place()),
        count: drop.count,
    });
    CallOutcome {
        connection,
        failed_at: ended.failed_at,
        course: ended.course,
        role_conflict: wire.read(|wire| wire.roles),
        findings,
        packets: trace.counts(),
        drops: drops.collect(),
        digest: trace.digest(),
    }
}
