//! Offers, answers and what they lead to: what one end of a transport tells the other, and what it
//! makes of what it is told (RFC 8839, without SDP; RFC 8838).

use pinhole::{Io, Time};

use super::IceTransport;
use super::nat64::{synthesized, told_for_the_agent};
use crate::ice::{CandidateType, IceAgent, SignaledCandidate};
use crate::transport::event::Milestone;
use crate::transport::event::TransportEvent::Reached;
use crate::transport::signaling::{Description, Signal};

impl IceTransport {
    /// The other side told something.
    pub fn hear(&mut self, now: Time, signal: &Signal, io: &mut Io<'_>) {
        match signal {
            // Glare: it is as good as an answer.
            Signal::Answer(description) | Signal::Offer(description) if self.expects_answer => {
                self.expects_answer = false;
                self.learn(now, description);
                if std::mem::take(&mut self.owes_restart) {
                    self.restart(now, io);
                }
            }
            // Nobody asked.
            Signal::Answer(_) => {}
            Signal::Offer(description) => {
                self.asked = false;
                if self.agent.is_none() {
                    self.begin(now, io);
                } else {
                    self.restart(now, io);
                }
                self.learn(now, description);
            }
            // Before the answer it belongs to the pairs of before the restart.
            Signal::Candidate(_) if self.expects_answer => {}
            Signal::Candidate(candidate) => self.learn_candidate(now, *candidate),
            // An offer under way covers what it was wanted for.
            Signal::RestartWanted if self.expects_answer => {}
            Signal::RestartWanted => self.restart(now, io),
        }
    }

    /// Hands what was gathered to the stack, and what the stack wants signaled to the other side.
    pub(super) fn take_candidates(&mut self, now: Time) {
        let Some(agent) = &mut self.agent else { return };
        let sockets = self.sockets.current_mut();
        while let Some(candidate) = sockets.poll_candidate() {
            let gathered = Reached(Milestone::Gathered(candidate));
            self.events.push_back(gathered);
            if self.only_relays && candidate.kind != CandidateType::Relayed {
                continue;
            }
            let mut signaled = agent.add_local_candidate(now, candidate);
            if self.config.synthesize.is_some() {
                signaled = signaled.or_else(|| told_for_the_agent(candidate));
            }
            let Some(signaled) = signaled else { continue };
            if self.described {
                self.signals.push_back(Signal::Candidate(signaled));
            } else {
                self.untold.push(signaled);
            }
        }
        if !self.described && (self.config.trickle || sockets.is_complete()) {
            self.described = true;
            self.events.push_back(Reached(Milestone::Described));
            let description = Description {
                credentials: agent.local_credentials(),
                candidates: std::mem::take(&mut self.untold),
            };
            self.signals.push_back(if self.expects_answer {
                Signal::Offer(description)
            } else {
                Signal::Answer(description)
            });
        }
    }

    fn learn(&mut self, now: Time, description: &Description) {
        self.reached(Milestone::Started);
        if let Some(agent) = &mut self.agent {
            agent.start(now, &description.credentials);
        }
        for candidate in &description.candidates {
            self.learn_candidate(now, *candidate);
        }
    }

    fn learn_candidate(&mut self, now: Time, candidate: SignaledCandidate) {
        self.reached(Milestone::Learned(candidate));
        let sockets = self.sockets.current_mut();
        sockets.permit(now, candidate.address.ip());
        let Some(agent) = &mut self.agent else { return };
        agent.add_remote_candidate(now, candidate);
        let prefix = self.config.synthesize;
        if let Some(synthesized) = prefix.and_then(|prefix| synthesized(prefix, candidate)) {
            agent.add_remote_candidate(now, synthesized);
        }
    }

    /// Sees to it that ICE is restarted: by this side if that is its part, else by the other.
    pub(super) fn want_restart(&mut self, now: Time, io: &mut Io<'_>) {
        if self.agent.is_none() {
            return;
        }
        match (self.config.restarts, self.expects_answer) {
            (true, true) => self.owes_restart = true,
            (true, false) => self.restart(now, io),
            (false, _) if self.asked => {}
            (false, _) => {
                self.asked = true;
                self.reached(Milestone::AskedForRestart);
                self.signals.push_back(Signal::RestartWanted);
            }
        }
    }

    /// New credentials, new sockets, new candidates (RFC 8445 §9). Packets go on over the old pair,
    /// if that still works, until there is a new one.
    fn restart(&mut self, now: Time, io: &mut Io<'_>) {
        let Some(agent) = &mut self.agent else { return };
        agent.restart(now);
        self.reached(Milestone::Restarted);
        self.expects_answer = self.config.restarts;
        self.described = false;
        self.untold.clear();
        self.sockets.renew(now, &self.config.servers, io);
        self.take_candidates(now);
    }
}
