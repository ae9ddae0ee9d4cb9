//! The service's STUN and TURN servers, and how participants reach them.

use std::net::SocketAddr;

use pinhole::server::{StunServer, TurnConfig, TurnServer};
use pinhole::{Endpoint, Internet, NodeId};

use super::plan::Plan;
use super::scene::Scene;
use crate::call::{STUN_PORT, Servers, TLS_PORT, TurnAccess, TurnTransport};
use crate::tls::{SERVER_NAME, TlsServer};

/// The long-term credentials of all TURN servers (RFC 8489 §9.2).
const REALM: &str = "pinhole.example";
const USER: &str = "participant";
const PASSWORD: &str = "open sesame";

/// Starts the servers of every region. Returns, for each region, what its participants ask.
pub fn serve(net: &mut Internet, plan: &Plan, scene: &Scene) -> Vec<Servers> {
    let offered = plan.config.turn.transports();
    for node in &scene.stun {
        net.attach_service(*node, || StunServer::new(STUN_PORT));
    }
    for node in &scene.turn {
        let offers = |transport| offered.contains(&transport);
        let mut config = TurnConfig::new(REALM).with_user(USER, PASSWORD);
        // All participants are one user.
        config.allocations_per_user = None;
        config.udp_port = offers(TurnTransport::Udp).then_some(STUN_PORT);
        config.tcp_port = offers(TurnTransport::Tcp).then_some(STUN_PORT);
        let offers_tls = offers(TurnTransport::Tls);
        net.attach_service(*node, move || {
            let server = TurnServer::new(config.clone());
            let server = server.expect("a configuration of ours is fit to serve");
            if offers_tls {
                server.with_tls(TLS_PORT, TlsServer::new())
            } else {
                server
            }
        });
    }
    let at = |node: NodeId, port| SocketAddr::from(Endpoint::new(net.address(node), port));
    let regions = 0..scene.stun.len();
    regions
        .map(|region| {
            let (stun, turn) = scene.services(region);
            let ways = turn.into_iter().flat_map(|turn| {
                offered.iter().map(move |transport| TurnAccess {
                    transport: *transport,
                    server: match transport {
                        TurnTransport::Udp | TurnTransport::Tcp => at(turn, STUN_PORT),
                        TurnTransport::Tls => at(turn, TLS_PORT),
                    },
                    name: SERVER_NAME.to_owned(),
                    user: USER.to_owned(),
                    password: PASSWORD.to_owned(),
                })
            });
            Servers {
                stun: vec![at(stun, STUN_PORT)],
                turn: ways.collect(),
            }
        })
        .collect()
}
