//! Carries out a plan with production stacks.

use std::rc::Rc;
use std::time::Duration;

use pinhole::topology::BuildError;
use pinhole::{BudgetExceeded, Internet, ProgramId, Stream};

use super::attendee::{Attendee, Briefing};
use super::connection::Terms;
use super::forwarder::Forwarder;
use super::party::{Hub, Party, Role};
use super::signal::Posts;
use crate::conference::config::{Fidelity, Topology};
use crate::conference::media::Speech;
use crate::conference::meter::{Dialect, Meter};
use crate::conference::outcome::ConferenceOutcome;
use crate::conference::plan::{Place, Plan};
use crate::conference::scene::Scene;
use crate::conference::services;
use crate::conference::watch::{self, Watch};
use crate::transport::Servers;

/// What str0m calls retransmissions of VP8, if nobody tells it otherwise.
pub(super) const RTX: u8 = 97;

/// Why a conference could not be held.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FullError {
    /// The networks make no sense.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// It took more than it may.
    #[error(transparent)]
    Budget(#[from] BudgetExceeded),
    /// It was stopped before anything was measured.
    #[error("it was stopped before measuring began")]
    Stopped,
}

/// Holds the conference on `net`, in place of what was on it before.
///
/// # Errors
///
/// The networks make no sense, or the budget is spent.
pub fn run(plan: &Plan, net: &mut Internet) -> Result<ConferenceOutcome, FullError> {
    run_watched(plan, net, &mut watch::to_the_end)
}

/// The same, watched.
///
/// # Errors
///
/// The same; or it was stopped before measuring began.
pub fn run_watched(
    plan: &Plan,
    net: &mut Internet,
    watch: &mut Watch<'_>,
) -> Result<ConferenceOutcome, FullError> {
    let conference = Conference::set(plan, net)?;
    let measured = watch::pass(net, &plan.config, watch)?.ok_or(FullError::Stopped)?;
    Ok(conference.outcome(net, measured))
}

/// A conference under way.
struct Conference {
    plan: Rc<Plan>,
    scene: Scene,
    meter: Meter,
    /// Participants, then servers.
    parties: Vec<ProgramId>,
}

impl Conference {
    fn set(plan: &Plan, net: &mut Internet) -> Result<Self, FullError> {
        let scene = Scene::set(net, plan)?;
        let dialect = Dialect {
            is_rtx: |payload_type| payload_type == RTX,
        };
        let meter = Meter::new(plan, &scene, net, dialect);
        net.observe(meter.clone());
        let plan = Rc::new(plan.clone());
        let config = &plan.config;
        let services = services::serve(net, &plan, &scene);
        let speech = Speech::new(plan.publishers().count(), config.until(), config.seed);
        let speech = Rc::new(speech);
        let mut parties = Vec::new();
        let participants = (0..plan.participants().len()).map(Place::Participant);
        let servers = (0..plan.servers.len()).map(Place::Server);
        for (number, place) in participants.chain(servers).enumerate() {
            let briefing = Briefing {
                plan: plan.clone(),
                meter: meter.clone(),
                speech: speech.clone(),
                place,
            };
            let seed = Stream::new(config.seed, plan.name(place)).next_u64();
            let terms = |servers| Terms {
                servers,
                trickle: true,
                seed,
                tap: Some((meter.clone(), place)),
            };
            let party = match place {
                Place::Participant(who) => {
                    let region = plan.participants()[who].region;
                    let terms = terms(services[region].clone());
                    let party = Party::new(number, terms, Attendee::new(briefing));
                    net.attach(scene.hosts[who], party)
                }
                // Servers have public addresses, and need nobody's help.
                Place::Server(server) => {
                    let (host, terms) = (scene.servers[server], terms(Servers::default()));
                    if config.topology == Topology::Mcu {
                        net.attach(host, Party::new(number, terms, Attendee::new(briefing)))
                    } else {
                        net.attach(host, Party::new(number, terms, Forwarder::new(briefing)))
                    }
                }
            };
            parties.push(party);
        }
        let conference = Conference {
            plan,
            scene,
            meter,
            parties,
        };
        for place in conference.places() {
            conference.introduce(net, place);
        }
        Ok(conference)
    }

    fn places(&self) -> impl Iterator<Item = Place> + use<> {
        let participants = (0..self.plan.participants().len()).map(Place::Participant);
        participants.chain((0..self.plan.servers.len()).map(Place::Server))
    }

    fn party(&self, place: Place) -> ProgramId {
        match place {
            Place::Participant(number) => self.parties[number],
            Place::Server(number) => self.parties[self.plan.participants().len() + number],
        }
    }

    fn is_forwarder(&self, place: Place) -> bool {
        matches!(place, Place::Server(_)) && self.plan.config.topology != Topology::Mcu
    }

    fn introduce(&self, net: &mut Internet, place: Place) {
        fn introduce<R: Role>(net: &mut Internet, party: ProgramId, posts: Posts) {
            net.act(party, |party: &mut Party<R>, _| party.introduce(posts));
        }
        let posts = Posts::new(self.parties.clone(), self.plan.config.signaling_delay);
        if self.is_forwarder(place) {
            introduce::<Forwarder>(net, self.party(place), posts);
        } else {
            introduce::<Attendee>(net, self.party(place), posts);
        }
    }

    fn hub<'a>(&self, net: &'a Internet, place: Place) -> &'a Hub {
        if self.is_forwarder(place) {
            net.program::<Party<Forwarder>>(self.party(place)).hub()
        } else {
            net.program::<Party<Attendee>>(self.party(place)).hub()
        }
    }

    fn outcome(&self, net: &Internet, measured: Duration) -> ConferenceOutcome {
        let plan = &self.plan;
        let mut findings = Vec::new();
        let mut relayed = 0;
        let of_turn = |address: std::net::IpAddr| {
            let mut turn = self.scene.turn.iter();
            turn.any(|node| {
                net.topology()
                    .addresses(*node)
                    .any(|own| own == address.into())
            })
        };
        for (number, connection) in plan.connections.iter().enumerate() {
            let mut goes_over_turn = false;
            for place in connection.ends {
                let end = self.hub(net, place).connection(number as u32);
                let Some(end) = end else { continue };
                if let Some(why) = end.failure() {
                    let [one, other] = connection.ends.map(|place| plan.name(place));
                    let at = plan.name(place);
                    findings.push(format!("{one} and {other}: the stack of {at}: {why}"));
                }
                let pair = end.pair();
                goes_over_turn |= pair.is_some_and(|(a, b)| of_turn(a.ip()) || of_turn(b.ip()));
            }
            relayed += usize::from(goes_over_turn);
        }
        let fidelity = Fidelity::Full;
        (self.meter).outcome(plan, measured, net, fidelity, relayed, findings)
    }
}

#[cfg(test)]
mod tests;
