//! The flow tier: every packet of a conference on the virtual internet, with its true size and no
//! encryption.
//!
//! Participants and servers are programs on the hosts of the [scene](super::scene). Their connections
//! are [ICE transports](crate::transport): through the same NATs, over the same TURN servers as
//! calls. What goes over them is RTP and RTCP in genuine frames: media from the shared
//! [sources](super::media), transport-wide feedback, NACKs and retransmissions, requests for key
//! frames, reports. Connections that can fill a link are under
//! [congestion control](crate::congestion); those that can't are sent on at full rate.
//!
//! What it leaves out: DTLS and SDP (connections stand when ICE has selected a pair), codecs,
//! forward error correction, renegotiation, and RTX streams' own sequence numbers. Where sound is
//! lost it stays lost, as with Opus in browsers.

mod capacity;
mod forwarding;
mod incoming;
mod leg;
mod mixer;
mod packet;
mod producer;
mod station;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::rc::Rc;

use pinhole::topology::BuildError;
use pinhole::{BudgetExceeded, Internet, ProgramId};

use self::capacity::Capacity;
use self::station::Station;
use super::config::Fidelity;
use super::meter::{Dialect, Meter};
use super::outcome::ConferenceOutcome;
use super::plan::{Place, Plan};
use super::scene::Scene;
use super::services;
use super::watch::{self, Watch};

/// Why a conference could not be simulated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlowError {
    /// The network makes no sense.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// It never came to an end.
    #[error(transparent)]
    Budget(#[from] BudgetExceeded),
    /// It was stopped before anything was measured.
    #[error("it was stopped before measuring began")]
    Stopped,
}

/// Simulates a conference.
///
/// # Errors
///
/// The network makes no sense, or the run spent its budget.
pub fn run(plan: &Plan) -> Result<ConferenceOutcome, FlowError> {
    run_in(&mut Internet::default(), plan, &mut watch::to_the_end)
}

/// Simulates a conference in place of what `net` was before; it can be looked at afterwards.
///
/// # Errors
///
/// The network makes no sense, the run spent its budget, or it was stopped before measuring began.
pub fn run_in(
    net: &mut Internet,
    plan: &Plan,
    watch: &mut Watch<'_>,
) -> Result<ConferenceOutcome, FlowError> {
    let scene = Scene::set(net, plan)?;
    let meter = Meter::new(plan, &scene, net, DIALECT);
    net.observe(meter.clone());
    let services = services::serve(net, plan, &scene);
    let capacity = Capacity::of(plan);
    let turn = scene.turn.iter().map(|node| net.address(*node).into());
    let turn: Rc<[IpAddr]> = turn.collect();
    let plan = Rc::new(plan.clone());
    let nobody = crate::transport::Servers::default();
    let participants = (0..plan.participants().len()).map(|number| {
        let services = &services[plan.participants()[number].region];
        (Place::Participant(number), scene.hosts[number], services)
    });
    // Everybody reaches servers: they ask nobody.
    let servers = (0..plan.servers.len())
        .map(|number| (Place::Server(number), scene.servers[number], &nobody));
    let stations: Vec<ProgramId> = participants
        .chain(servers)
        .map(|(place, host, services)| {
            let station = Station::new(&plan, place, services, &turn, &capacity, meter.clone());
            net.attach(host, station)
        })
        .collect();
    let at = |place: Place| match place {
        Place::Participant(number) => stations[number],
        Place::Server(number) => stations[plan.participants().len() + number],
    };
    for (number, connection) in plan.connections.iter().enumerate() {
        for end in [0, 1] {
            let [own, other] = [connection.ends[end], connection.ends[1 - end]].map(at);
            net.act(own, |station: &mut Station, _| {
                station.introduce(number, other);
            });
        }
    }
    let measured = watch::pass(net, &plan.config, watch)?.ok_or(FlowError::Stopped)?;
    let mut relayed = vec![false; plan.connections.len()];
    let mut findings = Vec::new();
    for id in &stations {
        let station = net.program::<Station>(*id);
        for (connection, over_relay) in station.connections() {
            relayed[connection] |= over_relay;
        }
        let name = net.name(net.host_of(*id));
        findings.extend(station.findings().map(|it| format!("{name}: {it}")));
    }
    let relayed = relayed.into_iter().filter(|it| *it).count();
    Ok(meter.outcome(&plan, measured, net, Fidelity::Flow, relayed, findings))
}

const DIALECT: Dialect = Dialect {
    is_rtx: packet::is_rtx,
};
