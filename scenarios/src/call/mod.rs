//! Two endpoints, one call, one outcome.
//!
//! Both endpoints run production ICE stacks on the virtual internet. What came of the call is read
//! from the packets that carried its data, never from what a stack says of itself.

mod config;
mod data;
mod gathering;
mod outcome;
mod peer;
mod scene;
mod signaling;
mod wire;

pub use config::{CallConfig, Neighbourhood, ParseTurnError, TurnOffer, TurnTransport};
pub use data::{Data, Framing, Side};
pub use gathering::{Servers, TurnAccess};
pub use outcome::{CallOutcome, Connection, Dropped, Finding, PairTypes, PathClass};
pub use peer::{Milestone, Peer, PeerConfig};
pub use scene::Scene;
pub use signaling::{Description, Signal};
pub use wire::{Flow, Leg, Route, SharedWire, Wire};

use std::net::SocketAddr;
use std::time::Duration;

use pinhole::server::{StunServer, TurnConfig, TurnServer};
use pinhole::topology::BuildError;
use pinhole::{BudgetExceeded, Endpoint, Internet, ProgramId, Stream};

use crate::ice::Candidate;

/// Where STUN and TURN servers listen (RFC 8489 §18.5).
pub const STUN_PORT: u16 = 3478;

/// The long-term credentials of the service's TURN server (RFC 8489 §9.2).
const REALM: &str = "pinhole.example";
const USER: &str = "caller";
const PASSWORD: &str = "open sesame";

/// How long a call that could still find a better path is given to find it: the longest that
/// either stack waits before it settles on a relayed pair (`rtc-ice`, 2 s), and one check more.
pub const SETTLING: Duration = Duration::from_millis(2_500);

/// Why a call could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The network makes no sense.
    #[error(transparent)]
    Build(#[from] BuildError),
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
        let wire = SharedWire::between(scene.hosts[0], scene.hosts[1]);
        net.observe(wire.clone());
        let servers = serve(net, &scene);
        let peers = Side::BOTH.map(|side| {
            let host = scene.hosts[side.index()];
            let peer = Peer::new(PeerConfig {
                side,
                stack: config.stacks[side.index()],
                seed: Stream::new(config.seed, side.name()).next_u64(),
                servers: servers.clone(),
                trickle: config.trickle,
                signaling_delay: config.signaling_delay,
            });
            net.attach(host, peer)
        });
        for side in Side::BOTH {
            let other = peers[side.other().index()];
            net.act(peers[side.index()], |peer: &mut Peer, _| {
                peer.introduce(other)
            });
        }
        let failed_at = run(net, config, &wire, peers)?;
        let outcome = outcome(net, config, &wire, peers, failed_at);
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

/// Starts the service's servers, and tells how clients reach them.
fn serve(net: &mut Internet, scene: &Scene) -> Servers {
    let at = |net: &Internet, node| -> Vec<SocketAddr> {
        let addresses = net.topology().addresses(node);
        let sockets = addresses.map(|address| Endpoint::new(address, STUN_PORT).into());
        sockets.collect()
    };
    net.attach(scene.stun, StunServer::new(STUN_PORT));
    let stun = at(net, scene.stun);
    let Some(node) = scene.turn else {
        return Servers {
            stun,
            turn: Vec::new(),
        };
    };
    let config = TurnConfig::new(REALM).with_user(USER, PASSWORD);
    let server = TurnServer::new(config).expect("a configuration of ours is fit to serve");
    net.attach(node, server);
    let access = |server| TurnAccess {
        server,
        user: USER.to_owned(),
        password: PASSWORD.to_owned(),
    };
    let turn = at(net, node).into_iter().map(access).collect();
    Servers { stun, turn }
}

/// Lets the call happen. Returns when both stacks had given up, if they did.
fn run(
    net: &mut Internet,
    config: &CallConfig,
    wire: &SharedWire,
    peers: [ProgramId; 2],
) -> Result<Option<pinhole::Time>, BudgetExceeded> {
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
    for peer in peers {
        net.act(peer, |peer: &mut Peer, io| peer.hang_up(io));
    }
    // What is still under way arrives or is dropped.
    net.run_while_not(pinhole::Time::MAX, |net| net.packets_under_way() == 0)?;
    Ok(failed_at)
}

/// Whether a path of a better class may exist than the one the call connected over.
fn could_improve(config: &CallConfig, wire: &SharedWire) -> bool {
    let untranslated = config.neighbourhood != Neighbourhood::Apart || config.ipv6 == [true; 2];
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
    failed_at: Option<pinhole::Time>,
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
        failed_at,
        findings,
        packets: trace.counts(),
        drops: drops.collect(),
        digest: trace.digest(),
    }
}
