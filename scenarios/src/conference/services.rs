//! The service's STUN and TURN servers, and how participants reach them.

use pinhole::Internet;
use pinhole::nat64::Resolver;

use super::plan::Plan;
use super::scene::Scene;
use crate::call::{self, TurnTerms};
use crate::transport::Servers;

/// Starts the servers of every region. Returns, for each region, what its participants ask. All
/// participants are one user, whose relays nobody counts.
pub fn serve(net: &mut Internet, plan: &Plan, scene: &Scene) -> Vec<Servers> {
    let offer = &plan.config.turn;
    (0..scene.stun.len())
        .map(|region| {
            let (stun, turn) = scene.services(region);
            let zone = call::serve(net, stun, turn, offer, &TurnTerms::default());
            let resolver = Resolver {
                zone: &zone,
                dns64: None,
            };
            call::resolve(&resolver, None, offer)
        })
        .collect()
}
