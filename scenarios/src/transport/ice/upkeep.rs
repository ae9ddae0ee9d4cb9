//! How a transport goes on: which pair it uses, when it loses it, and what it does about that.

use std::net::SocketAddr;
use std::time::Duration;

use pinhole::{Address, Io, Time};

use super::{IceTransport, Pair};
use crate::ice::{Guarded, IceAgent, IceEvent};
use crate::transport::event::{Milestone, TransportEvent};

/// How long packets may be sent on a pair after a check on it was last answered (RFC 7675 §5.1).
const CONSENT: Duration = Duration::from_secs(30);

/// How long the side that restarts ICE waits for packets on its first pair before it takes that for
/// deaf and restarts with relayed candidates alone, where it has any: what applications do whose
/// users hear nothing.
///
/// A stack may select a pair that works for it alone. `is` does between two NATs with
/// address-and-port-dependent mapping: it takes answers from anywhere, and the other side, which
/// keeps to RFC 8445 §7.2.5.2.1, never selects anything.
pub const DEAFNESS: Duration = Duration::from_secs(5);

impl IceTransport {
    /// The host's addresses are others now.
    pub fn change_network(&mut self, now: Time, io: &mut Io<'_>) {
        self.reached(Milestone::NetworkChanged);
        let addresses: Vec<Address> = io.addresses().collect();
        self.sockets.keep(&addresses);
        let is_alive = |local: SocketAddr| {
            addresses.contains(&local.ip().into()) || self.sockets.relays(local)
        };
        if self.pair.is_some_and(|pair| !is_alive(pair.local)) {
            self.lose_pair();
        }
        let policy = self.config.lasting;
        if policy.is_some_and(|policy| policy.on_network_change) {
            self.want_restart(now, io);
        }
    }

    /// Takes what the stack has to report.
    pub(super) fn take_events(&mut self, now: Time, io: &mut Io<'_>) {
        while let Some(event) = self.agent.as_mut().and_then(|agent| agent.poll_event()) {
            match event {
                IceEvent::Selected { local, remote } => self.select(now, local, remote),
                IceEvent::Disconnected => {
                    self.reached(Milestone::Disconnected);
                    self.bear_loss(now, false, io);
                }
                IceEvent::Failed => {
                    self.reached(Milestone::Failed);
                    self.bear_loss(now, true, io);
                }
            }
        }
    }

    fn select(&mut self, now: Time, local: SocketAddr, remote: SocketAddr) {
        self.pair = Some(Pair {
            local,
            remote,
            relayed: self.sockets.relays(local),
        });
        self.was_connected = true;
        self.consented = now;
        let may_fall_back =
            self.config.restarts && !self.only_relays && !self.config.servers.turn.is_empty();
        if may_fall_back && !self.heard {
            self.falls_back.get_or_insert(now + DEAFNESS);
        }
        self.sockets.current_mut().prefer(now, local, remote);
        self.reached(Milestone::Selected { local, remote });
    }

    /// What a lasting transport does when its stack reports a loss: RFC 7675 §5.1 has it stop sending
    /// on a pair that the stack no longer has.
    fn bear_loss(&mut self, now: Time, is_final: bool, io: &mut Io<'_>) {
        let Some(policy) = self.config.lasting else {
            return;
        };
        let has_pair = |agent: &Guarded| agent.selected_pair().is_some();
        if !self.agent.as_ref().is_some_and(has_pair) {
            self.lose_pair();
        }
        let wanted = if is_final {
            policy.on_failed
        } else {
            policy.on_disconnected
        };
        if wanted && self.was_connected && !self.expects_answer {
            self.want_restart(now, io);
        }
    }

    /// A restarted stack no longer asks for consent on the pair of before, which packets still use:
    /// that one's ends here.
    pub(super) fn mind_consent(&mut self, now: Time) {
        let Some(pair) = self.pair else { return };
        let kept = |agent: &Guarded| agent.selected_pair() == Some(pair.addresses());
        if self.config.lasting.is_some()
            && now >= self.consented + CONSENT
            && !self.agent.as_ref().is_some_and(kept)
        {
            self.lose_pair();
        }
    }

    /// Falls back on relays if the selected pair is deaf.
    pub(super) fn mind_deafness(&mut self, now: Time, io: &mut Io<'_>) {
        if self.heard {
            self.falls_back = None;
        } else if self.falls_back.is_some_and(|due| due <= now) {
            self.falls_back = None;
            self.only_relays = true;
            self.want_restart(now, io);
        }
    }

    /// No packet may be sent until there is another pair.
    fn lose_pair(&mut self) {
        if self.pair.take().is_some() {
            self.events.push_back(TransportEvent::Lost);
        }
    }
}
